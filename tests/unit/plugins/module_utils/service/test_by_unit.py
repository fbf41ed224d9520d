# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What properties of a unit mean. That real units show them is proved in tests/lab."""

from __future__ import annotations

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.service.by_unit import classify


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
