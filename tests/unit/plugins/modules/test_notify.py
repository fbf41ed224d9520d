# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""notify as Ansible runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.module_utils.alerts.notify import channel_spec
from ansible_collections.media_ops.runbook.plugins.modules import notify

from tests.receiver import receiver
from tests.unit.plugins.message_factory import message

ROOT = Path(__file__).resolve().parents[4]
ROUTING_KEY = "0123456789abcdef0123456789CANARY"


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        notify.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# runbook: AU-H1, AU-H3
def test_sent_by_two_channels_with_the_options_of_a_playbook(capsys: pytest.CaptureFixture[str]) -> None:
    with receiver() as server:
        channels = [
            {"name": "chat", "type": "slack", "url": server.slack_url},
            {"name": "page", "type": "pagerduty", "url": server.pagerduty_url, "routing_key": ROUTING_KEY},
        ]
        found = run(capsys, messages=[message()], channels=channels)
        assert found["sent"] == {"chat": 1, "page": 1}
        assert server.bodies("pagerduty")[0]["routing_key"] == ROUTING_KEY
    assert found["changed"] is True
    assert found["failures"] == []
    shown = json.dumps(found)
    assert ROUTING_KEY not in shown
    assert "slackcanarysecret" not in shown, "also not in the invocation"


def test_fail_fails_with_the_whole_result(capsys: pytest.CaptureFixture[str]) -> None:
    with receiver("gone") as server:
        channels = [{"name": "chat", "type": "slack", "url": server.slack_url}]
        found = run(capsys, messages=[message()], channels=channels, fail=True)
    assert found["failed"] is True
    assert found["msg"] == "1 of 1 channels failed: chat: 127.0.0.1 answered 404 (no_service)"
    assert found["deliveries"][0]["complete"] is False


def test_an_unknown_kind_and_severity_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "carrier_pigeon" in run(capsys, channels=[{"name": "a", "type": "carrier_pigeon"}])["msg"]
    assert "fatal" in run(capsys, channels=[{"name": "a", "type": "syslog", "severities": ["fatal"]}])["msg"]


def test_the_example_of_channels_is_accepted_whole(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs/examples/alert_channels.yml").read_text(encoding="utf-8")
    text = text.replace("{{ vault_slack_webhook_url }}", "https://hooks.example.com/services/T/B/X")
    site = yaml.safe_load(re.sub(r"\{\{ vault_\w+ \}\}", "s3cret", text))
    channels = [{**one, "enabled": True} for one in site["report_channels"]]
    options = {"channels": channels, "contacts": site["report_contacts"], "_ansible_check_mode": True}
    found = run(capsys, messages=[message()], **options)
    assert found["failures"] == []
    assert found["sent"] == {one["name"]: 1 for one in channels}
    assert {one["type"] for one in channels} == set(channel_spec()["type"]["choices"]), "one of each kind"
