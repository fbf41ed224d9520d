# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run over the files of a log: which of them, from where, and how much of each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..deadline import Deadline, LateError
from ..shapes import one_line
from .files import DAMAGED, Cursor, LogFile, Place, open_files
from .scan import ReadInto, Scanner

# A file changed before the window can hold nothing of it; the hour is for clocks that were set.
_CLOCK_SLACK_S = 3600
_LEFT_OUT_MAX = 20


class Reading:
    """One run over the files of a log."""

    def __init__(
        self,
        path: str,
        scanner: Scanner,
        *,
        rotated: bool = False,
        max_bytes: int | None = None,
        cursor: Cursor | None = None,
        since: datetime | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        self._path = path
        self._rotated = rotated
        self._left = max_bytes
        self._scanner = scanner
        self._cursor = cursor
        self._deadline = deadline
        self._oldest = since.timestamp() - _CLOCK_SLACK_S if since else None
        self._rows: list[dict[str, Any]] = []
        self._problems: list[LogFile] = []
        self._bytes = 0
        self._partial = 0
        self._complete = True
        self._left_out: list[str] = []
        self.places: list[Place] = []
        self.has_older = False
        """Whether there is a file of the log that was last written before the time that was asked for."""

    def run(self) -> None:
        """Read what is asked for into the scanner, with what comes below it."""
        files, self._left_out = open_files(
            self._path, rotated=self._rotated or self._cursor is not None, wanted=self._is_wanted
        )
        try:
            plan = self._plan(files)
            self._problems = [file for file, _offset in plan if file.state != "ok"]
            for file, offset in plan:
                if file.state == "ok":
                    self._read(file, offset)
        finally:
            for file in files:
                file.close()

    def _is_wanted(self, changed_at: float) -> bool:
        # The file that the cursor stands in is needed to know what is new, however old it is.
        is_wanted = self._cursor is not None or self._oldest is None or changed_at >= self._oldest
        self.has_older = self.has_older or not is_wanted
        return is_wanted

    def _plan(self, files: list[LogFile]) -> list[tuple[LogFile, int]]:
        if self._cursor is not None:
            plan = self._cursor.resume(files)
            if plan is not None:
                return plan
        older = [
            file
            for file in files[:-1]
            if self._rotated and (file.state != "ok" or self._oldest is None or file.mtime >= self._oldest)
        ]
        chosen = [*older, files[-1]]
        if self._left is None or self._cursor is not None:
            return [(file, 0) for file in chosen]
        return self._newest(chosen, self._left)

    def _newest(self, files: list[LogFile], left: int) -> list[tuple[LogFile, int]]:
        """As much as max_bytes allows, from the end."""
        plan: list[tuple[LogFile, int]] = []
        for file in reversed(files):
            offset = 0 if file.state != "ok" else max(0, file.size - left - file.holes)
            if offset and (file.zipped or left <= 0):
                self._complete = False
                break
            plan.insert(0, (file, offset))
            left -= max(0, file.size - offset - file.holes)
            if offset:
                self._complete = False
        self._left = None
        return plan

    def _read(self, file: LogFile, offset: int) -> None:
        if self._left is not None and self._left <= 0:
            self._complete = False
            return
        lines = self._scanner.lines
        # Where it starts anywhere, the line before is read to its end.
        start = offset - 1 if offset and self._cursor is None else offset
        total = 0
        try:
            parts = file.parts(start)
            place = parts[0][0] if parts else file.size
            for begin, end in parts:
                read_into = self._in_time(file, file.reader(begin, end))
                count, consumed, rest = self._scanner.read(
                    read_into, limit=self._left, mid_line=begin == start < offset
                )
                total += count
                place = begin + consumed
                if consumed < count:
                    if end is not None and begin + count >= end:
                        self._scanner.cut_off(rest)
                        place = end
                    else:
                        taken = self._cursor is None and self._scanner.rest(rest)
                        self._partial += not taken
                if self._left is not None:
                    self._left -= count
                    if self._left <= 0:
                        self._complete = self._complete and begin + count >= file.size
                        break
            self.places.append(Place.of(file, place))
        except LateError as error:
            file.state, file.reason = "timeout", one_line(error)
            self._problems.append(file)
        except (*DAMAGED, OSError) as error:
            file.state, file.reason = "invalid", one_line(f"{file.path}: {error}")
            self._problems.append(file)
        self._bytes += total
        self._rows.append({"path": file.path, "offset": offset, "bytes": total, "lines": self._scanner.lines - lines})

    def _in_time(self, file: LogFile, read_into: ReadInto) -> ReadInto:
        deadline = self._deadline
        if deadline is None:
            return read_into

        def read(view: memoryview) -> int:
            deadline.require(f"reading {file.path}")
            return read_into(view)

        return read

    @property
    def is_late(self) -> bool:
        """Whether the time was over before the end."""
        return any(file.state == "timeout" for file in self._problems)

    def result(self) -> dict[str, Any]:
        """How it went."""
        problem = self._problems[-1] if self._problems else None
        return {
            "changed": False,
            "state": problem.state if problem else "ok",
            "reason": problem.reason if problem else "",
            "complete": self._complete and problem is None and not self._left_out,
            "left_out": [one_line(path, 300) for path in self._left_out[:_LEFT_OUT_MAX]],
            "files": self._rows,
            "bytes_read": self._bytes,
            "partial_last_line": self._partial,
        }
