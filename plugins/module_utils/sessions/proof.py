# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes are a session's: only what is proved, and for what merely looks like it, why it is not.

A process is a session's when it is the service's (or an orphan of it), runs as the service's user, is one of the
programs that may be ended, works in that session's own directory and no other, and started after the session. What such
a process started is the session's too. Where a process works is asked by device and inode (places.py).

Whoever else has a file of a session open keeps it alive, whatever he is called: he is never signalled, and the session
is not ended.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..errors import MediaOpsError
from ..shapes import one_line
from ..system.main_process import MainProcess, find_main
from ..system.processes import Process, descendants, own_line, read_process, user_name
from ..system.systemd import main_pid, unit_name, unit_properties
from ..times import to_text
from .places import Claims, Places, notes, working_files

# Starts are compared across two clocks: the service's own note, and ticks since boot.
_START_SLACK_S = 2.0
_STANDARD = 3  # descriptors of standard input, output and errors
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


def service_of_pid(pid: int) -> Service:
    """A service that no unit knows, by its main process."""
    main = read_process(pid, deep=False)
    if main is None or main.state in "ZX":
        return Service("down", f"there is no process {pid}", 0, "", os.geteuid())
    return Service("running", "", pid, "", main.uid)


def service_of_process(named: MainProcess) -> Service:
    """A service that no unit knows, by what tells its main process."""
    found = find_main(named)
    states = {"running": "running", "dead": "down"}
    pid = found.main.pid if found.main else 0
    return Service(states.get(found.state, "unknown"), "" if pid else found.reason, pid, "", found.uid)


def _own_groups(processes: Mapping[int, Process]) -> set[str]:
    """The control groups of this process, which runs where its service does that no unit knows."""
    own = processes.get(os.getpid())
    return set(own.groups) if own else set()


def _gone_of(process: Process, claims: Claims) -> str:
    """The session whose directory was taken from a process that works in no other; empty where there is none.

    It was given a path there itself, and writes to nothing that has a name: what it makes, nobody can get at.
    """
    sessions = {*claims.lost, *claims.written}
    if claims.ids or len(sessions) != 1 or not claims.lost or not claims.uses.keys() <= sessions:
        return ""
    keeps = any(file.writes and file.links for file in working_files(process))
    ways = (stat.S_ISSOCK, stat.S_ISFIFO)
    sends = any(is_way(file.mode) for file in process.files for is_way in ways if file.number >= _STANDARD)
    return "" if keeps or sends else sessions.pop()


@dataclass
class Proved:
    """The processes of one session, each with what proves it, and which of them are orphans.

    Those that are `lost` work for nobody either: their directory was taken, and all that they write has no name left.
    """

    lines: dict[int, list[str]] = field(default_factory=dict)
    orphans: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)


class Proofs:
    """All processes of one moment, and whose they are.

    Attributes:
        by_session: what is proved, by session id.
        unproved: pids of what looks like a session's process, and why it is not one.
        doubts: by session id, the processes that have to do with it and are not proved to be its: who has a file open,
            and what works there for the service; what shows it.
        unplaced: living programs of the service that work in no session's directory that is known, by pid.
        unread: processes of the service that could not be looked into, or not wholly.
        zombies: processes of the service that have ended, and their parent takes no note.
    """

    def __init__(
        self,
        processes: Mapping[int, Process],
        service: Service,
        places: Places,
        programs: Iterable[str],
        starts: Mapping[str, datetime | None],
    ) -> None:
        self._processes = processes
        self._service = service
        self._programs = frozenset(programs)
        self._starts = starts
        self._never = {*own_line(processes), service.main}
        self._below = descendants(processes, service.main) if service.main else set()
        self.by_session: dict[str, Proved] = {}
        self.unproved: dict[int, str] = {}
        self.unplaced: dict[int, Process] = {}
        self.unread: list[Process] = []
        self.zombies: list[Process] = []
        self.doubts: dict[str, dict[int, str]] = {}
        self._started: dict[tuple[str, int], int] = {}
        self._claims = {pid: places.claims(process) for pid, process in processes.items() if pid != os.getpid()}
        for process in sorted(processes.values(), key=lambda process: process.key):
            if process.pid not in self._never:
                self._place(process)
        self._add_children()
        self._doubt()

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
        service, claims = self._service, self._claims[process.pid]
        is_ours = self.is_ours(process)
        if process.state in "ZX":
            # The old kind of control groups does not tell those of a zombie any more; its parent's are told.
            parent = self._processes.get(process.ppid)
            if (is_ours or (parent and self.is_ours(parent))) and process.runs(self._programs):
                self.zombies.append(process)
            return
        if is_ours and (process.cut or not process.deep) and process.uid == service.uid:
            self.unread.append(process)
        gone = _gone_of(process, claims) if is_ours else ""
        ids = {gone} if gone else claims.ids
        if not ids and not (is_ours and process.runs(self._programs)):
            if process.uid == service.uid and process.runs(self._programs) and self._is_left(process):
                self.unproved[process.pid] = "is an orphan of the service's user, and works in no session's directory"
            return
        if not ids and not claims.uses:
            self.unplaced[process.pid] = process
        why, lines, orphan = self._judge(process, ids, is_ours=is_ours)
        if why:
            self.unproved[process.pid] = why
            return
        session_id = next(iter(ids))
        proved = self.by_session.setdefault(session_id, Proved())
        proved.lines[process.pid] = lines + claims.lines(session_id)
        if orphan:
            proved.orphans.add(process.pid)
        if gone and claims.written:
            proved.lost.add(process.pid)
            proved.lines[process.pid].append("its directory is gone, and what it writes has no name any more")

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
        others = self._claims[process.pid].uses.keys() - ids
        if others:  # who has a file of a session open keeps that alive, and is not signalled for another one
            why = f"has a file of session {one_line(min(others), 60)} open as well"
        return why, [*lines, line], orphan

    def is_ours(self, process: Process) -> bool:
        """Whether a process is the service's: in its control group, or started by its main process."""
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
        beside = set(main.groups) if main else _own_groups(self._processes)
        others = {group for group in process.groups if _OTHER_UNIT.search(group)} - (
            set() if self._service.group else beside
        )
        if others and not self.is_ours(process):
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
            self._started.update({(session_id, child): pid for child in family})
            for process in self._processes.values():
                if process.pgid == pid:
                    family.setdefault(process.pid, f"is in the process group of process {pid}")
            for child, line in sorted(family.items()):
                process = self._processes[child]
                known = child in self.pids() or child in self._never or process.cut or child not in self._claims
                if known or process.uid != self._service.uid:
                    continue
                if not {*self._claims[child].ids, *self._claims[child].uses} <= {session_id}:
                    continue  # it also works for another session, or reads a file of one
                proved = self.by_session[session_id]
                if self._service.group and not self.is_ours(process) and pid not in proved.orphans:
                    continue  # of another unit by now
                proved.lines[child] = [f"{line}, which is proved", *self._claims[child].lines(session_id)]
                if pid in proved.orphans:
                    proved.orphans.add(child)
                self.unproved.pop(child, None)
                self.unplaced.pop(child, None)

    def _doubt(self) -> None:
        """What has to do with a session, and is not proved to be its."""
        for (session_id, child), pid in self._started.items():
            # Who has asked for a signal at its parent's end (PR_SET_PDEATHSIG) ends with it, and nobody can see that.
            if child not in self.by_session[session_id].lines and self._processes[child].state not in "ZX":
                line = f"pid {child} ({one_line(self._processes[child].name, 20)}), which is not its own"
                self.doubts.setdefault(session_id, {})[child] = f"{line}, was started by pid {pid} and may end with it"
        for pid, claims in self._claims.items():
            process = self._processes[pid]
            for session_id in {*claims.ids, *claims.uses}:
                proved = self.by_session.get(session_id)
                if proved and pid in proved.lines:
                    continue
                who = f"pid {pid} ({one_line(process.name, 20)})"
                used, lines = claims.uses.get(session_id, []), claims.lines(session_id)
                if proved and (told := self._told(proved)) and descendants(self._processes, pid) & set(proved.lines):
                    # Who started it has the log open that it was given for what it tells of itself.
                    used = [path for path in used if path not in told]
                    lines = [line for line in lines if not line.endswith(tuple(told))]
                if used:
                    self.doubts.setdefault(session_id, {})[pid] = f"{used[0]} is open by {who}"
                elif lines and self._may_be_ours(process) and pid != self._service.main:
                    # What only names the file of a process that it started, as timeout does, is explained by that.
                    started = not claims.held and proved and descendants(self._processes, pid) & set(proved.lines)
                    if not started and not (proved and self._waits_for(process, proved)):
                        self.doubts.setdefault(session_id, {})[pid] = f"{lines[0]} of {who}"

    def _may_be_ours(self, process: Process) -> bool:
        """Whether a process is the service's, or one of its programs that its user has started in whatever way."""
        return self.is_ours(process) or (process.uid == self._service.uid and process.runs(self._programs))

    def _told(self, proved: Proved) -> set[str]:
        """Paths of the files into which a session's processes tell of themselves."""
        processes = [self._processes[pid] for pid in proved.lines]
        inodes = notes(processes)
        return {
            one_line(file.path, 160) for one in processes for file in one.files if file.path and file.inode in inodes
        }

    def _waits_for(self, process: Process, proved: Proved) -> bool:
        """Whether a process is there only for one of the session's, as timeout is: it was given its arguments to run.

        It works in the same directory then, and has nothing open there; it ends with the one that it started.
        """
        children = [child for pid in proved.lines if (child := self._processes[pid]).ppid == process.pid and child.argv]
        return any(
            process.argv[-len(child.argv) :] == child.argv and len(process.argv) > len(child.argv) for child in children
        )
