# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows on a run: the fleet's incidents, why nothing was done, and what a person runs or does next. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...module_utils.plan import fleet_hash
from ...module_utils.shapes import Json, mapping, one_line
from ..judging.shapes import is_doable
from .commands import Commands

_REASON_MAX = 240
_ANY_INCIDENT = "incident_response"


def fleet_incidents(hosts: Sequence[Json], commands: Commands) -> list[dict[str, Any]]:
    """Incidents of the same kind and cause over all hosts, with the command that leads on; "" after a response."""
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    fresh: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        for incident in host["incidents"]:
            key = (incident["incident"], incident["cause"])
            entry = merged.setdefault(key, {**incident, "evidence": [], "hosts": []})
            entry["hosts"].append(host["host"])
            entry["evidence"] += [f"{host['host']}: {line}" for line in incident["evidence"]]
            if not _answer(host):
                fresh.setdefault(key, []).append(host["host"])
    for key, entry in merged.items():
        entry["command"] = commands.of(entry["playbook"], fresh[key]) if key in fresh else ""
    return sorted(merged.values(), key=lambda entry: (entry["priority"], -len(entry["hosts"])))


def refused(hosts: Sequence[Json]) -> dict[str, list[str]]:
    """Why nothing, or no more, was done to a host, the first reason alone, with the hosts."""
    found: dict[str, list[str]] = {}
    for host in hosts:
        for line in list(mapping(host.get("response")).get("refusals") or [])[:1]:
            found.setdefault(one_line(line, _REASON_MAX), []).append(host["host"])
    return found


def next_steps(hosts: Sequence[Json], incidents: Sequence[Json], commands: Commands) -> list[dict[str, str]]:
    """What to run or do, most urgent first: what follows on incidents, then what each other unknown needs, once."""
    answers = {host["host"]: answer for host in hosts if (answer := _answer(host))}
    planned = {name: str(answer["hash"]) for name, answer in answers.items() if _waits(answer)}
    steps = dict.fromkeys(_approval(incidents, planned, commands))
    for incident in incidents:
        steps |= dict.fromkeys(_after(incident, answers, planned))
    for why, names in refused(hosts).items():
        if not any(why in step for step, _command in steps):
            steps[f"Not done on {some(names)}: {why}", ""] = None
    steps |= dict.fromkeys((f"{action} ({some(names)})", "") for action, names in _unknowns(hosts).items())
    return [{"why": why, "command": command} for why, command in steps]


def _answer(host: Json) -> Json:
    """The response to the incidents of a host; empty where there was none. A procedure answers no incident."""
    response = mapping(host.get("response"))
    return {} if response.get("procedure") else response


def _waits(answer: Json) -> bool:
    """Whether a plan waits for a person's word, and nothing speaks against it."""
    return (
        is_doable(answer["plan"]) and not answer["acted"] and not answer["refusals"] and answer.get("recovered") is None
    )


def _approval(incidents: Sequence[Json], planned: Mapping[str, str], commands: Commands) -> Iterable[tuple[str, str]]:
    """The one step that approves all plans: one hash covers the hosts that are named, and these alone."""
    told = [
        f"{_what(incident)} on {some(names)}"
        for incident in incidents
        if (names := [name for name in incident["hosts"] if name in planned])
    ]
    if told:
        answers = {"incident_mode": "apply", "incident_plan": fleet_hash(planned)}
        yield f"{'; '.join(told)}: do what was planned", commands.again(_ANY_INCIDENT, list(planned), answers)


def _after(incident: Json, answers: Mapping[str, Json], planned: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """What follows for an incident where no plan waits: its playbook, or a person."""
    fresh = [name for name in incident["hosts"] if name not in answers]
    if fresh:
        yield f"{_what(incident)} on {some(fresh)}", incident["command"]
    ended: dict[str, list[str]] = {}
    for name in incident["hosts"]:
        if name in answers and name not in planned:
            ended.setdefault(_end(answers[name]), []).append(name)
    for why, names in ended.items():
        yield f"{_what(incident)} on {some(names)}: {why}", ""


def _what(incident: Json) -> str:
    return f"{incident['priority']} {incident['title'].lower()} ({incident['cause']})"


def _end(answer: Json) -> str:
    """Why an incident is a person's after a response."""
    if answer["acted"]:
        found = "still found after the response" if answer.get("recovered") else "not recovered"
        return f"{found}{_because(answer)}, call whom the report names"
    said = "automation may do nothing" if answer["refusals"] else "there is nothing that automation may do"
    return f"{said}{_because(answer)}: a person must look"


def _because(answer: Json) -> str:
    """Why no more was done, in words."""
    unseen = [line for rung in answer["plan"] for line in rung.get("unseen") or []]
    failed = [f"{rung['rung']}: {rung['msg']}" for rung in answer["plan"] if rung.get("failed")]
    unknown = [f"{row['subject']}: {row['finding']}" for row in answer["findings"] if row["class"] == "unknown"]
    lines = [*answer["refusals"], *failed, *unseen, *unknown]
    return f" ({one_line(lines[0], _REASON_MAX)})" if lines else ""


def _unknowns(hosts: Sequence[Json]) -> dict[str, list[str]]:
    """What to do about verdicts that are unknown and led to no incident, with the hosts."""
    todo: dict[str, list[str]] = {}
    for host in hosts:
        led_to = {check for incident in host["incidents"] for check in incident["checks"]}
        told = {one["fault"] for one in host["verdicts"] if one["check"] in led_to}
        for one in host["verdicts"]:
            wanted = one["state"] == "unknown" and one["action"] and one["fault"] not in told
            if wanted and host["host"] not in todo.setdefault(one["action"], []):
                todo[one["action"]].append(host["host"])
    return todo


def some(names: Sequence[str]) -> str:
    """Names for people, three at most."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
