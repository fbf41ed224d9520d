"""Logs that name things in their own way, read as those of the runbook's service, and how far back they reach."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.logs.fields import LogFields
from ansible_collections.media_ops.runbook.plugins.module_utils.logs.log_digest_info import argument_spec, log_digest
from ansible_collections.media_ops.runbook.plugins.module_utils.review.logged import read_log
from ansible_collections.media_ops.runbook.plugins.module_utils.review.logged_stats import logged_stats

FIELDS: dict[str, Any] = {
    "time": "at",
    "session": "job.id",
    "stage": "step",
    "duration": {"field": "took_ms", "unit": "ms"},
    "success": {"field": "event", "values": {"done": True, "failed": False}},
    "error_code": "reason",
}


def written(path: Path, *entries: tuple[float, dict[str, Any]]) -> str:
    """A log, each entry so many hours old."""
    now = time.time()
    lines = [json.dumps({"at": round((now - hours * 3600) * 1000), **entry}) + "\n" for hours, entry in entries]
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def job(number: int, event: str, **more: Any) -> dict[str, Any]:
    return {"event": event, "job": {"id": f"job{number}"}, "step": "encode", **more}


def test_an_entry_is_put_into_our_words_beside_its_own() -> None:
    entry = LogFields(FIELDS).read(json.dumps({"at": 1, **job(7, "failed", took_ms=1500, reason="BAD")}).encode())
    assert entry is not None
    told = {"session_id": "job7", "stage": "encode", "duration_seconds": 1.5, "success": False, "error_code": "BAD"}
    assert (entry["extra"], entry["timestamp"], entry["event"]) == (told, 1, "failed")


@pytest.mark.parametrize(
    ("value", "given"), [(True, {True: True}), ("true", {"True": True}), (0, {0: True}), (3, {"3": True})]
)
def test_values_are_found_however_ansible_writes_their_keys(value: Any, given: dict[Any, bool]) -> None:
    fields = LogFields({**FIELDS, "success": {"field": "ok", "values": given}})
    assert fields.ours({"ok": value, "step": "a"})["extra"]["success"] is True


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sessions": "job"}, "'sessions': is none of time, level"),
        ({"session": "job"}, "needs duration, success as well"),
        ({**FIELDS, "duration": {"field": "t", "unit": "hours"}}, "unit must be one of s, ms, us, min"),
        ({**FIELDS, "success": "event"}, "values must name 1 to 100 values"),
        ({**FIELDS, "success": {"field": "event", "values": {"done": "yes"}}}, "true or false for each value"),
        ({**FIELDS, "session": {"field": "job", "unit": "s"}}, "has field and values, and no unit"),
        ({**FIELDS, "stage": 3}, "must be the name of a field"),
    ],
)
def test_names_that_cannot_be_meant_are_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as refused:
        LogFields(given)
    assert said in str(refused.value)


def test_a_digest_goes_by_our_words(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", (1, job(1, "done", took_ms=9)), (1, job(2, "failed", took_ms=9, reason="BAD")))
    defaults = {name: option.get("default") for name, option in argument_spec().items()}
    params = {**defaults, "path": path, "log_fields": FIELDS, "failures_only": True, "last": 1}
    found = log_digest({**params, "count_by": ["extra.error_code"], "fields": ["extra.session_id"]})
    assert found["counts"] == {"extra.error_code": [{"value": "BAD", "count": 1}]}
    assert found["last"] == [{"extra.session_id": "job2"}]


def test_statistics_are_of_the_lines_that_end_an_operation(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.log",
        (30, job(0, "done", took_ms=1)),
        (2, job(1, "begun")),
        (2, job(1, "done", took_ms=2000)),
        (1, job(2, "failed", took_ms=4000, reason="BAD")),
        (1, job(3, "failed")),
    )
    found = logged_stats(path, 24, LogFields(FIELDS))
    stats = found["data"]
    assert (found["state"], found["source"], found["short"]) == ("ok", "log", "")
    assert (stats["total_operations"], stats["failed_operations"]) == (3, 2)
    assert stats["average_duration"] == pytest.approx(3.0), "of those that tell it"
    assert stats["error_breakdown"] == {"BAD": 1}
    assert stats["stage_breakdown"]["encode"]["count"] == 3
    later = datetime.now(UTC) - timedelta(hours=1.5)
    assert logged_stats(path, 24, LogFields(FIELDS), not_before=later)["data"]["total_operations"] == 2


def test_a_log_says_how_far_back_it_reaches(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", (2, job(1, "done", took_ms=1)))
    short = logged_stats(path, 24, LogFields(FIELDS))
    assert "tells of 2 h of 24 h" in short["short"]
    assert short["data"]["total_operations"] == 1
    assert logged_stats(path, 1, LogFields(FIELDS))["short"] == ""
    written(tmp_path / "a.log.1", (30, job(0, "done", took_ms=1)))
    assert logged_stats(path, 24, LogFields(FIELDS))["short"] == "", "the file before it is of the time before"


@pytest.mark.parametrize(("content", "said"), [("", "has no entry yet"), ("no entry\nat all\n", "are no entries")])
def test_a_log_without_entries_tells_nothing(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "a.log"
    path.write_text(content, encoding="utf-8")
    found = logged_stats(str(path), 24, LogFields(FIELDS))
    assert (found["state"], found["data"]) == ("invalid", None)
    assert said in found["reason"]
    assert logged_stats(str(tmp_path / "none.log"), 24, LogFields(FIELDS))["state"] == "missing"


def test_where_the_log_alone_tells_all_from_its_begin_on_is_known(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", (3, job(1, "done", took_ms=1000)))
    now = datetime.now(UTC)
    since = now - timedelta(hours=24)
    (span,) = read_log(path, since, now, fields=LogFields(FIELDS), alone=True).spans
    assert span[1] - span[0] == pytest.approx(3 * 3600, abs=5)
    assert read_log(path, since, now, fields=LogFields(FIELDS)).spans == [], "a process that names itself nowhere"
