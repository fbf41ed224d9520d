"""Days from the lines of a log and from what the service told: each operation is in one day, whatever comes between."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.review.daily_reports_info import daily_reports_info
from ansible_collections.media_ops.runbook.plugins.module_utils.state.state_report import state_report
from ansible_collections.media_ops.runbook.plugins.module_utils.times import from_text, to_text
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.calendar import day_of, days_between, zone_of
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.review import review

from tests.schemas import DAILY_REPORT, problems
from tests.unit.plugins.week_factory import LIMITS, stats

ZONE = "Africa/Casablanca"  # an hour ahead of UTC, but for Ramadan
KEPT = ["generated_at", "stats.generated_at", "seen", "windows", "coverage"]


def at(text: str) -> datetime:
    """``27 18:00`` of November 2026, in UTC."""
    return datetime.strptime(f"2026-11-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


class Host:
    """A host with its log and its reports, and evenings that come when they come."""

    def __init__(self, base: Path) -> None:
        self.state, self.log = base / "state", base / "media_processing.log"
        self.state.mkdir(mode=0o750)
        self.process = 4000
        self.started = at("01 00:00")
        self.first_sample = timedelta(0)
        """After its start."""
        self.ended: list[tuple[datetime, bool]] = []
        self.zone = ZONE
        self.logs = True

    def work(self, *whens: str, failed: bool = False) -> None:
        for when in whens:
            moment = at(when)
            self.ended.append((moment, failed))
            if self.logs:
                self.write(line(moment, self.process, failed=failed))

    def write(self, text: str) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(text)

    def restart(self, when: str) -> None:
        self.started, self.process, self.ended = at(when), self.process + 1, []

    def told(self, now: datetime, *, hours: int = 24) -> dict[str, Any]:
        """What the service remembers, and a sample each five minutes since its start."""
        begin = max(self.started, now - timedelta(hours=hours))
        done = [failed for moment, failed in self.ended if begin <= moment <= now]
        count = int((now - begin).total_seconds() // 300)
        rows = [
            {"at": to_text(begin + timedelta(minutes=5 * step)), "active_sessions": 1, "cpu_percent": 20.0,
             "memory_percent": 40.0, "disk_percent": 50.0, "temp_mb": 1.0}
            for step in range(count + 1)
            if begin + timedelta(minutes=5 * step) >= self.started + self.first_sample
        ]  # fmt: skip
        answer = stats(now, operations=len(done), failed=sum(done), average=10.0 if done else 0.0)
        return {"stats": answer, "metrics": rows[:288], "log_errors": {"errors": {}, "lines": 1, "bad_lines": 0}}

    def read(self, now: datetime, *, hours: int = 24, **more: Any) -> dict[str, Any]:
        options: dict[str, Any] = {
            "state_dir": str(self.state), "until": to_text(now), "ledger_hours": 168, "ledger_max_bytes": 1 << 20,
            "max_bytes": 5 << 20, "log": str(self.log), "log_fields": {}, "log_alone": False, "seen": self.told(now),
            "reports": False,
            "days": days_between(now - timedelta(hours=hours), now, zone_of(self.zone)),
        }  # fmt: skip
        return daily_reports_info({**options, **more})

    def evening(self, when: str, **more: Any) -> list[bool]:
        """A run of the evening summary; whether it changed each of the days."""
        found = self.read(at(when), hours=168, reports=True, **more)["reports"]
        assert [problem for report in found for problem in problems(DAILY_REPORT, report)] == []
        options: dict[str, Any] = {
            "name": "daily_report", "state_dir": str(self.state), "create": False, "keep": 40, "volatile": KEPT,
            "mode": "0640", "max_bytes": 5 << 20,
        }  # fmt: skip
        return [state_report({**options, "date": one["day"], "content": one})["changed"] for one in found]

    def reports(self) -> dict[str, dict[str, Any]]:
        files = sorted(self.state.glob("daily_report_*.json"))
        return {path.stem[-2:]: json.loads(path.read_text(encoding="utf-8")) for path in files}

    def days(self) -> dict[str, int]:
        """How many operations each report has."""
        return {day: report["figures"]["total_operations"] for day, report in self.reports().items()}

    def week(self, when: str, **more: Any) -> dict[str, Any]:
        return review(self.read(at(when), hours=168, **more), now=at(when), thresholds=LIMITS)


def line(moment: datetime, process: int, *, failed: bool = False, stage: str = "merging") -> str:
    extra: dict[str, Any] = {"session_id": f"s{moment:%d%H%M}", "stage": stage, "duration_seconds": 10.0}
    extra |= {"success": False, "error_code": "FFMPEG_FAILED"} if failed else {"success": True}
    entry = {"timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%f}", "level": "ERROR" if failed else "INFO"}
    return json.dumps({**entry, "message": "x", "process_id": process, "extra": extra}) + "\n"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


# runbook: DE-1
def test_each_operation_is_in_the_day_of_the_site_in_which_it_ended(host: Host) -> None:
    """23:30 in UTC is half past midnight there."""
    host.work("24 22:59", "24 23:30", "25 12:00", "25 22:30", failed=False)
    host.work("25 20:00", failed=True)
    host.evening("25 17:00")
    host.work("26 10:00")
    host.evening("26 17:00")
    assert host.days() == {"24": 1, "25": 4, "26": 1}
    day = host.reports()["25"]
    assert (day["day"], day["from"], day["to"]) == ("2026-11-25", "2026-11-24T23:00:00Z", "2026-11-25T23:00:00Z")
    assert day["figures"] == {
        "total_operations": 4, "failed_operations": 1, "error_rate": 0.25, "average_duration_s": 10.0,
    }  # fmt: skip
    (failed,) = (row for row in day["logged"]["quarters"] if row["failed"])
    assert (failed["begin"], failed["errors"]) == ("2026-11-25T20:00:00Z", {"FFMPEG_FAILED": 1})
    assert day["coverage"]["covered_h"] == 24


@pytest.mark.parametrize("logs", [True, False], ids=["with_its_log", "without_its_log"])
def test_a_late_run_is_of_the_day_before_and_takes_nothing_from_the_next_evening(host: Host, *, logs: bool) -> None:
    host.logs = logs
    host.work("25 12:00", "25 21:00")
    host.evening("25 23:30")  # 00:30 of the 26th, of what was due at 18:00
    assert host.days()["25"] == 2
    host.work("26 12:00")
    host.evening("26 17:00")
    days = host.days()
    assert (days["25"], sum(days.values())) == (2, 3)
    assert host.reports()["25"]["stats"]["generated_at"] == "2026-11-25T23:30:00"


@pytest.mark.parametrize("logs", [True, False], ids=["with_its_log", "without_its_log"])
def test_a_second_run_after_a_restart_adds_what_is_new_and_names_what_nobody_saw(host: Host, *, logs: bool) -> None:
    host.logs = logs
    host.work("25 10:00", "25 12:00")
    host.evening("25 17:00")
    host.work("25 17:20", "25 17:45")  # and nobody asks before it is stopped
    host.restart("25 18:20")
    host.work("25 18:30")
    host.evening("25 19:00")
    host.evening("25 19:00")
    day = host.reports()["25"]
    assert host.days()["25"] == (5 if logs else 3)
    assert day["stats"]["total_operations"] == 2, "the answer that knew more stays"
    last_line = "18:00" if logs else "17:00"  # of which the quarter of an hour is known
    assert day["coverage"]["gaps"] == [{"from": f"2026-11-25T{last_line}:00Z", "to": "2026-11-25T18:20:00Z"}]


def test_what_ended_between_a_start_and_the_first_sample_is_counted_once(host: Host) -> None:
    """The service takes its first sample when it has run for five minutes."""
    host.first_sample = timedelta(minutes=5)
    host.restart("25 18:12")
    host.work("25 18:13", "25 19:00")
    host.evening("25 20:00")
    assert host.days()["25"] == 2


def test_what_comes_after_the_evening_is_counted_though_the_next_evening_does_not_come(host: Host) -> None:
    """The host is down on the evening of the 25th, and the service has forgotten by the 26th."""
    host.work("24 12:00", "24 21:00")
    host.evening("24 17:00")
    host.work("25 10:00")
    host.restart("26 06:00")
    host.work("26 08:00")
    host.evening("26 17:00")
    assert host.days() == {"23": 0, "24": 2, "25": 1, "26": 1}
    # A day that was reported when it was over is not read again.
    host.evening("27 17:00")
    assert [report["day"][-2:] for report in host.read(at("27 17:00"), hours=168, reports=True)["reports"]] == [
        "26",
        "27",
    ]


def test_a_day_that_is_over_keeps_its_own_beside_one_that_nobody_knows(host: Host) -> None:
    """The service began with the 25th, in its first minutes there; of the 24th there never is a report."""
    host.restart("24 23:00")
    host.work("24 23:05", "25 12:00")
    for day in ("25", "26", "27"):
        host.evening(f"{day} 17:00")
    assert host.days() == {"25": 2, "26": 0, "27": 0}


def test_the_same_evening_twice_changes_nothing(host: Host) -> None:
    host.work("25 10:00", "25 12:00")
    assert host.evening("25 17:00") == [True, True]
    assert host.evening("25 17:00") == [False, False]


def test_a_clock_that_jumps_back_loses_and_doubles_nothing(host: Host) -> None:
    host.work("25 12:00", "25 16:40")
    host.evening("25 17:00")
    # It is an hour earlier now, and lines of that hour are written for the second time.
    host.work("25 16:10", "25 16:41")
    host.evening("25 16:50")
    host.evening("25 17:10")
    assert host.days()["25"] == 4


def test_a_controller_in_another_zone_by_its_policy_doubles_nothing_in_the_week(host: Host) -> None:
    host.work(*(f"{day} {hour}:10" for day in range(21, 27) for hour in ("02", "12", "23")))
    for day in range(21, 27):
        host.zone = "Asia/Tokyo" if day % 2 else ZONE
        host.evening(f"{day} 17:00")
    found = host.week("27 10:00")
    assert found["figures"]["total_operations"] == 18


def test_lines_that_are_dated_ahead_count_when_their_time_has_come_and_once(host: Host) -> None:
    host.work("25 12:00", "25 20:00")  # by a clock that was three hours ahead
    host.evening("25 17:00", seen=None)
    assert host.days()["25"] == 1
    host.evening("26 17:00", seen=None)
    assert host.days()["25"] == 2


def test_lines_come_once_whatever_rotation_makes_of_them(host: Host) -> None:
    host.work("25 12:00", "25 13:00")
    text = host.log.read_text(encoding="utf-8")
    host.log.with_name("media_processing.log.1").write_text(text, encoding="utf-8")
    host.log.with_name("media_processing.log-20261125").write_text(text, encoding="utf-8")
    for path in host.log.parent.glob("media_processing.log*"):
        os.utime(path, (at("25 13:00").timestamp(),) * 2)
    host.evening("25 17:00")
    assert host.days()["25"] == 2


def test_lines_that_are_gone_stay_in_the_report_that_had_them(host: Host) -> None:
    host.work("25 12:00", "25 13:00")
    host.evening("25 17:00")
    host.log.write_text("", encoding="utf-8")
    host.work("25 18:00")
    host.evening("25 19:00")
    assert host.days()["25"] == 3
    host.log.unlink()
    assert host.week("27 10:00", seen=None)["figures"]["total_operations"] == 3


def test_what_is_no_operation_or_has_no_time_is_none(host: Host) -> None:
    host.work("25 12:00")
    host.write('{"timestamp": "2026-11-25T12:01:00", "extra": {"stage": "merging", "duration_seconds": "long"}}\n')
    host.write('{"timestamp": "2026-11-25T12:01:00", "extra": {"stage": 7, "duration_seconds": 1}}\n')
    host.write('{"timestamp": "soon", "extra": {"stage": "merging", "duration_seconds": 1}}\n')
    host.write('{"timestamp": "2026-11-25T12:01:00", "extra": {"duration_seconds": 1}}\n{"extra": "stage dura')
    host.evening("25 17:00")
    assert host.days()["25"] == 1


def test_a_log_that_names_fewer_than_the_service_knows_of_is_not_believed_alone(host: Host) -> None:
    """As where it is written from level ERROR on."""
    host.work("25 12:00", failed=True)
    host.logs = False
    host.work(*(f"25 {hour}:00" for hour in range(6, 16)))
    host.evening("25 17:00")
    day = host.reports()["25"]
    assert (day["figures"]["total_operations"], day["figures"]["failed_operations"]) == (11, 1)
    assert [window["operations"] for window in day["windows"]] == [11]


def test_a_report_of_the_release_before_is_taken_on(host: Host) -> None:
    host.work("25 06:00", "25 12:00")
    old = {"schema_version": 1, **host.told(at("25 17:00"))}
    (host.state / "daily_report_20261125.json").write_text(json.dumps(old), encoding="utf-8")
    host.log.unlink()
    host.restart("25 18:00")
    host.work("25 18:30")
    host.evening("25 19:00")
    assert host.days()["25"] == 3


# runbook: WP-1
def test_a_week_without_evening_reports_is_made_of_the_log(host: Host) -> None:
    """The service was started 32 h ago, and says nothing of it."""
    host.work(*(f"{day} {hour:02}:00" for day in range(19, 26) for hour in range(0, 24, 2)))
    host.restart("26 01:00")
    host.work("26 12:00", "27 08:00")
    found = host.week("27 09:00")
    # From 09:00 of the 20th on.
    assert found["figures"]["total_operations"] == 7 + 5 * 12 + 2
    assert found["source"] == "daily"
    assert found["coverage"]["gaps"] == [{"from": "2026-11-25T22:15:00Z", "to": "2026-11-26T09:00:00Z"}] or (
        found["coverage"]["covered_h"] < 168
    )


def test_days_that_a_week_s_border_cuts_are_exact_on_both_sides(host: Host) -> None:
    host.work("20 08:00", "20 08:30", "20 12:00", "22 12:00")
    for day in (20, 21, 22):
        host.evening(f"{day} 17:00")
    this, before = host.week("27 09:00", seen=None), host.week("20 09:00", seen=None)
    assert (before["figures"]["total_operations"], this["figures"]["total_operations"]) == (2, 2)
    assert this["comparison"]["previous"]["figures"]["total_operations"] == 2


@pytest.mark.parametrize(
    "spoil", [{"day": "2026-11-24"}, {"from": 7}, {"windows": [{}]}, {"logged": {"quarters": [{}]}}]
)
def test_a_report_that_cannot_be_believed_is_left_out_and_named(host: Host, spoil: dict[str, Any]) -> None:
    host.work("25 12:00")
    host.evening("25 17:00")
    path = host.state / "daily_report_20261125.json"
    path.write_text(json.dumps({**host.reports()["25"], **spoil}), encoding="utf-8")
    found = host.read(at("26 17:00"), log=None, seen=None)
    assert [row["file"] for row in found["unreadable"]] == ["daily_report_20261125.json"]
    assert sum(day["operations"] for day in found["days"]) == 0


# --- the calendar


def spans(rows: Iterable[dict[str, str]]) -> list[float]:
    ends = [(from_text(row["from"]), from_text(row["to"])) for row in rows]
    return [(end - begin).total_seconds() / 3600 for begin, end in ends if begin and end]


@pytest.mark.parametrize(
    ("zone", "begin", "hours"),
    [
        ("UTC", "2026-03-28T12:00:00Z", [24, 24, 24]),
        ("Europe/Berlin", "2026-03-28T12:00:00Z", [24, 23, 24]),
        ("Africa/Casablanca", "2026-02-14T12:00:00Z", [24, 25, 24]),
        ("Africa/Casablanca", "2026-03-21T12:00:00Z", [24, 23, 24]),
        ("Africa/Cairo", "2026-04-23T12:00:00Z", [24, 23, 24]),  # at midnight
    ],
)
def test_days_touch_and_are_as_long_as_the_clock_on_the_wall_says(zone: str, begin: str, hours: list[float]) -> None:
    start = from_text(begin)
    assert start
    days = days_between(start, start + timedelta(hours=48), zone_of(zone))
    assert spans(days) == hours
    assert [one["to"] for one in days[:-1]] == [one["from"] for one in days[1:]]
    assert day_of(start, zone_of(zone)) == days[0]["day"]


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "../../etc/passwd", "", "CET-1CEST,M3.5.0,M10.5.0/3"])
def test_a_zone_that_is_none_is_named(zone: str) -> None:
    with pytest.raises(OptionError, match="option 'policy_zone' is"):
        zone_of(zone)


@pytest.mark.parametrize("days", [[{"day": "x"}], [{"day": "x", "from": "2026-11-25", "to": "2026-11-24"}]])
def test_a_day_that_is_none_is_named(host: Host, days: list[dict[str, str]]) -> None:
    with pytest.raises(OptionError, match="option 'days' is"):
        host.read(at("25 17:00"), days=days)
