# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a review to observations, so that a check table can judge the week as it judges a day. Pure."""

from __future__ import annotations

from ...module_utils.shapes import Json, mapping, number, one_line
from ..judging.shapes import Observation, observation

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
