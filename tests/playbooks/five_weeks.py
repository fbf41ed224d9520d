"""Five weeks of one host, from Monday, 3 March 2025 to the Monday after the fifth, with the clock moved.

A real pipeline does real jobs, files come and grow old, faults begin on one day and end on another. Each run is started
as a timer starts it, by the schedule's own runner, and plays a real playbook. What must be there at the end, what must
be gone and since when, and what was told to whom, is written down in the tests as a person reckons it from the runbook.

They are played twice, side by side, as they take long: test_five_weeks_acting.py is all that acts and watches, and
test_five_weeks_summed.py the evenings with the weeks that are made of them. The service, its work and its faults are
the same in both.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from media_pipeline.client import wait_for
from media_pipeline.launcher import Pipeline, running_pipeline

from tests import scheduled
from tests.moved_clock import MovedClock, missing_reason
from tests.playbooks.conftest import REACHED
from tests.receiver import Receiver, receiver
from tests.scheduled import SCHEDULE, Run, play, write_schedule

MARKS = [
    pytest.mark.playbook,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_reason()), reason=missing_reason()),
]
DAYS = [f"{date(2025, 3, 3) + timedelta(days=number):%m%d}" for number in range(35)]
BIG = 100 * 2**20
SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def moment(when: str) -> datetime:
    """``0303 18:00`` of the year in which all this takes place."""
    return datetime.strptime(f"2025{when}", "%Y%m%d %H:%M").replace(tzinfo=UTC)


def plain(path: str) -> str:
    """A path without what is chance in it."""
    return SESSION.sub("SESSION", path)


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
                "coverage_known": 0.5, "coverage_min": 0.8, "days_min": 5, "operations_min": 5,
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
        procedures = [{**one, "vars": with_metrics if one["name"] in measured else {}} for one in SCHEDULE]
        write_schedule(self.base / "schedule", procedures, inventory, secrets)

    # What happens on the host

    def put(self, path: Path, content: bytes = b"", *, size: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if size:
            with path.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, size)  # a sparse one has no size to free

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
        run = play(self.base / "schedule", name, *options, environment={**os.environ, **self.clock.environment})
        run.gone = sorted(map(plain, there - self._files()))
        self.runs[f"{when} {name}"] = run

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


class Agenda(scheduled.Agenda):
    """What happens when on the host."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.clock)
        self.site = site

    def at(self, when: str, step: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        self.add(moment(when), step, *arguments, **options)


def working_days(agenda: Agenda) -> None:
    """What the service does, what becomes of it, and the review of each week."""
    site = agenda.site
    for number, day in enumerate(DAYS):
        weekday = number % 7
        if weekday < 5:
            agenda.at(f"{day} 12:00", site.work, *WORK.get(day, (1, "", 0)))
        if weekday == 4:
            agenda.at(f"{day} 17:00", site.run, "weekly_performance_review")
        # A service that is up samples all the time; here it must do so where the time of a later answer begins.
        agenda.at(f"{day} 18:05", site.settle)
        if weekday == 3:
            agenda.at(f"{day} 17:05", site.settle)
    # The service is down from Wednesday to Thursday.
    agenda.at("0312 10:00", site.stop)
    agenda.at("0313 09:00", site.start)
    # A session is stuck from Tuesday to Wednesday.
    agenda.at("0318 14:00", site.stick)
    agenda.at("0319 09:00", site.end_stuck)


@contextlib.contextmanager
def played(base: Path, begin: str, *parts: Callable[[Agenda], None]) -> Iterator[Site]:
    """The host after the five weeks, which are the working days and these parts; the clock begins at `begin`."""
    clock = MovedClock(base / "clock")
    clock.move(moment(begin))
    settings = {"PIPELINE_SAMPLE_SECONDS": "0.5", "PIPELINE_HEALTH_CACHE_SECONDS": "0", "PROCESSING_TIMEOUT": "3600"}
    with (
        receiver() as channels,
        running_pipeline(base / "pipeline", {**clock.environment, **settings}) as pipeline,
    ):
        site = Site(base, clock, pipeline, channels)
        site.prepare()
        agenda = Agenda(site)
        for part in (*parts, working_days):
            part(agenda)
        agenda.play()
        yield site


def surprises(site: Site, red: dict[str, int]) -> str:
    """Runs that did not end as they should: with the exit code of `red`, all others with 0."""
    assert set(red) <= set(site.runs)
    return "\n".join(
        f"{when}: {run.code}\n{run.output}" for when, run in site.runs.items() if run.code != red.get(when, 0)
    )


def kept_reports(site: Site) -> dict[str, list[str]]:
    """The days of the reports that the control node has kept, by check; the newest of each is the latest."""
    found = {}
    for check in (site.base / "reports").iterdir():
        if check.name != "alerts":
            found[check.name] = sorted(path.name[4:8] for path in check.iterdir() if path.name != "latest")
            assert (check / "latest").resolve().name[4:8] == found[check.name][-1]
    return found


def kept_runs(site: Site) -> dict[str, list[str]]:
    """The days of the runs that the schedule has kept, by procedure."""
    runs = (site.base / "schedule/runs").iterdir()
    return {run.name: sorted(path.name[4:8] for path in (run / "artifacts").iterdir()) for run in runs}


def weeks(site: Site) -> dict[str, tuple[Any, ...]]:
    """Each review on the host: operations, failed ones, where they are from, hours covered, what is said of errors."""
    found = {}
    for path in site.state.glob("weekly_report_*.json"):
        review = json.loads(path.read_text(encoding="utf-8"))
        figures = review["figures"]
        (errors,) = (row for row in review["degradation"] if row["figure"] == "error_rate")
        counts = (figures["total_operations"], figures["failed_operations"])
        found[path.stem[-4:]] = (*counts, review["source"], round(review["coverage"]["covered_h"]), errors["verdict"])
    return found
