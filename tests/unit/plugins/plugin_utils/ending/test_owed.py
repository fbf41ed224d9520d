"""What a run owes when it ends: a verdict for each host, and no verdict of before a break for the time after it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.ending.owed import (
    GATE,
    REPORT,
    TELL,
    Seen,
    amended,
    found_at_the_end,
    summary_without,
    unfinished,
)
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import verdict
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import host_state

WELL: dict[str, Any] = {"verdicts": [verdict("overall_status", "Overall status", "DM-1", "ok", "well")]}
BAD: dict[str, Any] = {"verdicts": [verdict("overall_status", "Overall status", "DM-1", "critical", "ill")]}


def seen(**found: dict[str, Any]) -> Seen:
    made = Seen()
    made.hosts.update(dict.fromkeys(["a", "b", "c"]))
    for host, result in found.items():
        made.ok(host, "media_ops.runbook.check", "healthcheck_result", result)
    return made


def test_a_host_that_broke_off_is_unknown_however_well_it_was() -> None:
    run = seen(a=WELL, b=BAD)
    run.failed("a", "media_ops.runbook.metrics", "Leave metrics", {"msg": "no room"})
    found = found_at_the_end(run, run.left(lambda host: host == "a"))
    states = {host: host_state(one["verdicts"]) for host, one in found.items()}
    assert states == {"a": "unknown", "b": "critical", "c": "unknown"}
    assert "broke off in task 'Leave metrics': no room" in found["a"]["verdicts"][0]["message"]
    assert "before it was judged, in task 'Leave metrics'" in found["c"]["verdicts"][0]["message"]


def test_the_reason_comes_first_and_not_what_core_puts_before_it() -> None:
    run = seen()
    core = "Task failed: Finalization of task args for 'media_ops.runbook.check' failed: 'zone' is undefined"
    run.failed("a", "media_ops.runbook.check", "Ask", {"msg": core})
    assert run.broken["a"] == "in task 'Ask': 'zone' is undefined"


def test_a_task_that_had_not_ended_when_the_run_did_is_no_success() -> None:
    run = seen(a=WELL, b=WELL, c=WELL)
    run.under_way["b"] = "Restart"
    found = found_at_the_end(run, run.cut_off())
    assert [host for host, one in found.items() if host_state(one["verdicts"]) == "unknown"] == ["b"]


def test_that_a_host_is_not_well_is_no_break() -> None:
    run = seen(a=BAD)
    run.failed("a", GATE, "Fail the hosts that are not well", {"state": "critical", "msg": "critical: ill"})
    run.failed("b", GATE, "Fail the hosts that are not well", {"msg": "no such option"})
    assert list(run.broken) == ["b"]


@pytest.mark.parametrize("action", [REPORT, TELL])
def test_what_ended_well_is_not_owed_any_more(action: str) -> None:
    run = seen()
    assert action not in run.done
    run.ok("a", action, "", {"ansible_stats": {"data": {"media_ops_summary": {"title": "x"}}}})
    assert action in run.done


def test_after_the_report_a_break_changes_the_row_and_fails_the_run() -> None:
    rows = [
        {"host": host, "state": state, "check": "c", "message": "m"} for host, state in (("a", "ok"), ("b", "critical"))
    ]
    summary = {"hosts": rows, "failed": False, "problems": []}
    made = amended(summary, {"a": "in task 'x': y", "b": "in task 'x': y"})
    assert [(row["host"], row["state"]) for row in made["hosts"]] == [("a", "unknown"), ("b", "critical")]
    assert (made["failed"], len(made["problems"]), summary["failed"]) == (True, 1, False)
    assert amended(summary, {}) == summary


def test_without_a_report_each_host_has_its_worst_verdict() -> None:
    made = summary_without({"a": WELL, "b": BAD, "c": {}}, "Health watch", "no room")
    assert [(row["host"], row["state"]) for row in made["hosts"]] == [("a", "ok"), ("b", "critical"), ("c", "unknown")]
    assert (made["state"], made["failed"], made["problems"]) == ("critical", True, ["no room"])


def test_without_a_report_the_hosts_that_a_run_did_not_come_to_are_named() -> None:
    seen, last = Seen(hosts=dict.fromkeys(("a", "b", "c"))), "media_ops.runbook.automation_status"
    for host in seen.hosts:
        seen.ok(host, "media_ops.runbook.guard", "", {})
    seen.ok("a", last, "", {})
    seen.skipped("b", last)
    summary = unfinished(seen, last, {}, "Pause automation")
    assert summary is not None
    assert [(row["host"], row["state"]) for row in summary["hosts"]] == [("c", "unknown")]
    assert (summary["failed"], "before it was through" in summary["hosts"][0]["message"]) == (True, True)
    seen.ok("c", last, "", {})
    assert unfinished(seen, last, {}, "Pause automation") is None
    broken = unfinished(
        seen, "media_ops.runbook.automation_status", {"b": "in task 'Pause': no ssh"}, "Pause automation"
    )
    assert broken is not None
    assert [row["host"] for row in broken["hosts"]] == ["b"]
