# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys and types of the monitoring API's answers."""

from __future__ import annotations

from typing import Any

HEALTH = {"overall_status": str, "timestamp": str, "total_check_time_ms": float, "checks": list, "summary": dict}
CHECK = {"component": str, "status": str, "message": str, "details": dict, "response_time_ms": float}
STAGE = {"count": int, "success_count": int, "average_duration": float, "max_duration": float, "min_duration": float}
STATS = {
    "time_period_hours": int,
    "generated_at": str,
    "total_operations": int,
    "success_rate": float,
    "error_rate": float,
    "average_duration": float,
    "stage_breakdown": dict,
    "error_breakdown": dict,
    "active_sessions": int,
}
COUNTED = {"successful_operations": int, "failed_operations": int}
ALERT = {"id": str, "level": str, "title": str, "message": str, "timestamp": str, "metadata": dict}
ALERT_ORIGIN = {"session_id": (str, type(None)), "user_id": (str, type(None)), "stage": (str, type(None))}
SAMPLE = {
    "timestamp": str,
    "cpu_usage_percent": float,
    "memory_usage_percent": float,
    "disk_usage_percent": float,
    "active_sessions": int,
    "temp_dir_size_mb": float,
}
SESSION = {
    "session_id": str,
    "user_id": str,
    "stage": str,
    "start_time": str,
    "duration_seconds": float,
    "duration_minutes": float,
    "memory_usage_mb": float,
    "cpu_usage_percent": float,
}


def has_shape(document: dict[str, Any], shape: dict[str, Any]) -> None:
    """Check that a document has these keys of these types, and no other."""
    assert document.keys() == shape.keys()
    for key, kind in shape.items():
        assert isinstance(document[key], kind), f"{key}: {document[key]!r}"
