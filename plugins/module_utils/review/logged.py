# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations as the lines of the service's log name them, which no restart of the service takes away.

Each ended operation is a line with its stage, how long it took, and what failed. They are summed up by the quarter of
an hour: days of all zones begin with one, so that each operation is in exactly one day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ..deadline import Deadline
from ..logs.back import LINE_BYTES, read_back
from ..logs.fields import LogFields
from ..logs.reading import Reading
from ..logs.scan import Scanner
from ..logs.where import Where, getter
from ..logs.writers import has_failed, time_reader
from ..shapes import number, one_line
from ..times import from_text, text_of
from .days import NoFiguresError, Sums, add_sums, no_stage, no_sums, read_sums
from .sums import Span, joined

QUARTER_S = 900
_STAGE, _DURATION = "extra.stage", "extra.duration_seconds"
_STAGES_MAX = 50
_CODES_MAX = 50
# Of so many operations a line that comes twice, as in a copy of a rotated file, is told from two operations.
_KNOWN_MAX = 1_000_000
_PROCESSES_MAX = 10_000

Quarters = dict[float, Sums]
"""Sums by the begin of their quarter of an hour, in seconds since 1970."""


class Logged:
    """What a log tells of a stretch of time."""

    def __init__(self) -> None:
        self.quarters: Quarters = {}
        self.spans: list[Span] = []
        """When it is known to have named all that ended: from the first line of a process to its last."""
        self.state = "not_read"
        self.reason = ""


class Operation(NamedTuple):
    """One that ended, by the line that says so; ``took`` is None where it does not say for how long it worked."""

    at: float
    stage: str
    took: float | None
    failed: bool
    code: object
    session: object
    process: object


class Operations:
    """Finds the operations that lines tell of."""

    def __init__(self, fields: LogFields) -> None:
        self._by_outcome = fields.tells_outcome
        self._time_of = time_reader("timestamp")
        self._stage, self._duration = getter("where", _STAGE), getter("where", _DURATION)
        self._code, self._session = getter("where", "extra.error_code"), getter("where", "extra.session_id")
        self._success = getter("where", "extra.success")

    def of(self, entry: Mapping[str, Any]) -> Operation | None:
        """The operation that an entry is the end of, None where it is the end of none."""
        moment, stage, took = self._time_of(entry), self._stage(entry), number(self._duration(entry))
        is_end = isinstance(self._success(entry), bool) if self._by_outcome else took is not None
        if moment is None or not isinstance(stage, str) or not is_end or (took or 0) < 0:
            return None
        at = moment.replace(tzinfo=timezone.utc).timestamp()
        code, session = self._code(entry), self._session(entry)
        return Operation(at, one_line(stage, 40), took, has_failed(entry), code, session, entry.get("process_id"))


def read_log(
    path: str,
    since: datetime,
    until: datetime,
    deadline: Deadline | None = None,
    *,
    fields: LogFields | None = None,
    alone: bool = False,
) -> Logged:
    """The operations that ended in that time by the log at a path and its rotated files.

    Args:
        path: of the log.
        since: the begin of that time.
        until: its end.
        deadline: by which it is read.
        fields: the service's own names of what it says.
        alone: whether nothing else tells of operations: from the log's begin on, what it does not name was not.
    """
    fields, found = fields or LogFields({}), Logged()
    named = _Named(fields, since, until)
    if alone or fields:
        back = read_back(path, named, since, fields, deadline=deadline)
        found.quarters, found.state, found.reason = named.quarters, back.state, back.reason
        if alone and back.state == "ok" and (back.reaches or back.begins is not None):
            begin = since.timestamp() if back.reaches else max(back.begins or 0.0, since.timestamp())
            found.spans = joined([(begin, until.timestamp())])
        elif back.state == "ok":
            found.spans = joined(named.lives())
        return found
    where = Where([{"field": field, "op": "exists"} for field in (_DURATION, _STAGE)])
    scanner = Scanner(named, where, max_line_bytes=LINE_BYTES, parse_all=False)
    reading = Reading(path, scanner, rotated=True, since=since, deadline=deadline)
    reading.run()
    how = reading.result()
    found.quarters, found.state, found.reason = named.quarters, how["state"], how["reason"]
    if how["complete"]:
        found.spans = joined(named.lives())
    elif how["state"] == "ok":
        found.reason = one_line(f"not read: {', '.join(how['left_out'])}", 300)
    return found


class EachOnce:
    """Takes the operations of a stretch of time that lines name, each once."""

    def __init__(self, fields: LogFields, since: datetime, until: datetime) -> None:
        self._operations = Operations(fields)
        self._since, self._until = since.timestamp(), until.timestamp()
        self._known: set[int] = set()

    def add(self, entry: Mapping[str, Any], line: bytes | bytearray) -> None:
        """Take one line."""
        del line
        one = self._operations.of(entry)
        # What is dated ahead is of no day yet: it counts once its time has come.
        if one is None or not self._since <= one.at < self._until:
            return
        known = hash((one.at, one.stage, str(one.session)))
        if known in self._known:
            return
        if len(self._known) < _KNOWN_MAX:
            self._known.add(known)
        self.take(one)

    def take(self, one: Operation) -> None:
        """Take an operation."""
        raise NotImplementedError


class _Named(EachOnce):
    """Sums them up by the quarter of an hour."""

    def __init__(self, fields: LogFields, since: datetime, until: datetime) -> None:
        super().__init__(fields, since, until)
        self.quarters: Quarters = {}
        self._lives: dict[str, tuple[float, float]] = {}

    def take(self, one: Operation) -> None:
        """Take an operation."""
        sums = self.quarters.setdefault(one.at // QUARTER_S * QUARTER_S, no_sums())
        codes: dict[str, float] = {}
        if one.failed and one.code not in (None, ""):
            codes = {one_line(one.code, 60): 1.0}
        row, took = no_stage(), one.took or 0.0
        row["count"], row["failed"], row["duration_s"] = 1, int(one.failed), took
        row["max_s"], row["min_s"] = one.took, one.took
        is_told = one.stage in sums["stages"] or len(sums["stages"]) < _STAGES_MAX
        told = {code: n for code, n in codes.items() if code in sums["errors"] or len(sums["errors"]) < _CODES_MAX}
        stages = {one.stage: row} if is_told else {}
        add_sums(
            sums,
            {"operations": 1, "failed": int(one.failed), "duration_s": took, "stages": stages, "errors": told},
        )
        self._lived(one.process, one.at)

    def _lived(self, process: object, at: float) -> None:
        name = str(process)
        if process is None or (name not in self._lives and len(self._lives) >= _PROCESSES_MAX):
            return
        first, last = self._lives.get(name, (at, at))
        self._lives[name] = (min(first, at), max(last, at))

    def lives(self) -> Iterable[Span]:
        """From the first line of each process to its last."""
        return self._lives.values()


def most(*sources: Mapping[float, Sums]) -> Quarters:
    """Of each quarter what knows of the most operations: some get lost with a log, none are made up."""
    found: Quarters = {}
    for quarters in sources:
        for begin, sums in quarters.items():
            if begin not in found or sums["operations"] > found[begin]["operations"]:
                found[begin] = sums
    return found


def quarters_to(quarters: Mapping[float, Sums]) -> list[dict[str, Any]]:
    """As a document has them, oldest first."""
    return [{"begin": text_of(begin), **quarters[begin]} for begin in sorted(quarters)]


def quarters_from(rows: object) -> Quarters:
    """From a document.

    Raises:
        NoFiguresError: a row of it cannot be believed.
    """
    found: Quarters = {}
    for row in rows if isinstance(rows, list) else []:
        moment = from_text(row.get("begin")) if isinstance(row, Mapping) else None
        if moment is None or moment.timestamp() % QUARTER_S:
            raise NoFiguresError("a row of its operations has no quarter of an hour")
        found = most(found, {moment.timestamp(): read_sums(row)})
    return found


def spans_to(spans: Iterable[Span]) -> list[list[str]]:
    """As a document has them."""
    return [[text_of(begin), text_of(end)] for begin, end in spans]


def spans_from(rows: object) -> list[Span]:
    """From a document; what is no span of time is none."""
    found = []
    for row in rows if isinstance(rows, list) else []:
        ends = [from_text(end) for end in row] if isinstance(row, (list, tuple)) else []
        if len(ends) == 2 and ends[0] and ends[1]:
            found.append((ends[0].timestamp(), ends[1].timestamp()))
    return joined(found)
