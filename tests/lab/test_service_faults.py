# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""service_control and service_config on a real host, as the user of role prepare, with no more than its sudo rule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tools.lab import Lab

from .conftest import ROOT

pytestmark = [pytest.mark.root, pytest.mark.slow]

UNIT = "media-processing-service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}.service"
FLAG = "/srv/media-processing/well"
NEIGHBOUR = """[Service]
User=media
ExecStart=/bin/sleep infinity
"""
# Makes the unit anew, whatever the test before has left of it.
INSTALL = f"""
rm -rf {UNIT_FILE} {FLAG} && systemctl daemon-reload
systemctl kill --signal=SIGKILL {UNIT}; systemctl stop {UNIT}; systemctl reset-failed {UNIT}
cat >{UNIT_FILE} && systemctl daemon-reload
"""
SETUP = f"""
useradd --system --home-dir /srv/media-processing --shell /usr/sbin/nologin media
install -d -o media -g media -m 0750 /srv/media-processing
printf '{NEIGHBOUR}' >/etc/systemd/system/neighbour.service
printf '[Service]\\nUser=media\\nExecStart=/bin/true\\n' >{UNIT_FILE}
systemctl daemon-reload && systemctl start neighbour
"""


@dataclass
class Host:
    """A prepared host with a unit of the service's name, whose body each test writes."""

    lab: Lab
    inventory: Path
    matrix: list[dict[str, Any]] = field(default_factory=list)

    def root(self, script: str, stdin: str = "") -> str:
        """Run a script as root, as an administrator or a fault would."""
        return self.lab.exec("media1", ["sh", "-c", script], stdin=stdin, check=False).stdout.strip()

    def unit(self, body: str, start: bool = False) -> None:
        self.root(INSTALL, f"[Service]\nUser=media\n{body}")
        if start:
            self.root(f"systemctl start {UNIT}")

    def show(self, name: str, unit: str = UNIT) -> str:
        return self.root(f"systemctl show --property={name} --value {unit}")

    def call(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run a module as media-ops, by Ansible."""
        command = [str(Path(sys.executable).with_name("ansible")), "media1", "-i", str(self.inventory), "-o"]
        command += ["-m", f"media_ops.runbook.{module}", "-a", json.dumps({"unit": UNIT, **options})]
        env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "NO_COLOR": "1"}
        done = subprocess.run(
            command + ["--check"] * check, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=240, check=False,
        )  # fmt: skip
        head, arrow, result = done.stdout.partition("=> ")
        assert arrow, done.stdout + done.stderr
        return {**json.loads(result), "failed": "FAILED" in head}

    def control(self, state: str = "observed", check: bool = False, **options: Any) -> dict[str, Any]:
        return self.call("service_control", check, **{"state": state, "interval": 1, **options})

    def record(self, fault: str, before: dict[str, Any], after: dict[str, Any] | None = None) -> None:
        """A line of the fault matrix, after its assertions have held. The neighbour is looked at by the fixture."""
        self.matrix.append(
            {
                "fault": fault,
                "verdict": f"{before['service']['class']}: {before['service']['reason']}",
                "done": [f"{one['action']}: {one['said']}" for one in (after or before)["plan"]],
                "recovered": (after or before)["verified"],
                "neighbours": "alive",
            }
        )


@pytest.fixture(scope="module")
def prepared(lab_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    scratch = tmp_path_factory.mktemp("service")
    lab = Lab(f"{lab_name}-service")
    try:
        lab.up(["media1"], "media")
        content = lab.inventory()
        group = content["all"]["children"]["media_hosts"]["vars"]
        group["prepare_authorized_keys"] = [group["lab_public_key"]]
        inventories = {user: scratch / f"{user}.json" for user in (group["ansible_user"], "media-ops")}
        for user, path in inventories.items():
            group["ansible_user"] = user
            path.write_text(json.dumps(content), encoding="utf-8")
        host = Host(lab, inventories["media-ops"])
        host.root(SETUP)
        first = next(iter(inventories.values()))
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(first)]
        env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "NO_COLOR": "1"}
        done = subprocess.run(
            [*command, "playbooks/prepare_hosts.yml"], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        yield host
        if directory := os.environ.get("MEDIA_OPS_FAULT_MATRIX"):
            Path(directory, "service.json").write_text(json.dumps(host.matrix, indent=1) + "\n", encoding="utf-8")
    finally:
        lab.down()


@pytest.fixture
def host(prepared: Host) -> Iterator[Host]:
    """The host, with a neighbour of the same user that must survive whatever is done to the service."""
    main = prepared.show("MainPID", "neighbour"), prepared.show("ExecMainStartTimestampMonotonic", "neighbour")
    assert main[0] != "0"
    yield prepared
    assert main == (
        prepared.show("MainPID", "neighbour"),
        prepared.show("ExecMainStartTimestampMonotonic", "neighbour"),
    )


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# runbook: P0-3C, EM-R1, EM-R3
def test_dead_is_planned_approved_restarted_and_verified(host: Host) -> None:
    host.unit("ExecStart=/bin/sleep infinity\n")
    before = host.control()
    assert (before["service"]["class"], before["verified"], before["plan"]) == ("dead", False, [])

    planned = host.control("restarted", check=True, steps=["P0-3C"], reason="it is dead")
    assert planned["changed"]
    assert planned["refusals"] == []
    assert [(one["action"], one["steps"], one["result"]) for one in planned["plan"]] == [
        ("restart", ["P0-3C"], "planned")
    ]
    assert host.show("ActiveState") == "inactive"

    drifted = host.control("restarted", plan_hash="000000000000")
    assert drifted["failed"]
    assert "drifted" in drifted["msg"]
    assert drifted["hash"] == planned["hash"]
    assert host.show("ActiveState") == "inactive"

    after = host.control("restarted", plan_hash=planned["hash"])
    assert after["verified"]
    assert after["plan"][0]["result"] == "done"
    assert after["service"]["class"] == "running"
    assert str(after["service"]["main_pid"]) == host.show("MainPID")

    again = host.control("started")
    assert (again["changed"], again["plan"], again["verified"]) == (False, [], True)
    assert host.control("restarted", plan_hash=planned["hash"])["failed"], "a plan is approved once"
    host.record("service dead", before, after)


def test_a_running_one_gets_another_main_process(host: Host) -> None:
    host.unit("ExecStart=/bin/sleep infinity\n", start=True)
    before = host.show("MainPID")
    after = host.control("restarted")
    assert after["verified"]
    assert before not in {"0", str(after["service"]["main_pid"])}


def test_active_right_after_the_start_proves_nothing(host: Host) -> None:
    host.unit("ExecStart=/bin/sh -c 'sleep 1; exit 3'\n")
    after = host.control("started")
    assert not after["verified"]
    assert after["plan"][0]["result"] == "failed"
    assert after["service"]["class"] == "failed"
    assert "exit code 3" in after["said"]
    host.record("service exits a second after its start", after)


def test_a_restart_loop_is_told_from_running(host: Host) -> None:
    body = "ExecStart=/bin/sh -c 'sleep 0.5; kill -SEGV $$$$'\nRestart=on-failure\nRestartSec=0.5\n"
    body += "[Unit]\nStartLimitIntervalSec=0\n"
    host.unit(body, start=True)
    before = host.control(samples=4)
    assert before["service"]["class"] == "restart_loop"
    after = host.control("restarted", samples=4)
    assert (after["service"]["class"], after["verified"]) == ("restart_loop", False)
    assert after["service"]["n_restarts"] > 0
    host.record("service in a restart loop", before, after)


def test_after_the_limit_of_starts_it_is_reset_first(host: Host) -> None:
    body = f"ExecStart=/bin/sh -c 'test -e {FLAG} && exec sleep infinity; exit 4'\nRestart=on-failure\nRestartSec=0.1\n"
    host.unit(body, start=True)
    until(lambda: host.show("ActiveState") == "failed")
    before = host.control()
    assert before["service"]["class"] == "start_limit"
    assert "exit code 4" in before["service"]["reason"]

    still = host.control("restarted")
    assert (still["verified"], still["service"]["class"]) == (False, "start_limit")

    host.root(f"touch {FLAG}")
    assert host.lab.exec("media1", ["systemctl", "restart", UNIT], check=False).returncode != 0, "or it proves nothing"
    after = host.control("restarted")
    assert after["verified"], after["said"]
    host.record("service given up by systemd (StartLimit), cause mended", before, after)


@pytest.mark.parametrize("state", ["started", "restarted", "force_restarted"])
def test_a_masked_one_is_left_alone(host: Host, state: str) -> None:
    host.unit("ExecStart=/bin/sleep infinity\n", start=True)
    host.root(f"rm {UNIT_FILE}; ln -s /dev/null {UNIT_FILE}; systemctl daemon-reload")
    pid = host.show("MainPID")
    found = host.control(state)
    assert (found["changed"], found["plan"], found["service"]["class"]) == (False, [], "masked")
    assert found["said"].startswith("nothing is planned, it is masked: somebody masked it")
    assert f"still runs as pid {pid}" in found["said"]
    assert host.show("MainPID") == pid
    if state == "restarted":
        host.record("service masked", found)


def test_one_that_is_not_there(host: Host) -> None:
    host.unit("ExecStart=/bin/sleep infinity\n")
    host.root(f"rm {UNIT_FILE}; systemctl daemon-reload")
    found = host.control("restarted")
    assert (found["changed"], found["service"]["class"]) == (False, "not_found")


def test_a_stop_that_hangs_ends_by_the_limit_of_the_unit(host: Host) -> None:
    host.unit("ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\nTimeoutStopSec=4\n", start=True)
    before = host.control()
    after = host.control("restarted")
    assert after["verified"]
    assert "SIGTERM did not end it, systemd killed it after 4 s" in after["said"]
    assert after["service"]["main_pid"] != before["service"]["main_pid"]
    host.record("service ignores SIGTERM at stop", before, after)


def test_a_restart_that_is_not_through_in_time_is_not_verified(host: Host) -> None:
    host.unit("ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\nTimeoutStopSec=15\n", start=True)
    after = host.control("restarted", timeout=1, samples=1)
    assert (after["verified"], after["service"]["class"]) == (False, "stopping")
    assert "not through after 1 s (its stop may take 15 s)" in after["said"]


# runbook: EM-R2
def test_forced_restart_kills_what_outlives_sigterm(host: Host) -> None:
    host.unit("ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\nTimeoutStopSec=300\n", start=True)
    before = host.control()
    after = host.control("force_restarted", kill_after=1)
    assert after["verified"], after["said"]
    assert "within 1 s, SIGKILL did" in after["said"]
    assert after["seconds"] < 60
    assert after["plan"][0]["steps"] == ["EM-R2"]
    host.record("service ignores SIGTERM, forced restart", before, after)


def test_forced_restart_of_one_that_obeys_needs_no_sigkill(host: Host) -> None:
    host.unit("ExecStart=/bin/sleep infinity\nRestart=on-failure\nRestartSec=60\n", start=True)
    after = host.control("force_restarted")
    assert after["verified"], after["said"]
    assert "SIGTERM ended its 1 processes" in after["said"]


def test_forced_start_of_a_dead_one(host: Host) -> None:
    host.unit("ExecStart=/bin/sleep infinity\n")
    after = host.control("force_restarted")
    assert after["verified"], after["said"]
    assert "no process to kill" in after["said"]


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("ExecStart=/nonexistent/program\n", "203/EXEC, its program cannot be run"),
        ("User=nobody-of-that-name\nExecStart=/bin/true\n", "217/USER, its user is not there"),
        ("Type=notify\nTimeoutStartSec=1\nExecStart=/bin/sleep 60\n", "timeout at start"),
        ("EnvironmentFile=/etc/media-processing/none.env\nExecStart=/bin/sleep 60\n", "an environment file"),
        ("ExecStart=/bin/sh -c 'kill -ABRT $$$$'\n", "SIGABRT"),
    ],
)
def test_the_cause_of_a_failed_start_is_named(host: Host, body: str, cause: str) -> None:
    host.unit(body)
    after = host.control("started", samples=2)
    assert (after["verified"], after["service"]["class"]) == (False, "failed")
    assert cause in after["service"]["reason"]
    if "203" in cause:
        host.record("service's program is missing", after)


def test_what_kill_mode_process_leaves_behind_is_named_and_forced_away(host: Host) -> None:
    host.unit(
        "KillMode=process\nExecStart=/bin/sh -c 'setsid sleep 4000 & sleep 4001 & exec sleep infinity'\n", start=True
    )
    before = host.control()
    assert before["service"]["left_behind"] == []
    after = host.control("restarted")
    assert after["verified"]
    assert after["service"]["kill_mode"] == "process"
    assert [one["name"] for one in after["service"]["left_behind"]] == ["sleep", "sleep"]
    for one in after["service"]["left_behind"]:
        assert host.root(f"cat /proc/{one['pid']}/comm") == "sleep", "named, not killed"
    assert "2 processes of its control group are not of its main process" in after["said"]

    forced = host.control("force_restarted")
    assert (forced["verified"], forced["service"]["left_behind_count"]) == (True, 0)
    for one in after["service"]["left_behind"]:
        assert host.root(f"cat /proc/{one['pid']}/comm") == ""
    host.record("service with KillMode=process leaves orphans", after, forced)


def test_another_unit_is_refused_before_anything_is_done(host: Host) -> None:
    planned = host.control("force_restarted", check=True, unit="neighbour")
    assert len(planned["refusals"]) == 4
    found = host.control("force_restarted", unit="neighbour")
    assert found["failed"]
    assert "sudo does not allow '/usr/bin/systemctl kill neighbour'" in found["msg"]
