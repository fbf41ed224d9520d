"""Reports: what they say, and what foreign text cannot do to them."""

from __future__ import annotations

import copy
import html
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report import render as r
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report import templates as t

from tests import result_factory
from tests.schemas import schema

TEMPLATES = Path(__file__).parents[5] / "roles/report/templates"
VOID = {"meta", "link", "col", "br", "img", "input"}


class Page(HTMLParser):
    """Tags, attributes and text; raises when a tag is not closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


def render(document: Any, kind: str = "html") -> str:
    (made,) = r.render(document, str(TEMPLATES / f"report.{kind}.j2"))
    return made


@cache
def rendered(case: str, kind: str = "html") -> str:
    """A case as page or text, made once."""
    return render(result_factory.CASES[case](), kind)


def checked(made: str) -> Page:
    """A page that is well formed and fetches nothing."""
    page = Page(made)
    for tag, attributes in page.tags:
        assert tag not in {"script", "img", "iframe", "object", "embed", "base", "form", "audio", "video"}
        assert not {"src", "srcset", "style-src", "background"} & set(attributes)
        for name in ("href", "xlink:href", "action"):
            target = attributes.get(name)
            assert target is None or target.startswith("#") or target == "data:,", target
        assert not any(name.startswith("on") for name in attributes)
    styles = "".join(re.findall(r"<style>(.*?)</style>", made, re.DOTALL))
    assert "@import" not in styles
    assert "url(" not in styles
    assert "default-src 'none'" in made
    ids = [attributes["id"] for _tag, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    linked = {str(a["href"])[1:] for tag, a in page.tags if tag == "a"}
    assert linked <= set(ids)
    return page


@pytest.mark.parametrize("case", [case for case in result_factory.CASES if case != "fleet"])
def test_every_case_is_one_well_formed_page_that_fetches_nothing(case: str) -> None:
    checked(rendered(case))


def test_the_page_says_what_is_wrong_and_what_to_run() -> None:
    text = Page(rendered("mixed")).text
    assert "1 of 4 hosts is critical, 2 are unknown." in text
    assert re.search(r"Critical media2, since 2026-11-23 06:00 UTC: Overall status.* ffmpeg exited with 127", text)
    assert "Unknown media3 (and 1 more): Failed to connect" in text
    assert "The run fails (exit code 2): a host that is critical or unknown fails it." in text
    assert "P0 Critical system: ffmpeg Respond within 5 min Host media2" in text
    assert "ansible-playbook playbooks/incident_critical_system.yml --limit media2" in text
    assert "All 11 checks" in text, "a host that gave nothing is one row, not eleven"
    assert "2026-11-23 06:00 UTC" in text, "since when"
    assert "figures cover only the last 3 h 3 min of 24 h: the service started at 2026-11-24 02:57 UTC" in text
    assert "Infrastructure Team" in text
    assert "Collection media_ops.runbook 0.1.0" in text


@pytest.mark.parametrize("kind", ["html", "md"])
def test_since_when_a_host_is_in_its_state_stands_beside_it(kind: str) -> None:
    start, end = ('<section id="hosts"', "</section>") if kind == "html" else ("## Hosts", "\n## ")
    part = html.unescape(rendered("mixed", kind)).replace("\u00a0", " ").partition(start)[2].partition(end)[0]
    rows = re.split(r"<tr>|\n(?=\|)", part)
    since = {name: row for row in rows for name in ("media1", "media2", "media3") if name in row}
    assert "2026-11-23 06:00 UTC" in since["media2"]
    assert "this run" in since["media3"]
    assert "this run" not in since["media1"]
    assert "UTC" not in since["media1"]


def test_a_figure_that_no_host_has_takes_no_room() -> None:
    made = result_factory.mixed()
    for host in made["hosts"]:
        host["details"].pop("metrics", None)
    text = Page(render(made)).text
    assert "CPU peak" not in text
    assert "Operations" in text


def test_the_order_is_state_hosts_action_verdicts_charts_contacts_run() -> None:
    ids = re.findall(r'<section id="(\w+)"', rendered("mixed"))
    assert ids == ["hosts", "todo", "verdicts", "unknown", "charts", "service", "contacts", "run"]


# runbook: QR-CONTACTS
@pytest.mark.parametrize("kind", ["html", "md"])
def test_one_sound_host(kind: str) -> None:
    made = rendered("one_ok", kind)
    assert "The host is ok. Nothing is to be done." in made
    assert "What to do now" not in made
    assert "System Administrator" in made
    assert "What is unknown" not in made


@pytest.mark.parametrize("kind", ["html", "md"])
def test_nothing_known_is_never_ok(kind: str) -> None:
    made = html.unescape(rendered("nothing", kind))
    assert "No host was checked, so nothing is known" in made
    assert "Unknown" in made
    assert "The run fails." in made
    lost = html.unescape(rendered("all_lost", kind))
    assert "2 of 2 hosts are unknown." in lost
    assert "media1 (and 1 more): The check did not run on this host to its end" in lost
    assert "is ok" not in lost


def test_foreign_text_stays_text_in_html() -> None:
    made = rendered("hostile")
    page = Page(made)
    assert "<script>alert(1)</script> {{ 7 * 7 }} {% raw %}" in page.text
    assert "49" not in page.text, "{{ 7 * 7 }} was evaluated"
    assert "\x1b" not in made


def test_foreign_text_stays_text_in_markdown() -> None:
    made = rendered("hostile", "md")
    prose = re.sub(r"```.*?```", "", made, flags=re.DOTALL)
    prose = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "CODE", prose.replace("\\`", "TICK"))
    assert "\x1b" not in made
    assert "`" not in prose
    assert "<" not in prose
    assert "\\[x\\](http\\://evil.example) \\*b\\*" in prose
    assert not re.search(r"(?<!\\)[\[\]]|http://|\*b\*[^*]|\n# h", prose)
    rows = [line for line in prose.splitlines() if line.startswith("|")]
    heads = [i for i, line in enumerate(rows) if re.fullmatch(r"\|( -+:? \|)+", line)]
    assert len(heads) >= 6
    ends = [*[i - 1 for i in heads[1:]], len(rows)]
    for head, end in zip(heads, ends, strict=True):
        for line in rows[head - 1 : end]:
            cells = re.findall(r"(?<!\\)\|", line)
            assert len(cells) == rows[head].count("|"), line


def test_a_command_is_shown_whole_and_unchanged() -> None:
    made = result_factory.mixed()
    command = f"ansible-playbook x.yml --limit '{'media0123456789.example.com,' * 100}' -e 'a=5 min & <b>'"
    made["incidents"][0]["command"] = command
    assert f"<code>{html.escape(command, quote=True)}</code>" in render(made).replace("&#34;", "&quot;").replace(
        "&#39;", "&#x27;"
    )
    assert f"```sh\n   {command}\n   ```" in render(made, "md")


def test_a_command_with_backticks_cannot_end_its_block() -> None:
    made = result_factory.mixed()
    made["incidents"][0]["command"] = "x ``` y"
    assert "````sh\n   x ``` y\n   ````" in render(made, "md")


def test_a_fleet_of_300_is_such_a_page_stays_small_and_draws_only_what_is_not_ok() -> None:
    document = result_factory.fleet()
    made = render(document)
    assert len(made) < 3_000_000
    page = checked(made)
    text = page.text
    assert 60 <= sum(1 for tag, _a in page.tags if tag == "svg") <= 84
    assert "All hosts" in text
    assert "hosts have no charts of their own here" in text
    assert "238 hosts that are ok" in text
    for host in document["hosts"]:
        assert host["host"] in text
    assert len(render(document, "md")) < 200_000


def test_the_same_document_gives_the_same_bytes_and_is_left_as_it_was() -> None:
    document = result_factory.mixed()
    before = copy.deepcopy(document)
    assert render(document) == render(document)
    assert document == before


def test_numbers_that_are_none_are_shown_as_nothing() -> None:
    document = result_factory.mixed()
    for host in document["hosts"]:
        totals = host["details"].get("totals")
        if totals:
            totals.update(error_rate=float("nan"), average_duration_s=float("inf"), window_h=None)
    text = Page(render(document)).text
    assert not re.search(r"\bnan\b|\binf\b|\bNone\b", text)


def test_every_fault_has_a_meaning() -> None:
    assert set(r.FAULTS) == set(schema("result")["$defs"]["fault"]["enum"]) - {""}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("text", "option 'document' is \"'text'\": a result document"),
        ({}, "option 'schema_version' is None"),
        ({"schema_version": 2}, "option 'schema_version' is 2"),
        ({"schema_version": 1}, "does not keep to roles/report/files/result.schema.json"),
        ({"schema_version": 1, "state": "ok", "hosts": [{"host": "a"}]}, "does not keep to roles/report/files"),
    ],
)
def test_a_document_that_is_none_is_an_error_that_says_so(document: Any, words: str) -> None:
    with pytest.raises(OptionError, match=re.escape(words)):
        render(document)


def test_wrong_templates_are_named(tmp_path: Path) -> None:
    document = result_factory.one_ok()
    with pytest.raises(OptionError, match=r"template_path.*its name must end in"):
        r.render(document, str(tmp_path / "report.txt"))
    with pytest.raises(OptionError, match=r"template_path.*there is no file report\.html\.j2 that can be read"):
        r.render(document, str(tmp_path / "report.html.j2"))
    broken = tmp_path / "broken.html.j2"
    broken.write_text("one\n{% if %}\n", encoding="utf-8")
    with pytest.raises(MediaOpsError, match=r"broken\.html\.j2, line 2"):
        r.render(document, str(broken))
    own = tmp_path / "own.html.j2"
    own.write_text('{% extends "page.html.j2" %}', encoding="utf-8")
    with pytest.raises(OptionError, match=r"template_path.*own\.html\.j2.*there is no file page\.html\.j2"):
        r.render(document, str(own))
    loose = tmp_path / "loose.md.j2"
    loose.write_text("{{ view.colour }}", encoding="utf-8")
    with pytest.raises(MediaOpsError, match=r"loose\.md\.j2.*colour"):
        r.render(document, str(loose))


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (t.percent(0.1), "10 %"),
        (t.percent(None), t.NOTHING),
        (t.duration(90), "1 min 30 s"),
        (t.duration(-90), "-1 min 30 s"),
        (t.duration(float("inf")), t.NOTHING),
        (t.byte_size(0), "0 B"),
        (t.byte_size(1536), "1.5 KiB"),
        (t.byte_size(3 * 1024**3), "3 GiB"),
        (t.byte_size("x"), t.NOTHING),
        (t.when("2026-11-24T06:00:00Z"), "2026-11-24 06:00 UTC"),
        (t.when("yesterday"), t.NOTHING),
        (t.figure(0.25, "ratio"), "25 %"),
        (t.figure(90, "s"), "1 min 30 s"),
        (t.figure("critical", "state"), "critical"),
        (t.figure(None, "count"), t.NOTHING),
        (t.state_label("moon"), "Unknown"),
        (t.state_symbol("ok"), "✓"),
    ],
)
def test_helper_filters(made: str, text: str) -> None:
    assert made == text


@pytest.mark.parametrize("kind", ["html", "md"])
def test_what_is_muted_stands_at_the_top_with_reason_and_end(kind: str) -> None:
    made = render(result_factory.muted(), kind)
    text = Page(made).text if kind == "html" else made.replace("\\_", "_")
    for said in (
        "component:cloud_storage until 2026-11-25 05:55 UTC by alice: MEDIA-123, uploads work",
        "host until 2026-11-25 05:55 UTC by alice: new disk",
        "media1: cloud_storage is critical: cloud_storage is critical (muted until",
    ):
        assert said in text
        assert text.index(said) < text.index("Whom to call")
    assert "No route to host (unknown, muted until 2026-11-25T05:55:00Z by alice: new disk)" in text
