"""Every fault of the monitoring API, from a real socket through observation and verdict to the report that is read.

One pipeline of code, as the morning check runs it: pipeline_info -> observe -> judge -> route -> result document ->
HTML, Markdown and terminal. For each fault the right verdict with its reason; never a traceback, never ok.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.api.pipeline_info import pipeline_info
from ansible_collections.media_ops.runbook.plugins.module_utils.api.settings import api_argument_spec
from ansible_collections.media_ops.runbook.plugins.module_utils.times import from_text
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.details import details
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.observations import observe
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.routing import route
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import judge
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.render import render
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.result import build, summarise
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.table import table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fault_server import Exchange, Way, document, fault_server, spoiled
from tests.result_factory import RUN
from tests.schemas import RESULT, problems
from tests.unit.plugins import factories as f
from tests.unit.plugins.policy import policy

_ROLE = Path(__file__).parents[3] / "roles" / "report"
_POLICY = policy()
CHECKS = {"overall_status", "error_rate", "success_rate", "critical_alerts", "active_sessions"}
RATES = {"error_rate", "success_rate"}
# The morning check looks at more than the API, which has tests of its own.
_OF_THE_API = [row for row in _POLICY["policy_checks"] if row["check"] in CHECKS]


def morning(registered: object) -> dict[str, Any]:
    """What the morning check makes of the module's result: the result document of a fleet of this one host."""
    seen = observe(registered, age_max_s=300, skew_max_s=120)
    verdicts = judge(seen, _OF_THE_API, "morning")
    drawn = details(registered)
    incidents = route(verdicts, _POLICY["policy_incidents"], drawn, _POLICY["policy_error_causes"])
    found = {"observations": seen, "verdicts": verdicts, "incidents": incidents, "details": drawn}
    return build({"media1": found}, run=RUN, contacts=[], fail_on=["critical", "unknown"])


def ask(url: str, *, token: str = "a-token-for-tests", **options: Any) -> dict[str, Any]:
    """The result of the module, as the morning check asks."""
    params = {name: option.get("default") for name, option in api_argument_spec().items()}
    params |= {"gather": ["health", "stats", "alerts", "sessions"], "stats_hours": 24, "metrics_hours": 24}
    params |= {"alerts_level": "critical", "alerts_limit": 200, "query": None, "api_url": str(url), "api_token": token}
    found = pipeline_info(
        params | {"retries": 0, **options}, {}, warn=lambda text: None, hide=lambda text: None, environ={}
    )
    read: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
    return read


def checked(mode: str | Mapping[str, str | Way], **options: Any) -> dict[str, Any]:
    """The result document of a morning check on a service with a fault, as a program reads it."""
    with fault_server(mode, target="http://203.0.113.1") as url:
        made: dict[str, Any] = json.loads(json.dumps(morning(ask(url, **options))))
    return made


def verdicts_of(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The verdicts by check; what people read of them is made on the way, and has the same state and reasons."""
    assert problems(RESULT, made) == []
    (host,) = made["hosts"]
    shown = render(made, *(str(_ROLE / "templates" / f"report.{kind}.j2") for kind in ("html", "md")))
    shown.append("\n".join(line.text for line in table(summarise(made, []), 120)))
    for text in shown:
        assert host["state"] in text.lower()
        assert "Traceback" not in text
    return {verdict["check"]: verdict for verdict in host["verdicts"]}


def long_ago(**age: float) -> str:
    return (datetime.now(UTC) - timedelta(**age)).replace(tzinfo=None).isoformat()


WHOLE = [
    # The fault of every endpoint, the class that each of the five verdicts has, and words of its reason.
    ("refused", "unreachable", "Connection refused"),
    ("closed", "unreachable", "closed the connection without an answer"),
    ("reset", "unreachable", "Connection reset"),
    ("no_connect", "timeout", "no connection to"),
    ("no_accept", "timeout", "no answer of"),
    ("hang", "timeout", "no answer of"),
    ("drip_head", "timeout", "no complete answer within"),
    ("drip_body", "timeout", "no complete answer within"),
    ("unauthorized", "auth", "HTTP 401: token expired or not accepted (Could not validate credentials)"),
    ("expired", "auth", "HTTP 401: token expired or not accepted (Token has expired)"),
    ("forbidden", "auth", "HTTP 403: token expired or not accepted (Not authenticated)"),
    ("not_found", "http_error", "HTTP 404 (Not Found)"),
    ("unprocessable", "http_error", "HTTP 422 (['query', 'hours']: Input should be <= 168)"),
    ("error_500", "http_error", "HTTP 500 (Health check failed)"),
    ("error_500_empty", "http_error", "HTTP 500"),
    ("error_500_html", "http_error", "HTTP 500"),
    ("unavailable_503", "http_error", "HTTP 503 (Service Unavailable"),
    ("redirect", "http_error", "a redirect to http://203.0.113.1, which is not followed"),
    ("no_content_204", "http_error", "HTTP 204"),
    ("html", "invalid", "it is not JSON (text/html"),
    ("empty", "invalid", "it is not JSON"),
    ("truncated_json", "invalid", "it is not JSON"),
    ("short", "invalid", "broke off"),
    ("huge", "invalid", "larger than 1000000 bytes"),
    ("gzip_bomb", "invalid", "larger than 1000000 bytes"),
    ("list", "invalid", "not an object but list"),
    ("null", "invalid", "not an object but NoneType"),
    ("string", "invalid", "not an object but str"),
    ("nan", "invalid", "NaN where a number belongs"),
    ("infinity", "invalid", "-Infinity where a number belongs"),
    ("overflow", "invalid", "too large"),
    ("deep", "invalid", "nested deeper"),
    ("not_http", "invalid", "not HTTP"),
]


# runbook: DM-1, DM-2, DM-3, DM-4
@pytest.mark.parametrize(("mode", "fault", "words"), WHOLE, ids=[mode for mode, _fault, _words in WHOLE])
def test_a_service_that_fails_is_unknown_in_every_check_and_says_why(mode: str, fault: str, words: str) -> None:
    soon = {"connect_timeout": 0.2, "read_timeout": 0.2, "total_timeout": 0.4 if "drip" in mode else 20}
    made = checked(mode, max_body_bytes=1_000_000, **(soon if fault == "timeout" else {}))
    verdicts = verdicts_of(made)
    assert set(verdicts) == CHECKS
    for verdict in verdicts.values():
        assert (verdict["state"], verdict["fault"], verdict["observed"]) == ("unknown", fault, None)
        assert words in verdict["message"]
        assert verdict["action"]
    assert (made["state"], made["failed"]) == ("unknown", True)
    # Silence is a P0; a token that is not accepted is for the operator, not for an incident.
    assert [i["priority"] for i in made["incidents"]] == ([] if fault == "auth" else ["P0"])
    assert made["next"]


def test_without_a_token_only_health_is_known() -> None:
    verdicts = verdicts_of(checked("need_token", token=""))
    assert verdicts["overall_status"]["state"] == "ok"
    for check in CHECKS - {"overall_status"}:
        assert (verdicts[check]["state"], verdicts[check]["fault"]) == ("unknown", "auth")
        assert "no token given" in verdicts[check]["message"]


PARTS: list[tuple[str, dict[str, str | Way], set[str], str, str]] = [
    # A fault of one endpoint: the checks that it makes unknown, their class of fault, and words of the reason.
    ("500 everywhere", {"/health": "error_500", "/health/detailed": "error_500_empty"}, {"overall_status"},
     "http_error", "HTTP 500 (Health check failed); health_detailed: HTTP 500"),
    ("unknown status", {"/health": spoiled(overall_status="fine")}, {"overall_status"}, "unknown_value", "'fine'"),
    ("status of another type", {"/health": spoiled(overall_status=["healthy"])}, {"overall_status"}, "unknown_value",
     "['healthy']"),
    ("status in capitals", {"/health": spoiled(overall_status="HEALTHY")}, {"overall_status"}, "unknown_value",
     "'HEALTHY'"),
    ("no status", {"/health": spoiled(overall_status=...)}, {"overall_status"}, "missing", "no 'overall_status'"),
    ("no checks", {"/health": spoiled(checks=...)}, {"overall_status"}, "missing", "no check is listed"),
    ("checks of another type", {"/health": spoiled(checks={"ffmpeg": "healthy"})}, {"overall_status"}, "missing",
     "no check is listed"),
    ("healthy with a critical check",
     {"/health": spoiled(checks=[{"component": "ffmpeg", "status": "critical", "message": "gone"}])},
     {"overall_status"}, "contradiction", "ffmpeg is critical"),
    ("old health", {"/health": spoiled(timestamp=long_ago(hours=5))}, {"overall_status"}, "stale", " h before"),
    ("health of tomorrow", {"/health": spoiled(timestamp=long_ago(hours=-24))}, {"overall_status"}, "clock",
     "ahead of"),
    ("health without a time", {"/health": spoiled(timestamp=...)}, {"overall_status"}, "missing", "no 'timestamp'"),
    ("a time that is none", {"/health": spoiled(timestamp=20261124)}, {"overall_status"}, "wrong_type", "not a time"),
    ("error rate over 1", {"/stats": spoiled(error_rate=2.5)}, {"error_rate"}, "out_of_range", "2.5"),
    ("success rate over 1", {"/stats": spoiled(success_rate=97.5)}, {"success_rate"}, "out_of_range", "97.5"),
    ("negative rate", {"/stats": spoiled(error_rate=-0.01)}, {"error_rate"}, "out_of_range", "-0.01"),
    ("rate as text", {"/stats": spoiled(error_rate="0.0")}, {"error_rate"}, "wrong_type", "'0.0'"),
    ("rate as truth", {"/stats": spoiled(error_rate=False)}, {"error_rate"}, "wrong_type", "False"),
    ("no rate", {"/stats": spoiled(error_rate=...)}, {"error_rate"}, "missing", "no 'error_rate'"),
    ("null rate", {"/stats": spoiled(error_rate=None)}, {"error_rate"}, "missing", "no 'error_rate'"),
    ("no total", {"/stats": spoiled(total_operations=...)}, RATES, "missing", "no 'total_operations'"),
    ("half an operation", {"/stats": spoiled(total_operations=0.5)}, RATES, "wrong_type", "whole number"),
    ("operations that did not fail", {"/stats": spoiled(error_rate=0.0, failed_operations=20)}, RATES,
     "contradiction", "20 of 40"),
    ("errors without operations", {"/stats": spoiled(total_operations=0, error_rate=0.5)}, RATES, "contradiction",
     "operations"),
    ("another window", {"/stats": spoiled(time_period_hours=1)}, RATES, "unknown_value", "1 h came where 24 h"),
    ("old statistics", {"/stats": spoiled(generated_at=long_ago(hours=3))}, RATES, "stale", " h before"),
    ("NaN in the statistics", {"/stats": spoiled(average_duration=math.nan)}, RATES, "invalid", "NaN"),
    ("infinity in the statistics", {"/stats": spoiled(average_duration=math.inf)}, RATES, "invalid", "Infinity"),
    ("no alerts", {"/alerts": spoiled(alerts=...)}, {"critical_alerts"}, "missing", "no 'alerts'"),
    ("alerts of another type", {"/alerts": spoiled(alerts="none")}, {"critical_alerts"}, "wrong_type", "not a list"),
    ("alerts of unknown number", {"/alerts": spoiled(total_returned="0")}, {"critical_alerts"}, "wrong_type", "'0'"),
    ("old alerts", {"/alerts": spoiled(generated_at=long_ago(hours=2))}, {"critical_alerts"}, "stale", " h before"),
    ("no sessions", {"/sessions/active": spoiled(active_sessions=...)}, {"active_sessions"}, "missing",
     "no 'active_sessions'"),
    ("sessions of another type", {"/sessions/active": spoiled(active_sessions={})}, {"active_sessions"}, "wrong_type",
     "not a list"),
    ("no number of sessions", {"/sessions/active": spoiled(total_active=None)}, {"active_sessions"}, "missing",
     "no 'total_active'"),
    ("a negative number of sessions", {"/sessions/active": spoiled(total_active=-1)}, {"active_sessions"},
     "out_of_range", "-1"),
]  # fmt: skip


# runbook: DM-1, DM-2, DM-3, DM-4
@pytest.mark.parametrize(("modes", "checks", "fault", "words"), [p[1:] for p in PARTS], ids=[p[0] for p in PARTS])
def test_a_value_that_proves_nothing_is_unknown_and_hides_no_other(
    modes: dict[str, str | Way], checks: set[str], fault: str, words: str
) -> None:
    made = checked(modes)
    verdicts = verdicts_of(made)
    for check in checks:
        assert (verdicts[check]["state"], verdicts[check]["fault"]) == ("unknown", fault), verdicts[check]["message"]
        assert words in verdicts[check]["message"]
    assert {check for check, verdict in verdicts.items() if verdict["state"] == "ok"} == CHECKS - checks
    assert (made["state"], made["failed"]) == ("unknown", True)


@pytest.mark.parametrize(
    "modes",
    [
        {"/health": "critical_503"},
        {"/health": "critical_503_plain"},
        {"/health": "error_500", "/health/detailed": "critical_503"},
        {"/health": "error_500_empty", "/health/detailed": "critical_503_plain"},
    ],
    ids=["under detail", "plain", "500, then the detailed answer", "empty 500, then the detailed answer"],
)
def test_a_critical_service_is_critical_however_it_says_so(modes: dict[str, str | Way]) -> None:
    made = checked(modes)
    verdict = verdicts_of(made)["overall_status"]
    assert (verdict["state"], verdict["observed"], verdict["fault"]) == ("critical", "critical", "")
    assert "ffmpeg: ffmpeg not found" in verdict["message"]
    assert [(i["priority"], i["cause"]) for i in made["incidents"]] == [("P0", "ffmpeg")]


def test_no_operations_are_ok_and_said_to_be_none() -> None:
    nothing: dict[str, Any] = {"total_operations": 0, "success_rate": 0.0, "error_rate": 0.0, "average_duration": 0.0}
    nothing |= {"successful_operations": ..., "failed_operations": ..., "error_breakdown": {}}
    made = checked({"/stats": spoiled(200, **nothing)})
    verdicts = verdicts_of(made)
    for check in RATES:
        assert (verdicts[check]["state"], verdicts[check]["observed"]) == ("ok", None)
        assert verdicts[check]["note"] == "no operations in the last 24 h"
    assert (made["state"], made["failed"]) == ("ok", False)


def test_a_service_that_is_well_is_ok() -> None:
    """Else all of the above could be unknown for a reason of its own."""
    made = checked("ok")
    assert {verdict["state"] for verdict in verdicts_of(made).values()} == {"ok"}
    assert made["next"] == []


# --- arbitrary JSON ---------------------------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)
likely = (
    st.sampled_from(
        [0, 1, 0.0, 0.05, 1.0, 24, -1, 2.5, "healthy", "critical", "fine", f.THEN, "2026-11-24T01:00:00", [], {}]
    )
    | anything
)


def nearly(sound: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A sound document with a few keys missing or of any value, or now and then anything at all."""

    def changed(picked: tuple[list[str], dict[str, Any]]) -> dict[str, Any]:
        missing, replaced = picked
        return {key: value for key, value in {**sound, **replaced}.items() if key not in missing}

    keys = st.sampled_from(sorted(sound))
    spoilt = st.tuples(st.lists(keys, max_size=1), st.dictionaries(keys, likely, max_size=2)).map(changed)
    return st.just(sound) | spoilt | spoilt | anything


def is_number(value: object, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return low <= value <= high


def is_recent(text: object) -> bool:
    moment, now = from_text(text), from_text(f.NOW)
    return moment is not None and now is not None and timedelta(seconds=-120) <= now - moment <= timedelta(seconds=300)


def proves_health(data: Any) -> bool:
    """Written anew on purpose: what a person would ask of a document before believing that all is well."""
    rows = [row for row in data["checks"] if isinstance(row, dict) and row.get("component")]
    found = [row.get("status") for row in rows]
    summary = data.get("summary")
    counted = summary.get("critical") if isinstance(summary, dict) else None
    proved = ("healthy" in found or "warning" in found) and "critical" not in found and not counted
    return data["overall_status"] == "healthy" and is_recent(data["timestamp"]) and proved


def proves_rate(key: str, low: float, high: float) -> Callable[[Any], bool]:
    def proves(data: Any) -> bool:
        total = data["total_operations"]
        dated = is_recent(data["generated_at"]) and data["time_period_hours"] == 24
        return (
            dated
            and is_number(total, 0, math.inf)
            and is_number(data[key], 0, 1)
            and (total == 0 or low <= data[key] <= high)
        )

    return proves


def proves_silence(data: Any) -> bool:
    return (
        is_recent(data["generated_at"])
        and is_number(data["total_returned"], 0, math.inf)
        and isinstance(data["alerts"], list)
    )


def proves_few(data: Any) -> bool:
    return is_number(data["total_active"], 0, 4) and len(data["active_sessions"]) < 5


PROOFS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "overall_status": ("health", proves_health),
    "error_rate": ("stats", proves_rate("error_rate", 0, 0.1)),
    "success_rate": ("stats", proves_rate("success_rate", 0.9, 1)),
    "critical_alerts": ("alerts", proves_silence),
    "active_sessions": ("sessions", proves_few),
}


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    health=nearly(f.health()),
    stats=nearly(f.stats(failed=5)),
    alerts=nearly(f.alerts()),
    sessions=nearly(f.sessions(2)),
)
def test_arbitrary_json_is_ok_only_where_it_proves_it(**documents: Any) -> None:
    params: dict[str, dict[str, Any]] = {"stats": {"hours": 24}, "alerts": {"level": "critical", "limit": 200}}
    answers = {name: f.answer(data, **params.get(name, {})) for name, data in documents.items()}
    made = morning({"changed": False, "endpoints": answers})
    json.dumps(made, allow_nan=False)
    (host,) = made["hosts"]
    assert {verdict["check"] for verdict in host["verdicts"]} == CHECKS
    for verdict in host["verdicts"]:
        endpoint, proves = PROOFS[verdict["check"]]
        if verdict["state"] == "ok":
            assert isinstance(documents[endpoint], dict)
            assert proves(documents[endpoint]), (verdict, documents[endpoint])
        else:
            assert verdict["message"]
            assert verdict["state"] != "unknown" or verdict["action"]
    assert made["failed"] == (host["state"] in ("critical", "unknown"))


def test_arbitrary_json_over_a_real_socket() -> None:
    changes: dict[str, Any] = {}

    def way(exchange: Exchange) -> None:
        exchange.answer(200, document(exchange.request) | changes)

    with fault_server({"/health": way}) as url:

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            st.dictionaries(st.sampled_from(["overall_status", "timestamp", "checks", "summary"]), likely, max_size=3)
        )
        def judged(spoilt: dict[str, Any]) -> None:
            changes.clear()
            changes.update(spoilt)
            (verdict,) = (v for v in morning(ask(url))["hosts"][0]["verdicts"] if v["check"] == "overall_status")
            assert verdict["state"] != "ok" or spoilt.get("overall_status", "healthy") == "healthy"
            assert verdict["state"] == "ok" or verdict["message"]

        judged()
