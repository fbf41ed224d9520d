"""What an answer proves, and that nothing else passes for a value."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.shapes import SAID_NOT_OFFERED
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.details import details
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.log_errors import observe_log
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.observations import observe
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import judge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugins import factories as f
from tests.unit.plugins.policy import policy


def seen(**spoiled: Any) -> Any:
    return observe(f.result(**spoiled), age_max_s=300, skew_max_s=120)


STAGES = {"merging": {"count": 4, "average_duration": 60.0}, "upload": {"count": 5, "average_duration": 2.5}}


# runbook: AU-P2
@pytest.mark.parametrize(
    ("stages", "value", "fault"),
    [
        (STAGES, 60.0, ""),
        ({}, None, "missing"),
        ({"merging": {"count": 1}}, None, "missing"),
        ({"merging": {"average_duration": -1}}, None, "missing"),
        ([], None, "wrong_type"),
    ],
)
def test_the_slowest_stage_is_named(stages: Any, value: Any, fault: str) -> None:
    slowest = seen(stats=f.answer(f.stats(stage_breakdown=stages), hours=24))["slowest_stage_24h"]
    assert (slowest["value"], slowest["fault"]) == (value, fault)
    if not fault:
        assert slowest["note"] == "merging 60 s, upload 2 s"


def test_alerts_of_the_last_hour_are_counted_apart() -> None:
    """The service keeps alerts for long after their cause is gone."""

    def row(timestamp: Any) -> dict[str, Any]:
        return {"id": "1", "level": "critical", "title": "ffmpeg is critical", "timestamp": timestamp}

    rows = [row("2026-11-24T05:59:00"), row("2026-11-24T05:00:01"), row("2026-11-24T04:59:00"), row(None)]
    answer = {**f.alerts(0), "alerts": rows, "total_returned": 4}
    found = seen(alerts=f.answer(answer))
    assert found["critical_alerts"]["value"] == 4
    assert found["critical_alerts_1h"]["value"] == 3


def test_a_clock_that_is_off_is_told_either_way() -> None:
    def offset(value: Any) -> Any:
        registered = {"endpoints": {}, "clock_offset_s": value}
        return observe(registered, age_max_s=300, skew_max_s=120)["clock_offset"]

    assert (offset(3600.2)["value"], offset(3600.2)["note"]) == (3600.2, "3600 s ahead of the controller's")
    assert (offset(-3600.2)["value"], offset(-3600.2)["note"]) == (3600.2, "3600 s behind the controller's")
    assert (offset(0.4)["value"], offset(0.4)["note"]) == (0.4, "")
    nonsense: list[Any] = [None, "x", [], float("nan")]
    for value in nonsense:
        assert offset(value)["fault"] == "wrong_type"
    assert observe({"endpoints": {}}, age_max_s=300, skew_max_s=120)["clock_offset"]["applicable"] is False


def test_alerts_from_before_a_recovery_were_answered_by_it() -> None:
    rows = [
        {"id": "1", "level": "critical", "title": f"{title} is critical", "timestamp": timestamp}
        for title, timestamp in [
            ("ffmpeg", "2026-11-24T05:59:00"),
            ("ffmpeg", "2026-11-24T05:50:00"),
            ("ffmpeg, undated,", None),
        ]
    ]
    answer = f.answer({**f.alerts(0), "alerts": rows, "total_returned": 3})

    def recent(recovered: Any, cause: str = "ffmpeg") -> Any:
        rows = [{"at": recovered, "cause": cause}]
        registered = {"endpoints": {"alerts": answer}, "recovered_at": recovered, "recoveries": rows}
        return observe(registered, age_max_s=300, skew_max_s=120)["critical_alerts_1h"]

    assert recent("2026-11-24T05:55:00Z")["value"] == 2
    assert (
        recent("2026-11-24T05:55:00Z")["note"]
        == "ffmpeg is critical; 1 more from before the recovery of 2026-11-24T05:55:00Z"
    )
    assert recent("2026-11-24T05:40:00Z")["value"] == 3
    answered = recent("2026-11-24T05:59:30Z")
    assert answered["value"] == 1, "what is not dated may be new"
    unreadable: list[Any] = [None, "", "yesterday", 7, []]
    for nonsense in unreadable:
        assert recent(nonsense)["value"] == 3
    for other in ("cloud_storage", "service", "", "processing_pipeline"):
        assert recent("2026-11-24T05:59:30Z", other)["value"] == 3, "it answers its own cause"


def test_what_systemd_makes_of_the_service_is_judged_whatever_that_says_of_itself() -> None:
    rows = [row for row in policy()["policy_checks"] if row["check"] == "service_unit"]

    def state(kind: str) -> str:
        found = observe({**f.result(), "unit": {"class": kind, "reason": "r"}}, age_max_s=300, skew_max_s=120)
        (made,) = judge(found, rows, "morning")
        return str(made["state"])

    assert state("running") == "ok"
    for kind in ("activating", "stopping", "dead", "masked"):
        assert state(kind) == "warning", kind
    for kind in ("restart_loop", "failed", "start_limit"):
        assert state(kind) == "critical", kind
    # Also without systemd, and with a class that is not known yet.
    assert [state(kind) for kind in ("not_found", "unknown", "", "new")] == ["ok", "ok", "ok", "unknown"]


@pytest.mark.parametrize(
    ("kind", "answers", "fault"),
    [("running", True, ""), ("dead", False, ""), ("dead", True, "contradiction"), ("unknown", False, "missing")],
)
def test_a_main_process_that_the_site_has_named_and_nobody_can_tell_is_unknown(
    kind: str, answers: bool, fault: str
) -> None:
    refused = {name: f.answer(None, "unreachable", "refused") for name in f.result()["endpoints"]}
    unit = {"class": kind, "reason": "r", "told_by": "pid file /run/media.pid"}
    answer = {**f.result(**({} if answers else refused)), "unit": unit}
    seen = observe(answer, age_max_s=300, skew_max_s=120)["service_unit"]
    assert (seen["fault"], seen["value"]) == (fault, None if fault else kind)
    assert "r" in seen["reason" if fault else "note"]
    apart = observe({**answer, "unit": {**unit, "serves_api": False}}, age_max_s=300, skew_max_s=120)["service_unit"]
    assert apart["fault"] == ("" if kind == "dead" else fault), "the API is another program's"


@pytest.mark.parametrize(
    ("hours", "note"), [(1, "with what was before the recovery of 2026-11-24T05:55:00Z"), (24, "")]
)
def test_the_last_hour_says_that_a_recovery_lies_in_it(hours: int, note: str) -> None:
    answer = f.answer(f.stats(hours, failed=40), hours=hours)

    def rate(recovered: Any) -> Any:
        registered = {"endpoints": {"stats": answer}, "recovered_at": recovered}
        return observe(registered, age_max_s=300, skew_max_s=120)[f"error_rate_{hours}h"]

    assert rate("2026-11-24T05:55:00Z")["note"] == note
    assert rate(None)["note"] == ""
    assert rate("2026-11-24T05:55:00Z")["value"] == rate(None)["value"]


# runbook: P1-3A, P1-3B, P1-3C
def test_overrides_are_counted_and_named() -> None:
    row = {"name": "PROCESSING_TIMEOUT", "value": "600", "until": "2026-11-25T06:00:00Z", "expired": False}
    old = {"name": "LOG_LEVEL", "value": "DEBUG", "until": None, "expired": True, "taken_at": f.NOW}

    def overrides(answer: Any) -> Any:
        registered = {"endpoints": {}, "overrides": answer}
        return observe(registered, age_max_s=300, skew_max_s=120)["overrides"]

    found = overrides({"state": "ok", "reason": "", "overrides": [row, old]})
    assert found["value"] == 2
    assert found["note"] == (
        "PROCESSING_TIMEOUT=600 until 2026-11-25T06:00:00Z, not proved to have an effect, LOG_LEVEL=DEBUG expired"
    )
    assert overrides({"state": "denied", "reason": "no", "overrides": []})["fault"] == "missing"
    answers: list[Any] = [None, 5, [], {"state": "ok"}, {"state": "ok", "overrides": "x"}]
    for nonsense in answers:
        assert overrides(nonsense)["fault"] == "missing"


PAUSE = {"reason": "new disk", "by": "bob", "since": "2026-11-24T06:00:00Z", "until": "2026-11-24T07:00:00Z"}
LEASE = {
    "run_id": "r0",
    "owner": "alice",
    "controller": "c1",
    "reason": "Weekly log management",
    "taken_at": "2026-11-24T05:59:00Z",
    "expires_at": "2026-11-24T06:14:00Z",
    "expired": False,
}


@pytest.mark.parametrize(
    ("held", "state", "said"),
    [
        ({}, "ok", "free"),
        (
            {"pause": PAUSE, "lease": LEASE},
            "warning",
            "automation is paused until 2026-11-24T07:00:00Z by bob: new disk",
        ),
        ({"lease": LEASE}, "ok", "another run acts on this host: alice on c1, run r0, since"),
        ({"pause": {**PAUSE, "until": None, "reason": "pause.slots cannot be read"}}, "unknown", "pause.slots"),
        ({"lease": {**LEASE, "expires_at": None, "reason": "lease.slots cannot be read"}}, "unknown", "lease.slots"),
        ({"state": "denied", "reason": "no right"}, "unknown", "no right"),
    ],
)
def test_a_host_that_is_paused_or_acted_upon_is_said_so(held: dict[str, Any], state: str, said: str) -> None:
    answer = {**f.result(), "automation": {"state": "ok", "reason": "", "pause": None, "lease": None, **held}}
    found = observe(answer, age_max_s=300, skew_max_s=120)
    (row,) = (one for one in judge(found, policy()["policy_checks"], "status") if one["check"] == "automation")
    assert row["state"] == state
    assert said in row["message"]


# runbook: DM-1, DM-2, DM-3, DM-4, DE-3
def test_sound_answers_give_values() -> None:
    found = seen(
        stats=f.answer(f.stats(failed=5, stage_breakdown=STAGES), hours=24),
        alerts=f.answer(f.alerts(2)),
        sessions=f.answer(f.sessions(3, 12.0)),
    )
    assert {name: o["value"] for name, o in found.items() if not o["fault"]} == {
        "host": "reached",
        "overrides": None,
        "service_unit": None,
        "mutes": None,
        "automation": None,
        "clock_offset": None,
        "api_token": None,
        "overall_status": "healthy",
        "component_system_resources": "healthy",
        "component_ffmpeg": "healthy",
        "component_cloud_storage": "healthy",
        "total_operations_24h": 100,
        "error_rate_24h": 0.05,
        "success_rate_24h": 0.95,
        "average_duration_24h": 12.5,
        "slowest_stage_24h": 60.0,
        "critical_alerts": 2,
        "critical_alerts_1h": 2,
        "active_sessions": 3,
        "longest_session": 12.0,
        "cpu_peak": 90.0,
        "memory_peak": 40.0,
    }
    assert found["overall_status"]["at"] == "2026-11-24T05:59:40Z"


def test_no_operations_is_nothing_to_judge() -> None:
    found = seen(stats=f.answer(f.stats(total=0), hours=24))
    for name in ("error_rate_24h", "success_rate_24h", "average_duration_24h"):
        assert found[name]["fault"] == ""
        assert found[name]["applicable"] is False
        assert found[name]["note"] == "no operations in the last 24 h"


@pytest.mark.parametrize(
    ("changes", "name", "fault", "reason"),
    [
        ({"error_rate": 1.5}, "error_rate_24h", "out_of_range", "1.5"),
        ({"error_rate": -0.1}, "error_rate_24h", "out_of_range", "-0.1"),
        ({"error_rate": "0.0"}, "error_rate_24h", "wrong_type", "'0.0'"),
        ({"error_rate": math.nan}, "error_rate_24h", "wrong_type", "nan"),
        ({"error_rate": math.inf}, "error_rate_24h", "wrong_type", "inf"),
        ({"error_rate": True}, "error_rate_24h", "wrong_type", "True"),
        ({"error_rate": None}, "error_rate_24h", "missing", "error_rate"),
        ({"error_rate": 0.0, "failed_operations": 50}, "error_rate_24h", "contradiction", "50 of 100"),
        ({"total_operations": 0, "error_rate": 0.5}, "error_rate_24h", "contradiction", "no operations"),
        (
            {"total_operations": 0, "error_rate": 0.0, "failed_operations": 3},
            "error_rate_24h",
            "contradiction",
            "failed",
        ),
        (
            {"total_operations": 0, "error_rate": 0.0, "failed_operations": 0, "error_breakdown": {"X": 1}},
            "success_rate_24h",
            "contradiction",
            "failed",
        ),
        ({"total_operations": None}, "success_rate_24h", "missing", "total_operations"),
        ({"total_operations": -1}, "total_operations_24h", "out_of_range", "-1"),
        ({"total_operations": 1.5}, "total_operations_24h", "wrong_type", "whole"),
        ({"average_duration": [1]}, "average_duration_24h", "wrong_type", "[1]"),
        ({"generated_at": "2026-11-24T02:00:00"}, "error_rate_24h", "stale", "4.0 h before"),
        ({"generated_at": "2026-11-24T08:00:00"}, "error_rate_24h", "clock", "2.0 h ahead"),
        ({"generated_at": "yesterday"}, "error_rate_24h", "wrong_type", "yesterday"),
        ({"time_period_hours": 1}, "error_rate_24h", "unknown_value", "1 h"),
    ],
)
def test_statistics_that_prove_nothing(changes: dict[str, Any], name: str, fault: str, reason: str) -> None:
    observation = seen(stats=f.answer(f.stats(**changes), hours=24))[name]
    assert (observation["value"], observation["fault"]) == (None, fault)
    assert reason in observation["reason"]


@pytest.mark.parametrize(
    ("document", "fault", "reason"),
    [
        ({**f.health(), "overall_status": "fine"}, "unknown_value", "'fine'"),
        ({**f.health(), "overall_status": 1}, "unknown_value", "1"),
        ({**f.health(), "overall_status": None}, "missing", "overall_status"),
        ({**f.health(), "checks": []}, "missing", "no check"),
        ({**f.health(), "checks": "none"}, "missing", "no check"),
        ({**f.health(), "timestamp": None}, "missing", "timestamp"),
        ({**f.health(), "timestamp": "2026-11-24T01:00:00"}, "stale", "5.0 h before"),
        (f.health(ffmpeg="critical"), "contradiction", "ffmpeg is critical"),
        ({**f.health(), "summary": {"critical": 2}}, "contradiction", "counts 2 critical"),
        ({**f.health(), "checks": [{"component": "ffmpeg", "status": 1}]}, "missing", "no check"),
        ({**f.health(), "checks": [{"component": "ffmpeg", "status": "HEALTHY"}]}, "missing", "no check"),
        ([], "wrong_type", "not an object"),
    ],
)
def test_health_that_proves_nothing(document: Any, fault: str, reason: str) -> None:
    observation = seen(health=f.answer(document))["overall_status"]
    assert (observation["value"], observation["fault"]) == (None, fault)
    assert reason in observation["reason"]


def test_critical_is_believed_without_proof_of_its_checks() -> None:
    assert seen(health=f.answer({**f.health("critical"), "checks": []}))["overall_status"]["value"] == "critical"


@pytest.mark.parametrize("state", ["unreachable", "timeout", "auth", "http_error", "invalid"])
def test_one_endpoint_that_fails_hides_no_other(state: str) -> None:
    found = seen(stats=f.answer(None, state, "it broke"))
    assert (found["error_rate_24h"]["fault"], found["error_rate_24h"]["reason"]) == (state, "it broke")
    assert found["overall_status"]["fault"] == found["active_sessions"]["fault"] == ""


def test_detailed_health_stands_in_for_the_plain_one() -> None:
    broken = f.answer(None, "http_error", "HTTP 500")
    found = seen(health=broken, health_detailed=f.answer(f.health("critical", ffmpeg="critical")))
    assert found["overall_status"]["value"] == "critical"
    both = seen(health=broken, health_detailed=f.answer(None, "auth", "token expired"))["overall_status"]
    assert both["fault"] == "http_error"
    assert both["reason"] == "HTTP 500; health_detailed: token expired"


@pytest.mark.parametrize(
    ("registered", "fault"),
    [
        ({"unreachable": True, "msg": "ssh: connect timed out"}, "host_unreachable"),
        ({"rc": 127, "module_stderr": "/bin/sh: 1: /usr/bin/python3: not found", "msg": "failed"}, "no_python"),
        (
            {"failed": True, "msg": "the Python library 'requests' is missing", "missing_library": "requests"},
            "module_failed",
        ),
        ({"skipped": True}, "module_failed"),
        (None, "module_failed"),
        ("text", "module_failed"),
    ],
)
def test_a_host_that_could_not_be_asked(registered: Any, fault: str) -> None:
    found = observe(registered, age_max_s=300, skew_max_s=120)
    assert set(found) == {"host"}
    assert found["host"]["fault"] == fault
    assert found["host"]["reason"]


def test_a_list_of_sessions_that_may_be_short_proves_nothing() -> None:
    found = seen(sessions=f.answer({**f.sessions(3), "total_active": 5}))
    assert found["active_sessions"]["fault"] == found["longest_session"]["fault"] == "contradiction"
    assert found["active_sessions"]["reason"] == "sessions: the answer lists 3 sessions, and counts 5"


def test_alerts_take_the_larger_count_where_the_service_contradicts_itself() -> None:
    assert seen(alerts=f.answer({**f.alerts(1), "total_returned": 7}))["critical_alerts"]["value"] == 7


@pytest.mark.parametrize("level", [None, 5, "CRITICAL", "fatal", ["critical"]])
def test_an_alert_whose_level_cannot_be_read_counts(level: Any) -> None:
    document = f.alerts(1)
    document["alerts"][0]["level"] = level
    assert seen(alerts=f.answer(document))["critical_alerts"]["value"] == 1


def test_alerts_of_other_levels_do_not_count_unless_they_may_hide_some() -> None:
    document = f.alerts(5, "info")
    few = seen(alerts=f.answer(document, level="critical", limit=200))["critical_alerts"]
    assert (few["value"], few["fault"]) == (0, "")
    full = seen(alerts=f.answer(document, level="critical", limit=5))["critical_alerts"]
    assert (full["value"], full["fault"]) == (None, "unknown_value")
    assert "5 of 5 are not critical" in full["reason"]


def test_a_session_of_negative_age_is_none() -> None:
    assert seen(sessions=f.answer(f.sessions(1, -4.0)))["longest_session"]["fault"] == "wrong_type"


def test_metrics_that_stopped_are_stale() -> None:
    document = f.metrics(10.0)
    observation = seen(metrics=f.answer(document))["cpu_peak"]
    assert observation["fault"] == "stale"


# runbook: DE-3
def test_three_samples_with_the_highest_cpu() -> None:
    peaks = details(f.result())["resource_peaks"]
    assert [peak["cpu_percent"] for peak in peaks] == [90.0, 30.0, 20.0]
    assert peaks[0] == {"at": "2026-11-24T05:15:00Z", "cpu_percent": 90.0, "memory_percent": 40.0}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def spoil(document: dict[str, Any]) -> st.SearchStrategy[Any]:
    """The document with any of its keys replaced by anything, or something else altogether."""
    return anything | st.fixed_dictionaries(
        {}, optional={key: anything | st.just(value) for key, value in document.items()}
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    health=spoil(f.health()),
    stats=spoil(f.stats()),
    alerts=spoil(f.alerts(2)),
    sessions=spoil(f.sessions(2)),
    metrics=spoil(f.metrics(1.0, 2.0)),
)
def test_arbitrary_json_never_raises_and_never_leaks_numbers_that_are_none(**documents: Any) -> None:
    registered = f.result(**{name: f.answer(document) for name, document in documents.items()})
    found = observe(registered, age_max_s=300, skew_max_s=120)
    for observation in found.values():
        assert observation["fault"] == "" or (observation["value"] is None and observation["reason"])
    json.dumps([found, details(registered)], allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(anything)
def test_an_arbitrary_result_never_raises(registered: Any) -> None:
    observe(registered, age_max_s=300, skew_max_s=120)
    observe({"endpoints": registered}, age_max_s=300, skew_max_s=120)
    observe({"endpoints": {"health": registered, "stats": registered}}, age_max_s=300, skew_max_s=120)
    details(registered, registered)
    observe_log(registered)


def test_what_the_service_does_not_offer_counts_for_nothing() -> None:
    names = ("health", "health_detailed", "stats", "alerts", "metrics", "sessions")
    found = seen(**{name: f.answer(None, "not_offered", SAID_NOT_OFFERED) for name in names})
    of_api = [one for one in found.values() if one["endpoint"]]
    assert {one["endpoint"] for one in of_api} == {*names} - {"health_detailed"}
    assert {(one["fault"], one["applicable"], one["note"]) for one in of_api} == {("", False, SAID_NOT_OFFERED)}


def test_an_endpoint_that_is_offered_and_fails_is_not_hidden_by_one_that_is_not() -> None:
    none, broken = f.answer(None, "not_offered", SAID_NOT_OFFERED), f.answer(None, "timeout", "no answer")
    overall = seen(health=none, health_detailed=broken)["overall_status"]
    assert (overall["fault"], overall["reason"]) == ("timeout", "no answer")


@pytest.mark.parametrize(
    ("access", "value", "fault", "said"),
    [
        ({"by": "token", "valid_until": "2026-11-24T06:10:00Z"}, 600, "", "valid until 2026-11-24T06:10:00Z"),
        ({"by": "token", "valid_until": "2026-11-24T05:50:00Z"}, 0, "", "valid until 2026-11-24T05:50:00Z"),
        ({"by": "token", "valid_until": None}, None, "", "its end is not known"),
        (
            {"by": "login", "valid_until": "2026-11-24T06:10:00Z", "reason": ""},
            None,
            "",
            "renewed by login, valid until",
        ),
        ({"by": "login", "valid_until": None, "reason": "no token: refused"}, None, "auth", "no token: refused"),
        ({"by": "none"}, None, "", "no token is given"),
    ],
)
def test_a_token_is_warned_of_before_it_ends_where_nothing_renews_it(
    access: dict[str, Any], value: Any, fault: str, said: str
) -> None:
    answer = {"state": "ok", "data": {}, "fetched_at": "2026-11-24T06:00:00Z"}
    result = {"endpoints": {"stats": {**answer, "params": {}}}, "api_access": access}
    found = observe(result, age_max_s=300, skew_max_s=120)["api_token"]
    assert (found["value"], found["fault"]) == (value, fault)
    assert said in f"{found['note']}{found['reason']}"
    assert found["applicable"] is (value is not None or bool(fault))
