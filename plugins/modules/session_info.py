#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# runbook: P0-3B, P2P-2B, P2S-1A, P2S-1B, P2S-1C, EM-S1
DOCUMENTATION = r"""
module: session_info
short_description: Sessions with their processes, files and progress
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Joins the API's list of active sessions with the processes and files on the host, looks several times, and says of
    each session whether it goes on, how it hangs, and whether it may be ended.
  - A process is a session's only when that is proved. It is in the service's control group (or an orphan of the service
    that has the session's directory open), runs as the service's user, its arguments, current directory or an open file
    lie in that session's own directory and in no other, and it started after the session. The proof is in the result.
  - Stuck is what has shown no progress over all looks, neither by bytes that it read, wrote or moved over TCP, nor by
    output, log lines, places in files or time on a processor. One that has run and has a way that nothing counts, such
    as datagrams, local sockets, io_uring, shared memory, or threads and children that have ended, is unknown.
  - Messages by queues of System V (of this host's namespace) and of POSIX count. One that reads by a map is unknown.
  - Not seen is what goes by the memory of another process, by signals and semaphores, by C(splice), C(vmsplice) or
    C(send) on standard output, and what only changes names or sizes of files elsewhere.
  - A probe. An API that is down and a service that is dead are values; the module fails only for misuse.
  - Run it as the service's user (C(become_user)). As another user it cannot look into the processes, and says so.
extends_documentation_fragment:
  - media_ops.runbook.api
  - media_ops.runbook.sessions
  - media_ops.runbook.log_fields
  - media_ops.runbook.id_maps
  - media_ops.runbook.action
  - media_ops.runbook.process
options:
  session_ids:
    description: Only these sessions. Without, all.
    type: list
    elements: str
    default: []
seealso:
  - module: media_ops.runbook.session_terminate
"""

EXAMPLES = r"""
- name: Look at the sessions
  media_ops.runbook.session_info:
    unit: media-processing-service
    work_dir: /srv/media-processing/temp/video_merge
    log_path: /srv/media-processing/temp/logs/media_processing.log
    look_minutes: 10
    investigate_minutes: 30
    end_minutes: 60
  become: true
  become_user: media
  register: sessions

- name: Show what hangs
  ansible.builtin.debug:
    msg: "{{ item.session_id }}: {{ item.why }}"
  loop: "{{ sessions.sessions | rejectattr('state', 'eq', 'progressing') }}"
"""

RETURN = r"""
api:
  description: Whether the API gave its list. C(state) as of M(media_ops.runbook.pipeline_info), and C(reason).
  type: dict
  returned: success
  sample: {state: ok, reason: ""}
service:
  description:
    - The service. C(state) is V(running), V(down) or V(unknown), C(reason) says why, C(main_pid) and C(user).
  type: dict
  returned: success
  sample: {state: running, reason: "", main_pid: 812, user: media}
sessions:
  description:
    - The sessions, 200 at most. Those that may be ended or need a restart come first, then the most urgent ones.
  type: list
  elements: dict
  returned: success
  contains:
    session_id:
      description: The session.
      type: str
    stage:
      description: Its stages as the API lists them, joined by a comma. Empty where it is not listed.
      type: str
    minutes:
      description: Its age, by the API where listed, else by its oldest process. Null when neither is known.
      type: float
    started_at:
      description: When that began, in UTC.
      type: str
    listed:
      description: Whether the API lists it. Null when the API did not answer.
      type: bool
    state:
      description:
        - V(progressing), it goes on, whatever its age. Each of bytes read or written, or taken and given over TCP,
          output, log lines, and time on a processor from O(cpu_percent) on counts.
        - V(stuck), V(stopped), V(blocked_on_pipe), it has processes and no progress.
        - V(uninterruptible), it waits in the kernel, where no signal helps.
        - V(zombie), its process has ended and the service takes no note. V(no_process), it has none.
        - V(unknown), what it does could not be seen, or somebody works on it who is not proved to be its own.
      type: str
    attention:
      description: V(none), V(look), V(investigate) or V(end), by age; one that goes on is V(look) at most.
      type: str
    may_end:
      description: Whether everything that must be proved before it is ended is proved.
      type: bool
    why:
      description: The finding in one line, and what speaks against ending it.
      type: str
    quiet_s:
      description: Seconds since the last sign of life on record. Null when there is none.
      type: float
    process_count:
      description: How many processes it has.
      type: int
    processes:
      description:
        - Its processes, oldest first, 50 at most, each with C(pid), C(ppid), C(pgid), C(start) (ticks since boot),
          C(started_at), C(state), C(command), C(argv) (shortened, secrets hidden), C(proof) (lines), C(wchan),
          C(cpu_s), C(read_bytes), C(write_bytes).
      type: list
      elements: dict
    files:
      description:
        - Its directory. C(state) is V(ok), V(missing), V(link), V(mount) or V(denied); C(count), C(bytes), C(newest).
      type: dict
    progress:
      description:
        - What went on in C(seconds). C(cpu_s), C(read_bytes) and C(write_bytes) (by calls, pipes and cache as well, but
          not what an ffmpeg tells of its own progress), C(socket_bytes) (over TCP), C(output_bytes), C(log_lines), and
          C(other) in words.
      type: dict
    log_tail:
      description: Its last log entries, for one that is named or needs attention.
      type: list
      elements: dict
orphans:
  description:
    - As RV(sessions), of processes whose service has ended, in a directory of a session that is not listed; and of such
      whose directory was taken away, so that what they write has no name any more, listed or not.
  type: list
  elements: dict
  returned: success
left_out:
  description: How many C(sessions) and C(orphans) have no row, as there are too many. All other keys are of all.
  type: dict
  returned: success
  sample: {sessions: 0, orphans: 0}
counts:
  description: Number of sessions and orphans by state.
  type: dict
  returned: success
may_end:
  description: Ids of all sessions and orphans that may be ended.
  type: list
  elements: str
  returned: success
restart_needed:
  description: Ids of all sessions that stay listed until the service is restarted.
  type: list
  elements: str
  returned: success
unproved:
  description:
    - Processes that look like a session's and are not proved to be, 50 at most, with C(pid), C(user), C(command),
      C(argv) and C(why).
  type: list
  elements: dict
  returned: success
unproved_count:
  description: How many there are.
  type: int
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.sessions.session_info import session_info
from ..module_utils.sessions.settings import session_argument_spec


def main() -> None:
    module = AnsibleModule(argument_spec=session_argument_spec(), supports_check_mode=True)
    run_module(module, lambda: session_info(module.params, warn=module.warn, hide=module.no_log_values.add))


if __name__ == "__main__":
    main()
