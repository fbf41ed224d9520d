# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of the state directory that can be written where the disk has no byte and no inode left.

Their room is taken once, while there is some, and written in place from then on. A small document has two slots, one of
which is always whole: a line of JSON with its number and its SHA-256, padded to its length. Lines that are appended
have their room as empty lines behind them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ..opener import open_regular_at, read_whole
from ..shapes import json_object
from .directory import create_file, give_to_owner, require_single_name

SLOT = 8192
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_END = b"\n"
_CHUNK = 65536


class TornError(ValueError):
    """The file is there, and neither slot of it is whole."""


def read_slots(directory: int, name: str, *, needs_both: bool = False) -> dict[str, Any] | None:
    """The document; None where the file is not there, and where it says that there is none.

    Args:
        directory: open.
        name: of the file.
        needs_both: whether the older slot alone tells nothing: what was damaged may have been the newer one.

    Raises:
        TornError: neither slot is whole, or not both are.
        OSError: it cannot be read, or is larger than two slots.
    """
    try:
        opened = open_regular_at(directory, name)
    except FileNotFoundError:
        return None
    try:
        data = read_whole(opened, 2 * SLOT)
    finally:
        os.close(opened)
    document = newest(data)[1]
    if needs_both and len(whole(data)) == 1:
        raise TornError("one of its two slots is not whole")
    return document


def write_slots(directory: int, name: str, document: Mapping[str, Any] | None) -> None:
    """Write the document, or that there is none, on disk before this returns; the one before it stays whole meanwhile.

    Raises:
        OSError: it cannot be written, or is too long for a slot.
    """
    try:
        opened = open_regular_at(directory, name, os.O_RDWR)
    except FileNotFoundError:
        create_file(directory, name, slots(document), 0o600)
        return
    try:
        require_single_name(opened)
        give_to_owner(opened, directory)
        try:
            number, _document, at = newest(read_whole(opened, 2 * SLOT))
        except TornError:
            _write_at(opened, slots(document), 0)
        else:
            _write_at(opened, slot(number + 1, document), SLOT - at)
        os.fsync(opened)
    finally:
        os.close(opened)


def slots(document: Mapping[str, Any] | None) -> bytes:
    """The whole file as it is made, with both slots whole."""
    return slot(1, document) + slot(0, None)


def slot(number: int, document: Mapping[str, Any] | None) -> bytes:
    """One slot: a line of JSON that ends where the slot does."""
    content = {"document": document, "number": number}
    text = json.dumps({**content, "sha256": _sum(content)}, sort_keys=True, ensure_ascii=False)
    line = text.encode("utf-8", "surrogatepass")
    if len(line) >= SLOT:
        raise OSError(errno.EFBIG, f"its {len(line)} bytes are too many for a slot of {SLOT}")
    return line.ljust(SLOT - 1) + b"\n"


def newest(data: bytes) -> tuple[int, dict[str, Any] | None, int]:
    """Number and document of the newest whole slot, and where it begins.

    Raises:
        TornError: there is none.
    """
    found = whole(data)
    if not found:
        raise TornError("neither of its two slots is whole")
    return max(found, key=lambda one: int(one[0]))


def whole(data: bytes) -> list[tuple[int, dict[str, Any] | None, int]]:
    """The whole slots, each with its number, its document and where it begins."""
    found = []
    for at in (0, SLOT):
        try:
            kept = json_object(data[at : at + SLOT])
            content = {"document": kept["document"], "number": kept["number"]}
        except (ValueError, RecursionError, KeyError):
            continue
        of_ours = isinstance(kept["number"], int) and isinstance(kept["document"], (dict, type(None)))
        if of_ours and kept.get("sha256") == _sum(content):
            found.append((kept["number"], kept["document"], at))
    return found


def _sum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class LineFiles:
    """A file to which lines are appended, in a few of bounded size; all calls are made by one process at a time.

    Args:
        directory: open.
        name: of the newest; the older ones have a number behind it.
        room: bytes of each, at most.
        older: how many are kept beside the newest.
    """

    def __init__(self, directory: int, name: str, room: int, older: int) -> None:
        self._directory, self._name, self._room = directory, name, room
        self.names = [*(f"{name}.{number}" for number in range(older, 0, -1)), name]  # the oldest first
        self._spare = f"{name}.spare"

    def append(self, data: bytes) -> None:
        """Append whole lines, on disk before this returns.

        Raises:
            OSError: they cannot be written.
        """
        if not self._is_there(self._name) and self._is_there(self._spare):
            self._renew()  # what a crash left of a rotation
        if not self._written(data):
            self._rotate()
            self._written(data)
        with _where_there_is_room():
            self.take_room()

    def lacking(self) -> list[str]:
        """The files that take_room() would make."""
        return [name for name in (self._name, self._spare) if not self._is_there(name)]

    def take_room(self) -> None:
        """Real bytes for the lines to come.

        Raises:
            OSError: the disk has them not.
        """
        for name in self.lacking():
            create_file(self._directory, name, _END * self._room, 0o600)

    def _is_there(self, name: str) -> bool:
        return is_there(self._directory, name)

    def _written(self, data: bytes) -> bool:
        """Write behind the last line; False, and nothing is, where a file that has lines has no room for these."""
        try:
            opened = open_regular_at(self._directory, self._name, os.O_RDWR)
        except FileNotFoundError:
            create_file(self._directory, self._name, data, 0o600)
            opened = open_regular_at(self._directory, self._name, os.O_RDWR)
            data = b""
        try:
            require_single_name(opened)
            size = os.fstat(opened).st_size
            at = _end_of_lines(opened, size)
            if at and at + len(data) > self._room:
                return False
            # A line that a crash broke off must not swallow the next one.
            torn = data and at and os.pread(opened, 1, at - 1) != _END
            _write_at(opened, _END + data if torn else data, at)
            os.fsync(opened)
            with _where_there_is_room():
                size = os.fstat(opened).st_size
                _write_at(opened, _END * max(0, self._room - size), size)
        finally:
            os.close(opened)
        return True

    def _rotate(self) -> None:
        """Begin a new file. Where the disk has no room for one, it is the oldest, whose lines are given up for it."""
        if not self._is_there(self._spare):
            with _where_there_is_room():
                create_file(self._directory, self._spare, _END * self._room, 0o600)
        if not self._is_there(self._spare):
            oldest = next((name for name in self.names[:-1] if self._is_there(name)), None)
            if oldest is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._rename(oldest, self._spare)
        for older, newer in zip(self.names, self.names[1:]):  # noqa: B905
            if self._is_there(newer):
                self._rename(newer, older)
        self._renew()

    def _renew(self) -> None:
        """The spare file, without lines, is the newest from here on."""
        opened = open_regular_at(self._directory, self._spare, os.O_RDWR)
        try:
            require_single_name(opened)
            _write_at(opened, _END * os.fstat(opened).st_size, 0)
            os.fsync(opened)
        finally:
            os.close(opened)
        self._rename(self._spare, self._name)
        os.fsync(self._directory)

    def _rename(self, name: str, to: str) -> None:
        os.rename(name, to, src_dir_fd=self._directory, dst_dir_fd=self._directory)


def is_there(directory: int, name: str) -> bool:
    """Whether a name is taken in an open directory."""
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def _where_there_is_room() -> Iterator[None]:
    """What is only taken in advance is left for another time where the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise


def _end_of_lines(opened: int, size: int) -> int:
    """Where the next line begins: behind the last that is not empty, and its end where it has one."""
    at = size
    while at:
        begin = max(0, at - _CHUNK)
        lines = os.pread(opened, at - begin, begin).rstrip(_END)
        if lines:
            return min(begin + len(lines) + 1, size)
        at = begin
    return 0


def _write_at(opened: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        wrote = os.pwrite(opened, view, at)
        view, at = view[wrote:], at + wrote
