"""The fleet's week: sums reckoned by hand, and what the page and the text say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.document import weekly_document
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.render import render_weekly, view_of_week
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.review import review

from tests import weekly_factory
from tests.unit.plugins.week_factory import LIMITS, NOW, ago, daily, reports, stage

TEMPLATES = Path(__file__).parents[5] / "roles/report/templates"
HTML, MARKDOWN = str(TEMPLATES / "weekly.html.j2"), str(TEMPLATES / "weekly.md.j2")


def two_weeks(now: dict[str, Any], before: dict[str, Any] | None = None, ledger: Any = ()) -> dict[str, Any]:
    """A host with seven equal days, and where asked seven before them."""

    def days(first: int, figures: dict[str, Any]) -> list[dict[str, Any]]:
        breakdown = {"merging": stage(figures["operations"], figures["average"])}
        return [daily(ago(24 * back), stage_breakdown=breakdown, **figures) for back in range(first, first + 7)]

    kept = days(0, now) + (days(7, before) if before else [])
    return review(reports(kept, ledger=ledger), now=NOW, thresholds=LIMITS)


def document(**hosts: Any) -> dict[str, Any]:
    return weekly_document(hosts, run=weekly_factory.WEEKLY_RUN, contacts=[])


def figures(operations: int, failed: int, average: float, sessions: int = 1) -> dict[str, Any]:
    return {"operations": operations, "failed": failed, "average": average, "sessions": sessions}


# runbook: WP-2, WP-3
def test_the_fleet_is_the_sum_of_its_hosts() -> None:
    small = two_weeks(figures(100, 10, 10.0, 3), figures(100, 0, 10.0, 5))
    large = two_weeks(figures(300, 0, 30.0, 2), figures(100, 2, 50.0, 1))
    found = document(small=small, large=large, new=two_weeks(figures(50, 50, 99.0, 9)))
    assert found["figures"] == {
        "total_operations": 3150,
        "success_rate": pytest.approx(1 - 420 / 3150),
        "error_rate": pytest.approx(420 / 3150),  # 70 + 350 of 3150
        "average_duration_s": pytest.approx((700 * 10 + 2100 * 30 + 350 * 99) / 3150),
        "peak_active_sessions": 9,
        "hosts": 3,
        "coverage_share": 1.0,
    }
    rows = {row["figure"]: row for row in found["changes"]}
    # The new host has no week before, so it is in the figures and not in the change.
    assert (rows["total_operations"]["now"], rows["total_operations"]["before"]) == (3150, 1400)
    assert rows["total_operations"]["change"] == pytest.approx(2800 / 1400 - 1)
    assert rows["total_operations"]["hosts"] == 2
    assert rows["error_rate"]["change"] == pytest.approx(70 / 2800 - 14 / 1400)
    assert rows["average_duration_s"]["before"] == pytest.approx(30.0)  # (700 * 10 + 700 * 50) / 1400
    assert rows["average_duration_s"]["change"] == pytest.approx(25.0 / 30.0 - 1)
    merging = found["stages"][0]
    assert (merging["count"], merging["before_s"]) == (3150, pytest.approx((700 * 10 + 2100 * 50) / 2800))
    assert [row["total_operations"] for row in found["days"]] == [450] * 7
    assert [row["total_operations"] for row in found["weeks"]] == [1400, 3150]


def test_hosts_that_got_worse_come_first() -> None:
    made = weekly_factory.mixed()
    assert [(host["host"], host["verdict"]) for host in made["hosts"]] == [
        ("media2", "worse"),
        ("media5", "no_review"),
        ("media1", "noise"),
        ("media4", "not_enough_data"),
        ("media3", "not_enough_data"),
    ]


def test_repeated_fixes_of_any_host_come_first() -> None:
    fix = weekly_factory.fix
    often = two_weeks(figures(1, 0, 1.0), ledger=[fix(1, "restart", "unit"), fix(2, "restart", "unit")])
    once = two_weeks(figures(1, 0, 1.0), ledger=[fix(0, "delete", "a.tmp"), fix(0, "restart", "x", result="refused")])
    found = document(once=once, often=often, down=weekly_factory.lost())["automation"]
    assert [(row["host"], row["action"], row["runs"]) for row in found["rows"]] == [
        ("often", "restart", 2),
        ("once", "delete", 1),
    ]
    assert (found["attempts"], found["not_attempted"], found["repeated"]) == (3, 1, 1)
    assert found["unread"] == ["down"]


def test_a_run_that_died_is_told_with_host_and_time() -> None:
    fix = weekly_factory.fix
    died = [fix(day, "restart", f"unit {day}", result="started", controller="ops1") for day in range(1, 9)]
    whole = [fix(1, "delete", "a.tmp", result="started"), fix(1, "delete", "a.tmp")]
    made = document(
        **{f"media{number}": two_weeks(figures(1, 0, 1.0), ledger=died) for number in range(1, 4)},
        fine=two_weeks(figures(1, 0, 1.0), ledger=whole),
    )
    found = made["automation"]
    assert (found["attempts"], found["not_attempted"], found["repeated"]) == (25, 0, 0)
    assert (len(found["interrupted"]), found["interrupted_left"]) == (20, 4)
    assert [row["at"] for row in found["interrupted"]] == sorted(
        (row["at"] for row in found["interrupted"]), reverse=True
    )
    page, text = (" ".join(text.split()) for text in render_weekly(made, HTML, MARKDOWN))
    said = f"<b>media1</b> {ago(20):%Y-%m-%d %H:%M} UTC: restart unit 1 \u2013 "
    assert f'{said}<span class="state critical">a run died in the middle of it</span>' in page
    assert "24 actions of automation were interrupted." in page
    assert f"**media1** {ago(20):%Y-%m-%d %H:%M} UTC: restart unit 1 \u2013 a run died in the middle of it" in text
    assert "and 4 more" in page
    assert "and 4 more that a run died in" in text
    (sound,) = render_weekly(document(fine=two_weeks(figures(1, 0, 1.0), ledger=whole)), HTML)
    assert "died" not in sound
    assert "interrupted" not in sound


@pytest.mark.parametrize("case", weekly_factory.CASES)
def test_every_case_has_a_page_and_a_text(case: str) -> None:
    made = weekly_factory.CASES[case]() if case != "fleet" else weekly_factory.fleet(25)
    page, text = render_weekly(made, HTML, MARKDOWN)
    assert [page] == render_weekly(made, HTML), "the same document gives the same bytes"
    assert "Traceback" not in page + text
    assert not re.search(r"\bNone\b|\bnan\b|Undefined", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL) + text)
    assert "src=" not in page.replace("&lt;img src=x&gt;", "")
    assert "http" not in re.sub(r"http-equiv|http://evil\.example", "", page)
    for host in made["hosts"][:20]:
        assert host["host"].replace("<", "&lt;").replace(">", "&gt;") in page


def test_the_page_says_what_a_lead_asks() -> None:
    page = " ".join(render_weekly(weekly_factory.mixed(), HTML)[0].split())
    assert "Worse than the weeks before by more than noise: media2." in page
    assert "1 fix was repeated by automation." in page
    assert "media4: the service was restarted, and forgot what was before (2026-11-26 12:05" in page
    assert "media3: the service gave no figures of 168" in page
    assert "1 host: no more than noise; 2 hosts: not enough data; 1 host: no figures." in page
    for title in (
        "Average duration by day",
        "Error rate by day",
        "Duration by stage",
        "Failed operations by error code",
    ):
        assert f"<b>{title}" in page
    (nothing,) = render_weekly(weekly_factory.nothing(), HTML)
    assert "There was no host to review: look at the inventory and at --limit." in nothing
    assert "No host was reviewed" in nothing


def test_a_week_that_could_not_be_compared_is_not_called_sound() -> None:
    days = [daily(ago(24 * back), operations=100) for back in range(7)]
    first = review(reports(days), now=NOW, thresholds=LIMITS)
    assert {row["verdict"] for row in first["degradation"]} == {"not_enough_data"}
    view = view_of_week(weekly_document({"media1": first}, run={}))
    assert (view["state"], view["word"]) == ("unknown", "Not enough data to compare")
    before = [daily(ago(24 * back), operations=100) for back in range(35)]
    second = review(reports(before), now=NOW, thresholds=LIMITS)
    view = view_of_week(weekly_document({"media1": first, "media2": second}, run={}))
    assert (view["state"], view["word"]) == ("ok", "No degradation seen")
    assert "1 host: not enough data" in view["unchanged"]


def test_little_need_be_known_of_the_run() -> None:
    made = weekly_document({}, run={})
    assert "Weekly performance review" in render_weekly(made, HTML)[0]
    assert "Check mode" not in render_weekly(made, MARKDOWN)[0]
    assert "Check mode: nothing was written" in render_weekly({**made, "run": {"check_mode": True}}, MARKDOWN)[0]


def test_foreign_text_stays_text() -> None:
    made = weekly_factory.hostile()
    page, text = render_weekly(made, HTML, MARKDOWN)
    assert "<script>" not in page
    assert "<img src=x>" not in page + text
    assert "<i>$x$" not in page
    assert "{{ 7 * 7 }}" in page
    assert "49" not in re.findall(r">([^<]*)</h1>", page)[0]
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1, table
    assert "[x](http" not in text


@pytest.mark.parametrize(
    ("made", "template", "said"),
    [
        ({}, HTML, "a document of weekly_document is needed"),
        ([], HTML, "a document of weekly_document is needed"),
        ({"schema_version": 1, "hosts": [{}]}, HTML, "it does not keep to roles/report/files/weekly.schema.json"),
        (weekly_factory.nothing(), "/nonexistent/weekly.html.j2", "there is no file"),
        (weekly_factory.nothing(), "weekly.txt", "its name must end in"),
    ],
)
def test_misuse_is_named(made: Any, template: str, said: str) -> None:
    with pytest.raises(OptionError, match=re.escape(said)):
        render_weekly(made, template)


def test_reviews_that_are_none_are_refused() -> None:
    with pytest.raises(OptionError, match="reviews"):
        weekly_document(["media1"], run={})
