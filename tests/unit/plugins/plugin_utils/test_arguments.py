"""What a site sets, held against what the roles document."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError
from ansible_collections.media_ops.runbook.plugins.plugin_utils.arguments import (
    argument_problems,
    documented_options,
    goes_by_policy,
    own_problems,
    require_arguments,
    require_meant,
    require_sound_policy,
    shipped,
)
from jinja2 import Environment, nodes

from tests.unit.plugins.policy import policy

# By Ansible itself
GIVEN = {
    "ansible_config_file",
    "ansible_inventory_sources",
    "ansible_playbook_python",
    "inventory_hostname",
    "playbook_dir",
}
AGES = {name: value for name, value in policy().items() if name.startswith("policy_session_") and "minutes" in name}


def refused(variables: dict[str, Any], role: str = "policy", entry: str = "variables") -> str:
    with pytest.raises(MediaOpsError) as error:
        require_arguments(role, entry, variables, lambda value: value)
    return str(error.value)


def test_the_defaults_are_sound() -> None:
    require_arguments("healthcheck", "morning", policy(), lambda value: value)
    assert own_problems(policy(), policy(), lambda value: value) == []
    require_sound_policy(policy()["policy_checks"], AGES)


def test_a_default_that_nobody_has_set_is_not_filled_again() -> None:
    filled: list[Any] = []

    def fill(value: Any) -> Any:
        filled.append(value)
        return value

    changed = {**shipped("policy"), "policy_base_dir": "{{ site_dir }}"}
    assert argument_problems("policy", "variables", changed, fill) == []
    with_lookups = {name for name, value in shipped("policy").items() if "lookup(" in str(value)}
    assert filled == [
        changed[name]
        for name in documented_options("policy", "variables")
        if name in with_lookups | {"policy_base_dir"}
    ]


@pytest.mark.parametrize("role", ["automation", "healthcheck", "incident", "policy", "prepare", "report", "schedule"])
def test_what_a_default_is_made_of_is_looked_at_under_its_own_name(role: str) -> None:
    known = {*GIVEN, *shipped(role), *documented_options("policy", "variables"), "policy_all_retention"}
    jinja = Environment(autoescape=True)
    for name, value in shipped(role).items():
        if "lookup(" not in str(value):
            assert {found.name for found in jinja.parse(str(value)).find_all(nodes.Name)} <= known, name


def test_every_variable_that_is_wrong_is_named_with_its_value() -> None:
    said = refused({"policy_answer_age_max": "soon", "policy_become": "perhaps", "policy_review": {"p_max": 0.1}})
    assert "policy_answer_age_max is 'soon': " in said
    assert "policy_become is 'perhaps': " in said
    assert "coverage_min" in said


def test_the_entry_point_of_the_role_counts() -> None:
    assert "healthcheck_hours is 'all': " in refused({"healthcheck_hours": "all"}, "healthcheck", "evening")
    assert "has no entry point 'noon'" in refused({}, "healthcheck", "noon")


def test_what_may_hold_a_secret_is_not_shown() -> None:
    said = refused({"report_channels": [{"token": "canary"}, 5]}, "report", "notify")
    assert said.startswith("report_channels: ")
    assert "canary" not in said


@pytest.mark.parametrize(
    ("ages", "said"),
    [
        (
            {"policy_session_look_minutes": "90"},
            "policy_session_look_minutes 90, policy_session_investigate_minutes 30",
        ),
        ({"policy_session_end_minutes": "late"}, "policy_session_end_minutes late"),
    ],
)
def test_ages_that_do_not_rise_are_refused(ages: dict[str, Any], said: str) -> None:
    with pytest.raises(MediaOpsError, match=said):
        require_sound_policy(policy()["policy_checks"], {**AGES, **ages})


@pytest.mark.parametrize("checks", [None, "none", [5]])
def test_a_table_that_is_none_is_refused(checks: Any) -> None:
    with pytest.raises(MediaOpsError, match="policy_checks must be a list of dictionaries"):
        require_sound_policy(checks, AGES)


def test_the_policy_is_looked_at_for_roles_that_go_by_it() -> None:
    assert goes_by_policy("policy")
    assert goes_by_policy("prepare")
    assert not goes_by_policy("schedule")
    wrong = {"policy_answer_age_max": "soon"}
    require_arguments("schedule", "main", wrong, lambda value: value)
    assert refused(wrong, "prepare", "main").startswith("policy_answer_age_max is 'soon'")


MUTED: dict[str, Any] = {"automation_mute": "component:ffmpeg", "automation_mute_reason": "a bug"}


@pytest.mark.parametrize("mute", ["component:ffmpeg", "check:clock", "check:probed_storage", "host"])
def test_what_can_be_muted_is_not_refused(mute: str) -> None:
    given = {**policy(), **MUTED, "automation_mute": mute, "automation_mute_for": "3600"}
    require_meant("automation", "mute", given, lambda value: value)
    require_meant("automation", "unmute", {**policy(), "automation_mute": "all"}, lambda value: value)


@pytest.mark.parametrize(
    ("role", "entry", "variables", "said"),
    [
        ("incident", "plan", {"incident_plan": "abc"}, "option 'incident_plan' is 'abc': the 12 hexadecimal digits"),
        ("incident", "plan", {"incident_only": ["flood"]}, "option 'incident_only' is 'flood': only "),
        (
            "healthcheck",
            "evening",
            {"policy_zone": "Mars/Olympus"},
            "option 'policy_zone' is 'Mars/Olympus': must",
        ),
        ("incident", "plan", {"policy_verify_good": 99}, "option 'policy_verify_good' is 99: must be from 1 to "),
        ("automation", "carry_out", {"automation_procedure": "x"}, "option 'automation_procedure' is 'x': one of "),
        ("automation", "pause", {"automation_pause_reason": " "}, "option 'automation_pause_reason' is '': say why"),
        ("automation", "mute", {"automation_mute": "ffmpeg"}, "option 'automation_mute' is 'ffmpeg': component:NAME"),
        ("automation", "mute", {"automation_mute": "host:web1"}, "option 'automation_mute' is 'host:web1': component"),
        ("automation", "mute", {"automation_mute": "check:erorr_rate"}, "there is no check erorr_rate, only active_"),
        ("automation", "mute", {"automation_mute": "component:s3"}, "there is no component s3, only cloud_storage"),
        ("automation", "mute", {"automation_mute": "host"}, "option 'automation_mute_reason' is '': say why"),
        *(
            ("automation", "mute", {**MUTED, **given}, f"option 'automation_mute_for' is {said}: say for how many")
            for given, said in [
                (dict[str, Any](), "None"),
                ({"automation_mute_for": 0}, "0"),
                ({"automation_mute_for": -1}, "-1"),
                ({"automation_mute_for": "a day"}, "'a day'"),
                ({"automation_mute_for": 2592001}, "2592001"),
                ({"automation_mute_for": float("inf")}, "inf"),
            ]
        ),
        ("automation", "unmute", {"automation_mute": ""}, "option 'automation_mute' is '': component:NAME"),
        (
            "schedule",
            "main",
            {"schedule_dir": "a", "schedule_python": "b"},
            "schedule_dir is 'a': .*; schedule_python is",
        ),
        ("prepare", "main", {"prepare_user": "A", "ansible_facts": {"os_family": "Debian"}}, "prepare_user is 'A': "),
    ],
)
def test_what_cannot_be_meant_is_refused(role: str, entry: str, variables: dict[str, Any], said: str) -> None:
    with pytest.raises(MediaOpsError, match=said):
        require_meant(role, entry, {**policy(), **variables}, lambda value: value)
    if role == "automation":
        require_meant(role, "status", variables, lambda value: value)
