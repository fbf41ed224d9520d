# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes that pass from observation to report, each with the one function that makes it.

They are those of ``roles/report/files/result.schema.json``, which a test holds against them. What hosts make has its
shape beside its maker: an action in ``module_utils/plan.py``, a message in ``module_utils/alerts/transition.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from ...module_utils.plan import Action
from ...module_utils.shapes import Json

SHORT = "short"
"""The fault of a value that is of a part of its window alone: it proves what is critical, and nothing else."""


class Observation(TypedDict):
    """One value with its unit, or the reason why there is none, or not all of it (SHORT)."""

    value: float | str | None
    unit: str
    fault: str
    reason: str
    note: str
    applicable: bool
    at: str | None
    endpoint: str


def observation(
    value: float | str | None = None,
    unit: str = "",
    *,
    fault: str = "",
    reason: str = "",
    note: str = "",
    applicable: bool = True,
    at: str | None = None,
    endpoint: str = "",
) -> Observation:
    """An observation; what is not given says that there is nothing to say."""
    return {
        "value": value,
        "unit": unit,
        "fault": fault,
        "reason": reason,
        "note": note,
        "applicable": applicable,
        "at": at,
        "endpoint": endpoint,
    }


class Verdict(TypedDict):
    """What one observation means, judged by one row of the check table."""

    check: str
    title: str
    step: str
    state: str
    observed: float | str | None
    unit: str
    threshold: str
    message: str
    fault: str
    note: str
    at: str | None
    since: str | None
    action: str
    playbook: str
    muted: dict[str, Any] | None


def verdict(
    check: str,
    title: str,
    step: str,
    state: str = "unknown",
    message: str = "",
    *,
    observed: float | str | None = None,
    unit: str = "state",
    threshold: str = "",
    fault: str = "",
    note: str = "",
    at: str | None = None,
    action: str = "",
    playbook: str = "",
) -> Verdict:
    """A verdict. Since when its state lasts is known to the report alone, which knows the run before.

    Of one that a person muted, ``muted`` holds the mute, and the ``state`` that it would have.
    """
    return {
        "check": check,
        "title": title,
        "step": step,
        "state": state,
        "observed": observed,
        "unit": unit,
        "threshold": threshold,
        "message": message,
        "fault": fault,
        "note": note,
        "at": at,
        "since": None,
        "action": action,
        "playbook": playbook,
        "muted": None,
    }


class Incident(TypedDict):
    """What is to be responded to, one per cause."""

    incident: str
    priority: str
    title: str
    cause: str
    checks: list[str]
    evidence: list[str]
    respond_within_s: int
    playbook: str


def incident(row: Json, cause: str) -> Incident:
    """An incident by a row of ``policy_incidents``; what led to it is put in by who found it."""
    return {
        "incident": row["incident"],
        "priority": row["priority"],
        "title": row["title"],
        "cause": cause,
        "checks": [],
        "evidence": [],
        "respond_within_s": int(row["respond_within_s"]),
        "playbook": row["playbook"],
    }


class Rung(TypedDict):
    """One rung of a ladder or a procedure, with what it would do or did. Those of a procedure have no incident."""

    rung: str
    act: str
    steps: list[str]
    args: dict[str, Any]
    incident: NotRequired[str]
    cause: NotRequired[str]
    priority: NotRequired[str]
    when: dict[str, Any]
    cured: dict[str, Any]
    needs: dict[str, Any]
    component: str
    actions: list[Action]
    hash: str
    changed: bool
    failed: bool
    msg: str
    unseen: list[str]
    noted: list[str]
    noted_left: int
    urgent: NotRequired[list[str]]
    as_of: NotRequired[float]


def rung(
    row: Json,
    actions: Sequence[Action] = (),
    *,
    plan_hash: str = "",
    changed: bool = False,
    failed: bool = False,
    msg: str = "",
    unseen: Sequence[str] = (),
    noted: Sequence[str] = (),
    noted_left: int = 0,
    urgent: Sequence[str] = (),
    as_of: float | None = None,
) -> Rung:
    """A rung with what its module would do or did.

    Args:
        row: of ``policy_ladders`` or ``policy_procedures``, as it was chosen; a rung that was made so is one, too.
        actions: of the module's plan.
        plan_hash: of that plan; empty where there is none.
        changed: whether it changes or changed anything.
        failed: whether it could not be planned or carried out.
        msg: one line of the module.
        unseen: what it could not look at, so that there may be more to do than it knows.
        noted: what it found beside its work, which calls for a person.
        noted_left: how many of these are left out.
        urgent: what of them cannot wait.
        as_of: the moment to which the plan counts ages, where it counts any.
    """
    made: Rung = {
        "rung": row["rung"],
        "act": row["act"],
        "steps": list(row.get("steps") or []),
        "args": dict(row.get("args") or {}),
        "when": dict(row.get("when") or {}),
        "cured": dict(row.get("cured") or {}),
        "needs": dict(row.get("needs") or {}),
        "component": str(row.get("component") or ""),
        "actions": list(actions),
        "hash": plan_hash,
        "changed": changed,
        "failed": failed,
        "msg": msg,
        "unseen": list(unseen),
        "noted": list(noted),
        "noted_left": noted_left,
    }
    if urgent:
        made["urgent"] = list(urgent)
    if "incident" in row:
        made["incident"] = row["incident"]
    if "cause" in row:
        made["cause"] = row["cause"]
    if "priority" in row:
        made["priority"] = row["priority"]
    if as_of is not None:
        made["as_of"] = as_of
    return made


def is_doable(rungs: Sequence[Json]) -> bool:
    """Whether one of the rungs of a plan would be carried out."""
    return any(one.get("actions") and not one.get("failed") for one in rungs)


Finding = TypedDict("Finding", {"subject": str, "class": str, "finding": str})
"""What a probe found of one subject."""


class Sample(TypedDict):
    """One look at a host after something was done to it."""

    number: int
    at: str | None
    state: str
    good: bool
    message: str


Mode = Literal["plan", "apply"]


class ShownResponse(TypedDict):
    """What the result document holds of a response."""

    run_id: str
    mode: Mode
    procedure: str
    title: str
    classes: dict[str, str]
    findings: list[Finding]
    advice: list[str]
    plan: list[Rung]
    hash: str
    refusals: list[str]
    held: str
    acted: list[Rung]
    samples: list[Sample]
    recovered: bool | None
    recovered_after_s: int | None
    evidence: str
    page: bool
    msg: str


class Response(ShownResponse):
    """What is planned for a host and done to it; ``procedure`` is empty where it answers incidents."""

    incidents: list[Incident]
    noted: dict[str, Any]


def response(
    run_id: str,
    mode: Mode,
    *,
    procedure: str = "",
    title: str = "",
    incidents: Sequence[Incident] = (),
    classes: Mapping[str, str] | None = None,
    findings: Sequence[Finding] = (),
    advice: Sequence[str] = (),
    noted: Json | None = None,
    refusals: Sequence[str] = (),
    held: str = "",
) -> Response:
    """A response that begins: nothing of it is planned or done yet.

    Args:
        run_id: name of the run in the host's ledger.
        mode: whether it may act.
        procedure: of ``policy_procedures``.
        title: of the procedure, for people.
        incidents: that it answers.
        classes: of fault, by subject.
        findings: what the probes found.
        advice: on scaling.
        noted: what was found that calls for a person.
        refusals: why nothing may be done.
        held: who keeps automation off the host until a known time, where that is among them.
    """
    return {
        "run_id": run_id,
        "mode": mode,
        "procedure": procedure,
        "title": title,
        "incidents": list(incidents),
        "classes": dict(classes or {}),
        "findings": list(findings),
        "advice": list(advice),
        "noted": dict(noted or {}),
        "plan": [],
        "hash": "",
        "refusals": list(refusals),
        "held": held,
        "acted": [],
        "samples": [],
        "recovered": None,
        "recovered_after_s": None,
        "evidence": "",
        "page": False,
        "msg": "",
    }


def shown(whole: Json) -> dict[str, Any]:
    """Of a response what the result document holds."""
    return {key: whole[key] for key in ShownResponse.__annotations__ if key in whole}
