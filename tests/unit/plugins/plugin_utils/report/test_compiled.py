"""Compiled templates that are kept: used where they are ours and whole, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.compiled import (
    CompiledTemplates,
    default_directory,
)
from jinja2 import Environment, FileSystemLoader


class Counting(Environment):
    """Counts what it compiles."""

    count = 0

    def compile(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        type(self).count += 1
        return super().compile(*args, **kwargs)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    file = tmp_path / "page.html.j2"
    file.write_text("<p>{{ word }}</p>", encoding="utf-8")
    return file


def fill(template: Path, kept: Path) -> tuple[str, int]:
    """What a new run makes of the template, and how often it compiled."""
    Counting.count = 0
    cache = CompiledTemplates(kept, __file__)
    page = Counting(loader=FileSystemLoader(str(template.parent)), bytecode_cache=cache, autoescape=True)
    return page.get_template(template.name).render(word="a & b"), Counting.count


def test_is_compiled_once_and_anew_when_it_has_changed(tmp_path: Path, template: Path) -> None:
    kept = tmp_path / "cache" / "templates"
    assert fill(template, kept) == ("<p>a &amp; b</p>", 1)
    assert fill(template, kept) == ("<p>a &amp; b</p>", 0)
    assert kept.stat().st_mode & 0o777 == 0o700
    template.write_text("<b>{{ word }}</b>", encoding="utf-8")
    assert fill(template, kept) == ("<b>a &amp; b</b>", 1)


def test_what_others_may_write_is_not_run(tmp_path: Path, template: Path) -> None:
    kept = tmp_path / "cache"
    fill(template, kept)
    kept.chmod(0o777)
    assert fill(template, kept)[1] == 1
    kept.chmod(0o700)
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    assert fill(template, kept)[1] == 1, "nor what a link leads to"


@pytest.mark.parametrize("damage", [b"", b"j2", b"\xff" * 4096])
def test_a_damaged_one_is_compiled_anew(tmp_path: Path, template: Path, damage: bytes) -> None:
    kept = tmp_path / "cache"
    fill(template, kept)
    (file,) = kept.iterdir()
    file.write_bytes(file.read_bytes()[:60] + damage if len(damage) > 2 else damage)
    assert fill(template, kept) == ("<p>a &amp; b</p>", 1)
    assert fill(template, kept)[1] == 0


def test_goes_on_where_nothing_can_be_kept(tmp_path: Path, template: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert fill(template, tmp_path / "file" / "cache")[0] == "<p>a &amp; b</p>"
    assert fill(template, Path("/proc/self/cache"))[0] == "<p>a &amp; b</p>"


def test_lies_in_the_cache_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_directory() == tmp_path / "media_ops/templates"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_directory() == Path("/home/somebody/.cache/media_ops/templates")
    monkeypatch.delenv("HOME")
    assert default_directory().is_absolute()
