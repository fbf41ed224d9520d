# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes as /proc shows them."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import pwd
import re
import signal
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from ..redact import Redactor
from ..shapes import one_line
from .proc import MappedFile, file_tables, mapped_files, opened_at, small

TICKS = os.sysconf("SC_CLK_TCK")
_CLOCK_OF_PROCESS = 2  # CPUCLOCK_SCHED, as clock_getcpuclockid(3) makes it of a pid

_ARGV_MAX = 1 << 16
_ARGUMENTS_MAX = 2048
_PATHS_MAX = 256
_QUEUE_SIZE = 80  # FILENT_SIZE of the kernel
_ARGUMENTS_SHOWN = 60
_ARGUMENT_SHOWN = 300
# By whatever longer name: imageio brings one of its own, called ffmpeg-linux-x86_64-v7.0.2
FFMPEG = ("ffmpeg", "ffmpeg-*")
_WILD = re.compile(r"[*?\[]")
_MUXER = re.compile(r"[0-9]+ \(mux[0-9]+:")
_AT_A_LOCK = "futex"


class OpenFile(NamedTuple):
    """A descriptor: what it is of by device and inode, and how far it has got.

    Attributes:
        number: of the descriptor.
        device: of the file.
        inode: of the file.
        mode: its type, as ``st_mode`` has it; without one for what is no file at all, such as an io_uring.
        path: as the kernel shows it; empty for sockets and pipes.
        writes: whether it is open for writing.
        position: its offset, -1 where that is not looked at; of a message queue the moment of its last use.
        links: how many names its file has left.
    """

    number: int
    device: int
    inode: int
    mode: int
    path: str
    writes: bool
    position: int
    links: int = 1


class Argument(NamedTuple):
    """An argument that is a path for the process itself, in its own mount namespace.

    Attributes:
        number: its place in the command line.
        device: of the file that it leads to, or else of the directory that the file would be in.
        inode: likewise.
        exists: whether the file is there.
    """

    number: int
    device: int
    inode: int
    exists: bool


class Counters(NamedTuple):
    """What the kernel counts of a process, all of its threads together; -1 is unknown.

    Attributes:
        run_ns: time on a processor.
        wait_ns: time in wait of one.
        read: bytes read by calls, also from pipes and the cache, but not from sockets by recv().
        written: bytes written by calls, likewise; of an ffmpeg without those by which its first thread tells how far
            it has got, twice a second and also where nothing goes on. Its output is written by threads of their own.
        faults: pages that were not there when they were touched.
        slices: how often it got a processor.
        gone_ns: of its time on a processor that of threads which have ended.
        muxed: how often the muxers of an ffmpeg got a processor that now wait for what they are to write. Nothing else
            wakes one, and what it does with that may have no counter, as with an output of nothing.
    """

    run_ns: int = -1
    wait_ns: int = -1
    read: int = -1
    written: int = -1
    faults: int = -1
    slices: int = -1
    gone_ns: int = 0
    muxed: int = 0

    @property
    def moved(self) -> tuple[int, int]:
        """Bytes read and written, by which it is told whether a process goes on."""
        return self.read, self.written


UNCOUNTED = Counters()


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
        cpu_ended: of these those of its children.
        ended: faults of its children that have ended; each had some.
        deep: whether the rest could be read.
        cwd: path of the current directory.
        cwd_key: its device and inode.
        files: what it has open, of all its threads.
        maps: files that it has mapped.
        paths: arguments that are paths.
        threads: state and, where the kernel tells, place of waiting of each thread.
        counters: what it has done so far.
        net: its network namespace.
        pids: its namespace of processes.
        is_init: whether it is the first one there, with which all others there end.
        muxes: whether it is an ffmpeg, also by the names of its threads.
        stack: where its stack begins, which is another place with each program that it becomes; 0 where not told.
        forgets: whether it ignores what becomes of its children, whose figures then are counted nowhere.
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
    cpu_ended: int = 0
    ended: int = 0
    deep: bool = False
    cwd: str = ""
    cwd_key: tuple[int, int] = (0, 0)
    files: tuple[OpenFile, ...] = ()
    maps: tuple[MappedFile, ...] = ()
    paths: tuple[Argument, ...] = ()
    threads: tuple[tuple[str, str], ...] = ()
    counters: Counters = UNCOUNTED
    net: str = ""
    pids: str = ""
    is_init: bool = False
    muxes: bool = False
    stack: int = 0
    forgets: bool = False

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
        """Whether it is one of these programs, by the names it goes by. A name may have wildcards."""
        names = {self.name, os.path.basename(self.argv[0])} if self.argv else {self.name}
        return any(
            one in names or (_WILD.search(one) and any(fnmatch.fnmatchcase(name, one) for name in names))
            for one in programs
        )


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


def read_living(pid: int) -> Process | None:
    """A process that has not ended, not looked into; None where there is none with this pid."""
    process = read_process(pid, deep=False)
    return process if process and process.state not in "ZX" else None


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


def user_name(uid: int) -> str:
    """A user's name, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "several users" if uid == -1 else f"uid {uid}"


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
    line = _whole(directory, "cmdline").removesuffix(b"\0")
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
        cpu_ended=sum(int(ticks) for ticks in fields[13:15]),
        ended=int(fields[8]) + int(fields[10]),
        is_init=status.get("NSpid", "").split()[1:][-1:] == ["1"],
        stack=int(fields[25]),
        forgets=bool(int(status.get("SigIgn", "0"), 16) >> (signal.SIGCHLD - 1) & 1),
    )
    return _looked_into(plain, directory) if deep else plain


def _looked_into(process: Process, directory: int) -> Process:
    plain = vars(process)
    if process.state == "Z" and not _tasks(directory)[1:]:
        return Process(**{**plain, "deep": True})
    threads, (run_ns, wait_ns, slices), living, muxed = _threads(directory, process.pid)
    gone_ns = max(_clock_ns(process.pid) - run_ns, 0) if run_ns >= 0 else 0
    muxes = muxed >= 0 and process.runs(FFMPEG)
    try:
        moved = _io(directory, "io")
        told = _io(directory, f"task/{process.pid}/io")["wchar"] if muxes else 0
        at = _living(directory, living)
        try:
            facts = os.stat("cwd", dir_fd=at)
            more = {
                "deep": True,
                "cwd": os.readlink("cwd", dir_fd=at),
                "cwd_key": (facts.st_dev, facts.st_ino),
                "files": tuple(_files(directory, at)),
                "maps": tuple(mapped_files(_whole(at, "maps"))),
                "paths": tuple(_paths(process.argv, at)),
                "net": os.readlink("ns/net", dir_fd=at),
                "pids": os.readlink("ns/pid", dir_fd=at),
                "muxes": muxes,
                "counters": Counters(
                    run_ns=run_ns,
                    wait_ns=wait_ns,
                    read=moved["rchar"],
                    written=moved["wchar"] - told,
                    faults=_faults(_read(directory, "stat")),
                    slices=slices,
                    gone_ns=gone_ns,
                    muxed=muxed if muxes else 0,
                ),
            }
        finally:
            os.close(at)
    except (OSError, ValueError, KeyError):  # another user's, or one that keeps others out
        more = {}
    return Process(**{**plain, **more, "threads": threads})


def _living(directory: int, task: str) -> int:
    """The directory of a thread that lives: the first one of a process may have ended, and shows nothing any more."""
    return os.open(f"task/{task}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)


def _arguments(line: bytes) -> tuple[str, ...]:
    """The first arguments. Hundreds of processes are held at once, and any user may start some of 2 MB."""
    kept = line[:_ARGV_MAX].split(b"\0", _ARGUMENTS_MAX)[:_ARGUMENTS_MAX]
    return tuple(argument.decode("utf-8", "surrogateescape") for argument in kept) if line else ()


def _read(directory: int, name: str) -> str:
    return small(directory, name).decode("utf-8", "surrogateescape")


def _whole(directory: int, name: str) -> bytes:
    """All that a file of /proc holds; the kernel gives long ones in pieces."""
    handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    with open(handle, "rb", buffering=0) as file:
        return file.readall()


def _groups(text: str) -> tuple[str, ...]:
    rows = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
    return tuple(path for _number, kind, path in rows if kind in ("", "name=systemd"))


def _files(directory: int, at: int) -> Iterator[OpenFile]:
    """All that a process has open. Threads may have tables of their own; those are looked at where they differ."""
    seen: set[tuple[int, int, int]] = set()
    for task in file_tables(directory, at):
        with opened_at(task, "fd") as listing, opened_at(task, "fdinfo") as infos:
            for name in sorted(os.listdir(listing), key=int):
                with contextlib.suppress(FileNotFoundError):
                    found = _descriptor(listing, infos, name)
                    key = (found.number, found.device, found.inode)
                    if key not in seen:
                        seen.add(key)
                        yield found


def _descriptor(listing: int, infos: int, name: str) -> OpenFile:
    facts = os.stat(name, dir_fd=listing)
    path, writes, position = "", False, -1
    if not (stat.S_ISSOCK(facts.st_mode) or stat.S_ISFIFO(facts.st_mode)):
        path = os.readlink(name, dir_fd=listing)
    if stat.S_ISREG(facts.st_mode):
        info = dict(line.split(b":", 1) for line in small(infos, name).splitlines() if b":" in line)
        writes = int(info[b"flags"], 8) & os.O_ACCMODE != os.O_RDONLY
        position = int(info[b"pos"])
        if _is_queue(facts, path):
            writes, position = False, facts.st_ctime_ns
    return OpenFile(int(name), facts.st_dev, facts.st_ino, facts.st_mode, path, writes, position, facts.st_nlink)


def _is_queue(facts: os.stat_result, path: str) -> bool:
    """Whether it is a message queue of POSIX, which is a file of its own kind, and tells when it was used last."""
    is_of_kernel = facts.st_size == _QUEUE_SIZE and not facts.st_blocks and not os.major(facts.st_dev)
    return is_of_kernel and path.removesuffix(" (deleted)").count("/") == 1


def _paths(argv: Sequence[str], at: int) -> Iterator[Argument]:
    """Arguments that lead to a file, or into a directory in which one would be made, as the process itself sees it."""
    looked, elsewhere = 0, _is_elsewhere(at)
    for number, argument in enumerate(argv[1:], 1):
        path = argument.removeprefix("file:") if argument.startswith("file:") else argument
        if not path or path[0] == "-" or "\0" in path or len(path) > 4096 or (path[0] != "/" and ":" in path):
            continue
        looked += 1
        if looked > _PATHS_MAX:
            return
        own = f"root{path}" if path[0] == "/" else f"cwd/{path}"
        for where, exists in ((own, True), (os.path.dirname(own), False)):
            with contextlib.suppress(OSError):
                facts = os.stat(where, dir_fd=at)
                if not (elsewhere and _has_link(where, at)):
                    yield Argument(number, facts.st_dev, facts.st_ino, exists)
                break


def _is_elsewhere(at: int) -> bool:
    """Whether a process has another root, or other mounts, than this one."""
    root, own = os.stat("root", dir_fd=at), os.stat("/")
    mounts = os.readlink("ns/mnt", dir_fd=at) != os.readlink("/proc/self/ns/mnt")
    return mounts or (root.st_dev, root.st_ino) != (own.st_dev, own.st_ino)


def _has_link(path: str, at: int) -> bool:
    """Whether a path from another root passes through a symbolic link, which could lead on from this one's root."""
    parts = path.split("/")
    return any(
        stat.S_ISLNK(os.stat("/".join(parts[:end]), dir_fd=at, follow_symlinks=False).st_mode)
        for end in range(2, len(parts) + 1)
        if parts[end - 1]
    )


def _tasks(directory: int) -> list[str]:
    with opened_at(directory, "task") as listing:
        return sorted(os.listdir(listing), key=int)


def _io(directory: int, name: str) -> dict[str, int]:
    return {key: int(value) for key, value in (line.split(": ") for line in _read(directory, name).splitlines())}


def _threads(directory: int, pid: int) -> tuple[tuple[tuple[str, str], ...], tuple[int, ...], str, int]:
    """State and place of each thread; how long they ran and waited for a processor, and how often they got one; and
    one that lives.

    And how often those got one that are muxers of an ffmpeg and wait for what they are to write, -1 where there is no
    muxer: since version 6 these are threads of their own with a name of their own.
    """
    found: list[tuple[str, str]] = []
    times: tuple[int, ...] = (0, 0, 0)
    living = str(pid)
    dead, muxed = True, -1
    with opened_at(directory, "task") as listing:
        for name in sorted(os.listdir(listing), key=int):
            with contextlib.suppress(OSError):
                text = _read(listing, f"{name}/stat")
                state = text[text.rindex(")") + 2]
                found.append((state, _place(listing, name)))
                if dead and state not in "ZX":
                    living, dead = name, False
                before = times[2]
                if times[0] >= 0:
                    times = _with(times, listing, name)
                if _MUXER.match(text):
                    muxed = max(muxed, 0) + (max(times[2] - before, 0) if _AT_A_LOCK in found[-1][1] else 0)
    return tuple(found), times, living, muxed


def _with(times: tuple[int, ...], listing: int, name: str) -> tuple[int, ...]:
    """The sums with those of one more thread."""
    try:
        more = [int(text) for text in small(listing, f"{name}/schedstat").split()]
        return times[0] + more[0], times[1] + more[1], times[2] + more[2]
    except (OSError, ValueError, IndexError):  # a kernel that does not keep it
        return -1, -1, -1


def _clock_ns(pid: int) -> int:
    """Time on a processor of all threads that a process ever had; 0 where that is not told."""
    try:
        return time.clock_gettime_ns(~pid << 3 | _CLOCK_OF_PROCESS)
    except OSError:
        return 0


def _faults(text: str) -> int:
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[7]) + int(fields[9])


def _place(listing: int, name: str) -> str:
    """Where in the kernel a thread waits; "" where it does not, or that is not told."""
    try:
        place = _read(listing, f"{name}/wchan").strip()
    except OSError:
        return ""
    return "" if place == "0" else place
