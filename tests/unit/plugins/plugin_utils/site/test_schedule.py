"""What role schedule refuses, and when procedures run in the words of systemd and of cron."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.schedule import schedule_problems, timetable

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
        {"name": "a", "at": "02:00", "after": [{"name": "b"}]},
    ],
)
def test_a_time_of_no_clock_and_an_order_of_no_others_are_refused(procedure: dict[str, Any]) -> None:
    (problem,) = of(procedure, {"name": "b", "every": 5})
    assert problem.startswith("schedule_procedures has {")
    assert str(procedure.get("name", "every")) in problem
    assert "`after` names other procedures of the list with `hours` above 0" in problem


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
            "calendar": "*-*-* *:0/5:00",
            "cron": "*/5 * * * *",
            "after": [],
            "timeout": 350,
        },
        {
            "name": "b",
            "unit": "media-ops-run-b",
            "calendar": "*-*-* 07:05:00",
            "cron": "5 7 * * *",
            "after": [],
            "timeout": 3660,
        },
        {
            "name": "c",
            "unit": "media-ops-run-c",
            "calendar": "Sun *-*-* 00:00:00",
            "cron": "0 0 * * Sun",
            "after": ["media-ops-run-b.service"],
            "timeout": 4560,
        },
    ]
