"""`make demo` as a newcomer runs it: each fault gives its verdict, and whatever ends it, nothing is left running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from demo_services import SERVICES

from tests.playbooks.conftest import ROOT

pytestmark = pytest.mark.playbook
MARK = "MEDIA_OPS_TEST_DEMO"  # in the environment of everything that the demo starts
# Those that are mended here, each in one of the services, and one that is a person's; `make test STAGES=demo` has all.
SHOWN = [("pipeline", ""), ("pipeline", "stuck"), ("pipeline", "down"), ("plain", "disk"), ("other", "clips")]
ALL = [(name, fault) for name, service in SERVICES.items() for fault in service.faults]


def start(tmp_path: Path, fault: str, service: str = "pipeline") -> subprocess.Popen[str]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    given = [f"SERVICE={service}", f"FAULT={fault}", "--reports", str(tmp_path / "reports")]
    return subprocess.Popen(
        [sys.executable, "sandbox/demo.py", *given],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch), MARK: str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def left_running(tmp_path: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get(MARK) == str(tmp_path)
            if mine and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found


def wait_until_nothing_runs(tmp_path: Path) -> None:
    deadline = time.monotonic() + 30
    while (found := left_running(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == []
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "fault"),
    [pytest.param(*one, marks=[] if one in SHOWN else [pytest.mark.every_demo]) for one in ALL],
)
def test_each_fault_is_mended_or_is_a_persons(tmp_path: Path, name: str, fault: str) -> None:
    process = start(tmp_path, fault, name)
    output, _none = process.communicate(timeout=600)
    assert process.returncode == 0, output
    told = SERVICES[name].faults[fault]
    verdict = told.verdict.upper()
    assert f"The verdict was {verdict}; the check ended with exit code {0 if verdict == 'OK' else 2}." in output
    assert f"\n{verdict}: Daily morning health check: " in output
    reports = [line.split()[-1] for line in output.splitlines() if line.endswith("/report.html") and ":   " in line]
    assert len(reports) == (3 if told.after else len(reports))
    assert reports
    for shown in reports:
        assert "<html" in Path(shown).read_text(encoding="utf-8")
    assert "Traceback" not in output
    assert "NO MORE SO" not in output
    assert ("\nMended: " in output) == bool(told.after)
    assert ("\nNot mended here:   " in output) == bool(told.person)
    assert ("make demo SERVICE=plain" in output) == (fault == "")
    wait_until_nothing_runs(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["Having it work on", "TASK [media_ops.runbook.healthcheck"])
def test_whatever_ends_it_nothing_is_left_running(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    process = start(tmp_path, "")
    assert process.stdout
    seen = []
    for line in process.stdout:
        seen.append(line)
        if moment in line:
            break
    else:
        pytest.fail("".join(seen))
    assert left_running(tmp_path)
    process.send_signal(number)
    rest = process.communicate(timeout=120)[0]
    assert process.returncode == 128 + number
    # Ansible's own handler can trip over a worker that it forks at that moment; nothing of ours may.
    assert not re.findall(r'File "(?!.*/site-packages/)[^"]*(?:demo|media_pipeline|media_ops)[^"]*"', rest)
    wait_until_nothing_runs(tmp_path)


def test_an_unknown_fault_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    process = start(tmp_path, "floods")
    output, _none = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "FAULT is 'floods'; it can be stuck, disk, down, ffmpeg, clips, token, or nothing" in output
