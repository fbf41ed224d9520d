# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives of open files: packed by streaming, and read back member by member against what was read from the files."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timezone
from typing import IO, Any, Callable, NamedTuple, cast

from ..deadline import Deadline
from ..errors import MediaOpsError
from ..rotated import PACKED

_SUFFIXES = {"gzip": ".tar.gz", "zstd": ".tar.zst"}
ARCHIVES_BEGIN = "archived_logs_"
ARCHIVE_NAME = re.compile(ARCHIVES_BEGIN + r"([0-9]{8})(?:-[0-9]+)?\.tar\.(?:gz|zst)")
"""Names of archives, with their day: what :func:`archive_name` makes."""

NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a file is opened beside the archives that is to be made by this run."""
_CHUNK = 1 << 18
_LEVEL = 6
_DAMAGED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, OSError)


class Source(NamedTuple):
    """An open file that goes into an archive.

    Attributes:
        name: of its member.
        fd: open for reading.
        size: how many bytes of it are taken, without its holes.
        mtime: time of its last change.
    """

    name: str
    fd: int
    size: int
    mtime: float


class Member(NamedTuple):
    """A member of an archive: what was read from the file, and what must be read from the archive."""

    name: str
    size: int
    sha256: str


def archive_name(day: date, number: int, compression: str) -> str:
    """The name of an archive; of several of a day the first has no number."""
    return f"{ARCHIVES_BEGIN}{day:%Y%m%d}{f'-{number}' if number > 1 else ''}{_SUFFIXES[compression]}"


def read_day(text: str) -> date:
    """A day as YYYYMMDD.

    Raises:
        ValueError: it is none.
    """
    return datetime.strptime(text, "%Y%m%d").replace(tzinfo=timezone.utc).date()


def days_old(name: str, today: date) -> int | None:
    """How old an archive is by the day in its name; None where that is no day."""
    found = ARCHIVE_NAME.fullmatch(name)
    try:
        made = read_day(found.group(1)) if found else None
    except ValueError:
        return None
    return (today - made).days if made else None


def compression_of(wanted: str) -> str:
    """``gzip`` or ``zstd``; with ``auto`` zstd where the host has it."""
    there = shutil.which("zstd") is not None
    if wanted == "zstd" and not there:
        raise MediaOpsError(
            "the command zstd is missing on this host: install the Debian package 'zstd', or set compression to gzip"
        )
    return wanted if wanted != "auto" else "zstd" if there else "gzip"


def write_archive(target: int, sources: Iterable[Source], compression: str, deadline: Deadline) -> list[Member]:
    """Pack files into an open, empty file, and bring it to the disk.

    Raises:
        OSError: it could not be written, or a file has become shorter.
    """
    members = []
    with (
        _packer(target, compression) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as tar,
    ):
        for source in sources:
            info = tarfile.TarInfo(source.name)
            info.size, info.mtime, info.mode = source.size, source.mtime, 0o600
            content = _Hashed(source.fd, deadline)
            tar.addfile(info, cast("IO[bytes]", content))
            members.append(Member(source.name, source.size, content.sha256.hexdigest()))
    os.fsync(target)
    return members


class _Hashed:
    """Reads a file from its start, but for its holes, and reckons its hash as it goes."""

    def __init__(self, fd: int, deadline: Deadline) -> None:
        self._fd = fd
        self._deadline = deadline
        self._parts = data_parts(fd)
        self.size = 0
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        self._deadline.require("reading the files to be archived")
        data = b""
        while self._parts and not data:
            begin, end = self._parts[0]
            data = os.pread(self._fd, size if end is None else min(size, end - begin), begin)
            self._parts[0] = (begin + len(data), end)
            if not data or (end is not None and begin + len(data) >= end):
                del self._parts[0]
        self.size += len(data)
        self.sha256.update(data)
        return data


def data_parts(fd: int) -> list[tuple[int, int | None]]:
    """Where an open file has data, from and to; None for its end. A file without holes has one part."""
    facts = os.fstat(fd)
    if facts.st_blocks * 512 >= facts.st_size:
        return [(0, None)]
    parts: list[tuple[int, int | None]] = []
    at = 0
    with contextlib.suppress(OSError):  # no more data, or a file system that does not tell
        while True:
            begin = os.lseek(fd, at, os.SEEK_DATA)
            at = os.lseek(fd, begin, os.SEEK_HOLE)
            parts.append((begin, at))
    return parts


def data_size(fd: int, size: int) -> int:
    """How many bytes of so many of an open file there are without its holes."""
    return sum(max(0, min(size if end is None else end, size) - begin) for begin, end in data_parts(fd))


def hashed(fd: int, deadline: Deadline, most: int | None = None) -> tuple[int, str]:
    """Size and SHA-256 of an open file, read from its start to its end, or so many bytes of it."""
    content = _Hashed(fd, deadline)
    while content.read(_CHUNK if most is None else min(_CHUNK, most - content.size)):
        pass
    return content.size, content.sha256.hexdigest()


def hashed_unpacked(fd: int, name: str, deadline: Deadline) -> str:
    """SHA-256 of what an open compressed file holds, by the ending of its name; empty where it cannot be unpacked."""
    sha256 = hashlib.sha256()
    try:
        with _unpacked(fd, name) as stream:
            while data := stream.read(_CHUNK):
                deadline.require(f"unpacking {name}")
                sha256.update(data)
    except (*_DAMAGED, lzma.LZMAError, ValueError):
        return ""
    return sha256.hexdigest()


def _unpacked(fd: int, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
    if name.endswith((".gz", ".zst")):
        return _unpacker(fd, "gzip" if name.endswith(".gz") else "zstd")
    os.lseek(fd, 0, os.SEEK_SET)
    opener = bz2.open if name.endswith(".bz2") else lzma.open
    return cast("contextlib.AbstractContextManager[IO[bytes]]", opener(os.fdopen(fd, "rb", closefd=False), "rb"))


@contextlib.contextmanager
def logged(fd: int, name: str, deadline: Deadline) -> Iterator[Callable[[int], bytes]]:
    """What reads the lines of an open log, unpacked by the ending of its name, without its holes."""
    if not name.endswith(PACKED):
        yield _Hashed(fd, deadline).read
        return
    with _unpacked(fd, name) as stream:
        yield stream.read


def verify_archive(target: int, members: Sequence[Member], compression: str, deadline: Deadline) -> None:
    """Read an archive back from the disk and compare it with what was packed.

    Raises:
        MediaOpsError: they differ, in whatever way.
    """
    # What is compared is what the disk gives, not what the cache still has.
    os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        found = _members(target, compression, deadline)
    except _DAMAGED as error:
        raise MediaOpsError(f"the archive cannot be read back: {error}") from error
    if found != list(members):
        differing = sorted({member.name for member in set(found) ^ set(members)})
        raise MediaOpsError(f"the archive differs from the files that it was made of: {', '.join(differing)}")


def _members(target: int, compression: str, deadline: Deadline) -> list[Member]:
    members = []
    with _unpacker(target, compression) as unpacked:
        with tarfile.open(fileobj=unpacked, mode="r|", bufsize=_CHUNK) as tar:
            for info in tar:
                content = tar.extractfile(info)
                sha256, size = hashlib.sha256(), 0
                while content and (data := content.read(_CHUNK)):
                    deadline.require("reading the archive back")
                    sha256.update(data)
                    size += len(data)
                members.append(Member(info.name, size, sha256.hexdigest()))
        while unpacked.read(_CHUNK):  # to the end, where the checksum of the whole is
            pass
    return members


@contextlib.contextmanager
def _packer(target: int, compression: str) -> Iterator[IO[bytes]]:
    """What takes bytes and writes them, packed, to an open file."""
    if compression == "gzip":
        with (
            os.fdopen(target, "wb", closefd=False) as file,
            gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=_LEVEL, mtime=0) as packed,
        ):
            yield cast("IO[bytes]", packed)
        return
    with _zstd(["-q", f"-{_LEVEL}", "--check", "-c"], stdin=subprocess.PIPE, stdout=target) as process:
        pipe = cast("IO[bytes]", process.stdin)
        try:
            yield pipe
            pipe.close()
        except BrokenPipeError as error:  # it has ended before its time, and says why
            raise _ended(process) from error
        if process.wait():
            raise _ended(process)


@contextlib.contextmanager
def _unpacker(target: int, compression: str) -> Iterator[IO[bytes]]:
    """What gives the unpacked bytes of an open file from its start."""
    os.lseek(target, 0, os.SEEK_SET)
    if compression == "gzip":
        with os.fdopen(target, "rb", closefd=False) as file, gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            yield cast("IO[bytes]", unpacked)
        return
    with _zstd(["-q", "-d", "-c"], stdin=target, stdout=subprocess.PIPE) as process:
        yield cast("IO[bytes]", process.stdout)
        if process.wait():
            raise _ended(process)


@contextlib.contextmanager
def _zstd(arguments: Sequence[str], **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The command zstd, which is not left behind."""
    process = subprocess.Popen(["zstd", *arguments], stderr=subprocess.PIPE, **streams)
    try:
        yield process
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()


def _ended(process: subprocess.Popen[bytes]) -> OSError:
    said = process.stderr.read(4096).decode("utf-8", "replace").strip() if process.stderr else ""
    return OSError(f"zstd ended with {process.wait()}: {said or 'and said nothing'}")
