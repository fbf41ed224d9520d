# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weeks on three real hosts, by the schedule's own runner: nothing of their logs is lost, people know what they must.

One week, with the watches around its faults alone, is of stage `week`; five, with a watch each hour, are of stage
`weeks`. What is played is in week.py, the hosts are in site.py.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.lab.conftest import own_name
from tests.moved_clock import missing_reason
from tests.scheduled import Agenda, Run

from .places import Lines, copies, kept, lines_of, operations_by_day, reported_by_day
from .site import HOSTS, Site, weeks_site
from .week import AHEAD, BACK, weeks_of

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_reason()), reason=missing_reason()),
]


@dataclass
class Played:
    """The hosts after the weeks, and the lines that are on them."""

    site: Site
    weeks: int
    lines: dict[str, Lines]


@pytest.fixture(scope="module", params=[1, pytest.param(5, marks=pytest.mark.five_weeks)], ids=["one", "five"])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    weeks: int = request.param
    today = datetime.now(UTC).date()
    first = today + timedelta(days=7 - today.weekday())
    changes: list[date] = [first + timedelta(days=day) for day in (AHEAD, BACK)]
    with weeks_site(f"{own_name()}-w", tmp_path_factory.mktemp("weeks"), first, *changes) as site:
        agenda = Agenda(site.clock)
        weeks_of(agenda, site, weeks, hourly=weeks > 1)
        agenda.play(forward=True)
        yield Played(site, weeks, {host: lines_of(site, host) for host in HOSTS})


def _but_once(counted: Counter[int]) -> dict[int, int]:
    return {key: times for key, times in counted.items() if times != 1}


# runbook: WL-2, WL-3, WL-4, AU-S3
@pytest.mark.parametrize("host", HOSTS)
def test_every_line_is_in_exactly_one_place(played: Played, host: str) -> None:
    lines = played.lines[host]
    assert not _but_once(lines.numbered), lines.files
    assert sorted(lines.numbered) == list(range(played.site.lines[host])), lines.files
    assert not [key for key, times in lines.operations.items() if times != 1], lines.files


# runbook: WL-3
@pytest.mark.parametrize("host", HOSTS)
def test_each_archive_has_its_copy(played: Played, host: str) -> None:
    found = copies(played.site, host)
    assert found
    assert all(found.values()), found


# runbook: DE-1
@pytest.mark.parametrize("host", HOSTS)
def test_every_operation_is_in_exactly_one_day(played: Played, host: str) -> None:
    named = operations_by_day(played.site, played.lines[host])
    reported = reported_by_day(played.site, host)
    # Before the first day the hosts were made, at real time; the last one is not whole.
    days = range(played.weeks * 7)
    assert {day: reported.get(day) for day in days} == {day: named.get(day, (0, 0)) for day in days}
    hours = {day["day"]: _hours(day) for day in kept(played.site, host, "daily")}
    first = played.site.first
    for number in range(played.weeks * 7):
        name = (first + timedelta(days=number)).isoformat()
        assert hours[name] == {AHEAD: 23, BACK: 25}.get(number, 24), name


def _hours(report: dict[str, str]) -> float:
    begin, end = (datetime.fromisoformat(report[key]) for key in ("from", "to"))
    return (end - begin).total_seconds() / 3600


# runbook: WP-1
@pytest.mark.parametrize("host", HOSTS)
def test_the_weeks_are_the_sums_of_their_times(played: Played, host: str) -> None:
    lines = played.lines[host]
    reviews = kept(played.site, host, "weekly")
    assert len(reviews) == played.weeks
    for review in reviews:
        begin, end = (datetime.fromisoformat(review["period"][key]) for key in ("from", "to"))
        named = [key for key in lines.operations if begin <= datetime.fromisoformat(key[0]).replace(tzinfo=UTC) < end]
        failed = sum(key in lines.failed for key in named)
        figures = review["figures"]
        assert (figures["total_operations"], figures["failed_operations"]) == (len(named), failed), review["period"]


# What runs other than watches found, of each week: on which of its days and when, how they ended, and who was not well.
FOUND: dict[int, dict[str, tuple[int, dict[str, str]]]] = {
    1: {
        "07:00 daily_morning_health_check": (2, {"media3": "unknown"}),
        "18:00 daily_evening_summary": (2, {"media3": "unknown"}),
    },
    # Three of the seventeen operations since midnight failed.
    3: {"18:00 daily_evening_summary": (2, {"media1": "critical"})},
}
# Of watches: from when on which of the days to when.
WATCHED = [
    (1, "06:00", "19:00", ("watch_health", "watch_performance"), {"media3": "unknown"}),
    (2, "10:00", "10:10", ("watch_health",), {"media2": "critical"}),
    (3, "12:05", "13:05", ("watch_health",), {"media1": "critical"}),
]
# And of the Monday on which the power of one host went, and the store refused what the others had.
CUT = {
    "07 01:00 weekly_log_management": (2, dict.fromkeys(HOSTS, "critical")),
    "07 01:30 weekly_log_management": (0, {"media2": "warning"}),
}


def expected_of(when: str) -> tuple[int, dict[str, str]]:
    """How a run ends, and which hosts it finds not well."""
    day, clock, name = when.removesuffix(", again").split(" ")
    for of_week, begin, end, names, bad in WATCHED:
        if int(day) % 7 == of_week and begin <= clock < end and name in names:
            return 2, bad
    return CUT.get(when) or FOUND.get(int(day) % 7, {}).get(f"{clock} {name}") or (0, {})


def found(site: Site, run: Run) -> dict[str, str]:
    """The hosts that a run found not well, by the report that it left."""
    report = re.search(r"Report: (/\S+)/report.html", run.output)
    if not report:
        return {}
    result = json.loads(Path(report[1], "result.json").read_text(encoding="utf-8"))
    assert {host["host"] for host in result["hosts"]} == set(HOSTS), report[1]
    return {host["host"]: host["state"] for host in result["hosts"] if host["state"] != "ok"}


def test_runs_find_what_is_there_and_nothing_else(played: Played) -> None:
    seen = {when: (run.code, found(played.site, run)) for when, run in played.site.runs.items()}
    wrong = {when: what for when, what in seen.items() if what != expected_of(when)}
    assert not wrong, "\n".join(f"{when}: {played.site.runs[when].output[-3000:]}" for when in wrong)


# What people were told each week: on which day and at which hour, the event, the host, the check and its state. A host
# whose disk is full cannot keep what it has to tell, so the control node does, and says that.
TOLD = [
    (1, "06", "began", "media3", "host_state", "unknown"),
    (1, "19", "ended", "media3", "host_state", "ok"),
    (2, "10", "began", "media2", "host_state", "unknown"),
    (2, "10", "began", "media2", "overall_status", "critical"),
    (2, "10", "ended", "media2", "host_state", "ok"),
    (2, "10", "ended", "media2", "overall_status", "ok"),
    (3, "12", "began", "media1", "recent_error_rate", "critical"),
    (3, "13", "ended", "media1", "recent_error_rate", "ok"),
]


def told(site: Site) -> list[tuple[int, str, str, str, str, str]]:
    messages = [message for body in site.channels.bodies("webhook") for message in body["messages"]]
    rows = []
    for one in messages:
        at = datetime.fromisoformat(one["at"]).astimezone(site.zone)
        rows.append((site.day_of(at), f"{at:%H}", one["event"], one["host"], one["check"], one["state"]))
    return sorted(rows)


# runbook: AU-H1, AU-H3
def test_what_was_told(played: Played) -> None:
    expected = [(week * 7 + day, *rest) for week in range(played.weeks) for day, *rest in TOLD]
    rows = told(played.site)
    assert [row for row in rows if row[2] != "reminder"] == sorted(expected)
    # Every four hours, where a watch each hour sees that it goes on.
    reminded = {(row[0] % 7, *row[3:]) for row in rows if row[2] == "reminder"}
    assert reminded == ({(1, "media3", "host_state", "unknown")} if played.weeks > 1 else set())
    assert played.site.channels.refusals == []


# runbook: WL-2
def test_what_the_power_cut_left_is_told_and_taken_up(played: Played) -> None:
    again = played.site.runs["07 01:30 weekly_log_management"]
    assert "a run before was cut off" in again.output
    assert "which ended without releasing it" in again.output
