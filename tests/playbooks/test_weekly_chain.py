"""From a real pipeline and kept reports to the page of the week, through the real modules and filters."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from media_pipeline.launcher import Pipeline

from tests.moved_clock import MovedClock
from tests.playbooks.conftest import REACHED, Play, closed_port
from tests.schemas import RESULT, REVIEW, WEEKLY, problems
from tests.unit.plugins.week_factory import daily

pytestmark = pytest.mark.playbook
PLAYBOOK = "playbooks/weekly_performance_review.yml"


# runbook: WP-1, WP-2, WP-3, WC-1
def test_the_week_from_the_pipeline_to_the_page(
    play: Play, fresh_pipeline: Pipeline, tmp_path: Path, clock: MovedClock
) -> None:
    fresh_pipeline.feed(3)
    fresh_pipeline.feed(1, fault="broken")
    state = tmp_path / "state"
    state.mkdir(mode=0o750)
    now = datetime.now(UTC).replace(microsecond=0)
    for back in range(1, 14):
        end = now - timedelta(days=back)
        kept = daily(end, operations=100, failed=1, average=10.0, sessions=4)
        (state / f"daily_report_{end:%Y%m%d}.json").write_text(json.dumps(kept), encoding="utf-8")
    host: dict[str, Any] = {
        **REACHED,
        "media_ops_api_url": fresh_pipeline.api_url,
        "policy_base_dir": str(fresh_pipeline.base_dir),
        "policy_become": False,
    }
    checked = play(PLAYBOOK, {"media1": host}, "--check", "--diff", token=fresh_pipeline.token())
    assert checked.code == 0, checked.output
    assert not list(state.glob("weekly_report_*.json"))
    run = play(PLAYBOOK, {"media1": host}, token=fresh_pipeline.token())
    assert run.code == 0, run.output

    (written,) = state.glob("weekly_report_*.json")
    review = json.loads(written.read_text(encoding="utf-8"))
    mine = fresh_pipeline.get("/stats?hours=24")
    # The service was started a moment ago: its day is counted beside the six before, and the rest of today is a gap.
    assert review["source"] == "daily"
    assert review["figures"]["total_operations"] == pytest.approx(600 + mine["total_operations"], abs=1)
    failed = round(mine["error_rate"] * mine["total_operations"])
    assert review["figures"]["failed_operations"] == pytest.approx(6 + failed, abs=1)
    assert review["figures"]["peak_active_sessions"] == 4
    assert review["coverage"]["covered_h"] == pytest.approx(144, abs=0.5)
    assert len(review["coverage"]["restarts"]) == 1
    assert review["comparison"]["previous"]["origin"] == "daily"
    assert set(mine["stage_breakdown"]) <= set(review["stages"])
    latest = run.report_dir / "weekly_performance_review" / "latest"
    text = (latest / "weekly.html").read_text(encoding="utf-8")
    assert "the service was restarted, and forgot" in text
    assert "<svg" in text
    week = json.loads((latest / "weekly.json").read_text(encoding="utf-8"))
    assert week["figures"]["total_operations"] == review["figures"]["total_operations"]
    assert problems(WEEKLY, week) == problems(REVIEW, review) == []
    assert "weekly.html" in run.output, "the way to the page is shown"
    assert run.verdict("media1", "week_error_rate", "weekly_performance_review")["state"] == "ok"
    for check in ("overall_status", "figures_kept", "week_coverage"):
        assert run.verdict("media1", check, "weekly_performance_review")["state"] in ("ok", "warning")

    cleanup = "playbooks/weekly_system_cleanup.yml"
    allowed = play(cleanup, {"media1": host}, "--check", token=fresh_pipeline.token())
    assert allowed.code == 0, allowed.output
    with clock.ago(timedelta(days=4)):
        written.write_text(json.dumps(review), encoding="utf-8")
    late = play(cleanup, {"media1": host}, "--check", token=fresh_pipeline.token(), environment=clock.environment)
    assert late.code == 2
    assert "may be 259200" in late.output


def test_a_week_of_which_nothing_is_known_is_a_sound_document(play: Play, tmp_path: Path) -> None:
    """A host without any data, and one that cannot be reached."""
    (tmp_path / "state").mkdir(mode=0o750)
    silent = {**REACHED, "media_ops_api_url": f"http://127.0.0.1:{closed_port()}"}
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": closed_port()}
    run = play(PLAYBOOK, {"silent": silent, "away": away}, token="a-token-for-tests")
    assert run.code == 2, run.output
    latest = run.report_dir / "weekly_performance_review" / "latest"
    week = json.loads((latest / "weekly.json").read_text(encoding="utf-8"))
    assert problems(WEEKLY, week) == problems(RESULT, run.result("weekly_performance_review")) == []
    assert {host["host"]: host["review"]["source"] for host in week["hosts"]} == {"silent": "none", "away": "none"}
    assert week["automation"]["unread"] == ["away"]
    assert list((tmp_path / "state").iterdir()) == [], "a week without figures is not kept"
