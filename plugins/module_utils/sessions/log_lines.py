# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the log of the service says of a session."""

from __future__ import annotations

import contextlib
import io
import os
import re
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict

from ..logs.digest import Digest
from ..logs.fields import LogFields
from ..logs.scan import Scanner
from ..logs.where import Where, getter
from ..logs.writers import time_reader
from ..opener import open_regular
from ..shapes import one_line

_TAIL_BYTES = 64 << 20
_LINE_BYTES = 1 << 20
_NEW_BYTES = 32 << 20
_HEAD_BYTES = 512
_ENDS = 100  # the last lines may be no entries
_TIME = time_reader("timestamp")
_VALUES = re.compile(rb'"([A-Za-z0-9][A-Za-z0-9._-]{0,127})"')
_NUMBERS = re.compile(rb"[:\[,] ?([0-9]{4,128})(?=[,}\]\s])")  # an id may be one
_TAIL_FIELDS = ["timestamp", "level", "message", "extra.stage", "extra.error_code", "extra.error_message"]

Entry = Dict[str, Any]


@dataclass(frozen=True)
class LogMark:
    """Where the log ended at one moment; `fault` is why that cannot be seen, empty for a log that is not there.

    `head` is how it begins, which no new line changes.
    """

    path: str
    inode: int = 0
    size: int = 0
    fault: str = ""
    head: bytes = b""

    @classmethod
    def of(cls, path: str) -> LogMark:
        """The end of a log as it is now; one that is not there has no lines."""
        if not path:
            return cls(path)
        try:
            opened = open_regular(path, follow=True)
        except FileNotFoundError:
            return cls(path)
        except OSError as error:
            return cls(path, fault=one_line(f"{path}: {error.strerror}"))
        try:
            facts, head = os.fstat(opened), os.pread(opened, _HEAD_BYTES, 0)
        finally:
            os.close(opened)
        return cls(path, facts.st_ino, facts.st_size, head=head)

    def lines_lost(self) -> str:
        """Why lines that were written since are not there to be read; empty where all are."""
        if not self.inode:
            return ""
        now = LogMark.of(self.path)
        if now.inode != self.inode:
            is_found = LogMark.of(f"{self.path}.1").inode == self.inode
            return "" if is_found else f"{self.path} was rotated meanwhile, and is not at {self.path}.1"
        is_whole = now.size >= self.size and now.head.startswith(self.head)
        return "" if is_whole else f"{self.path} was emptied meanwhile"

    def lines_since(self) -> list[bytes]:
        """The lines written since, also where the log was rotated meanwhile."""
        if not self.path:
            return []
        now = LogMark.of(self.path)
        if now.inode == self.inode:
            return self._read(self.path, self.size)
        return self._read(f"{self.path}.1", self.size) + self._read(self.path, 0)

    def _read(self, path: str, offset: int) -> list[bytes]:
        try:
            opened = open_regular(path, follow=True)
        except OSError:  # a log that cannot be read shows no progress; `fault` says so
            return []
        with os.fdopen(opened, "rb") as file:
            if offset and os.fstat(opened).st_ino != self.inode:
                return []
            file.seek(offset)
            return file.read(_NEW_BYTES).splitlines()


def lines_by_session(lines: Iterable[bytes]) -> Counter[str]:
    """How many lines of a log have an id as a whole value, by id."""
    found: Counter[str] = Counter()
    for line in lines:
        found.update({value.decode("ascii") for value in (*_VALUES.findall(line), *_NUMBERS.findall(line))})
    return found


def _of_session(fields: LogFields) -> re.Pattern[bytes]:
    """What finds the session of a line, by the field that tells it; an id may be a number."""
    key = re.escape(fields.session.rpartition(".")[2].encode("utf-8"))
    return re.compile(rb'"' + key + rb'" ?: ?"?([A-Za-z0-9][A-Za-z0-9._-]{0,127})(?<![.])["\s,}]')


def log_tails(path: str, session_ids: Collection[str], lines: int, fields: LogFields) -> dict[str, list[Entry]]:
    """The last entries of the log that are of these sessions, by session.

    Args:
        path: of the log; empty for none.
        session_ids: of the sessions.
        lines: how many of each at most.
        fields: the service's own names of what the log says.
    """
    if not path or not lines or not session_ids:
        return {}
    raw: dict[str, deque[bytes]] = {session_id: deque(maxlen=2 * lines) for session_id in session_ids}
    of_session = _of_session(fields)
    for line in _last_lines(path):
        for value in set(of_session.findall(line)):
            kept = raw.get(value.decode("ascii"))
            if kept is not None:
                kept.append(line)
    return {session_id: _entries(session_id, kept, lines, fields) for session_id, kept in raw.items() if kept}


def quiet_in_log(path: str, session_ids: Collection[str], fields: LogFields) -> dict[str, float]:
    """Seconds since the last line of each of these sessions that has one; 0 where that cannot be told.

    Counted from the log's own last line, which is as old as the file's last change: so it holds whatever zone the
    writer's times are of. The file before the log counts as well, as the log may have been rotated just now.
    """
    if not path or not session_ids:
        return {}
    lines: dict[str, bytes] = {}
    ends: deque[bytes] = deque(maxlen=_ENDS)
    changed, of_session = 0.0, _of_session(fields)
    for name in (f"{path}.1", path):
        for line in _last_lines(name):
            ends.append(line)
            lines.update((value.decode("ascii"), line) for value in of_session.findall(line))
        with contextlib.suppress(OSError):
            changed = max(changed, os.stat(name).st_mtime)
    end = next((at for line in reversed(ends) if (at := _time_of(line, fields))), None)
    since_end = max(time.time() - changed, 0.0)
    quiet = {}
    for session_id in lines.keys() & set(session_ids):
        at = _time_of(lines[session_id], fields)
        quiet[session_id] = since_end + max((end - at).total_seconds(), 0.0) if end and at else 0.0
    return quiet


def _time_of(line: bytes, fields: LogFields) -> datetime | None:
    entry = fields.read(line)
    return None if entry is None else _TIME(entry)


def _last_lines(path: str) -> Iterator[bytes]:
    """The lines of the last part of a log. One that cannot be read has none; LogMark tells."""
    try:
        opened = open_regular(path, follow=True)
    except OSError:
        return
    with os.fdopen(opened, "rb") as file:
        start = max(0, os.fstat(opened).st_size - _TAIL_BYTES)
        if start:
            file.seek(start)
            file.readline(_LINE_BYTES)
        while line := file.readline(_LINE_BYTES):
            yield line


def _entries(session_id: str, lines: Iterable[bytes], most: int, fields: LogFields) -> list[Entry]:
    digest = Digest(
        count_by={},
        numeric={},
        fields={field: getter("fields", field) for field in _TAIL_FIELDS},
        time_of=_TIME,
        last=most,
        only_last=False,
        max_values=1,
        max_text=300,
        since=None,
        entry_of=fields.read,
    )
    where = Where([{"field": "extra.session_id", "op": "eq", "value": session_id}])
    whole = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)
    scanner = Scanner(digest, where, max_line_bytes=_LINE_BYTES, parse_all=False, fields=fields)
    scanner.read(io.BytesIO(whole).readinto)
    found: list[Entry] = digest.result()["last"]
    return found
