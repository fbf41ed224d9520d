# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service: what state it is really in, and its restart, planned, carried out and verified.

That systemd says "active" right after a start proves nothing. A service runs when over several samples one and the same
main process is there, and systemd has not had to restart it in between. Of a service without a unit the main process
tells all of that (by_process.py).

That an address of the API does not answer is no reason to restart it: it is asked for its health where its own
processes listen, and what works on a merge is seen to work. What a restart would lose is counted, and told with the
plan.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from ..errors import MediaOpsError, OptionError
from ..options import check_range
from ..plan import Action, plan_hash, planned, require_hash
from ..shapes import one_line
from ..system.journal import why_it_ended
from ..system.operated import Operated, require_operated
from ..system.privilege import Ran, root_refusal, run_as_root
from ..system.proc import boot_id
from ..system.processes import Process, descendants, read_process
from ..system.systemd import PROPERTIES, main_pid, unit_pids, unit_properties
from ..system.usage import Uses, share_of, uses_of, working
from ..times import to_text, utc_now
from .answering import Answering, answering, not_asked, not_known
from .by_process import Command, command_of, look_at, refusals, restart, start_us
from .work import Lists, Work, Workers, work_of

SYSTEMCTL = "/usr/bin/systemctl"
_PROPERTIES = (*PROPERTIES, "StateChangeTimestampMonotonic", "InvocationID")
# States in which systemd tells how the last run ended, but not always why
_ENDED = ("failed", "start_limit", "restart_loop")
_LEFT_BEHIND_MAX = 50
_KILLED_WAIT_S = 15.0
_QUICK_S = 30.0
_DRAIN_LOOK_S = 5.0
_STARTS_S = 60.0  # a service loads for a while before it listens
_NO_WORK = Work({})
_NOT_ASKED = not_asked("that is not wanted")
_SILENT = ("silent", "listens_nowhere")
_STEPS = {"started": ["EM-R1"], "restarted": ["EM-R1"], "force_restarted": ["EM-R2"]}
# Exit codes that systemd itself gives to what it could not start, systemd.exec(5)
_EXIT_NAMES = {
    200: "CHDIR, its working directory cannot be entered",
    203: "EXEC, its program cannot be run",
    208: "STDIN",
    209: "STDOUT",
    214: "SETSCHEDULER",
    216: "GROUP, its group is not there",
    217: "USER, its user is not there",
    218: "CAPABILITIES",
    219: "CGROUP",
    226: "NAMESPACE",
    228: "SECCOMP",
    238: "STATE_DIRECTORY",
    239: "CACHE_DIRECTORY",
    240: "LOGS_DIRECTORY",
    241: "CONFIGURATION_DIRECTORY",
}
_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

Properties = Mapping[str, str]


@dataclass(frozen=True)
class Service:
    """The service as it was seen over some samples.

    Attributes:
        state: its class (module service_control, return value ``service``).
        reason: why, one line.
        properties: the last sample of its unit; empty where systemd did not answer, or it has no unit.
        left_behind: processes in its control group that do not descend from its main process; without a unit those of
            the former main process that live.
        processes: all processes in its control group; without a unit what by_process.py knows.
        uses: what these used at the first look and at the last, None where there was one look only.
        answering: whether it answers on its own ports.
    """

    state: str
    reason: str
    properties: Properties
    left_behind: tuple[Process, ...] = ()
    processes: tuple[Process, ...] = ()
    uses: tuple[Uses, Uses] | None = None
    answering: Answering = _NOT_ASKED
    without_unit: bool = False
    process: Process | None = None

    @property
    def main(self) -> tuple[int, int]:
        """Main process and its start since boot, in microseconds; (0, 0) where there is none."""
        if self.without_unit:
            return (self.process.pid, start_us(self.process)) if self.process else (0, 0)
        return _main(self.properties)

    @property
    def up_s(self) -> float:
        """How long its main process has been there."""
        return self.process.age_s if self.process else time.monotonic() - self.main[1] / 1e6

    @property
    def since(self) -> str | None:
        """Since when its main process runs, else since when its state is this; None where that is not known."""
        if self.without_unit:
            return to_text(self.process.started_at) if self.process else None
        since_us = self.main[1] or _int(self.properties, "StateChangeTimestampMonotonic")
        return _moment(since_us) if since_us else None

    def workers(self, named_by: Workers) -> list[Process]:
        """Those of its processes that work on merges; its main process is none."""
        return [one for one in self.processes if one.pid != self.main[0] and named_by.is_worker(one)]

    def own(self, named_by: Workers) -> list[Process]:
        """Its processes without its workers."""
        workers = {one.pid for one in self.workers(named_by)}
        return [one for one in self.processes if one.pid not in workers]

    def at_work(self, named_by: Workers, percent: float) -> list[int]:
        """Workers that were seen to work: on a processor for more than so many per cent of the time."""
        if not self.uses:
            return []
        return working(*self.uses, [one.pid for one in self.workers(named_by)], percent)

    def usage(self, named_by: Workers) -> dict[str, Any] | None:
        """Shares of the host that it has by itself, and that its workers have; None where it was looked at once."""
        if not self.uses:
            return None
        own = share_of(*self.uses, [one.pid for one in self.own(named_by)])
        of_work = share_of(*self.uses, [one.pid for one in self.workers(named_by)])
        return {
            "own_cpu_percent": own.cpu,
            "own_memory_percent": own.memory,
            "work_cpu_percent": of_work.cpu,
            "work_memory_percent": of_work.memory,
        }

    def as_result(self, named_by: Workers, percent: float) -> dict[str, Any]:
        """What the module returns."""
        pid, started_us = self.main
        return {
            "class": self.state,
            "reason": self.reason,
            "main_pid": pid,
            "main_start": started_us,
            "boot_id": boot_id(),
            "since": self.since,
            # Nobody counts those of a service without a unit.
            "n_restarts": None if self.without_unit else _int(self.properties, "NRestarts"),
            "load_state": self.properties.get("LoadState", ""),
            "active_state": self.properties.get("ActiveState", ""),
            "sub_state": self.properties.get("SubState", ""),
            "result": self.properties.get("Result", ""),
            "kill_mode": self.properties.get("KillMode", ""),
            "stop_timeout": _stop_timeout(self.properties),
            "left_behind": [
                {"pid": process.pid, "name": one_line(process.name, 40), "since": to_text(process.started_at)}
                for process in self.left_behind[:_LEFT_BEHIND_MAX]
            ],
            "left_behind_count": len(self.left_behind),
            "answering": self.answering.as_result(),
            "usage": self.usage(named_by),
            "at_work": self.at_work(named_by, percent)[:_LEFT_BEHIND_MAX],
        }


def service_control(
    params: Mapping[str, Any], *, check_mode: bool = False, lists: Lists | None = None
) -> dict[str, Any]:
    """The result of module service_control.

    Args:
        params: its options, and ``health_path``, where it is asked for its health, "" where it has nothing of the kind.
        check_mode: whether it only plans.
        lists: asks the API which sessions there are.
    """
    _check(params)
    began = time.monotonic()
    named, wanted, percent = require_operated(params), params["state"], params["busy_percent"]
    command = command_of(params) if named.process else None
    named_by = Workers(params["programs"], params["work_dir"] or "")
    before = _asked(_not_contradicted(_observed(named, params), named, lists), named_by, params)
    left_alone = _left_alone(before, named_by, params)
    needed = [] if left_alone else params["steps"] or _STEPS.get(wanted, [])
    work = _NO_WORK if left_alone or wanted in ("observed", "started") else _work(before, named_by, params, lists)
    plan = (
        []
        if left_alone
        else restart_plan(
            before,
            named,
            wanted,
            needed,
            params["reason"],
            work=work,
            merges_max=params["merges_max"],
            drain_s=params["drain"],
            command=command,
        )
    )
    if params["plan_hash"] != plan_hash(_dearer(plan)):
        require_hash(plan, params["plan_hash"])
    refused = _refused(named, wanted, command) if plan else []
    after, verified = before, before.state == "running"
    said = left_alone or (_nothing_said(before, wanted) if not plan else "")
    if not plan and wanted != "observed" and before.state in _UNTOUCHABLE:
        refused = [said]
    if plan and not check_mode:
        told = {"plan": plan, "hash": plan_hash(plan), "service": before.as_result(named_by, percent)}
        if refused:
            raise MediaOpsError("; ".join(refused), **told)
        work, waited = _drained(work, before, named_by, params, lists)
        _told(plan[0], work)
        if why := _wants_a_person(work, plan[0], params):
            # It stays planned: what was refused counts for no cap.
            raise MediaOpsError(why, **told)
        if waited and params["only_needed"]:
            # It may have come to itself meanwhile.
            after = _asked(_observed(named, params), named_by, params)
            said = _left_alone(after, named_by, params)
        if said:
            verified = after.state == "running"
            plan[0]["result"], plan[0]["msg"] = "skipped", said
        else:
            act = _carry_out if command is None else _carry_out_command
            after, verified, said = act(plan[0], before, params, work)
            after = _asked(after, named_by, params)
    return {
        "changed": any(action["result"] != "skipped" for action in plan),
        "plan": plan,
        "hash": plan_hash(plan),
        "refusals": refused,
        "before": before.as_result(named_by, percent),
        "service": after.as_result(named_by, percent),
        "work": work.as_result(),
        "verified": verified,
        # A line of its own would say again what `service` says, and look like a failure to who only asks.
        "msg": "" if wanted == "observed" else said,
        "seconds": round(time.monotonic() - began, 1),
    }


def _check(params: Mapping[str, Any]) -> None:
    if params["restart_command"] and not params["process"]:
        raise OptionError("restart_command", params["restart_command"], "is for a service without a unit (process)")
    for option, low, high in (
        ("samples", 1, 60),
        ("interval", 0.1, 60),
        ("timeout", 1, 3600),
        ("kill_after", 0, 600),
        ("health_timeout", 0.1, 120),
        ("health_tries", 1, 10),
        ("busy_percent", 0.01, 100),
        ("changed_within", 0, 86_400),
        ("drain", 0, 3600),
    ):
        check_range(params, option, low, high)
    if params["merges_max"] is not None:
        check_range(params, "merges_max", 0, 100_000)
    if not params["programs"] or not all(name and "/" not in name for name in params["programs"]):
        raise OptionError("programs", params["programs"], "must be names of programs, without a path")


# What state is it in?


def _observed(named: Operated, params: Mapping[str, Any], *, restarts_before: int | None = None) -> Service:
    """Look at the service as often as the options say."""
    return observe(named, params["samples"], params["interval"], params["api_url"], restarts_before=restarts_before)


def observe(
    named: Operated, samples: int, interval_s: float, api_url: str = "", *, restarts_before: int | None = None
) -> Service:
    """Look at the service several times."""
    if named.process:
        stands = look_at(named.process, samples, interval_s, api_url)
        return Service(
            stands.state,
            stands.reason,
            {},
            (),
            stands.processes,
            stands.uses,
            without_unit=True,
            process=stands.main,
        )
    return _observe_unit(named.unit, samples, interval_s, restarts_before=restarts_before)


def _observe_unit(unit: str, samples: int, interval_s: float, *, restarts_before: int | None = None) -> Service:
    """Look at the unit several times; systemd that does not answer makes it ``unknown``.

    Args:
        restarts_before: NRestarts that a sound service would still have; None where the first sample tells.
    """
    seen: list[Properties] = []
    first: Uses | None = None
    for index in range(samples):
        if index:
            time.sleep(interval_s)
        try:
            seen.append(unit_properties(unit, _PROPERTIES))
        except MediaOpsError as error:
            return Service("unknown", one_line(error), {})
        if first is None and samples > 1:
            first = uses_of(unit_pids(dict(seen[0])))
    last = seen[-1]
    state, reason = _explained(unit, last, *classify(seen, restarts_before=restarts_before))
    found = {pid: process for pid in unit_pids(dict(last)) if (process := _living(pid))}
    tree = {main_pid(dict(last)), *descendants(found, main_pid(dict(last)))}
    processes = tuple(found[pid] for pid in sorted(found))
    left_behind = tuple(one for one in processes if one.pid not in tree)
    return Service(state, reason, last, left_behind, processes, (first, uses_of(found)) if first else None)


def service_seen(named: Operated, api_url: str) -> dict[str, Any]:
    """How the service stands at one look: its class and the reason, its main process and by what that is known."""
    if named.process:
        stands = observe(named, 1, 0, api_url)
    else:
        try:
            properties = unit_properties(named.unit, _PROPERTIES)
            state, reason = classify([properties])
        except MediaOpsError as error:
            state, reason = "unknown", one_line(error)
            properties = {}
        stands = Service(state, reason, properties)
    return {
        "class": stands.state,
        "reason": stands.reason,
        "main_pid": stands.main[0],
        "since": stands.since,
        "told_by": named.process.told_by if named.process else "systemd",
        "serves_api": _serves_api(named),
    }


def _serves_api(named: Operated) -> bool:
    return named.process is None or named.process.serves_api


def _not_contradicted(service: Service, named: Operated, lists: Lists | None) -> Service:
    """The service; unknown where it is dead by what tells its main process, and its API answers all the same."""
    is_dead = service.without_unit and service.state == "dead"
    if not (is_dead and _serves_api(named) and lists and lists().state == "ok"):
        return service
    why = f"{service.reason}, and yet its API answers: policy_service_process or policy_service_user is another's"
    return replace(service, state="unknown", reason=why)


def _asked(service: Service, named_by: Workers, params: Mapping[str, Any]) -> Service:
    """The service, with whether it answers on its own ports, where it runs and that is wanted."""
    if not params["health"] or service.state != "running":
        return replace(service, answering=not_asked(f"it is {service.state}") if params["health"] else _NOT_ASKED)
    if not params["health_path"]:
        return replace(service, answering=not_asked("the service does not offer this"))
    if not _serves_api(require_operated(params)):
        return replace(service, answering=not_asked("its API is another program's (serves_api)"))
    main = service.main[0]
    uid = next((one.uid for one in service.processes if one.pid == main), -1)
    found = answering(
        [one.pid for one in service.own(named_by)],
        main,
        uid,
        api_url=params["api_url"],
        path=params["health_path"],
        timeout_s=params["health_timeout"],
        tries=params["health_tries"],
    )
    if found.state == "listens_nowhere" and service.up_s < _STARTS_S:
        found = not_known(f"{found.reason}, and began {service.up_s:.0f} s ago: it may not be up yet")
    return replace(service, answering=found)


def _left_alone(service: Service, named_by: Workers, params: Mapping[str, Any]) -> str:
    """Why a service that was to be restarted only where it needs that is not; "" where it is, or may, need it."""
    if not params["only_needed"] or params["state"] not in ("restarted", "force_restarted"):
        return ""
    if service.state != "running":
        return ""
    if service.answering.state == "answers":
        return f"left alone: {service.answering.reason}, so that there is nothing for a restart to cure"
    pids = service.at_work(named_by, params["busy_percent"])
    if pids:
        return f"left alone: it works on merges (pid {', '.join(map(str, pids[:5]))})"
    return ""


def _work(service: Service, named_by: Workers, params: Mapping[str, Any], lists: Lists | None) -> Work:
    """What a restart would lose: nothing where there is no main process, with which it is lost already.

    That the main process of a service without a unit is gone is less sure: what works for its user there counts.
    """
    workers = [one for one in service.workers(named_by) if (now := _living(one.pid)) and now.key == one.key]
    if not service.main[0]:
        workers = [one for one in workers if service.without_unit and named_by.session_of(one)]
    if not service.main[0] and not workers:
        return _NO_WORK
    return work_of(
        workers,
        named_by,
        lists,
        work_dir=params["work_dir"] or "",
        unlisted=params["unlisted"],
        changed_within_s=params["changed_within"],
        lost=params["lost_sessions"],
    )


def _drained(
    work: Work, service: Service, named_by: Workers, params: Mapping[str, Any], lists: Lists | None
) -> tuple[Work, bool]:
    """The merges in work when these have ended, or the time to wait for that has; and whether it was waited.

    A service that hangs, and whose workers are at a stand, ends none of them. Who kills it does not wait.
    """
    if params["state"] == "force_restarted":
        return work, False
    if service.answering.state in _SILENT and not service.at_work(named_by, params["busy_percent"]):
        return work, False
    waits = bool(work.merges) and params["drain"] > 0
    ends = time.monotonic() + params["drain"]
    while work.merges and time.monotonic() < ends:
        time.sleep(min(_DRAIN_LOOK_S, max(0.1, ends - time.monotonic())))
        work = _work(observe(require_operated(params), 1, 0), named_by, params, lists)
    return work, waits


def _wants_a_person(work: Work, action: Action, params: Mapping[str, Any]) -> str:
    """Why a person must say yes first; "" where none must, or one has, by the hash of a plan that costs as much."""
    most = params["merges_max"]
    if most is None or len(work.merges) <= most or (params["plan_hash"] and "costs" in action["stable"]):
        return ""
    return _asks(work, most)


def _asks(work: Work, most: int) -> str:
    return (
        f"a restart loses the merges in work, {work.said}: more than {most}, so a person must say yes, by the hash of "
        "the plan"
    )


def _dearer(plan: Sequence[Action]) -> list[Action]:
    """The plan as it was while it cost much: whoever approved that has approved what costs less by now."""
    return [{**action, "stable": {**action["stable"], "costs": "much"}} for action in plan]


def _told(action: Action, work: Work) -> None:
    action["proof"]["merges in work"] = work.said


def _explained(unit: str, last: Properties, state: str, reason: str) -> tuple[str, str]:
    """The class and its reason, with what systemd hides behind its Result; what no start can change is a class of its
    own."""
    told = why_it_ended(unit, last) if state in _ENDED else None
    if told is None:
        return state, reason
    what = "" if state == "failed" else f"{reason.partition(': ')[0]}: "
    return "cannot_start" if told.stands else state, f"{what}{told.text}"


def _living(pid: int) -> Process | None:
    process = read_process(pid, deep=False)
    return process if process and process.state not in ("Z", "X") else None


def classify(samples: Sequence[Properties], *, restarts_before: int | None = None) -> tuple[str, str]:
    """The class that samples of a unit's properties show, and the reason for people."""
    last = samples[-1]
    return _not_startable(last) or _broken(samples, restarts_before) or _by_activity(samples)


def _not_startable(last: Properties) -> tuple[str, str] | None:
    load, pid = last.get("LoadState", ""), main_pid(dict(last))
    if load == "loaded":
        return None
    still = f", though it still runs as pid {pid}" if pid else ""
    if load == "masked":
        return "masked", f"somebody masked it: it is not to be started{still}"
    if load == "not-found":
        return "not_found", f"this host has no unit of that name{still}"
    return "unknown", f"its unit file cannot be used (LoadState={one_line(load, 40)}){still}"


def _broken(samples: Sequence[Properties], restarts_before: int | None) -> tuple[str, str] | None:
    last = samples[-1]
    restarts = _int(last, "NRestarts")
    if last.get("ActiveState") == "failed":
        # The limit of starts leaves the Result of the last run.
        if last.get("Result") != "start-limit-hit" and not restarts:
            return "failed", _cause(last)
        tried = f"after {restarts} restarts" if restarts else "as it was started too often"
        return "start_limit", f"systemd gave up {tried}: {_cause(last)}"
    sound = _int(samples[0], "NRestarts") if restarts_before is None else restarts_before
    if last.get("SubState") != "auto-restart" and restarts <= sound:
        return None
    # While it runs, systemd says nothing of how it ended before.
    ended = [_cause(sample) for sample in samples if _int(sample, "ExecMainCode")]
    why = f": {ended[-1]}" if ended else ""
    return "restart_loop", f"it ends and systemd restarts it ({restarts} restarts so far){why}"


def _by_activity(samples: Sequence[Properties]) -> tuple[str, str]:
    last = samples[-1]
    active, sub = one_line(last.get("ActiveState", ""), 40), one_line(last.get("SubState", ""), 40)
    if active in ("active", "reloading"):
        return _running(samples)
    return {
        "activating": ("activating", f"it is being started ({sub})"),
        "deactivating": ("stopping", f"it is being stopped ({sub}), which may take {_stop_text(last)}"),
        "inactive": ("dead", _cause(last)),
    }.get(active, ("unknown", f"systemd gives it a state that is not known here ({active})"))


def _running(samples: Sequence[Properties]) -> tuple[str, str]:
    mains = [_main(sample) for sample in samples]
    pid = mains[-1][0]
    if not pid:
        return "dead", f"systemd calls it {samples[-1].get('SubState')}, and it has no main process"
    if len(set(mains)) > 1:
        return "activating", f"it was started anew, as pid {pid}, while it was looked at"
    return "running", f"pid {pid}, the same in {len(samples)} samples" if len(samples) > 1 else f"pid {pid}"


def _cause(properties: Properties) -> str:
    """Why its last run ended, as far as systemd knows."""
    result = properties.get("Result", "")
    code, status = _int(properties, "ExecMainCode"), _int(properties, "ExecMainStatus")
    # A stop is of a service that had come up; a start that takes too long is of one that had not.
    came_up = _int(properties, "ActiveEnterTimestampMonotonic") >= max(1, _main_start(properties))
    if result == "timeout":
        return (
            f"timeout at stop: SIGTERM did not end it within {_stop_text(properties)}"
            if came_up
            else "timeout at start: it did not say in time that it is ready"
        )
    ended = {
        "resources": "systemd could not prepare its start (an environment file or a resource that is missing)",
        "watchdog": "it gave no sign of life to systemd's watchdog",
        "oom-kill": "the kernel killed it for want of memory",
        "protocol": "it did not start the way its unit says",
        "start-limit-hit": "it was started too often",
    }.get(result)
    if ended:
        return ended
    if not _main_start(properties):
        return "it is not running"
    if code == 1:
        return f"its main process ended with exit code {_exit_text(status)}"
    if code in (2, 3):
        return f"its main process was ended by {_signal_name(status)}" + (", with a core dump" if code == 3 else "")
    return f"systemd says {one_line(result, 40) or 'nothing'}"


def _exit_text(status: int) -> str:
    return f"{status}/{_EXIT_NAMES[status]}" if status in _EXIT_NAMES else str(status)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _main(properties: Properties) -> tuple[int, int]:
    pid = main_pid(dict(properties))
    return (pid, _main_start(properties)) if pid else (0, 0)


def _main_start(properties: Properties) -> int:
    return _int(properties, "ExecMainStartTimestampMonotonic")


def _moment(monotonic_us: int) -> str:
    """A reading of the monotonic clock, by the clock as it is set now."""
    return to_text(utc_now() - timedelta(seconds=time.monotonic() - monotonic_us / 1e6))


def _int(properties: Properties, name: str) -> int:
    text = properties.get(name, "")
    return int(text) if text.isdecimal() else 0


def _stop_timeout(properties: Properties) -> float | None:
    """TimeoutStopSec= in seconds; None where it is infinite or not known."""
    text = properties.get("TimeoutStopUSec", "")
    parts = [re.fullmatch(r"([0-9.]+)([a-z]+)", part) for part in text.split()]
    if not parts or any(part is None or part.group(2) not in _UNITS_S for part in parts):
        return None
    return sum(float(part.group(1)) * _UNITS_S[part.group(2)] for part in parts if part)


def _stop_text(properties: Properties) -> str:
    seconds = _stop_timeout(properties)
    return "without end" if seconds is None else f"{seconds:g} s"


# What is to be done?


_UNTOUCHABLE = ("masked", "not_found", "unknown")


def restart_plan(
    service: Service,
    named: Operated,
    wanted: str,
    steps: Sequence[str],
    reason: str | None,
    *,
    work: Work = _NO_WORK,
    merges_max: int | None = None,
    drain_s: float = 0,
    command: Command | None = None,
) -> list[Action]:
    """The one action that brings the service to ``wanted``, or none. Pure.

    Args:
        service: as it was seen.
        named: what names it.
        wanted: option ``state``.
        steps: of the runbook.
        reason: for people, None for what is wrong with it.
        work: what is lost with it.
        merges_max: above how many merges a person must approve it, None for any number.
        drain_s: for how long a restart waits for the merges to end.
        command: of the site, for a service without a unit.
    """
    if wanted == "observed" or service.state in _UNTOUCHABLE:
        return []
    if wanted == "started" and service.state in ("running", "activating"):
        return []
    method = {"started": "start", "restarted": "restart", "force_restarted": "kill, then start"}[wanted]
    pid, started = service.main
    target, identity, shown = _by_unit(service, named.unit) if command is None else _by_command(named, command)
    asks = merges_max is not None and len(work.merges) > merges_max
    waits = wanted == "restarted" and work.merges and drain_s
    made = planned(
        "restart",
        f"{target} ({method}; now {service.state}{f', pid {pid}' if pid else ''})",
        one_line(reason) if reason else f"it is {service.state}: {service.reason}",
        steps,
        stable={
            **identity,
            "main_pid": pid,
            "started_us": started,
            "class": service.state,
            "method": method,
            # Whoever approves a restart that costs little has not approved one that costs much.
            **({"costs": "much"} if asks else {}),
        },
        proof={
            # First, since it is what a person has to know.
            "merges in work": "",
            **({"waits for them": f"{drain_s:g} s at most"} if waits else {}),
            **({"needs a yes": _asks(work, merges_max)} if asks and merges_max is not None else {}),
            **shown,
        },
    )
    _told(made, work)
    return [made]


def _by_unit(service: Service, unit: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What a restart of a unit is of: for people, for the hash, and as its proof."""
    names = ("LoadState", "ActiveState", "SubState", "Result", "NRestarts", "KillMode")
    return unit, {"unit": unit}, {name: service.properties.get(name, "") for name in names}


def _by_command(named: Operated, command: Command) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Likewise of a restart by a command of the site."""
    process = named.process
    told_by = process.told_by if process else ""
    who = "root" if command.as_root else "the user that connects"
    identity = {"process": told_by, "command": list(command.argv), "as_root": command.as_root}
    shown = {"main process": f"of user {process.user if process else ''}, by its {told_by}"}
    return "the service", identity, {**shown, "command": command.shown, "run by": who}


def _nothing_said(service: Service, wanted: str) -> str:
    if wanted == "observed" or service.state in ("running", "activating"):
        return f"{service.state}: {service.reason}"
    return f"nothing is planned, it is {service.state}: {service.reason}"


def _refused(named: Operated, wanted: str, command: Command | None) -> list[str]:
    """Why what ``wanted`` needs would not be allowed, in lines."""
    if command is not None:
        return refusals(command, wanted)
    return sorted({why for argv in _commands(named.unit, wanted) if (why := root_refusal(argv))})


def _commands(unit: str, wanted: str) -> list[list[str]]:
    """Every root command that ``wanted`` may need, by the very argv that role ``prepare`` grants."""
    verbs = {
        "started": (["reset-failed"], ["start"]),
        "restarted": (["reset-failed"], ["restart"]),
        "force_restarted": (["kill"], ["kill", "--signal=SIGKILL"], ["reset-failed"], ["start"]),
    }.get(wanted, ())
    return [[SYSTEMCTL, *verb, unit] for verb in verbs]


# Doing it.


def _carry_out(action: Action, before: Service, params: Mapping[str, Any], work: Work) -> tuple[Service, bool, str]:
    """Carry the action out and verify it; what came of it is written into the action."""
    unit, wanted = params["unit"], params["state"]
    said = [f"lost with it, merges: {work.said}"] if work.merges else []
    if wanted == "force_restarted":
        said += _kill(unit, before, params["kill_after"])
    # Else systemd refuses: the limit of starts holds until it is reset.
    if wanted == "force_restarted" or before.state != "running" or _int(before.properties, "NRestarts"):
        run_as_root([SYSTEMCTL, "reset-failed", unit], timeout_s=_QUICK_S)
    verb = "restart" if wanted == "restarted" else "start"
    ran = run_as_root([SYSTEMCTL, verb, unit], timeout_s=params["timeout"])
    said += _command_said(ran, verb, before, params["timeout"])
    after = _observed(Operated(unit), params, restarts_before=0)
    verified = ran.rc == 0 and after.state == "running" and (after.main != before.main or wanted == "started")
    if after.state == "running" and after.main == before.main and wanted != "started":
        said.append(f"the old main process {after.main[0]} still runs")
    said.append(f"{after.state}: {after.reason}")
    if after.left_behind:
        said.append(f"processes of its control group that are not of its main process: {len(after.left_behind)}")
    action["result"] = "done" if verified else "failed"
    action["msg"] = one_line("; ".join(said), 400)
    return after, verified, action["msg"]


def _carry_out_command(
    action: Action, before: Service, params: Mapping[str, Any], work: Work
) -> tuple[Service, bool, str]:
    """Carry the action out by the command of the site and verify it; what came of it is written into the action."""
    named, command = require_operated(params), command_of(params)
    said = [f"lost with it, merges: {work.said}"] if work.merges else []
    if named.process is None:
        raise OptionError("process", None, "is needed for a restart by a command")
    renewed, told = restart(command, named.process, before.process, params["timeout"])
    after = _observed(named, params)
    verified = renewed and after.state == "running" and after.main != before.main
    said += [*told, f"{after.state}: {after.reason}"]
    left = tuple(one for one in before.processes if (now := _living(one.pid)) and now.key == one.key)
    ours = {one.pid for one in after.processes}
    if before.process and (left := tuple(one for one in left if one.pid not in ours)):
        after = replace(after, left_behind=left)
        said.append(f"processes left of the former main process: {len(left)}")
    action["result"] = "done" if verified else "failed"
    action["msg"] = one_line("; ".join(said), 400)
    return after, verified, action["msg"]


def _kill(unit: str, before: Service, kill_after_s: float) -> list[str]:
    """TERM to all of the unit's processes, and KILL where one of them outlives it."""
    if not before.processes:
        return ["there was no process to kill"]
    run_as_root([SYSTEMCTL, "kill", unit], timeout_s=_QUICK_S)
    if _gone(before.processes, kill_after_s):
        return [f"SIGTERM ended its processes ({len(before.processes)})"]
    run_as_root([SYSTEMCTL, "kill", "--signal=SIGKILL", unit], timeout_s=_QUICK_S)
    if _gone(before.processes, _KILLED_WAIT_S):
        return [
            f"SIGTERM did not end all of its processes ({len(before.processes)}) within {kill_after_s:g} s, SIGKILL did"
        ]
    return ["a process outlives SIGKILL: it waits in the kernel, look at its disk or its network file system"]


def _gone(processes: Sequence[Process], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while any((now := _living(process.pid)) and now.key == process.key for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _command_said(ran: Ran, verb: str, before: Service, timeout_s: float) -> list[str]:
    if ran.timed_out:
        return [
            f"systemctl {verb} is not through after {timeout_s:g} s (its stop may take {_stop_text(before.properties)})"
        ]
    said = []
    stop_timeout = _stop_timeout(before.properties)
    if before.main[0] and verb == "restart" and stop_timeout and ran.seconds >= stop_timeout:
        said.append(f"SIGTERM did not end it, systemd killed it after {stop_timeout:g} s")
    if ran.rc != 0:
        said.append(f"systemctl {verb}: {one_line(ran.msg)}")
    return said
