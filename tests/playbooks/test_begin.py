"""Runs that would end well with hosts missing are not begun: with and without our ansible.cfg."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
PLAIN = "[defaults]\ncollections_path = {}\n"


def run(tmp_path: Path, *arguments: str, ours: bool = True) -> tuple[int, str]:
    """Exit code and all that was said."""
    site = tmp_path / "ansible.cfg"
    site.write_text(PLAIN.format(ROOT / "playbooks" / "collections"), encoding="utf-8")
    ran = subprocess.run(
        ["ansible-playbook", *arguments],
        cwd=tmp_path,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg" if ours else site),
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return ran.returncode, " ".join((ran.stdout + ran.stderr).split())


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "good.json"
    variables = {"report_dir": str(tmp_path / "reports"), "policy_state_dir": str(tmp_path / "state")}
    groups = {"media_hosts": {"hosts": {"m1": LOCAL}, "vars": variables}, "web": {"hosts": {"w1": LOCAL}}}
    path.write_text(json.dumps(groups), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("ours", [True, False], ids=["our_configuration", "another_configuration"])
@pytest.mark.parametrize(
    ("inventory", "said"),
    [
        ("localhost,", "media_hosts, which is no group and no host of the inventory"),
        ("nothere.yml", ""),
        ("broken.yml", ""),
        ("half", ""),
        ("empty.yml", "media_hosts has no host"),
    ],
)
def test_an_inventory_without_the_hosts_is_an_error(tmp_path: Path, inventory: str, said: str, *, ours: bool) -> None:
    (tmp_path / "broken.yml").write_text("media_hosts:\n  hosts:\n   h1: {ansible_host: 127.0.0.1\n", encoding="utf-8")
    (tmp_path / "half").write_text("[media_hosts]\nm1\n[brk]]\nm2\n", encoding="utf-8")
    (tmp_path / "empty.yml").write_text("media_hosts:\n  hosts: {}\n", encoding="utf-8")
    code, output = run(tmp_path, "-i", inventory, str(ROOT / "playbooks/watch_health.yml"), ours=ours)
    assert code in (1, 4), output
    assert "TASK [" not in output
    if said:
        assert said in output
    else:
        assert f"{inventory}" in output
        assert "could not be read to its end" in output or "Completely failed to parse" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-e", "media_ops_hosts=medai_hosts"], "names medai_hosts"),
        (
            ["-e", '{"media_ops_hosts": "{{ canary_hosts }}"}'],
            "media_ops_hosts cannot be used: 'canary_hosts' is undefined",
        ),
        (["--limit", "w1"], "--limit w1 leaves no host of media_hosts"),
        (["--limit", "m1,m9"], "--limit names m9"),
        (["--tags", "x"], "--tags x would leave out"),
        (["--skip-tags", "all"], "--skip-tags all would leave out"),
        (["--start-at-task", "Report"], "--start-at-task Report"),
        (["-e", "__report_written=x"], "-e __report_written"),
    ],
)
def test_an_option_that_leaves_out_hosts_or_tasks_is_an_error(
    tmp_path: Path, good: str, arguments: list[str], said: str
) -> None:
    code, output = run(tmp_path, "-i", good, *arguments, str(ROOT / "playbooks/daily_log_cleanup.yml"))
    assert (code, said in output, "TASK [" in output) == (4, True, False), output


def test_without_any_setting_the_verdict_and_the_report_appear_once(tmp_path: Path, good: str) -> None:
    code, output = run(
        tmp_path, "-i", good, "--limit", "m1,w1", "media_ops.runbook.daily_morning_health_check", ours=False
    )
    assert (code, output.count("UNKNOWN: Daily morning health check: 1 unknown. The run fails.")) == (2, 1), output
    assert output.count("Report: ") == 1
    assert "--limit names hosts outside of media_hosts, which this run leaves out: w1" in output


def test_an_undefined_name_inside_of_a_variable_is_no_default(tmp_path: Path, good: str) -> None:
    wrong = '{"media_ops_api_url": "http://127.0.0.1:{{ site_port }}/api"}'
    code, output = run(tmp_path, "-i", good, "-e", wrong, str(ROOT / "playbooks/daily_morning_health_check.yml"))
    assert (code, "'site_port' is undefined" in output) == (2, True), output
    assert "localhost:8000" not in output
    assert "UNKNOWN: Daily morning health check: 1 unknown" in output
