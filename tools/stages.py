"""Run the stages of `make check` or `make test`, all of them, and say at the end how each one went.

usage: stages.py check|test [STAGE ...]

Stages run one after the other; those that only look at files, on one processor, run two at a time, and what such a one
says comes when it has ended.

A stage is a command. It passes with exit code 0 and fails with any other, but 77 says "left out", with the reason on
its last line; on CI that counts as a failure. The last line counts tests: those of pytest by its own report, every
other stage as one.

A signal (INT, TERM, HUP) ends the stages that run, with all that they started, and then this program, with exit code
128 and its number. They have a minute to tidy up; a second signal ends that.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = 77
GRACE_S = 60
COLLECTIONS = "playbooks/collections"
FAULTS = ROOT / "build" / "faults"
KEPT = ROOT / "build" / "kept"
PLUGINS = "ansible_collections.media_ops.runbook.plugins"
WRITING = threading.Lock()
AT_ONCE = threading.Event()
"""Somebody will not wait for stages to tidy up."""


@dataclass(frozen=True)
class Stage:
    """One command, run at `cwd` below the root.

    Args:
        check: it is of the fast set.
        paired: it may run beside another.
        asked: it runs only where it is named.
        kept: its runs of Ansible keep from run to run what depends on nothing but files (tests/kept); in the other
            stages Ansible does what it does at a site.
    """

    name: str
    command: tuple[str, ...]
    cwd: str = "."
    check: bool = False
    paired: bool = False
    limit_s: int = 900
    asked: bool = False
    kept: bool = False

    @property
    def is_pytest(self) -> bool:
        return self.command[0] == "pytest"


def look(name: str, *command: str, cwd: str = ".", check: bool = False, limit_s: int = 900) -> Stage:
    """A stage that looks at files, on one processor."""
    return Stage(name, command, cwd=cwd, check=check, paired=True, limit_s=limit_s)


def pytest(name: str, *args: str, workers: int = 2, check: bool = False, limit_s: int = 900) -> Stage:
    """A stage of tests; those that wait as much as they work have more workers than there are processors."""
    return Stage(name, ("pytest", "-q", "-n", str(workers), *args), check=check, limit_s=limit_s, kept=True)


STAGES = (
    look("types", "mypy", "sandbox", "tools", "tests", "roles/prepare/files", check=True),
    look("types-plugins", "mypy", "--config-file", "../../pyproject.toml", "-p", PLUGINS, cwd=COLLECTIONS, check=True),
    look("yamllint", "yamllint", "--strict", ".", check=True),
    look("runbook-map", "python", "tools/runbook_map.py", "--check", check=True),
    look("house", "python", "tools/house.py", "--check", check=True),
    look("changelog", "antsibull-changelog", "lint", check=True),
    look("shellcheck", "tools/shellcheck.sh", check=True),
    look("ruff", "ruff", "check", "--no-cache", ".", check=True),
    look("ruff-format", "ruff", "format", "--no-cache", "--check", ".", check=True),
    pytest("unit", "-m", "not slow", "tests/unit", "tests/meta", workers=4, check=True),
    # A store of S3, or a lab's hosts, is made once for all tests of a file.
    pytest("unit-slow", "--dist", "loadfile", "-m", "slow", "tests/unit", "tests/meta", workers=4),
    look("sanity", "tools/sanity.sh", limit_s=1200),
    look("ansible-lint", "tools/ansible_lint.sh"),
    look("galaxy", "tools/galaxy.sh"),
    look("docs", "tools/ansible_doc.sh"),
    pytest("sandbox", "tests/sandbox", workers=3),
    pytest("pages", "tests/test_report_page.py", "tests/test_weekly_page.py"),
    pytest("playbooks", "-m", "not every_demo", "tests/playbooks", workers=4, limit_s=2700),
    # Every service and every fault of `make demo`; some of them are of the stage before.
    replace(pytest("demo", "-m", "every_demo", "tests/playbooks/test_demo.py", limit_s=3600), asked=True, kept=False),
    pytest("lab", "tests/lab", workers=4, limit_s=3000),
    # A week of three hosts whose clock is moved, and five of them with a watch each hour.
    replace(pytest("week", "-m", "not five_weeks", "tests/weeks", workers=1, limit_s=3600), asked=True),
    replace(pytest("weeks", "-m", "five_weeks", "tests/weeks", workers=1, limit_s=14400), asked=True),
    # Random situations; HOSTILE_TRIES=100000 asks for a run of two hours.
    Stage(
        "hostile",
        ("python", "-m", "tests.hostile"),
        limit_s=900 + int(os.environ.get("HOSTILE_TRIES") or 3000) // 8,
        kept=True,
    ),
    # A fault in some tasks; in every task where the stage is named (`main`), which takes an hour.
    Stage("frame", ("python", "-m", "tests.frame"), limit_s=5400, kept=True),
    Stage("molecule", ("tools/molecule.sh",), limit_s=2400),
)


@dataclass(frozen=True)
class Outcome:
    """How a stage ended. `counts` has passed, failed and skipped tests."""

    stage: Stage
    state: str
    seconds: float
    counts: Counter[str]
    last_line: str = ""


def environment(stage: Stage) -> dict[str, str]:
    """The tools of the environment first on PATH; no setting of the caller's own Ansible or git may change a result."""
    env = {
        key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "GIT_", "MAKE", "MFLAGS"))
    }
    env["PATH"] = f"{Path(sys.executable).parent}:{env.get('PATH', os.defpath)}"
    env["NO_COLOR"] = "1"
    # Every worker of pytest and every playbook imports ours anew: that is compiled once.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    # Tests of real faults note there what came of each, for docs/fault_matrix.md.
    FAULTS.mkdir(parents=True, exist_ok=True)
    env["MEDIA_OPS_FAULT_MATRIX"] = str(FAULTS)
    env.pop("MEDIA_OPS_KEPT", None)
    if stage.kept:
        env |= {"MEDIA_OPS_KEPT": str(KEPT), "PYTHONPATH": str(ROOT / "tests" / "kept")}
    return env


def follow(
    stage: Stage, command: list[str], say: Callable[[bytes], object], given_up: threading.Event
) -> tuple[int, str]:
    """Run a command, passing its output on; its exit code and the last line it wrote."""
    # In the environment of all that it starts; a run of stages within a stage adds another.
    mark = f"MEDIA_OPS_STAGE_{secrets.token_hex(8)}"
    process = subprocess.Popen(
        command,
        cwd=ROOT / stage.cwd,
        env={**environment(stage), mark: stage.name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout
    tail = b""
    deadline = time.monotonic() + stage.limit_s
    try:
        while time.monotonic() < deadline:
            if given_up.is_set():
                return 1, "given up"
            if select.select([process.stdout], [], [], 0.5)[0]:
                if not (chunk := os.read(process.stdout.fileno(), 65536)):
                    break
                say(chunk)
                tail = (tail + chunk)[-4096:]
            elif process.poll() is not None:
                break  # what it left running still holds the pipe
        code = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return 1, f"no end within {stage.limit_s} s"
    finally:
        if given_up.is_set() or process.poll() is None:
            end(process, mark)
        process.stdout.close()
    return code, tail.decode(errors="replace").strip().rpartition("\n")[2]


def end(process: subprocess.Popen[bytes], mark: str) -> None:
    """End a stage with all that it started: politely first, so that it can remove what it made.

    Args:
        process: of the stage, which may have ended.
        mark: in the environment of what it started: that may have sessions of its own, as a sandbox and the runs of
            ansible-runner have, and its parent may be gone.
    """
    told: set[psutil.Process] = set()
    deadline = time.monotonic() + GRACE_S
    # What cannot even be killed waits for the kernel.
    while (left := living(process, mark)) and time.monotonic() < deadline + GRACE_S:
        late = AT_ONCE.is_set() or time.monotonic() > deadline
        for one in left if late else left - told:
            with contextlib.suppress(psutil.Error):
                one.kill() if late else one.terminate()
        told |= left
        psutil.wait_procs(left, 0.2)
    process.poll()


def living(process: subprocess.Popen[bytes], mark: str) -> set[psutil.Process]:
    """Of a stage the living processes: its own, those that have its mark, and the descendants of these."""
    found: set[psutil.Process] = set()
    children: dict[int, list[psutil.Process]] = {}
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if one.status() != psutil.STATUS_ZOMBIE:
                children.setdefault(one.ppid(), []).append(one)
                if (one.pid == process.pid and process.returncode is None) or mark in one.environ():
                    found.add(one)
    below = list(found)
    while below:
        more = set(children.get(below.pop().pid, [])) - found
        found |= more
        below += more
    return found


def count_tests(report: Path) -> Counter[str]:
    """Tests of a pytest run by its JUnit report; an error in a fixture is a failure."""
    counts: Counter[str] = Counter()
    if report.exists():
        for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 (pytest wrote it just now)
            total, failures, errors, skipped = (
                int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")
            )
            counts.update(failed=failures + errors, skipped=skipped, passed=total - failures - errors - skipped)
    return counts


def run(stage: Stage, given_up: threading.Event) -> Outcome:
    """Run one stage."""
    head = f"\n=== {stage.name}: {' '.join(stage.command)}\n".encode()
    started = time.monotonic()
    said: list[bytes] = []
    if stage.paired:
        write(f"... {stage.name} runs\n".encode())
        said.append(head)
    else:
        write(head)
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "junit.xml")
        command = [*stage.command, *([f"--junitxml={report}"] if stage.is_pytest else [])]
        code, last = follow(stage, command, said.append if stage.paired else write, given_up)
        counts = count_tests(report)
    write(b"".join(said))
    left_out = code == LEFT_OUT and not os.environ.get("CI")
    state = "ok" if code == 0 else "left out" if left_out else "FAILED"
    if state == "FAILED":
        counts["failed"] = counts["failed"] or 1
    elif not stage.is_pytest:
        counts["skipped" if left_out else "passed"] += 1
    return Outcome(stage, state, time.monotonic() - started, counts, "" if code == 0 else last)


def write(data: bytes) -> None:
    """Write all of it, with nothing of another stage in between."""
    with WRITING:
        while data:
            data = data[os.write(1, data) :]


def run_all(chosen: Iterable[Stage]) -> list[Outcome]:
    """Run stages in their order, neighbours of one processor two at a time."""
    outcomes: list[Outcome] = []
    given_up = threading.Event()
    for paired, group in groupby(chosen, key=lambda stage: stage.paired):
        with ThreadPoolExecutor(2 if paired else 1) as pool:
            try:
                outcomes += pool.map(partial(run, given_up=given_up), group)
            except BaseException:  # interrupted: what runs is ended, and no more begun
                given_up.set()
                pool.shutdown(cancel_futures=True)
                raise
    return outcomes


def main(argv: list[str]) -> int:
    """Run what was asked for; 0 when every stage passed or was left out."""
    if not argv or argv[0] not in {"check", "test"}:
        print(__doc__, file=sys.stderr)
        return 2
    chosen = [stage for stage in STAGES if stage.check or argv[0] == "test"]
    if unknown := set(argv[1:]) - {stage.name for stage in chosen}:
        print(
            f"error: no stage {', '.join(sorted(unknown))}; there are: {' '.join(stage.name for stage in chosen)}",
            file=sys.stderr,
        )
        return 2
    if "frame" in argv[1:]:
        os.environ.setdefault("FRAME_POINTS", "all")
    named = argv[1:] or [stage.name for stage in chosen if not stage.asked]
    outcomes = run_all(stage for stage in chosen if stage.name in named)

    print(f"\n=== summary of make {argv[0]}")
    for outcome in outcomes:
        tests = ", ".join(f"{n} {what}" for what, n in outcome.counts.items() if n) if outcome.stage.is_pytest else ""
        print(
            f"{outcome.state:9} {outcome.seconds:7.1f} s  {outcome.stage.name:14} {outcome.last_line or tests}".rstrip()
        )
    total = sum((outcome.counts for outcome in outcomes), Counter[str]())
    print(
        f"\n{total['passed']} passed, {total['failed']} failed"
        + (f", {total['skipped']} skipped" if total["skipped"] else "")
    )
    return int(any(outcome.state == "FAILED" for outcome in outcomes))


def program(argv: list[str]) -> int:
    """The same, ended in order by a signal."""

    def interrupted(number: int, _frame: object) -> None:
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, lambda _number, _frame: AT_ONCE.set())
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    return main(argv)


if __name__ == "__main__":
    sys.exit(program(sys.argv[1:]))
