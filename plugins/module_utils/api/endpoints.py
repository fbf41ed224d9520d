# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which endpoints the monitoring API has, which of them a service offers, and where and how it has them.

A site describes a service of other names by a map. It is read whole before anything is asked: what of it is missing, or
is not known, is an error that names the key.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Union

from ..errors import OptionError
from ..expressions import compiled
from ..shapes import one_line

PATHS = {
    "health": "/health",
    "health_detailed": "/health/detailed",
    "stats": "/stats",
    "alerts": "/alerts",
    "metrics": "/metrics/system",
    "sessions": "/sessions/active",
    "cleanup": "/cleanup",
}
"""What can be asked for, and where the runbook's own service has it."""

READ = tuple(name for name in PATHS if name != "cleanup")
"""Those that only tell something."""

Kinds = Mapping[str, Union[str, "Kinds"]]
Find = Callable[[Any], Any]

_HEALTH: Kinds = {
    "overall_status": "status",
    "timestamp": "time",
    "checks": {"component": "text", "status": "status", "message": "text"},
}
_SHAPES: Mapping[str, Kinds] = {
    "health": _HEALTH,
    "health_detailed": _HEALTH,
    "stats": {
        "time_period_hours": "count",
        "generated_at": "time",
        "total_operations": "count",
        "failed_operations": "count",
        "success_rate": "ratio",
        "error_rate": "ratio",
        "average_duration": "s",
        "stage_breakdown": {
            "stage": "text",
            "count": "count",
            "success_count": "count",
            "average_duration": "s",
            "max_duration": "s",
            "min_duration": "s",
        },
        "error_breakdown": {"code": "text", "count": "count"},
    },
    "alerts": {
        "generated_at": "time",
        "alerts": {"level": "level", "title": "text", "message": "text", "timestamp": "time", "session_id": "text"},
        "total_returned": "count",
    },
    "metrics": {
        "metrics": {
            "timestamp": "time",
            "cpu_usage_percent": "percent",
            "memory_usage_percent": "percent",
            "disk_usage_percent": "percent",
            "active_sessions": "count",
            "temp_dir_size_mb": "count",
        }
    },
    "sessions": {
        "active_sessions": {"session_id": "text", "stage": "text", "start_time": "time", "duration_minutes": "min"},
        "total_active": "count",
    },
    "cleanup": {"cleaned_processing_metrics": "count", "cleaned_system_metrics": "count", "cleaned_alerts": "count"},
}
"""Our fields with what kind of value each is; those of rows are in a table of their own."""

_NEEDED = frozenset(
    {
        *("health.overall_status", "health.checks.component", "health.checks.status"),
        *("health_detailed.overall_status", "health_detailed.checks.component", "health_detailed.checks.status"),
        *("stats.total_operations", "stats.stage_breakdown.average_duration", "stats.error_breakdown.count"),
        *("alerts.alerts", "sessions.active_sessions", "sessions.active_sessions.session_id", "metrics.metrics"),
        *(f"metrics.metrics.{key}" for key in ("timestamp", "cpu_usage_percent", "memory_usage_percent")),
    }
)
"""Fields without which the endpoint tells nothing, so that it is the endpoint that is not offered."""

_UNITS: Mapping[str, Mapping[str, float]] = {
    "s": {"s": 1, "ms": 0.001, "min": 60},
    "min": {"min": 1, "s": 1 / 60, "ms": 1 / 60_000},
    "ratio": {"ratio": 1, "percent": 0.01},
    "percent": {"percent": 1, "ratio": 100},
    "time": {"iso": 0, "epoch": 1, "epoch_ms": 0.001},
}
"""By kind, the units that a service's value may have, and by what it is multiplied."""

STATUSES, LEVELS = ("healthy", "warning", "critical", "unknown"), ("info", "warning", "error", "critical")
_VALUES = {"status": STATUSES, "level": LEVELS}
"""By kind, the values that there are."""

_PLACES = {"stats": ("hours", "minutes", "seconds"), "alerts": ("level", "limit")}
_PLACES["metrics"] = _PLACES["stats"]
_PATH = re.compile(r"/[A-Za-z0-9._~/?&=%:+,@!*;()\[\]{}-]*")
_PLACE = re.compile(r"\{([^{}]*)\}")
_HOURS = range(1, 169)


@dataclass(frozen=True)
class Field:
    """How one field of ours is found in a service's answer.

    Attributes:
        kind: of value that it is.
        find: searches the answer, or a row of it; None where the HTTP status tells.
        factor: by what a number is multiplied; of a time 0 where it is text.
        values: ours by theirs; None where they are the same.
        statuses: ours by HTTP status.
        fields: of its rows, where it has any.
    """

    kind: str
    find: Find | None = None
    factor: float = 1
    values: Mapping[str, str] | None = None
    statuses: Mapping[int, str] | None = None
    fields: Fields | None = None


Fields = Mapping[str, Union[Field, None]]


@dataclass(frozen=True)
class Endpoint:
    """Where a service has an endpoint, and how its answer becomes ours.

    Attributes:
        name: ours.
        path: below the API's address, with places for what is asked for.
        fields: None where the answer has our shape.
        hours: the windows that there are, none where there is any.
    """

    name: str
    path: str
    fields: Fields | None = None
    hours: Collection[int] = field(default=())

    def offers(self, query: Mapping[str, str | int]) -> bool:
        """Whether it can be asked for that."""
        return not self.hours or query.get("hours") in (*self.hours, None)

    def target(self, query: Mapping[str, str | int]) -> str:
        """The path for what is asked for."""
        if self.fields is None and "{" not in self.path:
            return self.path + ("?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else "")
        hours = int(query.get("hours", 0))
        given = {**query, "minutes": hours * 60, "seconds": hours * 3600, "level": self._theirs(query.get("level"))}
        return _PLACE.sub(lambda place: str(given.get(place[1]) or ""), self.path)

    def _theirs(self, level: str | int | None) -> str | int | None:
        """A level in the service's own word, where its rows have words of their own."""
        rows = (self.fields or {}).get("alerts")
        row = (rows.fields or {}).get("level") if rows else None
        words = row.values or {} if row else {}
        return next((theirs for theirs, ours in words.items() if ours == level), level)


def read_endpoints(
    given: Mapping[str, Any], option: str = "api_map", *, compile_: Callable[[str, str], Find] = compiled
) -> dict[str, Endpoint | None]:
    """The endpoints by our names, None for what is not offered. Without a map they are all as the runbook has them.

    Args:
        given: the map of a site.
        option: by what name it goes in errors.
        compile_: checks a JMESPath expression.

    Raises:
        OptionError: a key is missing or unknown, or a value is none that there can be.
    """
    if not given:
        return {name: Endpoint(name, path) for name, path in PATHS.items()}
    _require_all(option, given, PATHS, "null where the service does not offer it, {} where it has it as the runbook")
    return {name: _endpoint(f"{option}.{name}", name, given[name], compile_) for name in PATHS}


def offered(params: Mapping[str, Any]) -> dict[str, Endpoint | None]:
    """The endpoints by the options api_offered and api_map."""
    endpoints = read_endpoints(params["api_map"])
    return endpoints if params["api_offered"] else dict.fromkeys(PATHS)


def health_path(params: Mapping[str, Any]) -> str:
    """Where the service is asked for its health, "" where it offers none."""
    found = offered(params)["health"]
    return found.target({}) if found else ""


def _require_known(option: str, given: object, known: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise OptionError(option, _short(given), f"must be a table of {', '.join(known)}")
    for name in given:
        if name not in known:
            raise OptionError(option, _short(name), f"is no key of it; there are {', '.join(known)}")
    return given


def _require_all(option: str, given: object, known: Collection[str], otherwise: str) -> Mapping[str, Any]:
    entry = _require_known(option, given, known)
    lacking = [name for name in known if name not in entry]
    if lacking:
        more = f", and so are {', '.join(lacking[1:])}" if lacking[1:] else ""
        raise OptionError(f"{option}.{lacking[0]}", "", f"is missing{more}; it is {otherwise}")
    return entry


def _endpoint(option: str, name: str, given: object, compile_: Callable[[str, str], Find]) -> Endpoint | None:
    if given is None:
        return None
    entry = _require_known(option, given, ("path", "fields", "hours"))
    path, hours = entry.get("path"), entry.get("hours")
    path = PATHS[name] if path is None else path
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise OptionError(f"{option}.path", _short(path), "must begin with / and be of characters of an address")
    places = _PLACE.findall(path)
    for place in places:
        if place not in _PLACES.get(name, ()):
            possible = ", ".join(f"{{{one}}}" for one in _PLACES.get(name, ())) or "none"
            raise OptionError(f"{option}.path", path, f"has the place {{{place}}}; possible are {possible}")
    windows = hours if isinstance(hours, list) else [] if hours is None else [hours]
    if (hours is not None and name != "stats") or any(isinstance(one, bool) or one not in _HOURS for one in windows):
        raise OptionError(f"{option}.hours", _short(hours), "stats alone has windows: whole hours from 1 to 168")
    fields = None
    if entry.get("fields") is not None:
        fields = _fields(f"{option}.fields", name, _SHAPES[name], entry["fields"], compile_)
        if name == "stats" and not places and not windows and fields["time_period_hours"] is None:
            why = "has no {hours}, and neither hours nor time_period_hours say of which time its figures are"
            raise OptionError(f"{option}.path", path, why)
    return Endpoint(name, path, fields, tuple(windows))


def _fields(
    option: str, place: str, kinds: Kinds, given: object, compile_: Callable[[str, str], Find]
) -> dict[str, Field | None]:
    entry = _require_all(option, given, kinds, "null where the service does not offer it")
    found: dict[str, Field | None] = {}
    for name, kind in kinds.items():
        if entry[name] is None:
            if f"{place}.{name}" in _NEEDED:
                raise OptionError(f"{option}.{name}", None, "is needed: without it the endpoint tells nothing")
            found[name] = None
        elif isinstance(kind, str):
            found[name] = _field(f"{option}.{name}", kind, entry[name], compile_)
        else:
            rows = _require_known(f"{option}.{name}", entry[name], ("query", "fields"))
            find = _find(f"{option}.{name}.query", rows.get("query"), compile_)
            below = _fields(f"{option}.{name}.fields", f"{place}.{name}", kind, rows.get("fields"), compile_)
            found[name] = Field("rows", find, fields=below)
    return found


def _field(option: str, kind: str, given: object, compile_: Callable[[str, str], Find]) -> Field:
    if isinstance(given, str):
        return Field(kind, _find(option, given, compile_), factor=0 if kind == "time" else 1)
    keys = ["query", *(["unit"] if kind in _UNITS else []), *(["values"] if kind in _VALUES else [])]
    entry = _require_known(option, given, [*keys, "http_status"] if option.endswith(".overall_status") else keys)
    if entry.get("http_status") is not None:
        if entry.get("query") is not None:
            raise OptionError(option, "http_status, query", "either the status tells it, or the answer")
        return Field(kind, statuses=_statuses(f"{option}.http_status", entry["http_status"]))
    units, unit = _UNITS.get(kind, {}), entry.get("unit")
    if unit is not None and unit not in units:
        raise OptionError(f"{option}.unit", _short(unit), f"is none that this may have: {', '.join(units)}")
    factor = next(iter(units.values()), 1) if unit is None else units[unit]
    values = entry.get("values")
    if values is not None:
        values = _ours(f"{option}.values", values, _VALUES[kind])
    return Field(kind, _find(f"{option}.query", entry.get("query"), compile_), factor, values)


def _find(option: str, given: object, compile_: Callable[[str, str], Find]) -> Find:
    if not isinstance(given, str) or not given.strip():
        raise OptionError(option, _short(given), "a JMESPath expression is needed")
    return compile_(option, given)


def _ours(option: str, given: object, known: Collection[str]) -> dict[str, str]:
    if not isinstance(given, Mapping) or not given:
        raise OptionError(option, _short(given), f"a table of the service's values is needed, to {', '.join(known)}")
    for theirs, ours in given.items():
        if ours not in known:
            raise OptionError(f"{option}.{_short(theirs)}", _short(ours), f"must be one of {', '.join(known)}")
    # JSON's true is True where YAML's keys become text.
    return {str(theirs).lower() if str(theirs) in ("True", "False") else str(theirs): given[theirs] for theirs in given}


def _statuses(option: str, given: object) -> dict[int, str]:
    named = _ours(option, given, _VALUES["status"])
    for status in named:
        if not re.fullmatch("[2-5][0-9]{2}", status):
            raise OptionError(option, status, "must be an HTTP status from 200 to 599")
    return {int(status): ours for status, ours in named.items()}


def _short(value: object) -> str:
    return one_line(value, 80)
