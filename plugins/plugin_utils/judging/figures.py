# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service counts: operations and their rates, its host's resources, sessions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...module_utils.sessions.active import active_sessions
from ...module_utils.shapes import Json, mapping, number, one_line
from ...module_utils.times import from_text, to_text
from .dates import Clock
from .endpoint import Answer, FaultError, NotOfferedError, observe_each
from .shapes import Observation

_METRICS_MAX = 300
_SAMPLE_INTERVAL_S = 300  # how often the service takes a sample: a fact of its API


def observe_stats(answer: Answer, clock: Clock, recovered: datetime | None) -> dict[str, Observation]:
    """Operations of a window: how many, how many failed, and how long they took.

    Args:
        answer: of the endpoint.
        clock: says whether it is recent.
        recovered: when the host recovered within the last hour, None where it did not.
    """
    hours = answer.asked("hours", 24)
    # The service gives no shorter window, so the last hour stays bad until the hour is over.
    note = f"with what was before the recovery of {to_text(recovered)}" if recovered and hours == 1 else ""

    def trust() -> str:
        window = answer.number("time_period_hours")
        if window != hours:
            raise FaultError("unknown_value", f"stats of {window:g} h came where {hours} h were asked for")
        return clock.fresh(answer, "generated_at")

    def noted(value: Any) -> Any:
        return value if isinstance(value, dict) else {"value": value, "note": note}

    def duration() -> Any:
        return answer.number("average_duration") if answer.count("total_operations") else _nothing(hours)

    return observe_each(
        answer,
        trust,
        {
            f"slowest_stage_{hours}h": ("s", lambda: _slowest(answer, hours)),
            f"total_operations_{hours}h": ("count", lambda: answer.count("total_operations")),
            f"error_rate_{hours}h": ("ratio", lambda: noted(_rate(answer, "error_rate", hours))),
            f"success_rate_{hours}h": ("ratio", lambda: noted(_rate(answer, "success_rate", hours))),
            f"average_duration_{hours}h": ("s", lambda: noted(duration())),
        },
    )


def _rate(answer: Answer, key: str, hours: int) -> Any:
    """A rate that agrees with what is counted."""
    total, ratio = answer.count("total_operations"), answer.number(key, 0, 1)
    failed = number(answer.data.get("failed_operations"))
    if total == 0:
        if key == "error_rate" and ratio > 0:
            raise FaultError("contradiction", f"error_rate is {ratio:g} with no operations")
        if failed or answer.data.get("error_breakdown"):
            raise FaultError("contradiction", "there are failed operations, but total_operations is 0")
        return _nothing(hours)
    if failed is not None:
        counted = failed / total if key == "error_rate" else 1 - failed / total
        if abs(counted - ratio) > 0.005:
            raise FaultError("contradiction", f"{key} is {ratio:g}, but {failed:g} of {total} operations failed")
    return ratio


def _slowest(answer: Answer, hours: int) -> dict[str, Any]:
    """The average duration of the slowest stage, with all stages as a note, slowest first."""
    if not answer.count("total_operations"):
        return _nothing(hours)
    breakdown = answer.get("stage_breakdown")
    if not isinstance(breakdown, Mapping):
        raise FaultError("wrong_type", "stats: 'stage_breakdown' is not an object")
    averages = {one_line(name, 40): number(mapping(row).get("average_duration")) for name, row in breakdown.items()}
    ranked = sorted(
        ((value, name) for name, value in averages.items() if value is not None and value >= 0), reverse=True
    )
    if len(ranked) < len(averages) or not ranked:
        raise FaultError("missing", "stats: a stage has no average_duration that can be read")
    return {"value": ranked[0][0], "note": one_line(", ".join(f"{name} {value:.0f} s" for value, name in ranked))}


def _nothing(hours: int) -> dict[str, Any]:
    return {"value": None, "applicable": False, "note": f"no operations in the last {hours} h"}


def observe_metrics(answer: Answer, clock: Clock) -> dict[str, Observation]:
    """The highest use of CPU and memory."""
    samples = metrics(answer.data)

    def trust() -> None:
        newest = from_text(samples[-1]["at"]) if samples else None
        if newest is None:
            raise FaultError("missing", "metrics has no sample that can be read")
        clock.recent(answer, newest, _SAMPLE_INTERVAL_S)

    def peak(key: str) -> dict[str, Any]:
        top = max(samples, key=lambda sample: sample[key])
        return {"value": top[key], "at": top["at"]}

    return observe_each(
        answer,
        trust,
        {
            "cpu_peak": ("percent", lambda: peak("cpu_percent")),
            "memory_peak": ("percent", lambda: peak("memory_percent")),
        },
    )


def metrics(data: Json) -> list[dict[str, Any]]:
    """The samples of a metrics answer that can be read, oldest first; at most 300: the first one and the newest.

    The first tells since when the service remembers.
    """
    names = {
        "cpu_usage_percent": "cpu_percent",
        "memory_usage_percent": "memory_percent",
        "disk_usage_percent": "disk_percent",
        "active_sessions": "active_sessions",
        "temp_dir_size_mb": "temp_mb",
    }
    rows = data.get("metrics")
    found = []
    listed = rows if isinstance(rows, list) else []
    for row in listed if len(listed) <= _METRICS_MAX else [listed[0], *listed[1 - _METRICS_MAX :]]:
        at = from_text(mapping(row).get("timestamp"))
        sample: dict[str, Any] = {ours: number(mapping(row).get(theirs)) for theirs, ours in names.items()}
        if at and all(sample[key] is not None and 0 <= sample[key] <= 100 for key in ("cpu_percent", "memory_percent")):
            found.append({"at": to_text(at), **sample})
    return sorted(found, key=lambda sample: str(sample["at"]))


def observe_sessions(answer: Answer) -> dict[str, Observation]:
    """How many sessions are active, and for how long the longest."""

    def trust() -> str | None:
        # What is missing or of a wrong type has a fault of its own; the list itself is read as all others read it.
        answer.rows("active_sessions")
        answer.count("total_active")
        listed = active_sessions(answer.data)
        if not listed.complete:
            raise FaultError("contradiction", f"sessions: {listed.reason}")
        return to_text(answer.fetched_at) if answer.fetched_at else None

    def longest() -> float | int:
        if answer.lacks("active_sessions.duration_minutes"):
            raise NotOfferedError
        ages = [number(mapping(row).get("duration_minutes")) for row in answer.rows("active_sessions")]
        unread = sum(1 for age in ages if age is None or age < 0)
        if unread:
            raise FaultError("wrong_type", f"sessions: {unread} of {len(ages)} have no readable duration_minutes")
        return max((age for age in ages if age is not None), default=0)

    def count() -> int:
        return len(answer.rows("active_sessions"))

    return observe_each(answer, trust, {"active_sessions": ("count", count), "longest_session": ("min", longest)})
