# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service that a unit of systemd runs: how it stands by the unit's properties, and its restart by systemctl.

That systemd says "active" right after a start proves nothing. A service runs when over several samples one and the same
main process is there, and systemd has not had to restart it in between.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence

from ..shapes import one_line
from ..system.ending import have_ended
from ..system.journal import why_it_ended
from ..system.privilege import Ran, root_refusal, run_as_root
from ..system.processes import Process
from ..system.systemd import PROPERTIES, SYSTEMCTL, main_pid

UNIT_PROPERTIES = (*PROPERTIES, "StateChangeTimestampMonotonic", "InvocationID")
"""The properties that are read of a unit here."""
# States in which systemd tells how the last run ended, but not always why
_ENDED = ("failed", "start_limit", "restart_loop")
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
_KILLED_WAIT_S = 15.0
_QUICK_S = 30.0

Properties = Mapping[str, str]


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
    restarts = number_of(last, "NRestarts")
    if last.get("ActiveState") == "failed":
        # The limit of starts leaves the Result of the last run.
        if last.get("Result") != "start-limit-hit" and not restarts:
            return "failed", _cause(last)
        tried = f"after {restarts} restarts" if restarts else "as it was started too often"
        return "start_limit", f"systemd gave up {tried}: {_cause(last)}"
    sound = number_of(samples[0], "NRestarts") if restarts_before is None else restarts_before
    if last.get("SubState") != "auto-restart" and restarts <= sound:
        return None
    # While it runs, systemd says nothing of how it ended before.
    ended = [_cause(sample) for sample in samples if number_of(sample, "ExecMainCode")]
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
    mains = [main_of(sample) for sample in samples]
    pid = mains[-1][0]
    if not pid:
        return "dead", f"systemd calls it {samples[-1].get('SubState')}, and it has no main process"
    if len(set(mains)) > 1:
        return "activating", f"it was started anew, as pid {pid}, while it was looked at"
    return "running", f"pid {pid}, the same in {len(samples)} samples" if len(samples) > 1 else f"pid {pid}"


def explained(unit: str, last: Properties, state: str, reason: str) -> tuple[str, str]:
    """The class and its reason, with what systemd hides behind its Result; what no start can change is a class of its
    own."""
    told = why_it_ended(unit, last) if state in _ENDED else None
    if told is None:
        return state, reason
    what = "" if state == "failed" else f"{reason.partition(': ')[0]}: "
    return "cannot_start" if told.stands else state, f"{what}{told.text}"


def _cause(properties: Properties) -> str:
    """Why its last run ended, as far as systemd knows."""
    result = properties.get("Result", "")
    code, status = number_of(properties, "ExecMainCode"), number_of(properties, "ExecMainStatus")
    # A stop is of a service that had come up; a start that takes too long is of one that had not.
    came_up = number_of(properties, "ActiveEnterTimestampMonotonic") >= max(1, _main_start(properties))
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


def main_of(properties: Properties) -> tuple[int, int]:
    """Main process and its start since boot, in microseconds; (0, 0) where there is none."""
    pid = main_pid(dict(properties))
    return (pid, _main_start(properties)) if pid else (0, 0)


def _main_start(properties: Properties) -> int:
    return number_of(properties, "ExecMainStartTimestampMonotonic")


def number_of(properties: Properties, name: str) -> int:
    """A property that is a whole number; 0 where it is none."""
    text = properties.get(name, "")
    return int(text) if text.isdecimal() else 0


def stop_timeout(properties: Properties) -> float | None:
    """TimeoutStopSec= in seconds; None where it is infinite or not known."""
    text = properties.get("TimeoutStopUSec", "")
    parts = [re.fullmatch(r"([0-9.]+)([a-z]+)", part) for part in text.split()]
    if not parts or any(part is None or part.group(2) not in _UNITS_S for part in parts):
        return None
    return sum(float(part.group(1)) * _UNITS_S[part.group(2)] for part in parts if part)


def _stop_text(properties: Properties) -> str:
    seconds = stop_timeout(properties)
    return "without end" if seconds is None else f"{seconds:g} s"


# Its restart


def refusals(unit: str, wanted: str) -> list[str]:
    """Why the root commands that ``wanted`` needs would not be allowed, in lines; none where they would."""
    return sorted({why for argv in _commands(unit, wanted) if (why := root_refusal(argv))})


def _commands(unit: str, wanted: str) -> list[list[str]]:
    """Every root command that ``wanted`` may need, by the very argv that role ``prepare`` grants."""
    verbs = {
        "started": (["reset-failed"], ["start"]),
        "restarted": (["reset-failed"], ["restart"]),
        "force_restarted": (["kill"], ["kill", "--signal=SIGKILL"], ["reset-failed"], ["start"]),
    }.get(wanted, ())
    return [[SYSTEMCTL, *verb, unit] for verb in verbs]


def restart(
    unit: str,
    wanted: str,
    state: str,
    properties: Properties,
    processes: Sequence[Process],
    *,
    kill_after_s: float,
    timeout_s: float,
) -> tuple[bool, list[str]]:
    """Have systemd start it, or end it and start it anew.

    Args:
        unit: its name.
        wanted: option ``state``.
        state: its class until now.
        properties: until now.
        processes: all of its control group.
        kill_after_s: how long SIGTERM has to work, where it is killed.
        timeout_s: for systemctl.

    Returns:
        Whether systemctl says that it worked, and what came of it, in lines.
    """
    said = []
    if wanted == "force_restarted":
        said += _kill(unit, processes, kill_after_s)
    # Else systemd refuses: the limit of starts holds until it is reset.
    if wanted == "force_restarted" or state != "running" or number_of(properties, "NRestarts"):
        run_as_root([SYSTEMCTL, "reset-failed", unit], timeout_s=_QUICK_S)
    verb = "restart" if wanted == "restarted" else "start"
    ran = run_as_root([SYSTEMCTL, verb, unit], timeout_s=timeout_s)
    return ran.rc == 0, [*said, *_command_said(ran, verb, properties, timeout_s)]


def _kill(unit: str, processes: Sequence[Process], kill_after_s: float) -> list[str]:
    """TERM to all of the unit's processes, and KILL where one of them outlives it."""
    if not processes:
        return ["there was no process to kill"]
    run_as_root([SYSTEMCTL, "kill", unit], timeout_s=_QUICK_S)
    if have_ended(processes, kill_after_s):
        return [f"SIGTERM ended its processes ({len(processes)})"]
    run_as_root([SYSTEMCTL, "kill", "--signal=SIGKILL", unit], timeout_s=_QUICK_S)
    if have_ended(processes, _KILLED_WAIT_S):
        return [f"SIGTERM did not end all of its processes ({len(processes)}) within {kill_after_s:g} s, SIGKILL did"]
    return ["a process outlives SIGKILL: it waits in the kernel, look at its disk or its network file system"]


def _command_said(ran: Ran, verb: str, properties: Properties, timeout_s: float) -> list[str]:
    if ran.timed_out:
        return [f"systemctl {verb} is not through after {timeout_s:g} s (its stop may take {_stop_text(properties)})"]
    said = []
    most = stop_timeout(properties)
    if main_pid(dict(properties)) and verb == "restart" and most and ran.seconds >= most:
        said.append(f"SIGTERM did not end it, systemd killed it after {most:g} s")
    if ran.rc != 0:
        said.append(f"systemctl {verb}: {one_line(ran.msg)}")
    return said
