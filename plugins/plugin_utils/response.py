# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decisions of role incident: what was diagnosed, which rungs follow, has the host recovered. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from ..module_utils.errors import OptionError
from ..module_utils.ladder import breaker, rungs
from ..module_utils.observations import components
from ..module_utils.shapes import Json, number, one_line
from ..module_utils.times import from_text
from .noted import noted_findings

_ATTEMPTED = ("started", "done", "failed")


def diagnose(found: Mapping[str, Any], limits: Json) -> dict[str, Any]:
    """The class of fault of each subject that was looked at, and a line for people on each.

    Args:
        found: registered results by subject: ``service``, ``ffmpeg``, ``storage``, ``host``, ``sessions``; and
            ``stats``, the document of that endpoint, and what was ``noted`` of the logs.
        limits: ``disk_percent``, ``memory_percent``, ``cpu_percent`` from which the host is short of it, and
            ``duration_s`` from which the average operation is slow.

    Returns:
        ``classes`` by subject (a probe that failed is ``unknown``, which no rung names), and ``findings``.
    """
    classes: dict[str, str] = {}
    findings: list[dict[str, str]] = []

    def add(subject: str, fault_class: str, line: object) -> None:
        classes[subject] = fault_class
        findings.append({"subject": subject, "class": fault_class, "finding": one_line(line, 300)})

    for subject, key, reader in _PROBES:
        if subject in found:
            result = _mapping(found[subject])
            failure = _failure(result, key)
            add(subject, *(("unknown", failure) if failure else reader(result)))
    if "host" in found:
        host = _mapping(found["host"])
        failure = _failure(host, "cpu", "memory", "disks")
        add("disk", *(("unknown", failure) if failure else _disk(host, limits)))
        add("resources", *(("unknown", failure) if failure else _resources(host, limits)))
    if "stats" in found:
        add("performance", *_performance(_mapping(found["stats"]), limits))
    findings += noted_findings(_mapping(found.get("noted")))
    return {"classes": classes, "findings": findings}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _failure(result: Json, *needed: str) -> str:
    """Why a module gave no answer, or "" where it did.

    Tasks of the role say ``failed_when: false``, so that what failed is told and not the end of the run; what tells a
    failure then is the message, which no module of ours gives with a success, or that what it should give is missing.
    """
    lacking = [key for key in needed if key not in result]
    if result.get("unreachable") or result.get("failed") or result.get("msg") or result.get("rc") in (126, 127):
        return f"no answer: {one_line(result.get('msg') or result.get('module_stderr') or 'nothing was said')}"
    return "no answer" if lacking or result.get("skipped") else ""


def _state(result: Json) -> tuple[str, str]:
    return str(result.get("state") or "unknown"), str(result.get("reason") or result.get("state") or "no answer")


def _service(result: Json) -> tuple[str, str]:
    service = _mapping(result.get("service"))
    fault_class = str(service.get("class") or "unknown")
    return fault_class, str(service.get("reason") or fault_class)


def _sessions(result: Json) -> tuple[str, str]:
    sessions = [row for row in result.get("sessions") or [] if isinstance(row, Mapping)]
    orphans = [row for row in result.get("orphans") or [] if isinstance(row, Mapping)]
    due = [row for row in sessions if row.get("may_end")]
    if due:
        listed = ", ".join(f"{row.get('session_id')} ({row.get('state')}: {row.get('why')})" for row in due[:5])
        return "stuck", f"{len(due)} of {len(sessions)} may be ended: {listed}"
    api = _mapping(result.get("api"))
    if api.get("state", "ok") != "ok":
        return "unknown", f"the API does not say which sessions there are: {api.get('reason') or api['state']}"
    # A young session may have no process yet, or none any more while its result is uploaded.
    lost = [row for row in sessions if row.get("session_id") in (result.get("restart_needed") or [])]
    if lost:
        return "no_process", (
            f"{len(lost)} are listed without a process, such as {lost[0].get('session_id')}: only a restart of the "
            "service ends those"
        )
    wanting = [row for row in sessions if row.get("attention") in ("investigate", "end")]
    if wanting:
        listed = ", ".join(f"{row.get('session_id')} ({row.get('state')})" for row in wanting[:5])
        return "attention", f"{len(wanting)} run long and are not to be ended: {listed}"
    if orphans:
        return "orphans", f"{len(orphans)} processes without a session"
    return "ok", f"{len(sessions)} sessions, none is stuck"


_PROBES: tuple[tuple[str, str, Callable[[Json], tuple[str, str]]], ...] = (
    ("service", "service", _service),
    ("ffmpeg", "state", _state),
    ("storage", "state", _state),
    ("sessions", "sessions", _sessions),
)


def _disk(host: Json, limits: Json) -> tuple[str, str]:
    disks = [row for row in host.get("disks") or [] if isinstance(row, Mapping)]
    bad = [row for row in disks if row.get("state") != "ok"]
    fullest: tuple[float, str] | None = None
    for row in disks:
        for key, what in (("used_percent", "space"), ("inodes_used_percent", "inodes")):
            used = number(row.get(key))
            if used is not None and (fullest is None or used > fullest[0]):
                fullest = (used, f"{row.get('mount_point')} has {used:.0f} % of its {what} in use")
    if fullest and fullest[0] >= float(limits["disk_percent"]):
        return "full", fullest[1]
    read_only = [row for row in disks if row.get("read_only")]
    if read_only:
        return "read_only", f"{read_only[0].get('mount_point')} is mounted read-only"
    if bad or not fullest:
        return "unknown", "; ".join(f"{row.get('path')}: {row.get('reason')}" for row in bad) or "no figures"
    return "ok", fullest[1]


def _resources(host: Json, limits: Json) -> tuple[str, str]:
    memory = number(_mapping(host.get("memory")).get("used_percent"))
    cpu = number(_mapping(host.get("cpu")).get("used_percent"))
    if memory is None or cpu is None:
        return "unknown", "no figures of CPU or memory"
    top = next(iter(_mapping(host.get("processes")).get("top_cpu") or []), None)
    busiest = f", most by {top.get('name')} (pid {top.get('pid')})" if isinstance(top, Mapping) else ""
    line = f"CPU {cpu:.0f} %, memory {memory:.0f} % in use{busiest}"
    short = cpu > float(limits["cpu_percent"]) or memory > float(limits["memory_percent"])
    return ("short" if short else "ok"), line


def _performance(stats: Json, limits: Json) -> tuple[str, str]:
    average = number(stats.get("average_duration"))
    operations = number(stats.get("total_operations"))
    if not operations or average is None:
        return "unknown", "no operation in the window"
    rows = {name: number(_mapping(row).get("average_duration")) for name, row in _stages(stats)}
    slow = sorted(((value, name) for name, value in rows.items() if value is not None), reverse=True)
    line = f"{average:.0f} s an operation on average" + (
        f", slowest stage {slow[0][1]} ({slow[0][0]:.0f} s)" if slow else ""
    )
    return ("degraded" if average > float(limits["duration_s"]) else "ok"), line


def _stages(stats: Json) -> list[tuple[str, Any]]:
    return list(_mapping(stats.get("stage_breakdown")).items())[:50]


def ranked_stages(stats: object) -> list[dict[str, Any]]:
    """The stages of a statistics answer, slowest on average first (P2P-2A)."""
    rows = [
        {"stage": one_line(name, 40), "average_duration_s": number(_mapping(row).get("average_duration"))}
        for name, row in _stages(_mapping(stats))
    ]
    return sorted(
        (row for row in rows if row["average_duration_s"] is not None),
        key=lambda row: -float(row["average_duration_s"]),
    )


def choose(incidents: Sequence[Json], only: Sequence[str]) -> list[Json]:
    """The incidents to respond to, most urgent first: all, or those of the kinds named."""
    return [incident for incident in incidents if not only or incident["incident"] in only]


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
    """The causes for which no host may be touched in this run (module_utils/ladder.py).

    Args:
        hosts: by name, what each host of the run found: ``incidents``, and the ``recent`` entries of its ledger.
        others: registered results of module guard from hosts that the run leaves out.
        size: hosts of the whole fleet.
        policy: ``share``, ``at_least``, ``within`` (seconds).
    """
    fleet: dict[str, dict[str, Any]] = {}
    for name, raw in hosts.items():
        found = _mapping(raw)
        causes = [incident["cause"] for incident in found.get("incidents", [])]
        fleet[name] = {"causes": causes, "acted": _acted(found.get("recent"), found.get("now"), policy)}
    for raw in others:
        result = _mapping(raw)
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
        at = from_text(_mapping(entry).get("at"))
        late = moment and at and moment - at > timedelta(seconds=float(policy["within"]))
        if _mapping(entry).get("result") in _ATTEMPTED and entry.get("cause") and not late:
            causes.append(str(entry["cause"]))
    return list(dict.fromkeys(causes))


def sample(answer: object, observations: Mapping[str, Any], cause: str, index: int) -> dict[str, Any]:
    """One look at a host that is being watched: is it well again, and the cause's component with it?"""
    overall = _mapping(observations.get("overall_status"))
    health = _mapping(_mapping(_mapping(answer).get("endpoints")).get("health_detailed"))
    status = overall.get("value")
    ill = [
        c
        for c in components(_mapping(health.get("data")))
        if c["component"] == cause and c["status"] in ("critical", "unknown")
    ]
    good = status in ("healthy", "warning") and not ill
    host = _mapping(observations.get("host"))
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
        raise OptionError("policy_watch_good", needed, f"must be from 1 to policy_watch_samples ({of})")
    good = sum(1 for taken in samples if taken["good"])
    if good >= needed:
        return "recovered"
    return "not_recovered" if len(samples) - good > of - needed else "watching"


def cured(rung: Json, classes: Mapping[str, str]) -> bool:
    """Whether the probe says that what the rung was for is gone."""
    return all(classes.get(subject) in wanted for subject, wanted in rung.get("cured", {}).items())


def begun(rung: Json, *, controller: str, user: str) -> list[dict[str, Any]]:
    """The ledger's entries for a rung that is about to be carried out: they stay, also when the run dies in it."""
    made = entries(rung, {"plan": rung["actions"]}, controller=controller, user=user)
    return [{**entry, "result": "started"} for entry in made]


def entries(rung: Json, result: object, *, controller: str, user: str) -> list[dict[str, Any]]:
    """The ledger's entries for a rung that was carried out (docs/architecture.md, record)."""
    acted = _mapping(result)
    common = {
        "incident": rung.get("incident", ""),
        "cause": rung.get("cause", ""),
        "controller": controller,
        "user": user,
    }
    failure = _failure(acted, "plan")
    listed = [
        {
            **common,
            "action": action["action"],
            "steps": action["steps"],
            "target": one_line(action["target"], 200),
            "why": one_line(action["why"], 200),
            "proof": bounded(action.get("proof")),
            "result": "failed" if failure and action["result"] == "planned" else action["result"],
            "said": one_line(action["said"] or failure, 200),
        }
        for action in acted.get("plan") or []
        if isinstance(action, Mapping)
    ]
    if failure and not listed:
        listed = [
            {
                **common,
                "action": rung["act"],
                "steps": rung["steps"],
                "target": rung["rung"],
                "result": "failed",
                "said": failure,
            }
        ]
    return listed[:200]


def bounded(proof: object) -> dict[str, str]:
    """A proof for the ledger and for people: ten lines at most, each short."""
    return {str(key): one_line(value, 300) for key, value in list(_mapping(proof).items())[:10]}


def decision(action: str, response: Json, *, controller: str, user: str) -> dict[str, Any]:
    """The ledger's entry for a decision: refused, paged, recovered."""
    first: Json = next(iter(response.get("incidents") or []), {})
    return {
        "action": action,
        "incident": first.get("incident", ""),
        "cause": first.get("cause", ""),
        "steps": [],
        "target": "host",
        "why": one_line("; ".join(response.get("refusals") or []) or response.get("said") or "", 300),
        "result": "decided",
        "said": "",
        "controller": controller,
        "user": user,
    }


def final_verdicts(verdicts: Sequence[Json], response: Json) -> list[dict[str, Any]]:
    """The verdicts after the response, with its outcome; what a window of the past still shows is a warning."""
    outcome = response.get("recovered")
    if outcome is None:
        return [dict(verdict) for verdict in verdicts]
    stale = {check for incident in response.get("incidents", []) for check in incident["checks"]}
    kept = []
    for verdict in verdicts:
        shown = dict(verdict)
        if (
            outcome
            and shown["check"] in stale
            and shown["check"] not in ("overall_status",)
            and shown["state"] == "critical"
        ):
            shown["state"] = "warning"
            shown["note"] = "; ".join(filter(None, [shown["note"], "recovered, the window still shows it"]))
        kept.append(shown)
    made = {
        "check": "recovery",
        "title": "Recovery",
        "step": "P0-4B",
        "state": "ok" if outcome else "critical",
        "observed": "recovered" if outcome else "not recovered",
        "unit": "state",
        "threshold": "",
        "message": response.get("said") or "",
        "fault": "",
        "note": "",
        "at": None,
        "since": None,
        "action": "" if outcome else "Page the contacts with the evidence bundle",
        "playbook": "",
    }
    return sorted([made, *kept], key=lambda verdict: -("ok", "warning", "unknown", "critical").index(verdict["state"]))


def planned_rung(rung: Json, result: object) -> dict[str, Any]:
    """A rung with what it would do, or did, by the result of its module."""
    acted = _mapping(result)
    failure = _failure(acted, "plan")
    actions = [dict(action) for action in acted.get("plan") or [] if isinstance(action, Mapping)]
    failed = [action for action in actions if action.get("result") == "failed"]
    refusals = "; ".join(one_line(line) for line in acted.get("refusals") or [])
    return {
        **{key: rung[key] for key in ("rung", "act", "steps", "args", "incident", "cause", "priority") if key in rung},
        "when": rung.get("when", {}),
        "cured": rung.get("cured", {}),
        "actions": actions,
        "hash": "" if failure else str(acted.get("hash") or ""),
        "changed": bool(acted.get("changed")),
        "failed": bool(failure or failed or refusals),
        "said": failure or one_line(refusals or acted.get("said") or "", 300),
    }
