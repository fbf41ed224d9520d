# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is set for a time, in ``ENV_FILE``, which root writes, and who set it and why, in the state directory."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

from ..errors import MediaOpsError
from ..opener import read_regular
from ..state.directory import failing, read_file, replace_file
from ..system.environment_files import parse_environment_file
from ..system.privilege import PROGRAMS, run_as_root
from ..times import from_text, to_text, utc_now
from .rules import NAME

ENV_FILE = "/etc/media-ops/overrides.env"
PROGRAM = f"{PROGRAMS}/overrides"
_RECORD_FILE = "overrides.json"
_MAX_BYTES = 65536
_PROGRAM_S = 30.0


def read_overrides() -> dict[str, str]:
    """What is set, by name.

    Raises:
        MediaOpsError: the file is there and cannot be read.
    """
    try:
        return parse_environment_file(read_regular(ENV_FILE, _MAX_BYTES).decode("utf-8", "replace"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise MediaOpsError(f"cannot read {ENV_FILE}: {error.strerror}", path=ENV_FILE) from error


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


def taken_at(record: Mapping[str, Any] | None) -> str | None:
    """When the service was last seen to have taken an override, as a record tells; None where it never was."""
    taken = (record or {}).get("taken")
    at = from_text(taken.get("at")) if isinstance(taken, dict) else None
    return to_text(at) if at else None


def write_overrides(
    directory: int,
    state_dir: str,
    overrides: Mapping[str, str],
    records: Mapping[str, Mapping[str, Any]],
    before: Mapping[str, Mapping[str, Any]],
) -> None:
    """Let what holds be written, with the records of all of it on disk before and after: a crash in between loses none.

    Raises:
        MediaOpsError: root's program refuses it, or may not be run.
    """
    write_records(directory, state_dir, {**before, **records})
    ran = run_as_root([PROGRAM], timeout_s=_PROGRAM_S, given=json.dumps(overrides).encode())
    if ran.rc != 0:
        raise MediaOpsError(f"{PROGRAM}: {'no answer in time' if ran.timed_out else ran.msg}")
    if records:
        write_records(directory, state_dir, records)
        return
    with failing(f"cannot remove {state_dir}/{_RECORD_FILE}"), contextlib.suppress(FileNotFoundError):
        os.unlink(_RECORD_FILE, dir_fd=directory)


def write_records(directory: int, state_dir: str, records: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep what is known of each override.

    Raises:
        MediaOpsError: it cannot be written.
    """
    data = json.dumps(records, indent=1, sort_keys=True).encode() + b"\n"
    replace_file(directory, _RECORD_FILE, data, 0o640, f"{state_dir}/{_RECORD_FILE}")
