"""Drawings: what is foreign stays text, what is not finite is refused, and what is said stays in the picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.svg import INK, WIDTH, Drawing, text_width

HOSTILE = '</text><script>alert("1")</script> & \x1b[31m \ud800 ' + "W" * 500


def drawing() -> Drawing:
    return Drawing(100, title="A title", description="A description", key="key")


def test_foreign_text_is_text_and_one_line() -> None:
    made = Drawing(100, title=HOSTILE, description=HOSTILE, key='a"><script>')
    made.text(0, 10, HOSTILE, INK)
    markup = made.markup()
    assert "<script>" not in markup
    assert [element.tag for element in ET.fromstring(markup.encode("utf-8", "replace"))] == ["title", "desc", "text"]
    text = ET.fromstring(markup.encode("utf-8", "replace")).findtext("text")
    assert text is not None
    assert text.startswith('</text><script>alert("1")</script> & [31m')
    assert text.isprintable()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("shape", ["rect", "line", "dot", "pointer", "text"])
def test_what_is_not_finite_is_refused(shape: str, wrong: float) -> None:
    made = drawing()
    draw = {
        "rect": lambda: made.rect(0, 0, wrong, 1, INK),
        "line": lambda: made.line([(0, 0), (1, wrong)], INK),
        "dot": lambda: made.dot(wrong, 0, INK),
        "pointer": lambda: made.pointer(0, wrong, INK),
        "text": lambda: made.text(0, wrong, "text", INK),
    }
    with pytest.raises(ValueError, match=r"a drawing has no place for (nan|-?inf)"):
        draw[shape]()


@pytest.mark.parametrize("anchor", ["start", "middle", "end"])
@pytest.mark.parametrize("x", [-1e6, 0, 5, 180, 355, 1e6])
@pytest.mark.parametrize("text", ["90 %", "W" * 500, "i" * 500, "\u8996" * 500, ""])
def test_text_does_not_leave_the_drawing(anchor: str, x: float, text: str) -> None:
    made = drawing()
    made.text(x, 10, text, INK, anchor=anchor)
    (said,) = ET.fromstring(made.markup()).iter("text")
    width = text_width(said.text or "") * 11.5
    left = float(said.attrib["x"]) - {"start": 0, "middle": width / 2, "end": width}[anchor]
    assert left >= -0.1
    assert left + width <= WIDTH + 0.1


def test_text_that_fits_stays_where_it_is_and_whole() -> None:
    made = drawing()
    made.text(180, 10, "storage_upload", INK, anchor="middle")
    (said,) = ET.fromstring(made.markup()).iter("text")
    assert (said.text, said.attrib["x"]) == ("storage_upload", "180")


def test_lengths_have_a_tenth_and_no_sign_of_nothing() -> None:
    made = drawing()
    made.rect(-0.01, 1 / 3, 100000.06, 2, INK)
    (rect,) = ET.fromstring(made.markup()).iter("rect")
    assert [rect.attrib[name] for name in ("x", "y", "width", "height")] == ["0", "0.3", "100000", "2"]
