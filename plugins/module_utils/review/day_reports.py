# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reports of days, made from what was kept of them and from what is known now. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..shapes import number
from ..times import from_text, text_of, to_text
from .day import DAY_VERSION, WINDOWS_MAX, Day, Told, middle_of, settle
from .logged import Logged, quarters_to, spans_to
from .sums import joined, ratio, shares_of, total_of, whole
from .windows import coverage_of, windows_of

_DAY_S = 86400
_SAMPLES_MAX = 300
_GAPS_MAX = 20
_PEAKS = 3


def day_reports(
    days: Sequence[Day], kept: Mapping[str, Told], now_told: Told | None, logged: Logged, now: datetime
) -> list[dict[str, Any]]:
    """The report of each of those days of which anything is known.

    Args:
        days: which.
        kept: what was kept of them before, by their names.
        now_told: what the service told just now; it is of the day in which the middle of its window lies.
        logged: what the log names.
        now: when they are made.
    """
    one = settle([*kept.values(), *([now_told] if now_told else [])], logged)
    windows = windows_of(one, days, now.timestamp())
    # Over all of them, since an answer of this evening has a part of yesterday's.
    ends = [day.begin for day in days] + [day.end for day in days]
    shares = shares_of(windows, min(ends) - _DAY_S, max(ends) + _DAY_S)
    found = []
    for day in days:
        before = kept.get(day.name, Told())
        samples = [row for row in one.samples if _is_in(day, row["at"])]
        # What a report has of a day in another zone stays there: no other may have it.
        quarters = {at: sums for at, sums in one.quarters.items() if day.has(at) or at in before.quarters}
        own = [window for window in windows if window.get("day") == day.name]
        answers = [each for each in (before, now_told) if each and each.stats and _is_of(day, each)]
        if not (samples or own or answers or day.name in kept):
            continue
        # Of two answers, as before and after a restart, the one that knew more.
        answer = max(answers, key=_known, default=None)
        peaks = sorted(samples, key=lambda row: -(number(row.get("cpu_percent")) or 0))[:_PEAKS]
        total = total_of((share.window, share.share) for share in shares if share.window.get("day") == day.name)
        coverage = coverage_of(windows, day.begin, min(day.end, now.timestamp()))
        found.append(
            {
                "schema_version": DAY_VERSION,
                "generated_at": to_text(now),
                "day": day.name,
                "from": text_of(day.begin),
                "to": text_of(day.end),
                "figures": {
                    "total_operations": whole(total.operations),
                    "failed_operations": whole(total.failed),
                    "error_rate": ratio(total.failed, total.operations),
                    "average_duration_s": ratio(total.duration_s, total.operations),
                },
                "coverage": {**coverage, "gaps": coverage["gaps"][:_GAPS_MAX]},
                **({"stats": answer.stats} if answer else {}),
                **({"log_errors": answer.log_errors} if answer and answer.log_errors is not None else {}),
                "resource_peaks": [
                    {key: row.get(key) for key in ("at", "cpu_percent", "memory_percent")} for row in peaks
                ],
                "metrics": samples[-_SAMPLES_MAX:],
                "windows": [window for window in one.windows if day.has(middle_of(window))][-WINDOWS_MAX:],
                "logged": {
                    "state": logged.state,
                    "reason": logged.reason,
                    "quarters": quarters_to(quarters),
                },
                "seen": spans_to(joined([*day.within(one.seen), *before.seen])),
                "restarts": [text for text in one.restarts if _is_in(day, text)],
            }
        )
    return found


def _is_of(day: Day, told: Told) -> bool:
    """Whether an answer is of a day; what was kept of one is."""
    return told.day == day or any(day.has(middle_of(window)) for window in told.windows)


def _known(told: Told) -> tuple[float, str]:
    stats = told.stats or {}
    return number(stats.get("total_operations")) or 0, str(stats.get("generated_at"))


def _is_in(day: Day, text: object) -> bool:
    moment = from_text(text)
    return moment is not None and day.has(moment.timestamp())
