"""What a schedule and a playbook hand on: to playbooks that there are, and as options that their roles have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.media_ops.runbook.plugins.plugin_utils.arguments import documented_options

from tests.unit.plugins.policy import policy

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOKS = {path.stem: path for path in sorted((ROOT / "playbooks").glob("*.yml"))}
NAMESPACE = "media_ops.runbook."
ROLE_TASKS = ("import_role", "include_role", "ansible.builtin.import_role", "ansible.builtin.include_role")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


SCHEDULED: list[dict[str, Any]] = load(ROOT / "roles/schedule/defaults/main.yml")["schedule_procedures"]
OPTIONS = load(ROOT / "roles/schedule/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
DUE = "media_ops_scheduled_for"


def plays_of(playbook: str) -> list[Mapping[str, Any]]:
    """The plays of a playbook, those of the playbooks that it imports among them."""
    found = []
    for play in load(PLAYBOOKS[playbook]):
        imported = play.get("ansible.builtin.import_playbook")
        found += [play, *(plays_of(Path(imported).stem) if imported else [])]
    return found


def tasks_of(tasks: Any) -> Iterator[Mapping[str, Any]]:
    """Tasks, and those within their blocks."""
    for task in tasks or []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks_of(task.get(part))


def entries_of(tasks: Any) -> set[tuple[str, str]]:
    """The entry points of roles of this collection that tasks name."""
    found = set()
    for task in tasks_of(tasks):
        for kind in ROLE_TASKS:
            name = (task.get(kind) or {}).get("name", "")
            if name.startswith(NAMESPACE):
                found.add((name[len(NAMESPACE) :], str(task[kind].get("tasks_from", "main"))))
    return found


def options_of(playbook: str) -> dict[str, Mapping[str, Any]]:
    """The options of all roles that a playbook runs, by name, with what role policy has for all of them."""
    found = dict(documented_options("policy", "variables"))
    roles = {entry for play in plays_of(playbook) for entry in entries_of(play.get("tasks"))}
    for role, entry in roles:
        found.update(documented_options(role, entry))
    # What a role's own tasks run has the options of any of its entry points: which, the task says when it runs.
    within = {
        name
        for role, _entry in roles
        for path in (ROOT / "roles" / role / "tasks").rglob("*.yml")
        for name, _from in entries_of(load(path))
    }
    for role in within:
        for entry in load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]:
            found.update(documented_options(role, entry))
    return found


def handed_by(playbook: str) -> set[str]:
    """The variables that a playbook sets for its roles, and for the playbooks that it imports."""
    found: set[str] = set()
    for play in plays_of(playbook):
        found |= set(play.get("vars") or {})
        for task in tasks_of(play.get("tasks")):
            found |= set(task.get("vars") or {}) if any(kind in task for kind in ROLE_TASKS) else set()
    return {name for name in found if not name.startswith(("__", "ansible_"))}


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_what_a_playbook_hands_to_its_roles_are_options_of_theirs(playbook: str) -> None:
    assert sorted(handed_by(playbook) - set(options_of(playbook))) == []


def test_most_playbooks_hand_something_on() -> None:
    """So that the test above looks at something."""
    assert len([name for name in PLAYBOOKS if handed_by(name)]) > len(PLAYBOOKS) // 2


@pytest.mark.parametrize("procedure", SCHEDULED, ids=lambda one: one["name"])
def test_a_scheduled_procedure_is_a_playbook_that_takes_what_it_is_handed(procedure: dict[str, Any]) -> None:
    assert procedure["name"] in PLAYBOOKS
    assert sorted(set(procedure.get("vars", {})) - set(options_of(procedure["name"]))) == []
    assert set(procedure) <= set(OPTIONS["schedule_procedures"]["options"])


def test_a_run_waits_for_runs_that_are_scheduled() -> None:
    names = [procedure["name"] for procedure in SCHEDULED]
    assert {other["name"] for procedure in SCHEDULED for other in procedure.get("after", [])} <= set(names)
    assert len(names) == len(set(names))


def test_all_that_the_runbook_does_at_set_times_is_scheduled() -> None:
    timed = {name for name in PLAYBOOKS if name.startswith(("daily_", "weekly_", "watch_"))}
    assert timed == {procedure["name"] for procedure in SCHEDULED}


ACTING = sorted(set(policy()["policy_procedures"]) & {procedure["name"] for procedure in SCHEDULED})


@pytest.mark.parametrize("playbook", ACTING)
def test_what_acts_on_time_knows_when_it_was_due(playbook: str) -> None:
    """The runner hands it to each playbook; a role that acts takes it as an option, and its tasks use that one."""
    assert f'"{DUE}"' in (ROOT / "roles/schedule/files/media_ops_run.py").read_text(encoding="utf-8")
    takes = [name for name, option in options_of(playbook).items() if DUE in str(option.get("default", ""))]
    assert takes != []
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "roles").glob("*/tasks/**/*.yml")]
    assert [name for name in takes if not any(name in text for text in texts)] == []


def test_some_procedures_act_on_time() -> None:
    assert "weekly_system_cleanup" in ACTING
