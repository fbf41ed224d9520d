# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a review to observations, so that a check table can judge the week as it judges a day. Pure."""

from __future__ import annotations

from ...module_utils.shapes import NOT_OFFERED, Json, mapping, number, one_line
from ..judging.shapes import Observation, observation
from ..judging.told_now import ToldNow

_FIGURES = {
    "week_operations": ("total_operations", "count"),
    "week_success_rate": ("success_rate", "ratio"),
    "week_error_rate": ("error_rate", "ratio"),
    "week_average_duration": ("average_duration_s", "s"),
    "week_peak_sessions": ("peak_active_sessions", "count"),
}
_WORDS = {"worse": 3, "better": 2, "noise": 1, "not_enough_data": 0}


def _lost(review: Json) -> str:
    """Why nothing is known of a week, though some of it was seen; "" where enough of it was."""
    coverage = mapping(review.get("coverage"))
    share = number(coverage.get("share"))
    if share is None or coverage.get("known", True):
        return ""
    notes = one_line("; ".join(map(str, coverage.get("notes") or [])), 200)
    return f"the data cover {share:.1%} of the week, too little to know it{': ' + notes if notes else ''}".replace(
        "%", " %"
    )


def observe_kept(told: ToldNow, reports: Json, *, of_week: bool) -> Observation:
    """Whether the figures of the day, or of the week, can be kept, how much of it they cover, and what was damaged.

    Args:
        told: what the service told.
        reports: the answer of daily_reports_info, also where it failed.
        of_week: a week is made of what the host has kept, so that of the service's faults the clock alone is one.
    """
    if told.fault == NOT_OFFERED and not of_week:
        return observation(None, "state", applicable=False, note=told.reason)
    if told.fault and (not of_week or told.fault == "clock"):
        return observation(None, "state", fault=told.fault, reason=told.reason)
    if not isinstance(reports.get("days"), list):
        reason = one_line(reports.get("msg") or "the host gave no answer", 200)
        return observation(None, "state", fault="module_failed", reason=f"the kept reports were not read: {reason}")
    if not (of_week or reports.get("seen")):
        reason = "the service's figures contradict themselves, and are not kept"
        return observation(None, "state", fault="contradiction", reason=reason)
    said = [_covered(report) for report in map(mapping, reports.get("reports") or [])]
    damaged = [mapping(row) for row in reports.get("unreadable") or []]
    said += [f"{one_line(row.get('file'), 60)} is left out: {one_line(row.get('why'), 100)}" for row in damaged]
    log = mapping(reports.get("log"))
    if log.get("state") not in ("ok", "not_read") or log.get("reason"):
        said.append(f"of the log: {one_line(log.get('reason') or log.get('state'), 100)}")
    return observation("damaged" if damaged else "kept", "state", note=one_line("; ".join(said), 300))


def _covered(report: Json) -> str:
    """How much of a day is known, and where it is not."""
    coverage, figures = mapping(report.get("coverage")), mapping(report.get("figures"))
    gaps = [f"{str(gap['from'])[11:16]}-{str(gap['to'])[11:16]}" for gap in coverage.get("gaps") or []]
    unseen = f", unseen {', '.join(gaps[:3])}{' and more' if len(gaps) > 3 else ''} UTC" if gaps else ""
    covered, hours = coverage.get("covered_h"), coverage.get("hours")
    return f"{report.get('day')}: {figures.get('total_operations')} operations, {covered} of {hours} h{unseen}"


def observe_review(review: object) -> dict[str, Observation]:
    """The figures of the week, the share of it that they cover, and whether something got worse by more than noise.

    Args:
        review: as ``review.review`` gives it.
    """
    found = mapping(review)
    lost = _lost(found)
    figures, coverage = mapping(found.get("figures")), mapping(found.get("coverage"))
    at = mapping(found.get("period")).get("to")
    notes = coverage.get("notes") or ["there is no review"]
    known = number(figures.get("total_operations"))
    observed: dict[str, Observation] = {}
    for name, (figure, unit) in _FIGURES.items():
        value = number(figures.get(figure))
        if value is None and known == 0 and figure != "peak_active_sessions":
            observed[name] = observation(None, unit, at=at, applicable=False, note="no operations in the week")
        elif lost:
            observed[name] = observation(None, unit, at=at, fault="missing", reason=lost)
        elif value is None:
            observed[name] = observation(None, unit, at=at, fault="missing", reason=one_line("; ".join(notes), 300))
        else:
            observed[name] = observation(value, unit, at=at)
    share = number(coverage.get("share"))
    if share is None:
        observed["week_coverage"] = observation(
            None, "ratio", at=at, fault="missing", reason=one_line("; ".join(notes), 300)
        )
    else:
        observed["week_coverage"] = observation(share, "ratio", at=at)
    rows = [row for row in found.get("degradation") or [] if mapping(row).get("verdict") in _WORDS]
    if rows:
        worst = max(rows, key=lambda row: _WORDS[row["verdict"]])
        said = "; ".join(f"{row['figure']}: {row['why']}" for row in rows)
        seen = observation(worst["verdict"], "state", at=at, note=one_line(said, 300))
        observed["week_degradation"] = observation(None, "state", at=at, fault="missing", reason=lost) if lost else seen
    else:
        observed["week_degradation"] = observation(None, "state", at=at, fault="missing", reason="there is no review")
    return observed
