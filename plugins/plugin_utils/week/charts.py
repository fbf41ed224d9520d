# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts of a week: its days beside the mean of the weeks before, stages beside the week before, errors by code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ...module_utils.shapes import Json, number, one_line
from ..report.charts import FIRST, INK, LINE, MUTED, SECOND, Bar, Chart, bars_of, error_bars, seconds, svg_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 190.0
_ROWS_MAX = 12
_STAGE_LEGEND = (("bar", "this week"), ("tick", "week before"))
_DAY_LEGEND = (("bar", "by day"), ("dash", "mean of the weeks before"))


def charts_of_week(week: Json, key: str) -> list[Chart]:
    """The charts that a week has data for.

    Args:
        week: ``days``, ``changes``, ``stages`` (a list) and ``errors``, as a document of the fleet's week has them.
        key: makes the ids inside the SVG unique on the page.

    Raises:
        NoChartsError: there is no matplotlib.
    """
    days = [row for row in week.get("days") or [] if isinstance(row, Mapping)]
    means = {row["figure"]: number(row.get("mean")) for row in week.get("changes") or []}
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
    title, said = figure.title, figure.said
    known = [
        (str(day["date"]), value) for day in days if (value := number(day.get(figure.name))) is not None and value >= 0
    ]
    if not known:
        return None
    top = max([value for _date, value in known] + ([usual] if usual else [])) or 1

    def draw(axes: Axes) -> None:
        for at, (day, value) in enumerate(known):
            axes.bar(at, value, width=0.62, color=FIRST, clip_on=False)
            axes.text(at, value + top * 0.03, said(value), color=INK, ha="center", va="bottom", fontsize=9.5)
            axes.text(at, -top * 0.05, _weekday(day), color=MUTED, ha="center", va="top", fontsize=9.5)
        if usual is not None:
            axes.plot([-0.5, len(known) - 0.5], [usual, usual], color=SECOND, linewidth=1.6, linestyle="--")
        axes.plot([-0.5, len(known) - 0.5], [0, 0], color=LINE, linewidth=1)
        axes.set_xlim(-0.55, max(len(known), 4) - 0.45)
        axes.set_ylim(0, top * 1.1)
        axes.axis("off")

    highest = max(known, key=lambda item: item[1])
    description = f"{title} of {len(known)} days. Highest: {highest[0]} with {said(highest[1])}." + (
        f" The mean of the weeks before is {said(usual)}." if usual is not None else ""
    )
    svg = svg_of(
        draw,
        _HEIGHT,
        (0.01, 0.12, 0.98, 0.8),
        title=f"{title} by day",
        description=description,
        key=f"{key}-{figure.name}",
    )
    rows = tuple((day, said(value)) for day, value in known)
    legend = _DAY_LEGEND if usual is not None else ()
    return Chart(f"{title} by day", description, svg, ("Day", title), rows, legend)


def _weekday(day: str) -> str:
    try:
        return f"{date.fromisoformat(day):%a %d}"
    except ValueError:
        return one_line(day, 8)


def _stages(stages: Sequence[Any], key: str) -> Chart | None:
    """Average duration by stage, slowest first, the week before as a marker."""
    bars, rows = [], []
    for row in stages[:_ROWS_MAX]:
        average, before = number(row.get("average_duration_s")), number(row.get("before_s"))
        if average is None or average < 0:
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
