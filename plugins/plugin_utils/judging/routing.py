# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From verdicts to incidents by the incident table of role ``policy``. Pure: data in, data out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.shapes import Json, number
from .shapes import Incident, Verdict, incident


def route(
    verdicts: Sequence[Verdict], table: Sequence[Json], details: Json, error_causes: Mapping[str, str]
) -> list[Incident]:
    """The incidents that the verdicts call for, most urgent first, one per cause.

    Rows of the table that find the same cause are one incident: the most urgent stays and takes the others' evidence.

    Args:
        verdicts: of one host.
        table: the rows of ``policy_incidents``.
        details: as ``observations.details`` gives them; components and error codes name the cause.
        error_causes: which cause an error code points to.
    """
    found: dict[str, Incident] = {}
    for row in sorted(table, key=lambda row: str(row["priority"])):
        for trigger in row["triggers"]:
            for verdict in verdicts:
                if _fires(trigger, verdict):
                    for cause in _causes(trigger, details, error_causes):
                        _add(found, row, cause, verdict)
    return sorted(found.values(), key=lambda one: one["priority"])


def _fires(trigger: Json, verdict: Verdict) -> bool:
    if verdict["check"] != trigger["check"] or verdict["state"] not in trigger["states"]:
        return False
    if verdict["state"] == "unknown" and verdict["fault"] not in trigger.get("faults", []):
        return False
    if "at_least" in trigger:
        observed = number(verdict["observed"])
        return observed is not None and observed >= float(trigger["at_least"])
    return True


def _causes(trigger: Json, details: Json, error_causes: Mapping[str, str]) -> list[str]:
    """What the trigger's evidence points to, or the cause that the table names for want of it."""
    causes: list[str] = []
    if trigger.get("cause_from") == "components":
        causes = [c["component"] for c in details.get("components", []) if c["counts_as"] == "critical"]
    elif trigger.get("cause_from") == "errors":
        counts: Mapping[str, Any] = details.get("errors", {})
        most = max(counts, key=lambda code: number(counts[code]) or 0, default=None)
        causes = [error_causes[most]] if most is not None and most in error_causes else []
    return causes or [trigger["cause"]]


def _add(found: dict[str, Incident], row: Json, cause: str, verdict: Verdict) -> None:
    one = found.setdefault(cause, incident(row, cause))
    if verdict["check"] not in one["checks"]:
        one["checks"].append(verdict["check"])
        one["evidence"].append(verdict["message"])
