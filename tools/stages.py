"""Run the stages of `make check` or `make test` one after the other, all of them, and say at the end how each one went.

usage: stages.py check|test [STAGE ...]

A stage is a command. It passes with exit code 0 and fails with any other, but 77 says "left out", with the reason on
its last line; on CI that counts as a failure. The last line counts tests: those of pytest by its own report, every
other stage as one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = 77
GRACE_S = 60
COLLECTIONS = "playbooks/collections"
FAULTS = ROOT / "build" / "faults"
PLUGINS = "ansible_collections.media_ops.runbook.plugins"


@dataclass(frozen=True)
class Stage:
    """One command, run at `cwd` below the root; `check` puts it into the fast set."""

    name: str
    command: tuple[str, ...]
    cwd: str = "."
    check: bool = False
    limit_s: int = 900

    @property
    def is_pytest(self) -> bool:
        return self.command[0] == "pytest"


def pytest(name: str, *args: str, check: bool = False, limit_s: int = 900) -> Stage:
    """A stage of tests, on both cores."""
    return Stage(name, ("pytest", "-q", "-n", "2", *args), check=check, limit_s=limit_s)


STAGES = (
    Stage("ruff", ("ruff", "check", "--no-cache", "."), check=True),
    Stage("ruff-format", ("ruff", "format", "--no-cache", "--check", "."), check=True),
    Stage("yamllint", ("yamllint", "--strict", "."), check=True),
    Stage("shellcheck", ("tools/shellcheck.sh",), check=True),
    Stage(
        "types-plugins", ("mypy", "--config-file", "../../pyproject.toml", "-p", PLUGINS), cwd=COLLECTIONS, check=True
    ),
    Stage("types", ("mypy", "sandbox", "tools", "tests"), check=True),
    Stage("changelog", ("antsibull-changelog", "lint"), check=True),
    Stage("runbook-map", ("python", "tools/runbook_map.py", "--check"), check=True),
    pytest("unit", "-m", "not slow", "tests/unit", "tests/meta", check=True),
    pytest("unit-slow", "-m", "slow", "tests/unit", "tests/meta"),
    Stage("ansible-lint", ("tools/ansible_lint.sh",)),
    pytest("sandbox", "tests/sandbox"),
    pytest("pages", "tests/test_report_page.py", "tests/test_weekly_page.py"),
    pytest("playbooks", "tests/playbooks", limit_s=1800),
    Stage("sanity", ("tools/sanity.sh",), limit_s=1200),
    Stage("docs", ("tools/ansible_doc.sh",)),
    Stage("galaxy", ("tools/galaxy.sh",)),
    # A file's hosts are made once for all its tests. They wait more than they work, so more files than processors.
    Stage("lab", ("pytest", "-q", "-n", "4", "--dist", "loadfile", "tests/lab"), limit_s=2400),
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


def environment() -> dict[str, str]:
    """The tools of the environment first on PATH; no setting of the caller's own Ansible or git may change a result."""
    env = {
        key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "GIT_", "MAKE", "MFLAGS"))
    }
    env["PATH"] = f"{Path(sys.executable).parent}:{env.get('PATH', os.defpath)}"
    env["NO_COLOR"] = "1"
    # Tests of real faults note there what came of each, for docs/fault_matrix.md.
    FAULTS.mkdir(parents=True, exist_ok=True)
    env["MEDIA_OPS_FAULT_MATRIX"] = str(FAULTS)
    return env


def follow(stage: Stage, command: list[str]) -> tuple[int, str]:
    """Run a command, passing its output on; its exit code and the last line it wrote."""
    process = subprocess.Popen(
        command,
        cwd=ROOT / stage.cwd,
        env=environment(),
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
            if select.select([process.stdout], [], [], 0.5)[0]:
                if not (chunk := os.read(process.stdout.fileno(), 65536)):
                    break
                os.write(1, chunk)
                tail = (tail + chunk)[-4096:]
            elif process.poll() is not None:
                break  # what it left running still holds the pipe
        code = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return 1, f"no end within {stage.limit_s} s"
    finally:
        end(process)
        process.stdout.close()
    return code, tail.decode(errors="replace").strip().rpartition("\n")[2]


def end(process: subprocess.Popen[bytes]) -> None:
    """End a stage that still runs, with its process group: politely first, so that it can remove what it made."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S)


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


def run(stage: Stage) -> Outcome:
    """Run one stage."""
    print(f"\n=== {stage.name}: {' '.join(stage.command)}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "junit.xml")
        code, last = follow(stage, [*stage.command, *([f"--junitxml={report}"] if stage.is_pytest else [])])
        counts = count_tests(report)
    left_out = code == LEFT_OUT and not os.environ.get("CI")
    state = "ok" if code == 0 else "left out" if left_out else "FAILED"
    if state == "FAILED":
        counts["failed"] = counts["failed"] or 1
    elif not stage.is_pytest:
        counts["skipped" if left_out else "passed"] += 1
    return Outcome(stage, state, time.monotonic() - started, counts, "" if code == 0 else last)


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
    outcomes = [run(stage) for stage in chosen if len(argv) == 1 or stage.name in argv[1:]]

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


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
