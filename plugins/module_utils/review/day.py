# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's report of one day of its site: what is there, what the log names, and what the service told, as one.

The operations come from the log's lines. Where the service knows of more than the log names, its own figures count for
the time that it remembers, which begins with its start; where the log names all of them, its answer proves that
nothing else happened. Joining the same again changes nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import OptionError
from ..shapes import Json, mapping
from ..times import from_text, to_text
from .days import SAMPLE_INTERVAL_S, NoFiguresError, Window, again, read_window, samples_of
from .logged import (
    QUARTER_S,
    Logged,
    Quarters,
    most,
    quarters_from,
    spans_from,
)
from .sums import Span, joined, span_of

DAY_VERSION = 2
WINDOWS_MAX = 50
_SAMPLES_MAX_1 = 300


@dataclass(frozen=True)
class Day:
    """A day of the site, by the calendar of its zone."""

    name: str
    begin: float
    end: float

    def has(self, moment: float) -> bool:
        return self.begin <= moment < self.end

    def within(self, spans: Iterable[Span]) -> list[Span]:
        """What of some spans of time lies in it."""
        return joined((max(left, self.begin), min(right, self.end)) for left, right in spans)


def days_from(rows: Iterable[Mapping[str, Any]]) -> list[Day]:
    """Days as an option names them.

    Raises:
        OptionError: one is none.
    """
    found = []
    for row in rows:
        begin, end = from_text(row.get("from")), from_text(row.get("to"))
        if not begin or not end or begin >= end:
            raise OptionError("days", dict(row), "needs day, from and to, ISO 8601")
        found.append(Day(str(row["day"]), begin.timestamp(), end.timestamp()))
    return found


@dataclass
class Told:
    """What is known of a day, or of an answer of the service."""

    day: Day | None = None
    is_whole: bool = False
    """Whether it was made when that day was over."""
    windows: list[Window] = field(default_factory=list)
    """What the service told of times of which the log does not name all."""
    quarters: Quarters = field(default_factory=dict)
    seen: list[Span] = field(default_factory=list)
    """When nothing can have ended that is not among the quarters."""
    restarts: list[str] = field(default_factory=list)
    samples: list[Mapping[str, Any]] = field(default_factory=list)
    stats: Mapping[str, Any] | None = None
    log_errors: Mapping[str, Any] | None = None


def read_told(document: Json) -> Told:
    """A day's report, of this release or the one before, or what the service told just now.

    Raises:
        NoFiguresError: it cannot be believed.
    """
    samples = samples_of(document.get("metrics"))
    stats, errors = (
        raw if isinstance(raw, Mapping) else None for raw in (document.get("stats"), document.get("log_errors"))
    )
    if document.get("schema_version") != DAY_VERSION:
        # The release before kept the newest samples alone: with so many of them, the first one is no start.
        is_cut = document.get("schema_version") == 1 and len(samples) >= _SAMPLES_MAX_1
        window = read_window(stats, None if is_cut else samples)
        return Told(windows=[window], samples=samples, stats=stats, log_errors=errors)
    begin, end = from_text(document.get("from")), from_text(document.get("to"))
    if begin is None or end is None or begin >= end:
        raise NoFiguresError("it is not said of which day it is")
    restarts, made = document.get("restarts"), from_text(document.get("generated_at"))
    return Told(
        day=Day(str(document.get("day")), begin.timestamp(), end.timestamp()),
        is_whole=made is not None and made >= end,
        windows=[again(row) for row in _rows(document.get("windows"))[:WINDOWS_MAX]],
        quarters=quarters_from(mapping(document.get("logged")).get("quarters")),
        seen=spans_from(document.get("seen")),
        restarts=[to_text(at) for text in restarts if (at := from_text(text))] if isinstance(restarts, list) else [],
        samples=samples,
        stats=stats,
        log_errors=errors,
    )


def _rows(raw: object) -> list[Any]:
    return raw if isinstance(raw, list) else []


def settle(told: Sequence[Told], logged: Logged) -> Told:
    """All of it as one: each operation once, from the log where that names all that the service knows of."""
    one = Told(
        quarters=most(*(each.quarters for each in told), logged.quarters),
        seen=[*logged.spans],
        samples=sorted(
            {str(row["at"]): row for each in told for row in each.samples}.values(), key=lambda row: str(row["at"])
        ),
    )
    restarts = {text for each in told for text in each.restarts}
    for each in told:
        one.seen += each.seen
        for window in each.windows:
            span = span_of(window)
            if window["restarted_at"]:
                restarts.add(window["restarted_at"])
            if round(window["operations"]) > _named_in(one.quarters, _remembered(window)):
                one.windows.append(window)
            elif not window["assumed"]:
                one.seen.append(span)
    one.windows = _without_contained(one.windows)
    one.seen, one.restarts = joined(one.seen), sorted(restarts)
    return one


def _remembered(window: Window) -> Span:
    """Of which time the service may tell: it may have started as long before its first sample as it takes to the next
    one, and what ended in between is remembered."""
    begin, end = span_of(window)
    return (begin - SAMPLE_INTERVAL_S, end) if window["restarted_at"] else (begin, end)


def _named_in(quarters: Quarters, span: Span) -> int:
    """How many operations the log names in a time, and in the rest of the quarters at both of its ends."""
    rows = (sums["operations"] for begin, sums in quarters.items() if begin < span[1] and begin + QUARTER_S > span[0])
    return round(sum(rows))


def _without_contained(windows: Iterable[Window]) -> list[Window]:
    """Of windows of which one lies within another, those that tell of more."""
    found: list[Window] = []
    for window in sorted(windows, key=lambda one: (-one["operations"], span_of(one))):
        left, right = span_of(window)
        if not any(begin <= left and right <= end for begin, end in map(span_of, found)):
            found.append(window)
    return sorted(found, key=span_of)


def middle_of(window: Window) -> float:
    return sum(span_of(window)) / 2
