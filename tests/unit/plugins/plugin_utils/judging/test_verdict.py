"""Verdicts at the runbook's borders, policies that contradict themselves, and where verdicts lead."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.shapes import STATES
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.details import details
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.observations import observe
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.routing import route
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import PolicyError, host_state, judge
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins import factories as f
from tests.unit.plugins.policy import policy

POLICY = policy()


def verdicts(procedure: str = "morning", rules: dict[str, Any] = POLICY, **spoiled: Any) -> dict[str, Any]:
    found = observe(f.result(**spoiled), age_max_s=300, skew_max_s=120)
    return {verdict["check"]: verdict for verdict in judge(found, rules["policy_checks"], procedure)}


def incidents(rules: dict[str, Any] = POLICY, **spoiled: Any) -> list[Any]:
    found = f.result(**spoiled)
    judged = list(verdicts(rules=rules, **spoiled).values())
    return route(judged, rules["policy_incidents"], details(found), rules["policy_error_causes"])


# runbook: DM-1
@pytest.mark.parametrize(
    ("status", "state"),
    [("healthy", "ok"), ("warning", "warning"), ("critical", "critical"), ("unknown", "unknown"), ("fine", "unknown")],
)
def test_overall_status(status: str, state: str) -> None:
    assert verdicts(health=f.answer(f.health(status)))["overall_status"]["state"] == state


# runbook: DM-2
@pytest.mark.parametrize(
    ("failed", "state"), [(0, "ok"), (99, "ok"), (100, "warning"), (101, "critical"), (1000, "critical")]
)
def test_error_and_success_rate_at_ten_per_cent(failed: int, state: str) -> None:
    judged = verdicts(stats=f.answer(f.stats(total=1000, failed=failed), hours=24))
    assert judged["error_rate"]["state"] == judged["success_rate"]["state"] == state


# runbook: DM-2
def test_no_operations_is_ok_and_said() -> None:
    judged = verdicts(stats=f.answer(f.stats(total=0), hours=24))["success_rate"]
    assert (judged["state"], judged["note"]) == ("ok", "no operations in the last 24 h")


# runbook: DM-3
@pytest.mark.parametrize(("count", "state"), [(0, "ok"), (1, "critical"), (5, "critical")])
def test_critical_alerts(count: int, state: str) -> None:
    assert verdicts(alerts=f.answer(f.alerts(count)))["critical_alerts"]["state"] == state


# runbook: DM-4
@pytest.mark.parametrize(("count", "state"), [(0, "ok"), (4, "ok"), (5, "warning"), (10, "warning"), (11, "critical")])
def test_active_sessions(count: int, state: str) -> None:
    assert verdicts(sessions=f.answer(f.sessions(count)))["active_sessions"]["state"] == state


# runbook: TQ-2
def test_error_alerts_are_shown_and_only_their_absence_is_not_ok() -> None:
    judged = verdicts("quick", alerts=f.answer(f.alerts(7, "error"), level="error", limit=200))["error_alerts"]
    assert (judged["state"], judged["observed"]) == ("ok", 7)
    assert (
        verdicts("quick", alerts=f.answer(None, "auth", "expired", level="error"))["error_alerts"]["state"] == "unknown"
    )


def test_a_verdict_says_threshold_reason_and_way_on() -> None:
    judged = verdicts(stats=f.answer(f.stats(failed=20), hours=24))["error_rate"]
    assert judged["threshold"] == "warning at least 10 %, critical above 10 %"
    assert judged["message"] == "Error rate of 24 h: 20 %"
    assert judged["playbook"] == "incident_high_error_rate"


@pytest.mark.parametrize("fault", ["unreachable", "timeout", "auth", "http_error", "invalid"])
def test_an_answer_that_failed_is_unknown_with_its_reason(fault: str) -> None:
    judged = verdicts(stats=f.answer(None, fault, "it broke"))["error_rate"]
    assert (judged["state"], judged["fault"]) == ("unknown", fault)
    assert "it broke" in judged["message"]
    assert judged["action"]


def test_a_lost_host_is_unknown_in_every_check() -> None:
    found = observe({"unreachable": True, "msg": "no route"}, age_max_s=300, skew_max_s=120)
    judged = judge(found, POLICY["policy_checks"], "morning")
    assert {verdict["state"] for verdict in judged} == {"unknown"}
    assert {verdict["fault"] for verdict in judged} == {"host_unreachable"}
    assert host_state(judged) == "unknown"


def test_no_verdict_at_all_is_unknown() -> None:
    assert host_state([]) == "unknown"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"policy_error_rate_critical": 10}, "'policy_error_rate_critical' is 10"),
        ({"policy_error_rate_critical": "ten"}, "'policy_error_rate_critical' is 'ten'"),
        ({"policy_error_rate_warning": 0.2}, "'policy_error_rate_warning' is 0.2, above 'policy_error_rate_critical'"),
        ({"policy_success_rate_warning": 0.8}, "'policy_success_rate_warning' is 0.8, below"),
        ({"policy_active_sessions_warning": -1}, "'policy_active_sessions_warning' is -1"),
        ({"policy_active_sessions_warning": True}, "'policy_active_sessions_warning' is True"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(PolicyError) as error:
        verdicts(rules=policy(**changes))
    assert named in str(error.value)


def test_a_threshold_from_the_command_line_is_text_and_counts() -> None:
    judged = verdicts(rules=policy(policy_error_rate_critical="0.5"), stats=f.answer(f.stats(failed=20), hours=24))
    assert judged["error_rate"]["state"] == "warning"


@pytest.mark.parametrize(
    "row",
    [
        {"check": "x"},
        {**POLICY["policy_checks"][1], "unit": "bananas"},
        {**POLICY["policy_checks"][1], "critical": {"over": 1}},
        {**POLICY["policy_checks"][1], "critical": {"below": 0.5}},
        {**POLICY["policy_checks"][0], "levels": {"healthy": "fine"}},
    ],
)
def test_a_row_that_cannot_be_judged_by_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        judge({}, [row], "morning")


def test_a_procedure_without_checks_is_refused() -> None:
    with pytest.raises(PolicyError, match="noon"):
        judge({}, POLICY["policy_checks"], "noon")


def test_all_well_leads_nowhere() -> None:
    assert incidents() == []


def test_one_incident_per_cause_and_the_more_urgent_stays() -> None:
    routed = incidents(
        health=f.answer(f.health("critical", ffmpeg="critical")),
        stats=f.answer(f.stats(failed=50, error_breakdown={"FFMPEG_FAILED": 49, "VALIDATION_FAILED": 1}), hours=24),
        alerts=f.answer(f.alerts(3)),
    )
    assert [(i["incident"], i["priority"], i["cause"]) for i in routed] == [("critical_system", "P0", "ffmpeg")]
    assert routed[0]["checks"] == ["overall_status", "critical_alerts", "error_rate", "success_rate"]
    assert routed[0]["respond_within_s"] == 300


def test_two_causes_are_two_incidents_most_urgent_first() -> None:
    routed = incidents(
        stats=f.answer(f.stats(failed=50, error_breakdown={"VALIDATION_FAILED": 50}), hours=24),
        health=f.answer(f.health("critical", cloud_storage="critical")),
        sessions=f.answer(f.sessions(11)),
    )
    assert [(i["priority"], i["cause"]) for i in routed] == [
        ("P0", "cloud_storage"),
        ("P1", "input"),
        ("P2", "sessions"),
    ]


def test_silence_is_a_p0_but_a_bad_token_is_not() -> None:
    routed = incidents(health=f.answer(None, "unreachable", "refused"))
    assert [(i["priority"], i["cause"]) for i in routed] == [("P0", "service")]
    assert incidents(stats=f.answer(None, "auth", "expired"), alerts=f.answer(None, "auth", "expired")) == []


def test_several_alerts_can_be_asked_for_before_p0() -> None:
    rules = policy(policy_critical_alerts_p0=2)
    assert incidents(rules, alerts=f.answer(f.alerts(1))) == []
    assert [i["cause"] for i in incidents(rules, alerts=f.answer(f.alerts(2)))] == ["alerts"]


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["health", "stats", "alerts", "sessions"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_garbage_is_never_ok(documents: dict[str, Any]) -> None:
    spoiled: Any = {name: f.answer(document) for name, document in documents.items()}
    judged = verdicts(**spoiled)
    by_endpoint = {
        "health": "overall_status",
        "stats": "error_rate",
        "alerts": "critical_alerts",
        "sessions": "active_sessions",
    }
    for name in documents:
        assert judged[by_endpoint[name]]["state"] == "unknown"
    assert [v["state"] for v in judged.values()] == sorted(
        (v["state"] for v in judged.values()), key=STATES.index, reverse=True
    )
