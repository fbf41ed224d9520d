# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the reference pipeline, its settings and its tokens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from media_pipeline import config, tokens
from media_pipeline.launcher import Pipeline
from media_pipeline.monitor import MAX_ALERTS, MAX_OPERATIONS, Monitor

SECRET = "a secret that is long enough"


def command(pipeline: Pipeline, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **pipeline.env}
    call = [sys.executable, "-m", "media_pipeline", *arguments]
    return subprocess.run(call, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_token(pipeline: Pipeline) -> None:
    token = command(pipeline, "token", "--ttl", "60").stdout.strip()
    assert pipeline.request("GET", config.MONITORING + "/stats", token=token)[0] == 200
    token = command(pipeline, "token", "--ttl", "-60").stdout.strip()
    assert pipeline.request("GET", config.MONITORING + "/stats", token=token)[0] == 401


def test_feed(pipeline: Pipeline) -> None:
    done = command(pipeline, "feed", "--jobs", "2", "--fault", "empty")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[1:] for line in lines] == [["failed", "VALIDATION_FAILED", "upload"]] * 2


def test_tokens_hold_until_they_expire() -> None:
    token = tokens.make(SECRET, 10, "ops", now=1000)
    assert tokens.check(token, SECRET, now=1009) == {"sub": "ops", "iat": 1000, "exp": 1010, "type": "access"}
    with pytest.raises(tokens.TokenError, match="expired"):
        tokens.check(token, SECRET, now=1010)
    for bad in ("", "a.b", token[:-2], token + "x", "e30.e30.", token.replace(".", "", 1)):
        with pytest.raises(tokens.TokenError, match="Invalid"):
            tokens.check(bad, SECRET, now=1000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROCESSING_TIMEOUT", "soon"),
        ("PROCESSING_TIMEOUT", "-1"),
        ("PROCESSING_TIMEOUT", "nan"),
        ("MAX_CONCURRENT_SESSIONS", "0"),
        ("MAX_CONCURRENT_SESSIONS", "1.5"),
        ("LOG_LEVEL", "LOUD"),
        ("PIPELINE_PORT", "65536"),
        ("PIPELINE_HEALTH_503", "maybe"),
        ("PIPELINE_FFMPEG_LOOKED_FOR", "never"),
        ("PIPELINE_IGNORES", "PATH"),
        ("PIPELINE_JWT_SECRET", "short"),
    ],
)
def test_settings_that_cannot_be_right(pipeline: Pipeline, name: str, value: str) -> None:
    with pytest.raises(config.SettingError, match=name) as caught:
        config.load({"PIPELINE_JWT_SECRET": SECRET, name: value})
    assert name == "PIPELINE_JWT_SECRET" or value in str(caught.value)


def test_secrets_are_not_in_the_settings_text() -> None:
    env = {"PIPELINE_JWT_SECRET": SECRET, "AWS_S3_BUCKET_NAME": "b", "AWS_SECRET_ACCESS_KEY": "canary-key"}
    text = repr(config.load(env))
    assert "bucket='b'" in text
    assert SECRET not in text
    assert "canary" not in text


def test_a_wrong_setting_ends_the_service_with_a_message(tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(Path(config.__file__).parents[1]), "PIPELINE_JWT_SECRET": SECRET, "LOG_LEVEL": "LOUD"}
    call = [sys.executable, "-m", "media_pipeline"]
    done = subprocess.run(call, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("media_pipeline: LOG_LEVEL='LOUD'")
    assert list(tmp_path.iterdir()) == []


def test_memory_is_bounded_and_old_data_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000_000.0]
    monkeypatch.setattr("media_pipeline.monitor.time.time", lambda: clock[0])
    settings = config.load({"PIPELINE_JWT_SECRET": SECRET, "PIPELINE_BASE_DIR": str(tmp_path)})
    settings.temp_dir.mkdir()
    monitor = Monitor(settings)
    monitor.sample()
    for number in range(MAX_OPERATIONS + 5):
        running = monitor.begin(f"s{number}", "u", "upload")
        monitor.end(running, "MERGE_ERROR" if number < 5 else None)
    for number in range(MAX_ALERTS + 5):
        monitor.alert("info", "t", str(number))
    assert monitor.stats(1)["total_operations"] == MAX_OPERATIONS
    assert monitor.stats(1)["error_breakdown"] == {}  # the first five have gone
    alerts = monitor.alerts(None, MAX_ALERTS + 5)
    assert (len(alerts), alerts[0]["message"], alerts[-1]["message"]) == (MAX_ALERTS, str(MAX_ALERTS + 4), "5")
    clock[0] += 24 * 3600 + 1
    monitor.end(monitor.begin("new", "u", "merging"))
    assert monitor.stats(24)["total_operations"] == 1
    assert monitor.stats(168)["total_operations"] == MAX_OPERATIONS
    gone_samples = 1
    assert monitor.forget_old() == (MAX_OPERATIONS - 1, gone_samples, len(alerts))
    assert monitor.stats(168)["total_operations"] == 1
