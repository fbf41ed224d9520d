# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a response goes to the ledger of a host and into the result document. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.shapes import Json, mapping, number, one_line
from ..judging.shapes import Rung, rung
from .beside import noted_by, unseen_by, urgent_by
from .diagnosis import failure_of
from .held_open import SAID_FROM_BYTES, held_said, not_freed_said
from .ladder import is_hash


def planned_rung(row: Json, result: object) -> Rung:
    """A rung with what it would do, or did, by the result of its module."""
    acted = mapping(result)
    plan_hash = str(acted.get("hash") or "")
    failure = failure_of(acted, "plan") or (
        "" if is_hash(plan_hash) else "no answer: its hash is not 12 hexadecimal digits"
    )
    actions: list[Any] = [dict(action) for action in acted.get("plan") or [] if isinstance(action, Mapping)]
    failed = [action for action in actions if action.get("result") == "failed"]
    refusals = "; ".join(one_line(line) for line in acted.get("refusals") or [])
    as_of = number(acted.get("as_of"))
    noted, left = ([], 0) if failure else noted_by(row["act"], acted)
    return rung(
        row,
        actions,
        plan_hash="" if failure else plan_hash,
        changed=bool(acted.get("changed")),
        failed=bool(failure or failed or refusals),
        msg=failure or one_line(refusals or acted.get("msg") or _space(acted), 300),
        unseen=[] if failure else unseen_by(row["act"], mapping(row.get("args")), acted),
        noted=noted,
        noted_left=left,
        urgent=[] if failure else urgent_by(row["act"], acted),
        as_of=None if as_of is None else float(as_of),
    )


def planned_rungs(rows: Sequence[Json]) -> list[Rung]:
    """The rungs of a loop of action rung; one that gave none could not be planned, and is not left out for it.

    Args:
        rows: the loop's results. Those that were skipped are not enabled.
    """
    made: list[Any] = []
    for row in rows:
        if "rung" in row:
            made.append(row["rung"])
        elif not row.get("skipped"):
            made.append(
                rung(row["item"], failed=True, msg=f"could not be planned: {one_line(row.get('msg') or 'no answer')}")
            )
    return made


def with_caps(rungs: Sequence[Rung], reached: Sequence[Json]) -> list[Rung]:
    """The rungs, with what of them would be refused since it was done often enough.

    Args:
        rungs: planned.
        reached: ``caps_reached`` of module guard.
    """
    made: list[Rung] = []
    for one in rungs:
        actions = {action["action"] for action in one["actions"]}
        causes = ("", taken_for(one, ""))
        lines = [row["why"] for row in reached if row["action"] in actions and row["taken_for"] in causes]
        made.append({**one, "noted": [*one["noted"], *(f"it would be refused: {why}" for why in lines)]})
    return made


def _space(acted: Json) -> str:
    """What a cleanup made of each file system, before and after, and what space deleted files still take."""
    raw = acted.get("free")
    rows = [row for row in raw if isinstance(row, Mapping)] if isinstance(raw, list) else []
    lines = [
        f"{', '.join(map(str, row['roots'][:2]))}: "
        f"{row['before_percent']} % free before, {row['after_percent']} % after"
        for row in rows
        if number(row.get("before_percent")) is not None
        and number(row.get("after_percent")) is not None
        and row.get("roots")
    ]
    held = mapping(acted.get("held_open"))
    worth = (number(held.get("bytes")) or 0) >= SAID_FROM_BYTES
    return "; ".join(filter(None, [*lines, held_said(held) if worth else "", not_freed_said(acted)]))


def taken_for(rung: Json, procedure: str) -> str:
    """What a rung is carried out for, by which caps count it: the cause of an incident, or a procedure."""
    return str(rung.get("cause") or procedure)


def begun(rung: Json, *, controller: str, user: str, procedure: str = "") -> list[dict[str, Any]]:
    """The ledger's entries for a rung that is about to be carried out: they stay, also when the run dies in it."""
    made = entries(rung, {"plan": rung["actions"]}, controller=controller, user=user, procedure=procedure)
    return [{**entry, "result": "started"} for entry in made]


def entries(
    rung: Json, result: object, *, controller: str, user: str, procedure: str = "", begun_as: Json | None = None
) -> list[dict[str, Any]]:
    """The ledger's entries for a rung that was carried out (docs/architecture.md, record).

    What a module refused before it did anything, as its own plan shows, is no action: ``skipped``. So is what was begun
    (``begun_as``, the rung as it was planned), and of which the module found nothing left to do.
    """
    acted = mapping(result)
    common = {
        "incident": rung.get("incident", ""),
        "cause": rung.get("cause", ""),
        "taken_for": taken_for(rung, procedure),
        "controller": controller,
        "user": user,
    }
    failure = failure_of(acted, "plan")
    # A module that gave no plan leaves what was begun without any other result.
    plan = acted.get("plan") or (rung.get("actions") if failure else None) or []
    if not plan and begun_as and not failure:
        plan = [{**action, "result": "skipped", "msg": "nothing was left to do"} for action in begun_as["actions"]]
    refused = bool(acted.get("plan")) and all(mapping(one).get("result") == "planned" for one in acted["plan"])
    not_done = "skipped" if refused else "failed"
    listed = [
        {
            **common,
            "action": action["action"],
            "steps": action["steps"],
            "target": one_line(action["target"], 200),
            "why": one_line(action["why"], 200),
            "proof": bounded(action.get("proof")),
            "result": not_done if failure and action["result"] == "planned" else action["result"],
            "msg": one_line(action["msg"] or failure, 200),
        }
        for action in plan
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
                "msg": failure,
            }
        ]
    return listed[:200]


def bounded(proof: object) -> dict[str, str]:
    """A proof for the ledger and for people: ten lines at most, each short."""
    return {
        str(key): one_line(", ".join(map(str, value)) if isinstance(value, list) else value, 300)
        for key, value in list(mapping(proof).items())[:10]
        if value not in ([], "", None)
    }


def decision(action: str, response: Json, *, controller: str, user: str) -> dict[str, Any]:
    """The ledger's entry for a decision: refused, paged, recovered."""
    first: Json = next(iter(response.get("incidents") or []), {})
    # What was treated, and not whatever else there was, is what a recovery answers.
    helped: Json = next(iter((response.get("acted") or [])[-1:]), {}) if action == "recovered" else {}
    procedure = response.get("procedure") or ""
    # By which a later run asks whether this came before it.
    done = [rung["act"] for rung in response.get("acted") or [] if not rung["failed"]]
    return {
        "action": action,
        **({"procedure": procedure, "acts": list(dict.fromkeys(done))} if procedure else {}),
        "incident": first.get("incident", ""),
        "cause": helped.get("cause") or first.get("cause", ""),
        "steps": [],
        "target": "host",
        "why": one_line("; ".join(response.get("refusals") or []) or response.get("msg") or "", 300),
        "result": "decided",
        "msg": "",
        "controller": controller,
        "user": user,
    }
