"""What a host has recovered from: a cause that was treated, and never a routine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.media_ops.runbook.plugins.module_utils.state.recoveries import recoveries


def test_only_a_recovery_from_a_cause_answers_anything(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    assert recoveries(str(tmp_path)) == []
    now = datetime.now(UTC)

    def entry(minutes: float, cause: Any, action: str = "recovered", **more: Any) -> str:
        at = (now - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.dumps({"action": action, "at": at, "cause": cause, **more}) + "\n"

    lines = [
        entry(90, "long ago"),
        entry(50, "ffmpeg"),
        entry(40, "", procedure="weekly_system_cleanup"),
        entry(39, "service", procedure="emergency_restart_graceful"),
        entry(38, "disk", "completed"),
        entry(37, "paged", "paged"),
        entry(36, ["odd"]),
        entry(30, "cloud_storage"),
        entry(-30, "ahead"),
    ]
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text("".join(lines))
    assert [row["cause"] for row in recoveries(str(tmp_path))] == ["cloud_storage", "ffmpeg"]
    ledger.unlink()
    ledger.symlink_to("/dev/null")
    assert recoveries(str(tmp_path)) == [], "what cannot be read excuses no alert"
