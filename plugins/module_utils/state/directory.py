# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's state directory: opened once and safely, its files read and replaced.

All is done relative to the open directory, so that a directory swapped meanwhile for a link changes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from typing import Any

from ..errors import MediaOpsError, OptionError
from ..opener import open_directory, open_regular_at, read_whole

_FLOCK_WAIT_S = 10.0
_MAKE = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def open_state_dir(path: str, *, create: bool, check_mode: bool) -> tuple[int, bool] | None:
    """The directory opened, and whether it was made now; None where check mode would make it."""
    path = _normal(path, "state_dir")
    created = False
    if create and not os.path.lexists(path):
        if not os.path.isdir(os.path.dirname(path)):
            raise OptionError("state_dir", path, "cannot be made: its parent directory does not exist")
        if check_mode:
            return None
        with failing(f"cannot make the directory {path}"):
            os.mkdir(path, 0o750)
        created = True
    return open_existing(path), created


def open_existing(path: str, option: str = "state_dir") -> int:
    """The directory, which must be there, opened. Errors name ``option``, where the path was given."""
    path = _normal(path, option)
    try:
        opened = open_directory(path)
    except FileNotFoundError:
        raise OptionError(option, path, "does not exist (run prepare_hosts, or set create)") from None
    except OSError as error:
        kind = "is a symbolic link" if os.path.islink(path) else f"cannot be used: {error.strerror}"
        raise OptionError(option, path, kind) from error
    why = _unsafe(os.fstat(opened))
    if why:
        os.close(opened)
        raise OptionError(option, path, why)
    return opened


@contextlib.contextmanager
def existing(path: str) -> Iterator[int]:
    """The state directory, which must be there, opened for as long as the context lasts."""
    opened = open_existing(path)
    try:
        yield opened
    finally:
        os.close(opened)


def _normal(path: str, option: str) -> str:
    if not path.startswith("/") or "\0" in path or os.path.normpath(path).strip("/") == "":
        raise OptionError(option, path, "must be an absolute path, and not /")
    return os.path.normpath(path)


def _unsafe(facts: os.stat_result) -> str:
    if facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX:
        return f"everybody may write there (mode {stat.S_IMODE(facts.st_mode):04o})"
    # Root may: it works in the open directory without following links, and gives its files to the directory's owner.
    if os.geteuid() not in (0, facts.st_uid) and facts.st_uid != 0:
        return f"belongs to another user (uid {facts.st_uid})"
    return ""


def read_file(directory: int, file_name: str, path: str, max_bytes: int) -> tuple[bytes, int | None]:
    """Content and mode of the file that is there; nothing for what cannot be ours, which is then replaced."""
    try:
        return _read(directory, file_name, max_bytes)
    except OSError as error:
        if error.errno == errno.EISDIR:
            raise MediaOpsError(f"{path} is a directory", path=path) from None
        return b"", None


def read_if_there(directory: int, file_name: str, max_bytes: int) -> bytes | None:
    """The content of a file whose absence means something; None only where there is none.

    Raises:
        OSError: it is there and cannot be read, or is no regular file of that size.
    """
    try:
        return _read(directory, file_name, max_bytes)[0]
    except FileNotFoundError:
        return None


def _read(directory: int, file_name: str, max_bytes: int) -> tuple[bytes, int]:
    opened = open_regular_at(directory, file_name)
    try:
        return read_whole(opened, max_bytes), stat.S_IMODE(os.fstat(opened).st_mode)
    finally:
        os.close(opened)


def replace_file(directory: int, file_name: str, data: bytes, mode: int, path: str) -> None:
    """Write a file whole or not at all; written by root, it is given to the owner of the directory."""
    with failing(f"cannot write {path}", path=path):
        create_file(directory, file_name, data, mode)


def create_file(directory: int, file_name: str, data: bytes, mode: int) -> None:
    """The same, with the kernel's own error.

    Raises:
        OSError: it cannot be written.
    """
    temp = f".{file_name}.{secrets.token_hex(8)}.tmp"
    opened = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(data)
            file.flush()
            give_to_owner(opened, directory)
            os.fchmod(opened, mode)
            os.fsync(opened)
        os.rename(temp, file_name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp, dir_fd=directory)
        raise
    os.fsync(directory)


@contextlib.contextmanager
def alone(directory: int, file_name: str, path: str, *, create: bool = True) -> Iterator[None]:
    """The kernel's lock on a file of the directory ``path``; it ends with the process whatever happens to it.

    With ``create`` false, for those who only look, a file that nobody has made yet is not made and not locked.
    """
    with failing(f"cannot open {path}/{file_name}"):
        try:
            held = open_or_make(directory, file_name) if create else open_regular_at(directory, file_name, os.O_RDWR)
        except FileNotFoundError:
            held = -1
    if held < 0:
        yield
        return
    try:
        deadline = time.monotonic() + _FLOCK_WAIT_S
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    why = f"another process holds {path}/{file_name} for over {_FLOCK_WAIT_S:g} s"
                    raise MediaOpsError(why) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(held)


def open_or_make(directory: int, file_name: str) -> int:
    """A regular file of the directory, open to read and to append; made where it is not there.

    Raises:
        OSError: it is something else, or must not be opened.
    """
    try:
        opened = os.open(file_name, _MAKE, 0o600, dir_fd=directory)
    except FileExistsError:
        pass
    else:
        give_to_owner(opened, directory)
        return opened
    opened = open_regular_at(directory, file_name, os.O_RDWR | os.O_APPEND)
    try:
        require_single_name(opened)
    except OSError:
        os.close(opened)
        raise
    return opened


def require_single_name(opened: int) -> None:
    """Raise OSError for what has another name: it may be another's file, to be neither written to nor given away."""
    if os.fstat(opened).st_nlink > 1:
        raise OSError(errno.EMLINK, "it has another name, a hard link")


def give_to_owner(opened: int, directory: int) -> None:
    """What root makes must stay usable for the directory's owner."""
    if os.geteuid() == 0:
        owner = os.fstat(directory)
        os.fchown(opened, owner.st_uid, owner.st_gid)


@contextlib.contextmanager
def failing(what: str, **details: Any) -> Iterator[None]:
    """An OSError within becomes a MediaOpsError that says what failed."""
    try:
        yield
    except OSError as error:
        raise MediaOpsError(f"{what}: {error.strerror or error}", errno=error.errno, **details) from error
