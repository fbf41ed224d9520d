"""gate: a host fails where its state is one that fails a run, and says why."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import verdict

from tests.unit.plugins.action.acting import act


def row(state: str, message: str = "as it is") -> dict[str, Any]:
    return {**verdict("check", "Check", "DM-1", state, message)}


@pytest.mark.parametrize(
    ("states", "fail_on", "state", "failed"),
    [
        (["ok"], None, "ok", False),
        (["ok", "warning"], None, "warning", False),
        (["warning", "unknown"], None, "unknown", True),
        (["unknown", "critical"], None, "critical", True),
        (["unknown"], ["critical"], "unknown", False),
        (["warning"], ["warning", "critical", "unknown"], "warning", True),
        (["critical"], [], "critical", False),
        # The worst state decides: a run that fails for unknown alone lets a critical host pass only by its own will.
        (["critical", "unknown"], ["unknown"], "critical", False),
    ],
)
def test_the_worst_state_decides(states: list[str], fail_on: list[str] | None, state: str, failed: bool) -> None:
    options = {} if fail_on is None else {"fail_on": fail_on}
    result = act("gate", {"verdicts": [row(one) for one in states], **options}).result
    assert (result["state"], result.get("failed", False), result["changed"]) == (state, failed, False)


def test_a_host_that_was_not_checked_is_unknown_and_fails() -> None:
    result = act("gate", {"verdicts": []}).result
    assert (result["failed"], result["msg"]) == (True, "unknown: not checked")


def test_a_host_that_is_muted_fails_no_run_though_it_is_down() -> None:
    mute = {"what": "host", "name": "", "reason": "new disk", "by": "", "since": "", "until": "", "state": "unknown"}
    gone = {"unreachable": True, "msg": "no route to host"}
    rows = [{**row("ok", "muted"), "muted": mute}]
    result = act("gate", {"verdicts": rows, "kept": gone, "noted": gone}).result
    assert (result["state"], result.get("failed", False)) == ("ok", False)
    assert act("gate", {"verdicts": [row("ok")], "kept": gone}).result["failed"]


def test_it_says_each_reason_once_and_no_other() -> None:
    rows = [row("critical", "disk full"), row("unknown", "no answer"), row("unknown", "no answer"), row("ok", "fine")]
    assert act("gate", {"verdicts": rows}).result["msg"] == "critical: disk full; no answer"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "missing required arguments: verdicts"),
        ({"verdicts": ["bad"]}, "verdicts"),
        ({"verdicts": [], "fail_at": ["critical"]}, "media_ops.runbook.gate.*fail_at"),
    ],
)
def test_misuse_names_the_option(options: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleActionFail, match=said):
        act("gate", options)


@pytest.mark.parametrize(
    ("host", "options", "said"),
    [
        ("media1", {"sent": {"problem": "Not notified: chat: no answer"}}, "Not notified: chat: no answer"),
        ("media2", {"sent": {"problem": "Not notified: chat: no answer"}}, ""),
        ("media1", {"sent": {"problem": ""}, "noted": {"acked": 1}}, ""),
        ("media2", {"noted": {"skipped": True}}, ""),
        (
            "media2",
            {"noted": {"msg": "No space left on device", "failed": False}},
            "What was told of the host cannot be noted, and may be told again: No space left on device",
        ),
        ("media2", {"noted": {"unreachable": True, "msg": "gone"}}, "What was told .*: gone"),
    ],
)
def test_what_people_do_not_know_fails_one_host_and_what_a_host_cannot_note_that_host(
    host: str, options: dict[str, Any], said: str
) -> None:
    variables = {"inventory_hostname": host, "ansible_play_hosts": ["media1", "media2"]}
    result = act("gate", {"verdicts": [row("ok")], "fail_on": [], **options}, variables=variables).result
    assert re.fullmatch(said, result.get("msg", ""))
    assert (result["state"], result.get("failed", False)) == ("ok", bool(said))


def test_what_people_do_not_know_is_said_beside_the_verdict() -> None:
    options = {"verdicts": [row("critical", "disk full")], "sent": {"problem": "Not notified: chat: no answer"}}
    assert act("gate", options).result["msg"] == "critical: disk full; Not notified: chat: no answer"


@pytest.mark.parametrize("answer", [{"failed": True, "msg": "no room"}, {"unreachable": True, "msg": "no room"}])
def test_a_host_that_could_not_keep_what_there_is_to_tell_fails_however_well_it_is(answer: dict[str, Any]) -> None:
    result = act("gate", {"verdicts": [row("ok")], "kept": answer}).result
    assert (result["failed"], result["state"]) == (True, "ok")
    assert result["not_kept"] == ["The host does not keep its alert state: no room"]
    assert "failed" not in act("gate", {"verdicts": [row("ok")], "kept": {"messages": []}}).result
