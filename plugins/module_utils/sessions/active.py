# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of active sessions that the API answers with, read by one rule for all who ask. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ..shapes import Json, mapping, number, one_line
from ..words import number_of

_ERRORS = ("error", "errors")
_COUNTS = ("total", "count", "total_count", "total_sessions")
_MORE = ("has_more", "next")


class ActiveSessions(NamedTuple):
    """Readable rows by session, and why these may not be all: then no session is proved not to be active."""

    by_id: dict[str, list[Json]]
    complete: bool
    reason: str


def active_sessions(document: Json) -> ActiveSessions:
    """Read an answer: each row must have an id, and there must be as many rows as are counted.

    What else an answer says of itself counts as well, also where our own contract knows nothing of it: a service that
    shows its list in pages, or that answers 200 where it has failed, may have sessions that are not listed.
    """
    rows, total = document.get("active_sessions"), document.get("total_active")
    if not isinstance(rows, list):
        return ActiveSessions({}, False, "the answer has no list active_sessions")
    found: dict[str, list[Json]] = {}
    reason = ""
    for row in rows:
        session_id = mapping(row).get("session_id")
        if isinstance(session_id, str) and session_id.strip():
            found.setdefault(session_id, []).append(row)
        else:
            reason = f"a session of the answer has no id: {one_line(row, 60)}"
    if not reason and (isinstance(total, bool) or total != len(rows)):
        reason = f"the answer lists {number_of(len(rows), 'session')}, and counts {one_line(total, 40)}"
    reason = reason or _contradiction(document, len(rows))
    return ActiveSessions(found, not reason, reason)


def _contradiction(document: Json, listed: int) -> str:
    """What of the rest of an answer says that its list is not all, for people; empty where nothing does."""
    said = [f"{name}: {one_line(document[name], 60)}" for name in _ERRORS if document.get(name)]
    said += ["success: false"] if document.get("success") is False else []
    if said:
        return f"the answer says of itself {said[0]}"
    for name in _COUNTS:
        counted = number(document.get(name))
        if counted is not None and counted > listed:
            return f"the answer lists {number_of(listed, 'session')}, and its {name} is {counted:g}"
    more = next((name for name in _MORE if document.get(name)), "")
    return f"the answer says that there is more: {more} is {one_line(document[more], 40)}" if more else ""
