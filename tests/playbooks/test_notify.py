# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entry point notify of role report: a fleet of three with real state directories, and receivers that come and go."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.receiver import nobody, receiver, syslog_socket

ROOT = Path(__file__).resolve().parents[2]
ROUTING_KEY = "0123456789abcdef0123456789CANARY"
CANARIES = ("slackcanarysecret", "T0CANARY", ROUTING_KEY)
PLAYBOOK: list[dict[str, Any]] = [
    {
        "name": "Watch",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "name": "What healthcheck found",
                "ansible.builtin.set_fact": {"healthcheck_result": {"verdicts": "{{ [seen] }}"}},
            },
            {
                "name": "Tell",
                "ansible.builtin.include_role": {
                    "name": "media_ops.runbook.report",
                    "tasks_from": "notify",
                    "rolespec_validate": False,
                },
                "vars": {"report_check": "watch_health", "report_title": "Health watch"},
            },
            {"name": "The metrics come after", "ansible.builtin.debug": {"msg": "metrics of all"}},
            {
                "name": "The gate comes last",
                "ansible.builtin.include_role": {"name": "media_ops.runbook.report", "tasks_from": "gate"},
                "vars": {"policy_fail_on": []},
            },
        ],
    }
]


class Fleet:
    """Hosts ``good``, ``bad`` and ``away``; the last cannot be reached."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.runs = 0
        for host in ("good", "bad"):
            (directory / host).mkdir(mode=0o750)
        (directory / "play.yml").write_text(json.dumps(PLAYBOOK), encoding="utf-8")

    def run(
        self,
        channels: list[dict[str, Any]],
        *arguments: str,
        bad: str = "critical",
        code: int = 0,
        site: Mapping[str, Any] | None = None,
        environment: Mapping[str, str | None] | None = None,
        **more: Any,
    ) -> str:
        """Run once, with more hosts; returns all that it said, at the highest verbosity."""
        self.runs += 1
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
        hosts: dict[str, Any] = {"good": {**local, "state": "ok"}, "bad": {**local, "state": bad}, "away": away}
        hosts = {**hosts, **more}
        for name, variables in hosts.items():
            variables["policy_state_dir"] = str(self.directory / name)
            state = variables.pop("state", "unknown")
            variables["seen"] = {"check": "overall_status", "title": "Overall status", "state": state}
        site = {"report_channels": channels, "report_dir": str(self.directory / "reports"), **(site or {})}
        inventory = self.directory / "inventory.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": site}}), encoding="utf-8")
        command = ["ansible-playbook", "-vvvv", "-i", str(inventory), str(self.directory / "play.yml"), *arguments]
        changed = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **(environment or {})}
        given = {name: value for name, value in changed.items() if value is not None}
        ran = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=300, check=False)
        said = ran.stdout + ran.stderr
        assert ran.returncode == code, said
        assert not any(canary in said for canary in CANARIES)
        return said

    def waiting(self, name: str) -> list[str]:
        path = self.directory / name / "alerts.json"
        return [message["event"] for message in json.loads(path.read_text(encoding="utf-8"))["pending"]]


# runbook: AU-H1, AU-H2, AU-H3
@pytest.mark.playbook
def test_from_a_bad_state_to_its_end_with_a_channel_that_is_down_meanwhile(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    with receiver() as server, nobody() as down, syslog_socket(tmp_path / "log") as log:
        slack = {"name": "chat", "type": "slack"}
        others = [
            {"name": "log", "type": "syslog", "address": log.address},
            {"name": "page", "type": "pagerduty", "url": server.pagerduty_url, "routing_key": ROUTING_KEY},
        ]
        broken = [{**slack, "url": server.slack_url.replace(server.base, down)}, *others]
        sound = [{**slack, "url": server.slack_url}, *others]

        planned = fleet.run(sound, "--check")
        assert "CRITICAL: Overall status on bad" in planned
        assert server.seen == []
        assert not (fleet.directory / "reports").exists()
        assert not (fleet.directory / "bad" / "alerts.json").exists()

        said = fleet.run(broken, code=2)
        assert "Not notified: chat: no connection to 127.0.0.1: Connection refused" in said
        assert said.count("msg: metrics of all") == 3, "no host is lost for a channel"
        assert sorted(line.partition("]: ")[2] for line in log.lines(2)) == [
            "CRITICAL: Overall status on bad",
            "UNKNOWN: State of the host on away: The host is unreachable, so nothing about it is known",
        ]
        assert len(server.bodies("pagerduty")) == 2
        assert (fleet.waiting("bad"), fleet.waiting("good")) == (["began"], [])
        assert fleet.waiting("reports/alerts") == ["began"]

        fleet.run(sound)
        assert log.no_more()
        assert len(server.bodies("pagerduty")) == 2, "those that had it get it no second time"
        assert server.bodies("slack")[0]["text"].splitlines() == [
            "CRITICAL: Overall status on bad",
            "UNKNOWN: State of the host on away",
        ]
        assert fleet.waiting("bad") == fleet.waiting("reports/alerts") == []

        fleet.run(sound, "--limit", "bad", bad="ok")
        assert re.match(r"ENDED: Overall status on bad, ok after \d+ ", server.bodies("slack")[1]["text"])
        assert server.bodies("pagerduty")[2]["event_action"] == "resolve"
        assert fleet.waiting("bad") == []

        for path in (fleet.directory / "good").iterdir():
            path.unlink()
        (fleet.directory / "good").rmdir()
        fleet.run(sound, "--limit", "good", code=2)
        assert "The host does not keep its alert state" in server.bodies("slack")[2]["blocks"][1]["text"]["text"]
        told = len(server.bodies("slack"))
        fleet.run(sound, "--limit", "away", "-e", "report_check=watch_performance")
        assert len(server.bodies("slack")) == told, "that it is away was told, by whichever source"
        assert server.refusals == []


# runbook: AU-H1
@pytest.mark.playbook
def test_no_setting_of_a_site_and_no_disk_of_the_controller_keeps_an_alert_from_people(tmp_path: Path) -> None:
    """All at once: become for all without sudo, a localhost that is none, no home, a file where reports are kept."""
    fleet = Fleet(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sudo").write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n", encoding="utf-8")
    (programs / "sudo").chmod(0o755)
    (tmp_path / "reports").write_text("in its place", encoding="utf-8")
    (tmp_path / "bad").rmdir()
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": None}
    localhost = {"ansible_connection": "ssh", "ansible_python_interpreter": "/nowhere", "seen": {}}
    with receiver() as server, nobody() as down:
        hook = {"name": "hook", "type": "webhook", "url": server.webhook_url}
        lost = {"name": "lost", "type": "webhook", "url": f"{down}/hook/hookcanarysecret"}
        said = fleet.run(
            [lost, {"name": "none"}, hook],
            "--limit",
            "good,bad,away",
            code=2,
            site={"ansible_become": True, "report_contacts": [{"name": "Anna"}], "report_settle": 1},
            environment=environment,
            localhost=localhost,
        )
        assert server.seen != [], said
        (body,) = server.bodies("webhook")
        assert sorted(f"{row['event']} {row['host']} {row['check']}" for row in body["messages"]) == [
            "began away host_state",
            "began bad host_state",
            "began bad overall_status",
        ]
    assert f"cannot make the directory {tmp_path}/reports/alerts: " in body["notes"][0]
    for problem in (body["notes"][0], "lost: no connection to 127.0.0.1", "none: missing required arguments: type"):
        assert problem in said.replace("\n", " ")
    assert "report_contacts" in said
    assert said.count("msg: metrics of all") == 3
