"""Runs playbooks through ansible-runner, as schedules and AWX do, and reads what they left."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.moved_clock import MovedClock, missing_reason

ROOT = Path(__file__).resolve().parents[2]
TOKEN_VARIABLE = "MEDIA_OPS_API_TOKEN"
REACHED = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


@dataclass(frozen=True)
class Run:
    """A playbook that has run."""

    code: int
    output: str
    report_dir: Path
    artifacts: Path
    events: list[dict[str, Any]]

    def result(self, check: str = "daily_morning") -> dict[str, Any]:
        path = self.report_dir / check / "latest" / "result.json"
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return loaded

    def states(self, check: str = "daily_morning") -> dict[str, str]:
        return {host["host"]: host["state"] for host in self.result(check)["hosts"]}

    def verdict(self, host: str, name: str, check: str = "daily_morning") -> dict[str, Any]:
        found = next(entry for entry in self.result(check)["hosts"] if entry["host"] == host)
        return next(verdict for verdict in found["verdicts"] if verdict["check"] == name)

    def facts(self, task: str) -> dict[str, Any]:
        """What a task returned, by host."""
        return {
            event["event_data"]["host"]: event["event_data"]["res"]
            for event in self.events
            if event["event"] in ("runner_on_ok", "runner_on_failed") and event["event_data"]["task"] == task
        }

    @property
    def changed(self) -> list[str]:
        return [
            event["event_data"]["task"]
            for event in self.events
            if event["event"] == "runner_on_ok" and event["event_data"]["res"].get("changed")
        ]


Play = Callable[..., Run]


class OneByOne(LoadScopeScheduling):  # type: ignore[misc]
    """Each test goes to the next free worker; those of the five weeks, played once for all of a file, first.

    (Marks of xdist for this, `xdist_group`, have no effect with pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if is_of_five_weeks(nodeid) else nodeid


def is_of_five_weeks(nodeid: str) -> bool:
    return Path(nodeid.partition("::")[0]).name.startswith("test_five_weeks")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The five weeks take longest, so that the other workers give way to them."""
    if "PYTEST_XDIST_WORKER" in os.environ and not is_of_five_weeks(item.nodeid):
        os.setpriority(os.PRIO_PROCESS, 0, 5)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneByOne:
    return OneByOne(config, log)


@pytest.fixture
def clock(tmp_path: Path) -> MovedClock:
    """A clock for runs that get its environment, by which files are as old as a test wants them."""
    if reason := missing_reason():
        pytest.skip(reason)
    return MovedClock(tmp_path / "clock")


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Run a playbook of the collection on hosts given by their variables."""
    count = 0

    def run(
        playbook: str,
        hosts: Mapping[str, Mapping[str, Any]],
        *options: str,
        token: str = "",
        cwd: Path = ROOT,
        expected_warning: str | tuple[str, ...] = "",
        environment: Mapping[str, str] | None = None,
        **variables: Any,
    ) -> Run:
        nonlocal count
        count += 1
        private = tmp_path / f"run{count}"
        private.mkdir()
        inventory = private / "hosts.json"
        site = {
            "report_dir": str(tmp_path / "reports"),
            "policy_state_dir": str(tmp_path / "state"),
            "policy_mutes_dir": str(tmp_path / "mutes"),
            "media_ops_api_token": f"{{{{ lookup('ansible.builtin.env', '{TOKEN_VARIABLE}') }}}}",
            **variables,
        }
        inventory.write_text(json.dumps({"media_hosts": {"hosts": hosts, "vars": site}}), encoding="utf-8")
        runner = ansible_runner.run(
            private_data_dir=str(private),
            project_dir=str(cwd),
            playbook=playbook,
            inventory=str(inventory),
            cmdline=shlex.join(options) or None,
            envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), TOKEN_VARIABLE: token, **(environment or {})},
            settings={"suppress_ansible_output": True},
            timeout=300,
        )
        output = runner.stdout.read()
        expected = (expected_warning,) if isinstance(expected_warning, str) else expected_warning
        warned = [
            line
            for line in re.sub(r"\x1b\[[0-9;]*m", "", output).splitlines()
            if re.match(r"\[(WARNING|DEPRECATION WARNING)\]", line)
            and not any(text and text in line for text in expected)
        ]
        assert warned == [], "warnings of Ansible are failures"
        return Run(int(runner.rc), output, tmp_path / "reports", private / "artifacts", list(runner.events))

    return run


def closed_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
