"""When procedures were due, at both ends of summer time in every zone that has one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.due import (
    HOURS_LEFT_OUT,
    LEFT_OUT_MOST,
    due,
    firings,
)

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY = {"at": "02:30"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "was_due"),
    [
        # Summer time begins at 01:00 UTC: there is no 02:30 on the 29th, and 03:30 is 01:30 UTC.
        ("2026-03-28T12:00", "2026-03-28T01:30"),
        ("2026-03-29T01:29", "2026-03-28T01:30"),
        ("2026-03-29T01:30", "2026-03-29T01:30"),
        ("2026-03-29T02:30", "2026-03-29T01:30"),
        ("2026-03-30T00:30", "2026-03-30T00:30"),
        # It ends at 01:00 UTC: 02:30 comes at 00:30 and at 01:30 UTC, and the first one counts.
        ("2026-10-25T00:30", "2026-10-25T00:30"),
        ("2026-10-25T01:30", "2026-10-25T00:30"),
        ("2026-10-25T23:00", "2026-10-25T00:30"),
    ],
)
def test_a_time_that_summer_time_leaves_out_or_repeats_comes_once(now: str, was_due: str) -> None:
    assert due(NIGHTLY, at(now), BERLIN) == at(was_due)


def test_the_minutes_of_an_hour_that_comes_twice_are_all_due() -> None:
    assert due({"every": 5}, at("2026-10-25T00:33"), BERLIN) == at("2026-10-25T00:30")
    assert due({"every": 5}, at("2026-10-25T01:33"), BERLIN) == at("2026-10-25T01:30")


def moved(zone: ZoneInfo) -> list[tuple[datetime, timedelta]]:
    """The days of a year on which the clock is moved, and by how much."""
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(366)]
    offsets = [day.astimezone(zone).utcoffset() or timedelta() for day in days]
    steps = zip(days, pairwise(offsets), strict=False)
    return [(day, after - before) for day, (before, after) in steps if after != before]


def by_kind() -> dict[str, list[tuple[datetime, timedelta]]]:
    """One zone for each set of moves, all of which are looked at."""
    kinds: dict[Any, str] = {}
    for name in sorted(available_timezones()):
        moves = moved(ZoneInfo(name))
        if moves:
            offset = moves[0][0].astimezone(ZoneInfo(name)).utcoffset()
            kinds.setdefault((offset, tuple(moves)), name)
    return {name: list(moves) for (_offset, moves), name in kinds.items()}


def test_in_every_zone_each_time_comes_once_a_day_and_a_timer_fires_for_it() -> None:
    wrong: list[Any] = []
    for name, moves in by_kind().items():
        zone = ZoneInfo(name)
        for day, by in moves:
            assert by <= timedelta(hours=LEFT_OUT_MOST)
            for hour in (*HOURS_LEFT_OUT, 4, 21):
                procedure = {"at": f"{hour:02}:50"}
                # Over three days, what was due, each once.
                moments = [day + timedelta(minutes=5 + 30 * step - 1440) for step in range(2 * 72)]
                seen = list(dict.fromkeys(due(procedure, moment, zone) for moment in moments))
                fires = {(one, minute) for one, minute, _weekday in firings(procedure)}
                clock = [moment.astimezone(zone) for moment in seen]
                gaps = [later - one for one, later in pairwise(seen)]
                if not all((one.hour, one.minute) in fires for one in clock) or not all(
                    timedelta(hours=21) <= gap <= timedelta(hours=27) for gap in gaps
                ):
                    wrong.append((name, day, procedure, clock))
    assert wrong == []
