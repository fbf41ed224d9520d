"""begin: what a site has set is held against what the roles document, and every fault is named with its value."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.template import trust_as_template

from tests.unit.plugins.action.acting import act
from tests.unit.plugins.policy import ROOT, policy

RUNG = {"rung": "r", "act": "disk_cleanup", "steps": []}


def begin(changes: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    run = act("begin", arguments, variables={**policy(), **(changes or {})})
    assert run.asked == []
    return run.result


def test_the_policy_as_it_is_shipped_is_sound_and_nobody_is_asked() -> None:
    made = begin()
    assert set(made) == {"changed", "run"}
    assert set(made["run"]) == {"run_id", "controller", "process", "user"}
    assert begin()["run"]["run_id"] != made["run"]["run_id"]


@pytest.mark.parametrize(
    ("changes", "entry", "said"),
    [
        ({"incident_plan": "abc"}, "plan", "option 'incident_plan' is 'abc': the 12 hexadecimal digits"),
        ({"incident_mode": "appply"}, "plan", "incident_mode is 'appply'"),
        ({"incident_only": ["fire"]}, "plan", "option 'incident_only' is 'fire': only critical_system, "),
        (
            {"policy_verify_good": 11},
            "plan",
            "'policy_verify_good' is 11: must be from 1 to policy_verify_samples (10)",
        ),
        ({"policy_verify_interval": -1}, "plan", "'policy_verify_interval' is -1"),
        (
            {"policy_ladders": {"x": [{"rung": "r", "act": "shell", "steps": []}]}},
            "plan",
            "policy_ladders.x' is 'shell'",
        ),
        ({"policy_ladders": {"x": [{"rung": "r", "steps": []}]}}, "plan", "a rung lacks act"),
        ({"policy_ladders": {"x": [{**RUNG, "cured": {"moon": ["ok"]}}]}}, "plan", "policy_ladders.x' is 'moon'"),
        ({"automation_plan": "A" * 12}, "carry_out", "option 'automation_plan'"),
        ({"automation_procedure": "tidy"}, "carry_out", "'automation_procedure' is 'tidy': one of daily_log_cleanup, "),
        ({"automation_pause_reason": " "}, "pause", "option 'automation_pause_reason'"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], entry: str, said: str) -> None:
    role = "incident" if entry == "plan" else "automation"
    site = yaml.safe_load((ROOT / "roles/policy/vars/main.yml").read_text(encoding="utf-8"))
    tables = {f"policy_all_{name}": dict.fromkeys(site[f"policy_{name}"]) for name in ("modules", "looks")}
    given = {
        **tables,
        "incident_mode": "plan",
        "automation_procedure": "daily_log_cleanup",
        "automation_pause_reason": "x",
    }
    begin(given, role=role, entry=entry)
    with pytest.raises(AnsibleActionFail) as failure:
        begin({**given, **changes}, role=role, entry=entry)
    assert said in str(failure.value)


def test_variables_are_looked_at_as_templates() -> None:
    assert begin({"lent": 7, "policy_lease_ttl": trust_as_template("{{ lent * 100 }}")})["changed"] is False
    with pytest.raises(AnsibleActionFail, match="policy_lease_ttl is 'soon7'"):
        begin({"lent": 7, "policy_lease_ttl": trust_as_template("soon{{ lent }}")})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"policy_lease_ttl": "soon"}, "policy_lease_ttl is 'soon'"),
        ({"policy_fail_on": ["critcal"]}, "policy_fail_on"),
        ({"policy_checks": "all"}, "policy_checks is 'all'"),
        ({"policy_checks": [{"check": "x"}]}, "lacks title, run_by, observation, unit"),
        ({"policy_session_end_minutes": 5}, "policy_session_end_minutes 5"),
        ({"policy_session_look_minutes": "long"}, "policy_session_look_minutes"),
        ({"policy_api_map": {"helth": None}}, "option 'policy_api_map' is 'helth': is no key of it"),
        ({"policy_api_login": {"path": "/login"}}, "option 'policy_api_login.body' is 'None': must be a table"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleActionFail) as failure:
        begin(changes)
    assert said in str(failure.value)


class Vars(dict[str, Any]):
    """Variables of hosts, as inventory and command line have them."""

    def raw_get(self, host: str) -> Any:
        return self[host]


@pytest.mark.parametrize(
    "own",
    [
        *({"policy_lease_ttl": "soon"}, {"policy_session_end_minutes": 5}, {"policy_disk_critical": "much"}),
        {"policy_api_map": {"health": {}}},
    ],
)
def test_one_host_that_is_set_wrong_ends_no_run_also_where_it_is_the_first(own: dict[str, Any]) -> None:
    """It is seen by action check on that host."""
    hosts = {"media1": own, "media2": {}}
    of_run = {"hostvars": Vars(hosts), "ansible_play_hosts_all": list(hosts)}
    assert begin({**own, **of_run}, role="healthcheck", entry="morning")["changed"] is False
    alike = {"hostvars": Vars(dict.fromkeys(hosts, own)), "ansible_play_hosts_all": list(hosts)}
    with pytest.raises(AnsibleActionFail):
        begin({**own, **alike}, role="healthcheck", entry="morning")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("policy_fail_onn", "policy_fail_on"),
        ("policy_cpu_critcal", "policy_cpu_critical"),
        ("report_chanels", "report_channels"),
        ("automation_pause_reson", "automation_pause_reason"),
        ("incident_only_", "incident_only"),
        ("media_ops_api_tokn", "media_ops_api_token"),
        ("media_ops_host", "media_ops_hosts"),
    ],
)
def test_a_misspelt_variable_is_refused_and_what_is_meant_is_named(name: str, meant: str) -> None:
    hosts = {"media1": {name: "x"}, "media2": {name: "x"}}
    of_run = {"hostvars": Vars(hosts), "ansible_play_hosts_all": list(hosts)}
    with pytest.raises(AnsibleActionFail, match=f"{name} is no variable of this collection; {meant} is"):
        begin(of_run, role="healthcheck", entry="morning")


def test_a_variable_that_is_misspelt_for_one_host_is_for_that_host_to_say_where_it_is_looked_at() -> None:
    hosts: dict[str, Any] = {"media1": {"policy_fail_onn": []}, "media2": {}}
    of_run = {"hostvars": Vars(hosts), "ansible_play_hosts_all": list(hosts)}
    assert begin(of_run, role="healthcheck", entry="morning")["changed"] is False
    with pytest.raises(AnsibleActionFail, match="policy_fail_on is"):
        begin({**of_run, "prepare_users": []}, role="prepare", entry="main")


def test_a_site_may_have_variables_of_its_own_that_begin_alike() -> None:
    names = [
        "policy_of_the_house",
        "report_day",
        "media_ops_owner",
        "schedule_of_trains",
        "policy_fail_on",
        "healthcheck_result",
    ]
    hosts = {"media1": dict.fromkeys(names, "x")}
    of_run = {"hostvars": Vars(hosts), "ansible_play_hosts_all": list(hosts)}
    assert begin(of_run, role="healthcheck", entry="morning")["changed"] is False


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(AnsibleActionFail) as failure:
        begin(
            {"policy_lease_ttl": "soon", "policy_breaker_share": "some", "healthcheck_hours": "all"},
            role="healthcheck",
            entry="evening",
        )
    for said in ("policy_lease_ttl is 'soon'", "policy_breaker_share is 'some'", "healthcheck_hours is 'all'"):
        assert said in str(failure.value)


def test_options_of_another_role_are_not_looked_at() -> None:
    assert begin({"report_keep": "all"}, role="healthcheck", entry="morning")["changed"] is False


def test_a_secret_in_a_list_is_not_told() -> None:
    channel = "https://hooks.example.com/canary"
    with pytest.raises(AnsibleActionFail) as failure:
        begin({"report_channels": [channel]}, role="report", entry="notify")
    assert "report_channels" in str(failure.value)
    assert "canary" not in str(failure.value)


def test_an_entry_point_that_is_none_is_refused_with_those_that_there_are() -> None:
    said = "role report has no entry point 'noon', only acted, checked, gate, main, metrics, notify"
    with pytest.raises(AnsibleActionFail, match=said):
        begin(role="report", entry="noon")


def test_an_option_that_is_none_is_refused() -> None:
    with pytest.raises(AnsibleActionFail, match=r"media_ops.runbook.begin.*: rol\. Supported"):
        begin(rol="report")
