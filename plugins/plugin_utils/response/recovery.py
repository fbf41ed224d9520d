# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a host recovered? What follows an action is looked at, and the verdicts after a response say it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.shapes import STATES, Json, mapping, one_line
from ..judging.health import components, not_seen_to_work
from ..judging.muting import without_muted
from ..judging.routing import route
from ..judging.shapes import Verdict, verdict
from .beside import CALLS
from .course import unseen


def sample(
    answer: object, observations: Mapping[str, Any], cause: str, index: int, component: str = ""
) -> dict[str, Any]:
    """One look at a host that is being watched: is it well again, and the cause's component with it?

    Args:
        answer: of pipeline_info.
        observations: of that answer.
        cause: that was acted upon; the service's component of that name must not be ill.
        index: its number.
        component: of the service that must be healthy by the service's own fresh check, "" where none need be: what
            was mended on a host is of no use while the service goes on without it.
    """
    overall = mapping(observations.get("overall_status"))
    if not overall.get("applicable", True):
        return _sample_without_health(answer, observations, index)
    health = mapping(mapping(mapping(answer).get("endpoints")).get("health_detailed"))
    status = overall.get("value")
    listed = components(mapping(health.get("data")))
    ill = [c for c in listed if c["component"] == cause and c["status"] in ("critical", "unknown")]
    used = not component or any(c["component"] == component and c["status"] == "healthy" for c in listed)
    good = status in ("healthy", "warning") and not ill and used
    host = mapping(observations.get("host"))
    why = (
        host.get("reason")
        or overall.get("reason")
        or "; ".join(c["message"] or c["status"] for c in ill)
        or ("" if used else f"the service does not say that it uses {component}")
        or overall.get("note")
    )
    return {
        "number": index,
        "at": health.get("fetched_at"),
        "state": str(status or "unknown"),
        "good": good,
        "message": one_line(why or "", 200),
    }


def _sample_without_health(answer: object, observations: Mapping[str, Any], index: int) -> dict[str, Any]:
    """The same of a service that tells no health: what shows that it works is all there is. The cause is looked at
    itself when the watch is over."""
    why = not_seen_to_work(observations)
    unit, endpoints = mapping(observations.get("service_unit")), mapping(mapping(answer).get("endpoints"))
    return {
        "number": index,
        "at": mapping(endpoints.get("health_detailed")).get("fetched_at"),
        "state": "unknown" if why else str(unit.get("value") or "at work"),
        "good": not why,
        "message": one_line(why or unit.get("note") or "", 200),
    }


def sample_line(taken: Json, of: int) -> str:
    """A sample for people, as it is taken."""
    said = f": {taken['message']}" if taken["message"] else ""
    return f"sample {taken['number']} of {of}, {taken['at'] or 'no time'}: {taken['state']}{said}"


def outcome(samples: Sequence[Json], of: int, needed: int, relapses: int) -> str:
    """``watching`` while it can go either way, else ``recovered`` or ``not_recovered``.

    Args:
        samples: taken so far.
        of: how many are to be taken at most.
        needed: how many of these must be good.
        relapses: how often it may be ill again after it was well, until it flaps.
    """
    if not 1 <= needed <= of:
        raise OptionError("policy_verify_good", needed, f"must be from 1 to policy_verify_samples ({of})")
    if fallen_back(samples) >= relapses:
        return "not_recovered"
    good = sum(1 for taken in samples if taken["good"])
    if good >= needed:
        return "recovered"
    return "not_recovered" if len(samples) - good > of - needed else "watching"


def fallen_back(samples: Sequence[Json]) -> int:
    """How often a host was ill again after it was well."""
    return sum(1 for before, after in pairwise(samples) if before["good"] and not after["good"])


def unsteady(before: Json, after: Json, *, restarted: bool) -> str:
    """Why the service did not go on through the watch, in a line; "" where it did.

    What was asked of it in between may have been good each time: a service that ends and is started anew answers.

    Args:
        before: answer of service_control when the watch began.
        after: its answer when it ended.
        restarted: whether the service was restarted by us, so that nothing less than its going on will do.
    """
    first, last = mapping(before.get("service")), mapping(after.get("service"))
    if not _is_seen(first) or not _is_seen(last):
        # A host without systemd has nothing of the kind; there the health alone tells.
        if not restarted and not _is_seen(first):
            return ""
        unseen = next(one for one in (first, last) if not _is_seen(one))
        said = after if unseen is last else before
        return f"the service could not be seen to go on: {unseen.get('reason') or said.get('msg') or 'no answer'}"
    if last["class"] != "running":
        return f"the service is {last['class']}: {last.get('reason')}"
    for key, what in _GOES_ON.items():
        if first.get(key) != last.get(key):
            return f"{what} while it was watched ({first.get(key)} before, {last.get(key)} after)"
    return ""


_GOES_ON = {
    "boot_id": "the host was started anew",
    "n_restarts": "systemd restarted the service",
    "main_pid": "the service got another main process",
    "main_start": "the service was started anew",
}


def _is_seen(service: Json) -> bool:
    return service.get("class") not in (None, "unknown")


# Subjects of the diagnosis whose fault is one of the host, whatever the service says of itself: step, and the states of
# their classes; every other class is critical.
_PROBED: dict[str, tuple[str, dict[str, str]]] = {
    "ffmpeg": ("P0-3D", {"ok": "ok", "unknown": "unknown"}),
    "storage": ("P0-3G", {"ok": "ok", "not_configured": "ok", "unknown": "unknown"}),
    "disk": ("P0-3A", {"ok": "ok", "unknown": "unknown"}),
    "resources": (
        "P0-3A",
        {
            "ok": "ok",
            "unknown": "unknown",
            "short": "warning",
            "short_by_service": "warning",
            "short_by_work": "warning",
        },
    ),
}


# Of these the service itself tells, but for a fault of the look.
_LOOKED_AT = {"service": "P0-3C", "sessions": "P0-3B", "performance": "P2P-1A"}
_EMERGENCY = "emergency_"
_AGAIN = "Run it again after that"
_OF_RESPONSE = ("probed_", "could_not_look", "found_beside")
CHECKS = (*(f"probed_{name}" for name in (*_PROBED, *_LOOKED_AT)), *_OF_RESPONSE[1:])
"""The checks that a response adds to those of the check table."""


def _diagnosed(response: Json) -> list[Verdict]:
    """Verdicts for what the probes found and the service did not tell."""
    findings = {row["subject"]: row["finding"] for row in response.get("findings") or []}
    found = []
    for subject, (step, states) in _PROBED.items():
        name = mapping(response.get("classes")).get(subject, "ok")
        state = states.get(name, "critical")
        if state != "ok":
            found.append(
                verdict(
                    f"probed_{subject}",
                    f"Probe of {subject}",
                    step,
                    state,
                    one_line(f"{name}: {findings.get(subject, '')}", 300),
                    observed=name,
                    fault="missing" if state == "unknown" else "",
                )
            )
    return [*found, *_not_looked_at(response, findings)]


def _not_looked_at(response: Json, findings: Mapping[str, str]) -> list[Verdict]:
    """A verdict for each other look that failed: logs, sessions, the service, statistics."""
    unknown = [
        name for name, kind in mapping(response.get("classes")).items() if kind == "unknown" and name not in _PROBED
    ]
    return [
        verdict(
            f"probed_{name}",
            f"Look at {name.replace('_', ' ')}",
            _LOOKED_AT.get(name, ""),
            "unknown",
            one_line(f"unknown: {findings.get(name, '')}", 300),
            observed="unknown",
            fault="missing",
        )
        for name in unknown
    ]


def _held(response: Json) -> Verdict:
    """The row of the check table, by what the guard said when the host was to be acted upon.

    A host in somebody's hands is not critical of itself. But of an emergency a person awaits that it was done.
    """
    awaited = response.get("mode") == "apply" and str(response.get("procedure") or "").startswith(_EMERGENCY)
    action = f"{_AGAIN}; automation_resume ends a pause" if awaited else _AGAIN
    state, said = "critical" if awaited else "warning", one_line(response["held"], 300)
    return verdict("automation", "Automation", "DM-1", state, said, observed="held", action=action)


def _carried_out(response: Json) -> list[Verdict]:
    """Verdicts for what the rungs could not look at, and for what they found beside their work."""
    rungs = [mapping(rung) for rung in response.get("acted") or response.get("plan") or []]
    made = []
    not_seen = [] if response.get("recovered") and not response.get("procedure") else unseen(rungs)
    if not_seen:
        made.append(
            verdict(
                "could_not_look",
                "What could not be looked at",
                _step(rungs, "unseen"),
                "unknown",
                _first(not_seen),
                fault="missing",
                action="Mend why it could not be looked at, and run it again",
            )
        )
    beside = [line for rung in rungs if rung.get("act") in CALLS for line in rung.get("noted") or []]
    if beside:
        left = sum(rung.get("noted_left") or 0 for rung in rungs if rung.get("act") in CALLS)
        action = "Read them in the report, below the response"
        step = _step(rungs, "noted")
        urgent = [line for rung in rungs for line in rung.get("urgent") or []]
        told = _first([*urgent, *(line for line in beside if line not in urgent)], left)
        state = "critical" if urgent else "warning"
        made.append(verdict("found_beside", "Found beside the work", step, state, told, action=action))
    return made


def _step(rungs: Sequence[Json], key: str) -> str:
    return next((str(rung["steps"][0]) for rung in rungs if rung.get(key) and rung.get("steps")), "")


def _first(lines: Sequence[str], left: int = 0) -> str:
    more = len(lines) - 1 + left
    return one_line(lines[0], 240) + (f" (and {more} more)" if more else "")


def amended(found: Json, response: Json, policy: Json) -> dict[str, Any]:
    """A check's result with the response in it, and what follows from that for its verdicts and incidents.

    Args:
        found: result of a check.
        response: to the host, as it stands.
        policy: ``incidents`` and ``error_causes``.
    """
    verdicts: Any = without_muted(final_verdicts(found["verdicts"], response), found.get("mutes") or [])
    incidents = route(verdicts, policy["incidents"], found["details"], policy["error_causes"])
    return {**found, "response": response, "verdicts": verdicts, "incidents": incidents}


def final_verdicts(verdicts: Sequence[Verdict], response: Json) -> list[Verdict]:
    """The verdicts after the response, with its outcome; what a window of the past still shows is a warning."""
    outcome = response.get("recovered")
    known: list[Verdict] = [{**one} for one in verdicts if not str(one["check"]).startswith(_OF_RESPONSE)]
    known += _carried_out(response)
    if response.get("held"):
        known = [*(one for one in known if one["check"] != "automation"), _held(response)]
    if outcome is None:
        return sorted([*_diagnosed(response), *known], key=lambda one: -STATES.index(one["state"]))
    stale = {check for incident in response.get("incidents", []) for check in incident["checks"]}
    for shown in known:
        past = shown["check"] in stale and shown["check"] != "overall_status" and shown["state"] == "critical"
        if outcome and past:
            shown["state"] = "warning"
            shown["note"] = "; ".join(filter(None, [shown["note"], "recovered, the window still shows it"]))
    made = verdict(
        "recovery",
        "Recovery",
        "P0-4B",
        "ok" if outcome else "critical",
        response.get("msg") or "",
        observed="recovered" if outcome else "not recovered",
        action="" if outcome else "Page the contacts with the evidence bundle",
    )
    # What was ill, and no rung that was carried out was to cure, is as ill as before.
    cured = {subject for rung in response.get("acted", []) for subject in rung["cured"]} if outcome else set[str]()
    probed = [
        one
        for one in _diagnosed(response)
        if not outcome or (one["state"] == "critical" and one["check"].removeprefix("probed_") not in cured)
    ]
    return sorted([made, *probed, *known], key=lambda one: -STATES.index(one["state"]))
