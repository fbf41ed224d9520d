# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what is known to windows of figures, none of which is of two days or of two weeks. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from ..shapes import number
from ..times import from_text
from .day import Day, Told, middle_of
from .days import Sums, Window, add_sums, no_sums
from .logged import QUARTER_S, spans_to
from .sums import HOUR_S, Span, joined, length_of, minus, parts_of, span_of

_DAY_S = 86400
_Place = tuple[str, int]


def windows_of(one: Told, days: Iterable[Day], until: float, borders: Sequence[float] = ()) -> list[Window]:
    """The windows of each day, as far as anything saw it, oldest first.

    Args:
        one: what is known, settled.
        days: the days of the site; where none is named, it is one of UTC.
        until: what is later is left out.
        borders: where a day is cut in two, each operation being on one side.
    """
    places = _Places(days, borders)
    taken = joined(span_of(window) for window in one.windows)
    quarters = {
        begin: sums
        for begin, sums in one.quarters.items()
        if begin < until and not any(left <= begin < right for left, right in taken)
    }
    named = ((begin, min(begin + QUARTER_S, until)) for begin in quarters)
    seen = minus(joined([*((left, min(right, until)) for left, right in one.seen), *named]), taken)
    parts: dict[_Place, list[Span]] = {}
    for span in places.cut(seen):
        parts.setdefault(places.of(span[0]), []).append(span)
    sums: dict[_Place, Sums] = {}
    for begin in sorted(quarters):
        add_sums(sums.setdefault(places.of(begin), no_sums()), quarters[begin])
    made = {place: _window(place, joined(spans), sums.get(place) or no_sums()) for place, spans in parts.items()}
    for at in one.restarts:
        moment = from_text(at)
        window = made.get(places.of(moment.timestamp())) if moment else None
        if window:
            window["restarted_at"] = at
    for row in one.samples:
        moment, sessions = from_text(row.get("at")), number(row.get("active_sessions"))
        window = made.get(places.of(moment.timestamp())) if moment else None
        if window and sessions is not None and sessions >= 0 and sessions > (window["peak_sessions"] or -1):
            window["peak_sessions"], window["peak_at"] = sessions, str(row["at"])
    told: list[Window] = [{**window, "day": places.of(middle_of(window))[0]} for window in one.windows]
    return sorted([*made.values(), *told], key=span_of)


def _window(place: _Place, parts: list[Span], sums: Sums) -> Window:
    texts = spans_to(parts)
    return {
        **sums,
        "day": place[0],
        "begin": texts[0][0],
        "end": texts[-1][1],
        "hours": round(length_of(parts) / HOUR_S, 2),
        "assumed": False,
        "restarted_at": None,
        "peak_sessions": None,
        "peak_at": None,
        "parts": [(one[0], one[1]) for one in texts],
    }


class _Places:
    """Of which day, and between which borders, a moment is."""

    def __init__(self, days: Iterable[Day], borders: Sequence[float]) -> None:
        self._days = sorted(days, key=lambda day: day.begin)
        self._begins = [day.begin for day in self._days]
        self._borders = sorted(borders)

    def of(self, moment: float) -> _Place:
        at = bisect_right(self._begins, moment) - 1
        index = bisect_right(self._borders, moment)
        if at >= 0 and self._days[at].has(moment):
            return self._days[at].name, index
        return f"{datetime.fromtimestamp(moment, timezone.utc):%Y-%m-%d}", index

    def cut(self, spans: Iterable[Span]) -> Iterable[Span]:
        """The spans, none of them across the end of a day or a border."""
        ends = {end for day in self._days for end in (day.begin, day.end)} | set(self._borders)
        for begin, end in spans:
            midnights = range(int(begin // _DAY_S + 1) * _DAY_S, int(end) + 1, _DAY_S)
            cuts = sorted(moment for moment in {*ends, *map(float, midnights)} if begin < moment < end)
            for left, right in zip([begin, *cuts], [*cuts, end]):  # noqa: B905
                yield left, right


def coverage_of(windows: Iterable[Window], begin: float, end: float) -> dict[str, Any]:
    """How much of a time was seen, and what was not."""
    spans = [span for window in windows if proves(window) for span in parts_of(window)]
    gaps = minus([(begin, end)], joined(spans))
    covered = end - begin - length_of(gaps)
    return {
        "hours": round((end - begin) / HOUR_S, 2),
        "covered_h": round(covered / HOUR_S, 2),
        "gaps": [{"from": left, "to": right} for left, right in spans_to(gaps)],
    }


def proves(window: Window) -> bool:
    """Whether a window says anything of its time: none without operations does that no sample stands beside."""
    return not window["assumed"] or window["operations"] > 0
