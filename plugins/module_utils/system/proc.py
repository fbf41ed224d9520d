# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single things that /proc tells, for those who need no whole process (processes.py) and no environment of one."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator
from typing import Callable, NamedTuple

_TEXT_MAX = 65536
SMALL = 1 << 13
_KCMP = {"x86_64": 312, "aarch64": 272, "ppc64le": 354, "s390x": 343}
_KCMP_FILES = 2


class MappedFile(NamedTuple):
    """A file mapped into memory; ``writes`` where what is written there gets into the file, ``runs`` a program's."""

    device: int
    inode: int
    path: str
    writes: bool
    runs: bool = False


def lock_holder(paths: Iterable[str]) -> tuple[int, str] | None:
    """The process that holds a lock on one of these files, and which: whoever may not open them may see that, too."""
    files: dict[str, str] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            facts = os.stat(path)
            files[f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}:{facts.st_ino}"] = path
    with contextlib.suppress(OSError), open("/proc/locks", encoding="ascii") as table:
        for line in table:
            fields = line.split()  # 1: POSIX ADVISORY WRITE 222 00:3b:16212316 0 EOF; after "->" it only waits
            if len(fields) > 5 and fields[1] != "->" and fields[5] in files and int(fields[4]) > 0:
                return int(fields[4]), files[fields[5]]
    return None


def command_line(pid: int) -> str:
    """The arguments of a process, with spaces between; "" where it has ended, and for a thread of the kernel."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read(4096).replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return ""


def boot_id() -> str:
    """What names this boot of the machine; "" where that is not told."""
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read(100).strip()
    return ""


def resident_bytes(pid: int) -> int | None:
    """How much memory a process has in use; None where that is not told."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def kernel_text(name: str) -> str:
    """What the kernel tells under a name, such as ``meminfo`` or ``pressure/cpu``.

    Raises:
        OSError: it does not.
    """
    with open(f"/proc/{name}", encoding="ascii") as file:
        return file.read(_TEXT_MAX)


def small(directory: int, name: str) -> bytes:
    """What a file of an open directory in /proc holds, of the small ones that the kernel gives in one piece."""
    handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.read(handle, SMALL)
    finally:
        os.close(handle)


def mapped_files(text: bytes) -> Iterator[MappedFile]:
    """The files of a list of mappings, each once for reading or writing."""
    seen: set[tuple[bytes, bytes, bool]] = set()
    rows = [line.split(None, 5) for line in text.splitlines()]  # 7f00-7f01 rw-s 00000000 08:01 1234  /path
    programs = {(fields[3], fields[4]) for fields in rows if fields[1][2:3] == b"x"}
    for fields in rows:
        # Memory that processes share has a number for an inode, of which the first one is 0.
        if len(fields) < 6 or (fields[4] == b"0" and not fields[5].startswith(b"/SYSV")):
            continue
        writes = fields[1][1:2] == b"w" and fields[1][3:4] == b"s"
        key = (fields[3], fields[4], writes)
        if key in seen:
            continue
        seen.add(key)
        major, _colon, minor = fields[3].partition(b":")
        device, runs = os.makedev(int(major, 16), int(minor, 16)), key[:2] in programs
        yield MappedFile(device, int(fields[4]), os.fsdecode(fields[5]), writes, runs)


@contextlib.contextmanager
def opened_at(directory: int, name: str) -> Iterator[int]:
    """A directory within an open one, open."""
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        yield handle
    finally:
        os.close(handle)


def file_tables(process: int, living: int) -> Iterator[int]:
    """One thread of each table of open files that a process has: nearly always all of its threads share one.

    Args:
        process: its open directory in /proc.
        living: the open directory of a thread of it that has not ended, the first to be given.

    Yields:
        The open directory of a thread, valid until the next one is asked for.
    """
    yield living
    listing = os.open("task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=process)
    try:
        tasks = [int(name) for name in os.listdir(listing)]
        if len(tasks) < 2:
            return
        first = int(os.readlink(f"/proc/self/fd/{living}").rpartition("/")[2])
        for task in tasks:
            if task == first or _share_files(first, task):
                continue
            with contextlib.suppress(FileNotFoundError), opened_at(listing, str(task)) as handle:
                yield handle
    finally:
        os.close(listing)


def _share_files(one: int, other: int) -> bool:
    """Whether two threads are known to have the same table of open files."""
    call = _kcmp()
    return call is not None and call(one, other, _KCMP_FILES, 0, 0) == 0


@functools.lru_cache(maxsize=1)
def _kcmp() -> Callable[..., int] | None:
    import ctypes  # late: processes of one thread are the rule

    number = _KCMP.get(os.uname().machine)
    return None if number is None else functools.partial(ctypes.CDLL(None).syscall, number)


def is_frozen(groups: Iterable[str]) -> bool:
    """Whether one of these control groups is frozen, as a container that was paused is."""
    for group in groups:
        for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
            with contextlib.suppress(OSError), open(f"{top}{group}/cgroup.events", encoding="ascii") as file:
                if "frozen 1" in file.read(_TEXT_MAX).splitlines():
                    return True
        with (
            contextlib.suppress(OSError),
            open(f"/sys/fs/cgroup/freezer{group}/freezer.state", encoding="ascii") as file,
        ):
            if file.read(64).strip() != "THAWED":
                return True
    return False
