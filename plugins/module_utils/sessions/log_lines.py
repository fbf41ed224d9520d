# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the log of the service says of a session."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError
from ..logs.log_digest_info import argument_spec, log_digest

_TAIL_BYTES = 64 << 20
_NEW_BYTES = 32 << 20
_TAIL_FIELDS = ["timestamp", "level", "message", "extra.stage", "extra.error_code", "extra.error_message"]


@dataclass(frozen=True)
class LogMark:
    """Where the log ended at one moment."""

    path: str
    inode: int = 0
    size: int = 0

    @classmethod
    def of(cls, path: str) -> LogMark:
        """The end of a log as it is now; a log that cannot be read has no lines."""
        with contextlib.suppress(OSError):
            facts = os.stat(path)
            return cls(path, facts.st_ino, facts.st_size)
        return cls(path)

    def lines_since(self) -> list[bytes]:
        """The lines written since, also where the log was rotated meanwhile."""
        if not self.path:
            return []
        now = LogMark.of(self.path)
        if now.inode == self.inode:
            return self._read(self.path, self.size)
        return self._read(f"{self.path}.1", self.size) + self._read(self.path, 0)

    def _read(self, path: str, offset: int) -> list[bytes]:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if offset and os.fstat(file.fileno()).st_ino != self.inode:
                return []
            file.seek(offset)
            return file.read(_NEW_BYTES).splitlines()
        return []


def lines_of(session_id: str, lines: list[bytes]) -> int:
    """How many lines of a log have this id as a whole value."""
    value = f'"{session_id}"'.encode()
    return sum(value in line for line in lines)


def log_tail(path: str, session_id: str, lines: int) -> list[dict[str, Any]]:
    """The last entries of the log that are of this session."""
    if not path or not lines:
        return []
    defaults = {name: option.get("default") for name, option in argument_spec().items()}
    condition = {"field": "extra.session_id", "op": "eq", "value": session_id}
    chosen = {
        "path": path,
        "where": [condition],
        "last": lines,
        "fields": _TAIL_FIELDS,
        "max_text": 300,
        "max_bytes": _TAIL_BYTES,
    }
    try:
        found: list[dict[str, Any]] = log_digest({**defaults, **chosen})["last"]
    except OptionError as error:
        raise OptionError("log_path", path, "must be an absolute path to a log of JSON lines") from error
    return found
