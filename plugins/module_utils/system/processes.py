# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes as /proc shows them, and their end by signals that reach the process that was meant, or nobody."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import select
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Callable

from ..redact import Redactor
from ..shapes import one_line

TICKS = os.sysconf("SC_CLK_TCK")
KILL_WAIT_S = 5.0

_READ_MAX = 1 << 20
_ARGV_MAX = 1 << 16
_ARGUMENTS_MAX = 2048
_FILES_MAX = 4096
_THREADS_MAX = 512
_ARGUMENTS_SHOWN = 60
_ARGUMENT_SHOWN = 300
_POLL_S = 0.05


@dataclass(frozen=True)
class Process:
    """A process at one moment. All of it is of one process: read through one open /proc/PID, which a reused pid is not.

    Attributes:
        pid: process id.
        ppid: its parent.
        pgid: its process group.
        start: clock ticks from boot to its start; with the pid, what names a process.
        state: one letter, as ps shows it.
        name: as the kernel calls it, 15 characters at most.
        argv: its arguments. A zombie has none.
        argv_hash: 12 hex digits over all of them.
        cut: whether it has more arguments than are kept.
        uid: its user; -1 where its user ids differ.
        groups: its control groups, of the hierarchies that systemd keeps.
        tracer: who traces it, else 0.
        cpu: ticks used by it and by its children that have ended.
        deep: whether the rest could be read.
        cwd: current directory.
        files: descriptor and target of what it has open.
        threads: state and, where the kernel tells, place of waiting of each thread.
        read: bytes read, also from pipes and the cache; -1 when unknown.
        written: bytes written to storage; -1 when unknown.
    """

    pid: int
    ppid: int
    pgid: int
    start: int
    state: str
    name: str
    argv: tuple[str, ...]
    argv_hash: str
    cut: bool
    uid: int
    groups: tuple[str, ...]
    tracer: int
    cpu: int
    deep: bool = False
    cwd: str = ""
    files: tuple[tuple[int, str], ...] = ()
    threads: tuple[tuple[str, str], ...] = ()
    read: int = -1
    written: int = -1

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from any other process of this boot."""
        return self.pid, self.start

    @property
    def age_s(self) -> float:
        """Seconds since its start."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.start / TICKS

    @property
    def started_at(self) -> datetime:
        """When it started, by the clock of now."""
        return datetime.now(timezone.utc) - timedelta(seconds=self.age_s)

    def runs(self, programs: Iterable[str]) -> bool:
        """Whether it is one of these programs, by the names it goes by."""
        names = {self.name, os.path.basename(self.argv[0])} if self.argv else {self.name}
        return not names.isdisjoint(programs)


def read_process(pid: int, *, deep: bool = True) -> Process | None:
    """A process, or None where there is none with this pid.

    Args:
        pid: process id.
        deep: also read what only its own user and root may: open files, current directory, bytes, threads.
    """
    try:
        directory = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _process(pid, directory, deep)
    except (OSError, ValueError, IndexError):  # it ended meanwhile
        return None
    finally:
        os.close(directory)


def snapshot(*, deep_uid: int | None) -> dict[int, Process]:
    """All processes by pid; those of one user, or (None) all that may be, are looked into."""
    found: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        process = read_process(int(name), deep=False)
        if process and deep_uid in (None, process.uid):
            process = read_process(process.pid)
        if process:
            found[process.pid] = process
    return found


def descendants(processes: Mapping[int, Process], pid: int) -> set[int]:
    """The children of a process, and theirs. A child is never older than its parent: such a link is a reused pid."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        parent = processes.get(process.ppid)
        if parent and parent.start <= process.start:
            children.setdefault(parent.pid, []).append(process.pid)
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            if child not in found and child != pid:
                found.add(child)
                waiting.append(child)
    return found


def own_line(processes: Mapping[int, Process]) -> set[int]:
    """This process and its ancestors: the module, Ansible, its shell and sshd, and init."""
    line = {1}
    pid = os.getpid()
    while pid > 0 and pid not in line:
        line.add(pid)
        pid = processes[pid].ppid if pid in processes else 0
    return line


def mapping_of(pid: int, directory: str) -> str:
    """A file below a directory that a process has mapped into its memory, else ""."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            path = line.rstrip("\n").split(" ", 5)[-1].lstrip()
            if path.startswith(directory + "/"):
                return path
    return ""


def shown_argv(argv: Sequence[str]) -> list[str]:
    """Arguments for people: bounded, one line each, and without what may be a secret."""
    whole = [argument[: _ARGUMENT_SHOWN * 4] for argument in argv[:_ARGUMENTS_SHOWN]]
    texts = [argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for argument in whole]
    redactor = Redactor()
    shown = [one_line(redactor.text(text), _ARGUMENT_SHOWN) for text in redactor.argv(texts)]
    if len(argv) > _ARGUMENTS_SHOWN:
        shown.append(f"… ({len(argv) - _ARGUMENTS_SHOWN} more)")
    return shown


# Reading


def _process(pid: int, directory: int, deep: bool) -> Process:
    stat = _read(directory, "stat")
    name, fields = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
    status = dict(line.split(":\t", 1) for line in _read(directory, "status").splitlines() if ":\t" in line)
    uids = set(status["Uid"].split())
    line = _bytes(directory, "cmdline").removesuffix(b"\0")
    plain = Process(
        pid=pid,
        ppid=int(fields[1]),
        pgid=int(fields[2]),
        start=int(fields[19]),
        state=fields[0],
        name=name,
        argv=_arguments(line),
        argv_hash=hashlib.sha256(line).hexdigest()[:12],
        cut=len(line) > _ARGV_MAX or line.count(b"\0") >= _ARGUMENTS_MAX,
        uid=int(uids.pop()) if len(uids) == 1 else -1,
        groups=_groups(_read(directory, "cgroup")),
        tracer=int(status.get("TracerPid", "0")),
        cpu=sum(int(ticks) for ticks in fields[11:15]),
    )
    return _looked_into(plain, directory) if deep else plain


def _looked_into(process: Process, directory: int) -> Process:
    plain = vars(process)
    threads = _threads(directory)
    if process.state == "Z":
        return Process(**{**plain, "deep": True, "threads": threads})
    try:
        moved = dict(line.split(": ") for line in _read(directory, "io").splitlines())
        more = {
            "deep": True,
            "cwd": os.readlink("cwd", dir_fd=directory),
            "files": _files(directory),
            "read": int(moved["rchar"]),
            "written": int(moved["write_bytes"]),
        }
    except (OSError, ValueError, KeyError):  # another user's, or one that keeps others out
        more = {}
    return Process(**{**plain, **more, "threads": threads})


def _arguments(line: bytes) -> tuple[str, ...]:
    """The first arguments. Hundreds of processes are held at once, and any user may start some of 2 MB."""
    kept = line[:_ARGV_MAX].split(b"\0", _ARGUMENTS_MAX)[:_ARGUMENTS_MAX]
    return tuple(argument.decode("utf-8", "surrogateescape") for argument in kept) if line else ()


def _read(directory: int, name: str) -> str:
    return _bytes(directory, name).decode("utf-8", "surrogateescape")


def _bytes(directory: int, name: str) -> bytes:
    handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    with open(handle, "rb") as file:
        return file.read(_READ_MAX)


def _groups(text: str) -> tuple[str, ...]:
    rows = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
    return tuple(path for _number, kind, path in rows if kind in ("", "name=systemd"))


def _files(directory: int) -> tuple[tuple[int, str], ...]:
    listing = os.open("fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        found: list[tuple[int, str]] = []
        for name in sorted(os.listdir(listing), key=int)[:_FILES_MAX]:
            with contextlib.suppress(FileNotFoundError):
                found.append((int(name), os.readlink(name, dir_fd=listing)))
        return tuple(found)
    finally:
        os.close(listing)


def _threads(directory: int) -> tuple[tuple[str, str], ...]:
    listing = os.open("task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        found: list[tuple[str, str]] = []
        for name in sorted(os.listdir(listing), key=int)[:_THREADS_MAX]:
            with contextlib.suppress(OSError):
                stat = _read(listing, f"{name}/stat")
                found.append((stat[stat.rindex(")") + 2], _place(listing, name)))
        return tuple(found)
    finally:
        os.close(listing)


def _place(listing: int, name: str) -> str:
    """Where in the kernel a thread waits; "" where it does not, or that is not told."""
    try:
        place = _read(listing, f"{name}/wchan").strip()
    except OSError:
        return ""
    return "" if place == "0" else place


# Ending


@dataclass(frozen=True)
class Target:
    """The process that is to be ended: what was planned, not merely a pid."""

    pid: int
    start: int
    argv_hash: str


@dataclass
class Ending:
    """What came of it: ``done``, ``skipped`` (it had ended, or the pid is another's by now), or ``failed``."""

    result: str = ""
    msg: str = ""


class _Held:
    """A process held by a pidfd: a signal reaches it, or nobody. Without pidfds, it is only looked at again."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.ending = Ending()
        self.pidfd = -1
        self.weak = False
        self.signalled = ""
        self.refused = False

    def hold(self, refuse: Callable[[Process], str]) -> None:
        """Take hold of the process, then look whether it is still the one; set the ending where it is not."""
        opener = getattr(os, "pidfd_open", None)
        try:
            if opener is None or not hasattr(signal, "pidfd_send_signal"):
                self.weak = True
            else:
                self.pidfd = opener(self.target.pid)
        except ProcessLookupError:
            self.ending = Ending("skipped", "has ended by itself")
            return
        except OSError as error:
            if error.errno not in (
                errno.ENOSYS,
                errno.EPERM,
                errno.EINVAL,
                errno.ENOENT,
            ):  # the last two: a thread's id
                raise
            self.weak = True
        why = self._changed(refuse)
        if why:
            self.ending = Ending("skipped", why)

    def _changed(self, refuse: Callable[[Process], str]) -> str:
        now = read_process(self.target.pid)
        if now is None or now.state in "ZX":
            return "has ended by itself"
        if now.start != self.target.start:
            return "has ended by itself; its pid belongs to another process now, which was left alone"
        if now.argv_hash != self.target.argv_hash:
            return "runs another program by now, and was left alone"
        why = refuse(now)
        self.refused = bool(why)
        return why

    def send(self, number: signal.Signals) -> None:
        """Send a signal; set the ending where that is not possible."""
        try:
            if not self.weak:
                signal.pidfd_send_signal(self.pidfd, number)
            elif self.over():
                return
            else:
                os.kill(self.target.pid, number)
        except ProcessLookupError:
            return
        except PermissionError:
            self.ending = Ending("failed", f"{number.name} is not permitted")
            return
        if number != signal.SIGCONT:
            self.signalled = number.name

    def over(self) -> bool:
        """Whether the process has ended. What its parent has not yet taken note of, a zombie, has."""
        if not self.weak:
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            return bool(poll.poll(0))
        now = read_process(self.target.pid, deep=False)
        return now is None or now.start != self.target.start or now.state in "ZX"

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)


def end_processes(
    targets: Sequence[Target],
    *,
    grace_s: float,
    refuse: Callable[[Process], str] = lambda _process: "",
    kill_wait_s: float = KILL_WAIT_S,
) -> list[Ending]:
    """End processes: TERM to all, then KILL to those that are left after the grace; their death is seen, not supposed.

    Args:
        targets: parents before children.
        grace_s: how long TERM has to work.
        refuse: asked of each process when it is held and known to be the one; a text is why it, and with it all the
            others, are left alone.
        kill_wait_s: how long to wait for the end after KILL.
    """
    held = [_Held(target) for target in targets]
    try:
        for one in held:
            one.hold(refuse)
        going = [one for one in held if not one.ending.result]
        refused = next((one for one in held if one.refused), None)
        if refused:
            for one in going:
                one.ending = Ending("skipped", f"process {refused.target.pid} {refused.ending.msg}; so was this one")
            going = []
        for one in going:
            one.send(signal.SIGTERM)
            one.send(signal.SIGCONT)  # one that is stopped gets TERM only when it goes on
        _wait(going, grace_s)
        late = [one for one in going if not one.ending.result and not one.over()]
        for one in late:
            one.send(signal.SIGKILL)
        _wait(late, kill_wait_s)
        for one in going:
            if not one.ending.result:
                one.ending = _ending(one, grace_s)
    finally:
        for one in held:
            one.close()
    return [one.ending for one in held]


def _wait(held: Sequence[_Held], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not all(one.ending.result or one.over() for one in held):
        time.sleep(_POLL_S)


def _ending(one: _Held, grace_s: float) -> Ending:
    weaker = "; weaker proof: no pidfd here, its start time was compared" if one.weak else ""
    if not one.over():
        now = read_process(one.target.pid, deep=False)
        return Ending("failed", f"does not end, not by SIGKILL either (state {now.state if now else '?'}){weaker}")
    how = f"ended by {one.signalled}" if one.signalled else "has ended by itself"
    after = f" after {grace_s:g} s of SIGTERM" if one.signalled == "SIGKILL" else ""
    return Ending("done" if one.signalled else "skipped", f"{how}{after}{weaker}")
