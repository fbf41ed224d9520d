"""Charts of a week: columns by day beside what is usual, stages beside the week before."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.svg import FIRST, SECOND, WIDTH, text_width
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.charts import charts_of_week

from tests import weekly_factory


def days(*values: object, figure: str = "average_duration_s") -> list[dict[str, Any]]:
    return [{"date": f"2026-11-{21 + at}", figure: value} for at, value in enumerate(values)]


def columns(svg: str) -> list[dict[str, float]]:
    root = ET.fromstring(svg)
    names = ("x", "y", "width", "height")
    return [{name: float(e.attrib[name]) for name in names} for e in root.iter("rect") if e.get("fill") == FIRST]


def test_columns_are_as_high_as_their_values_and_the_line_is_where_the_mean_is() -> None:
    mean = [{"figure": "average_duration_s", "mean": 20.0}]
    (chart,) = charts_of_week({"days": days(40.0, 10.0, 0.0, 30.0), "changes": mean}, "a")
    drawn = columns(chart.svg)
    highest = drawn[0]["height"]
    assert [column["height"] / highest for column in drawn] == pytest.approx([1, 0.25, 0, 0.75], abs=0.002)
    foot = {round(column["y"] + column["height"], 1) for column in drawn}
    assert len(foot) == 1, "they stand on one line"
    assert [column["x"] for column in drawn] == sorted(column["x"] for column in drawn)
    (line,) = [e for e in ET.fromstring(chart.svg).iter("polyline") if e.get("stroke") == SECOND]
    ((left, y), (right, other)) = [[float(n) for n in point.split(",")] for point in line.attrib["points"].split()]
    assert (left, right, y) == (0, WIDTH, other)
    assert (foot.pop() - y) / highest == pytest.approx(0.5, abs=0.002)
    assert "stroke-dasharray" in line.attrib


def test_a_mean_above_all_days_is_in_the_picture() -> None:
    mean = [{"figure": "error_rate", "mean": 0.4}]
    (chart,) = charts_of_week({"days": days(0.1, 0.2, figure="error_rate"), "changes": mean}, "a")
    (line,) = [e for e in ET.fromstring(chart.svg).iter("polyline") if e.get("stroke") == SECOND]
    y = float(line.attrib["points"].split()[0].split(",")[1])
    assert 0 < y < min(column["y"] for column in columns(chart.svg))


def test_a_day_that_lacks_the_figure_has_no_column() -> None:
    (chart,) = charts_of_week({"days": days(40.0, None, "x", float("nan"), -1, 1e300, 30.0)}, "a")
    assert [row[0] for row in chart.rows] == ["2026-11-21", "2026-11-27"]
    assert len(columns(chart.svg)) == 2
    assert not re.search(r"nan|inf", chart.svg)


def test_words_of_neighbours_do_not_meet() -> None:
    (chart,) = charts_of_week({"days": days(*[5025.0] * 8)}, "a")
    said = [e for e in ET.fromstring(chart.svg).iter("text") if "min" in (e.text or "")]
    assert len(said) == 8
    for element in said:
        assert text_width(element.text or "") * float(element.attrib["font-size"]) <= WIDTH / 8 + 0.1


def test_all_charts_of_a_week_are_drawn_and_the_same_each_time() -> None:
    week = weekly_factory.mixed()
    made = charts_of_week(week, "week")
    assert [chart.title for chart in made] == [
        "Average duration by day",
        "Error rate by day",
        "Operations by day",
        "Duration by stage",
        "Failed operations by error code",
    ]
    assert made == charts_of_week(week, "week")


def test_nothing_known_is_nothing_drawn() -> None:
    assert charts_of_week({}, "a") == []
    assert charts_of_week({"days": [{"date": "2026-11-21"}], "stages": [{"stage": "a"}], "errors": {}}, "a") == []
