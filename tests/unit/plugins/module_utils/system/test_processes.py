"""Processes as /proc shows them, also odd ones."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

from ansible_collections.media_ops.runbook.plugins.module_utils.system.processes import (
    Process,
    descendants,
    own_line,
    read_process,
    shown_argv,
    snapshot,
)

from tests.session_site import eventually


def test_arguments_without_end_are_cut_and_their_hash_is_of_all(tmp_path: Path) -> None:
    code = "import time; time.sleep(600)"
    argv = [sys.executable, "-c", code, *["é" * 50_000] * 8, "last"]
    with subprocess.Popen(argv) as process:
        found = eventually("it runs", lambda: (now := read_process(process.pid)) and now.argv[2:3] == (code,) and now)
        assert isinstance(found, Process)
        assert found.cut
        assert sum(map(len, found.argv)) <= 1 << 16
        assert found.argv[:3] == tuple(argv[:3])
        assert found.argv_hash == hashlib.sha256("\0".join(argv).encode()).hexdigest()[:12]
        process.kill()


def test_a_snapshot_of_long_arguments_takes_little_memory() -> None:
    """40 processes of a megabyte, half of it in arguments of one letter."""
    code = "import time; time.sleep(600)"
    lines = [["é" * 60_000] * 8, ["yz"] * 120_000]
    processes = [subprocess.Popen([sys.executable, "-c", code, *lines[number % 2]]) for number in range(40)]
    try:
        eventually("they run", lambda: all((now := read_process(one.pid)) and now.cut for one in processes))
        tracemalloc.start()
        looks = [snapshot(deep_uid=os.geteuid()) for _look in range(2)]
        assert {process.pid for process in processes} <= looks[0].keys()
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()
        for process in processes:
            process.kill()
            process.wait()


def test_a_process_with_an_odd_name_is_read_right(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b\n"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([program, "600"], cwd=tmp_path)
    try:
        eventually("it runs", lambda: (now := read_process(process.pid)) and now.argv == (str(program), "600"))
        found = read_process(process.pid)
        assert found
        assert (found.name, found.ppid, found.uid) == ("a) R 1 (b\n", os.getpid(), os.geteuid())
        assert (found.cwd, found.deep) == (str(tmp_path), True)
        assert found.age_s < 60
        processes = snapshot(deep_uid=os.geteuid())
        assert processes[process.pid].key == found.key
        assert process.pid in descendants(processes, os.getpid())
        assert {1, os.getpid(), os.getppid()} <= own_line(processes)
        assert process.pid not in own_line(processes)
    finally:
        process.kill()
        process.wait()
    assert read_process(process.pid) is None


def test_arguments_are_shown_without_secrets() -> None:
    argv = [
        "ffmpeg", "-headers", "Authorization: Bearer canary1", "-i", "https://user:canary2@host/x.mp4?X-Amz-Signature=canary3",
        "-decryption_key", "canary4", "Cookie: token=canary5", "-y", "/w/\x1b[31mID/out.mp4",
    ]  # fmt: skip
    shown = shown_argv([*argv, *["x" * 1000] * 100])
    text = " ".join(shown)
    assert "canary" not in text
    assert "\x1b" not in text
    assert shown[-1] == "… (50 more)"
    assert len(text) < 60 * 320
    assert "@host/x.mp4?" in text


def test_an_argument_of_a_megabyte_takes_no_time() -> None:
    started = time.process_time()
    shown_argv(["x" * (1 << 20)] * 60)
    assert time.process_time() - started < 1
