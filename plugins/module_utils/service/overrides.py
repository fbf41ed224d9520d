# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Overrides as the files of the state directory tell of them: what is set (``ENV_FILE``), and who set it and why."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from ..errors import MediaOpsError
from ..shapes import one_line
from ..state.directory import open_existing, read_file
from ..system.environment_files import parse_environment_file
from ..times import from_text, utc_now

ENV_FILE, RECORD_FILE = "overrides.env", "overrides.json"
NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}\Z")
_MAX_BYTES = 65536


def read_overrides(directory: int, path: str) -> dict[str, str]:
    """What is set, by name, in the file of an open state directory; ``path`` names it in errors."""
    data, _mode = read_file(directory, ENV_FILE, path, _MAX_BYTES)
    return parse_environment_file(data.decode("utf-8", "replace"))


def read_records(directory: int) -> dict[str, dict[str, Any]]:
    """What is known of each override; nothing where it cannot be read."""
    data, _mode = read_file(directory, RECORD_FILE, RECORD_FILE, _MAX_BYTES)
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: record for name, record in found.items() if NAME.match(name) and isinstance(record, dict)}


def overrides_on_record(state_dir: str) -> dict[str, Any]:
    """What is set for a time on this host, by its files alone: for checks, which ask little of a host.

    Returns:
        ``state`` (``ok``, or ``denied`` where it cannot be read), ``reason``, and ``overrides`` with name, value,
        since, until, expired and why. Where there is no state directory nothing can have been set.
    """
    if not os.path.lexists(state_dir):
        return {"state": "ok", "reason": "", "overrides": []}
    try:
        directory = open_existing(state_dir)
    except MediaOpsError as error:
        return {"state": "denied", "reason": one_line(error), "overrides": []}
    try:
        there = read_overrides(directory, ENV_FILE)
        records = read_records(directory)
    finally:
        os.close(directory)
    known = {name: records.get(name) or {} for name in sorted(there) if NAME.match(name)}
    overrides = [
        {
            "name": name,
            "value": one_line(there[name]),
            "since": record.get("since"),
            "until": record.get("until"),
            "expired": expired(record),
            "why": one_line(record.get("why") or ""),
        }
        for name, record in known.items()
    ]
    return {"state": "ok", "reason": "", "overrides": overrides}


def expired(record: Mapping[str, Any] | None) -> bool:
    """An override without a known end counts as expired: no override is for good."""
    until = from_text((record or {}).get("until"))
    return until is None or until <= utc_now()
