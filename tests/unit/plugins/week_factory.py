"""Days and weeks of figures, sound by default, for tests of the weekly review."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.media_ops.runbook.plugins.module_utils.review.actions import actions_of
from ansible_collections.media_ops.runbook.plugins.module_utils.review.days import (
    no_peak,
    peaks_by_week,
    read_window,
    samples_of,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text

NOW = datetime(2026, 11, 27, 17, 0, tzinfo=UTC)  # a Friday
LIMITS: dict[str, Any] = {
    "coverage_known": 0.5,
    "coverage_min": 0.8,
    "days_min": 5,
    "operations_min": 20,
    "change_min": 0.1,
    "p_max": 0.01,
    "operations_cap": 1000,
}


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def stats(end: datetime, operations: int = 100, failed: int = 0, average: float = 10.0, **more: Any) -> dict[str, Any]:
    """An answer of /stats, its zone left out as the service does."""
    return {
        "time_period_hours": 24,
        "generated_at": f"{end:%Y-%m-%dT%H:%M:%S}",
        "total_operations": operations,
        "success_rate": (operations - failed) / operations if operations else 0.0,
        "error_rate": failed / operations if operations else 0.0,
        "average_duration": average,
        "stage_breakdown": {},
        "error_breakdown": {},
        **({"failed_operations": failed} if operations else {}),
        **more,
    }


def stage(count: int, average: float, failed: int = 0, longest: float | None = None) -> dict[str, Any]:
    return {
        "count": count,
        "success_count": count - failed,
        "average_duration": average,
        "max_duration": average * 2 if longest is None else longest,
        "min_duration": average / 2,
    }


def samples(end: datetime, hours: float = 24, sessions: int = 1, cpu: float = 20.0) -> list[dict[str, Any]]:
    """A sample every five minutes, as a day's report keeps them."""
    count = int(hours * 12)
    return [
        {
            "at": to_text(end - timedelta(minutes=5 * step)),
            "active_sessions": sessions,
            "cpu_percent": cpu,
            "memory_percent": 40.0,
        }
        for step in reversed(range(count))
    ]


def daily(end: datetime, *, up_hours: float = 24, sessions: int = 1, **figures: Any) -> dict[str, Any]:
    """A day's report."""
    return {
        "schema_version": 1,
        "stats": stats(end, **figures),
        "metrics": samples(end, min(up_hours, 24), sessions),
    }


def reports(
    days: Iterable[dict[str, Any]],
    weeks: Iterable[dict[str, Any]] = (),
    ledger: Iterable[dict[str, Any]] = (),
    now: datetime = NOW,
) -> dict[str, Any]:
    """What module daily_reports_info gives for such documents."""
    documents = list(days)
    all_samples = [row for document in documents for row in document["metrics"]]
    return {
        "days": [read_window(document["stats"], samples_of(document["metrics"])) for document in documents],
        "weeks": list(weeks),
        "peaks": peaks_by_week(all_samples, now, 5) if all_samples else [no_peak() for _week in range(5)],
        "actions": {**actions_of(ledger), "bad_lines": 0},
        "unreadable": [],
    }


def answer(data: Any, state: str = "ok", reason: str = "") -> dict[str, Any]:
    return {"state": state, "reason": reason, "data": data if state == "ok" else None}


def service_week(operations: int = 100, end: datetime = NOW, **figures: Any) -> dict[str, Any]:
    """What pipeline_info gives for 168 h."""
    return {"endpoints": {"stats": answer(stats(end, operations, **{"time_period_hours": 168, **figures}))}}


def today(end: datetime = NOW, *, up_hours: float = 24, sessions: int = 1, **figures: Any) -> dict[str, Any]:
    """What pipeline_info gives for 24 h, with the service's own names of the samples' keys."""
    rows = [
        {
            "timestamp": row["at"].rstrip("Z"),
            "cpu_usage_percent": row["cpu_percent"],
            "memory_usage_percent": row["memory_percent"],
            "active_sessions": row["active_sessions"],
        }
        for row in samples(end, up_hours, sessions)
    ]
    return {"endpoints": {"stats": answer(stats(end, **figures)), "metrics": answer({"metrics": rows})}}
