"""The page of the week opened in a browser: it asks the network for nothing, and fits a phone and a wide screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.render import render_weekly

from tests import weekly_factory
from tests.test_report_page import CHROMIUM, _Seen, probe_page, proxy

__all__ = ["proxy"]
TEMPLATE = Path(__file__).parents[1] / "roles/report/templates/weekly.html.j2"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)"),
]


def probe(tmp_path: Path, seen: _Seen, case: str, *, width: int, dark: bool = False) -> dict[str, Any]:
    (text,) = render_weekly(weekly_factory.CASES[case](), str(TEMPLATE))
    return probe_page(tmp_path, seen, text, width=width, dark=dark)


@pytest.mark.parametrize(
    ("case", "width"), [("mixed", 360), ("hostile", 360), ("hostile", 1600), ("nothing", 360), ("fleet", 1600)]
)
def test_nothing_sticks_out_and_nothing_is_fetched(tmp_path: Path, proxy: _Seen, case: str, width: int) -> None:
    seen = probe(tmp_path, proxy, case, width=width)
    assert seen["width"] == width
    assert seen["scroll"] <= width, seen["wide"]
    assert seen["wide"] == []
    assert seen["fetched"] == []
    assert proxy.asked == []


def test_the_charts_follow_light_and_dark(tmp_path: Path, proxy: _Seen) -> None:
    light, dark = (probe(tmp_path, proxy, "one", width=1000, dark=dark) for dark in (False, True))
    assert light["page"] != dark["page"]
    assert light["ink"].startswith("rgb(")
    assert light["ink"] != dark["ink"]
