"""tools/stages.py: a failure anywhere must show in the exit code and in the last line."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
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


# What a stage may start: a process with a session of its own, and one whose parent has ended. Each notes its pid.
TREE = """
import os, pathlib, signal, subprocess, sys, time
def start(*arguments):
    return subprocess.Popen([sys.executable, __file__, *arguments], start_new_session=True)
def note(directory):
    pathlib.Path(directory, str(os.getpid())).touch()
def test_tree():
    directory = os.environ["PIDS"]
    start("leave", directory).wait()
    start("stay", directory)
    note(directory)
    time.sleep(600)
if __name__ == "__main__":
    if sys.argv[1] == "leave":
        start("stay", sys.argv[2])
        sys.exit()
    if sys.argv[1] == "deaf":
        signal.signal(signal.SIGTERM, lambda *_: pathlib.Path(sys.argv[2] + "-told").touch())
    note(sys.argv[2])
    while True:
        time.sleep(600)
"""


class Interrupted:
    """Stages that run as a program, in which so many processes note their pids."""

    def __init__(self, tmp_path: Path, made: list[Stage], number: int) -> None:
        self.pids = tmp_path / "pids"
        self.pids.mkdir()
        self._number = number
        code = f"import sys; from tools import stages; from tools.stages import Stage; stages.STAGES = {made!r}; "
        self.running = subprocess.Popen(
            [sys.executable, "-c", code + "sys.exit(stages.program(['test']))"],
            cwd=stages.ROOT,
            env={**os.environ, "PIDS": str(self.pids)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def by(self, *signals: signal.Signals, between: Callable[[], object] = lambda: None) -> tuple[int, list[int]]:
        """Send signals, one after the other: the exit code, and which of the processes are left."""
        try:
            eventually("all run", lambda: len(list(self.pids.iterdir())) == self._number, 60)
            for one in signals:
                self.running.send_signal(one)
                if one is not signals[-1]:
                    eventually("the first is heard", between)
            code = self.running.wait(stages.GRACE_S / 2)
        finally:
            self.running.kill()
            self.running.wait()
            left = [int(path.name) for path in self.pids.iterdir() if _lives(int(path.name))]
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        assert len(list(self.pids.iterdir())) == self._number, "no more stages were begun"
        return code, left


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("paired", [True, False])
def test_a_signal_ends_what_runs_and_begins_no_more(tmp_path: Path, paired: bool, number: signal.Signals) -> None:
    (tmp_path / "tree.py").write_text(TREE, encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import tree; tree.test_tree()"
    made = [python(f"s{n}", code, paired=paired) for n in range(4)]
    assert Interrupted(tmp_path, made, 3 * (1 + paired)).by(number) == (128 + number, [])


def test_a_signal_ends_a_stage_of_pytest_with_its_workers(tmp_path: Path) -> None:
    (tmp_path / "test_tree.py").write_text(TREE, encoding="utf-8")
    stage = stages.pytest("tree", "-p", "no:cacheprovider", str(tmp_path / "test_tree.py"))
    assert Interrupted(tmp_path, [stage], 3).by(signal.SIGTERM) == (143, [])


def test_a_second_signal_waits_for_nobody(tmp_path: Path) -> None:
    (tmp_path / "tree.py").write_text(TREE, encoding="utf-8")
    stage = Stage("deaf", (sys.executable, str(tmp_path / "tree.py"), "deaf", str(tmp_path / "pids")))
    interrupted = Interrupted(tmp_path, [stage], 1)
    told = (tmp_path / "pids-told").exists
    assert interrupted.by(signal.SIGTERM, signal.SIGINT, between=told) == (143, [])


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
