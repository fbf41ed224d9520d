# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person has muted: it is looked at and kept as before, and counts for nothing until the mute ends. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...module_utils.shapes import STATES, Json, mapping, one_line
from ...module_utils.state.mutes import Mute, is_mute, mute_name
from ...module_utils.times import from_text
from .shapes import Observation, Verdict, observation


def in_force(*kept: object, now: datetime) -> list[Mute]:
    """The mutes of some lists that hold at a moment; of several of one thing the one that holds longest.

    Args:
        kept: lists of mutes, as a host or the controller keeps them; what is none is left out.
        now: by the controller's clock, as their ends are.
    """
    found: dict[str, Mute] = {}
    for rows in kept:
        for row in rows if isinstance(rows, Sequence) and not isinstance(rows, str) else []:
            if is_mute(row) and (end := from_text(row["until"])) is not None and end > now:
                before = found.get(mute_name(row))
                if before is None or str(before["until"]) < str(row["until"]):
                    found[mute_name(row)] = row
    return [found[name] for name in sorted(found)]


def said(mute: Mapping[str, Any]) -> str:
    """Who muted it, until when and why, for people."""
    return one_line(f"muted until {mute['until']} by {mute['by'] or '?'}: {mute['reason']}", 200)


def muted_components(mutes: Iterable[Mute]) -> dict[str, str]:
    """By component, who muted it, until when and why."""
    return {mute["name"]: said(mute) for mute in mutes if mute["what"] == "component"}


def muted_host(mutes: Iterable[Mapping[str, Any]]) -> str:
    """Who muted the host, until when and why; empty where nobody has."""
    return next((said(mute) for mute in mutes if mute["what"] == "host"), "")


def is_muted_host(verdicts: Iterable[Json]) -> bool:
    """Whether verdicts are those of a host that is muted as a whole."""
    return any(mapping(one.get("muted")).get("what") == "host" for one in verdicts)


def without_muted(verdicts: Sequence[Verdict], mutes: Iterable[Mute]) -> list[Verdict]:
    """The verdicts, worst first, where what is muted counts as ok and says what it would be.

    A verdict that is muted already stays as it is, so that what is judged in several steps can be given again.
    """
    known = list(mutes)
    host = next((mute for mute in known if mute["what"] == "host"), None)
    by_check = {mute["name"]: mute for mute in known if mute["what"] == "check"}
    found = []
    for one in verdicts:
        mute = host or by_check.get(one["check"])
        found.append(one if mute is None or one.get("muted") else _muted(one, mute))
    return sorted(found, key=lambda one: -STATES.index(one["state"]))


def _muted(one: Verdict, mute: Mute) -> Verdict:
    made: Verdict = {**one, "muted": {**mute, "state": one["state"]}}
    if one["state"] == "ok":
        return made
    message = one_line(f"{one['message']} ({one['state']}, {said(mute)})", 500)
    return {**made, "state": "ok", "message": message, "action": "", "playbook": ""}


def observe_mutes(answer: object, mutes: Sequence[Mapping[str, Any]]) -> Observation:
    """How many mutes hold, all of them named; a fault where those that the host keeps cannot be read.

    Args:
        answer: key ``mutes`` of pipeline_info's result; None where it was not asked for.
        mutes: those in force.
    """
    if answer is None:
        return observation(None, "count", applicable=False, note="not asked for")
    kept = mapping(answer)
    if kept.get("state") != "ok":
        reason = one_line(kept.get("reason") or "the mutes cannot be read")
        return observation(None, "count", fault="missing", reason=f"{reason}; what they mute counts")
    return observation(len(mutes), "count", note="; ".join(f"{mute_name(mute)} {said(mute)}" for mute in mutes))
