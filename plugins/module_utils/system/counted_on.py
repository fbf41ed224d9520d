# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who counts on a directory that no process has open: who watches it, has it under way in a socket, or has it mounted.

A lease, which proves such things of a file, is not to be had on a directory.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
from array import array
from collections.abc import Iterable, Iterator

from ..shapes import one_line
from .proc import SMALL, file_tables, opened_at, small

Identity = tuple[int, int]

_LAYERS = (b"lowerdir", b"lowerdir+", b"datadir+", b"upperdir", b"workdir")
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_OPTIONS_END, _LAYERS_END = re.compile(rb"(?<!\\),"), re.compile(rb"(?<!\\):")
_MARK = re.compile(rb"^(?:inotify wd:\S+|fanotify) ino:([0-9a-f]+) sdev:([0-9a-f]+)", re.MULTILINE)
_UNDER_WAY = re.compile(rb"^scm_fds:\s*([1-9][0-9]*)", re.MULTILINE)
_AT_ONCE = 253  # SCM_MAX_FD of the kernel
_SO_PEEK_OFF, _PIDFD_GETFD = 42, 438
_MARKS_MAX = 1 << 24  # bytes of a list of what a process watches
_MINOR_BITS = 20  # of a device's number as the kernel itself has it


class Layers:
    """The directories that overlays show, of all mount namespaces; what is done to them below an overlay it loses."""

    def __init__(self) -> None:
        self._known: dict[Identity, str] = {}
        self._relative: dict[str, str] = {}
        seen = set()
        for process in ("self", *filter(str.isdecimal, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                namespace = os.readlink(f"/proc/{process}/ns/mnt")
                if namespace not in seen:
                    self._read(f"/proc/{process}")
                    seen.add(namespace)

    def _read(self, process: str) -> None:
        with open(f"{process}/mountinfo", "rb") as table:
            for line in table:
                left, _dash, right = line.rstrip(b"\n").partition(b" - ")
                kind, _source, options = [*right.split(b" ", 2), b"", b""][:3]
                if kind == b"overlay":
                    at = one_line(os.fsdecode(_plain(left.split(b" ")[4])), 100)
                    for layer in _layers(options):
                        self._take(process, layer, f"is a layer of the overlay that is mounted on {at}")

    def _take(self, process: str, layer: str, said: str) -> None:
        if not layer.startswith("/"):
            # Relative to where it was mounted from, which the kernel does not tell.
            self._relative[layer.strip("./")] = said
            return
        # An overlay may have come from another namespace, such as a container's root from the host's.
        for path in (layer, f"{process}/root{layer}"):
            with contextlib.suppress(OSError):
                facts = os.stat(path)
                self._known[facts.st_dev, facts.st_ino] = said

    def __bool__(self) -> bool:
        return bool(self._known or self._relative)

    def says(self, path: str, parts: Iterable[Identity]) -> str:
        """Why all that is in a directory stays, for people; empty where it is in no layer.

        Args:
            path: of the directory, below a root.
            parts: it and what it lies in, up to that root, which the site itself has named.
        """
        if self._known:
            found = next((self._known[part] for part in parts if part in self._known), "")
            if found:
                return found
        return next((said for layer, said in self._relative.items() if f"/{layer}/" in f"/{path}/"), "")


class Watched:
    """Directories that somebody watches, and whether any may be under way from one process to another."""

    def __init__(self) -> None:
        self._known: dict[Identity, str] = {}
        self._inodes: dict[int, str] = {}
        self._waiting: dict[Identity, str] = {}
        self._in_flight = ""
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            if int(pid) != os.getpid():
                with contextlib.suppress(OSError):
                    self._look(pid)

    def _look(self, pid: str) -> None:
        with opened_at(-1, f"/proc/{pid}") as process:
            for table in _tables(process):
                with opened_at(table, "fd") as handle:
                    names = os.listdir(handle)
                    for name in names:
                        with contextlib.suppress(OSError):
                            self._note(process, table, name, os.readlink(name, dir_fd=handle))

    def _note(self, process: int, table: int, name: str, what: str) -> None:
        if what.startswith("socket:"):
            count = _UNDER_WAY.search(small(table, f"fdinfo/{name}"))
            if count:
                self._take_what_waits(process, table, int(name), int(count[1]))
        elif what in ("anon_inode:inotify", "inotify", "anon_inode:[fanotify]"):
            for inode, device in _MARK.findall(_whole(table, f"fdinfo/{name}")):
                number, major = int(inode, 16), int(device, 16) >> _MINOR_BITS
                minor = int(device, 16) & ((1 << _MINOR_BITS) - 1)
                said = self._known.setdefault((os.makedev(major, minor), number), f"is watched by {_who(process)}")
                self._inodes[number] = said

    def _take_what_waits(self, process: int, table: int, number: int, count: int) -> None:
        """Files that wait in the queue of a socket, which no table of open files shows: a look at them takes none."""
        said = f"waits in a socket of {_who(process)} (descriptor {number})"
        found = _waiting(int(os.path.basename(os.readlink(f"/proc/self/fd/{process}"))), table, number)
        for facts in found:
            if stat.S_ISDIR(facts.st_mode):
                self._waiting[facts.st_dev, facts.st_ino] = said
        if len(found) < count:
            self._in_flight = self._in_flight or f"something of which no more is known {said}"

    def says(self, identity: Identity) -> tuple[str, str]:
        """Why a directory is not removed: a reason of a word, and for people; both empty where nobody is known to care.

        Args:
            identity: of the directory.
        """
        device, inode = identity
        # Without a device of its own, such as on btrfs, a file system may have one number here and another one there.
        said = self._known.get(identity) or ("" if os.major(device) else self._inodes.get(inode, ""))
        return ("open", said) if said else self.waits(identity)

    def waits(self, identity: Identity) -> tuple[str, str]:
        """The same where only somebody counts who has it under way, and not who watches it."""
        if identity in self._waiting:
            return "open", self._waiting[identity]
        doubt = self._in_flight and f"nobody can say whether a process has it open: {self._in_flight}"
        return ("unproven", doubt) if doubt else ("", "")


def _who(process: int) -> str:
    pid = os.path.basename(os.readlink(f"/proc/self/fd/{process}"))
    return f"pid {pid} ({one_line(small(process, 'comm').decode('utf-8', 'replace'))})"


def _tables(process: int) -> Iterator[int]:
    """A thread of each table of open files of a process, as an open directory."""
    with opened_at(process, "task") as tasks:
        for task in os.listdir(tasks):
            with contextlib.suppress(OSError), opened_at(tasks, task) as living:
                if small(living, "stat").rpartition(b")")[2].split()[0] not in (b"Z", b"X"):
                    yield from file_tables(process, living)
                    return


def _waiting(pid: int, table: int, number: int) -> list[os.stat_result]:
    """The files that wait in a socket of another process, as far as they can be looked at."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.pidfd_open(pid)
        try:
            copy = _copied(handle, number)
        finally:
            os.close(handle)
        with socket.socket(fileno=copy) as peer:
            is_same = os.fstat(copy).st_ino == os.stat(f"fd/{number}", dir_fd=table).st_ino
            if not is_same or peer.family != socket.AF_UNIX or _has_offset(peer):
                return []
            _data, sent, _flags, _address = peer.recvmsg(
                1, socket.CMSG_SPACE(_AT_ONCE * array("i").itemsize), socket.MSG_PEEK | socket.MSG_DONTWAIT
            )
        found = array("i")
        for level, kind, data in sent:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                found.frombytes(data[: len(data) - len(data) % found.itemsize])
        try:
            return [os.fstat(fd) for fd in found]
        finally:
            for fd in found:
                os.close(fd)
    return []


def _has_offset(peer: socket.socket) -> bool:
    """Whether to look would move what its process has still to look at."""
    return peer.getsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF) >= 0


def _copied(handle: int, number: int) -> int:
    """A descriptor of another process as one of ours."""
    import ctypes  # late: only where something is under way

    found = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, handle, number, 0)
    if found < 0:
        raise OSError(ctypes.get_errno(), "the descriptor cannot be had")
    return int(found)


def _whole(directory: int, name: str) -> bytes:
    with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory), "rb", buffering=SMALL) as file:
        return file.read(_MARKS_MAX)


def _layers(options: bytes) -> Iterator[str]:
    for option in _OPTIONS_END.split(options):
        name, _equals, value = option.partition(b"=")
        if name in _LAYERS:
            value = _plain(value)
            several = _LAYERS_END.split(value) if name == b"lowerdir" else [value]
            yield from (os.fsdecode(re.sub(rb"\\(.)", rb"\1", one)) for one in several if one)


def _plain(path: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: bytes([int(found.group(1), 8)]), path)
