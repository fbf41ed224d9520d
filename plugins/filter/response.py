# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the response to incidents; documented in the YAML files beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..plugin_utils.filters import shown
from ..plugin_utils.response import breaker, diagnosis, ladder, ledger, recovery
from ..plugin_utils.response.advice import advise
from ..plugin_utils.response.controller import dead_run
from ..plugin_utils.response.lines import automation_lines, response_lines


def _watch_outcome(samples: Any, of: Any, needed: Any) -> str:
    return recovery.watched(samples, int(of), int(needed))


def _watch_sample(answer: Any, observations: Any, cause: str, number: Any) -> Any:
    return recovery.sample(answer, observations, cause, int(number))


def _fleet_breaker(hosts: Any, others: Any, size: Any, policy: Any) -> Any:
    return breaker.fleet_breaker(hosts, others, int(size), policy)


class FilterModule:
    """Filters over probes, ladders and responses."""

    def filters(self) -> Mapping[str, Callable[..., Any]]:
        """The filters by name."""
        found: dict[str, Callable[..., Any]] = {
            "automation_lines": automation_lines,
            "breaker_refusals": breaker.breaker_refusals,
            "dead_run": dead_run,
            "diagnosis": diagnosis.diagnose,
            "drift_refusals": ladder.drifted,
            "fleet_breaker": _fleet_breaker,
            "incident_advice": advise,
            "incident_rungs": ladder.ladder,
            "ledger_begun": ledger.begun,
            "ledger_decision": ledger.decision,
            "ledger_entries": ledger.entries,
            "planned_rung": ledger.planned_rung,
            "plans_hash": ladder.joined_hash,
            "procedure_rungs": ladder.procedure_rungs,
            "ranked_stages": diagnosis.ranked_stages,
            "response_lines": response_lines,
            "rung_cured": ladder.cured,
            "verdicts_after": recovery.final_verdicts,
            "watch_outcome": _watch_outcome,
            "watch_sample": _watch_sample,
        }
        return {name: shown(function) for name, function in found.items()}
