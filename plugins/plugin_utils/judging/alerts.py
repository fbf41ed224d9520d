# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's alerts: how many of them count, and how many of the last hour. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ...module_utils.shapes import Json, mapping, number, one_line
from ...module_utils.times import from_text, to_text
from .answered import is_answered
from .cause import cause
from .counting import Counting
from .dates import Clock, lasting
from .endpoint import Answer, FaultError, Reader, observe_each
from .shapes import Observation

_ALERT_LEVELS = ("info", "warning", "error", "critical")
_OTHER_LEVELS = {level: [other for other in _ALERT_LEVELS if other != level] for level in _ALERT_LEVELS}


class Weighing:
    """Which alerts count: none of what is muted or of too few operations, none that is too old or answered."""

    def __init__(self, counting: Counting, recoveries: Sequence[Json], error_causes: Mapping[str, str]) -> None:
        """Keep what is known beside the alerts.

        Args:
            counting: how much counts of what the service says of itself.
            recoveries: of the host within the last hour, from what and when.
            error_causes: what an error code points to, ``policy_error_causes``.
        """
        self._counting = counting
        self._recoveries = recoveries
        self._error_causes = error_causes
        self._offset = timedelta(seconds=counting.get("service_offset_s") or 0)
        self._alert_age_max_s = counting.get("alert_age_max_s", float("inf"))

    def is_apart(self, alert: Json) -> bool:
        """Whether an alert is of a component that is muted, or that judged a rate of too few operations."""
        about = mapping(alert.get("metadata"))
        name, total = about.get("component"), number(about.get("total_operations"))
        if not isinstance(name, str):
            return False
        few = total is not None and total < (self._counting.get("rate_operations_min") or 0)
        return name in (self._counting.get("muted") or {}) or (
            few and name in (self._counting.get("rate_components") or [])
        )

    def outlived(self, age: timedelta) -> bool:
        """Whether an alert of that age counts no longer."""
        return age.total_seconds() > self._alert_age_max_s

    @property
    def alert_age_max(self) -> str:
        """The age above which an alert counts no longer, for people."""
        return lasting(timedelta(seconds=self._alert_age_max_s))

    def answered(self, alert: Json) -> datetime | None:
        """When the host recovered from what an alert is about, None where it did not since."""
        return is_answered(alert, self._recoveries, self._error_causes, self._offset)


def observe_alerts(answer: Answer, clock: Clock, weighing: Weighing) -> dict[str, Observation]:
    """How many alerts of the level that was asked for count, and how many of the last hour."""
    level = str(answer.params.get("level") or "critical")
    limit = answer.asked("limit", 200)

    def of_level() -> list[Json]:
        """The rows that were asked for. One whose level cannot be read may be one of those."""
        rows = answer.rows("alerts")
        return [mapping(row) for row in rows if mapping(row).get("level") not in _OTHER_LEVELS.get(level, ())]

    def age(row: Json) -> timedelta | None:
        """None where it is not dated: it may be new."""
        moment, now = from_text(row.get("timestamp")), answer.fetched_at
        return now + clock.offset - moment if moment and now else None

    def count() -> Any:
        rows, listed = answer.rows("alerts"), of_level()
        others = len(rows) - len(listed)
        if others and len(rows) >= limit:
            raise FaultError("unknown_value", f"alerts: {others} of {len(rows)} are not {level}, and no more are shown")
        unlisted = 0 if others else max(0, answer.count("total_returned") - len(listed))
        ages = [age(row) for row in listed]
        young = [row for row, old in zip(listed, ages, strict=True) if old is None or not weighing.outlived(old)]
        heard = [row for row in young if not weighing.is_apart(row)]
        # The newest come first, so that what is beyond the last is older than it.
        if ages and ages[-1] is not None and weighing.outlived(ages[-1]):
            unlisted = 0
        once = _once(heard)
        notes = [f"at least, {limit} were asked for"] if len(young) + unlisted >= limit else []
        notes += [_newest(once[0])] if once else []
        left_out = _left_out(len(listed) - len(young), len(young) - len(heard), len(heard) - len(once))
        return {"value": len(once) + unlisted, "note": "; ".join([*notes, *left_out])}

    def recent() -> dict[str, Any]:
        # The service keeps alerts for long after their cause is gone.
        ages = [(row, age(row)) for row in of_level()]
        found = [row for row, old in ages if old is None or old <= timedelta(hours=1)]
        # A recovery answers what was treated, and no other alert of the host.
        answers = {index: when for index, row in enumerate(found) if (when := weighing.answered(row))}
        since = [row for index, row in enumerate(found) if index not in answers]
        heard = [row for row in since if not weighing.is_apart(row)]
        once = _once(heard)
        notes = [_titled(once[0])] if once else []
        if answers:
            notes.append(f"{len(answers)} more from before the recovery of {to_text(max(answers.values()))}")
        return {
            "value": len(once),
            "note": "; ".join([*notes, *_left_out(0, len(since) - len(heard), len(heard) - len(once))]),
        }

    def _left_out(old: int, muted: int, again: int) -> list[str]:
        return [
            *([f"{again} more of the same session{'s' if again > 1 else ''}"] if again else []),
            *([f"{muted} of components that are muted or judge too few operations, not counted"] if muted else []),
            *([f"{old} older than {weighing.alert_age_max}, not counted"] if old else []),
        ]

    readers: dict[str, tuple[str, Reader]] = {
        f"{level}_alerts": ("count", count),
        f"{level}_alerts_1h": ("count", recent),
    }
    return observe_each(answer, lambda: clock.fresh(answer, "generated_at"), readers)


def _once(rows: Sequence[Json]) -> list[Json]:
    """Of several alerts of one session the first: a merge that fails makes an error and a critical one."""
    found, sessions = [], set[str]()
    for row in rows:
        session = row.get("session_id")
        if isinstance(session, str) and session:
            if session in sessions:
                continue
            sessions.add(session)
        found.append(row)
    return found


def _titled(row: Json) -> str:
    """An alert for people, with its cause."""
    title, why = one_line(row.get("title") or "", 80), cause(row.get("message") or "", 160)
    return f"{title}: {why}" if title and why else title or why


def _newest(row: Json) -> str:
    moment = from_text(row.get("timestamp"))
    return f"newest of {to_text(moment)}: {_titled(row)}" if moment else _titled(row)
