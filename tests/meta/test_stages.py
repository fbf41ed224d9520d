"""tools/stages.py: a failure anywhere must show in the exit code and in the last line."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.session_site import eventually
from tools import stages
from tools.stages import Stage, main


def python(name: str, code: str, *, check: bool = True, paired: bool = False, limit_s: int = 60) -> Stage:
    return Stage(name, (sys.executable, "-c", code), check=check, paired=paired, limit_s=limit_s)


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


# Says that it is there and waits for the other: they end only when they run at the same time.
MEET = """
import pathlib, sys, time
mine, other = map(pathlib.Path, {files})
print(mine.name, "begins", flush=True)
mine.touch()
deadline = time.monotonic() + 50
while not other.exists():
    assert time.monotonic() < deadline
    time.sleep(0.01)
print(mine.name, "ends")
"""


def test_neighbours_that_are_paired_run_together_and_say_what_they_say_whole(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    pair = [python(Path(a).name, MEET.format(files=(a, b)), paired=True) for a, b in ((one, two), (two, one))]
    after = python("after", "import pathlib, sys; print([p.name for p in sorted(pathlib.Path(sys.argv[1]).iterdir())])")
    after = dataclasses.replace(after, command=(*after.command, str(tmp_path)))
    failing = dataclasses.replace(BAD, paired=True)
    code, lines = summary(monkeypatch, capfd, *pair, after, failing)
    assert (code, lines[-1]) == (1, "3 passed, 1 failed")
    for name in ("one", "two"):
        head = next(at for at, line in enumerate(lines) if line.startswith(f"=== {name}: "))
        begins = lines.index(f"{name} begins")
        assert lines.index(f"... {name} runs") < head < begins == lines.index(f"{name} ends") - 1
        assert not [line for line in lines[head + 1 : begins] if line.startswith(("...", "==="))]
    assert lines.index("['one', 'two']") > max(lines.index("one ends"), lines.index("two ends")), (
        "alone, and after them"
    )
    assert [line.split()[3] for line in lines if line.startswith(("ok  ", "FAILED  "))] == [
        "one",
        "two",
        "after",
        "bad",
    ]


@pytest.mark.parametrize("paired", [True, False])
def test_an_interrupt_ends_what_runs_and_begins_no_more(tmp_path: Path, paired: bool) -> None:
    endless = f"import os, pathlib, time; pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch(); time.sleep(600)"
    own_session = f"[sys.executable, '-c', {endless!r}], start_new_session=True"
    starts_another = f"import subprocess, sys; subprocess.run({own_session})"
    made = [python(f"s{n}", starts_another, paired=paired) for n in range(4)]
    program = f"import sys; from tools import stages; from tools.stages import Stage; stages.STAGES = {made!r}; "
    running = subprocess.Popen(
        [sys.executable, "-c", program + "sys.exit(stages.main(['test']))"],
        cwd=stages.ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually("stages run", lambda: len(list(tmp_path.iterdir())) == 1 + paired)
        running.send_signal(signal.SIGINT)
        assert running.wait(30) != 0
    finally:
        running.kill()
        running.wait()
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == 1 + paired
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


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
