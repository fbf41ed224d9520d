# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a log entry says, whichever library wrote it and whatever carried it: its time, its level, whether it failed.

Nothing here goes by what one Python's standard library can read and another's cannot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Callable

from ..times import from_text

Entry = Mapping[str, Any]

TIME_FIELDS = (
    *("timestamp", "@timestamp", "time", "ts", "@t", "asctime", "datetime", "date", "t", "eventTime", "event_time"),
    *("Timestamp", "Time", "timeMillis", "instant", "created", "record.time", "dt", "when", "logged_at"),
    *("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP", "timestamp_ns", "observedTimestamp", "timeUnixNano"),
)
"""Where writers have the time of an entry, the first that can be read counts."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  UTC without a mark, as all times here
_FAST = (19, 23, 26)
_LEVELS_OF_OBJECTS = 3
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_DIGITS = re.compile(r"(\d{8,20})(?:[.,](\d{1,12}))?", re.ASCII)
_ZONE_NAME = re.compile(r"\[[A-Za-z0-9_+/-]{1,40}\]\Z")
_SLASHES = re.compile(r"(\d{4})[/.](\d\d)[/.](\d\d)", re.ASCII)
_ZONE = r"(?: ?([A-Z]{1,3}|[+-]\d\d:?\d\d))?"
_CLF = re.compile(
    rf"\[?(\d{{1,2}})[/ -]([A-Za-z]{{3}})[/ -](\d{{4}})[: ](\d\d:\d\d:\d\d(?:[.,]\d{{1,12}})?){_ZONE}\]?", re.ASCII
)
_RFC_2822 = re.compile(rf"(?:[A-Za-z]{{3}}, ?)?(\d{{1,2}}) ([A-Za-z]{{3}}) (\d{{4}}) (\d\d:\d\d:\d\d){_ZONE}", re.ASCII)
_CTIME = re.compile(r"[A-Za-z]{3} ([A-Za-z]{3}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d)(?: ([A-Z]{3}))? (\d{4})", re.ASCII)


def moment(value: Any) -> datetime | None:
    """A time as UTC without a zone mark, which is how most are written and what compares fastest.

    Texts of ISO 8601 in any format, those of web servers and mail, numbers of seconds, milliseconds, microseconds or
    nanoseconds since 1970, and the objects that some writers make of them. Without a zone mark it is UTC.
    """
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return _of_number(value)
    if isinstance(value, Mapping):
        return _of_object(value)
    return None


def _of_text(text: str) -> datetime | None:
    short = text[:-1] if text[-1:] in "Zz" else text
    # What the oldest Python reads as the newest does: YYYY-MM-DDTHH:MM:SS, with none, three or six digits behind a dot.
    if len(short) in _FAST and short[4] == short[7] == "-" and short[13] == short[16] == ":" and short[10] in "T ":
        try:
            found = datetime.fromisoformat(short)
            if found.tzinfo is None:
                return found
        except ValueError:
            pass
    text = _ZONE_NAME.sub("", text.strip()[:80])
    digits = _DIGITS.fullmatch(text)
    if digits:
        return _of_digits(*digits.groups())
    text = _SLASHES.sub(r"\1-\2-\3", text, count=1) if _SLASHES.match(text) else text
    at = from_text(text) or _of_words(text)
    return at.replace(tzinfo=None) if at else None


def _of_words(text: str) -> datetime | None:
    """Times with the name of a month."""
    for pattern in (_CLF, _RFC_2822):
        found = pattern.fullmatch(text)
        if found:
            day, month, year, clock, zone = found.groups()
            break
    else:
        found = _CTIME.fullmatch(text)
        if not found:
            return None
        month, day, clock, zone, year = found.groups()
    number = _MONTHS.get(month.lower())
    zone = "Z" if zone in (None, "UTC", "GMT", "UT") else zone
    return from_text(f"{year}-{number:02}-{int(day):02}T{clock}{zone}") if number else None


def _of_digits(whole: str, fraction: str | None) -> datetime | None:
    """Digits alone: a compact date, else a number of some unit since 1970."""
    if len(whole) in (8, 12, 14, 17, 20) and whole[:2] in ("19", "20"):
        date = f"{whole[:8]}T{whole[8:14].ljust(6, '0')}" + (
            f".{whole[14:] or fraction}" if whole[14:] or fraction else ""
        )
        at = from_text(date)
        if at:
            return at.replace(tzinfo=None)
    return _since_1970(int(whole), fraction or "")


def _of_number(value: float) -> datetime | None:
    if isinstance(value, int):
        return _of_digits(str(value), None) if 0 < value < 10**20 else None
    if not 0 < value < 1e20:  # also what is no number
        return None
    whole = int(value)
    return _since_1970(whole, f"{value - whole:.9f}"[2:])


def _since_1970(whole: int, fraction: str) -> datetime | None:
    """By its size: 9 or 10 digits are seconds, 12 or 13 milliseconds, and so on."""
    digits = len(str(whole))
    for unit, lengths in ((0, (9, 10)), (3, (12, 13)), (6, (15, 16)), (9, (18, 19))):
        if digits in lengths:
            micro = int((f"{whole}{fraction.ljust(6, '0')}" if unit < 6 else str(whole))[: digits + 6 - unit])
            return _EPOCH + timedelta(microseconds=micro)
    return None


def _of_object(value: Entry, levels: int = _LEVELS_OF_OBJECTS) -> datetime | None:
    """``{epochSecond, nanoOfSecond}``, ``{seconds, nanos}``, ``{$date}``, ``{repr, timestamp}``."""
    for seconds, nanos in (("epochSecond", "nanoOfSecond"), ("seconds", "nanos"), ("sec", "nsec")):
        whole, part = value.get(seconds), value.get(nanos, 0)
        if isinstance(whole, (int, str)) and isinstance(part, int) and part >= 0 and str(whole).isdecimal():
            return _since_1970(int(whole), f"{part:09}")
    for name in ("$date", "timestamp", "iso", "repr", "$numberLong"):
        if name in value:
            inner = value[name]
            if isinstance(inner, Mapping):
                return _of_object(inner, levels - 1) if levels else None
            return moment(inner)
    return None


def field(entry: Entry, name: str) -> Any:
    """A field by its dotted name, also where the name itself has the dots."""
    value: Any = entry
    if "." not in name or name in entry:
        return entry.get(name)
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def time_reader(given: str) -> Callable[[Entry], datetime | None]:
    """What reads the time of an entry: from the field that is given, else from those that writers have it in."""
    names = (given, *(name for name in TIME_FIELDS if name != given))

    def read(entry: Entry) -> datetime | None:
        for name in names:
            value = field(entry, name)
            if value is not None:
                found = moment(value)
                if found is not None:
                    return found
        return None

    return read


# Levels

_NAMES = {
    "DEBUG": "trace debug verbose silly fine finer finest config dbg notset all t d v",
    "INFO": "info information informational notice http success default ok i n",
    "WARNING": "warning warn wrn w",
    "ERROR": "error err eror severe e",
    "CRITICAL": "critical crit fatal ftl emergency emerg alert panic dpanic f c",
}
_BY_NAME = {name: level for level, names in _NAMES.items() for name in names.split()}
_TEXT_FIELDS = (
    *("level", "levelname", "level_name", "severity", "lvl", "loglevel", "log_level", "logLevel", "log.level", "Level"),
    *("LogLevel", "Severity", "severityText", "SeverityText", "severity_text", "@l", "L", "LEVEL", "levelName"),
    *("log.severity", "record.level.name", "priority", "PRIORITY", "syslog.severity.name", "logger.level"),
)
# Of numbers, what is at least so much has the level. Each scale goes by the names of its fields.
_SYSLOG = ("CRITICAL", "CRITICAL", "CRITICAL", "ERROR", "WARNING", "INFO", "INFO", "DEBUG")
_PYTHON = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (20, "INFO"), (0, "DEBUG"))
_PINO = ((60, "CRITICAL"), (50, "ERROR"), (40, "WARNING"), (30, "INFO"), (0, "DEBUG"))
_MONOLOG = ((500, "CRITICAL"), (400, "ERROR"), (300, "WARNING"), (200, "INFO"), (0, "DEBUG"))
_GOOGLE = ((600, "CRITICAL"), (500, "ERROR"), (400, "WARNING"), (200, "INFO"), (0, "DEBUG"))
_LOGBACK = ((40_000, "ERROR"), (30_000, "WARNING"), (20_000, "INFO"), (0, "DEBUG"))
_OTEL = ((21, "CRITICAL"), (17, "ERROR"), (13, "WARNING"), (9, "INFO"), (0, "DEBUG"))
_NUMBER_FIELDS: tuple[tuple[str, Sequence[tuple[int, str]]], ...] = (
    ("levelno", _PYTHON),
    ("level_number", _PYTHON),
    ("record.level.no", _PYTHON),
    ("level_value", _LOGBACK),
    ("severityNumber", _OTEL),
    ("SeverityNumber", _OTEL),
    ("severity_number", _OTEL),
    ("level", _PINO),
    ("lvl", _PINO),
    ("severity", _GOOGLE),
    ("priority", _PINO),
    ("PRIORITY", _PINO),
)
_DECORATION = re.compile(r"\x1b\[[0-9;]*m|[\[\]<>():]")


def level_name(value: Any) -> str | None:
    """A level by its name, as :data:`LEVELS` has it; None for what is none."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    found = _BY_NAME.get(value.lower())
    if found is None:
        # Colours of a terminal, brackets, and what lies between two levels of Go: ERROR+2
        found = _BY_NAME.get(_DECORATION.sub("", value).strip().lower().partition("+")[0])
    return found


def level_of(entry: Entry) -> str | None:
    """The level of an entry as :data:`LEVELS` has it; None where it says none that is known."""
    found = level_name(entry.get("level"))
    if found is not None:
        return found
    for name in _TEXT_FIELDS:
        found = level_name(field(entry, name))
        if found is not None:
            return found
    for name, scale in _NUMBER_FIELDS:
        found = level_of_number(field(entry, name), scale)
        if found is not None:
            return found
    # Serilog leaves out what is only information.
    return "INFO" if "@t" in entry and "@l" not in entry else None


def level_of_number(value: Any, scale: Sequence[tuple[int, str]] = _PINO) -> str | None:
    """A level by its number; None for what is none. Up to 7 it is syslog's, whoever writes it."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 6:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 100_000:
        return None
    if value <= 7 and scale in (_PINO, _GOOGLE):
        return _SYSLOG[int(value)]
    if scale is _PINO and value >= 100:
        scale = _LOGBACK if value >= 5_000 else _MONOLOG
    return next(level for least, level in scale if value >= least)


# Operations that failed

_BAD = ("failed", "failure", "error", "errored", "aborted", "timeout", "timed_out")
_GOOD = ("success", "succeeded", "ok", "completed", "complete", "done", "finished")


def has_failed(entry: Entry) -> bool:
    """Whether an entry tells of an operation that failed.

    By ``success`` or ``status`` where the writer has them, in ``extra`` or beside it; else an error that names a code
    or a session.
    """
    extra = entry.get("extra")
    places: list[Entry] = [extra, entry] if isinstance(extra, Mapping) else [entry]
    for place in places:
        for name in ("success", "succeeded", "status", "outcome", "result"):
            value = place.get(name)
            if isinstance(value, bool) and name in ("success", "succeeded"):
                return not value
            if isinstance(value, str) and value.lower() in (*_BAD, *_GOOD, "true", "false"):
                return value.lower() in (*_BAD, "false")
    if level_of(entry) not in ("ERROR", "CRITICAL"):
        return False
    named = ("session_id", "sessionId", "session", "error_code", "errorCode", "stage")
    return any(place.get(name) not in (None, "") for place in places for name in named)


# What carried it

_HEAD = re.compile(
    r"(?:<\d{1,3}>(?:1 )?)?"
    r"(?:\d{4}-?\d\d-?\d\d[T ][\d:.,]{4,24}(?:Z|\s?[+-]\d\d:?\d\d)?\b|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?\b"
    r"|[\w./-]{1,80}\s{0,20}\|)"
    r"[^{}\0]{0,200}?\s(?=\{)",
    re.ASCII,
)
_HEAD_TIME = re.compile(r"(?:<\d{1,3}>(?:1 )?)?(\d{4}-?\d\d-?\d\d[T ][\d:.,]{4,24}(?:Z|\s?[+-]\d\d:?\d\d)?)", re.ASCII)
_CARRIED = (("log", ("stream", "time", "kubernetes")), ("MESSAGE", ("__REALTIME_TIMESTAMP", "PRIORITY")))


def carried_text(text: str) -> tuple[str, str]:
    """The object behind what a container engine or syslog wrote before it, and the time of that; else "", ""."""
    found = _HEAD.match(text)
    if not found:
        return "", ""
    at = _HEAD_TIME.match(text)
    return text[found.end() :].strip(), at.group(1) if at else ""


def carried_entry(entry: dict[str, Any], inner: Callable[[str], Any]) -> dict[str, Any]:
    """The entry within one of Docker's or of the journal's, with the time of that where it has none of its own."""
    for name, beside in _CARRIED:
        text = entry.get(name)
        if isinstance(text, str) and text.lstrip()[:1] == "{" and any(one in entry for one in beside):
            try:
                found = inner(text.strip())
            except (ValueError, StopIteration, RecursionError):
                return entry
            if isinstance(found, dict):
                at = entry.get("time") or entry.get("__REALTIME_TIMESTAMP")
                return with_time(found, at)
    return entry


def with_time(entry: dict[str, Any], at: Any) -> dict[str, Any]:
    """An entry with the time at which it was carried, where it has none of its own."""
    if at and not any(field(entry, name) is not None for name in TIME_FIELDS):
        entry["time"] = at
    return entry
