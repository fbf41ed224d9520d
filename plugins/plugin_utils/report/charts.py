# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts of a result document's details."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

from ...module_utils.shapes import Json, mapping, number
from ...module_utils.times import from_text
from .svg import FIRST, INK, LINE, MUTED, SECOND, TEXT_SIZE, WIDTH, Drawing, text_width

# Where CPU and memory are drawn: the sides of time, and of 0 and 100 %.
_LEFT, _RIGHT, _ZERO, _FULL = 44.0, 355.0, 191.0, 29.0
_RESOURCES_HEIGHT = 212.0
_ROW_HEIGHT = 34.0
_ROWS_MAX = 12
_POINTS_MAX = 400
_STAGES = ("upload", "analysis", "preparation", "merging", "compression", "storage_upload", "cleanup")
_STAGE_LEGEND = (("bar", "average"), ("tick", "longest"))
_RESOURCE_LEGEND = (("line", "CPU"), ("dash", "memory"), ("peak", "CPU peaks"))
# What is larger is no figure of ours: as seconds it is 3000 years, and in words it has no end.
FIGURE_MAX = 1e11


@dataclass(frozen=True)
class Chart:
    """One chart: the drawing, and the same in words and as a table for those who do not see it."""

    title: str
    description: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    legend: tuple[tuple[str, str], ...] = ()  # CSS class of the page, label


def charts_of(details: Json, key: str) -> list[Chart]:
    """The charts that the details of a host have data for.

    Args:
        details: as :func:`observations.details` gives them.
        key: makes the ids inside the SVG unique on the page.
    """
    drawn = [
        _resources(details, f"{key}-resources"),
        _stages(mapping(details.get("stages")), f"{key}-stages"),
        error_bars(mapping(details.get("errors")), "Failed operations by error code", f"{key}-errors"),
        error_bars(mapping(mapping(details.get("log")).get("errors")), "Logged errors by code", f"{key}-log"),
    ]
    return [chart for chart in drawn if chart]


def drawable(value: object) -> float | None:
    """A figure that can be drawn and said: from 0 to FIGURE_MAX; else None."""
    known = number(value)
    return known if known is not None and 0 <= known <= FIGURE_MAX else None


def seconds(value: float) -> str:
    """A duration for people, two units at most: 0.4 ms, 0.25 s, 12.5 s, 5 min 3 s, 2 h, 3 d 4 h."""
    if 0 < value < 0.1:
        return f"{value * 1000:.2g} ms"
    if round(value, 1) < 60:
        return f"{value:.3g} s"
    rest = round(value)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Bar:
    """One bar; ``marker`` is a second value on the same scale."""

    label: str
    value: float
    text: str
    marker: float | None = None


def _stages(stages: Mapping[str, Any], key: str) -> Chart | None:
    """Average duration by stage, in the order of the pipeline, with the longest as a marker."""
    order = sorted(stages, key=lambda name: (_STAGES.index(name) if name in _STAGES else len(_STAGES), name))
    bars, rows = [], []
    for name in order[:_ROWS_MAX]:
        row = mapping(stages[name])
        average, longest, count = (drawable(row.get(k)) for k in ("average_duration_s", "max_duration_s", "count"))
        if average is None:
            continue
        most = seconds(longest) if longest is not None else "not known"
        bars.append(Bar(name, average, f"{seconds(average)}, max {most}", longest))
        rows.append((name, "" if count is None else f"{count:g}", seconds(average), most))
    if not bars:
        return None
    slowest = max(bars, key=lambda bar: bar.value)
    title = "Duration by stage"
    description = f"Average duration of {len(bars)} stages. Slowest: {slowest.label} with {slowest.text}."
    svg = bars_of(bars, title, description, key)
    return Chart(title, description, svg, ("Stage", "Count", "Average", "Longest"), tuple(rows), _STAGE_LEGEND)


def error_bars(errors: Mapping[str, Any], title: str, key: str) -> Chart | None:
    """Errors by code, most frequent first."""
    counts = [(str(code), count) for code, raw in errors.items() if (count := drawable(raw))]
    counts.sort(key=lambda item: (-item[1], item[0]))
    if not counts:
        return None
    if len(counts) > _ROWS_MAX:
        rest = counts[_ROWS_MAX - 1 :]
        counts = [*counts[: _ROWS_MAX - 1], (f"{len(rest)} other codes", sum(count for _code, count in rest))]
    total = sum(count for _code, count in counts)
    bars = [Bar(code, count, f"{count:g} ({count / total:.0%})") for code, count in counts]
    description = f"{total:g} in total. Most frequent: {bars[0].label} with {bars[0].text}."
    rows = tuple((code, f"{count:g}") for code, count in counts)
    return Chart(title, description, bars_of(bars, title, description, key), ("Code", "Errors"), rows)


def bars_of(bars: Sequence[Bar], title: str, description: str, key: str) -> str:
    """Horizontal bars. The label stands above its bar, so that a long one needs no margin."""
    top = max(*(row.marker or 0 for row in bars), *(row.value for row in bars)) or 1
    drawing = Drawing(_ROW_HEIGHT * len(bars), title=title, description=description, key=key)
    for at, row in enumerate(bars):
        y = _ROW_HEIGHT * at
        drawing.rect(0, y + 19.5, WIDTH, 8, LINE, opacity=0.45)
        drawing.rect(0, y + 19.5, WIDTH * row.value / top, 8, FIRST)
        if row.marker is not None:
            drawing.rect(min(max(WIDTH * row.marker / top - 1.25, 0), WIDTH - 2.5), y + 17, 2.5, 13, SECOND)
        room = WIDTH - TEXT_SIZE * (text_width(row.text) + 1)
        drawing.text(0, y + 12, row.label, INK, room=room)
        drawing.text(WIDTH, y + 12, row.text, MUTED, anchor="end")
    return drawing.markup()


@dataclass(frozen=True)
class _Sample:
    at: float  # seconds since 1970
    cpu: float
    memory: float


def _resources(details: Json, key: str) -> Chart | None:
    """CPU and memory over the window, with the highest samples marked. Where there is no sample there is no line."""
    samples = _samples(details.get("metrics"))
    if not samples:
        return None
    window_h = drawable(mapping(details.get("totals")).get("window_h"))
    end = samples[-1].at
    start = min(samples[0].at, max(0, end - (window_h or 0) * 3600))
    runs, limit = _runs(samples)
    gaps = [(before[-1].at, after[0].at) for before, after in pairwise(runs)]
    if samples[0].at - start > limit:
        gaps.insert(0, (start, samples[0].at))
    peaks = _samples(details.get("resource_peaks"))
    peaks.sort(key=lambda sample: -sample.cpu)
    title = "CPU, memory (UTC)"
    rows = tuple((_clock(p.at, day=True), f"{p.cpu:.1f} %", f"{p.memory:.1f} %") for p in peaks)
    highest = peaks[0] if peaks else max(samples, key=lambda sample: sample.cpu)
    description = (
        f"CPU on average {statistics.fmean(s.cpu for s in samples):.0f} %, at most {highest.cpu:.0f} % at "
        f"{_clock(highest.at)} UTC. Memory at most {max(s.memory for s in samples):.0f} %."
        + (f" No data in {len(gaps)} part{'s' if len(gaps) > 1 else ''} of the window." if gaps else "")
    )
    drawing = Drawing(_RESOURCES_HEIGHT, title=title, description=description, key=key)
    window = _Window(start, end) if end - start >= 60 else _Window(start - 300, end + 300)
    _draw_gaps(drawing, window, gaps)
    _draw_scales(drawing, window)
    _draw_runs(drawing, window, runs)
    _draw_peaks(drawing, window, peaks)
    columns = ("CPU peak at (UTC)", "CPU", "Memory")
    return Chart(title, description, drawing.markup(), columns, rows, _RESOURCE_LEGEND)


@dataclass(frozen=True)
class _Window:
    """The time that is drawn, in seconds since 1970, and where in the drawing a time and a share (0 to 100) lie."""

    start: float
    end: float

    def part(self, left: float, right: float) -> float:
        """How much of the window lies between two moments, as a ratio."""
        return abs(right - left) / (self.end - self.start)

    def x(self, at: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * self.part(self.start, min(max(at, self.start), self.end))

    def y(self, percent: float) -> float:
        return _ZERO - (_ZERO - _FULL) * percent / 100


def _draw_gaps(drawing: Drawing, window: _Window, gaps: Sequence[tuple[float, float]]) -> None:
    for start, end in gaps:
        left, right = window.x(start), window.x(end)
        drawing.rect(left, 4, right - left, _ZERO - 4, LINE, opacity=0.4)
        if window.part(start, end) > 0.2:
            drawing.text((left + right) / 2, window.y(62.5) + 4, "no data", MUTED, anchor="middle")


def _draw_scales(drawing: Drawing, window: _Window) -> None:
    for percent, label in ((0, "0"), (25, "25"), (50, "50"), (75, "75"), (100, "100 %")):
        y = window.y(percent)
        drawing.line([(_LEFT, y), (_RIGHT, y)], LINE, width=0.7)
        drawing.text(_LEFT - 5, y + 4, label, MUTED, anchor="end")
    for at, label in time_ticks(window.start, window.end):
        drawing.text(window.x(at), _ZERO + 16, label, MUTED, anchor="middle")


def _draw_runs(drawing: Drawing, window: _Window, runs: Sequence[Sequence[_Sample]]) -> None:
    for run in runs:
        memory = [(window.x(sample.at), window.y(sample.memory)) for sample in run]
        cpu = [(window.x(sample.at), window.y(sample.cpu)) for sample in run]
        if len(run) == 1:
            drawing.dot(*memory[0], SECOND)
            drawing.dot(*cpu[0], FIRST)
        else:
            drawing.line(memory, SECOND, width=1.5, dashed=True)
            drawing.line(cpu, FIRST, width=1.5)


def _draw_peaks(drawing: Drawing, window: _Window, peaks: Sequence[_Sample]) -> None:
    labelled: list[float] = []
    for peak in peaks:
        x, y = window.x(peak.at), window.y(peak.cpu)
        drawing.pointer(x, y - 3, INK)
        if all(window.part(peak.at, other) > 0.14 for other in labelled):
            drawing.text(x, y - 12, f"{peak.cpu:.0f} %", INK, anchor="middle", clear=True)
            labelled.append(peak.at)


def _samples(raw: object) -> list[_Sample]:
    found = []
    for row in raw if isinstance(raw, Sequence) and not isinstance(raw, str) else []:
        moment = from_text(mapping(row).get("at"))
        at = drawable(moment.timestamp()) if moment else None
        cpu, memory = (number(mapping(row).get(name)) for name in ("cpu_percent", "memory_percent"))
        if at is not None and cpu is not None and memory is not None:
            found.append(_Sample(at, min(max(cpu, 0), 100), min(max(memory, 0), 100)))
    found.sort(key=lambda sample: sample.at)
    return _thinned(found)


def _thinned(samples: list[_Sample]) -> list[_Sample]:
    """At most _POINTS_MAX samples: of each few neighbours the one with the highest CPU, so that no peak is lost."""
    step = -(-len(samples) // _POINTS_MAX) or 1
    return [max(samples[at : at + step], key=lambda s: s.cpu) for at in range(0, len(samples), step)]


def _runs(samples: Sequence[_Sample]) -> tuple[list[list[_Sample]], float]:
    """The samples without a gap between them, and how long a gap is: 2.5 of the usual intervals."""
    between = [after.at - before.at for before, after in pairwise(samples)]
    limit = max(2.5 * statistics.median(between), 60.0) if between else 600.0
    runs = [[samples[0]]]
    for sample, wait in zip(samples[1:], between, strict=True):
        if wait > limit:
            runs.append([])
        runs[-1].append(sample)
    return runs, limit


def _clock(at: float, *, day: bool = False) -> str:
    moment = datetime.fromtimestamp(at, timezone.utc)
    return f"{moment:%Y-%m-%d %H:%M}" if day else f"{moment:%H:%M}"


def time_ticks(start: float, end: float) -> list[tuple[int, str]]:
    """About six round times of UTC between two moments (seconds since 1970), each with what is to be said there."""
    hour = 3600
    steps = (60, 300, 900, 1800, hour, 2 * hour, 3 * hour, 4 * hour, 6 * hour, 12 * hour, 24 * hour)
    step = next((size for size in steps if (end - start) / size <= 6), 24 * hour * -(-int(end - start) // (144 * hour)))
    first = -(-int(start) // step) * step
    return [
        (at, _clock(at) if step < 24 * hour else _clock(at, day=True)[5:10]) for at in range(first, int(end) + 1, step)
    ]
