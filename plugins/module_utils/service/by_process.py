# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service that no unit of systemd runs: how it stands by its main process, and its restart by a command of the site.

What systemd counts and promises is not there. A pid with its start stands for the run of a service; and a command that
ends well proves nothing: the old main process must be gone, and one be there that began after the command did.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError
from ..opener import open_regular
from ..shapes import one_line
from ..system.ending import have_ended
from ..system.listening import local_port
from ..system.main_process import Found, MainProcess, find_main, listens_all_the_same
from ..system.privilege import PROGRAMS, Ran, root_refusal, run, run_as_root
from ..system.processes import TICKS, Process
from ..system.usage import Uses, uses_of
from ..times import to_text

SETTINGS = "/etc/media-ops/restart.json"
"""Root's own copy of the command, by which its program goes (roles/prepare/files/restart.py)."""

_PROGRAM = f"{PROGRAMS}/restart"
_ARGUMENT = re.compile(r"[A-Za-z0-9_./@:=+,%-]{1,200}\Z")
_ARGUMENTS_MAX = 32
_SETTINGS_MAX = 16384
_NOT_KILLED = (
    "a service without a unit is not killed, since only its supervisor knows which processes are its own: restart it "
    "gracefully, and its supervisor ends it by force where need be"
)
_POLL_S = 0.2
_GONE_S = 15.0


def check_command(option: str, argv: object) -> list[str]:
    """The command that restarts a service, as it may be written. Also the controller looks at the site's by this.

    Raises:
        OptionError: it is none.
    """
    if not isinstance(argv, (list, tuple)) or len(argv) > _ARGUMENTS_MAX:
        raise OptionError(option, argv, f"must be a list, the program and its arguments, {_ARGUMENTS_MAX} at most")
    for one in argv:
        if not isinstance(one, str) or not _ARGUMENT.match(one):
            raise OptionError(option, one, "must be letters, digits and _ . / @ : = + , % - only, 200 at most")
    if argv and not str(argv[0]).startswith("/"):
        raise OptionError(option, argv[0], "must begin with the absolute path of a program")
    return [str(one) for one in argv]


@dataclass(frozen=True)
class Stands:
    """How the service stands by its main process: what a class of Service is made of."""

    state: str
    reason: str
    main: Process | None
    processes: tuple[Process, ...]
    uses: tuple[Uses, Uses] | None


def look_at(named: MainProcess, samples: int, interval_s: float, api_url: str) -> Stands:
    """Look for the main process several times.

    Args:
        named: what tells it.
        samples: how often.
        interval_s: seconds between two looks.
        api_url: of the service. On whose port of this host its user listens is not dead.
    """
    seen: list[Found] = []
    first: Uses | None = None
    for index in range(samples):
        if index:
            time.sleep(interval_s)
        seen.append(find_main(named))
        if first is None and samples > 1:
            first = uses_of(seen[0].processes)
    last = seen[-1]
    state, reason = classify_looks(seen)
    port = local_port(api_url) if named.serves_api else 0
    if state == "dead" and listens_all_the_same(last, port):
        state = "unknown"
        reason = f"{reason}, and yet {named.user} listens on port {port}: one of the two is another service's"
    processes = tuple(last.processes[pid] for pid in sorted(last.processes))
    return Stands(state, reason, last.main, processes, (first, uses_of(last.processes)) if first else None)


def classify_looks(seen: Sequence[Found]) -> tuple[str, str]:
    """The class that some looks show, and the reason for people. Pure."""
    last = seen[-1]
    if last.main is None:
        return last.state, last.reason
    since = f"since {to_text(last.main.started_at)}"
    runs = list(dict.fromkeys(found.main.key for found in seen if found.main))
    if len(runs) > 2:
        return "restart_loop", f"it ends and is started anew: {len(runs)} main processes in {len(seen)} looks"
    if len(runs) > 1 or any(found.main is None for found in seen):
        return "activating", f"it was started anew while it was looked at: {last.reason}, {since}"
    same = f", the same in {len(seen)} looks" if len(seen) > 1 else ""
    return "running", f"{last.reason}, {since}{same}"


def start_us(process: Process) -> int:
    """When it started, microseconds since boot."""
    return process.start * 1_000_000 // TICKS


# Its restart


@dataclass(frozen=True)
class Command:
    """The command of the site that restarts the service."""

    argv: tuple[str, ...]
    as_root: bool

    @property
    def shown(self) -> str:
        """For people."""
        return " ".join(self.argv)


def command_of(params: Mapping[str, Any]) -> Command:
    """What the options say of it, checked."""
    return Command(tuple(check_command("restart_command", params["restart_command"])), bool(params["restart_as_root"]))


def refusals(command: Command, wanted: str) -> list[str]:
    """Why the command would not be run, in lines; none where it would."""
    if wanted == "force_restarted":
        return [_NOT_KILLED]
    if not command.argv:
        return ["nothing says how to restart this service: policy_service_restart is empty (option restart_command)"]
    if not command.as_root:
        found = shutil.which(command.argv[0])
        return [] if found else [f"{command.argv[0]} is not a program that this user may run on this host"]
    why = root_refusal([_PROGRAM]) or _other_command(command)
    return [why] if why else []


def _other_command(command: Command) -> str:
    """Why root's own copy of the command is not what is wanted; "" where it is."""
    again = "run the playbook media_ops.runbook.prepare_hosts, which writes it"
    try:
        with os.fdopen(open_regular(SETTINGS), "rb") as file:
            argv = json.loads(file.read(_SETTINGS_MAX))["argv"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{SETTINGS}, the command that root runs, cannot be read ({one_line(error, 80)}): {again}"
    if argv != list(command.argv):
        return f"root would run '{one_line(argv, 120)}' by {SETTINGS}, not '{command.shown}': {again}"
    return ""


def restart(command: Command, named: MainProcess, before: Process | None, timeout_s: float) -> tuple[bool, list[str]]:
    """Run the command, and wait until another main process is there and the old one gone.

    Args:
        command: of the site; nothing speaks against it (:func:`refusals`).
        named: what tells the main process.
        before: the main process until now.
        timeout_s: for the command, and once more for the new main process.

    Returns:
        Whether the one is gone and the other there, and what came of it, in lines.
    """
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    if command.as_root:
        ran = run_as_root([_PROGRAM], timeout_s=timeout_s)
    else:
        ran = run(list(command.argv), timeout_s=timeout_s, cwd="/")
    said = _command_said(command, ran, timeout_s)
    if ran.rc != 0:
        return False, said
    deadline = time.monotonic() + timeout_s
    while True:
        found = find_main(named)
        other = found.main is not None and (before is None or found.main.key != before.key)
        if other and found.main and (found.main.start + 1) / TICKS >= began:
            break
        if time.monotonic() > deadline:
            return False, [*said, _not_new(found, before)]
        time.sleep(_POLL_S)
    if before and not have_ended([before], _GONE_S):
        return False, [*said, f"the old main process {before.pid} still runs"]
    return True, said


def _not_new(found: Found, before: Process | None) -> str:
    if found.main and before and found.main.key == before.key:
        return f"the old main process {before.pid} still runs"
    if found.main:
        return f"its main process {found.main.pid} began before the command did"
    return f"no new main process came: {found.reason}"


def _command_said(command: Command, ran: Ran, timeout_s: float) -> list[str]:
    if ran.timed_out:
        return [f"'{command.shown}' is not through after {timeout_s:g} s"]
    told = one_line(ran.msg, 200)
    if ran.rc != 0:
        return [f"'{command.shown}' failed with exit code {ran.rc}: {told or 'it said nothing'}"]
    return [f"'{command.shown}' said: {told}"] if told else []
