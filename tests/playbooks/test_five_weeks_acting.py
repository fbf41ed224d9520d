"""The five weeks of five_weeks.py, as far as automation acts and watches.

All Mondays, Fridays and Sundays are there. Of the mornings, the nights and the watches there are those on which
something is to be found, or just not yet, or no more. The others would find nothing, and take far longer.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.host_state import entries
from tests.playbooks.five_weeks import (
    BIG,
    DAYS,
    MARKS,
    Agenda,
    Site,
    kept_reports,
    kept_runs,
    plain,
    played,
    surprises,
    weeks,
)

pytestmark = MARKS
NIGHTS = ["0310", "0314", "0315", "0317", "0318", "0323", "0324"]


def before(agenda: Agenda) -> None:
    """What is there when the five weeks begin, and comes in their course to be found on a Sunday."""
    site = agenda.site
    temp, archives = site.pipeline.temp_dir, site.archives
    agenda.at("0127 01:00", site.put, archives / "archived_logs_20250127.tar.gz", b"old")
    agenda.at("0203 01:00", site.put, archives / "archived_logs_20250203.tar.gz", b"old")
    for day in ("0227", "0301"):
        agenda.at(f"{day} 00:30", site.rotate, day)
    agenda.at("0301 12:00", site.put, temp / "batch.log", size=BIG + 1)
    agenda.at("0301 12:00", site.put, temp / "batch_small.log", size=BIG)
    agenda.at("0302 12:00", site.put, archives / "archived_logs_20250101.tar.gz", b"an old one that was copied")
    # The service begins with the five weeks.
    agenda.at("0303 00:00", site.stop)
    agenda.at("0303 00:00", site.start)
    agenda.at("0305 12:00", site.put, temp / "batch_new.log", size=BIG + 1)


def disk(agenda: Agenda) -> None:
    """What fills the disk day by day, and what keeps it free each night and week."""
    site = agenda.site
    for number, day in enumerate(DAYS):
        weekday = number % 7
        if weekday in (1, 3, 5):
            agenda.at(f"{day} 00:30", site.rotate, day)
        if weekday == 0:
            agenda.at(f"{day} 01:00", site.run, "weekly_log_management")
        if day in NIGHTS:
            agenda.at(f"{day} 02:00", site.run, "daily_log_cleanup")
        if weekday == 6 and day != "0330":
            agenda.at(f"{day} 03:00", site.run, "weekly_system_cleanup")
        agenda.at(f"{day} 13:00", site.leave, day)
    agenda.at("0407 01:00", site.run, "weekly_log_management")
    # A process writes to a rotated log from Sunday to Tuesday.
    agenda.at("0309 23:00", site.hold)
    agenda.at("0311 08:00", site.let_go)
    # The disk of the archives is not there on a Monday.
    away = site.archives.with_name("away")
    agenda.at("0317 00:50", site.archives.rename, away)
    agenda.at("0317 08:00", away.rename, site.archives)
    # The control node was off on a Sunday night: its timer makes up for the run at nine, a person by hand at ten.
    agenda.at("0330 09:00", site.run, "weekly_system_cleanup")
    agenda.at("0330 10:00", site.run, "weekly_system_cleanup", "--now")


def watches(agenda: Agenda) -> None:
    """The runs that are to find what goes wrong: the service down, a session stuck, three of ten operations failed."""
    site = agenda.site
    for when in ("0312 10:05", "0312 10:10", "0312 14:15", "0313 09:15", "0327 12:10", "0327 13:30"):
        agenda.at(when, site.run, "watch_health")
    for when in ("0313 07:00", "0328 07:00"):
        agenda.at(when, site.run, "daily_morning_health_check")
    for when in ("0318 14:45", "0318 18:55", "0319 09:15", "0319 10:35"):
        agenda.at(when, site.run, "watch_performance")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The host after the five weeks."""
    with played(tmp_path_factory.mktemp("weeks"), "0127 00:00", before, disk, watches) as site:
        yield site


def left(name: str, *days: str) -> list[str]:
    """Paths of what was left behind from one day to another, both included."""
    return [f"temp/video_merge/left-{day}/{name}" for day in DAYS[DAYS.index(days[0]) : DAYS.index(days[-1]) + 1]]


def rotated(*numbers: int) -> list[str]:
    return [f"temp/logs/application.log.{number}" for number in numbers]


# What was gone after a run. After all others nothing was.
GONE: dict[str, list[str]] = {
    # The archive of five weeks ago. That of four weeks ago has its 28 days, and the copied one is old by its name only.
    "0303 01:00 weekly_log_management": ["archives/archived_logs_20250127.tar.gz", *rotated(1, 2)],
    # No video is seven days old, nor is the newer one of the logs of over 100 MB.
    "0309 03:00 weekly_system_cleanup": ["temp/batch.log", *left("part.tmp", "0303", "0307")],
    # Saturday's log, number 1, has a writer.
    "0310 01:00 weekly_log_management": ["archives/archived_logs_20250203.tar.gz", *rotated(2, 3)],
    "0316 03:00 weekly_system_cleanup": [
        "temp/batch_new.log",
        *left("merged_video.mp4", "0303", "0308"),
        *left("part.tmp", "0308", "0314"),
    ],
    "0323 03:00 weekly_system_cleanup": [
        *left("merged_video.mp4", "0309", "0315"),
        *left("part.tmp", "0315", "0321"),
    ],
    # Of two weeks, since the Monday before there was no disk to archive to, and the one that had a writer before that:
    # the night of the 15th, when it was older than seven days, left it, as no archive held it.
    "0324 01:00 weekly_log_management": rotated(1, 2, 3, 4, 5, 6, 7),
    # With the directory of the session that was stuck on the 18th.
    "0330 10:00 weekly_system_cleanup": [
        "temp/video_merge/SESSION",
        *left("merged_video.mp4", "0316", "0322"),
        *left("part.tmp", "0322", "0328"),
    ],
    # The archive that was copied on the 2nd is 29 days old by both.
    "0331 01:00 weekly_log_management": ["archives/archived_logs_20250101.tar.gz", *rotated(1, 2, 3)],
    # With the directories of the six jobs that failed from the 24th to the 27th.
    "0406 03:00 weekly_system_cleanup": [
        *["temp/video_merge/SESSION"] * 6,
        *left("merged_video.mp4", "0323", "0329"),
        *left("part.tmp", "0329", "0404"),
    ],
    # The first of ours; the one of the 10th is 28 days old and stays.
    "0407 01:00 weekly_log_management": ["archives/archived_logs_20250303.tar.gz", *rotated(1, 2, 3)],
}


# runbook: WC-2, WC-3, WC-4, WL-4, AU-S3
def test_what_was_deleted_and_when(site: Site) -> None:
    found = {when: [re.sub(r"(\.tar)\.zst$", r"\1.gz", path) for path in run.gone] for when, run in site.runs.items()}
    assert {when: gone for when, gone in found.items() if gone} == {when: sorted(gone) for when, gone in GONE.items()}


# runbook: WC-2, WC-3, WC-4
def test_what_is_still_there(site: Site) -> None:
    there = {plain(str(path.relative_to(site.pipeline.base_dir))) for path in site.pipeline.temp_dir.rglob("*")}
    assert there == {
        "temp/batch_small.log",
        "temp/logs",
        *(f"temp/logs/{name}.log" for name in ("application", "errors", "media_processing", "performance")),
        "temp/media_processing.log",
        "temp/video_merge",
        "temp/video_merge/SESSION",  # of the job that failed on 1 April
        *(f"temp/video_merge/left-{day}" for day in DAYS),
        *left("concat_list.txt", "0303", "0406"),
        *left("merged_video.mp4", "0330", "0406"),
        *left("part.tmp", "0405", "0406"),
    }


# runbook: WL-2, WL-3, WL-4
def test_the_archives_and_what_is_in_them(site: Site) -> None:
    kept = {}
    for path in site.archives.glob("*.tar.*"):
        content = subprocess.run(["tar", "-xOf", str(path)], capture_output=True, text=True, check=True).stdout
        kept[path.name.partition(".")[0]] = sorted(json.loads(line)["message"] for line in content.splitlines())
    assert kept == {
        "archived_logs_20250310": ["rotated 0304", "rotated 0306"],
        "archived_logs_20250324": [
            f"rotated {day}" for day in ("0308", "0311", "0313", "0315", "0318", "0320", "0322")
        ],
        "archived_logs_20250331": ["rotated 0325", "rotated 0327", "rotated 0329"],
        "archived_logs_20250407": ["rotated 0401", "rotated 0403", "rotated 0405"],
    }


# Operations, failed ones, and where the figures are from: each Sunday's cleanup left to the service what the next
# Friday needs. Of the first of these weeks the log names what the service forgot at its start on the 13th.
WEEKLY = {
    "0314": (28, 0, "daily"),
    "0321": (38, 1, "service"),
    "0328": (62, 6, "service"),
    "0404": (43, 1, "service"),
}


# runbook: WP-1
def test_the_weeks_after_the_cleanups(site: Site) -> None:
    assert {day: week[:3] for day, week in weeks(site).items()} == WEEKLY


# Of all others the exit code is 0.
RED = {
    "0312 10:05 watch_health": 2,
    "0312 10:10 watch_health": 2,
    "0312 14:15 watch_health": 2,
    "0313 07:00 daily_morning_health_check": 2,
    "0317 01:00 weekly_log_management": 2,
    # What Monday did not archive the nights do not delete.
    **{f"{day} 02:00 daily_log_cleanup": 2 for day in ("0317", "0318", "0323")},
    # One operation took 19 hours, and one of eight failed.
    "0319 09:15 watch_performance": 2,
    "0327 12:10 watch_health": 2,
    "0328 07:00 daily_morning_health_check": 2,
    # It should have been at three.
    "0330 09:00 weekly_system_cleanup": 2,
}


def test_how_the_runs_ended(site: Site) -> None:
    assert not surprises(site, RED)


# What was told: day and hour, event, check, its worst state since it began and its state, how many minutes it lasted by
# then, and how many runs had found it bad since the message before and kept quiet. A reminder comes after four hours.
TOLD = [
    ("0312 10", "began", "overall_status", "unknown", "unknown", 0, 0),
    ("0312 10", "began", "recent_error_rate", "unknown", "unknown", 0, 0),
    ("0312 14", "reminder", "overall_status", "unknown", "unknown", 250, 1),
    ("0312 14", "reminder", "recent_error_rate", "unknown", "unknown", 250, 1),
    ("0313 09", "ended", "overall_status", "unknown", "ok", 23 * 60 + 10, 0),
    ("0313 09", "ended", "recent_error_rate", "unknown", "ok", 23 * 60 + 10, 0),
    ("0318 14", "began", "long_sessions", "warning", "warning", 0, 0),
    ("0318 18", "reminder", "long_sessions", "warning", "warning", 250, 0),
    ("0319 09", "began", "recent_duration", "critical", "critical", 0, 0),
    ("0319 09", "began", "slow_stages", "warning", "warning", 0, 0),
    ("0319 09", "ended", "long_sessions", "warning", "ok", 18 * 60 + 30, 0),
    ("0319 10", "ended", "recent_duration", "critical", "ok", 80, 0),
    ("0319 10", "ended", "slow_stages", "warning", "ok", 80, 0),
    ("0327 12", "began", "recent_error_rate", "critical", "critical", 0, 0),
    ("0327 13", "ended", "recent_error_rate", "critical", "ok", 80, 0),
]
# What people read, one message for each run that had something to tell.
READ = [
    "UNKNOWN: Overall status on media1\nUNKNOWN: Error rate of 1 h on media1",
    "UNKNOWN: Overall status on media1, for 4 h now\nUNKNOWN: Error rate of 1 h on media1, for 4 h now",
    "ENDED: Overall status on media1, ok after 23 h\nENDED: Error rate of 1 h on media1, ok after 23 h",
    "WARNING: Longest session on media1",
    "WARNING: Longest session on media1, for 4 h now",
    (
        "CRITICAL: Average duration of 1 h on media1\nWARNING: Slowest stage of 1 h on media1\n"
        "ENDED: Longest session on media1, ok after 18 h"
    ),
    "ENDED: Average duration of 1 h on media1, ok after 1 h\nENDED: Slowest stage of 1 h on media1, ok after 1 h",
    "CRITICAL: Error rate of 1 h on media1",
    "ENDED: Error rate of 1 h on media1, ok after 1 h",
]


# runbook: AU-H1, AU-H3, AU-P1, AU-P2, AU-P3
def test_what_was_told(site: Site) -> None:
    messages = [message for body in site.channels.bodies("webhook") for message in body["messages"]]
    found = [
        (
            f"{datetime.fromisoformat(message['at']):%m%d %H}",
            *(message[key] for key in ("event", "check", "severity", "state")),
            round(message["duration_s"] / 600) * 10,
            message["suppressed"],
        )
        for message in messages
    ]
    assert sorted(found) == TOLD
    # A slow run may make a minute of a difference.
    assert [re.sub(r" \d+ min", "", body["text"]) for body in site.channels.bodies("slack")] == READ
    assert site.channels.refusals == []


# When the reports are from that the control node has kept.
REPORTS = {
    "daily_log_cleanup": ["0310", "0314", "0315", "0317", "0318", "0323", "0324"],
    "daily_morning": ["0313", "0328"],
    "watch_health": ["0312", "0312", "0312", "0313", "0327", "0327"],
    "watch_performance": ["0318", "0318", "0319", "0319"],
    "weekly_log_management": ["0303", "0310", "0317", "0324", "0331", "0407"],
    "weekly_performance_review": ["0307", "0314", "0321", "0328", "0404"],
    "weekly_system_cleanup": ["0309", "0316", "0323", "0330", "0330", "0406"],
}


def test_the_reports_that_are_kept(site: Site) -> None:
    assert kept_reports(site) == REPORTS
    of_runs = {name: days for name, days in REPORTS.items() if name != "daily_morning"}
    assert kept_runs(site) == {**of_runs, "daily_morning_health_check": REPORTS["daily_morning"]}


# What automation did and decided, each night and week that it acted. After Sunday's cleanup there is a look at the
# health, hence recovered; the others are only completed.
LEDGER = {
    "0303": ["delete done", "archive done", "completed"],
    "0309": ["delete done", "delete done", "cleanup done", "recovered"],
    "0310": ["delete done", "archive done", "completed", "completed"],
    "0314": ["completed"],
    "0315": ["completed"],
    "0316": ["delete done", "delete done", "delete done", "cleanup done", "recovered"],
    # The host has no archive of the last seven days.
    "0317": ["refused"],
    "0318": ["refused"],
    "0323": ["refused", "delete done", "delete done", "cleanup done", "recovered"],
    "0324": ["archive done", "completed", "completed"],
    "0330": ["refused", "delete done", "delete done", "cleanup done", "recovered"],
    "0331": ["delete done", "archive done", "completed"],
    "0406": ["delete done", "delete done", "cleanup done", "recovered"],
    "0407": ["delete done", "archive done", "completed"],
}


def test_the_record_of_what_was_done(site: Site) -> None:
    record = entries((site.state / "ledger.jsonl").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for entry in record:
        if entry["result"] != "started":
            said = entry["action"] if entry["result"] == "decided" else f"{entry['action']} {entry['result']}"
            found.setdefault(f"{datetime.fromisoformat(entry['at']):%m%d}", []).append(said)
    assert found == LEDGER
    attempts = [entry["result"] for entry in record if entry["result"] != "decided"]
    assert attempts.count("started") == attempts.count("done") == len(attempts) / 2
    *nights, late = (entry["why"] for entry in record if entry["action"] == "refused")
    assert "the run was scheduled for 2025-03-30T03:00:00Z and starts over 600 s late" in late
    why = "weekly_log_management (log_archive) has not succeeded on this host within 168 h, its last end: completed at "
    assert [why in night for night in nights] == [True] * 3


def test_what_the_schedule_recorded(site: Site) -> None:
    lines = (site.base / "schedule/runs.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record for record in records if record["status"] not in ("successful", "failed")] == []
    assert len(records) == len(site.runs)
    (late,) = (record for record in records if record["started"].startswith("2025-03-30T09:"))
    assert late["due"] == "2025-03-30T03:00:00Z"


# What Prometheus reads after all this: of the last watch, of the last archive, and of the last 24 hours of the host, in
# which Sunday's cleanup deleted by two rules, and Monday's archiving an old archive.
METRICS = {
    'check_state{source="watch_health",check="api_token"}': "0",
    'check_state{source="watch_health",check="automation"}': "0",
    'check_state{source="watch_health",check="mutes"}': "0",
    'check_state{source="watch_health",check="overall_status"}': "0",
    'check_state{source="watch_health",check="recent_error_rate"}': "0",
    'check_state{source="watch_health",check="service_unit"}': "0",
    'last_run_timestamp_seconds{source="watch_health"}': "0327 13",
    'last_success_timestamp_seconds{source="watch_health"}': "0327 13",
    'open_alerts{source="watch_health"}': "0",
    'suppressed_findings{source="watch_health"}': "0",
    'check_state{source="weekly_log_management",check="automation"}': "0",
    'check_state{source="weekly_log_management",check="mutes"}': "0",
    'check_state{source="weekly_log_management",check="overall_status"}': "0",
    'check_state{source="weekly_log_management",check="recovery"}': "0",
    'check_state{source="weekly_log_management",check="service_unit"}': "0",
    'last_run_timestamp_seconds{source="weekly_log_management"}': "0407 01",
    'last_success_timestamp_seconds{source="weekly_log_management"}': "0407 01",
    "heartbeat_timestamp_seconds": "0407 01",
    'recent_actions{action="archive",result="done"}': "1",
    'recent_actions{action="archive",result="started"}': "1",
    'recent_actions{action="cleanup",result="done"}': "1",
    'recent_actions{action="cleanup",result="started"}': "1",
    'recent_actions{action="delete",result="done"}': "3",
    'recent_actions{action="delete",result="started"}': "3",
    'recent_actions{action="completed",result="decided"}': "1",
    'recent_actions{action="recovered",result="decided"}': "1",
    "lease_held": "0",
    "lease_expired": "0",
    "overrides_active": "0",
    "paused": "0",
}


def test_the_metrics_that_were_left(site: Site) -> None:
    found = {}
    for path in (site.base / "metrics").glob("*.prom"):
        for line in path.read_text(encoding="ascii").splitlines():
            if not line.startswith("#"):
                name, value = line.removeprefix("media_ops_").rsplit(" ", 1)
                moved = f"{datetime.fromtimestamp(float(value), UTC):%m%d %H}" if "timestamp" in name else value
                found[name] = moved
    assert found == METRICS
