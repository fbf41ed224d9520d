"""lost: a host on which a task failed is unknown from there on, and its lease is given back or ends by its time."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import verdict
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import host_state

from tests.unit.plugins.action.acting import Run, act

FOUND = {
    "verdicts": [verdict("overall_status", "Overall status", "DM-1", "ok", "well")],
    "details": {"a": 1},
    "to_act": True,
}


def lost(**given: Any) -> Run:
    answers = given.pop("answers", {})
    check_mode = given.pop("check_mode", False)
    options = {"state_dir": "/var/lib/media_ops", "ttl": 900, "task": "Carry out Restart", "reason": "no room", **given}
    return act("lost", options, answers=answers, check_mode=check_mode)


def test_what_was_found_before_stands_beside_that_nothing_is_known_now() -> None:
    run = lost(result=FOUND)
    assert (host_state(run.result["verdicts"]), run.result["details"]) == ("unknown", {"a": 1})
    assert run.result["verdicts"][0]["message"] == "Run on the host: broke off in task 'Carry out Restart': no room"
    assert (run.result["to_act"], run.result["changed"], run.asked) == (False, False, [])


def test_the_failure_of_a_task_stands_for_nothing_that_was_found_before() -> None:
    failure = {"failed": True, "msg": "no attribute 'course'"}
    run = lost(result=failure, found={**FOUND, "run": {"run_id": "r1"}}, answers={"guard": {"recent": []}})
    assert (host_state(run.result["verdicts"]), run.result["details"]) == ("unknown", {"a": 1})
    assert run.arguments("guard")["run_id"] == "r1"
    assert not run.result.get("failed")
    assert not lost(result=failure).result.get("failed")


def test_nothing_needs_to_be_known_of_the_host() -> None:
    assert host_state(lost().result["verdicts"]) == "unknown"


def test_the_lease_of_this_run_is_given_back() -> None:
    run = lost(result=FOUND, run={"run_id": "r1"}, answers={"guard": {"recent": [], "changed": True}})
    assert run.arguments("guard") == {"state": "released", "state_dir": "/var/lib/media_ops", "run_id": "r1"}
    assert "lease" not in run.result["verdicts"][0]["message"]


@pytest.mark.parametrize("answer", [{"unreachable": True, "msg": "ssh"}, {"failed": True, "msg": "ssh"}])
def test_until_when_the_lease_stands_is_said_where_it_cannot_be_given_back(answer: dict[str, Any]) -> None:
    run = lost(result=FOUND, run={"run_id": "r1"}, answers={"guard": answer})
    assert "could not be given back (ssh) and ends within 900 s" in run.result["verdicts"][0]["message"]


def test_check_mode_asks_nothing() -> None:
    assert lost(run={"run_id": "r1"}, check_mode=True).asked == []
