# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main process of a service that no unit of systemd knows: by its pid file, its port, or its command line.

A pid alone names nobody, since pids are given anew. It is the service's process only where a second thing says so, and
what cannot be told for certain is unknown: neither running, nor dead.
"""

from __future__ import annotations

import fnmatch
import os
import pwd
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import OptionError
from ..opener import open_regular
from ..shapes import one_line
from ..times import to_text
from .listening import listeners_on, sockets_of, users_on
from .privilege import run_as
from .processes import Process, descendants, own_line, snapshot, user_name

_KINDS = ("pid_file", "port", "command")
_PID = re.compile(r"[1-9][0-9]{0,9}\Z")
_PID_FILE_MAX = 4096
# The clock by which files are dated moves on every few milliseconds only, and a start is known to ten.
_SLACK_S = 1.0
_NOBODY = -2
_FIND_S = 20.0
_FOUND = re.compile(r"/proc/([0-9]+)/fd/")
_WILD = re.compile(r"[*?\[\]!]")
_FIXED_MIN = 3


@dataclass(frozen=True)
class MainProcess:
    """What tells the main process of a service: its user, and one of the others.

    Attributes:
        serves_api: whether the API is this service's own. Where another program has it, as the monitor of a queue, that
            it answers does not say that this service lives, and that it is silent does not say that this one hangs.
    """

    user: str
    pid_file: str = ""
    port: int = 0
    command: tuple[str, ...] = ()
    whole: bool = False  # the command is one pattern of the whole line
    serves_api: bool = True

    @property
    def told_by(self) -> str:
        """By what it is told, for people."""
        if self.pid_file:
            return f"pid file {self.pid_file}"
        if self.port:
            return f"port {self.port}"
        return f"command line {one_line(' '.join(self.command), 120)}"


@dataclass(frozen=True)
class Found:
    """The main process as it was found at one moment.

    Attributes:
        state: ``running``, ``dead``, or ``unknown``.
        reason: one line for people.
        main: the process, None unless it runs.
        processes: all that are of the service by what is known: it and its descendants; where there is none, all of its
            user, which may be left of it.
        uid: of its user, -1 where this host has no such user.
    """

    state: str
    reason: str
    main: Process | None = None
    processes: Mapping[int, Process] = field(default_factory=dict)
    uid: int = -1


def process_spec() -> dict[str, Any]:
    """Option ``process`` of modules, which doc fragment ``process`` describes."""
    return {
        "type": "dict",
        "options": {
            "user": {"type": "str", "required": True},
            "pid_file": {"type": "str"},
            "port": {"type": "int"},
            "command": {"type": "raw"},
            "serves_api": {"type": "bool", "default": True},
        },
        "mutually_exclusive": [_KINDS],
        "required_one_of": [_KINDS],
    }


def main_process(option: str, given: Mapping[str, Any]) -> MainProcess:
    """What tells a main process, checked. Also the controller looks at the site's settings by this.

    Raises:
        OptionError: it cannot tell any.
    """
    unknown = sorted(set(map(str, given)) - {"user", "serves_api", *_KINDS})
    if unknown:
        why = f"must have one of {', '.join(_KINDS)}, and beside it serves_api alone"
        raise OptionError(option, unknown[0], why)
    named = [kind for kind in _KINDS if given.get(kind) not in (None, "", [])]
    if len(named) != 1:
        raise OptionError(option, dict(given), f"must have one of {', '.join(_KINDS)}")
    user, kind, serves_api = str(given.get("user") or ""), named[0], given.get("serves_api", True)
    if not isinstance(serves_api, bool):
        raise OptionError(f"{option}.serves_api", serves_api, "must be true or false")
    value = given[kind]
    if kind == "pid_file":
        parts = str(value).split("/")
        if parts[0] or ".." in parts or len(parts) < 3 or not parts[-1] or not str(value).isprintable():
            raise OptionError(f"{option}.pid_file", value, "must be an absolute path of a file, not in /")
        return MainProcess(user, pid_file=str(value), serves_api=serves_api)
    if kind == "port":
        text = str(value)
        if isinstance(value, bool) or not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
            raise OptionError(f"{option}.port", value, "must be a port of TCP, from 1 to 65535")
        return MainProcess(user, port=int(text), serves_api=serves_api)
    patterns = _patterns(f"{option}.command", value)
    return MainProcess(user, command=patterns, whole=isinstance(value, str), serves_api=serves_api)


def _patterns(option: str, value: object) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)) or not all(isinstance(one, str) and one for one in given):
        raise OptionError(
            option, value, "must be a pattern of the whole command line, or a list of its first arguments"
        )
    if len(_WILD.sub("", "".join(given))) < _FIXED_MIN:
        raise OptionError(option, value, f"must have {_FIXED_MIN} characters that are no wildcards, at least")
    return tuple(given)


def find_main(named: MainProcess) -> Found:
    """Look for the main process. Nothing is raised: what cannot be seen makes it ``unknown``."""
    try:
        uid = pwd.getpwnam(named.user).pw_uid
    except (KeyError, ValueError):
        return Found("unknown", f"this host has no user {one_line(named.user, 40)}, as whom the service is to run")
    seen = snapshot(deep_uid=_NOBODY)
    if os.geteuid() not in (0, uid) and 1 not in seen:
        return Found("unknown", "processes of others are hidden from this user (hidepid of /proc)", uid=uid)
    ours = own_line(seen)
    living = {pid: one for pid, one in seen.items() if one.state not in "ZX"}
    candidates = {pid: one for pid, one in living.items() if one.uid == uid and pid not in ours}
    if named.pid_file:
        state, reason, main = _by_pid_file(named, uid, living)
    elif named.port:
        state, reason, main = _by_port(named, uid, living, candidates)
    else:
        state, reason, main = _by_command(named, living, candidates)
    if main is None:
        return Found(state, reason, None, candidates, uid)
    tree = {main.pid, *descendants(living, main.pid)}
    return Found(state, reason, main, {pid: one for pid, one in living.items() if pid in tree}, uid)


_Told = tuple[str, str, "Process | None"]


def _by_pid_file(named: MainProcess, uid: int, living: Mapping[int, Process]) -> _Told:
    """The process that its pid file names: of the service's user, and begun before the file was written."""
    path = named.pid_file
    try:
        pid, written, owner = _read_pid(path)
    except (OSError, ValueError) as error:
        return (*_unread(path, error), None)
    if owner not in (0, uid):
        return "unknown", f"its pid file {path} may be written by another than root and {named.user}", None
    main = living.get(pid)
    if main is None:
        return "dead", f"process {pid} of pid file {path} has ended", None
    return _of_pid_file(named, uid, main, written)


def _unread(path: str, error: Exception) -> tuple[str, str]:
    """What a pid file tells that cannot be read. Only that it is not there, where it should be, says something."""
    if not isinstance(error, FileNotFoundError):
        return "unknown", f"its pid file {path}: {one_line(getattr(error, 'strerror', None) or error, 100)}"
    if not os.path.isdir(os.path.dirname(path)):
        return "unknown", f"there is no directory for its pid file {path}"
    return "dead", f"there is no pid file {path}"


def _of_pid_file(named: MainProcess, uid: int, main: Process, written: float) -> _Told:
    """Whether the process with the pid of a pid file is the one that the file was written for."""
    pid, path = main.pid, named.pid_file
    later = main.started_at.timestamp() > written + _SLACK_S
    if main.uid == uid and not later:
        return "running", f"pid {pid} of pid file {path}", main
    if main.uid != uid and later:
        return "dead", f"process {pid} of pid file {path} has ended, and its pid is another user's process by now", None
    if later:
        why = f"began {to_text(main.started_at)}, after it was written: its pid was given anew, or the clock was set"
    else:
        why = f"runs as {user_name(main.uid)}, not as {named.user}"
    return "unknown", f"process {pid} of pid file {path} {why}", None


def _read_pid(path: str) -> tuple[int, float, int]:
    """The pid of a pid file, when that was written, and who may have: -1 where that is anybody."""
    with os.fdopen(open_regular(path), "rb") as file:
        facts = os.fstat(file.fileno())
        text = file.read(_PID_FILE_MAX).decode("ascii", "replace")
    first = text.split("\n", 1)[0].strip()
    if not _PID.match(first):
        raise ValueError("does not hold the number of a process")
    return int(first), facts.st_mtime, -1 if facts.st_mode & stat.S_IWOTH else facts.st_uid


def _by_port(named: MainProcess, uid: int, living: Mapping[int, Process], candidates: Mapping[int, Process]) -> _Told:
    """The process of the service's user that has the socket open which listens there; of several their one root."""
    try:
        inodes = listeners_on(named.port)
    except (OSError, ValueError) as error:
        return "unknown", f"the sockets of this host cannot be read: {one_line(error, 100)}", None
    if not inodes:
        return "dead", f"nobody listens on port {named.port}", None
    if os.geteuid() in (0, uid):
        holders = {pid for pid in candidates if sockets_of([pid])[0] & inodes}
    else:
        holders = _asked_as(named.user, candidates, inodes)
    if not holders:
        return "unknown", f"who listens on port {named.port} is not known to be a process of {named.user}", None
    return _one_root(f"listens on port {named.port}", holders, living)


def _asked_as(user: str, pids: Iterable[int], inodes: Iterable[str]) -> set[int]:
    """Those of a user's processes that have one of these sockets open, asked as that user, who alone may see it."""
    tables = [f"/proc/{pid}/fd" for pid in sorted(pids)]
    if not tables:
        return set()
    names: list[str] = []
    for inode in sorted(inodes):
        names += ["-o", "-lname", rf"socket:\[{inode}\]"]
    argv = ["find", *tables, "-maxdepth", "1", "(", *names[1:], ")"]
    asked = run_as(user, argv, timeout_s=_FIND_S, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    return {int(match.group(1)) for match in map(_FOUND.match, asked.out.splitlines()) if match}


def _by_command(named: MainProcess, living: Mapping[int, Process], candidates: Mapping[int, Process]) -> _Told:
    """The one root of a process tree of the service's user whose command line is so."""
    fitting = {pid for pid, one in candidates.items() if fits(one.argv, named)}
    if not fitting:
        return "dead", f"no process of {named.user} has the {named.told_by}", None
    return _one_root(f"has the {named.told_by}", fitting, living)


def fits(argv: tuple[str, ...], named: MainProcess) -> bool:
    """Whether a command line is the service's: as a whole, its arguments with spaces between, or by its first ones."""
    if named.whole:
        return fnmatch.fnmatchcase(" ".join(argv), named.command[0])
    return len(argv) >= len(named.command) and all(map(fnmatch.fnmatchcase, argv, named.command))


def _one_root(what: str, pids: set[int], living: Mapping[int, Process]) -> _Told:
    """Of processes the one that all the others descend from."""
    below = {child for pid in pids for child in descendants(living, pid)}
    roots = sorted(pids - below)
    if len(roots) == 1:
        return "running", f"pid {roots[0]}, which {what}", living[roots[0]]
    shown = ", ".join(map(str, roots[:5]))
    return "unknown", f"{len(roots)} processes, none of which has started another: each {what} (pid {shown})", None


def listens_all_the_same(found: Found, port: int) -> bool:
    """Whether the user of a service that is said to be dead listens on its port all the same."""
    return found.state == "dead" and bool(port) and found.uid in (users_on(port) or set())
