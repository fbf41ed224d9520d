# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reports that a host keeps of its days and weeks, read at once and reduced to figures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from itertools import dropwhile
from typing import Any

from ..deadline import deadline_of
from ..errors import MediaOpsError, OptionError
from ..logs.fields import OPTION as LOG_FIELDS
from ..logs.fields import LogFields
from ..options import check_range
from ..shapes import RepeatedKeyError, json_object, one_line
from ..state.directory import existing, read_file
from ..state.guard import on_record
from ..times import from_text, to_text, utc_now
from .actions import actions_of
from .compare import WEEKS
from .day import Day, Told, days_from, read_told, settle
from .day_reports import day_reports
from .days import WEEK_S, NoFiguresError, peaks_by_week, read_week
from .logged import Logged, read_log
from .windows import windows_of

_FILE = re.compile(r"(daily|weekly)_report_(\d{4})(\d{2})(\d{2})\.json")
_UNREADABLE_MAX = 20
_RECENT_S = 86400
# A site's day may be one ahead of that of UTC.
_AHEAD_MAX = timedelta(days=1)


def daily_reports_info(params: Mapping[str, Any]) -> dict[str, Any]:
    """The result of module daily_reports_info."""
    until = _until(params.get("until"))
    check_range(params, "ledger_hours", 1, 24 * 366)
    check_range(params, "max_bytes", 1024, 100 << 20)
    days = days_from(params["days"])
    if params["log"] is not None and not (params["log"].startswith("/") and days):
        raise OptionError("log", params["log"], "must be an absolute path, and needs days")
    with existing(params["state_dir"]) as directory:
        hours, max_bytes = params["ledger_hours"], params["ledger_max_bytes"]
        record = on_record(directory, params["state_dir"], hours=hours, max_bytes=max_bytes)
        kept = _Kept(directory, params, until)
    wanted = _unfinished(days, kept.days, until) if params["reports"] else set()
    if params["reports"]:
        # Those between them as well, or what they have would be taken for another's.
        days = list(dropwhile(lambda day: day.name not in wanted, days))
    now_told = _now_told(params["seen"])
    logged = _logged(params, days, until)
    one = settle([*kept.days.values(), *([now_told] if now_told else [])], logged)
    calendar = [told.day for told in kept.days.values() if told.day] + days
    borders = [(until - timedelta(seconds=WEEK_S * back)).timestamp() for back in range(WEEKS + 2)]
    of_days = {day.name: kept.days[day.name] for day in days if day.name in kept.days}
    reports = day_reports(days, of_days, now_told, logged, until) if wanted else []
    return {
        "changed": False,
        "until": to_text(until),
        "days": windows_of(one, calendar, until.timestamp(), borders),
        "seen": now_told is not None,
        "log": {"state": logged.state, "reason": logged.reason},
        "reports": [report for report in reports if report["day"] in wanted],
        "weeks": kept.weeks,
        "peaks": peaks_by_week(one.samples, until, WEEKS + 1),
        "actions": {**actions_of(record.entries, record.running), "bad_lines": record.bad_lines},
        "unreadable": kept.unreadable[:_UNREADABLE_MAX],
        "unreadable_count": len(kept.unreadable),
    }


def _unfinished(days: Sequence[Day], kept: Mapping[str, Told], until: datetime) -> set[str]:
    """The days to report: of the last 24 hours, and before that those whose report was not made when they were over.

    It may not have been: the host, or the control node, was down on the next evening, and the log names what was since.
    """
    recent = until.timestamp() - _RECENT_S
    return {day.name for day in days if day.end > recent or not kept.get(day.name, Told()).is_whole}


def _now_told(seen: Mapping[str, Any] | None) -> Told | None:
    try:
        return None if seen is None else read_told(seen)
    except NoFiguresError:
        return None


def _logged(params: Mapping[str, Any], days: Sequence[Day], until: datetime) -> Logged:
    if params["log"] is None:
        return Logged()
    since = datetime.fromtimestamp(min(day.begin for day in days), timezone.utc)
    deadline, fields = deadline_of("daily_reports_info", params), LogFields(params[LOG_FIELDS])
    return read_log(params["log"], since, until, deadline, fields=fields, alone=params["log_alone"])


def _until(given: str | None) -> datetime:
    moment = utc_now() if given is None else from_text(given)
    if moment is None:
        raise OptionError("until", given, "is no ISO 8601 time")
    return moment


class _Kept:
    """The documents of the directory that are of that time."""

    def __init__(self, directory: int, params: Mapping[str, Any], until: datetime) -> None:
        self.days: dict[str, Told] = {}
        self.weeks: list[dict[str, Any]] = []
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
            name = "{}-{}-{}".format(*_date_of(file))
            told = read_told(document)
            if told.day and told.day.name != name:
                raise NoFiguresError(f"it is of {one_line(told.day.name, 20)}")
            self.days[name] = told


def _date_of(file: str) -> tuple[str, ...]:
    match = _FILE.fullmatch(file)
    return match.groups()[1:] if match else ()


def _files(directory: int, oldest: datetime, until: datetime) -> Iterator[tuple[str, str]]:
    """Name and kind of each report of that time, oldest first."""
    for file in sorted(os.listdir(directory)):
        match = _FILE.fullmatch(file)
        if match and f"{oldest:%Y%m%d}" <= "".join(match.groups()[1:]) <= f"{until + _AHEAD_MAX:%Y%m%d}":
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
