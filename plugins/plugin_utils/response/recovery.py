# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decisions of role incident: which rungs follow, may the fleet be touched, has the host recovered. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.shapes import STATES, Json, mapping, one_line
from ...module_utils.state.guard import ATTEMPTED
from ...module_utils.times import from_text
from ..judging.observations import components
from .ladder import breaker, rungs


def ladder(
    incidents: Sequence[Json], classes: Mapping[str, str], ladders: Mapping[str, Sequence[Json]]
) -> list[dict[str, Any]]:
    """The rungs for all incidents in the order in which they are tried: most urgent first, each once, restarts last."""
    found: list[dict[str, Any]] = []
    for incident in incidents:
        for rung in rungs(incident["cause"], classes, ladders):
            known = [(other["act"], other["args"]) for other in found]
            if (rung["act"], rung["args"]) not in known:
                found.append(
                    {
                        **rung,
                        "incident": incident["incident"],
                        "cause": incident["cause"],
                        "priority": incident["priority"],
                    }
                )
    return sorted(found, key=lambda rung: rung["act"] == "service_control")


def joined_hash(parts: Sequence[str]) -> str:
    """One hash over several, in their order; of one, it is that one; of none, ""."""
    if len(parts) <= 1:
        return "".join(parts)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def fleet_breaker(hosts: Mapping[str, Any], others: Sequence[Any], size: int, policy: Json) -> dict[str, Any]:
    """The causes for which no host may be touched in this run (plugin_utils/response/ladder.py).

    Args:
        hosts: by name, what each host of the run found: ``incidents``, and the ``recent`` entries of its ledger.
        others: registered results of module guard from hosts that the run leaves out.
        size: hosts of the whole fleet.
        policy: ``share``, ``at_least``, ``within`` (seconds).
    """
    fleet: dict[str, dict[str, Any]] = {}
    for name, raw in hosts.items():
        found = mapping(raw)
        causes = [incident["cause"] for incident in found.get("incidents", [])]
        fleet[name] = {"causes": causes, "acted": _acted(found.get("recent"), found.get("now"), policy)}
    for raw in others:
        result = mapping(raw)
        name = str(result.get("item") or len(fleet))
        fleet[name] = {"causes": [], "acted": _acted(result.get("recent"), result.get("now"), policy)}
    try:
        share, at_least = float(policy["share"]), int(policy["at_least"])
    except (TypeError, ValueError):
        raise OptionError("policy_breaker_share", policy.get("share"), "a ratio from 0 to 1 is needed") from None
    return breaker(fleet, size, share=share, at_least=at_least)


def breaker_refusals(incidents: Sequence[Json], opened: Mapping[str, Json]) -> list[str]:
    """Why the incidents of a host are not responded to: a line for each cause for which the breaker is open."""
    return [
        f"the breaker is open: {len(found['hosts'])} of {found['fleet']} hosts have the cause {cause}, or were acted "
        f"upon for it ({', '.join(found['hosts'][:5])}), at most {found['allowed']} may. Look for what they share; "
        "-e incident_breaker_reset=true closes it for one run"
        for cause, found in opened.items()
        if cause in [incident["cause"] for incident in incidents]
    ]


def _acted(recent: object, now: object, policy: Json) -> list[str]:
    moment = from_text(now) if isinstance(now, str) else None
    causes = []
    for entry in recent if isinstance(recent, list) else []:
        at = from_text(mapping(entry).get("at"))
        late = moment and at and moment - at > timedelta(seconds=float(policy["within"]))
        if mapping(entry).get("result") in ATTEMPTED and entry.get("cause") and not late:
            causes.append(str(entry["cause"]))
    return list(dict.fromkeys(causes))


def sample(answer: object, observations: Mapping[str, Any], cause: str, index: int) -> dict[str, Any]:
    """One look at a host that is being watched: is it well again, and the cause's component with it?"""
    overall = mapping(observations.get("overall_status"))
    health = mapping(mapping(mapping(answer).get("endpoints")).get("health_detailed"))
    status = overall.get("value")
    ill = [
        c
        for c in components(mapping(health.get("data")))
        if c["component"] == cause and c["status"] in ("critical", "unknown")
    ]
    good = status in ("healthy", "warning") and not ill
    host = mapping(observations.get("host"))
    why = (
        host.get("reason")
        or overall.get("reason")
        or "; ".join(c["message"] or c["status"] for c in ill)
        or overall.get("note")
    )
    return {
        "number": index,
        "at": health.get("fetched_at"),
        "state": str(status or "unknown"),
        "good": good,
        "message": one_line(why or "", 200),
    }


def watched(samples: Sequence[Json], of: int, needed: int) -> str:
    """``watching`` while it can go either way, else ``recovered`` or ``not_recovered``.

    Args:
        samples: taken so far.
        of: how many are to be taken at most.
        needed: how many of these must be good.
    """
    if not 1 <= needed <= of:
        raise OptionError("policy_verify_good", needed, f"must be from 1 to policy_verify_samples ({of})")
    good = sum(1 for taken in samples if taken["good"])
    if good >= needed:
        return "recovered"
    return "not_recovered" if len(samples) - good > of - needed else "watching"


def cured(rung: Json, classes: Mapping[str, str]) -> bool:
    """Whether the probe says that what the rung was for is gone."""
    return all(classes.get(subject) in wanted for subject, wanted in rung.get("cured", {}).items())


# Subjects of the diagnosis whose fault is one of the host, whatever the service says of itself: step, and the states of
# their classes; every other class is critical.
_PROBED: dict[str, tuple[str, dict[str, str]]] = {
    "ffmpeg": ("P0-3D", {"ok": "ok", "unknown": "unknown"}),
    "storage": ("P0-3G", {"ok": "ok", "not_configured": "ok", "unknown": "unknown"}),
    "disk": ("P0-3A", {"ok": "ok", "unknown": "unknown"}),
    "resources": ("P0-3A", {"ok": "ok", "unknown": "unknown", "short": "warning"}),
}


def _diagnosed(response: Json) -> list[dict[str, Any]]:
    """Verdicts for what the probes found and the service did not tell."""
    findings = {row["subject"]: row["finding"] for row in response.get("findings") or []}
    found = []
    for subject, (step, states) in _PROBED.items():
        name = mapping(response.get("classes")).get(subject, "ok")
        state = states.get(name, "critical")
        if state != "ok":
            verdict = _verdict(f"probed_{subject}", f"Probe of {subject}", step, state)
            found.append(
                {
                    **verdict,
                    "observed": name,
                    "fault": "missing" if state == "unknown" else "",
                    "message": one_line(f"{name}: {findings.get(subject, '')}", 300),
                }
            )
    return found


def _verdict(check: str, title: str, step: str, state: str) -> dict[str, Any]:
    empty = dict.fromkeys(("observed", "threshold", "message", "fault", "note", "action", "playbook"), "")
    return {
        "check": check,
        "title": title,
        "step": step,
        "state": state,
        **empty,
        "unit": "state",
        "at": None,
        "since": None,
    }


def final_verdicts(verdicts: Sequence[Json], response: Json) -> list[dict[str, Any]]:
    """The verdicts after the response, with its outcome; what a window of the past still shows is a warning."""
    outcome = response.get("recovered")
    known = [dict(verdict) for verdict in verdicts if not str(verdict["check"]).startswith("probed_")]
    if outcome is None:
        return sorted([*_diagnosed(response), *known], key=lambda verdict: -STATES.index(verdict["state"]))
    stale = {check for incident in response.get("incidents", []) for check in incident["checks"]}
    for shown in known:
        past = shown["check"] in stale and shown["check"] != "overall_status" and shown["state"] == "critical"
        if outcome and past:
            shown["state"] = "warning"
            shown["note"] = "; ".join(filter(None, [shown["note"], "recovered, the window still shows it"]))
    made = {
        **_verdict("recovery", "Recovery", "P0-4B", "ok" if outcome else "critical"),
        "observed": "recovered" if outcome else "not recovered",
        "message": response.get("msg") or "",
        "action": "" if outcome else "Page the contacts with the evidence bundle",
    }
    probed = [] if outcome else _diagnosed(response)
    return sorted([made, *probed, *known], key=lambda verdict: -STATES.index(verdict["state"]))
