# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's state directory: opened once and safely, its files read and replaced.

All is done relative to the open directory, so that a directory swapped meanwhile for a link changes nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from typing import Any

from ..errors import MediaOpsError, OptionError

_FLOCK_WAIT_S = 10.0
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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
        opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
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
        opened = os.open(file_name, _READ, dir_fd=directory)
    except OSError:  # not there, a symbolic link, or not readable
        return b"", None
    try:
        facts = os.fstat(opened)
        if stat.S_ISDIR(facts.st_mode):
            raise MediaOpsError(f"{path} is a directory", path=path)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > max_bytes:
            return b"", None
        with os.fdopen(opened, "rb", closefd=False) as file:
            return file.read(max_bytes), stat.S_IMODE(facts.st_mode)
    finally:
        os.close(opened)


def replace_file(directory: int, file_name: str, data: bytes, mode: int, path: str) -> None:
    """Write a file whole or not at all; written by root, it is given to the owner of the directory."""
    temp = f".{file_name}.{secrets.token_hex(8)}.tmp"
    with failing(f"cannot write {path}", path=path):
        opened = os.open(
            temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory
        )
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
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    with failing(f"cannot open {path}/{file_name}"):
        try:
            held = os.open(file_name, flags, 0o600, dir_fd=directory)
        except FileNotFoundError:
            held = -1
        else:
            give_to_owner(held, directory)
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
