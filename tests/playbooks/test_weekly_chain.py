"""From a real pipeline and kept reports to the page of the week, through the real modules and filters."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from media_pipeline.launcher import Pipeline

from tests.playbooks.conftest import REACHED, ROOT, Play
from tests.unit.plugins.week_factory import LIMITS, daily

pytestmark = pytest.mark.playbook
BOOK = """
- hosts: all
  gather_facts: false
  vars_files: [ROOT/playbooks/vars/site.yml]
  module_defaults:
    group/media_ops.runbook.api: "{{ media_ops_api }}"
  tasks:
    - name: Read what the host has kept
      media_ops.runbook.daily_reports_info:
        state_dir: "{{ policy_state_dir }}"
      register: kept
    - name: Ask for today
      media_ops.runbook.pipeline_info: {gather: [stats, metrics], stats_hours: 24}
      register: day
    - name: Ask for the week
      media_ops.runbook.pipeline_info: {gather: [stats], stats_hours: 168}
      register: week
    - name: Review
      ansible.builtin.set_fact:
        review: "{{ kept | media_ops.runbook.performance_review(limits, day=day, week=week) }}"
    - name: Keep it on the host
      media_ops.runbook.state_report:
        name: weekly_report
        state_dir: "{{ policy_state_dir }}"
        keep: 60
        content: "{{ review }}"
    - name: Write the page
      ansible.builtin.copy:
        content: "{{ {inventory_hostname: review} | media_ops.runbook.weekly_document(run={'title': 'Week'})
          | media_ops.runbook.render_weekly('ROOT/roles/report/templates/weekly.html.j2') }}"
        dest: "{{ page }}"
        mode: "0640"
    - name: Clean up
      media_ops.runbook.pipeline_cleanup:
        state_dir: "{{ policy_state_dir }}"
        after_max_age: 259200
      register: cleanup
"""


# runbook: WP-1, WP-2, WP-3, WC-1
def test_the_week_from_the_pipeline_to_the_page(play: Play, fresh_pipeline: Pipeline, tmp_path: Path) -> None:
    fresh_pipeline.feed(3)
    fresh_pipeline.feed(1, fault="broken")
    state = tmp_path / "state"
    state.mkdir(mode=0o750)
    now = datetime.now(UTC).replace(microsecond=0)
    for back in range(1, 14):
        end = now - timedelta(days=back)
        kept = daily(end, operations=100, failed=1, average=10.0, sessions=4)
        (state / f"daily_report_{end:%Y%m%d}.json").write_text(json.dumps(kept), encoding="utf-8")
    book, page = tmp_path / "week.yml", tmp_path / "week.html"
    book.write_text(BOOK.replace("ROOT", str(ROOT)), encoding="utf-8")
    host: dict[str, Any] = {**REACHED, "media_ops_api_url": fresh_pipeline.api_url}
    run = play(str(book), {"media1": host}, token=fresh_pipeline.token(), limits=LIMITS, page=str(page))
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
    text = page.read_text(encoding="utf-8")
    assert "the service was restarted, and forgot" in text
    assert "<svg" in text
    cleaned = run.facts("Clean up")["media1"]
    assert (cleaned["changed"], cleaned["plan"]) == (False, []), "nothing of this service is older than a day"

    again = play(str(book), {"media1": host}, "--check", token=fresh_pipeline.token(), limits=LIMITS, page=str(page))
    assert again.code == 0, again.output
    os.utime(written, (time.time() - 4 * 86400,) * 2)
    late = play(str(book), {"media1": host}, "--check", token=fresh_pipeline.token(), limits=LIMITS, page=str(page))
    assert "may be 259200 s old" in late.facts("Clean up")["media1"]["refusals"][0]
