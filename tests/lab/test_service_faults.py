# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""service_control, service_config and evidence_bundle on a real host, as the user of role prepare."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tools.lab import Lab

from .conftest import ROOT, keep_code

pytestmark = [pytest.mark.root, pytest.mark.slow]

UNIT = "media-processing-service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}.service"
DROP_IN = f"{UNIT_FILE}.d/50-media-ops.conf"
STATE = "/var/lib/media-ops"
OVERRIDES = "/etc/media-ops/overrides.env"
CANARY = "canary-4f6c2d9b1a"
FLAG = "/srv/media-processing/well"
NEIGHBOUR = """[Service]
User=media
ExecStart=/bin/sleep infinity
"""
OVERRIDES_ONLY = """
- hosts: media_hosts
  become: true
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: media_ops.runbook.prepare, tasks_from: overrides}
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


def ansible(command: str, inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of Ansible's commands with the repository's ansible.cfg."""
    return subprocess.run(
        [str(Path(sys.executable).with_name(command)), "-i", str(inventory), *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@dataclass
class Host:
    """A prepared host with a unit of the service's name, whose body each test writes."""

    lab: Lab
    inventory: Path
    admin: Path
    lives: tuple[str, str] = ("", "")
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
        arguments = json.dumps({"unit": UNIT, **options})
        command = ["-o", "-vvv", "-m", f"media_ops.runbook.{module}", "-a", arguments, *["--check"] * check]
        done = ansible("ansible", self.inventory, "media1", *command)
        result = re.search(r"^media1 \| (\w+)!? => (\{.*\})$", done.stdout, re.MULTILINE)
        assert result, done.stdout + done.stderr
        assert CANARY not in done.stdout + done.stderr
        return {**json.loads(result[2]), "failed": result[1] == "FAILED"}

    def prepare(self, playbook: str = "", *options: str) -> str:
        """Let the role see to the drop-in as the host is now (or run a whole playbook); say what came of it."""
        done = ansible("ansible-playbook", self.admin, playbook or str(self.admin.with_name("overrides.yml")), *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return " ".join(done.stdout.split())

    def control(self, state: str = "observed", check: bool = False, **options: Any) -> dict[str, Any]:
        return self.call("service_control", check, **{"state": state, "interval": 0.5, **options})

    def neighbour(self) -> tuple[str, str]:
        """Main process and start of another service of the same user."""
        return self.show("MainPID", "neighbour"), self.show("ExecMainStartTimestampMonotonic", "neighbour")

    def record(self, fault: str, before: dict[str, Any], after: dict[str, Any] | None = None) -> None:
        """A line of the fault matrix."""
        last = after or before
        self.matrix.append(
            {
                "fault": fault,
                "verdict": f"{before['service']['class']}: {before['service']['reason']}",
                "done": "; ".join(f"{one['action']}: {one['msg']}" for one in last["plan"]) or "nothing",
                "recovered": last["verified"],
                "neighbours": self.neighbour() == self.lives,
            }
        )


@pytest.fixture(scope="module")
def prepared(lab_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    scratch = tmp_path_factory.mktemp("service")
    lab = Lab(f"{lab_name}-service")
    try:
        lab.up(["media1"], "media")
        keep_code(lab)
        content = lab.inventory()
        group = content["all"]["children"]["media_hosts"]["vars"]
        group["prepare_authorized_keys"] = [group["lab_public_key"]]
        inventories = {user: scratch / f"{user}.json" for user in (group["ansible_user"], "media-ops")}
        for user, path in inventories.items():
            group["ansible_user"] = user
            path.write_text(json.dumps(content), encoding="utf-8")
        as_root, as_user = inventories.values()
        host = Host(lab, as_user, as_root)
        host.root(SETUP)
        (scratch / "overrides.yml").write_text(OVERRIDES_ONLY, encoding="utf-8")
        host.prepare("playbooks/prepare_hosts.yml")
        yield host
        if directory := os.environ.get("MEDIA_OPS_FAULT_MATRIX"):
            Path(directory).mkdir(parents=True, exist_ok=True)
            Path(directory, "service.json").write_text(json.dumps(host.matrix, indent=1) + "\n", encoding="utf-8")
    finally:
        lab.down()


@pytest.fixture
def host(prepared: Host) -> Iterator[Host]:
    """The host, with a neighbour of the same user that must survive whatever is done to the service."""
    prepared.lives = prepared.neighbour()
    assert prepared.lives[0] != "0"
    yield prepared
    assert prepared.neighbour() == prepared.lives


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
    after = host.control("started", interval=1)
    assert not after["verified"]
    assert after["plan"][0]["result"] == "failed"
    assert after["service"]["class"] == "failed"
    assert "exit code 3" in after["msg"]
    host.record("service exits a second after its start", after)


def test_a_restart_loop_is_told_from_running(host: Host) -> None:
    body = "ExecStart=/bin/sh -c 'sleep 0.5; kill -SEGV $$$$'\nRestart=on-failure\nRestartSec=0.5\n"
    body += "[Unit]\nStartLimitIntervalSec=0\n"
    host.unit(body, start=True)
    before = host.control(samples=4, interval=1)
    assert before["service"]["class"] == "restart_loop"
    after = host.control("restarted", samples=4, interval=1)
    assert (after["service"]["class"], after["verified"]) == ("restart_loop", False)
    assert after["service"]["n_restarts"] > 0
    host.record("service in a restart loop", before, after)


def test_after_the_limit_of_starts_it_is_reset_first(host: Host) -> None:
    body = f"ExecStart=/bin/sh -c 'test -e {FLAG} && exec sleep infinity; exit 4'\nRestart=on-failure\nRestartSec=0.1\n"
    body += "[Unit]\nStartLimitIntervalSec=600\n"
    host.unit(body, start=True)
    until(lambda: host.show("ActiveState") == "failed")
    before = host.control()
    assert before["service"]["class"] == "start_limit"
    assert "exit code 4" in before["service"]["reason"]

    still = host.control("restarted")
    assert not still["verified"]
    assert still["service"]["class"] in {"restart_loop", "start_limit"}, "it was tried anew"
    until(lambda: host.show("ActiveState") == "failed")

    host.root(f"touch {FLAG}")
    assert host.lab.exec("media1", ["systemctl", "restart", UNIT], check=False).returncode != 0, "or it proves nothing"
    after = host.control("restarted")
    assert after["verified"], after["msg"]
    host.record("service given up by systemd (StartLimit), cause mended", before, after)


@pytest.mark.parametrize("state", ["started", "restarted", "force_restarted"])
def test_a_masked_one_is_left_alone(host: Host, state: str) -> None:
    host.unit("ExecStart=/bin/sleep infinity\n", start=True)
    host.root(f"rm {UNIT_FILE}; ln -s /dev/null {UNIT_FILE}; systemctl daemon-reload")
    pid = host.show("MainPID")
    found = host.control(state)
    assert (found["changed"], found["plan"], found["service"]["class"]) == (False, [], "masked")
    assert found["msg"].startswith("nothing is planned, it is masked: somebody masked it")
    assert f"still runs as pid {pid}" in found["msg"]
    assert found["refusals"] == [found["msg"]], "not done is not the same as nothing to do"
    assert host.show("MainPID") == pid
    if state == "restarted":
        host.record("service masked", found)


def test_one_that_is_not_there(host: Host) -> None:
    host.unit("ExecStart=/bin/sleep infinity\n")
    host.root(f"rm {UNIT_FILE}; systemctl daemon-reload")
    found = host.control("restarted")
    assert (found["changed"], found["service"]["class"]) == (False, "not_found")
    assert "no unit of that name" in found["refusals"][0]


def test_a_stop_that_hangs_ends_by_the_limit_of_the_unit(host: Host) -> None:
    host.unit("ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\nTimeoutStopSec=4\n", start=True)
    before = host.control()
    after = host.control("restarted")
    assert after["verified"]
    assert "SIGTERM did not end it, systemd killed it after 4 s" in after["msg"]
    assert after["service"]["main_pid"] != before["service"]["main_pid"]
    host.record("service ignores SIGTERM at stop", before, after)


def test_a_restart_that_is_not_through_in_time_is_not_verified(host: Host) -> None:
    host.unit("ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\nTimeoutStopSec=15\n", start=True)
    after = host.control("restarted", timeout=1, samples=1)
    assert (after["verified"], after["service"]["class"]) == (False, "stopping")
    assert "not through after 1 s (its stop may take 15 s)" in after["msg"]


# runbook: EM-R2
def test_forced_restart_kills_what_outlives_sigterm(host: Host) -> None:
    host.unit("ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\nTimeoutStopSec=300\n", start=True)
    before = host.control()
    after = host.control("force_restarted", kill_after=1)
    assert after["verified"], after["msg"]
    assert "within 1 s, SIGKILL did" in after["msg"]
    assert after["seconds"] < 60
    assert after["plan"][0]["steps"] == ["EM-R2"]
    host.record("service ignores SIGTERM, forced restart", before, after)


def test_forced_restart_of_one_that_obeys_needs_no_sigkill(host: Host) -> None:
    host.unit("ExecStart=/bin/sleep infinity\nRestart=on-failure\nRestartSec=60\n", start=True)
    after = host.control("force_restarted")
    assert after["verified"], after["msg"]
    assert "SIGTERM ended its processes (1)" in after["msg"]


def test_forced_start_of_a_dead_one(host: Host) -> None:
    host.unit("ExecStart=/bin/sleep infinity\n")
    after = host.control("force_restarted")
    assert after["verified"], after["msg"]
    assert "no process to kill" in after["msg"]


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("ExecStart=/nonexistent/program\n", "203/EXEC, its program cannot be run"),
        ("User=nobody-of-that-name\nExecStart=/bin/true\n", "217/USER, its user is not there"),
        ("Type=notify\nTimeoutStartSec=1\nExecStart=/bin/sleep 60\n", "timeout at start"),
        (
            "ExecStartPre=/bin/sleep 60\nTimeoutStartSec=1\nExecStart=/bin/sleep 60\n",
            "a command of its ExecStartPre= hung",
        ),
        ("ExecStartPre=/bin/false\nExecStart=/bin/sleep 60\n", "its ExecStartPre= ended with exit code 1"),
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


LISTENS = "/usr/bin/python3 -c 'import socket, time; s = socket.create_server((\"\", 8111)); time.sleep(600)'"


# safety.md: a restart needs a reason that a restart can cure.
def test_what_no_start_can_change_is_named_and_told_from_what_is_mended(host: Host) -> None:
    host.unit(f"EnvironmentFile=-/etc/optional.env\nEnvironmentFile=/etc/lab-none.env\nExecStart={LISTENS}\n")
    after = host.control("started", samples=2)["service"]
    assert (after["class"], "/etc/lab-none.env is not there" in after["reason"]) == ("cannot_start", True)
    host.root("touch /etc/lab-none.env")
    assert host.control("observed", samples=1)["service"]["class"] == "failed"
    host.root(f"systemd-run --quiet --collect --unit=in-the-way {LISTENS}")
    until(lambda: host.root("grep -c :1FAF /proc/net/tcp /proc/net/tcp6 || true").count(":1") > 0)
    after = host.control("started", samples=3)["service"]
    assert after["class"] == "cannot_start"
    assert "its port 8111 is taken by a process of user id 0" in after["reason"]
    host.record("service's port is taken by another", host.control("observed", samples=1))
    host.root("systemctl stop in-the-way; rm /etc/lab-none.env; touch /etc/lab-none.env")
    after = host.control("observed", samples=1)["service"]
    assert (after["class"], "is free now" in after["reason"]) == ("failed", True)
    assert host.control("started", samples=2)["verified"]


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
    assert "processes of its control group that are not of its main process: 2" in after["msg"]

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


# Overrides.

# It says which level it logs at, and nothing of its other settings.
CONFIGURED = (
    "EnvironmentFile=/etc/media-processing/service.env\n"
    "ExecStart=/bin/sh -c 'echo log level: $LOG_LEVEL; exec sleep infinity'\n"
)
SETTINGS = f"PROCESSING_TIMEOUT=300\nLOG_LEVEL=INFO\nAWS_SECRET_ACCESS_KEY={CANARY}\n"
ALLOWED = {
    "PROCESSING_TIMEOUT": {"type": "int", "min": 60, "max": 3600, "step": "P1-3A"},
    "MAX_CONCURRENT_SESSIONS": {"type": "int", "min": 1, "max": 16, "step": "P1-3B"},
    "LOG_LEVEL": {"type": "choice", "choices": ["DEBUG", "INFO", "WARNING", "ERROR"], "step": "P1-3C"},
}


@pytest.fixture
def configured(host: Host) -> Host:
    """The service with settings of its own that only root and its group may read, and no overrides."""
    host.root(
        f"rm -f {STATE}/overrides.* {OVERRIDES} {UNIT_FILE}.d/90-*; install -d -m 0750 -g media /etc/media-processing; "
        "cd /etc/media-processing && cat >service.env && chgrp media service.env && chmod 0640 service.env",
        SETTINGS,
    )
    host.unit(CONFIGURED, start=True)
    assert host.root(f"test -e {DROP_IN} && echo there") == "there"
    return host


def config(host: Host, state: str = "observed", check: bool = False, **options: Any) -> dict[str, Any]:
    return host.call("service_config", check, **{"state": state, "allowed": ALLOWED, **options})


def override(host: Host, settings: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
    given = {"expires_in": 3600, "reason": "most errors are timeouts", "run_id": "run1", **options}
    return config(host, "present", check, settings=settings, **given)


def running(host: Host, name: str) -> str:
    return host.root(
        f"tr '\\0' '\\n' </proc/$(systemctl show --property=MainPID --value {UNIT})/environ | sed -n s/^{name}=//p"
    )


# runbook: P1-3A, P1-3B, P1-3C
def test_a_measure_is_planned_set_effective_after_a_restart_and_taken_back(configured: Host) -> None:
    host = configured
    found = config(host)
    assert (found["overrides"], found["in_force"], found["restart_needed"]) == ([], True, False)

    settings = {"PROCESSING_TIMEOUT": 600, "LOG_LEVEL": "DEBUG", "MAX_CONCURRENT_SESSIONS": "2"}
    planned = override(host, settings, check=True)
    assert [(one["steps"], one["stable"]["value"], one["stable"]["was"]) for one in planned["plan"]] == [
        (["P1-3C"], "DEBUG", "INFO"),
        (["P1-3B"], "2", None),
        (["P1-3A"], "600", "300"),
    ]
    assert planned["diff"]["before"] == "LOG_LEVEL=INFO\nPROCESSING_TIMEOUT=300\n"
    assert planned["diff"]["after"] == "LOG_LEVEL=DEBUG\nMAX_CONCURRENT_SESSIONS=2\nPROCESSING_TIMEOUT=600\n"
    assert host.root(f"ls {STATE}/overrides.* {OVERRIDES}") == ""

    done = override(host, settings, plan_hash=planned["hash"])
    assert (done["changed"], done["restart_needed"]) == (True, True)
    assert [one["effective"] for one in done["overrides"]] == [False] * 3
    assert host.root(f"stat -c '%U %a' {OVERRIDES} {STATE}/overrides.json") == "root 644\nmedia-ops 640"
    assert not override(host, settings)["changed"]
    assert running(host, "PROCESSING_TIMEOUT") == "300", "it does not restart"

    assert host.control("restarted", samples=2)["verified"]
    assert running(host, "PROCESSING_TIMEOUT") == "600"
    found = config(host)
    assert [(one["name"], one["was"], one["effective"]) for one in found["overrides"]] == [
        ("LOG_LEVEL", "INFO", True),
        ("MAX_CONCURRENT_SESSIONS", None, True),
        ("PROCESSING_TIMEOUT", "300", True),
    ]
    assert found["overrides"][0]["why"] == "most errors are timeouts"
    # The others it was given, and may never read.
    assert [one["shown_in"] for one in found["overrides"]] == ["journal", "", ""]
    assert not found["restart_needed"]

    back = config(host, "absent", names=["LOG_LEVEL", "PROCESSING_TIMEOUT"])
    assert (back["changed"], back["restart_needed"]) == (True, True)
    assert [one["name"] for one in back["overrides"]] == ["MAX_CONCURRENT_SESSIONS"]
    assert config(host, "absent", names=["all"])["overrides"] == []
    assert host.root(f"ls {OVERRIDES} {STATE}/overrides.json") == ""
    assert config(host)["restart_needed"], "the process still has them"
    assert host.control("restarted", samples=2)["verified"]
    assert (running(host, "PROCESSING_TIMEOUT"), running(host, "MAX_CONCURRENT_SESSIONS")) == ("300", "")
    assert not config(host)["restart_needed"]
    assert not config(host, "absent", names=["all"])["changed"]
    assert host.root("cat /etc/media-processing/service.env") == SETTINGS.strip()


def test_what_has_expired_is_said_and_taken_back_and_the_rest_stays(configured: Host) -> None:
    override(configured, {"LOG_LEVEL": "DEBUG"}, expires_in=1)
    override(configured, {"PROCESSING_TIMEOUT": 600})
    until(lambda: [one["expired"] for one in config(configured)["overrides"]] == [True, False])
    back = config(configured, "absent")
    assert "it has expired; it was set for: most errors are timeouts" in back["plan"][0]["why"]
    assert [one["name"] for one in back["overrides"]] == ["PROCESSING_TIMEOUT"]
    assert not config(configured, "absent")["changed"]


def test_a_measure_without_effect_is_refused(configured: Host) -> None:
    host = configured
    late = "/etc/media-processing/late.env"
    host.root(f"echo PROCESSING_TIMEOUT=1 >{late}; chgrp media {late}; chmod 0640 {late}")
    host.root(f"cat >{UNIT_FILE}.d/90-late.conf; systemctl daemon-reload", f"[Service]\nEnvironmentFile={late}\n")
    refused = override(host, {"PROCESSING_TIMEOUT": 600})
    assert refused["failed"]
    assert "reads another environment file after" in refused["msg"]
    host.root(f"rm {UNIT_FILE}.d/*; systemctl daemon-reload")
    refused = override(host, {"PROCESSING_TIMEOUT": 600})
    assert refused["failed"]
    assert "run the playbook media_ops.runbook.prepare_hosts" in refused["msg"]
    assert not config(host)["in_force"]
    assert host.root(f"ls {OVERRIDES}") == ""

    pid = host.show("MainPID")
    assert "changed=0" not in host.prepare("", "--check"), "check mode says that the drop-in is missing"
    assert host.root(f"ls {DROP_IN}") == ""
    host.prepare()
    assert host.show("MainPID") == pid, "the drop-in restarts nothing"
    assert config(host)["in_force"]
    assert "changed=0" in host.prepare()
    assert not override(host, {"PROCESSING_TIMEOUT": 600})["failed"]


def test_settings_of_somebody_else_stop_it(configured: Host) -> None:
    configured.root(f"echo LD_PRELOAD={CANARY} >{OVERRIDES}")
    found = config(configured)
    assert (found["overrides"], found["foreign"]) == ([], 1)
    refused = override(configured, {"LOG_LEVEL": "DEBUG"})
    assert "has 1 settings that were not made here" in refused["msg"]


def test_a_setting_that_the_host_does_not_allow_is_refused_there(configured: Host) -> None:
    """The site's list has grown since the host was prepared: root's own is what counts."""
    asked = {"NEW_SETTING": {"type": "int", "min": 1, "max": 9}}
    refused = override(configured, {"NEW_SETTING": 5}, allowed=asked)
    assert refused["failed"]
    assert "'NEW_SETTING' is not a setting that /etc/media-ops/overrides.json allows" in refused["msg"]
    assert config(configured)["overrides"] == []


def test_a_host_that_was_not_prepared_says_what_to_run(configured: Host) -> None:
    program = "/usr/local/libexec/media-ops/overrides"
    configured.root(f"mv {program} /root/kept")
    try:
        refused = override(configured, {"LOG_LEVEL": "DEBUG"}, check=True)
        assert refused["failed"]
        assert f"{program} is not on this host: run the playbook media_ops.runbook.prepare_hosts" in refused["msg"]
    finally:
        configured.root(f"mv /root/kept {program}")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (f"ExecStartPre=+/bin/true\n{CONFIGURED}", "some of its commands run with more rights"),
        (f"ExecStopPost=-!/bin/true\n{CONFIGURED}", "some of its commands run with more rights"),
        (f"{CONFIGURED}User=root\n", "it runs as root"),
        (f"{CONFIGURED}AmbientCapabilities=CAP_NET_RAW\n", "it has capabilities that its user does not have"),
        (f"{CONFIGURED}LoadCredential=key:/etc/hostname\n", "it is given credentials"),
        (f"{CONFIGURED}SetCredential=key:{CANARY}\n", "it is given credentials"),
    ],
)
def test_a_unit_by_which_overrides_would_give_root_gets_no_drop_in(host: Host, body: str, why: str) -> None:
    host.unit(body)
    try:
        assert why in host.prepare()
        assert host.root(f"ls {DROP_IN}") == ""
        assert OVERRIDES not in host.show("EnvironmentFiles")
    finally:
        host.unit(CONFIGURED)
        host.prepare()
    assert OVERRIDES in host.show("EnvironmentFiles")


def test_supplementary_groups_are_no_reason_against_overrides(host: Host) -> None:
    host.unit(f"{CONFIGURED}SupplementaryGroups=video\n")
    assert "reads no overrides" not in host.prepare()
    assert OVERRIDES in host.show("EnvironmentFiles")


# A service that systemd does not run.

RUNIT = """
install -d /srv/sv/media && cat >/srv/sv/media/run && chmod 0755 /srv/sv/media/run
systemd-run --quiet --unit=runit-of-a-test /usr/bin/runsvdir -P /srv/sv
"""
RUN = """#!/bin/sh
exec chpst -u media /usr/bin/python3 -m http.server --bind 127.0.0.1 --directory /srv/media-processing 8099
"""


# runbook: P0-3C, EM-R1
def test_a_service_below_runit_is_restarted_by_roots_program_alone(host: Host, tmp_path: Path) -> None:
    """Who listens on a port is seen as the service's user; the restart is root's, and takes nothing of the caller's."""
    command = ["/usr/bin/sv", "-w", "20", "restart", "/srv/sv/media"]
    options: dict[str, Any] = {"unit": "", "process": {"user": "media", "port": 8099}, "health": False}
    options |= {"restart_command": command, "restart_as_root": True, "timeout": 60}
    site: dict[str, Any] = {"policy_service_unit": "", "policy_service_process": {"port": 8099}}
    site |= {"policy_service_restart": command, "policy_service_restart_as_root": True}
    (tmp_path / "site.json").write_text(json.dumps(site), encoding="utf-8")
    try:
        host.root(RUNIT, RUN)
        until(lambda: host.root("ss -Hltn 'sport = :8099'") != "")
        before = host.control(**options)["service"]
        assert before["class"] == "running"
        assert str(before["main_pid"]) in host.root("sv status /srv/sv/media")
        assert "prepare_hosts" in host.control("restarted", check=True, **options)["refusals"][0]
        host.prepare("playbooks/prepare_hosts.yml", "-e", f"@{tmp_path / 'site.json'}")
        assert host.root("stat -c '%U %a' /etc/media-ops/restart.json") == "root 644"
        refused = host.control("restarted", **{**options, "restart_command": [*command[:-1], "/srv/sv/other"]})
        assert (refused["failed"], "root would run" in refused["msg"]) == (True, True)
        after = host.control("restarted", **options)
        assert after["verified"], after["msg"]
        assert before["main_pid"] != after["service"]["main_pid"] != 0
        host.root("sv -w 20 down /srv/sv/media")
        assert host.control(**options)["service"]["class"] == "dead"
        after = host.control("restarted", only_needed=True, **options)
        assert after["verified"], after["msg"]
        for more in ("x", "restart /srv/sv/other"):
            said = host.root(f"runuser -u media-ops -- sudo -n /usr/local/libexec/media-ops/restart {more} 2>&1")
            assert "password is required" in said
    finally:
        host.root("systemctl stop runit-of-a-test; rm -rf /srv/sv")
        host.prepare("playbooks/prepare_hosts.yml")
    assert host.root("ls /etc/media-ops /usr/local/libexec/media-ops | grep restart") == ""


# Evidence.


# runbook: P0-1C
def test_the_evidence_of_a_service_holds_none_of_its_secrets(configured: Host) -> None:
    """It prints them, has them in its arguments, logs them and has more of them in its unit."""
    host = configured
    logs = "/srv/media-processing/temp/logs"
    names = "application media_processing errors performance"
    host.root(
        f"install -d -o media -g media {logs}; cd {logs}; for name in {names}; do for line in $(seq 60); do "
        f'echo "{{\\"line\\": $line, \\"message\\": \\"tried {CANARY} again\\"}}"; done >$name.log; done'
    )
    host.unit(
        "EnvironmentFile=/etc/media-processing/service.env\n"
        f'Environment="API_TOKEN={CANARY} in two words" PLAIN=visible-only-by-name\n'
        'ExecStart=/bin/sh -c \'echo "using $AWS_SECRET_ACCESS_KEY now"; sleep 4000 & exec /usr/bin/python3 -c '
        '"import time; time.sleep(4000)" --password other-canary plain $AWS_SECRET_ACCESS_KEY\'\n',
        start=True,
    )
    until(lambda: "python3" in host.root(f"cat /proc/$(systemctl show --property=MainPID --value {UNIT})/cmdline"))
    documents = {"health_detailed": {"overall_status": "critical"}}
    options: dict[str, Any] = {"run_id": "run1", "log_dir": logs, "documents": documents}
    planned = host.call("evidence_bundle", check=True, **options)
    assert host.root(f"ls {STATE}/bundles") == ""
    found = host.call("evidence_bundle", **options)
    assert found["missing"] == planned["missing"] == []
    assert found["redaction"] == {"environment": "process", "secrets_known": 2}
    assert host.root(f"stat -c '%U %a' {found['path']}") == "media-ops 600"

    archive = base64.b64decode(host.root(f"base64 {found['path']}"))
    assert hashlib.sha256(archive).hexdigest() == found["sha256"]
    assert b"canary" not in gzip.decompress(archive)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {one.name.removeprefix("run1/"): tar.extractfile(one) for one in tar}
        text = {name: file.read().decode() for name, file in files.items() if file}
    assert [one["name"] for one in found["files"]] == sorted(set(text) - {"MANIFEST.json"})
    assert len(text["logs/errors.log"].splitlines()) == 60
    assert '"message": "tried [removed] again"' in text["logs/errors.log"]
    assert "using [removed] now" in text["service/journal.jsonl"]
    assert "ActiveState=active" in text["service/show.txt"]
    assert "Main PID" in text["service/status.txt"]
    assert "visible-only-by-name" not in text["service/show.txt"] + text["service/configuration.json"]

    configuration = json.loads(text["service/configuration.json"])
    own = {"PROCESSING_TIMEOUT": "300", "LOG_LEVEL": "INFO", "AWS_SECRET_ACCESS_KEY": "[removed]"}
    assert configuration["files"]["/etc/media-processing/service.env"] == own
    assert configuration["unit"] == {"API_TOKEN": "[removed]", "PLAIN": "[removed]"}
    processes = {one["name"]: one for one in json.loads(text["service/processes.json"]) if one["in_unit"]}
    assert processes["python3"]["argv"][-4:] == ["--password", "[removed]", "plain", "[removed]"]
    assert processes["sleep"]["ppid"] == processes["python3"]["pid"]
