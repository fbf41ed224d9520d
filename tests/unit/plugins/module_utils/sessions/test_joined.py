"""Ids that are one session's by the service's own map: read safely, and joined with processes and files."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.joined import id_maps, read_tables
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.session_info import session_info
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.session_terminate import session_terminate

from tests.session_site import Site, alive, running_site

# No other run of the tests has them, whose processes can be seen from here.
SESSION = f"5d0c1f6e-{os.getpid()}"
OTHER = f"7e11b2c4-{os.getpid()}"
UPLOAD = f"upload0815-{os.getpid()}"
READS = "import os, sys, time; f = open(sys.argv[-1]); f.read(3); time.sleep(600)"


def option(path: Path, **more: Any) -> list[dict[str, Any]]:
    """Option id_maps as the module gets it."""
    given = {"path": str(path), "query": "@", "id": None, "session": "session_id || @"}
    return [{**given, "directories": [str(path.parent.parent / "uploads")], **more}]


def tables(path: Path, content: object, **more: Any) -> tuple[dict[str, tuple[str, ...]], str]:
    """What a map of this content says: sessions by other ids, and the fault."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    found = read_tables(id_maps(option(path, **more)))
    return {other: of for table in found.by_map for other, of in table.sessions.items()}, found.fault


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "temp" / "upload_sessions.json"


@pytest.mark.parametrize(
    ("content", "more"),
    [
        ({"u-1": "s-1", "u-2": "s-2"}, {}),
        ({"u-1": {"session_id": "s-1", "files": 3}, "u-2": {"session_id": "s-2"}, "u-3": {"state": "new"}}, {}),
        ({"v": 2, "uploads": {"u-1": {"session": "s-1"}, "u-2": {"session": "s-2"}}},
         {"query": "uploads", "session": "session"}),
        ([{"upload": "u-1", "session_id": "s-1"}, {"upload": "u-2", "session_id": "s-2"}], {"id": "upload"}),
        ([{"session_id": "s-1", "uploads": [{"id": "u-1"}]}, {"session_id": "s-2", "uploads": [{"id": "u-2"}]}],
         {"id": "uploads[].id"}),
        ({"u-1": "s-1", "u-2": "s-2", "../x": "s-3", "u-4": "*", "": "s-1", "u-5": 7, "u-6": None, "s-1": "s-1"}, {}),
    ],
)  # fmt: skip
def test_what_a_map_says(path: Path, content: object, more: dict[str, Any]) -> None:
    assert tables(path, content, **more) == ({"u-1": ("s-1",), "u-2": ("s-2",)}, "")


def test_a_map_that_is_not_there_says_nothing(path: Path) -> None:
    found = read_tables(id_maps(option(path)))
    assert (found.by_map, found.fault) == ([], "")


def test_a_map_that_is_just_being_written_anew_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def comes_back(_seconds: float) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text('{"u-1": "s-1"}', encoding="utf-8")

    monkeypatch.setattr(time, "sleep", comes_back)
    (table,) = read_tables(id_maps(option(path))).by_map
    assert table.sessions == {"u-1": ("s-1",)}


@pytest.mark.parametrize("content", ["", "{", '{"u-1": "s-1", "u-1": "s-2"}', "7", "[" * 100_000])
def test_a_map_that_cannot_be_read_is_a_fault(path: Path, content: str) -> None:
    assert "upload_sessions.json" in tables(path, content)[1]


def _too_large(path: Path) -> None:
    path.write_bytes(b"")
    os.truncate(path, (32 << 20) + 1)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero"), _too_large])
def test_what_is_no_map_holds_nobody_up(path: Path, make: Callable[[Path], object]) -> None:
    path.parent.mkdir()
    make(path)
    assert "upload_sessions.json" in read_tables(id_maps(option(path))).fault


def test_without_the_library_a_map_that_is_there_is_a_fault(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jmespath", None)
    assert read_tables(id_maps(option(path))).fault == ""
    assert "jmespath" in tables(path, {"u-1": "s-1"})[1]


@pytest.mark.parametrize("wrong", [{"path": "temp/x.json"}, {"directories": ["/srv/../x"]}, {"query": "a["}])
def test_what_cannot_be_right_is_refused(path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="id_maps"):
        id_maps([{**option(path)[0], **wrong}])


def test_an_id_of_two_sessions_contradicts_itself(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(
        json.dumps([{"u": "u-1", "session_id": "s-1"}, {"u": "u-1", "session_id": "s-2"}]), encoding="utf-8"
    )
    found = read_tables(id_maps(option(path, id="u")))
    assert found.contradictions([]).keys() == {"s-1", "s-2"}
    single = read_tables(id_maps(option(path, query="[:1]", id="u")))
    assert single.contradictions([]) == {}
    assert single.contradictions(["u-1"]).keys() == {"s-1", "u-1"}, "an id that is itself listed"


# Processes


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as running:
        (tmp_path / "uploads").mkdir()
        (tmp_path / "uploads" / f"{UPLOAD}_clip0.mp4").write_bytes(b"a clip")
        yield running


def probe(site: Site, path: str = f"uploads/{UPLOAD}_clip0.mp4") -> Any:
    """A hung ffprobe with a relative path, as the service's analysis starts it."""
    return site.python(READS, "-v", "error", path, name="ffprobe", cwd=site.work_dir.parent.parent)


def join(site: Site, content: object) -> list[dict[str, Any]]:
    path = site.work_dir.parent / "upload_sessions.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return option(path)


def call(module: Callable[..., dict[str, Any]], site: Site, **options: Any) -> dict[str, Any]:
    more = {} if module is session_info else {"check_mode": False}
    return module(site.params(**options), warn=lambda _text: None, hide=lambda _text: None, **more)


# runbook: P2S-2A, P2S-2B
def test_a_hung_ffprobe_that_the_map_assigns_is_ended_like_a_hung_ffmpeg(site: Site) -> None:
    site.list_session(SESSION, stage="analysis")
    process = probe(site)
    unknown = call(session_info, site)
    assert (unknown["sessions"][0]["state"], unknown["restart_needed"]) == ("unknown", []), "may be its: no restart"
    result = call(session_terminate, site, id_maps=join(site, {UPLOAD: {"session_id": SESSION}}))
    assert result["outcomes"][0]["ended"] == [process.pid]
    assert "upload_sessions.json assigns to it" in str(result["plan"][0]["proof"])
    assert not alive(process)
    assert (site.work_dir.parent.parent / "uploads" / f"{UPLOAD}_clip0.mp4").exists()


@pytest.mark.parametrize(
    ("content", "restart"),
    [
        ({UPLOAD: OTHER}, [SESSION]),  # the process is another session's, and this one has none
        ({UPLOAD[:-1]: SESSION}, []),  # a prefix is no id: it may be its
        ([{"id": UPLOAD, "session_id": SESSION}, {"id": UPLOAD, "session_id": OTHER}], []),
    ],
)
def test_what_the_map_does_not_assign_to_it_alone_lives(site: Site, content: object, restart: list[str]) -> None:
    site.list_session(SESSION, stage="analysis")
    process = probe(site)
    maps = [{**one, "id": "id" if isinstance(content, list) else None} for one in join(site, content)]
    result = call(session_terminate, site, id_maps=maps, session_ids=[SESSION])
    assert (result["plan"], result["restart_needed"]) == ([], restart)
    assert alive(process)


def test_a_map_that_cannot_be_read_leaves_every_session_unknown(site: Site) -> None:
    process = site.waiting(SESSION)
    maps = join(site, {})
    (site.work_dir.parent / "upload_sessions.json").write_text("{", encoding="utf-8")
    result = call(session_terminate, site, id_maps=maps)
    assert (result["plan"], result["sessions"][0]["state"]) == ([], "unknown")
    assert "upload_sessions.json" in result["sessions"][0]["why"]
    assert alive(process)


def test_who_reads_an_upload_keeps_its_session_alive(site: Site) -> None:
    """A worker that has the upload open under its other id works on the session, whatever he is called."""
    process = site.waiting(SESSION)
    worker = probe(site)
    backup = site.python(READS, f"uploads/{UPLOAD}_clip0.mp4", name="python3", cwd=site.work_dir.parent.parent)
    result = call(session_terminate, site, id_maps=join(site, {UPLOAD: SESSION}))
    assert result["plan"] == []
    assert f"is open by pid {backup.pid} (" in result["sessions"][0]["why"]
    assert all(map(alive, (process, worker, backup)))


def test_a_merges_directory_is_its_sessions(site: Site) -> None:
    """A merge id names the directory below the sessions' own: it is no session of its own."""
    site.list_session(SESSION, stage="merging")
    directory = site.directory(UPLOAD)
    (directory / "merged.mp4").write_bytes(b"begun")
    process = site.python("import time; time.sleep(600)", "-y", str(directory / "merged.mp4"))
    maps = [{**one, "directories": [str(site.work_dir)]} for one in join(site, {UPLOAD: SESSION})]
    result = call(session_info, site, id_maps=maps)
    assert [row["session_id"] for row in result["sessions"]] == [SESSION]
    assert [one["pid"] for one in result["sessions"][0]["processes"]] == [process.pid]
