"""tests/frame: no playbook is left out, a seed gives the same faults, and its judge finds broken what is broken."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.frame import __main__ as frame
from tests.frame import inject, judge
from tests.frame.settings import SETTINGS
from tests.frame.world import CRITICAL, DOWN, HOSTS, TTL_S, WELL, Fault, Left, Playbook, verdicts
from tools import frame_table

WATCH = frame.BY_NAME["watch_health"]
SCREEN = f"CRITICAL {CRITICAL} overall_status x\nUNKNOWN  {DOWN} overall_status x\nOK       {WELL} -\n"


def row(k: int, host: str, **more: Any) -> dict[str, Any]:
    """A line of the trace."""
    line = {"k": k, "host": host, "task": "Judge", "action": "media_ops.runbook.check", "run_once": False, "asks": 1}
    return {**line, "fired": False, **more}


def left(**more: Any) -> Left:
    """What a run leaves in which all promises hold."""
    return Left(
        **{
            "code": 2,
            "screen": SCREEN,
            "trace": [row(1, host) for host in HOSTS],
            "result": None,
            "told": {WELL: 0, CRITICAL: 1, DOWN: 1},
            "leases": {},
            "begun": {host: set() for host in HOSTS},
            "deleted": {},
            **more,
        }
    )


def test_no_playbook_is_left_out() -> None:
    names = {path.stem for path in (frame.ROOT / "playbooks").glob("*.yml")}
    assert {playbook.name.partition("@")[0] for playbook in frame.PLAYBOOKS} | frame.ELSEWHERE == names
    assert {playbook.name for playbook in frame.PLAYBOOKS if playbook.every} == {
        "watch_health",
        "incident_response@apply",
    }


def test_a_seed_gives_the_same_faults_and_all_five_where_every_one_is_tried() -> None:
    base = left(trace=[row(k, host) for k in (1, 3, 4) for host in HOSTS])
    points = frame.cases_of(WATCH, base, 7)
    assert points == frame.cases_of(WATCH, base, 7)
    assert points != frame.cases_of(WATCH, base, 8)
    assert sorted({(case.fault.k, case.fault.fault) for case in points if case.fault}) == sorted(
        (k, fault) for k in (1, 3, 4) for fault in frame.FAULTS
    )
    assert len(frame.cases_of(replace(WATCH, every=False), base, 7)) == 3
    for case in points:
        assert frame.one(case.text) == case


def test_a_sample_has_the_watch_in_it_whatever_the_seed() -> None:
    base = left()
    for seed in range(20):
        wanted, number = frame.chosen(seed, "12", [])
        cases = [case for playbook in wanted for case in frame.cases_of(playbook, base, seed)]
        assert any(case.playbook == "watch_health" for case in frame.drawn(cases, number, seed))
    with pytest.raises(SystemExit, match="no playbook nobody"):
        frame.chosen(1, "12", ["nobody"])


def test_names_of_settings_are_their_own() -> None:
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    for setting in SETTINGS:
        re.compile(setting.refusal)
        case = frame.Case("watch_health", setting=setting)
        assert frame.one(case.text) == case


FAULT = Fault(1, "failure", (WELL,))
WORSE = SCREEN.replace(f"OK       {WELL}", f"UNKNOWN  {WELL}")
ACTED = {WELL: {"delete"}, CRITICAL: set(), DOWN: set()}


def test_what_holds_is_not_broken() -> None:
    assert judge.broken(WATCH, left(), left()) == []
    assert judge.broken(WATCH, left(), left(screen=WORSE), FAULT) == []
    lost = Fault(1, "unreachable", (CRITICAL,))
    assert judge.broken(WATCH, left(), left(leases={CRITICAL: 20.0}), lost) == []
    assert judge.broken(WATCH, left(), left(leases={CRITICAL: 20.0}), Fault(1, "disk_full", ())) == []
    once = left(trace=[row(1, WELL, run_once=True)])
    assert judge.broken(WATCH, once, left(), FAULT) == []


def test_a_fleet_that_is_well_ends_with_0_where_nothing_was_lost() -> None:
    alone = replace(WATCH, hosts=(WELL,))
    base = left(
        code=0, screen=f"OK       {WELL} -\n", result={"hosts": []}, trace=[row(1, WELL), row(2, WELL, run_once=True)]
    )
    assert judge.broken(alone, base, base) == []
    assert "exit code 0" in judge.broken(alone, base, base, FAULT)
    assert judge.broken(alone, base, base, replace(FAULT, k=2)) == []
    assert judge.broken(alone, base, replace(base, result=None), Fault(2, "disk_full", ())) == ["exit code 0"]


@pytest.mark.parametrize(
    ("what", "fault", "said"),
    [
        ({"code": 0}, None, "exit code 0"),
        ({"code": -9}, None, "ended by signal 9"),
        ({"screen": SCREEN + "Traceback (most recent call last):\n"}, None, "a traceback"),
        ({"screen": SCREEN.replace(DOWN, "another")}, None, f"no verdict for {DOWN}"),
        ({"screen": SCREEN.replace("CRITICAL ", "OK       ")}, None, f"{CRITICAL} is ok"),
        ({}, FAULT, f"the fault hit {WELL}"),
        ({"told": {WELL: 0, CRITICAL: 0, DOWN: 1}}, None, f"nobody was told of {CRITICAL}"),
        ({"told": {WELL: 1, CRITICAL: 1, DOWN: 1}}, None, f"people were called for {WELL}"),
        ({"leases": {CRITICAL: 20.0}}, Fault(1, "failure", (CRITICAL,)), f"the lease of {CRITICAL} is left behind"),
        ({"leases": {CRITICAL: TTL_S + 60.0}}, Fault(1, "killed", (CRITICAL,)), "does not end in its time"),
        ({"begun": ACTED}, None, f"on {WELL} was done"),
        ({"deleted": {WELL: {"a.mp4"}}}, None, "was deleted what was not planned: a.mp4"),
        ({"deleted": {WELL: {"a.mp4"}}}, None, "not on record"),
    ],
)
def test_what_is_broken_is_found(what: dict[str, Any], fault: Fault | None, said: str) -> None:
    found = judge.broken(WATCH, left(), left(**what), fault)
    assert any(said in line for line in found), found


def test_a_setting_goes_as_without_it_or_refuses_by_name() -> None:
    refused = {"code": 4, "screen": "[ERROR]: strategy free is not for this", "told": dict.fromkeys(HOSTS, 0)}
    assert judge.differs(WATCH, left(), left(), "strategy") == []
    assert judge.differs(WATCH, left(), left(**refused), "strategy") == []
    assert judge.differs(WATCH, left(), left(**refused), "gathering")
    assert judge.differs(WATCH, left(), left(**{**refused, "code": 0}), "strategy")
    assert judge.differs(WATCH, left(), left(**refused, begun=ACTED), "strategy")
    assert judge.differs(WATCH, left(), left(screen=WORSE), "strategy")


def test_playbooks_without_a_report_have_ansibles_recap_for_a_verdict() -> None:
    recap = "".join(f"{host:20} : ok=1    changed=0\n" for host in HOSTS)
    assert judge.broken(Playbook("automation_status"), left(), left(screen=recap)) == []
    assert judge.broken(Playbook("watch", "watch"), left(), left(screen=recap)) != []


def test_the_last_verdict_of_a_host_counts() -> None:
    assert verdicts(SCREEN) == {CRITICAL: "critical", DOWN: "unknown", WELL: "ok"}
    assert verdicts(SCREEN + WORSE)[WELL] == "unknown"


class Executor:
    """As much of a task's executor as is asked for."""

    class _Task:
        name, action, resolved_action, run_once = "Look", "look", "media_ops.runbook.look", False

    class _Host:
        name = WELL

    _task, _host = _Task, _Host


@pytest.mark.parametrize(("depth", "after", "worked"), [("task", False, 0), ("task", True, 1), ("module", False, 1)])
def test_a_fault_hits_the_task_that_was_meant(tmp_path: Path, depth: str, after: bool, worked: int) -> None:
    fault = {"k": 2, "fault": "failure", "hosts": [WELL], "depth": depth, "after": after, "disk": ""}
    injector = inject.Injector(fault, tmp_path / "trace")
    injector.executor = Executor
    done: list[str] = []

    def work() -> dict[str, Any]:
        done.append("work")
        found: dict[str, Any] = injector.module(lambda: {"failed": False})
        return found

    injector.announced()
    assert injector.task(work) == {"failed": False}
    done.clear()
    injector.announced()
    assert injector.task(work) == {"failed": True, "changed": False, "msg": inject.MESSAGE}
    assert len(done) == worked
    lines = [json.loads(line) for line in (tmp_path / "trace").read_text(encoding="utf-8").splitlines()]
    assert [(line["k"], line["fired"]) for line in lines] == [(1, False), (2, True)]
    injector.announced()
    assert injector.task(work) == {"failed": False}


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_a_full_disk_takes_neither_bytes_nor_names(tmp_path: Path) -> None:
    import subprocess

    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=300", "tmpfs", str(tmp_path)], check=True)
    try:
        (tmp_path / "there").write_bytes(b"")
        inject._fill(tmp_path)
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "there").write_bytes(b"x")
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "new").mkdir()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_the_page_counts_points_by_playbook_and_fault() -> None:
    rows = [
        {"playbook": "watch_health", "fault": fault, "k": k, "task": "t", "held": k == 1}
        for k in (1, 2)
        for fault in frame.FAULTS
    ]
    rows += [
        {"playbook": "watch_health", "fault": "none", "task": "without a fault", "held": True},
        {"playbook": "watch_health", "fault": "setting", "task": "a site's", "held": False},
    ]
    page = "\n".join(frame_table.lines({"rows": rows, "seconds": 9, "seed": 1}))
    assert "| watch_health | 2 | 1/2 | 1/2 | 1/2 | 1/2 | 1/2 | 10 | 5 |" in page
    assert "| a site's | broken |" in page
    assert set(frame_table.FAULTS) == set(frame.FAULTS)
