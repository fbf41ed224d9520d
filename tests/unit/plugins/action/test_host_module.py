# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on hosts is reached through an action that takes of its answer what it promises, and nothing else."""

from __future__ import annotations

import ast
import json
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.media_ops.runbook.plugins.plugin_utils import host_action
from ansible_collections.media_ops.runbook.plugins.plugin_utils.host_action import HostAction, promised

from tests.unit.plugins.action.acting import INTRUDER, act

ROOT = Path(__file__).resolve().parents[4]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
# Roles that set up a machine, where nothing but Ansible's own modules can do it
SETTING_UP = {"prepare", "schedule"}
# Actions of ansible-core that do nothing on a host
ON_CONTROLLER = {
    "import_playbook",
    "set_fact",
    "debug",
    "fail",
    "include_tasks",
    "import_tasks",
    "include_role",
    "import_role",
}
STATUS: dict[str, Any] = {"state": "x", "lease": None, "pause": None, "recent": [], "permitted": True, "refusals": []}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_an_action_of_its_own(module: str) -> None:
    action = import_module(f"ansible_collections.media_ops.runbook.plugins.action.{module}").ActionModule
    assert issubclass(action, HostAction)


def tasks(content: Any) -> list[dict[str, Any]]:
    """Every task in a file of tasks or a playbook, those in blocks among them."""
    found = []
    for entry in content or []:
        parts = [entry.get(part) for part in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always")]
        found += [entry] if not any(parts) else []
        found += [task for part in parts for task in tasks(part)]
    return found


def test_nothing_of_ansible_itself_asks_a_host_outside_of_setting_up() -> None:
    files = [*(ROOT / "roles").glob("*/tasks/*.yml"), *(ROOT / "playbooks").glob("*.yml")]
    foreign = []
    for path in files:
        if path.relative_to(ROOT).parts[1] in SETTING_UP:
            continue
        for task in tasks(yaml.safe_load(path.read_text(encoding="utf-8"))):
            names = [key for key in task if "." in key and not key.startswith("media_ops.runbook.")]
            foreign += [f"{path}: {name}" for name in names if name.rpartition(".")[2] not in ON_CONTROLLER]
    assert foreign == []


def test_no_action_runs_a_module_but_through_the_base() -> None:
    direct = []
    for path in (ROOT / "plugins").rglob("*.py"):
        called = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        names = {node.func.attr for node in called if isinstance(node.func, ast.Attribute)}
        if names & {"_execute_module", "_low_level_execute_command", "_run_action_plugin"}:
            direct.append(path.name)
    assert direct == ["host_action.py"]


def test_what_was_not_promised_does_not_pass() -> None:
    result = act("guard", {"state": "status", "state_dir": "/s"}, answers={"guard": {**STATUS, **INTRUDER}}).result
    assert not {"ansible_facts", "ansible_stats", "made_up"} & set(result)
    assert result["permitted"] is True


def test_a_value_of_another_type_fails_the_module() -> None:
    result = act("guard", {"state": "status", "state_dir": "/s"}, answers={"guard": {**STATUS, "recent": "x"}}).result
    assert result["failed"]
    assert "recent is not of type list" in result["msg"]


def test_a_host_that_cannot_be_reached_is_unreachable() -> None:
    with pytest.raises(AnsibleConnectionFailure, match="no route"):
        act("guard", {"state_dir": "/s"}, answers={"guard": AnsibleConnectionFailure("no route")})


def test_what_is_passed_on_hides_nothing_from_who_reads_it() -> None:
    said = {**STATUS, "refusals": ["\x1b[2J\u202etxt", {"path": "/a\u202eb", "text": "two\nlines"}]}
    result = act("guard", {"state_dir": "/s"}, answers={"guard": said}).result
    mark = "\N{REPLACEMENT CHARACTER}"
    acted_on = {"path": "/a\u202eb", "text": "two\nlines"}
    assert result["refusals"] == [f"{mark}[2J{mark}txt", acted_on], "a path is acted on as it is"


def test_a_host_that_never_answers_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_action, "longest_s", lambda _module, _options: 0.2)
    monkeypatch.setattr(host_action, "_MARGIN_S", 0.1)
    result = act("guard", {"state_dir": "/s"}, answers={"guard": lambda: time.sleep(60)}).result
    assert (result["failed"], result["overdue"]) == (True, True)
    assert "it may still be at work on the host" in result["msg"]


def test_an_answer_that_is_too_long_is_not_even_parsed() -> None:
    said = json.dumps({"state": "x", "msg": "y" * host_action._ANSWER_MAX})
    asking: Any = SimpleNamespace(_asked="guard")
    data = HostAction._parse_returned_data(asking, {"stdout": said}, "legacy")
    assert (data["failed"], data["msg"]) == (True, "the answer of module guard is longer than 8000000 characters")


def test_the_interpreter_that_ansible_found_is_kept_for_the_next_task() -> None:
    run = act("guard", {"state_dir": "/s"}, answers={"guard": {**STATUS, **INTRUDER}}, found_python="/usr/bin/python3")
    assert run.result["ansible_facts"] == {"discovered_interpreter_python": "/usr/bin/python3"}


def test_what_is_shown_steers_no_terminal_and_has_an_end() -> None:
    answer = promised(
        "guard",
        {
            "failed": True,
            "msg": "\x1b]0;title\x07\u202etxt\u200b" + "x" * 100_000,
            "module_stderr": "a\n\x1b[2Jb",
            "diff": [{"before": "\x1b[2J\n", "after": 5, "other": "x"}, "y"],
        },
    )
    shown = json.dumps(answer, ensure_ascii=False)
    assert not set("\x1b\x07\u202e\u200b") & set(shown)
    assert len(answer["msg"]) < 5_000
    assert answer["module_stderr"] == "a\n\N{REPLACEMENT CHARACTER}[2Jb"
    assert answer["diff"] == [{"before": "\N{REPLACEMENT CHARACTER}[2J\n"}]
