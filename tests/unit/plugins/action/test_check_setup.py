# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at a host asks what the host can answer, and never fails for it."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.media_ops.runbook.plugins.plugin_utils import host_action

from tests.unit.plugins import factories as f
from tests.unit.plugins.action.acting import INTRUDER, act
from tests.unit.plugins.plugin_utils.doctor.test_host import info
from tests.unit.plugins.policy import policy

POLICY = policy()
SITE = {
    "unit": "media-processing-service",
    "restart_command": [],
    "service_user": "media",
    "service_become": False,
    "base_dir": "/srv/media-processing",
    "log_dir": "/srv/media-processing/temp/logs",
    "state_dir": "/var/lib/media-ops",
}
GIVEN: dict[str, Any] = {
    "modules": {
        "setup_info": {"options": SITE},
        "ffmpeg_info": {"options": {"unit": "media-processing-service"}},
        "storage_probe": {"become": False, "options": {"unit": "media-processing-service", "write": True}},
    },
    "policy": {name.removeprefix("policy_"): value for name, value in POLICY.items()},
    "logs": ["/srv/media-processing/temp/logs/media_processing.log", "/srv/media-processing/temp/logs/errors.log"],
    "archive_dir": "/var/lib/archives",
    "disk_percent": 90,
    "api_url": "http://localhost:8000/api/v1/monitoring",
}
ANSWERS: dict[str, Any] = {
    "setup_info": {**info(), **INTRUDER},
    "pipeline_info": f.result(),
    "ffmpeg_info": {"state": "ok", "reason": "", "binary": "/usr/bin/ffmpeg", "version": "5"},
    "storage_probe": {"state": "ok", "reason": "", "bucket": "b", "endpoint": "e", "steps": []},
}
REACHED = {"ansible_python_interpreter": sys.executable}


def look(answers: Any = None, variables: Any = None, **given: Any) -> Any:
    return act("check_setup", {**GIVEN, **given}, answers=answers or ANSWERS, variables=variables or REACHED)


def states(run: Any) -> dict[str, str]:
    return {row["check"]: row["state"] for row in run.result["verdicts"]}


def test_a_host_is_asked_all_that_it_can_answer_and_nothing_is_written() -> None:
    run = look(api_state_dir="/var/lib/media-ops")
    assert "api_state_dir" not in run.arguments("pipeline_info"), "no token is kept"
    assert run.modules == ["setup_info", "pipeline_info", "ffmpeg_info", "storage_probe"]
    assert run.arguments("storage_probe")["write"] is False
    assert run.arguments("setup_info")["api_url"] == GIVEN["api_url"]
    assert not {"ansible_stats", "made_up"} & set(run.result)
    assert (states(run)["ssh"], states(run)["log errors.log"]) == ("ok", "ok")
    assert look(write=True).arguments("storage_probe")["write"] is True


def test_without_libraries_or_the_services_user_only_the_rest_is_asked() -> None:
    bare = info(libraries=dict.fromkeys(("psutil", "requests", "boto3", "jmespath"), ""))
    assert look({**ANSWERS, "setup_info": bare}).modules == ["setup_info", "ffmpeg_info"]
    alone = info(sudo={"become": "a password is required", "restart": ""})
    assert look({**ANSWERS, "setup_info": alone}).modules == ["setup_info", "pipeline_info"]


def test_an_interpreter_that_is_not_there_does_not_end_the_look() -> None:
    run = look(variables={"ansible_python_interpreter": "/nonexistent/python3"})
    assert states(run)["python"] == "critical"
    # On a machine with no Python in a usual place nothing more is asked.
    assert set(run.result["lines"]) in ({"ansible_python_interpreter"}, set())


def test_a_host_that_is_not_reached_is_a_row_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_given: Any, **_options: Any) -> None:
        raise AnsibleConnectionFailure("connect to host h port 22: Connection refused")

    monkeypatch.setattr(host_action.HostAction, "_low_level_execute_command", refused)
    run = look()
    assert (run.modules, states(run)) == ([], {"ssh": "critical"})
    assert not run.result.get("failed")


def test_a_host_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.media_ops.runbook.plugins.action.check_setup.LIMIT_S", 0.2)
    monkeypatch.setattr("ansible_collections.media_ops.runbook.plugins.action.check_setup.script", lambda _: "sleep 60")
    run = look()
    assert states(run) == {"ssh": "critical"}
    assert "no answer within" in run.result["verdicts"][0]["message"]


def test_a_module_that_fails_is_a_row() -> None:
    failing: dict[str, Any] = {"failed": True, "msg": "it broke"}
    run = look({**ANSWERS, "setup_info": failing})
    assert "no module runs there: it broke" in str(run.result["verdicts"])
    run = look({**dict.fromkeys(ANSWERS, failing), "setup_info": info()})
    assert {"endpoints": "unknown", "ffmpeg": "unknown", "bucket": "unknown"}.items() <= states(run).items()


def test_a_policy_that_cannot_be_judged_by_is_a_row_beside_the_others() -> None:
    run = look(policy={**GIVEN["policy"], "session_end_minutes": 1})
    assert states(run)["inventory"] == "critical"
    assert states(run)["disk"] == "ok"


def test_no_secret_of_the_task_is_in_what_it_gives() -> None:
    secret = "canary-of-the-token-0123456789"
    run = look({**ANSWERS, "setup_info": info(python=f"3.11 {secret}")}, api_token=secret)
    assert secret not in str(run.result)
