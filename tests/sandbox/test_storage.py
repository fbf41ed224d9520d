# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reference pipeline with a real S3 store."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_pipeline.launcher import running_pipeline

from tests.s3_store import s3_store


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
