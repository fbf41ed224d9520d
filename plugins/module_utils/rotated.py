# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of rotated logs, as all that read, archive and check them know them. Pure.

A number or a date stands behind the name of the log (``app.log.1``, ``app.log-20261128.gz``) or before its extension
(``app.1.log``, ``app-2026-11-28.log``), and what was packed has an ending more.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

PACKED = (".gz", ".zst", ".xz", ".bz2")
"""Endings of what can be unpacked."""
PATTERNS = (
    *("*.log.[0-9]*", "*.log-[0-9]*", "*.log_[0-9]*", "*.log.old", "*.log.old.*", "*.log.bak", "*.log.bak.*"),
    *("*[-_.][0-9]*.log", "*[-_.][0-9]*.log.gz", "*[-_.][0-9]*.log.zst", "*[-_.][0-9]*.log.xz", "*[-_.][0-9]*.log.bz2"),
)
"""Shell patterns of all these names, and of some more: what :func:`rotated` does not know is none."""
_UNREADABLE = (".lz4", ".lzma", ".lzo", ".z", ".zip", ".7z", ".br", ".sz", ".tgz")

_DATE = r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[-T_. ]?[012]\d(?:[-:_.h]?[0-5]\d(?:[-:_.m]?[0-5]\d(?:[-:_.,]\d{1,9})?)?)?)?"
_WEEK_OR_MONTH = r"(?:19|20)\d\d-(?:W?[0-5]\d)"
_DATED = rf"(?:{_DATE}{_CLOCK}(?:[-_.]\d{{1,10}})?|{_WEEK_OR_MONTH}|\d{{9,19}})"
_BEHIND = re.compile(
    rf"(?P<mark>(?P<number>\d{{1,6}})|(?P<date>{_DATED})|old|bak|prev|previous|orig|save)", re.ASCII | re.I
)
_BEFORE = re.compile(
    rf"(?P<stem>.+?)(?:[-_.](?P<date>{_DATED})|\.(?P<number>\d{{1,6}})|\.(?:old|bak|prev))(?P<ending>\.[A-Za-z]{{2,6}})",
    re.ASCII,
)
_ANY_BEHIND = re.compile(rf"(?P<log>.+\.log)[-_.~]{_BEHIND.pattern}", re.ASCII | re.I)
_HAS_DIGIT = re.compile(r"\d")


class Rotated(NamedTuple):
    """A name of a rotated log.

    Attributes:
        log: the name of the log that it was rotated from.
        number: by which rotation counts, None where it goes by dates or is the only one.
        order: sorts those of one log, the oldest first.
        packed: its ending where it was packed, else "".
        before: whether the mark stands before the extension.
    """

    log: str
    number: int | None
    order: tuple[int, int, str]
    packed: str
    before: bool


def split_packed(name: str) -> tuple[str, str]:
    """A name without the ending of what packed it, and that ending, "" where there is none."""
    plain, ending = os.path.splitext(name)
    return (plain, ending) if ending.lower() in (*PACKED, *_UNREADABLE) else (name, "")


def rotated(name: str) -> Rotated | None:
    """What the name of a rotated log says; None for any other."""
    plain, packed = split_packed(name)
    found = _ANY_BEHIND.fullmatch(plain)
    if found:
        return _made(found.group("log"), found, packed, before=False)
    found = _BEFORE.fullmatch(plain)
    if found and found.group("ending").lower() == ".log":
        stem = found.group("stem")
        return _made(stem if stem.endswith(".log") else stem + found.group("ending"), found, packed, before=True)
    return None


def rotated_of(log: str, name: str) -> Rotated | None:
    """What a name says where it is one of a rotated file of this log, whose name may end as it likes."""
    plain, packed = split_packed(name)
    if plain.startswith(log) and plain[len(log) : len(log) + 1] in ("-", "_", ".", "~"):
        found = _BEHIND.fullmatch(plain[len(log) + 1 :])
        return _made(log, found, packed, before=False) if found else None
    if plain == log and packed:
        return Rotated(log, None, (1, 0, ""), packed, before=False)
    found = _BEFORE.fullmatch(plain)
    if found and found.group("stem") + found.group("ending") == log:
        return _made(log, found, packed, before=True)
    return None


def may_be_of(log: str, name: str) -> bool:
    """Whether a name that is not known looks like one of a rotated file of this log all the same."""
    stem, ending = os.path.splitext(log)
    if name.startswith(log) and len(name) > len(log):
        rest = name[len(log) :]
        return rest[0] in "-_.~@" and (_HAS_DIGIT.search(rest) is not None or split_packed(name)[1] != "")
    is_inside = (
        name.startswith(stem)
        and ending in name[len(stem) :]
        and name[len(stem) : len(stem) + 1] in ("-", "_", ".", "~")
    )
    return is_inside and _HAS_DIGIT.match(name[len(stem) + 1 :]) is not None


def _made(log: str, found: re.Match[str], packed: str, *, before: bool) -> Rotated:
    number, date = found.group("number"), found.group("date")
    if number is not None:
        return Rotated(log, int(number), (1, -int(number), ""), packed, before)
    digits = ".".join(part.rjust(10, "0") for part in re.findall(r"\d+", date or ""))
    return Rotated(log, None, (0, 0, digits) if date else (1, -1, ""), packed, before)
