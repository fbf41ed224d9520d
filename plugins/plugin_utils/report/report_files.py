# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of one run in a directory of their own: seen whole or not at all, and bounded in number.

Everything is done relative to the open directory of the reports. What is removed has a run's name, is a real directory,
and holds nothing but files; a symbolic link is never followed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ...module_utils.errors import MediaOpsError, OptionError
from ...module_utils.state.directory import failing, give_to_owner, open_existing, replace_file

_DIRECTORY_MODE, _FILE_MODE = 0o750, 0o640
_RUN = re.compile(r"(20[0-9]{6}T[0-9]{6}Z)(?:-([0-9]{1,2}))?")
_TEMP = re.compile(rf"\.{_RUN.pattern}\.[0-9a-f]{{16}}\.tmp")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_STALE_TEMP_S = 3600
_SAME_SECOND_MAX = 99
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Wanted(NamedTuple):
    directory: str
    run: str
    files: Mapping[str, bytes]
    link: str
    keep: int
    place: str


def report_files(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """Write the reports of a run, point to them, and let the oldest go; the result of action ``report_files``."""
    wanted = _wanted(params)
    opened = _open(wanted.directory, check_mode=check_mode)
    try:
        there = set() if opened is None else _runs(opened)
        name = _free_name(opened, wanted.run)
        if opened is not None and not check_mode:
            name = _write(opened, wanted)
            _point(opened, wanted, name)
            _drop_stale_temps(opened)
        surplus = sorted(sorted(there - {name}, key=_age, reverse=True)[wanted.keep - 1 :], key=_age)
        stayed = {} if opened is None or check_mode else _remove_all(opened, surplus)
    finally:
        if opened is not None:
            os.close(opened)
    path = os.path.join(wanted.directory, name)
    return {
        "changed": True,
        "path": path,
        "files": [os.path.join(path, file) for file in wanted.files],
        "link": os.path.join(wanted.directory, wanted.link),
        "removed": [os.path.join(wanted.directory, run) for run in surplus if run not in stayed],
        "not_removed": [{"path": os.path.join(wanted.directory, run), "reason": why} for run, why in stayed.items()],
        "kept": len(there | {name}) - len(surplus) + len(stayed),
    }


def reserve(directory: str, run: str) -> str:
    """Take a name for the reports of a run before they are made, so that people can be told where they will be.

    Returns:
        The name, an empty directory by now, which :func:`report_files` fills by its option ``place``.

    Raises:
        MediaOpsError: it cannot be made.
    """
    path = os.path.abspath(directory)
    _make(path)
    opened = open_existing(path, option="directory")
    try:
        with failing(f"cannot write the reports of {run} in {path}", path=path):
            for name in _names(run):
                try:
                    os.mkdir(name, _DIRECTORY_MODE, dir_fd=opened)
                except FileExistsError:
                    continue
                return name
    finally:
        os.close(opened)
    raise MediaOpsError(f"there are {_SAME_SECOND_MAX} reports of {run} already")


def place_of(directory: str | None, now: datetime) -> tuple[str, str]:
    """The name that :func:`reserve` took for a run that ends now, and its page; empty texts where none can be taken.

    That the report cannot be written is told when that is tried.
    """
    if not directory:
        return "", ""
    try:
        name = reserve(directory, now.strftime("%Y%m%dT%H%M%SZ"))
    except (MediaOpsError, OSError):
        return "", ""
    return name, os.path.join(os.path.abspath(directory), name, "report.html")


def _wanted(params: Mapping[str, Any]) -> _Wanted:
    run, link, files = params["run"], params["link"], params["files"]
    found = _RUN.fullmatch(run)
    if not found or found[2]:
        raise OptionError("run", run, "must be a time as 20261124T060000Z")
    place = params.get("place") or ""
    if place and not _RUN.fullmatch(place):
        raise OptionError("place", place, "must be the name that was taken for this run")
    if not _NAME.fullmatch(link) or _RUN.fullmatch(link):
        raise OptionError("link", link, "must be a plain file name, and not that of a run")
    if params["keep"] < 1:
        raise OptionError("keep", params["keep"], "must be 1 or more")
    if not files:
        raise OptionError("files", files, "must name at least one file")
    return _Wanted(
        os.path.abspath(params["directory"]),
        run,
        {name: _content(name, content) for name, content in files.items()},
        link,
        params["keep"],
        place,
    )


def _content(name: object, content: object) -> bytes:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise OptionError("files", name, "each name must be a plain file name, without a slash and not hidden")
    if not isinstance(content, str):
        raise OptionError("files", f"{name}: {type(content).__name__}", "what is to be written must be text")
    # A report is not lost for half a character in a foreign message.
    return content.encode("utf-8", "replace")


def _open(path: str, *, check_mode: bool) -> int | None:
    """The directory of the reports, opened; None where check mode would make it."""
    if not check_mode:
        _make(path)
    elif not os.path.lexists(path):
        return None
    return open_existing(path, option="directory")


def _make(path: str) -> None:
    """Make a directory and its parents, with the mode of reports whatever the umask."""
    if os.path.lexists(path):
        return
    _make(os.path.dirname(path))
    with failing(f"cannot make the directory {path}"), contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        os.chmod(path, _DIRECTORY_MODE)


def _runs(directory: int) -> set[str]:
    return {entry.name for entry in _directories(directory) if _RUN.fullmatch(entry.name)}


def _directories(directory: int) -> Iterator[os.DirEntry[str]]:
    """Real directories only: a symbolic link to one leads who knows where."""
    with os.scandir(directory) as entries:
        yield from (entry for entry in entries if entry.is_dir(follow_symlinks=False))


def _age(run: str) -> tuple[str, int]:
    stamp, _dash, number = run.partition("-")
    return stamp, int(number or 1)


def _names(run: str) -> Iterator[str]:
    """The name of a run, and those for others that end in the same second."""
    yield run
    yield from (f"{run}-{number}" for number in range(2, _SAME_SECOND_MAX + 1))


def _free_name(directory: int | None, run: str) -> str:
    there = set() if directory is None else set(os.listdir(directory))
    return next((name for name in _names(run) if name not in there), run)


def _write(directory: int, wanted: _Wanted) -> str:
    """Write the files out of sight, and give their directory its name at the end; the name that it got."""
    temp = f".{wanted.run}.{secrets.token_hex(8)}.tmp"
    with failing(f"cannot write the reports of {wanted.run} in {wanted.directory}", path=wanted.directory):
        os.mkdir(temp, 0o700, dir_fd=directory)
        try:
            opened = os.open(temp, _OPEN, dir_fd=directory)
            try:
                give_to_owner(opened, directory)
                for name, data in wanted.files.items():
                    replace_file(opened, name, data, _FILE_MODE, os.path.join(wanted.directory, wanted.run, name))
                os.fchmod(opened, _DIRECTORY_MODE)
                os.fsync(opened)
            finally:
                os.close(opened)
            name = _rename(directory, temp, wanted)
        except BaseException:
            with contextlib.suppress(OSError):
                _remove(directory, temp)
            raise
        os.fsync(directory)
    return name


def _rename(directory: int, temp: str, wanted: _Wanted) -> str:
    """Rename to the name that was taken, which is an empty directory, or to the first that nobody has.

    A run that ends in the same second has the same one in mind.
    """
    if wanted.place:
        with contextlib.suppress(OSError):
            os.rename(temp, wanted.place, src_dir_fd=directory, dst_dir_fd=directory)
            return wanted.place
    run, there = wanted.run, set(os.listdir(directory))
    for name in _names(run):
        if name in there:
            continue
        try:
            os.rename(temp, name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            return name
    raise MediaOpsError(f"there are {_SAME_SECOND_MAX} reports of {run} already")


def _point(directory: int, wanted: _Wanted, name: str) -> None:
    """Point the link to a run, in one step: whoever reads through it finds the one before or this one."""
    temp = f".{wanted.link}.{secrets.token_hex(8)}.tmp"
    with failing(f"cannot point {os.path.join(wanted.directory, wanted.link)} to {name}"):
        os.symlink(name, temp, dir_fd=directory)
        try:
            os.rename(temp, wanted.link, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            os.unlink(temp, dir_fd=directory)
            raise


def _remove_all(directory: int, names: list[str]) -> dict[str, str]:
    """Remove the reports of runs; returns those that stay, with why."""
    stayed = {}
    for name in names:
        try:
            _remove(directory, name)
        except FileNotFoundError:  # another run let it go as well
            continue
        except OSError as error:
            stayed[name] = error.strerror or str(error)
    return stayed


def _remove(directory: int, name: str) -> None:
    """Remove a directory of files; one that holds more than files stays as it is, since no run has written it."""
    opened = os.open(name, _OPEN, dir_fd=directory)
    try:
        if any(_directories(opened)):
            raise OSError(errno.ENOTEMPTY, "it holds a directory, which no run has made")
        for file in os.listdir(opened):
            os.unlink(file, dir_fd=opened)
    finally:
        os.close(opened)
    os.rmdir(name, dir_fd=directory)


def _drop_stale_temps(directory: int) -> None:
    """What a killed run left behind."""
    for entry in list(_directories(directory)):
        with contextlib.suppress(OSError):
            old = entry.stat(follow_symlinks=False).st_mtime < time.time() - _STALE_TEMP_S
            if _TEMP.fullmatch(entry.name) and old:
                _remove(directory, entry.name)
