# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host has recovered from, by its ledger: each recovery answers the cause that was treated, and no other."""

from __future__ import annotations

from ..errors import MediaOpsError
from ..shapes import one_line
from ..times import from_text, to_text, utc_now
from .directory import existing
from .guard import LEDGER_MAX_BYTES, on_record

_MOST = 50


def recoveries(state_dir: str) -> list[dict[str, str]]:
    """Recoveries of the last hour from a cause, newest first, each with ``at`` and ``cause``.

    None where the ledger cannot be read, or its times lie ahead: what is not known excuses no alert. A procedure that
    is done as a matter of routine, or by a person without a cause, answers none.
    """
    try:
        with existing(state_dir) as directory:
            found = on_record(directory, state_dir, hours=1, max_bytes=LEDGER_MAX_BYTES).entries
    except MediaOpsError:
        return []
    now, known = utc_now(), []
    for entry in found:
        at, cause = from_text(entry.get("at")), entry.get("cause")
        if entry["action"] != "recovered" or entry.get("procedure") or not at or at > now:
            continue
        if isinstance(cause, str) and cause:
            known.append({"at": to_text(at), "cause": one_line(cause, 80)})
    return known[::-1][:_MOST]
