# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person has muted: it is looked at and kept as before, and counts for nothing until the mute ends. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ...module_utils.shapes import STATES, Json, mapping, one_line
from ...module_utils.state.mutes import KINDS, Mute, is_mute, mute_name, sound_mute
from ...module_utils.times import from_text, to_text
from .shapes import Verdict


def in_force(rows: Iterable[object], *, now: datetime, longest_s: float) -> list[Mute]:
    """The mutes that hold at a moment; of several of one thing the newest.

    Args:
        rows: mutes, as a host or the controller keeps them; what is none is left out.
        now: by the controller's clock, as their ends are.
        longest_s: for how many seconds anything may be muted. What would be muted for longer is not: no file of a host
            mutes it for ever.
    """
    found: dict[str, Mute] = {}
    for row in rows:
        if not is_mute(row):
            continue
        mute = sound_mute(row, "mutes")
        end = from_text(mute["until"])
        if end is None or not now < end <= now + timedelta(seconds=longest_s):
            continue
        before = found.get(mute_name(mute))
        if before is None or before["since"] <= mute["since"]:
            found[mute_name(mute)] = mute
    return [found[name] for name in sorted(found)]


def parsed(text: str) -> tuple[str, str]:
    """Kind and name of what a person names: ``component:ffmpeg``, ``check:clock``, ``host``.

    Raises:
        ValueError: it is none of these.
    """
    what, colon, name = text.strip().partition(":")
    if what not in KINDS or (what == "host") == bool(colon) or (colon and not name.strip()):
        raise ValueError("component:NAME, check:NAME or host is needed")
    return what, name.strip()


def made(text: str, *, reason: str, by: str, seconds: float, now: datetime) -> Mute:
    """A mute that begins now; what it names is looked at by who asks for it.

    Raises:
        ValueError: it names nothing that can be muted.
    """
    what, name = parsed(text)
    until = to_text(now + timedelta(seconds=seconds))
    return {"what": what, "name": name, "reason": reason, "by": by, "since": to_text(now), "until": until}


def said(mute: Mapping[str, Any]) -> str:
    """Who muted it, until when and why, for people."""
    return one_line(f"muted until {mute['until']} by {mute['by'] or '?'}: {mute['reason']}", 200)


def muted_components(mutes: Iterable[Mute]) -> dict[str, str]:
    """By component, who muted it, until when and why."""
    return {mute["name"]: said(mute) for mute in mutes if mute["what"] == "component"}


def muted_host(mutes: Iterable[Mapping[str, Any]]) -> str:
    """Who muted the host, until when and why; empty where nobody has."""
    return next((said(mute) for mute in mutes if mute["what"] == "host"), "")


def is_muted_host(verdicts: Iterable[object]) -> bool:
    """Whether verdicts are those of a host that is muted as a whole."""
    return any(mapping(mapping(one).get("muted")).get("what") == "host" for one in verdicts)


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
    return sorted(found, key=_rank)


def _rank(one: Verdict) -> tuple[int, int]:
    """Worst first, and among those that are ok what is so by a mute alone."""
    muted = one.get("muted")
    return -STATES.index(one["state"]), -STATES.index(muted["state"]) if muted else 0


def _muted(one: Verdict, mute: Mute) -> Verdict:
    made: Verdict = {**one, "muted": {**mute, "state": one["state"]}}
    if one["state"] == "ok":
        return made
    message = one_line(f"{one['message']} ({one['state']}, {said(mute)})", 500)
    return {**made, "state": "ok", "message": message, "action": "", "playbook": ""}


def muted_findings(mute: Mapping[str, Any], found: Json) -> list[str]:
    """What counts for nothing by a mute, a line for each.

    Args:
        mute: that holds.
        found: on the host, ``verdicts`` and ``details``.
    """
    if mute["what"] == "component":
        rows = mapping(found.get("details")).get("components") or []
        return [
            f"{row['component']} is {row['status']}: {row['message']}"
            for row in rows
            if row["component"] == mute["name"] and row["status"] != "healthy"
        ]
    of_it = [
        one
        for one in found.get("verdicts") or []
        if (mapping(one.get("muted")).get("what"), mapping(one.get("muted")).get("name"))
        == (mute["what"], mute["name"])
    ]
    return [str(one["message"]) for one in of_it if one["muted"]["state"] != "ok"]
