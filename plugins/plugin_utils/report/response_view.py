# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reports show of the responses to incidents, ready to be laid out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.shapes import Json, one_line

_ACTIONS = 30


def responses(hosts: Sequence[Json]) -> list[dict[str, Any]]:
    """One entry for each host that something was planned, done, refused or found for.

    Args:
        hosts: of the result document.
    """
    return [_response(host["host"], host["response"]) for host in hosts if _worth_showing(host.get("response"))]


def _worth_showing(raw: object) -> bool:
    return isinstance(raw, Mapping) and any(raw.get(key) for key in ("plan", "acted", "refusals", "msg", "advice"))


def _response(name: str, raw: Json) -> dict[str, Any]:
    state, outcome = _outcome(raw)
    acted = bool(raw.get("acted"))
    return {
        "host": name,
        "state": state,
        "outcome": outcome,
        "findings": list(raw.get("findings") or []),
        "advice": list(raw.get("advice") or []),
        "heading": "What was done" if acted else f"Plan {raw.get('hash') or ''}".strip(),
        "rungs": [_rung(rung, acted) for rung in raw.get("acted") or raw.get("plan") or []],
        "samples": list(raw.get("samples") or []),
        "refusals": list(raw.get("refusals") or []),
        "evidence": raw.get("evidence") or "",
    }


def _outcome(raw: Json) -> tuple[str, str]:
    if raw.get("recovered") is True:
        return "ok", raw.get("msg") or "Recovered"
    if raw.get("recovered") is False:
        return "critical", raw.get("msg") or "Not recovered"
    if raw.get("held"):
        return "warning", raw.get("msg") or f"Nothing was done: {raw['held']}"
    if raw.get("refusals"):
        return "unknown", f"Nothing was done: {raw['refusals'][0]}"
    if raw.get("msg"):
        return "unknown", raw["msg"]
    return "warning", "Planned, nothing was done" if raw.get("plan") else "Nothing that automation may do"


def _rung(rung: Json, acted: bool) -> dict[str, Any]:
    actions = list(rung.get("actions") or [])
    return {
        "rung": rung["rung"],
        "steps": ", ".join(rung["steps"]),
        "msg": rung.get("msg") or "",
        "actions": [_action(action, acted) for action in actions[:_ACTIONS]],
        "left": max(0, len(actions) - _ACTIONS),
        "nothing": "nothing was done" if rung.get("failed") or rung.get("unseen") else "nothing to do",
        "unseen": list(rung.get("unseen") or []),
        "noted": list(rung.get("noted") or []),
        "noted_left": rung.get("noted_left") or 0,
    }


def _action(action: Json, acted: bool) -> dict[str, Any]:
    ended = ": ".join(filter(None, [action["result"], action["msg"]])) if acted else ""
    return {
        "what": f"{action['action']} {action['target']}",
        "why": action["why"],
        "proof": "; ".join(f"{key}: {one_line(value, 200)}" for key, value in list(action["proof"].items())[:10]),
        "ended": ended,
        "failed": action["result"] == "failed",
    }
