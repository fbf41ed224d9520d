# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One table of all hosts, and the steps in the order in which they help."""

from __future__ import annotations

from typing import Any

from ansible_collections.media_ops.runbook.plugins.plugin_utils.doctor.rows import Rows
from ansible_collections.media_ops.runbook.plugins.plugin_utils.doctor.steps import Places, steps, summary_of
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import Verdict
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.commands import Commands
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.table import table

PLACES = Places("inv/group_vars/media_hosts.yml", "inv/host_vars")
CALL = {"prefix": "ansible-playbook -i inv/hosts.yml playbooks/", "again": "ansible-playbook check_setup.yml"}


def rows(*given: tuple[str, ...]) -> list[Verdict]:
    found = Rows()
    for one in given:
        found.add(*one)
    return found.rows


OK = rows(("ssh", "ok", "connected as x"))
DOWN = rows(("ssh", "critical", "does not answer", "Is it up?"))
BARE = rows(("ssh", "ok", "connected as x"), ("libraries", "critical", "missing", "", "prepare_hosts"))
OTHER = rows(("ssh", "ok", "connected as x"), ("service", "critical", "no unit", "set the line below"))
LINE = {"policy_service_unit": 'policy_service_unit: "pipeline"'}
TOKEN = rows(("ssh", "ok", "connected as x"), ("token", "critical", "expired", "Get a new one"))


def summary(found: dict[str, list[Verdict]], lines: Any = None, own: list[Verdict] | None = None) -> dict[str, Any]:
    fail_on = ["critical", "unknown"]
    commands = Commands(CALL, list(found))
    following = steps(found, lines or {}, own or [], fail_on=fail_on, commands=commands, places=PLACES)
    return summary_of(found, own or [], fail_on=fail_on, following=following)


def test_what_all_else_stands_on_comes_first_and_another_look_last() -> None:
    found = summary({"a": TOKEN, "b": OTHER, "c": BARE, "d": DOWN}, {"b": LINE})
    whys = [row["why"] for row in found["next"]]
    assert [why.split(" ", 2)[1] for why in whys[:-1]] == ["d:", "b:", "c:", "a:"]
    assert [why[:2] for why in whys] == ["1.", "2.", "3.", "4.", "5."]
    assert found["next"][2]["command"] == (
        "ansible-playbook -i inv/hosts.yml playbooks/prepare_hosts.yml --limit c -e ansible_user=admin -K"
    )
    assert "inv/host_vars/b.yml" in whys[1], "what is prepared is what these lines say"
    assert found["next"][-1] == {"why": "5. Then look again", "command": "ansible-playbook check_setup.yml"}
    assert (found["state"], found["failed"]) == ("critical", True)


def test_when_all_is_there_the_morning_check_is_next() -> None:
    found = summary({"a": OK, "b": OK}, own=rows(("contacts", "warning", "none", "Set them")))
    (step,) = found["next"]
    assert step["command"].endswith("playbooks/daily_morning_health_check.yml")
    assert (found["state"], found["failed"]) == ("warning", False)


def test_lines_of_all_hosts_are_the_groups_and_one_host_sets_nothing_for_another() -> None:
    alike = summary({"a": OTHER, "b": OTHER}, {"a": LINE, "b": LINE})
    assert "a, b: in the place of a line of that name there, paste into inv/group_vars" in alike["next"][0]["why"]
    for lines in ({"a": LINE}, {"a": LINE, "b": {"policy_service_unit": 'policy_service_unit: "other"'}}):
        found = summary({"a": OTHER, "b": OTHER}, lines)
        assert "group_vars" not in str(found["next"])


def test_a_part_of_the_fleet_sets_nothing_for_all() -> None:
    commands, places = Commands({**CALL, "limit": "a"}, ["a"]), PLACES._replace(of_all="")
    found = steps({"a": OTHER}, {"a": LINE}, [], fail_on=["critical"], commands=commands, places=places)
    assert "inv/host_vars/a.yml" in found[0]["why"]


def test_what_is_wrong_on_the_controller_alone_fails_the_run() -> None:
    found = summary({"a": OK}, own=rows(("inventory", "critical", "misspelt", "Correct it")))
    assert (found["state"], found["failed"]) == ("critical", True)
    assert "controller: inventory: misspelt. Correct it" in found["next"][0]["why"]


def test_the_table_has_a_row_for_each_finding_and_lines_at_the_begin_of_a_line() -> None:
    found = summary({"a": OTHER, "b": OTHER, "c": DOWN}, {"a": LINE, "b": LINE})
    shown = [line.text for line in table(found, 100)]
    assert [text.split()[0] for text in shown[1:] if text.startswith(("CRIT", "OK"))][:3] == ["CRITICAL"] * 2 + ["OK"]
    assert any(text.startswith("CRITICAL a, b") for text in shown), "what is the same on several is one row"
    assert any(text.strip() == "-> Is it up?" for text in shown)
    assert shown.count('policy_service_unit: "pipeline"') == 2, "it begins the line, for each of the two hosts"
