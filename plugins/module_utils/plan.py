# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans: lists of actions that are shown, hashed, and carried out only if nothing drifted in between."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from .errors import MediaOpsError, OptionError

# What tells actions of one kind apart
_ABOUT = ("session", "pid", "rule", "root", "path", "kind", "unit", "package", "variable", "url")
_SAID_MAX = 5


class Action(TypedDict):
    """One thing to be done, and afterwards what came of it (docs/architecture.md)."""

    action: str
    target: str
    why: str
    steps: list[str]
    stable: dict[str, Any]
    proof: dict[str, Any]
    result: str
    msg: str


def planned(
    action: str,
    target: str,
    why: str,
    steps: Sequence[str],
    *,
    stable: Mapping[str, Any],
    proof: Mapping[str, Any] | None = None,
) -> Action:
    """An action that has not been carried out yet."""
    return {
        "action": action,
        "target": target,
        "why": why,
        "steps": list(steps),
        "stable": dict(stable),
        "proof": dict(proof or {}),
        "result": "planned",
        "msg": "",
    }


def plan_hash(plan: Sequence[Action]) -> str:
    """12 hex digits over what the plan would do, in its order: equal for equal plans, on any host and Python."""
    stable = [{"action": action["action"], "stable": action["stable"]} for action in plan]
    text = json.dumps(stable, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def host_hash(host: str, parts: Sequence[str]) -> str:
    """One hash over the plans of a host, in their order, and its name: it approves them there alone; of none, ""."""
    return _hashed([host, *parts]) if parts else ""


def fleet_hash(plans: Mapping[str, str]) -> str:
    """One hash over hosts and their plans, which approves these on exactly those hosts; of one host, its own.

    Args:
        plans: by host the hash of its plan; one without any is none of those.
    """
    pairs = sorted([host, plan] for host, plan in plans.items() if plan)
    return pairs[0][1] if len(pairs) == 1 else _hashed(pairs) if pairs else ""


def _hashed(data: object) -> str:
    return hashlib.sha256(json.dumps(data, ensure_ascii=True).encode("ascii")).hexdigest()[:12]


def drift(approved: str, found: str) -> str:
    """What is said where a plan that was approved is another now."""
    return f"the plan has drifted: approved was {approved}, now it is {found}; nothing was done. Read the new plan"


def differences(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[str]:
    """What another plan would do that this one would not, in lines.

    Args:
        before: actions of the plan that was approved.
        now: actions of the plan made anew.
    """
    then = {_identity(action): action for action in before}
    found = {_identity(action): action for action in now}
    lines = [f"new: {action['action']} {action['target']}" for key, action in found.items() if key not in then]
    lines += [f"no more: {action['action']} {action['target']}" for key, action in then.items() if key not in found]
    for key in then.keys() & found.keys():
        old, new = then[key]["stable"], found[key]["stable"]
        changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
        counts = [
            f"{name} {old[name]} then, {new[name]} now"
            for name in changed
            if isinstance(old.get(name), int) and isinstance(new.get(name), int)
        ]
        if changed:
            lines.append(f"{found[key]['target']}: {', '.join(counts) or f'{changed[0]} is another'}")
    return sorted(lines)


def _identity(action: Mapping[str, Any]) -> tuple[str, ...]:
    """What an action is about, of all that may change of it."""
    stable = action["stable"]
    return (action["action"], *(f"{name}={stable[name]}" for name in _ABOUT if name in stable))


def require_approval(approved: str | None) -> None:
    """Refuse an empty hash, as a variable that was not set gives it: nothing was approved by it, and not everything.

    Raises:
        OptionError: it is empty.
    """
    if approved is not None and not approved.strip():
        raise OptionError("plan_hash", approved, "must be the hash of a plan that was approved; leave it out for none")


def require_hash(plan: Sequence[Action], approved: str | None, since: Sequence[str] = ()) -> None:
    """Raise where a plan was approved and the plan made anew is another; the error carries the new plan.

    Only the hash of the approved plan is known here, so what is said is what the plan would do now, with the dates
    of the proofs, and what the module knows to have changed meanwhile.

    Args:
        plan: made just now.
        approved: the hash that a person approved, or None where none is asked for.
        since: what is known to have changed since the approved plan, a line for each.

    Raises:
        OptionError: the hash is empty.
        MediaOpsError: the plan is another.
    """
    require_approval(approved)
    if approved is None:
        return
    found = plan_hash(plan)
    if approved != found:
        now = "; ".join(map(_said, plan[:_SAID_MAX])) or "there is nothing to do"
        more = f"; and {len(plan) - _SAID_MAX} actions more" if len(plan) > _SAID_MAX else ""
        changed = f". Since the approval: {'; '.join(since)}" if since else ""
        said = f"{drift(approved, found)}: {now}{more}{changed}"
        raise MediaOpsError(said, plan=list(plan), hash=found)


def _said(action: Action) -> str:
    newest = action["proof"].get("newest")
    dated = f", the newest of {newest}" if newest else ""
    return f"{action['action']} {action['target']}{dated}"
