# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawings as SVG that stands inside an HTML page.

They take their colours from the page's CSS variables and their font from the page, hold no address and no date, and the
same calls give the same bytes.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from ...module_utils.shapes import one_line

# About the size that drawings are shown at, on a phone too, so that text keeps its size. All lengths are in this unit.
WIDTH = 360.0
TEXT_SIZE = 11.5
INK, MUTED, LINE, FIRST, SECOND = (f"var(--{name})" for name in ("ink", "muted", "line", "series-1", "series-2"))

_TEXT_MAX = 60
# The width of letters at size 1, no less than in the wide ones of the fonts that style.css names.
_WIDTHS = {**dict.fromkeys(" .,:;'|!()[]/ijlrtfI", 0.42), **dict.fromkeys("mwMW@%", 1.0)}


class Drawing:
    """Shapes in the order in which they are drawn, the first at the bottom; x to the right and y down."""

    def __init__(self, height: float, *, title: str, description: str, key: str) -> None:
        """Begin a drawing of WIDTH x ``height``; ``key`` makes its ids unique on the page."""
        self._root = ET.Element(
            "svg",
            {
                "viewBox": f"0 0 {_said(WIDTH)} {_said(height)}",
                "role": "img",
                "aria-labelledby": f"{key}-title {key}-desc",
                "font-size": _said(TEXT_SIZE),
                "stroke-linejoin": "round",
            },
        )
        for tag, text in (("title", title), ("desc", description)):
            ET.SubElement(self._root, tag, {"id": f"{key}-{tag}"}).text = one_line(text, 400)

    def rect(self, x: float, y: float, width: float, height: float, colour: str, *, opacity: float = 1) -> None:
        """A filled rectangle; x and y are its left upper corner."""
        at = {"x": _said(x), "y": _said(y), "width": _said(width), "height": _said(height), "fill": colour}
        ET.SubElement(self._root, "rect", at if opacity == 1 else {**at, "opacity": _said(opacity)})

    def line(
        self, points: Iterable[tuple[float, float]], colour: str, *, width: float = 1, dashed: bool = False
    ) -> None:
        """A line through points."""
        path = " ".join(f"{_said(x)},{_said(y)}" for x, y in points)
        line = {"points": path, "fill": "none", "stroke": colour, "stroke-width": _said(width)}
        ET.SubElement(self._root, "polyline", {**line, "stroke-dasharray": "5 2.5"} if dashed else line)

    def dot(self, x: float, y: float, colour: str) -> None:
        """A small filled circle."""
        ET.SubElement(self._root, "circle", {"cx": _said(x), "cy": _said(y), "r": "2", "fill": colour})

    def pointer(self, x: float, y: float, colour: str) -> None:
        """A small triangle whose tip points down at x, y."""
        corners = ((x - 3.5, y - 6), (x + 3.5, y - 6), (x, y))
        path = " ".join(f"{_said(x)},{_said(y)}" for x, y in corners)
        ET.SubElement(self._root, "polygon", {"points": path, "fill": colour})

    def text(
        self,
        x: float,
        y: float,
        text: str,
        colour: str,
        *,
        anchor: str = "start",
        size: float = TEXT_SIZE,
        room: float = WIDTH,
        clear: bool = False,
    ) -> None:
        """One line of foreign text, shortened to its ``room`` and moved to where all of it is seen.

        Args:
            x: where it begins, ends or has its middle, as ``anchor`` says (start, end, middle).
            y: its base line.
            text: what it says.
            colour: one of the colours above.
            anchor: see x.
            size: of its letters.
            room: how wide it may be.
            clear: keep what lies below off its letters.
        """
        fitted = _fitted(text, room / size)
        width = text_width(fitted) * size
        before = {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        x = min(max(x, before), WIDTH - width + before)
        shape = {"x": _said(x), "y": _said(y), "fill": colour}
        if anchor != "start":
            shape["text-anchor"] = anchor
        if size != TEXT_SIZE:
            shape["font-size"] = _said(size)
        if clear:
            shape.update({"stroke": "var(--card)", "stroke-width": "4", "paint-order": "stroke"})
        ET.SubElement(self._root, "text", shape).text = fitted

    def markup(self) -> str:
        """The drawing as an element of HTML."""
        return ET.tostring(self._root, encoding="unicode")


def text_width(text: str) -> float:
    """How wide a text is at size 1, at most: the font is the reader's, so this guess errs to the wide side."""
    return sum(_WIDTHS.get(c) or (1.25 if c > "\u024f" else 0.8 if c.isupper() else 0.66) for c in text)


def _fitted(text: str, room: float) -> str:
    line = one_line(text, _TEXT_MAX)
    if text_width(line) <= room:
        return line
    while line and text_width(line) + 1.25 > room:
        line = line[:-1]
    return f"{line.rstrip()}…"


def _said(value: float) -> str:
    """A length to a tenth.

    Raises:
        ValueError: it is not finite, which no browser could draw.
    """
    if not math.isfinite(value):
        raise ValueError(f"a drawing has no place for {value}")
    return f"{round(value, 1) + 0.0:g}"  # no -0
