# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts of a result document's details, as SVG to stand inside an HTML page.

The SVG takes its colours from the page's CSS variables and its font from the page, holds no address and no date, and
the same data gives the same bytes. matplotlib is imported when the first chart is drawn.
"""

from __future__ import annotations

import io
import re
import statistics
import sys
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ...module_utils.errors import MediaOpsError
from ...module_utils.shapes import Json, mapping, number, one_line
from ...module_utils.times import from_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Drawn at about the size they are shown at, on a phone too, so that text keeps its size.
_WIDTH = 360.0
_PEAKS_HEIGHT = 215.0
_ROW_HEIGHT = 34.0
_ROWS_MAX = 12
_POINTS_MAX = 400
_STAGES = ("upload", "analysis", "preparation", "merging", "compression", "storage_upload", "cleanup")

# matplotlib knows no CSS variables: these stand for them until the SVG is written.
INK, MUTED, LINE, FIRST, SECOND = "#010203", "#010204", "#010205", "#010206", "#010207"
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    FIRST: "var(--series-1)",
    SECOND: "var(--series-2)",
}
_STAGE_LEGEND = (("bar", "average"), ("tick", "longest"))
_RESOURCE_LEGEND = (("line", "CPU"), ("dash", "memory"), ("peak", "CPU peaks"))


@dataclass(frozen=True)
class Chart:
    """One chart: the drawing, and the same in words and as a table for those who do not see it."""

    title: str
    description: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    legend: tuple[tuple[str, str], ...] = ()  # CSS class of the page, label


class NoChartsError(MediaOpsError):
    """matplotlib cannot be used; says how to get it."""


def _require_matplotlib() -> None:
    """Raise NoChartsError, with what to install, when there is no matplotlib. Its import takes most of a second."""
    try:
        import matplotlib.figure  # noqa: F401
    except Exception as error:  # a broken build of numpy raises anything, and the report must still be made
        raise NoChartsError(
            f"Charts were not drawn: the Python library 'matplotlib' cannot be used ({one_line(error, 120)}). "
            f"Install it for the Python that runs Ansible: {sys.executable} -m pip install matplotlib "
            "(Debian: python3-matplotlib)"
        ) from error


def charts_of(details: Json, key: str) -> list[Chart]:
    """The charts that the details of a host have data for.

    Args:
        details: as :func:`observations.details` gives them.
        key: makes the ids inside the SVG unique on the page.

    Raises:
        NoChartsError: there is no matplotlib.
    """
    drawn = [
        _resources(details, f"{key}-resources"),
        _stages(mapping(details.get("stages")), f"{key}-stages"),
        error_bars(mapping(details.get("errors")), "Failed operations by error code", f"{key}-errors"),
        error_bars(mapping(mapping(details.get("log")).get("errors")), "Logged errors by code", f"{key}-log"),
    ]
    return [chart for chart in drawn if chart]


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
        average, longest, count = (number(row.get(k)) for k in ("average_duration_s", "max_duration_s", "count"))
        if average is None or average < 0:
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
    counts = [(str(code), count) for code, raw in errors.items() if (count := number(raw)) is not None and count > 0]
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

    def draw(axes: Axes) -> None:
        axes.set_xlim(0, top)
        axes.set_ylim(len(bars) - 0.1, -0.1)
        for at, row in enumerate(bars):
            axes.barh(at + 0.62, top, height=0.24, color=LINE, alpha=0.45, clip_on=False)
            axes.barh(at + 0.62, row.value, height=0.24, color=FIRST, clip_on=False)
            if row.marker is not None:
                axes.plot([row.marker] * 2, [at + 0.44, at + 0.8], color=SECOND, linewidth=2.5, clip_on=False)
            axes.text(0, at + 0.34, one_line(row.label, 36), color=INK, va="baseline", ha="left")
            axes.text(top, at + 0.34, row.text, color=MUTED, va="baseline", ha="right")
        axes.axis("off")

    return svg_of(
        draw, _ROW_HEIGHT * len(bars) + 8, (0.005, 0.02, 0.99, 0.97), title=title, description=description, key=key
    )


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
    window_h = number(mapping(details.get("totals")).get("window_h"))
    end = samples[-1].at
    start = min(samples[0].at, end - window_h * 3600) if window_h else samples[0].at
    runs, limit = _runs(samples)
    gaps = [(before[-1].at, after[0].at) for before, after in pairwise(runs)]
    if samples[0].at - start > limit:
        gaps.insert(0, (start, samples[0].at))
    peaks = _samples(details.get("resource_peaks"))
    peaks.sort(key=lambda sample: -sample.cpu)

    def draw(axes: Axes) -> None:
        for left, right in gaps:
            axes.axvspan(left, right, color=LINE, alpha=0.4, linewidth=0)
            if right - left > (end - start) * 0.2:
                axes.text((left + right) / 2, 50, "no data", color=MUTED, ha="center", va="center")
        for run in runs:
            alone = "o" if len(run) == 1 else ""
            at = [sample.at for sample in run]
            axes.plot(at, [s.memory for s in run], color=SECOND, linewidth=1.5, linestyle="--", marker=alone, ms=3)
            axes.plot(at, [s.cpu for s in run], color=FIRST, linewidth=1.5, marker=alone, ms=3)
        labelled: list[float] = []
        for peak in peaks:
            axes.plot([peak.at], [peak.cpu + 4], marker="v", ms=6, color=INK, linestyle="", clip_on=False)
            if all(abs(peak.at - other) > (end - start) * 0.14 for other in labelled):
                axes.text(peak.at, peak.cpu + 9, f"{peak.cpu:.0f} %", color=INK, ha="center", clip_on=False)
                labelled.append(peak.at)
        time_axis(axes, start, end)
        axes.set_ylim(0, 115)
        axes.set_yticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
        axes.grid(axis="y", color=LINE, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelcolor=MUTED, pad=5)
        for side in ("top", "left", "right"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(LINE)

    title = "CPU, memory (UTC)"
    rows = tuple((_clock(p.at, day=True), f"{p.cpu:.1f} %", f"{p.memory:.1f} %") for p in peaks)
    highest = peaks[0] if peaks else max(samples, key=lambda sample: sample.cpu)
    description = (
        f"CPU on average {statistics.fmean(s.cpu for s in samples):.0f} %, at most {highest.cpu:.0f} % at "
        f"{_clock(highest.at)} UTC. Memory at most {max(s.memory for s in samples):.0f} %."
        + (f" No data in {len(gaps)} part{'s' if len(gaps) > 1 else ''} of the window." if gaps else "")
    )
    svg = svg_of(draw, _PEAKS_HEIGHT, (0.11, 0.11, 0.865, 0.87), title=title, description=description, key=key)
    return Chart(title, description, svg, ("CPU peak at (UTC)", "CPU", "Memory"), rows, _RESOURCE_LEGEND)


def _samples(raw: object) -> list[_Sample]:
    found = []
    for row in raw if isinstance(raw, Sequence) and not isinstance(raw, str) else []:
        at, cpu, memory = (mapping(row).get(name) for name in ("at", "cpu_percent", "memory_percent"))
        moment, cpu, memory = from_text(at), number(cpu), number(memory)
        if moment and cpu is not None and memory is not None:
            found.append(_Sample(moment.timestamp(), min(max(cpu, 0), 100), min(max(memory, 0), 100)))
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


def time_axis(axes: Axes, start: float, end: float) -> None:
    """Ticks of UTC at round times."""
    if end - start < 60:
        start, end = start - 300, end + 300
    hour = 3600
    steps = (60, 300, 900, 1800, hour, 2 * hour, 3 * hour, 4 * hour, 6 * hour, 12 * hour, 24 * hour)
    step = next((size for size in steps if (end - start) / size <= 6), 24 * hour * -(-int(end - start) // (144 * hour)))
    first = -(-int(start) // step) * step
    ticks = list(range(first, int(end) + 1, step))
    axes.set_xlim(start, end)
    axes.set_xticks(ticks, [_clock(tick) if step < 24 * hour else _clock(tick, day=True)[5:10] for tick in ticks])


def svg_of(
    draw: Callable[[Axes], None],
    height: float,
    box: tuple[float, float, float, float],
    *,
    title: str,
    description: str,
    key: str,
) -> str:
    """Draw on axes in the box of the figure (left, bottom, width, height as shares); give what an HTML page takes."""
    _require_matplotlib()
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": key,
        "font.size": 11.5,
        "text.parse_math": False,  # an error code with two dollar signs is no formula
        "path.simplify": True,
        "axes.unicode_minus": False,
    }
    buffer = io.StringIO()
    # Only the browser's font matters for a glyph that matplotlib's own lacks.
    with mpl.rc_context(settings), warnings.catch_warnings(action="ignore"):
        figure = Figure(figsize=(_WIDTH / 72, height / 72), dpi=72)
        figure.patch.set_visible(False)
        axes = figure.add_axes(box)
        axes.patch.set_visible(False)
        draw(axes)
        FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
            buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _for_page(buffer.getvalue(), height, title, description, key)


_FONT = re.compile(r"font: ([\d.]+px)[^;]*|font-family:[^;]*;?\s*")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_REFERENCE = re.compile(r"(?:url\(#|^#)([^)]+)")


def _for_page(svg: str, height: float, title: str, description: str, key: str) -> str:
    """Strip what only a file of its own needs: namespaces, metadata, styles that would reach the whole page, ids."""
    root = ET.fromstring(svg)  # noqa: S314  written by matplotlib a moment ago
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in {"metadata", "style"}:
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name.rpartition("}")[2]: _attribute(value) for name, value in element.attrib.items()}
    _own_ids(root, key)
    root.attrib = {
        "viewBox": f"0 0 {_WIDTH:g} {height:g}",
        "role": "img",
        "aria-labelledby": f"{key}-title {key}-desc",
        "stroke-linejoin": "round",
    }
    for at, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(tag, {"id": f"{key}-{tag}"})
        element.text = text
        root.insert(at, element)
    return ET.tostring(root, encoding="unicode")


def _own_ids(root: ET.Element, key: str) -> None:
    """Keep the ids that are referred to, and make them the page's only ones of that name."""
    used = {name for element in root.iter() for value in element.attrib.values() for name in _REFERENCE.findall(value)}
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        for name, value in element.attrib.items():
            element.set(name, f"{key}-{value}" if name == "id" else value.replace("#", f"#{key}-"))


def _attribute(value: str) -> str:
    for sentinel, variable in _VARIABLES.items():
        value = value.replace(sentinel, variable)
    value = _FONT.sub(lambda match: f"font-size: {match[1]}" if match[1] else "", value)
    return _LONG_NUMBER.sub(lambda match: f"{float(match[0]):.1f}".removesuffix(".0"), value)
