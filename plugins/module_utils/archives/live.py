# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs that are written to, told from rotated ones by their names. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

_END = ".log"
_PART = re.compile(r"\[[!]?\]?[^\]]*\]|.", re.DOTALL)
_ROTATED = re.compile(r"(.+)[.-][0-9]{1,8}(?:\.(?:gz|zst|xz|bz2))?")


def may_take_a_log(pattern: str) -> bool:
    """Whether a shell pattern fits any name that ends with ``.log``, which no rotation has renamed."""
    parts = _PART.findall(pattern)
    # From the end: how many parts of the pattern, and how many letters of the ending, are left to be fitted.
    open_ends, seen = [(len(parts), len(_END))], set()
    while open_ends:
        state = left, letters = open_ends.pop()
        if not letters:
            return True  # whatever is left of the pattern fits some beginning
        if not left or state in seen:
            continue
        seen.add(state)
        part = parts[left - 1]
        if part == "*":
            open_ends += [(left - 1, letters), (left, letters - 1)]
        elif fnmatch.fnmatchcase(_END[letters - 1], part):
            open_ends.append((left - 1, letters - 1))
    return False


def rotated_from(names: Iterable[str]) -> dict[str, str]:
    """By the names of logs, of which not all need be there: a name in the directory that rotation made of it."""
    return {found.group(1): name for name in names for found in [_ROTATED.fullmatch(name)] if found}
