# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs that are written to, told from rotated ones by their names. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence

from ..rotated import rotated, split_packed
from ..shapes import one_line

_END = ".log"
_PART = re.compile(r"\[[!]?\]?[^\]]*\]|.", re.DOTALL)
_BEFORE_NUMBERS = ".-_"
_LETTERS = frozenset(map(chr, range(32, 127)))
_ROTATED = re.compile(r"(.+)[.-][0-9]{1,8}(?:\.(?:gz|zst|xz|bz2))?")


def may_take_a_log(pattern: str) -> bool:
    """Whether a shell pattern fits any name of a log that no rotation has renamed.

    That is one that ends with its first ``.log``, without a number behind a dot or a dash as in ``app.1.log``. All such
    names are tried at once, letter by letter: by how much of the pattern, and of the ending, they fit so far.
    """
    parts = _PART.findall(pattern)
    letters = sorted(_LETTERS | set(pattern))
    left = [(at, 0, False) for at in _reached(parts, 0)]
    seen = set(left)
    while left:
        at, ending, may_be_numbered = left.pop()
        if at == len(parts):
            if ending == len(_END):
                return True
            continue
        if ending == len(_END):  # whatever comes behind it is a rotation's
            continue
        for letter in letters:
            if (may_be_numbered and letter.isdigit()) or not fnmatch.fnmatchcase(letter, parts[at]):
                continue
            fits = ending + 1 if letter == _END[ending] else int(letter == _END[0])
            following = _reached(parts, at if parts[at] == "*" else at + 1)
            new = {(after, fits, letter in _BEFORE_NUMBERS) for after in following} - seen
            seen |= new
            left += new
    return False


def _reached(parts: Sequence[str], at: int) -> set[int]:
    """Where in a pattern one is, as stars may stand for nothing."""
    found = {at}
    while at < len(parts) and parts[at] == "*":
        at += 1
        found.add(at)
    return found


def rotated_from(names: Iterable[str]) -> dict[str, str]:
    """By the names of logs, of which not all need be there: a name in the directory that rotation made of it."""
    return {found.group(1): name for name in names for found in [_ROTATED.fullmatch(name)] if found}


def written_to(names: Sequence[str]) -> dict[str, str]:
    """Names that look like rotated ones and may be those of logs that are written to, with why.

    Some writers put the date into the name of the log itself, and a number before the extension may be that of a
    worker: so where there is no log without it.
    """
    found: dict[str, str] = {}
    newest: dict[str, tuple[tuple[int, int, str], str]] = {}
    there = set(names)
    for name in names:
        seen = rotated(name)
        if seen is None or seen.log in there or (seen.number is not None and not seen.before):
            continue
        if seen.number is not None:
            found[name] = f"may be a log of its own: there is no {one_line(seen.log, 80)}"
        newest[seen.log] = max(newest.get(seen.log, (seen.order, name)), (seen.order, name))
    for log, (_order, name) in newest.items():
        found.setdefault(name, f"may be written to: it is the newest, and there is no {one_line(log, 80)}")
    return found


def is_rotated(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name is one of a rotated log: it fits a pattern, and where it ends as a log does, has a mark."""
    if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
        return False
    return not split_packed(name)[0].endswith(_END) or rotated(name) is not None
