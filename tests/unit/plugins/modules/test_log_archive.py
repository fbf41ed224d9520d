# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""log_archive as Ansible runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.modules import log_archive

from tests.unit.plugins.deletion import make


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        log_archive.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# runbook: WL-2, WL-5
def test_check_mode_then_archive_then_nothing_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    make(tmp_path / "logs/application.log.1", content=b"line\n")
    make(tmp_path / "logs/application.log", content=b"x" * 11)
    (tmp_path / "backup").mkdir()
    options = {"log_dir": str(tmp_path / "logs"), "archive_dir": str(tmp_path / "backup"), "date": "2026-11-30"}
    limits = [{"log": "application.log", "max_bytes": 10}]
    planned = run(capsys, **options, limits=limits, _ansible_check_mode=True)
    assert planned["changed"] is True
    assert planned["rotation"]["problems"][0]["problem"] == "beyond_limit"
    assert list((tmp_path / "backup").iterdir()) == []
    done = run(capsys, **options, compression="gzip", plan_hash=run(capsys, **options, compression="gzip",
               _ansible_check_mode=True)["hash"])  # fmt: skip
    assert done["archive"]["path"] == str(tmp_path / "backup/archived_logs_20261130.tar.gz")
    assert run(capsys, **options)["changed"] is False
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["application.log"]


def test_misuse_fails_and_names_the_option(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = run(capsys, log_dir=str(tmp_path), archive_dir="/nonexistent/backup")
    assert found["failed"] is True
    assert found["msg"] == "option 'archive_dir' is '/nonexistent/backup': cannot be used: No such file or directory"
