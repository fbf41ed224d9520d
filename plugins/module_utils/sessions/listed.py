# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the service says of its sessions: the list of the API, and the lines of its log."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..api.client import Client
from ..api.settings import ApiSettings
from ..errors import OptionError
from ..logs.log_digest_info import argument_spec, log_digest
from ..shapes import number, one_line
from ..times import from_text, utc_now
from .active import SESSIONS_PATH, active_sessions

_TAIL_BYTES = 64 << 20
_NEW_BYTES = 32 << 20
_TAIL_FIELDS = ["timestamp", "level", "message", "extra.stage", "extra.error_code", "extra.error_message"]


@dataclass(frozen=True)
class Entry:
    """A session of the list. Where it has several stages at once it stands there for each; here it is one.

    Attributes:
        stages: in the list's order.
        minutes: how long the oldest of them runs, None where that is not told.
        started: when that began.
        starts: stages with their starts as the list gave them: what changes when the session goes on.
    """

    stages: tuple[str, ...]
    minutes: float | None
    started: datetime | None
    starts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answer:
    """The list, or the reason why there is none."""

    state: str
    reason: str
    sessions: dict[str, Entry] = field(default_factory=dict)


def ask_sessions(settings: ApiSettings) -> Answer:
    """Ask the API which sessions are active. An answer of which a part cannot be read is no answer."""
    reply = Client(settings).request(SESSIONS_PATH)
    if reply.data is None:
        return Answer(reply.state, reply.reason)
    listed = active_sessions(reply.data)
    if not listed.complete:
        return Answer("invalid", listed.reason)
    return Answer("ok", "", {session_id: _entry(rows) for session_id, rows in listed.by_id.items()})


def _entry(rows: list[Mapping[str, Any]]) -> Entry:
    minutes = [found for found in map(_minutes, rows) if found is not None]
    starts = [found for found in (from_text(row.get("start_time")) for row in rows) if found is not None]
    longest = max(minutes, default=None)
    if len(starts) < len(rows):
        starts = [] if longest is None else [utc_now() - timedelta(minutes=longest)]
    return Entry(
        stages=tuple(one_line(row.get("stage"), 60) for row in rows),
        minutes=longest,
        started=min(starts, default=None),
        starts=tuple(sorted((str(row.get("stage")), str(row.get("start_time"))) for row in rows)),
    )


def _minutes(row: Mapping[str, Any]) -> float | None:
    minutes, seconds = number(row.get("duration_minutes")), number(row.get("duration_seconds"))
    found = minutes if minutes is not None else None if seconds is None else seconds / 60
    # More than a year is no duration, and no datetime.
    return float(found) if found is not None and 0 <= found < 527_040 else None


@dataclass(frozen=True)
class LogMark:
    """Where the log ended at one moment."""

    path: str
    inode: int = 0
    size: int = 0

    @classmethod
    def of(cls, path: str) -> LogMark:
        """The end of a log as it is now; a log that cannot be read has no lines."""
        with contextlib.suppress(OSError):
            facts = os.stat(path)
            return cls(path, facts.st_ino, facts.st_size)
        return cls(path)

    def lines_since(self) -> list[bytes]:
        """The lines written since, also where the log was rotated meanwhile."""
        if not self.path:
            return []
        now = LogMark.of(self.path)
        if now.inode == self.inode:
            return self._read(self.path, self.size)
        return self._read(f"{self.path}.1", self.size) + self._read(self.path, 0)

    def _read(self, path: str, offset: int) -> list[bytes]:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if offset and os.fstat(file.fileno()).st_ino != self.inode:
                return []
            file.seek(offset)
            return file.read(_NEW_BYTES).splitlines()
        return []


def lines_of(session_id: str, lines: list[bytes]) -> int:
    """How many lines of a log have this id as a whole value."""
    value = f'"{session_id}"'.encode()
    return sum(value in line for line in lines)


def log_tail(path: str, session_id: str, lines: int) -> list[dict[str, Any]]:
    """The last entries of the log that are of this session."""
    if not path or not lines:
        return []
    defaults = {name: option.get("default") for name, option in argument_spec().items()}
    condition = {"field": "extra.session_id", "op": "eq", "value": session_id}
    chosen = {
        "path": path,
        "where": [condition],
        "last": lines,
        "fields": _TAIL_FIELDS,
        "max_text": 300,
        "max_bytes": _TAIL_BYTES,
    }
    try:
        found: list[dict[str, Any]] = log_digest({**defaults, **chosen})["last"]
    except OptionError as error:
        raise OptionError("log_path", path, "must be an absolute path to a log of JSON lines") from error
    return found
