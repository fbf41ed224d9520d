# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a host's answers to what a check found there: observations, verdicts, incidents, details. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.shapes import Json, mapping, one_line
from ...module_utils.state.mutes import Mute, mute_name
from ...module_utils.times import utc_now
from .counting import Counting
from .details import details
from .health import not_seen_to_work
from .log_errors import observe_log
from .muting import in_force, muted_components, said, without_muted
from .observations import observe
from .routing import route
from .shapes import Observation, Verdict, observation, verdict
from .verdict import bound_of, judge


def checked(
    answer: Json,
    *,
    run_by: str,
    policy: Json,
    log: Json | None = None,
    errors: Json | None = None,
    more: Mapping[str, Observation] | None = None,
    mutes: Sequence[Mute] = (),
    service_offset_s: float | None = None,
    now: datetime,
) -> dict[str, Any]:
    """What a check found on one host.

    Args:
        answer: of pipeline_info, also where the host was unreachable or the module failed.
        run_by: which check it is.
        policy: ``checks``, ``incidents``, ``error_causes``, ``answer_age_max``, ``clock_skew_max``, ``alert_age_max``,
            ``rate_operations_min``, ``rate_components`` and ``mute_max``.
        log: the answer of log_digest_info, where it was asked.
        errors: the same of the log of errors, where that is another.
        more: observations from elsewhere, which count only where the host gave an answer itself.
        mutes: those that the controller knows of for the host; what is over counts no longer.
        service_offset_s: how many seconds the service's times are known to be ahead of the host's clock.
        now: when it was judged.

    Raises:
        PolicyError: the check table contradicts itself, or has no row for it.
        OptionError: an age of the policy is no number above 0.
    """
    # Another controller's clock may be ahead of this one's.
    longest = _positive(policy, "mute_max") + _positive(policy, "clock_skew_max")
    held = in_force(mutes, now=now, longest_s=longest)
    counting = counting_of(policy, held, service_offset_s)
    age_max_s, skew_max_s = ages_of(policy)
    causes = policy["error_causes"]
    observations = observe(answer, age_max_s=age_max_s, skew_max_s=skew_max_s, error_causes=causes, counting=counting)
    if log is not None:
        observations["log_errors"] = observe_log(log, errors)
    if not observations["host"]["fault"]:
        # What is known without the host proves nothing of how it is now.
        observations.update(more or {})
    if why := not_seen_to_work(observations):
        observations["overall_status"] = observation(None, "state", fault="missing", reason=why)
    found = details(answer, log, counting)
    judged = judge(observations, policy["checks"], run_by)
    if why and all(one["check"] != "overall_status" for one in judged):
        # Also by a check that does not look at the health, a host of which nothing is seen is not well.
        judged = [_not_at_work(why), *judged]
    verdicts = without_muted(judged, held)
    return {
        "judged_at": now.timestamp(),
        "observations": observations,
        "verdicts": verdicts,
        "incidents": route(verdicts, policy["incidents"], found, policy["error_causes"]),
        "details": found,
        "mutes": held,
        "counting": counting,
    }


def _not_at_work(why: str) -> Verdict:
    action = "Say what shows that the service works: its unit or process, or the fields of its log (policy_log_fields)"
    return verdict("at_work", "Service at work", "DM-1", message=one_line(why, 300), fault="missing", action=action)


def ages_of(policy: Json) -> tuple[float, float]:
    """How old an answer may be, and how far ahead of the host's clock it may be dated, in seconds.

    Raises:
        OptionError: one is no number above 0.
    """
    return _positive(policy, "answer_age_max"), _positive(policy, "clock_skew_max")


def counting_of(policy: Json, mutes: Sequence[Mute], service_offset_s: float | None = None) -> Counting:
    """How much counts of what the service says of itself.

    Raises:
        OptionError: a figure of the policy is none.
    """
    least, rates = bound_of(policy.get("rate_operations_min")), policy.get("rate_components")
    if least is None or least < 0:
        raise OptionError("policy_rate_operations_min", policy.get("rate_operations_min"), "must be 0 or more")
    if not isinstance(rates, list):
        raise OptionError("policy_rate_components", rates, "a list of components is needed")
    found: Counting = {
        "alert_age_max_s": _positive(policy, "alert_age_max"),
        "rate_operations_min": least,
        "rate_components": [str(name) for name in rates],
        "muted": muted_components(mutes),
        "held": [f"{mute_name(mute)} {said(mute)}" for mute in mutes],
    }
    if service_offset_s:
        found["service_offset_s"] = service_offset_s
    return found


def _positive(policy: Json, key: str) -> float:
    value = bound_of(policy.get(key))
    if value is None or value <= 0:
        raise OptionError(f"policy_{key}", policy.get(key), "a number of seconds above 0 is needed")
    return value


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
    verdicts = without_muted([*(known.get("verdicts") or []), one], known.get("mutes") or [])
    return {**known, "verdicts": verdicts, "judged_at": utc_now().timestamp()}
