# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether anybody has a file in use: one question for all that delete, asked by device and inode, never by path.

A write lease that the kernel grants proves that nobody has the file open, in whatever process, thread, container or
queue of a socket, on a local file system that is not layered. Where none is to be had, /proc has to do, and only where
all of it could be read. Else it is not proved, which keeps the file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..opener import open_regular_at
from ..shapes import one_line
from .proc import file_tables, mapped_files, opened_at, small
from .tree import mount_id

_PROCESSES_MAX = 20
_ROUNDS_MAX = 5
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel: from no other are all to be seen

# A lease says nothing of who opens a file by another layer, or on another host.
_LOCAL = frozenset(
    {
        *("bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "jfs", "nilfs2", "ntfs3", "ramfs"),
        *("reiserfs", "tmpfs", "udf", "vfat", "xfs", "zfs"),
    }
)
_LAYERED = frozenset({"overlay", "aufs"})
# With overlay's xino the highest bits of an inode's number tell its layer.
_INODE_OF_LAYER = (1 << 48) - 1
NOT_CLAIMED = {
    "changed": "was written to, moved or replaced meanwhile",
    "gone": "is not there any more",
    "open": "a process that cannot be told has it open",
    "unproven": "nobody can say whether a process has it open: there is no lease, and not all of /proc could be read",
}
"""Why :func:`claimed` does not hold a file, for people who are told no more."""


def file_system(fd: int) -> str:
    """The type of the file system of an open file, such as ``ext4``; empty where it is not told."""
    wanted = str(mount_id(fd))
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            if line.split(" ", 1)[0] == wanted:
                return line.rpartition(" - ")[2].split(" ", 1)[0]
    return ""


@dataclass
class _Holder:
    """Who has files open; ``deleted`` are those of them that have no name any more, with their bytes."""

    pid: int
    name: str
    deleted: dict[tuple[int, int], int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.name})" if self.pid else self.name

    def shown(self, device: int | None) -> dict[str, Any]:
        deleted = _on(self.deleted, device)
        return {"pid": self.pid, "name": self.name, "files": len(deleted), "bytes": sum(deleted)}


class OpenFiles:
    """A look at all processes that may be looked at, taken once: threads, descriptors, mappings, directories.

    Args:
        devices: of the files that are asked for.
        but: processes that are not looked at.

    Attributes:
        unseen: why not every process of the host was seen, for people; empty where all were, as only root sees them.
    """

    def __init__(self, devices: set[int], *, but: Iterable[int] = ()) -> None:
        self._open: dict[tuple[int, int], _Holder] = {}
        self._inodes: dict[int, _Holder] = {}
        self._deleted: dict[tuple[int, int], int] = {}
        self._holders: list[_Holder] = []
        self._unseen = 0
        self._devices = devices
        self._types: dict[int, str] = {}
        self._in_flight: str | None = None
        seen = {str(pid) for pid in (os.getpid(), *but)}
        restless = False
        for _round in range(_ROUNDS_MAX):
            # Who starts while others are looked at may have been given a file by one that has ended since.
            new = [name for name in os.listdir("/proc") if name.isdecimal() and name not in seen]
            if not new:
                break
            for name in new:
                self._look(int(name))
            seen.update(new)
        else:
            restless = True
        self._look_at_kernel()
        self.unseen = self._why_unseen(restless=restless)

    def _why_unseen(self, *, restless: bool) -> str:
        reasons = ["processes started faster than they could be looked at"] if restless else []
        if os.geteuid() or self._unseen:
            reasons.append(f"this user must not look into {self._unseen} of the processes")
        elif not _sees_all():
            reasons.append("from within a container only its own processes are seen")
        return ", and ".join(reasons)

    @property
    def complete(self) -> bool:
        """Whether every process of the host was seen."""
        return not self.unseen

    def _look(self, pid: int) -> None:
        try:
            process = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # it has ended
            return
        try:
            holder = _Holder(pid, one_line(small(process, "comm").decode("utf-8", "replace")))
            self._look_into(process, holder)
            if holder.deleted:
                self._holders.append(holder)
        except PermissionError:
            self._unseen += 1
        except OSError:  # it has ended
            pass
        finally:
            os.close(process)

    def _look_into(self, process: int, holder: _Holder) -> None:
        living = -1
        try:
            for task in _names(process, "task"):
                at = os.open(f"task/{task}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=process)
                # A thread that has ended shows nothing any more, and may be the first one.
                is_dead = small(at, "stat").rpartition(b")")[2].split()[0] in (b"Z", b"X")
                if not is_dead:
                    for place in ("cwd", "root"):
                        self._note(os.stat(place, dir_fd=at), holder)
                if is_dead or living >= 0:
                    os.close(at)
                else:
                    living = at
            if living < 0:
                return
            for at in file_tables(process, living):
                for name in _names(at, "fd"):
                    with contextlib.suppress(FileNotFoundError):
                        self._note(os.stat(f"fd/{name}", dir_fd=at), holder)
            with contextlib.suppress(FileNotFoundError):  # a thread of the kernel
                self._note(os.stat("exe", dir_fd=living), holder)
            with open(os.open("maps", os.O_RDONLY | os.O_CLOEXEC, dir_fd=living), "rb", buffering=0) as file:
                for one in mapped_files(file.readall()):
                    # By its inode as well: btrfs and layered file systems show another device there than anywhere else.
                    self._inodes.setdefault(one.inode, holder)
                    self._open.setdefault((one.device, one.inode), holder)
        finally:
            if living >= 0:
                os.close(living)

    def _note(self, facts: os.stat_result, holder: _Holder) -> None:
        key = (facts.st_dev, facts.st_ino)
        if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
            if facts.st_dev in self._devices:
                holder.deleted[key] = self._deleted[key] = facts.st_blocks * 512
        elif stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode) or self._is_fifo(facts):
            self._open.setdefault(key, holder)
            self._inodes.setdefault(facts.st_ino & _INODE_OF_LAYER, holder)

    def _is_fifo(self, facts: os.stat_result) -> bool:
        """Whether it is a FIFO that has a name, as pipes have none."""
        return stat.S_ISFIFO(facts.st_mode) and facts.st_dev in self._devices

    def _look_at_kernel(self) -> None:
        """Files that no process has open, but the kernel itself: below a loop device, or swap."""
        paths: dict[str, str] = {}
        with contextlib.suppress(OSError):
            for device in os.listdir("/sys/block"):
                with contextlib.suppress(OSError), open(f"/sys/block/{device}/loop/backing_file", "rb") as file:
                    paths[os.fsdecode(file.read().rstrip(b"\n"))] = f"the kernel, as {device}"
        with contextlib.suppress(OSError), open("/proc/swaps", "rb") as file:
            for line in file.read().splitlines()[1:]:
                paths[os.fsdecode(line.split()[0])] = "the kernel, as swap"
        for path, name in paths.items():
            with contextlib.suppress(OSError):
                self._note(os.stat(path), _Holder(0, name))

    def holder(self, facts: os.stat_result) -> str:
        """Who has a file open or works in a directory, for people; empty where nobody is known to."""
        found = self._open.get((facts.st_dev, facts.st_ino))
        return str(found) if found else ""

    def is_local(self, fd: int, device: int) -> bool:
        """Whether a lease proves anything: on a file system of this host alone, of which there is one way to open."""
        return self._type(fd, device) in _LOCAL

    def why_unproven(self, fd: int, facts: os.stat_result) -> str:
        """Empty where /proc proves that nobody has an open file in use where leases do not; else open, or unproven."""
        kind = self._type(fd, facts.st_dev)
        if kind in _LAYERED and facts.st_ino & _INODE_OF_LAYER in self._inodes:
            return "open"
        if kind not in _LOCAL | _LAYERED or not self.complete:
            return "unproven"
        if self._in_flight is None:
            self._in_flight = _in_flight()
        return "unproven" if self._in_flight else ""

    def says(self, facts: os.stat_result, why: str = "open") -> str:
        """For people, of a file that is open or unproven: who has it open, or why nobody can say.

        Args:
            facts: of the file.
            why: what :func:`claimed` says of it.

        Returns:
            Empty for any other reason, and for none.
        """
        if why not in ("open", "unproven"):
            return ""
        kind = self._types.get(facts.st_dev, "")
        who = self.holder(facts)
        if not who and kind in _LAYERED:
            who = str(self._inodes.get(facts.st_ino & _INODE_OF_LAYER, ""))
        if who:
            return f"open by {who}"
        if why == "open":
            return f"open, by whom cannot be told: {self.unseen or 'it may be in a queue, or in the kernel'}"
        if kind and kind not in _LOCAL | _LAYERED:
            doubt = f"a file of {kind} may be open elsewhere, too"
        else:
            doubt = self.unseen or self._in_flight or "it must not be opened"
        return f"nobody can say whether a process has it open: {doubt}"

    def _type(self, fd: int, device: int) -> str:
        if device not in self._types:
            self._types[device] = file_system(fd)
        return self._types[device]

    def held(self, device: int | None = None) -> dict[str, Any]:
        """Deleted files that processes keep open, whose space and inodes are therefore not free.

        Args:
            device: on which they are; None for all.
        """
        holders = [shown for shown in (holder.shown(device) for holder in self._holders) if shown["files"]]
        holders.sort(key=lambda shown: -int(shown["bytes"]))
        deleted = _on(self._deleted, device)
        return {
            "files": len(deleted),
            "bytes": sum(deleted),
            "processes": holders[:_PROCESSES_MAX],
            "unseen_processes": self._unseen,
        }


def _on(files: Mapping[tuple[int, int], int], device: int | None) -> list[int]:
    """The bytes of each file that is on a device; of all without one."""
    return [size for (its_device, _inode), size in files.items() if device in (None, its_device)]


def _sees_all() -> bool:
    """Whether the processes that are to be seen from here are all of the host: a container sees its own only."""
    try:
        return os.readlink("/proc/self/ns/pid") == _INITIAL_PID_NAMESPACE
    except OSError:
        return False


def _names(directory: int, name: str) -> list[str]:
    with opened_at(directory, name) as handle:
        return os.listdir(handle)


def _in_flight() -> str:
    """Who keeps files where no table of descriptors shows them: in a socket's queue, or registered with an io_uring."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fdinfo"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{name}", "rb") as file:
                    for line in file.read(4096).splitlines():
                        what, _colon, count = line.partition(b":")
                        if what in (b"scm_fds", b"UserFiles") and count.strip() not in (b"0", b""):
                            return f"pid {pid} has {os.fsdecode(count.strip())} files in flight (descriptor {name})"
    return ""


@contextlib.contextmanager
def claimed(
    directory: int, name: str, facts: os.stat_result, open_files: OpenFiles
) -> Iterator[tuple[int | None, str]]:
    """Hold a file so that nobody else has it open, and nobody opens it meanwhile.

    A write lease proves it: the kernel grants none while any process of the host has the file open, in whatever
    container and of whatever user, and makes whoever opens it then wait. A lease is for the file's owner and for
    root. Where there is none to be had, /proc has to do, and only where all of it could be read.

    Yields:
        The open file where there is a lease on it; and empty text while it is held, else why it is not: open, unproven
        (somebody may have it open), changed, gone.
    """
    if open_files.holder(facts):
        yield None, "open"
        return
    try:
        fd = open_regular_at(directory, name)
    except OSError as error:
        reasons = {errno.ENOENT: "gone", errno.EAGAIN: "open", errno.EACCES: "unproven", errno.EPERM: "unproven"}
        yield None, reasons.get(error.errno or 0, "changed")
        return
    try:
        held, why = _lease(fd, facts, open_files)
        yield fd if held else None, why
    finally:
        os.close(fd)  # and with it the lease


def _lease(fd: int, facts: os.stat_result, open_files: OpenFiles) -> tuple[bool, str]:
    now = os.fstat(fd)
    if (now.st_dev, now.st_ino) != (facts.st_dev, facts.st_ino):
        return False, "changed"
    try:
        lease(fd, fcntl.F_WRLCK)
    except OSError as error:
        return False, "open" if error.errno == errno.EAGAIN else open_files.why_unproven(fd, facts)
    if open_files.is_local(fd, facts.st_dev):
        return True, ""
    why = open_files.why_unproven(fd, facts)
    return not why, why


def lease(fd: int, kind: int) -> None:
    """Take a lease on an open file: ``F_WRLCK`` (nobody else has it open), ``F_RDLCK`` (nobody has it open to write).

    Raises:
        OSError: EAGAIN, somebody has; anything else, leases cannot be had here.
    """
    # The default signal for "somebody wants it" would end this process; this one is ignored by default.
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, kind)


def leased(fd: int, kind: int) -> bool:
    """Whether a lease still stands, and nobody waits for it to be given back."""
    return fcntl.fcntl(fd, fcntl.F_GETLEASE) == kind
