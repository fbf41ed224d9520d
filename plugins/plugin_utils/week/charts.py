# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts of a week: its days beside the mean of the weeks before, stages beside the week before, errors by code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ...module_utils.shapes import Json, one_line
from ..report.charts import Bar, Chart, bars_of, drawable, error_bars, seconds
from ..report.svg import FIRST, INK, LINE, MUTED, SECOND, WIDTH, Drawing, text_width

# Where columns are drawn: their foot, and where the highest ends.
_HEIGHT, _FOOT, _TOP = 186.0, 167.0, 20.0
_ROWS_MAX = 12
_STAGE_LEGEND = (("bar", "this week"), ("tick", "week before"))
_DAY_LEGEND = (("bar", "by day"), ("dash", "mean of the weeks before"))


def charts_of_week(week: Json, key: str) -> list[Chart]:
    """The charts that a week has data for.

    Args:
        week: ``days``, ``changes``, ``stages`` (a list) and ``errors``, as a document of the fleet's week has them.
        key: makes the ids inside the SVG unique on the page.
    """
    days = [row for row in week.get("days") or [] if isinstance(row, Mapping)]
    means = {row["figure"]: drawable(row.get("mean")) for row in week.get("changes") or []}
    drawn = [
        _by_day(days, _DURATION, means.get("average_duration_s"), key),
        _by_day(days, _ERROR_RATE, means.get("error_rate"), key),
        _by_day(days, _OPERATIONS, None, key),
        _stages(week.get("stages") or [], f"{key}-stages"),
        error_bars(week.get("errors") or {}, "Failed operations by error code", f"{key}-codes"),
    ]
    return [chart for chart in drawn if chart]


@dataclass(frozen=True)
class _Figure:
    name: str
    title: str
    said: Callable[[float], str]


_DURATION = _Figure("average_duration_s", "Average duration", seconds)
_ERROR_RATE = _Figure("error_rate", "Error rate", lambda value: f"{value * 100:.2g} %")
_OPERATIONS = _Figure("total_operations", "Operations", lambda value: f"{value:,.0f}")


def _by_day(days: Sequence[Json], figure: _Figure, usual: float | None, key: str) -> Chart | None:
    """A column for each day that has the figure, and a line for what is usual."""
    said = figure.said
    known = [(str(day["date"]), value) for day in days if (value := drawable(day.get(figure.name))) is not None]
    if not known:
        return None
    highest = max(known, key=lambda item: item[1])
    description = f"{figure.title} of {len(known)} days. Highest: {highest[0]} with {said(highest[1])}." + (
        f" The mean of the weeks before is {said(usual)}." if usual is not None else ""
    )
    title = f"{figure.title} by day"
    drawing = Drawing(_HEIGHT, title=title, description=description, key=f"{key}-{figure.name}")
    _draw_days(drawing, known, said, usual)
    rows = tuple((day, said(value)) for day, value in known)
    legend = _DAY_LEGEND if usual is not None else ()
    return Chart(title, description, drawing.markup(), ("Day", figure.title), rows, legend)


def _draw_days(
    drawing: Drawing, days: Sequence[tuple[str, float]], said: Callable[[float], str], usual: float | None
) -> None:
    highest = max(*(value for _day, value in days), usual or 0) or 1
    slot = WIDTH / max(len(days), 4)  # a single day is no wall

    def y(value: float) -> float:
        return _FOOT - (_FOOT - _TOP) * value / highest

    for at, (_day, value) in enumerate(days):
        drawing.rect(slot * (at + 0.19), y(value), slot * 0.62, _FOOT - y(value), FIRST)
    right = slot * len(days)
    if usual is not None:
        drawing.line([(0, y(usual)), (right, y(usual))], SECOND, width=1.6, dashed=True)
    drawing.line([(0, _FOOT), (right, _FOOT)], LINE)
    size = min(9.5, max(7.5, slot / max(text_width(said(value)) for _day, value in days)))
    for at, (day, value) in enumerate(days):
        middle = slot * (at + 0.5)
        drawing.text(middle, y(value) - 5, said(value), INK, anchor="middle", size=size, room=slot, clear=True)
        drawing.text(middle, _FOOT + 13, _weekday(day), MUTED, anchor="middle", size=9.5, room=slot)


def _weekday(day: str) -> str:
    try:
        return f"{date.fromisoformat(day):%a %d}"
    except ValueError:
        return one_line(day, 8)


def _stages(stages: Sequence[Any], key: str) -> Chart | None:
    """Average duration by stage, slowest first, the week before as a marker."""
    bars, rows = [], []
    for row in stages[:_ROWS_MAX]:
        average, before = drawable(row.get("average_duration_s")), drawable(row.get("before_s"))
        if average is None:
            continue
        then = "" if before is None else f", before {seconds(before)}"
        bars.append(Bar(str(row["stage"]), average, f"{seconds(average)}{then}", before))
        rows.append((str(row["stage"]), seconds(average), "" if before is None else seconds(before)))
    if not bars:
        return None
    title = "Duration by stage"
    description = f"Average duration of {len(bars)} stages. Slowest: {bars[0].label} with {bars[0].text}."
    columns = ("Stage", "This week", "Week before")
    return Chart(title, description, bars_of(bars, title, description, key), columns, tuple(rows), _STAGE_LEGEND)
