# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be set as an override, what is planned, and when a restart is needed. The rest is in tests/lab."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import plan_hash
from ansible_collections.media_ops.runbook.plugins.module_utils.service import service_config
from ansible_collections.media_ops.runbook.plugins.module_utils.service.overrides import read_records
from ansible_collections.media_ops.runbook.plugins.module_utils.service.rules import Rule
from ansible_collections.media_ops.runbook.plugins.module_utils.service.service_config import (
    Asked,
    Situation,
    make_plan,
    read_asked,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text, utc_now

RULES = {
    "PROCESSING_TIMEOUT": Rule(60, 3600, (), "P1-3A"),
    "LOG_LEVEL": Rule(0, 0, ("DEBUG", "INFO"), "P1-3C"),
}
ALLOWED: dict[str, Any] = {
    "PROCESSING_TIMEOUT": {"type": "int", "min": 60, "max": 3600, "step": "P1-3A"},
    "LOG_LEVEL": {"type": "choice", "choices": ["DEBUG", "INFO"], "step": "P1-3C"},
}
OPTIONS: dict[str, Any] = {
    "unit": "media-processing-service",
    "state": "present",
    "settings": {"PROCESSING_TIMEOUT": 600},
    "allowed": ALLOWED,
    "names": [],
    "expired": False,
    "all": False,
    "expires_in": 3600,
    "reason": "timeouts",
    "run_id": "run1",
    "steps": [],
    "state_dir": "/var/lib/media-ops",
    "plan_hash": None,
    "logs": [],
    "shown_within": 0,
}
LATER, EARLIER = (to_text(utc_now() + timedelta(hours=hours)) for hours in (1, -1))


def asked(**options: Any) -> Asked:
    return read_asked({**OPTIONS, **options})


def situation(**given: Any) -> Situation:
    plain: dict[str, Any] = {
        "overrides": {},
        "records": {},
        "foreign": 0,
        "base": {"PROCESSING_TIMEOUT": "300", "SECRET": "canary"},
        "base_known": True,
        "running": {"PROCESSING_TIMEOUT": "300", "SECRET": "canary"},
        "pid": 100,
        "in_force": True,
        "later": {},
    }
    return Situation(**{**plain, **given})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("settings", {"PATH": "/tmp"}),
        ("settings", {"LD_PRELOAD": "/tmp/x.so"}),
        ("settings", {"processing_timeout": 600}),
        ("settings", {"PROCESSING_TIMEOUT": 59}),
        ("settings", {"PROCESSING_TIMEOUT": 3601}),
        ("settings", {"PROCESSING_TIMEOUT": "600\nLD_PRELOAD=/tmp/x.so"}),
        ("settings", {"PROCESSING_TIMEOUT": "6e2"}),
        ("settings", {"PROCESSING_TIMEOUT": "٦٠٠"}),
        ("settings", {"PROCESSING_TIMEOUT": True}),
        ("settings", {"PROCESSING_TIMEOUT": 600.5}),
        ("settings", {"PROCESSING_TIMEOUT": None}),
        ("settings", {"LOG_LEVEL": "debug"}),
        ("settings", {"LOG_LEVEL": "DEBUG "}),
        ("settings", {}),
        ("allowed", {"lower": {"type": "int", "min": 1, "max": 2}}),
        ("allowed", {"X\nY": {"type": "int", "min": 1, "max": 2}}),
        ("allowed", {"LD_PRELOAD": {"type": "int", "min": 1, "max": 2}}),
        ("allowed", {"X": {"type": "int", "min": 3, "max": 2}}),
        ("allowed", {"X": {"type": "int"}}),
        ("allowed", {"X": {"type": "choice", "choices": []}}),
        ("allowed", {"X": {"type": "choice", "choices": ["a b"]}}),
        ("allowed", {"X": {"type": "choice", "choices": ["a\nLD_PRELOAD=b"]}}),
        ("allowed", {"X": {"type": "any"}}),
        ("allowed", {"X": "int"}),
        ("allowed", {"X": {"type": "choice", "choices": ["A"], "shown_by": "A"}}),
        ("shown_within", 301),
        ("expires_in", None),
        ("expires_in", 0),
        ("expires_in", 31 * 86400),
        ("reason", ""),
        ("run_id", None),
        ("unit", "a b"),
        ("state_dir", "/"),
    ],
)
def test_misuse_names_the_option_and_the_value(option: str, value: Any) -> None:
    with pytest.raises(OptionError) as error:
        service_config.service_config({**OPTIONS, option: value})
    assert error.value.details["option"] == option


def test_all_is_said_alone() -> None:
    chosen = {"names": ["A", "all"]}
    with pytest.raises(OptionError, match="all stands for every override"):
        service_config.service_config({**OPTIONS, "state": "absent", **chosen})


def test_values_are_written_in_one_way() -> None:
    rule = RULES["PROCESSING_TIMEOUT"]
    assert [rule.value("X", given) for given in (600, "600", "0600")] == ["600"] * 3
    assert RULES["LOG_LEVEL"].value("LOG_LEVEL", "DEBUG") == "DEBUG"


def test_what_holds_is_not_planned_again_unless_it_has_expired() -> None:
    wanted = {"PROCESSING_TIMEOUT": "600"}
    [action] = make_plan(situation(), asked())
    assert action["target"] == "PROCESSING_TIMEOUT=600 for media-processing-service (now 300)"
    assert (action["steps"], action["stable"]["was"]) == (["P1-3A"], "300")
    holds = {"overrides": wanted, "records": {"PROCESSING_TIMEOUT": {"until": LATER}}}
    assert make_plan(situation(**holds), asked()) == []
    for until in (EARLIER, None, "soon", 7):
        held = situation(overrides=wanted, records={"PROCESSING_TIMEOUT": {"until": until}})
        assert len(make_plan(held, asked())) == 1


def test_the_hash_is_of_setting_and_values() -> None:
    def of(value: str = "600", **given: Any) -> str:
        return plan_hash(make_plan(situation(**given), asked(settings={"PROCESSING_TIMEOUT": value})))

    assert of() == of(pid=7) == of(running=None)
    assert len({of(), of("700"), of(base={"PROCESSING_TIMEOUT": "200"})}) == 3


def test_taking_back_by_name_by_expiry_and_all() -> None:
    held = situation(
        overrides={"LOG_LEVEL": "DEBUG", "PROCESSING_TIMEOUT": "600", "GONE_FROM_POLICY": "1"},
        records={
            "LOG_LEVEL": {"until": EARLIER, "why": "to see more"},
            "PROCESSING_TIMEOUT": {"until": LATER},
            "GONE_FROM_POLICY": {"until": LATER},
        },
    )

    def names(**options: Any) -> list[str]:
        given = asked(state="absent", reason=None, **options)
        return [one["stable"]["name"] for one in make_plan(held, given)]

    assert names() == ["LOG_LEVEL"]
    assert names(names=["PROCESSING_TIMEOUT"]) == ["PROCESSING_TIMEOUT"]
    with pytest.raises(OptionError, match="'NEVER_SET': is not a setting that may be changed; set for a time is GONE_"):
        names(names=["PROCESSING_TIMEOUT", "NEVER_SET"])
    assert names(names=["all"]) == ["GONE_FROM_POLICY", "LOG_LEVEL", "PROCESSING_TIMEOUT"]


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({}, False),
        ({"overrides": {"PROCESSING_TIMEOUT": "600"}}, True),
        ({"overrides": {"PROCESSING_TIMEOUT": "600"}, "running": {"PROCESSING_TIMEOUT": "600"}}, False),
        ({"running": {"PROCESSING_TIMEOUT": "600"}}, True),  # taken back, and still there
        ({"running": {"PROCESSING_TIMEOUT": "300", "LOG_LEVEL": "DEBUG"}}, True),
        ({"running": {"PROCESSING_TIMEOUT": "300", "LOG_LEVEL": "DEBUG"}, "base_known": False}, False),
        ({"overrides": {"PROCESSING_TIMEOUT": "600"}, "pid": 0, "running": None}, False),
        ({"running": {"PROCESSING_TIMEOUT": "300", "SECRET": "another"}}, False),
    ],
)
def test_when_a_restart_is_needed(given: dict[str, Any], needed: bool) -> None:
    assert service_config._restart_needed(situation(**given), RULES, []) is needed


@pytest.mark.parametrize(("name", "known"), [("PROCESSING_TIMEOUT", True), ("GONE_RULE", True), ("PROCESING", False)])
def test_only_a_name_that_could_be_set_is_taken_back(name: str, known: bool) -> None:
    before = situation(overrides={"GONE_RULE": "1"}, records={"GONE_RULE": {"until": LATER}})
    back = asked(state="absent", names=[name])
    if known:
        make_plan(before, back)
        return
    with pytest.raises(
        OptionError, match=r"'PROCESING'.* is not a setting that may be changed; set for a time is GONE_RULE"
    ):
        make_plan(before, back)


def test_what_the_service_was_seen_to_take_is_kept_for_later_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"PROCESSING_TIMEOUT": "journal"}

    def stands(directory: int, _asked: Asked) -> Situation:
        records = read_records(directory)
        return situation(overrides={"PROCESSING_TIMEOUT": "600"}, records=records, shown_in=dict(shown))

    monkeypatch.setattr(service_config, "_situation", stands)
    record = {"PROCESSING_TIMEOUT": {"until": LATER, "why": "timeouts"}}
    (tmp_path / "overrides.json").write_text(json.dumps(record), encoding="utf-8")

    def taken(state: str, **mode: Any) -> Any:
        made = service_config.service_config({**OPTIONS, "state": state, "state_dir": str(tmp_path)}, **mode)
        return made["overrides"][0]["taken_at"]

    assert taken("observed") is None
    assert taken("confirmed", check_mode=True)
    assert taken("observed") is None, "who only looks writes nothing"
    at = taken("confirmed")
    shown.clear()
    assert (taken("observed"), taken("confirmed")) == (at, at)
    assert json.loads((tmp_path / "overrides.json").read_text())["PROCESSING_TIMEOUT"]["taken"] == {
        "at": at,
        "shown_in": "journal",
    }


def test_no_other_variable_is_shown() -> None:
    held = situation(overrides={"PROCESSING_TIMEOUT": "600"})
    plan = make_plan(held, asked(settings={"PROCESSING_TIMEOUT": "700", "LOG_LEVEL": "DEBUG"}))
    shown = json.dumps([plan, service_config._shown(held), service_config._diff(held, situation(), plan, "unit")])
    assert "canary" not in shown
