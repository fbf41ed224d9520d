"""Ages by the younger of both dates, on real files and by the real clock: what has just come is young."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.plugins.deletion import DAY, clean, make, rule, tree


def unpack(source: Path, top: Path) -> None:
    subprocess.run(["tar", "-C", source, "-cf", top.parent / "a.tar", "."], check=True)
    subprocess.run(["tar", "-C", top, "-xf", top.parent / "a.tar"], check=True)


def move(source: Path, top: Path) -> None:
    for path in source.iterdir():
        path.rename(top / path.name)


@pytest.mark.parametrize("how", [unpack, move, lambda source, top: shutil.copytree(source, top, dirs_exist_ok=True)])
def test_what_has_just_come_with_an_old_date_is_young(tmp_path: Path, how: Callable[[Path, Path], None]) -> None:
    top = tmp_path / "video_merge"
    top.mkdir()
    make(tmp_path / "source/a.tmp", 30 * DAY)
    (tmp_path / "source/empty").mkdir()
    os.utime(tmp_path / "source/empty", (0, 0))
    how(tmp_path / "source", top)
    assert (top / "empty").stat().st_mtime == 0
    found = clean(rule(top, "*.tmp", prune_empty=True))
    assert (found["plan"], found["rules"][0]["matched"]) == ([], 1)
    assert tree(top) == {"a.tmp": b"x", "empty": "/"}


def test_a_rule_for_what_is_renamed_by_nature_goes_by_the_mtime(tmp_path: Path) -> None:
    make(tmp_path / "logs/application.log.1")
    make(tmp_path / "logs/application.log.2", DAY / 2)
    (tmp_path / "logs/old").mkdir()
    os.utime(tmp_path / "logs/old", (0, 0))
    found = clean(rule(tmp_path / "logs", "*.log.[0-9]*", age_of="mtime", prune_empty=True))
    assert found["plan"][0]["why"] == "*.log.[0-9]* older than 1 days by mtime"
    assert list(tree(tmp_path / "logs")) == ["application.log.2"]


def test_an_age_counts_from_the_last_change_of_the_inode_too(tmp_path: Path) -> None:
    old, young = make(tmp_path / "a.tmp"), make(tmp_path / "b.tmp")
    deadline = time.monotonic() + 30
    while time.time() - old.stat().st_ctime <= 0.3 and time.monotonic() < deadline:
        time.sleep(0.02)
    young.chmod(0o600)
    clean(rule(tmp_path, "*.tmp", min_age=0.3))
    assert list(tree(tmp_path)) == ["b.tmp"]
