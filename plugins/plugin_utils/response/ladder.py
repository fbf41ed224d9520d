# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The escalation ladders: which rungs follow, in which order, and whether one has helped. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ...module_utils.errors import MediaOpsError
from ...module_utils.plan import drift
from ...module_utils.shapes import Json, mapping


def ladder(
    incidents: Sequence[Json], classes: Mapping[str, str], ladders: Mapping[str, Sequence[Json]]
) -> list[dict[str, Any]]:
    """The rungs for all incidents in the order in which they are tried: most urgent first, each once, restarts last.

    What several causes call for needs only what it needs for each of them.
    """
    found: list[dict[str, Any]] = []
    for incident in incidents:
        for rung in rungs(incident["cause"], classes, ladders):
            same = next((other for other in found if _is_same(other, rung)), None)
            if same:
                same["needs"] = _either(same.get("needs") or {}, rung.get("needs") or {})
                if rung["act"] == "service_control":
                    same.update(_joined_restart(same, rung))
            else:
                found.append(
                    {
                        **rung,
                        "incident": incident["incident"],
                        "cause": incident["cause"],
                        "priority": incident["priority"],
                    }
                )
    return sorted(found, key=lambda rung: rung["act"] == "service_control")


def _either(one: Json, other: Json) -> dict[str, list[str]]:
    return {
        name: [*one[name], *(kind for kind in other[name] if kind not in one[name])] for name in one if name in other
    }


def _is_same(one: Json, other: Json) -> bool:
    """Whether two rungs do the same; a service is not restarted twice, whatever for."""
    if one["act"] != other["act"]:
        return False
    if one["act"] == "service_control":
        return bool(one["args"].get("state") == other["args"].get("state"))
    return bool(one["args"] == other["args"])


def _joined_restart(one: Json, other: Json) -> dict[str, Any]:
    """What changes of a restart that another cause calls for, too: it is to cure both, and done where one needs it."""
    args = {key: value for key, value in one["args"].items() if key != "only_needed" or other["args"].get(key)}
    return {"args": args, "cured": {**other.get("cured", {}), **one.get("cured", {})}}


def rungs(cause: str, diagnosis: Mapping[str, str], ladders: Mapping[str, Sequence[Json]]) -> list[dict[str, Any]]:
    """The rungs of the cause's ladder that the diagnosis calls for, in its order; none where a person must act.

    Args:
        cause: of the incident.
        diagnosis: what was found out, class by subject, such as ``{"ffmpeg": "missing"}``.
        ladders: ``policy_ladders``. A rung is taken when each subject of its ``when`` has one of the classes named.
    """
    taken = []
    for rung in ladders.get(cause, []):
        lacking = [key for key in ("rung", "act", "when") if key not in rung]
        if lacking:
            raise MediaOpsError(f"policy_ladders: a rung of '{cause}' lacks {', '.join(lacking)}")
        if all(diagnosis.get(subject) in classes for subject, classes in rung["when"].items()):
            taken.append({"args": {}, **rung})
    return taken


def with_lost(rungs: Sequence[Json], probes: Json) -> list[dict[str, Any]]:
    """The rungs, a restart with the sessions that only it ends: these are listed, and no merges that it would lose.

    Args:
        rungs: of the ladders.
        probes: answers of the looks, by subject.
    """
    raw = mapping(probes.get("sessions")).get("restart_needed")
    lost = [str(one) for one in raw] if isinstance(raw, list) else []
    if not lost:
        return [dict(rung) for rung in rungs]
    return [
        {**rung, "args": {**rung["args"], "lost_sessions": lost}} if rung["act"] == "service_control" else dict(rung)
        for rung in rungs
    ]


def is_enabled(rung: Json) -> bool:
    """Whether a rung of a procedure is part of its work."""
    return bool(boolean(rung.get("enabled", True)))


def cured(rung: Json, classes: Mapping[str, str]) -> bool:
    """Whether the probe says that what the rung was for is gone."""
    return all(classes.get(subject) in wanted for subject, wanted in rung.get("cured", {}).items())


def lacking(rung: Json, classes: Mapping[str, str]) -> list[str]:
    """Why a rung would do no good as the host stands now, in lines; nothing where it is to be tried.

    Args:
        rung: with what it ``needs``, by subject the classes that it does some good with.
        classes: as they were last seen; a subject that nobody looked at is ``unknown``.
    """
    return [
        f"{subject} is {classes.get(subject, 'unknown')}"
        for subject, wanted in (rung.get("needs") or {}).items()
        if classes.get(subject, "unknown") not in wanted
    ]


def drifted(found: str, approved: str, of_all: str = "") -> list[str]:
    """Why a plan may not be carried out, in one line, where another one was approved; else nothing.

    Args:
        found: hash of the host's plan, made just now.
        approved: hash that a person approved, of the host's plan or that of the whole run; "" where none is asked for.
        of_all: hash of the plans of all hosts of the run, "" where it is not known.
    """
    if not approved or approved in (found, of_all):
        return []
    return [drift(approved, f"{found} ({of_all} for all hosts)" if of_all and of_all != found else found)]


def is_hash(text: str) -> bool:
    """Whether a text is a hash of a plan, 12 hexadecimal digits, or "" for none. It stands in commands to copy."""
    return re.fullmatch("([0-9a-f]{12})?", text) is not None


def joined_hash(parts: Sequence[str]) -> str:
    """One hash over several, in their order; of one, it is that one; of none, ""."""
    if len(parts) <= 1:
        return "".join(parts)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
