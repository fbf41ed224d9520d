# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which file it was, and how it looked: told apart from what is there now, in words, by all that delete."""

from __future__ import annotations

import os
from typing import NamedTuple


class Stamp(NamedTuple):
    """A file at one moment: which one, its size in bytes, and when it was changed last, in nanoseconds since 1970."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Stamp:
        """What a look at it tells."""
        return cls(facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)

    def changed_how(self, now: Stamp) -> str:
        """What happened to the file since, for people, such as ``has grown by 3000 bytes``; empty where it is the same.

        Args:
            now: what its name stands for now.
        """
        if now.inode != self.inode:
            return f"is another file, of {now.size} bytes where {self.size} were"
        if now.size != self.size:
            return f"has {'grown' if now.size > self.size else 'shrunk'} by {abs(now.size - self.size)} bytes"
        if now.mtime_ns != self.mtime_ns:
            return "was written to, or dated anew"
        if now.ctime_ns != self.ctime_ns:
            return "was moved, linked, given other rights, or written to and dated back"
        return ""
