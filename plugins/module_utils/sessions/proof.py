# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes are a session's: only what is proved, and for what merely looks like it, why it is not.

A process is a session's when it is the service's (or an orphan of it), runs as the service's user, is one of the
programs that may be ended, works in that session's own directory and no other, and started after the session. What such
a process started is the session's too.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..errors import MediaOpsError
from ..shapes import one_line
from ..system.processes import Process, descendants, own_line, shown_argv
from ..system.systemd import main_pid, unit_name, unit_properties
from ..times import to_text

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

# Starts are compared across two clocks: the service's own note, and ticks since boot.
_START_SLACK_S = 2.0
_EVIDENCE_MAX = 3
_DELETED = " (deleted)"
_OTHER_UNIT = re.compile(r"/[^/]+\.(service|scope)(/|\Z)")
_PROPERTIES = ("Id", "LoadState", "ActiveState", "MainPID", "ControlGroup", "User")


@dataclass(frozen=True)
class Service:
    """The service as far as it proves whose a process is.

    Attributes:
        state: ``running``, ``down``, or ``unknown``.
        reason: one line for people, empty while it runs.
        main: its main process, 0 when it has none.
        group: its control group; empty where it is known by its main process only.
        uid: its user.
    """

    state: str
    reason: str
    main: int
    group: str
    uid: int

    @property
    def user(self) -> str:
        """The name of its user."""
        return user_name(self.uid)


def service_of_unit(unit: str) -> Service:
    """The service as systemd knows it."""
    try:
        properties = unit_properties(unit, _PROPERTIES)
    except MediaOpsError as error:
        return Service("unknown", one_line(error), 0, "", os.geteuid())
    if properties.get("LoadState") == "not-found":
        return Service("unknown", f"there is no unit {unit}", 0, "", os.geteuid())
    pid = main_pid(properties)
    # systemd forgets the group of a unit that is down, also while processes are left in it.
    group = properties.get("ControlGroup") or f"/system.slice/{unit_name(unit)}"
    reason = "" if pid else f"{unit} is {properties.get('ActiveState', 'down')}"
    try:
        user = properties.get("User") or "root"
        uid = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError:
        return Service("unknown", f"{unit} runs as {one_line(user)}, whom this host does not know", pid, group, -1)
    return Service("running" if pid else "down", reason, pid, group, uid)


def service_of_pid(pid: int, processes: Mapping[int, Process]) -> Service:
    """A service that no unit knows, by its main process."""
    main = processes.get(pid)
    if main is None or main.state in "ZX":
        return Service("down", f"there is no process {pid}", 0, "", os.geteuid())
    return Service("running", "", pid, "", main.uid)


def user_name(uid: int) -> str:
    """A user's name, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "several users" if uid == -1 else f"uid {uid}"


@dataclass
class Claims:
    """What a process has to do with sessions, by their ids, with the lines that show it.

    Attributes:
        named: arguments below a session's directory.
        held: its current directory or open files there.
    """

    named: dict[str, list[str]] = field(default_factory=dict)
    held: dict[str, list[str]] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        """All sessions that it has to do with."""
        return {*self.named, *self.held}

    def lines(self, session_id: str) -> list[str]:
        """What shows it, the strongest first."""
        return [*self.held.get(session_id, []), *self.named.get(session_id, [])][:_EVIDENCE_MAX]


class WorkDir:
    """The directory of all sessions; each has one of its own below it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.real = os.path.realpath(path)
        roots = "|".join(re.escape(root) for root in sorted({self.path, self.real}))
        # After a protocol, an option or a list in a filter, as in file:PATH, concat:PATH|PATH and movie=PATH
        self._below = re.compile(rf"(?:^|(?<=[:|=,;'\"@(\s]))(?:{roots})/+([^/]+)(?=/|\Z)")

    def claims(self, process: Process) -> Claims:
        """The sessions that a process names or holds. A whole path component is an id, and nothing else is."""
        found = Claims()
        for number, argument in enumerate(process.argv):
            for session_id in self._named(argument, process.cwd):
                shown = one_line(shown_argv([argument])[0], 160)
                found.named.setdefault(session_id, []).append(f"argument {number} is {shown}")
        places = [("current directory", process.cwd)]
        places += [(f"open file {number}", path) for number, path in process.files]
        for what, path in places:
            session_id = self._held(path)
            if session_id:
                found.held.setdefault(session_id, []).append(f"{what} is {one_line(path, 160)}")
        return found

    def _named(self, argument: str, cwd: str) -> set[str]:
        if ".." in argument.split("/"):
            return set()  # leads elsewhere than it seems
        if cwd and "/" in argument and argument[0] not in "/-" and not _protocol(argument):
            argument = os.path.join(cwd, argument)
        return {session_id for session_id in self._below.findall(argument) if ID.fullmatch(session_id)}

    def _held(self, path: str) -> str:
        if path.endswith(_DELETED):
            path = path[: -len(_DELETED)]
        if not path.startswith(self.real + "/"):
            return ""
        session_id = path[len(self.real) + 1 :].partition("/")[0]
        return session_id if ID.fullmatch(session_id) else ""


def _protocol(argument: str) -> bool:
    return ":" in argument.partition("/")[0]


@dataclass
class Proved:
    """The processes of one session, each with what proves it, and which of them are orphans."""

    lines: dict[int, list[str]] = field(default_factory=dict)
    orphans: set[int] = field(default_factory=set)


class Proofs:
    """All processes of one moment, and whose they are.

    Attributes:
        by_session: what is proved, by session id.
        unproved: pids of what looks like a session's process, and why it is not one.
        unread: processes of the service that could not be looked into, or not wholly.
        zombies: processes of the service that have ended, and their parent takes no note.
    """

    def __init__(
        self,
        processes: Mapping[int, Process],
        service: Service,
        work_dir: WorkDir,
        programs: Iterable[str],
        starts: Mapping[str, datetime | None],
    ) -> None:
        self._processes = processes
        self._service = service
        self._work_dir = work_dir
        self._programs = frozenset(programs)
        self._starts = starts
        self._never = {*own_line(processes), service.main}
        self._below = descendants(processes, service.main) if service.main else set()
        self.by_session: dict[str, Proved] = {}
        self.unproved: dict[int, str] = {}
        self.unread: list[Process] = []
        self.zombies: list[Process] = []
        others = [process for process in processes.values() if process.pid not in self._never]
        self._claims = {process.pid: work_dir.claims(process) for process in others}
        for process in sorted(others, key=lambda process: process.key):
            self._place(process)
        self._add_children()

    def pids(self) -> set[int]:
        """Every process that is proved to be a session's."""
        return {pid for proved in self.by_session.values() for pid in proved.lines}

    def mentions(self, session_ids: Iterable[str]) -> None:
        """Add to the unproved what has one of these ids in its arguments: an editor, a grep."""
        wanted = set(session_ids)
        known = self.pids()
        for pid, process in self._processes.items():
            if pid in self._never or pid in known or pid in self.unproved:
                continue
            if any(part in wanted for argument in process.argv for part in (argument, *argument.split("/"))):
                self.unproved[pid] = self._stranger(process)

    def _place(self, process: Process) -> None:
        service, ids = self._service, self._claims[process.pid].ids
        is_ours = self._is_ours(process)
        if process.state in "ZX":
            # The old kind of control groups does not tell those of a zombie any more; its parent's are told.
            parent = self._processes.get(process.ppid)
            if (is_ours or (parent and self._is_ours(parent))) and process.runs(self._programs):
                self.zombies.append(process)
            return
        if is_ours and (process.cut or not process.deep) and process.uid == service.uid:
            self.unread.append(process)
        if not ids and not (is_ours and process.runs(self._programs)):
            return
        why, lines, orphan = self._judge(process, ids, is_ours=is_ours)
        if why:
            self.unproved[process.pid] = why
            return
        session_id = next(iter(ids))
        proved = self.by_session.setdefault(session_id, Proved())
        proved.lines[process.pid] = lines + self._claims[process.pid].lines(session_id)
        if orphan:
            proved.orphans.add(process.pid)

    def _judge(self, process: Process, ids: set[str], *, is_ours: bool) -> tuple[str, list[str], bool]:
        """Why a process is not proved, or "" with the first lines of the proof and whether it is an orphan."""
        service = self._service
        lines = [f"runs as the service's user {service.user}", f"is the program {one_line(process.name, 40)}"]
        if process.uid != service.uid:
            return f"runs as {user_name(process.uid)}, not as {service.user}", [], False
        if not process.runs(self._programs):
            return f"is no {' or '.join(sorted(self._programs))}", [], False
        if not process.deep or process.cut:
            return "has more arguments than are looked at" if process.cut else "cannot be looked into", [], False
        orphan = self._is_left(process)
        if is_ours:
            lines.insert(0, self._whose())
        elif not orphan or not self._claims[process.pid].held:
            return self._stranger(process), [], False
        if orphan:
            lines.append(f"is an orphan: its parent is process {process.ppid}, the service's has ended")
        if len(ids) != 1:
            why = "works in no session's directory" if not ids else f"works in the directories of {len(ids)} sessions"
            return why, [], False
        why, line = self._after(process, next(iter(ids)))
        return why, [*lines, line], orphan

    def _is_ours(self, process: Process) -> bool:
        group = self._service.group
        if group:
            return any(one == group or one.startswith(group + "/") for one in process.groups)
        return process.pid in self._below

    def _whose(self) -> str:
        group = self._service.group
        return f"is in the control group {group}" if group else f"descends from the process {self._service.main}"

    def _is_left(self, process: Process) -> bool:
        """Whether the service that started it has ended: it was passed on to init, and is older than the service."""
        main = self._processes.get(self._service.main)
        parent = self._processes.get(process.ppid)
        passed_on = process.ppid <= 1 or (parent is not None and parent.name == "systemd")
        if self._service.state == "unknown" or not passed_on or process.pid in self._below:
            return False
        # Of another unit, or of a person who has logged in: theirs, not the service's.
        others = self._service.group and any(_OTHER_UNIT.search(group) for group in process.groups)
        if others and not self._is_ours(process):
            return False
        return main is None or process.start < main.start

    def _after(self, process: Process, session_id: str) -> tuple[str, str]:
        started = self._starts.get(session_id)
        if started is None:
            if session_id in self._starts:
                return "the start of its session is not known", ""
            return "", f"started {to_text(process.started_at)}"
        after = (process.started_at - started).total_seconds()
        if after < -_START_SLACK_S:
            return f"started {-after:.0f} s before its session", ""
        return "", f"started {max(after, 0):.0f} s after its session"

    def _stranger(self, process: Process) -> str:
        if process.uid != self._service.uid:
            return f"runs as {user_name(process.uid)}, not as {self._service.user}"
        return "is neither of the service nor an orphan of it"

    def _add_children(self) -> None:
        """What a proved process started, and the process group that it leads."""
        first = {pid: session_id for session_id, proved in self.by_session.items() for pid in proved.lines}
        for pid, session_id in sorted(first.items()):
            family = dict.fromkeys(descendants(self._processes, pid), f"was started by process {pid}")
            for process in self._processes.values():
                if process.pgid == pid:
                    family.setdefault(process.pid, f"is in the process group of process {pid}")
            for child, line in sorted(family.items()):
                process = self._processes[child]
                known = child in self.pids() or child in self._never or process.cut
                if known or process.uid != self._service.uid or not self._claims[child].ids <= {session_id}:
                    continue
                proved = self.by_session[session_id]
                proved.lines[child] = [f"{line}, which is proved", *self._claims[child].lines(session_id)]
                if pid in proved.orphans:
                    proved.orphans.add(child)
                self.unproved.pop(child, None)
