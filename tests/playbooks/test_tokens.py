"""Tokens that expire: the service's own login, three lives of a token, and runs around each of its ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.moved_clock import MovedClock
from tests.playbooks.conftest import REACHED, ROOT, Play

pytestmark = pytest.mark.playbook
MORNING = "playbooks/daily_morning_health_check.yml"
PASSWORD = "canary-Pa55-of-ops-3kT"
LIFE = timedelta(hours=4)
LOGIN = {"path": "/api/v1/auth/login", "body": {"username": "{username}", "password": "{password}"}}
MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.modules import pipeline_info
with patch_module_args(json.load(sys.stdin)):
    pipeline_info.main()
"""


def logins(pipeline: Pipeline) -> int:
    """How many tokens the service has given."""
    return (pipeline.log_dir / "application.log").read_text(encoding="utf-8").count("A token was given to ops")


def ask(clock: MovedClock, arguments: dict[str, Any]) -> subprocess.Popen[str]:
    """Module pipeline_info, begun at the time of the clock."""
    environment = {**os.environ, **clock.environment, "PYTHONPATH": str(ROOT / "playbooks/collections")}
    process = subprocess.Popen(
        [sys.executable, "-c", MODULE], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    json.dump(arguments, process.stdin)
    process.stdin.close()
    return process


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout
    with process:
        found: dict[str, Any] = json.loads(process.stdout.read())
    return found


def is_good(found: dict[str, Any]) -> bool:
    return [one["state"] for one in found["endpoints"].values()] == ["ok"] * 3


# runbook: DM-1
def test_three_lives_of_a_token(play: Play, clock: MovedClock, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o750)
    settings = {"PIPELINE_PASSWORD": PASSWORD, "PIPELINE_TOKEN_SECONDS": str(LIFE.total_seconds())}
    with running_pipeline(tmp_path / "pipeline", {**settings, **clock.environment}) as pipeline:
        host = {**REACHED, "media_ops_api_url": pipeline.api_url, "policy_base_dir": str(pipeline.base_dir)}
        login = {
            "policy_api_login": LOGIN,
            "media_ops_api_username": "ops",
            "media_ops_api_password": "{{ lookup('ansible.builtin.env', 'OPS_PASSWORD') }}",
        }
        run = play(MORNING, {"media1": host}, "-vvvv", environment={"OPS_PASSWORD": PASSWORD}, **login)
        assert (run.code, run.states(), logins(pipeline)) == (0, {"media1": "ok"}, 1), run.output
        assert "renewed by login, valid until" in run.verdict("media1", "api_token")["note"]
        (kept,) = state.glob("api_token_*.json")
        told = run.output + json.dumps(run.events) + json.dumps(run.result())
        for secret in (PASSWORD, json.loads(kept.read_text(encoding="utf-8"))["token"]):
            assert secret not in told

        arguments = {
            "api_url": pipeline.api_url,
            "api_login": LOGIN,
            "api_username": "ops",
            "api_password": PASSWORD,
            "api_state_dir": str(state),
            "gather": ["stats", "alerts", "sessions"],
        }
        for life in (1, 2, 3):
            end = datetime.fromtimestamp(json.loads(kept.read_text(encoding="utf-8"))["until"], UTC)
            clock.move(end - timedelta(seconds=600))
            assert is_good(answer(ask(clock, arguments)))
            assert logins(pipeline) == life
            clock.move(end + timedelta(seconds=30) if life == 2 else end - timedelta(seconds=30))
            # Two runs at once renew it once.
            at_once = [ask(clock, arguments) for _run in range(2)]
            assert all(is_good(answer(process)) for process in at_once)
            assert logins(pipeline) == life + 1
            clock.move(end + timedelta(seconds=60))
            assert is_good(answer(ask(clock, arguments)))
            assert logins(pipeline) == life + 1
