# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A response to incidents in words: what is wrong, what would be done or was done, and how it ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...module_utils.shapes import Json, one_line
from ...module_utils.state.mutes import mute_name
from ...module_utils.words import number_of
from ..judging.muting import said
from ..judging.shapes import is_doable
from .ledger import bounded

_SHOWN = 20


def response_lines(response: Json, of_all: str = "") -> list[str]:
    """A response for people: what is wrong, what was found, what would be done or was done.

    Args:
        response: as it stands.
        of_all: hash of the plans of all hosts of the run, "" where it is not known.
    """
    shown: list[str] = []
    incidents = response.get("incidents") or []
    for incident in incidents:
        shown.append(f"{incident['priority']} {incident['title']}, cause {incident['cause']}")
        shown += [f"  {one_line(line, 300)}" for line in incident["evidence"][:5]]
    if response.get("procedure"):
        shown.append(response["title"])
    elif not incidents:
        seen = response.get("findings")
        shown.append("No incident by the checks: nothing is planned" if seen else "No incident: nothing is to be done")
    if response.get("findings"):
        shown.append("Found:")
        shown += [f"  {row['subject']}: {row['class']} - {row['finding']}" for row in response["findings"]]
    for advice in response.get("advice") or []:
        shown.append(f"Advice: {advice}")
    shown += _plan_lines(response, of_all)
    shown += [f"Not touched: {line}" for line in response.get("refusals") or []]
    if response.get("msg"):
        shown.append(response["msg"])
    return shown


def _plan_lines(response: Json, of_all: str) -> list[str]:
    plan = response.get("plan") or []
    if response.get("acted"):
        return ["Done:", *_rung_lines(response["acted"], result=True)]
    if not plan:
        return ["Plan: nothing that automation may do; a person must look"] if response.get("incidents") else []
    shown = [f"Plan {response.get('hash') or ''}:".replace(" :", ":"), *_rung_lines(plan, result=False)]
    if (
        response.get("mode") == "plan"
        and response.get("incidents")
        and is_doable(plan)
        and not response.get("refusals")
    ):
        own = response.get("hash")
        limited = f"--limit to this host and -e incident_mode=apply -e incident_plan={own}"
        alone = f"-e incident_mode=apply -e incident_plan={own}"
        together = f", or for all hosts of this run at once with -e incident_mode=apply -e incident_plan={of_all}"
        several = of_all not in ("", own)
        shown.append(f"To do it: the same command with {limited + together if several else alone}")
    return shown


def _rung_lines(plan: Sequence[Json], *, result: bool) -> list[str]:
    shown = []
    for index, rung in enumerate(plan, 1):
        said = f": {rung['msg']}" if rung.get("msg") else ""
        shown.append(f"  {index}. {rung['rung']} ({', '.join(rung['steps'])}){said}")
        actions = rung.get("actions") or []
        for action in actions[:_SHOWN]:
            ended = f" -> {': '.join(filter(None, [action['result'], one_line(action['msg'])]))}" if result else ""
            what = f"{action['action']} {one_line(action['target'])}: {one_line(action['why'])}"
            shown.append(f"     {what}{_proof(action)}{ended}")
        if len(actions) > _SHOWN:
            shown.append(f"     and {len(actions) - _SHOWN} more")
        unseen, noted = rung.get("unseen") or [], rung.get("noted") or []
        if not actions:
            shown.append(f"     {'nothing was done' if unseen or rung.get('failed') else 'nothing to do'}")
        shown += [f"     could not look: {line}" for line in unseen]
        shown += [f"     found beside it: {line}" for line in noted]
        if rung.get("noted_left"):
            shown.append(f"     and {rung['noted_left']} more findings")
    return shown


def _proof(action: Json) -> str:
    proof = bounded(action.get("proof"))
    return f" [{'; '.join(f'{key}: {value}' for key, value in proof.items())}]" if proof else ""


def automation_lines(guard: object, overrides: object = None) -> list[str]:
    """How automation stands on a host, for people: who holds it, pauses, overrides, what was done lately.

    Args:
        guard: registered result of module guard with ``state=observed``.
        overrides: registered result of module service_config with ``state=observed``.
    """
    stands = guard if isinstance(guard, Mapping) else {}
    if "recent" not in stands:
        return [f"Not known: {one_line(stands.get('msg') or 'the host gave no answer')}"]
    lease, pause = stands.get("lease"), stands.get("pause")
    shown = [f"Lease: {_lease(lease)}" if lease else "Lease: nobody acts on this host"]
    shown.append(
        f"Paused {_until(pause['until'])} by {pause['by'] or '?'}: {pause['reason']}" if pause else "Not paused"
    )
    shown += _mute_lines(stands)
    shown += _override_lines(overrides)
    repeated = ", ".join(
        f"{action} in {number_of(count, 'run')}" for action, count in stands.get("repeated", {}).items()
    )
    if repeated:
        shown.append(f"Repeated: {repeated}")
    shown.append(
        f"Done lately: {number_of(len(stands['recent']), 'entry')}" if stands["recent"] else "Done lately: nothing"
    )
    shown += [f"  {_entry(entry)}" for entry in stands["recent"][-_SHOWN:]]
    if stands.get("bad_lines"):
        shown.append(f"{number_of(stands['bad_lines'], 'line')} of the ledger could not be read")
    return shown


def _lease(lease: Json) -> str:
    ended = ", expired" if lease.get("expired") else ""
    who = f"{lease.get('owner') or '?'} on {lease.get('controller') or '?'}"
    when = f"since {lease.get('taken_at') or '?'} {_until(lease.get('expires_at'))}{ended}"
    return f"{who}, run {lease.get('run_id')}, {when}: {lease.get('reason')}"


def _until(time: object) -> str:
    """A pause or lease that cannot be read has no end of its own."""
    return f"until {time}" if time else "until somebody resumes automation"


def _mute_lines(stands: Json) -> list[str]:
    if stands.get("mutes_unreadable"):
        return [f"Muted: not known, and so nothing is: {one_line(stands['mutes_unreadable'], 300)}"]
    mutes = stands.get("mutes") or []
    return [f"Muted: {mute_name(mute)} {said(mute)}" for mute in mutes] or ["Nothing is muted"]


def _override_lines(overrides: object) -> list[str]:
    if not isinstance(overrides, Mapping) or "overrides" not in overrides:
        why = one_line(overrides.get("msg") or "") if isinstance(overrides, Mapping) else ""
        return [f"Overrides: not known{': ' + why if why else ''}"]
    if overrides.get("msg"):
        return [f"Overrides: none, {one_line(overrides['msg'])}"]
    return [_override_line(row) for row in overrides["overrides"]] or ["Overrides: none"]


def _override_line(row: Json) -> str:
    expired = ", expired: take it back" if row.get("expired") else ""
    at = row.get("taken_at")
    taken = f"taken by the service at {at}" if at else "not proved to have an effect"
    value, why = one_line(row["value"], 60), one_line(row.get("why") or "", 100)
    return f"Override: {row['name']}={value} since {row['since']} until {row['until']}{expired}, {taken} ({why})"


def _entry(entry: Json) -> str:
    parts = [entry.get("at"), entry.get("action"), entry.get("result"), one_line(entry.get("target") or "", 80)]
    said = one_line(entry.get("msg") or entry.get("why") or "", 120)
    return (
        " ".join(str(part) for part in parts if part) + (f": {said}" if said else "") + f" (run {entry.get('run_id')})"
    )
