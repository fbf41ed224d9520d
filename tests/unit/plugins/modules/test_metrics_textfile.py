# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""metrics_textfile as Ansible runs it, fed with real results of alert_state and guard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.modules import alert_state, guard, metrics_textfile


def run(capsys: pytest.CaptureFixture[str], module: Any, **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        module.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert not found.get("failed"), found
    return found


def test_from_the_results_of_a_run_to_metrics(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o750)
    verdicts = [{"check": "overall_status", "state": "critical"}]
    seen = {"host": "media1", "source": "watch_health", "verdicts": verdicts, "state_dir": str(state)}
    run(capsys, alert_state, **seen, run_id="1")
    alerts = run(capsys, alert_state, **seen, run_id="2")
    entries = [{"action": "restart", "result": "done"}]
    run(capsys, guard, state="recorded", state_dir=str(state), run_id="1", entries=entries)
    run(capsys, guard, state="paused", state_dir=str(state), reason="new disk", pause_for=60)
    stands = run(capsys, guard, state="leased", state_dir=str(state), run_id="2", reason="test")
    assert stands["permitted"] is False

    found = run(
        capsys,
        metrics_textfile,
        textfile_dir=str(tmp_path),
        source="watch_health",
        verdicts=verdicts,
        alerts=alerts,
        guard=stands,
    )
    assert (found["written"], found["changed"]) == (True, False)
    lines = "".join(found["files"].values()).splitlines()
    assert {
        'media_ops_check_state{source="watch_health",check="overall_status"} 3',
        'media_ops_open_alerts{source="watch_health"} 1',
        'media_ops_suppressed_findings{source="watch_health"} 1',
        "media_ops_pending_messages 1",
        'media_ops_recent_actions{action="restart",result="done"} 1',
        "media_ops_lease_held 0",
        "media_ops_paused 1",
    } <= set(lines)
    assert {path: Path(path).read_text(encoding="utf-8") for path in found["files"]} == found["files"]


def test_a_host_without_the_directory_is_warned_of(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a process that has imported Ansible's controller, warnings go to its display instead of the result.
    said: list[str] = []
    monkeypatch.setattr("ansible.module_utils.basic.AnsibleModule.warn", lambda _module, text: said.append(text))
    found = run(capsys, metrics_textfile, textfile_dir=str(tmp_path / "absent"), source="watch_health")
    assert found["written"] is False
    assert "does not exist" in found["reason"]
    assert any("no metrics are written" in text for text in said)
