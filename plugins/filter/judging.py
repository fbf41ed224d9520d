# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the way from a module's result to the result document; documented in the YAML files beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils.errors import MediaOpsError, OptionError
from ..module_utils.shapes import STATES
from ..plugin_utils.filters import shown
from ..plugin_utils.judging.observations import details, observe, observe_log
from ..plugin_utils.judging.routing import route
from ..plugin_utils.judging.verdict import judge, require_sound
from ..plugin_utils.report.result import build, summarise


def _observations(result: Any, log: Any = None, *, age_max: Any = 300, skew_max: Any = 120) -> Any:
    found = observe(result, age_max_s=_positive("age_max", age_max), skew_max_s=_positive("skew_max", skew_max))
    return found if log is None else {**found, "log_errors": observe_log(log)}


def _positive(option: str, raw: Any) -> float:
    try:
        value = float(raw)
    except (TypeError, ValueError):
        value = -1
    if not 0 < value < float("inf"):
        raise OptionError(option, raw, "a number of seconds above 0 is needed")
    return value


def _verdicts(observations: Any, checks: Any, run_by: str) -> Any:
    return judge(observations, checks, run_by)


def _incidents(verdicts: Any, table: Any, details: Any = None, error_causes: Any = None) -> Any:
    return route(verdicts, table, details or {}, error_causes or {})


def _policy_problems(checks: Any) -> list[str]:
    try:
        require_sound(checks)
    except MediaOpsError as error:
        return [str(error)]
    return []


def _result_document(
    hosts: Any, *, run: Any, contacts: Any = (), fail_on: Any = ("critical", "unknown"), previous: Any = None
) -> Any:
    wrong = [state for state in fail_on if state not in STATES]
    if wrong:
        raise OptionError("policy_fail_on", wrong[0], f"one of {', '.join(STATES)} is needed")
    return build(hosts, run=run, contacts=contacts, fail_on=fail_on, previous=previous)


def _result_summary(document: Any, reports: Any = ()) -> Any:
    return summarise(document, reports)


class FilterModule:
    """Filters over observations, verdicts and incidents."""

    def filters(self) -> Mapping[str, Callable[..., Any]]:
        """The filters by name."""
        return {
            "observations": shown(_observations),
            "observed_details": shown(details),
            "verdicts": shown(_verdicts),
            "incidents": shown(_incidents),
            "policy_problems": shown(_policy_problems),
            "result_document": shown(_result_document),
            "result_summary": shown(_result_summary),
        }
