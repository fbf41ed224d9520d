# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schedule on a control node with a real systemd: timers that fire, runs on record, and nothing left afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.metadata import distribution
from typing import Any

import pytest
from media_pipeline.client import wait_for

from tools.lab import Lab

from .conftest import ROOT

pytestmark = [pytest.mark.root, pytest.mark.slow]

# What the controller consists of, beside the standard library; nothing of it needs a compiled part for this.
CONTROLLER = (
    *("ansible-core", "ansible-runner", "Jinja2", "MarkupSafe", "PyYAML", "packaging", "resolvelib"),
    *("pexpect", "ptyprocess", "python-daemon", "lockfile"),
)
ANSIBLE = '#!/bin/sh\nexec env PYTHONPATH=/opt/ansible/lib /usr/bin/python3 -m ansible playbook "$@"\n'
PYTHON = '#!/bin/sh\nexec env PYTHONPATH=/opt/ansible/lib /usr/bin/python3 "$@"\n'
BOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.lineinfile:
        path: /home/ops/noted
        line: "{{ media_ops_scheduled_for }}"
        create: true
        mode: "0600"
    - ansible.builtin.set_stats:
        data:
          media_ops_summary: {hosts: [{host: here, state: ok, check: a}]}
"""
INVENTORY = {
    "all": {"hosts": {"here": {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}}}
}
SCHEDULE: dict[str, Any] = {
    "schedule_user": "ops",
    "schedule_dir": "/home/ops/schedule",
    "schedule_python": "/opt/ansible/python",
    "schedule_inventory": ["/opt/site/hosts.json"],
    "schedule_playbook_prefix": "/opt/site/",
    "schedule_project_dir": "/opt/site",
    "schedule_environment": {"ANSIBLE_LOCALHOST_WARNING": "false"},
    "schedule_procedures": [
        {"name": "watch_health", "every": 1},
        {"name": "weekly_performance_review", "at": "17:00", "weekday": "Fri"},
    ],
}


class Control:
    """A lab host that has this collection and a controller's Python packages."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.root = lab.hosts["control"].root
        library = self.root / "opt/ansible/lib"
        for name in CONTROLLER:
            for file in distribution(name).files or []:
                if ".." not in file.parts and "__pycache__" not in file.parts:
                    target = library / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(str(file.locate()), target)
        self._script("usr/bin/ansible-playbook", ANSIBLE)
        self._script("opt/ansible/python", PYTHON)
        for folder in ("playbooks", "plugins", "roles", "meta"):
            shutil.copytree(ROOT / folder, self.root / "opt/runbook" / folder, symlinks=True)
        shutil.copy(ROOT / "galaxy.yml", self.root / "opt/runbook")
        site = self.root / "opt/site"
        site.mkdir(parents=True)
        (site / "hosts.json").write_text(json.dumps(INVENTORY), encoding="utf-8")
        for procedure in SCHEDULE["schedule_procedures"]:
            (site / f"{procedure['name']}.yml").write_text(BOOK, encoding="utf-8")

    def _script(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(0o755)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.lab.exec("control", command, check=check, timeout=300)

    def schedule(self, *options: str, **more: Any) -> str:
        collections = "ANSIBLE_COLLECTIONS_PATH=/opt/runbook/playbooks/collections"
        command = ["ansible-playbook", "-i", "/opt/site/hosts.json", "/opt/runbook/playbooks/schedule.yml"]
        return self.run("env", collections, *command, *options, "-e", json.dumps({**SCHEDULE, **more})).stdout

    @property
    def timers(self) -> str:
        return self.run("systemctl", "list-timers", "--all", "--no-pager", "media-ops-run-*").stdout

    @property
    def records(self) -> list[dict[str, Any]]:
        path = self.root / "home/ops/schedule/runs.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


@pytest.fixture
def control(lab_name: str) -> Iterator[Control]:
    lab = Lab(f"{lab_name}-s")
    try:
        lab.up(["control"], "plain")
        yield Control(lab)
    finally:
        lab.down()


# runbook: AU-S1, AU-S2, AU-S3, AU-S4
def test_timers_fire_and_their_runs_are_on_record(control: Control) -> None:
    assert "changed=0" not in control.schedule("--check")
    assert "0 timers listed" in control.timers
    assert "failed=0" in control.schedule()
    assert "changed=0" in control.schedule()
    listed = control.timers
    assert "media-ops-run-watch_health.timer" in listed
    assert "media-ops-run-weekly_performance_review.timer" in listed
    assert "2 timers listed" in listed

    wait_for("a run by the timer", lambda: control.records, 150)
    record = control.records[0]
    assert (record["procedure"], record["status"], record["rc"]) == ("watch_health", "successful", 0)
    due, started = datetime.fromisoformat(record["due"]), datetime.fromisoformat(record["started"])
    assert due.second == 0
    assert timedelta() <= started - due < timedelta(minutes=1)
    noted = control.root / "home/ops/noted"
    assert noted.read_text(encoding="utf-8").splitlines()[0] == record["due"]
    assert noted.stat().st_uid == (control.root / "home/ops").stat().st_uid, "the run was the user's, not root's"
    shown = control.run(
        "runuser", "-u", "ops", "--", "/opt/ansible/python", "/home/ops/schedule/media_ops_run.py", "table"
    )
    assert "never ran" in shown.stdout
    assert "successful" in shown.stdout

    # A run that was missed is made up for at the next boot, and knows that it is late.
    control.run("systemctl", "stop", "media-ops-run-watch_health.timer")
    stamp = "/var/lib/systemd/timers/stamp-media-ops-run-weekly_performance_review.timer"
    control.run("touch", "-d", "15 days ago", stamp)
    control.lab.stop("control")
    control.lab.start("control")
    wait_for("the missed run", lambda: [r for r in control.records if r["procedure"].startswith("weekly")], 90)
    late = next(record for record in control.records if record["procedure"].startswith("weekly"))
    friday = datetime.fromisoformat(late["due"])
    assert (friday.weekday(), friday.hour, friday.minute) == (4, 17, 0)
    assert timedelta() <= datetime.fromisoformat(late["started"]) - friday < timedelta(days=7)

    assert "failed=0" in control.schedule(schedule_state="absent")
    assert "0 timers listed" in control.timers
    assert list((control.root / "etc/systemd/system").rglob("media-ops-run-*")) == []
    assert control.records, "the record stays"
