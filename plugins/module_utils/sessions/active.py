# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of active sessions that the API answers with, read by one rule for all who ask. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ..api.partial import contradiction
from ..shapes import Json, mapping, one_line
from ..words import number_of


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
    left_out = document.get("incomplete")
    reason = reason or (left_out if isinstance(left_out, str) else "") or contradiction(document, len(rows))
    return ActiveSessions(found, not reason, reason)
