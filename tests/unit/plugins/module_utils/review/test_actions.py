# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What automation did, from lines of a ledger."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.review.actions import DIED, actions_of


def entry(run: str, action: str = "restart", result: str = "done", **more: Any) -> dict[str, Any]:
    row = {
        "at": "2026-11-27T17:00:00Z",
        "run_id": run,
        "action": action,
        "result": result,
        "cause": "service",
        "target": "unit x",
    }
    return {**row, **more}


def test_repeated_fixes_come_first() -> None:
    rows = [
        entry("r1", "delete", cause="disk", target="a.tmp", at="2026-11-27T16:00:00Z"),
        entry("r1", at="2026-11-23T10:00:00Z", msg="was slow"),
        entry("r2", at="2026-11-25T10:00:00Z", msg="ok again"),
        entry("r3", result="failed", at="2026-11-24T10:00:00Z"),
        entry("r4", result="refused"),
        entry("r5", result="planned"),
    ]
    found = actions_of(rows)
    assert (found["attempts"], found["not_attempted"], found["runs"]) == (4, 2, {"delete": 1, "restart": 3})
    assert found["rows"][0] == {
        "action": "restart", "cause": "service", "target": "unit x", "runs": 3, "done": 2, "failed": 1,
        "interrupted": 0, "last_at": "2026-11-25T10:00:00Z", "last_said": "ok again",
    }  # fmt: skip
    assert [row["action"] for row in found["rows"]] == ["restart", "delete"]
    assert (found["interrupted"], found["interrupted_left"]) == ([], 0)


def test_a_run_with_many_lines_of_one_target_counts_once() -> None:
    found = actions_of([entry("r1"), entry("r1"), entry("r1")])
    assert (found["rows"][0]["runs"], found["rows"][0]["done"]) == (1, 3)


def test_many_targets_are_bounded_and_counted() -> None:
    found = actions_of(entry("r1", target=f"file {at}") for at in range(350))
    assert (len(found["rows"]), found["rows_left"], found["attempts"]) == (100, 250, 350)
    died = actions_of(entry("r1", target=f"file {at}", result="started") for at in range(350))
    assert (len(died["interrupted"]), died["interrupted_left"], died["attempts"]) == (20, 330, 350)


@pytest.mark.parametrize("result", ["done", "failed"])
def test_a_beginning_and_its_result_are_one(result: str) -> None:
    found = actions_of([entry("r1", result="started"), entry("r1", result=result, msg="so it was")])
    assert (found["attempts"], found["not_attempted"], found["interrupted"]) == (1, 0, [])
    (row,) = found["rows"]
    assert (row["runs"], row[result], row["last_said"]) == (1, 1, "so it was")


def test_what_was_begun_and_skipped_is_counted_aside_once() -> None:
    found = actions_of([entry("r1", result="started"), entry("r1", result="skipped")])
    assert (found["attempts"], found["not_attempted"], found["rows"], found["interrupted"]) == (0, 1, [], [])


def test_a_beginning_without_a_result_is_a_run_that_died() -> None:
    rows = [
        entry("r1", at="2026-11-25T03:00:00Z"),
        entry("r2", result="started", at="2026-11-26T03:00:00Z", controller="ops1", msg="begun"),
    ]
    found = actions_of(rows)
    assert (found["attempts"], found["runs"]) == (2, {"restart": 2})
    (row,) = found["rows"]
    assert (row["runs"], row["done"], row["failed"], row["interrupted"]) == (2, 1, 0, 1)
    assert (row["last_at"], row["last_said"]) == ("2026-11-26T03:00:00Z", DIED)
    assert found["interrupted"] == [
        {
            "at": "2026-11-26T03:00:00Z", "action": "restart", "cause": "service", "target": "unit x", "run_id": "r2",
            "controller": "ops1",
        }
    ]  # fmt: skip


def test_a_result_belongs_to_the_run_the_target_and_the_action_that_began() -> None:
    rows = [
        entry("r1", result="started"),
        entry("r2"),  # another run
        entry("r1", target="unit y"),  # another target, by a run that went on
        entry("r3", "reinstall", result="started", target="ffmpeg"),
        entry("r4", "reinstall", target="ffmpeg"),
    ]
    found = actions_of(rows)
    assert [(row["run_id"], row["action"]) for row in found["interrupted"]] == [("r3", "reinstall")]
    assert (found["attempts"], found["not_attempted"]) == (4, 1)


def test_a_run_that_tries_twice_and_dies_in_the_second_died_once() -> None:
    rows = [entry("r1", result=result) for result in ("started", "failed", "started")]
    found = actions_of(rows)
    assert [(row["done"], row["failed"], row["interrupted"]) for row in found["rows"]] == [(0, 1, 1)]
    assert len(found["interrupted"]) == 1


def test_a_run_that_went_on_did_not_die_and_the_one_that_holds_the_host_has_not_ended() -> None:
    decided = entry("r1", "recovered", result="decided", target="host")
    assert actions_of([entry("r1", result="started"), decided])["interrupted"] == []
    assert actions_of([decided, entry("r1", result="started")])["attempts"] == 1
    running = actions_of([entry("r1", result="started")], running="r1")
    assert (running["attempts"], running["not_attempted"], running["rows"]) == (0, 0, [])


@pytest.mark.parametrize(("decision", "aside"), [("refused", 1), ("recovered", 0), ("paged", 0), ("completed", 0)])
def test_of_decisions_a_refusal_alone_was_not_attempted(decision: str, aside: int) -> None:
    assert actions_of([entry("r1", decision, result="decided", target="host")])["not_attempted"] == aside


def test_foreign_text_is_one_short_line() -> None:
    hostile = "x\n" * 500
    rows = [entry("r1\n2", hostile, result="started", cause=hostile, target=hostile, controller=hostile, at=hostile)]
    (died,) = actions_of(rows)["interrupted"]
    assert all("\n" not in text and len(text) <= 120 for text in died.values())
