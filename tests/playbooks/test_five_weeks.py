"""Five weeks of one host, from Monday, 3 March 2025 to the Monday after the fifth, with the clock moved.

A real pipeline does real jobs, files come and grow old, faults begin on one day and end on another. Each run is started
as a timer starts it, by the schedule's own runner, and plays a real playbook. What must be there at the end, what must
be gone and since when, and what was told to whom, is written down below as a person reckons it from the runbook.

All evenings, Fridays, Sundays and Mondays are there. Of the mornings, the nights and the watches there are those on
which something is to be found, or just not yet, or no more. The others would find nothing, and take far longer.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from media_pipeline.client import wait_for
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.moved_clock import MovedClock, missing_reason
from tests.playbooks.conftest import REACHED, ROOT
from tests.receiver import Receiver, receiver

pytestmark = [
    pytest.mark.playbook,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_reason()), reason=missing_reason()),
]
RUNNER = ROOT / "roles/schedule/files/media_ops_run.py"
DAYS = [f"{date(2025, 3, 3) + timedelta(days=number):%m%d}" for number in range(35)]
SCHEDULE: list[dict[str, Any]] = [
    {"name": "watch_health", "every": 5},
    {"name": "watch_performance", "every": 15},
    {"name": "daily_morning_health_check", "at": "07:00"},
    {"name": "daily_evening_summary", "at": "18:00"},
    {"name": "daily_log_cleanup", "at": "02:00", "after": [{"name": "weekly_log_management", "hours": 192}]},
    {"name": "weekly_log_management", "at": "01:00", "weekday": "Mon"},
    {"name": "weekly_performance_review", "at": "17:00", "weekday": "Fri"},
    {
        "name": "weekly_system_cleanup",
        "at": "03:00",
        "weekday": "Sun",
        "after": [{"name": "weekly_performance_review", "hours": 72}],
    },
]
BIG = 100 * 2**20
SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def moment(when: str) -> datetime:
    """``0303 18:00`` of the year in which all this takes place."""
    return datetime.strptime(f"2025{when}", "%Y%m%d %H:%M").replace(tzinfo=UTC)


def _plain(path: str) -> str:
    """A path without what is chance in it."""
    return SESSION.sub("SESSION", path)


@dataclass
class Run:
    """How a run ended: its exit code, what it wrote, and the files that were gone after it."""

    code: int
    output: str
    gone: list[str]


@dataclass
class Site:
    """The host, and what became of it."""

    base: Path
    clock: MovedClock
    pipeline: Pipeline
    channels: Receiver
    runs: dict[str, Run] = field(default_factory=dict)
    is_up: bool = True
    stuck: dict[str, Any] = field(default_factory=dict)
    writer: IO[bytes] | None = None

    @property
    def logs(self) -> Path:
        return self.pipeline.log_dir

    @property
    def archives(self) -> Path:
        return self.base / "archives"

    @property
    def state(self) -> Path:
        return self.base / "state"

    def prepare(self) -> None:
        """What role prepare, the inventory and role schedule make."""
        self.state.mkdir(mode=0o750)
        self.archives.mkdir()
        (self.base / "metrics").mkdir()
        host = {
            **REACHED,
            "media_ops_api_url": self.pipeline.api_url,
            "policy_base_dir": str(self.pipeline.base_dir),
            "policy_become": False,
        }
        site = {
            "media_ops_api_token": "{{ lookup('ansible.builtin.env', 'MEDIA_OPS_API_TOKEN') }}",
            "policy_state_dir": str(self.state),
            "policy_archive_dir": str(self.archives),
            "policy_daily_reports_keep": 28,
            "policy_weekly_reports_keep": 4,
            # Seven operations a day do.
            "policy_review": {
                "coverage_min": 0.8, "days_min": 5, "operations_min": 5,
                "change_min": 0.10, "p_max": 0.01, "operations_cap": 1000,
            },
            "report_dir": str(self.base / "reports"),
            "report_keep": 30,
            "report_channels": [
                {"name": "chat", "type": "slack", "url": self.channels.slack_url},
                {"name": "hook", "type": "webhook", "url": self.channels.webhook_url},
            ],
        }  # fmt: skip
        inventory = self.base / "hosts.json"
        inventory.write_text(json.dumps({"media_hosts": {"hosts": {"media1": host}, "vars": site}}), encoding="utf-8")
        secrets = self.base / "environment"
        secrets.touch(mode=0o600)
        secrets.write_text(f"MEDIA_OPS_API_TOKEN={self.pipeline.token(ttl=10**8)}\n", encoding="ascii")
        with_metrics = {"report_textfile_dir": str(self.base / "metrics")}
        measured = ("watch_health", "weekly_log_management")
        schedule = {
            "procedures": [{**one, "vars": with_metrics if one["name"] in measured else {}} for one in SCHEDULE],
            "project_dir": str(ROOT),
            "playbook_prefix": f"{ROOT}/playbooks/",
            "inventory": [str(inventory)],
            "environment": {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_PIPELINING": "True"},
            "environment_file": str(secrets),
            "keep_runs": 30,
            "keep_days": 90,
            "timeout": 3600,
            "wait": 60,
        }
        (self.base / "schedule").mkdir()
        (self.base / "schedule/schedule.json").write_text(json.dumps(schedule), encoding="utf-8")

    # What happens on the host

    def put(self, path: Path, content: bytes = b"", *, size: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if size:
            os.truncate(path, size)

    def rotate(self, day: str) -> None:
        """At 00:30 the application's log is rotated by rename. (Its own limit, 50 MB, is not reached here.)"""
        rotated = sorted(self.logs.glob("application.log.*"), key=lambda path: -int(path.suffix[1:]))
        for path in rotated:
            path.rename(path.with_suffix(f".{int(path.suffix[1:]) + 1}"))
        self.put(self.logs / "application.log.1", f'{{"message": "rotated {day}"}}\n'.encode())

    def leave(self, day: str) -> None:
        """At 13:00 a session leaves its working files behind."""
        for name in ("concat_list.txt", "merged_video.mp4", "part.tmp"):
            self.put(self.pipeline.work_dir / f"left-{day}" / name, b"left")

    def work(self, good: int, fault: str, faulty: int) -> None:
        """Jobs, each of seven operations where all goes well; a faulty one fails in its first."""
        self.settle()
        self.pipeline.feed(good)
        self.pipeline.feed(faulty, fault=fault)

    def stop(self) -> None:
        self.pipeline.stop()
        self.is_up = False

    def start(self) -> None:
        self.pipeline.start()
        self.is_up = True

    def stick(self) -> None:
        """A session waits for a source that nobody writes: two operations done, the third begun."""
        self.settle()
        (self.stuck,) = self.pipeline.feed(1, fault="fifo")

    def end_stuck(self) -> None:
        """The source is closed without a picture, and the operation fails."""
        self.settle()
        os.close(os.open(self.stuck["inputs"][0], os.O_WRONLY | os.O_NONBLOCK))
        assert self.pipeline.wait(self.stuck["session_id"])["status"] == "failed"

    def settle(self) -> None:
        """The service has looked at itself since the clock was moved."""
        if not self.is_up:
            return
        since = self.clock.now() - timedelta(seconds=1)

        def sampled() -> bool:
            samples = self.pipeline.get("/metrics/system?hours=1")["metrics"]
            return bool(samples) and datetime.fromisoformat(samples[-1]["timestamp"]).replace(tzinfo=UTC) > since

        wait_for("a sample in the moved time", sampled)

    def hold(self) -> None:
        """A process begins to write into a log that was rotated away."""
        self.writer = (self.logs / "application.log.1").open("ab")

    def let_go(self) -> None:
        assert self.writer
        self.writer.close()
        self.writer = None

    def run(self, name: str, *options: str) -> None:
        """As the timer does, or with --now by hand."""
        when = f"{self.clock.now():%m%d %H:%M}"
        self.settle()
        there = self._files()
        command = [sys.executable, str(RUNNER), "--dir", str(self.base / "schedule"), "run", name, *options]
        done = subprocess.run(
            command,
            env={**os.environ, **self.clock.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        played = re.search(r"(/\S+/artifacts/\S+)", done.stdout)
        output = done.stdout + (Path(played[1], "stdout").read_text(encoding="utf-8") if played else "")
        self.runs[f"{when} {name}"] = Run(done.returncode, output, sorted(map(_plain, there - self._files())))

    def _files(self) -> set[str]:
        """What rules may delete; not the file by which the service tries whether it can write."""
        tops = (self.pipeline.temp_dir, self.pipeline.upload_dir, self.archives)
        return {
            str(path.relative_to(self.base)).removeprefix("pipeline/")
            for top in tops
            for path in top.rglob("*")
            if not path.name.startswith(".health-")
        }


# What is different on some days; on the others from Monday to Friday there is one good job at noon.
WORK = {
    "0312": (0, "", 0),  # the service is down
    "0324": (2, "broken", 1),
    "0325": (2, "broken", 1),
    "0326": (2, "broken", 1),
    "0327": (1, "empty", 3),
    "0401": (2, "broken", 1),
}
NIGHTS = ["0310", "0314", "0315", "0317", "0318", "0323", "0324"]


class Agenda:
    """What happens when."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._steps: list[tuple[str, Callable[[], Any]]] = []

    def at(self, when: str, step: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        self._steps.append((when, lambda: step(*arguments, **options)))

    def play(self) -> None:
        """All of it, in order of time."""
        for when, step in sorted(self._steps, key=lambda entry: entry[0]):
            self.site.clock.move(moment(when))
            step()


def routine(agenda: Agenda, number: int, day: str) -> None:
    """What each day brings, and each week."""
    site, weekday = agenda.site, number % 7
    if weekday in (1, 3, 5):
        agenda.at(f"{day} 00:30", site.rotate, day)
    if weekday == 0:
        agenda.at(f"{day} 01:00", site.run, "weekly_log_management")
    if day in NIGHTS:
        agenda.at(f"{day} 02:00", site.run, "daily_log_cleanup")
    if weekday == 6 and day != "0330":
        agenda.at(f"{day} 03:00", site.run, "weekly_system_cleanup")
    if weekday < 5:
        agenda.at(f"{day} 12:00", site.work, *WORK.get(day, (1, "", 0)))
    agenda.at(f"{day} 13:00", site.leave, day)
    if weekday == 4:
        agenda.at(f"{day} 17:00", site.run, "weekly_performance_review")
    agenda.at(f"{day} 18:00", site.run, "daily_evening_summary")
    # A service that is up samples all the time; here it must do so where the 24 hours of a later answer begin.
    agenda.at(f"{day} 18:05", site.settle)
    if weekday == 3:
        agenda.at(f"{day} 17:05", site.settle)


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


def faults(agenda: Agenda) -> None:
    """What goes wrong, when it ends, and the runs that are to find it."""
    site = agenda.site
    # A process writes to a rotated log from Sunday to Tuesday.
    agenda.at("0309 23:00", site.hold)
    agenda.at("0311 08:00", site.let_go)
    # The service is down from Wednesday to Thursday.
    agenda.at("0312 10:00", site.stop)
    for when in ("0312 10:05", "0312 10:10", "0312 14:15", "0313 09:15"):
        agenda.at(when, site.run, "watch_health")
    agenda.at("0313 07:00", site.run, "daily_morning_health_check")
    agenda.at("0313 09:00", site.start)
    # The disk of the archives is not there on a Monday.
    away = site.archives.with_name("away")
    agenda.at("0317 00:50", site.archives.rename, away)
    agenda.at("0317 08:00", away.rename, site.archives)
    # A session is stuck from Tuesday to Wednesday.
    agenda.at("0318 14:00", site.stick)
    agenda.at("0319 09:00", site.end_stuck)
    for when in ("0318 14:45", "0318 18:55", "0319 09:15", "0319 10:35"):
        agenda.at(when, site.run, "watch_performance")
    # Three of ten operations fail on a Thursday noon.
    for when in ("0327 12:10", "0327 13:30"):
        agenda.at(when, site.run, "watch_health")
    agenda.at("0328 07:00", site.run, "daily_morning_health_check")
    # The control node was off on a Sunday night: its timer makes up for the run at nine, a person by hand at ten.
    agenda.at("0330 09:00", site.run, "weekly_system_cleanup")
    agenda.at("0330 10:00", site.run, "weekly_system_cleanup", "--now")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The host after the five weeks."""
    base = tmp_path_factory.mktemp("weeks")
    clock = MovedClock(base / "clock")
    clock.move(moment("0127 00:00"))
    settings = {"PIPELINE_SAMPLE_SECONDS": "0.5", "PIPELINE_HEALTH_CACHE_SECONDS": "0", "PROCESSING_TIMEOUT": "3600"}
    with (
        receiver() as channels,
        running_pipeline(base / "pipeline", {**clock.environment, **settings}) as pipeline,
    ):
        site = Site(base, clock, pipeline, channels)
        site.prepare()
        agenda = Agenda(site)
        before(agenda)
        for number, day in enumerate(DAYS):
            routine(agenda, number, day)
        faults(agenda)
        agenda.at("0407 01:00", site.run, "weekly_log_management")
        agenda.play()
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
    # It is number 4 by now, and an hour and a half older than seven days; the night before it was not.
    "0315 02:00 daily_log_cleanup": rotated(4),
    "0316 03:00 weekly_system_cleanup": [
        "temp/batch_new.log",
        *left("merged_video.mp4", "0303", "0308"),
        *left("part.tmp", "0308", "0314"),
    ],
    "0323 03:00 weekly_system_cleanup": [
        *left("merged_video.mp4", "0309", "0315"),
        *left("part.tmp", "0315", "0321"),
    ],
    # Of two weeks, since the Monday before there was no disk to archive to.
    "0324 01:00 weekly_log_management": rotated(1, 2, 3, 4, 5, 6),
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
    there = {_plain(str(path.relative_to(site.pipeline.base_dir))) for path in site.pipeline.temp_dir.rglob("*")}
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
        "archived_logs_20250324": [f"rotated {day}" for day in ("0311", "0313", "0315", "0318", "0320", "0322")],
        "archived_logs_20250331": ["rotated 0325", "rotated 0327", "rotated 0329"],
        "archived_logs_20250407": ["rotated 0401", "rotated 0403", "rotated 0405"],
    }


# Operations, and failed ones, of each day whose report is still on the host: the newest 28 of 34.
DAILY = {
    "0309": (0, 0), "0310": (7, 0), "0311": (7, 0),  # there is none of the 12th: the service was down
    "0313": (7, 0), "0314": (7, 0), "0315": (0, 0), "0316": (0, 0),
    "0317": (7, 0), "0318": (9, 0), "0319": (8, 1), "0320": (7, 0), "0321": (7, 0), "0322": (0, 0), "0323": (0, 0),
    "0324": (15, 1), "0325": (15, 1), "0326": (15, 1), "0327": (10, 3), "0328": (7, 0), "0329": (0, 0), "0330": (0, 0),
    "0331": (7, 0), "0401": (15, 1), "0402": (7, 0), "0403": (7, 0), "0404": (7, 0), "0405": (0, 0), "0406": (0, 0),
}  # fmt: skip


# runbook: DE-1
def test_the_days_that_the_host_has_kept(site: Site) -> None:
    found = {}
    for path in site.state.glob("daily_report_*.json"):
        stats = json.loads(path.read_text(encoding="utf-8"))["stats"]
        found[path.stem[-4:]] = (stats["total_operations"], stats.get("failed_operations", 0))
    assert found == DAILY


# Operations, failed ones, where the figures are from, hours of the week that they cover, and what is said of errors.
WEEKLY = {
    # The service was down from Wednesday noon to Thursday, and forgot Tuesday evening: 39 hours without figures.
    "0314": (28, 0, "daily", 129, "not_enough_data"),
    "0321": (38, 1, "service", 168, "noise"),
    # Every day but Friday has failures, and of the 14 days before one has.
    "0328": (62, 6, "service", 168, "worse"),
    "0404": (43, 1, "service", 168, "noise"),
}


# runbook: WP-1, WP-2, WP-3
def test_the_weeks_that_the_host_has_kept(site: Site) -> None:
    reviews = {path.stem[-4:]: json.loads(path.read_text()) for path in site.state.glob("weekly_report_*.json")}
    found = {}
    for day, review in reviews.items():
        figures, coverage = review["figures"], review["coverage"]
        (errors,) = (row for row in review["degradation"] if row["figure"] == "error_rate")
        counts = (figures["total_operations"], figures["failed_operations"])
        found[day] = (*counts, review["source"], round(coverage["covered_h"]), errors["verdict"])
    assert found == WEEKLY
    assert reviews["0328"]["errors"] == {"FFMPEG_FAILED": 3, "VALIDATION_FAILED": 3}
    assert [restart[:13] for restart in reviews["0314"]["coverage"]["restarts"]] == ["2025-03-13T09"]
    assert [review["coverage"]["restarts"] for day, review in reviews.items() if day > "0320"] == [[], [], []]
    last = reviews["0404"]["comparison"]
    assert [(week["to"][:10], week["figures"]["total_operations"]) for week in reviews["0404"]["weeks"]] == [
        ("2025-03-07", 35), ("2025-03-14", 28), ("2025-03-21", 38), ("2025-03-28", 62),
    ]  # fmt: skip
    assert (last["previous"]["figures"]["failed_operations"], last["previous"]["origin"]) == (6, "review")


# Of all others the exit code is 0.
RED = {
    "0312 10:05 watch_health": 2,
    "0312 10:10 watch_health": 2,
    "0312 14:15 watch_health": 2,
    "0312 18:00 daily_evening_summary": 2,
    "0313 07:00 daily_morning_health_check": 2,
    "0317 01:00 weekly_log_management": 2,
    # What Monday did not archive the nights do not delete.
    **{f"{day} 02:00 daily_log_cleanup": 75 for day in ("0317", "0318", "0323")},
    # One operation took 19 hours, and one of eight failed.
    "0319 09:15 watch_performance": 2,
    "0319 18:00 daily_evening_summary": 2,
    "0327 12:10 watch_health": 2,
    "0327 18:00 daily_evening_summary": 2,
    "0328 07:00 daily_morning_health_check": 2,
    # It should have been at three.
    "0330 09:00 weekly_system_cleanup": 2,
}


def test_how_the_runs_ended(site: Site) -> None:
    surprises = {when: run for when, run in site.runs.items() if run.code != RED.get(when, 0)}
    assert not surprises, "\n".join(f"{when}: {run.code}\n{run.output}" for when, run in surprises.items())
    assert set(RED) <= set(site.runs)


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


# When the reports are from that the control node has kept: the newest 30 of each check.
REPORTS = {
    "daily_evening": DAYS[5:],
    "daily_log_cleanup": ["0310", "0314", "0315", "0324"],
    "daily_morning": ["0313", "0328"],
    "watch_health": ["0312", "0312", "0312", "0313", "0327", "0327"],
    "watch_performance": ["0318", "0318", "0319", "0319"],
    "weekly_log_management": ["0303", "0310", "0317", "0324", "0331", "0407"],
    "weekly_performance_review": ["0307", "0314", "0321", "0328", "0404"],
    "weekly_system_cleanup": ["0309", "0316", "0323", "0330", "0330", "0406"],
}


def test_the_reports_that_are_kept(site: Site) -> None:
    reports = {
        check.name: sorted(path.name[4:8] for path in check.iterdir() if path.name != "latest")
        for check in (site.base / "reports").iterdir()
        if check.name != "alerts"
    }
    assert reports == REPORTS
    for check, days in REPORTS.items():
        assert (site.base / "reports" / check / "latest").resolve().name[4:8] == days[-1]
    runs = site.base / "schedule/runs"
    artifacts = {run.name: sorted(path.name[4:8] for path in (run / "artifacts").iterdir()) for run in runs.iterdir()}
    assert artifacts == {
        "daily_evening_summary": DAYS[5:],
        "daily_morning_health_check": REPORTS["daily_morning"],
        **{name: days for name, days in REPORTS.items() if name.startswith(("watch", "weekly", "daily_log"))},
    }


# What automation did and decided, each night and week that it acted. After Sunday's cleanup there is a look at the
# health, hence recovered; the others are only completed.
LEDGER = {
    "0303": ["delete done", "archive done", "completed"],
    "0309": ["delete done", "delete done", "cleanup done", "recovered"],
    "0310": ["delete done", "archive done", "completed", "completed"],
    "0314": ["completed"],
    "0315": ["delete done", "completed"],
    "0316": ["delete done", "delete done", "delete done", "cleanup done", "recovered"],
    "0323": ["delete done", "delete done", "cleanup done", "recovered"],
    "0324": ["archive done", "completed", "completed"],
    "0330": ["refused", "delete done", "delete done", "cleanup done", "recovered"],
    "0331": ["delete done", "archive done", "completed"],
    "0406": ["delete done", "delete done", "cleanup done", "recovered"],
    "0407": ["delete done", "archive done", "completed"],
}


def test_the_record_of_what_was_done(site: Site) -> None:
    lines = (site.state / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    found: dict[str, list[str]] = {}
    for entry in entries:
        if entry["result"] != "started":
            said = entry["action"] if entry["result"] == "decided" else f"{entry['action']} {entry['result']}"
            found.setdefault(f"{datetime.fromisoformat(entry['at']):%m%d}", []).append(said)
    assert found == LEDGER
    attempts = [entry["result"] for entry in entries if entry["result"] != "decided"]
    assert attempts.count("started") == attempts.count("done") == len(attempts) / 2
    (refused,) = (entry["why"] for entry in entries if entry["action"] == "refused")
    assert "the run was scheduled for 2025-03-30T03:00:00Z and starts over 600 s late" in refused


def test_why_the_schedule_refused(site: Site) -> None:
    lines = (site.base / "schedule/runs.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    refused = [record for record in records if record["status"] == "refused"]
    assert [(record["procedure"], record["due"][5:10]) for record in refused] == [
        ("daily_log_cleanup", "03-17"), ("daily_log_cleanup", "03-18"), ("daily_log_cleanup", "03-23"),
    ]  # fmt: skip
    why = "weekly_log_management has not succeeded within 192 h: its last run failed at 2025-03-17T01:"
    assert all(record["why"].startswith(why) for record in refused)
    assert len(records) == len(site.runs)
    (late,) = (record for record in records if record["started"].startswith("2025-03-30T09:"))
    assert late["due"] == "2025-03-30T03:00:00Z"


# What Prometheus reads after all this: of the last watch, of the last archive, and of the last 24 hours of the host, in
# which Sunday's cleanup deleted by two rules, and Monday's archiving an old archive.
METRICS = {
    'check_state{source="watch_health",check="overall_status"}': "0",
    'check_state{source="watch_health",check="recent_error_rate"}': "0",
    'last_run_timestamp_seconds{source="watch_health"}': "0327 13",
    'last_success_timestamp_seconds{source="watch_health"}': "0327 13",
    'open_alerts{source="watch_health"}': "0",
    'suppressed_findings{source="watch_health"}': "0",
    'check_state{source="weekly_log_management",check="overall_status"}': "0",
    'check_state{source="weekly_log_management",check="recovery"}': "0",
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
