"""gate: a host fails where its state is one that fails a run, and says why."""

from __future__ import annotations

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
