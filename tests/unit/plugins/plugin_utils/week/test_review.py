"""The weekly review, by figures that were reckoned by hand, and by properties that hold for any week."""

from __future__ import annotations

import math
from datetime import timedelta
from itertools import combinations, pairwise
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.review.chance import chance
from ansible_collections.media_ops.runbook.plugins.module_utils.review.days import (
    NoFiguresError,
    Window,
    peaks_by_week,
    read_week,
    read_window,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.review.sums import (
    length_of,
    minus,
    shares_of,
    total_of,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import judge
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.observations import observe_review
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.review import review
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.week_factory import (
    LIMITS,
    NOW,
    ago,
    answer,
    daily,
    reports,
    samples,
    service_week,
    stage,
    stats,
    today,
)

FEW = settings(max_examples=60, deadline=None)


def reviewed(kept: dict[str, Any], **more: Any) -> dict[str, Any]:
    return review(kept, **{"now": NOW, "thresholds": LIMITS, **more})


# --- the runbook's figures


# runbook: WP-1, WP-2
def test_a_week_of_seven_days_that_touch() -> None:
    """Two kinds of days: 100 operations of 10 s, and one of 300 of 30 s; the mean of the means would be 12.86 s."""
    days = [daily(ago(24 * back), operations=100, failed=2, average=10.0) for back in range(1, 7)]
    days.append(daily(NOW, operations=300, failed=18, average=30.0, sessions=6))
    found = reviewed(reports(days))
    assert found["source"] == "daily"
    assert found["figures"] == {
        "total_operations": 900,
        "failed_operations": 30,
        "success_rate": 0.966667,
        "error_rate": 0.033333,
        "average_duration_s": 16.666667,  # (600 * 10 + 300 * 30) / 900
        "peak_active_sessions": 6,
        "peak_active_sessions_at": to_text(NOW - timedelta(hours=23, minutes=55)),
        "cpu_peak_percent": 20.0,
        "cpu_peak_at": "2026-11-20T17:05:00Z",
        "memory_peak_percent": 40.0,
        "memory_peak_at": "2026-11-20T17:05:00Z",
    }
    assert found["coverage"]["covered_h"] == found["coverage"]["proved_h"] == 168
    assert (found["coverage"]["share"], found["coverage"]["enough"], found["coverage"]["gaps"]) == (1.0, True, [])
    assert found["period"] == {"from": "2026-11-20T17:00:00Z", "to": "2026-11-27T17:00:00Z"}


def test_the_same_day_twice_counts_once() -> None:
    days = [daily(ago(24), operations=100), daily(NOW, operations=50, average=20.0)]
    once = reviewed(reports(days))
    twice = reviewed(reports([*days, days[1], days[0]]))
    assert once["figures"] == twice["figures"]
    assert once["figures"]["total_operations"] == 150
    assert once["days"] == twice["days"]


def test_a_window_that_overlaps_counts_with_what_is_new_in_it() -> None:
    """Six hours of the second day's 24 h were told of by the first: 18 of 24, 240 operations make 180."""
    found = reviewed(reports([daily(ago(18), operations=100), daily(NOW, operations=240)]))
    assert found["figures"]["total_operations"] == 280
    assert [day["counted_h"] for day in found["days"]] == [24, 18]
    assert found["coverage"]["covered_h"] == 42


def test_a_window_that_begins_before_the_week_counts_with_its_part() -> None:
    found = reviewed(reports([daily(ago(162), operations=240)]))
    assert found["figures"]["total_operations"] == 60  # 6 of 24 h
    assert found["coverage"]["gaps"] == [{"from": "2026-11-20T23:00:00Z", "to": "2026-11-27T17:00:00Z"}]


def test_a_restart_cuts_the_window_to_what_the_service_remembers() -> None:
    """Up for six hours at the day's end: the 18 h before are lost, and said so; the 60 operations count whole."""
    found = reviewed(reports([daily(ago(24), operations=100), daily(NOW, operations=60, up_hours=6)]))
    assert found["figures"]["total_operations"] == 160
    assert found["coverage"]["covered_h"] == pytest.approx(24 + 6, abs=0.1)
    assert found["coverage"]["restarts"] == ["2026-11-27T11:05:00Z"]
    assert {"from": "2026-11-26T17:00:00Z", "to": "2026-11-27T11:05:00Z"} in found["coverage"]["gaps"]
    assert found["coverage"]["enough"] is False


def test_a_day_without_samples_is_counted_and_not_called_proved() -> None:
    day = daily(NOW, operations=100)
    found = reviewed(reports([{**day, "metrics": []}]))
    assert found["figures"]["total_operations"] == 100
    assert (found["coverage"]["covered_h"], found["coverage"]["proved_h"]) == (24, 0)
    assert found["figures"]["peak_active_sessions"] is None


def test_the_peak_is_the_highest_sample_and_not_the_largest_stage() -> None:
    """Defect 8 of the runbook: its peak is the largest stage count, 400 here."""
    day = daily(NOW, operations=400, sessions=3, stage_breakdown={"merging": stage(400, 9.0)})
    day["metrics"][100]["active_sessions"] = 7
    found = reviewed(reports([day]))
    assert found["figures"]["peak_active_sessions"] == 7
    assert found["figures"]["peak_active_sessions_at"] == day["metrics"][100]["at"]


def test_the_peak_of_the_week_before_is_not_this_weeks() -> None:
    """The border day has samples on both sides of it."""
    border = daily(ago(162), operations=100, sessions=9)
    for row in border["metrics"][-72:]:  # six hours, from the week's begin on
        row["active_sessions"] = 2
    found = reviewed(reports([border]))
    assert found["figures"]["peak_active_sessions"] == 2


def test_todays_samples_of_the_service_count() -> None:
    found = reviewed(reports([daily(ago(24), sessions=2)]), day=today(sessions=5, operations=10))
    assert found["figures"]["peak_active_sessions"] == 5
    assert found["figures"]["total_operations"] == 110


def test_stages_are_weighted_by_their_operations_and_sorted_by_duration() -> None:
    first = {"merging": stage(10, 60.0, failed=1, longest=200.0), "upload": stage(100, 2.0)}
    second = {"merging": stage(90, 20.0, longest=50.0)}
    found = reviewed(
        reports([daily(ago(24), stage_breakdown=first), daily(NOW, stage_breakdown=second)]),
    )
    assert list(found["stages"]) == ["merging", "upload"]
    assert found["stages"]["merging"] == {
        "count": 100,
        "success_rate": 0.99,
        "average_duration_s": 24.0,  # (10 * 60 + 90 * 20) / 100, and not 40
        "max_duration_s": 200.0,
        "min_duration_s": 10.0,
        "before_s": None,
        "change": None,
    }


def test_errors_are_added_up_most_frequent_first() -> None:
    days = [
        daily(ago(24), failed=5, error_breakdown={"MERGE_ERROR": 2, "FFMPEG_FAILED": 3}),
        daily(NOW, failed=6, error_breakdown={"MERGE_ERROR": 6}),
    ]
    assert list(reviewed(reports(days))["errors"].items()) == [("MERGE_ERROR", 8), ("FFMPEG_FAILED", 3)]


# --- two sources


def test_the_service_is_believed_where_it_knows_of_more() -> None:
    found = reviewed(reports([daily(ago(24), operations=100)]), week=service_week(700, failed=7, average=12.0))
    assert (found["source"], found["figures"]["total_operations"]) == ("service", 700)
    assert found["figures"]["error_rate"] == 0.01


def test_a_service_s_word_for_a_week_covers_no_more_than_is_proved() -> None:
    """It may have been started 32 h ago, when a day's samples tell nothing of it, or been cleaned up on Sunday."""
    found = reviewed(reports([]), day=today(operations=100), week=service_week(140))
    assert (found["source"], found["figures"]["total_operations"]) == ("service", 140)
    assert (found["coverage"]["covered_h"], found["coverage"]["proved_h"]) == (24, 24)
    assert found["coverage"]["known"] is found["coverage"]["enough"] is False
    assert "nothing proves that the service remembers 144 h of the week that it tells of" in found["coverage"]["notes"]


def test_a_report_of_no_operations_without_samples_proves_no_idleness() -> None:
    """Nothing shows that the service was up, or since when."""
    idle = daily(ago(24), operations=0, average=0.0)
    silent = {**daily(NOW, operations=0, average=0.0), "metrics": []}
    assert reviewed(reports([idle, silent]))["coverage"]["covered_h"] == 24


def test_a_day_of_which_two_parts_were_seen_counts_with_both_and_no_more() -> None:
    """As of a host that joined its log with what the service told: nothing in it is of another day or week."""
    (window,) = reports([daily(NOW, operations=10)])["days"]
    parts = [(to_text(ago(17)), to_text(ago(12))), (to_text(ago(6)), to_text(NOW))]
    window |= {"begin": to_text(ago(17)), "day": "2026-11-27", "parts": parts, "operations": 5000.0, "failed": 0.0}
    found = reviewed({**reports([]), "days": [window], "seen": True}, day=today(operations=9999))
    assert (found["figures"]["total_operations"], found["coverage"]["covered_h"]) == (5000, 11)
    assert found["coverage"]["gaps"][1:] == [{"from": parts[0][1], "to": parts[1][0]}]
    assert found["coverage"]["capped"] == [], "a log has no cap"
    assert [(day["date"], day["counted_h"], day["total_operations"]) for day in found["days"]] == [
        ("2026-11-27", 11, 5000),
    ]  # fmt: skip


def test_the_days_are_believed_where_the_service_has_forgotten() -> None:
    """After a restart on Thursday the service knows of one day only; the days on disk know of all."""
    days = [daily(ago(24 * back), operations=100) for back in range(1, 7)]
    found = reviewed(reports(days), day=today(up_hours=12, operations=50), week=service_week(50))
    assert (found["source"], found["figures"]["total_operations"]) == ("daily", 650)
    assert found["coverage"]["covered_h"] == pytest.approx(156, abs=0.1)


def test_a_service_that_was_restarted_covers_only_what_is_since() -> None:
    found = reviewed(reports([]), day=today(up_hours=12, operations=50), week=service_week(50))
    assert found["source"] == "service"
    assert found["coverage"]["covered_h"] == pytest.approx(12, abs=0.1)
    assert found["coverage"]["proved_h"] == pytest.approx(12, abs=0.1)


def test_a_full_memory_is_named() -> None:
    found = reviewed(reports([]), week=service_week(1000))
    assert found["coverage"]["capped"] == ["2026-11-27"]
    assert any("remembers 1000 operations at most" in note for note in found["coverage"]["notes"])


def test_nothing_at_all_is_no_zero() -> None:
    refused = {"endpoints": {"stats": answer(None, "unreachable", "connection refused")}}
    found = reviewed({"failed": True, "msg": "state_dir does not exist"}, day=refused, week=refused)
    assert found["source"] == "none"
    assert set(found["figures"].values()) == {None}
    assert (found["coverage"]["covered_h"], found["coverage"]["enough"]) == (0, False)
    notes = " ".join(found["coverage"]["notes"])
    assert "connection refused" in notes
    assert "state_dir does not exist" in notes
    assert found["automation"] is None
    assert {row["verdict"] for row in found["degradation"]} == {"not_enough_data"}


def test_a_week_without_operations_has_no_rates() -> None:
    found = reviewed(reports([daily(NOW, operations=0, average=0.0)]), week=service_week(0, average=0.0))
    assert found["figures"]["total_operations"] == 0
    assert found["figures"]["error_rate"] is found["figures"]["average_duration_s"] is None


# --- comparison


def former(back: int, operations: int, failed: int, average: float, peak: float, share: float = 1.0) -> dict[str, Any]:
    end = NOW - timedelta(weeks=back)
    return read_week(
        {
            "schema_version": 1,
            "period": {"from": to_text(end - timedelta(weeks=1)), "to": to_text(end)},
            "figures": {
                "total_operations": operations,
                "failed_operations": failed,
                "average_duration_s": average,
                "peak_active_sessions": peak,
            },
            "coverage": {"share": share},
            "stages": {"merging": {"count": operations, "average_duration_s": average}},
        }
    )


def full_week(operations: int = 100, failed: int = 5, average: float = 12.0, sessions: int = 6) -> list[dict[str, Any]]:
    breakdown = {"merging": stage(operations, average)}
    figures: dict[str, Any] = {
        "operations": operations,
        "failed": failed,
        "average": average,
        "stage_breakdown": breakdown,
    }
    return [daily(ago(24 * back), sessions=sessions, **figures) for back in range(7)]


# runbook: WP-3
def test_this_week_beside_the_week_before_and_the_mean_of_four() -> None:
    weeks = [
        former(4, 100, 20, 40.0, 2),
        former(3, 500, 5, 10.0, 4),
        former(2, 400, 10, 10.0, 4),
        former(1, 500, 5, 10.0, 4),
    ]
    found = reviewed(reports(full_week(), weeks))
    rows = {row["figure"]: row for row in found["comparison"]["changes"]}
    assert rows["total_operations"] == {
        "figure": "total_operations", "unit": "count", "now": 700, "before": 500, "mean": 375,
        "change": 0.4, "change_mean": 0.866667, "why": "",
    }  # fmt: skip
    # Over all operations of the four weeks: 40 of 1500 failed, and not the mean of the rates (6.38 %).
    assert (rows["error_rate"]["before"], rows["error_rate"]["mean"]) == (0.01, 0.026667)
    assert rows["error_rate"]["change"] == 0.04  # points: 5 % after 1 %
    # (100 * 40 + 1400 * 10) / 1500 = 12, so the week is as usual, though the mean of the means is 17.5
    assert (rows["average_duration_s"]["mean"], rows["average_duration_s"]["change_mean"]) == (12.0, 0.0)
    assert rows["average_duration_s"]["change"] == 0.2
    assert (rows["peak_active_sessions"]["mean"], rows["peak_active_sessions"]["change"]) == (3.5, 0.5)
    assert found["comparison"]["mean"]["weeks"] == 4
    assert (found["stages"]["merging"]["before_s"], found["stages"]["merging"]["change"]) == (10.0, 0.2)


def test_the_first_week_has_nothing_to_compare_with() -> None:
    found = reviewed(reports(full_week()))
    assert found["comparison"]["previous"] is found["comparison"]["mean"] is None
    assert {row["why"] for row in found["comparison"]["changes"]} == {"there is no week before"}
    assert all(row["change"] is None for row in found["comparison"]["changes"])


def test_half_a_week_is_no_fall_of_operations() -> None:
    found = reviewed(reports([daily(NOW, operations=100)], [former(1, 700, 7, 10.0, 4)]))
    rows = {row["figure"]: row for row in found["comparison"]["changes"]}
    assert (rows["total_operations"]["change"], rows["total_operations"]["why"]) == (None, "this week's data cover 14%")
    assert rows["error_rate"]["change"] == -0.01, "a rate can be compared all the same"
    thin = reviewed(reports(full_week(), [former(1, 100, 1, 10.0, 4, share=0.3)]))
    assert thin["comparison"]["changes"][0]["why"] == "the data of the week before cover 30%"


def test_a_week_that_was_not_reviewed_is_made_from_its_days() -> None:
    before = [daily(ago(24 * back), operations=50, average=8.0, sessions=3) for back in range(7, 14)]
    found = reviewed(reports([*full_week(), *before]))
    assert found["comparison"]["previous"]["origin"] == "daily"
    assert found["comparison"]["previous"]["figures"]["total_operations"] == 350
    assert found["comparison"]["previous"]["figures"]["average_duration_s"] == 8.0
    assert found["comparison"]["previous"]["figures"]["peak_active_sessions"] == 3


def test_a_review_a_day_late_is_still_the_week_before_and_two_days_late_is_not() -> None:
    late = former(1, 500, 5, 10.0, 4)
    assert reviewed(reports(full_week(), [{**late, "to": to_text(ago(168 - 20))}]))["comparison"]["previous"]
    assert not reviewed(reports(full_week(), [{**late, "to": to_text(ago(168 - 48))}]))["comparison"]["previous"]


def test_a_review_can_be_compared_with_by_the_next() -> None:
    found = reviewed(reports(full_week()))
    later = review(
        reports([], [read_week(found)]), now=NOW + timedelta(weeks=1), thresholds=LIMITS, week=service_week(10)
    )
    assert later["comparison"]["previous"]["figures"] == {
        key: found["figures"][key] for key in later["comparison"]["previous"]["figures"]
    }


# --- degradation


def days_of(values: list[float], first_back: int, operations: int = 50) -> list[dict[str, Any]]:
    return [daily(ago(24 * (first_back + at)), operations=operations, average=v) for at, v in enumerate(values)]


def verdict(now: list[float], before: list[float], **limits: Any) -> dict[str, Any]:
    kept = reports([*days_of(now, 0), *days_of(before, 7)])
    found = reviewed(kept, thresholds={**LIMITS, **limits})["degradation"]
    return next(row for row in found if row["figure"] == "average_duration_s")


BEFORE = [10.0, 10.5, 9.5, 11.0, 9.0, 10.2, 9.8, 10.1, 9.9, 10.4]


def test_a_slower_week_is_worse_and_a_faster_one_better() -> None:
    worse = verdict([15.0, 15.1, 14.0, 16.0, 14.5, 13.9, 15.2], BEFORE)
    assert worse["verdict"] == "worse"
    assert worse["p"] == pytest.approx(2 / math.comb(17, 7), abs=1e-6)
    assert (worse["median"], worse["median_before"], worse["change"]) == (15.0, 10.05, round(15 / 10.05 - 1, 6))
    assert verdict([5.0, 5.1, 4.0, 6.0, 4.5, 3.9, 5.2], BEFORE)["verdict"] == "better"


def test_one_wild_day_is_noise() -> None:
    found = verdict([10.0, 9.6, 300.0, 10.3, 9.4, 10.6, 9.7], BEFORE)
    assert found["verdict"] == "noise"
    assert found["why"].startswith("p = ")


def test_a_sure_change_that_is_too_small_does_not_matter() -> None:
    found = verdict([11.1, 11.2, 11.3, 11.4, 11.5, 11.6, 11.7], [10.9, 10.8, 10.7, 10.6, 10.95, 10.85, 10.75])
    assert (found["verdict"], found["why"]) == ("noise", "the change is too small to matter")
    assert found["p"] < 0.01


def test_too_few_days_are_said_to_be_too_few() -> None:
    found = verdict([99.0] * 4, BEFORE)
    assert found["verdict"] == "not_enough_data"
    assert found["why"] == "4 days of this week can be used, 5 are needed"
    assert verdict(BEFORE[:7], [1.0, 2.0])["why"] == "2 days of the four weeks before can be used, 5 are needed"


def test_days_with_few_operations_do_not_speak() -> None:
    kept = reports([*days_of([99.0] * 7, 0, operations=19), *days_of(BEFORE, 7)])
    assert reviewed(kept)["degradation"][0]["days"] == 0


def test_a_day_that_was_kept_twice_speaks_once() -> None:
    once = [*days_of([15.0, 15.1, 14.0], 0), *days_of(BEFORE, 7)]
    doubled = [*once, *days_of([15.0, 15.1, 14.0], 0)]
    assert reviewed(reports(doubled))["degradation"][0]["days"] == 3


def test_errors_from_zero_are_worse() -> None:
    now = [daily(ago(24 * back), operations=100, failed=10 + back) for back in range(7)]
    before = [daily(ago(24 * back), operations=100) for back in range(7, 21)]
    row = next(r for r in reviewed(reports([*now, *before]))["degradation"] if r["figure"] == "error_rate")
    assert (row["verdict"], row["median_before"], row["change"]) == ("worse", 0.0, 0.13)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([5.0, 6, 7, 8], [1.0, 2, 3, 4]),
        ([1.0, 5, 9], [2.0, 3, 4, 10]),
        ([3.0], [1.0, 2]),
        ([1.0, 4, 6, 8], [2.0, 3, 5, 7, 9]),
    ],
)
def test_chance_is_that_of_all_arrangements(first: list[float], second: list[float]) -> None:
    """Reckoned the long way: each way to deal the values out, and how many are at least so uneven."""
    values, n = first + second, len(first)
    middle = n * len(second) / 2

    def wins(indexes: tuple[int, ...]) -> int:
        others = [values[at] for at in range(len(values)) if at not in indexes]
        return sum(values[at] > other for at in indexes for other in others)

    seen = abs(wins(tuple(range(n))) - middle)
    ways = [abs(wins(indexes) - middle) >= seen for indexes in combinations(range(len(values)), n)]
    assert chance(first, second) == pytest.approx(sum(ways) / len(ways))


def test_chance_with_ties_is_near_the_exact_one() -> None:
    assert chance([1.0, 1, 2, 3, 4], [2.0, 2, 5, 6, 7, 7]) == pytest.approx(0.0779, abs=0.002)
    assert chance([0.0] * 7, [0.0] * 28) == 1.0


values = st.lists(st.floats(0, 100), min_size=1, max_size=12)


@FEW
@given(values, values)
def test_chance_is_a_probability_and_takes_no_side(one: list[float], other: list[float]) -> None:
    p = chance(one, other)
    assert 0 < p <= 1
    assert chance(other, one) == pytest.approx(p)
    assert chance([3 * value + 1 for value in one], [3 * value + 1 for value in other]) >= 0


# --- observations


def test_the_week_can_be_judged_by_a_check_table() -> None:
    now = days_of([15.0, 15.1, 14.0, 16.0, 14.5, 13.9, 15.2], 0)
    observed = observe_review(reviewed(reports([*now, *days_of(BEFORE, 7)])))
    assert {name: one["value"] for name, one in observed.items()} == {
        "week_operations": 350,
        "week_success_rate": 1.0,
        "week_error_rate": 0.0,
        "week_average_duration": pytest.approx(14.814286),
        "week_peak_sessions": 1,
        "week_coverage": 1.0,
        "week_degradation": "worse",
    }
    assert {one["fault"] for one in observed.values()} == {""}
    assert observed["week_degradation"]["note"].startswith("average_duration_s: p = ")
    common = {"run_by": ["weekly"], "action": "", "playbook": ""}
    levels = {"worse": "warning", "better": "ok", "noise": "ok", "not_enough_data": "ok"}
    checks = [
        {**common, "check": "error_rate", "title": "Error rate", "step": "WP-2", "observation": "week_error_rate",
         "unit": "ratio", "critical": {"above": 0.1}},
        {**common, "check": "degradation", "title": "Degradation", "step": "WP-3", "observation": "week_degradation",
         "unit": "state", "levels": levels},
    ]  # fmt: skip
    assert [(v["check"], v["state"]) for v in judge(observed, checks, "weekly")] == [
        ("degradation", "warning"), ("error_rate", "ok"),
    ]  # fmt: skip


def test_a_week_that_nothing_is_known_of_is_a_fault_and_never_ok() -> None:
    refused = {"endpoints": {"stats": answer(None, "auth", "HTTP 401")}}
    observed = observe_review(reviewed({"msg": "gone"}, day=refused, week=refused))
    assert observed["week_error_rate"]["fault"] == "missing"
    assert "HTTP 401" in observed["week_error_rate"]["reason"]
    assert observed["week_coverage"]["value"] == 0
    assert {one["fault"] for one in observe_review(None).values()} == {"missing"}
    glimpse = reviewed(reports(days_of([15.0], 0)))
    assert not glimpse["coverage"]["known"]
    seen = observe_review(glimpse)
    for name in ("week_error_rate", "week_degradation"):
        assert (seen[name]["value"], seen[name]["fault"]) == (None, "missing"), "a day is no week"
        assert "the data cover 14.3 % of the week, too little to know it" in seen[name]["reason"]
    seen_idle = reports([daily(ago(24 * back), operations=0, average=0.0) for back in range(7)])
    idle = observe_review(reviewed(seen_idle, week=service_week(0, average=0.0)))
    assert (idle["week_operations"]["value"], idle["week_error_rate"]["applicable"]) == (0, False)


# --- properties of weights and time


@st.composite
def windows(draw: st.DrawFn) -> list[Window]:
    """Windows anywhere about the week, of any length up to a day, with any load; they overlap, nest and leave gaps."""
    found = []
    for _at in range(draw(st.integers(1, 12))):
        end = ago(draw(st.integers(-10, 200)))
        figures = {"operations": draw(st.integers(0, 500)), "average": draw(st.floats(0.1, 900))}
        found.append(
            read_window(
                stats(end, failed=draw(st.integers(0, figures["operations"])), **figures),  # type: ignore[arg-type]
                samples(end, draw(st.integers(1, 24))),
            )
        )
    return found


BEGIN, END = ago(168).timestamp(), NOW.timestamp()


@FEW
@given(windows())
def test_no_time_counts_twice_and_none_is_lost(found: list[Window]) -> None:
    shares = shares_of(found, BEGIN, END)
    spans = sorted(span for share in shares for span in share.parts)
    assert all(left[1] <= right[0] for left, right in pairwise(spans)), "no two overlap"
    assert all(BEGIN <= left < right <= END for left, right in spans)
    gaps = minus([(BEGIN, END)], spans)
    assert length_of(spans) + length_of(gaps) == pytest.approx(168 * 3600)
    assert all(0 <= share.share <= 1 + 1e-9 for share in shares)
    inside = [
        share for share in shares if share.window["end"] <= to_text(NOW) and share.window["begin"] >= to_text(ago(168))
    ]
    for share in inside:  # whatever lies in the week is covered by it or by another
        reach = minus([(_at(share.window["begin"]), _at(share.window["end"]))], spans)
        assert reach == []


def _at(text: str) -> float:
    from ansible_collections.media_ops.runbook.plugins.module_utils.times import from_text

    moment = from_text(text)
    assert moment
    return moment.timestamp()


@FEW
@given(windows(), st.randoms())
def test_order_and_copies_change_nothing(found: list[Window], chooser: Any) -> None:
    once = total_of((s.window, s.share) for s in shares_of(found, BEGIN, END))
    again = [*found, *found]
    chooser.shuffle(again)
    twice = total_of((s.window, s.share) for s in shares_of(again, BEGIN, END))
    assert twice.operations == pytest.approx(once.operations)
    assert twice.duration_s == pytest.approx(once.duration_s)
    assert twice.failed == pytest.approx(once.failed)


@FEW
@given(windows())
def test_averages_stay_within_those_of_the_days(found: list[Window]) -> None:
    parts = [(s.window, s.share) for s in shares_of(found, BEGIN, END) if s.share > 0 and s.window["operations"]]
    total = total_of(parts)
    if total.operations < 1e-6:
        return
    averages = [window["duration_s"] / window["operations"] for window, _share in parts]
    assert min(averages) - 1e-6 <= total.duration_s / total.operations <= max(averages) + 1e-6
    assert total.failed <= total.operations + 1e-6


@FEW
@given(st.lists(st.integers(0, 190), min_size=1, max_size=15), st.integers(1, 50))
def test_a_steady_load_is_found_again_from_any_windows(ends: list[int], per_hour: int) -> None:
    """The service does the same each hour: however its windows overlap, each hour covered has that much."""
    found = [read_window(stats(ago(end), operations=24 * per_hour), samples(ago(end))) for end in ends]
    shares = shares_of(found, BEGIN, END)
    covered_h = sum(share.seconds for share in shares) / 3600
    total = total_of((share.window, share.share) for share in shares)
    assert total.operations == pytest.approx(per_hour * covered_h, rel=1e-6)


# --- what is not believed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"generated_at": "yesterday"}, "generated_at"),
        ({"total_operations": -1}, "total_operations is -1"),
        ({"total_operations": "100"}, "total_operations is '100'"),
        ({"total_operations": float("nan")}, "total_operations is nan"),
        ({"error_rate": 12.0}, "error_rate is 12.0"),
        ({"error_rate": 0.5}, "error_rate is 0.5, but 0 of 100"),
        ({"failed_operations": 101}, "101 of 100"),
        ({"average_duration": None}, "average_duration is None"),
        ({"time_period_hours": 1000}, "time_period_hours is 1000"),
    ],
)
def test_a_document_that_cannot_be_is_refused_whole(change: dict[str, Any], said: str) -> None:
    with pytest.raises(NoFiguresError, match=said):
        read_window({**stats(NOW), **change}, [])


def test_a_stage_that_cannot_be_is_left_out_alone() -> None:
    breakdown = {"upload": stage(5, 1.0), "merging": {"count": 3}, "cleanup": {**stage(3, 1.0), "success_count": 9}}
    assert list(read_window(stats(NOW, stage_breakdown=breakdown), [])["stages"]) == ["upload"]


def test_samples_are_taken_by_their_time_and_once() -> None:
    rows = samples(NOW, 24, sessions=2) + samples(ago(168), 24, sessions=8)
    peaks = peaks_by_week([*rows, *rows], NOW, 5)
    assert [peak["sessions"] for peak in peaks] == [2, 8, None, None, None]
    assert peaks_by_week(samples(NOW + timedelta(hours=1), 0.5), NOW, 5)[0]["sessions"] is None, "the future is no peak"


@pytest.mark.parametrize(
    "change", [{"days_min": 1}, {"p_max": "often"}, {"coverage_min": None}, {"p_max": float("nan")}, {"typo": 1}]
)
def test_thresholds_that_make_no_sense_are_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(change))):
        reviewed(reports([]), thresholds={**LIMITS, **change})


def test_thresholds_from_the_command_line_are_text() -> None:
    assert reviewed(reports([daily(NOW)]), thresholds={key: str(value) for key, value in LIMITS.items()})["figures"]
