"""The filter as Ansible's templating calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.media_ops.runbook.plugins.filter.render_report import FilterModule

from tests import result_factory

ROOT = Path(__file__).parents[4]
ANSIBLE_PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))
RENDER = FilterModule().filters()["render_report"]


def test_an_error_is_a_filter_error_with_the_options_name() -> None:
    with pytest.raises(AnsibleFilterError, match="render_report: option 'schema_version' is 3"):
        RENDER({"schema_version": 3}, "report.html.j2")


def test_a_playbook_writes_both_reports_and_evaluates_nothing(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(result_factory.hostile()), encoding="utf-8")
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "connection": "local",
        "vars": {
            "ansible_python_interpreter": sys.executable,
            "result": "{{ lookup('ansible.builtin.file', 'result.json') | from_json }}",
        },
        "tasks": [
            {
                "ansible.builtin.copy": {
                    "content": f"{{{{ result | media_ops.runbook.render_report('{template}') }}}}",
                    "dest": str(tmp_path / template.name.removesuffix(".j2")),
                    "mode": "0600",
                }
            }
            for template in sorted((ROOT / "roles/report/templates").glob("report.*.j2"))
        ],
    }
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    run = subprocess.run(
        [ANSIBLE_PLAYBOOK, "-i", "localhost,", str(playbook)],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"), "ANSIBLE_NOCOLOR": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "WARNING" not in run.stderr.replace("implicit localhost", "")
    for name in ("report.html", "report.md"):
        made = (tmp_path / name).read_text(encoding="utf-8")
        assert "{{ 7 * 7 }}" in made.replace("\\*", "*")
        template = ROOT / f"roles/report/templates/{name}.j2"
        assert made.rstrip() == RENDER(result_factory.hostile(), str(template)).rstrip()
