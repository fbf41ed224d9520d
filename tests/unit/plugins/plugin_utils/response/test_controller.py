"""Is the run that holds a lease dead? Only what is certain counts."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.controller import dead_run, this_run

from tests.unit.plugins.policy import ROOT

MODULE = "ansible_collections.media_ops.runbook.plugins.plugin_utils.response.controller"
SAYS = f"""import json, os, sys
from {MODULE} import dead_run, this_run
say = lambda: print(json.dumps(this_run({{}}, str)), flush=True)
"""
# A run that says who it is, and goes on until its input ends.
RUN = "say(); sys.stdin.read()"
WORKER = "os.fork() and (os.wait(), os._exit(0)); say()"
ASKED = "print(json.dumps(dead_run(json.loads(sys.argv[1]))))"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "playbooks/collections")}
APART = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
IN_A_CONTAINER = pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run([*APART, "true"], check=False, capture_output=True).returncode != 0,
    reason="no namespaces of processes can be made here",
)


def lease_of(run: dict[str, Any], **process: Any) -> dict[str, Any]:
    return {
        "run_id": "r1",
        "controller": run["controller"],
        "controller_process": {**run["process"], **process},
        "taken_at": "2026-11-24T06:00:00Z",
    }


@contextmanager
def living(*before: str) -> Iterator[dict[str, Any]]:
    """A run in a process of its own, started by ``before``."""
    command = [*before, sys.executable, "-c", SAYS + RUN]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout
        assert select.select([process.stdout], [], [], 60)[0], "the run says who it is"
        yield json.loads(process.stdout.readline())


def ended(*before: str) -> dict[str, Any]:
    with living(*before) as run:
        pass
    return run


def test_a_run_whose_process_is_gone_is_dead() -> None:
    assert dead_run(lease_of(ended())) == "r1"


def test_a_living_run_is_not() -> None:
    assert dead_run(lease_of(this_run({}, str))) == ""
    with living() as run:
        assert dead_run(lease_of(run)) == ""


def test_a_number_that_another_process_has_now_is_of_a_dead_run() -> None:
    with living() as run:
        assert dead_run(lease_of(run, start=run["process"]["start"] - 1)) == "r1"


def test_a_zombie_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    fields: list[str] = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] == "Z":
            break
        time.sleep(0.02)
    assert dead_run(lease_of(this_run({}, str), pid=process.pid, start=int(fields[19]))) == "r1"
    process.wait()


@pytest.mark.parametrize("pid", [None, "12", True, 0, 1, -5])
@pytest.mark.parametrize("key", ["pid", "start"])
def test_what_is_no_process_proves_nothing(key: str, pid: Any) -> None:
    if (key, pid) != ("start", 1):
        assert dead_run(lease_of(ended(), **{key: pid})) == ""


@pytest.mark.parametrize("key", ["machine_id", "boot_id", "namespaces"])
@pytest.mark.parametrize("value", ["elsewhere", "", None, 7])
def test_a_process_of_another_machine_boot_or_container_proves_nothing(key: str, value: Any) -> None:
    """A cloned machine, and a container, may have the same host name."""
    run = ended()
    assert dead_run(lease_of(run, **{key: value})) == ""
    lacking = lease_of(run)
    del lacking["controller_process"][key]
    assert dead_run(lacking) == ""


def test_a_lease_of_an_older_version_stands_until_its_time() -> None:
    run = ended()
    old = {"run_id": "r1", "controller": run["controller"], "controller_pid": run["process"]["pid"]}
    assert dead_run(old) == ""
    assert dead_run(None) == ""
    assert dead_run("torn") == ""


@IN_A_CONTAINER
def test_a_run_in_another_namespace_of_processes_is_not_known_to_be_dead() -> None:
    with living(*APART) as run:
        assert run["controller"] == socket.gethostname(), "the host name is the same"
        assert dead_run(lease_of(run)) == ""
        asked = [*APART, sys.executable, "-c", SAYS + ASKED, json.dumps(lease_of(run))]
        assert subprocess.check_output(asked, text=True, env=ENVIRONMENT).strip() == '""', "nor seen from a third one"


@IN_A_CONTAINER
def test_a_run_that_sees_the_processes_of_others_only_is_never_known_to_be_dead() -> None:
    """In a namespace of its own, with the /proc of the machine."""
    apart = [part for part in APART if part != "--mount-proc"]
    run = ended(*apart)
    assert run["process"]["namespaces"] == ""
    assert dead_run(lease_of(run)) == ""


def test_a_worker_is_of_the_run_that_forked_it() -> None:
    command = [sys.executable, "-c", SAYS + WORKER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        said, _nothing = process.communicate(timeout=60)
    assert json.loads(said)["process"]["pid"] == process.pid


@pytest.mark.parametrize(
    ("variables", "user"),
    [
        ({"awx_job_id": 42, "awx_user_name": "alice"}, "alice, AWX job 42"),
        ({"tower_job_id": 42, "tower_user_name": "alice"}, "alice, AWX job 42"),
        ({"awx_job_id": 42, "awx_schedule_name": "Nightly"}, "schedule Nightly, AWX job 42"),
        ({"awx_job_id": 42}, "nobody that is named, AWX job 42"),
        ({}, "bob"),
    ],
)
def test_the_run_names_itself(variables: dict[str, Any], user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUDO_USER", "AWX_ISOLATED_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER", "bob")
    monkeypatch.setenv("AWX_USER", "nobody sets this")
    found = this_run(variables, lambda value: value)
    assert found["user"] == user
    assert found["controller"] == socket.gethostname()
    assert Path(f"/proc/{found['process']['pid']}").exists()
    assert found["process"]["namespaces"].startswith("pid:[")


def test_a_run_of_ansible_runner_is_named_by_its_ident(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setenv("USER", "bob")
    monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", "/runner/artifacts/5f0c/")
    assert this_run({}, str)["user"] == "bob, ansible-runner 5f0c"
    assert os.environ["USER"] == "bob"
