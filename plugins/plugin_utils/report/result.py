# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result document of a run: every host with its verdicts, the fleet's incidents, and what to do next. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...module_utils.plan import differences, fleet_hash
from ...module_utils.shapes import STATES, Json, mapping, worst_state
from ...module_utils.state.mutes import mute_name
from ..judging.muting import muted_findings
from ..judging.shapes import Verdict, shown, verdict
from ..judging.verdict import host_state
from .commands import Commands
from .follows import fleet_incidents, next_steps, refused

SCHEMA_VERSION = 1
_SHOWN_MAX = 10
_REASONS_MAX = 5


def build(
    hosts: Mapping[str, Any],
    *,
    run: Json,
    contacts: Sequence[Json],
    fail_on: Sequence[str],
    previous: object = None,
    commands: Commands | None = None,
) -> dict[str, Any]:
    """The result document (docs/architecture.md, roles/report/files/result.schema.json).

    Args:
        hosts: by name what role healthcheck found; a host without anything gets the state unknown.
        run: facts of the run.
        contacts: whom to call.
        fail_on: states that fail the run.
        previous: the document of the run before, for since when a state lasts; anything else is ignored.
        commands: makes the commands that lead on.
    """
    commands = commands or Commands({}, hosts)
    since, approved = _since(previous), _plans(previous)
    judged = [_host(name, found, since, approved) for name, found in hosts.items()]
    judged.sort(key=lambda host: (-STATES.index(host["state"]), host["host"]))
    state = worst_state(host["state"] for host in judged)
    incidents = fleet_incidents(judged, commands)
    return {
        "schema_version": SCHEMA_VERSION,
        "run": dict(run),
        "state": state,
        "fail_on": list(fail_on),
        "failed": any(host["state"] in fail_on for host in judged) or not judged,
        "summary": {"hosts": len(judged), **{s: sum(1 for host in judged if host["state"] == s) for s in STATES}},
        "contacts": [dict(contact) for contact in contacts],
        "hosts": judged,
        "incidents": incidents,
        "refused": [{"why": why, "hosts": names} for why, names in refused(judged).items()],
        "muted": _muted({host["host"]: hosts[host["host"]] for host in judged}),
        "next": next_steps(judged, incidents, commands),
    }


def _muted(hosts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is muted in the fleet, with its hosts, and what counts for nothing by it."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for name, known in hosts.items():
        for mute in mapping(known).get("mutes") or []:
            about = {"mute": mute_name(mute), **{key: mute[key] for key in ("until", "by", "reason")}}
            row = found.setdefault(tuple(about.values()), {**about, "hosts": [], "findings": []})
            row["hosts"].append(name)
            row["findings"] += [f"{name}: {line}" for line in muted_findings(mute, mapping(known))]
    return [{**row, "findings": row["findings"][:_SHOWN_MAX]} for _key, row in sorted(found.items())]


def _since(previous: object) -> dict[tuple[str, str], tuple[str, str | None]]:
    """State and its beginning by host and check, from an earlier document."""
    known: dict[tuple[str, str], tuple[str, str | None]] = {}
    if isinstance(previous, Mapping) and previous.get("schema_version") == SCHEMA_VERSION:
        for host in previous.get("hosts", []):
            for verdict in host.get("verdicts", []):
                began = verdict.get("since") or previous.get("run", {}).get("finished_at")
                known[host.get("host"), verdict.get("check")] = (verdict.get("state"), began)
    return known


def _plans(previous: object) -> dict[str, list[Json]]:
    """By host and hash of its plan, or of all hosts' plans, what an earlier document says that was planned."""
    known: dict[str, list[Json]] = {}
    if isinstance(previous, Mapping) and previous.get("schema_version") == SCHEMA_VERSION:
        hashes = {
            str(host.get("host")): mapping(host.get("response")).get("hash") for host in previous.get("hosts", [])
        }
        of_all = fleet_hash({host: str(one or "") for host, one in hashes.items()})
        for host in previous.get("hosts", []):
            response = mapping(host.get("response"))
            rungs = [mapping(rung) for rung in response.get("plan") or []]
            actions = [mapping(action) for rung in rungs for action in rung.get("actions") or []]
            for hash_ in (response.get("hash"), of_all):
                known[f"{host.get('host')} {hash_}"] = [one for one in actions if "stable" in one]
    return known


def _drifted(name: str, response: Json, approved: Mapping[str, list[Json]]) -> Json:
    """The response, with what is another than in the plan that was approved, where an earlier run has left that."""
    refusals = []
    for line in response.get("refusals") or []:
        hash_ = re.search(r"approved was ([0-9a-f]{12})", line)
        before = approved.get(f"{name} {hash_[1]}") if hash_ else None
        now = [action for rung in response.get("plan") or [] for action in rung["actions"]]
        changed = differences(before, now)[:_SHOWN_MAX] if before is not None else []
        refusals.append(f"{line}. Since the approval: {'; '.join(changed)}" if changed else line)
    return {**response, "refusals": refusals}


def _host(
    name: str,
    found: object,
    since: Mapping[tuple[str, str], tuple[str, str | None]],
    approved: Mapping[str, list[Json]],
) -> dict[str, Any]:
    known: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    verdicts: list[Verdict] = [cast("Verdict", dict(one)) for one in known.get("verdicts", [])] or [_no_verdict()]
    for one in verdicts:
        state, began = since.get((name, one["check"]), ("", None))
        if one["state"] != "ok" and one["state"] == state:
            one["since"] = began
    return {
        **({"response": _drifted(name, shown(known["response"]), approved)} if known.get("response") else {}),
        "host": name,
        "state": host_state(verdicts),
        "verdicts": verdicts,
        "incidents": list(known.get("incidents", [])),
        "observations": dict(known.get("observations", {})),
        "details": dict(known.get("details", {})),
    }


def _no_verdict() -> Verdict:
    return verdict(
        "host",
        "Check of the host",
        "",
        "unknown",
        "The check did not run on this host to its end; the log of the run says why",
        fault="module_failed",
        action="Read the failure of this host in the run's output",
    )


def summarise(document: Json, reports: Sequence[str], problems: Sequence[str] = ()) -> dict[str, Any]:
    """What of a result document goes to set_stats: for the verdict table, AWX workflows and Event-Driven Ansible."""

    def worst(host: Json) -> Json:
        return max(host["verdicts"], key=lambda verdict: STATES.index(verdict["state"]))

    return {
        "schema_version": SCHEMA_VERSION,
        "title": document["run"]["title"],
        "state": document["state"],
        "failed": document["failed"],
        "summary": document["summary"],
        "hosts": [
            {"host": h["host"], "state": h["state"], "check": worst(h)["check"], "message": worst(h)["message"]}
            for h in document["hosts"]
        ],
        "incidents": [
            {key: i[key] for key in ("incident", "priority", "cause", "hosts", "playbook", "respond_within_s")}
            for i in document["incidents"]
        ],
        "refused": document["refused"][:_REASONS_MAX],
        "muted": [{key: row[key] for key in ("mute", "until", "by", "reason", "hosts")} for row in document["muted"]],
        "next": document["next"],
        "reports": list(reports),
        # What could not be told, made or written of it, each a sentence
        "problems": list(problems),
    }
