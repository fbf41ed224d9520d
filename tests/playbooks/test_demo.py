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

from tests.playbooks.conftest import ROOT

pytestmark = pytest.mark.playbook
MARK = "MEDIA_OPS_TEST_DEMO"  # in the environment of everything that the demo starts
VERDICTS = {
    "": "OK",
    "ffmpeg": "CRITICAL",
    "clips": "CRITICAL",
    "stuck": "CRITICAL",
    "token": "UNKNOWN",
    "down": "UNKNOWN",
}


def start(tmp_path: Path, fault: str) -> subprocess.Popen[str]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "sandbox/demo.py", f"FAULT={fault}", "--reports", str(tmp_path / "reports")]
    return subprocess.Popen(
        command,
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


@pytest.mark.parametrize("fault", VERDICTS)
def test_each_fault_gives_its_verdict_and_says_where_the_report_is(tmp_path: Path, fault: str) -> None:
    process = start(tmp_path, fault)
    output, _none = process.communicate(timeout=400)
    assert process.returncode == 0, output
    verdict = VERDICTS[fault]
    assert f"The verdict is {verdict}; the check ended with exit code {0 if verdict == 'OK' else 2}." in output
    assert f"\n{verdict}: Daily morning health check: " in output
    (shown,) = (line.split()[-1] for line in output.splitlines() if line.startswith("Read the report:"))
    assert "<html" in Path(shown).read_text(encoding="utf-8")
    assert "Traceback" not in output
    assert ("make demo FAULT=ffmpeg" in output) == (fault == "")
    wait_until_nothing_runs(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["it listens on", "TASK [media_ops.runbook.healthcheck"])
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
    assert "FAULT is 'floods'; it can be ffmpeg, clips, stuck, token, down, or nothing" in output
