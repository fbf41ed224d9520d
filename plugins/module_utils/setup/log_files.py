# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which logs a directory has, and what their last lines are made of: fields, dates, levels."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from datetime import datetime
from typing import Any

from ..logs.digest import parse
from ..logs.writers import TIME_FIELDS, field, level_of, moment
from ..opener import open_directory, open_regular_at
from ..shapes import one_line
from ..times import text_of

_SUFFIXES = (".log", ".jsonl", ".ndjson")
_FILES_MAX, _NAMES_MAX, _FIELDS_MAX = 12, 2000, 25
_TAIL = 64 * 1024


def log_files(path: str) -> dict[str, Any]:
    """The logs of a directory, those that were written last first."""
    try:
        opened = open_directory(path)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        return {
            "state": "missing" if missing else "unreadable",
            "reason": one_line(error.strerror or error),
            "files": [],
        }
    try:
        names = [name for name in os.listdir(opened)[:_NAMES_MAX] if name.endswith(_SUFFIXES)]
        rows = [row for name in names if (row := _dated(opened, name))]
        newest = sorted(rows, key=lambda row: (-row[0], row[1]))[:_FILES_MAX]
        return {"state": "there", "reason": "", "files": [_file(opened, name, at) for at, name in newest]}
    except OSError as error:
        return {"state": "unreadable", "reason": one_line(error.strerror or error), "files": []}
    finally:
        os.close(opened)


def _dated(directory: int, name: str) -> tuple[float, str] | None:
    with contextlib.suppress(OSError):
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime, name
    return None


def _file(directory: int, name: str, written: float) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": name, "written_at": text_of(written)}
    try:
        handle = open_regular_at(directory, name)
    except OSError as error:
        return {**shown, "state": "unreadable", "reason": one_line(error.strerror or error)}
    try:
        size = os.fstat(handle).st_size
        begin = max(0, size - _TAIL)
        tail = os.pread(handle, _TAIL, begin)
    except OSError as error:
        return {**shown, "state": "unreadable", "reason": one_line(error.strerror or error)}
    finally:
        os.close(handle)
    # What a read in the middle cuts off is no line.
    lines = tail.split(b"\n")[1 if begin else 0 :]
    return {
        **shown,
        "state": "there",
        "reason": "",
        "size": size,
        **_of_lines([line for line in lines if line.strip()]),
    }


def _of_lines(lines: list[bytes]) -> dict[str, Any]:
    entries = [entry for line in lines if (entry := parse(line)) is not None]
    fields, levels, times = Counter[str](), Counter[str](), Counter[str]()
    last: datetime | None = None
    for entry in entries:
        fields.update(str(name) for name in entry)
        levels.update([level_of(entry) or ""])
        name = next((one for one in TIME_FIELDS if moment(field(entry, one)) is not None), "")
        times.update([name])
        found = moment(field(entry, name)) if name else None
        last = found if found and (last is None or found > last) else last
    return {
        "lines": len(lines),
        "json_lines": len(entries),
        "fields": [one_line(name, 60) for name, _count in fields.most_common(_FIELDS_MAX)],
        "time_field": next((name for name, _count in times.most_common() if name), ""),
        "dated_lines": sum(count for name, count in times.items() if name),
        "last_at": f"{last:%Y-%m-%dT%H:%M:%SZ}" if last else None,
        "leveled_lines": sum(count for name, count in levels.items() if name),
    }
