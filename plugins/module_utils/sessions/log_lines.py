# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the log of the service says of a session."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ..logs.digest import Digest
from ..logs.reading import Reading
from ..logs.scan import Scanner
from ..logs.where import Where, getter
from ..opener import open_regular
from ..shapes import one_line

_TAIL_BYTES = 64 << 20
_LINE_BYTES = 1 << 20
_NEW_BYTES = 32 << 20
_TAIL_FIELDS = ["timestamp", "level", "message", "extra.stage", "extra.error_code", "extra.error_message"]


@dataclass(frozen=True)
class LogMark:
    """Where the log ended at one moment; `fault` is why that cannot be seen, empty for a log that is not there."""

    path: str
    inode: int = 0
    size: int = 0
    fault: str = ""

    @classmethod
    def of(cls, path: str) -> LogMark:
        """The end of a log as it is now; one that is not there has no lines."""
        if not path:
            return cls(path)
        try:
            opened = open_regular(path, follow=True)
        except FileNotFoundError:
            return cls(path)
        except OSError as error:
            return cls(path, fault=one_line(f"{path}: {error.strerror}"))
        try:
            facts = os.fstat(opened)
        finally:
            os.close(opened)
        return cls(path, facts.st_ino, facts.st_size)

    def lines_since(self) -> list[bytes]:
        """The lines written since, also where the log was rotated meanwhile."""
        if not self.path:
            return []
        now = LogMark.of(self.path)
        if now.inode == self.inode:
            return self._read(self.path, self.size)
        return self._read(f"{self.path}.1", self.size) + self._read(self.path, 0)

    def _read(self, path: str, offset: int) -> list[bytes]:
        try:
            opened = open_regular(path, follow=True)
        except OSError:  # a log that cannot be read shows no progress; `fault` says so
            return []
        with os.fdopen(opened, "rb") as file:
            if offset and os.fstat(opened).st_ino != self.inode:
                return []
            file.seek(offset)
            return file.read(_NEW_BYTES).splitlines()


def lines_of(session_id: str, lines: list[bytes]) -> int:
    """How many lines of a log have this id as a whole value."""
    value = f'"{session_id}"'.encode()
    return sum(value in line for line in lines)


def log_tail(path: str, session_id: str, lines: int) -> list[dict[str, Any]]:
    """The last entries of the log that are of this session."""
    if not path or not lines:
        return []
    digest = Digest(
        count_by={},
        numeric={},
        fields={field: getter("fields", field) for field in _TAIL_FIELDS},
        time_of=getter("time_field", "timestamp"),
        last=lines,
        only_last=False,
        max_values=1,
        max_text=300,
        since=None,
    )
    where = Where([{"field": "extra.session_id", "op": "eq", "value": session_id}])
    Reading(path, Scanner(digest, where, max_line_bytes=_LINE_BYTES, parse_all=False), max_bytes=_TAIL_BYTES).run()
    found: list[dict[str, Any]] = digest.result()["last"]
    return found
