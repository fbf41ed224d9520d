# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that others may have put there, opened so that none holds us up, leads elsewhere, or fills the memory.

What a name stands for is looked at before it is opened (O_PATH), and what was looked at is what is opened then: a FIFO,
a socket or a device is never opened at all. Every error is an OSError whose ``strerror`` is for people.
"""

from __future__ import annotations

import errno
import os
import stat

_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_LINKS_MAX = 40
_CHUNK = 1 << 20
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_NUMBERS = {stat.S_IFDIR: errno.EISDIR, stat.S_IFLNK: errno.ELOOP}


class NotRegularError(OSError):
    """What is there is no regular file, or a link that is not followed."""


def kind_of(facts: os.stat_result) -> str:
    """What something is, for people."""
    return _KINDS.get(stat.S_IFMT(facts.st_mode), "a regular file")


def open_regular(path: str, *, follow: bool = False) -> int:
    """Open a regular file for reading.

    A link on the way is followed only where nobody but root and this process's own user can have made it: it and the
    directory that it stands in belong to one of them, and not everybody may write there.

    Args:
        path: absolute.
        follow: whether the file itself may be such a link too.

    Raises:
        NotRegularError: it is something else, or a link that is not followed.
        OSError: it is not there, or must not be read.
    """
    return _opened(_reached(path, follow=follow)[0], path, os.O_RDONLY)


def open_regular_at(directory: int, name: str, access: int = os.O_RDONLY) -> int:
    """Open the regular file of this name in an open directory; a link is not followed.

    Args:
        directory: open.
        name: without a slash.
        access: O_RDONLY, O_WRONLY or O_RDWR, and O_APPEND.

    Raises:
        NotRegularError: it is something else.
        OSError: it is not there, or must not be opened so.
    """
    return _opened(os.open(name, _LOOK, dir_fd=directory), name, access)


def open_directory(path: str) -> int:
    """Open a directory that is no link itself; links on the way are followed as :func:`open_regular` does.

    Raises:
        OSError: it is not there, something else, or must not be read.
    """
    held = _reached(path, follow=False)[0]
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=held)
    finally:
        os.close(held)


def read_regular(path: str, limit: int, *, follow: bool = False) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: as :func:`open_regular`, or it has more than ``limit`` bytes.
    """
    opened = open_regular(path, follow=follow)
    try:
        return read_whole(opened, limit)
    finally:
        os.close(opened)


def read_whole(opened: int, limit: int) -> bytes:
    """The rest of an open file.

    Raises:
        OSError: it has more than ``limit`` bytes.
    """
    data = bytearray()
    while piece := os.read(opened, min(_CHUNK, limit + 1 - len(data))):
        data += piece
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"it has more than {limit} bytes")
    return bytes(data)


def resolved(path: str) -> str:
    """Where a path leads, without a link in it; the file need not be there.

    Raises:
        OSError: a link on the way is not followed, or a directory must not be passed.
    """
    try:
        held, real = _reached(path, follow=True)
    except FileNotFoundError as error:
        return str(error.filename)
    os.close(held)
    return real


def _opened(held: int, path: str, access: int) -> int:
    """What is held by O_PATH, opened by that very hold."""
    try:
        facts = os.fstat(held)
        if not stat.S_ISREG(facts.st_mode):
            number = _NUMBERS.get(stat.S_IFMT(facts.st_mode), errno.EINVAL)
            raise NotRegularError(number, f"it is {kind_of(facts)}, not a regular file", path)
        # Non-blocking for leases: whoever holds one on it would make us wait.
        return os.open(f"/proc/self/fd/{held}", access | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(held)


def _reached(path: str, *, follow: bool) -> tuple[int, str]:
    """What a path leads to, held by O_PATH, and the path without links."""
    place, real = os.open("/", _LOOK), ""
    left = _names(path)
    links = 0
    try:
        while left:
            name = left.pop()
            try:
                found = os.open(name, _LOOK, dir_fd=place)
            except FileNotFoundError as error:
                raise FileNotFoundError(error.errno, error.strerror, "/".join([real, name, *left[::-1]])) from None
            facts = os.fstat(found)
            if stat.S_ISLNK(facts.st_mode) and (left or follow):
                try:
                    links += 1
                    _require_trusted(place, facts, f"{real}/{name}", links)
                    target = os.readlink("", dir_fd=found)
                finally:
                    os.close(found)
                left += _names(target)
                if target.startswith("/"):
                    os.close(place)
                    place, real = os.open("/", _LOOK), ""
                continue
            os.close(place)
            place = found
            real = os.path.dirname(real).rstrip("/") if name == ".." else f"{real}/{name}"
    except BaseException:
        os.close(place)
        raise
    return place, real or "/"


def _names(path: str) -> list[str]:
    """The parts of a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _require_trusted(directory: int, link: os.stat_result, path: str, links: int) -> None:
    """Refuse a link that another user may have made.

    Where everybody may write, also with the sticky bit, a link of root's may be another's hard link to it.
    """
    ours = {0, os.geteuid()}
    where = os.fstat(directory)
    if link.st_uid not in ours:
        why = f"{path} is a symbolic link of uid {link.st_uid}, which is not followed"
    elif where.st_uid not in ours or where.st_mode & stat.S_IWOTH:
        why = f"{path} is a symbolic link in a directory that another user may change, and is not followed"
    elif links > _LINKS_MAX:
        why = f"{path} is a symbolic link that leads to no end"
    else:
        return
    raise NotRegularError(errno.ELOOP, why, path)
