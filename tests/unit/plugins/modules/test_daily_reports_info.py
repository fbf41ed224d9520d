# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""daily_reports_info as Ansible runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text
from ansible_collections.media_ops.runbook.plugins.modules import daily_reports_info

from tests.unit.plugins.week_factory import NOW, ago, daily


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        daily_reports_info.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# runbook: WP-1
def test_it_reads_and_changes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "daily_report_20261126.json").write_text(json.dumps(daily(ago(24), operations=42)), encoding="utf-8")
    for check_mode in (True, False):
        found = run(capsys, state_dir=str(tmp_path), until=to_text(NOW), _ansible_check_mode=check_mode)
        assert (found["changed"], found["until"]) == (False, "2026-11-27T17:00:00Z")
        assert [day["operations"] for day in found["days"]] == [42]


def test_misuse_fails_and_names_the_option(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = run(capsys, state_dir=str(tmp_path / "nowhere"))
    assert found["failed"] is True
    assert found["msg"].startswith("option 'state_dir' is")
