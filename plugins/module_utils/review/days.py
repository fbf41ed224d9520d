# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one document of figures says, and of which time: the day's reports, the week's, and the service's own answers.

A document that contradicts itself is refused whole, with the reason; nothing of it is guessed. Pure, and small enough
to run on the hosts, so that only figures travel and not a day's samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Callable, TypedDict

from ..shapes import Json, mapping, number, one_line
from ..times import from_text, to_text

WEEK_S = 168 * 3600
REVIEW_VERSION = 1
SAMPLE_INTERVAL_S = 300  # how often the service takes a sample: a fact of its API
_LIST_MAX = 50


class Stage(TypedDict):
    """The operations of one stage; their durations as a sum, so that windows can be added up."""

    count: float
    failed: float
    duration_s: float
    max_s: float | None
    min_s: float | None


class Sums(TypedDict):
    """What became of some operations; averages are made from sums, never from averages."""

    operations: float
    failed: float
    duration_s: float
    stages: dict[str, Stage]
    errors: dict[str, float]


class _Told(Sums):
    begin: str
    end: str
    hours: float
    assumed: bool
    """Nothing proves that the service remembered all of it."""
    restarted_at: str | None
    peak_sessions: float | None
    peak_at: str | None


class Window(_Told, total=False):
    """The figures of one stretch of time."""

    day: str
    """The day of the site that it is of, YYYY-MM-DD, where it is of one."""
    parts: list[tuple[str, str]]
    """The times within it that were seen, where that is not all of it."""


class Peak(TypedDict):
    """The highest samples of one week."""

    sessions: float | None
    sessions_at: str | None
    cpu_percent: float | None
    cpu_at: str | None
    memory_percent: float | None
    memory_at: str | None


class NoFiguresError(ValueError):
    """Why a document gives no figures, in one line."""


def samples_of(raw: object) -> list[Mapping[str, Any]]:
    """The samples of a document that are dated, oldest first."""
    rows = [mapping(row) for row in raw] if isinstance(raw, list) else []
    return sorted((row for row in rows if from_text(row.get("at"))), key=lambda row: str(row["at"]))


def read_window(stats: object, samples: Sequence[Json] | None) -> Window:
    """The figures of a stats answer, and of which time they are.

    Its window is cut where the samples begin later: the service started then, and had forgotten all before.

    Args:
        stats: the document as the service gave it.
        samples: those kept with it, oldest first; None where the window is not one of samples (a week's).

    Raises:
        NoFiguresError: the document cannot be believed.
    """
    read = _Reader(mapping(stats))
    end = from_text(read.data.get("generated_at"))
    if end is None:
        raise NoFiguresError("generated_at is not a time")
    hours = read.number("time_period_hours", 1, 168)
    operations = read.number("total_operations")
    error_rate = read.number("error_rate", 0, 1)
    failed = number(read.data.get("failed_operations"))
    failed = error_rate * operations if failed is None else failed
    if not 0 <= failed <= operations:
        raise NoFiguresError(f"{failed:g} of {operations:g} operations failed")
    if operations and abs(failed / operations - error_rate) > 0.005:
        raise NoFiguresError(f"error_rate is {error_rate:g}, but {failed:g} of {operations:g} operations failed")
    begin = end - timedelta(hours=hours)
    restarted = _restarted(samples or [], begin)
    peak = max((row for row in samples or [] if _count(row) is not None), key=_sessions, default=None)
    return {
        "begin": to_text(restarted or begin),
        "end": to_text(end),
        "hours": hours,
        "assumed": not samples,
        "restarted_at": to_text(restarted) if restarted else None,
        "operations": operations,
        "failed": failed,
        "duration_s": (read.number("average_duration") if operations else 0) * operations,
        "stages": dict(read.stages()),
        "errors": dict(read.errors()),
        "peak_sessions": _count(peak) if peak else None,
        "peak_at": str(peak["at"]) if peak else None,
    }


def _restarted(samples: Sequence[Json], begin: datetime) -> datetime | None:
    """When the service started within the window, or None where it did not, or where that cannot be told."""
    first = from_text(samples[0]["at"]) if samples else None
    return first if first and first - begin > timedelta(seconds=2 * SAMPLE_INTERVAL_S) else None


def _count(sample: Json) -> float | None:
    value = number(sample.get("active_sessions"))
    return None if value is None or value < 0 else value


def _sessions(sample: Json) -> float:
    return _count(sample) or 0


class _Reader:
    """Numbers of a stats answer, read with suspicion."""

    def __init__(self, data: Json) -> None:
        self.data = data

    def number(self, key: str, low: float = 0, high: float = float("inf")) -> float:
        value = number(self.data.get(key))
        if value is None or not low <= value <= high:
            raise NoFiguresError(f"{key} is {one_line(repr(self.data.get(key)), 40)}")
        return value

    def stages(self) -> Iterable[tuple[str, Stage]]:
        """The stages whose figures can be believed."""
        for name, raw in list(mapping(self.data.get("stage_breakdown")).items())[:_LIST_MAX]:
            row = mapping(raw)
            count, good, average = (number(row.get(key)) for key in ("count", "success_count", "average_duration"))
            if count is None or good is None or average is None or not 0 <= good <= count or average < 0:
                continue
            longest, shortest = number(row.get("max_duration")), number(row.get("min_duration"))
            yield (
                one_line(name, 40),
                {
                    "count": count,
                    "failed": count - good,
                    "duration_s": average * count,
                    "max_s": longest,
                    "min_s": shortest,
                },
            )

    def errors(self) -> Iterable[tuple[str, float]]:
        for code, raw in list(mapping(self.data.get("error_breakdown")).items())[:_LIST_MAX]:
            count = number(raw)
            if count is not None and count > 0:
                yield one_line(code, 60), count


def peaks_by_week(samples: Iterable[Json], until: datetime, weeks: int) -> list[Peak]:
    """The highest samples of each of the last weeks, the newest week first. A sample that comes twice counts once."""
    found = [no_peak() for _week in range(weeks)]
    for sample in samples:
        moment = from_text(sample.get("at"))
        week = int((until - moment).total_seconds() // WEEK_S) if moment and moment <= until else -1
        if 0 <= week < weeks:
            raise_peak(found[week], sample)
    return found


def no_peak() -> Peak:
    """The peak of no sample at all."""
    return {
        "sessions": None,
        "sessions_at": None,
        "cpu_percent": None,
        "cpu_at": None,
        "memory_percent": None,
        "memory_at": None,
    }


def raise_peak(peak: Peak, sample: Json) -> None:
    """Raise a peak to a sample that is higher; of equal ones the earlier stays."""
    at = str(sample.get("at"))
    sessions, cpu, memory = _count(sample), number(sample.get("cpu_percent")), number(sample.get("memory_percent"))
    if sessions is not None and _higher(sessions, at, peak["sessions"], peak["sessions_at"]):
        peak["sessions"], peak["sessions_at"] = sessions, at
    if cpu is not None and _higher(cpu, at, peak["cpu_percent"], peak["cpu_at"]):
        peak["cpu_percent"], peak["cpu_at"] = cpu, at
    if memory is not None and _higher(memory, at, peak["memory_percent"], peak["memory_at"]):
        peak["memory_percent"], peak["memory_at"] = memory, at


def no_sums() -> Sums:
    """The sums of no operation at all."""
    return {"operations": 0.0, "failed": 0.0, "duration_s": 0.0, "stages": {}, "errors": {}}


def no_stage() -> Stage:
    """A stage without operations."""
    return {"count": 0.0, "failed": 0.0, "duration_s": 0.0, "max_s": None, "min_s": None}


def add_sums(total: Sums, more: Sums, share: float = 1.0) -> None:
    """Add a share of some sums to others."""
    total["operations"] += more["operations"] * share
    total["failed"] += more["failed"] * share
    total["duration_s"] += more["duration_s"] * share
    for code, count in more["errors"].items():
        total["errors"][code] = total["errors"].get(code, 0.0) + count * share
    for name, row in more["stages"].items():
        known = total["stages"].setdefault(name, no_stage())
        known["count"] += row["count"] * share
        known["failed"] += row["failed"] * share
        known["duration_s"] += row["duration_s"] * share
        known["max_s"] = either(max, known["max_s"], row["max_s"])
        known["min_s"] = either(min, known["min_s"], row["min_s"])


def either(choose: Callable[[list[float]], float], first: float | None, second: float | None) -> float | None:
    known = [value for value in (first, second) if value is not None]
    return choose(known) if known else None


def read_sums(document: object) -> Sums:
    """Sums as a document of ours has them.

    Raises:
        NoFiguresError: they contradict themselves.
    """
    raw = mapping(document)
    found = no_sums()
    operations, failed, duration = (number(raw.get(key)) for key in ("operations", "failed", "duration_s"))
    if operations is None or failed is None or duration is None or not 0 <= failed <= operations or duration < 0:
        raise NoFiguresError(f"{raw.get('failed')} of {raw.get('operations')} operations failed")
    found["operations"], found["failed"], found["duration_s"] = operations, failed, duration
    for name, row in list(mapping(raw.get("stages")).items())[:_LIST_MAX]:
        values = {key: number(mapping(row).get(key)) for key in no_stage()}
        count, bad, took = values["count"], values["failed"], values["duration_s"]
        if count is None or bad is None or took is None or not 0 <= bad <= count or took < 0:
            raise NoFiguresError(f"stage {one_line(name, 40)} contradicts itself")
        found["stages"][one_line(name, 40)] = {
            "count": count,
            "failed": bad,
            "duration_s": took,
            "max_s": values["max_s"],
            "min_s": values["min_s"],
        }
    for code, raw_count in list(mapping(raw.get("errors")).items())[:_LIST_MAX]:
        many = number(raw_count)
        if many is not None and many > 0:
            found["errors"][one_line(code, 60)] = many
    return found


def again(document: object) -> Window:
    """A window as it was kept.

    Raises:
        NoFiguresError: it cannot be believed.
    """
    raw = mapping(document)
    begin, end, restarted = (from_text(raw.get(key)) for key in ("begin", "end", "restarted_at"))
    if begin is None or end is None or not begin <= end:
        raise NoFiguresError("a window of it has no time")
    peak_at, peak = from_text(raw.get("peak_at")), number(raw.get("peak_sessions"))
    sums = read_sums(raw)
    return {
        "operations": sums["operations"],
        "failed": sums["failed"],
        "duration_s": sums["duration_s"],
        "stages": sums["stages"],
        "errors": sums["errors"],
        "begin": to_text(begin),
        "end": to_text(end),
        "hours": number(raw.get("hours")) or 0,
        "assumed": raw.get("assumed") is not False,
        "restarted_at": to_text(restarted) if restarted else None,
        "peak_sessions": peak if peak_at and peak is not None and peak >= 0 else None,
        "peak_at": to_text(peak_at) if peak_at else None,
    }


def _higher(value: float, at: str, known: float | None, known_at: str | None) -> bool:
    return known is None or value > known or (value == known and at < str(known_at))


def read_week(document: object) -> dict[str, Any]:
    """What a review of a former week says, as far as a later one compares with it.

    Raises:
        NoFiguresError: it is no review that this release can read.
    """
    review = mapping(document)
    figures, period, coverage = (mapping(review.get(key)) for key in ("figures", "period", "coverage"))
    begin, end = from_text(period.get("from")), from_text(period.get("to"))
    if review.get("schema_version") != REVIEW_VERSION or not begin or not end:
        raise NoFiguresError("it is not a weekly review of this collection")
    names = ("total_operations", "failed_operations", "average_duration_s", "peak_active_sessions")
    kept = {name: number(figures.get(name)) for name in names}
    if kept["total_operations"] is None or kept["failed_operations"] is None:
        raise NoFiguresError("it has no figures")
    stages = {
        one_line(name, 40): {key: number(mapping(row).get(key)) for key in ("count", "average_duration_s")}
        for name, row in list(mapping(review.get("stages")).items())[:_LIST_MAX]
    }
    share = number(coverage.get("share"))
    return {"from": to_text(begin), "to": to_text(end), "figures": kept, "share": share or 0, "stages": stages}
