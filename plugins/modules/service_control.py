#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_control
short_description: State of the media service, and its verified restart
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Says what state a service is really in, and restarts it. That systemd calls it active right after a start
    proves nothing, so it is looked at several times, and it runs only when one and the same main process was there
    each time.
  - Runs as the user of role C(prepare), not as root. What needs root are C(systemctl restart), C(start),
    C(kill) and C(reset-failed) of this one unit, by the sudo rule of that role.
  - A service that is broken is a value, RV(service). A restart that did not help is one as well, RV(verified) is then
    V(false). The module fails for misuse, for an approved plan that has drifted (O(plan_hash)), and where sudo does
    not allow what is needed.
  - A masked unit and one that is not there are left alone.
  - A service that no unit runs is known by its main process (O(process)), and restarted by a command of the site
    (O(restart_command)). The command proves nothing by itself - the old main process must be gone, and another one be
    there that began after the command did.
  - A service that runs is asked for its health where its own processes listen, on the host itself and without a token
    (RV(service)), since an address of the API that does not answer may be a proxy's fault.
  - The merges that a restart would lose are counted and named in RV(work) and in the plan. They may be given time to
    end (O(drain)), and above O(merges_max) of them a person must have approved the plan (O(plan_hash)).
extends_documentation_fragment:
  - media_ops.runbook.api
  - media_ops.runbook.action
  - media_ops.runbook.process
attributes:
  check_mode:
    support: full
    details: The service is observed, and RV(plan) says what would be done. What sudo would refuse is in RV(refusals).
options:
  unit:
    description: The systemd service, written as in the sudo rule. Needed unless O(process) is given.
    type: str
  restart_command:
    description:
      - What restarts a service without a unit, such as V([/usr/bin/supervisorctl, restart, media]) or
        V([/usr/bin/docker, restart, media]). The first is the absolute path of a program. No argument has a blank, or
        a character that a shell would read. Nothing is added to it.
      - It also starts a service that does not run, and waits no longer than O(timeout). The new main process is waited
        for as long again.
    type: list
    elements: str
    default: []
  restart_as_root:
    description:
      - Run it as root, by the program of role C(prepare), which goes by root's own copy of the command and takes no
        argument. By default it is run by the user that connects.
    type: bool
    default: false
  state:
    description:
      - V(observed) only looks.
      - V(started) starts it unless it runs or is being started.
      - V(restarted) restarts it gracefully. Where C(SIGTERM) does not end it, systemd kills it after the
        C(TimeoutStopSec) of its unit.
      - V(force_restarted) sends C(SIGTERM) to all of its processes, C(SIGKILL) where one is left after O(kill_after),
        and starts it. It takes along what a former run has left behind in its control group. It is refused for a
        service without a unit, of which only its supervisor knows which processes are its own.
      - The limit of starts (C(StartLimitBurst)) is reset before a start, where the service was failing.
    type: str
    choices: [observed, started, restarted, force_restarted]
    default: observed
  samples:
    description: How often it is looked at, before and after.
    type: int
    default: 3
  interval:
    description: Seconds between two looks.
    type: float
    default: 2
  timeout:
    description: Seconds that the start or restart may take. It should be above C(TimeoutStopSec) and
      C(TimeoutStartSec) of the unit together.
    type: float
    default: 180
  kill_after:
    description: Seconds until V(force_restarted) sends C(SIGKILL).
    type: float
    default: 10
  only_needed:
    description: Do not restart a service that runs, and answers on its own ports or is seen to work on merges. It is
      looked at again after a wait for merges (O(drain)).
    type: bool
    default: false
  health:
    description: Ask the service for its health where its own processes listen, once it runs.
    type: bool
    default: true
  health_timeout:
    description: Seconds that one answer to that may take.
    type: float
    default: 10
  health_tries:
    description: How often it is asked at most.
    type: int
    default: 2
  programs:
    description: Names of the programs that work on merges. One whose name begins with one of these is one, too.
    type: list
    elements: str
    default: [ffmpeg, ffprobe]
  work_dir:
    description: Directory of all sessions. A process of the service whose arguments lead into a directory below it
      works on a merge, whatever its program.
    type: path
  unlisted:
    description:
      - Patterns of names of directories in O(work_dir) whose work the API does not list.
      - Where the API does not list anything, all of them count.
    type: list
    elements: str
    default: [temp_merge_*]
  changed_within:
    description: Seconds. Such a directory is in work where something in it changed within that time.
    type: float
    default: 300
  busy_percent:
    description: Per cent of one processor above which a worker is seen to work.
    type: float
    default: 1
  lost_sessions:
    description: Sessions that are listed still, and that nothing works on any more. They are no merges in work.
    type: list
    elements: str
    default: []
  drain:
    description: Seconds to wait, before V(restarted), for the merges in work to end. New ones are not kept from
      beginning.
    type: float
    default: 0
  merges_max:
    description: A restart that loses more merges than this is refused without O(plan_hash). Any number may be lost
      where it is not set.
    type: int
  reason:
    description: Why, in one line for people. By default, what is wrong with the service.
    type: str
  steps:
    description: Steps of the runbook that this carries out. By default V(EM-R1), with V(force_restarted) V(EM-R2).
    type: list
    elements: str
    default: []
  plan_hash:
    description: Act only if the plan has this RV(hash).
    type: str
seealso:
  - module: media_ops.runbook.guard
  - module: media_ops.runbook.service_config
"""

EXAMPLES = r"""
- name: Is the service really running?
  media_ops.runbook.service_control:
    unit: media-processing-service
  register: stands

- name: Restart it as the last resort
  media_ops.runbook.service_control:
    unit: media-processing-service
    state: restarted
    steps: [P0-3C]
    reason: it listens and does not answer
  register: restarted
  failed_when: restarted is failed or not restarted.verified
"""

RETURN = r"""
service:
  description: How the service stands at the end.
  type: dict
  returned: success
  contains:
    class:
      description:
        - V(running), V(activating), V(stopping), V(dead) (not running, and systemd sees no failure), V(failed),
          V(start_limit) (systemd has given up), V(restart_loop), V(cannot_start) (it failed, and what it lacks, or what
          is in its way, is still so - a missing environment file, a port that is taken), V(masked), V(not_found), or
          V(unknown) (systemd does not answer or does not understand the unit).
        - Of a service without a unit V(running), V(activating), V(restart_loop), V(dead) (its main process has ended,
          and no other is there), or V(unknown) (which it is cannot be told for certain).
      type: str
    reason:
      description:
        - Why, in one line, with how the last run ended, such as C(203/EXEC). What systemd's result hides is looked for
          in the unit's journal, where this user may read it.
      type: str
    main_pid:
      description: Its main process, 0 when there is none.
      type: int
    main_start:
      description: When that started, microseconds of the monotonic clock, or of the one since boot where there is no
        unit.
      type: int
    boot_id:
      description: What names this boot of the host.
      type: str
    answering:
      description:
        - Whether it answers on its own ports. C(state) is V(answers) (with whatever status of HTTP), V(silent) (it
          listens, and nobody answers), V(listens_nowhere), or V(unknown), with C(reason), C(address) and
          C(http_status).
        - Whose a port is is known to the service's own user. To others the user of the port has to do, and then only an
          answer that looks like its health counts.
      type: dict
    usage:
      description:
        - Per cent of the host's processors (over the looks) and memory that the service has by itself
          (C(own_cpu_percent), C(own_memory_percent)), and that its workers have (C(work_cpu_percent),
          C(work_memory_percent)). Null where it was looked at once.
      type: dict
    at_work:
      description: Pids of its workers that were seen to work, the first 50.
      type: list
      elements: int
    since:
      description: Since when the main process runs, else since when the state is this. UTC.
      type: str
    n_restarts:
      description: How often systemd has restarted it since its last start by hand. Null where there is no unit.
      type: int
    load_state:
      description: As systemd says.
      type: str
    active_state:
      description: As systemd says.
      type: str
    sub_state:
      description: As systemd says.
      type: str
    result:
      description: As systemd says.
      type: str
    kill_mode:
      description: As systemd says. With V(process) its children outlive it.
      type: str
    stop_timeout:
      description: Seconds that a stop may take, null for no limit.
      type: float
    left_behind:
      description: Processes in its control group that do not descend from the main process, the first 50, with
        C(pid), C(name) and C(since). Where there is no unit, those of the former main process that outlived a restart.
      type: list
      elements: dict
    left_behind_count:
      description: How many there are.
      type: int
before:
  description: How it stood before, as RV(service).
  type: dict
  returned: success
work:
  description:
    - The merges that a restart loses, or has lost. C(count), C(merges) (the first 50, each C(merge) and C(why)),
      C(unseen) (what could not be looked at, so that there may be more), and C(said), a line for people.
    - Counted where a restart is planned.
  type: dict
  returned: success
verified:
  description:
    - Whether at the end the service was seen running, with one main process in all samples. After a restart also
      whether the command succeeded and the main process is another one.
  type: bool
  returned: success
msg:
  description: What came of it, one line. Empty with O(state=observed), where RV(service) says how it stands.
  type: str
  returned: success
seconds:
  description: How long all of it took.
  type: float
  returned: success
plan:
  description: The restart, with its C(result) and what it C(msg) once carried out. Empty when there is nothing to
    do.
  type: list
  elements: dict
  returned: success
hash:
  description: Hash of the plan, 12 hexadecimal digits.
  type: str
  returned: success
refusals:
  description:
    - Why a command of the plan would not be run, or sudo not allow it. Outside of check mode this fails the module
      before anything is done.
    - Also why nothing is planned where the unit is masked, not there, or cannot be asked, so that this is not taken for
      nothing to do.
  type: list
  elements: str
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.api.endpoints import health_path
from ..module_utils.api.settings import api_argument_spec, api_settings
from ..module_utils.errors import MissingLibraryError, run_module
from ..module_utils.service.service_control import service_control
from ..module_utils.service.work import Listed, work_argument_spec
from ..module_utils.sessions.listed import ask_sessions
from ..module_utils.system.operated import service_spec

# runbook: P0-3C, EM-R1, EM-R2, EM-R3


def _listed(module: AnsibleModule) -> Listed:
    try:
        answer = ask_sessions(api_settings(module.params, warn=module.warn, hide=module.no_log_values.add))
    except MissingLibraryError as error:
        return Listed("unknown", str(error), ())
    return Listed(answer.state, answer.reason, tuple(sorted(answer.sessions)))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **api_argument_spec(),
            **work_argument_spec(),
            **service_spec(),
            "restart_command": {"type": "list", "elements": "str", "default": []},
            "restart_as_root": {"type": "bool", "default": False},
            "state": {"choices": ["observed", "started", "restarted", "force_restarted"], "default": "observed"},
            "samples": {"type": "int", "default": 3},
            "interval": {"type": "float", "default": 2},
            "timeout": {"type": "float", "default": 180},
            "kill_after": {"type": "float", "default": 10},
            "only_needed": {"type": "bool", "default": False},
            "health": {"type": "bool", "default": True},
            "health_timeout": {"type": "float", "default": 10},
            "health_tries": {"type": "int", "default": 2},
            "reason": {"type": "str"},
            "steps": {"type": "list", "elements": "str", "default": []},
            "plan_hash": {"type": "str"},
        },
        supports_check_mode=True,
    )

    def work() -> dict[str, Any]:
        params = {**module.params, "health_path": health_path(module.params)}
        return service_control(params, check_mode=module.check_mode, lists=lambda: _listed(module))

    run_module(module, work)


if __name__ == "__main__":
    main()
