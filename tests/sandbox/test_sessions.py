# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions of the reference pipeline that hang, are slow, are orphaned or lose their worker."""

from __future__ import annotations

import contextlib
import json
import signal
from pathlib import Path

import psutil
from media_pipeline.client import wait_for
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.sandbox.shapes import SESSION, has_shape


def children(pipeline: Pipeline, session_id: str) -> list[psutil.Process]:
    """Return the service's ffmpeg processes of a session."""
    found = []
    for process in psutil.Process(pipeline.pid).children():
        with contextlib.suppress(psutil.Error):  # it has ended since
            if any(session_id in part for part in process.cmdline()):
                found.append(process)
    return found


def alive(process: psutil.Process) -> bool:
    """Tell whether a process still runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def thread_waits(process: psutil.Process) -> set[str]:
    """Return the names of the kernel functions that a process's threads wait in."""
    return {path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/wchan")}


def waits_for_a_writer(process: psutil.Process) -> None:
    """Wait until ffmpeg has said what it says at its start, and waits in open() for the FIFO's writer."""
    wait_for("the wait for a writer", lambda: "wait_for_partner" in thread_waits(process))


def test_a_live_source_that_nobody_writes(fresh_pipeline: Pipeline) -> None:
    (job,) = fresh_pipeline.feed(fault="fifo", user_id="carol")
    session_id = job["session_id"]
    assert (job["status"], job["stage"]) == ("running", "preparation")
    (child,) = children(fresh_pipeline, session_id)
    directory = fresh_pipeline.work_dir / session_id
    assert child.cmdline()[0] == "ffmpeg"
    assert str(directory / "prepared_00.mp4") in child.cmdline()
    (entry,) = fresh_pipeline.listed(session_id)
    has_shape(entry, SESSION)
    assert (entry["stage"], entry["user_id"]) == ("preparation", "carol")
    assert entry["duration_minutes"] == entry["duration_seconds"] / 60

    # No progress: its start-up over, it uses no CPU, and makes no output.
    waits_for_a_writer(child)
    assert list(directory.iterdir()) == []

    # Its process ends: the stage fails, and the session leaves the list.
    child.kill()
    ended = fresh_pipeline.wait(session_id)
    assert (ended["status"], ended["error_code"]) == ("failed", "FFMPEG_FAILED")
    assert fresh_pipeline.listed(session_id) == []
    assert directory.is_dir()  # a failed session leaves its files behind


def test_longest_first_and_the_limit_of_sessions(tmp_path: Path) -> None:
    with running_pipeline(tmp_path, {"MAX_CONCURRENT_SESSIONS": "2"}) as pipeline:
        hanging = pipeline.feed(2, fault="fifo")
        answer = pipeline.get("/sessions/active")
        ages = [entry["duration_seconds"] for entry in answer["active_sessions"]]
        assert answer["total_active"] == 2
        assert ages == sorted(ages, reverse=True)
        waiting = pipeline.submit([pipeline.upload_dir / "none.mp4"])
        assert pipeline.job(waiting)["status"] == "queued"
        (child,) = children(pipeline, hanging[0]["session_id"])
        child.kill()
        assert pipeline.wait(waiting)["error_code"] == "VALIDATION_FAILED"


def test_a_session_that_loses_its_worker(fresh_pipeline: Pipeline) -> None:
    (job,) = fresh_pipeline.feed(fault="latin1")
    session_id = job["session_id"]
    errors = fresh_pipeline.log_dir / "errors.log"
    wait_for("the worker's end", lambda: "UnicodeDecodeError" in errors.read_text())
    assert children(fresh_pipeline, session_id) == []
    assert [entry["stage"] for entry in fresh_pipeline.listed(session_id)] == ["analysis"]
    (line,) = [json.loads(line) for line in errors.read_text().splitlines()]
    assert session_id in line["message"]
    fresh_pipeline.restart()
    assert fresh_pipeline.listed(session_id) == []


def test_a_blocked_pipe_and_a_session_listed_twice(fresh_pipeline: Pipeline) -> None:
    (job,) = fresh_pipeline.feed(fault="noisy")
    session_id = job["session_id"]
    wait_for(
        "two full pipes",
        lambda: (
            sum(
                any("pipe_write" in where for where in thread_waits(child))
                for child in children(fresh_pipeline, session_id)
            )
            == 2
        ),
    )
    assert {entry["stage"] for entry in fresh_pipeline.listed(session_id)} == {"analysis", "preparation"}
    assert fresh_pipeline.get("/sessions/active")["total_active"] == 2


def test_a_stage_that_takes_too_long(tmp_path: Path) -> None:
    with running_pipeline(tmp_path, {"PROCESSING_TIMEOUT": "2", "PIPELINE_SLOW_SECONDS": "1"}) as pipeline:
        (job,) = pipeline.feed(fault="fifo")
        ended = pipeline.wait(job["session_id"])
        assert (ended["status"], ended["error_code"]) == ("failed", "PROCESSING_TIMEOUT")
        assert children(pipeline, job["session_id"]) == []
        assert pipeline.get("/stats?hours=1")["error_breakdown"] == {"PROCESSING_TIMEOUT": 1}
        (alert,) = pipeline.get("/alerts?level=warning")["alerts"]
        assert alert["stage"] == "preparation"
        (line,) = [json.loads(line) for line in (pipeline.log_dir / "performance.log").read_text().splitlines()]
        extra = line["extra"]
        assert extra["operation"] == "preparation"
        assert extra["session_id"] == job["session_id"]
        assert extra["threshold_seconds"] == 1
        assert extra["performance_ratio"] == extra["duration_seconds"] >= 2


def test_slow_work_shows_progress(fresh_pipeline: Pipeline) -> None:
    (job,) = fresh_pipeline.feed(fault="slow")
    session_id = job["session_id"]

    def cpu() -> float:
        spent = 0.0
        for child in children(fresh_pipeline, session_id):
            with contextlib.suppress(psutil.Error):
                spent += sum(child.cpu_times()[:2])
        return spent

    before = cpu()
    wait_for("more CPU time", lambda: cpu() > before + 0.2)
    assert any(entry["memory_usage_mb"] > 1 for entry in fresh_pipeline.listed(session_id))


def test_a_killed_service_leaves_orphans_and_a_stop_does_not(fresh_pipeline: Pipeline) -> None:
    (job,) = fresh_pipeline.feed(fault="fifo")
    (child,) = children(fresh_pipeline, job["session_id"])
    waits_for_a_writer(child)  # one that still writes would end by SIGPIPE
    fresh_pipeline.kill()
    assert alive(child)
    # A health check's ffmpeg -version may have been left behind too; it ends by itself.
    wait_for("one orphan", lambda: [process.pid for process in fresh_pipeline.orphans()] == [child.pid])
    fresh_pipeline.start()
    assert fresh_pipeline.listed(job["session_id"]) == []
    (again,) = fresh_pipeline.feed(fault="fifo")
    (second,) = children(fresh_pipeline, again["session_id"])
    service = psutil.Process(fresh_pipeline.pid)
    service.send_signal(signal.SIGTERM)  # as systemd would
    service.wait(20)
    wait_for("end of the service's child", lambda: not alive(second))
    assert alive(child)
    fresh_pipeline.stop()
    wait_for("end of the orphan", lambda: not alive(child))
