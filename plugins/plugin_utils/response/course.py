# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the response to a host goes, from its plan to its end. Pure.

The course is what passes from one task to the next: ``run``, ``response`` as it stands, ``leased`` and
``leased_until`` (when the lease ends by itself, by the host's clock, "" where that is not known), ``permitted``
(whether the next rung may be carried out), ``state`` (watching, recovered or not_recovered), ``why`` (it has not
recovered, "" where the samples tell), ``classes`` (by subject, as last seen), ``passed_over`` (rungs that would have
done no good, in lines), ``touched`` (whether anything was begun on the host), ``unsettled`` (whether the host may still
be at work on a rung that gave no answer), ``began`` and ``ended`` (seconds since 1970).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.plan import host_hash
from ...module_utils.shapes import Json, mapping
from ...module_utils.times import from_text
from ..judging.shapes import Mode, Response, Rung, response
from .breaker import breaker_refusals
from .diagnosis import LOOKED_AT_AS, classify
from .ladder import cured, drifted, lacking

_UNSEEN_MAX = 3
_DISRUPTIVE = ("service_control", "session_terminate")
# Which do nothing at all where they have planned nothing; others tidy up what runs before have left, or note what they
# saw.
_IDLE_WITHOUT_PLAN = ("disk_cleanup", "session_terminate")


def planned(
    diagnosis: Json,
    rungs: Sequence[Rung],
    *,
    host: str,
    run_id: str,
    mode: Mode,
    breaker: Json,
    approved: str,
) -> Response:
    """The response to the incidents of a host, before anything was done.

    Args:
        diagnosis: ``incidents``, ``classes``, ``findings``, ``advice``, ``noted``, and of the guard ``refusals`` and
            ``held``.
        rungs: planned.
        host: its name, of which the plan's hash is a part.
        run_id: what names the run.
        mode: ``plan`` or ``apply``.
        breaker: ``open``, the causes for which no host may be touched, ``refusals`` for whatever cause, ``findings`` on
            the fleet, and ``hash``, of all hosts' plans.
        approved: hash of the plan that a person approved, "" where none is asked for.
    """
    found = plan_hash_of(host, rungs)
    drift = drifted(found, approved, breaker["hash"]) if mode == "apply" else []
    told: dict[str, Any] = {key: diagnosis[key] for key in ("incidents", "classes", "findings", "advice", "noted")}
    of_fleet = [*breaker_refusals(diagnosis["incidents"], breaker["open"]), *breaker["refusals"]]
    refusals = [*diagnosis["refusals"], *(of_fleet if diagnosis["incidents"] else []), *drift]
    if diagnosis["incidents"]:
        told["findings"] = [*told["findings"], *breaker["findings"]]
    held = diagnosis["held"]
    if held and mode == "plan":
        refusals = list(dict.fromkeys([*refusals, held]))
    # Another run may have given the host back by the time that this one comes to it.
    made = response(run_id, mode, **told, refusals=refusals, held=held if held in refusals else "")
    return {**made, "plan": list(rungs), "hash": found}


def planned_procedure(
    name: str, title: str, rungs: Sequence[Rung], *, host: str, run_id: str, mode: Mode, approved: str
) -> Response:
    """A procedure as a response, before anything was done. A rung that cannot be planned holds back itself alone; where
    none can, or the plan is not what was approved, nothing is begun.

    Args:
        name: of the procedure.
        title: of the procedure, for people.
        rungs: planned, in its order.
        host: as for ``planned``.
        run_id: what names the run.
        mode: ``plan`` or ``apply``.
        approved: as for ``planned``.
    """
    found = plan_hash_of(host, rungs)
    unplanned = _failures(rungs)
    of_none = unplanned if len(unplanned) == len(rungs) else []
    drift = [] if of_none else drifted(found, approved)
    made = response(run_id, mode, procedure=name, title=title, refusals=[*of_none, *drift])
    told = [f"Could not be planned: {'; '.join(unplanned)}"] if unplanned else []
    msg = ". ".join([*told, *drift])
    return {**made, "plan": list(rungs), "hash": found, "recovered": False if msg else None, "msg": msg}


def plan_hash_of(host: str, rungs: Sequence[Json]) -> str:
    """The hash of a host's plan, "" where nothing was planned."""
    return host_hash(host, [str(rung["hash"]) for rung in rungs if rung.get("hash")])


def _failures(rungs: Sequence[Json]) -> list[str]:
    return [f"{rung['rung']}: {rung['msg']}" for rung in rungs if rung["failed"]]


def unseen(rungs: Sequence[Json]) -> list[str]:
    """What rungs could not look at, in lines."""
    return [f"{rung['rung']}: {line}" for rung in rungs for line in rung.get("unseen") or []]


def fleet_gate(fleet: Mapping[str, Any], host: str) -> list[str]:
    """Why a host may not be touched because of those before it in this run, in a line; else nothing.

    Args:
        fleet: by host of the run, its response.
        host: the one that is to be acted upon.
    """
    ill = [name for name, response in fleet.items() if mapping(response).get("recovered") is False and name != host]
    return [f"{', '.join(ill)} did not recover: no other host is touched in this run"] if ill else []


def to_be_acted_upon(whole: Json) -> bool:
    """Whether anything follows the plan: an incident that must not be touched is concluded, and a person called."""
    if whole["mode"] != "apply":
        return False
    return not whole["refusals"] if whole["procedure"] else bool(whole["incidents"])


def is_disruptive(whole: Json) -> bool:
    """Whether a host that does not recover from it stops the hosts after it: what is cleaned up stops none."""
    return not whole["procedure"] or any(rung["act"] in _DISRUPTIVE for rung in whole["plan"])


def watch_refusals(watch: Json) -> list[str]:
    """Why a host cannot be watched as its own variables say, in a line; else nothing.

    Args:
        watch: ``samples``, ``interval`` and ``good``; without samples it is not watched.
    """
    samples, interval, good = (watch.get(key, 0) for key in ("samples", "interval", "good"))
    if samples and (interval < 0 or not 0 < good <= samples):
        return [f"this host cannot be watched: {good} good samples of {samples}, {interval:g} s apart, are asked for"]
    return []


def begun(whole: Json, run: Json, now: float) -> dict[str, Any]:
    """The course of a response of which nothing is done yet.

    Args:
        whole: the response, planned.
        run: ``run_id``, ``controller``, ``pid`` and ``user``.
        now: seconds since 1970.
    """
    return {
        "run": dict(run),
        "response": dict(whole),
        "leased": False,
        "leased_until": "",
        "permitted": True,
        "touched": False,
        "unsettled": False,
        "state": "watching",
        "classes": dict(whole.get("classes") or {}),
        "passed_over": [],
        "began": now,
        "ended": now,
        "why": "",
    }


def refused(course: Json, refusals: Sequence[str]) -> dict[str, Any]:
    """The course when something speaks against going on, each line once; with no line it is the same."""
    lines = list(dict.fromkeys([*course["response"]["refusals"], *refusals]))
    return {
        **course,
        "response": {**course["response"], "refusals": lines},
        "permitted": course["permitted"] and not lines,
    }


def held_back(course: Json, refusals: Sequence[str], held: str) -> dict[str, Any]:
    """The course when the guard says no; ``held`` is who keeps automation off the host, "" where that is nobody."""
    made = refused(course, refusals)
    return {**made, "response": {**made["response"], "held": held}}


def passed_over(course: Json, rung: Json) -> dict[str, Any] | None:
    """The course without a rung that would do no good as the host stands now, or that could not be planned as a part of
    a procedure; None where it is to be tried."""
    whole = course["response"]
    if whole["procedure"] and rung.get("failed"):
        # It counts as tried and failed, with why, and nothing of it was done.
        left_out = {**rung, "actions": [], "changed": False}
        return {**course, "response": {**whole, "acted": [*whole["acted"], left_out]}, "permitted": False}
    missing = lacking(rung, course["classes"])
    if not missing:
        return None
    line = f"{rung['rung']}: passed over, {', '.join(missing)}"
    return {**course, "passed_over": [*course["passed_over"], line], "permitted": False}


def without_work(course: Json, rung: Json) -> dict[str, Any] | None:
    """The course with a rung of a procedure that has nothing to do, as its plan shows; None where it is to be carried
    out. What was done before it in this run may have made work for it."""
    whole = course["response"]
    is_idle = whole["procedure"] and rung.get("act") in _IDLE_WITHOUT_PLAN and not rung["actions"]
    if not is_idle or course["touched"] or rung["failed"]:
        return None
    return {**course, "response": {**whole, "acted": [*whole["acted"], dict(rung)]}, "permitted": False}


def is_over(course: Json) -> bool:
    """Whether no further rung is to be tried.

    The rungs of a ladder are tried until one helps; those of a procedure are all its work.
    """
    whole = course["response"]
    return bool(whole["refusals"]) or (course["state"] == "recovered" and not whole["procedure"])


def acted(course: Json, rung: Json, answer: Json) -> dict[str, Any]:
    """The course after a rung was carried out.

    Where the module gave no answer, the host may still be at work on it: nothing more is done, and the lease stays.
    """
    whole = course["response"]
    made = {**course, "response": {**whole, "acted": [*whole["acted"], dict(rung)]}}
    if not (answer.get("overdue") or answer.get("unreachable")):
        return made
    why = f"the host gave no answer while '{rung['rung']}' was carried out, and may still be at work on it"
    return {
        **refused(made, [f"{why}: nothing more is done there, and its lease stays until {_end_of_lease(course)}"]),
        "unsettled": True,
    }


def _end_of_lease(course: Json) -> str:
    ends = from_text(course.get("leased_until"))
    return f"{ends:%Y-%m-%d %H:%M:%S} UTC" if ends else "its time"


def lease_left(course: Json, *, given_back: bool) -> str:
    """Until when nobody else may act on the host, in a sentence; "" where the lease was given back, or never taken."""
    if given_back or not course["leased"]:
        return ""
    why = "was not given back" if course["unsettled"] else "could not be given back"
    return f"The lease of the host {why} and stands until {_end_of_lease(course)}"


def watched(course: Json, state: str, samples: Sequence[Json], now: float, *, why: str = "") -> dict[str, Any]:
    """The course after the host was watched; ``why`` it has not recovered, where the samples do not tell."""
    whole = course["response"]
    seen = {**whole, "samples": [*whole["samples"], *samples]}
    return {**course, "response": seen, "state": state, "ended": now, "why": why}


def concluded(course: Json, *, evidence: str, contacts: Sequence[Json]) -> dict[str, Any]:
    """The response at its end: recovered, or what was tried, and whom to page.

    An incident is over as soon as one rung has helped. A procedure has done its work when every rung could be carried
    out, and the watch, where there was one, went well.

    Args:
        course: where it ended.
        evidence: where the bundle is, "" where none was wanted.
        contacts: ``report_contacts``, each with ``name`` and ``contact``.
    """
    whole = course["response"]
    is_procedure = bool(whole["procedure"])
    failed, not_seen = _failures(whole["acted"]), unseen(whole["acted"])
    carried_out = [_told(rung) for rung in whole["acted"] if rung["changed"]]
    well = not whole["refusals"] and (
        course["state"] == "recovered" or (is_procedure and course["state"] == "watching")
    )
    recovered: bool | None = well and not (is_procedure and failed)
    # A host that is in the hands of a person or another run has come to nothing of itself.
    held = whole["held"] if not whole["acted"] else ""
    if held or (recovered and is_procedure and not_seen and not carried_out):
        recovered = None
    seconds = int(course["ended"] - course["began"])
    said = [*_said(whole, recovered, seconds, carried_out), *costs(whole["acted"])]
    if recovered is not True and course.get("why"):
        said.append(f"The cause is not gone: {course['why']}")
    if held:
        said = [f"Nothing was done: {held}", *(line for line in whole["refusals"] if line != held)]
    elif recovered is not True:
        whom = ", ".join(f"{one.get('name', '?')} {one.get('contact', '')}".strip() for one in contacts)
        said += [
            *whole["refusals"],
            *course["passed_over"],
            *failed,
            *_not_seen(not_seen),
            f"Page {whom or 'the person on call (no report_contacts are set)'}",
            *([f"Evidence of the host: {evidence}"] if evidence else []),
        ]
    elif is_procedure:
        said += _not_seen(not_seen)
    return {
        **whole,
        "evidence": evidence,
        "recovered": recovered,
        "recovered_after_s": seconds if recovered else None,
        "page": recovered is not True and not held,
        "msg": ". ".join(said),
    }


def _told(rung: Json) -> str:
    """A rung that was carried out; of an override also whether the service was seen to take it."""
    said = rung.get("msg") if rung.get("act") == "service_config" and not rung["failed"] else ""
    return f"{rung['rung']} ({said})" if said else str(rung["rung"])


def _said(whole: Json, recovered: bool | None, seconds: int, carried_out: Sequence[str]) -> list[str]:
    """How it ended, in the first sentence: acted, looked and found nothing, could not look, or failed."""
    is_procedure, tried = bool(whole["procedure"]), "; ".join(carried_out)
    if recovered is None:
        return ["Nothing was done, and nobody can say whether there was anything to do"]
    if not recovered:
        how = "NOT done. Carried out" if is_procedure else "NOT recovered. Tried"
        return [f"{how}: {tried or 'nothing'}"]
    if not is_procedure:
        return [f"Recovered after {seconds} s by: {tried or 'nothing'}"]
    return [f"Done in {seconds} s: {tried}" if tried else f"Looked in {seconds} s: there was nothing to do"]


def costs(rungs: Sequence[Json]) -> list[str]:
    """What restarts have lost, in a sentence each."""
    lost = [
        mapping(action.get("proof")).get("merges in work")
        for rung in rungs
        for action in rung.get("actions") or []
        if action.get("action") == "restart" and action.get("result") in ("done", "failed")
    ]
    return [f"Merges lost with the restart: {said}" for said in lost if said and said != "none"]


def _not_seen(lines: Sequence[str]) -> list[str]:
    return [f"Could not look: {'; '.join(lines[:_UNSEEN_MAX])}"] if lines else []


def looks_for(course: Json, looks: Mapping[str, Json]) -> list[dict[str, Any]]:
    """What is to be looked at once more: the cause of a host that is well by its own word, else what other rungs need.

    Args:
        course: after the watch.
        looks: by subject, the ``module`` and its ``args``.
    """
    whole = course["response"]
    if not whole["acted"]:
        return []
    left = whole["plan"][len(whole["acted"]) :]
    wanted = (
        whole["acted"][-1]["cured"]
        if course["state"] == "recovered"
        else [name for rung in left for name in rung.get("needs") or {}]
    )
    subjects = dict.fromkeys(LOOKED_AT_AS.get(name, name) for name in wanted)
    return [{"args": {}, "subject": name, **looks[name]} for name in subjects if name in looks]


def confirmed(course: Json, seen: Sequence[Json], limits: Json) -> dict[str, Any]:
    """The course when the cause was looked at: recovered is what is well again, and cured.

    Args:
        course: after the watch.
        seen: each look with its ``subject`` and the module's ``answer``.
        limits: from where on a subject is ill.
    """
    if not seen:
        return dict(course)
    found = classify({look["subject"]: look["answer"] for look in seen}, limits, seen)
    now = {**course, "classes": {**course["classes"], **found["classes"]}}
    if course["state"] != "recovered":
        return {**now, "state": "not_recovered"}
    if cured(course["response"]["acted"][-1], found["classes"]):
        return now
    wanted = course["response"]["acted"][-1]["cured"]
    ill = [row for row in found["findings"] if row["subject"] in wanted and row["class"] not in wanted[row["subject"]]]
    why = "; ".join(f"{row['subject']} is {row['class']} still: {row['finding']}" for row in ill)
    return {**now, "state": "not_recovered", "why": why}


def decision_of(whole: Json, state: str) -> str:
    """What the ledger calls the end of a response.

    Recovered is what was watched and found well; a procedure without a watch has only been carried out.
    """
    if whole["recovered"]:
        return "recovered" if state == "recovered" else "completed"
    return "paged" if whole["acted"] else "refused"
