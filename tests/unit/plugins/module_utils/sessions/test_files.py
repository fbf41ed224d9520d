"""Removal of a session's files: what was planned and nothing else, whatever is swapped, linked or mounted meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.files import (
    Listing,
    Removed,
    list_session_files,
    remove_session_files,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.system.open_files import OpenFiles

SESSION = "5d0c1f6e-aaaa"


def remove(directory: Path, planned: Listing, *, written: bool = False, open_files: OpenFiles | None = None) -> Removed:
    """Remove what was planned; `written`: by processes that wrote to each of the files up to their end."""
    now = list_session_files(str(directory))
    inodes = {entry.inode for entry in planned.entries.values()} if written else set()
    return remove_session_files(str(directory), planned, now, open_files or OpenFiles({now.device}), written=inodes)


def test_what_is_new_or_another_by_now_stays(tmp_path: Path) -> None:
    directory = tmp_path / SESSION
    (directory / "sub").mkdir(parents=True)
    for name in ("kept", "swapped", "grown", "sub/deep"):
        (directory / name).write_text(name)
    planned = list_session_files(str(directory))
    (directory / "new").touch()
    (directory / "aside").touch()
    (directory / "aside").rename(directory / "swapped")
    with (directory / "grown").open("a") as file:
        file.write("more")
    removed = remove(directory, planned)
    assert (removed.files, removed.gone) == (2, False)
    assert sorted(path.name for path in directory.iterdir()) == ["grown", "new", "swapped"]
    assert {line.partition(":")[0] for line in removed.skipped} >= {"new", "swapped", "grown"}
    after = remove(directory, list_session_files(str(directory)), written=True)
    assert (after.files, after.gone) == (3, True)


def test_links_go_and_what_they_point_to_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x" * 4096)
    directory = tmp_path / SESSION
    directory.mkdir()
    (directory / "link").symlink_to(outside)
    (directory / "file_link").symlink_to(outside / "precious")
    os.link(outside / "precious", directory / "hard")
    os.mkfifo(directory / "fifo")
    links = sum((directory / name).lstat().st_blocks * 512 for name in ("link", "file_link"))
    removed = remove(directory, list_session_files(str(directory)))
    assert (removed.files, removed.gone, removed.skipped) == (4, True, [])
    assert removed.freed == links, "one of several hard links frees nothing"
    assert (outside / "precious").read_bytes() == b"x" * 4096


@pytest.mark.slow
def test_a_directory_that_is_swapped_for_a_link_during_a_thousand_removals_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    for number in range(3):
        (outside / f"file{number}").write_text("precious")
        (outside / "sub" / f"file{number}").write_text("precious")
    work = tmp_path / "work"
    work.mkdir()
    directory, away = work / SESSION, work / "away"
    # Another process, so that it can come in between any two system calls: it puts the link in place and takes it back.
    swapper = subprocess.Popen(
        [sys.executable, "-c", """
import os, sys
directory, away, outside = sys.argv[1:]
print("ready", flush=True)
while True:
    for place in (directory, directory + "/sub"):
        try:
            os.rename(place, away)
            os.symlink(outside, place)
            os.unlink(place)
            os.rename(away, place)
        except OSError:
            pass
""", str(directory), str(away), str(outside)], stdout=subprocess.PIPE)  # fmt: skip
    removed_some, open_files = 0, OpenFiles({work.stat().st_dev})
    try:
        assert swapper.stdout
        swapper.stdout.readline()
        for _attempt in range(1000):
            remake(directory, away)
            planned = list_session_files(str(directory))
            removed_some += remove(directory, planned, written=True, open_files=open_files).files > 0
            assert len(list(outside.rglob("file*"))) == 6
    finally:
        swapper.kill()
        swapper.communicate()
    assert removed_some > 0, "the race was never run"


def remake(directory: Path, away: Path) -> None:
    """Make the session's directory anew, under the hands of the process that swaps it."""
    for _attempt in range(1000):
        try:
            (directory / "sub").mkdir(parents=True, exist_ok=True)
            if directory.is_symlink():
                continue
            for name in ("file0", "sub/file1"):
                (directory / name).touch()
        except OSError:
            continue
        return


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
@pytest.mark.parametrize("place", ["", "sub"])
def test_a_bind_mount_is_not_entered(tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    directory = tmp_path / SESSION
    (directory / "sub").mkdir(parents=True)
    (directory / "sub" / "own").touch()
    mount = directory / place
    subprocess.run(["mount", "--bind", str(outside), str(mount)], check=True)
    try:
        planned = list_session_files(str(directory))
        removed = remove(directory, planned, written=True)
        assert not removed.gone
        assert (outside / "precious").exists()
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    assert (directory / "sub" / "own").exists()


ELSEWHERE = """
set -e
mkdir "$2/seen"
mount --bind "$1/volume" "$2/seen"
mount -t tmpfs none "$1/mounted"
touch "$2/file"
mount --bind "$1/bound" "$2/file"
mkdir "$2/merged"
mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$2/merged"
echo there
exec sleep 600
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_a_mount_shows_in_another_namespace_stays(tmp_path: Path) -> None:
    directory, outside = tmp_path / SESSION, tmp_path / "outside"
    outside.mkdir()
    for name in ("volume", "mounted", "lower", "upper", "work"):
        (directory / name).mkdir(parents=True)
    for name in ("volume/in", "lower/in", "bound", "free"):
        (directory / name).write_text(name)
    command = [
        "unshare",
        "-m",
        "--propagation",
        "private",
        "bash",
        "-c",
        ELSEWHERE,
        "bash",
        *map(str, (directory, outside)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "there\n"
        try:
            removed = remove(directory, list_session_files(str(directory)))
        finally:
            process.kill()
    assert sorted(path.name for path in directory.iterdir()) == ["bound", "lower", "mounted", "upper", "volume", "work"]
    assert ((directory / "volume/in").exists(), (directory / "lower/in").exists()) == (True, True)
    said = "\n".join(removed.skipped)
    pid = f"in the mount namespace of pid {process.pid} ("
    for line in (f"bound: is mounted at another place {pid}", f"mounted: is a mount point {pid}"):
        assert line in said
    assert f"volume/in: lies below volume, which is mounted at another place {pid}" in said
    assert f"lower/in: is a layer of the overlay that is mounted on {outside}/merged" in said
    assert remove(directory, list_session_files(str(directory))).gone
