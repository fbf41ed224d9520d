# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time and sums of a review: windows that overlap count once, averages are made from sums. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..shapes import mapping, number
from ..times import from_text
from .days import Peak, Stage, Window, add_sums, no_sums

Span = tuple[float, float]
HOUR_S = 3600.0


@dataclass(frozen=True)
class Share:
    """What of a window counts: the parts of its time that no other window has told of."""

    window: Window
    parts: tuple[Span, ...]
    share: float

    @property
    def seconds(self) -> float:
        """How long the parts are."""
        return length_of(self.parts)


def minus(spans: Iterable[Span], taken: Sequence[Span]) -> list[Span]:
    """What is left of some spans of time without those that are taken, in order."""
    left = [span for span in spans if span[1] > span[0]]
    for begin, end in taken:
        cut = []
        for one in left:
            if end <= one[0] or begin >= one[1]:
                cut.append(one)
                continue
            cut += [span for span in ((one[0], begin), (end, one[1])) if span[1] > span[0]]
        left = cut
    return sorted(left)


def shares_of(windows: Iterable[Window], begin: float, end: float) -> list[Share]:
    """The share of each window that lies in the week and that none before it has told of, by the end of the windows.

    A share of a window is taken to have that share of its operations: within a window nothing finer is known. Of two
    windows of the same time, the one that knows of more operations is believed.
    """
    shares, taken = [], list[Span]()
    for window in sorted(windows, key=_rank):
        spans = parts_of(window)
        parts = minus([(max(left, begin), min(right, end)) for left, right in spans], taken)
        taken += parts
        length = length_of(spans)
        share = sum(to - start for start, to in parts) / length if length > 0 else 0.0
        shares.append(Share(window, tuple(parts), share))
    return shares


def _rank(window: Window) -> tuple[str, str, float, float, float]:
    return (window["end"], window["begin"], -window["operations"], -window["failed"], -window["duration_s"])


def span_of(window: Window) -> Span:
    begin, end = from_text(window["begin"]), from_text(window["end"])
    return (begin.timestamp(), end.timestamp()) if begin and end else (0.0, 0.0)


def parts_of(window: Window) -> list[Span]:
    """The times of a window that were seen."""
    if "parts" not in window:
        return [span_of(window)]
    found = [(from_text(begin), from_text(end)) for begin, end in window["parts"]]
    return [(begin.timestamp(), end.timestamp()) for begin, end in found if begin and end]


def joined(spans: Iterable[Span]) -> list[Span]:
    """Spans of time of which those that touch are one, in order."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif end > begin:
            found.append((begin, end))
    return found


def length_of(spans: Iterable[Span]) -> float:
    return sum(right - left for left, right in spans)


@dataclass
class Total:
    """Sums; averages are made from them, never from averages."""

    operations: float
    failed: float
    duration_s: float
    stages: dict[str, Stage]
    errors: dict[str, float]


def total_of(parts: Iterable[tuple[Window, float]]) -> Total:
    """The sum of windows, each by its share."""
    total = no_sums()
    for window, share in parts:
        if share > 0:
            add_sums(total, window, share)
    return Total(**total)


def figures_of(total: Total | None, peak: Peak) -> dict[str, Any]:
    operations = total.operations if total else None
    return {
        "total_operations": whole(operations),
        "failed_operations": whole(total.failed) if total else None,
        "success_rate": ratio(total.operations - total.failed, total.operations) if total else None,
        "error_rate": ratio(total.failed, total.operations) if total else None,
        "average_duration_s": ratio(total.duration_s, total.operations) if total else None,
        "peak_active_sessions": peak["sessions"],
        "peak_active_sessions_at": peak["sessions_at"],
        "cpu_peak_percent": peak["cpu_percent"],
        "cpu_peak_at": peak["cpu_at"],
        "memory_peak_percent": peak["memory_percent"],
        "memory_peak_at": peak["memory_at"],
    }


def whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole > 0 else None


def rounded(counts: Mapping[str, float]) -> dict[str, int]:
    return {name: round(count) for name, count in counts.items() if round(count)}


def stages_of(total: Total | None, previous: Mapping[str, Any] | None) -> dict[str, Any]:
    """The stages of the week, slowest first, each beside the week before."""
    before = mapping(previous.get("stages")) if previous else {}
    rows = {}
    for name, row in (total.stages if total else {}).items():
        average = ratio(row["duration_s"], row["count"])
        then = number(mapping(before.get(name)).get("average_duration_s"))
        rows[name] = {
            "count": whole(row["count"]),
            "success_rate": ratio(row["count"] - row["failed"], row["count"]),
            "average_duration_s": average,
            "max_duration_s": row["max_s"],
            "min_duration_s": row["min_s"],
            "before_s": then,
            "change": round(average / then - 1, 4) if average is not None and then else None,
        }
    return dict(sorted(rows.items(), key=lambda item: -(item[1]["average_duration_s"] or 0)))
