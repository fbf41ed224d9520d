# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a host is waited for, whatever it does: one that lies keeps no deadline of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class OverdueError(BaseException):
    """The time is over. No Exception, so that what waits for a connection does not take it for one of its own."""


@contextlib.contextmanager
def limited_to(seconds: float) -> Iterator[None]:
    """End what runs in the block after so many seconds, and with it the programs that it started.

    A limit that was set before stays where it is nearer. Signals reach the first thread alone, which is the one that
    Ansible runs an action in; in another there is no limit.

    Raises:
        OverdueError: the time is over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    others = _children()

    def over(_number: int, _frame: Any) -> None:
        # First of all: what is on its way out may wait for them.
        for pid in _children() - others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        raise OverdueError

    before, began = signal.getsignal(signal.SIGALRM), time.monotonic()
    left, _interval = signal.getitimer(signal.ITIMER_REAL)
    if 0 < left <= seconds:
        yield
        return
    signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 0.001))


def _children() -> set[int]:
    """The processes that this one started: the client of the connection, or the shell of a local one."""
    found: set[int] = set()
    for thread in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found |= {int(pid) for pid in thread.read_text(encoding="ascii").split()}
    return found
