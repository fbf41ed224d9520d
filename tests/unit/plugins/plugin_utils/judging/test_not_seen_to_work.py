"""A host on which nothing shows that its service works, and figures of a part of their window."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.shapes import SAID_NOT_OFFERED
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.checked import checked
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.observations import observe
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.recovery import sample

from tests.unit.plugins import factories as f
from tests.unit.plugins.policy import policy

POLICY = {name.removeprefix("policy_"): value for name, value in policy().items()}
NONE = f.answer(None, "not_offered", SAID_NOT_OFFERED)
RUNNING = {"class": "running", "reason": "pid 7"}


def from_log(total: int = 0, failed: int = 0, short: str = "", state: str = "ok", hours: int = 24) -> dict[str, Any]:
    rate = failed / total if total else 0.0
    figures = f.stats(total_operations=total, error_rate=rate, success_rate=1 - rate if total else 0.0)
    told = {**figures, "failed_operations": failed, "error_breakdown": {"BAD": failed} if failed else {}}
    made = f.answer(told if state == "ok" else None, state, "" if state == "ok" else "it cannot be read", hours=hours)
    return {**made, "source": "log", "short": short}


def host(stats: dict[str, Any], unit: dict[str, Any] | None = None) -> dict[str, Any]:
    result = f.result(health=NONE, stats=stats, alerts=NONE, sessions=NONE, metrics=NONE)
    return {**result, "unit": unit} if unit else result


def morning(result: dict[str, Any], run_by: str = "morning") -> dict[str, dict[str, Any]]:
    found = checked(result, run_by=run_by, policy=POLICY, now=datetime(2026, 11, 24, 6, tzinfo=UTC))
    return {one["check"]: one for one in found["verdicts"]}


@pytest.mark.parametrize(
    ("stats", "unit", "why"),
    [
        (from_log(3), None, ""),
        (from_log(3), {"class": "unknown", "reason": "no systemd"}, ""),
        (from_log(), RUNNING, ""),
        (from_log(state="missing"), RUNNING, ""),
        (NONE, RUNNING, ""),
        (from_log(), None, "no operation has ended"),
        (from_log(state="missing"), None, "it cannot be read"),
        (NONE, None, SAID_NOT_OFFERED),
        (from_log(3), {"class": "dead", "reason": "it has ended"}, "the service is dead: it has ended"),
        # The log, and not an API, tells of the operations.
        (from_log(3), {"class": "dead", "reason": "gone", "told_by": "pid file"}, "the service is dead: gone"),
    ],
)
def test_something_must_show_that_the_service_works(stats: Any, unit: Any, why: str) -> None:
    overall = morning(host(stats, unit))["overall_status"]
    assert (overall["state"], overall["fault"]) == (("unknown", "missing") if why else ("ok", ""))
    assert why in overall["message"]
    assert ("nothing shows that the service works" in overall["message"]) is bool(why)
    taken = sample(host(stats, unit), observe(host(stats, unit), age_max_s=300, skew_max_s=120), "ffmpeg", 1, "ffmpeg")
    assert taken["good"] is not bool(why)


def test_a_check_that_looks_at_no_health_says_so_too() -> None:
    watch = morning(host(from_log(hours=1)), "watch_performance")
    assert watch["at_work"]["state"] == "unknown"
    assert "at_work" not in morning(host(from_log(3, hours=1), RUNNING), "watch_performance")


def test_a_host_of_which_nothing_is_seen_is_an_incident() -> None:
    found = checked(host(from_log()), run_by="morning", policy=POLICY, now=datetime(2026, 11, 24, 6, tzinfo=UTC))
    assert [(one["incident"], one["cause"]) for one in found["incidents"]] == [("critical_system", "service")]


def test_a_part_of_the_window_proves_what_is_critical_and_nothing_else() -> None:
    short = "the log begins at noon"
    bad = morning(host(from_log(20, 10, short), RUNNING))["error_rate"]
    assert (bad["state"], bad["observed"]) == ("critical", 0.5)
    assert short in bad["message"]
    for stats in (from_log(20, 0, short), from_log(0, 0, short)):
        rate = morning(host(stats, RUNNING))["error_rate"]
        assert (rate["state"], rate["fault"]) == ("unknown", "short")
        assert short in rate["message"]
    few = morning(host(from_log(2, 1, short), RUNNING))["error_rate"]
    assert few["state"] == "unknown", "of so few it would be a warning"
