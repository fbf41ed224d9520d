# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statistics of a service that tells none, from the lines of its log: the document that the API of others gives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ..deadline import Deadline
from ..logs.back import read_back
from ..logs.fields import LogFields
from ..times import text_of, to_text, utc_now
from .logged import EachOnce, Operation

_STAGES_MAX = 50
_CODES_MAX = 50


def logged_stats(
    path: str,
    hours: int,
    fields: LogFields,
    *,
    not_before: datetime | None = None,
    deadline: Deadline | None = None,
) -> dict[str, Any]:
    """What came of reading them, which stands in for an endpoint's answer.

    Args:
        path: of the log.
        hours: the window.
        fields: the service's own names of what the log says.
        not_before: what ended earlier does not count, None where all of the window does.
        deadline: by which it is read.
    """
    now = utc_now()
    since = now - timedelta(hours=hours)
    if not_before is not None:
        since = max(since, not_before)
    # A line of this second is of the window.
    taken = _Stats(fields, since, now + timedelta(seconds=1))
    back = read_back(path, taken, since, fields, deadline=deadline)
    known = back.state == "ok" and (back.begins is not None or back.reaches)
    state, reason, short = back.state, back.reason, ""
    if back.state == "ok" and not known:
        state, reason = "invalid", f"{path} has no entry yet"
    elif known and not back.reaches and back.begins is not None:
        length = max(now.timestamp() - back.begins, 0.0) / 3600
        wanted = (now - since).total_seconds() / 3600
        short = f"the log begins at {text_of(back.begins)}, and tells of {length:.3g} h of {wanted:.3g} h"
    return {
        "state": state,
        "reason": reason,
        "bytes": back.bytes,
        "url": f"file://{path}",
        "source": "log",
        "short": short,
        "data": {"time_period_hours": hours, "generated_at": to_text(now), **taken.document()} if known else None,
    }


class _Stats(EachOnce):
    """Counts them."""

    def __init__(self, fields: LogFields, since: datetime, until: datetime) -> None:
        super().__init__(fields, since, until)
        self._total = self._failed = 0
        self._took = _Took()
        self._stages: dict[str, _Took] = {}
        self._errors: dict[str, int] = {}

    def take(self, one: Operation) -> None:
        """Take an operation."""
        self._total += 1
        self._failed += one.failed
        self._took.add(one)
        if one.stage in self._stages or len(self._stages) < _STAGES_MAX:
            self._stages.setdefault(one.stage, _Took()).add(one)
        code = str(one.code)[:60] if one.failed and one.code not in (None, "") else ""
        if code and (code in self._errors or len(self._errors) < _CODES_MAX):
            self._errors[code] = self._errors.get(code, 0) + 1

    def document(self) -> Mapping[str, Any]:
        """As the API of the runbook's service gives them."""
        good = self._total - self._failed
        return {
            "total_operations": self._total,
            "successful_operations": good,
            "failed_operations": self._failed,
            "success_rate": good / self._total if self._total else 0.0,
            "error_rate": self._failed / self._total if self._total else 0.0,
            **self._took.averaged(),
            "stage_breakdown": {name: took.row() for name, took in self._stages.items()},
            "error_breakdown": dict(self._errors),
        }


class _Took:
    """Durations of operations, of those that have one."""

    def __init__(self) -> None:
        self._count = self._good = self._timed = 0
        self._sum = self._low = self._high = 0.0

    def add(self, one: Operation) -> None:
        self._count += 1
        self._good += not one.failed
        if one.took is not None:
            self._low = min(self._low, one.took) if self._timed else one.took
            self._high = max(self._high, one.took)
            self._timed += 1
            self._sum += one.took

    def averaged(self) -> dict[str, float]:
        """The average, and nothing where no operation says how long it took."""
        if self._count and not self._timed:
            return {}
        return {"average_duration": self._sum / self._timed if self._timed else 0.0}

    def row(self) -> dict[str, Any]:
        ends = {"max_duration": self._high, "min_duration": self._low} if self._timed else {}
        return {"count": self._count, "success_count": self._good, **self.averaged(), **ends}
