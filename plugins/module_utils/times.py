# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Points in time: always UTC, always written with a Z, read as the pipeline writes them (without a zone mark)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone


def utc_now() -> datetime:
    """Now, in UTC, to the second."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def to_text(moment: datetime) -> str:
    """ISO 8601 in UTC with a Z, to the second."""
    return moment.astimezone(timezone.utc).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def text_of(seconds: float) -> str:
    """The same of seconds since 1970."""
    return to_text(datetime.fromtimestamp(seconds, timezone.utc))


# Not datetime.fromisoformat, which reads other texts on each Python: 3.9 no Z, no comma and three or six digits only.
_ISO = re.compile(
    r"(\d{4})(-?)(\d\d)\2(\d\d)"
    r"(?:[T _]?(\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,:](\d{1,12}))?)?)?"
    r"\s?(Z|UTC|GMT|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_DAY_S = 86_400


def from_text(text: object) -> datetime | None:
    """Read ISO 8601; without a zone mark it is UTC. Anything else is None, never an error.

    The same on every Python: extended or basic format, fractions of any length behind a dot or a comma, Z, UTC, +00,
    +0000 or +00:00.
    """
    if not isinstance(text, str) or not 8 <= len(text) <= 60:
        return None
    found = _ISO.fullmatch(text.strip())
    if found is None:
        return None
    year, _dash, month, day, hour, minute, second, fraction, zone = found.groups()
    seconds = int(hour or 0) * 3600 + int(minute or 0) * 60 + int(second or 0)
    # 24:00:00 is the next day's begin, and a leap second the next minute's.
    if int(minute or 0) > 59 or int(second or 0) > 60 or seconds > _DAY_S:
        return None
    try:
        moment = datetime(int(year), int(month), int(day), tzinfo=timezone.utc)
        micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
        return moment + timedelta(seconds=seconds - _offset_s(zone), microseconds=micro)
    except (ValueError, OverflowError):
        return None


def _offset_s(zone: str | None) -> int:
    """How far a zone mark is ahead of UTC, in seconds."""
    if zone is None or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError(zone)
    return (hours * 3600 + minutes * 60 + seconds) * (-1 if zone[0] == "-" else 1)
