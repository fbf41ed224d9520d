# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What deleted files that processes keep open take of a disk, in words: with the holder, or as unproven. Pure."""

from __future__ import annotations

from ...module_utils.shapes import Json, mapping, number, one_line
from ...module_utils.words import number_of

MIB = 2**20
SAID_FROM_BYTES = MIB  # what is less frees nothing worth a line
_HOLDERS_MAX = 3


def held_said(held: Json) -> str:
    """Who holds deleted files open, and how much they take; "" where none is seen.

    Args:
        held: ``held_open`` of disk_cleanup or host_info.
    """
    if not number(held.get("files")):
        return ""
    rows = held.get("processes")
    holders = [
        f"{one_line(row.get('name'), 40)} (pid {row.get('pid')})"
        for row in map(mapping, rows[:_HOLDERS_MAX] if isinstance(rows, list) else [])
    ]
    who = ", ".join(holders) or "processes"
    taken = number(held.get("bytes")) or 0
    return f"deleted files that {who} hold open still take {taken / MIB:.0f} MiB and {held['files']} inodes"


def unproven_said(held: Json, used: float | None) -> str:
    """What of a disk's used bytes may be held by somebody who cannot be seen; "" where everybody could be."""
    unseen = number(held.get("unseen_processes"))
    if unseen == 0:
        return ""
    of = "an unknown number of bytes" if used is None else f"{used / MIB:.0f} MiB"
    why = (
        "the processes could not be looked at"
        if unseen is None
        else f"{number_of(unseen, 'process')} must not be looked into"
    )
    return f"deleted files may hold more of the {of} in use, holder unproven: {why}"


def not_freed_said(cleanup: Json) -> str:
    """How much of what a cleanup deleted is not free after it; "" where all of it is.

    Args:
        cleanup: answer of disk_cleanup.
    """
    freed = _sum(cleanup.get("rules"), "freed_bytes")
    gained = _sum(cleanup.get("free"), "after_bytes") - _sum(cleanup.get("free"), "before_bytes")
    lacking = freed - max(0, gained)
    if lacking < SAID_FROM_BYTES:
        return ""
    return f"{lacking / MIB:.0f} MiB of what was deleted are not free: held open or written since, holder unproven"


def _sum(rows: object, key: str) -> float:
    return sum(number(mapping(row).get(key)) or 0 for row in (rows if isinstance(rows, list) else []))
