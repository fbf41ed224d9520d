#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# runbook: P2S-2A, P2S-2B, P2S-2C, P2S-2D, EM-S2
DOCUMENTATION = r"""
module: session_terminate
short_description: End stuck sessions, with proof
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Ends sessions that M(media_ops.runbook.session_info) says may be ended, and no others. It makes the same observation
    itself, plans, and acts only on what is proved.
  - The order is the API's own cleanup where there is one, then the whole proof anew, then the processes, then the proof
    of their death, then the files of that session's directory, and then the API is watched until it lists the session
    no more. All sessions are ended side by side.
  - Whoever else has a file of the session open, whatever he is called, keeps it alive. He is never signalled, and it is
    not ended.
  - A process is held by a pidfd, looked at again, and only then signalled, so that a process that got a reused pid is
    left alone. SIGTERM, then SIGKILL after O(grace). Where there are no pidfds, the result says V(weaker proof).
  - A session that goes on again in the last moment is left alone.
  - Files are removed by open directories, links not followed and other mounts not entered, each only while a lease of
    the kernel, or all of C(/proc), says that nobody has it open. What is new or was changed since the plan stays.
  - The service itself, its main process, init, and Ansible's own processes are never signalled.
extends_documentation_fragment:
  - media_ops.runbook.api
  - media_ops.runbook.sessions
  - media_ops.runbook.log_fields
  - media_ops.runbook.id_maps
  - media_ops.runbook.action
  - media_ops.runbook.process
attributes:
  check_mode:
    support: full
    details: The same plan, and nothing is done.
options:
  session_ids:
    description:
      - The sessions to end. Without, every one that may be ended.
      - One that is named and may not be ended is in RV(refused).
      - One of which only files are left, and that the API is known not to list, is cleaned up when named.
    type: list
    elements: str
    default: []
  orphans:
    description: Whether orphans are ended as well. They need no age, since what they make is for nobody.
    type: bool
    default: false
  cleanup_path:
    description:
      - Path below O(api_url) to which a POST ends a session gracefully, with C({session_id}) in it. Without, the
        service offers none.
    type: str
  grace:
    description: Seconds that SIGTERM has to work, and the API's own cleanup before it, 0 to 600.
    type: float
    default: 10
  remove_files:
    description: Whether the directories of the sessions are removed.
    type: bool
    default: true
  wait:
    description: Seconds to wait until the API lists the sessions no more, 0 to 3600.
    type: float
    default: 60
  plan_hash:
    description: RV(hash) of a plan that was approved. The module acts only when the plan is still the same.
    type: str
seealso:
  - module: media_ops.runbook.session_info
"""

EXAMPLES = r"""
- name: See what would be ended
  media_ops.runbook.session_terminate: &terminate
    unit: media-processing-service
    work_dir: /srv/media-processing/temp/video_merge
    log_path: /srv/media-processing/temp/logs/media_processing.log
    look_minutes: 10
    investigate_minutes: 30
    end_minutes: 60
  become: true
  become_user: media
  check_mode: true
  register: planned

- name: End just that
  media_ops.runbook.session_terminate:
    <<: *terminate
    plan_hash: "{{ planned.hash }}"
  become: true
  become_user: media
"""

RETURN = r"""
plan:
  description:
    - The actions, with C(action) (V(cleanup), V(terminate), V(delete)), C(target), C(why), C(steps), C(stable),
      C(proof), C(result) (V(planned), V(done), V(skipped), V(failed)) and C(msg).
  type: list
  elements: dict
  returned: success
hash:
  description: 12 hex digits over the plan.
  type: str
  returned: success
refused:
  description: Sessions that were named and are not ended, with C(session_id) and C(why).
  type: list
  elements: dict
  returned: success
outcomes:
  description:
    - What came of each session that was acted upon, with C(session_id), C(ended) (pids), C(alive) (pids),
      C(files_removed), C(bytes_freed), and C(gone), whether the API lists it no more, null when it did not answer.
  type: list
  elements: dict
  returned: success
api_cleanup:
  description: What came of the API's own cleanup, V(not offered) where O(cleanup_path) is not set.
  type: str
  returned: success
complete:
  description: Whether nothing is left to do, processes dead, files removed, and sessions not listed.
  type: bool
  returned: success
escalate:
  description: What needs a person or a restart of the service, in lines, 20 at most.
  type: list
  elements: str
  returned: success
restart_needed:
  description: Ids of the sessions that stay listed until the service is restarted.
  type: list
  elements: str
  returned: success
api:
  description: As RV(media_ops.runbook.session_info#module:api), before anything was done.
  type: dict
  returned: success
service:
  description: As RV(media_ops.runbook.session_info#module:service), before anything was done.
  type: dict
  returned: success
sessions:
  description: As RV(media_ops.runbook.session_info#module:sessions), before anything was done.
  type: list
  elements: dict
  returned: success
orphans:
  description: As RV(media_ops.runbook.session_info#module:orphans), before anything was done.
  type: list
  elements: dict
  returned: success
left_out:
  description: As RV(media_ops.runbook.session_info#module:left_out), before anything was done.
  type: dict
  returned: success
counts:
  description: As RV(media_ops.runbook.session_info#module:counts), before anything was done.
  type: dict
  returned: success
may_end:
  description: As RV(media_ops.runbook.session_info#module:may_end), before anything was done.
  type: list
  elements: str
  returned: success
unproved:
  description: As RV(media_ops.runbook.session_info#module:unproved), before anything was done.
  type: list
  elements: dict
  returned: success
unproved_count:
  description: As RV(media_ops.runbook.session_info#module:unproved_count), before anything was done.
  type: int
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.sessions.session_terminate import session_terminate, terminate_argument_spec


def main() -> None:
    module = AnsibleModule(argument_spec=terminate_argument_spec(), supports_check_mode=True)
    run_module(
        module,
        lambda: session_terminate(
            module.params, check_mode=module.check_mode, warn=module.warn, hide=module.no_log_values.add
        ),
    )


if __name__ == "__main__":
    main()
