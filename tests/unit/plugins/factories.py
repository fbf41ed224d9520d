"""Answers of the monitoring API as pipeline_info returns them, sound by default; tests spoil one thing at a time."""

from __future__ import annotations

from typing import Any

NOW = "2026-11-24T06:00:00Z"
THEN = "2026-11-24T05:59:40.123456"


def answer(data: Any, state: str = "ok", reason: str = "", **params: Any) -> dict[str, Any]:
    return {
        "state": state,
        "reason": reason,
        "http_status": 200 if state == "ok" else None,
        "fetched_at": NOW,
        "params": params,
        "data": data if state == "ok" else None,
    }


def health(status: str = "healthy", **components: str) -> dict[str, Any]:
    checks = {"system_resources": "healthy", "ffmpeg": "healthy", "cloud_storage": "healthy", **components}
    return {
        "overall_status": status,
        "timestamp": THEN,
        "checks": [
            {"component": name, "status": state, "message": f"{name} is {state}"} for name, state in checks.items()
        ],
    }


def stats(hours: int = 24, total: int = 100, failed: int = 0, **changes: Any) -> dict[str, Any]:
    rates = (
        {"success_rate": (total - failed) / total, "error_rate": failed / total}
        if total
        else {"success_rate": 0.0, "error_rate": 0.0}
    )
    counts = {"successful_operations": total - failed, "failed_operations": failed} if total else {}
    return {
        "time_period_hours": hours,
        "generated_at": THEN,
        "total_operations": total,
        "average_duration": 12.5 if total else 0.0,
        "stage_breakdown": {},
        "error_breakdown": {},
        **rates,
        **counts,
        **changes,
    }


def alerts(count: int = 0, level: str = "critical") -> dict[str, Any]:
    rows = [
        {"id": str(i), "level": level, "title": "Bad", "message": "very\nbad", "timestamp": THEN} for i in range(count)
    ]
    return {"alerts": rows, "total_returned": count, "filter_level": level, "generated_at": THEN}


def sessions(count: int = 0, minutes: float = 1.0) -> dict[str, Any]:
    rows = [{"session_id": f"s{i}", "stage": "merging", "duration_minutes": minutes} for i in range(count)]
    return {"active_sessions": rows, "total_active": count}


def metrics(*cpu: float) -> dict[str, Any]:
    rows = [
        {"timestamp": f"2026-11-24T05:{10 + 5 * i:02d}:00", "cpu_usage_percent": c, "memory_usage_percent": 40.0}
        for i, c in enumerate(cpu)
    ]
    return {"metrics_count": len(rows), "metrics": rows}


def result(**spoiled: Any) -> dict[str, Any]:
    """A result of pipeline_info; name an endpoint to put another answer in its place."""
    endpoints = {
        "health": answer(health()),
        "stats": answer(stats(), hours=24),
        "alerts": answer(alerts(), level="critical", limit=200),
        "sessions": answer(sessions()),
        "metrics": answer(metrics(10.0, 90.0, 20.0, 30.0, 5.0, 6.0, 7.0, 8.0, 9.0), hours=24),
    }
    endpoints.update(spoiled)
    return {"changed": False, "endpoints": endpoints}
