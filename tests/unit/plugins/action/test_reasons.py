"""Why a module gave no answer reaches who asked: real modules, by interpreters that end badly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
# What a Python of 3.8 says of itself, and of our modules
OLD = (
    "case \"$*\" in *version_info*) echo 'version 3.8'; exit 0;; esac; "
    "echo \"TypeError: 'ABCMeta' object is not subscriptable\" >&2; exit 1"
)
RAISING = "import os\ndef opened(*_a, **_k):\n    raise ValueError('the disk of this host is odd')\nos.open = opened\n"


def said_by(tmp_path: Path, interpreter: str) -> str:
    """What a play says of action probe, on a host with this interpreter."""
    program = tmp_path / "python3"
    program.write_text(f"#!/bin/sh\n{interpreter}\n", encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text(RAISING, encoding="utf-8")
    ask = {"module": "guard", "args": {"state_dir": str(tmp_path)}}
    tasks = [
        {"name": "Ask", "media_ops.runbook.probe": ask, "register": "asked"},
        {"name": "Tell", "ansible.builtin.debug": {"msg": "SAID {{ asked.answer.msg | default('nothing') }} END"}},
    ]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), "utf-8")
    host = {"ansible_connection": "local", "ansible_python_interpreter": str(program)}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"media1": host}}}), "utf-8")
    ran = subprocess.run(
        ["ansible-playbook", "-i", tmp_path / "hosts.json", tmp_path / "play.yml"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return " ".join(ran.stdout.partition("SAID")[2].partition("END")[0].split())


@pytest.mark.parametrize(
    ("interpreter", "why"),
    [
        (f'PYTHONPATH="$(dirname "$0")/modules" exec {sys.executable} "$@"', "the disk of this host is odd"),
        (
            OLD,
            "Python 3.9 or newer is needed on the host",
        ),
        ("kill -9 $$", "was killed by signal 9"),
        ("exit 137", "was killed by signal 9 (rc 137)"),
        ('echo \'{"changed": false, "recent": [\'', "answer is cut off"),
        ("echo 'no memory left' >&2; exit 1", "no memory left"),
    ],
)
def test_a_module_that_ends_badly_has_a_reason(tmp_path: Path, interpreter: str, why: str) -> None:
    assert why in said_by(tmp_path, interpreter)
