# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""state_report as Ansible runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.modules import state_report


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args({"name": "daily_report", **options}), pytest.raises(SystemExit):
        state_report.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# runbook: DE-1
def test_check_mode_then_write_then_nothing_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = {"state_dir": str(tmp_path), "content": {"total_operations": 3}, "date": "20261124"}
    planned = run(capsys, **options, _ansible_check_mode=True, _ansible_diff=True)
    assert planned["changed"] is True
    assert json.loads(planned["diff"]["after"]) == {"total_operations": 3}
    assert list(tmp_path.iterdir()) == []

    written = run(capsys, **options)
    assert (written["changed"], written["path"]) == (True, str(tmp_path / "daily_report_20261124.json"))
    assert "diff" not in written
    assert run(capsys, **options)["changed"] is False


def test_misuse_fails_and_names_the_option(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = run(capsys, state_dir=str(tmp_path), content={}, date="tomorrow")
    assert found["failed"] is True
    assert found["msg"] == "option 'date' is 'tomorrow': must be a day as YYYYMMDD or YYYY-MM-DD"


def test_a_mode_without_quotes_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = run(capsys, state_dir=str(tmp_path), content={}, mode=0o640)
    assert found["failed"] is True
    assert "0640" in found["msg"]
