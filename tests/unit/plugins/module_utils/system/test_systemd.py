"""The service as systemd knows it: names, environment files by systemd's rules, the environment of a live process."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.system.systemd import (
    environment_files,
    main_pid,
    parse_environment_file,
    service_environment,
    unit_name,
    unit_pids,
)


@pytest.mark.parametrize("name", ["", "a/b", "-x", "a b", "*", "../x", "a\n"])
def test_what_is_no_unit_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="option 'unit'"):
        unit_name(name)


def test_a_unit_gets_its_suffix() -> None:
    assert unit_name("media-processing-service") == "media-processing-service.service"
    assert unit_name("media@1.service") == "media@1.service"
    assert unit_name("media.v2") == "media.v2.service"


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


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a control group")
def test_pids_of_a_control_group_and_below_it() -> None:
    tops = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd")]
    top = next((top for top in tops if (top / "cgroup.procs").exists()), None)
    if top is None:
        pytest.skip("no control groups here")
    group = f"/media-ops-test-{os.getpid()}"
    inner = Path(f"{top}{group}/inner")
    inner.mkdir(parents=True)
    sleepers = [subprocess.Popen(["sleep", "300"], start_new_session=True) for _directory in range(2)]
    try:
        for directory, sleeper in zip((inner.parent, inner), sleepers, strict=True):
            (directory / "cgroup.procs").write_text(str(sleeper.pid))
        assert unit_pids({"ControlGroup": group}) == {sleeper.pid for sleeper in sleepers}
        assert os.getpid() not in unit_pids({"ControlGroup": group})
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
        inner.rmdir()
        inner.parent.rmdir()


@pytest.mark.parametrize("group", ["", "/", "//", "relative"])
def test_what_is_no_control_group_has_no_pids(group: str) -> None:
    assert unit_pids({"ControlGroup": group}) == set()


def test_the_main_process() -> None:
    assert main_pid({"MainPID": "12"}) == 12
    assert main_pid({"MainPID": ""}) == 0
    assert main_pid({}) == 0


def test_a_file_that_is_there_and_cannot_be_read_is_denied(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    found = service_environment({"EnvironmentFiles": f"{tmp_path}/directory (ignore_errors=yes)"})
    assert found.unreadable == found.denied == (f"{tmp_path}/directory",)
