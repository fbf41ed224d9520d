# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""alert_state as Ansible runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.modules import alert_state


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        alert_state.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# runbook: AU-H1, AU-H3
def test_record_then_acknowledge(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = {"state_dir": str(tmp_path / "state"), "create": True, "host": "media1", "source": "watch_health"}
    verdicts = [{"check": "overall_status", "state": "critical"}, {"check": "error_rate", "state": "critical"}]
    found = run(capsys, **options, run_id="1", verdicts=verdicts)
    assert (found["changed"], found["new"]) == (False, 2)
    assert [message["check"] for message in found["messages"]] == ["overall_status", "error_rate"]
    assert run(capsys, **options, run_id="2", verdicts=verdicts)["new"] == 0

    deliveries = [{"id": message["id"], "channels": ["chat"], "complete": True} for message in found["messages"]]
    done = run(capsys, state="acked", state_dir=options["state_dir"], deliveries=deliveries)
    assert (done["acked"], done["messages"], len(done["open"])) == (2, [], 2)
    assert done["suppressed"] == {"watch_health": 2}


def test_misuse_fails_and_names_the_option(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = run(capsys, state_dir=str(tmp_path), host="media1", source="watch_health", run_id="1")
    assert found["failed"] is True
    assert found["msg"] == "option 'verdicts' is []: nothing was judged; at least one verdict is needed"
