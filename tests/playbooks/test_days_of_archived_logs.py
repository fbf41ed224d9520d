# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures of a day whose log is archived before the evening summary has seen all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from media_pipeline.launcher import Pipeline

from tests.playbooks.conftest import REACHED, Play

pytestmark = pytest.mark.playbook


# runbook: DE-1, WL-2
def test_what_a_log_names_is_kept_before_it_is_archived(play: Play, fresh_pipeline: Pipeline, tmp_path: Path) -> None:
    state, archives = tmp_path / "state", tmp_path / "archives"
    for directory in (state, archives):
        directory.mkdir(mode=0o750)
    host: dict[str, Any] = {
        **REACHED,
        "media_ops_api_url": fresh_pipeline.api_url,
        "policy_base_dir": str(fresh_pipeline.base_dir),
        "policy_archive_dir": str(archives),
        "policy_become": False,
    }

    def run(playbook: str, *options: str) -> None:
        done = play(f"playbooks/{playbook}.yml", {"media1": host}, *options, token=fresh_pipeline.token())
        assert done.code == 0, done.output

    def operations() -> list[int]:
        reports = (json.loads(path.read_text(encoding="utf-8")) for path in state.glob("daily_report_*.json"))
        return [report["figures"]["total_operations"] for report in reports]

    # At night the log is rotated, and the service restarted for it: what it did since the evening only the log tells.
    fresh_pipeline.feed(1)
    fresh_pipeline.stop()
    log = fresh_pipeline.log_dir / "media_processing.log"
    log.rename(log.with_name("media_processing.log.1"))
    fresh_pipeline.start()
    run("weekly_log_management", "--check")
    assert operations() == []
    run("weekly_log_management")
    assert len(list(archives.glob("archived_logs_*.tar.*"))) == 1
    assert sum(operations()) == 7

    run("daily_evening_summary")
    assert sum(operations()) == 7
