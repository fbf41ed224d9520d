"""Cleaning up: real files, real processes that hold them, real mounts, and somebody who changes things meanwhile."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils import deadline
from ansible_collections.media_ops.runbook.plugins.module_utils.deadline import Deadline, LateError
from ansible_collections.media_ops.runbook.plugins.module_utils.disk import roots, survey, sweep
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions import protected
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.names import Names
from ansible_collections.media_ops.runbook.plugins.module_utils.system import open_files as open_files_module
from ansible_collections.media_ops.runbook.plugins.module_utils.system.mounts import MountPoints
from ansible_collections.media_ops.runbook.plugins.module_utils.system.open_files import OpenFiles
from ansible_collections.media_ops.runbook.plugins.module_utils.system.tree import locked, open_root

from tests.bench import bench_cleanup
from tests.unit.plugins.deletion import (
    AHEAD_S,
    DAY,
    HOUR,
    aged,
    clean,
    fill,
    listed,
    make,
    record_fault,
    rule,
    sessions_api,
    small_disk,
    tree,
)

# Real processes, files and sockets by the hundred: more than the inner loop can wait for.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("moved_clock")]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts and other users")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    directory = tmp_path / "video_merge"
    directory.mkdir()
    return directory


@contextlib.contextmanager
def holding(*command: str) -> Iterator[int]:
    """A process that says a line once it holds what it shall hold."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def python(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", program, *map(str, arguments)]


HOLD = "import sys, time; f = open(sys.argv[1], sys.argv[2]); print('open', flush=True); time.sleep(600)"
MAP = """
import mmap, sys, time
with open(sys.argv[1], "r+b") as file:
    held = mmap.mmap(file.fileno(), 0)
print("mapped", flush=True)
time.sleep(600)
"""


# What is due


# runbook: WC-2, WC-3, P2P-3A, P2P-3B, EM-S3, EM-D2
def test_files_of_exact_age_and_name_go_and_a_second_run_plans_nothing(top: Path) -> None:
    make(top / "a/due.tmp", DAY + 5)
    make(top / "a/just_young.tmp", DAY - 300)
    make(top / "a/due.TMP")
    make(top / "b/due.mp4", DAY + 5)
    found = clean(rule(top, "*.tmp", name="t", steps=["WC-3"]), rule(top, "*.mp4", name="m", min_age=7 * DAY))
    assert tree(top) == {"a": "/", "a/due.TMP": b"x", "a/just_young.tmp": b"x", "b": "/", "b/due.mp4": b"x"}
    assert found["changed"] is True
    assert found["plan"][0]["steps"] == ["WC-3"]
    assert found["plan"][0]["result"] == "done"
    first, second = found["rules"]
    assert (first["matched"], first["planned"]["files"], first["removed"]["files"]) == (2, 1, 1)
    assert (second["matched"], second["planned"]["files"], second["removed"]["files"]) == (1, 0, 0)
    again = clean(rule(top, "*.tmp"))
    assert (again["changed"], again["plan"]) == (False, [])


def test_half_a_day_is_twelve_hours_where_find_takes_thirty_six(top: Path) -> None:
    make(top / "old.mp4", 12 * HOUR + 60)
    make(top / "young.mp4", 12 * HOUR - 60)
    by_find = subprocess.run(["find", top, "-mtime", "+0.5"], capture_output=True, text=True, check=True)
    assert by_find.stdout == ""
    clean(rule(top, "*.mp4", min_age=DAY / 2))
    assert list(tree(top)) == ["young.mp4"]


def test_the_age_is_strict(top: Path) -> None:
    moment = int(time.time()) - 1
    for name, age_ns in (("exact", 60 * 10**9), ("older", 60 * 10**9 + 1)):
        make(top / name)
        os.utime(top / name, ns=(0, moment * 10**9 - age_ns))
    clean(rule(top, min_age=60), as_of=float(moment))
    assert list(tree(top)) == ["exact"]


# runbook: WC-4
def test_only_files_of_the_size_go(top: Path) -> None:
    make(top / "small.log", content=b"x" * 999)
    make(top / "large.log", content=b"x" * 1000)
    clean(rule(top, "*.log", min_size=1000))
    assert list(tree(top)) == ["small.log"]


# runbook: EM-D1, AU-S3
def test_rotated_logs_go_and_the_logs_stay(top: Path) -> None:
    kept = ["application.log", "application.log.bak", "changelog.1"]
    gone = ["application.log.1", "application.log.10", "errors.log.2.gz", "x.log.2026-11-01"]
    for name in kept + gone:
        make(top / name, 8 * DAY)
    clean(rule(top, "*.log.[0-9]*", min_age=7 * DAY))
    assert sorted(tree(top)) == kept


# runbook: EM-D3
def test_what_is_dated_in_the_future_is_reported_and_stays(top: Path) -> None:
    make(top / "clip.mp4", -HOUR)
    found = clean(rule(top, "*.mp4"))
    assert found["rules"][0]["skipped"] == {"dated_in_the_future": 1}
    (line,) = found["skipped_files"]
    assert (line["rule"], line["reason"], line["path"]) == ("rule", "dated_in_the_future", f"{top}/clip.mp4")
    assert line["msg"] == "mtime is 3.6e+03 s ahead of this host's clock"
    assert (top / "clip.mp4").exists()
    record_fault("a file dated an hour ahead", "dated in the future", "reported, nothing deleted")


def test_a_file_of_several_rules_goes_by_the_first_also_across_nested_roots(tmp_path: Path, top: Path) -> None:
    make(top / "a.tmp")
    make(tmp_path / "b.tmp")
    inner, outer = rule(top, "*.tmp", name="inner"), rule(tmp_path, "*.tmp", name="outer")
    for rules, counts in (((inner, outer), [1, 1]), ((outer, inner), [2, 0])):
        assert [found["planned"]["files"] for found in clean(*rules, check=True)["rules"]] == counts
    younger = rule(top, "*.tmp", name="inner", min_age=30 * DAY)
    assert [found["planned"]["files"] for found in clean(younger, outer, check=True)["rules"]] == [0, 2]


def test_names_of_any_bytes(top: Path) -> None:
    for name in (b"new\nline.tmp", b"-rf.tmp", b"\xff\xfe.tmp", "Ünï.tmp".encode(), b"a b'\".tmp"):
        Path(os.fsdecode(os.fsencode(top) + b"/" + name)).write_bytes(b"x")
        os.utime(os.fsencode(top) + b"/" + name, (0, 0))
    found = clean(rule(top, "*.tmp"), diff=True)
    json.dumps(found).encode()
    assert found["rules"][0]["removed"]["files"] == 5
    assert "\n" not in "".join(found["plan"][0]["proof"]["sample"])
    assert len(found["diff"]["before"].splitlines()) == 5
    assert tree(top) == {}


def test_a_missing_root_is_reported_and_not_made(tmp_path: Path) -> None:
    make(tmp_path / "there/a.tmp")
    missing, there = rule(tmp_path / "gone", name="a"), rule(tmp_path / "there", name="b")
    found = clean(missing, there, rule(tmp_path / "there/a.tmp/x", name="c"))
    assert [one["state"] for one in found["rules"]] == ["missing", "ok", "not_a_directory"]
    assert str(tmp_path / "gone") in found["rules"][0]["reason"]
    assert tree(tmp_path) == {"there": "/"}


def test_empty_directories_go_when_old_and_asked_for(top: Path) -> None:
    for name in ("old", "listed", "young", "full", "outer/inner"):
        (top / name).mkdir(parents=True)
    make(top / "full/keep.txt")
    for name in ("old", "listed", "full", "outer/inner", "outer", "."):
        aged(top / name, 2 * DAY)
    aged(top / "young", 0)
    with sessions_api(listed("listed")) as url:
        options: dict[str, Any] = {"api_url": url, "sessions_dir": str(top)}
        assert clean(rule(top, "*.tmp"), **options)["plan"] == []
        found = clean(rule(top, "*.tmp", prune_empty=True), **options)
    assert sorted(tree(top)) == ["full", "full/keep.txt", "listed", "outer", "young"]
    assert found["rules"][0]["removed"] == {"files": 0, "directories": 2}
    assert found["changed"] is True
    assert found["rules"][0]["skipped"] == {"session": 1}


def test_a_directory_that_a_process_works_in_stays(top: Path) -> None:
    (top / "work").mkdir()
    aged(top / "work", 2 * DAY)
    program = f"import os, time; os.chdir({str(top / 'work')!r}); print('in', flush=True); time.sleep(600)"
    with holding(*python(program)):
        assert clean(rule(top, prune_empty=True))["rules"][0]["skipped"] == {"open": 1}
    assert (top / "work").is_dir()


# Plan, approve, apply


def test_check_mode_gives_the_same_plan_and_touches_nothing(top: Path) -> None:
    make(top / "a/one.tmp", 3 * DAY, b"x" * 5000)
    make(top / "two.tmp")
    before, times = tree(top), (top / "a").stat().st_mtime_ns
    planned = clean(rule(top, "*.tmp"), check=True, diff=True)
    assert (tree(top), (top / "a").stat().st_mtime_ns) == (before, times)
    assert planned["changed"] is True
    assert planned["plan"][0]["result"] == "planned"
    assert planned["diff"]["after"] == ""
    assert [line.split(" ")[0] for line in planned["diff"]["before"].splitlines()] == [
        f"{top}/a/one.tmp",
        f"{top}/two.tmp",
    ]
    acted = clean(rule(top, "*.tmp"), plan_hash=planned["hash"], as_of=planned["as_of"])
    assert acted["hash"] == planned["hash"]
    assert acted["plan"][0]["stable"] == planned["plan"][0]["stable"]
    assert acted["plan"][0]["msg"].startswith("2 files deleted")


@pytest.mark.parametrize("drift", ["another", "gone", "grown", "rewritten", "touched", "replaced", "renamed"])
def test_an_approved_plan_that_drifted_does_nothing(top: Path, drift: str) -> None:
    file, other = make(top / "a.tmp"), make(top / "b.tmp")
    planned = clean(rule(top, "*.tmp"), check=True)
    facts = file.stat()
    if drift == "another":
        make(top / "c.tmp")
    elif drift == "gone":
        file.unlink()
    elif drift == "grown":
        file.write_bytes(b"xy")
    elif drift == "rewritten":
        file.write_bytes(b"y")
    elif drift == "touched":
        os.utime(file, ns=(0, facts.st_mtime_ns - 1))
    elif drift == "replaced":
        shutil.copy2(file, top / "copy")
        (top / "copy").rename(file)
    else:
        file.rename(top / "z.tmp")
    if drift in ("grown", "replaced", "rewritten"):
        os.utime(file, ns=(0, facts.st_mtime_ns))
    with pytest.raises(MediaOpsError, match="drifted") as error:
        clean(rule(top, "*.tmp"), plan_hash=planned["hash"], as_of=planned["as_of"])
    assert other.exists()
    assert error.value.details["hash"] != planned["hash"]


def test_what_gets_due_after_the_plan_is_no_drift_with_as_of(top: Path) -> None:
    make(top / "due.tmp")
    make(top / "soon.tmp", DAY - 0.2)
    planned = clean(rule(top, "*.tmp"), check=True)
    deadline = time.monotonic() + 10
    while clean(rule(top, "*.tmp"), check=True)["hash"] == planned["hash"] and time.monotonic() < deadline:
        time.sleep(0.05)
    clean(rule(top, "*.tmp"), plan_hash=planned["hash"], as_of=planned["as_of"])
    assert list(tree(top)) == ["soon.tmp"]


@pytest.mark.parametrize("as_of", [-1.0, float("nan"), 1e12])
def test_a_moment_ahead_is_refused(top: Path, as_of: float) -> None:
    with pytest.raises(OptionError, match="as_of"):
        clean(rule(top), as_of=as_of)


def test_what_changes_between_the_plan_and_its_deletion_stays(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("changed", "replaced", "gone", "link", "directory", "opened", "due"):
        make(top / name, content=b"old")
    make(top / "sub/due")
    make(top / "moved/due")
    carry_out = sweep.Sweep.carry_out

    def meanwhile(*arguments: Any) -> None:
        (top / "changed").write_bytes(b"new")
        for name in ("replaced", "gone", "directory"):
            (top / name).unlink()
        make(top / "replaced", content=b"old")
        (top / "link").rename(top.parent / "target")
        (top / "link").symlink_to(top.parent / "target")
        (top / "directory").mkdir()
        (top / "sub").rename(top / "was_sub")
        make(top / "sub/due")
        (top / "moved").rename(top.parent / "moved_outside")
        with (top / "opened").open():
            carry_out(*arguments)

    monkeypatch.setattr(sweep.Sweep, "carry_out", meanwhile)
    found = clean(rule(top))
    assert found["rules"][0]["removed"]["files"] == 1
    assert found["rules"][0]["skipped"] == {"changed": 5, "gone": 2, "open": 1}
    assert f"; {top}/opened: open" in found["plan"][0]["msg"]
    assert (top.parent / "target").read_bytes() == b"old"
    left = {"changed": b"new", "directory": "/", "link": f"-> {top.parent / 'target'}", "opened": b"old"}
    assert tree(top) == {**left, "replaced": b"old", "sub": "/", "sub/due": b"x", "was_sub": "/", "was_sub/due": b"x"}
    assert tree(top.parent / "moved_outside") == {"due": b"x"}


def while_deleting(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None], after: int = 0) -> None:
    """Do something in the midst of a run: right after so many files are gone."""
    remove, removed = sweep.remove_file, 0

    def removing(*arguments: Any) -> sweep.Outcome:
        nonlocal removed
        outcome = remove(*arguments)
        removed += not outcome.why
        if removed == after:
            act()
        return outcome

    monkeypatch.setattr(sweep, "remove_file", removing)


def before_deleting(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something between the plan and the first deletion."""
    carry_out = sweep.Sweep.carry_out

    def acting(*arguments: Any) -> None:
        act()
        carry_out(*arguments)

    monkeypatch.setattr(sweep.Sweep, "carry_out", acting)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"x" * 3001, "has grown by 3000 bytes since it was planned"),
        (b"", "has shrunk by 1 bytes since it was planned"),
        # With its old date put back
        (b"y", "was moved, linked, given other rights, or written to and dated back since it was planned"),
    ],
)
def test_what_changed_is_said_file_by_file(
    top: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, says: str
) -> None:
    file = make(top / "a.tmp")
    then = file.stat().st_mtime_ns

    def change() -> None:
        file.write_bytes(content)
        os.utime(file, ns=(then, then))

    before_deleting(monkeypatch, change)
    found = clean(rule(top))
    reason, path, msg = (found["skipped_files"][0][key] for key in ("reason", "path", "msg"))
    assert (reason, path, msg) == ("changed", str(file), says)
    assert file.read_bytes() == content


def test_a_drifted_plan_says_what_it_would_do_now_and_what_is_new_since(top: Path) -> None:
    make(top / "a.tmp")
    planned = clean(rule(top, "*.tmp"), check=True)
    make(top / "b.tmp")
    aged(make(top / "late.tmp", content=b"x" * 77), 0)
    with pytest.raises(MediaOpsError) as error:
        clean(rule(top, "*.tmp"), plan_hash=planned["hash"], as_of=planned["as_of"])
    said = str(error.value)
    assert f"delete 2 files below {top} (rule rule), the newest of 20" in said
    assert f"1 files that fit rule rule are new or changed since as_of, and are not due: {top}/late.tmp (77 b" in said


def test_an_empty_hash_approves_nothing(top: Path) -> None:
    make(top / "a.tmp")
    for check in (True, False):
        with pytest.raises(OptionError, match="plan_hash"):
            clean(rule(top, "*.tmp"), plan_hash="", check=check)
    assert (top / "a.tmp").exists()


def test_two_names_of_one_file_both_go(top: Path) -> None:
    first = make(top / "a.mp4")
    (top / "b").mkdir()
    (top / "b/c.mp4").hardlink_to(first)
    (top / "d.mp4").hardlink_to(first)
    found = clean(rule(top, "*.mp4"))["rules"][0]
    assert (found["removed"]["files"], found["freed_bytes"], found["skipped"]) == (3, 4096, {})


# runbook: EM-D1
def test_a_root_that_is_moved_away_is_cleaned_no_further(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        make(top / f"s{number % 2}/{number}.tmp", (300 - number) * DAY)
    rescued = top.parent / "rescued"
    while_deleting(monkeypatch, lambda: rename(top, rescued), after=70)
    found = clean(rule(top, "*.tmp"))
    assert found["rules"][0]["removed"]["files"] == 70
    assert found["rules"][0]["skipped"] == {"moved": 130}
    assert found["plan"][0]["msg"].endswith("skipped: 130 moved")
    assert len(list(rescued.rglob("*.tmp"))) == 130
    record_fault("the root moved away in mid-run", "moved", "70 of 200 deleted before, none of the rescued copy")


def rename(path: Path, to: Path) -> None:
    path.rename(to)


@pytest.mark.parametrize("link", [False, True])
def test_a_root_whose_parent_is_moved_away_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    top = tmp_path / "media/temp"
    for number in range(20):
        make(top / f"{number}.tmp")

    def move() -> None:
        (tmp_path / "media").rename(tmp_path / "rescued")
        if link:
            (tmp_path / "media").symlink_to(tmp_path / "rescued")

    while_deleting(monkeypatch, move, after=5)
    assert clean(rule(top, "*.tmp"))["rules"][0]["skipped"] == {"moved": 15}
    assert len(list((tmp_path / "rescued/temp").iterdir())) == 15


@needs_root
def test_a_root_that_is_mounted_over_is_cleaned_no_further_than_the_files_in_hand(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        make(top / f"{number}.tmp")

    def mount() -> None:
        subprocess.run(["mount", "-t", "tmpfs", "none", top], check=True)

    while_deleting(monkeypatch, mount, after=5)
    try:
        found = clean(rule(top, "*.tmp"))["rules"][0]
        assert found["skipped"]["moved"] == 100 - found["removed"]["files"] >= 100 - sweep._OPENED_AGAIN
    finally:
        subprocess.run(["umount", "--lazy", top], check=True)


ELSEWHERE = """
set -e
mount --make-rprivate /
mount -t tmpfs none "$1/mounted"
mount --bind "$1/itself" "$1/itself"
mount --bind /etc/hostname "$1/file.tmp"
echo there
sleep 600
"""


CHROOTED = """
import os, subprocess, sys, time
jail = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "none", jail + "/mounted"], check=True)
subprocess.run(["mount", "--bind", jail + "/b.keep", jail + "/file.tmp"], check=True)
os.chroot(jail)
print("there", flush=True)
time.sleep(600)
"""


@needs_root
def test_a_mount_point_of_a_process_in_a_chroot_stays(top: Path) -> None:
    for name in ("jail/file.tmp", "jail/free.tmp", "jail/b.keep", "jail/mounted/a"):
        make(top / name)
    (top / "jail/mounted/a").unlink()
    aged(top / "jail/mounted", 2 * DAY)
    with holding("unshare", "-m", "--propagation", "private", *python(CHROOTED, top / "jail")):
        found = clean(rule(top, "*.tmp", prune_empty=True))
    assert found["rules"][0]["skipped"] == {"mount": 2}
    assert sorted(tree(top / "jail")) == ["b.keep", "file.tmp", "mounted"]


VOLUMES = """
set -e
mount --make-rprivate /
mount --bind "$1/volume" "$2"
mount --bind "$1/file.tmp" "$3"
echo there
sleep 600
"""


@needs_root
def test_what_is_mounted_at_another_place_stays(top: Path, tmp_path: Path) -> None:
    for name in ("volume/full/a.tmp", "file.tmp", "empty/a"):
        make(top / name)
    (top / "empty/a").unlink()
    aged(top / "empty", 2 * DAY)
    (tmp_path / "seen").mkdir()
    make(tmp_path / "seen.tmp")
    places = map(str, (top, tmp_path / "seen", tmp_path / "seen.tmp"))
    with holding("unshare", "-m", "bash", "-c", VOLUMES, "bash", *places) as pid:
        found = clean(rule(top, "*.tmp", prune_empty=True))
        assert sorted(tree(top)) == ["file.tmp", "volume", "volume/full"]
        assert found["skipped_files"][0]["msg"].startswith(
            f"is mounted at another place in the mount namespace of pid {pid}"
        )
        for name in ("volume/full", "volume"):
            aged(top / name, 2 * DAY)
            found = clean(rule(top, "*.tmp", prune_empty=True))
    assert found["rules"][0]["skipped"] == {"mount": 2}
    assert sorted(tree(top)) == ["file.tmp", "volume"]


@needs_root
def test_a_mount_point_of_another_namespace_stays_with_what_is_below(top: Path) -> None:
    for name in ("mounted/deep/a.tmp", "itself/a.tmp", "file.tmp", "free/a.tmp", "empty", "mounted sp"):
        make(top / name)
    for name in ("empty", "mounted sp"):
        (top / name).unlink()
        (top / name).mkdir()
        aged(top / name, 2 * DAY)
    script = ELSEWHERE.replace("echo there", 'mount -t tmpfs none "$1/mounted sp"\necho there')
    with holding("unshare", "-m", "bash", "-c", script, "bash", str(top)) as pid:
        found = clean(rule(top, "*.tmp", prune_empty=True))
        assert found["rules"][0]["skipped"] == {"mount": 3}
        said = f"is a mount point in the mount namespace of pid {pid} ("
        assert all(line["msg"].startswith(said) for line in found["skipped_files"])
        assert {line["path"] for line in found["skipped_files"]} == {
            f"{top}/{name}" for name in ("mounted", "file.tmp", "mounted sp")
        }
        assert found["mount_namespaces"]["seen"] >= 2
        # What is mounted on itself shows the same files: they go, and the directory stays.
        assert sorted(tree(top)) == [
            "file.tmp",
            "free",
            "itself",
            "mounted",
            "mounted sp",
            "mounted/deep",
            "mounted/deep/a.tmp",
        ]
        aged(top / "itself", 2 * DAY)
        assert clean(rule(top, "*.tmp", prune_empty=True))["rules"][0]["skipped"] == {"mount": 4}
        assert (top / "itself").is_dir()
    clean(rule(top, "*.tmp", prune_empty=True))
    assert "mounted sp" not in tree(top)
    record_fault("a mount point of another mount namespace", "mount", "it and what is below it stay")


def test_who_must_not_look_into_other_namespaces_says_so(users_top: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root: another user")
    found = as_user(65534, lambda: clean(rule(users_top, "*.tmp")))
    assert found["mount_namespaces"]["unseen_processes"] > 0


@needs_root
@pytest.mark.parametrize(("flag", "reason"), [(0x10, "immutable"), (0x20, "append_only")])
def test_a_file_that_chattr_keeps_is_told_from_one_that_is_denied(tmp_path: Path, flag: int, reason: str) -> None:
    with small_disk(tmp_path) as disk:
        flagged, shut = make(disk / "a.tmp"), make(disk / "shut/b.tmp")
        with setting_flags(flagged, flag), setting_flags(shut.parent, 0x10):
            found = clean(rule(disk, "*.tmp"))
        reasons = {line["path"]: line["reason"] for line in found["skipped_files"]}
        assert reasons == {str(flagged): reason, str(shut): "immutable"}
        assert "chattr" in found["skipped_files"][0]["msg"]
        assert flagged.exists()
        assert shut.exists()


@contextlib.contextmanager
def setting_flags(path: Path, flags: int) -> Iterator[None]:
    """What chattr does: FS_IOC_SETFLAGS."""

    def change(to: Callable[[int], int]) -> None:
        fd = os.open(path, os.O_RDONLY)
        try:
            now = int.from_bytes(fcntl.ioctl(fd, 0x80086601, bytes(8))[:4], sys.byteorder)
            fcntl.ioctl(fd, 0x40086602, to(now).to_bytes(8, sys.byteorder))
        finally:
            os.close(fd)

    change(lambda now: now | flags)
    try:
        yield
    finally:
        change(lambda now: now & ~flags)


def test_a_date_that_no_clock_has_is_a_line_and_the_rest_goes_on(in_memory: Path) -> None:
    """tmpfs keeps any date."""
    for name in ("ancient.tmp", "due.tmp"):
        make(in_memory / name)
    (in_memory / "ancient").mkdir()
    for name in ("ancient", "ancient.tmp"):
        os.utime(in_memory / name, ns=(0, -(10**19)))
    if (in_memory / "ancient").stat().st_mtime_ns != -(10**19):
        pytest.skip("needs a tmpfs")
    found = clean(rule(in_memory, "*.tmp", prune_empty=True), rule(in_memory, name="never", min_age=1e300))
    assert [one["skipped"] for one in found["rules"]] == [{"no_date": 2}, {}]
    assert sorted(tree(in_memory)) == ["ancient", "ancient.tmp"]
    assert "before 1677" in found["skipped_files"][0]["msg"]


# Roots


@pytest.mark.parametrize(
    "root",
    [
        "",
        "/",
        "//",
        "/tmp",
        "/tmp/",
        "relative/path",
        "./a/b",
        "/a/../b/c",
        "/a/b/..",
        "/root/x",
        "/home/bob",
        "/a/b\0c",
    ],
)
def test_a_root_that_a_slip_could_have_made_is_refused(root: str) -> None:
    with pytest.raises(OptionError, match="root of rule"):
        clean(rule(root))


def test_homes_and_what_holds_them_are_refused() -> None:
    import pwd

    home = next(entry.pw_dir for entry in pwd.getpwall() if entry.pw_dir.count("/") > 2)
    for root in (home, str(Path(home).parent)):
        with pytest.raises(OptionError, match="home directory"):
            clean(rule(root))


def entry(home: Path) -> Any:
    import pwd

    return pwd.struct_passwd(("someone", "x", 1, 1, "", str(home), "/bin/sh"))


def test_a_home_behind_a_link_is_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "homes/someone"
    make(home / "a.tmp")
    (tmp_path / "home").symlink_to(home.parent)
    monkeypatch.setattr("pwd.getpwall", lambda: [entry(tmp_path / "home/someone")])
    for root in (home, home.parent):
        with pytest.raises(OptionError, match="home directory"):
            clean(rule(root))
    assert clean(rule(home / "below"))["rules"][0]["state"] == "missing"


@needs_root
def test_a_home_by_a_bind_mount_is_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make(tmp_path / "homes/someone/a.tmp").parent
    monkeypatch.setattr("pwd.getpwall", lambda: [entry(home)])
    (tmp_path / "elsewhere").mkdir()
    for seen in (home, home.parent):
        subprocess.run(["mount", "--bind", seen, tmp_path / "elsewhere"], check=True)
        try:
            with pytest.raises(OptionError, match="home directory by another path"):
                clean(rule(tmp_path / "elsewhere"))
        finally:
            subprocess.run(["umount", "--lazy", tmp_path / "elsewhere"], check=True)
    assert (home / "a.tmp").exists()


def test_a_root_through_a_link_is_refused_unless_it_shall_be_resolved(tmp_path: Path, top: Path) -> None:
    make(top / "sub/a.tmp")
    (tmp_path / "link").symlink_to(top)
    for root in (tmp_path / "link", tmp_path / "link/sub"):
        with pytest.raises(OptionError, match=f"is a symbolic link to {top}; give {top}"):
            clean(rule(root, "*.tmp"))
    assert (top / "sub/a.tmp").exists()
    found = clean(rule(tmp_path / "link/sub", "*.tmp"), resolve_roots=True)
    assert found["rules"][0]["root"] == str(top / "sub")
    assert found["rules"][0]["removed"]["files"] == 1
    (tmp_path / "short").symlink_to("/etc")
    with pytest.raises(OptionError, match="two components"):
        clean(rule(tmp_path / "short"), resolve_roots=True, check=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"patterns": []},
        {"patterns": [""]},
        {"patterns": ["../*.tmp"]},
        {"min_age": 0.0},
        {"min_age": float("nan")},
        {"min_age": -1.0},
        {"min_size": -1},
        {"rule": ""},
    ],
)
def test_rules_that_cannot_be_right_are_refused(top: Path, wrong: dict[str, Any]) -> None:
    make(top / "a")
    with pytest.raises(OptionError):
        clean({**rule(top), **wrong})
    with pytest.raises(OptionError, match="twice"):
        clean(rule(top), rule(top))
    with pytest.raises(OptionError, match="at least one"):
        clean()
    assert (top / "a").exists()


# Links, mounts, and what is no file


def test_links_are_not_followed_and_stay(tmp_path: Path, top: Path) -> None:
    outside = make(tmp_path / "outside/precious.tmp")
    (top / "file.tmp").symlink_to(outside)
    (top / "directory").symlink_to(outside.parent)
    (top / "etc").symlink_to("/etc")
    os.mkfifo(top / "fifo.tmp")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(top / "socket.tmp"))
    for path in top.iterdir():
        aged(path, 2 * DAY)
    found = clean(rule(top, "*.tmp", "passwd", "*.conf"))
    assert found["rules"][0]["skipped"] == {"no_regular_file": 2, "symbolic_link": 1}
    assert found["plan"] == []
    assert outside.exists()
    record_fault("a link to /etc and one to a file outside", "symbolic links", "not followed, not deleted")


def test_a_hard_link_goes_and_frees_nothing_and_the_other_name_keeps_the_content(tmp_path: Path, top: Path) -> None:
    outside = make(tmp_path / "precious.mp4", content=b"x" * 100_000)
    (top / "clip.mp4").hardlink_to(outside)
    found = clean(rule(top, "*.mp4"))["rules"][0]
    assert found["planned"] == {"files": 1, "bytes": 0, "directories": 0, "hard_linked": 1}
    assert (found["removed"]["files"], found["freed_bytes"]) == (1, 0)
    assert outside.read_bytes() == b"x" * 100_000
    assert tree(top) == {}
    record_fault("a hard link to a file outside", "frees nothing", "its name deleted, 0 bytes reported freed")


def test_bytes_are_those_of_blocks_not_of_holes(top: Path) -> None:
    with make(top / "sparse").open("r+b") as file:
        file.truncate(1 << 30)
    aged(top / "sparse", 2 * DAY)
    assert clean(rule(top))["rules"][0]["freed_bytes"] < 1 << 20


def test_what_is_large_by_holes_alone_is_not_large(top: Path) -> None:
    with make(top / "sparse.log").open("r+b") as file:
        file.truncate(1 << 30)
    make(top / "large.log", content=bytes(1 << 20))
    aged(top / "sparse.log", 2 * DAY)
    clean(rule(top, "*.log", min_size=1 << 20))
    assert list(tree(top)) == ["sparse.log"]


@needs_root
@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_a_mount_below_the_root_is_not_crossed(tmp_path: Path, top: Path, kind: str) -> None:
    make(tmp_path / "outside/precious.tmp")
    make(top / "a.tmp")
    (top / "mounted").mkdir()
    source = [tmp_path / "outside"] if kind == "bind" else ["none"]
    options = ["--bind"] if kind == "bind" else ["-t", "tmpfs"]
    subprocess.run(["mount", *options, *source, top / "mounted"], check=True)
    try:
        make(top / "mounted/precious.tmp")
        found = clean(rule(top, "*.tmp", prune_empty=True))
        assert found["rules"][0]["skipped"] == {"mount": 1}
        assert [line["msg"] for line in found["skipped_files"]] == ["is a mount point of this mount namespace"]
        assert found["rules"][0]["removed"]["files"] == 1
        assert (top / "mounted/precious.tmp").exists()
        inner = clean(rule(top, "*.tmp", name="outer"), rule(top / "mounted", "*.tmp", name="inner"))
        assert inner["rules"][1]["removed"]["files"] == 1, "a rule of its own reaches it"
        make(top / "mounted/logs/large.tmp")
        (top / "same").mkdir()
        roots = [str(top / path) for path in ("mounted/logs", "mounted", "same", "gone")] + [str(tmp_path / "outside")]
        named = clean(rule(top, "*.tmp"), roots=roots)
        assert [(row["rule"], row["removed"]["files"]) for row in named["rules"]] == [
            ("rule", 0),
            (f"rule in {top}/mounted", 1),
        ], "a directory of the site is a root, also across a mount, and each mount is walked once"
    finally:
        subprocess.run(["umount", "--lazy", top / "mounted"], check=True)
    record_fault(f"a {kind} mount below the root", "another mount", "not crossed, reported")


@needs_root
def test_a_file_mounted_over_another_stays(tmp_path: Path, top: Path) -> None:
    outside = make(tmp_path / "precious.tmp", content=b"precious")
    make(top / "a.tmp")
    subprocess.run(["mount", "--bind", outside, top / "a.tmp"], check=True)
    try:
        assert clean(rule(top, "*.tmp"))["rules"][0]["skipped"] == {"mount": 1}
    finally:
        subprocess.run(["umount", "--lazy", top / "a.tmp"], check=True)
    assert outside.read_bytes() == b"precious"
    assert (top / "a.tmp").read_bytes() == b"x"


def test_a_tree_too_deep_is_said(top: Path) -> None:
    deep = top
    for _level in range(80):
        deep /= "d"
    make(deep / "a.tmp")
    found = clean(rule(top, "*.tmp"))
    assert found["rules"][0]["skipped"] == {"too_deep": 1}
    assert (deep / "a.tmp").exists()


# What is in use


@pytest.mark.parametrize("how", ["r", "a", "r+", "mapped"])
def test_what_a_live_process_has_open_stays(top: Path, how: str) -> None:
    make(top / "held.mp4")
    make(top / "free.mp4")
    command = python(MAP, top / "held.mp4") if how == "mapped" else python(HOLD, top / "held.mp4", how)
    with holding(*command):
        found = clean(rule(top, "*.mp4"))
        assert found["rules"][0]["skipped"] == {"open": 1}
        assert list(tree(top)) == ["held.mp4"]
    clean(rule(top, "*.mp4"))
    assert tree(top) == {}


def test_what_ffmpeg_has_open_stays_and_its_work_comes_to_its_end(top: Path) -> None:
    import imageio_ffmpeg

    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    source = top / "s/prepared.mp4"
    source.parent.mkdir()
    quiet = [ffmpeg, "-nostdin", "-v", "error"]
    subprocess.run([*quiet, "-f", "lavfi", "-i", "testsrc=d=1:s=64x64:r=5", source], check=True)
    # Its output fills the pipe, so that it has the source open for as long as nobody reads.
    work = [*quiet, "-stream_loop", "200", "-i", source, "-f", "rawvideo", "-c:v", "rawvideo", "pipe:1"]
    with subprocess.Popen(work, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read(1)
        aged(source, 3 * DAY)
        make(top / "s/left.mp4", 3 * DAY)
        found = clean(rule(top, "*.mp4"))
        assert found["rules"][0]["skipped"] == {"open": 1}
        assert sorted(tree(top)) == ["s", "s/prepared.mp4"]
        process.stdout.read()
        assert process.wait(60) == 0
    record_fault("a file that a live ffmpeg holds open", "open", "left alone", neighbours="ffmpeg ended well")


def as_user(uid: int, work: Callable[[], Any]) -> Any:
    """What a piece of work gives when a user without privileges does it, in a process of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            answer = json.dumps(work())
            os.write(writer, answer.encode())
        except BaseException as error:  # noqa: BLE001
            os.write(writer, json.dumps(repr(error)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer_of:
        found = answer_of.read()
    os.waitpid(pid, 0)
    return json.loads(found)


@pytest.fixture
def users_top() -> Iterator[Path]:
    """A directory that the user nobody owns and can reach."""
    directory = Path(tempfile.mkdtemp(prefix="media-ops-"))
    try:
        directory.chmod(0o755)
        (directory / "temp").mkdir()
        os.chown(directory / "temp", 65534, 65534)
        yield directory / "temp"
    finally:
        shutil.rmtree(directory)


@needs_root
def test_an_owner_without_privileges_learns_of_processes_it_must_not_see(users_top: Path) -> None:
    for name in ("held.tmp", "free.tmp", "foreign.tmp"):
        make(users_top / name)
        if name != "foreign.tmp":
            os.chown(users_top / name, 65534, 65534)
    with holding(*python(HOLD, users_top / "held.tmp", "r")):
        found = as_user(65534, lambda: clean(rule(users_top, "*.tmp")))
    assert found["rules"][0]["skipped"] == {"open": 1, "unproven": 1}
    assert found["held_open"]["unseen_processes"] > 0
    assert sorted(tree(users_top)) == ["foreign.tmp", "held.tmp"]
    record_fault("a file that another user's process holds open", "open, by the kernel's lease", "left alone")


@needs_root
def test_a_directory_without_permission_is_said_and_not_planned(users_top: Path) -> None:
    make(users_top / "shut/a.tmp")
    make(users_top / "readonly/b.tmp")
    os.chown(users_top / "readonly/b.tmp", 65534, 65534)
    (users_top / "shut").chmod(0o700)
    found = as_user(65534, lambda: clean(rule(users_top, "*.tmp")))
    assert found["rules"][0]["skipped"] == {"denied": 2}
    assert (found["plan"], found["changed"]) == ([], False)


@needs_root
def test_what_mkfs_left_at_the_top_of_a_file_system_is_nothing_that_could_not_be_looked_at(users_top: Path) -> None:
    make(users_top / "lost+found/a.tmp")
    (users_top / "lost+found").chmod(0o700)
    make(users_top / "work/lost+found/b.tmp")
    (users_top / "work/lost+found").chmod(0o700)
    found = as_user(65534, lambda: clean(rule(users_top, "*.tmp")))
    assert found["rules"][0]["skipped"] == {"denied": 1}, "below the top it is a directory as any other"


@needs_root
def test_a_read_only_file_system_is_said(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        make(disk / "a.tmp")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        found = clean(rule(disk, "*.tmp"))
        assert found["rules"][0]["skipped"] == {"read_only": 1}
        assert found["skipped_files"][0]["msg"] == "read-only file system"
        assert found["changed"] is False
    record_fault("a read-only temp", "read-only file system", "reported, nothing planned", recovered=False)


def test_deleted_files_that_are_held_open_are_named_with_their_process(top: Path) -> None:
    make(top / "big.mp4", content=b"x" * 300_000)
    with holding(*python(HOLD, top / "big.mp4", "r")) as pid:
        (top / "big.mp4").unlink()
        held = clean(rule(top, "*.mp4"), check=True)["held_open"]
    mine = next(process for process in held["processes"] if process["pid"] == pid)
    assert mine["name"].startswith("python")
    assert mine["files"] >= 1
    assert mine["bytes"] >= 300_000
    assert held["bytes"] >= mine["bytes"]


def test_whoever_opens_a_file_while_it_is_looked_at_waits_and_nobody_dies_of_it(top: Path) -> None:
    """A lease is broken by a signal that would end a process: readers hammer on the files meanwhile."""
    for number in range(300):
        make(top / f"{number}.tmp")
    hammer = """
import os, sys, time
print("on", flush=True)
while True:
    for name in os.listdir(sys.argv[1]):
        try:
            os.close(os.open(os.path.join(sys.argv[1], name), os.O_RDONLY))
        except FileNotFoundError:
            pass
"""
    with holding(*python(hammer, top)), holding(*python(hammer, top)):
        deadline = time.monotonic() + 30
        while tree_names(top) and time.monotonic() < deadline:
            clean(rule(top, "*.tmp"))
    assert tree_names(top) == []


def tree_names(top: Path) -> list[str]:
    return sorted(path.name for path in top.iterdir())


def test_a_directory_that_log_archive_works_on_is_left_alone(top: Path) -> None:
    make(top / "application.log.1")
    with contextlib.closing(open_root(str(top))) as root, locked(root):
        found = clean(rule(top, "*.log.*"))
        assert found["rules"][0]["skipped"] == {"locked": 1}
    assert clean(rule(top, "*.log.*"))["rules"][0]["removed"]["files"] == 1


def test_what_takes_too_long_ends_before_or_between_files_and_says_so(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        make(top / f"{number}.tmp")
    monkeypatch.setitem(deadline._LONGEST, "disk_cleanup", ({}, lambda _: 0))
    with pytest.raises(LateError, match="nothing was deleted"):
        clean(rule(top, "*.tmp"))
    monkeypatch.setattr(survey.Survey, "_walk", timely(survey.Survey._walk))
    found = clean(rule(top, "*.tmp"))
    assert found["rules"][0]["skipped"] == {"time_over": 3}
    assert found["plan"][0]["result"] == "failed"
    assert len(tree_names(top)) == 3


def timely(walk: Any) -> Any:
    """The walk of a survey with time enough."""

    def walked(survey: Any, *arguments: Any) -> None:
        survey._deadline = Deadline(60)
        walk(survey, *arguments)

    return walked


# Sessions


def test_what_belongs_to_a_listed_session_stays_by_whole_names(tmp_path: Path, top: Path) -> None:
    for name in ("ab", "abc"):
        make(top / name / "merged.mp4")
        make(top / name / "deep/er/x.mp4")
    uploads = tmp_path / "uploads"
    for name in ("ab_clip.mp4", "abc_clip.mp4", "ab.mp4", "abclip.mp4", "x_ab_.mp4"):
        make(uploads / name)
    with sessions_api(listed("ab", "ab")) as url:
        found = clean(
            rule(top, "*.mp4", name="m"), rule(uploads, "*.mp4", name="u"), api_url=url, sessions_dir=str(top)
        )
    assert [one["skipped"] for one in found["rules"]] == [{"session": 2}, {"session": 3}]
    assert sorted(tree(uploads)) == ["ab.mp4", "ab_clip.mp4", "x_ab_.mp4"]
    assert [name for name in tree(top) if name.endswith("mp4")] == ["ab/deep/er/x.mp4", "ab/merged.mp4"]
    assert (found["protected_sessions"], found["api"]["state"]) == (["ab"], "ok")
    record_fault("old files of a listed session, and of one whose id it is a prefix of", "session", "only its own stay")


@pytest.mark.parametrize(
    ("answer", "status", "state"),
    [
        (None, 0, "unreachable"),
        ({"detail": "boom"}, 500, "http_error"),
        ({"detail": "expired"}, 401, "auth"),
        ({"active_sessions": None, "total_active": 0}, 200, "invalid"),
        ({"active_sessions": [{"stage": "merging"}], "total_active": 1}, 200, "invalid"),
        ({"active_sessions": [{"session_id": " "}], "total_active": 1}, 200, "invalid"),
        ({"active_sessions": [], "total_active": 3}, 200, "invalid"),
        ({"active_sessions": []}, 200, "invalid"),
        ([], 200, "invalid"),
    ],
)
def test_without_a_list_every_session_keeps_its_files(
    tmp_path: Path, top: Path, answer: Any, status: int, state: str
) -> None:
    make(top / "abc/old.tmp")
    make(tmp_path / "old.tmp")
    server = sessions_api(answer, status) if status else contextlib.nullcontext("http://127.0.0.1:9/api")
    with server as url:
        found = clean(rule(tmp_path, "*.tmp"), api_url=url, sessions_dir=str(top))
    assert found["api"]["state"] == state
    assert found["protected_all"] is True
    assert found["rules"][0]["skipped"] == {"session": 1}
    assert f"everything below {top} stays" in found["warnings"][0]
    assert list(tree(tmp_path)) == ["video_merge", "video_merge/abc", "video_merge/abc/old.tmp"]


@pytest.mark.parametrize("session", ["ab12cd34.tmp", "ab12cd34.part.mp4", "ab12cd34", "ab.12-cd_34"])
def test_names_of_a_listed_id_stay_whatever_stands_behind_it(tmp_path: Path, top: Path, session: str) -> None:
    stem = session if session.startswith("ab.") else "ab12cd34"
    for suffix in ("", ".tmp", ".part.mp4", "-1.mp4", "_clip.mp4"):
        make(tmp_path / f"uploads/{stem}{suffix}")
        make(tmp_path / f"uploads/.{stem}{suffix}")
    make(top / f"{session}/a.mp4")
    make(top / f"{stem}.work/a.mp4")
    make(tmp_path / "uploads/ab12cd3_5.mp4")
    with sessions_api(listed(session)) as url:
        options: dict[str, Any] = {"api_url": url, "sessions_dir": str(top)}
        found = clean(rule(tmp_path / "uploads", name="u"), rule(top), **options)
    assert [one["skipped"] for one in found["rules"]] == [{"session": 10}, {"session": 2}]
    assert found["skipped_files"][0]["msg"] == f"session {session} is listed"
    assert not (tmp_path / "uploads/ab12cd3_5.mp4").exists()


SHAPES = (
    *("{}~", "{} (1).mp4", "{}@2x.mp4", "{}+audio.m4a", "{} final.mp4", "{}#1", "[{}].mp4", ".#{}.lock", "{}2.mp4"),
    *("merge_{}", "concat_{}.txt", "session-{}/a.mp4", ".{}.mp4.Xy12Zq", "ffmpeg2pass-{}-0.log", "x{}x"),
)


@pytest.mark.parametrize("session", ["ab12-cd34", "Caf\u00e9-7"])
def test_a_name_with_a_listed_id_anywhere_in_it_stays(tmp_path: Path, top: Path, session: str) -> None:
    upper, apart = session.upper(), unicodedata.normalize("NFD", session)
    for shape in SHAPES:
        make(tmp_path / "uploads" / shape.format(session))
    for name in (f"{upper}.mp4", f"{apart}.mp4", "of another.mp4"):
        make(tmp_path / "uploads" / name)
    with sessions_api(listed("zz99-yy88", session)) as url:
        found = clean(rule(tmp_path / "uploads"), api_url=url, sessions_dir=str(top))
    assert found["rules"][0]["skipped"] == {"session": len(SHAPES) + 2}
    assert {one["msg"] for one in found["skipped_files"]} == {f"session {session} is listed"}
    assert found["rules"][0]["removed"]["files"] == 1


@pytest.mark.parametrize(
    ("name", "is_kept"),
    [("a1.mp4", True), ("x@a1+2.mp4", True), ("x A1", True), ("b.c", True), ("xa1.mp4", False), ("a12", False)],
)
def test_a_short_id_is_looked_for_as_a_whole_part(name: str, is_kept: bool) -> None:
    names = Names({"a1", "b.c", "ab12cd34"})
    assert bool(names.find(name)) is is_kept


def test_a_name_is_looked_at_in_thousands_of_ids_in_no_time() -> None:
    names = Names(f"merge_{number:010x}" for number in range(20_000))
    began = time.process_time()
    found = [names.find(f"concat_merge_{number:010x}_of_no_session.mp4") for number in range(20_000, 25_000)]
    assert not any(found)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "odd", ["x/y", "..", "a..b", ".", "a b", "a\tb", "a\0b", "a\u200bb", "a" * 256, "\ud800", "a*"]
)
def test_an_id_that_may_be_any_files_protects_all(tmp_path: Path, top: Path, odd: str) -> None:
    make(top / "other/a.mp4")
    make(tmp_path / "uploads/good_clip.mp4")
    with sessions_api(listed("good", odd)) as url:
        found = clean(rule(tmp_path, "*.mp4"), api_url=url, sessions_dir=str(top))
    assert (found["api"]["state"], found["protected_all"]) == ("invalid", True)
    assert "the listed id " in found["api"]["reason"]
    assert found["rules"][0]["skipped"] == {"session": 2}
    assert (top / "other/a.mp4").exists()
    json.dumps(found).encode()


def test_a_session_that_begins_meanwhile_keeps_its_files(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("late", "other"):
        make(top / name / "a.tmp")
        make(top / name / "a.mp4")
    answer = listed()
    rules = rule(top, "*.tmp", name="t"), rule(top, "*.mp4", name="m")
    # The second rule begins when the first one has deleted what is the late session's as well.
    while_deleting(monkeypatch, lambda: answer.update(listed("late")), after=2)
    with sessions_api(answer) as url:
        found = clean(*rules, api_url=url, sessions_dir=str(top))
    assert [one["skipped"] for one in found["rules"]] == [{}, {"session": 1}]
    assert found["skipped_files"][0]["msg"] == "session late is listed, since the plan was made"
    assert found["protected_sessions"] == ["late"]
    assert [name for name in tree(top) if "." in name] == ["late/a.mp4"]
    record_fault("a session that begins between plan and deletion", "session", "its files stay")


def test_a_long_run_asks_again(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(top / "early/a.tmp", 3 * DAY)
    make(top / "late/a.tmp", 2 * DAY)
    monkeypatch.setattr(sweep, "_ASK_AGAIN_S", 0.0)
    answer = listed()
    while_deleting(monkeypatch, lambda: answer.update(listed("late")), after=1)
    with sessions_api(answer) as url:
        found = clean(rule(top, "*.tmp"), api_url=url, sessions_dir=str(top))
    assert found["rules"][0]["skipped"] == {"session": 1}
    assert (top / "late/a.tmp").exists()


@pytest.mark.parametrize("then", [{"active_sessions": None}, {"total_active": 5}])
def test_an_answer_that_no_longer_comes_protects_all(
    top: Path, monkeypatch: pytest.MonkeyPatch, then: dict[str, Any]
) -> None:
    make(top / "abc/a.tmp")
    answer = listed("other")
    before_deleting(monkeypatch, lambda: answer.update(then))
    with sessions_api(answer) as url:
        found = clean(rule(top, "*.tmp"), api_url=url, sessions_dir=str(top))
    assert found["rules"][0]["skipped"] == {"session": 1}
    assert found["protected_all"] is True
    assert (top / "abc/a.tmp").exists()


def test_who_has_what_open_is_looked_at_again_before_the_first_deletion(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are no leases to be had, /proc has to do."""

    def none(*_arguments: object) -> None:
        raise OSError(errno.EINVAL, "no leases here")

    monkeypatch.setattr(open_files_module, "lease", none)
    make(top / "held.tmp")
    with contextlib.ExitStack() as stack:
        held: list[int] = []

        def hold() -> None:
            held.append(stack.enter_context(holding(*python(HOLD, top / "held.tmp", "r"))))

        before_deleting(monkeypatch, hold)
        found = clean(rule(top, "*.tmp"))
    if found["rules"][0]["skipped"] != {"unproven": 1}:
        assert found["skipped_files"][0]["msg"].startswith(f"open by pid {held[0]} (python")
        assert f"{top}/held.tmp: open by pid {held[0]}" in found["plan"][0]["msg"]
    assert (top / "held.tmp").exists()


@pytest.mark.parametrize(
    ("total", "says"),
    [(5, "the list has 3 of 5 sessions"), (float("nan"), "nan"), ("3", "counts 3"), (True, "counts True")],
)
def test_a_short_list_says_how_short_and_keeps_what_it_names_anywhere(
    tmp_path: Path, top: Path, total: object, says: str
) -> None:
    make(tmp_path / "uploads/a_clip.mp4")
    make(tmp_path / "uploads/old.mp4")
    make(top / "other/x.mp4")
    with sessions_api({**listed("a", "b", "c"), "total_active": total}) as url:
        found = clean(rule(tmp_path, "*.mp4"), api_url=url, sessions_dir=str(top))
    if says != "nan":  # which is no JSON, and no answer at all
        assert says in found["api"]["reason"]
        assert found["rules"][0]["skipped"] == {"session": 2}
    assert (top / "other/x.mp4").exists()


def test_a_sessions_dir_behind_a_link_protects_the_same(tmp_path: Path, top: Path) -> None:
    make(top / "abc/old.tmp")
    (tmp_path / "link").symlink_to(top)
    found = clean(rule(top, "*.tmp"), sessions_dir=str(tmp_path / "link"))
    assert found["rules"][0]["skipped"] == {"session": 1}


UNIT = {"LoadState": "loaded", "ActiveState": "inactive", "MainPID": "0", "ControlGroup": ""}


@pytest.mark.parametrize(
    ("differs", "deletes"),
    [
        ({}, True),
        ({"ActiveState": "failed"}, True),
        ({"LoadState": "masked"}, True),
        ({"LoadState": "not-found"}, False),
        ({"ActiveState": "activating"}, False),
        ({"ActiveState": "deactivating"}, False),
        ({"MainPID": "1"}, False),
        ({"ActiveState": "active", "MainPID": "1"}, False),
        (None, False),
    ],
)
def test_a_service_that_is_known_not_to_run_has_no_sessions(
    top: Path, monkeypatch: pytest.MonkeyPatch, differs: dict[str, str] | None, deletes: bool
) -> None:
    def properties(_service: object) -> dict[str, str]:
        if differs is None:
            raise MediaOpsError("systemd cannot be asked")
        return {**UNIT, **differs}

    # Only systemd's answer is put in place; the lab asks the real one.
    monkeypatch.setattr(protected, "service_properties", properties)
    make(top / "abc/old.tmp")
    found = clean(rule(top, "*.tmp"), sessions_dir=str(top), unit="media-processing-service")
    assert ((top / "abc/old.tmp").exists(), found["protected_all"]) == (not deletes, not deletes)
    assert found["api"]["state"] == ("service_down" if deletes else "unreachable")


def test_where_no_list_is_offered_all_of_the_sessions_files_stay(top: Path) -> None:
    make(top / "abc/old.tmp")
    found = clean(rule(top, "*.tmp"), sessions_dir=str(top), unit=None, api_offered=False)
    assert ((top / "abc/old.tmp").exists(), found["protected_all"]) == (True, True)
    assert found["api"]["state"] == "not_offered"


# Full disks, and the target


def free_percent(disk: Path) -> float:
    facts = os.statvfs(disk)
    return 100 * facts.f_bavail / (facts.f_blocks - facts.f_bfree + facts.f_bavail)


@needs_root
def test_a_full_disk_is_freed_least_valuable_first_up_to_the_target(tmp_path: Path) -> None:
    with small_disk(tmp_path, 16) as disk:
        for number in range(4):
            make(disk / f"{number}.tmp", (10 - number) * DAY, b"x" * (1 << 20))
            make(disk / f"{number}.mp4", (10 - number) * DAY, b"x" * (1 << 20))
        fill(disk)
        rules = (rule(disk, "*.tmp", name="t"), rule(disk, "*.mp4", name="m"))
        planned = clean(*rules, check=True, target_free_percent=35.0)
        assert [found["planned"]["files"] for found in planned["rules"]] == [4, 1]
        assert planned["rules"][1]["skipped"] == {"target_reached": 3}
        found = clean(*rules, target_free_percent=35.0)
        assert found["hash"] == planned["hash"]
        assert sorted(name for name in tree(disk) if "." in name) == ["1.mp4", "2.mp4", "3.mp4"]
        assert found["free"][0]["before_percent"] < 1
        assert 35.0 <= free_percent(disk) < 45.0
        assert found["free"][0]["after_percent"] == round(free_percent(disk), 2)
        really = found["free"][0]["after_bytes"] - found["free"][0]["before_bytes"]
        assert really == sum(one["freed_bytes"] for one in found["rules"]) == 5 << 20
        assert clean(*rules, target_free_percent=35.0)["plan"] == []
    record_fault("disk full (small ext4)", "5 MiB due of 8", "least valuable first, stopped at the target")


@needs_root
def test_full_inodes_are_freed_though_bytes_are_free(tmp_path: Path) -> None:
    with small_disk(tmp_path, 16, "-N", "128") as disk:
        with contextlib.suppress(OSError):
            for number in range(128):
                make(disk / f"{number}.tmp", content=b"")
        assert os.statvfs(disk).f_favail == 0
        assert free_percent(disk) > 50
        found = clean(rule(disk, "*.tmp"), target_free_percent=50.0)
        assert found["free"][0]["inodes"]["before_percent"] == 0.0
        assert found["free"][0]["inodes"]["after_percent"] >= 50.0
        assert found["rules"][0]["removed"]["files"] == 64
    record_fault("inodes full, bytes free", "64 of 128 due", "half of them deleted, the target")


def test_above_the_target_nothing_goes(top: Path) -> None:
    make(top / "a.tmp")
    assert clean(rule(top, "*.tmp"), target_free_percent=0.0)["plan"] == []
    for percent in (-1.0, 101.0, float("nan")):
        with pytest.raises(OptionError, match="target_free_percent"):
            clean(rule(top, "*.tmp"), target_free_percent=percent)


# Against an independent reckoning, against time, and against somebody who interferes


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A directory that does not keep the disk busy, where there is such."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="media-ops-", dir=shared if shared.is_dir() else None) as directory:
        yield Path(directory)


def test_a_hundred_thousand_files_half_of_them_due(in_memory: Path) -> None:
    """In 500 directories, at random: the set that find reckons, by a process that stays below 100 MB."""
    top = in_memory
    chance = random.Random(4)
    now = time.time() - AHEAD_S  # the process has the real clock, by which the inodes are young: it goes by the mtime
    limits = {"tmp": 0.1 * DAY, "mp4": DAY}
    due = [True, False] * 50_000
    chance.shuffle(due)
    for number in range(500):
        session = top / f"s{number}"
        session.mkdir()
        inside = os.open(session, os.O_RDONLY | os.O_DIRECTORY)
        for file in range(200):
            goes = due.pop()
            suffix = chance.choice(["mp4", "tmp"] if goes else ["mp4", "tmp", "log"])
            limit = limits.get(suffix, 0.0)
            age = chance.uniform(limit + 1, 3 * DAY) if goes or not limit else chance.uniform(0, limit - 1)
            os.close(os.open(f"{file}.{suffix}", os.O_CREAT | os.O_WRONLY, dir_fd=inside))
            os.utime(f"{file}.{suffix}", (now - age, now - age), dir_fd=inside)
        os.close(inside)
    every = below(top)
    reckoned: set[str] = set()
    for suffix, limit in limits.items():
        reckoned |= below(top, "-name", f"*.{suffix}", "-not", "-newermt", f"@{now - limit:.6f}")
    assert (len(every), len(reckoned)) == (100_000, 50_000)

    rules = [
        {"rule": suffix, "root": str(top), "patterns": [f"*.{suffix}"], "min_age": limit, "age_of": "mtime"}
        for suffix, limit in limits.items()
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found, memory, _seconds = bench_cleanup.run({"rules": rules, "as_of": now})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert every - below(top) == reckoned
    assert sum(one["removed"]["files"] for one in found["rules"]) == 50_000
    assert memory < bench_cleanup.MEMORY_MAX_KIB
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 60
    assert len(json.dumps(found)) < 20_000


def below(top: Path, *conditions: str) -> set[str]:
    """The files below a directory, as find has them."""
    command = ["find", str(top), "-type", "f", *conditions, "-printf", "%P\n"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


SWAPPER = """
import os, sys
inside, outside, stop = sys.argv[1:]
names = [inside, inside + ".link"]
os.symlink(outside, names[1])
print("on", flush=True)
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
AT, EXCHANGE = -100, 2
first, second = os.fsencode(names[0]), os.fsencode(names[1])
while not os.path.exists(stop):
    libc.renameat2(AT, first, AT, second, EXCHANGE)
"""


def test_a_directory_swapped_for_a_link_reaches_nothing_outside(
    tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody exchanges a directory and a link to the precious one, without pause, over a thousand tries."""
    for name in ("a.tmp", "b.tmp", "deep/c.tmp"):
        make(tmp_path / "precious" / name, content=b"precious")
        make(top / "session" / name)
    precious = tree(tmp_path / "precious")
    stop = tmp_path / "stop"
    # One look at all processes is enough for a thousand tries.
    once, mounts = OpenFiles({top.stat().st_dev}), MountPoints()
    monkeypatch.setattr(roots, "MountPoints", lambda: mounts)
    monkeypatch.setattr(roots, "OpenFiles", lambda devices: once)
    tries = removed = changed = 0
    with holding(*python(SWAPPER, top / "session", tmp_path / "precious", stop)):
        deadline = time.monotonic() + 60
        while tries < 1050 and time.monotonic() < deadline:
            tries += 1
            found = clean(rule(top, "*.tmp"))["rules"][0]
            removed += found["removed"]["files"]
            changed += found["skipped"].get("changed", 0) + found["skipped"].get("gone", 0)
            for name in ("session", "session.link"):
                with contextlib.suppress(OSError):
                    if stat.S_ISDIR(os.lstat(top / name).st_mode):
                        refill(top / name)
        stop.touch()
    assert tree(tmp_path / "precious") == precious
    assert tries > 1000
    assert removed > 0, "the directory itself was cleaned"
    assert changed > 0, "the race was met"
    record_fault(
        "a directory swapped for a link during the walk",
        f"{tries} tries of the race, met {changed} times",
        "nothing outside touched",
    )


def refill(directory: Path) -> None:
    """Put the files back, without following a link that the directory is swapped for meanwhile."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for name in ("a.tmp", "b.tmp"):
            with contextlib.suppress(OSError):
                os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=fd))
                os.utime(name, (1, 1), dir_fd=fd, follow_symlinks=False)
    finally:
        os.close(fd)


def test_killed_half_way_the_next_run_finishes(top: Path) -> None:
    for number in range(1000):
        make(top / f"{number}.tmp")
    keep = make(top / "keep.mp4")
    pid = os.fork()
    if not pid:
        removed = 0

        def count(event: str, _arguments: object) -> None:
            nonlocal removed
            if event == "os.remove":
                removed += 1
                if removed > 400:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            clean(rule(top, "*.tmp"))
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert len(tree_names(top)) == 601
    assert clean(rule(top, "*.tmp"))["rules"][0]["removed"]["files"] == 600
    assert tree_names(top) == [keep.name]
    record_fault("the cleanup killed half-way", "600 of 1000 left", "the next run deletes the rest")
