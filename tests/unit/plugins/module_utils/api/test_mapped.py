"""A service of other names: its map is read whole, and what it answers becomes ours, or a fault that readers see."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.api.endpoints import (
    Endpoint,
    health_path,
    read_endpoints,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.api.mapped import NoJson, mapped
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.active import active_sessions
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.observations import observe
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.api import API_MAP, api_problems

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
EPOCH_MS = NOW.timestamp() * 1000
WORDS = {"up": "healthy", "slow": "warning", "down": "critical"}
HEALTH = {
    "path": "/healthz",
    "fields": {
        "overall_status": {"query": "state", "values": WORDS},
        "timestamp": {"query": "now", "unit": "epoch_ms"},
        "checks": {
            "query": "parts",
            "fields": {"component": "name", "status": {"query": "state", "values": WORDS}, "message": "why"},
        },
    },
}
MAP: dict[str, Any] = {
    "health": HEALTH,
    "health_detailed": HEALTH,
    "stats": {
        "path": "/v2/numbers?last={hours}h",
        "fields": {
            "time_period_hours": None,
            "generated_at": None,
            "total_operations": "sum([good, bad])",
            "failed_operations": "bad",
            "success_rate": None,
            "error_rate": {"query": "bad_percent", "unit": "percent"},
            "average_duration": {"query": "took_ms", "unit": "ms"},
            "stage_breakdown": {
                "query": "steps",
                "fields": {
                    **dict.fromkeys(("stage", "success_count", "max_duration", "min_duration")),
                    "count": "n",
                    "average_duration": {"query": "took", "unit": "min"},
                },
            },
            "error_breakdown": {"query": "reasons", "fields": {"code": "why", "count": "n"}},
        },
    },
    "alerts": {
        "path": "/v2/alarms",
        "fields": {
            "generated_at": None,
            "total_returned": None,
            "alerts": {
                "query": "@",
                "fields": {
                    "level": {"query": "severity", "values": {"1": "critical", "true": "error", "note": "info"}},
                    "title": "text",
                    "message": None,
                    "timestamp": {"query": "at", "unit": "epoch"},
                    "session_id": "job",
                },
            },
        },
    },
    "metrics": None,
    "sessions": {
        "path": "/v2/jobs",
        "fields": {
            "active_sessions": {
                "query": "jobs[?state=='running']",
                "fields": {"session_id": "id", "stage": None, "start_time": "since", "duration_minutes": None},
            },
            "total_active": None,
        },
    },
    "cleanup": None,
}
ASKED: dict[str, Any] = {"stats": {"hours": 24}, "alerts": {"level": "critical", "limit": 200}}
NUMBERS: dict[str, Any] = {
    "good": 15,
    "bad": 5,
    "bad_percent": 25.0,
    "took_ms": 90_000,
    "steps": {"merge": {"n": 20, "took": 0.5}},
    "reasons": [{"why": "FFMPEG_FAILED", "n": 5}],
}


def endpoint(name: str, map_: Any = None) -> Endpoint:
    found = read_endpoints(MAP if map_ is None else map_)[name]
    assert found is not None
    return found


def answered(name: str, body: object, status: int = 200) -> tuple[dict[str, Any], list[str]]:
    found = mapped(endpoint(name), body, status, ASKED.get(name, {}), NOW)
    assert found is not None
    return found


def seen(name: str, body: object) -> Any:
    data, absent = answered(name, body)
    reply = {"state": "ok", "data": data, "not_offered": absent, "fetched_at": NOW.isoformat()}
    answers = {"endpoints": {name: {**reply, "params": ASKED.get(name, {})}}}
    return observe(answers, age_max_s=300, skew_max_s=120)


def changed(path: str, value: Any, drop: bool = False) -> dict[str, Any]:
    made = copy.deepcopy(MAP)
    *above, last = path.split("/")
    place: Any = made
    for key in above:
        place = place[key]
    if drop:
        del place[last]
    else:
        place[last] = value
    return made


def test_figures_come_in_our_units_and_rates_of_what_is_offered() -> None:
    found = seen("stats", NUMBERS)
    assert {name: (found[f"{name}_24h"]["value"], found[f"{name}_24h"]["fault"]) for name in (
        *("total_operations", "error_rate", "success_rate", "average_duration", "slowest_stage"),
    )} == {
        "total_operations": (20, ""),
        "error_rate": (0.25, ""),
        "success_rate": (0.75, ""),
        "average_duration": (90, ""),
        "slowest_stage": (30, ""),
    }  # fmt: skip
    assert answered("stats", NUMBERS)[0]["error_breakdown"] == {"FFMPEG_FAILED": 5}


def test_rates_are_made_of_counts_where_that_is_all_there_is() -> None:
    map_ = changed("stats/fields/error_rate", None)
    for good, bad, rates in ((15, 5, (0.25, 0.75)), (0, 0, (0.0, 0.0))):
        body = {**NUMBERS, "good": good, "bad": bad}
        found = mapped(endpoint("stats", map_), body, 200, ASKED["stats"], NOW)
        assert found is not None
        assert (found[0]["error_rate"], found[0]["success_rate"]) == rates
        assert not {"error_rate", "success_rate"} & {*found[1]}


@pytest.mark.parametrize(
    ("spoilt", "fault"),
    [
        ({"bad_percent": None}, "missing"),
        ({"bad_percent": "25"}, "wrong_type"),
        ({"bad_percent": 250}, "out_of_range"),
        ({"bad_percent": 1}, "contradiction"),
        ({"good": None}, "missing"),
        ({"good": "many"}, "missing"),
    ],
)
def test_what_is_mapped_and_not_there_is_unknown_and_never_0(spoilt: dict[str, Any], fault: str) -> None:
    found = seen("stats", {**NUMBERS, **spoilt})["error_rate_24h"]
    assert (found["value"], found["fault"]) == (None, fault)


def test_what_is_null_in_an_endpoint_counts_for_nothing() -> None:
    found = mapped(endpoint("stats", changed("stats/fields/average_duration", None)), NUMBERS, 200, {"hours": 24}, NOW)
    assert found is not None
    assert "average_duration" in found[1]
    reply = {"state": "ok", "data": found[0], "not_offered": found[1], "fetched_at": NOW.isoformat()}
    seen_ = observe({"endpoints": {"stats": {**reply, "params": {"hours": 24}}}}, age_max_s=300, skew_max_s=120)
    duration = seen_["average_duration_24h"]
    assert (duration["applicable"], duration["fault"], duration["note"]) == (
        False, "", "the service does not offer this",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "value", "fault"),
    [("up", "healthy", ""), ("slow", "warning", ""), ("healthy", None, "unknown_value"), (None, None, "missing")],
)
def test_a_value_that_the_table_does_not_name_is_unknown(state: Any, value: Any, fault: str) -> None:
    body = {"state": state, "now": EPOCH_MS, "parts": [{"name": "disk", "state": "up"}]}
    found = seen("health", body)["overall_status"]
    assert (found["value"], found["fault"]) == (value, fault)


def test_an_old_answer_is_stale_by_its_own_time() -> None:
    body = {"state": "up", "now": EPOCH_MS - 3_600_000, "parts": [{"name": "disk", "state": "up"}]}
    assert seen("health", body)["overall_status"]["fault"] == "stale"
    assert seen("health", {**body, "now": "noon"})["overall_status"]["fault"] == "wrong_type"


def test_a_part_that_is_ill_is_told_whatever_its_name_is() -> None:
    body = {"state": "up", "now": EPOCH_MS, "parts": [{"state": "down"}]}
    assert seen("health", body)["overall_status"]["fault"] == "contradiction"
    unreadable = {**body, "parts": {"disk": 7}}
    assert answered("health", unreadable)[0]["checks"] == [{"component": "disk"}]


def test_health_with_a_status_of_5xx_counts_where_it_tells_its_state() -> None:
    assert answered("health", {"state": "down", "now": EPOCH_MS, "parts": []}, 503)[0]["overall_status"] == "critical"
    bodies: tuple[object, ...] = ({"error": "bad gateway"}, [], NoJson())
    for body in bodies:
        assert mapped(endpoint("health"), body, 502, {}, NOW) is None


def test_a_service_that_tells_its_health_by_the_status_alone() -> None:
    fields = {"overall_status": {"http_status": {200: "healthy", "503": "critical"}}, "timestamp": None, "checks": None}
    only = endpoint("health", {**MAP, "health": {"path": "/ping", "fields": fields}})
    found = mapped(only, NoJson(), 503, {}, NOW)
    assert found is not None
    assert found[0]["checks"] == [{"component": "service", "status": "critical", "message": ""}]
    assert (found[0]["overall_status"], found[0]["timestamp"]) == ("critical", "2026-11-24T06:00:00Z")
    odd = mapped(only, NoJson(), 204, {}, NOW)
    assert odd is not None
    assert odd[0]["overall_status"] == "HTTP 204"
    assert mapped(only, NoJson(), 404, {}, NOW) is None


def test_alerts_of_all_levels_are_those_asked_for_newest_first() -> None:
    at = NOW.timestamp()
    rows = [
        {"severity": 1, "text": "older", "at": at - 60, "job": 7},
        {"severity": True, "text": "an error", "at": at},
        {"severity": "odd", "text": "may be critical", "at": at - 90},
        {"severity": 1, "text": "newest", "at": at - 30, "job": 8},
    ]
    data, absent = answered("alerts", rows)
    assert [row["title"] for row in data["alerts"]] == ["newest", "older", "may be critical"]
    assert (data["alerts"][1]["session_id"], data["total_returned"], absent) == ("7", 3, ["alerts.message"])
    assert seen("alerts", rows)["critical_alerts"]["value"] == 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"error": "database is away"}, "the answer says of itself error: database is away"),
        ({"paging": {"next": "?page=2"}}, "the answer says that there is more: paging.next is ?page=2"),
        ({"total": 9}, "the answer lists 2 sessions, and its total is 9"),
        ({"total": 2, "has_more": False, "error": None}, ""),
    ],
)
def test_what_a_map_leaves_out_may_say_that_the_list_of_sessions_is_not_all(more: dict[str, Any], said: str) -> None:
    jobs = [{"id": "a1", "state": "running", "since": NOW.isoformat()}, {"id": "b2", "state": "done"}]
    document, absent = answered("sessions", {"jobs": jobs, **more})
    assert "incomplete" not in absent
    found = active_sessions(document)
    assert (list(found.by_id), found.complete, found.reason) == (["a1"], not said, said)


def test_sessions_are_as_old_as_their_start_says() -> None:
    jobs = [{"id": "a", "state": "running", "since": "2026-11-24T05:00:00"}, {"id": "b", "state": "done"}]
    found = seen("sessions", {"jobs": jobs})
    assert (found["active_sessions"]["value"], found["longest_session"]["value"]) == (1, 60)
    assert seen("sessions", {"tasks": []})["active_sessions"]["fault"] == "missing"
    map_ = changed("sessions/fields/active_sessions/fields/start_time", None)
    other = mapped(endpoint("sessions", map_), {"jobs": jobs}, 200, {}, NOW)
    assert other is not None
    assert "active_sessions.duration_minutes" in other[1]


def test_the_path_says_what_is_asked_for() -> None:
    assert endpoint("stats").target({"hours": 2}) == "/v2/numbers?last=2h"
    path = "/v2/alarms?min={level}&n={limit}"
    alarms = endpoint("alerts", changed("alerts/path", path))
    assert alarms.target({"level": "critical", "limit": 5}) == "/v2/alarms?min=1&n=5"
    assert health_path({"api_offered": True, "api_map": MAP}) == "/healthz"
    assert health_path({"api_offered": False, "api_map": MAP}) == ""
    of_day = endpoint("stats", {**MAP, "stats": {**MAP["stats"], "path": "/numbers", "hours": 24}})
    assert (of_day.offers({"hours": 24}), of_day.offers({"hours": 1})) == (True, False)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("jobs", None, "option 'policy_api_map' is 'jobs': is no key of it; there are health, health_detailed"),
        ("stats/fields/error_rat", "x", "'policy_api_map.stats.fields' is 'error_rat': is no key of it"),
        ("stats/fields/error_rate/units", "s", "'policy_api_map.stats.fields.error_rate' is 'units': is no key of it"),
        ("stats/fields/error_rate/unit", "ms", "'policy_api_map.stats.fields.error_rate.unit' is 'ms': is none"),
        ("stats/fields/error_rate/query", "bad[", "fields.error_rate.query' is 'bad[': is no JMESPath expression"),
        ("stats/fields/average_duration", "mean(x)", "has the unknown function 'mean'"),
        ("stats/fields/total_operations", None, "total_operations' is None: is needed"),
        ("stats/path", "v2", "'policy_api_map.stats.path' is 'v2': must begin with /"),
        ("stats/path", "/v2?x={days}", "has the place {days}; possible are {hours}, {minutes}, {seconds}"),
        ("stats/path", "/v2", "say of which time its figures are"),
        ("stats/hours", 200, "'policy_api_map.stats.hours' is '200': stats alone has windows"),
        ("health/fields/overall_status/values", {"up": "fine"}, "overall_status.values.up' is 'fine': must be one of"),
        ("health/fields/overall_status/http_status", {"200": "healthy"}, "either the status tells it, or the answer"),
        ("stats/fields/stage_breakdown/fields/stage", {"values": {}}, "stage' is 'values': is no key of it; there are"),
        ("sessions", "/v2/jobs", "'policy_api_map.sessions' is '/v2/jobs': must be a table of path, fields, hours"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_map_is_told_by_its_key(path: str, value: Any, said: str) -> None:
    (problem,) = api_problems(API_MAP, changed(path, value))
    assert said in problem


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "alerts",
            "'policy_api_map.alerts' is '': is missing; it is null where the service does not offer it, {} where",
        ),
        ("stats/fields/error_rate", "'policy_api_map.stats.fields.error_rate' is '': is missing; it is null where"),
        ("health/fields/checks/fields/message", "'policy_api_map.health.fields.checks.fields.message' is ''"),
        ("health/fields/checks/query", "checks.query' is 'None': a JMESPath expression is needed"),
    ],
)
def test_what_the_map_lacks_is_told_by_its_key(path: str, said: str) -> None:
    (problem,) = api_problems(API_MAP, changed(path, None, drop=True))
    assert said in problem


def test_without_a_map_all_is_as_the_runbook_has_it_and_a_sound_map_has_no_problem() -> None:
    assert endpoint("stats", {}).target({"hours": 2}) == "/stats?hours=2"
    assert api_problems(API_MAP, MAP) == []
    with pytest.raises(OptionError, match=r"api_map\.stats\.path"):
        read_endpoints(changed("stats/path", "v2"))
