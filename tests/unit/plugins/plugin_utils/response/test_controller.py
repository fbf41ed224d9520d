"""Is the run that holds a lease dead? Only what is certain counts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.controller import dead_run, this_run


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def lease(pid: Any, taken: datetime | None = None, controller: str = "") -> dict[str, Any]:
    return {
        "run_id": "r1",
        "controller": controller or socket.gethostname(),
        "controller_pid": pid,
        "taken_at": text(taken or datetime.now(UTC)),
    }


def ended_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_whose_process_is_gone_is_dead() -> None:
    assert dead_run(lease(ended_pid())) == "r1"


def test_a_living_run_is_not() -> None:
    assert dead_run(lease(os.getpid())) == ""


def test_a_number_that_another_process_has_now_is_of_a_dead_run() -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    process = subprocess.Popen(["sleep", "300"])
    try:
        assert dead_run(lease(process.pid, hour_ago)) == "r1"
    finally:
        process.kill()
        process.wait()


def test_a_zombie_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.02)
    assert dead_run(lease(process.pid)) == "r1"
    process.wait()


@pytest.mark.parametrize("pid", [None, "12", True, 0, 1, -5])
def test_what_is_no_process_proves_nothing(pid: Any) -> None:
    assert dead_run(lease(pid)) == ""


def test_a_lock_of_another_controller_proves_nothing() -> None:
    assert dead_run(lease(ended_pid(), controller="elsewhere")) == ""
    assert dead_run(None) == ""
    assert dead_run({**lease(ended_pid()), "taken_at": "yesterday"}) == ""


def test_the_run_names_itself() -> None:
    found = this_run()
    assert found["controller"] == socket.gethostname()
    assert Path(f"/proc/{found['pid']}").exists()
    assert found["user"]
