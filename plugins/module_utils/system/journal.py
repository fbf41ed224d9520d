# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a unit's last start came to nothing, where systemd's Result hides it: of the unit itself, and of its journal.

Only what is known is said, in words of our own: lines of a service may hold secrets.
"""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..shapes import one_line
from .environment_files import required_files
from .listening import users_on
from .privilege import run
from .systemd import unit_name, unit_pids

_LINES = 400
_BACK_S = 3600  # a unit that is restarted without end has tried within that
_COMMAND_S = 15.0
_FIELDS = "MESSAGE,COMMAND,EXIT_CODE,EXIT_STATUS,INVOCATION_ID,_SYSTEMD_INVOCATION_ID,UNIT_RESULT"
_TAKEN = re.compile(r"address already in use|EADDRINUSE|only one usage of each socket address", re.IGNORECASE)
_PORT = re.compile(r"', (\d{1,5})\)|\]?:(\d{1,5})\b(?!:)|port[ =]+(\d{1,5})\b", re.IGNORECASE)
_SLOW = re.compile(r"(start-pre|start-post) operation timed out")
_NO_FILES = "Failed to load environment files"
_FULL = re.compile(r"No space left on device|ENOSPC|Disk quota exceeded", re.IGNORECASE)
_STARTING = ("ExecStartPre", "ExecCondition", "ExecStartPost")

Properties = Mapping[str, str]


@dataclass(frozen=True)
class Told:
    """Why it ended, for people; ``stands`` where that is seen to be so still, and no start can change it."""

    text: str
    stands: bool = False


def why_it_ended(unit: str, properties: Properties) -> Told | None:
    """What hides behind the unit's Result; None where nothing more is known than systemd says itself.

    Args:
        unit: its name.
        properties: as systemd shows them now, of a unit that does not run, or not for long.
    """
    missing = missing_files(properties)
    if missing and properties.get("Result") == "resources":
        return Told(f"its environment file {one_line(missing[0], 200)} is not there, and it cannot start without", True)
    for entry in _entries(unit, properties):
        told = _read(entry, properties)
        if told:
            return told
    return None


def lines_of_run(unit: str, invocation: str) -> Iterator[str]:
    """What this run of the unit has written to the journal, newest first; none where that cannot be read."""
    for entry in _entries(unit, {"ActiveState": "failed", "InvocationID": invocation}) if invocation else ():
        if isinstance(entry.get("MESSAGE"), str):
            yield entry["MESSAGE"]


def missing_files(properties: Properties) -> list[str]:
    """The environment files that the unit cannot start without, and that are not there; an optional one is none."""
    return [path for path in required_files(properties) if _is_missing(path)]


def _is_missing(path: str) -> bool:
    if glob.has_magic(path):
        return not glob.glob(path) and os.access(os.path.dirname(path), os.R_OK | os.X_OK)
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # whether it is there cannot be seen
        return False
    return False


def _entries(unit: str, properties: Properties) -> Iterator[Mapping[str, Any]]:
    """What the unit's last run, or one just before, left in the journal, newest first; none where it cannot be read."""
    command = ["journalctl", "--no-pager", "--quiet", "--boot", "--reverse", "--output=json"]
    limits = [f"--output-fields={_FIELDS}", f"--lines={_LINES}", f"--since=-{_BACK_S}", f"--unit={unit_name(unit)}"]
    # One that is started again and again has had its last failure in the run before.
    of_any_run = properties.get("ActiveState") in ("active", "activating")
    if properties.get("ActiveState") == "failed":
        limits[2] = "--since=@0"
    ours = properties.get("InvocationID", "")
    for line in run([*command, *limits], timeout_s=_COMMAND_S).out.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict):
            continue
        run_of = {entry.get("INVOCATION_ID"), entry.get("_SYSTEMD_INVOCATION_ID")}
        if of_any_run or not ours or ours in run_of:
            yield entry


def _read(entry: Mapping[str, Any], properties: Properties) -> Told | None:
    raw = entry.get("MESSAGE")
    said = raw if isinstance(raw, str) else ""
    command = str(entry.get("COMMAND") or "")
    slow = _SLOW.search(said)
    if slow:
        name = "ExecStartPre=" if slow.group(1) == "start-pre" else "ExecStartPost="
        return Told(f"timeout at start: a command of its {name} hung until systemd ended it")
    if command in _STARTING and entry.get("EXIT_CODE") == "exited":
        return Told(f"a command of its {command}= ended with exit code {one_line(entry.get('EXIT_STATUS'), 20)}")
    if _NO_FILES in said:
        return Told("an environment file of its unit could not be read when it was to be started")
    if _TAKEN.search(said):
        return _port_taken(said, properties)
    if _FULL.search(said):
        return Told("it found no space left on a device")
    return None


def _port_taken(said: str, properties: Properties) -> Told:
    match = _PORT.search(said)
    port = int(next(filter(None, match.groups()))) if match else 0
    if not port:
        return Told("the address that it listens on is taken by another process")
    users = users_on(port)
    if not users:
        now = ", and is free now" if users is not None else ""
        return Told(f"its port {port} was taken by another process{now}")
    named = " and ".join(sorted(f"user id {uid}" for uid in users))
    text = f"its port {port} is taken by a process of {named}"
    if unit_pids(dict(properties)):  # which may be one that it left behind itself, and that a restart can end
        return Told(f"{text}, maybe one of its own")
    return Told(f"{text}, which is none of this unit", True)
