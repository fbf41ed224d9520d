# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is mounted where, in every mount namespace of the host that may be looked into.

The kernel lets a directory go that is a mount point in another namespace only, and takes the mount away with it. Mount
points are told by file system and path in it, which are the same for all namespaces and through every bind mount.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from ..shapes import one_line
from .tree import Root, mount_id

_Place = tuple[bytes, bytes]  # a file system's device, and a path in it
_Where = tuple[int, tuple[int, int]]
_ONE_THREAD = 3  # links of a process's directory "task"
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class _Mount(NamedTuple):
    number: bytes
    parent: bytes
    device: bytes
    top: bytes  # the path in its file system of what is mounted
    point: bytes


class MountPoint(NamedTuple):
    """A place on which something is mounted, or that is itself mounted elsewhere.

    Attributes:
        hides: whether something else is seen there; a directory that is mounted on itself, as systemd does it for
            ReadWritePaths=, is only not to be removed.
        pid: a process in whose mount namespace it is so; 0 for the namespace that is looked from.
        name: of that process.
        is_shown: whether it is what a mount shows elsewhere, such as a container's volume: nothing is mounted on it.
    """

    hides: bool
    pid: int = 0
    name: str = ""
    is_shown: bool = False

    @property
    def says(self) -> str:
        """What it is, and in whose mount namespace, for people."""
        where = f"in the mount namespace of pid {self.pid} ({self.name})" if self.pid else "of this mount namespace"
        return f"is mounted at another place {where}" if self.is_shown else f"is a mount point {where}"


class MountPoints:
    """A look at all mounts, taken once: a table for each mount namespace and each root directory in one.

    Attributes:
        namespaces: how many were seen.
        unseen_processes: whose namespace this user must not look into.
    """

    def __init__(self) -> None:
        self.unseen_processes = 0
        self._covered: dict[tuple[bytes, bytes], MountPoint] = {}
        self._shown: dict[tuple[bytes, bytes], MountPoint] = {}
        self._own = {mount.number: mount for mount in _table("/proc/self")}
        self._take(list(self._own.values()))
        seen = {_namespace("/proc/self")}
        for process in os.listdir("/proc"):
            if process.isdecimal():
                self._look(f"/proc/{process}", seen)
        self.namespaces = len({namespace for namespace, _root in seen})

    def _look(self, process: str, seen: set[_Where]) -> None:
        try:
            # Each thread for itself: one may have left its process's namespace, and a dead first one tells nothing.
            several = os.stat(f"{process}/task").st_nlink != _ONE_THREAD
            tasks = [f"{process}/task/{thread}" for thread in os.listdir(f"{process}/task")] if several else [process]
            for task in tasks:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    where = _namespace(task)
                    if where not in seen:
                        self._take(list(_table(task)), *_who(process), task)
                        seen.add(where)
        except PermissionError:
            self.unseen_processes += 1
        except OSError:  # it has ended
            return

    def _take(self, mounts: list[_Mount], pid: int = 0, name: str = "", task: str = "") -> None:
        by_number = {mount.number: mount for mount in mounts}
        above: _Place | None = None
        for mount in mounts:
            self._shown.setdefault((mount.device, mount.top), MountPoint(False, pid, name, is_shown=True))
            parent = by_number.get(mount.parent)
            if parent is None and task and mount.point != b"/":
                # Of a process that is in a chroot: its table leaves out what its own root is mounted from.
                above = above or self._root_of(task)
                key = (above[0], above[1].rstrip(b"/") + mount.point) if above else None
            else:
                place = _inside(parent, mount.point) if parent and parent is not mount else None
                key = (parent.device, place) if parent and place is not None else None
            if key is None:
                continue
            same = (mount.device, mount.top) == key
            known = self._covered.get(key)
            # The first that hides what is there is told, and this namespace, which is looked at before all others.
            if known is None or (not same and not known.hides):
                self._covered[key] = MountPoint(not same, pid, name)

    def _root_of(self, task: str) -> _Place | None:
        """The root directory of a process, where the path of that in its namespace leads to the same in this one."""
        with contextlib.suppress(OSError):
            theirs = os.stat(f"{task}/root")
            fd = os.open(os.readlink(f"{task}/root"), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                facts, mount = os.fstat(fd), self._own.get(b"%d" % mount_id(fd))
                place = _inside(mount, os.fsencode(os.readlink(f"/proc/self/fd/{fd}"))) if mount else None
            finally:
                os.close(fd)
            if mount and place is not None and (facts.st_dev, facts.st_ino) == (theirs.st_dev, theirs.st_ino):
                return mount.device, place
        return None

    def below(self, root: Root) -> dict[str, MountPoint]:
        """Mount points below a root, and what mounts show elsewhere, by their path below it."""
        mount = self._own.get(b"%d" % root.mount)
        top = _inside(mount, os.fsencode(root.path)) if mount else None
        if mount is None or top is None:
            return {}
        start = top.rstrip(b"/") + b"/"
        return {
            os.fsdecode(path[len(start) :]): point
            for (device, path), point in {**self._shown, **self._covered}.items()
            if device == mount.device and path.startswith(start) and path != start
        }

    def ways(self, root: Root) -> list[str]:
        """The other paths by which mounts of this namespace show a root: of itself, or of what it lies in."""
        mount = self._own.get(b"%d" % root.mount)
        top = _inside(mount, os.fsencode(root.path)) if mount else None
        if mount is None or top is None:
            return []
        found = set()
        for other in self._own.values():
            shown = other.top.rstrip(b"/")
            if other.device == mount.device and (top == shown or top.startswith(shown + b"/")):
                found.add(os.fsdecode(other.point.rstrip(b"/") + top[len(shown) :]))
        return sorted(found - {root.path, ""})


def _who(process: str) -> tuple[int, str]:
    """Pid and name of a process, by its directory in /proc."""
    with open(f"{process}/comm", "rb") as file:
        return int(os.path.basename(process)), one_line(file.read().decode("utf-8", "replace"))


def _namespace(task: str) -> _Where:
    """The mount namespace of a process or thread, and its root, above which its table tells nothing."""
    root = os.stat(f"{task}/root")
    return os.stat(f"{task}/ns/mnt").st_ino, (root.st_dev, root.st_ino)


def _table(task: str) -> Iterator[_Mount]:
    with open(f"{task}/mountinfo", "rb") as file:
        for line in file:
            number, parent, device, top, point = line.split(b" ", 5)[:5]
            yield _Mount(number, parent, device, _plain(top), _plain(point))


def _plain(path: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: bytes([int(found.group(1), 8)]), path)


def _inside(mount: _Mount, path: bytes) -> bytes | None:
    """The path in its file system of what a mount shows at a path; None for what it does not."""
    point = mount.point.rstrip(b"/")
    if path != point and not path.startswith(point + b"/"):
        return None
    return (mount.top.rstrip(b"/") + path[len(point) :]) or b"/"
