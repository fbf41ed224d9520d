# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much of the host's processors and memory some processes use by themselves, readable by any user.

What their children used counts for those alone: the sum that a parent inherits when a child ends says nothing of now.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import NamedTuple

from .processes import TICKS

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Used(NamedTuple):
    """A process at a moment: its start, ticks on a processor, and bytes of memory that are its own."""

    start: int
    ticks: int
    own_bytes: int


class Uses(NamedTuple):
    """Some processes at a moment of the monotonic clock."""

    at: float
    by_pid: dict[int, Used]


class Share(NamedTuple):
    """Per cent of all of the host's processors, and of its memory."""

    cpu: float
    memory: float


def uses_of(pids: Iterable[int]) -> Uses:
    """What the processes have used so far; one that cannot be read is left out."""
    found = {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                pages = [int(number) for number in file.read().split()]
            own = max(0, pages[1] - pages[2]) * _PAGE
            found[pid] = Used(int(fields[19]), int(fields[11]) + int(fields[12]), own)
        except (OSError, ValueError, IndexError):
            continue
    return Uses(time.monotonic(), found)


def share_of(before: Uses, after: Uses, pids: Iterable[int]) -> Share:
    """How much of the host these processes used between two looks, and have of its memory at the second."""
    seconds, ticks, own_bytes = max(0.001, after.at - before.at), 0, 0
    for pid in pids:
        now, then = after.by_pid.get(pid), before.by_pid.get(pid)
        if now:
            own_bytes += now.own_bytes
            ticks += now.ticks - (then.ticks if then and then.start == now.start else 0)
    of_all = 100.0 * ticks / TICKS / seconds / (os.cpu_count() or 1)
    total = os.sysconf("SC_PHYS_PAGES") * _PAGE
    return Share(round(min(100.0, max(0.0, of_all)), 1), round(100.0 * own_bytes / total, 1) if total > 0 else 0.0)


def working(before: Uses, after: Uses, pids: Iterable[int], percent: float) -> list[int]:
    """Those that were there at both looks, and used more than so many per cent of one processor in between."""
    least = percent / 100 * TICKS * (after.at - before.at)
    found = []
    for pid in sorted(set(pids)):
        now, then = after.by_pid.get(pid), before.by_pid.get(pid)
        if now and then and now.start == then.start and now.ticks - then.ticks > least:
            found.append(pid)
    return found
