"""Commands with a time limit: exit codes as a shell gives them, bounded output, no process left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.system.privilege import run, run_as, run_as_root


def test_output_exit_code_and_last_line() -> None:
    ran = run(["sh", "-c", "echo out; echo first >&2; echo 'the cause' >&2; exit 3"], timeout_s=20)
    assert (ran.rc, ran.out, ran.msg, ran.timed_out) == (3, "out\n", "the cause", False)


def test_a_missing_command_and_one_that_may_not_be_run(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    plain.chmod(0o644)
    assert run([str(tmp_path / "none")], timeout_s=20).rc == 127
    assert run([str(plain)], timeout_s=20).rc == 126


def test_a_command_ended_by_a_signal() -> None:
    assert run(["sh", "-c", "kill -SEGV $$"], timeout_s=20).rc == -11


def test_the_time_limit_ends_the_whole_group(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    ran = run(["sh", "-c", f"sleep 300 & echo $! > {pid_file}; wait"], timeout_s=1)
    assert ran.timed_out
    child = int(pid_file.read_text())
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                break
        except OSError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child of the command outlived it")


def test_output_is_bounded() -> None:
    ran = run(["sh", "-c", "yes | head -c 3000000"], timeout_s=60)
    assert ran.rc == 0
    assert len(ran.out) == 1 << 18


def test_a_child_left_behind_that_holds_the_pipe_does_not_block(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    ran = run(["sh", "-c", f"sleep 300 & echo $! > {pid_file}"], timeout_s=60)
    os.kill(int(pid_file.read_text()), 9)
    assert ran.rc == 0
    assert ran.seconds < 30


def test_only_the_environment_that_is_given() -> None:
    ran = run(["/usr/bin/env"], timeout_s=20, env={"ONLY": "this"})
    assert ran.out == "ONLY=this\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_root_runs_directly_and_leaves_a_slow_command_alone(tmp_path: Path) -> None:
    done = tmp_path / "done"
    ran = run_as_root(["sh", "-c", f"sleep 1.5; touch {done}"], timeout_s=0.2)
    assert ran.timed_out
    deadline = time.monotonic() + 20
    while not done.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert done.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_a_command_of_root_s_reads_what_it_is_given_and_need_not() -> None:
    assert run_as_root(["cat"], timeout_s=20, given=b"x" * 60000).out == "x" * 60000
    assert run_as_root(["true"], timeout_s=20, given=b"x" * 60000).rc == 0
    assert run_as_root(["cat"], timeout_s=20).out == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_another_user_with_its_own_environment_and_a_time_limit() -> None:
    found = run_as("nobody", ["sh", "-c", "id -un; env"], timeout_s=20, env={"PATH": "/usr/bin:/bin"})
    assert found.rc == 0
    assert found.out.splitlines()[0] == "nobody"
    assert [line for line in found.out.splitlines() if line.startswith("PATH=")] == ["PATH=/usr/bin:/bin"]
    assert run_as("nobody", ["sh", "-c", "exit 7"], timeout_s=20, env={"PATH": "/usr/bin:/bin"}).rc == 7
    assert run_as("nobody", ["sleep", "300"], timeout_s=0.5, env={"PATH": "/usr/bin:/bin"}).timed_out
