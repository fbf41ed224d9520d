"""tools/stages.py: a failure anywhere must show in the exit code and in the last line."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tools import stages
from tools.stages import Stage, main


def python(name: str, code: str, *, check: bool = True, limit_s: int = 60) -> Stage:
    return Stage(name, (sys.executable, "-c", code), check=check, limit_s=limit_s)


GOOD = python("good", "print('fine')")
BAD = python("bad", "print('it is broken'); raise SystemExit(3)")
LEFT_OUT = python("left", "print('root is needed'); raise SystemExit(77)")


def summary(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    *chosen: Stage,
    argv: tuple[str, ...] = ("test",),
) -> tuple[int, list[str]]:
    monkeypatch.setattr(stages, "STAGES", chosen)
    code = main([*argv])
    return code, capfd.readouterr().out.splitlines()


@pytest.fixture(autouse=True)
def _not_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def test_all_stages_run_and_one_failure_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code, lines = summary(monkeypatch, capfd, BAD, GOOD)
    assert code == 1
    assert lines[-1] == "1 passed, 1 failed"
    assert any(line.startswith("FAILED") and line.endswith("it is broken") for line in lines)
    assert "fine" in lines


def test_good_stages_pass(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    code, lines = summary(monkeypatch, capfd, GOOD, GOOD)
    assert (code, lines[-1]) == (0, "2 passed, 0 failed")


def test_left_out_stage_says_why_and_fails_on_ci(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code, lines = summary(monkeypatch, capfd, GOOD, LEFT_OUT)
    assert (code, lines[-1]) == (0, "1 passed, 0 failed, 1 skipped")
    assert any(line.startswith("left out") and line.endswith("root is needed") for line in lines)
    monkeypatch.setenv("CI", "true")
    code, lines = summary(monkeypatch, capfd, GOOD, LEFT_OUT)
    assert (code, lines[-1]) == (1, "1 passed, 1 failed")


def test_stage_without_end_is_ended(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    endless = python("endless", "import time; print('started', flush=True); time.sleep(600)", limit_s=1)
    code, lines = summary(monkeypatch, capfd, endless)
    assert (code, lines[-1]) == (1, "0 passed, 1 failed")
    assert any(line.endswith("no end within 1 s") for line in lines)


def test_what_a_stage_leaves_running_does_not_hold_the_run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import subprocess, sys;"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True).pid)"
    )
    started = time.monotonic()
    outcome, lines = summary(monkeypatch, capfd, python("leaves", code))
    os.kill(int(lines[2]), signal.SIGKILL)
    assert (outcome, lines[-1]) == (0, "1 passed, 0 failed")
    assert time.monotonic() - started < 50


def test_tests_of_pytest_are_counted(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "@pytest.fixture\ndef broken(): raise ValueError\n"
        "def test_error(broken): pass\n"
        "@pytest.mark.skip\ndef test_skipped(): pass\n",
        encoding="utf-8",
    )
    code, lines = summary(monkeypatch, capfd, Stage("some", ("pytest", "-q", "-n", "0", str(tmp_path))))
    assert (code, lines[-1]) == (1, "1 passed, 2 failed, 1 skipped")


def test_no_test_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, lines = summary(monkeypatch, capfd, Stage("none", ("pytest", "-q", "-n", "0", str(tmp_path))))
    assert (code, lines[-1]) == (1, "0 passed, 1 failed")


def test_check_runs_the_fast_stages_and_names_choose(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    slow = python("slow", "raise SystemExit(1)", check=False)
    assert summary(monkeypatch, capfd, GOOD, slow, argv=("check",))[0] == 0
    assert summary(monkeypatch, capfd, GOOD, BAD, argv=("test", "good"))[0] == 0
    assert summary(monkeypatch, capfd, GOOD, slow, argv=("check", "slow"))[0] == 2


def test_settings_of_the_caller_do_not_leak(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "json")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    show = python("show", "import os; print(sorted(k for k in os.environ if k.startswith(('ANSIBLE_', 'GIT_'))))")
    assert "[]" in summary(monkeypatch, capfd, show)[1]
