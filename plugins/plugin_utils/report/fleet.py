# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The details of many hosts as those of one, so that a fleet can be drawn like a host. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import fmean
from typing import Any

from ...module_utils.shapes import Json, number
from ...module_utils.times import from_text, to_text

_BUCKET_S = 300  # the service samples every 5 minutes, each host at moments of its own


def fleet_details(hosts: Sequence[Json]) -> dict[str, Any]:
    """Errors added up, durations weighted by operations, CPU and memory on average, the highest CPU samples of all."""
    samples = [sample for host in hosts for sample in host.get("metrics") or []]
    return {
        "totals": {"window_h": max((w for host in hosts if (w := _window(host)) is not None), default=None)},
        "stages": _stages(hosts),
        "errors": _added(host.get("errors") for host in hosts),
        "log": {"errors": _added((host.get("log") or {}).get("errors") for host in hosts)},
        "metrics": _averaged(samples),
        "resource_peaks": sorted(samples, key=lambda row: number(row.get("cpu_percent")) or 0, reverse=True)[:3],
    }


def _window(host: Json) -> float | None:
    return number((host.get("totals") or {}).get("window_h"))


def _added(counters: Any) -> dict[str, float]:
    total: Counter[str] = Counter()
    for counts in counters:
        for code, count in (counts if isinstance(counts, Mapping) else {}).items():
            total[code] += number(count) or 0  # type: ignore[assignment]
    return dict(total)


def _stages(hosts: Sequence[Json]) -> dict[str, dict[str, float | None]]:
    rows: dict[str, list[Json]] = {}
    for host in hosts:
        for stage, row in (host.get("stages") or {}).items():
            if isinstance(row, Mapping) and number(row.get("average_duration_s")) is not None:
                rows.setdefault(stage, []).append(row)
    return {stage: _stage(found) for stage, found in rows.items()}


def _stage(rows: Sequence[Json]) -> dict[str, float | None]:
    weights = [number(row.get("count")) or 0 for row in rows]
    total = sum(weights)
    averages = [row["average_duration_s"] for row in rows]
    weighted = sum(a * w for a, w in zip(averages, weights, strict=True)) / total if total else fmean(averages)
    longest = [value for row in rows if (value := number(row.get("max_duration_s"))) is not None]
    return {"count": total, "average_duration_s": weighted, "max_duration_s": max(longest, default=None)}


def _averaged(samples: Sequence[Json]) -> list[dict[str, Any]]:
    buckets: dict[int, list[tuple[datetime, float, float]]] = {}
    for sample in samples:
        moment = from_text(sample.get("at"))
        cpu, memory = number(sample.get("cpu_percent")), number(sample.get("memory_percent"))
        if moment and cpu is not None and memory is not None:
            buckets.setdefault(int(moment.timestamp()) // _BUCKET_S, []).append((moment, cpu, memory))
    return [
        {
            "at": to_text(max(moment for moment, _cpu, _memory in rows)),
            "cpu_percent": fmean(cpu for _moment, cpu, _memory in rows),
            "memory_percent": fmean(memory for _moment, _cpu, memory in rows),
        }
        for _bucket, rows in sorted(buckets.items())
    ]
