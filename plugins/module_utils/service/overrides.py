# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the overrides in the state directory: ``ENV_FILE``, which says what is set, and who set it and why."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from ..state.directory import failing, read_file, replace_file
from ..system.environment_files import parse_environment_file
from ..times import from_text, utc_now

ENV_FILE, _RECORD_FILE = "overrides.env", "overrides.json"
_HEADER = "# Overrides, by media_ops.runbook.service_config. The service reads them after its own files.\n"
NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}\Z")
_MAX_BYTES = 65536


def read_overrides(directory: int, path: str) -> dict[str, str]:
    """What is set, by name, in the file of an open state directory; ``path`` names it in errors."""
    data, _mode = read_file(directory, ENV_FILE, path, _MAX_BYTES)
    return parse_environment_file(data.decode("utf-8", "replace"))


def read_records(directory: int) -> dict[str, dict[str, Any]]:
    """What is known of each override; nothing where it cannot be read."""
    data, _mode = read_file(directory, _RECORD_FILE, _RECORD_FILE, _MAX_BYTES)
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: record for name, record in found.items() if NAME.match(name) and isinstance(record, dict)}


def expired(record: Mapping[str, Any] | None) -> bool:
    """An override without a known end counts as expired: no override is for good."""
    until = from_text((record or {}).get("until"))
    return until is None or until <= utc_now()


def write_overrides(
    directory: int,
    state_dir: str,
    overrides: Mapping[str, str],
    records: Mapping[str, Mapping[str, Any]],
    before: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write what holds, with the records of all of it on disk before and after: a crash in between loses no record."""
    if overrides:
        _write_records(directory, state_dir, {**before, **records})
        text = _HEADER + "".join(f"{name}={value}\n" for name, value in sorted(overrides.items()))
        replace_file(directory, ENV_FILE, text.encode(), 0o640, f"{state_dir}/{ENV_FILE}")
        _write_records(directory, state_dir, records)
        return
    for name in (ENV_FILE, _RECORD_FILE):
        with failing(f"cannot remove {state_dir}/{name}"), contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)


def _write_records(directory: int, state_dir: str, records: Mapping[str, Mapping[str, Any]]) -> None:
    data = json.dumps(records, indent=1, sort_keys=True).encode() + b"\n"
    replace_file(directory, _RECORD_FILE, data, 0o640, f"{state_dir}/{_RECORD_FILE}")
