# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""report as Ansible runs it: for hosts that are anywhere, and quiet about what it writes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]
CONTENT = "canary-of-the-content"
CONTACTS = [{"area": "all", "name": CONTENT, "contact": "+00 1"}]
AWAY = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_become": True}


def play(tmp_path: Path, *arguments: str, **options: Any) -> tuple[int, str, dict[str, Any]]:
    """Exit code, all that was said, and the result of the task, on a host that cannot be reached."""
    task: dict[str, Any] = {
        "name": "Write",
        "media_ops.runbook.report": {
            "directory": str(tmp_path / "reports/check"),
            "check": "check",
            "title": "Check",
            **options,
        },
        "run_once": True,
        "register": "written",
    }
    keep = {
        "name": "Keep",
        "ansible.builtin.copy": {
            "content": "{{ written | to_json }}",
            "dest": str(tmp_path / "result.json"),
            "mode": "0600",
        },
        "delegate_to": "localhost",
        "vars": {"ansible_become": False},
        "check_mode": False,
    }
    plays = [{"name": "Report", "hosts": "all", "gather_facts": False, "tasks": [task, keep]}]
    (tmp_path / "play.yml").write_text(json.dumps(plays), encoding="utf-8")
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"away": AWAY}}}), encoding="utf-8")
    ran = subprocess.run(
        ["ansible-playbook", "-vvvv", "-i", tmp_path / "hosts.json", tmp_path / "play.yml", *arguments],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    kept = tmp_path / "result.json"
    return ran.returncode, ran.stdout + ran.stderr, json.loads(kept.read_text("utf-8")) if kept.exists() else {}


def test_it_writes_here_for_a_host_that_is_not_and_shows_no_content(tmp_path: Path) -> None:
    stays = tmp_path / "reports/check/20260101T000000Z/evidence"
    stays.mkdir(parents=True)
    code, said, planned = play(tmp_path, "--check", "--diff", contacts=CONTACTS, keep=1)
    assert code == 0, said
    assert [path.name for path in (tmp_path / "reports/check").iterdir()] == ["20260101T000000Z"]
    assert planned["ansible_stats"]["data"]["media_ops_summary"]["reports"] == []

    code, said, result = play(tmp_path, contacts=CONTACTS, keep=1)
    assert code == 0, said
    path = Path(result["path"])
    assert path.parent == tmp_path / "reports/check"
    assert CONTENT in (path / "report.md").read_text(encoding="utf-8")
    assert [Path(name).name for name in result["files"]] == ["report.html", "report.md", "result.json"]
    assert json.loads((path / "result.json").read_text(encoding="utf-8"))["state"] == "unknown"
    summary = result["ansible_stats"]["data"]["media_ops_summary"]
    assert (result["changed"], summary["reports"]) == (False, result["files"])
    assert CONTENT not in said
    assert "could not be removed: it holds a directory" in " ".join(said.split())
    assert stays.is_dir()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"keep": 0}, "option 'keep' is 0"),
        ({"fail_on": ["bad"]}, "Got no match for: bad"),
        ({"mode": "0777"}, "Unsupported parameters"),
    ],
)
def test_misuse_fails_and_names_the_option(tmp_path: Path, options: dict[str, Any], why: str) -> None:
    code, said, _none = play(tmp_path, **options)
    assert code == 2
    assert why in " ".join(said.split())
    assert "Traceback" not in said
    assert not (tmp_path / "reports").exists()
