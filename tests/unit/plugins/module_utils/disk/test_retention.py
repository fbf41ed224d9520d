"""Retention rules without files: ages, order, targets, and the plan's digest."""

from __future__ import annotations

import os
import random
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.disk import retention
from ansible_collections.media_ops.runbook.plugins.module_utils.disk.retention import Findings, Room
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import plan_hash
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.deletion import DAY, rule

NOW = 1_800_000_000 * 10**9


def facts(
    mtime_ns: int = 0, size: int = 1000, inode: int = 1, links: int = 1, blocks: int = 8, ctime_ns: int | None = None
) -> Any:
    """A regular file as stat sees it; its inode has the same date if none is given."""
    return SimpleNamespace(
        st_mode=0o100644,
        st_ino=inode,
        st_size=size,
        st_mtime_ns=mtime_ns,
        st_ctime_ns=mtime_ns if ctime_ns is None else ctime_ns,
        st_nlink=links,
        st_blocks=blocks,
    )


def parsed(**more: Any) -> retention.Rule:
    return retention.parse_rules([rule("/srv/media/temp", "*.tmp", **more)], [])[0]


def found_of(*files: Any, **more: Any) -> Findings:
    found = Findings(parsed(**more))
    for number, one in enumerate(files):
        found.due.add("session", 7, f"{number}.tmp", one)
    return found


@given(st.integers(-(10**18), 2 * 10**18), st.floats(1e-3, 1e9))
def test_a_file_is_due_exactly_when_it_is_older(mtime_ns: int, age: float) -> None:
    verdict = parsed(min_age=age).judge("a.tmp", facts(mtime_ns), NOW)
    older = NOW - mtime_ns > round(age * 10**9)
    assert verdict == ("future" if mtime_ns > NOW else "" if older else "young")


@given(st.lists(st.tuples(st.integers(-5, 2**33), st.text("ab\udcff/é", min_size=1, max_size=5)), max_size=60))
def test_files_come_back_as_they_were_and_the_oldest_first(files: list[tuple[int, str]]) -> None:
    due = retention.DueFiles()
    for number, (second, name) in enumerate(files):
        due.add(f"d{number // 3}", number // 3, name, facts(second * 10**9 + number, inode=number))
    ordered = list(due.oldest_first())
    assert sorted(file.inode for file in ordered) == list(range(len(files)))
    for file in ordered:
        second, name = files[file.inode]
        assert (file.name, file.mtime_ns, file.directory_inode) == (name, second * 10**9 + file.inode, file.inode // 3)
    seconds = [min(max(file.mtime_ns // 10**9, 0), 2**32 - 1) for file in ordered]
    assert seconds == sorted(seconds)


def test_more_files_than_are_sorted_at_once_come_in_order() -> None:
    chance = random.Random(1)
    due = retention.DueFiles()
    for number in range(140_000):
        due.add("", 1, "x", facts(chance.randrange(10**6) * 10**9, inode=number))
    seconds = [file.mtime_ns for file in due.oldest_first()]
    assert len(seconds) == 140_000
    assert seconds == sorted(seconds)


def test_the_digest_knows_no_order_and_every_difference() -> None:
    files = [facts(number, 10, number) for number in range(5)]
    named = list(enumerate(files))

    def digest(order: list[tuple[int, Any]]) -> int:
        found = Findings(parsed())
        for number, one in order:
            found.due.add("s", 7, f"{number}.tmp", one)
        return retention.totals(found).digest

    first = digest(named)
    assert digest(named[::-1]) == first
    for other in ({"mtime_ns": 9}, {"size": 11}, {"inode": 9}):
        changed = [*named[:-1], (4, facts(**{"mtime_ns": 4, "size": 10, "inode": 4, **other}))]
        assert digest(changed) != first
    assert digest(named[:-1]) != first
    assert digest([*named[:-1], (9, files[4])]) != first


def test_a_target_takes_of_the_first_rule_first_and_no_more_than_it_needs() -> None:
    first, second = found_of(*[facts(blocks=2)] * 3), found_of(*[facts(blocks=2)] * 3, name="second")
    retention.limit_to([first, second], Room(bytes=4 * 1024, inodes=0))
    assert (first.wanted, second.wanted) == (3, 1)
    assert second.skipped == {"target_reached": 2}
    retention.limit_to([first, second], Room(bytes=0, inodes=-5))
    assert (first.wanted, second.wanted) == (0, 0)
    retention.limit_to([first, second], Room(bytes=-1, inodes=5))
    assert (first.wanted, second.wanted) == (3, 2)


def test_what_has_other_hard_links_brings_no_target_nearer() -> None:
    found = found_of(*[facts(links=2)] * 2, facts())
    retention.limit_to([found], Room(bytes=4096, inodes=1))
    assert found.wanted == 3
    counted = retention.totals(found)
    assert (counted.files, counted.bytes, counted.hard_linked) == (3, 4096, 2)


def test_what_a_file_system_lacks() -> None:
    # blocks of 4096: 100 in all, 80 used, 10 of the other 20 kept for root
    figures: Any = os.statvfs_result((4096, 4096, 100, 20, 10, 50, 5, 5, 0, 255))
    assert retention.lacking(figures, 0).enough
    assert retention.lacking(figures, 20) == Room(bytes=18 * 4096 - 10 * 4096, inodes=5)
    without_inodes: Any = os.statvfs_result((4096, 4096, 100, 20, 10, 0, 0, 0, 0, 255))
    assert retention.lacking(without_inodes, 20).inodes == 0


# runbook: P2P-3A, P2P-3B, WC-2, EM-D3
def test_the_plan_has_an_action_for_each_rule_that_takes_something() -> None:
    taking, idle = found_of(facts(), steps=["P2P-3A"]), found_of(name="idle")
    plan = retention.make_plan([(found, retention.totals(found)) for found in (taking, idle)])
    assert [action["steps"] for action in plan] == [["P2P-3A"]]
    assert plan[0]["why"] == "*.tmp older than 1 days"
    assert plan_hash(plan) == plan_hash(retention.make_plan([(taking, retention.totals(taking))]))


@pytest.mark.parametrize(
    ("age", "says"), [(8640.0, "2.4 h"), (DAY / 2, "12 h"), (7 * DAY, "7 days"), (90.0, "1.5 min"), (5.0, "5 s")]
)
def test_a_rule_says_its_age(age: float, says: str) -> None:
    assert parsed(min_age=age).says == f"*.tmp older than {says}"
