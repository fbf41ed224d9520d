# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""archive_copy as Ansible runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.modules import archive_copy

CANARY = "canary/Secret+of/the-service0123456789"
NAME = "archived_logs_20261130.tar.gz"


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        archive_copy.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Of a service whose store does not run."""
    environment = tmp_path / "service.env"
    environment.write_text(
        "AWS_S3_BUCKET_NAME=media\nAWS_S3_ENDPOINT_URL=http://127.0.0.1:1\nAWS_ACCESS_KEY_ID=AKIACANARYCANARY0001\n"
        f"AWS_SECRET_ACCESS_KEY={CANARY}\n"
    )
    archives = tmp_path / "backup"
    archives.mkdir()
    (archives / NAME).write_bytes(b"an archive")
    given = {"archive_dir": str(archives), "bucket": "backups", "prefix": "web1/", "retries": 0}
    return {**given, "environment_file": str(environment)}


# runbook: WL-3
def test_a_store_that_is_down_is_an_action_that_failed(
    capsys: pytest.CaptureFixture[str], options: dict[str, Any]
) -> None:
    planned = run(capsys, **options, _ansible_check_mode=True)
    done = run(capsys, **options, plan_hash=planned["hash"])
    for found, result in ((planned, "planned"), (done, "failed")):
        assert "failed" not in found
        assert (found["state"], found["changed"], found["plan"][0]["result"]) == ("refused", False, result)
        assert found["msg"].startswith("0 of 1 archives have a verified copy in s3://backups/web1/; 1 archive to ")
        assert not {"skipped", "results"} & found.keys(), "Ansible takes these for its own"
        assert CANARY not in json.dumps(found)
        assert "AKIACANARYCANARY0001" not in json.dumps(found)
    assert planned["hash"] == done["hash"]


def test_misuse_fails_and_names_the_option(capsys: pytest.CaptureFixture[str], options: dict[str, Any]) -> None:
    found = run(capsys, **{**options, "part_size": 1})
    assert found["failed"] is True
    assert found["msg"] == "option 'part_size' is 1: must be 5242880 (5 MiB) to 1073741824 (1 GiB)"
    assert "missing required arguments: bucket, prefix" in run(capsys, archive_dir="/backup/logs", unit="a")["msg"]
    assert "mutually exclusive" in run(capsys, **options, unit="media-processing-service")["msg"]
    drifted = run(capsys, **options, plan_hash="0" * 12)
    assert "the plan has drifted" in drifted["msg"]
