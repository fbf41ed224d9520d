# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a host's answers to what a check found there: observations, verdicts, incidents, details. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.shapes import Json, mapping, number, one_line
from ...module_utils.times import to_text, utc_now
from .observations import details, observe, observe_log
from .routing import route
from .shapes import Observation, verdict
from .verdict import bound_of, judge


def checked(
    answer: Json,
    *,
    run_by: str,
    policy: Json,
    log: Json | None = None,
    more: Mapping[str, Observation] | None = None,
    now: datetime,
) -> dict[str, Any]:
    """What a check found on one host.

    Args:
        answer: of pipeline_info, also where the host was unreachable or the module failed.
        run_by: which check it is.
        policy: ``checks``, ``incidents``, ``error_causes``, ``answer_age_max`` and ``clock_skew_max``.
        log: the answer of log_digest_info, where it was asked.
        more: observations from elsewhere, which count only where the host gave an answer itself.
        now: when it was judged.

    Raises:
        PolicyError: the check table contradicts itself, or has no row for it.
        OptionError: an age of the policy is no number above 0.
    """
    observations = observe(
        answer,
        age_max_s=_positive(policy, "answer_age_max"),
        skew_max_s=_positive(policy, "clock_skew_max"),
        error_causes=policy["error_causes"],
    )
    if log is not None:
        observations["log_errors"] = observe_log(log)
    if not observations["host"]["fault"]:
        # What is known without the host proves nothing of how it is now.
        observations.update(more or {})
    found = details(answer, log)
    verdicts = judge(observations, policy["checks"], run_by)
    return {
        "judged_at": now.timestamp(),
        "observations": observations,
        "verdicts": verdicts,
        "incidents": route(verdicts, policy["incidents"], found, policy["error_causes"]),
        "details": found,
    }


def _positive(policy: Json, key: str) -> float:
    value = bound_of(policy.get(key))
    if value is None or value <= 0:
        raise OptionError(f"policy_{key}", policy.get(key), "a number of seconds above 0 is needed")
    return value


def day_report(found: Json, answers: Json, hours: int, now: datetime) -> dict[str, Any]:
    """The day's figures as the host keeps them, empty where they could not be trusted.

    The service forgets after a day and at each restart, so that the week's figures are made from these.
    """
    total = found["observations"].get(f"total_operations_{hours}h") or {}
    if total.get("fault", "missing") or number(total.get("value")) is None:
        return {}
    return {
        "schema_version": 1,
        "generated_at": to_text(now),
        "stats": mapping(answers.get("stats")).get("data"),
        "resource_peaks": found["details"].get("resource_peaks"),
        "metrics": found["details"].get("metrics"),
        "log_errors": found["details"].get("log"),
    }


def broken_off(found: object, reason: str) -> dict[str, Any]:
    """What was found on a host that did not come to the end of the run: from then on nothing is known of it.

    Args:
        found: what was found before, as :func:`checked` gives it; anything else is nothing.
        reason: in which task, and why.
    """
    known = dict(mapping(found))
    one = verdict(
        "run",
        "Run on the host",
        "",
        "unknown",
        one_line(f"Run on the host: broke off {reason}", 500),
        fault="module_failed",
        action="Read the failure of this host in the run's output, then run the playbook again",
    )
    return {**known, "verdicts": [*(known.get("verdicts") or []), one], "judged_at": utc_now().timestamp()}
