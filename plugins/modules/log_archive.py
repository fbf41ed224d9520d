#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# runbook: WL-1, WL-2, WL-3, WL-4, WL-5

from __future__ import annotations

DOCUMENTATION = r"""
module: log_archive
short_description: Put rotated logs into verified archives
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Packs rotated logs, of any number, into C(archived_logs_DATE.tar.zst) or C(archived_logs_DATE.tar.gz), and
    deletes them. A second archive of a day gets C(-2) behind the date. Without rotated logs no archive is made.
  - No line is lost, and none is there twice. The archive is written in O(archive_dir) under a temporary name,
    brought to the disk, read back and compared member by member; a register notes its SHA-256, a journal which files
    it holds; it gets its name; only then do the files go. A run that was killed is finished by the next, and what was
    packed and compared is not packed again.
  - A log that cannot be deleted, as in a directory of root, stays in the journal and is told by each run, and no other
    archive is made of it.
  - A log that somebody has open to write, which a lease of the kernel tells, stays and is reported. One that is
    rotated meanwhile is deleted by the name that it has then.
  - Of a log that stands there plain and compressed, with the same lines, one is archived, and both go. Where they
    differ, or one is just being made, both stay. What somebody compresses while it is archived is known by its
    content afterwards and goes without being archived again. What C(copytruncate) has copied stays until the log is
    emptied.
  - While it works both directories are locked by a file C(.media_ops.lock), which only their owner and root may open,
    and module M(media_ops.runbook.disk_cleanup) leaves O(log_dir) alone.
    Where both run on one day, archive first, since what disk_cleanup deletes is in no archive.
  - Archives older than O(keep_days) go, before the new one is made, where the day in their name and the younger of
    their dates agree, nobody has them open, no log that could not be deleted stands in them, and, with O(copied_to), a
    copy of them is proved.
  - Archives hold whatever the lines of the service hold, parts of tokens and keys among it. They have mode 0600, and
    so should have what is copied or unpacked from them.
  - Holes of a log, which a writer leaves that goes on where it was after the log was emptied, are not archived.
  - Also tells the sizes of the logs, and whether their rotation works.
  - Run it as the service's user, who must own the logs and may write to O(archive_dir).
  - Module M(media_ops.runbook.archive_copy) copies archives to an S3 store.
extends_documentation_fragment:
  - media_ops.runbook.clock
  - media_ops.runbook.action
  - media_ops.runbook.process
attributes:
  check_mode:
    support: full
    details: The plan is the same.
options:
  log_dir:
    description: Directory of the logs, absolute, and not through a symbolic link.
    type: path
    required: true
  archive_dir:
    description: Directory of the archives, absolute, and not through a symbolic link. It must exist.
    type: path
    required: true
  patterns:
    description:
      - Shell patterns of the names of rotated logs. One that fits a name that ends with C(.log), which no rotation has
        changed, is refused.
      - A name that ends with C(.log) is taken for a rotated one only with a date before that, or with a number behind
        a dot. With a number it stays where there is no log without it, since it may be a worker's; with a date, the
        newest does then, since it may be written to.
    type: list
    elements: str
    default:
      ["*.log.[0-9]*", "*.log-[0-9]*", "*.log_[0-9]*", "*.log.old",
       "*.log.old.*", "*.log.bak", "*.log.bak.*", "*[-_.][0-9]*.log",
       "*[-_.][0-9]*.log.gz", "*[-_.][0-9]*.log.zst", "*[-_.][0-9]*.log.xz", "*[-_.][0-9]*.log.bz2"]
  date:
    description: Day in the name of the archive, as YYYYMMDD or YYYY-MM-DD. By default today, in UTC.
    type: str
  keep_days:
    description: For how many days archives are kept.
    type: int
    default: 28
  copied_to:
    description:
      - Where module M(media_ops.runbook.archive_copy) copies the archives to, as it says in
        RV(media_ops.runbook.archive_copy#module:destination).
      - With it an archive goes only once a copy of it was proved there, and is held until then (RV(expired)).
    type: str
  held_max_percent:
    description:
      - From how many per cent of the file system of O(archive_dir) on held archives are C(beyond) what can wait, more
        than 0 to 100.
    type: float
  compression:
    description: V(auto) is V(zstd) where the host has the command C(zstd), else V(gzip).
    type: str
    choices: [auto, gzip, zstd]
    default: auto
  expected_ratio:
    description:
      - What part of their size logs are expected to take in the first archive, more than 0 to 1, for the check of free
        space. With V(1) nothing is begun that could not be ended.
      - From the second archive on it is one and a half times what the worst of the last 8 took.
      - Logs of text take a tenth. Where space runs out all the same, the archive is given up and all logs stay.
    type: float
    default: 1
  limits:
    description: What the rotation of a log is set to, to see whether it works.
    type: list
    elements: dict
    default: []
    suboptions:
      log:
        description: Name of the log, such as V(application.log).
        type: str
        required: true
      max_bytes:
        description: Size beyond which it should have been rotated.
        type: int
        required: true
      keep:
        description: How many rotated files there may be.
        type: int
  redact:
    description:
      - Take out of the lines what is a secret by its form or name, the secrets of the service's environment, and
        O(redact_patterns). What was packed goes into the archive unpacked. The lines are otherwise the same, and as
        many.
      - Secrets of no known form, such as the first characters of a token, go only by O(redact_patterns). It takes
        longer, and room for the largest log as it is.
    type: bool
    default: false
  redact_patterns:
    description: Further regular expressions, with O(redact); each whole match goes.
    type: list
    elements: str
    default: []
  unit:
    description: The systemd unit of the service, whose environment tells its secrets, with O(redact).
    type: str
  plan_hash:
    description:
      - Act only when the plan made anew has this RV(hash). Else the module fails and says what the plan would do now.
      - An empty one is an error.
    type: str
seealso:
  - module: media_ops.runbook.archive_copy
  - module: media_ops.runbook.disk_cleanup
"""

EXAMPLES = r"""
- name: Archive the rotated logs
  become: true
  become_user: media
  media_ops.runbook.log_archive:
    log_dir: /srv/media-processing/temp/logs
    archive_dir: /backup/logs
    controller_time: "{{ now(utc=true, fmt='%Y-%m-%dT%H:%M:%SZ') }}"
    clock_skew_max: 120
    limits:
      - {log: application.log, max_bytes: 52428800, keep: 5}
      - {log: media_processing.log, max_bytes: 104857600, keep: 10}
  register: logs

- name: Say what is wrong with the rotation
  ansible.builtin.debug:
    msg: "{{ logs.rotation.problems | map(attribute='msg') }}"
"""

RETURN = r"""
plan:
  description:
    - At most one action each to finish what a killed run left, to delete what was compressed while it was archived,
      to delete old archives, and to archive, in this order, with C(action), C(target), C(why), C(steps), C(stable),
      C(proof), C(result) and C(msg).
    - C(stable) holds C(kind) (V(finish), V(known), V(expire), V(archive)) and the files, logs by inode, size and time
      of change, as their names change by rotation.
  type: list
  elements: dict
  returned: success
hash:
  description: 12 hex digits over what the plan would do.
  type: str
  returned: success
archive:
  description:
    - The archive that was made, with C(path), C(bytes), C(members), C(source_bytes) and C(compression). Null where
      none was.
  type: dict
  returned: success
  sample:
    path: /backup/logs/archived_logs_20261130.tar.zst
    bytes: 20480000
    members: 11
    source_bytes: 241172480
    compression: zstd
removed:
  description: C(files) and C(bytes) of rotated logs that are gone, since an archive holds them.
  type: dict
  returned: success
skipped_files:
  description:
    - Rotated logs that stay, each with C(file), C(reason), and C(msg), the reason for people. V(open), somebody may
      write to it; V(unproven), nobody can say; V(twin), its lines may stand in another file, too; V(damaged), with
      O(redact); V(live_log), others were rotated from it, or it may be one that is written to; V(undeletable), an
      archive holds it, and it cannot be deleted; V(changed) or V(gone) meanwhile; V(no_regular_file); V(denied).
  type: list
  elements: dict
  returned: success
left:
  description: What an earlier run left that was cut off, in lines. It is taken up, or removed.
  type: list
  elements: str
  returned: success
expired:
  description:
    - Archives that were C(removed), those that are C(disagreeing), old only by their name or only by their time, which
      stay, and those that were C(kept), each with C(archive), C(reason) and C(msg), as somebody has them open.
    - C(held) says what is past its age without a proved copy, with the number of C(archives), their C(bytes),
      C(percent) of the file system, whether that is C(beyond) O(held_max_percent), C(copied_to), and the C(oldest) of
      them by name.
  type: dict
  returned: success
space:
  description:
    - C(needed_bytes) that an archive may take at most by the C(ratio) of earlier ones, or O(expected_ratio), and
      C(free_bytes) that it may use.
  type: dict
  returned: success
rotation:
  description: How the logs were found, before anything was done.
  type: dict
  returned: success
  contains:
    logs:
      description:
        - Each log with its C(bytes) (null where only rotated ones are left), C(rotated) and C(rotated_bytes).
      type: list
      elements: dict
    bytes:
      description: Bytes of all of them.
      type: int
    problems:
      description:
        - What is wrong with the rotation, each with C(log), C(problem) and C(msg).
        - V(beyond_limit), V(too_many) and V(missing) by O(limits); V(gap), numbers are missing between rotated files;
          V(writer), somebody has a rotated file open to write; V(not_archived), a rotated file that no pattern fits.
        - Sizes are without holes, as a log has that was emptied under its writer's hands.
      type: list
      elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.archives.log_archive import log_archive
from ..module_utils.archives.redacted import redactor_of
from ..module_utils.clock import clock_argument_spec
from ..module_utils.errors import run_module
from ..module_utils.rotated import PATTERNS
from ..module_utils.system.environment import secrets_of
from ..module_utils.system.operated import operated, service_spec

_LIMIT = {
    "log": {"type": "str", "required": True},
    "max_bytes": {"type": "int", "required": True},
    "keep": {"type": "int"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **clock_argument_spec(),
            "log_dir": {"type": "path", "required": True},
            "archive_dir": {"type": "path", "required": True},
            "patterns": {"type": "list", "elements": "str", "default": list(PATTERNS)},
            "date": {"type": "str"},
            "keep_days": {"type": "int", "default": 28},
            "copied_to": {"type": "str"},
            "held_max_percent": {"type": "float"},
            "compression": {"type": "str", "choices": ["auto", "gzip", "zstd"], "default": "auto"},
            "expected_ratio": {"type": "float", "default": 1},
            "limits": {"type": "list", "elements": "dict", "default": [], "options": _LIMIT},
            "redact": {"type": "bool", "default": False},
            "redact_patterns": {"type": "list", "elements": "str", "default": []},
            **service_spec(),
            "plan_hash": {"type": "str"},
        },
        required_together=[("controller_time", "clock_skew_max")],
        supports_check_mode=True,
    )

    def archive() -> dict[str, Any]:
        redactor = redactor_of(module.params, lambda: secrets_of(operated(module.params)))
        return log_archive(module.params, check_mode=module.check_mode, redactor=redactor)

    run_module(module, archive)


if __name__ == "__main__":
    main()
