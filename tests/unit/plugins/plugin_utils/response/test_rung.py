"""A rung of the tables reaches its module whole: each key of each table is an option of the module that it names."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError
from ansible_collections.media_ops.runbook.plugins.plugin_utils.host_action import documented, options_of, promised
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.diagnosis import LOOKED_AT_AS
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.ladder import drifted, is_enabled
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.rung import joined, module_arguments, taken

from tests.unit.plugins.policy import ROOT, policy

POLICY = policy()
VARIABLES = yaml.safe_load((ROOT / "roles/policy/vars/main.yml").read_text(encoding="utf-8"))
MODULES: dict[str, dict[str, Any]] = VARIABLES["policy_modules"]
LOOKS: dict[str, dict[str, Any]] = VARIABLES["policy_looks"]
KINDS = yaml.safe_load((ROOT / "roles/incident/vars/main.yml").read_text(encoding="utf-8"))["__incident_kinds"]
RUNGS = [
    *((f"{cause} {rung['rung']}", rung) for cause, ladder in POLICY["policy_ladders"].items() for rung in ladder),
    *(
        (f"{name} {rung['rung']}", rung)
        for name, procedure in POLICY["policy_procedures"].items()
        for rung in procedure["rungs"]
    ),
]


@pytest.mark.parametrize("rung", [rung for _name, rung in RUNGS], ids=[name for name, _rung in RUNGS])
def test_every_key_of_the_tables_reaches_the_module(rung: dict[str, Any]) -> None:
    module, given = rung["act"], {"run_id": "r1", "controller_time": "2026-11-28T06:00:00Z", "api_url": "http://h"}
    options, settings = options_of(module), MODULES[module]["options"]
    arguments = module_arguments(rung, module, options, settings, given)
    assert {key: arguments[key] for key in rung["args"]} == rung["args"]
    assert {key: arguments[key] for key in settings if key not in rung["args"]} == {
        key: value for key, value in settings.items() if key not in rung["args"]
    }
    assert set(arguments) <= options
    assert set(rung["args"]).isdisjoint(settings), "said twice"


def test_each_module_has_its_settings_and_its_user() -> None:
    acting = {rung["act"] for _name, rung in RUNGS}
    looking = {look["module"] for look in LOOKS.values()} | {"log_digest_info"}
    # What the check of the setup asks by is the site's, too.
    assert acting | looking | {"setup_info"} == set(MODULES)
    assert {key for module in MODULES.values() for key in module} == {"become", "options"}


def test_each_look_gives_its_module_options_that_it_has() -> None:
    questions = [("log_digest_info", question["args"]) for kind in KINDS.values() for question in kind["questions"]]
    more = [(LOOKS[name]["module"], args) for kind in KINDS.values() for name, args in kind.get("args", {}).items()]
    looks = [(look["module"], look["args"]) for look in LOOKS.values()]
    for module, args in [*looks, *more, *questions]:
        assert {*args, *MODULES[module]["options"]} <= options_of(module), module
    # What the service does after a restart is looked at only then.
    assert {name for kind in KINDS.values() for name in kind["subjects"]} == set(LOOKS) - {"operations"}
    assert set(KINDS) == {row["incident"] for row in POLICY["policy_incidents"]}


def test_what_a_rung_is_to_cure_can_be_looked_at() -> None:
    subjects = {name for ladder in POLICY["policy_ladders"].values() for rung in ladder for name in rung["cured"]}
    assert subjects
    assert {LOOKED_AT_AS.get(name, name) for name in subjects} <= set(LOOKS)


def test_what_no_module_would_read_is_an_error_that_names_it() -> None:
    rung = {"rung": "End them", "act": "session_terminate", "steps": [], "args": {"orphan": True}}
    with pytest.raises(MediaOpsError, match="End them' of role policy gives orphan to module session_terminate"):
        module_arguments(rung, "session_terminate", options_of("session_terminate"), {}, {})
    with pytest.raises(MediaOpsError, match="gives unti to module"):
        module_arguments({**rung, "args": {}}, "session_terminate", options_of("session_terminate"), {"unti": 1}, {})


def test_a_hash_that_was_approved_goes_to_the_module_that_can_compare_it() -> None:
    rung = {"rung": "Free", "act": "disk_cleanup", "steps": ["EM-D1"], "args": {"rules": []}, "cause": "disk"}
    given = {"plan_hash": "0123456789ab", "as_of": 1.5}
    made = module_arguments(rung, "disk_cleanup", options_of("disk_cleanup"), {}, given)
    assert (made["plan_hash"], made["as_of"]) == ("0123456789ab", 1.5)
    assert "steps" not in made or made["steps"] == ["EM-D1"]
    settings = {"plan_hash": None}
    assert (
        module_arguments({**rung, "args": {}}, "archive_copy", options_of("archive_copy"), settings, given)["plan_hash"]
        is None
    )


def test_a_rung_is_enabled_unless_it_says_otherwise() -> None:
    assert [is_enabled(rung) for rung in ({"enabled": "False"}, {"enabled": False}, {}, {"enabled": "yes"})] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("found", "approved", "of_all", "why"),
    [
        ("a" * 12, "", "", []),
        ("a" * 12, "a" * 12, "", []),
        ("a" * 12, "b" * 12, "b" * 12, []),
        ("a" * 12, "c" * 12, "b" * 12, [f"approved was {'c' * 12}, now it is {'a' * 12} ({'b' * 12} for all hosts)"]),
        ("", "c" * 12, "", [f"approved was {'c' * 12}, now it is "]),
    ],
)
def test_drift_is_said_once(found: str, approved: str, of_all: str, why: list[str]) -> None:
    lines = drifted(found, approved, of_all)
    assert len(lines) == len(why)
    for line, part in zip(lines, why, strict=True):
        assert part in line


def test_a_setting_and_its_restart_are_one() -> None:
    setting = {"plan": [{"action": "configure"}], "hash": "a" * 12, "changed": True}
    both = joined(setting, {"plan": [{"action": "restart"}], "hash": "b" * 12, "changed": True})
    assert [action["action"] for action in both["plan"]] == ["configure", "restart"]
    assert (both["changed"], both["failed"]) == (True, False)
    assert both["hash"] not in ("a" * 12, "b" * 12)
    assert joined(setting, {"failed": True, "msg": "sudo refuses"})["msg"] == "sudo refuses"


class TestPromised:
    """What a host answers is taken only where the module's RETURN names it, by its type."""

    def test_nothing_becomes_a_variable_of_the_run(self) -> None:
        answer = {
            "plan": [],
            "hash": "0" * 12,
            "changed": True,
            "ansible_facts": {"incident_mode": "apply"},
            "ansible_stats": {"data": {"media_ops_summary": {}}},
            "add_host": {"host_name": "evil"},
            "deprecations": [{"msg": "x"}],
        }
        assert promised("service_control", answer) == {"plan": [], "hash": "0" * 12, "changed": True}

    @pytest.mark.parametrize("answer", [{"plan": "all"}, {"plan": {}}, {"hash": 1}, {"hash": True}])
    def test_another_type_is_a_failure_that_names_it(self, answer: dict[str, Any]) -> None:
        found = promised("service_control", answer)
        assert found["failed"] is True
        assert next(iter(answer)) in found["msg"]

    @pytest.mark.parametrize("answer", [None, [], "text", 7])
    def test_what_is_no_answer_promises_nothing(self, answer: object) -> None:
        assert promised("service_control", answer) == {"changed": False}

    def test_every_module_documents_what_it_returns(self) -> None:
        modules = [path.stem for path in (ROOT / "plugins/modules").glob("*.py")]
        assert modules
        assert [name for name in modules if not documented(name, "RETURN")] == []


def test_an_override_is_told_as_not_proved_unless_the_service_shows_it() -> None:
    stable = [{"name": "LOG_LEVEL", "value": "DEBUG"}, {"name": "PROCESSING_TIMEOUT", "value": "600"}]
    plan = [{"action": "configure", "stable": one} for one in stable]
    done = {"plan": [*plan, {"action": "restart", "stable": {"unit": "u"}}], "failed": False, "msg": ""}
    rows = [{"name": "LOG_LEVEL", "shown_in": "journal"}, {"name": "PROCESSING_TIMEOUT", "shown_in": ""}]
    made = taken(done, {"overrides": rows, "restart_needed": False})
    assert made["msg"] == "set, not proved to have an effect: PROCESSING_TIMEOUT; LOG_LEVEL shows in journal"
    assert made["failed"] is False
    shown = taken(done, {"overrides": [{**row, "shown_in": "journal"} for row in rows], "restart_needed": False})
    assert "not proved" not in shown["msg"]
    silent = taken(done, {"failed": True, "msg": "no systemd"})
    assert silent["msg"].startswith("set, not proved to have an effect: whether the service has taken it could not be")
    lost = taken(done, {"overrides": rows, "restart_needed": True})
    assert (lost["failed"], "still runs with other settings" in lost["msg"]) == (True, True)
    back = {**done, "plan": [{"action": "configure", "stable": {"name": "LOG_LEVEL", "value": None}}]}
    assert taken(back, {"overrides": [], "restart_needed": False})["msg"] == ""
    assert taken({**done, "failed": True, "msg": "sudo refuses"}, {})["msg"] == "sudo refuses"
