# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role prepare: what it refuses before it changes anything, and the sudo rule it writes. Real hosts are molecule's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg.packages import CONFIGURE, UPDATE, reinstall
from ansible_collections.media_ops.runbook.plugins.module_utils.service.overrides import PROGRAM

ROOT = Path(__file__).resolve().parents[3]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKUVx6ww8RwnDMgXb9e/moh720S0KKB/PsXqKIhjz0dS someone@example.com"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----"
PROGRAMS = "media-ops ALL=(root) NOPASSWD: /usr/local/libexec/media-ops"
# What dpkg-query says of a host with ffmpeg
PACKAGES = [
    "ffmpeg ffmpeg ii ",
    "ffmpeg libavutil57 iHR",
    "ffmpeg libavcodec-extra59 ii ",
    "ffmpeg libavcodec59 un ",
    "ffmpeg libavutil-dev ii ",
    "ffmpeg libavutil57,ALL ii ",
    "x264 libx264-164 ii ",
]

# By host: the variables of a site, and what the refusal must say, beside that it is a Fedora.
REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "one": (
        {
            "prepare_user": "media ops",
            "prepare_libraries": ["psutil", "--reinstall"],
            "policy_state_dir": "/",
            "prepare_root_commands": ["/usr/bin/systemctl", "/usr/bin/systemctl restart *", "/bin/a b, /bin/sh"],
            "prepare_authorized_keys": [KEY, PRIVATE],
        },
        [
            "prepare_user is 'media ops'",
            "prepare_libraries is ['psutil', '--reinstall']",
            "policy_state_dir is '/'",
            '["/usr/bin/systemctl", "/usr/bin/systemctl restart *", "/bin/a b, /bin/sh"]',
            "prepare_authorized_keys has 1 entries",
        ],
    ),
    "two": (
        {
            "prepare_user": "ALL",
            "policy_state_dir": "/var/../etc",
            "prepare_root_commands": ["/bin/a b\nops ALL=ALL", "systemctl restart x", "/bin/a b"],
            "prepare_authorized_keys": [f"{KEY}\n{KEY}"],
        },
        [
            "prepare_user is 'ALL'",
            "policy_state_dir is '/var/../etc'",
            r'prepare_root_commands has ["/bin/a b\nops ALL=ALL", "systemctl restart x"]',
            "prepare_authorized_keys has 1 entries",
        ],
    ),
    "three": (
        {
            "prepare_user": "ops\nALL ALL=(ALL) NOPASSWD: ALL",
            "policy_state_dir": "state",
            "policy_service_user": "root",
            "policy_service_unit": "media*",
        },
        [
            "prepare_user is 'ops",
            "policy_state_dir is 'state'",
            "policy_service_user is 'root'",
            "policy_service_unit is 'media*'",
            "restart media*",
        ],
    ),
    "fedora": ({"prepare_authorized_keys": [KEY]}, []),
}
PLAYBOOK: list[dict[str, Any]] = [
    {
        "hosts": "good",
        "gather_facts": False,
        "vars_files": [
            f"{ROOT}/roles/{path}"
            for path in (
                "policy/defaults/main/site.yml",
                "policy/defaults/main/service.yml",
                "prepare/defaults/main.yml",
                "prepare/vars/main.yml",
            )
        ],
        "tasks": [
            {
                "name": "Write the rule",
                "ansible.builtin.template": {
                    "src": f"{ROOT}/roles/prepare/templates/sudoers.j2",
                    "dest": "{{ rule }}",
                    "mode": "0440",
                },
            },
            {
                "name": "Write that of a service without a unit",
                "ansible.builtin.template": {
                    "src": f"{ROOT}/roles/prepare/templates/sudoers.j2",
                    "dest": "{{ rule }}.{{ item }}",
                    "mode": "0440",
                },
                "vars": {
                    "policy_service_unit": "",
                    "policy_service_restart": ["/usr/bin/docker", "restart", "media"],
                    "policy_service_restart_as_root": "{{ item == 'as_root' }}",
                },
                "loop": ["as_root", "as_user"],
            },
        ],
    },
    # Last: with no host left, a run ends.
    {
        "hosts": "refused",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Be of another distribution",
                "ansible.builtin.set_fact": {
                    "os_family": "RedHat",
                    "distribution": "Fedora",
                    "distribution_version": "41",
                    "cacheable": True,
                },
            },
            {
                "name": "Prepare",
                "ansible.builtin.import_role": {"name": "media_ops.runbook.prepare", "rolespec_validate": False},
            },
        ],
    },
]


@dataclass
class Played:
    """One run over all cases: what each host was told when it failed, what changed, and the rule of the good one."""

    rule: Path
    output: str
    told: dict[str, list[str]] = field(default_factory=dict)
    changed: set[tuple[str, str]] = field(default_factory=set)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("prepare")
    rule = folder / "media-ops"
    inventory = {
        "all": {
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "children": {
                "refused": {"hosts": {host: variables for host, (variables, _whys) in REFUSED.items()}},
                "good": {
                    "hosts": {"fine": {"rule": str(rule), "__prepare_of_ffmpeg": {"stdout": "\n".join(PACKAGES)}}}
                },
            },
        }
    }
    run = ansible_runner.run(
        private_data_dir=str(folder),
        project_dir=str(ROOT),
        playbook=PLAYBOOK,
        inventory=inventory,
        envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        process_isolation=False,
        quiet=True,
        timeout=300,
    )
    found = Played(rule, run.stdout.read())
    for event in run.events:
        data = event.get("event_data", {})
        if event["event"] in ("runner_on_failed", "runner_item_on_failed"):
            found.told.setdefault(data["host"], []).append(data["res"]["msg"])
        if data.get("res", {}).get("changed"):
            found.changed.add((data["host"], data["task"]))
    return found


@pytest.mark.parametrize("host", REFUSED)
def test_it_refuses_and_says_why(played: Played, host: str) -> None:
    (message,) = played.told[host]
    whys = [*REFUSED[host][1], f"{host} runs Fedora 41, and this role prepares Debian and Ubuntu only"]
    assert [why for why in whys if why not in message] == []
    assert len(message.split("; ")) == len(whys), "and nothing else"


def test_what_is_refused_changes_nothing(played: Played) -> None:
    assert played.changed == {("fine", "Write the rule"), ("fine", "Write that of a service without a unit")}


def test_a_private_key_is_not_shown(played: Played) -> None:
    assert any("prepare_authorized_keys has" in message for message in played.told["one"])
    assert PRIVATE not in played.output


def test_the_rule_grants_this_and_no_more(played: Played) -> None:
    lines = [line for line in played.rule.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    unit = "media-processing-service"
    assert lines == [
        "Defaults:media-ops env_reset, !setenv, !env_keep",
        "media-ops ALL=(media) NOPASSWD: /bin/sh",
        *(
            f"media-ops ALL=(root) NOPASSWD: /usr/bin/systemctl {verb} {unit}"
            for verb in ("restart", "kill", r"kill --signal\=SIGKILL", "start", "reset-failed")
        ),
        f'{PROGRAMS}/overrides ""',
        f"{PROGRAMS}/packages update",
        f"{PROGRAMS}/packages configure",
        f"{PROGRAMS}/packages reinstall ffmpeg",
        # What the host has of ffmpeg's source package, and no header, no other source's, none that was removed
        f"{PROGRAMS}/packages reinstall libavcodec-extra59",
        f"{PROGRAMS}/packages reinstall libavutil57",
    ]


@pytest.mark.parametrize("who", ["as_root", "as_user"])
def test_of_a_service_without_a_unit_the_rule_grants_no_systemctl_and_a_restart_without_arguments(
    played: Played, who: str
) -> None:
    text = Path(f"{played.rule}.{who}").read_text(encoding="utf-8")
    assert ("systemctl" in text, "overrides" in text) == (False, False)
    assert (f'{PROGRAMS}/restart ""\n' in text) == (who == "as_root")
    assert "docker" not in text


def test_the_rule_allows_what_the_modules_run(played: Played) -> None:
    granted = {
        line.partition("NOPASSWD: ")[2].replace("\\", "")
        for line in played.rule.read_text(encoding="utf-8").splitlines()
    }
    for command in ((PROGRAM, '""'), UPDATE, CONFIGURE, reinstall("ffmpeg"), reinstall("libavutil57")):
        assert " ".join(command) in granted


def test_visudo_accepts_the_rule(played: Played) -> None:
    visudo = shutil.which("visudo", path=f"{os.environ['PATH']}:/usr/sbin")
    if not visudo:
        pytest.skip("no visudo here: sudo is not installed")
    done = subprocess.run([visudo, "-cf", played.rule], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
