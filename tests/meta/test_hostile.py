"""tests/hostile: its judge must find what is wrong wrong, and what is left undone missed, whoever does it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.hostile import __main__ as hostile
from tests.hostile import delete_kinds, kill_kinds
from tests.hostile.actor import compiled
from tests.hostile.deletions import DeleteScene
from tests.hostile.kills import KillScene
from tests.hostile.stage import KINDS, World, tidy
from tools import hostile_table

Scene = KillScene | DeleteScene
root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
HALVES: dict[str, tuple[type[Scene], ModuleType]] = {
    "kill": (KillScene, kill_kinds),
    "delete": (DeleteScene, delete_kinds),
}


def test_there_are_kinds_enough_and_each_has_its_share() -> None:
    counts: dict[str, int] = {}
    chosen = hostile.plans(100_000, 1, ["*"])
    for plan in chosen:
        for name in plan.kinds:
            counts[name] = counts.get(name, 0) + 1
    assert min(sum(one.half == half for one in KINDS.values()) for half in HALVES) >= 60
    assert counts.keys() == KINDS.keys()
    total = sum(counts.values())
    assert total >= 100_000
    assert min(counts.values()) >= 0.005 * total


def test_a_seed_gives_the_same_situations() -> None:
    assert hostile.plans(500, 7, ["*"]) == hostile.plans(500, 7, ["*"])
    assert hostile.plans(500, 7, ["*"]) != hostile.plans(500, 8, ["*"])


def test_a_kind_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SystemExit, match=r"no kind of_nobody; there are: delete\."):
        hostile.plans(10, 1, ["of_nobody"])


def played(tmp_path: Path, half: str, names: Sequence[str], product: Callable[[Scene], None]) -> dict[str, str]:
    """The verdicts on something that is run in the place of the product, by kind."""
    tmp_path.chmod(0o755)
    program = compiled(tmp_path)
    base = tmp_path / "scene"
    base.mkdir()

    def run() -> list[dict[str, Any]]:
        scene = HALVES[half][0](base, program, 1)

        def instead(*_args: Any, **_more: Any) -> dict[str, Any]:
            product(scene)
            return {}

        scene.product.run = instead  # type: ignore[method-assign]
        return [one.row() for one in scene.play([KINDS[f"{half}.{name}"] for name in names], 0)]

    world = World(run, 60)
    while not world.take():
        pass
    try:
        return {row["kind"].partition(".")[2]: row["verdict"] for row in world.end()}
    finally:
        tidy(base)


def nothing(_scene: Scene) -> None:
    """Do nothing, and say nothing."""


def everything(scene: Scene) -> None:
    """End and delete all that there is."""
    if isinstance(scene, KillScene):
        for situation in scene.situations:
            for one in situation.made:
                if one.alive:
                    os.kill(one.pid, signal.SIGKILL)
                while one.alive:
                    os.sched_yield()
    for path in (scene.base / "temp" / "video_merge", scene.base / "data", scene.base / "young"):
        shutil.rmtree(path, ignore_errors=True)


KILLS = {
    "current_directory": ("missed", "acted"),
    "ignores_term": ("missed", "acted"),
    "tcp_relay": ("kept", "wrong"),
    "backup_reads": ("unsaid", "wrong"),
    "another_units": ("unsaid", "wrong"),
    "in_flight": ("kept", "wrong"),
    "editor": ("missed", "wrong"),
}
DELETIONS = {
    "plain": ("missed", "acted"),
    "several_links": ("missed", "acted"),
    "open_to_read": ("unsaid", "wrong"),
    "arrived_lately": ("kept", "wrong"),
    "listed_name": ("unsaid", "wrong"),
    "barely_due": ("missed", "wrong"),
}


@root
@pytest.mark.slow
@pytest.mark.root
@pytest.mark.parametrize(("half", "kinds"), [("kill", KILLS), ("delete", DELETIONS)])
def test_who_does_nothing_misses_and_who_does_all_is_wrong(
    tmp_path: Path, half: str, kinds: dict[str, tuple[str, str]]
) -> None:
    for number, product in enumerate((nothing, everything)):
        directory = tmp_path / str(number)
        directory.mkdir()
        tmp_path.chmod(0o755)
        assert played(directory, half, list(kinds), product) == {name: both[number] for name, both in kinds.items()}


def test_the_table_fails_what_has_to_fail() -> None:
    def rows(*verdicts: str, right: str = "end") -> list[dict[str, Any]]:
        return [{"kind": "delete.plain", "right": right, "verdict": verdict, "detail": ""} for verdict in verdicts]

    assert not hostile.summary(rows(*["acted"] * 200, "said"))[0]["bad"]
    assert hostile.summary(rows(*["acted"] * 98, "said", "said"))[0]["bad"]
    assert not hostile.summary(rows(*["acted"] * 12, "said"))[0]["bad"], "one of a few, on a busy machine"
    assert hostile.summary(rows(*["acted"] * 200, "missed"))[0]["bad"]
    for verdict in ("wrong", "unsaid"):
        assert hostile.summary(rows(*["kept"] * 200, verdict, right="keep"))[0]["bad"]
    assert not hostile.summary(rows("kept", "acted", right="either"))[0]["bad"]


def test_the_parts_of_a_long_run_are_summed() -> None:
    def part(seed: int, *verdicts: str) -> dict[str, Any]:
        rows = [{"kind": "delete.plain", "right": "end", "verdict": verdict, "detail": ""} for verdict in verdicts]
        return {"seed": seed, "tries": len(rows), "seconds": 60, "table": hostile.summary(rows)}

    text = "\n".join(hostile_table.lines(hostile_table.summed([part(7, *["acted"] * 3), part(8, "acted", "said")])))
    assert "5 tries in 120 s, in 2 parts, with seeds 7, 8:" in text
    assert "Of 5 in which acting was right and provable, 80.00 % were acted on." in text
    assert "| plain | due and free | end | 6 | 5 | 4 | 0 | 0 | 0 | 1 | 0 |" in text
    with pytest.raises(ValueError, match="seeds 7, 7: one twice"):
        hostile_table.summed([part(7, "acted"), part(7, "acted")])
