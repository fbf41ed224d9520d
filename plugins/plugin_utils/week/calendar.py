# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The days of a site by the clock on its wall, whatever zone controller and host are in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ...module_utils.errors import OptionError
from ...module_utils.shapes import one_line
from ...module_utils.times import to_text


def zone_of(name: object) -> ZoneInfo:
    """The zone of a site.

    Raises:
        OptionError: it is none that this machine knows.
    """
    try:
        return ZoneInfo(str(name))
    except (OSError, ValueError, LookupError) as error:
        why = "must be a name of the time zone database, as Europe/Berlin, that this controller knows"
        raise OptionError("policy_zone", name, f"{why}: {one_line(error, 100)}") from error


def zone_problems(value: Callable[[str], Any]) -> list[str]:
    """Why the zone of a site is none, by what gives a variable; nothing where it is one."""
    try:
        zone_of(value("policy_zone"))
    except OptionError as error:
        return [str(error)]
    return []


def day_of(moment: datetime, zone: ZoneInfo) -> str:
    """The day of the site in which a moment lies, YYYY-MM-DD."""
    return moment.astimezone(zone).date().isoformat()


def days_between(begin: datetime, end: datetime, zone: ZoneInfo) -> list[dict[str, str]]:
    """The days of the site that have a part of a time, with where they begin and end in UTC.

    On the days on which summer time begins and ends they have 23 and 25 hours.
    """
    first, last = begin.astimezone(zone).date(), end.astimezone(zone).date()
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [
        {"day": day.isoformat(), "from": _midnight(day, zone), "to": _midnight(day + timedelta(days=1), zone)}
        for day in days
    ]


def _midnight(day: date, zone: ZoneInfo) -> str:
    """Where a day begins; one whose midnight is left out begins with the hour after it."""
    return to_text(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))
