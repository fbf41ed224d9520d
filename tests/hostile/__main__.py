"""Random hostile situations, run over the product, and judged by who made them.

usage: python -m tests.hostile

From the environment: HOSTILE_TRIES, how many (3000); HOSTILE_SEED, to have the same ones again; HOSTILE_KINDS, names or
patterns of the kinds wanted, between commas; HOSTILE_WORKERS, how many scenes at a time (three for each processor: they
wait more than they work). A try is one situation with one oracle, and no kind has less than 0.5 % of them.

The table of kinds is printed, and written to build/hostile/result.json with all that failed; `make docs` makes
docs/hostile.md of it. What a kind's columns count:
    acted   was to be ended or deleted, and was        kept    was to stay, and did
    wrong   was to stay, and did not                   missed  was to go and did not, and nobody is told why
    said    was to go and did not, with the reason     unsaid  stayed, and the reason is not told that a person needs

The run fails on any that is wrong, missed or unsaid, on a kind of which less than 99 % were acted on where that was
right and provable, and where the product broke.
"""

from __future__ import annotations

import fnmatch
import json
import math
import os
import random
import select
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "playbooks" / "collections"))
LEFT_OUT = 77
# How many situations share a scene: as many sessions as the product shows, and files by the hundred.
SIZES = {"kill": 30, "delete": 160}
ALONE = {"kill": 8, "delete": 12}
SCENE_S = 900.0
SHARE_MIN = 0.00503
ACTED_MIN = 0.99
SHOWN_MAX = 2


@dataclass(frozen=True)
class Plan:
    """One scene: its number, its seed, and the names of its kinds in order."""

    number: int
    seed: int
    half: str
    kinds: tuple[str, ...]


def plans(tries: int, seed: int, wanted: list[str]) -> list[Plan]:
    """The scenes of a run; the same for the same arguments."""
    from .stage import KINDS

    names = [name for name in sorted(KINDS) if any(fnmatch.fnmatch(name, f"*{one}") for one in wanted)]
    if not names:
        raise SystemExit(f"error: no kind {', '.join(wanted)}; there are: {' '.join(KINDS)}")
    rng = random.Random(seed)
    # A try of the kill half costs several of the other.
    kills = sum(KINDS[name].half == "kill" for name in names)
    share = {"kill": 1 / len(names), "delete": 1 / len(names)}
    if 0 < kills < len(names) and len(names) > 100:
        share["kill"] = min(share["kill"], SHARE_MIN)
        share["delete"] = (1 - kills * share["kill"]) / (len(names) - kills)
    hands: dict[str, list[str]] = {"kill": [], "delete": []}
    scenes: list[tuple[str, tuple[str, ...]]] = []
    for name in names:
        half = KINDS[name].half
        number = max(1, math.ceil(tries * share[half]))
        if KINDS[name].alone:
            size = ALONE[half]
            scenes += [(half, (name,) * min(size, number - begin)) for begin in range(0, number, size)]
        else:
            hands[half] += [name] * number
    for half, hand in hands.items():
        rng.shuffle(hand)
        scenes += [(half, tuple(hand[begin : begin + SIZES[half]])) for begin in range(0, len(hand), SIZES[half])]
    rng.shuffle(scenes)
    return [Plan(number, rng.getrandbits(48), half, kinds) for number, (half, kinds) in enumerate(scenes)]


def played(chosen: list[Plan], program: Path, workers: int) -> Iterator[list[dict[str, Any]]]:
    """Play the scenes, some at a time, each in a world of its own; in the order in which they end."""
    from .stage import World, WorldError, tidy

    waiting = list(reversed(chosen))
    running: dict[int, tuple[Plan, Path, World]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            plan = waiting.pop()
            base = Path(tempfile.mkdtemp(prefix="scene-", dir=program.parent))
            world = World(partial(perform, plan, base, program), SCENE_S)
            running[world.fd] = (plan, base, world)
        poll = select.poll()
        for fd in running:
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _event in poll.poll(500)}
        for fd, (plan, base, world) in list(running.items()):
            if (fd in ready and world.take()) or time.monotonic() > world.deadline:
                del running[fd]
                try:
                    yield world.end()
                except WorldError as error:
                    yield [_broken(plan, str(error))]
                tidy(base)


def perform(plan: Plan, base: Path, program: Path) -> list[dict[str, Any]]:
    """Play one scene, in the world that this process has for itself."""
    from .deletions import DeleteScene
    from .kills import KillScene
    from .stage import KINDS

    scene = (KillScene if plan.half == "kill" else DeleteScene)(base, program, plan.seed)
    return [one.row() for one in scene.play([KINDS[name] for name in plan.kinds], plan.number)]


def _broken(plan: Plan, why: str) -> dict[str, Any]:
    row = {"kind": plan.kinds[0], "right": "", "verdict": "broken", "scene": plan.number, "number": 0}
    return {**row, "detail": why[-1500:]}


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The table: a row for each kind."""
    from .stage import KINDS

    found: dict[str, Counter[str]] = {}
    for row in rows:
        if row["verdict"] != "broken":
            counts = found.setdefault(row["kind"], Counter())
            counts.update([row["verdict"], "tries"])
            counts["provable"] += row["right"] == "end"
            counts["acted_provable"] += row["right"] == "end" and row["verdict"] == "acted"
    table = []
    for name, counts in sorted(found.items()):
        one = KINDS[name]
        figures = {
            key: counts[key] for key in ("tries", "acted", "kept", "wrong", "missed", "said", "unsaid", "provable")
        }
        share = counts["acted_provable"] / counts["provable"] if counts["provable"] else 1.0
        # Of some ten tries one is more than 1 %, and a busy machine may leave it unknown, which is said.
        left = counts["provable"] - counts["acted_provable"]
        bad = bool(counts["wrong"] or counts["missed"] or counts["unsaid"] or (share < ACTED_MIN and left > 1))
        table.append(
            {
                "kind": name,
                "half": one.half,
                "right": one.right,
                "cause": one.cause,
                "text": one.text,
                **figures,
                "share": share,
                "bad": bad,
            }
        )
    return table


def show(table: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    """Print the table, and some of what failed of each kind."""
    keys = ("tries", "acted", "kept", "wrong", "missed", "said", "unsaid")
    print(f"{'kind':40} {' '.join(f'{key:>6}' for key in keys)}")
    for one in table:
        print(f"{one['kind']:40} {' '.join(f'{one[key]:6}' for key in keys)}{'  !' if one['bad'] else ''}")
    sums = Counter({key: sum(one[key] for one in table) for key in keys})
    print(f"{f'all {len(table)} kinds':40} {' '.join(f'{sums[key]:6}' for key in keys)}")
    shown: Counter[tuple[str, str]] = Counter()
    broke: set[str] = set()
    for row in rows:
        key = (row["kind"], row["verdict"])
        if "the product broke" in row["detail"]:
            if row["detail"] not in broke:
                broke.add(row["detail"])
                print(f"scene {row['scene']} ({row['kind']}): {row['detail']}")
        elif row["verdict"] in ("wrong", "missed", "unsaid", "said", "broken") and shown[key] < SHOWN_MAX:
            shown[key] += 1
            print(_line(row))


def _line(row: dict[str, Any]) -> str:
    return f"{row['verdict']}: {row['kind']} (scene {row['scene']}, {row['number']}): {row['detail'][:700]}"


def main() -> int:
    """Run it; 1 where something failed, 77 where it cannot run."""
    if os.geteuid():
        print("root is needed: for namespaces, mounts and other users' processes")
        return LEFT_OUT
    from . import delete_kinds, kill_kinds  # noqa: F401  they register themselves
    from .actor import compiled

    seed = int(os.environ.get("HOSTILE_SEED") or random.SystemRandom().getrandbits(32))
    tries = int(os.environ.get("HOSTILE_TRIES") or 3000)
    wanted = (os.environ.get("HOSTILE_KINDS") or "*").split(",")
    workers = int(os.environ.get("HOSTILE_WORKERS") or 3 * (os.cpu_count() or 2))
    chosen = plans(tries, seed, wanted)
    number = sum(len(one.kinds) for one in chosen)
    print(f"HOSTILE_SEED={seed} HOSTILE_TRIES={tries}: {number} tries in {len(chosen)} scenes", flush=True)
    began = time.monotonic()
    rows: list[dict[str, Any]] = []
    place = Path(tempfile.mkdtemp(prefix="hostile-"))
    place.chmod(0o755)
    try:
        program = compiled(place)
        told = began
        for more in played(chosen, program, workers):
            rows += more
            for row in more:  # at once: a long run may be ended before it has its table
                if row["verdict"] in ("wrong", "missed", "unsaid"):
                    print(_line(row), flush=True)
            if time.monotonic() > told + 60:
                told = time.monotonic()
                counts = Counter(row["verdict"] for row in rows)
                print(f"{told - began:.0f} s: {len(rows)} tries, {dict(counts)}", flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    rows.sort(key=lambda row: (row["scene"], row["number"]))
    table = summary(rows)
    show(table, rows)
    seconds = time.monotonic() - began
    directory = ROOT / "build" / "hostile"
    directory.mkdir(parents=True, exist_ok=True)
    failed = [row for row in rows if row["verdict"] in ("wrong", "missed", "unsaid", "said", "broken")]
    document = {"seed": seed, "tries": len(rows), "seconds": round(seconds), "table": table, "failed": failed}
    (directory / "result.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    bad = [one["kind"] for one in table if one["bad"]]
    crashed = len({row["scene"] for row in rows if "the product broke" in row["detail"]})
    broken = sum(row["verdict"] == "broken" for row in rows)
    print(
        f"{len(rows)} tries in {seconds:.0f} s ({len(rows) / seconds:.1f}/s), {len(table)} kinds, "
        f"{sum(one['wrong'] for one in table)} wrong, {sum(one['missed'] for one in table)} missed, "
        f"{len(bad)} kinds failed, the product broke {crashed} times, the test {broken} times; HOSTILE_SEED={seed}"
    )
    return int(bool(bad or broken or crashed))


if __name__ == "__main__":
    sys.exit(main())
