# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reports draw from: the parts of the answers that can be read, bounded in number and length. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...module_utils.shapes import Json, mapping, number, one_line
from ...module_utils.times import from_text, to_text
from .cause import cause
from .counting import Counting, set_apart
from .endpoint import LIST_MAX, Answer
from .figures import metrics
from .health import components


def details(result: object, log: object = None, counting: Counting | None = None) -> dict[str, Any]:
    """What reports draw from: the parts of the answers that can be read, bounded in number and length.

    Args:
        result: what the task with pipeline_info registered.
        log: what a task with log_digest_info registered, counting error codes.
        counting: how much counts of what the service says of itself.
    """
    endpoints = mapping(mapping(result).get("endpoints"))
    answers = {name: Answer(name, raw) for name, raw in endpoints.items()}
    data = {name: answer.data if answer.ok else {} for name, answer in answers.items()}
    stats = data.get("stats", {})
    samples = metrics(data.get("metrics", {}))
    health = data.get("health_detailed") or data.get("health") or {}
    return {
        "totals": {
            "window_h": answers["stats"].asked("hours", 24) if "stats" in answers else None,
            "total_operations": number(stats.get("total_operations")),
            "success_rate": number(stats.get("success_rate")),
            "error_rate": number(stats.get("error_rate")),
            "average_duration_s": number(stats.get("average_duration")),
        },
        "stages": {
            one_line(stage, 40): {
                "count": number(mapping(row).get("count")),
                "success_count": number(mapping(row).get("success_count")),
                "average_duration_s": number(mapping(row).get("average_duration")),
                "max_duration_s": number(mapping(row).get("max_duration")),
                "min_duration_s": number(mapping(row).get("min_duration")),
            }
            for stage, row in list(mapping(stats.get("stage_breakdown")).items())[:LIST_MAX]
        },
        "errors": {
            one_line(code, 60): number(count)
            for code, count in list(mapping(stats.get("error_breakdown")).items())[:LIST_MAX]
            if number(count) is not None
        },
        "metrics": samples,
        "resource_peaks": [
            {key: sample[key] for key in ("at", "cpu_percent", "memory_percent")}
            for sample in sorted(samples, key=lambda row: -row["cpu_percent"])[:3]
        ],
        "components": components(health, set_apart(health, endpoints, counting or {})),
        "alerts": _alerts(data.get("alerts", {})),
        "sessions": _sessions(data.get("sessions", {})),
        "log": _log(mapping(log)),
    }


def _rows(data: Json, key: str) -> list[Mapping[str, Any]]:
    rows = data.get(key)
    return [row for row in rows[:LIST_MAX] if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _alerts(data: Json) -> list[dict[str, Any]]:
    found = []
    for row in _rows(data, "alerts"):
        at = from_text(row.get("timestamp"))
        found.append(
            {
                "at": to_text(at) if at else None,
                "level": one_line(row.get("level") or "", 20),
                "title": one_line(row.get("title") or "", 120),
                "message": cause(row.get("message") or ""),
            }
        )
    return found


def _sessions(data: Json) -> list[dict[str, Any]]:
    return [
        {
            "session_id": one_line(row.get("session_id") or "", 80),
            "stage": one_line(row.get("stage") or "", 40),
            "minutes": number(row.get("duration_minutes")),
        }
        for row in _rows(data, "active_sessions")
    ]


def _log(log: Json) -> dict[str, Any]:
    rows = [row for rows in mapping(log.get("counts")).values() if isinstance(rows, list) for row in rows[:LIST_MAX]]
    return {
        "errors": {
            one_line(row.get("value"), 60): number(row.get("count")) for row in rows if isinstance(row, Mapping)
        },
        "lines": number(log.get("lines")),
        "bad_lines": number(log.get("bad_lines")),
    }
