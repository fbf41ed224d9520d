# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a playbook in ansible-playbook itself: what its tasks have left undone is done by their own arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible import context
from ansible.playbook.block import Block
from ansible.release import __version__ as core_version
from ansible.template import Templar

from ...module_utils.shapes import Json
from ..host_action import plain
from ..invocation import Call, call_of
from .owed import (
    BEGIN,
    CHECK_SETUP,
    NAMESPACE,
    REPORT,
    TELL,
    Seen,
    amended,
    found_at_the_end,
    late_message,
    late_report,
    problem_of,
    summary_without,
    unfinished,
)

EXIT_UNSEEN = 2
"""As for a host that failed: a host that was asked for has no verdict, and yet no task has failed."""


class End:
    """One playbook, from its begin."""

    def __init__(self, playbook: Any) -> None:
        self.seen = Seen()
        self._plays = list(playbook.get_plays())
        self._loader = playbook._loader
        self._manager: Any = self._plays[0].get_variable_manager() if self._plays else None
        self.inventory: Any = getattr(self._manager, "_inventory", None)

    def play_begins(self, play: Any) -> None:
        """Which hosts it is for; in batches, all of them."""
        if self._manager is not None:
            variables = self._manager.get_vars(play=play, include_hostvars=False)
            self.seen.hosts.update(dict.fromkeys(map(str, variables.get("ansible_play_hosts_all") or [])))

    @property
    def owes(self) -> bool:
        """Whether the playbook is one that gives each host a verdict."""
        return REPORT in self._owed and bool(self.seen.hosts)

    def settled(self, summary: Any, left: Mapping[str, str]) -> Any:
        """The summary to be shown, when all that the run owes is done; where it owes none, what was handed on.

        Args:
            summary: of action ``report``, where it came so far.
            left: the hosts that broke off, and why.
        """
        if not self.owes:
            return self._unfinished(left) if summary is None else summary
        found = found_at_the_end(self.seen, left)
        place, problems = self._told(found, left)
        if isinstance(summary, Mapping):
            after = {host: why for host, why in left.items() if self.seen.reported.get(host) != why}
            made = amended(plain(summary), after)
        else:
            made = self._reported(found, *self._owed[REPORT], place)
        return {**made, "problems": [*made["problems"], *problems]} if problems else made

    def _unfinished(self, left: Mapping[str, str]) -> dict[str, Any] | None:
        """Of what begins and ends as our own do, without a report: on which hosts it has not come to its end."""
        tasks = [task for play in self._plays[-1:] for task in _tasks(play) if str(task.action) not in C._ACTION_META]
        last = str(tasks[-1].action) if tasks and not tasks[-1].run_once else ""
        if not {BEGIN, CHECK_SETUP} & set(self._owed) or not last.startswith(NAMESPACE):
            return None
        return unfinished(self.seen, last, left, str(self._plays[-1].get_name()))

    def _told(self, found: Mapping[str, Any], left: Mapping[str, str]) -> tuple[str, list[str]]:
        """What people were to be told by now; the place that the report has for it, and what could not be told."""
        tell = self._owed.get(TELL)
        if tell is None or TELL in self.seen.done or context.CLIARGS.get("check"):
            return "", []
        lost = next(iter(left.values()), "before people were told")
        try:
            inventory = " ".join(map(str, context.CLIARGS.get("inventory") or []))
            arguments, call = self._arguments(*tell)
            place, problems = late_message(found, arguments, f"it broke off {lost}", inventory, call["prefix"])
        except Exception as error:  # noqa: BLE001  nothing comes after this that could tell the verdicts
            return "", [f"people could not be told: {problem_of(error)}"]
        return place, ["the run broke off before people were told, which was done at its end", *problems]

    def _reported(self, found: Mapping[str, Any], play: Any, task: Any, place: str) -> dict[str, Any]:
        facts = {
            "playbook": str(play.get_name()),
            "check_mode": bool(context.CLIARGS.get("check")),
            "ansible_version": core_version,
        }
        title = "Run"
        try:
            arguments, call = self._arguments(play, task)
            title = str(arguments.get("title") or title)
            written = late_report(found, {**arguments, "place": place}, facts, call)
        except Exception as error:  # noqa: BLE001  nothing comes after this that could tell the verdicts
            return summary_without(found, title, f"the report could not be made: {problem_of(error)}")
        said = "the run broke off before its report, which was made at its end"
        made: dict[str, Any] = written["summary"]
        return {**made, "failed": True, "problems": [said, *made["problems"]]}

    @cached_property
    def _owed(self) -> dict[str, tuple[Any, Any]]:
        """The first task of each action, with its play."""
        found: dict[str, tuple[Any, Any]] = {}
        for play in self._plays:
            for task in _tasks(play):
                found.setdefault(owed_by(task), (play, task))
        return found

    def _arguments(self, play: Any, task: Any) -> tuple[dict[str, Any], Call]:
        """A task's arguments for the first host, as Ansible would have templated them, and how the run was called."""
        host = self.inventory.get_host(next(iter(self.seen.hosts)))
        variables = self._manager.get_vars(play=play, host=host, task=task)
        variables["ansible_play_hosts_all"] = list(self.seen.hosts)
        found: Json = Templar(loader=self._loader, variables=variables).template(task.args)
        return dict(plain(found)), call_of(variables, str(found.get("command_prefix") or ""))


def owed_by(task: Any) -> str:
    """The action of a task, empty for one that only says afterwards how the report went."""
    return "" if "report_problem" in task.args else str(task.action)


def _tasks(play: Any) -> Iterator[Any]:
    """The tasks that stand in a play, those of imported roles among them."""
    for block in play.compile():
        yield from _of_block(block)


def _of_block(block: Any) -> Iterator[Any]:
    for part in (block.block, block.rescue, block.always):
        for one in part or []:
            if isinstance(one, Block):
                yield from _of_block(one)
            else:
                yield one
