# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reports that a host keeps of its days and weeks, read at once and reduced to figures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from ..errors import MediaOpsError, OptionError
from ..options import check_range
from ..shapes import RepeatedKeyError, json_object, one_line
from ..state.directory import existing, read_file
from ..state.guard import on_record
from ..times import from_text, to_text, utc_now
from .actions import actions_of
from .compare import WEEKS
from .days import WEEK_S, NoFiguresError, peaks_by_week, read_week, read_window, samples_of

_FILE = re.compile(r"(daily|weekly)_report_(\d{4})(\d{2})(\d{2})\.json")
_UNREADABLE_MAX = 20


def daily_reports_info(params: Mapping[str, Any]) -> dict[str, Any]:
    """The result of module daily_reports_info."""
    until = _until(params.get("until"))
    check_range(params, "ledger_hours", 1, 24 * 366)
    check_range(params, "max_bytes", 1024, 100 << 20)
    with existing(params["state_dir"]) as directory:
        hours, max_bytes = params["ledger_hours"], params["ledger_max_bytes"]
        record = on_record(directory, params["state_dir"], hours=hours, max_bytes=max_bytes)
        kept = _Kept(directory, params, until)
    return {
        "changed": False,
        "until": to_text(until),
        "days": kept.days,
        "weeks": kept.weeks,
        "peaks": peaks_by_week(kept.samples, until, WEEKS + 1),
        "actions": {**actions_of(record.entries, record.running), "bad_lines": record.bad_lines},
        "unreadable": kept.unreadable[:_UNREADABLE_MAX],
        "unreadable_count": len(kept.unreadable),
    }


def _until(given: str | None) -> datetime:
    moment = utc_now() if given is None else from_text(given)
    if moment is None:
        raise OptionError("until", given, "is no ISO 8601 time")
    return moment


class _Kept:
    """The documents of the directory that are of that time."""

    def __init__(self, directory: int, params: Mapping[str, Any], until: datetime) -> None:
        self.days: list[dict[str, Any]] = []
        self.weeks: list[dict[str, Any]] = []
        self.samples: list[Mapping[str, Any]] = []
        self.unreadable: list[dict[str, str]] = []
        # A day at the border tells of the week before it too.
        oldest = until - timedelta(seconds=WEEK_S * (WEEKS + 1) + 86400)
        for file, kind in _files(directory, oldest, until):
            try:
                self._add(file, kind, _read(directory, file, params))
            except NoFiguresError as error:
                self.unreadable.append({"file": file, "why": one_line(error)})

    def _add(self, file: str, kind: str, document: Mapping[str, Any]) -> None:
        if kind == "weekly":
            self.weeks.append({"file": file, **read_week(document)})
        else:
            samples = samples_of(document.get("metrics"))
            self.days.append({"file": file, **read_window(document.get("stats"), samples)})
            self.samples += samples


def _files(directory: int, oldest: datetime, until: datetime) -> Iterator[tuple[str, str]]:
    """Name and kind of each report of that time, oldest first."""
    for file in sorted(os.listdir(directory)):
        match = _FILE.fullmatch(file)
        if match and f"{oldest:%Y%m%d}" <= "".join(match.groups()[1:]) <= f"{until:%Y%m%d}":
            yield file, match[1]


def _read(directory: int, file: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        data, mode = read_file(directory, file, os.path.join(params["state_dir"], file), params["max_bytes"])
    except MediaOpsError as error:
        raise NoFiguresError(str(error)) from error
    if mode is None:
        raise NoFiguresError("it is not a regular file that can be read, or too large")
    try:
        return json_object(data)
    except RepeatedKeyError as error:
        raise NoFiguresError(str(error)) from error
    except (RecursionError, ValueError) as error:
        raise NoFiguresError("it is no JSON") from error
