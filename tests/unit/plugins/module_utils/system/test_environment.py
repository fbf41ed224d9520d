"""What a service runs with: environment files by systemd's rules, and the environment of a live process."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.system.environment import service_environment
from ansible_collections.media_ops.runbook.plugins.module_utils.system.environment_files import (
    environment_files,
    parse_environment_file,
)


def test_an_environment_file_is_read_as_systemd_reads_it() -> None:
    text = r"""# a comment
; another
PLAIN=one two
  QUOTED="a 'b' c"
SINGLE='x "y"'
EMPTY=
DOLLAR=$HOME
LONG=a\
b
no assignment
1BAD=x
WITH_EQUALS=a=b
"""
    assert parse_environment_file(text) == {
        "PLAIN": "one two",
        "QUOTED": "a 'b' c",
        "SINGLE": 'x "y"',
        "EMPTY": "",
        "DOLLAR": "$HOME",
        "LONG": "ab",
        "WITH_EQUALS": "a=b",
    }


def test_the_environment_a_start_would_give(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second file"
    first.write_text("A=1\nB=1\n")
    second.write_text("B=2\n")
    properties = {
        "MainPID": "0",
        "Environment": 'X=1 "Y=two words"',
        "EnvironmentFiles": "\n".join(f"{path} (ignore_errors=no)" for path in (first, second, tmp_path / "none")),
    }
    assert environment_files(properties) == [str(first), str(second), f"{tmp_path}/none"]
    found = service_environment(properties)
    assert found.source == "unit"
    assert found.variables == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "X": "1",
        "Y": "two words",
        "A": "1",
        "B": "2",
    }
    assert found.unreadable == (f"{tmp_path}/none",)
    assert found.denied == (), "what is missing hides nothing"
    assert "two words" not in repr(found)


def test_the_environment_of_the_running_process() -> None:
    process = subprocess.Popen(["sleep", "300"], env={"PATH": "/usr/bin:/bin", "CANARY": "x=y"})
    try:
        # For an instant after its start a process has none.
        deadline = time.monotonic() + 20
        while not Path(f"/proc/{process.pid}/environ").read_bytes() and time.monotonic() < deadline:
            time.sleep(0.01)
        found = service_environment({"MainPID": str(process.pid)})
    finally:
        process.kill()
        process.wait()
    assert found.source == "process"
    assert found.variables == {"PATH": "/usr/bin:/bin", "CANARY": "x=y"}


def test_a_file_that_is_there_and_cannot_be_read_is_denied(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    found = service_environment({"EnvironmentFiles": f"{tmp_path}/directory (ignore_errors=yes)"})
    assert found.unreadable == found.denied == (f"{tmp_path}/directory",)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_of_settings_holds_nobody_up_and_is_denied(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "service.env")
    found = service_environment({"EnvironmentFiles": f"{tmp_path}/service.env (ignore_errors=yes)"})
    assert found.denied == (f"{tmp_path}/service.env",)
