# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This week beside the weeks before, and whether it is worse by more than noise. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..shapes import mapping, number
from ..times import from_text, to_text
from .chance import chance
from .days import WEEK_S, Peak, Sums, Window, add_sums, no_peak, no_sums
from .sums import HOUR_S, Share, Total, figures_of, ratio, shares_of, stages_of, total_of

WEEKS = 4
"""How many weeks before this one are compared with."""


@dataclass(frozen=True)
class Past:
    """What is known of former weeks: days that are still kept, reviews, and peaks by week, this one first."""

    windows: Sequence[Window]
    weeks: Sequence[Mapping[str, Any]]
    peaks: Sequence[Peak]


def former_week(past: Past, index: int, now: datetime, limits: Mapping[str, float]) -> dict[str, Any] | None:
    """The week so many weeks ago: its own review where one was kept, else made from the days that are still there."""
    due = now - timedelta(seconds=WEEK_S * index)
    kept = [(abs((moment - due).total_seconds()), row) for row in past.weeks if (moment := from_text(row.get("to")))]
    distance, nearest = min(kept, key=lambda item: item[0], default=(math.inf, {}))
    if distance <= 24 * HOUR_S:
        figures = mapping(nearest.get("figures"))
        operations, failed = number(figures.get("total_operations")) or 0, number(figures.get("failed_operations")) or 0
        average = number(figures.get("average_duration_s"))
        peak: Peak = {**no_peak(), "sessions": number(figures.get("peak_active_sessions"))}
        total = Total(operations, failed, (average or 0) * operations, {}, {})
        shown, share, stages = figures_of(total, peak), number(nearest.get("share")) or 0, nearest.get("stages")
        origin = "review"
    else:
        end = due.timestamp()
        shares = [s for s in shares_of(past.windows, end - WEEK_S, end) if s.parts]
        if not shares:
            return None
        total = total_of((s.window, s.share) for s in shares)
        shown, share = figures_of(total, past.peaks[index]), sum(s.seconds for s in shares) / WEEK_S
        stages, origin = stages_of(total, None), "daily"
    names = ("total_operations", "failed_operations", "success_rate", "error_rate", "average_duration_s")
    return {
        "to": to_text(due),
        "origin": origin,
        "share": round(share, 4),
        "enough": share >= limits["coverage_min"],
        "figures": {name: shown[name] for name in (*names, "peak_active_sessions")},
        "stages": {
            name: {"average_duration_s": mapping(row).get("average_duration_s")}
            for name, row in mapping(stages).items()
        },
    }


def mean_of(weeks: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The former weeks as one: rates and durations over all their operations, counts and peaks by the week."""
    figures = [week["figures"] for week in weeks]
    if not figures:
        return None
    operations = sum(one["total_operations"] for one in figures)
    failed = sum(one["failed_operations"] for one in figures)
    duration = sum((one["average_duration_s"] or 0) * one["total_operations"] for one in figures)
    full = [week["figures"]["total_operations"] for week in weeks if week["enough"]]
    peaks = [one["peak_active_sessions"] for one in figures if one["peak_active_sessions"] is not None]
    return {
        "weeks": len(figures),
        "figures": {
            "total_operations": round(statistics.fmean(full)) if full else None,
            "success_rate": ratio(operations - failed, operations),
            "error_rate": ratio(failed, operations),
            "average_duration_s": ratio(duration, operations),
            "peak_active_sessions": round(statistics.fmean(peaks), 1) if peaks else None,
        },
    }


_FIGURES = (
    ("total_operations", "count"),
    ("success_rate", "ratio"),
    ("error_rate", "ratio"),
    ("average_duration_s", "s"),
    ("peak_active_sessions", "count"),
)


def changes(
    figures: Mapping[str, Any],
    share: float,
    previous: Mapping[str, Any] | None,
    known: Sequence[Mapping[str, Any]],
    limits: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Each figure beside the week before and the mean, with what changed; rates change in points, others in parts."""
    mean = mean_of(known)
    then = previous["figures"] if previous else {}
    usual = mean["figures"] if mean else {}
    rows = []
    for name, unit in _FIGURES:
        why = ""
        # Half a week has half the operations: that is no change. Rates and durations can be compared all the same.
        if name in ("total_operations", "peak_active_sessions"):
            if share < limits["coverage_min"]:
                why = f"this week's data cover {share:.0%}"
            elif previous and not previous["enough"]:
                why = f"the data of the week before cover {previous['share']:.0%}"
        if previous is None:
            why = "there is no week before"
        change, change_mean = (_change(figures[name], other.get(name), unit) for other in (then, usual))
        rows.append(
            {
                "figure": name,
                "unit": unit,
                "now": figures[name],
                "before": then.get(name),
                "mean": usual.get(name),
                "change": None if why else change,
                "change_mean": None if share < limits["coverage_min"] and unit == "count" else change_mean,
                "why": why,
            }
        )
    return rows


def _change(now: float | None, then: float | None, unit: str) -> float | None:
    if now is None or then is None or (unit != "ratio" and then == 0):
        return None
    return round(now - then if unit == "ratio" else now / then - 1, 6)


def degradation(
    windows: Iterable[Window], begin: float, end: float, limits: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Is this week worse than the four before by more than noise? Said for each figure, "not enough data" included."""
    now = _daily(windows, begin, end, limits)
    # One pass over the whole time before, so that a day at the border of two weeks counts once.
    before = _daily(windows, begin - WEEKS * WEEK_S, begin, limits)
    return [
        _tested(
            "average_duration_s",
            [_per(w["duration_s"], w) for w in now],
            [_per(w["duration_s"], w) for w in before],
            limits,
        ),
        _tested("error_rate", [_per(w["failed"], w) for w in now], [_per(w["failed"], w) for w in before], limits),
    ]


def _per(part: float, day: Sums) -> float:
    return part / day["operations"]


def _daily(windows: Iterable[Window], begin: float, end: float, limits: Mapping[str, float]) -> list[Sums]:
    """Days that speak for themselves: most of their time is told of by no other, and they have enough operations."""
    by_day: dict[str, list[Share]] = {}
    for share in shares_of(windows, begin, end):
        if share.share > 0.5:
            by_day.setdefault(share.window.get("day") or share.window["end"], []).append(share)
    days = []
    for shares in by_day.values():
        day = no_sums()
        for share in shares:
            add_sums(day, share.window)
        days += [day] if day["operations"] >= limits["operations_min"] else []
    return days


def _tested(figure: str, now: Sequence[float], before: Sequence[float], limits: Mapping[str, float]) -> dict[str, Any]:
    least = int(limits["days_min"])
    row: dict[str, Any] = {
        "figure": figure,
        "days": len(now),
        "days_before": len(before),
        "median": round(statistics.median(now), 6) if now else None,
        "median_before": round(statistics.median(before), 6) if before else None,
        "change": None,
        "p": None,
    }
    if len(now) < least or len(before) < least:
        which = f"{len(now)} days of this week" if len(now) < least else f"{len(before)} days of the four weeks before"
        return {**row, "verdict": "not_enough_data", "why": f"{which} can be used, {least} are needed"}
    p = chance(now, before)
    median, then = statistics.median(now), statistics.median(before)
    row["p"] = round(p, 6)
    row["change"] = round(median - then, 6) if figure == "error_rate" else round(median / then - 1, 6) if then else None
    moved = abs(median - then) >= limits["change_min"] * then and median != then
    if p > limits["p_max"] or not moved:
        why = (
            f"p = {p:.2g}, {limits['p_max']:g} would do" if p > limits["p_max"] else "the change is too small to matter"
        )
        return {**row, "verdict": "noise", "why": why}
    return {**row, "verdict": "worse" if median > then else "better", "why": f"p = {p:.2g}"}
