# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's health, held against what it lists itself; where it tells none, what shows that it works. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...module_utils.shapes import Json, mapping, number, one_line
from .cause import cause
from .counting import Apart, Counting, counted, set_apart
from .dates import Clock, zone_said
from .endpoint import LIST_MAX, Answer, FaultError, not_offered
from .shapes import Observation, observation

HEALTH_LEVELS = ("healthy", "warning", "critical", "unknown")
_NOTHING_SHOWS = "nothing shows that the service works"


def observe_health(endpoints: Json, clock: Clock, counting: Counting) -> dict[str, Observation]:
    """The state of the whole, and of each component."""
    asked = [Answer(name, endpoints[name]) for name in ("health_detailed", "health") if name in endpoints]
    if not asked:
        return {}
    answers = [answer for answer in asked if answer.is_offered]
    if not answers:
        return {"overall_status": not_offered("state", asked[-1])}
    # The detailed answer is fresh, the plain one may be a minute old; when neither came, the plain one's reason counts.
    answer = next((a for a in answers if a.ok), answers[-1])
    found: dict[str, Observation] = {}
    try:
        answer.require()
        apart = set_apart(answer.data, endpoints, counting)
        status, note = _overall(answer, apart)
        at = clock.fresh(answer, "timestamp")
        if of_service := counting.get("service_offset_s"):
            note = "; ".join(filter(None, [zone_said(of_service), note]))
        found["overall_status"] = observation(status, "state", note=note, at=at, endpoint=answer.name)
        for component in components(answer.data, apart):
            name = f"component_{component['component']}"
            found[name] = observation(
                component["counts_as"], "state", note=component["message"], at=at, endpoint=answer.name
            )
    except FaultError as error:
        reasons = [error.reason, *_reasons(a for a in answers if a is not answer)]
        found["overall_status"] = observation(
            None, "state", fault=error.fault, reason=one_line("; ".join(reasons), 300), endpoint=answer.name
        )
    return found


def _reasons(answers: Iterator[Answer]) -> Iterator[str]:
    for answer in answers:
        try:
            answer.require()
        except FaultError as error:
            yield f"{answer.name}: {error.reason}"


def _overall(answer: Answer, apart: Mapping[str, Apart]) -> tuple[str, str]:
    status = answer.get("overall_status")
    if not isinstance(status, str) or status not in HEALTH_LEVELS:
        raise FaultError(
            "unknown_value",
            f"overall_status is {one_line(repr(status), 40)}, which is none of {', '.join(HEALTH_LEVELS)}",
        )
    listed = components(answer.data, apart)
    bad = [c for c in listed if c["status"] != "healthy"]
    if status in ("healthy", "warning"):
        if all(c["status"] == "unknown" for c in listed):
            raise FaultError("missing", f"overall_status is {status}, but no check is listed that would prove it")
        critical = [c["component"] for c in bad if c["status"] == "critical"]
        if critical:
            raise FaultError("contradiction", f"overall_status is {status}, but {', '.join(critical)} is critical")
        summed = number(mapping(answer.data.get("summary")).get("critical"))
        if summed:
            raise FaultError("contradiction", f"overall_status is {status}, but its summary counts {summed:g} critical")
    # What counts for less is told last.
    bad.sort(key=lambda c: c["counts_as"] != c["status"])
    note = one_line("; ".join(f"{c['component']}: {c['message'] or c['status']}" for c in bad), 300)
    return counted(status, listed, answer.data), note


def components(data: Json, apart: Mapping[str, Apart] | None = None) -> list[dict[str, str]]:
    """The checks of a health answer, as far as they are readable; at most 50.

    Args:
        data: the answer.
        apart: by component, as what it counts where that is less than it says.

    Returns:
        Each with ``component``, ``status``, ``message``, and ``counts_as``, which is a status too.
    """
    rows = data.get("checks")
    found = []
    for row in rows[:LIST_MAX] if isinstance(rows, list) else []:
        status = mapping(row).get("status")
        if mapping(row).get("component"):
            known = str(status) if isinstance(status, str) and status in HEALTH_LEVELS else "unknown"
            named, message = one_line(row["component"], 40), cause(row.get("message") or "", 200)
            less = (apart or {}).get(str(row["component"]))
            if less is not None and known != "healthy":
                message = f"{message or known} ({less.why})"
            found.append(
                {
                    "component": named,
                    "status": known,
                    "message": message,
                    "counts_as": less.counts_as if less is not None and known != "healthy" else known,
                }
            )
    return found


def not_seen_to_work(observations: Mapping[str, Observation]) -> str:
    """Why nothing shows that a service works that tells no health; empty where something does, or where it tells it.

    A unit that runs shows it; where there is none that is known, an operation does that has ended.
    """
    overall, unit = observations.get("overall_status"), observations.get("service_unit")
    if overall is None or overall["applicable"]:
        return ""
    if unit is not None and unit["applicable"] and not unit["fault"]:
        said = f"the service is {unit['value']}" + (f": {unit['note']}" if unit["note"] else "")
        return "" if unit["value"] == "running" else f"{_NOTHING_SHOWS}: {said}"
    totals = [one for name, one in observations.items() if name.startswith("total_operations_")]
    if any((number(one["value"]) or 0) > 0 for one in totals):
        return ""
    # Of a unit that was not found the note says so; of operations, that there were none or why they are not known.
    why = [unit["note"] or unit["reason"] if unit else "", *(one["reason"] or one["note"] for one in totals)]
    why += ["no operation has ended"] if any(one["value"] == 0 for one in totals) else []
    return one_line(f"{_NOTHING_SHOWS}: {'; '.join(filter(None, ['it tells no health', *why]))}", 300)
