# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the answers of the monitoring API to observations: values with units, or the reason why there is none.

Nothing here trusts the service: wrong types, rates over 1, stale timestamps and contradictions become faults, never
values. Pure functions; no threshold is held here, ages that make an answer stale come from role ``policy``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

from ...module_utils.shapes import mapping
from ...module_utils.times import from_text
from .alerts import Weighing, observe_alerts
from .counting import Counting
from .dates import Clock
from .endpoint import Answer
from .figures import observe_metrics, observe_sessions, observe_stats
from .health import observe_health
from .host import observe_beside, observe_host
from .shapes import Observation


def observe(
    result: object,
    *,
    age_max_s: float,
    skew_max_s: float,
    error_causes: Mapping[str, str] | None = None,
    counting: Counting | None = None,
) -> dict[str, Observation]:
    """All observations that a result of pipeline_info gives.

    Args:
        result: what the task registered, also where the host was unreachable or the module failed.
        age_max_s: an answer older than this, in seconds, is stale.
        skew_max_s: an answer dated further ahead than this, in seconds, proves a clock that is off.
        error_causes: what an error code points to, by which an alert is known to be of a cause that was treated.
        counting: how much counts of what the service says of itself; all of it by default.

    Returns:
        Observations by name. ``host`` is always there and says whether the host could be asked at all.
    """
    host = observe_host(result)
    found = {"host": host}
    if host["fault"]:
        return found
    endpoints = mapping(mapping(result).get("endpoints"))
    counting = counting or {}
    recoveries = mapping(result).get("recoveries")
    recovered = from_text(mapping(result).get("recovered_at"))
    clock = Clock(age_max_s, skew_max_s, counting.get("service_offset_s") or 0)
    rows = [mapping(row) for row in recoveries] if isinstance(recoveries, list) else []
    weighing = Weighing(counting, rows, error_causes or {})
    found.update(observe_beside(mapping(result), counting))
    found.update(observe_health(endpoints, clock, counting))
    readers: dict[str, Callable[[Answer], dict[str, Observation]]] = {
        "stats": lambda answer: observe_stats(answer, clock, recovered),
        "metrics": lambda answer: observe_metrics(answer, clock),
        "sessions": observe_sessions,
        "alerts": lambda answer: observe_alerts(answer, clock, weighing),
    }
    for name, read in readers.items():
        if name in endpoints:
            found.update(read(Answer(name, endpoints[name])))
    return found
