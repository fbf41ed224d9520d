# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reference pipeline with a real S3 store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from media_pipeline.client import wait_for
from media_pipeline.launcher import running_pipeline

from tests.s3_store import running_pid, s3_store

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_upload_to_a_bucket(tmp_path: Path) -> None:
    with s3_store(tmp_path / "store") as store:
        with running_pipeline(tmp_path / "sound", store.env) as pipeline:
            (job,) = pipeline.feed()
            key = f"merged/{job['session_id']}/compressed_merged_video.mp4"
            assert job["result"] == f"s3://{store.bucket}/{key}"
            assert store.keys() == [key]
            (check,) = [c for c in pipeline.get("/health/detailed")["checks"] if c["component"] == "cloud_storage"]
            assert check["status"] == "healthy"

        wrong = "this-secret-is-wrong"
        with running_pipeline(tmp_path / "wrong", {**store.env, "AWS_SECRET_ACCESS_KEY": wrong}) as pipeline:
            (check,) = [c for c in pipeline.get("/health/detailed")["checks"] if c["component"] == "cloud_storage"]
            assert check["status"] == "critical"
            assert "SignatureDoesNotMatch" in check["message"]
            assert pipeline.get("/alerts?level=critical")["alerts"][0]["metadata"]["component"] == "cloud_storage"
            (job,) = pipeline.feed()
            assert (job["status"], job["error_code"]) == ("failed", "STORAGE_UPLOAD_FAILED")
            assert store.keys() == [key]
            assert wrong not in "".join(log.read_text() for log in pipeline.log_dir.iterdir())


@pytest.mark.slow
def test_a_store_for_lab_hosts(tmp_path: Path) -> None:
    directory = tmp_path / "store"

    def call(command: str) -> dict[str, str]:
        argv = [sys.executable, "-m", "tests.s3_store", command, "--directory", str(directory), "--bind", "127.0.0.2"]
        subprocess.run(argv, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": "sandbox"}, timeout=120)
        settings = directory / "store.env"
        return dict(line.split("=", 1) for line in settings.read_text().splitlines()) if settings.exists() else {}

    def buckets(settings: dict[str, str]) -> list[str]:
        client = boto3.client(
            "s3",
            endpoint_url=settings["AWS_S3_ENDPOINT_URL"],
            region_name=settings["AWS_S3_REGION"],
            aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
            config=Config(connect_timeout=5, read_timeout=5),
        )
        return [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]

    def weeds() -> list[int]:
        """Processes that have the store's directory in their arguments."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if f"-dir={directory}/data".encode() in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found

    first = call("start")
    assert first["AWS_S3_ENDPOINT_URL"].startswith("http://127.0.0.2:")
    assert buckets(first) == ["media"]
    pid = running_pid(directory)
    assert call("start") == first, "a second start leaves it alone"
    assert running_pid(directory) == pid

    os.kill(pid, signal.SIGKILL)
    wait_for("the end of weed, whose parent was killed", lambda: not weeds(), 20)
    assert buckets(call("start")) == ["media"], "a start after a crash begins anew"

    assert call("stop") == {}
    assert not directory.exists()
    assert weeds() == []
    call("stop")
