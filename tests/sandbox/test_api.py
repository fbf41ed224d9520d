# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reference pipeline keeps the contract of its API: real ffmpeg, real sockets."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from media_pipeline import tokens
from media_pipeline.client import wait_for
from media_pipeline.config import AUTH, JOBS, MONITORING
from media_pipeline.launcher import Pipeline, running_pipeline
from media_pipeline.monitor import LEVELS, STAGES

from tests.sandbox.shapes import ALERT, ALERT_ORIGIN, CHECK, COUNTED, HEALTH, SAMPLE, STAGE, STATS, has_shape

COMPONENTS = [
    "system_resources",
    "ffmpeg",
    "cloud_storage",
    "temp_directory",
    "processing_pipeline",
    "monitoring_system",
    "log_files",
]
PROTECTED = [
    ("GET", "/health/detailed"),
    ("GET", "/stats"),
    ("GET", "/alerts"),
    ("GET", "/metrics/system"),
    ("GET", "/sessions/active"),
    ("POST", "/cleanup"),
]


def is_recent(text: str) -> None:
    """Check that a time is now, in UTC, without a zone mark."""
    when = datetime.fromisoformat(text)
    assert when.tzinfo is None
    assert abs(when.replace(tzinfo=UTC).timestamp() - time.time()) < 300


def is_health(document: dict[str, Any]) -> None:
    has_shape(document, HEALTH)
    is_recent(document["timestamp"])
    assert [check["component"] for check in document["checks"]] == COMPONENTS
    for check in document["checks"]:
        has_shape(check, CHECK)
    states = [check["status"] for check in document["checks"]]
    counts = {state: states.count(state) for state in ("healthy", "warning", "critical")}
    assert document["summary"] == {"total_checks": 7, **counts}


def component(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(check for check in document["checks"] if check["component"] == name)


def test_health_needs_no_token(pipeline: Pipeline) -> None:
    status, document = pipeline.request("GET", MONITORING + "/health", token="")
    assert status == 200
    is_health(document)


def test_health_is_cached_and_detailed_is_fresh(pipeline: Pipeline) -> None:
    first = pipeline.get("/health")
    detailed = pipeline.get("/health/detailed")
    assert pipeline.get("/health") == first
    assert detailed["timestamp"] > first["timestamp"]
    assert pipeline.get("/health/detailed")["timestamp"] > detailed["timestamp"]


def test_health_detailed(pipeline: Pipeline) -> None:
    document = pipeline.get("/health/detailed")
    more = {key: document.pop(key) for key in ("processing_stats_24h", "recent_alerts", "monitoring_system_health")}
    is_health(document)
    has_shape({key: more["processing_stats_24h"][key] for key in STATS}, STATS)
    assert isinstance(more["recent_alerts"], list)
    monitoring = more["monitoring_system_health"]
    has_shape(monitoring, {"status": str, "issues": list, "system_metrics": dict, "recent_stats": dict})
    assert monitoring["recent_stats"]["time_period_hours"] == 1
    assert component(document, "ffmpeg")["details"]["version"].startswith("ffmpeg version")
    assert component(document, "cloud_storage")["message"] == "no bucket configured"
    assert document["total_check_time_ms"] >= 1000  # CPU is measured over a second


def test_a_merge_job(pipeline: Pipeline) -> None:
    before = pipeline.get("/stats?hours=1")["total_operations"]
    (job,) = pipeline.feed(clips=2, user_id="alice")
    assert (job["status"], job["error_code"], job["user_id"]) == ("completed", None, "alice")
    assert Path(job["result"]).stat().st_size > 1000
    assert Path(job["result"]).name == "compressed_merged_video.mp4"
    assert not (pipeline.work_dir / job["session_id"]).exists()
    assert not list(pipeline.upload_dir.glob(f"{job['session_id']}_*"))

    stats = pipeline.get("/stats?hours=1")
    has_shape(stats, STATS | COUNTED)
    is_recent(stats["generated_at"])
    assert stats["total_operations"] >= before + len(STAGES)
    assert stats["successful_operations"] + stats["failed_operations"] == stats["total_operations"]
    assert stats["success_rate"] == stats["successful_operations"] / stats["total_operations"]
    assert stats["success_rate"] + stats["error_rate"] == pytest.approx(1)
    assert set(stats["stage_breakdown"]) == set(STAGES)
    for figures in stats["stage_breakdown"].values():
        has_shape(figures, STAGE)
        assert 0 <= figures["min_duration"] <= figures["average_duration"] <= figures["max_duration"]

    lines = [json.loads(line) for line in (pipeline.log_dir / "media_processing.log").read_text().splitlines()]
    mine = [line for line in lines if line["extra"].get("session_id") == job["session_id"]]
    assert sorted(line["extra"]["stage"] for line in mine) == sorted(STAGES)
    keys = {"timestamp", "level", "logger", "message", "module", "function", "line", "process_id", "thread_id", "extra"}
    for line in mine:
        assert line.keys() == keys
        assert line["process_id"] == pipeline.pid
        is_recent(line["timestamp"])
        assert {"duration_seconds", "file_size_bytes", "video_count", "success"} <= line["extra"].keys()
        assert line["extra"]["video_count"] == 2


def test_a_broken_clip(pipeline: Pipeline) -> None:
    (job,) = pipeline.feed(fault="broken", user_id="bob")
    assert (job["status"], job["error_code"], job["stage"]) == ("failed", "FFMPEG_FAILED", "upload")
    assert pipeline.get("/stats?hours=1")["error_breakdown"]["FFMPEG_FAILED"] >= 1

    answer = pipeline.get("/alerts?level=error&limit=200")
    has_shape(answer, {"alerts": list, "total_returned": int, "filter_level": str, "generated_at": str})
    assert answer["total_returned"] == len(answer["alerts"])
    (alert,) = [alert for alert in answer["alerts"] if alert["session_id"] == job["session_id"]]
    has_shape(alert, ALERT | ALERT_ORIGIN)
    assert (alert["level"], alert["stage"], alert["user_id"]) == ("error", "upload", "bob")
    assert "ffmpeg version" in alert["message"]  # its banner ...
    assert "moov atom not found" in alert["message"]  # ... and what it really said
    assert "Traceback" in alert["metadata"]["traceback"]

    for name in ("media_processing.log", "errors.log"):
        lines = [json.loads(line) for line in (pipeline.log_dir / name).read_text().splitlines()]
        (line,) = [line for line in lines if line["extra"].get("session_id") == job["session_id"]]
        assert line["level"] == "ERROR"
        assert line["extra"]["error_code"] == "FFMPEG_FAILED"
        assert line["extra"]["error_message"] == alert["message"]
        assert line["extra"]["input_format"] == "mp4"
        assert line["extra"]["success"] is False
        assert "StageError" in line["exception"]


@pytest.mark.parametrize(("fault", "why"), [("empty", "empty file"), ("type", "unsupported type .txt")])
def test_input_that_is_refused(pipeline: Pipeline, fault: str, why: str) -> None:
    (job,) = pipeline.feed(fault=fault)
    assert (job["status"], job["error_code"]) == ("failed", "VALIDATION_FAILED")
    lines = [json.loads(line) for line in (pipeline.log_dir / "errors.log").read_text().splitlines()]
    (line,) = [line for line in lines if line["extra"].get("session_id") == job["session_id"]]
    assert line["extra"]["validation_error"] == why


def test_input_that_is_too_large(pipeline: Pipeline) -> None:
    path = pipeline.upload_dir / "huge.mp4"
    with path.open("wb") as file:
        file.truncate(2048 * 1024 * 1024 + 1)
    job = pipeline.wait(pipeline.submit([path]))
    assert (job["status"], job["error_code"]) == ("failed", "VALIDATION_FAILED")
    assert "too large" in job["error_message"]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_tokens(pipeline: Pipeline, method: str, path: str) -> None:
    def status(token: str) -> int:
        return pipeline.request(method, MONITORING + path, token=token)[0]

    assert status("") == 403
    assert status(pipeline.token(ttl=-1)) == 401
    assert status("not.a.token") == 401
    assert status(tokens.make("another secret, long enough", 60)) == 401


def test_login_and_refresh_give_tokens_to_whoever_knows_the_password(tmp_path: Path) -> None:
    with running_pipeline(
        tmp_path / "pipeline", {"PIPELINE_PASSWORD": "of ops", "PIPELINE_TOKEN_SECONDS": "60"}
    ) as one:
        good = {"username": "ops", "password": "of ops"}
        assert one.request("POST", f"{AUTH}/login", {**good, "password": ""}, token="")[0] == 401
        status, given = one.request("POST", f"{AUTH}/login", good, token="")
        assert (status, given["token_type"], given["expires_in"]) == (200, "bearer", 60)
        status, again = one.request("POST", f"{AUTH}/refresh", {"refresh_token": given["refresh_token"]}, token="")
        assert status == 200
        for token, taken in ((given["access_token"], 200), (again["access_token"], 200), (given["refresh_token"], 401)):
            assert one.request("GET", f"{MONITORING}/stats", token=token)[0] == taken
        assert one.request("POST", f"{AUTH}/refresh", {"refresh_token": given["access_token"]}, token="")[0] == 401


def test_without_a_password_nobody_gets_a_token(pipeline: Pipeline) -> None:
    assert pipeline.request("POST", f"{AUTH}/login", {"username": "ops", "password": ""}, token="")[0] == 401


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/stats?hours=1", 200),
        ("/stats?hours=168", 200),
        ("/stats?hours=0", 422),
        ("/stats?hours=169", 422),
        ("/stats?hours=x", 422),
        ("/metrics/system?hours=0", 422),
        ("/metrics/system?hours=169", 422),
        ("/alerts?limit=200", 200),
        ("/alerts?limit=0", 422),
        ("/alerts?limit=201", 422),
        ("/alerts?level=fatal", 400),
        *[(f"/alerts?level={level}", 200) for level in LEVELS],
    ],
)
def test_parameters(pipeline: Pipeline, path: str, expected: int) -> None:
    status, document = pipeline.request("GET", MONITORING + path)
    assert status == expected
    assert ("detail" in document) == (expected != 200)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ([], "body"),
        ({"user_id": "u"}, "inputs"),
        ({"inputs": [], "user_id": "u"}, "inputs"),
        ({"inputs": ["../../etc/passwd"], "user_id": "u"}, "inputs"),
        ({"inputs": ["/etc/passwd"], "user_id": "u"}, "inputs"),
        ({"inputs": ["a.mp4"]}, "user_id"),
        ({"inputs": ["a.mp4"], "user_id": "u", "height": 3}, "height"),
        ({"inputs": ["a.mp4"], "user_id": "u", "preset": "warp"}, "preset"),
        ({"inputs": ["a.mp4"], "user_id": "u", "live": "yes"}, "live"),
    ],
)
def test_a_job_request_that_cannot_be_right(pipeline: Pipeline, body: Any, named: str) -> None:
    status, document = pipeline.request("POST", JOBS, body)
    assert status == 422
    assert document["detail"].startswith(named)


def test_an_unknown_job(pipeline: Pipeline) -> None:
    assert pipeline.request("GET", JOBS + "/nothing")[0] == 404


def test_samples(pipeline: Pipeline) -> None:
    def sampled() -> Any:
        answer = pipeline.get("/metrics/system?hours=1")
        return answer if answer["metrics"] else None

    answer = wait_for("the sample at the start", sampled)
    has_shape(answer, {"metrics_count": int, "metrics": list})
    assert answer["metrics_count"] == len(answer["metrics"])
    has_shape(answer["metrics"][0], SAMPLE)
    is_recent(answer["metrics"][0]["timestamp"])


def test_cleanup_keeps_what_is_recent(pipeline: Pipeline) -> None:
    pipeline.feed()
    before = pipeline.get("/stats?hours=24")["total_operations"]
    status, answer = pipeline.request("POST", MONITORING + "/cleanup")
    assert status == 200
    is_recent(answer.pop("cleaned_at"))
    assert answer == {
        "message": "Monitoring data cleanup completed",
        "cleaned_processing_metrics": 0,
        "cleaned_system_metrics": 0,
        "cleaned_alerts": 0,
    }
    assert pipeline.get("/stats?hours=24")["total_operations"] >= before > 0


def test_ffmpeg_that_does_not_run(fresh_pipeline: Pipeline) -> None:
    assert fresh_pipeline.get("/health")["overall_status"] == "healthy"
    fresh_pipeline.break_ffmpeg()
    assert fresh_pipeline.get("/health")["overall_status"] == "healthy"  # a minute old
    detailed = fresh_pipeline.get("/health/detailed")
    assert detailed["overall_status"] == "critical"
    assert component(detailed, "ffmpeg")["message"] == "ffmpeg cannot be started: Permission denied"
    fresh_pipeline.get("/health/detailed")  # still so: one alert, not one for each look
    (alert,) = fresh_pipeline.get("/alerts?level=critical")["alerts"]
    assert alert["metadata"]["component"] == "ffmpeg"
    (job,) = fresh_pipeline.feed(fault="broken")
    assert (job["error_code"], job["error_message"]) == ("FFMPEG_FAILED", "ffmpeg cannot be started: Permission denied")
    fresh_pipeline.repair_ffmpeg()
    (job,) = fresh_pipeline.feed()
    assert job["status"] == "completed"
    assert component(fresh_pipeline.get("/health/detailed"), "ffmpeg")["status"] == "healthy"
    (alert,) = fresh_pipeline.get("/alerts?level=info")["alerts"]
    assert alert["title"] == "ffmpeg is no longer critical"


def test_a_service_that_found_no_ffmpeg_at_its_start_goes_on_without(tmp_path: Path) -> None:
    env = {"PIPELINE_FFMPEG_LOOKED_FOR": "start", "PIPELINE_IGNORES": "PROCESSING_TIMEOUT", "PROCESSING_TIMEOUT": "77"}
    with running_pipeline(tmp_path, env) as pipeline:
        (job,) = pipeline.feed()
        assert job["status"] == "completed", "it was there when the service started"
        pipeline.break_ffmpeg()
        pipeline.restart()
        pipeline.repair_ffmpeg()
        assert component(pipeline.get("/health/detailed"), "ffmpeg")["status"] == "critical"
        (job,) = pipeline.feed(clips=3)
        assert job["status"] == "completed", "with one clip of three"
        assert not [name for name in job["inputs"] if Path(name).exists()]
        pipeline.restart()
        assert component(pipeline.get("/health/detailed"), "ffmpeg")["status"] == "healthy"
        settings = [
            line for line in (pipeline.log_dir / "application.log").read_text().splitlines() if "Settings:" in line
        ]
        assert len(settings) == 3
        assert "PROCESSING_TIMEOUT=300 MAX_CONCURRENT_SESSIONS=4 LOG_LEVEL=INFO" in settings[-1], (
            "the one it was set to is not read"
        )


@pytest.mark.parametrize(("style", "expected"), [("document", 503), ("hidden", 500)])
def test_critical_health(tmp_path: Path, style: str, expected: int) -> None:
    with running_pipeline(tmp_path, {"PIPELINE_HEALTH_503": style}) as pipeline:
        pipeline.break_ffmpeg()
        status, document = pipeline.request("GET", MONITORING + "/health", token="")
        assert status == expected
        assert list(document) == ["detail"]
        if style == "document":
            is_health(document["detail"])
            assert document["detail"]["overall_status"] == "critical"
        else:
            assert document["detail"] == "Health check failed"
            last = json.loads((pipeline.log_dir / "errors.log").read_text().splitlines()[-1])
            assert component(last["extra"], "ffmpeg")["status"] == "critical"


def test_a_restart_loses_all_data(fresh_pipeline: Pipeline) -> None:
    (job,) = fresh_pipeline.feed(fault="empty")
    address, pid = fresh_pipeline.api_url, fresh_pipeline.pid
    assert fresh_pipeline.get("/stats")["total_operations"] == 1
    fresh_pipeline.restart()
    assert (fresh_pipeline.api_url, fresh_pipeline.pid != pid) == (address, True)
    stats = fresh_pipeline.get("/stats")
    has_shape(stats, STATS)  # without successful_operations and failed_operations
    assert (stats["total_operations"], stats["success_rate"], stats["error_rate"]) == (0, 0.0, 0.0)
    assert stats["stage_breakdown"] == stats["error_breakdown"] == {}
    assert fresh_pipeline.get("/alerts")["alerts"] == []
    assert fresh_pipeline.request("GET", f"{JOBS}/{job['session_id']}")[0] == 404
    assert job["session_id"] in (fresh_pipeline.log_dir / "errors.log").read_text()
