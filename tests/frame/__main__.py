"""A fault in every task: each playbook, each of its tasks, and what a run then still has to do.

usage: python -m tests.frame

From the environment:
    FRAME_POINTS    how many points, drawn by the seed, always some of watch_health (8); `all`: every task of every
                    playbook with one fault, all five in watch_health and in an incident's apply, and every setting
    FRAME_SEED      to have the same ones again; the sample without FRAME_POINTS is always the same
    FRAME_PLAYBOOKS names of playbooks, between commas, in place of all (PLAYBOOKS); `settings` are the settings
    FRAME_CASE      one point alone, as a failure names it: PLAYBOOK/K:FAULT:HOST+HOST:DEPTH:WHEN, or settings/...
    FRAME_WORKERS   how many runs at a time (one more than there are processors)

A point is a task and a fault. For each playbook a run without a fault says which tasks there are, and what is right.
What a fault may not break is in tests/frame/judge.py, how it comes about in tests/frame/inject.py. Each failure comes
with the command that repeats it. All points are written to build/frame/result.json, of which `make docs` makes
docs/frame.md, and what was on the screen of each that failed to build/frame/screens.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "sandbox"), str(ROOT / "playbooks" / "collections")]

from . import judge
from .settings import SETTINGS, Setting
from .world import LEAST_S, TIMES, WELL, Fault, Left, Playbook, World, made

LEFT_OUT = 77
CLONE_NEWNS = 0x20000
FAULTS = ("failure", "unreachable", "exception", "killed", "disk_full")
OUT = ROOT / "build" / "frame"
SAMPLE = 8
# Of the sample in `make test`, which fails only by what was changed; who asks for more gets other points each time.
SEED = 77
APPLY = {"incident_mode": "apply"}
PLAYBOOKS = (
    Playbook("watch_health", "watch_health", tells=True, every=True),
    Playbook("incident_response@apply", "incident_response", APPLY, every=True),
    # Where all are well, the fault alone is what the exit code is of.
    Playbook("watch_health@well", "watch_health", tells=True, hosts=(WELL,)),
    Playbook("daily_morning_health_check@well", "daily_morning", hosts=(WELL,)),
    Playbook("automation_pause", "", {"automation_pause_reason": "a test", "automation_pause_for": 600}),
    Playbook("automation_resume"),
    Playbook("automation_status"),
    Playbook("daily_evening_summary", "daily_evening"),
    Playbook("daily_log_cleanup", "daily_log_cleanup"),
    Playbook("daily_morning_health_check", "daily_morning"),
    Playbook("emergency_clear_stuck_processes", "emergency_clear_stuck_processes"),
    Playbook("emergency_disk_cleanup", "emergency_disk_cleanup"),
    Playbook("emergency_service_restart", "emergency_service_restart"),
    Playbook("incident_critical_system", "incident_response", APPLY),
    Playbook("incident_high_error_rate", "incident_response"),
    Playbook("incident_performance_degradation", "incident_response"),
    Playbook("incident_response", "incident_response"),
    Playbook("incident_stuck_session", "incident_response"),
    Playbook("quick_reference", "quick_reference"),
    Playbook("take_back_overrides", "take_back_overrides"),
    Playbook("watch_performance", "watch_performance", tells=True, sees=False),
    Playbook("weekly_log_management", "weekly_log_management"),
    Playbook("weekly_performance_review", "weekly_performance_review"),
    Playbook("weekly_system_cleanup", "weekly_system_cleanup"),
)
# These change the machine that they run on, or are parts of others: tests/lab and molecule have them. A mute succeeds
# on a host that is down as well, since the controller keeps it: tests/playbooks has that. check_setup writes no report
# to be judged by, and shows a host that is down as a row: tests/playbooks/test_check_setup.py has that.
ELSEWHERE = {"check_setup", "prepare_hosts", "schedule", "report", "automation_mute", "automation_unmute"}
BY_NAME = {playbook.name: playbook for playbook in PLAYBOOKS}
INCLUDES = {"ansible.builtin.include_tasks", "ansible.builtin.include_role"}
# Where settings are tried: one that tells, and one that acts.
SET = ("watch_health", "incident_response@apply")


@dataclass(frozen=True)
class Case:
    """One point: a fault or a setting of a playbook."""

    playbook: str
    fault: Fault | None = None
    setting: Setting | None = None

    @property
    def text(self) -> str:
        """As FRAME_CASE has it."""
        if self.setting:
            return f"settings/{self.playbook}/{self.setting.name}"
        return f"{self.playbook}/{self.fault.text() if self.fault else ''}"


def order_of(playbook: Playbook, seed: int) -> tuple[str, ...]:
    """The order of the hosts, the first of which runs what runs once."""
    hosts = list(playbook.hosts)
    random.Random(f"{seed}/{playbook.name}").shuffle(hosts)
    return tuple(hosts)


def fault_at(playbook: str, seed: int, fault: str, rows: Sequence[dict[str, Any]]) -> Fault:
    """A fault of that kind at a task, whose lines of the trace are given: on one of its hosts, or on all."""
    k = rows[0]["k"]
    if fault == "disk_full":
        return Fault(k, fault, ())
    rng = random.Random(f"{seed}/{playbook}/{k}/{fault}")
    hosts = sorted({row["host"] for row in rows})
    hit = rng.choice([*((host,) for host in hosts), *([tuple(hosts)] if len(hosts) > 1 else [])])
    asks = any(row["asks"] for row in rows)
    return Fault(k, fault, hit, "module" if asks and rng.random() < 1 / 3 else "task", rng.random() < 1 / 3)


def cases_of(playbook: Playbook, base: Left, seed: int) -> list[Case]:
    """All points of a playbook, by what a run without a fault has traced."""
    tasks: dict[int, list[dict[str, Any]]] = {}
    for row in base.trace:
        tasks.setdefault(row["k"], []).append(row)
    found = []
    for k, rows in sorted(tasks.items()):
        rng = random.Random(f"{seed}/{playbook.name}/{k}")
        # What includes tasks or a role asks nothing of a host, so that none can be lost there.
        possible = [kind for kind in FAULTS if kind != "unreachable" or rows[0]["action"] not in INCLUDES]
        kinds = possible if playbook.every else (rng.choice(possible),)
        found += [Case(playbook.name, fault_at(playbook.name, seed, fault, rows)) for fault in kinds]
    return found


class Runs:
    """Worlds for some runs at a time, and what those without a fault left."""

    def __init__(self, place: Path, workers: int, seed: int) -> None:
        self.seed = seed
        self.workers = workers
        self._place = place
        self._local = threading.local()
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._worlds: list[World] = []
        self.pool = ThreadPoolExecutor(workers)
        self.bases: dict[str, Left] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
        for world in self._worlds:
            world.interrupt()
        self.pool.shutdown()
        self._stack.close()

    @property
    def world(self) -> World:
        """The world of this worker."""
        if not hasattr(self._local, "world"):
            with self._lock:
                world = self._stack.enter_context(made(self._place / f"w{len(self._worlds)}"))
                self._worlds.append(world)
            self._local.world = world
        found: World = self._local.world
        return found

    def base(self, playbook: Playbook) -> dict[str, Any]:
        """Run a playbook without a fault; the row of the result."""
        left = self.world.run(playbook, order_of(playbook, self.seed))
        self.bases[playbook.name] = left
        wrong = judge.broken(playbook, left, left)
        return self._row(Case(playbook.name), left, wrong, "without a fault")

    def case(self, case: Case) -> dict[str, Any]:
        """Run a point; the row of the result."""
        playbook, base = BY_NAME[case.playbook], self.bases[case.playbook]
        order = order_of(playbook, self.seed)
        limit_s = max(LEAST_S, TIMES * base.seconds)
        if case.setting:
            left = self.world.run(
                playbook,
                order,
                limit_s=limit_s,
                settings=case.setting.environment,
                site=case.setting.site,
                options=case.setting.options,
                config=case.setting.config,
            )
            return self._row(case, left, judge.differs(playbook, base, left, case.setting.refusal), case.setting.name)
        assert case.fault
        left = self.world.run(playbook, order, case.fault, limit_s=limit_s)
        task = judge.row_of(case.fault, base)["task"]
        wrong = judge.broken(playbook, base, left, case.fault) if left.fired else ["the fault did not come to pass"]
        return self._row(case, left, wrong, task)

    def _row(self, case: Case, left: Left, wrong: Sequence[str], task: str) -> dict[str, Any]:
        kind = "setting" if case.setting else case.fault.fault if case.fault else "none"
        more = asdict(case.fault) if case.fault else {}
        row = {**more, "playbook": case.playbook, "fault": kind, "task": task, "case": case.text}
        if wrong:
            screens = OUT / "screens"
            screens.mkdir(parents=True, exist_ok=True)
            name = "".join(letter if letter.isalnum() or letter in "@_-" else "-" for letter in case.text)[:150]
            (screens / f"{name}.txt").write_text(left.screen, encoding="utf-8")
            row["screen"] = f"build/frame/screens/{name}.txt"
        return {**row, "code": left.code, "seconds": round(left.seconds, 1), "held": not wrong, "broken": list(wrong)}


def played(runs: Runs, what: Callable[[Any], dict[str, Any]], of: Iterable[Any]) -> list[dict[str, Any]]:
    """Play these, some at a time; what breaks is told as it comes."""
    rows: list[dict[str, Any]] = []
    given = list(of)
    began = told = time.monotonic()
    for future in as_completed([runs.pool.submit(what, one) for one in given]):
        row = future.result()
        rows.append(row)
        if not row["held"]:
            show(row, runs.seed)
        if time.monotonic() > told + 60:
            told = time.monotonic()
            held = sum(row["held"] for row in rows)
            print(f"{told - began:.0f} s: {len(rows)} of {len(given)}, {held} held", flush=True)
    return rows


def show(row: dict[str, Any], seed: int) -> None:
    """Say what broke, and how to have it again."""
    where = f"task {row['k']}, " if "k" in row else ""
    print(f"BROKEN {row['playbook']}: {where}{row['task']}: {row['fault']} (exit code {row['code']})")
    for line in row["broken"]:
        print(f"    {line}")
    print(f"    FRAME_SEED={seed} FRAME_CASE={shlex.quote(row['case'])} python -m tests.frame", flush=True)


def chosen(seed: int, points: str, names: Sequence[str]) -> tuple[list[Playbook], int | None]:
    """The playbooks of a run, and how many points of them; None for all."""
    if unknown := set(names) - set(BY_NAME) - {"settings"}:
        raise SystemExit(f"error: no playbook {', '.join(sorted(unknown))}; there are: {' '.join(BY_NAME)} settings")
    wanted = [playbook for playbook in PLAYBOOKS if not names or playbook.name in names]
    if points == "all":
        return wanted, None
    number = int(points)
    if not names:
        first, *rest = wanted
        wanted = [first, *random.Random(seed).sample(rest, min(len(rest), max(1, number // 6)))]
    return wanted, number


def drawn(cases: Sequence[Case], number: int | None, seed: int) -> list[Case]:
    """So many of them, half of them of watch_health where it is among them."""
    if number is None:
        return list(cases)
    rng = random.Random(seed)
    watch = [case for case in cases if case.playbook == "watch_health"]
    rest = [case for case in cases if case.playbook != "watch_health"]
    half = rng.sample(watch, min(len(watch), number if not rest else (number + 1) // 2))
    return half + rng.sample(rest, min(len(rest), number - len(half)))


def settings_of(number: int | None, seed: int, names: Sequence[str]) -> list[Case]:
    """The settings to be tried: all, or some with watch_health."""
    if names and "settings" not in names:
        return []
    if number is None:
        return [Case(name, setting=setting) for name in SET for setting in SETTINGS]
    few = random.Random(seed).sample(SETTINGS, min(len(SETTINGS), max(1, number // 4)))
    return [Case(SET[0], setting=setting) for setting in few]


def one(text: str) -> Case:
    """The case that FRAME_CASE names."""
    playbook, _slash, rest = text.partition("/")
    if playbook == "settings":
        playbook, _slash, name = rest.partition("/")
        return Case(playbook, setting=next(setting for setting in SETTINGS if setting.name == name))
    return Case(playbook, Fault.of(rest)) if rest else Case(playbook)


def perform(runs: Runs) -> list[dict[str, Any]]:
    """Run what the environment asks for; the rows."""
    names = [name for name in (os.environ.get("FRAME_PLAYBOOKS") or "").split(",") if name]
    points = os.environ.get("FRAME_POINTS") or str(SAMPLE)
    if alone := os.environ.get("FRAME_CASE"):
        case = one(alone)
        rows = played(runs, runs.base, [BY_NAME[case.playbook]])
        return rows + (played(runs, runs.case, [case]) if case.fault or case.setting else [])
    wanted, number = chosen(runs.seed, points, names)
    set_up = settings_of(number, runs.seed, names)
    bases = {playbook.name: playbook for playbook in wanted} | {
        case.playbook: BY_NAME[case.playbook] for case in set_up
    }
    rows = played(runs, runs.base, bases.values())
    cases = [case for playbook in wanted for case in cases_of(playbook, runs.bases[playbook.name], runs.seed)]
    tasks = {name: len({row["k"] for row in base.trace}) for name, base in runs.bases.items()}
    print(f"Tasks: {', '.join(f'{name} {count}' for name, count in sorted(tasks.items()))}", flush=True)
    points_of = drawn(cases, number, runs.seed)
    print(f"{len(points_of)} of {len(cases)} points, {len(set_up)} settings", flush=True)
    # Long ones first, so that none is left alone at the end.
    slow = {name: base.seconds for name, base in runs.bases.items()}
    every = sorted([*points_of, *set_up], key=lambda case: -slow[case.playbook])
    return rows + played(runs, runs.case, every)


def main() -> int:
    """Run it; 1 where a promise was broken, 77 where it cannot run."""
    if os.geteuid():
        print("root is needed: for a file system of the controller that can be filled")
        return LEFT_OUT
    drawn_anew = os.environ.get("FRAME_POINTS") or os.environ.get("FRAME_PLAYBOOKS")
    seed = int(os.environ.get("FRAME_SEED") or (random.SystemRandom().getrandbits(32) if drawn_anew else SEED))
    workers = int(os.environ.get("FRAME_WORKERS") or (os.cpu_count() or 2) + 1)
    print(f"FRAME_SEED={seed} FRAME_POINTS={os.environ.get('FRAME_POINTS') or SAMPLE}", flush=True)
    # Mounts of its own, which end with it.
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        print(f"no mounts of one's own here: {os.strerror(ctypes.get_errno())}")
        return LEFT_OUT
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    # As at an interrupt, so that nothing stays behind.
    signal.signal(signal.SIGTERM, lambda *_args: sys.exit(143))
    began = time.monotonic()
    place = Path(tempfile.mkdtemp(prefix="frame-"))
    try:
        with Runs(place, workers, seed) as runs:
            rows = perform(runs)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    seconds = time.monotonic() - began
    rows.sort(key=lambda row: (row["playbook"], row.get("k", 0), row["fault"], row["case"]))
    document = {"seed": seed, "seconds": round(seconds), "rows": rows}
    (OUT / "result.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    causes = Counter(line for row in rows for line in row["broken"])
    for cause, count in causes.most_common():
        print(f"{count:6} {cause}")
    failed = sum(not row["held"] for row in rows)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = f"{seconds:.0f} s ({used.ru_utime + used.ru_stime:.0f} s of processors)"
    print(f"{len(rows)} runs in {took}, {len(rows) - failed} held, {failed} did not; FRAME_SEED={seed}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
