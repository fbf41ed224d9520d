# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which process the service is, by its unit, by what the site tells of it, or by its files, and where that differs."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import MediaOpsError, OptionError
from ..shapes import one_line
from ..system.listening import Place, listeners_on, places_of, users_on
from ..system.main_process import find_main, main_process
from ..system.privilege import run_as
from ..system.processes import Process, descendants, own_line, read_process, snapshot, user_name
from ..system.systemd import main_pid, unit_name, unit_pids, unit_properties
from .places import User

_PROPERTIES = ("LoadState", "ActiveState", "SubState", "MainPID", "ControlGroup", "User", "WorkingDirectory")
_UNIT = re.compile(r"/system\.slice/(?:[^/]+/)*?([^/]+\.service)(?:/|\Z)")
_FFMPEG = ("ffmpeg", "ffmpeg-linux*")
_UNITS_MAX, _LISTED_MAX = 8, 8
# Its directory, then what it has open
_LOOK = 'readlink "/proc/$1/cwd"; for one in "/proc/$1/fd/"*; do readlink "$one"; done'
_LOOK_S = 15


@dataclass(frozen=True)
class Service:
    """The service's main process and its tree; nothing where it was not found."""

    main: int = 0
    pids: frozenset[int] = frozenset()
    uid: int = -1
    found_by: str = ""
    unit: Mapping[str, Any] = field(default_factory=dict)
    directory: str = ""
    log_dirs: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    proved: bool = False


def find_service(
    unit: str, process: Mapping[str, Any] | None, user: User | None, roots: Sequence[str], port: int
) -> tuple[Service, list[dict[str, Any]]]:
    """The service, and the units that it may be where the one that is set is not there.

    Args:
        unit: name of its unit, "" where it has none.
        process: what tells the main process of one without a unit.
        user: that it should run as.
        roots: directories that are its own.
        port: on which its API should listen.

    Raises:
        OptionError: the unit's name is none.
    """
    if process or not unit:
        return _without_unit(process or {}, roots, port), []
    name = unit_name(unit)
    try:
        properties = unit_properties(name, _PROPERTIES)
        state = "there" if properties.get("LoadState") == "loaded" else "missing"
        known = {"state": state, "reason": properties.get("LoadState", ""), "active": properties.get("ActiveState", "")}
        known |= {"user": properties.get("User") or "root", "directory": properties.get("WorkingDirectory", "")}
    except MediaOpsError as error:
        if error.details.get("option"):
            raise
        properties, known = {}, {"state": "unknown", "reason": one_line(error)}
    processes = snapshot(deep_uid=user.uid if user else None)
    main, by = main_pid(properties), "unit"
    pids = unit_pids(properties)
    if not main and known["state"] != "there":
        main, by = _at_work(processes, roots, port)
        pids = {main, *descendants(processes, main)} if main else set()
    units = [] if known["state"] == "there" else _other_units(processes, roots, port)
    return _service(processes.get(main), pids, by, known), units


def _without_unit(given: Mapping[str, Any], roots: Sequence[str], port: int) -> Service:
    """The service by its main process, as the site tells it; else what it may be, by its directories or its port."""
    try:
        found = find_main(main_process("process", given))
    except OptionError as error:
        known = {"state": "none", "reason": one_line(error), "active": "unset"}
    else:
        known = {"state": "none", "reason": one_line(found.reason), "active": found.state}
        if found.main:
            return _service(read_process(found.main.pid), set(found.processes), "process", known)
    processes = snapshot(deep_uid=None)
    main, by = _at_work(processes, roots, port)
    return _service(processes.get(main), {main, *descendants(processes, main)}, by, known)


def _at_work(processes: Mapping[int, Process], roots: Sequence[str], port: int) -> tuple[int, str]:
    """The process that works in the service's directories, else the one that has the API's port; by which of both."""
    main = _by_files(processes, roots)
    return (main, "files") if main else (_by_port(processes, port), "port")


def _service(main: Process | None, pids: Collection[int], by: str, known: Mapping[str, Any]) -> Service:
    if main is None:
        return Service(unit=known)
    directory, paths = _opened(main)
    places = places_of(pids, main.pid, main.uid)
    return Service(
        main=main.pid,
        pids=frozenset(pids),
        uid=main.uid,
        found_by=by,
        unit=known,
        directory=directory,
        log_dirs=_log_dirs(paths),
        places=places.found[:_LISTED_MAX],
        proved=places.proved,
    )


def shown(service: Service) -> dict[str, Any]:
    """What of it is told."""
    return {
        "pid": service.main or None,
        "user": user_name(service.uid) if service.main else "",
        "found_by": service.found_by,
        "directory": service.directory,
        "log_dirs": list(service.log_dirs),
        "listens": [{"host": place.host, "port": place.port, "path": place.path} for place in service.places],
        "listens_proved": service.proved,
    }


def _is_below(path: str, roots: Sequence[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def _by_files(processes: Mapping[int, Process], roots: Sequence[str]) -> int:
    """The one process whose tree works in the service's directories, 0 where that is none or several."""
    own = own_line(processes)
    there = {
        process.pid
        for process in processes.values()
        if process.deep
        and process.pid not in own
        and (_is_below(process.cwd, roots) or any(_is_below(one.path, roots) for one in process.files if one.writes))
    }
    first = [pid for pid in there if processes[pid].ppid not in there]
    if len(first) > 1:
        # Who only stands there, such as a shell, is none: a service writes.
        writing = [
            pid for pid in first if any(one.writes and _is_below(one.path, roots) for one in processes[pid].files)
        ]
        first = writing
    return first[0] if len(first) == 1 else 0


def _by_port(processes: Mapping[int, Process], port: int) -> int:
    """The one process that listens on a port, the first of its line; 0 where that is none or several."""
    sockets = _sockets(port)
    there = {process.pid for process in processes.values() if _has_socket(process, sockets)}
    first = [pid for pid in there if processes[pid].ppid not in there]
    return first[0] if len(first) == 1 else 0


def _sockets(port: int) -> set[str]:
    try:
        return listeners_on(port) if port else set()
    except (OSError, ValueError):
        return set()


def _other_units(processes: Mapping[int, Process], roots: Sequence[str], port: int) -> list[dict[str, Any]]:
    """Units of systemd with a process that runs ffmpeg, works in the service's directories, or has its port."""
    sockets = _sockets(port)
    users = (users_on(port) or set()) - {0}
    found: dict[str, set[str]] = {}
    for process in processes.values():
        match = next((match for group in process.groups if (match := _UNIT.search(group))), None)
        if match is None:
            continue
        reasons = found.setdefault(match.group(1), set())
        if process.runs(_FFMPEG):
            reasons.add("runs ffmpeg")
        if _is_below(process.cwd, roots) or any(_is_below(one.path, roots) for one in process.files):
            reasons.add("works in the service's directories")
        if process.uid in users or _has_socket(process, sockets):
            reasons.add(f"listens on port {port}")
    rows = sorted((unit, sorted(reasons)) for unit, reasons in found.items() if reasons)
    return [{"unit": unit, "why": why} for unit, why in rows[:_UNITS_MAX]]


def _has_socket(process: Process, sockets: Collection[str]) -> bool:
    return any(stat.S_ISSOCK(one.mode) and str(one.inode) in sockets for one in process.files)


def _log_dirs(paths: Sequence[str]) -> tuple[str, ...]:
    """Where most of the open logs are; several, where as many are in each."""
    counts = Counter(os.path.dirname(path) for path in set(paths) if path.endswith(".log"))
    most = max(counts.values(), default=0)
    return tuple(sorted(path for path, count in counts.items() if count == most))[:_LISTED_MAX]


def _opened(process: Process) -> tuple[str, list[str]]:
    """The directory of a process, and the paths that it has open, asked for as its user where need be."""
    if process.deep:
        return process.cwd, [one.path for one in process.files if one.path]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    argv = ["/bin/sh", "-c", _LOOK, "sh", str(process.pid)]
    try:
        seen = run_as(user_name(process.uid), argv, timeout_s=_LOOK_S, env=environment)
    except (KeyError, MediaOpsError):
        return "", []
    lines = [line for line in seen.out.splitlines() if line.startswith("/")]
    return (lines[0], lines[1:]) if lines else ("", [])
