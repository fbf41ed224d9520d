"""An action as Ansible runs it, with Ansible's own task, templar and connection; only what hosts answer is made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar
from ansible_collections.media_ops.runbook.plugins.plugin_utils.host_action import options_of

NAMESPACE = "media_ops.runbook."
# Variables of the run that a host tries to set by its answer, and a result that it makes up.
INTRUDER = {"ansible_facts": {"ansible_become": True}, "ansible_stats": {"data": {"x": 1}}, "made_up": "by the host"}

Answer = Mapping[str, Any] | Exception | Callable[[], None]


@dataclass(frozen=True)
class Asked:
    """What a module was asked."""

    module: str
    arguments: dict[str, Any]
    check_mode: bool


@dataclass
class Run:
    """What an action gave, and what it asked."""

    result: dict[str, Any]
    asked: list[Asked] = field(default_factory=list)

    @property
    def modules(self) -> list[str]:
        """The modules that were asked, in order."""
        return [one.module for one in self.asked]

    def arguments(self, module: str) -> dict[str, Any]:
        """What the only call of a module was given."""
        (one,) = [one for one in self.asked if one.module == module]
        return one.arguments


def act(
    name: str,
    arguments: Mapping[str, Any],
    *,
    answers: Mapping[str, Answer | Sequence[Answer]] | None = None,
    variables: Mapping[str, Any] | None = None,
    check_mode: bool = False,
    found_python: str = "",
) -> Run:
    """Run an action of the collection.

    Args:
        name: of the action.
        arguments: of the task.
        answers: by module, what each call of it answers, or raises; to ask another module is an error.
        variables: of the task.
        check_mode: whether the task is in check mode.
        found_python: the interpreter that Ansible finds on the host on the way.
    """
    task = Task()
    task.action, task.args, task.check_mode = f"{NAMESPACE}{name}", dict(arguments), check_mode
    loader, context = DataLoader(), PlayContext()
    task_vars = {"inventory_hostname": "media1", **(variables or {})}
    module = import_module(f"ansible_collections.media_ops.runbook.plugins.action.{name}")
    action = module.ActionModule(
        task=task,
        connection=connection_loader.get("local", context),
        play_context=context,
        loader=loader,
        templar=Templar(loader=loader, variables=task_vars),
    )
    action._load_name = f"{NAMESPACE}{name}"
    run = Run({})
    action._execute_module = _hosts(action, run.asked, dict(answers or {}), found_python)
    run.result = action.run(task_vars=task_vars)
    return run


def _hosts(
    action: Any, asked: list[Asked], answers: Mapping[str, Answer | Sequence[Answer]], found_python: str
) -> Callable[..., dict[str, Any]]:
    """What stands for the hosts: it takes only options that a module has, and answers what a test says."""

    def execute(*, module_name: str, module_args: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        name = module_name.removeprefix(NAMESPACE)
        assert sorted(set(module_args) - options_of(name)) == [], f"{name} has no such option"
        assert task_vars["inventory_hostname"] == "media1"
        assert {"PYTHONNOUSERSITE": "1"} in action._task.environment, "nothing of a user's home is loaded"
        given = answers[name]
        before = [one for one in asked if one.module == name]
        asked.append(Asked(name, dict(module_args), bool(action._task.check_mode)))
        answer = given[len(before)] if isinstance(given, Sequence) else given
        if found_python:
            action._discovered_interpreter_key = "discovered_interpreter_python"
            action._discovered_interpreter = found_python
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer()
            return {}
        return dict(answer)

    return execute
