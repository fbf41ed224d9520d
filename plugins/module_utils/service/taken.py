# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the service took a setting: not that it was given it, but that it says so, or does what follows from it.

A variable in the environment of a process proves nothing: it may never be read. What proves it is a line of this very
run of the service, in its journal or its logs, which names the setting with its value, or one that its rule tells
(``shown_by``), such as a line of level DEBUG. Of a line nothing is passed on: it may hold secrets.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone

from ..logs.writers import time_reader
from ..opener import open_regular
from ..system.journal import lines_of_run
from .rules import Rule

_TAIL = 1 << 18
_AGAIN_S = 1.0
_TIME = time_reader("timestamp")


def shown_in(
    patterns: Mapping[str, re.Pattern[str]],
    unit: str,
    properties: Mapping[str, str],
    logs: Sequence[str],
    within_s: float,
) -> dict[str, str]:
    """Where each setting is seen to be taken, ``journal`` or the path of a log; one that is not seen is left out.

    Args:
        patterns: by the setting's name, :func:`pattern` of it.
        unit: the service.
        properties: of it, as systemd shows them now.
        logs: paths of its logs, of JSON lines with a time.
        within_s: seconds to wait until all are seen.
    """
    began, left = _began(properties), dict(patterns)
    found: dict[str, str] = {}
    deadline = time.monotonic() + within_s
    while began and left:
        for place, line in _lines(unit, properties, logs, began):
            for name in [name for name, one in left.items() if one.search(line)]:
                found[name] = place
                del left[name]
        if time.monotonic() + _AGAIN_S > deadline:
            break
        time.sleep(_AGAIN_S)
    return found


def pattern(name: str, value: str, rule: Rule | None) -> re.Pattern[str]:
    """What a line has that shows a setting: its name, however spelt, right before its value; or what its rule says."""
    words = "[ _-]?".join(map(re.escape, name.split("_")))
    number = r"(\.0+)?" if value.isdigit() else ""
    said = rf"(?i:\b{words}\b[^0-9A-Za-z]{{1,6}}{re.escape(value)}{number}(?![0-9A-Za-z.]))"
    more = rule.shown_by.get(value) if rule else None
    return re.compile(f"{said}|{more}" if more else said)


def _began(properties: Mapping[str, str]) -> datetime | None:
    text = properties.get("ExecMainStartTimestampMonotonic", "")
    if not text.isdecimal() or int(text) == 0:
        return None
    return datetime.now(timezone.utc) - timedelta(seconds=time.monotonic() - int(text) / 1e6)


def _lines(unit: str, properties: Mapping[str, str], logs: Sequence[str], began: datetime) -> Iterator[tuple[str, str]]:
    """Lines of this run of the service, each with where it stands."""
    for line in lines_of_run(unit, properties.get("InvocationID", "")):
        yield "journal", line
    for path in logs:
        with contextlib.suppress(OSError):
            for line in _tail(path):
                if _is_of_run(line, began):
                    yield path, line


def _tail(path: str) -> list[str]:
    opened = open_regular(path, follow=True)
    try:
        size = os.fstat(opened).st_size
        data = os.pread(opened, _TAIL, max(0, size - _TAIL))
    finally:
        os.close(opened)
    return data.decode("utf-8", "replace").splitlines()


def _is_of_run(line: str, began: datetime) -> bool:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    moment = _TIME(entry) if isinstance(entry, dict) else None
    return moment is not None and moment.replace(tzinfo=timezone.utc) >= began - timedelta(seconds=1)
