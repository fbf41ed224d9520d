# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that others may have put there, opened so that none holds us up, leads elsewhere, or fills the memory.

What a name stands for is looked at before it is opened, and once more when it is: a FIFO or a device is not opened
unless it comes in between, and then without waiting. Every error is an OSError whose ``strerror`` is for people.
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
    place, name, _real = _reached(path, follow=follow)
    try:
        return open_regular_at(place, name)
    finally:
        os.close(place)


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
    _require_regular(os.stat(name, dir_fd=directory, follow_symlinks=False), name)
    # Non-blocking for a FIFO that comes in its place just now, and for a lease that somebody holds on the file.
    opened = os.open(name, access | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=directory)
    try:
        _require_regular(os.fstat(opened), name)
    except NotRegularError:
        os.close(opened)
        raise
    return opened


def open_directory(path: str) -> int:
    """Open a directory that is no link itself; links on the way are followed as :func:`open_regular` does.

    Raises:
        OSError: it is not there, something else, or must not be read.
    """
    place, name, _real = _reached(path, follow=False)
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)


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
        OSError: a link on the way is not followed, or a directory is not there or must not be passed.
    """
    place, _name, real = _reached(path, follow=True)
    os.close(place)
    return real


def _require_regular(facts: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(facts.st_mode):
        number = _NUMBERS.get(stat.S_IFMT(facts.st_mode), errno.EINVAL)
        raise NotRegularError(number, f"it is {kind_of(facts)}, not a regular file", path)


def _reached(path: str, *, follow: bool) -> tuple[int, str, str]:
    """The directory that a path leads to, open, the name in it, and the path without links."""
    place, real = os.open("/", _LOOK), ""
    left = _names(path)
    links = 0
    try:
        while left:
            name = left.pop()
            try:
                found = os.open(name, _LOOK, dir_fd=place)
            except FileNotFoundError:
                if left:
                    raise
                return place, name, f"{real}/{name}"
            facts = os.fstat(found)
            is_link = stat.S_ISLNK(facts.st_mode)
            if not left and not (is_link and follow) and name != "..":
                os.close(found)
                return place, name, f"{real}/{name}"
            if not is_link:
                os.close(place)
                place = found
                real = os.path.dirname(real).rstrip("/") if name == ".." else f"{real}/{name}"
                continue
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
    except BaseException:
        os.close(place)
        raise
    return place, ".", real or "/"


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
        why = f"a symbolic link of uid {link.st_uid} is not followed: {path}"
    elif where.st_uid not in ours or where.st_mode & stat.S_IWOTH:
        why = f"a symbolic link in a directory that another user may change is not followed: {path}"
    elif links > _LINKS_MAX:
        why = f"a symbolic link leads to no end: {path}"
    else:
        return
    raise NotRegularError(errno.ELOOP, why, path)
