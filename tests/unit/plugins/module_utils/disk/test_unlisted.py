"""What goes of a service that lists no sessions: old work of which its log is silent, and nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.plugins.deletion import DAY, HOUR, clean, make, rule

pytestmark = pytest.mark.usefixtures("moved_clock")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    make(tmp_path / "work" / "aaaaaaaa" / "out.tmp")
    make(tmp_path / "input" / "clip.tmp", 30 * DAY)
    make(tmp_path / "output" / "clip.tmp", 30 * DAY)
    logged(tmp_path, [(3 * DAY, {"event": "watching"})])
    return tmp_path


def logged(site: Path, entries: list[tuple[float, dict[str, Any]]]) -> None:
    """Write the log, each entry so many seconds old."""
    path = site / "logs" / "plain.log"
    path.parent.mkdir(exist_ok=True)
    lines = [json.dumps({"at": round((time.time() - age) * 1000), **entry}) for age, entry in entries]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def cleaned(site: Path, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {
        "sessions_dir": str(site / "work"),
        "work_dirs": [str(site / "work")],
        "log_dirs": [str(site / "logs")],
        "operations_log": str(site / "logs" / "plain.log"),
        "log_fields": {
            "time": "at",
            "session": "job",
            "duration": "took",
            "success": {"field": "event", "values": {"done": True}},
        },
        "api_offered": False,
    }
    return clean(*(rules or (rule(site / "work", "*.tmp"),)), **{**given, **more})


def reasons(result: dict[str, Any]) -> dict[str, str]:
    return {row["reason"]: row["msg"] for row in result["skipped_files"]}


def test_old_work_goes_of_which_the_log_is_silent(site: Path) -> None:
    result = cleaned(site)
    assert not (site / "work" / "aaaaaaaa" / "out.tmp").exists(), result
    assert (result["api"]["state"], result["protected_all"]) == ("not_offered", False)


@pytest.mark.parametrize(
    "entry", [{"job": "aaaaaaaa"}, {"text": "still at /srv/work/aaaaaaaa/out.tmp"}, {"text": "aaaaaaaa."}]
)
def test_work_that_a_line_speaks_of_stays(site: Path, entry: dict[str, Any]) -> None:
    logged(site, [(3 * DAY, {}), (23 * HOUR, entry)])
    assert "a line of aaaaaaaa was logged" in reasons(cleaned(site))["active"]
    logged(site, [(3 * DAY, {}), (25 * HOUR, entry)])
    assert cleaned(site)["rules"][0]["removed"]["files"] == 1


@pytest.mark.parametrize("path", ["thumb_77f0c2ab.tmp", "batch/77f0c2ab/out.tmp", "batch/new/x-77f0c2ab (1).tmp"])
def test_an_id_counts_anywhere_below_the_work(site: Path, path: str) -> None:
    work = make(site / "work" / path)
    logged(site, [(3 * DAY, {}), (23 * HOUR, {"job": "77f0c2ab"})])
    assert "a line of 77f0c2ab was logged" in reasons(cleaned(site))["active"]
    assert work.exists()


@pytest.mark.parametrize("path", ["77F0-C2AB/out.tmp", "77f0c2ab.tmp", "batch/x_77F0C2AB.tmp"])
def test_an_id_counts_in_whatever_way_it_is_written(site: Path, path: str) -> None:
    make(site / "work" / path)
    logged(site, [(3 * DAY, {}), (23 * HOUR, {"job": "77f0-c2ab"})])
    assert "was logged" in reasons(cleaned(site))["active"]
    assert (site / "work" / path).exists()


def test_a_word_within_a_name_is_no_id(site: Path) -> None:
    work = make(site / "work" / "batch" / "segment_01.tmp")
    logged(site, [(3 * DAY, {}), (23 * HOUR, {"text": "segment 01 was written"})])
    cleaned(site)
    assert not work.exists()


def test_a_log_that_does_not_reach_back_proves_nothing(site: Path) -> None:
    logged(site, [(23 * HOUR, {"event": "watching"})])
    assert "says nothing of the time before" in reasons(cleaned(site))["unproven"]
    (site / "logs" / "plain.log").unlink()
    assert "the log was not read" in reasons(cleaned(site))["unproven"]
    assert "none is named" in reasons(cleaned(site, operations_log=None))["unproven"]
    assert (site / "work" / "aaaaaaaa" / "out.tmp").exists()


def test_inputs_and_results_stay_whatever_a_rule_says(site: Path) -> None:
    rules = [rule(site / name, "*.tmp", name=name) for name in ("input", "output")]
    result = cleaned(site, *rules, rule(site, "*.tmp", name="all"))
    assert (site / "input" / "clip.tmp").exists()
    assert (site / "output" / "clip.tmp").exists()
    assert "is not named as a directory of work" in reasons(result)["not_work"]
    assert not (site / "work" / "aaaaaaaa" / "out.tmp").exists()


def test_rotated_logs_go_as_everywhere(site: Path) -> None:
    old = make(site / "logs" / "plain.log.1", 30 * DAY)
    cleaned(site, rule(site / "logs", "*.log.[0-9]*", age_of="mtime"))
    assert not old.exists()


def test_what_is_logged_between_plan_and_deletion_stays(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.media_ops.runbook.plugins.module_utils.disk import sweep

    begin = sweep.Sweep._begin

    def goes_on(self: sweep.Sweep) -> str:
        with (site / "logs" / "plain.log").open("a", encoding="utf-8") as log:
            log.write(json.dumps({"job": "aaaaaaaa", "event": "begun"}) + "\n")
        return begin(self)

    monkeypatch.setattr(sweep.Sweep, "_begin", goes_on)
    assert cleaned(site)["rules"][0]["skipped"] == {"active": 1}
