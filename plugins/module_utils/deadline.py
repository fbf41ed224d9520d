# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long each module may take, by its own options, and what ends it by then.

A module looks at its :class:`Deadline` in its loops, and ends with what it has, marked as not all of it. What hangs
elsewhere is ended by :func:`limited`. A call that waits in the kernel for a dead disk (state D) is beyond any process:
its module goes on hanging, and only the task's own limit on the controller ends the wait for it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Callable

GRACE_S = 15.0
"""How long after its deadline a module is ended that did not end by itself; after as long again, its process."""

_AGAIN_S = 5.0
_BYTES_PER_S = 4 << 20
_ARCHIVE_MAX_S = 4 * 3600.0

Given = Mapping[str, float]

# By module: the options that its time depends on, with their defaults, and the seconds.
_LONGEST: dict[str, tuple[Given, Callable[[Given], float]]] = {
    "alert_state": ({}, lambda _: 60),
    # These two end by the bytes that they find; this is the most of it.
    "archive_copy": ({"total_timeout": 3600}, lambda given: given["total_timeout"] + _ARCHIVE_MAX_S),
    "log_archive": ({}, lambda _: _ARCHIVE_MAX_S),
    # It may read the logs of a week.
    "daily_reports_info": ({}, lambda _: 600),
    "disk_cleanup": ({"overall_timeout": 45}, lambda given: 900 + given["overall_timeout"]),
    "evidence_bundle": ({}, lambda _: 300),
    "ffmpeg_info": ({"timeout": 30}, lambda given: 300 + 20 * given["timeout"]),
    "guard": ({}, lambda _: 60),
    "host_info": (
        {"interval": 1, "samples": 1, "path_timeout": 5},
        # One for the file systems, and one for who has deleted files open there.
        lambda given: 60 + given["interval"] * given["samples"] + 2 * given["path_timeout"],
    ),
    "log_digest_info": ({"max_bytes": 2 << 30}, lambda given: 60 + given["max_bytes"] / _BYTES_PER_S),
    "metrics_textfile": ({}, lambda _: 30),
    "notify": ({"total_timeout": 30}, lambda given: 30 + given["total_timeout"]),
    "package_repair": (
        {"repair_timeout": 900, "timeout": 30},
        lambda given: given["repair_timeout"] + 2 * (360 + 20 * given["timeout"]),
    ),
    "pipeline_cleanup": ({"overall_timeout": 45}, lambda given: 60 + given["overall_timeout"]),
    "pipeline_info": ({"overall_timeout": 45}, lambda given: 60 + given["overall_timeout"]),
    "service_config": ({}, lambda _: 120),
    "service_control": (
        {
            "timeout": 180,
            "interval": 2,
            "samples": 3,
            "drain": 0,
            "overall_timeout": 45,
            "health_timeout": 10,
            "health_tries": 2,
        },
        lambda given: (
            300
            + 2 * given["timeout"]
            + 2 * given["interval"] * given["samples"]
            + given["drain"]
            + 3 * given["overall_timeout"]
            + 16 * given["health_timeout"] * given["health_tries"]
        ),
    ),
    "session_info": (
        {"samples": 2, "interval": 5, "overall_timeout": 45, "look_max": 120},
        lambda given: (
            180 + given["samples"] * (given["interval"] + 10) + 2 * given["overall_timeout"] + given["look_max"]
        ),
    ),
    "session_terminate": (
        {"samples": 2, "interval": 5, "overall_timeout": 45, "look_max": 120, "grace": 10, "wait": 60},
        lambda given: (
            300
            + given["look_max"]
            + given["samples"] * (given["interval"] + 10)
            + 4 * given["overall_timeout"]
            + 20 * given["grace"]
            + given["wait"]
        ),
    ),
    "setup_info": ({}, lambda _: 180),
    "state_report": ({}, lambda _: 60),
    "storage_probe": ({"total_timeout": 30}, lambda given: 60 + given["total_timeout"]),
}


class LateError(Exception):
    """A module's time is over. None of what goes wrong on the way, which callers may do without."""


class Deadline:
    """A moment by which something must have ended, on a clock that nobody sets.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._ends

    @property
    def left_s(self) -> float:
        """How many seconds are left; none or less when the time is over."""
        return self._ends - time.monotonic()

    def require(self, what: str) -> None:
        """Go on only while there is time.

        Raises:
            LateError: the time is over; names ``what`` was not done by then.
        """
        if self.is_over:
            raise LateError(f"{what}: not done within {self.seconds:.3g} s")


def longest_s(module: str, params: Mapping[str, Any]) -> float | None:
    """How many seconds a module may take; what waits for it should allow 2 * GRACE_S more.

    Args:
        module: its name, with or without that of the collection.
        params: its options; what is not given has its default.

    Returns:
        The seconds, None for a module that has no limit.
    """
    row = _LONGEST.get(module.rpartition(".")[2])
    if row is None:
        return None
    defaults, seconds = row
    given = {name: float(params[name]) for name in defaults if params.get(name) is not None}
    return seconds({**defaults, **given})


def deadline_of(module: str, params: Mapping[str, Any]) -> Deadline:
    """The deadline of a module that begins now."""
    seconds = longest_s(module, params)
    if seconds is None:
        raise LookupError(f"module {module} has no row in the table of times")
    return Deadline(seconds)


def seconds_for(size: int) -> float:
    """How long it may take to read so many bytes, pack them and read them back, on a slow disk."""
    return min(60.0 + size / _BYTES_PER_S, _ARCHIVE_MAX_S)


@contextlib.contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """End what runs in it where it does not end by itself, by an error, and where that is not heard, by its process.

    The last resort: the error is raised wherever the code is, again and again until it is heard.

    Args:
        seconds: after which; None for no limit.

    Raises:
        LateError: the time is over.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(_number: int, _frame: object) -> None:
        raise LateError(f"not done within {seconds:.3g} s, and ended")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(seconds + GRACE_S, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
