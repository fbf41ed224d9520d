"""One directory by several paths: what protects it by one of them protects it by all."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.disk import sweep

from tests.unit.plugins.deletion import DAY, HOUR, clean, listed, make, rule, sessions_api, tree
from tests.unit.plugins.module_utils.disk.test_disk_cleanup import while_deleting

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("moved_clock")]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts")
ID = "ab12cd34-5678"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    make(tmp_path / "temp" / "video_merge" / ID / "deep" / "part.tmp")
    make(tmp_path / "temp" / "video_merge" / "other" / "part.tmp")
    return tmp_path / "temp" / "video_merge"


@contextlib.contextmanager
def bound(source: Path, point: Path) -> Iterator[Path]:
    point.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", str(source), str(point)], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


def skipped(result: dict[str, Any]) -> list[dict[str, int]]:
    return [one["skipped"] for one in result["rules"]]


@needs_root
@pytest.mark.parametrize(
    ("source", "of_all"), [("video_merge", 2), (".", 2), (f"video_merge/{ID}", 1), (f"video_merge/{ID}/deep", 1)]
)
def test_the_sessions_directory_is_what_it_is_by_a_bind_mount(
    work: Path, tmp_path: Path, source: str, of_all: int
) -> None:
    with bound(work.parent / source, tmp_path / "bound") as point:
        assert skipped(clean(rule(point), sessions_dir=str(work))) == [{"session": of_all}]
        with sessions_api(listed(ID)) as url:
            assert skipped(clean(rule(point), api_url=url, sessions_dir=str(work))) == [{"session": 1}]
    assert (work / ID / "deep" / "part.tmp").exists()
    assert (work / "other" / "part.tmp").exists() is (of_all == 1)


@needs_root
@pytest.mark.parametrize("root", ["disk", "disk/video", f"disk/video/{ID}", f"disk/video/{ID}/deep"])
def test_what_the_sessions_directory_is_mounted_from_is_the_sessions_directory(tmp_path: Path, root: str) -> None:
    make(tmp_path / "disk" / "video" / ID / "deep" / "part.tmp")
    with bound(tmp_path / "disk" / "video", tmp_path / "srv") as point:
        assert skipped(clean(rule(tmp_path / root), sessions_dir=str(point))) == [{"session": 1}]
        with sessions_api(listed(ID)) as url:
            found = clean(rule(tmp_path / root), sessions_dir=str(point), api_url=url)
        assert skipped(found) == [{"session": 1}]


@pytest.mark.parametrize("root", ["", "job", "job/deep"])
def test_a_listed_sessions_directory_may_be_a_link(work: Path, tmp_path: Path, root: str) -> None:
    make(tmp_path / "data" / "job" / "deep" / "part.tmp")
    make(tmp_path / "data" / "job" / "part.tmp")
    (work / "listed-9").symlink_to(tmp_path / "data" / "job")
    given = rule(tmp_path / "data" / root)
    with sessions_api(listed("listed-9")) as url:
        found = clean(given, sessions_dir=str(work), api_url=url)
    assert skipped(found) == [{"session": 1 if root.endswith("deep") else 2}]
    assert "session listed-9 is listed" in found["skipped_files"][0]["msg"]
    assert skipped(clean(given, sessions_dir=str(work))) == skipped(found)
    with sessions_api(listed()) as url:
        assert skipped(clean(given, sessions_dir=str(work), api_url=url)) == [{}]


@needs_root
def test_a_listed_sessions_directory_may_be_a_mount_point(work: Path, tmp_path: Path) -> None:
    make(tmp_path / "data" / "job" / "deep" / "part.tmp")
    with bound(tmp_path / "data" / "job", work / "listed-9"), sessions_api(listed("listed-9")) as url:
        found = clean(rule(tmp_path / "data"), sessions_dir=str(work), api_url=url)
    assert skipped(found) == [{"session": 1}]


def test_a_link_of_a_session_that_begins_meanwhile_keeps_its_directory(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "data" / "early" / "part.tmp", 3 * DAY)
    make(tmp_path / "data" / "job" / "deep" / "part.tmp", 2 * DAY)
    (work / "listed-9").symlink_to(tmp_path / "data" / "job")
    monkeypatch.setattr(sweep, "_ASK_AGAIN_S", 0.0)
    answer = listed()
    while_deleting(monkeypatch, lambda: answer.update(listed("listed-9")), after=1)
    with sessions_api(answer) as url:
        found = clean(rule(tmp_path / "data"), sessions_dir=str(work), api_url=url)
    assert skipped(found) == [{"session": 1}]
    assert [name for name in tree(tmp_path / "data") if "." in name] == ["job/deep/part.tmp"]


@needs_root
def test_work_that_goes_on_does_so_by_a_bind_mount(work: Path, tmp_path: Path) -> None:
    make(work / "other" / "new.txt", HOUR)
    with bound(work, tmp_path / "bound") as point, sessions_api(listed()) as url:
        found = clean(rule(point, "*.tmp"), sessions_dir=str(work), api_url=url, idle_seconds=DAY / 2)
    assert skipped(found) == [{"active": 1}]


@needs_root
def test_results_are_results_where_a_root_shows_a_part_of_them(tmp_path: Path) -> None:
    make(tmp_path / "final" / "user-1" / "film.mp4")
    with bound(tmp_path / "final" / "user-1", tmp_path / "bound") as point:
        assert skipped(clean(rule(point), kept_dirs=[str(tmp_path / "final")])) == [{"result": 1}]
