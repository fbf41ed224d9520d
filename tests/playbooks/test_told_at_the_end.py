"""What ends a run before its report: a verdict for each host, the report, and people told all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.receiver import Receiver, receiver

ROOT = Path(__file__).resolve().parents[2]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
HOSTS = ("m1", "m2")
NO_SUDO = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"


def run(tmp_path: Path, seen: Receiver, playbook: str, *arguments: str, **site: Any) -> tuple[int, str]:
    """Exit code and all that was said, in one line."""
    channel = {"name": "operations", "type": "slack", "url": seen.slack_url}
    settings = {
        "report_dir": str(tmp_path / "reports"),
        "policy_state_dir": str(tmp_path / "state"),
        "report_channels": [channel],
        **site,
    }
    path = tmp_path / "hosts.json"
    path.write_text(
        json.dumps({"media_hosts": {"hosts": dict.fromkeys(HOSTS, LOCAL), "vars": settings}}), encoding="utf-8"
    )
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "bin" / "sudo").write_text(NO_SUDO, encoding="utf-8")
    (tmp_path / "bin" / "sudo").chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    ran = subprocess.run(
        ["ansible-playbook", "-i", str(path), *arguments, str(ROOT / "playbooks" / f"{playbook}.yml")],
        env={
            **kept,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return ran.returncode, " ".join((ran.stdout + ran.stderr).split())


def told(seen: Receiver) -> str:
    return json.dumps([one.body for one in seen.accepted])


@pytest.mark.parametrize(
    ("site", "arguments", "reason"),
    [
        ({"ansible_become": True, "ansible_become_user": "nobody"}, [], "a password is required"),
        ({"policy_error_rate_critical": "10%"}, [], "policy_error_rate_critical"),
        ({}, ["-e", '{"policy_state_dir": "{{ nowhere }}"}'], "nowhere"),
        ({"policy_checks": "x"}, [], "policy_checks"),
    ],
    ids=["no_sudo", "no_number", "undefined", "no_table"],
)
def test_where_all_hosts_fail_each_is_unknown_and_people_are_told(
    tmp_path: Path, site: dict[str, Any], arguments: list[str], reason: str
) -> None:
    with receiver() as seen:
        code, output = run(tmp_path, seen, "watch_health", *arguments, **site)
        said = told(seen)
    assert (code, "UNKNOWN: Health watch: 2 unknown. The run fails." in output) == (2, True), output
    assert reason in output
    assert all(host in said for host in HOSTS), output
    result = json.loads((tmp_path / "reports/watch_health/latest/result.json").read_text(encoding="utf-8"))
    assert {host["host"]: host["state"] for host in result["hosts"]} == dict.fromkeys(HOSTS, "unknown")
    assert reason in json.dumps(result)


@pytest.mark.parametrize("playbook", ["incident_response", "emergency_disk_cleanup", "weekly_log_management"])
def test_a_lost_sudo_rule_is_the_hosts_verdict_where_things_are_done_too(tmp_path: Path, playbook: str) -> None:
    with receiver() as seen:
        site = {"ansible_become": True, "ansible_become_user": "nobody"}
        code, output = run(tmp_path, seen, playbook, "-e", "incident_mode=apply", **site)
    assert (code, "2 unknown" in output or "2 critical" in output) == (2, True), output
    assert "a password is required" in output
    assert output.count("Report: ") == 1
