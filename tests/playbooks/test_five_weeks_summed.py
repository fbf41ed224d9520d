"""The five weeks of five_weeks.py, as they are summed up: each evening, and each week from its evenings."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.playbooks.five_weeks import DAYS, MARKS, Agenda, Site, kept_reports, kept_runs, played, surprises, weeks

pytestmark = MARKS


def evenings(agenda: Agenda) -> None:
    for day in DAYS:
        agenda.at(f"{day} 18:00", agenda.site.run, "daily_evening_summary")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The host after the five weeks."""
    with played(tmp_path_factory.mktemp("weeks"), "0303 00:00", evenings) as site:
        yield site


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
    assert weeks(site) == WEEKLY
    reviews = {path.stem[-4:]: json.loads(path.read_text()) for path in site.state.glob("weekly_report_*.json")}
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
    "0312 18:00 daily_evening_summary": 2,
    # One operation took 19 hours, and one of eight failed.
    "0319 18:00 daily_evening_summary": 2,
    "0327 18:00 daily_evening_summary": 2,
}


def test_how_the_runs_ended(site: Site) -> None:
    assert not surprises(site, RED)


def test_the_reports_that_are_kept(site: Site) -> None:
    """The control node keeps the newest 30 of each check."""
    reviews = ["0307", "0314", "0321", "0328", "0404"]
    assert kept_reports(site) == {"daily_evening": DAYS[5:], "weekly_performance_review": reviews}
    assert kept_runs(site) == {"daily_evening_summary": DAYS[5:], "weekly_performance_review": reviews}
