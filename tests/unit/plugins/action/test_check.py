"""check: what it asks of a host, and that no answer, nor the want of one, is ever more than it is."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.template import trust_as_template
from ansible_collections.media_ops.runbook.plugins.module_utils.times import from_text, to_text
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import Observation, Verdict
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.controller import this_run

from tests.unit.plugins import factories as f
from tests.unit.plugins.action.acting import INTRUDER, Answer, Run, act
from tests.unit.plugins.policy import policy
from tests.unit.plugins.reading import keys_of, returned

_ALL = policy()
POLICY = {name.removeprefix("policy_"): value for name, value in _ALL.items()}
MORNING: dict[str, Any] = {"run_by": "morning", "policy": POLICY, "gather": ["health", "stats", "alerts", "sessions"]}
LOGGED = {"state": "ok", "reason": "", "matched": 0, "counts": {}, "lines": 3, "bad_lines": 0, "last": []}
KEPT: dict[str, Any] = {"days": [], "weeks": [], "peaks": [], "actions": {}, "unreadable": [], "seen": True}
CONNECTION: dict[str, Any] = {"api_url": "http://media1/api", "api_token": "canary-token", "validate_certs": False}


def fresh(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer of the service, of now."""
    now = datetime.now(UTC)
    text = json.dumps(answer).replace(f.NOW, to_text(now))
    made: dict[str, Any] = json.loads(text.replace(f.THEN, (now - timedelta(seconds=20)).strftime("%Y-%m-%dT%H:%M:%S")))
    return made


def whole() -> dict[str, Any]:
    """What pipeline_info answers on a host that is well, and what a host adds to it."""
    state = {"overrides": {"state": "ok", "reason": "", "overrides": []}, "recovered_at": None, "clock_offset_s": 0.1}
    return {**fresh(f.result(health_detailed=f.answer(f.health()))), **state, **INTRUDER}


def check(answers: Mapping[str, Any] | None = None, **changes: Any) -> Run:
    given: dict[str, Answer | list[Answer]] = {"pipeline_info": whole(), **(answers or {})}
    return act("check", {**MORNING, **changes}, answers=given)


def states(run: Run) -> dict[str, tuple[str, str]]:
    """State and fault by check."""
    return {row["check"]: (row["state"], row["fault"]) for row in run.result["verdicts"]}


def test_a_host_that_is_well_is_asked_once_and_judged() -> None:
    run = check(**CONNECTION, state_dir="/var/lib/media-ops")
    assert run.modules == ["pipeline_info"]
    asked = dict(run.arguments("pipeline_info"))
    assert asked.pop("unit", None) == MORNING["policy"].get("service_unit")
    now = from_text(asked.pop("controller_time"))
    assert now is not None
    assert abs((datetime.now(UTC) - now).total_seconds()) < 60
    assert asked == {
        **CONNECTION,
        "gather": MORNING["gather"],
        "stats_hours": 24,
        "metrics_hours": 24,
        "alerts_level": "critical",
        "state_dir": "/var/lib/media-ops",
    }
    assert {state for state, _fault in states(run).values()} == {"ok"}
    assert set(run.result["verdicts"][0]) == keys_of(Verdict)
    assert set(run.result["observations"]["host"]) == keys_of(Observation)
    assert (run.result["changed"], run.result["incidents"], run.result["log"]) == (False, [], {})
    assert abs(run.result["judged_at"] - datetime.now(UTC).timestamp()) < 60


def test_another_run_on_the_host_is_told_and_not_this_one() -> None:
    process = this_run({}, str)["process"]
    for lease, state in (({"controller_process": process}, "free"), ({"controller_process": {"pid": 0}}, "acting")):
        stands = {"run_id": "r", "taken_at": f.NOW, "expires_at": f.NOW, "reason": "x", **lease}
        kept = {"automation": {"state": "ok", "reason": "", "pause": None, "lease": stands}}
        run = check({"pipeline_info": {**whole(), **kept}})
        assert run.result["observations"]["automation"]["value"] == state


class Vars:
    """Variables of hosts, as inventory and command line have them."""

    def __init__(self, **of_host: Any) -> None:
        self.of_host = of_host

    def raw_get(self, host: str) -> Any:
        return self.of_host[host]


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"policy_lease_ttl": "soon"}, "policy_lease_ttl is 'soon'"),
        ({"policy_verify_samples": [1]}, "policy_verify_samples"),
        ({"policy_state_dir": trust_as_template("{{ misspelt }}/x")}, "'misspelt' is undefined"),
        ({"lent": "x", "policy_kill_after": trust_as_template("{{ lent }}")}, "policy_kill_after is 'x'"),
    ],
)
def test_a_host_that_is_set_wrong_is_not_asked_and_is_unknown(own: dict[str, Any], said: str) -> None:
    variables = {**_ALL, **own, "hostvars": Vars(media1=own)}
    run = act("check", {**MORNING, "week": True, "log": {"path": "/a"}}, variables=variables)
    assert run.modules == []
    assert {state for state, _fault in states(run).values()} == {"unknown"}
    assert said in run.result["observations"]["host"]["reason"]
    well = act(
        "check", MORNING, answers={"pipeline_info": whole()}, variables={**variables, "hostvars": Vars(media1={})}
    )
    assert well.modules == ["pipeline_info"]


def test_a_day_and_a_week_are_what_the_module_documents() -> None:
    answers = {"log_digest_info": LOGGED, "daily_reports_info": KEPT}
    run = check(answers, log={"path": "/var/log/media/a.log"}, day=True, week=True, state_dir="/s", run_by="weekly")
    assert set(run.result) - {"changed"} == returned("check")


def test_of_an_answer_nothing_becomes_a_variable_of_the_run() -> None:
    run = check({"log_digest_info": {**LOGGED, **INTRUDER}}, log={"path": "/var/log/media/a.log"})
    assert "ansible_facts" not in run.result
    said = json.dumps(run.result)
    for key in INTRUDER:
        assert key not in said


def test_the_python_that_was_found_on_the_way_is_kept_as_ansible_keeps_it() -> None:
    run = act("check", MORNING, answers={"pipeline_info": whole()}, found_python="/usr/bin/python3.12")
    assert run.result["ansible_facts"] == {"discovered_interpreter_python": "/usr/bin/python3.12"}


@pytest.mark.parametrize(
    ("answer", "fault", "said"),
    [
        (AnsibleConnectionFailure("no route to host"), "host_unreachable", "no route to host"),
        ({"unreachable": True, "msg": "ssh: connection refused"}, "host_unreachable", "connection refused"),
        (AnsibleError("Missing sudo password"), "module_failed", "Missing sudo password"),
        ({"failed": True, "msg": "requests is missing"}, "module_failed", "requests is missing"),
        ({"failed": True, "rc": 127, "module_stdout": "python3: not found"}, "no_python", "python3: not found"),
        ({}, "module_failed", "the host gave no result"),
        ({"endpoints": ["all well"]}, "module_failed", "endpoints is not of type dict"),
        ({"endpoints": {}, "clock_offset_s": "soon"}, "module_failed", "clock_offset_s is not of type float"),
        ({"endpoints": {}, "overrides": []}, "module_failed", "overrides is not of type dict"),
    ],
)
def test_a_host_that_does_not_answer_is_unknown_with_the_reason(answer: Answer, fault: str, said: str) -> None:
    run = check({"pipeline_info": answer})
    assert set(states(run).values()) == {("unknown", fault)}
    assert all(said in row["message"] for row in run.result["verdicts"])
    assert run.result["answers"] == {}
    assert "unreachable" not in run.result
    assert "failed" not in run.result


# What no check asked this host for is not judged there.
_OF_THE_HOST = ("overrides", "clock_offset", "api_token", "service_unit", "mutes", "automation")
NOT_ASKED = {row["check"] for row in POLICY["checks"] if row["observation"] in _OF_THE_HOST}


@pytest.mark.parametrize("endpoints", [{}, {"health": None}, {"health": {"state": "ok", "data": []}}])
def test_an_answer_without_what_was_asked_for_is_never_ok(endpoints: dict[str, Any]) -> None:
    found = states(check({"pipeline_info": {"endpoints": endpoints}}))
    assert set(found) == {row["check"] for row in POLICY["checks"] if "morning" in row["run_by"]}
    assert {name for name, (state, _fault) in found.items() if state == "ok"} == NOT_ASKED & set(found)


def test_a_log_is_read_where_the_host_was_reached_and_judged_where_it_was_not_read() -> None:
    log = {"path": "/var/log/media/a.log", "hours": 24}
    run = check({"log_digest_info": LOGGED}, log=log, run_by="evening")
    assert (run.arguments("log_digest_info"), run.result["log"]) == (log, {**LOGGED, "changed": False})
    run = check({"log_digest_info": AnsibleConnectionFailure("gone")}, log=log, run_by="evening")
    assert states(run)["error_log"] == ("unknown", "host_unreachable")
    run = check({"log_digest_info": {**LOGGED, "matched": "many"}}, log=log, run_by="evening")
    assert states(run)["error_log"] == ("unknown", "module_failed")
    run = check({"pipeline_info": {"unreachable": True, "msg": "gone"}}, log=log, run_by="evening")
    assert (run.modules, run.result["log"]) == (["pipeline_info"], {})


def test_the_log_of_errors_is_read_where_it_is_another_and_no_log_where_there_is_none() -> None:
    log, answers = {"path": "/var/log/media/a.log", "hours": 24}, [LOGGED, {**LOGGED, "matched": 5000}]
    run = check({"log_digest_info": answers}, log=log, errors_log="/var/log/media/e.log", run_by="evening")
    assert run.modules == ["pipeline_info", "log_digest_info", "log_digest_info"]
    assert states(run)["error_log"] == ("critical", "")
    run = check({"log_digest_info": LOGGED}, log=log, errors_log=log["path"], run_by="evening")
    assert run.modules == ["pipeline_info", "log_digest_info"]
    run = check(log={**log, "path": ""}, errors_log="", run_by="evening")
    assert run.modules == ["pipeline_info"]
    assert "error_log" not in states(run) or states(run)["error_log"][0] == "ok"


def test_a_day_whose_figures_cannot_be_trusted_is_not_kept() -> None:
    log: dict[str, Any] = {"log": {"path": "/l"}, "day": True, "run_by": "evening"}
    reports = {**KEPT, "reports": [{"day": "2026-11-27"}]}
    answers = {"log_digest_info": LOGGED, "daily_reports_info": reports}
    run = check(answers, **log)
    seen = run.arguments("daily_reports_info")["seen"]
    assert (seen["stats"]["total_operations"], seen["log_errors"]["lines"]) == (100, 3)
    assert (run.result["days"], states(run)["figures_kept"]) == (reports["reports"], ("ok", ""))
    spoiled = whole()
    spoiled["endpoints"]["stats"]["data"]["generated_at"] = "2026-01-01T00:00:00"
    run = check({**answers, "daily_reports_info": KEPT, "pipeline_info": spoiled}, **log)
    asked = run.arguments("daily_reports_info")
    # What its log names is kept all the same.
    assert (asked.get("seen"), asked["reports"], run.result["days"]) == (None, True, [])
    assert states(run)["figures_kept"] == ("unknown", "stale")
    run = check({**answers, "daily_reports_info": {**KEPT, "seen": False}}, **log)
    assert states(run)["figures_kept"] == ("unknown", "contradiction")
    run = check({"pipeline_info": {"unreachable": True, "msg": "gone"}}, **log)
    assert (run.modules, run.result["days"]) == (["pipeline_info"], [])
    assert states(run)["figures_kept"] == ("unknown", "host_unreachable")


@pytest.mark.parametrize("clocks", ["of_the_host", "of_the_service"])
def test_figures_that_are_dated_ahead_are_refused_when_they_would_be_kept(clocks: str) -> None:
    """By the controller's clock: that of the host may be as far off as the service's."""
    ahead = datetime.now(UTC) + timedelta(hours=3)
    wrong = whole()
    for answer in wrong["endpoints"].values():
        answer["fetched_at"] = to_text(ahead) if clocks == "of_the_host" else answer["fetched_at"]
    wrong["endpoints"]["stats"]["data"]["generated_at"] = ahead.strftime("%Y-%m-%dT%H:%M:%S")
    for run_by, more in (("evening", {"day": True}), ("weekly", {"week": True})):
        answers: dict[str, Any] = {"pipeline_info": wrong, "daily_reports_info": KEPT, "log_digest_info": LOGGED}
        run = check(answers, run_by=run_by, log={"path": "/l"}, state_dir="/s", **more)
        assert "seen" not in run.arguments("daily_reports_info")
        assert states(run)["figures_kept"] == ("unknown", "clock")
        assert run.result.get("days", []) == []


def test_reports_that_are_damaged_or_not_read_are_findings_of_the_evening_and_of_the_week() -> None:
    damaged = {**KEPT, "unreadable": [{"file": "daily_report_20261125.json", "why": "it is no JSON"}]}
    for more in ({"run_by": "evening", "day": True, "log": {"path": "/l"}}, {"run_by": "weekly", "week": True}):
        run = check({"daily_reports_info": damaged, "log_digest_info": LOGGED}, **more)
        (row,) = (row for row in run.result["verdicts"] if row["check"] == "figures_kept")
        assert (row["state"], "daily_report_20261125.json is left out: it is no JSON" in row["message"]) == (
            "warning", True,
        )  # fmt: skip
        run = check({"daily_reports_info": {"failed": True, "msg": "no state_dir"}, "log_digest_info": LOGGED}, **more)
        assert states(run)["figures_kept"] == ("unknown", "module_failed")


def test_a_service_that_is_down_is_a_finding_of_the_week() -> None:
    down = {"endpoints": {name: f.answer(None, "unreachable") for name in ("health", "stats", "metrics")}}
    run = check({"pipeline_info": down, "daily_reports_info": KEPT}, run_by="weekly", week=True)
    assert states(run)["overall_status"] == ("unknown", "unreachable")


def test_days_are_those_of_the_site_whatever_zone_the_controller_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for zone in ("Pacific/Auckland", "America/Los_Angeles"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        run = check(
            {"log_digest_info": LOGGED, "daily_reports_info": KEPT},
            log={"path": "/l"},
            day=True,
            run_by="evening",
            policy={**POLICY, "zone": "Asia/Kolkata"},
        )
        seen.append([row["from"][10:] for row in run.arguments("daily_reports_info")["days"]])
    monkeypatch.delenv("TZ")
    time.tzset()
    assert seen == [["T18:30:00Z"] * 8] * 2


def test_a_week_is_what_the_host_has_kept_and_what_the_service_remembers() -> None:
    of_week = {**whole(), "endpoints": fresh({"stats": f.answer(f.stats(168), hours=168)})}
    run = check(
        {"daily_reports_info": {**KEPT, "seen": False}, "pipeline_info": [whole(), of_week]},
        week=True,
        run_by="weekly",
        **CONNECTION,
        state_dir="/s",
        operations_log="/var/log/media/p.log",
    )
    assert run.modules == ["pipeline_info", "daily_reports_info", "pipeline_info"]
    asked = dict(run.arguments("daily_reports_info"))
    assert len(asked.pop("days")) == 8
    assert abs((datetime.now(UTC) - (from_text(asked.pop("until")) or datetime.min.replace(tzinfo=UTC))).seconds) < 60
    assert asked.pop("seen")["stats"]["total_operations"] == 100
    assert asked == {"state_dir": "/s", "log": "/var/log/media/p.log", "reports": False}
    assert run.asked[2].arguments == {**CONNECTION, "gather": ["stats"], "stats_hours": 168}
    assert run.result["review"]["figures"]["total_operations"] == 100
    assert run.result["review"]["source"] != "none"


def test_a_week_of_a_site_that_has_no_log_is_asked_of_none() -> None:
    of_week = {**whole(), "endpoints": fresh({"stats": f.answer(f.stats(168), hours=168)})}
    answers = {"daily_reports_info": {**KEPT, "seen": False}, "pipeline_info": [whole(), of_week]}
    run = check(answers, week=True, run_by="weekly", **CONNECTION, state_dir="/s", operations_log="")
    assert run.arguments("daily_reports_info").get("log") is None


def test_a_host_that_is_gone_is_not_asked_for_its_week() -> None:
    gone: Answer = AnsibleConnectionFailure("gone")
    run = check({"daily_reports_info": gone, "pipeline_info": gone}, week=True, run_by="weekly", state_dir="/s")
    assert run.modules == ["pipeline_info"]
    assert run.result["review"]["source"] == "none"
    assert "the kept reports were not read: gone" in run.result["review"]["coverage"]["notes"]
    assert set(states(run).values()) == {("unknown", "host_unreachable")}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gather": ["moon"]}, "value of gather must be one or more of: .* moon"),
        ({"stats_hours": "long"}, "stats_hours.*long"),
        ({"alerts_level": "loud"}, "value of alerts_level must be one of: .* loud"),
        ({"colour": "red"}, "Unsupported parameters for .*media_ops.runbook.check.*: colour"),
        ({"run_by": "moonlight"}, "policy_checks has no check that is run by 'moonlight'"),
        ({"policy": {**POLICY, "answer_age_max": "old"}}, "option 'policy_answer_age_max' is 'old'"),
        ({"policy": {**POLICY, "clock_skew_max": 0}}, "option 'policy_clock_skew_max' is 0"),
        ({"policy": {**POLICY, "checks": "all"}}, "policy_checks must be a list of dictionaries"),
        ({"policy": {**POLICY, "session_end_minutes": 5}}, "policy_session_end_minutes 5"),
    ],
)
def test_what_cannot_be_judged_by_fails_and_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleActionFail, match=said):
        check(**changes)


def test_a_policy_that_contradicts_itself_is_refused_before_the_host_is_asked() -> None:
    with pytest.raises(AnsibleActionFail, match="lacks check, title"):
        # No answer is made up: to ask would be a KeyError.
        act("check", {**MORNING, "policy": {**POLICY, "checks": [{}]}})


def test_a_token_is_in_nothing_that_comes_back() -> None:
    assert "canary" not in json.dumps(check(**CONNECTION).result)


def off(hours: float, seconds: float = 0) -> dict[str, Any]:
    """An answer whose date is off, read some seconds later than another."""
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    dated = now + timedelta(hours=hours)
    document = {**f.health(), "timestamp": dated.strftime("%Y-%m-%dT%H:%M:%S.%f")}
    answer = {**f.answer(document), "fetched_at": to_text(now)}
    return {"endpoints": {"health": answer, "health_detailed": answer}}


STATUS: dict[str, Any] = {"run_by": "status", "policy": POLICY, "gather": ["health_detailed"]}


@pytest.mark.parametrize("hours", [-2, 2, -9.5])
def test_a_date_that_is_off_is_looked_at_twice_more(hours: float) -> None:
    answers = [off(hours), off(hours, 2), off(hours, 4)]
    run = act("check", {**STATUS, **CONNECTION}, answers={"pipeline_info": answers})
    assert run.modules == ["pipeline_info"] * 3
    assert run.asked[1].arguments == run.asked[2].arguments == {**CONNECTION, "gather": ["health_detailed"]}
    assert states(run)["overall_status"] == ("ok", "")
    assert "as in a zone of its own" in run.result["verdicts"][0]["message"] + run.result["verdicts"][-1]["message"]
    assert abs(run.result["counting"]["service_offset_s"] - hours * 3600) < 5


def test_a_service_that_repeats_an_old_answer_hangs() -> None:
    run = act("check", STATUS, answers={"pipeline_info": [off(-2)] * 3})
    assert states(run)["overall_status"] == ("unknown", "stale")
    assert [incident["incident"] for incident in run.result["incidents"]] == ["critical_system"]


@pytest.mark.parametrize("later", [{"unreachable": True, "msg": "no"}, {"endpoints": {}}])
def test_a_date_ahead_that_cannot_be_looked_at_again_is_a_clock(later: dict[str, Any]) -> None:
    run = act("check", STATUS, answers={"pipeline_info": [off(3), later, later]})
    assert (states(run)["overall_status"], run.result["incidents"]) == (("unknown", "clock"), [])
