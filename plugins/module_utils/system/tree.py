# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trees walked by open directories: no symbolic link is followed, no mount crossed, nothing outside of the root met.

A name counts only relative to the directory that is open. What somebody renames, links or mounts meanwhile changes
which files are found, never where.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Callable

from ..errors import MediaOpsError, OptionError
from ..opener import open_regular_at
from ..options import check_absolute
from .proc import lock_holder

DEPTH_MAX = 64
"""How deep below its root a tree is walked: one open directory for each level."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

LOCK = ".media_ops.lock"
"""The file by which log_archive and archive_copy lock a directory, there while they work."""

_LOCK_WAIT_S = 5.0

Skipped = Callable[[str, str], None]
"""Takes the path of what is not walked, and why: mount, denied, too_deep, changed, unreadable."""


class SymbolicLinkError(NotADirectoryError):
    """A path is a symbolic link, or passes through one."""


@dataclass(frozen=True)
class Root:
    """The open directory at the top of a tree, and what tells its file system and mount from others."""

    path: str
    fd: int
    device: int
    mount: int

    def close(self) -> None:
        """Close the directory."""
        os.close(self.fd)

    def statvfs(self) -> os.statvfs_result:
        """The figures of its file system."""
        return os.statvfs(self.fd)


@dataclass
class Directory:
    """An open directory of a walk, valid until the walk goes on.

    Attributes:
        fd: open for reading.
        relative: its path below the root, empty for the root itself.
        path: its whole path, for people.
        facts: of the open directory.
        parent: the directory it was found in, None for the root.
        entries: how many it holds, once its files were seen.
    """

    fd: int
    relative: str
    path: str
    facts: os.stat_result
    parent: Directory | None = None
    entries: int = 0
    below: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name in its parent."""
        return self.relative.rpartition("/")[2]


def open_root(path: str) -> Root:
    """Open a directory by an absolute path, step by step.

    Raises:
        SymbolicLinkError: a part of the path is a symbolic link.
        OSError: it is missing, is no directory, or must not be read.
    """
    fd = os.open("/", _STEP)
    parts = [part for part in path.split("/") if part]
    try:
        for number, part in enumerate(parts, 1):
            below = _step(fd, part, "/" + "/".join(parts[:number]), last=number == len(parts))
            os.close(fd)
            fd = below
        return Root(path, fd, os.fstat(fd).st_dev, mount_id(fd))
    except BaseException:
        os.close(fd)
        raise


@contextlib.contextmanager
def opened_option(option: str, path: str) -> Iterator[Root]:
    """The directory that an option names, open.

    Raises:
        OptionError: it cannot be used, and why.
    """
    check_absolute(option, path)
    try:
        root = open_root(path.rstrip("/") or "/")
    except SymbolicLinkError as error:
        raise OptionError(option, path, f"{error.strerror}; give {os.path.realpath(path)}") from error
    except OSError as error:
        raise OptionError(option, path, f"cannot be used: {error.strerror}") from error
    try:
        yield root
    finally:
        root.close()


@contextlib.contextmanager
def locked(root: Root) -> Iterator[None]:
    """Work alone in a directory; disk_cleanup, which holds the lock for a moment only, is waited for.

    The lock is on a file that only the directory's owner and root may open: whoever may read a directory could lock it.

    Raises:
        MediaOpsError: another run works there, or the lock cannot be had.
    """
    deadline = time.monotonic() + _LOCK_WAIT_S
    held = -1
    while held < 0:
        try:
            held = _lock(root.fd)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS) or _is_others(root.fd, error):
                # Archiving is to help a full disk of logs; where none can be written, nobody changes anything, and
                # what this user may not change, it is not alone with either.
                yield
                return
            why = f"{root.path} cannot be locked: {LOCK}: {error.strerror}. Nothing was done"
            raise MediaOpsError(why, path=root.path) from error
        if held < 0 and time.monotonic() > deadline:
            holder = lock_holder([f"{root.path}/{LOCK}"])
            who = f" (process {holder[0]})" if holder else ""
            raise MediaOpsError(f"another run works on {root.path}{who}: nothing was done", path=root.path)
        if held < 0:
            time.sleep(0.02)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(LOCK, dir_fd=root.fd)
        os.close(held)


def _is_others(directory: int, error: OSError) -> bool:
    """Whether a lock cannot be made since this user may not write there; one of another user's is held by that one."""
    return error.errno == errno.EACCES and LOCK not in os.listdir(directory)


def _lock(directory: int) -> int:
    """The lock of an open directory, -1 while another has it."""
    try:
        held = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory)
    except FileExistsError:
        try:
            held = open_regular_at(directory, LOCK, os.O_RDWR)
        except FileNotFoundError:  # given back just now
            return -1
    else:
        if os.geteuid() == 0:
            owner = os.fstat(directory)
            os.fchown(held, owner.st_uid, owner.st_gid)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who had it before has taken the name away, with which the next one would lock another file.
        if os.stat(LOCK, dir_fd=directory, follow_symlinks=False).st_ino == os.fstat(held).st_ino:
            return held
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(held)
    return -1


def _step(fd: int, part: str, path: str, *, last: bool) -> int:
    try:
        return os.open(part, _DIRECTORY if last else _STEP, dir_fd=fd)
    except OSError as error:
        try:
            target = os.readlink(part, dir_fd=fd)
        except OSError:
            raise error from None
        raise SymbolicLinkError(error.errno, f"{path} is a symbolic link to {target}", path) from error


def is_at(fd: int, path: str) -> bool:
    """Whether an open directory is still reached by a path, as the kernel has it now, without a link on the way."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == path
    except OSError:
        return False


def mount_id(fd: int) -> int:
    """The mount that an open file was reached by. A bind mount has one of its own, unlike its device number."""
    with open(f"/proc/self/fdinfo/{fd}", "rb", buffering=0) as file:
        for line in file.read(4096).splitlines():
            name, _separator, value = line.partition(b":")
            if name == b"mnt_id":
                return int(value)
    raise OSError(f"the kernel does not tell the mount of descriptor {fd}")


def walk(root: Root, skipped: Skipped) -> Iterator[tuple[Directory, Iterator[os.DirEntry[str]]]]:
    """Each directory of a tree, with all in it that is no directory, in the order in which the kernel lists them."""
    fd = os.open(".", _DIRECTORY, dir_fd=root.fd)
    try:
        yield from _walk(root, Directory(fd, "", root.path, os.fstat(fd)), 0, skipped)
    finally:
        os.close(fd)


def _walk(
    root: Root, directory: Directory, depth: int, skipped: Skipped
) -> Iterator[tuple[Directory, Iterator[os.DirEntry[str]]]]:
    others = _others(directory, skipped)
    yield directory, others
    for _left in others:  # what the caller did not take still counts, and the directories among it are walked
        pass
    for name in directory.below:
        path = f"{directory.path}/{name}"
        if depth == DEPTH_MAX:
            skipped(path, "too_deep")
            continue
        below = _enter(root, directory, name, skipped)
        if below:
            try:
                yield from _walk(root, below, depth + 1, skipped)
            finally:
                os.close(below.fd)


def _others(directory: Directory, skipped: Skipped) -> Iterator[os.DirEntry[str]]:
    """What is no directory, as it is read; directories are put into ``below``."""
    try:
        with os.scandir(directory.fd) as entries:
            for entry in entries:
                directory.entries += 1
                if entry.is_dir(follow_symlinks=False):
                    directory.below.append(entry.name)
                else:
                    yield entry
    except OSError:
        directory.entries += 1  # not known to be empty
        skipped(directory.path, "unreadable")


def _enter(root: Root, directory: Directory, name: str, skipped: Skipped) -> Directory | None:
    path = f"{directory.path}/{name}"
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=directory.fd)
    except PermissionError:
        skipped(path, "denied")
        return None
    except OSError:  # gone, or no directory any more
        skipped(path, "changed")
        return None
    facts = os.fstat(fd)
    if facts.st_dev != root.device or mount_id(fd) != root.mount:
        os.close(fd)
        skipped(path, "mount")
        return None
    relative = f"{directory.relative}/{name}" if directory.relative else name
    return Directory(fd, relative, path, facts, directory)


@contextlib.contextmanager
def opened_again(root: Root, relative: str, inode: int) -> Iterator[int]:
    """A directory that a walk saw, opened anew from its root.

    Raises:
        OSError: it is not there any more, or something else is in its place, such as a mount.
    """
    fd = root.fd
    try:
        parts = relative.split("/") if relative else []
        for number, part in enumerate(parts, 1):
            below = os.open(part, _DIRECTORY if number == len(parts) else _STEP, dir_fd=fd)
            if fd != root.fd:
                os.close(fd)
            fd = below
        facts = os.fstat(fd)
        if (facts.st_dev, facts.st_ino) != (root.device, inode):
            raise NotADirectoryError(f"{root.path}/{relative} is another directory now")
        yield fd
    finally:
        if fd != root.fd:
            os.close(fd)
