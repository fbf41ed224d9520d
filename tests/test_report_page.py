"""The report opened in a browser: it asks the network for nothing, and fits a phone and a wide screen."""

from __future__ import annotations

import html
import json
import re
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.render import render

from tests import result_factory

TEMPLATE = Path(__file__).parents[1] / "roles/report/templates/report.html.j2"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)"),
]
# Runs in the page; the report itself has no script, so this is put into a copy of it.
PROBE = """<script>
addEventListener("load", () => {
  const root = document.documentElement, wide = [...document.querySelectorAll("main *:not(svg *)")]
    .filter(e => !e.closest("thead"))
    .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1).map(e => e.tagName + "." + e.className);
  const found = {
    width: root.clientWidth, scroll: root.scrollWidth, wide: wide.slice(0, 5),
    fetched: performance.getEntriesByType("resource").map(e => e.name),
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    page: getComputedStyle(document.body).backgroundColor,
    ink: [...document.querySelectorAll("svg text")].map(e => getComputedStyle(e).fill)[0] || "",
  };
  if (parent !== window) { parent.postMessage(JSON.stringify(found), "*"); return; }
  const out = document.createElement("pre");
  out.id = "probe"; out.textContent = JSON.stringify(found); document.body.append(out);
});
</script>"""
# Headless windows are not narrower than 500 pixels, frames are.
FRAME = """<body style="margin:0"><script>
addEventListener("message", event => {
  const out = document.createElement("pre");
  out.id = "probe"; out.textContent = event.data; document.body.append(out);
});
</script><iframe src="page.html" style="border:0;width:WIDTHpx;height:900px"></iframe>"""


# The browser looks for its own updates, whatever the page.
_BROWSERS_OWN = re.compile(r"^\w+ (?:https?://)?[\w.-]*\.(?:google|googleapis|gvt1)\.com\b")


class _Seen(socketserver.ThreadingTCPServer):
    """A proxy that answers nobody and counts who asks."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refuse)
        self.asked: list[str] = []


class _Refuse(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Seen)
        line = self.rfile.readline().decode("latin-1").strip()
        if not _BROWSERS_OWN.search(line):
            self.server.asked.append(line)


@pytest.fixture
def proxy() -> Iterator[_Seen]:
    with _Seen() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def browse(page: Path, profile: Path, proxy: _Seen, *, width: int, dark: bool = False) -> str:
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
        f"--proxy-server=127.0.0.1:{proxy.server_address[1]}",
        "--proxy-bypass-list=<-loopback>",
        f"--window-size={width},900",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--dump-dom",
        page.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def probe(tmp_path: Path, proxy: _Seen, case: str, *, width: int, dark: bool = False) -> dict[str, Any]:
    (text,) = render(result_factory.CASES[case](), str(TEMPLATE))
    return probe_page(tmp_path, proxy, text, width=width, dark=dark)


def probe_page(tmp_path: Path, proxy: _Seen, text: str, *, width: int, dark: bool = False) -> dict[str, Any]:
    # The page forbids scripts and fetching: without that line the probe runs, and what is fetched would be seen.
    text, dropped = re.subn(r'<meta http-equiv="Content-Security-Policy".*\n', "", text)
    assert dropped == 1
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    if width < 500:
        page = tmp_path / "frame.html"
        page.write_text(FRAME.replace("WIDTH", str(width)), encoding="utf-8")
    dom = browse(page, tmp_path / "profile", proxy, width=width, dark=dark)
    found = re.search(r'<pre id="probe">(.*?)</pre>', dom)
    assert found, dom[-2000:]
    return dict(json.loads(html.unescape(found[1])))


@pytest.mark.parametrize("case", ["mixed", "hostile"])
@pytest.mark.parametrize("width", [360, 1600])
def test_nothing_sticks_out_and_nothing_is_fetched(tmp_path: Path, proxy: _Seen, case: str, width: int) -> None:
    seen = probe(tmp_path, proxy, case, width=width)
    assert seen["width"] == width
    assert seen["scroll"] <= width, seen["wide"]
    assert seen["wide"] == []
    assert seen["fetched"] == []
    assert proxy.asked == []


def test_the_charts_follow_light_and_dark(tmp_path: Path, proxy: _Seen) -> None:
    light, dark = (probe(tmp_path, proxy, "one_ok", width=1000, dark=dark) for dark in (False, True))
    assert (light["dark"], dark["dark"]) == (False, True)
    assert light["page"] != dark["page"]
    assert light["ink"].startswith("rgb(")
    assert light["ink"] != dark["ink"]


def test_the_watch_on_the_network_sees_what_is_fetched(tmp_path: Path, proxy: _Seen) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="http://report.example/pixel.png">', encoding="utf-8")
    browse(page, tmp_path / "profile", proxy, width=600)
    assert any("report.example" in line for line in proxy.asked)
