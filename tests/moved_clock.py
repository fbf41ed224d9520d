"""A clock that a test moves, for the processes that it starts: the time that they see, and the dates of all files.

clock = MovedClock(directory / "clock")
clock.move(moment)                             for processes that run already too, at once; it runs on from there
with clock.ago(timedelta(days=2)): ...         what is written within is that old when it stands at real time again
subprocess.run(..., env={**os.environ, **clock.environment})

A file that was written, by whomever, while the clock stood at a moment is of that moment for these processes, by mtime
and by ctime: nobody has to date it, and nobody can. The test itself sees real time. Dates that it sets with os.utime
are seen as it set them where they lie before the first move, as those do of a clock that is moved into the past.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tools.lab.system import missing_packages

SOURCE = Path(__file__).parent / "clock" / "moved_clock.c"
# As moved_clock.c reads them: nanoseconds, 19 digits, and a sign and 18 digits.
_LINE = "{:019d} {:+019d}"
_WIDTH = 40
_MOST = 4096
# Python has no name for it.
_CLOCK_REALTIME_COARSE = 5


@functools.cache
def missing_reason() -> str:
    """Say why no clock can be moved here ("" when it can); as root a missing compiler is installed."""
    if platform.system() != "Linux" or platform.architecture()[0] != "64bit":
        return "a moved clock takes a 64-bit Linux"
    missing = missing_packages({"cc": "gcc libc6-dev"})
    return f"a moved clock takes packages that are not installed: {missing}" if missing else ""


@functools.cache
def library() -> Path:
    """The library that moves the clock, compiled where it is not in the cache yet.

    Raises:
        RuntimeError: it cannot be compiled; the message is the compiler's.
    """
    if reason := missing_reason():
        raise RuntimeError(reason)
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "media_ops_runbook")
    cache = Path(os.environ.get("MEDIA_OPS_CACHE") or default).resolve()
    key = hashlib.sha256(SOURCE.read_bytes() + platform.platform().encode()).hexdigest()[:12]
    made = cache / f"moved-clock-{key}.so"
    if not made.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="moved-clock-") as scratch:
            new = Path(scratch, made.name)
            command = ["cc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-fPIC", "-shared", "-o", str(new), str(SOURCE)]
            done = subprocess.run([*command, "-ldl", "-lpthread"], capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{SOURCE.name} cannot be compiled:\n{done.stderr}")
            new.replace(made)
    return made


class MovedClock:
    """One clock for all processes that have its environment; `file` is made.

    So are `others`, files of the same clock for those that cannot see that one, such as the hosts of a lab.
    """

    def __init__(self, file: Path, *others: Path) -> None:
        self._files = (file, *others)
        self._moves = 0
        self._offset_ns = 0
        for one in self._files:
            with one.open("xb") as made:
                made.truncate(_WIDTH * _MOST)
        self.environment = {"LD_PRELOAD": str(library()), "MOVED_CLOCK_FILE": str(file), "TZ": "UTC"}

    def now(self) -> datetime:
        """The time that the processes see."""
        return datetime.fromtimestamp((time.time_ns() + self._offset_ns) / 10**9, UTC)

    def move(self, to: datetime) -> None:
        """Put it somewhere; what was written so far is of the time before."""
        since = _next_tick()
        self._set(since, round(to.timestamp() * 10**9) - since)

    @contextlib.contextmanager
    def ago(self, age: timedelta) -> Iterator[None]:
        """It goes so far behind, and then to real time."""
        self._set(_next_tick(), -round(age.total_seconds() * 10**9))
        try:
            yield
        finally:
            self._set(_next_tick(), 0)

    def _set(self, since: int, offset: int) -> None:
        if self._moves == _MOST:
            raise RuntimeError(f"a clock is moved {_MOST} times at most")
        self._offset_ns = offset
        line = _LINE.format(since, self._offset_ns).encode("ascii")
        start = self._moves * _WIDTH
        for one in self._files:
            with one.open("r+b", buffering=0) as file:
                # Its newline makes it a line, for whoever reads at this moment.
                os.pwrite(file.fileno(), line, start)
                os.pwrite(file.fileno(), b"\n", start + _WIDTH - 1)
        self._moves += 1


def _next_tick() -> int:
    """Wait until the coarse clock is past this moment, some milliseconds; return it in ns.

    The kernel dates files by that one, or (since 6.13) by the fine one where somebody has looked since the last change:
    all that was written before is dated before this, and all that is written from now on is not.
    """
    before = time.time_ns()
    while (now := time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)) <= before:
        pass
    return now
