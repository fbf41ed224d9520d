"""Joints: what one part gives is what the next reads, from a module's answer to the page, the alert and the metrics.

A key that is renamed on one side only fails here. What nobody of ours reads is named as meant for programs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.media_ops.runbook.plugins.module_utils.alerts.transition import _OF_ALERT, Message
from ansible_collections.media_ops.runbook.plugins.module_utils.api.pipeline_info import pipeline_info
from ansible_collections.media_ops.runbook.plugins.module_utils.api.settings import api_argument_spec
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import Action, planned
from ansible_collections.media_ops.runbook.plugins.module_utils.redact import redact
from ansible_collections.media_ops.runbook.plugins.module_utils.review.day import days_from, read_told
from ansible_collections.media_ops.runbook.plugins.module_utils.review.day_reports import day_reports
from ansible_collections.media_ops.runbook.plugins.module_utils.review.logged import Logged
from ansible_collections.media_ops.runbook.plugins.module_utils.service.on_record import overrides_on_record
from ansible_collections.media_ops.runbook.plugins.module_utils.shapes import STATES
from ansible_collections.media_ops.runbook.plugins.module_utils.state.guard import last_recovery
from ansible_collections.media_ops.runbook.plugins.module_utils.state.held import held_on_record
from ansible_collections.media_ops.runbook.plugins.module_utils.state.mutes import mutes_on_record
from ansible_collections.media_ops.runbook.plugins.module_utils.state.recoveries import recoveries
from ansible_collections.media_ops.runbook.plugins.plugin_utils.host_action import _FAILURE, documented, options_of
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.observations import observe
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.probed_by_site import observe_probe
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.routing import route
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import (
    Finding,
    Incident,
    Observation,
    Response,
    Rung,
    Sample,
    ShownResponse,
    Verdict,
    response,
    rung,
)
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.told_now import told_now
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import judge, require_sound
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.response_view import responses
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.result import build, summarise
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.telling import host_states
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.course import begun
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.diagnosis import classify
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.recovery import final_verdicts, sample
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.calendar import days_between, zone_of

from tests.result_factory import RUN
from tests.schemas import DAILY_REPORT, part, problems, schema
from tests.unit.plugins import factories as f
from tests.unit.plugins.policy import policy
from tests.unit.plugins.reading import ROOT, keys_of, read_by, returned, sampled, shown_by, told

FAILURE = set(_FAILURE)
POLICY = policy()
NOW = datetime(2026, 11, 24, 6, 0, 5, tzinfo=UTC)

JUDGED, HOST_JUDGED = "plugin_utils/judging/observations.py", "plugin_utils/judging/host.py"
DATED, DETAILED = "plugin_utils/judging/dates.py", "plugin_utils/judging/details.py"
ENDPOINT, ALERTED = "plugin_utils/judging/endpoint.py", "plugin_utils/judging/alerts.py"
LOGGED, QUICK = "plugin_utils/judging/log_errors.py", "plugin_utils/judging/quick.py"
DIAGNOSED, WATCHED = "plugin_utils/response/diagnosis.py", "plugin_utils/response/recovery.py"
COURSE = "plugin_utils/response/course.py"
WORDS, LEDGER = "plugin_utils/response/lines.py", "plugin_utils/response/ledger.py"
FOLLOWS = "plugin_utils/report/follows.py"
RESULT, VIEW = "plugin_utils/report/result.py", "plugin_utils/report/response_view.py"
TELLING = "plugin_utils/report/telling.py"
ALERTS, TEXT = "module_utils/alerts/transition.py", "module_utils/alerts/text.py"
METRICS, WEEK = "module_utils/state/metrics_textfile.py", "plugin_utils/week/review.py"

Joint = Callable[[], tuple[set[str], set[str]]]
JOINTS: dict[str, Joint] = {
    # A module's answer, as it is judged.
    "the answer of pipeline_info": lambda: (
        read_by(JUDGED, "result")
        | read_by(DATED, "result", functions=("clock_offset",))
        | read_by(HOST_JUDGED, "result", functions=("_overrides",))
        | read_by(DETAILED, "result"),
        returned("pipeline_info"),
    ),
    "an endpoint's answer": lambda: (read_by(ENDPOINT, "self._raw"), returned("pipeline_info", "endpoints")),
    "what an endpoint was asked for": lambda: (
        read_by(ALERTED, "answer.params"),
        told("pipeline_info", "endpoints", "params"),
    ),
    "overrides": lambda: (
        read_by(HOST_JUDGED, "answer", functions=("_overrides",)),
        returned("pipeline_info", "overrides"),
    ),
    "an override": lambda: (
        read_by(HOST_JUDGED, "row", functions=("_overrides",)),
        told("pipeline_info", "overrides", "overrides"),
    ),
    "a host that gave no answer": lambda: (
        read_by(HOST_JUDGED, "raw", functions=("observe_host",)) - {"endpoints"},
        FAILURE,
    ),
    "a counted log": lambda: (
        read_by(LOGGED, "raw", functions=("_observe_log",)) | read_by(DETAILED, "log", functions=("_log",)),
        returned("log_digest_info") | FAILURE,
    ),
    "a count of a log": lambda: (
        read_by(LOGGED, "row", functions=("_observe_log",)) | read_by(DETAILED, "row", functions=("_log",)),
        sampled("log_digest_info", "counts", "extra.error_code", 0),
    ),
    "the last lines of a log": lambda: (
        read_by(QUICK, "log", functions=("_errors",)),
        returned("log_digest_info") | FAILURE,
    ),
    "an answer, for the one-liners": lambda: (
        read_by(QUICK, "answer", functions=("_resources",)),
        returned("pipeline_info", "endpoints"),
    ),
    "an answer, for a sample": lambda: (
        read_by(WATCHED, "health", functions=("sample",)),
        returned("pipeline_info", "endpoints"),
    ),
    "an observation, for a sample": lambda: (
        read_by(WATCHED, "overall", "host", functions=("sample",)),
        keys_of(Observation),
    ),
    "an answer, for the week": lambda: (
        read_by(WEEK, "answer", functions=("_samples", "_answer")),
        returned("pipeline_info", "endpoints"),
    ),
    "the days that a host has kept": lambda: (read_by(WEEK, "reports"), returned("daily_reports_info") | FAILURE),
    # A probe's answer, as it is diagnosed.
    "what ffmpeg_info says of the program": lambda: (
        read_by(DIAGNOSED, "result", functions=("_ffmpeg", "_state")),
        returned("ffmpeg_info"),
    ),
    "what storage_probe says of the storage": lambda: (
        read_by(DIAGNOSED, "result", functions=("_state",)),
        returned("storage_probe"),
    ),
    "a unit": lambda: (
        read_by(DIAGNOSED, "service", functions=("_service",)),
        returned("service_control", "service"),
    ),
    "the sessions": lambda: (
        read_by(DIAGNOSED, "result", functions=("_sessions",)),
        returned("session_info"),
    ),
    "a session": lambda: (
        read_by(DIAGNOSED, "row", functions=("_sessions",)),
        returned("session_info", "sessions"),
    ),
    "whether the API lists the sessions": lambda: (
        read_by(DIAGNOSED, "api", functions=("_sessions",)),
        sampled("session_info", "api"),
    ),
    "a host": lambda: (
        read_by(DIAGNOSED, "host", functions=("_disk", "_resources")),
        returned("host_info"),
    ),
    "a file system": lambda: (
        read_by(DIAGNOSED, "row", functions=("_disk",)),
        returned("host_info", "disks"),
    ),
    "memory and CPU of a host": lambda: (
        read_by(DIAGNOSED, "host.get('memory')", "host.get('cpu')", functions=("_resources",)),
        returned("host_info", "memory") & returned("host_info", "cpu"),
    ),
    "the processes of a host": lambda: (
        read_by(DIAGNOSED, "host.get('processes')", functions=("_resources",)),
        returned("host_info", "processes"),
    ),
    "the busiest process": lambda: (
        read_by(DIAGNOSED, "top", functions=("_resources",)),
        sampled("host_info", "processes", "top_cpu", 0),
    ),
    # What a check found, as it is handed on.
    "what was found, for the one-liners": lambda: (read_by(QUICK, "found"), returned("check")),
    "what was found, for the result document": lambda: (
        read_by(RESULT, "known", functions=("_host",)),
        returned("check") | {"response"},
    ),
    "what was found, for the news": lambda: (
        read_by("plugin_utils/report/made.py", "one", functions=("news_of",)),
        returned("check"),
    ),
    "what was found, for the week's page": lambda: (read_by("plugin_utils/week/made.py", "found"), returned("check")),
    "what was found, for the metrics": lambda: (read_by("action/metrics.py", "given['found']"), returned("check")),
    "an observation, for the metrics": lambda: (
        read_by("action/metrics.py", "overrides", "mapping(observations.get('host'))") | {"fault"},
        keys_of(Observation),
    ),
    "a verdict, for the incidents": lambda: (
        read_by("plugin_utils/judging/routing.py", "verdict"),
        keys_of(Verdict),
    ),
    "a verdict, for what to do next": lambda: (
        read_by(RESULT, "one", functions=("_host",)) | read_by(FOLLOWS, "one", functions=("_unknowns",)),
        keys_of(Verdict),
    ),
    "a verdict, for the exit code": lambda: (read_by("action/gate.py", "verdict"), keys_of(Verdict)),
    "an incident, for the fleet": lambda: (
        read_by(FOLLOWS, "incident", functions=("fleet_incidents",)),
        keys_of(Incident),
    ),
    "the summary, for the terminal": lambda: (
        read_by("plugin_utils/report/table.py", "summary"),
        set(summarise(build({}, run=RUN, contacts=[], fail_on=[]), [])),
    ),
    # What was planned and done.
    "an action, for the ledger": lambda: (read_by(LEDGER, "action"), keys_of(Action)),
    "an action, in words": lambda: (read_by(WORDS, "action"), keys_of(Action)),
    "an action, for the page": lambda: (read_by(VIEW, "action"), keys_of(Action)),
    "a rung, in words": lambda: (read_by(WORDS, "rung"), keys_of(Rung)),
    "a rung, for the page": lambda: (read_by(VIEW, "rung"), keys_of(Rung)),
    "an incident, in words": lambda: (
        read_by(WORDS, "incident", functions=("response_lines",)),
        keys_of(Incident),
    ),
    "a response, in words": lambda: (read_by(WORDS, "response"), keys_of(Response)),
    "a diagnosis or a guard's answer, for the breaker": lambda: (
        read_by("plugin_utils/response/breaker.py", "found", functions=("fleet_breaker",)),
        (returned("diagnose") & {"incidents", "acted_for"}) | {"msg"},
    ),
    "a response, for the verdicts": lambda: (read_by(WATCHED, "response"), keys_of(Response)),
    "a response, for what to do next": lambda: (
        read_by(FOLLOWS, "answer", functions=("_waits", "_end", "_because")),
        keys_of(ShownResponse),
    ),
    "a response, for the page": lambda: (read_by(VIEW, "raw"), keys_of(ShownResponse)),
    "how automation stands, in words": lambda: (read_by(WORDS, "stands"), returned("guard") | FAILURE),
    # What people are told.
    "a verdict, for an alert": lambda: (
        read_by(ALERTS, "verdict", functions=("_by_key",)),
        keys_of(Verdict) | {"hosts"},
    ),
    "a message, in a text": lambda: (
        read_by(TEXT, "message", "first", "group.first", "worst"),
        keys_of(Message) | {"earlier"},
    ),
    "an open alert, for what is sent": lambda: (set(_OF_ALERT), told("alert_state", "open")),
    "an answer of alert_state, for what is told": lambda: (
        read_by(TELLING, "answer", "answers[host]"),
        returned("alert_state") | FAILURE | {"changed"},
    ),
    "what was sent": lambda: (
        read_by(TELLING, "sent"),
        returned("notify") | FAILURE | {"changed"},
    ),
    "a channel that failed": lambda: (
        read_by(TELLING, "mapping(row)", "row", functions=("problem_of",)),
        sampled("notify", "failures", 0),
    ),
    "a delivery, by its host": lambda: (
        read_by(TELLING, "row", functions=("delivered", "_told")),
        told("notify", "deliveries"),
    ),
    "a delivery, for the alert state": lambda: (
        read_by(ALERTS, "delivery", functions=("acknowledge",)),
        told("notify", "deliveries"),
    ),
    # What the monitoring is told.
    "a verdict, in metrics": lambda: (read_by(METRICS, "verdict"), keys_of(Verdict)),
    "alerts, in metrics": lambda: (read_by(METRICS, "facts.alerts"), returned("alert_state")),
    "an open alert, in metrics": lambda: (read_by(METRICS, "alert"), told("alert_state", "open")),
    "the guard, in metrics": lambda: (read_by(METRICS, "facts.guard"), returned("guard")),
    "a lease, in metrics": lambda: (read_by(METRICS, "held"), told("guard", "lease")),
}


@pytest.mark.parametrize("name", JOINTS)
def test_what_is_read_is_given(name: str) -> None:
    read, given = JOINTS[name]()
    assert sorted(read - given) == []


# --- the other way: what is given is read


def test_what_pipeline_info_gives_is_what_it_documents(tmp_path: Path) -> None:
    params = {name: option.get("default") for name, option in api_argument_spec().items()}
    params |= {"gather": ["health", "stats"], "stats_hours": 24, "metrics_hours": 24, "alerts_level": "critical"}
    params |= {"alerts_limit": 200, "query": "health", "api_url": "http://127.0.0.1:9/api", "api_token": "t"}
    params |= {"retries": 0, "state_dir": str(tmp_path), "controller_time": "2026-11-24T06:00:00Z"}
    kept = {
        "overrides": overrides_on_record,
        "recovered_at": last_recovery,
        "recoveries": recoveries,
        "mutes": mutes_on_record,
        "automation": held_on_record,
    }
    given = pipeline_info(params, kept, {}, warn=lambda text: None, hide=lambda text: None, environ={})
    # What systemd makes of the service is put beside it by the module's main.
    assert {*given, "unit"} - {"changed"} == returned("pipeline_info")
    for answer in given["endpoints"].values():
        assert set(answer) == returned("pipeline_info", "endpoints")
    assert set(given["overrides"]) == returned("pipeline_info", "overrides")
    assert set(given["mutes"]) == returned("pipeline_info", "mutes")
    assert set(given["automation"]) == returned("pipeline_info", "automation")


# Read by programs in result.json, and by people in the ledger that the run's name leads to.
FOR_PROGRAMS = {"run_id", "page", "recovered_after_s"}
# Of a.b.c, both a.b and b.c
IN_TASKS = re.compile(r"(?=\b(healthcheck_result|course|response|run)\.(\w+))")


def in_tasks(variable: str) -> set[str]:
    """The keys of a result that tasks and playbooks read."""
    files = [*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("roles/*/vars/*.yml"), *ROOT.glob("playbooks/*.yml")]
    texts = [path.read_text(encoding="utf-8") for path in files]
    return {key for text in texts for name, key in IN_TASKS.findall(text) if name == variable}


def test_tasks_read_of_a_result_what_is_in_it() -> None:
    assert sorted(in_tasks("healthcheck_result") - returned("check") - returned("plan")) == []
    assert (
        {"run", "response", "leased", "permitted"}
        <= in_tasks("course")
        <= set(begun(response("run", "apply"), {}, 0.0))
    )
    assert sorted(in_tasks("response") - keys_of(Response)) == []
    assert "run_id" in in_tasks("run")


def test_the_course_is_what_its_actions_document_and_conclude_reads() -> None:
    given = begun(response("run", "apply"), {}, 0.0)
    assert {"course"} == returned("lease") == returned("confirm") == returned("verify") - {"looks"}
    said = " ".join(documented("lease", "RETURN")["course"]["description"])
    assert set(given) <= set(re.findall(r"C\((\w+)\)", said))
    read = read_by("action/conclude.py", "course") | read_by(COURSE, "course")
    assert sorted(read - set(given)) == []


def test_each_part_of_a_response_is_read() -> None:
    read = in_tasks("response") | FOR_PROGRAMS
    for of in ("for the page", "for the verdicts", "for what to do next", "in words"):
        read |= JOINTS[f"a response, {of}"]()[0]
    assert sorted(keys_of(Response) - read) == []


ACTED = rung(
    {"rung": "Restart", "act": "service_control", "steps": ["P0-3C"], "args": {}},
    [planned("restart", "media.service", "it is down", ["P0-3C"], stable={}, proof={"unit": "down"})],
    changed=True,
)
LOOK: Sample = {"number": 1, "at": None, "state": "healthy", "good": True, "message": ""}
FINDING: Finding = {"subject": "service", "class": "down", "finding": "it is down"}


def shown_response() -> dict[str, Any]:
    """How reports see a response of which nothing is empty."""
    made: Response = {**response("run", "apply", findings=[FINDING]), "acted": [ACTED], "samples": [LOOK]}
    (seen,) = responses([{"host": "media1", "response": made}])
    return seen


def test_the_page_shows_all_that_is_made_of_a_response() -> None:
    seen = shown_response()
    assert shown_by("report.html.j2", "response") == set(seen)
    assert shown_by("report.html.j2", "rung") == set(seen["rungs"][0])
    assert shown_by("report.html.j2", "action") == set(seen["rungs"][0]["actions"][0])
    # When a sample was taken stands in the result document.
    assert shown_by("report.html.j2", "sample") == set(LOOK) - {"at"}
    assert shown_by("report.html.j2", "row") >= set(FINDING)


def test_the_text_shows_of_a_response_nothing_else_and_leaves_nothing_out_unsaid() -> None:
    seen = shown_response()
    assert shown_by("report.md.j2", "response") <= set(seen)
    assert {"left"} <= shown_by("report.md.j2", "rung") <= set(seen["rungs"][0])
    assert shown_by("report.md.j2", "action") <= set(seen["rungs"][0]["actions"][0])


@pytest.mark.parametrize("template", ["report.html.j2", "report.md.j2"])
def test_reports_read_of_a_verdict_and_of_an_incident_what_is_in_it(template: str) -> None:
    fleet = schema("result")["properties"]["incidents"]["items"]["properties"]
    assert sorted(shown_by(template, "verdict") - keys_of(Verdict)) == []
    assert sorted(shown_by(template, "incident") - set(fleet)) == []


def test_a_look_at_a_host_is_a_sample_of_the_response() -> None:
    answer = f.result(health_detailed=f.answer(f.health()))
    made = sample(answer, observe(answer, age_max_s=300, skew_max_s=120), "service", 1)
    assert set(made) == keys_of(Sample)


PROBED = {"ffmpeg": "missing", "storage": "unknown", "resources": "short", "disk": "ok"}


@pytest.mark.parametrize("recovered", [None, True, False])
def test_what_a_response_says_of_a_host_are_verdicts_that_incidents_are_made_of(recovered: bool | None) -> None:
    made: Response = {**response("run", "apply", classes=PROBED), "recovered": recovered, "msg": "how it ended"}
    before = judge(observe(f.result(), age_max_s=300, skew_max_s=120), POLICY["policy_checks"], "status")
    after = final_verdicts(before, made)
    for row in after:
        assert problems(part("result", "verdict"), row) == []
    new = {row["check"]: row["state"] for row in after if row["check"] not in {one["check"] for one in before}}
    probed = {"probed_ffmpeg": "critical", "probed_storage": "unknown", "probed_resources": "warning"}
    ending = {} if recovered is None else {"recovery": "ok" if recovered else "critical"}
    # A host that recovered is judged by that, and by what its probes found and nothing was to cure.
    assert new == {**ending, **{name: state for name, state in probed.items() if not recovered or state == "critical"}}
    assert [STATES.index(row["state"]) for row in after] == sorted(
        (STATES.index(r["state"]) for r in after), reverse=True
    )
    route(after, POLICY["policy_incidents"], {}, POLICY["policy_error_causes"])


def test_a_response_that_is_judged_by_twice_adds_its_probes_once() -> None:
    made = response("run", "plan", classes=PROBED)
    once = final_verdicts([], made)
    assert final_verdicts(once, made) == once
    assert final_verdicts(once, response("run", "plan")) == []


def test_what_is_told_of_a_host_is_a_verdict() -> None:
    for row in host_states({"media1": []}, {"media1": {"unreachable": True}}):
        assert set(row) == keys_of(Verdict) | {"hosts"}


def test_the_failure_that_a_message_sends_people_to_is_of_a_task_that_there_is() -> None:
    named = [re.findall('the task "(.+?)"', row["action"]) for row in host_states({"media1": [{}]}, {"media1": {}})]
    tasks = yaml.safe_load((ROOT / "roles/report/tasks/notify.yml").read_text(encoding="utf-8"))
    assert [name for names in named for name in names] != []
    assert {name for names in named for name in names} <= {task["name"] for task in tasks}


def test_what_the_report_hands_to_set_stats_is_what_the_terminal_takes() -> None:
    (handed,) = set(re.findall(r'"data": {"(\w+)"', (ROOT / "plugins/action/report.py").read_text(encoding="utf-8")))
    assert handed in (ROOT / "plugins/callback/verdicts.py").read_text(encoding="utf-8")


# --- the tables of role policy

OBSERVED_BY = "media_ops.runbook.check"


def asked() -> dict[str, dict[str, Any]]:
    """By ``run_by`` what the entry points of role healthcheck ask for."""
    found = {}
    for path in sorted((ROOT / "roles/healthcheck/tasks").glob("*.yml")):
        for task in yaml.safe_load(path.read_text(encoding="utf-8")):
            if OBSERVED_BY in task:
                found[task[OBSERVED_BY]["run_by"]] = task[OBSERVED_BY]
    return found


ASKED = asked()


def test_each_check_is_run_by_something() -> None:
    assert {run_by for row in POLICY["policy_checks"] for run_by in row["run_by"]} == set(ASKED)


@pytest.mark.parametrize("run_by", sorted(ASKED))
def test_each_row_of_the_check_table_is_observed_by_what_runs_it(run_by: str) -> None:
    options = ASKED[run_by]
    hours = options.get("stats_hours", 24)
    # One is of the policy, the other an option of the role, 24 unless it is set.
    named = {"{{ policy_recent_hours }}": POLICY["policy_recent_hours"], "{{ healthcheck_hours }}": 24}
    hours = named.get(hours, hours)
    level = options.get("alerts_level", "critical")
    answers = {
        "health": f.answer(f.health()),
        "health_detailed": f.answer(f.health()),
        "stats": f.answer(f.stats(hours), hours=hours),
        "alerts": f.answer(f.alerts(level=level), level=level, limit=200),
        "sessions": f.answer(f.sessions()),
        "metrics": f.answer(f.metrics(10.0), hours=24),
    }
    result = {"endpoints": {name: answers[name] for name in options["gather"]}, "clock_offset_s": 0.1}
    if "state_dir" in options:
        result["overrides"] = {"state": "ok", "reason": "", "overrides": []}
    seen = set(observe(result, age_max_s=300, skew_max_s=120))
    seen |= {"log_errors"} if "log" in options else set()
    # Joined with what the host has kept, by action check itself.
    seen |= {"figures_kept"} if "operations_log" in options else set()
    rows = [row for row in POLICY["policy_checks"] if run_by in row["run_by"]]
    wanted = {
        row["observation"] for row in rows if not (options.get("week") and row["observation"].startswith("week_"))
    }
    assert sorted(wanted - seen) == []


def test_no_title_makes_what_was_not_seen_a_secret() -> None:
    """As `API token: not known` does, by its name."""
    said = [f"{row['title']}: not known" for row in POLICY["policy_checks"]]
    assert [redact(text) for text in said] == said


OWN_PROBES = yaml.safe_load((ROOT / "roles/policy/vars/main.yml").read_text(encoding="utf-8"))["policy_own_probes"]


@pytest.mark.parametrize("name", POLICY["policy_own_check_rows"])
def test_what_the_checks_look_at_themselves_is_observed_whenever_it_is_judged(name: str) -> None:
    row = POLICY["policy_own_check_rows"][name]
    (probe,) = [one for one in OWN_PROBES if one["probe"] == name]
    assert probe["run_by"] == row["run_by"]
    assert {key: one["unit"] for key, one in probe["observations"].items()} == {row["observation"]: row["unit"]}
    require_sound([row])


@pytest.mark.parametrize(
    ("disks", "used"),
    [
        ([("ok", 3.0, 91.5), ("ok", 40.0, None), ("missing", None, None)], 91.5),
        ([("ok", 3.0, 2.0), ("timeout", None, None)], None),
        ([("missing", None, None)], None),
    ],
)
def test_a_file_system_that_cannot_be_looked_at_is_not_well(disks: list[tuple[Any, ...]], used: float | None) -> None:
    rows = [dict(zip(("state", "used_percent", "inodes_used_percent"), disk, strict=True)) for disk in disks]
    (probe,) = [one for one in OWN_PROBES if one["probe"] == "disk"]
    assert observe_probe(probe, {"disks": rows})["fullest_disk"]["value"] == used


def test_each_class_of_ffmpeg_has_a_level() -> None:
    said = documented("ffmpeg_info", "RETURN")["state"]["description"]
    classes = {found for line in said for found in re.findall(r"^V\((\w+)\)", line)}
    assert classes == set(POLICY["policy_own_check_rows"]["ffmpeg"]["levels"])


def test_incidents_are_triggered_by_checks_that_there_are() -> None:
    checks = {row["check"] for row in [*POLICY["policy_checks"], *POLICY["policy_own_check_rows"].values()]}
    triggers = {trigger["check"] for row in POLICY["policy_incidents"] for trigger in row["triggers"]}
    assert sorted(triggers - checks) == []


def test_each_playbook_that_people_are_sent_to_is_there() -> None:
    named = {row.get("playbook") for table in ("policy_checks", "policy_incidents") for row in POLICY[table]}
    there = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    assert sorted(named - {None, ""} - there) == []
    verdicts = (ROOT / "plugins/plugin_utils/judging/verdict.py").read_text(encoding="utf-8")
    assert sorted(set(re.findall(r"playbook (\w+_\w+)", verdicts)) - there) == []


RUNGS = [
    *(row for ladder in POLICY["policy_ladders"].values() for row in ladder),
    *(row for procedure in POLICY["policy_procedures"].values() for row in procedure["rungs"]),
]
ACTING = sorted({row["act"] for row in RUNGS})


def test_rungs_are_chosen_by_subjects_that_are_diagnosed() -> None:
    asked = ("service", "ffmpeg", "storage", "sessions", "host", "stats", "operations")
    looked_at: dict[str, Any] = {key: {} for key in asked}
    limits = {"disk_percent": 90, "memory_percent": 90, "cpu_percent": 90, "duration_s": 60}
    subjects = set(classify(looked_at, limits)["classes"])
    assert (
        sorted(
            {subject for row in RUNGS for key in ("when", "cured", "needs") for subject in row.get(key, {})} - subjects
        )
        == []
    )


@pytest.mark.parametrize("module", ACTING)
def test_what_a_rung_is_made_of_is_given_by_each_module_that_carries_one_out(module: str) -> None:
    assert {"plan", "hash"} <= returned(module)
    assert {"plan_hash"} <= options_of(module)


def test_what_a_rung_is_made_of_beside_its_plan_is_given_by_a_module_that_carries_one_out() -> None:
    given = set().union(*map(returned, ACTING)) | FAILURE | {"changed"}
    assert sorted(read_by(LEDGER, "acted", functions=("planned_rung", "_space")) - given) == []
    assert read_by(LEDGER, "row", functions=("_space",)) <= told("disk_cleanup", "free")
    read = read_by("plugin_utils/response/held_open.py", "held", functions=("held_said",))
    assert read <= told("disk_cleanup", "held_open")
    read = read_by("plugin_utils/response/held_open.py", "cleanup", functions=("not_freed_said",))
    assert sorted(read - returned("disk_cleanup")) == []


def test_what_host_info_shows_as_an_example_can_be_diagnosed() -> None:
    host = {name: value["sample"] for name, value in documented("host_info", "RETURN").items() if "sample" in value}
    limits = {"disk_percent": 90, "memory_percent": 95, "cpu_percent": 95, "duration_s": 60}
    classes = classify({"host": host}, limits)["classes"]
    assert (classes["disk"], classes["resources"] != "unknown") == ("full", True)


# --- a day


def test_the_day_that_is_kept_is_what_the_week_reads() -> None:
    rest = {name.removeprefix("policy_"): value for name, value in POLICY.items()}
    log = {"state": "ok", "matched": 0, "counts": {}, "lines": 3, "bad_lines": 0}
    told = told_now(f.result(), log, 24, policy=rest, service_offset_s=None, now=NOW)
    days = days_from(days_between(NOW - timedelta(hours=24), NOW, zone_of("UTC")))
    reports = day_reports(days, {}, read_told(told.document), Logged(), NOW)
    (full,) = (report for report in reports if "stats" in report)
    assert problems(DAILY_REPORT, full) == []
    assert set(full) == set(schema("daily_report")["properties"])
    assert read_told(full).windows
