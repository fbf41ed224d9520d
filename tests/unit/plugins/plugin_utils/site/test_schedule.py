"""What role schedule refuses, and when procedures run in the words of systemd and of cron."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site import schedule as of_schedule
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.schedule import (
    crons_of,
    due_of_job,
    schedule_problems,
    timetable,
)

ROOT = Path(__file__).resolve().parents[5]
DEFAULTS = yaml.safe_load((ROOT / "roles/schedule/defaults/main.yml").read_text(encoding="utf-8"))
SITE: dict[str, Any] = {**DEFAULTS, "schedule_dir": "/srv/schedule", "schedule_python": "/usr/bin/python3"}


def problems(**more: Any) -> list[str]:
    return schedule_problems({**SITE, **more}.get)


def of(*procedures: Any) -> list[str]:
    return problems(schedule_procedures=list(procedures))


def test_the_runbooks_times_can_be_scheduled() -> None:
    assert problems() == []
    assert problems(schedule_user="ops") == []
    assert of({"name": "a", "every": "5"}) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"schedule_dir": "/srv/a b"}, "schedule_dir is '/srv/a b': must be an absolute path of letters"),
        ({"schedule_dir": "/srv/../etc"}, "schedule_dir is '/srv/../etc'"),
        ({"schedule_dir": "/srv/%h"}, "schedule_dir is '/srv/%h'"),
        ({"schedule_python": "python3"}, "schedule_python is 'python3': must be an absolute path"),
        ({"schedule_user": "root\nroot"}, r"schedule_user is 'root\nroot': must be a user's name"),
        ({"schedule_procedures": []}, "schedule_procedures names none: at least one is needed, and each once"),
        ({"schedule_procedures": [{"name": "a", "every": 5}] * 2}, "schedule_procedures names a, a: at least one"),
        ({"schedule_procedures": "daily"}, "schedule_procedures must be a list of dictionaries"),
    ],
)
def test_it_names_what_is_wrong_and_its_value(more: dict[str, Any], said: str) -> None:
    (problem,) = problems(**more)
    assert problem.startswith(said)
    assert problems(**more, schedule_state="absent") == [], "what is taken away may be anything"


@pytest.mark.parametrize(
    "procedure",
    [
        {"every": 5},
        {"name": "../a", "every": 5},
        {"name": "A", "every": 5},
        {"name": "a"},
        {"name": "a", "every": 7},
        {"name": "a", "every": 5, "at": "02:00"},
        {"name": "a", "every": 5, "weekday": "Mon"},
        {"name": "a", "at": 1020},
        {"name": "a", "at": "2:00"},
        {"name": "a", "at": "24:00"},
        {"name": "a", "at": "02:00\n"},
        {"name": "a", "at": "02:00", "weekday": "Monday"},
        {"name": "a", "at": "02:00", "after": [{"name": "a", "hours": 1}]},
        {"name": "a", "at": "02:00", "after": [{"name": "c", "hours": 1}]},
        {"name": "a", "at": "02:00", "after": [{"name": "b", "hours": 0}]},
    ],
)
def test_a_time_of_no_clock_and_an_order_of_no_others_are_refused(procedure: dict[str, Any]) -> None:
    (problem,) = of(procedure, {"name": "b", "every": 5})
    assert problem.startswith("schedule_procedures has {")
    assert str(procedure.get("name", "every")) in problem
    assert "`after` names other procedures of the list, with `hours` above 0" in problem


def test_the_timetable_speaks_to_systemd_and_to_cron() -> None:
    procedures: list[dict[str, Any]] = [
        {"name": "a", "every": 5, "timeout": 290},
        {"name": "b", "at": "07:05"},
        {"name": "c", "at": "00:00", "weekday": "Sun", "after": [{"name": "b", "hours": 72}]},
    ]
    assert timetable(procedures, 3600, 900) == [
        {
            "name": "a",
            "unit": "media-ops-run-a",
            "calendars": ["*-*-* *:0/5:00"],
            "crons": ["*/5 * * * *"],
            "after": [],
            "timeout": 350,
        },
        {
            "name": "b",
            "unit": "media-ops-run-b",
            "calendars": ["*-*-* 07:05:00"],
            "crons": ["5 7 * * *"],
            "after": [],
            "timeout": 3660,
        },
        {
            "name": "c",
            "unit": "media-ops-run-c",
            "calendars": ["Sun *-*-* 00:00:00", "Sun *-*-* 01:00:00", "Sun *-*-* 02:00:00"],
            "crons": ["0 0 * * Sun", "0 1 * * Sun", "0 2 * * Sun"],
            "after": ["media-ops-run-b.service"],
            "timeout": 4560,
        },
    ]


def test_a_late_hour_goes_on_in_the_next_day() -> None:
    assert crons_of({"name": "a", "at": "23:30", "weekday": "Sat"}) == ["30 23 * * Sat", "30 0 * * Sun", "30 1 * * Sun"]


@pytest.mark.parametrize("name", ["prepare_hosts", "schedule", "automation_status"])
def test_what_judges_nothing_is_not_scheduled_unless_that_is_said(name: str) -> None:
    (problem,) = of({"name": name, "every": 5})
    assert problem.startswith(f"schedule_procedures has {name}, which judges no host")
    assert of({"name": name, "every": 5, "judges": False}) == []


def test_what_leaves_no_record_on_hosts_is_asked_of_none() -> None:
    review = {"name": "weekly_performance_review", "every": 5}
    (problem,) = of({"name": "a", "every": 5, "after": [{"name": review["name"], "hours": 72}]}, review)
    assert "leaves no record on the hosts that could be asked" in problem
    assert of({"name": "a", "every": 5, "after": [{"name": review["name"]}]}, review) == []


def test_the_lists_of_playbooks_are_those_that_there_are() -> None:
    books = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "playbooks").glob("*.yml")}
    ends = ("report.yml", "media_ops.runbook.report", "incident_response.yml")
    judging = {name for name, text in books.items() if any(end in text for end in ends)}
    assert set(of_schedule._JUDGE_NOTHING) == set(books) - judging
    acts = ("media_ops.runbook.automation", "incident_response.yml")
    acting = {name for name, text in books.items() if any(act in text for act in acts)}
    assert set(of_schedule._NOT_ON_RECORD) == {
        *(set(books) - acting), *(name for name in acting if name not in judging)
    }  # fmt: skip


BEGAN = datetime(2026, 11, 24, 2, 5, tzinfo=UTC)


def job(name: str, procedure: str = "daily_log_cleanup", zone: str = "UTC", **more: Any) -> tuple[str, str]:
    return due_of_job({"awx_schedule_name": name, **more}, None, procedure, BEGAN, zone)


def test_a_job_of_awx_was_due_at_the_time_of_the_procedure_that_its_schedule_is_named_after() -> None:
    assert job("Nightly: Daily log cleanup") == ("2026-11-24T02:00:00Z", "")
    assert job("daily_log_cleanup", zone="Europe/Berlin") == ("2026-11-24T01:00:00Z", "")
    assert (
        due_of_job({"tower_schedule_name": "daily_log_cleanup"}, None, "daily_log_cleanup", BEGAN, "UTC").refusal == ""
    )
    assert job("watch_health", "") == ("2026-11-24T02:05:00Z", "")


def test_a_job_that_nothing_scheduled_is_not_late() -> None:
    for variables in (
        {},
        {"awx_job_id": 4},
        {"awx_job_launch_type": "manual"},
        {"awx_workflow_job_launch_type": "manual"},
    ):
        assert due_of_job(variables, None, "daily_log_cleanup", BEGAN, "UTC") == ("", "")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"awx_schedule_name": "Nightly deletion"}, "no name of schedule_procedures in it"),
        ({"awx_schedule_name": "daily log cleanups"}, "no name of"),
        ({"awx_schedule_name": ""}, None),
        ({"awx_schedule_id": 7}, "no name of"),
        ({"awx_job_launch_type": "scheduled"}, "no name of"),
        ({"tower_workflow_job_launch_type": "scheduled"}, "no name of"),
        ({"awx_schedule_name": "weekly_log_management"}, "it is named after weekly_log_management, and daily_log"),
        ({"awx_schedule_name": "daily_log_cleanup watch_health"}, "has watch_health, daily_log_cleanup of"),
    ],
)
def test_a_scheduled_job_of_which_nobody_knows_when_it_was_due_does_nothing(
    variables: dict[str, Any], said: str | None
) -> None:
    at, refusal = due_of_job(variables, None, "daily_log_cleanup", BEGAN, "UTC")
    assert at == ""
    assert (said in refusal) if said else refusal == ""
    assert job("daily_log_cleanup", zone="Nowhere/City")[1].endswith("No time zone found with key Nowhere/City'")


def test_a_sites_own_table_counts() -> None:
    mine = [{"name": "daily_log_cleanup", "at": "01:30"}]
    assert due_of_job({"awx_schedule_name": "daily_log_cleanup"}, mine, "daily_log_cleanup", BEGAN, "UTC") == (
        "2026-11-24T01:30:00Z",
        "",
    )
