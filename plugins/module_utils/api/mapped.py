# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an answer of a service with names of its own to a document of our shape. Pure.

Nothing is made up: what is mapped and not there is left out, what has another type stays as it is, and a value that the
table of values does not have is none of ours. Those who read the document find each of these faults. What the site
calls null is made from the rest where that tells it, else it is named as not offered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Callable

from ..expressions import UnfitError
from ..shapes import mapping, number, one_line
from ..times import from_text, text_of, to_text
from .endpoints import LEVELS, STATUSES, Endpoint, Field, Fields
from .partial import contradiction, longest

Document = dict[str, Any]


class NoJson:
    """Stands for the body of an answer that is no JSON, of which the status may tell enough."""


def mapped(
    endpoint: Endpoint, body: object, status: int, asked: Mapping[str, str | int], now: datetime
) -> tuple[Document, list[str]] | None:
    """The document, and which of its fields are not offered; None where the answer is not what was asked for.

    Args:
        endpoint: how the service has it.
        body: what came, of any type of JSON, or NoJson.
        status: HTTP status.
        asked: what was asked for.
        now: when the answer came.
    """
    fields = endpoint.fields or {}
    overall = fields.get("overall_status")
    statuses = overall.statuses if overall else None
    if isinstance(body, NoJson) and statuses is None:
        return None
    found = {name: _value(one, body, status) for name, one in fields.items() if one is not None}
    made = {name: value for name, value in found.items() if value is not None}
    is_well = 200 <= status < 300
    # A service that is ill may say so with a status of 5xx, and any other may come from a proxy.
    tells = statuses is not None and status in statuses
    says = statuses is None and status >= 500 and _is_status(made.get("overall_status"))
    if not (is_well or tells or says):
        return None
    if endpoint.name == "alerts" and "{level}" not in endpoint.path:
        _leave_out_other_levels(made, asked.get("level"))
    if endpoint.name == "sessions" and isinstance(body, Mapping):
        # What the map leaves out may say that the list is not all. A map that takes some rows only still counts all.
        rows = made.get("active_sessions")
        said = contradiction(body, max(longest(body), len(rows) if isinstance(rows, list) else 0))
        made.update({"incomplete": said} if said else {})
    absent = _absent(fields) - _FILLS[endpoint.name](made, fields, asked, now)
    return made, sorted(absent)


def _absent(fields: Fields, before: str = "") -> set[str]:
    """The names of what is not offered; those of rows stand behind a dot."""
    found = {before + name for name, one in fields.items() if one is None}
    return found.union(*(_absent(one.fields, f"{name}.") for name, one in fields.items() if one and one.fields))


def _leave_out_other_levels(made: Document, level: object) -> None:
    """A service that cannot be asked for a level gives all; a row whose level is odd may be what was asked for."""
    if level is not None and isinstance(made.get("alerts"), list):
        rows = [row for row in made["alerts"] if row.get("level") in (level, None) or row["level"] not in LEVELS]
        made.update(alerts=rows, total_returned=len(rows))


def _is_status(value: object) -> bool:
    return value in STATUSES


def _value(one: Field, data: object, status: int) -> Any:
    """A field's value in our terms, None where the answer does not have it."""
    if one.statuses is not None:
        return one.statuses.get(status, f"HTTP {status}")
    try:
        found = one.find(data) if one.find else None
    except UnfitError:
        return None
    if one.fields is not None:
        return _rows(one.fields, found)
    return None if found is None else _in_our_terms(one, found)


def _in_our_terms(one: Field, found: Any) -> Any:
    if one.values is not None:
        theirs = found if isinstance(found, str) else json.dumps(found)
        return one.values.get(theirs, f"{one_line(theirs, 60)} (not in the table of values)")
    if one.kind == "text":
        return str(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else found
    figure = number(found)
    if figure is None or one.kind in ("status", "level") or (one.kind == "time" and not one.factor):
        return found
    if one.kind == "time":
        try:
            return text_of(figure * one.factor)
        except (ValueError, OverflowError, OSError):
            return found
    return figure if one.factor == 1 else figure * one.factor


def _rows(fields: Fields, found: Any) -> Any:
    """The rows of a list; of an object each entry is a row, whose key stands for its first field."""
    if isinstance(found, Mapping):
        first = next(iter(fields))
        return [{first: str(key), **_row(fields, entry)} for key, entry in found.items()]
    return [_row(fields, row) for row in found] if isinstance(found, list) else found


def _row(fields: Fields, row: object) -> Document:
    # A number that stands by a key alone is the count of it.
    if number(row) is not None and "count" in fields:
        return {"count": row}
    made = {name: _value(one, row, 0) for name, one in fields.items() if one is not None}
    return {name: value for name, value in made.items() if value is not None}


# What null stands for, by endpoint; each gives the names of what it made

_Fill = Callable[[Document, Fields, Mapping[str, Any], datetime], "set[str]"]


def _health(made: Document, fields: Fields, _asked: Mapping[str, Any], now: datetime) -> set[str]:
    if fields["timestamp"] is None:
        made["timestamp"] = to_text(now)
    if fields["checks"] is None:
        # The whole is all that it tells of its parts.
        made["checks"] = [{"component": "service", "status": made.get("overall_status"), "message": ""}]
    elif isinstance(made.get("checks"), list):
        made["checks"] = [{"component": "without a name", **row} for row in made["checks"]]
    return {"timestamp", "checks"}


def _stats(made: Document, fields: Fields, asked: Mapping[str, Any], now: datetime) -> set[str]:
    filled = {"time_period_hours", "generated_at", "failed_operations", "error_breakdown"}
    if fields["time_period_hours"] is None:
        made["time_period_hours"] = asked.get("hours")
    if fields["generated_at"] is None:
        made["generated_at"] = to_text(now)
    for name, key in (("stage_breakdown", "stage"), ("error_breakdown", "code")):
        if isinstance(made.get(name), list):
            made[name] = {str(row.pop(key, "without a name")): row for row in made[name]}
    counts = made.get("error_breakdown")
    if isinstance(counts, dict):
        made["error_breakdown"] = {code: row.get("count") for code, row in counts.items() if row.get("count") != 0}
    return filled | _rates(made, fields)


def _rates(made: Document, fields: Fields) -> set[str]:
    """A rate that is not offered, of the other one or of what is counted; of no operation there is none."""
    if number(made.get("total_operations")) == 0:
        for name in ("error_rate", "success_rate"):
            made.setdefault(name, 0.0)
    null = {name for name in ("error_rate", "success_rate") if fields[name] is None}
    if len(null) == 1:
        name = null.pop()
        other = number(made.get("success_rate" if name == "error_rate" else "error_rate"))
        made.update({} if other is None else {name: 1 - other})
        return {name}
    if not null or fields["failed_operations"] is None:
        return set()
    total, failed = number(made.get("total_operations")), number(made.get("failed_operations"))
    if total is not None and failed is not None and 0 <= failed <= total:
        rate = failed / total if total else 0.0
        made.update(error_rate=rate, success_rate=1 - rate if total else 0.0)
    return null


def _alerts(made: Document, fields: Fields, _asked: Mapping[str, Any], now: datetime) -> set[str]:
    if fields["generated_at"] is None:
        made["generated_at"] = to_text(now)
    rows = made.get("alerts")
    if isinstance(rows, list):
        made["alerts"] = sorted(rows, key=_dated, reverse=True)
        if fields["total_returned"] is None:
            made["total_returned"] = len(rows)
    return {"generated_at", "total_returned"}


def _dated(row: Document) -> datetime:
    # One without a date may be the newest.
    return from_text(row.get("timestamp")) or datetime.max.replace(tzinfo=timezone.utc)


def _metrics(_made: Document, _fields: Fields, _asked: Mapping[str, Any], _now: datetime) -> set[str]:
    return set()


def _sessions(made: Document, fields: Fields, _asked: Mapping[str, Any], now: datetime) -> set[str]:
    rows = made.get("active_sessions")
    of_row = mapping(fields["active_sessions"].fields) if fields["active_sessions"] else {}
    filled = {"total_active"} | ({"active_sessions.duration_minutes"} if of_row.get("start_time") else set())
    for row in rows if isinstance(rows, list) else []:
        began = from_text(row.get("start_time"))
        if of_row.get("duration_minutes") is None and began:
            row["duration_minutes"] = max(0.0, (now - began).total_seconds() / 60)
        if of_row.get("stage") is None:
            row["stage"] = ""
    if fields["total_active"] is None and isinstance(rows, list):
        made["total_active"] = len(rows)
    return filled


def _cleanup(_made: Document, _fields: Fields, _asked: Mapping[str, Any], _now: datetime) -> set[str]:
    return set()


_FILLS: Mapping[str, _Fill] = {
    "health": _health,
    "health_detailed": _health,
    "stats": _stats,
    "alerts": _alerts,
    "metrics": _metrics,
    "sessions": _sessions,
    "cleanup": _cleanup,
}
