# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's own rows: channels are tried on demand alone, and no secret of theirs is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.media_ops.runbook.plugins.plugin_utils.doctor.controller import controller_rows

from tests.receiver import receiver


def rows(
    tmp_path: Path, *, send: bool = False, injected: bool = False, hosts: Any = ("a",), **site: Any
) -> dict[str, Any]:
    about = {"injected": injected, "versions": "ansible-core 2.19", "awx": False, "schedule_dir": str(tmp_path)}
    value = {"report_dir": str(tmp_path / "new" / "reports"), **site}.get
    return {row["check"]: row for row in controller_rows(value, hosts, about, send=send)}


def test_a_new_site_is_told_what_it_has_not_set(tmp_path: Path) -> None:
    found = rows(tmp_path, hosts=["media1.example.com"], report_contacts=[{"name": "x", "contact": "+00 000 000000"}])
    states = {check: row["state"] for check, row in found.items()}
    assert states == {
        "ansible": "ok",
        "inventory": "critical",
        "contacts": "warning",
        "channels": "ok",
        "reports": "ok",
        "schedule": "ok",
    }
    assert "nothing runs by itself yet" in found["schedule"]["message"]
    assert rows(tmp_path, injected=True)["ansible"]["state"] == "critical"


def test_a_message_goes_out_on_demand_alone_and_ends_what_it_began(tmp_path: Path) -> None:
    with receiver() as server:
        channels = [
            {"name": "hook", "type": "webhook", "url": server.webhook_url},
            {"name": "page", "type": "pagerduty", "url": server.pagerduty_url, "routing_key": "R" * 32,
             "severities": ["critical"]},
        ]  # fmt: skip
        quiet = rows(tmp_path, report_channels=channels)
        assert (server.bodies("webhook"), quiet["channel hook"]["state"]) == ([], "ok")
        sent = rows(tmp_path, send=True, report_channels=channels)
        assert server.refusals == []
        assert [sent[f"channel {name}"]["state"] for name in ("hook", "page")] == ["ok", "ok"]
        events = [body["event_action"] for body in server.bodies("pagerduty")]
        assert events == ["trigger", "resolve"], "nobody is left with an open page"
        assert "This is a test of check_setup" in json.dumps(server.bodies("webhook")[0])


def test_what_is_wrong_with_a_channel_is_said_without_its_secrets(tmp_path: Path) -> None:
    secret = "https://hooks.example/canarysecret"
    channels = [
        {"name": "chat", "type": "slack", "url": f"http{secret.removeprefix('https')}"},
        {"name": "odd", "type": "webhook", "url": secret, "colour": "red"},
        "none",
    ]
    found = rows(tmp_path, report_channels=channels)
    assert {found[check]["state"] for check in ("channel chat", "channels")} == {"critical"}
    assert "must be https" in found["channel chat"]["message"]
    assert "canarysecret" not in json.dumps(found)


def test_the_schedule_and_a_place_for_reports(tmp_path: Path) -> None:
    (tmp_path / "schedule.json").write_text(json.dumps({"procedures": [{"name": "watch_health"}]}), encoding="utf-8")
    assert "watch_health" in rows(tmp_path)["schedule"]["message"]
    (tmp_path / "schedule.json").write_text("{", encoding="utf-8")
    assert rows(tmp_path)["schedule"]["state"] == "unknown"
    assert rows(tmp_path, report_dir=str(tmp_path / "schedule.json" / "reports"))["reports"]["state"] == "critical"
