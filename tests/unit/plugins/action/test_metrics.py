"""metrics: what a run hands to the host's textfiles, and that a host which is gone is not lost over it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import observation, verdict

from tests.unit.plugins.action.acting import INTRUDER, Answer, Run, act

VERDICTS = [{**verdict("overall_status", "Overall status", "DM-1", "ok", "Overall status: healthy")}]
FOUND: dict[str, Any] = {
    "verdicts": VERDICTS,
    "observations": {"host": observation("reached", "state"), "overrides": observation(2, "count")},
}
GUARD: dict[str, Any] = {
    "lease": None,
    "pause": None,
    "recent": [],
    "counts": {"restart done": 1},
    "repeated": {},
    "bad_lines": 0,
}
ALERTS = {"open": [], "messages": [], "pending": 0, "suppressed": {"watch_health": 2}, "dropped": 0}
WRITTEN = {"written": True, "reason": "", "files": {"/m/media_ops_host.prom": "x"}, "changed": True, **INTRUDER}


def metrics(answers: dict[str, Answer] | None = None, **changes: Any) -> Run:
    options = {"textfile_dir": "/m", "source": "watch_health", "state_dir": "/s", "found": FOUND, **changes}
    return act(
        "metrics", options, answers={"guard": {**GUARD, **INTRUDER}, "metrics_textfile": WRITTEN, **(answers or {})}
    )


def test_all_that_the_run_knows_is_handed_on() -> None:
    mute = {"what": "host", "name": "", "reason": "a disk", "by": "", "since": "", "until": "2026-11-24T07:00:00Z"}
    run = metrics(found={**FOUND, "mutes": [mute]}, alerts=ALERTS, breaker={"service": {"hosts": ["media1"]}})
    assert run.modules == ["guard", "metrics_textfile"]
    assert run.arguments("guard") == {"state_dir": "/s"}
    assert run.arguments("metrics_textfile") == {
        "textfile_dir": "/m",
        "source": "watch_health",
        "verdicts": VERDICTS,
        "mutes": [mute],
        "alerts": ALERTS,
        "guard": {**GUARD, "changed": False},
        "breaker_open": True,
        "overrides_active": 2,
    }
    # A record of the run changes nothing that is looked after, and sets no variable of it.
    assert run.result == {
        "written": True,
        "reason": "",
        "files": {"/m/media_ops_host.prom": "x"},
        "changed": False,
        "reached": True,
    }


def test_what_is_not_known_is_left_out() -> None:
    unseen = {"host": observation("reached", "state"), "overrides": observation(None, "count", fault="missing")}
    run = metrics(
        {"guard": {"failed": True, "msg": "no state directory"}},
        found={"verdicts": VERDICTS, "observations": unseen},
        alerts={"failed": True, "msg": "no state directory"},
    )
    given = run.arguments("metrics_textfile")
    assert (given["guard"], given["alerts"]) == ({}, {})
    assert {"breaker_open", "overrides_active"}.isdisjoint(given)


@pytest.mark.parametrize(("breaker", "is_open"), [({}, False), ({"service": {}}, True)])
def test_the_breaker_is_open_where_it_names_a_cause(breaker: dict[str, Any], is_open: bool) -> None:
    assert metrics(breaker=breaker).arguments("metrics_textfile")["breaker_open"] is is_open


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"observations": {}, "verdicts": []},
        {"observations": {"host": observation(None, "state", fault="host_unreachable", reason="gone")}},
        {"observations": {"host": "reached"}},
    ],
)
def test_a_host_that_the_check_did_not_reach_is_not_asked(found: dict[str, Any]) -> None:
    run = metrics(found=found)
    assert run.asked == []
    assert (run.result["skipped"], run.result["skip_reason"]) == (True, "The check did not reach the host")


def test_a_host_that_is_gone_since_stays_in_the_run() -> None:
    gone = AnsibleConnectionFailure("gone")
    run = metrics({"guard": gone, "metrics_textfile": gone})
    assert run.arguments("metrics_textfile")["guard"] == {}
    assert (run.result["reached"], run.result["msg"]) == (False, "gone")
    assert "unreachable" not in run.result


def test_what_could_not_be_written_fails_the_task() -> None:
    run = metrics({"metrics_textfile": {"failed": True, "msg": "option 'source' is 'X'"}})
    assert (run.result["failed"], run.result["msg"]) == (True, "option 'source' is 'X'")


def test_an_answer_of_the_wrong_type_is_no_answer() -> None:
    run = metrics({"guard": {**GUARD, "counts": ["restart done"]}})
    assert run.arguments("metrics_textfile")["guard"] == {}
    run = metrics({"metrics_textfile": {"written": "yes", "reason": "", "files": {}}})
    assert (run.result["failed"], run.result["msg"]) == (
        True,
        "the answer of module metrics_textfile cannot be used: written is not of type bool",
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"found": "all well"}, "found"),
        ({"breaker": "open"}, "breaker"),
        ({"alert": {}}, "media_ops.runbook.metrics.*: alert"),
    ],
)
def test_misuse_names_the_option(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleActionFail, match=said):
        metrics(**changes)


def test_what_is_needed_is_named() -> None:
    with pytest.raises(AnsibleActionFail, match="missing required arguments: source, state_dir, textfile_dir"):
        act("metrics", {})
