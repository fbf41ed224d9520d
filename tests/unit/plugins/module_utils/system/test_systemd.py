"""The service as systemd knows it: names, its processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.system.systemd import main_pid, unit_name, unit_pids


@pytest.mark.parametrize("name", ["", "a/b", "-x", "a b", "*", "../x", "a\n"])
def test_what_is_no_unit_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="option 'unit'"):
        unit_name(name)


def test_a_unit_gets_its_suffix() -> None:
    assert unit_name("media-processing-service") == "media-processing-service.service"
    assert unit_name("media@1.service") == "media@1.service"
    assert unit_name("media.v2") == "media.v2.service"


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
