"""The callback in real runs, beside several stdout callbacks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.result import summarise

from tests import result_factory

ROOT = Path(__file__).parents[4]
ANSIBLE_PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))
SUMMARY = summarise(result_factory.mixed(), ["/reports/report.html"])
VERDICT = "CRITICAL: Daily morning health check: 1 critical, 2 unknown, 1 ok."
# Writes one JSON document to standard output, as the callbacks for programs do.
JSON_CALLBACK = '''
DOCUMENTATION = """
name: somejson
type: stdout
short_description: JSON
description: [JSON]
"""
import json
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "somejson"

    def v2_playbook_on_stats(self, stats):
        self._display.display(json.dumps({"hosts": sorted(stats.processed)}))
'''


def run(tmp_path: Path, *data: dict[str, Any], **environment: str) -> subprocess.CompletedProcess[str]:
    """A playbook for each of the data, all of them in one run: each has its own end, and so its own table."""
    playbooks = [f"play{number}.yml" for number in range(len(data))]
    for name, one in zip(playbooks, data, strict=True):
        task = {"ansible.builtin.set_stats": {"data": one, "per_host": False, "aggregate": False}}
        play = {"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": [task]}
        (tmp_path / name).write_text(json.dumps([play]), encoding="utf-8")
    (tmp_path / "cb").mkdir(exist_ok=True)
    (tmp_path / "cb/somejson.py").write_text(JSON_CALLBACK, encoding="utf-8")
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MEDIA_OPS_", "COLUMNS"))
    }
    return subprocess.run(
        [ANSIBLE_PLAYBOOK, "-i", "localhost,", *playbooks],
        cwd=tmp_path,
        env={
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"),
            "ANSIBLE_CALLBACKS_ENABLED": "media_ops.runbook.verdicts",
            "ANSIBLE_CALLBACK_PLUGINS": str(tmp_path / "cb"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def summary(**changes: Any) -> dict[str, Any]:
    return {"media_ops_summary": {**SUMMARY, **changes}}


@pytest.mark.parametrize("stdout", ["default", "minimal", "oneline"])
def test_the_table_stands_at_the_end(tmp_path: Path, stdout: str) -> None:
    done = run(tmp_path, summary(), ANSIBLE_STDOUT_CALLBACK=stdout)
    assert done.returncode == 0, done.stderr
    assert VERDICT in done.stdout
    assert done.stdout.rindex("PLAY RECAP") < done.stdout.index("STATE    HOST") if stdout == "default" else True
    tail = done.stdout[done.stdout.index("STATE    HOST") :]
    assert "\x1b" not in tail
    assert all(len(line) <= 80 for line in tail.splitlines())
    assert tail.rstrip().endswith("(media4)")


def test_json_on_standard_output_stays_whole(tmp_path: Path) -> None:
    done = run(tmp_path, summary(), ANSIBLE_STDOUT_CALLBACK="somejson")
    assert json.loads(done.stdout) == {"hosts": ["localhost"]}
    assert VERDICT in done.stderr


def test_where_it_is_printed_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text(
        "[callback_media_ops_verdicts]\noutput = stderr\nwidth = 60\n", encoding="utf-8"
    )
    by_ini = run(tmp_path, summary())
    assert VERDICT not in by_ini.stdout
    assert "CRITICAL: Daily morning health check" in by_ini.stderr
    assert max(len(line) for line in by_ini.stderr.splitlines() if "media" in line and "playbook" not in line) <= 60
    off = run(tmp_path, summary(), MEDIA_OPS_VERDICTS_OUTPUT="none")
    assert "STATE" not in off.stdout + off.stderr
    wrong = run(tmp_path, summary(), MEDIA_OPS_VERDICTS_OUTPUT="moon")
    assert "moon" in wrong.stderr + wrong.stdout


def test_colours_follow_ansibles_settings_and_stay_out_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "ansible.log"
    done = run(tmp_path, summary(), ANSIBLE_FORCE_COLOR="1", ANSIBLE_LOG_PATH=str(log), COLUMNS="100")
    assert re.search(r"\x1b\[[\d;]+mCRITICAL\x1b\[0m media2", done.stdout)
    assert re.search(r"\x1b\[[\d;]+mUNKNOWN\x1b\[0m  media3", done.stdout)
    logged = log.read_text(encoding="utf-8")
    assert VERDICT in logged
    assert "\x1b" not in logged


def test_whatever_the_summary_is_there_is_no_traceback(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        {"other": 1},
        {"media_ops_summary": None},
        {"media_ops_summary": [1]},
        summary(schema_version=9),
        summary(hosts=5, next="x", reports={"a": 1}, title=["t"], state=None, failed="?"),
        summary(),
    )
    assert done.returncode == 0
    assert not re.search("Traceback|Failure using method|WARNING", done.stdout + done.stderr)
    tables = re.split(r"PLAY RECAP .*\n.*\n", done.stdout)[1:]
    assert len(tables) == 6, "each playbook has its own end"
    assert [VERDICT in table for table in tables] == [False] * 5 + [True]
    assert "schema_version 9" in tables[3]
