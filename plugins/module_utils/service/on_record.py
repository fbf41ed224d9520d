# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is set for a time on a host, for checks, which ask little of it."""

from __future__ import annotations

import os
from typing import Any

from ..errors import MediaOpsError
from ..shapes import one_line
from ..state.directory import existing
from .overrides import expired, read_overrides, read_records, taken_at
from .rules import NAME


def overrides_on_record(state_dir: str) -> dict[str, Any]:
    """What is set for a time on this host, by its files alone: for checks, which ask little of a host.

    Returns:
        ``state`` (``ok``, or ``denied`` where it cannot be read), ``reason``, and ``overrides`` with name, value,
        since, until, expired, taken_at (when the service was last seen to have taken it) and why. Where there is no
        state directory, nobody knows more than the name and the value.
    """
    try:
        there, records = read_overrides(), _records(state_dir)
    except MediaOpsError as error:
        return {"state": "denied", "reason": one_line(error), "overrides": []}
    known = {name: records.get(name) or {} for name in sorted(there) if NAME.match(name)}
    overrides = [
        {
            "name": name,
            "value": one_line(there[name]),
            "since": record.get("since"),
            "until": record.get("until"),
            "expired": expired(record),
            "taken_at": taken_at(record),
            "why": one_line(record.get("why") or ""),
        }
        for name, record in known.items()
    ]
    return {"state": "ok", "reason": "", "overrides": overrides}


def _records(state_dir: str) -> dict[str, dict[str, Any]]:
    if not os.path.lexists(state_dir):
        return {}
    with existing(state_dir) as directory:
        return read_records(directory)
