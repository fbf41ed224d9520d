#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# runbook: EM-S3, EM-D1, EM-D2, EM-D3, P2P-3A, P2P-3B, WC-2, WC-3, WC-4, AU-S3

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_cleanup
short_description: Delete files that are due by retention rules
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Plans from O(rules) which files go, and deletes them, the least valuable first, which is in the order of the
    rules and the oldest first within each.
  - Trees are walked by open directories. No symbolic link is followed, no mount is crossed, nothing outside of a
    root is touched, whatever is renamed, linked or mounted meanwhile.
  - Ages are exact. A file is due when it was last changed longer ago than C(min_age) seconds, not when whole days
    have passed. A change is one of its content or of its inode, whichever is later, so that a file that has just come
    here is young, whatever date it brought along.
  - What stays, and is named in RV(rules) and RV(skipped_files), is what a live process has open, what belongs to a
    session that the API lists, what changed since it was planned, what is dated in the future, what is mounted upon, or
    is itself mounted elsewhere, in whatever mount namespace, and what is not a regular file.
  - Right before the first deletion of each rule, and every half a minute after that, the API is asked again which
    sessions there are. A session that has begun since the plan keeps its files, and where no answer comes any more
    everything below O(sessions_dir) stays. Who has what open, and what is mounted, is looked at anew, too.
  - A root that is moved away while the module runs is left alone from then on, wherever it is now.
  - That nobody has a file open is proved by a write lease, which the kernel grants only then. Leases are for the
    owner of a file, so run the module as the service's user. Where there is none to be had, C(/proc) has to do if
    all of it can be read, and the file stays with the reason C(unproven) if not.
  - A directory that module M(media_ops.runbook.log_archive) works on is left alone (C(locked)). Archive first, delete
    afterwards.
notes:
  - The kernel deletes by name. Between the last look at a file and its deletion lie microseconds in which another
    file of the same directory can get that name; nothing outside of the directory can.
extends_documentation_fragment:
  - media_ops.runbook.api
  - media_ops.runbook.clock
  - media_ops.runbook.id_maps
  - media_ops.runbook.log_fields
  - media_ops.runbook.action
  - media_ops.runbook.process
attributes:
  check_mode:
    support: full
    details: The plan is the same, with every test that is made before a deletion.
  diff_mode:
    support: full
    details: Lists the files that go, at most O(max_listed) of them.
options:
  rules:
    description: What goes. A file that is due by several rules goes by the first of them.
    type: list
    elements: dict
    required: true
    suboptions:
      rule:
        description: Name of the rule, which only one has.
        type: str
        required: true
      root:
        description:
          - Absolute directory below which files go. One that is missing is reported, not made.
          - Refused are V(/), homes and what holds one, by whatever path, paths of fewer than two components or with
            C(..) in them, and such as are, or pass through, a symbolic link.
        type: str
        required: true
      patterns:
        description: Shell patterns of file names, such as V(*.tmp). The case of letters counts.
        type: list
        elements: str
        required: true
      min_age:
        description: Seconds since the last change, of which a file must be older. More than 0.
        type: float
        required: true
      age_of:
        description:
          - What the age is counted from. V(change) is the later of both dates, of the content (mtime) and of the inode
            (ctime), of which nobody can set the second.
          - V(mtime) is for what is renamed by its nature, such as rotated logs. Whatever arrives with an old date is
            then deleted at once.
        type: str
        choices: [change, mtime]
        default: change
      min_size:
        description: Bytes that a file must have at least. Of a sparse file only those count that take space.
        type: int
        default: 0
      archived_in:
        description:
          - Directory of archives, of which one must hold a log of C(root) before it goes, by the journal that module
            M(media_ops.runbook.log_archive) keeps there. One that was rotated since, or that the archive left out,
            stays (C(not_archived)).
        type: path
      prune_empty:
        description:
          - Whether directories below the root that are empty, and unchanged for longer than C(min_age), go too.
          - One that an option names stays, by whatever path (C(configured)), such as the root of another rule,
            O(sessions_dir), and what O(work_dirs), O(log_dirs), O(roots), O(kept_dirs) and O(id_maps) name.
        type: bool
        default: false
      steps:
        description: Ids of the runbook's steps that the rule carries out.
        type: list
        elements: str
        default: []
  sessions_dir:
    description:
      - Directory that holds one directory for each session, named by the session's id.
      - With it the API is asked which sessions there are. Files with the id of one in their name, or in that of a
        directory on the way to them, stay, in whatever tree, wherever in the name it stands and whatever the case of
        its letters. An id of fewer than four characters must be a whole part of the name, as in C(x-ID.mp4).
      - This directory, and that of each session, are known by device and inode, so that a bind mount, or a symbolic
        link in the place of a session's directory, shows neither as something else.
      - Where the API does not tell, everything below this directory stays, unless the service is known not to run. So
        it does where the list contradicts itself, or has an id that cannot be told from other names, such as C(a/b),
        and where the answer says of itself that it is not all, by C(error), C(success), C(total), C(next) and the like.
      - Of a service that does not list its sessions (O(api_map)), files go below O(work_dirs) and O(log_dirs) alone
        (C(not_work)). Below the first, one goes only where no line of its id was logged within the C(min_age) of its
        rule (C(active)), by O(operations_log) and its rotated files, which must reach back that far (C(unproven)).
    type: path
  work_dirs:
    description: Directories of work of a service that does not list its sessions. Without one everything stays.
    type: list
    elements: path
    default: []
  log_dirs:
    description: Directories of logs of such a service.
    type: list
    elements: path
    default: []
  operations_log:
    description: Log of such a service, whose lines name the work by its id.
    type: path
  idle_seconds:
    description:
      - A directory directly below O(sessions_dir) stays whole while a file in it was changed within so many seconds,
        whether or not its work is listed (C(active)). V(0) does not look at that.
    type: float
    default: 0
  id_maps:
    description:
      - Maps of other ids of sessions that the service keeps, as of M(media_ops.runbook.session_info). Files named like
        an other id of a session that the API lists stay as well. Where a map that is there cannot be read, everything
        below its directories and O(sessions_dir) stays.
  roots:
    description:
      - Directories of the site. No rule crosses a mount, but where one of these lies below its root on a mount of its
        own, it holds there as well, as a rule of the name C(RULE in DIRECTORY).
    type: list
    elements: path
    default: []
  kept_dirs:
    description:
      - Directories of finished results, of which nothing goes by any rule and by whatever path (C(result)). One that is
        not there holds none.
    type: list
    elements: path
    default: []
  unit:
    description: The service's systemd unit. Without it, or O(process), a service whose API does not answer may be
      running.
    type: str
  target_free_percent:
    description:
      - Go no further than until that much of the file system is free, of its bytes, as C(df) counts them, and of its
        inodes.
      - Without it all that is due goes.
    type: float
  resolve_roots:
    description:
      - Whether roots may be, or pass through, symbolic links. They are then resolved once, and checked again.
    type: bool
    default: false
  as_of:
    description:
      - The RV(as_of) of a plan. Ages are counted to that moment, so that nothing gets due between a plan and its
        approval.
      - Without it, it is now.
    type: float
  plan_hash:
    description:
      - Act only when the plan made anew has this RV(hash). Else the module fails and says what the plan would do now,
        and which files are new or changed since O(as_of).
      - An empty one is an error.
    type: str
  max_listed:
    description: How many files RV(skipped_files) and the diff name at most, 0 to 1000.
    type: int
    default: 100
"""

EXAMPLES = r"""
- name: Free space in an emergency, and say what would go with --check
  become: true
  become_user: media
  media_ops.runbook.disk_cleanup:
    api_token: "{{ media_ops_api_token }}"
    sessions_dir: /srv/media-processing/temp/video_merge
    unit: media-processing-service
    controller_time: "{{ now(utc=true, fmt='%Y-%m-%dT%H:%M:%SZ') }}"
    clock_skew_max: 120
    rules:
      - rule: temporary
        root: /srv/media-processing/temp/video_merge
        patterns: ["*.tmp"]
        min_age: 8640
        steps: [EM-S3]
      - rule: rotated_logs
        root: /srv/media-processing/temp/logs
        patterns: ["*.log.[0-9]*"]
        min_age: 86400
        age_of: mtime
        steps: [EM-D1]
  register: cleanup

- name: Do what was approved, and only that
  become: true
  become_user: media
  media_ops.runbook.disk_cleanup:
    rules: "{{ policy_retention_weekly }}"
    as_of: "{{ planned.as_of }}"
    plan_hash: "{{ planned.hash }}"
"""

RETURN = r"""
plan:
  description:
    - One action for each rule by which something goes, with C(action), C(target), C(why), C(steps), C(stable),
      C(proof), C(result) and C(msg).
    - C(stable) holds the rule, its root, the number of files and directories, the bytes that their end frees, and a
      digest over path, inode, size and both times of change of each. C(proof) holds a few paths, the oldest first, and
      the dates of the C(oldest) and the C(newest), so that the plan stays short for a million files.
  type: list
  elements: dict
  returned: success
hash:
  description: 12 hex digits over what the plan would do.
  type: str
  returned: success
as_of:
  description: The moment that ages were counted to, in seconds since 1970.
  type: float
  returned: success
rules:
  description: What came of each rule.
  type: list
  elements: dict
  returned: success
  contains:
    rule:
      description: Its name.
      type: str
    root:
      description: Its root, resolved where that was asked for.
      type: str
    steps:
      description: Ids of the runbook's steps.
      type: list
      elements: str
    state:
      description: V(ok), or why there was nothing to look at, V(missing), V(denied), V(not_a_directory).
      type: str
    reason:
      description: The same in one line for people.
      type: str
    matched:
      description: Files with a fitting name, of whatever age.
      type: int
    planned:
      description:
        - C(files), C(bytes) that their end frees, C(directories), and C(hard_linked) files, whose end frees nothing.
      type: dict
    removed:
      description: C(files) and C(directories) that are gone.
      type: dict
    freed_bytes:
      description: Bytes given back by files that had no other hard link and that nobody had open.
      type: int
    skipped:
      description:
        - How many stay, by reason. C(session), C(active), C(configured) (an empty directory that an option names),
          C(not_work), C(result), C(open), C(unproven) (somebody may have it open, or work on it), C(changed), C(gone),
          C(moved) (the root was), C(mount) (also a mount point of another namespace, and what is mounted
          elsewhere), C(dated_in_the_future),
          C(not_archived), C(no_date) (before 1677 or after 2262), C(denied), C(immutable), C(append_only),
          C(read_only), C(locked), C(symbolic_link), C(no_regular_file), C(target_reached), C(time_over) (the module's
          15 minutes), C(unreadable) (what archives hold); of directories not looked into C(mount), C(denied),
          C(too_deep), C(unreadable).
      type: dict
  sample:
    - rule: temporary
      root: /srv/media-processing/temp/video_merge
      steps: [EM-S3]
      state: ok
      reason: ""
      matched: 9
      planned: {files: 6, bytes: 73400320, directories: 0, hard_linked: 0}
      removed: {files: 6, directories: 0}
      freed_bytes: 73400320
      skipped: {open: 1, session: 2}
skipped_files:
  description:
    - Some of what stays, each with C(rule), C(reason), C(path) and C(msg), which is the reason for people, such as
      V(open by pid 7 (rsync\)) or V(has grown by 3000 bytes since it was planned).
  type: list
  elements: dict
  returned: success
free:
  description:
    - For each file system C(roots), C(before_percent), C(after_percent), C(before_bytes), C(after_bytes), and
      C(inodes) with C(before_percent) and C(after_percent), as measured. Others may write meanwhile.
  type: list
  elements: dict
  returned: success
held_open:
  description:
    - Deleted files that live processes keep open, whose space is not free until they end. C(files), C(bytes), the
      worst C(processes) with C(pid), C(name), C(files) and C(bytes), and C(unseen_processes) that this user must not
      look at.
  type: dict
  returned: success
mount_namespaces:
  description:
    - In how many mount namespaces mount points were looked for, C(seen), and how many processes have one that this user
      must not look into, C(unseen_processes).
  type: dict
  returned: success
  sample: {seen: 4, unseen_processes: 0}
protected_sessions:
  description: Ids of the sessions whose files stay, at most 50.
  type: list
  elements: str
  returned: success
protected_all:
  description: Whether everything below O(sessions_dir) stays, as the sessions are not known.
  type: bool
  returned: success
api:
  description:
    - C(state) and C(reason). The state is that of M(media_ops.runbook.pipeline_info), or V(not_asked) without
      O(sessions_dir), or V(service_down) where the API gave no list and the service is known not to run.
  type: dict
  returned: success
"""

from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.api.settings import api_argument_spec
from ..module_utils.archives.journal import archived_logs
from ..module_utils.clock import clock_argument_spec
from ..module_utils.deadline import deadline_of
from ..module_utils.disk.disk_cleanup import Mode, disk_cleanup
from ..module_utils.disk.retention import rule_spec
from ..module_utils.errors import run_module
from ..module_utils.logs.fields import OPTION as LOG_FIELDS
from ..module_utils.sessions.joined import id_maps_spec
from ..module_utils.sessions.protected import protected_sessions
from ..module_utils.sessions.unlisted import unlisted_of
from ..module_utils.system.operated import service_spec


def _argument_spec() -> dict[str, Any]:
    return {
        **api_argument_spec(),
        **clock_argument_spec(),
        "rules": {"type": "list", "elements": "dict", "required": True, "options": rule_spec()},
        "sessions_dir": {"type": "path"},
        "work_dirs": {"type": "list", "elements": "path", "default": []},
        "log_dirs": {"type": "list", "elements": "path", "default": []},
        "operations_log": {"type": "path"},
        LOG_FIELDS: {"type": "dict", "default": {}},
        "idle_seconds": {"type": "float", "default": 0},
        "id_maps": id_maps_spec(),
        "roots": {"type": "list", "elements": "path", "default": []},
        "kept_dirs": {"type": "list", "elements": "path", "default": []},
        **service_spec(),
        "target_free_percent": {"type": "float"},
        "resolve_roots": {"type": "bool", "default": False},
        "as_of": {"type": "float"},
        "plan_hash": {"type": "str"},
        "max_listed": {"type": "int", "default": 100},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=_argument_spec(),
        required_together=[("controller_time", "clock_skew_max")],
        supports_check_mode=True,
    )
    mode = Mode(check=module.check_mode, diff=module._diff)

    def work() -> dict[str, Any]:
        params = module.params
        unlisted = unlisted_of(params, deadline_of("disk_cleanup", params)) if params["work_dirs"] else None
        ask = partial(protected_sessions, params, unlisted, warn=module.warn, hide=module.no_log_values.add)
        return disk_cleanup(params, mode, ask, archived_logs)

    run_module(module, work)


if __name__ == "__main__":
    main()
