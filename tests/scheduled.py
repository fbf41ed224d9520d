"""What tests that play weeks have in common: the schedule, its own runner, and what happens when."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.moved_clock import MovedClock

ROOT = Path(__file__).resolve().parent.parent
RUNNER = ROOT / "roles/schedule/files/media_ops_run.py"
SCHEDULE: list[dict[str, Any]] = [
    {"name": "watch_health", "every": 5},
    {"name": "watch_performance", "every": 15},
    {"name": "daily_morning_health_check", "at": "07:00"},
    {"name": "daily_evening_summary", "at": "18:00"},
    {"name": "daily_log_cleanup", "at": "02:00", "after": [{"name": "weekly_log_management"}]},
    {"name": "weekly_log_management", "at": "01:00", "weekday": "Mon"},
    {"name": "weekly_performance_review", "at": "17:00", "weekday": "Fri"},
    {
        "name": "weekly_system_cleanup",
        "at": "03:00",
        "weekday": "Sun",
        "after": [{"name": "weekly_performance_review"}],
    },
]


@dataclass
class Run:
    """How a run ended: its exit code, what it wrote, and the files that were gone after it."""

    code: int
    output: str
    gone: list[str] = field(default_factory=list)


def write_schedule(directory: Path, procedures: Sequence[Mapping[str, Any]], inventory: Path, secrets: Path) -> None:
    """What role schedule writes."""
    schedule = {
        "procedures": procedures,
        "project_dir": str(ROOT),
        "playbook_prefix": f"{ROOT}/playbooks/",
        "inventory": [str(inventory)],
        "environment": {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_PIPELINING": "True"},
        "environment_file": str(secrets),
        "keep_runs": 30,
        "keep_days": 90,
        "timeout": 3600,
        "wait": 60,
    }
    directory.mkdir()
    (directory / "schedule.json").write_text(json.dumps(schedule), encoding="utf-8")


def play(directory: Path, name: str, *options: str, environment: Mapping[str, str], timeout: float = 600) -> Run:
    """Run a procedure of the schedule in `directory` as its timer does, or with --now by hand."""
    done = subprocess.run(
        [sys.executable, str(RUNNER), "--dir", str(directory), "run", name, *options],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    played = re.search(r"(/\S+/artifacts/\S+)", done.stdout)
    return Run(done.returncode, done.stdout + (Path(played[1], "stdout").read_text(encoding="utf-8") if played else ""))


class Agenda:
    """What happens when."""

    def __init__(self, clock: MovedClock) -> None:
        self._clock = clock
        self._steps: list[tuple[datetime, Callable[[], Any]]] = []

    def add(self, when: datetime, step: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        self._steps.append((when, lambda: step(*arguments, **options)))

    def play(self, *, forward: bool = False) -> None:
        """All of it, in order of time.

        Args:
            forward: the clock is never put back, where a step took longer than the time to the next one.
        """
        for when, step in sorted(self._steps, key=lambda entry: entry[0]):
            if not forward or when > self._clock.now():
                self._clock.move(when)
            step()
