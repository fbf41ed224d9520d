"""quick_reference: the runbook's one-liners, and where one is not known, why."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.quick import PARTS
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import verdict

from tests.unit.plugins import factories as f
from tests.unit.plugins.action.acting import act

LOGGED = [{"timestamp": "2026-11-24T05:58:01", "level": "ERROR", "message": "merging failed"}]
FOUND: dict[str, Any] = {
    "verdicts": [
        verdict("overall_status", "Overall status", "TQ-1", "ok", "Overall status: healthy"),
        verdict("error_alerts", "Alerts", "TQ-2", "ok", "Alerts: 0"),
    ],
    "answers": {"health_detailed": f.answer(f.health(system_resources="warning"))},
    "log": {"state": "ok", "last": LOGGED},
}


def shown(found: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    run = act("quick_reference", {"result": FOUND if found is None else found, "log_dir": "/var/log/media", **options})
    assert run.asked == []
    assert (run.result["changed"], run.result["_ansible_verbose_always"]) == (False, True)
    parts: dict[str, Any] = run.result["msg"]
    return parts


def test_each_part_is_answered() -> None:
    contacts = [{"area": "all", "name": "On call", "contact": "+00 1"}]
    parts = shown(contacts=contacts, api_url="http://media1/api")
    assert tuple(parts) == PARTS
    assert (parts["health"], parts["alerts"], parts["sessions"]) == (
        "Overall status: healthy",
        "Alerts: 0",
        "not checked",
    )
    assert (parts["errors"], parts["contacts"]) == (LOGGED, contacts)
    assert [(row["component"], row["status"]) for row in parts["resources"]] == [("system_resources", "warning")]
    assert parts["endpoints"][0] == "http://media1/api/health"
    assert all(path.startswith("/var/log/media/") for path in parts["logs"])


def test_only_what_is_asked_for_is_shown_in_the_order_of_the_runbook() -> None:
    assert list(shown(show=["logs", "health"])) == ["health", "logs"]


def test_what_is_not_known_says_why() -> None:
    parts = shown({**FOUND, "log": {"state": "denied", "reason": "permission denied"}, "answers": {}})
    assert parts["errors"] == "not known: permission denied"
    assert parts["resources"] == "not known: no answer"
    parts = shown({**FOUND, "log": {}, "answers": {"health_detailed": f.answer(None, "timeout", "no answer of it")}})
    assert parts["errors"] == "not known: the log was not read"
    assert parts["resources"] == "not known: no answer of it"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"show": ["moon"]}, "value of show must be one or more of: health, .* moon"),
        ({"result": "all well"}, "result"),
        ({"shown": ["health"]}, "media_ops.runbook.quick_reference.*shown"),
    ],
)
def test_misuse_names_the_option(options: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleActionFail, match=said):
        act("quick_reference", {"result": FOUND, "log_dir": "/var/log/media", **options})
