# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a procedure was due last, by the table of the schedule.

The schedule's runner has this file beside it as well (roles/schedule/files), so it imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Summer time begins at these hours, in one zone or another, and leaves out two hours at most: a test looks at all.
HOURS_LEFT_OUT = (22, 23, 0, 1, 2, 3)
LEFT_OUT_MOST = 2


def firings(procedure: Mapping[str, Any]) -> list[tuple[int, int, str]]:
    """Hour, minute and weekday ("" for each) at which a timer of an `at` fires: its time first.

    On the day on which summer time leaves its hour out, the procedure runs one or two hours later by the clock. On all
    other days the later ones find that it has begun.
    """
    hour, minute = map(int, procedure["at"].split(":"))
    weekday = procedure.get("weekday") or ""
    found = [(hour, minute, weekday)]
    for later in range(1, LEFT_OUT_MOST + 1 if hour in HOURS_LEFT_OUT else 1):
        next_day = weekday and WEEKDAYS[(WEEKDAYS.index(weekday) + 1) % 7]
        found.append(((hour + later) % 24, minute, weekday if hour + later < 24 else next_day))
    return found


def due(procedure: Mapping[str, Any], at: datetime, zone: tzinfo | None = None) -> datetime:
    """When the procedure was due last: the latest of its times that is not after ``at``.

    Neither systemd nor cron tells a job when it was due, nor does AWX. A run that was missed while the machine was off
    is started at the next boot, so "now" would make it look punctual.

    Args:
        procedure: a row of the table, with ``every``, or ``at`` and perhaps ``weekday``.
        at: with a zone.
        zone: of the table's times; None is the zone of this machine.

    Returns:
        The time, in UTC.

    Raises:
        ValueError: the row has no time.
    """
    here = at.astimezone(zone)
    if procedure.get("every"):
        every = int(procedure["every"])
        return here.replace(minute=here.minute // every * every, second=0, microsecond=0).astimezone(UTC)
    for back in range(9):
        day = here.date() - timedelta(days=back)
        if procedure.get("weekday", WEEKDAYS[day.weekday()]) == WEEKDAYS[day.weekday()]:
            found = _on(procedure, day, zone)
            # Two times of one zone would be compared by the clock on the wall, which shows an hour twice a year.
            if found is not None and found <= at.astimezone(UTC):
                return found
    raise ValueError(f"no time in {dict(procedure)}")


def _on(procedure: Mapping[str, Any], day: date, zone: tzinfo | None) -> datetime | None:
    """When it is due on a day, in UTC: at its time, or where summer time leaves that out, at the next firing."""
    first = None
    for hour, minute, _weekday in firings(procedure):
        first = hour if first is None else first
        on = day if hour >= first else day + timedelta(days=1)
        written = datetime(on.year, on.month, on.day, hour, minute)  # noqa: DTZ001  the zone follows
        # Of an hour that comes twice, the first one.
        candidate = written.astimezone() if zone is None else written.replace(tzinfo=zone)
        there = candidate.astimezone(UTC).astimezone(zone)
        if (there.hour, there.minute) == (hour, minute):
            return candidate.astimezone(UTC)
    return None
