"""Charts: what they show, and that they are fit to stand inside a page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.charts import NoChartsError, charts_of, seconds

from tests import result_factory


def details(**changes: Any) -> dict[str, Any]:
    return {**result_factory.found(result_factory.bad_ffmpeg())["details"], **changes}


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("text")]


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

    def lines(svg: str) -> int:
        return len([e for e in ET.fromstring(svg).iter("path") if "stroke: var(--series-1)" in e.get("style", "")])

    assert (lines(whole.svg), lines(gapped.svg)) == (1, 2)


def test_a_window_that_the_samples_do_not_reach_back_to_is_shown_as_no_data() -> None:
    late = [sample(f"2026-11-24T05:{minute:02d}:00Z", 10.0) for minute in range(0, 60, 5)]
    (chart,) = charts_of({"metrics": late, "totals": {"window_h": 24}}, "a")
    assert "no data" in texts(chart.svg)
    assert "No data in 1 part" in chart.description


def test_one_sample_is_drawn_as_a_dot() -> None:
    (chart,) = charts_of({"metrics": [sample("2026-11-24T05:00:00Z", 50.0)]}, "a")
    assert len(list(ET.fromstring(chart.svg).iter("use"))) == 2


def test_the_page_gives_font_and_colours_and_nothing_is_fetched() -> None:
    for chart in charts_of(details(), "a"):
        root = ET.fromstring(chart.svg)
        assert root.get("role") == "img"
        title, desc = list(root)[:2]
        assert (title.text, desc.text) == (chart.title, chart.description)
        assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
        assert "var(--" in chart.svg
        assert not re.search(
            r"#0102|font-family|DejaVu|<style|<metadata|http|2026-\d\d-\d\dT\d\d:\d\d:\d\d\.", chart.svg
        )
        assert len(chart.svg) < 60_000


def test_ids_are_unique_on_a_page_of_several_charts() -> None:
    page = "".join(chart.svg for key in ("a", "b") for chart in charts_of(details(), key))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_the_same_data_gives_the_same_bytes() -> None:
    assert [chart.svg for chart in charts_of(details(), "a")] == [chart.svg for chart in charts_of(details(), "a")]


def test_foreign_text_is_text(capfd: pytest.CaptureFixture[str]) -> None:
    code = "<script>$x^2$</script> \u8996\u983b\U0001f3ac"
    (chart,) = charts_of({"errors": {code: 3}}, "a")
    assert code in texts(chart.svg)
    assert "<script>" not in chart.svg
    assert capfd.readouterr().err == "", "a glyph that matplotlib's font lacks is no warning"


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


def test_matplotlib_is_imported_where_there_is_something_to_draw_only() -> None:
    module = "ansible_collections.media_ops.runbook.plugins.plugin_utils.report.charts"
    code = (
        f"import sys, json; from {module} import charts_of;"
        "[print(len(charts_of(d, 'a')), 'matplotlib' in sys.modules) for d in json.loads(sys.argv[1])]"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[5] / "playbooks/collections")}
    command = [sys.executable, "-c", code, json.dumps([{"stages": {}, "errors": {}}, details()])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    empty, drawn = done.stdout.splitlines()
    assert empty == "0 False"
    assert drawn.endswith("True")
    assert not drawn.startswith("0")


def test_all_zero_is_drawn() -> None:
    (chart,) = charts_of({"stages": {"upload": {"count": 1, "average_duration_s": 0, "max_duration_s": 0}}}, "a")
    assert chart.rows == (("upload", "1", "0 s", "0 s"),)


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NoChartsError, match=r"pip install matplotlib \(Debian: python3-matplotlib\)"):
        charts_of(details(), "a")


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
