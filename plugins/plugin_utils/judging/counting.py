# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a service's own word counts for less than it says: of too few operations, or muted by a person. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypedDict

from ...module_utils.shapes import Json, mapping, number


class Counting(TypedDict, total=False):
    """What is known beside an answer of how much of it counts; plain data, kept with what was found.

    Keys:
        alert_age_max_s: age in seconds above which an alert is listed and not counted.
        rate_operations_min: of fewer operations no rate is critical.
        rate_components: components whose state is such a rate.
        muted: by component, who muted it, until when and why, for people.
        held: what is muted now, a line each.
        service_offset_s: how many seconds the service's times are known to be ahead of the host's clock.
    """

    alert_age_max_s: float
    rate_operations_min: float
    rate_components: list[str]
    muted: dict[str, str]
    held: list[str]
    service_offset_s: float


class Apart(NamedTuple):
    """As what a component counts, and why not as what it says."""

    counts_as: str
    why: str


LEVELS = ("healthy", "warning", "unknown", "critical")
"""What a component or the whole may be, from best to worst."""


def set_apart(health: Json, endpoints: Json, counting: Counting) -> dict[str, Apart]:
    """By component, as what it counts where that is less than it says.

    Args:
        health: document of the service's health.
        endpoints: all answers, as pipeline_info gives them.
        counting: how much counts.
    """
    rows = health.get("checks")
    found: dict[str, Apart] = {}
    as_said: set[str] = set()
    for row in map(mapping, rows if isinstance(rows, list) else []):
        name, status = row.get("component"), row.get("status")
        if not isinstance(name, str):
            continue
        if name in (counting.get("muted") or {}):
            found[name] = Apart("healthy", counting["muted"][name])
        elif name in (counting.get("rate_components") or []) and status == "critical":
            why = _too_few(row, health, endpoints, counting.get("rate_operations_min") or 0)
            if why:
                found[name] = Apart("warning", why)
            else:
                as_said.add(name)
    return {name: apart for name, apart in found.items() if name not in as_said}


def _too_few(row: Json, health: Json, endpoints: Json, least: float) -> str:
    """Why a component that calls itself critical speaks of a rate of too few operations; empty where it does not.

    Without an operation, and where none failed, it is no rate that is critical.
    """
    of = _operations(row, health, endpoints)
    total = number(of.get("total_operations"))
    if total is None or not 0 < total < least:
        return ""
    rate, good, failed = (number(of.get(key)) for key in ("error_rate", "success_rate", "failed_operations"))
    if 0 in (rate, failed) or good == 1:
        return ""
    return f"of {total:g} operations, fewer than the {least:g} that a rate needs to be critical"


def _operations(row: Json, health: Json, endpoints: Json) -> Json:
    """The figures of which the component speaks: its own details, else what the service counts."""
    stats = mapping(mapping(endpoints.get("stats")).get("data"))
    for place in (mapping(row.get("details")), mapping(health.get("processing_stats_24h")), stats):
        total = number(place.get("total_operations"))
        if total is not None and total >= 0:
            return place
    return {}


def counted(status: str, listed: Sequence[Mapping[str, str]], health: Json) -> str:
    """The state of the whole without what counts for less; its own, where what is listed does not explain it.

    Args:
        status: of the whole, as the service says.
        listed: the components, each with ``status`` and ``counts_as``.
        health: document of the service's health.
    """
    if all(row["counts_as"] == row["status"] for row in listed) or status not in LEVELS:
        return status
    said = {row["status"] for row in listed}
    critical = sum(1 for row in listed if row["status"] == "critical")
    more = (number(mapping(health.get("summary")).get("critical")) or 0) > critical
    rows = health.get("checks")
    cut = not isinstance(rows, list) or len(rows) != len(listed)
    # The service ranks unknown below warning, and may do otherwise; with what is critical it can only be that.
    unexplained = status not in said or ("critical" in said and status != "critical")
    if unexplained or more or cut:
        return status
    return min(status, max((row["counts_as"] for row in listed), key=LEVELS.index), key=LEVELS.index)
