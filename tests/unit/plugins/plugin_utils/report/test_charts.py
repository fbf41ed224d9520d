"""Charts: what they show, and that they are fit to stand inside a page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.charts import (
    Bar,
    bars_of,
    charts_of,
    seconds,
    time_ticks,
)
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.svg import (
    FIRST,
    LINE,
    SECOND,
    TEXT_SIZE,
    WIDTH,
    text_width,
)

from tests import result_factory


def details(**changes: Any) -> dict[str, Any]:
    return {**result_factory.found(result_factory.bad_ffmpeg())["details"], **changes}


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("text")]


def points_of(element: ET.Element) -> list[tuple[float, float]]:
    pairs = (point.split(",") for point in element.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def lines(svg: str) -> list[list[tuple[float, float]]]:
    """The points of each piece of CPU's line."""
    return [points_of(e) for e in ET.fromstring(svg).iter("polyline") if e.get("stroke") == FIRST]


def shapes(svg: str, tag: str, colour: str) -> list[dict[str, str]]:
    return [element.attrib for element in ET.fromstring(svg).iter(tag) if element.get("fill") == colour]


def sample(at: str, cpu: float) -> dict[str, Any]:
    return {"at": at, "cpu_percent": cpu, "memory_percent": 40.0}


# runbook: DE-1, DE-2, DE-3
def test_each_chart_says_the_same_in_words_and_as_a_table() -> None:
    resources, stages, errors = charts_of(details(), "a")
    assert stages.rows[0] == ("upload", "212", "5.88 s", "27.1 s")
    assert [row[0] for row in stages.rows][-1] == "cleanup", "stages stand in the order of the pipeline"
    assert "Slowest: compression" in stages.description
    assert errors.rows[0] == ("FFMPEG_FAILED", "51")
    assert "FFMPEG_FAILED" in texts(errors.svg)
    peaks = sorted((row["cpu_percent"] for row in details()["metrics"]), reverse=True)[:3]
    assert [row[1] for row in resources.rows] == [f"{peak:.1f} %" for peak in peaks]


def test_a_gap_in_the_samples_is_a_gap_in_the_line() -> None:
    whole = charts_of(result_factory.found(result_factory.day())["details"], "a")[0]
    gapped = charts_of(details(), "a")[0]
    assert "No data in 1 part " in gapped.description
    assert "No data" not in whole.description

    assert (len(lines(whole.svg)), len(lines(gapped.svg))) == (1, 2)
    assert shapes(whole.svg, "rect", LINE) == []
    before, after = lines(gapped.svg)
    (gap,) = shapes(gapped.svg, "rect", LINE)
    left, right = float(gap["x"]), float(gap["x"]) + float(gap["width"])
    assert (before[-1][0], after[0][0]) == pytest.approx((left, right), abs=0.1)
    # Samples 119 to 156 of 0 to 287, five minutes apart
    whole_width = after[-1][0] - before[0][0]
    assert (right - left) / whole_width == pytest.approx((156 - 119) / 287, abs=0.002)


def test_a_window_that_the_samples_do_not_reach_back_to_is_shown_as_no_data() -> None:
    late = [sample(f"2026-11-24T05:{minute:02d}:00Z", 10.0) for minute in range(0, 60, 5)]
    (chart,) = charts_of({"metrics": late, "totals": {"window_h": 24}}, "a")
    assert "no data" in texts(chart.svg)
    assert "No data in 1 part" in chart.description


def test_one_sample_is_drawn_as_a_dot() -> None:
    (chart,) = charts_of({"metrics": [sample("2026-11-24T05:00:00Z", 50.0)]}, "a")
    dots = [(dot.get("fill"), dot.get("cx")) for dot in ET.fromstring(chart.svg).iter("circle")]
    assert [colour for colour, _x in dots] == [SECOND, FIRST]
    assert len({x for _colour, x in dots}) == 1


def test_the_page_gives_font_and_colours_and_nothing_is_fetched() -> None:
    for chart in charts_of(details(), "a"):
        root = ET.fromstring(chart.svg)
        assert root.get("role") == "img"
        title, desc = list(root)[:2]
        assert (title.text, desc.text) == (chart.title, chart.description)
        assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
        assert "var(--" in chart.svg
        assert not re.search(r"font-family|style|href|http|xmlns|2026-\d\d-\d\dT\d\d:\d\d:\d\d\.", chart.svg)
        assert len(chart.svg) < 60_000


def test_ids_are_unique_on_a_page_of_several_charts() -> None:
    page = "".join(chart.svg for key in ("a", "b") for chart in charts_of(details(), key))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert len(ids) == 2 * page.count("<svg ")


def test_the_same_data_gives_the_same_bytes() -> None:
    assert [chart.svg for chart in charts_of(details(), "a")] == [chart.svg for chart in charts_of(details(), "a")]


def test_foreign_text_is_text() -> None:
    code = "<script>$x^2$</script> \u8996\u983b\U0001f3ac"
    (chart,) = charts_of({"errors": {code: 3}}, "a")
    assert code in texts(chart.svg)
    assert "<script>" not in chart.svg


def test_many_codes_are_bounded_and_none_is_lost() -> None:
    (chart,) = charts_of({"errors": {f"CODE_{n}": n + 1 for n in range(40)}}, "a")
    assert len(chart.rows) == 12
    assert sum(int(row[1]) for row in chart.rows) == sum(range(1, 41))
    assert chart.rows[-1][0] == "29 other codes"


@pytest.mark.parametrize(
    "nothing",
    [
        {},
        {"metrics": [], "stages": {}, "errors": {}, "log": {}},
        {"metrics": None, "stages": None, "errors": {"A": None, "B": 0}, "log": None},
        {"stages": {"merging": {"average_duration_s": None, "count": 0}}},
        {"metrics": [{"at": "never", "cpu_percent": 1, "memory_percent": 1}]},
    ],
)
def test_where_there_is_no_data_there_is_no_chart(nothing: dict[str, Any]) -> None:
    assert charts_of(nothing, "a") == []


def test_all_zero_is_drawn() -> None:
    (chart,) = charts_of({"stages": {"upload": {"count": 1, "average_duration_s": 0, "max_duration_s": 0}}}, "a")
    assert chart.rows == (("upload", "1", "0 s", "0 s"),)


def test_bars_are_as_long_as_their_values() -> None:
    rows = [Bar("a", 40.0, "40", 80.0), Bar("b", 10.0, "10", 20.0), Bar("c", 0.0, "0", 0.0)]
    svg = bars_of(rows, "title", "description", "a")
    bars, grounds, markers = (shapes(svg, "rect", colour) for colour in (FIRST, LINE, SECOND))
    assert [float(drawn["width"]) / WIDTH for drawn in bars] == [0.5, 0.125, 0]
    assert {(float(ground["x"]), float(ground["width"])) for ground in grounds} == {(0, WIDTH)}
    assert all(drawn["y"] == ground["y"] for drawn, ground in zip(bars, grounds, strict=True))
    ends = [float(marker["x"]) + float(marker["width"]) / 2 for marker in markers]
    assert ends == pytest.approx([WIDTH, WIDTH / 4, 0], abs=2)
    assert len({drawn["y"] for drawn in bars}) == 3


def test_the_line_has_its_points_at_their_times_and_shares() -> None:
    at = "2026-11-24T0{}:00:00Z"
    samples = [sample(at.format(hour), cpu) for hour, cpu in enumerate((0.0, 100.0, 50.0, 25.0))]
    (chart,) = charts_of({"metrics": samples, "resource_peaks": [samples[1]]}, "a")
    (points,) = lines(chart.svg)
    start, end = points[0][0], points[-1][0]
    assert [(x - start) / (end - start) for x, _y in points] == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=0.001)
    zero, full = points[0][1], points[1][1]
    assert [(zero - y) / (zero - full) for _x, y in points] == pytest.approx([0, 1, 0.5, 0.25], abs=0.001)
    drawn = {e.text: (float(e.attrib["x"]), float(e.attrib["y"])) for e in ET.fromstring(chart.svg).iter("text")}
    assert drawn["01:00"][0] == points[1][0]
    assert drawn["50"][1] == pytest.approx(points[2][1], abs=5), "the scale's words stand at its lines"


def test_peaks_point_down_at_their_samples() -> None:
    (peak, *_others), svg = details()["resource_peaks"], charts_of(details(), "a")[0].svg
    assert f"{peak['cpu_percent']:.0f} %" in texts(svg)
    tips = [max(points_of(e), key=lambda point: point[1]) for e in ET.fromstring(svg).iter("polygon")]
    assert len(tips) == 3
    crests = {x: y for line in lines(svg) for x, y in line}
    for x, y in tips:
        assert y == pytest.approx(crests[x] - 3, abs=0.2)


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (0.2, "06:40 06:45 06:50"),
        (24, "08:00 12:00 16:00 20:00 00:00 04:00"),
        (24 * 5, "11-25 11-26 11-27 11-28 11-29"),
        (24 * 300, "12-13 02-01 03-23 05-12 07-01 08-20"),
    ],
)
def test_times_are_round(hours: float, said: str) -> None:
    start = datetime(2026, 11, 24, 6, 40, tzinfo=UTC).timestamp()
    assert " ".join(label for _at, label in time_ticks(start, start + hours * 3600)) == said


HUGE = (1e308, 10**400, float("nan"), float("inf"), -1.0)


@pytest.mark.parametrize("value", HUGE, ids=["float", "int", "nan", "inf", "below"])
def test_figures_that_cannot_be_are_not_drawn(value: float) -> None:
    stage = {"count": value, "average_duration_s": 2.0, "max_duration_s": value}
    given = details(
        stages={"upload": stage, "merging": {**stage, "average_duration_s": value}},
        errors={"A": value, "B": 1, **{f"C{n}": value for n in range(20)}},
        totals={"window_h": value},
        metrics=[*details()["metrics"], sample("0001-01-01T00:00:00Z", 1.0), sample("9999-12-31T23:59:59Z", value)],
        resource_peaks=[sample("2026-11-24T05:00:00Z", value)],
    )
    resources, stages, errors = charts_of(given, "a")
    assert (stages.rows, errors.rows) == ((("upload", "", "2 s", "not known"),), (("B", "1"),))
    assert {row[1] for row in resources.rows} <= {"100.0 %", "0.0 %"}
    assert lines(resources.svg) == lines(charts_of(details(totals={}), "a")[0].svg)
    for chart in (resources, stages, errors):
        assert len(chart.description) < 200
        assert not re.search(r"nan|\binf", chart.svg)


@pytest.mark.parametrize("letter", ["W", "m", "i", "\u8996", "\U0001f3ac", "\u0645", "<"])
def test_long_names_leave_room_for_their_figures(letter: str) -> None:
    stage = {"count": 1, "average_duration_s": 5e6, "max_duration_s": 9e9}
    for chart in charts_of({"stages": {letter * 200: stage}, "errors": {letter * 200: 1e9}}, "a"):
        label, figure = ET.fromstring(chart.svg).iter("text")
        assert label.text is not None
        assert label.text.endswith("\u2026")
        assert len(label.text) > 5
        widths = [text_width(str(one.text)) * TEXT_SIZE for one in (label, figure)]
        assert sum(widths) < WIDTH


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (0.000393, "0.39 ms"),
        (0.0931, "93 ms"),
        (0.25, "0.25 s"),
        (59.94, "59.9 s"),
        (59.99, "1 min"),
        (60, "1 min"),
        (303.4, "5 min 3 s"),
        (7200, "2 h"),
        (86399.9, "1 d"),
        (90061, "1 d 1 h"),
    ],
)
def test_seconds_in_two_units(value: float, text: str) -> None:
    assert seconds(value) == text
