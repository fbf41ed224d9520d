"""What stays whole whatever the rules say: finished results, and work that nothing lists and that goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.disk import kept, sweep
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError

from tests.unit.plugins.deletion import DAY, HOUR, aged, clean, listed, make, rule, sessions_api, tree

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("moved_clock")]


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Uploads of long ago, and among them the finished results."""
    top = tmp_path / "uploads"
    make(top / "u1_clip.mp4", 10 * DAY)
    make(top / "merged_videos" / "user-1" / "final.mp4", 10 * DAY)
    return top


def kept_by(top: Path, **options: Any) -> dict[str, int]:
    """What a rule for all clips leaves, by reason."""
    skipped: dict[str, int] = clean(rule(top, "*.mp4"), **options)["rules"][0]["skipped"]
    return skipped


# runbook: EM-D3
def test_uploads_go_and_the_results_among_them_stay(uploads: Path) -> None:
    result = clean(rule(uploads, "*.mp4", prune_empty=True), kept_dirs=[str(uploads / "merged_videos")])
    assert result["rules"][0]["removed"]["files"] == 1
    assert result["rules"][0]["skipped"] == {"result": 1}
    assert "finished results" in result["skipped_files"][0]["msg"]
    assert list(tree(uploads)) == ["merged_videos", "merged_videos/user-1", "merged_videos/user-1/final.mp4"]


def _linked(uploads: Path) -> Path:
    link = uploads.parent / "results"
    link.symlink_to(uploads / "merged_videos")
    return link


@pytest.mark.parametrize("name", [lambda top: top / "merged_videos" / "..", lambda _top: Path("results")])
def test_a_path_that_is_none_is_refused(uploads: Path, name: Callable[[Path], Path]) -> None:
    with pytest.raises(OptionError, match="kept_dirs"):
        clean(rule(uploads), kept_dirs=[str(name(uploads))])


def test_a_file_where_a_directory_of_results_is_named_is_refused(uploads: Path) -> None:
    with pytest.raises(OptionError, match="is no directory"):
        clean(rule(uploads), kept_dirs=[str(uploads / "u1_clip.mp4")])
    assert (uploads / "u1_clip.mp4").exists()


@pytest.mark.parametrize("root", ["merged_videos", "merged_videos/user-1"])
def test_a_rule_for_the_results_themselves_takes_none_either(uploads: Path, root: str) -> None:
    assert kept_by(uploads / root, kept_dirs=[str(_linked(uploads))]) == {"result": 1}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a mount")
def test_a_bind_mount_of_the_results_is_the_results(uploads: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["mount", "--bind", str(uploads / "merged_videos"), str(other)], check=True)
    try:
        assert kept_by(other, kept_dirs=[str(uploads / "merged_videos")]) == {"result": 1}
    finally:
        subprocess.run(["umount", str(other)], check=True)


def test_results_that_are_not_there_keep_nothing(uploads: Path) -> None:
    assert kept_by(uploads, kept_dirs=[str(uploads / "no_such")]) == {}


def test_an_empty_directory_that_an_option_names_is_not_removed(tmp_path: Path) -> None:
    srv = tmp_path / "srv"
    names = ["archives", "final", "inbox", "logs", "map", "sessions", "site", "work"]
    for name in [*names, "nameless"]:
        (srv / name).mkdir(parents=True)
        aged(srv / name, 10 * DAY)
    (tmp_path / "link").symlink_to(srv / "sessions")
    maps = {"path": str(tmp_path / "map.json"), "query": "@", "id": None, "session": "@", "directories": [f"{srv}/map"]}
    with sessions_api(listed()) as api_url:
        result = clean(
            rule(srv, prune_empty=True),
            rule(srv / "inbox", name="inbox", archived_in=f"{srv}/archives"),
            api_url=api_url,
            sessions_dir=str(tmp_path / "link"),
            work_dirs=[f"{srv}/work"],
            log_dirs=[f"{srv}/logs"],
            roots=[f"{srv}/site"],
            kept_dirs=[f"{srv}/final"],
            id_maps=[maps],
        )
    assert list(tree(srv)) == names
    assert result["rules"][0]["skipped"] == {"configured": len(names) - 1, "result": 1}
    assert any(f"that the options name: {srv}/" in one["msg"] for one in result["skipped_files"])


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A merge that nothing lists, idle between two runs of ffmpeg: its oldest parts are of yesterday."""
    top = tmp_path / "temp" / "video_merge"
    make(top / "temp_merge_7_1700000000" / "prepared_00.mp4", 1 * DAY)
    make(top / "temp_merge_7_1700000000" / "parts" / "list.txt", 10 * HOUR)
    make(top / "failed-last-week" / "prepared_00.mp4", 7 * DAY)
    return top


def cleaned(work: Path, **options: Any) -> dict[str, Any]:
    given = {"sessions_dir": str(work), "idle_seconds": 11 * HOUR, **options}
    with sessions_api(listed()) as api_url:
        return clean(rule(work, "*.mp4", min_age=12 * HOUR), api_url=api_url, **given)


# runbook: EM-D2
def test_work_that_nothing_lists_stays_whole_while_anything_in_it_changes(work: Path) -> None:
    result = cleaned(work)
    assert result["rules"][0]["skipped"] == {"active": 1}
    assert result["rules"][0]["removed"]["files"] == 1
    said = result["skipped_files"][0]["msg"]
    assert "not listed" in said
    assert "parts/list.txt changed 3600" in said
    assert not (work / "failed-last-week" / "prepared_00.mp4").exists()
    assert cleaned(work, idle_seconds=9 * HOUR)["rules"][0]["removed"]["files"] == 1


def test_a_deletion_is_no_sign_of_work(work: Path) -> None:
    """The next run finishes what one that was cut off has begun."""
    directory = work / "failed-last-week"
    for number in range(3):
        make(directory / f"part_{number}.mp4", 7 * DAY)
    (directory / "part_0.mp4").unlink()
    cleaned(work)
    assert list(directory.iterdir()) == []


def test_what_begins_again_between_plan_and_deletion_stays(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = sweep.Sweep._begin

    def goes_on(self: sweep.Sweep) -> str:
        ended = begin(self)
        make(work / "failed-last-week" / "prepared_01.mp4", 0)
        return ended

    monkeypatch.setattr(sweep.Sweep, "_begin", goes_on)
    result = cleaned(work)
    assert result["rules"][0]["skipped"] == {"active": 2}
    assert (work / "failed-last-week" / "prepared_00.mp4").exists()
    assert "since the plan was made" in result["skipped_files"][1]["msg"]


def test_a_long_deletion_looks_again(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = kept.Work(str(work), 11 * HOUR)
    assert not looked.goes_on(str(work / "failed-last-week"))
    make(work / "failed-last-week" / "new.mp4", 0)
    assert not looked.goes_on(str(work / "failed-last-week"))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 31)
    assert "new.mp4" in looked.goes_on(str(work / "failed-last-week"))


def test_a_content_that_is_dated_ahead_is_no_sign_of_work_for_ever(work: Path) -> None:
    aged(work / "failed-last-week" / "prepared_00.mp4", -5 * DAY)
    looked = kept.Work(str(work), 11 * HOUR)
    assert not looked.goes_on(str(work / "failed-last-week"))


def test_a_directory_of_results_that_cannot_be_looked_at_refuses(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OptionError, match="cannot be looked at") as refused:
        kept.Results([str(tmp_path / "loop")])
    assert refused.value.details["option"] == "kept_dirs"
    kept.Results([str(tmp_path / "gone")])


def test_what_a_listed_session_reads_by_a_link_or_by_its_row_stays(tmp_path: Path) -> None:
    work, data = tmp_path / "work", tmp_path / "data"
    for name in ("linked.mp4", "chain.mp4", "named.mp4", "batch/deep/a.mp4", "old.mp4", "free.mp4"):
        make(data / name)
    for session in ("ab12cd34", "ended"):
        (work / session / "in").mkdir(parents=True)
    (tmp_path / "chain").symlink_to(data / "chain.mp4")
    (work / "ab12cd34/in/0.mp4").symlink_to(data / "linked.mp4")
    (work / "ab12cd34/in/1.mp4").symlink_to("../../../chain")
    (work / "ab12cd34/in/batch").symlink_to(data / "batch")
    (work / "ab12cd34/in/all").symlink_to(data)
    (work / "ended/in/0.mp4").symlink_to(data / "old.mp4")
    row = {"session_id": "ab12cd34", "stage": "merging", "inputs": [{"path": str(data / "named.mp4")}]}
    with sessions_api({"active_sessions": [row], "total_active": 1}) as url:
        found = clean(rule(data), api_url=url, sessions_dir=str(work), resolve_roots=True)
    assert found["rules"][0]["skipped"] == {"session": 4}
    assert sorted(name for name in tree(data) if name.endswith("mp4")) == [
        *("batch/deep/a.mp4", "chain.mp4", "linked.mp4", "named.mp4")
    ]
    said = {row["path"].rpartition("/")[2]: row["msg"] for row in found["skipped_files"]}
    assert said["named.mp4"] == "session ab12cd34 is listed, and names it"
    assert said["linked.mp4"].endswith("in/0.mp4 leads to it")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_an_empty_directory_that_is_watched_and_the_layers_of_an_overlay_stay(tmp_path: Path) -> None:
    top, merged = tmp_path / "top", tmp_path / "merged"
    merged.mkdir()
    for name in ("lower/deep", "upper", "work", "inbox", "free"):
        (top / name).mkdir(parents=True)
    make(top / "lower/deep/lib.so")
    script = (
        'mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$2" && exec "$3" -c "$4"'
    )
    watch = f"import ctypes, time; c = ctypes.CDLL(None); c.inotify_add_watch(c.inotify_init1(0), b'{top}/inbox', 256)"
    code = f"{watch}; print(1, flush=True); time.sleep(600)"
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(top), str(merged)]
    with subprocess.Popen([*command, sys.executable, code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        try:
            for name in ("lower/deep", "lower", "upper", "work", "inbox", "free"):
                aged(top / name, 2 * DAY)
            found = clean(rule(top, prune_empty=True))
        finally:
            process.kill()
    assert found["rules"][0]["skipped"] == {"mount": 3, "open": 1}
    assert [name for name in tree(top) if "/" not in name] == ["inbox", "lower", "upper", "work"]
    said = {row["path"].rpartition("/")[2]: row["msg"] for row in found["skipped_files"]}
    assert said["inbox"].startswith(f"is watched by pid {process.pid} (")
    assert said["lower"] == f"is a layer of the overlay that is mounted on {merged}"
