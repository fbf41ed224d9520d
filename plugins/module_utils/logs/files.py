# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a log that rotates, and where the last run stopped in them.

All files are opened before any is read, so that a rotation meanwhile neither loses nor doubles one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import subprocess
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable

from ..opener import open_regular, resolved
from ..rotated import PACKED, may_be_of, rotated_of, split_packed
from ..shapes import json_object, one_line
from .scan import ReadInto

HEAD = 4096
try:
    from lzma import LZMAError
except ImportError:  # not every Python was built with it
    LZMAError = EOFError  # type: ignore[misc,assignment]
DAMAGED = (EOFError, zlib.error, LZMAError)  # and OSError, of which BadGzipFile is one

_FILES_MAX = 500
_TRIES = 20
_TRY_AGAIN_S = 0.05


@dataclass
class LogFile:
    """One file of a log, open unless its state is other than ok."""

    path: str
    packed: str
    state: str = "ok"
    reason: str = ""
    handle: int = -1
    device: int = 0
    inode: int = 0
    size: int = 0
    mtime: float = 0.0
    head: bytes = b""

    @property
    def zipped(self) -> bool:
        """Whether its content is packed."""
        return self.packed != ""

    def parts(self, offset: int) -> list[tuple[int, int | None]]:
        """Where its content has data from an offset on, from and to; None for its end. Holes are no lines."""
        if self.zipped:
            return [(offset, None)]
        found: list[tuple[int, int | None]] = []
        at = offset
        with contextlib.suppress(OSError):  # no more data, or a file system that does not tell
            while True:
                begin = os.lseek(self.handle, at, os.SEEK_DATA)
                at = os.lseek(self.handle, begin, os.SEEK_HOLE)
                found.append((begin, at))
        if not found:
            return [] if offset < self.size and self.holes else [(offset, None)]
        # What is written meanwhile is read as well.
        begin, end = found[-1]
        return found if end is not None and end < self.size else [*found[:-1], (begin, None)]

    @property
    def holes(self) -> int:
        """How many bytes of its size take no room, as what was emptied under its writer's hands leaves them."""
        if self.zipped or self.state != "ok":
            return 0
        return max(0, self.size - os.fstat(self.handle).st_blocks * 512)

    def reader(self, offset: int, end: int | None = None) -> ReadInto:
        """What reads the content from an offset on, as far as ``end`` where there is one.

        Raises:
            OSError: nothing on this host unpacks it.
        """
        if not self.zipped:
            os.lseek(self.handle, offset, os.SEEK_SET)
            if end is None:
                return lambda view: os.readv(self.handle, [view])
            return self._up_to(end)
        os.lseek(self.handle, 0, os.SEEK_SET)
        content = _unpacked(self.handle, self.packed)
        left = offset
        while left:
            passed = len(content.read(min(left, 1 << 20)))
            if not passed:
                break
            left -= passed
        return content.readinto  # type: ignore[no-any-return]

    def _up_to(self, end: int) -> ReadInto:
        def read(view: memoryview) -> int:
            left = end - os.lseek(self.handle, 0, os.SEEK_CUR)
            return os.readv(self.handle, [view[: max(0, left)]]) if left > 0 else 0

        return read

    def first_bytes(self) -> bytes:
        """The start of the content."""
        if not self.zipped:
            return os.pread(self.handle, HEAD, 0)
        try:
            read_into = self.reader(0)
            buffer = bytearray(HEAD)
            filled = 0
            while filled < HEAD:
                count = read_into(memoryview(buffer)[filled:])
                if not count:
                    break
                filled += count
            return bytes(buffer[:filled])
        except (*DAMAGED, OSError):
            return b""

    def close(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


def _unpacked(handle: int, packed: str) -> Any:
    """The content of a packed file, as a file. Late imports: few runs need them, and not every Python has them all."""
    file = os.fdopen(handle, "rb", closefd=False)
    try:
        if packed == ".gz":
            import gzip

            return gzip.GzipFile(fileobj=file, mode="rb")
        if packed == ".bz2":
            import bz2

            return bz2.BZ2File(file)
        if packed == ".xz":
            import lzma as xz

            return xz.LZMAFile(file)
    except ImportError as error:
        raise OSError(0, f"this Python unpacks no {packed}: {error}") from error
    return _Zstd(handle)


class _Zstd:
    """What the command zstd unpacks: no Python before 3.14 does."""

    def __init__(self, handle: int) -> None:
        try:
            self._process = subprocess.Popen(
                ["zstd", "-q", "-d", "-c"], stdin=handle, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except FileNotFoundError:
            raise OSError(0, "the command zstd, which would unpack it, is missing on this host") from None

    def read(self, size: int) -> bytes:
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, view: memoryview) -> int:
        stream: Any = self._process.stdout
        count: int = stream.readinto(view)
        if not count and len(view) and self._process.wait():
            raise EOFError("zstd cannot unpack it")
        return count

    def __del__(self) -> None:
        process = getattr(self, "_process", None)
        if process is not None:
            process.kill()
            if process.stdout:
                process.stdout.close()
            process.wait()


def open_files(path: str, *, rotated: bool, wanted: Callable[[float], bool]) -> tuple[list[LogFile], list[str]]:
    """The files of a log, oldest first, the one that is written to last; and the names that may be more of it.

    Args:
        path: the log.
        rotated: whether to open PATH.1, PATH.2.gz, PATH-20261128 ... too.
        wanted: whether a rotated file with this time of change is wanted.
    """
    try:
        real = resolved(path)
    except OSError as error:
        return [_failed(LogFile(path=path, packed=""), error)], []
    files: list[LogFile] = []
    for attempt in range(_TRIES):
        before, unknown = _names(real) if rotated else ([], [])
        left_out = [name for name in unknown if _is_wanted(name, wanted)]
        files = [_open(real, "", path)]
        chosen = before[:_FILES_MAX]
        left_out += [name for name, _packed in before[_FILES_MAX:] if _is_wanted(name, wanted)]
        for name, packed in chosen:
            found = _open(name, packed, name)
            known = any((one.device, one.inode) == (found.device, found.inode) for one in files if one.state == "ok")
            if found.state == "missing" or (found.state == "ok" and (known or not wanted(found.mtime))):
                found.close()
            else:
                files.append(found)
        last_try = attempt == _TRIES - 1
        # Between the renaming of a log and the making of the new one there is a moment without a log.
        gap = files[0].state == "missing" and os.path.lexists(f"{real}.1") and _is_new(f"{real}.1")
        if last_try or (not gap and (not rotated or (_names(real)[0] == before and _still(files[0], real)))):
            break
        for one in files:
            one.close()
        time.sleep(_TRY_AGAIN_S)
    for one in files:
        if one.state == "ok" and not one.zipped:
            one.head = one.first_bytes()
    return files[::-1], left_out


def _is_wanted(path: str, wanted: Callable[[float], bool]) -> bool:
    with contextlib.suppress(OSError):
        facts = os.stat(path, follow_symlinks=False)
        return stat.S_ISREG(facts.st_mode) and facts.st_size > 0 and wanted(facts.st_mtime)
    return False


def _is_new(path: str) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - os.stat(path).st_mtime < 60
    return False


def _still(file: LogFile, path: str) -> bool:
    """Whether a path leads to the file that was opened there."""
    try:
        facts = os.stat(path)
    except OSError:
        return file.state != "ok"
    return file.state != "ok" or (facts.st_dev, facts.st_ino) == (file.device, file.inode)


def _names(path: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The rotated files, newest first, with their endings where they are packed; and what may be more of them.

    Where there is a file and its compressed copy, the file.
    """
    directory, log = os.path.split(path)
    found: dict[tuple[tuple[int, int, str], str], tuple[str, str]] = {}
    unknown: list[str] = []
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(directory), key=lambda name: (len(name), name)):
            if name == log:
                continue
            seen = rotated_of(log, name)
            if seen and seen.packed in ("", *PACKED):
                # Others may be of the same age, such as LOG.1 beside LOG.old.
                plain = split_packed(name)[0]
                found.setdefault((seen.order, plain), (os.path.join(directory, name), seen.packed))
            elif seen or may_be_of(log, name):
                unknown.append(os.path.join(directory, name))
    return [found[place] for place in sorted(found, reverse=True)], unknown


def _open(path: str, packed: str, name: str) -> LogFile:
    file = LogFile(path=name, packed=packed)
    try:
        file.handle = open_regular(path)
    except OSError as error:
        return _failed(file, error)
    facts = os.fstat(file.handle)
    file.device, file.inode, file.size, file.mtime = facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime
    return file


def _failed(file: LogFile, error: OSError) -> LogFile:
    missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
    denied = isinstance(error, PermissionError)
    file.state = "missing" if missing else "denied" if denied else "invalid"
    file.reason = one_line(f"{file.path}: {error.strerror or error}")
    return file


@dataclass(frozen=True)
class Place:
    """Where the last run stopped in one file, and what tells this file from others."""

    device: int
    inode: int
    offset: int
    head_bytes: int
    head_sha256: str

    @classmethod
    def of(cls, file: LogFile, offset: int) -> Place:
        if len(file.head) < min(offset, HEAD):
            # It grew since it was opened, or its start was not needed until now.
            now = file.first_bytes()
            file.head = now if now.startswith(file.head) else file.head
        head = file.head[: min(offset, HEAD)]
        return cls(file.device, file.inode, offset, len(head), hashlib.sha256(head).hexdigest())

    def is_in(self, file: LogFile, *, head: bytes | None = None) -> bool:
        """Whether the file still holds what was read."""
        known = (file.head if head is None else head)[: self.head_bytes]
        enough = file.zipped or file.size >= self.offset
        return enough and hashlib.sha256(known).hexdigest() == self.head_sha256

    def is_inode_of(self, file: LogFile) -> bool:
        return (self.device, self.inode) == (file.device, file.inode)


@dataclass
class Cursor:
    """The places in the newest two files, the older one first: its writer may still end a line there."""

    places: list[Place]
    reset: str = ""

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> Cursor:
        try:
            document = json_object(data)
            if document["log"] != path:
                return cls([], "the cursor belongs to another log: " + one_line(document["log"], 100))
            places = [Place(**place) for place in document["places"]]
            numbers = [n for place in places for n in (place.device, place.inode, place.offset, place.head_bytes)]
            good = all(isinstance(n, int) and n >= 0 for n in numbers) and 1 <= len(places) <= 2
            good = good and all(isinstance(place.head_sha256, str) for place in places)
        except (ValueError, TypeError, KeyError, RecursionError):
            good = False
        return cls(places) if good else cls([], "the cursor file cannot be read")

    def to_bytes(self, path: str) -> bytes:
        document = {"log": path, "places": [vars(place) for place in self.places[-2:]]}
        return json.dumps(document).encode() + b"\n"

    def resume(self, files: Sequence[LogFile]) -> list[tuple[LogFile, int]] | None:
        """The files with something new, oldest first, each with the offset to read on from; None to start over."""
        if not self.places:
            return None
        last = self.places[-1]
        at = self._find(last, files)
        if at is None:
            return None
        plan = [(file, 0) for file in files[at + 1 :]]
        plan.insert(0, (files[at], last.offset))
        for place in self.places[:-1]:
            older = [file for file in files[:at] if not file.zipped and place.is_inode_of(file) and place.is_in(file)]
            plan[:0] = [(file, place.offset) for file in older]
        return plan

    def _find(self, place: Place, files: Sequence[LogFile]) -> int | None:
        usable = [(index, file) for index, file in enumerate(files) if file.state == "ok"]
        for index, file in usable:
            if place.is_inode_of(file) and not file.zipped:
                if place.is_in(file):
                    return index
                self.reset = (
                    f"{file.path} was cut short: {file.size} bytes, {place.offset} were read"
                    if file.size < place.offset
                    else f"{file.path} has another content than what was read"
                )
        # Copied before it was emptied, or compressed: another inode, but the same start.
        for index, file in reversed(usable):
            if place.head_bytes and place.is_in(file, head=file.first_bytes()):
                self.reset = ""
                return index
        if not self.reset:
            self.reset = "the file that was read last is gone: it was rotated away or replaced"
        return None
