"""Reading what a host has kept: documents that the collection's own code wrote, and what may lie beside them."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError
from ansible_collections.media_ops.runbook.plugins.module_utils.review.daily_reports_info import daily_reports_info
from ansible_collections.media_ops.runbook.plugins.module_utils.state.guard import guard
from ansible_collections.media_ops.runbook.plugins.module_utils.state.state_report import state_report
from ansible_collections.media_ops.runbook.plugins.module_utils.times import from_text, to_text
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.ledger import begun, entries
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.review import review

from tests.unit.plugins.week_factory import LIMITS, NOW, ago, daily, service_week, today


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o750)
    return directory


def keep(state: Path, name: str, end: datetime, content: dict[str, Any]) -> Path:
    options = {"create": False, "keep": 99, "volatile": [], "mode": "0640", "max_bytes": 5 << 20}
    kept = state_report({"name": name, "date": f"{end:%Y%m%d}", "content": content, "state_dir": str(state), **options})
    return Path(kept["path"])


def record(state: Path, run: str, *entries: dict[str, Any]) -> None:
    options = {"ttl": 900, "hours": 24, "ledger_max_bytes": 1 << 20}
    guard({"state": "recorded", "state_dir": str(state), "run_id": run, "entries": list(entries), **options})


def read(state: Path, **options: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "until": to_text(NOW), "ledger_hours": 168, "ledger_max_bytes": 1 << 20, "max_bytes": 5 << 20,
        "log": None, "days": [], "seen": None, "reports": False,
    }  # fmt: skip
    return daily_reports_info({"state_dir": str(state), **defaults, **options})


# runbook: WP-1, WP-2, WP-3
def test_five_weeks_of_files_come_back_as_figures_and_make_a_review(state: Path) -> None:
    for back in range(1, 40):
        end = ago(24 * back)
        keep(state, "daily_report", end, daily(end, operations=100, failed=1, sessions=1 + back % 5))
    last = review(read(state, until=to_text(ago(168))), thresholds=LIMITS, now=ago(168))
    keep(state, "weekly_report", ago(168), last)
    restart = {"action": "restart", "result": "done", "cause": "service", "target": "media-processing-service"}
    record(state, "run1", restart)
    record(state, "run2", restart, {"action": "delete", "result": "skipped", "target": "x.tmp"})

    kept = read(state)
    assert len(kept["days"]) == 36  # of five weeks, and the one at the border
    assert [week["file"] for week in kept["weeks"]] == ["weekly_report_20261120.json"]
    assert kept["unreadable"] == []
    assert len(json.dumps(kept)) < 40_000, "samples stay on the host"
    found = review(
        kept, thresholds=LIMITS, day=today(operations=100, failed=1), week=service_week(100, failed=1), now=NOW
    )
    assert found["figures"]["total_operations"] == 700
    assert found["comparison"]["previous"]["origin"] == "review"
    assert found["comparison"]["previous"]["figures"]["total_operations"] == 700
    assert found["comparison"]["mean"]["weeks"] == 4
    assert (found["coverage"]["share"], found["coverage"]["proved_h"]) == (1.0, 168.0)
    assert found["figures"]["peak_active_sessions"] == 5
    assert {row["verdict"] for row in found["degradation"]} == {"noise"}
    assert (found["automation"]["rows"][0]["action"], found["automation"]["rows"][0]["runs"]) == ("restart", 2)
    assert found["automation"]["not_attempted"] == 1


def test_a_run_that_died_is_told_from_one_that_still_runs(state: Path) -> None:
    """By the lines that the role writes, and the lease that a run holds while it acts."""
    planned = {"action": "restart", "target": "media-processing-service", "steps": [], "why": "down", "msg": ""}
    rung = {
        "cause": "service",
        "act": "service_control",
        "rung": "Restart",
        "actions": [{**planned, "result": "planned"}],
    }
    began = begun(rung, controller="ops1", user="alice")
    record(state, "whole", *began)
    ended = {"plan": [{**planned, "result": "done", "msg": "it runs"}]}
    record(state, "whole", *entries(rung, ended, controller="ops1", user="alice"))
    record(state, "dead", *began)
    held = {
        "ttl": 900,
        "hours": 24,
        "ledger_max_bytes": 1 << 20,
        "state_dir": str(state),
        "reason": "down",
        "entries": [],
    }
    assert guard({"state": "leased", "run_id": "going_on", **held})["permitted"]
    record(state, "going_on", *began)

    found = read(state)["actions"]
    assert (found["attempts"], found["not_attempted"], found["runs"]) == (2, 0, {"restart": 2})
    assert [(row["done"], row["failed"], row["interrupted"]) for row in found["rows"]] == [(1, 0, 1)]
    (died,) = found["interrupted"]
    assert from_text(died.pop("at"))
    assert died == {
        "action": "restart", "cause": "service", "target": "media-processing-service", "run_id": "dead",
        "controller": "ops1",
    }  # fmt: skip

    guard({"state": "released", "run_id": "going_on", **held})
    assert {row["run_id"] for row in read(state)["actions"]["interrupted"]} == {"dead", "going_on"}


def test_what_is_no_report_is_named_and_hides_no_other(state: Path, tmp_path: Path) -> None:
    keep(state, "daily_report", ago(24), daily(ago(24)))
    (state / "daily_report_20261125.json").write_text('{"stats": {"total_oper', encoding="utf-8")
    (state / "daily_report_20261124.json").write_bytes(b"\xff\xfe\x00")
    (state / "daily_report_20261123.json").write_text("[" * 100_000, encoding="utf-8")
    (state / "weekly_report_20261120.json").write_text('{"total_operations": 5}', encoding="utf-8")
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(daily(ago(48))), encoding="utf-8")
    (state / "daily_report_20261122.json").symlink_to(secret)
    os.mkfifo(state / "daily_report_20261121.json")
    (state / "daily_report_20261120.json").mkdir()
    (state / "daily_report_2026112.json").write_text("{}", encoding="utf-8")  # of no date: nobody's
    kept = read(state)
    assert [day["day"] for day in kept["days"]] == ["2026-11-26"]
    assert {row["file"]: row["why"] for row in kept["unreadable"]} == {
        "daily_report_20261120.json": f"{state}/daily_report_20261120.json is a directory",
        "daily_report_20261121.json": "it is not a regular file that can be read, or too large",
        "daily_report_20261122.json": "it is not a regular file that can be read, or too large",
        "daily_report_20261123.json": "it is no JSON",
        "daily_report_20261124.json": "it is no JSON",
        "daily_report_20261125.json": "it is no JSON",
        "weekly_report_20261120.json": "it is not a weekly review of this collection",
    }
    assert kept["unreadable_count"] == 7
    notes = review(kept, thresholds=LIMITS, now=NOW)["coverage"]["notes"]
    assert any(note.startswith("daily_report_20261125.json was left out: it is no JSON") for note in notes)


def test_a_report_that_contradicts_itself_gives_no_figure(state: Path) -> None:
    day = daily(ago(24), operations=100, failed=3)
    day["stats"]["error_rate"] = 0.5
    keep(state, "daily_report", ago(24), day)
    kept = read(state)
    assert kept["days"] == []
    assert kept["unreadable"][0]["why"] == "error_rate is 0.5, but 3 of 100 operations failed"
    assert [peak["sessions"] for peak in kept["peaks"]] == [None] * 5


def test_files_of_other_times_are_not_even_opened(state: Path) -> None:
    for end in (NOW + timedelta(days=2), ago(24 * 60)):
        (state / f"daily_report_{end:%Y%m%d}.json").write_text("no JSON", encoding="utf-8")
    kept = read(state)
    assert (kept["days"], kept["unreadable"]) == ([], [])


def test_a_report_that_is_too_large_is_left_out(state: Path) -> None:
    keep(state, "daily_report", ago(24), daily(ago(24)))
    assert read(state, max_bytes=1024)["unreadable"][0]["why"].endswith("too large")


@pytest.mark.parametrize(
    ("option", "value"),
    [("until", "last friday"), ("ledger_hours", 0), ("max_bytes", 5), ("state_dir", "/nonexistent")],
)
def test_misuse_is_named(state: Path, option: str, value: Any) -> None:
    with pytest.raises(MediaOpsError, match=option):
        read(state, **{option: value})


def test_the_review_names_a_threshold_that_is_missing() -> None:
    with pytest.raises(MediaOpsError, match=r"thresholds\.coverage_known"):
        review({}, now=NOW, thresholds={})
