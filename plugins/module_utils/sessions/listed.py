# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the API says of the sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..api.client import Client
from ..api.settings import ApiSettings
from ..shapes import number, one_line
from ..times import from_text, utc_now
from .active import active_sessions

# More than a year is no duration, and no datetime.
_MINUTES_MAX = 527_040
# A duration is told as of the answer's making, and rounded.
_SLACK_MINUTES = 2.0
_SLACK_SHARE = 0.05


@dataclass(frozen=True)
class Entry:
    """A session of the list. Where it has several stages at once it stands there for each; here it is one.

    What contradicts itself is not known: how long it runs, where that is said to be 180 minutes and to have begun 5
    minutes ago.

    Attributes:
        stages: in the list's order.
        minutes: how long the oldest of them runs, None where that is not told.
        started: when that began.
        starts: stages with their starts as the list gave them: what changes when the session goes on.
        contradiction: why it is not known how long it runs, where it is told; else empty.
    """

    stages: tuple[str, ...]
    minutes: float | None
    started: datetime | None
    starts: tuple[tuple[str, str], ...]
    contradiction: str = ""


@dataclass(frozen=True)
class Answer:
    """The list, or the reason why there is none."""

    state: str
    reason: str
    sessions: dict[str, Entry] = field(default_factory=dict)


def ask_sessions(settings: ApiSettings) -> Answer:
    """Ask the API which sessions are active. An answer of which a part cannot be read is no answer."""
    reply = Client(settings).ask("sessions")
    if reply.data is None:
        return Answer(reply.state, reply.reason)
    listed = active_sessions(reply.data)
    if not listed.complete:
        return Answer("invalid", listed.reason)
    return Answer("ok", "", {session_id: _entry(rows) for session_id, rows in listed.by_id.items()})


def _entry(rows: list[Mapping[str, Any]]) -> Entry:
    contradiction = next(filter(None, map(_contradiction, rows)), "")
    minutes = [found for found in map(_minutes, rows) if found is not None]
    starts = [found for found in (from_text(row.get("start_time")) for row in rows) if found is not None]
    longest = max(minutes, default=None)
    if len(starts) < len(rows):
        # A duration may be told in whole minutes, or seconds, that are over.
        unit = (
            timedelta(minutes=1) if any(row.get("duration_seconds") is None for row in rows) else timedelta(seconds=1)
        )
        starts = [] if longest is None else [utc_now() - timedelta(minutes=longest) - unit]
    return Entry(
        stages=tuple(one_line(row.get("stage"), 60) for row in rows),
        minutes=None if contradiction else longest,
        started=None if contradiction else min(starts, default=None),
        starts=tuple(sorted((str(row.get("stage")), str(row.get("start_time"))) for row in rows)),
        contradiction=contradiction,
    )


def _contradiction(row: Mapping[str, Any]) -> str:
    """What a row says twice and not alike; empty where it holds together."""
    said = {}
    for name, unit in (("duration_minutes", 1), ("duration_seconds", 60)):
        if row.get(name) is not None:
            value = number(row[name])
            if value is None or not 0 <= value / unit < _MINUTES_MAX:
                return f"{name} is {one_line(row[name], 40)}"
            said[f"{name} {one_line(row[name], 40)}"] = float(value) / unit
    start = from_text(row.get("start_time"))
    if row.get("start_time") is not None:
        if start is None:
            return f"start_time is {one_line(row['start_time'], 40)}"
        said[f"start_time {one_line(row['start_time'], 40)}"] = (utc_now() - start).total_seconds() / 60
    most, least = max(said.values(), default=0.0), min(said.values(), default=0.0)
    if most - least > max(_SLACK_MINUTES, _SLACK_SHARE * most):
        return "it contradicts itself: " + ", ".join(f"{text} ({value:.0f} min)" for text, value in said.items())
    return ""


def _minutes(row: Mapping[str, Any]) -> float | None:
    minutes, seconds = number(row.get("duration_minutes")), number(row.get("duration_seconds"))
    found = minutes if minutes is not None else None if seconds is None else seconds / 60
    return float(found) if found is not None and 0 <= found < _MINUTES_MAX else None
