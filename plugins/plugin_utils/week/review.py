# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The weekly review of one host: from kept figures to one document that can be compared with the next.

Windows that overlap count once, durations are weighted by their operations, what was not seen is said. Pure.

Two sources tell of the week. The host's own, which survive a restart of the service: the lines of its log, and the
day's reports, with what they had of lines that are gone by now and with what the service told each evening. And the
service's own answer for 168 h, which has lost what a restart, the weekly cleanup or its cap of operations took.
Operations get lost and are never invented, so the source that knows of more of them is the better one, and is taken
whole: half of each would count twice what both have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from ...module_utils.errors import OptionError
from ...module_utils.review.compare import WEEKS, Past, changes, degradation, former_week, mean_of
from ...module_utils.review.days import (
    REVIEW_VERSION,
    WEEK_S,
    NoFiguresError,
    Peak,
    Window,
    no_peak,
    peaks_by_week,
    raise_peak,
    read_window,
    samples_of,
)
from ...module_utils.review.sums import (
    HOUR_S,
    Share,
    Total,
    figures_of,
    length_of,
    minus,
    ratio,
    rounded,
    shares_of,
    span_of,
    stages_of,
    total_of,
    whole,
)
from ...module_utils.review.windows import proves
from ...module_utils.shapes import mapping, one_line
from ...module_utils.times import from_text, text_of, to_text
from ..judging.figures import metrics

_NOTES_MAX = 20

THRESHOLDS: dict[str, tuple[float, float]] = {
    "coverage_known": (0, 1),
    "coverage_min": (0, 1),
    "days_min": (2, 28),
    "operations_min": (1, 1e9),
    "change_min": (0, 10),
    "p_max": (0, 0.5),
    "operations_cap": (1, 1e9),
}
"""What the policy must say, each with the range in which it makes sense."""


def review(
    reports: object, *, day: object = None, week: object = None, now: datetime, thresholds: Mapping[str, Any]
) -> dict[str, Any]:
    """The review of one host.

    Args:
        reports: what a task with daily_reports_info registered, also where it failed.
        day: what a task with pipeline_info registered that asked for stats and metrics of 24 h: today, so far.
        week: the same for stats of 168 h.
        now: the end of the week under review.
        thresholds: a value for each key of THRESHOLDS.
    """
    limits = _limits(thresholds)
    found = _Found(mapping(reports), day, week, now)
    begin, end = now.timestamp() - WEEK_S, now.timestamp()
    shares = shares_of(found.windows, begin, end)
    source, total = _better(shares, found.service)
    coverage = _coverage(shares, found, source, now, limits)
    figures = figures_of(total, found.peaks[0])
    past = Past(found.windows, found.weeks, found.peaks)
    former = [former_week(past, index, now, limits) for index in range(1, WEEKS + 1)]
    previous = former[0]
    known = [one for one in former if one]
    return {
        "schema_version": REVIEW_VERSION,
        "period": {"from": to_text(now - timedelta(seconds=WEEK_S)), "to": to_text(now)},
        "source": source,
        "figures": figures,
        "coverage": coverage,
        "days": [_day(share) for share in shares if share.parts],
        "stages": stages_of(total, previous),
        "errors": dict(sorted(rounded(total.errors).items(), key=lambda item: (-item[1], item[0]))) if total else {},
        "comparison": {
            "previous": previous,
            "mean": mean_of(known),
            "changes": changes(figures, coverage["share"], previous, known, limits),
        },
        "weeks": [*reversed(known)],
        "degradation": degradation(found.windows, begin, end, limits),
        "automation": found.actions,
    }


def _limits(thresholds: Mapping[str, Any]) -> dict[str, float]:
    """The thresholds as numbers; those from the command line come as text."""
    limits = {}
    for name, (low, high) in THRESHOLDS.items():
        raw = thresholds.get(name)
        try:
            value = math.nan if isinstance(raw, bool) else float(cast("Any", raw))
        except (TypeError, ValueError):
            value = math.nan
        if not low <= value <= high:
            raise OptionError(f"thresholds.{name}", raw, f"must be {low:g} to {high:g}")
        limits[name] = value
    unknown = sorted(set(thresholds) - set(THRESHOLDS))
    if unknown:
        raise OptionError("thresholds", unknown[0], f"is none of {', '.join(THRESHOLDS)}")
    return limits


class _Found:
    """All that is known, read once."""

    def __init__(self, reports: Mapping[str, Any], day: object, week: object, now: datetime) -> None:
        self.notes: list[str] = []
        listed = reports.get("days")
        if not isinstance(listed, list):
            self.notes.append(f"the kept reports were not read: {one_line(reports.get('msg') or 'no answer', 120)}")
        self.windows: list[Window] = [cast("Window", row) for row in listed] if isinstance(listed, list) else []
        self.weeks = [row for row in reports.get("weeks") or [] if isinstance(row, Mapping)]
        self.notes += [
            f"{one_line(mapping(row).get('file'), 60)} was left out: {one_line(mapping(row).get('why'), 120)}"
            for row in reports.get("unreadable") or []
        ]
        self.actions = reports.get("actions") if isinstance(reports.get("actions"), Mapping) else None
        if self.actions is None:
            self.notes.append("what automation did is not known: the ledger was not read")
        peaks = reports.get("peaks")
        self.peaks = [cast("Peak", peak) for peak in peaks] if isinstance(peaks, list) else []
        self.peaks += [no_peak() for _missing in range(WEEKS + 1 - len(self.peaks))]

        samples = self._samples(day)
        for peak in peaks_by_week(samples, now, 1):
            _join(self.peaks[0], peak)
        today = self._answer("the last 24 h", day, samples)
        # The host has joined it with what the log names, where it could.
        if today and not reports.get("seen"):
            self.windows.append(today)
        self.service = self._answer("168 h", week, None)

    def _samples(self, result: object) -> list[Mapping[str, Any]]:
        """Today's samples, in the words of the day's reports."""
        answer = mapping(mapping(mapping(result).get("endpoints")).get("metrics"))
        return samples_of(metrics(mapping(answer.get("data")))) if answer.get("state") == "ok" else []

    def _answer(self, what: str, result: object, samples: list[Mapping[str, Any]] | None) -> Window | None:
        if result is None:
            return None
        answer = mapping(mapping(mapping(result).get("endpoints")).get("stats"))
        why = answer.get("reason") or mapping(result).get("msg") or "no answer"
        if answer.get("state") == "ok":
            try:
                return read_window(answer.get("data"), samples)
            except NoFiguresError as error:
                why = error
        self.notes.append(f"the service gave no figures of {what}: {one_line(why, 160)}")
        return None


def _join(peak: Peak, other: Peak) -> None:
    raise_peak(peak, {"at": other["sessions_at"], "active_sessions": other["sessions"]})
    raise_peak(peak, {"at": other["cpu_at"], "cpu_percent": other["cpu_percent"]})
    raise_peak(peak, {"at": other["memory_at"], "memory_percent": other["memory_percent"]})


def _better(shares: Sequence[Share], service: Window | None) -> tuple[str, Total | None]:
    """The source that knows of more operations, and its sums."""
    kept = total_of((share.window, share.share) for share in shares) if any(s.parts for s in shares) else None
    if service is None:
        return ("daily", kept) if kept else ("none", None)
    asked = total_of([(service, 1.0)])
    if kept is None or round(asked.operations) >= round(kept.operations):
        return "service", asked
    return "daily", kept


def _day(share: Share) -> dict[str, Any]:
    """One window for the table and the chart, as far as it counted for the week."""
    window = share.window
    return {
        "date": window.get("day") or window["end"][:10],
        "from": window["begin"],
        "to": window["end"],
        "counted_h": round(share.seconds / HOUR_S, 2),
        "total_operations": whole(window["operations"] * share.share),
        "error_rate": ratio(window["failed"], window["operations"]),
        "average_duration_s": ratio(window["duration_s"], window["operations"]),
        "peak_active_sessions": window["peak_sessions"],
        "restarted_at": window["restarted_at"],
    }


def _coverage(
    shares: Sequence[Share], found: _Found, source: str, now: datetime, limits: Mapping[str, float]
) -> dict[str, Any]:
    """Which of the week's hours the figures have data of: proved by samples, or only claimed."""
    begin, end = week = now.timestamp() - WEEK_S, now.timestamp()
    restarts = sorted({str(s.window["restarted_at"]) for s in shares if s.parts and s.window["restarted_at"]})
    proved = [span for share in shares if not share.window["assumed"] for span in share.parts]
    claimed = [span for share in shares if share.window["assumed"] and proves(share.window) for span in share.parts]
    notes = list(found.notes)
    if source == "service" and found.service is not None:
        asked = span_of(found.service)
        # It remembers nothing from before the last restart that is known of.
        since = [moment.timestamp() for text in restarts if (moment := from_text(text))]
        told = (max([asked[0], begin, *since]), min(asked[1], end))
        outside = minus([week], [told])
        proved, claimed = minus(proved, outside), minus(claimed, outside)
        # It may have been started within the week, or been cleaned up, and does not say.
        unproved = length_of(minus([told], [*proved, *claimed])) / HOUR_S
        if unproved >= 1:
            notes.append(f"nothing proves that the service remembers {unproved:.0f} h of the week that it tells of")
    # What the log names has no cap.
    counted = [s.window for s in shares if s.parts and "parts" not in s.window] if source == "daily" else []
    counted += [found.service] if source == "service" and found.service else []
    capped = sorted({w["end"][:10] for w in counted if w["operations"] >= limits["operations_cap"]})
    if capped:
        notes.append(
            f"the service remembers {limits['operations_cap']:g} operations at most, and was full on "
            f"{', '.join(capped[:10])}: there were more"
        )
    gaps = minus([week], [*proved, *claimed])
    covered = length_of(proved) + length_of(claimed)
    return {
        "window_h": WEEK_S / HOUR_S,
        "covered_h": round(covered / HOUR_S, 2),
        "proved_h": round(length_of(proved) / HOUR_S, 2),
        "share": round(covered / WEEK_S, 4),
        "known": covered / WEEK_S >= limits["coverage_known"],
        "enough": covered / WEEK_S >= limits["coverage_min"],
        "gaps": [{"from": text_of(left), "to": text_of(right)} for left, right in gaps[:_NOTES_MAX]],
        "gaps_left": max(0, len(gaps) - _NOTES_MAX),
        "restarts": restarts,
        "capped": capped,
        "notes": notes[:_NOTES_MAX],
    }
