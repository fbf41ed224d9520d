"""A clock that a test moves, for the processes that it starts: libfaketime, and dates for the files that they write.

clock = MovedClock(library(), directory / "clock", [directory / "data"])
clock.move(moment)                             for processes that run already too, from their next second; it runs on
subprocess.run(..., env={**os.environ, **clock.environment})
clock.date_files()                             before a process looks how old a file is

The kernel dates files by the real time. Therefore the moved time lies years before it: a file of the real time can be
told from one that has its date, and gets it from `date_files`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path


def library() -> Path | None:
    """The libfaketime of the development environment, or None where it does not work, as on another architecture."""
    package = importlib.util.find_spec("libfaketime")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    command = [sys.executable, "-c", "import time; print(int(time.time()))"]
    environment = {"LD_PRELOAD": str(path), "FAKETIME": "-315360000"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.strip()
    return path if said.isdecimal() and int(said) < time.time() - 300000000 else None


class MovedClock:
    """One clock for all processes that have its environment."""

    def __init__(self, preload: Path, file: Path, trees: Iterable[Path]) -> None:
        self._file = file
        self._trees = list(trees)
        self._offset = 0.0
        self._began = time.time() - 60
        self.environment = {
            "LD_PRELOAD": str(preload),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            # Without a cache each look at the clock reads the file anew, and threads of one process that do so together
            # may find none and take the real time (libfaketime, pull request 547). With this it is read once a second.
            "FAKETIME_CACHE_DURATION": "0",
            # Waiting and time-outs go on as they are, and so do the dates of files.
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "TZ": "UTC",
        }

    def now(self) -> datetime:
        """The time that the processes see."""
        return datetime.fromtimestamp(time.time() + self._offset, UTC)

    def move(self, to: datetime) -> None:
        """Put it somewhere; what was written so far is of the time before."""
        self.date_files()
        self._offset = to.timestamp() - time.time()
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._offset:.3f}\n", encoding="ascii")
        new.replace(self._file)

    def date_files(self) -> None:
        """Give what was written below the trees by now its date in the moved time."""
        for path in (path for tree in self._trees for path in _below(tree)):
            try:
                written = path.lstat().st_mtime
                if written > self._began:
                    os.utime(path, (written + self._offset,) * 2, follow_symlinks=False)
            except FileNotFoundError:
                continue


def _below(directory: Path) -> Iterator[Path]:
    for top, directories, files in os.walk(directory):
        yield from (Path(top, name) for name in (*directories, *files))
