# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes of logs, and whether their rotation works: a log beyond its limit, a gap, a writer on what was rotated away."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import OptionError
from ..rotated import rotated
from ..shapes import one_line
from .live import is_rotated

_LISTED_MAX = 200
_NUMBERED = re.compile(r"(.+)\.([0-9]{1,6})(?:\.(?:gz|zst|xz|bz2))?")


@dataclass
class _Family:
    """A log with what was rotated away from it."""

    bytes: int | None = None
    rotated: int = 0
    rotated_bytes: int = 0
    numbers: set[int] = field(default_factory=set)
    left: list[str] = field(default_factory=list)


def rotation(
    directory: int, patterns: Sequence[str], limits: Sequence[Mapping[str, Any]], writers: Mapping[str, str]
) -> dict[str, Any]:
    """Look at the logs of an open directory.

    Args:
        directory: where they are.
        patterns: names of rotated logs.
        limits: ``log`` (a name), ``max_bytes`` that its rotation allows, ``keep`` rotated files at most, or None.
        writers: rotated logs that somebody has open to write, and who, where that is known.
    """
    for limit in limits:
        if limit["max_bytes"] < 1 or (limit["keep"] is not None and limit["keep"] < 0):
            raise OptionError("limits", dict(limit), "max_bytes must be 1 or more, keep 0 or more")
    families = _families(directory, patterns)
    problems = [*_beyond(families, limits), *_gaps(families), *_left(families), *_writing(writers)]
    logs = [
        {
            "log": one_line(name),
            "bytes": family.bytes,
            "rotated": family.rotated,
            "rotated_bytes": family.rotated_bytes,
        }
        for name, family in sorted(families.items())
    ]
    return {
        "logs": logs[:_LISTED_MAX],
        "bytes": sum((family.bytes or 0) + family.rotated_bytes for family in families.values()),
        "problems": problems[:_LISTED_MAX],
    }


def _families(directory: int, patterns: Sequence[str]) -> dict[str, _Family]:
    families: dict[str, _Family] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            is_old, known = is_rotated(entry.name, patterns), rotated(entry.name)
            if not is_old and not known and not entry.name.endswith(".log"):
                continue
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError:  # rotated away
                continue
            if not stat.S_ISREG(facts.st_mode):
                continue
            family = families.setdefault(_log_of(entry.name, is_old=is_old), _Family())
            size = min(facts.st_size, facts.st_blocks * 512)  # holes take no room
            if not is_old and not known:
                family.bytes = size
                continue
            family.rotated += 1
            family.rotated_bytes += size
            if known and known.number is not None:
                family.numbers.add(known.number)
            if not is_old:
                family.left.append(entry.name)
    return families


def _log_of(name: str, *, is_old: bool) -> str:
    """The log that a name belongs to."""
    known = rotated(name)
    if known:
        return known.log
    numbered = _NUMBERED.fullmatch(name) if is_old else None
    return numbered.group(1) if numbered else name.partition(".log")[0] + ".log"


def _problem(log: str, problem: str, said: str) -> dict[str, str]:
    return {"log": one_line(log), "problem": problem, "msg": one_line(said, 300)}


def _beyond(families: Mapping[str, _Family], limits: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, str]]:
    for limit in limits:
        name, most, keep = limit["log"], limit["max_bytes"], limit["keep"]
        family = families.get(name)
        if family is None or family.bytes is None:
            yield _problem(name, "missing", f"{name} is not there")
        elif family.bytes > most:
            yield _problem(name, "beyond_limit", f"{name} has {family.bytes} bytes, and is to be rotated at {most}")
        if family and keep is not None and family.rotated > keep:
            yield _problem(name, "too_many", f"{family.rotated} rotated files of {name}, and {keep} are to be kept")


def _gaps(families: Mapping[str, _Family]) -> Iterable[dict[str, str]]:
    for name, family in sorted(families.items()):
        missing = sorted(set(range(min({1, *family.numbers}), max(family.numbers, default=0))) - family.numbers)
        if missing:
            shown = ", ".join(map(str, missing[:10])) + (" ..." if len(missing) > 10 else "")
            yield _problem(name, "gap", f"rotated files of {name} lack number {shown}")


def _left(families: Mapping[str, _Family]) -> Iterable[dict[str, str]]:
    for name, family in sorted(families.items()):
        if family.left:
            shown = ", ".join(sorted(family.left)[:5]) + (" ..." if len(family.left) > 5 else "")
            yield _problem(name, "not_archived", f"no pattern fits {shown}, which were rotated away")


def _writing(writers: Mapping[str, str]) -> Iterable[dict[str, str]]:
    for name, who in sorted(writers.items()):
        log = _log_of(name, is_old=True)
        yield _problem(log, "writer", f"{who or 'a process'} has {name} open, which was rotated away")
