# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a run, and how all of them are ended: those with sessions of their own, too.

They are found as descendants, since this process adopts what its children leave behind, and by a mark in their
environment, which finds them after this process was killed. They are signalled by pid and time of start, never by name.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

MARK = "MEDIA_OPS_RUN"
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_GRACE_S, _KILLED_S = 5.0, 10.0


class Process(NamedTuple):
    """A process by what no other one has: a number is given again, with another time of start."""

    pid: int
    started: int  # ticks since the machine was started


def adopt() -> None:
    """Become the parent of whatever a child leaves behind."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def end_with_parent(number: int) -> None:
    """Have this process signalled when its parent ends, however that ends."""
    _prctl(_SET_PDEATHSIG, number)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def descendants(of: int) -> set[Process]:
    """The living processes below one."""
    parents = dict(_living())
    below, found = {of}, set[Process]()
    while more := {process for process, parent in parents.items() if parent in below} - found:
        found |= more
        below = {process.pid for process in more}
    return found


def marked(mark: str) -> set[Process]:
    """The living processes with that mark, as far as their environment may be read; not this one."""
    wanted = f"{MARK}={mark}".encode()
    found = set()
    for process, _parent in _living():
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
            if process.pid != os.getpid() and wanted in environment:
                found.add(process)
    return found


def end(find: Callable[[], set[Process]], grace_s: float = _GRACE_S) -> list[int]:
    """Ask the processes to end, then make them; new ones too, until there are none.

    Returns:
        The pids of those that are still there: of another user, or waiting in the kernel for a dead disk.
    """
    for number, seconds in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _KILLED_S)):
        deadline, told = time.monotonic() + seconds, set[Process]()
        while left := find():
            for process in left - told:
                _signal(process, number)
            told |= left
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
    return sorted(process.pid for process in find())


def reap() -> None:
    """Let those go that have ended, and that nobody else waits for."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _signal(process: Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        held = os.pidfd_open(process.pid)
        try:
            found = _facts(process.pid)
            if found and found[0] == process:
                signal.pidfd_send_signal(held, number)
        finally:
            os.close(held)


def _living() -> Iterator[tuple[Process, int]]:
    """All processes that have not ended, with their parents."""
    for path in Path("/proc").iterdir():
        found = _facts(int(path.name)) if path.name.isdigit() else None
        if found:
            yield found


def _facts(pid: int) -> tuple[Process, int] | None:
    """The process and its parent; None where it is not there, or has ended and is not waited for yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (Process(pid, int(fields[19])), int(fields[1]))
