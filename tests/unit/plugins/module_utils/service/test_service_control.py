# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What properties of a unit mean, and the plan made of it. That real units show them is proved in tests/lab."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import plan_hash
from ansible_collections.media_ops.runbook.plugins.module_utils.service.service_control import (
    Service,
    classify,
    restart_plan,
    service_control,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.system.operated import Operated

OPTIONS: dict[str, Any] = {
    "unit": "media-processing-service",
    "process": None,
    "restart_command": [],
    "restart_as_root": False,
    "state": "observed",
    "samples": 1,
    "interval": 1,
    "timeout": 10,
    "kill_after": 1,
    "reason": None,
    "steps": [],
    "plan_hash": None,
    "only_needed": False,
    "health": True,
    "health_timeout": 0.3,
    "health_tries": 2,
    "api_url": "http://localhost:8000/api/v1/monitoring",
    "health_path": "/health",
    "programs": ["ffmpeg", "ffprobe"],
    "work_dir": None,
    "unlisted": ["temp_merge_*"],
    "changed_within": 300,
    "busy_percent": 1,
    "lost_sessions": [],
    "drain": 0,
    "merges_max": None,
}


def sample(**properties: object) -> dict[str, str]:
    sound = {
        "LoadState": "loaded",
        "ActiveState": "active",
        "SubState": "running",
        "Result": "success",
        "MainPID": "100",
        "NRestarts": "0",
        "ExecMainCode": "0",
        "ExecMainStatus": "0",
        "ExecMainStartTimestampMonotonic": "5000",
        "ActiveEnterTimestampMonotonic": "5001",
        "TimeoutStopUSec": "1min 30s",
    }
    return {**sound, **{name: str(value) for name, value in properties.items()}}


FAILED = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "MainPID": 0}


@pytest.mark.parametrize(
    ("samples", "state", "reason"),
    [
        ([sample()] * 3, "running", "pid 100, the same in 3 samples"),
        ([sample(NRestarts=7)] * 2, "running", "pid 100"),
        ([sample(), sample(MainPID=101, NRestarts=1)], "restart_loop", "1 restarts so far"),
        ([sample(), sample(MainPID=100, ExecMainStartTimestampMonotonic=9000)], "activating", "started anew"),
        ([sample(SubState="auto-restart", ActiveState="activating", MainPID=0)], "restart_loop", "restarts it"),
        ([sample(ActiveState="activating", SubState="start")], "activating", "(start)"),
        ([sample(ActiveState="deactivating", SubState="stop-sigterm")], "stopping", "which may take 90 s"),
        (
            [sample(ActiveState="deactivating", SubState="stop-sigterm", TimeoutStopUSec="infinity")],
            "stopping",
            "may take without end",
        ),
        ([sample(SubState="exited", MainPID=0)], "dead", "no main process"),
        ([sample(ActiveState="inactive", SubState="dead", MainPID=0, ExecMainCode=1)], "dead", "exit code 0"),
        (
            [sample(ActiveState="inactive", MainPID=0, ExecMainStartTimestampMonotonic=0)],
            "dead",
            "it is not running",
        ),
        ([sample(**FAILED, ExecMainCode=1, ExecMainStatus=203)], "failed", "203/EXEC"),
        ([sample(**FAILED, ExecMainCode=1, ExecMainStatus=1)], "failed", "exit code 1"),
        ([sample(**FAILED, ExecMainCode=2, ExecMainStatus=9)], "failed", "SIGKILL"),
        ([sample(**FAILED, ExecMainCode=3, ExecMainStatus=11)], "failed", "SIGSEGV, with a core dump"),
        ([sample(**FAILED, ExecMainCode=2, ExecMainStatus=99)], "failed", "signal 99"),
        ([sample(**{**FAILED, "Result": "timeout"})], "failed", "timeout at stop"),
        ([sample(**{**FAILED, "Result": "timeout"}, ActiveEnterTimestampMonotonic=0)], "failed", "timeout at start"),
        ([sample(**{**FAILED, "Result": "oom-kill"})], "failed", "want of memory"),
        ([sample(**FAILED, NRestarts=5, ExecMainCode=1, ExecMainStatus=3)], "start_limit", "after 5 restarts"),
        ([sample(**{**FAILED, "Result": "start-limit-hit"})], "start_limit", "started too often"),
        ([sample(LoadState="masked", MainPID=0)], "masked", "not to be started"),
        ([sample(LoadState="not-found", MainPID=0)], "not_found", "no unit of that name"),
        ([sample(LoadState="bad-setting", MainPID=0)], "unknown", "bad-setting"),
        ([sample(ActiveState="of the future")], "unknown", "of the future"),
        ([{}], "unknown", "cannot be used"),
    ],
)
def test_classes(samples: list[dict[str, str]], state: str, reason: str) -> None:
    found = classify(samples)
    assert found[0] == state
    assert reason in found[1]


def test_one_restart_after_ours_is_a_loop_though_nothing_changes_between_the_samples() -> None:
    samples = [sample(NRestarts=1)] * 3
    assert classify(samples)[0] == "running"
    assert classify(samples, restarts_before=0)[0] == "restart_loop"


@pytest.mark.parametrize(
    ("state", "planned_for"),
    [
        ("running", {"restarted", "force_restarted"}),
        ("activating", {"restarted", "force_restarted"}),
        ("dead", {"started", "restarted", "force_restarted"}),
        ("failed", {"started", "restarted", "force_restarted"}),
        ("restart_loop", {"started", "restarted", "force_restarted"}),
        ("start_limit", {"started", "restarted", "force_restarted"}),
        ("stopping", {"started", "restarted", "force_restarted"}),
        ("masked", set()),
        ("not_found", set()),
        ("unknown", set()),
    ],
)
def test_what_is_planned(state: str, planned_for: set[str]) -> None:
    service = Service(state, "a reason", sample())
    wanted = ("observed", "started", "restarted", "force_restarted")
    assert {one for one in wanted if restart_plan(service, Operated("unit"), one, [], None)} == planned_for


def test_the_hash_is_of_the_main_process_the_class_and_the_method() -> None:
    def of(state: str = "running", wanted: str = "restarted", why: str = "", **properties: object) -> str:
        return plan_hash(restart_plan(Service(state, why, sample(**properties)), Operated("unit"), wanted, ["X"], why))

    assert of() == of(why="other words") == of(TimeoutStopUSec="1s")
    others = [of(MainPID=101), of(ExecMainStartTimestampMonotonic=1), of("failed"), of(wanted="force_restarted")]
    assert len({of(), *others}) == 5


def test_the_plan_says_why() -> None:
    service = Service("failed", "203/EXEC", sample(MainPID=0))
    [action] = restart_plan(service, Operated("unit"), "restarted", ["P0-3C"], None)
    assert (action["why"], action["steps"]) == ("it is failed: 203/EXEC", ["P0-3C"])
    assert (
        restart_plan(service, Operated("unit"), "restarted", [], "line\nof \x1b[31mpeople")[0]["why"]
        == "line of [31mpeople"
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("unit", "a b"), ("unit", ""), ("samples", 0), ("interval", 0), ("timeout", float("nan")), ("kill_after", -1)],
)
def test_misuse_names_the_option(option: str, value: Any) -> None:
    with pytest.raises(OptionError) as error:
        service_control({**OPTIONS, option: value})
    assert error.value.details["option"] == option


def test_systemd_that_does_not_answer_is_unknown_and_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    found = service_control({**OPTIONS, "state": "force_restarted"})
    assert (found["changed"], found["verified"], found["service"]["class"]) == (False, False, "unknown")
    assert "systemd cannot be asked" in found["msg"]
