# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How old what the service says is, and whose clock is off: its own, the host's, or the controller's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from ...module_utils.clock import said as clock_said
from ...module_utils.shapes import Json, mapping, number, one_line
from ...module_utils.times import from_text, to_text
from .counting import Counting
from .endpoint import Answer, FaultError
from .shapes import Observation, observation

_ZONES_S = 900  # zones differ by whole quarters of an hour
_MOVES_WITHIN_S = 5


class Clock:
    """Is a timestamp of the service recent, by the host's own clock at the time of the answer?

    Attributes:
        offset: how far the service's times are known to be ahead of the host's.
    """

    def __init__(self, age_max_s: float, skew_max_s: float, offset_s: float = 0) -> None:
        self.offset = timedelta(seconds=offset_s)
        self._age_max = timedelta(seconds=age_max_s)
        self._skew_max = timedelta(seconds=skew_max_s)

    def fresh(self, answer: Answer, key: str) -> str:
        """The moment of a field as text, when it is recent."""
        moment = from_text(answer.get(key))
        if moment is None:
            raise FaultError(
                "wrong_type", f"{answer.name}: '{key}' is {one_line(repr(answer.get(key)), 40)}, not a time"
            )
        return self.recent(answer, moment)

    def recent(self, answer: Answer, moment: datetime, every_s: float = 0) -> str:
        """The moment as text, when it is recent for something that is renewed every so many seconds."""
        if answer.fetched_at is None:
            raise FaultError("invalid", f"{answer.name}: the time of the answer is not known")
        moment -= self.offset
        age = answer.fetched_at - moment
        if age > self._age_max + timedelta(seconds=every_s):
            raise FaultError("stale", f"{answer.name} is dated {to_text(moment)}, {lasting(age)} before it was read")
        if -age > self._skew_max:
            # No service that hangs dates its answers ahead.
            raise FaultError(
                "clock",
                f"{answer.name} is dated {to_text(moment)}, {lasting(-age)} ahead of the host's clock: a clock or a "
                "zone is wrong",
            )
        return to_text(moment)


def lasting(age: timedelta) -> str:
    """A length of time, for people."""
    seconds = age.total_seconds()
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"


def moving_offset(first: object, second: object) -> float | None:
    """How many seconds the service's times are ahead of the host's clock, by two answers of which one came later.

    A service that hangs repeats a date; one whose clock or zone is another's goes on with it, and only then the date
    says nothing against the answer.

    Args:
        first: result of pipeline_info with ``health_detailed``, which the service keeps in no cache.
        second: the same, asked later.
    """
    before, after = _dated(first), _dated(second)
    if before is None or after is None or after[0] <= before[0]:
        return None
    offsets = [(moment - read).total_seconds() for moment, read in (before, after)]
    return round(sum(offsets) / 2) if abs(offsets[1] - offsets[0]) <= _MOVES_WITHIN_S else None


def _dated(result: object) -> tuple[datetime, datetime] | None:
    """Of which moment the health is by itself, and when it was read by the host's clock."""
    answer = Answer("health_detailed", mapping(mapping(result).get("endpoints")).get("health_detailed"))
    moment = from_text(answer.data.get("timestamp")) if answer.ok else None
    return (moment, answer.fetched_at) if moment and answer.fetched_at else None


def is_dated_off(observations: Mapping[str, Observation]) -> bool:
    """Whether the service's state is not known for the date of its answer alone."""
    overall = observations.get("overall_status")
    return overall is not None and overall["fault"] in ("stale", "clock")


def zone_said(offset_s: float) -> str:
    """Where the service's times are, for people."""
    where = f"{lasting(timedelta(seconds=abs(offset_s)))} {'ahead of' if offset_s > 0 else 'behind'} the host's clock"
    rest = abs(offset_s) % _ZONES_S
    # The answer took its time, and its date is cut to whole seconds.
    is_zone = min(rest, _ZONES_S - rest) <= _MOVES_WITHIN_S
    what = "as in a zone of its own: it must write UTC" if is_zone else "so its clock is not the host's"
    return f"the service's times are {where}, {what}"


def clock_offset(result: Json, counting: Counting) -> dict[str, Observation]:
    """How far the host's clock is from the controller's, either way, or the service's from the host's."""
    of_service = counting.get("service_offset_s")
    if of_service:
        return {"clock_offset": observation(abs(of_service), "s", note=zone_said(of_service))}
    if "clock_offset_s" not in result:
        return {"clock_offset": observation(None, "s", applicable=False, note="not asked for")}
    offset = number(result["clock_offset_s"])
    if offset is None:
        return {"clock_offset": observation(None, "s", fault="wrong_type", reason="the host's time is not a number")}
    return {"clock_offset": observation(abs(offset), "s", note=clock_said(offset) if abs(offset) >= 1 else "")}
