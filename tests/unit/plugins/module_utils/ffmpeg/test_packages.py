"""Packages: the machine's own dpkg, and real locks held by real processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg import packages
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg.packages import Installed
from ansible_collections.media_ops.runbook.plugins.module_utils.system.privilege import Ran

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg") is None, reason="no dpkg here")
HOLD = (
    "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); input()"
)


def ran(rc: int | None, out: str = "", err: str = "") -> Ran:
    return Ran(("apt-get",), rc, out, err, 1.0)


@needs_dpkg
def test_whose_a_file_is(tmp_path: Path) -> None:
    stray = tmp_path / "x[1]*?"
    stray.touch()
    link = tmp_path / "link"
    link.symlink_to("/usr/bin/dpkg")
    paths = ["/usr/bin/dpkg", "/bin/dpkg", str(link), str(stray), "/usr/bin/dpk*", "*/libc.so.6", "/no/such"]
    assert packages.owners(paths) == {
        "/usr/bin/dpkg": "dpkg",
        "/bin/dpkg": "dpkg",
        str(link): "dpkg",
        "*/libc.so.6": "libc6",
    }
    assert packages.owners([]) == {}


@needs_dpkg
def test_what_is_installed_and_what_it_needs() -> None:
    known = packages.known()
    assert known["dpkg"].is_installed
    assert known["dpkg"].version
    assert known["libc6"].source == "glibc"
    assert "libc6" in packages.needed_by("dpkg")
    assert "dpkg" not in packages.needed_by("dpkg")
    assert packages.needed_by("no-such-package") == []


@needs_dpkg
def test_what_is_as_installed_and_what_cannot_be_verified() -> None:
    assert packages.altered(["dpkg"], timeout_s=60) == {}
    assert packages.altered([], timeout_s=60) == {}
    with pytest.raises(MediaOpsError, match=r"not done within 0\.001 s"):
        packages.altered(["dpkg", "libc6"], timeout_s=0.001)


@pytest.mark.parametrize(
    ("state", "installed", "interrupted"),
    [
        ("ii", True, False),
        ("hi", False, False),
        ("iHR", False, True),
        ("iU", False, True),
        ("iF", False, True),
        ("it", False, True),
        ("rc", False, False),
        ("un", False, False),
        ("", False, False),
    ],
)
def test_states_of_a_package(state: str, installed: bool, interrupted: bool) -> None:
    one = Installed("ffmpeg", "1", state, "ffmpeg")
    assert (one.is_installed, one.was_interrupted) == (installed, interrupted)


@pytest.mark.parametrize("name", ["ffmpeg-", "-o", "a b", "../x", "ffmpeg=1", "ffmpeg/sid", "", "A", "*", "a\n"])
def test_only_the_name_of_a_package_is_reinstalled(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a package"):
        packages.reinstall(name)


def test_what_apt_s_words_mean() -> None:
    nothing_done = ran(0, "Reinstallation of ffmpeg is not possible, it cannot be downloaded.\n0 upgraded\n")
    assert packages.has_no_file(nothing_done)
    assert not packages.was_unpacked(nothing_done, "ffmpeg")
    done = ran(0, "Unpacking libavcodec59:amd64 (5) over (5) ...\nSetting up libavcodec59:amd64 (5) ...\n")
    assert packages.was_unpacked(done, "libavcodec59")
    assert not packages.was_unpacked(done, "libavcodec5")
    assert not packages.has_no_file(done)
    full = ran(
        100, "Reading package lists...\n", "W: x\nE: You don't have enough free space in /var/cache/apt/archives/.\n"
    )
    assert packages.complaint(full) == "E: You don't have enough free space in /var/cache/apt/archives/."
    assert "left to itself" in packages.complaint(ran(None))
    assert packages.complaint(ran(5)) == "exit code 5"


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.communicate("\n", timeout=30)


def test_who_holds_a_lock(tmp_path: Path) -> None:
    lock, other = tmp_path / "lock", tmp_path / "other"
    locks = (str(tmp_path / "none"), str(other), str(lock))
    other.touch()
    with held(lock) as process:
        holder = packages.lock_holder(locks)
        assert holder is not None
        assert (holder.pid, holder.lock) == (process.pid, str(lock))
        assert Path(sys.executable).name in holder.command
        assert str(process.pid) in str(holder)
        still, waited = packages.wait_for_locks(timeout_s=0.6, locks=locks)
        assert (still, waited) == (holder, True)
    assert packages.lock_holder(locks) is None
    assert packages.wait_for_locks(timeout_s=0.6, locks=locks) == (None, False)


def test_a_lock_that_is_given_back_is_waited_for(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD.replace("input()", "import time; time.sleep(1)"), str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert packages.wait_for_locks(timeout_s=60, locks=[str(lock)]) == (None, True)
