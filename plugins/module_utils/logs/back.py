# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A log read back to some moment, line by line, and how far back it really reaches.

Only so is what it does not say known not to have been: a log that begins later, or of which a part cannot be read,
says nothing of the time before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..deadline import Deadline
from ..shapes import one_line
from .fields import LogFields
from .reading import Reading
from .scan import Scanner, Taker
from .where import Where
from .writers import time_reader

LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Back:
    """How a log was read back.

    Attributes:
        state: ``ok``, or why it could not be read.
        reason: why not all that it says is known, in one line; empty where it is.
        begins: the moment of its first entry in seconds since 1970, None where none has a time.
        reaches: whether it tells of all the time that was asked for.
        bytes: that were read.
    """

    state: str
    reason: str
    begins: float | None
    reaches: bool
    bytes: int


def read_back(path: str, taker: Taker, since: datetime, fields: LogFields, *, deadline: Deadline | None = None) -> Back:
    """Hand each entry of a log, and of its rotated files, to a taker, the oldest first."""
    first = _First(taker)
    scanner = Scanner(first, Where([]), max_line_bytes=LINE_BYTES, parse_all=True, fields=fields)
    reading = Reading(path, scanner, rotated=True, since=since, deadline=deadline)
    reading.run()
    how, begins = reading.result(), first.begins
    reaches = reading.has_older or (begins is not None and begins <= since.timestamp())
    state, reason = how["state"], how["reason"]
    if state == "ok" and not how["complete"]:
        state, reason = "invalid", one_line(f"not read: {', '.join(how['left_out'])}", 300)
    elif state == "ok" and scanner.bad_lines * 2 > scanner.lines:
        state = "invalid"
        reason = f"{scanner.bad_lines} of {scanner.lines} lines of {path} are no entries that could be read"
    elif state == "ok" and first.undated > first.dated:
        state = "invalid"
        reason = f"{first.undated} of {first.undated + first.dated} entries of {path} have no time that could be read"
    return Back(state, reason, begins, reaches and state == "ok", how["bytes_read"])


class _First:
    """Notes when the first entry was, and hands all of them on."""

    def __init__(self, taker: Taker) -> None:
        self.begins: float | None = None
        self.dated = self.undated = 0
        self._taker = taker
        self._time_of = time_reader("timestamp")

    def add(self, entry: Mapping[str, Any], line: bytes | bytearray) -> None:
        """Take one entry."""
        moment = self._time_of(entry)
        if moment is None:
            self.undated += 1
        else:
            self.dated += 1
            at = moment.replace(tzinfo=timezone.utc).timestamp()
            self.begins = at if self.begins is None else min(at, self.begins)
        self._taker.add(entry, line)
