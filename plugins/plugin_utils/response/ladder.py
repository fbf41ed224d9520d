# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about a cause, in which order, and when the whole fleet must be left alone. Pure: data in, data out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.errors import MediaOpsError, OptionError
from ...module_utils.shapes import Json


def rungs(cause: str, diagnosis: Mapping[str, str], ladders: Mapping[str, Sequence[Json]]) -> list[dict[str, Any]]:
    """The rungs of the cause's ladder that the diagnosis calls for, in its order; none where a person must act.

    Args:
        cause: of the incident.
        diagnosis: what was found out, class by subject, such as ``{"ffmpeg": "missing"}``.
        ladders: ``policy_ladders``. A rung is taken when each subject of its ``when`` has one of the classes named.
    """
    taken = []
    for rung in ladders.get(cause, []):
        lacking = [key for key in ("rung", "act", "when", "steps") if key not in rung]
        if lacking:
            raise MediaOpsError(f"policy_ladders: a rung of '{cause}' lacks {', '.join(lacking)}")
        if all(diagnosis.get(subject) in classes for subject, classes in rung["when"].items()):
            taken.append({"args": {}, **rung})
    return taken


def breaker(fleet: Mapping[str, Json], size: int, *, share: float, at_least: int) -> dict[str, dict[str, Any]]:
    """The causes for which no host may be touched, because too many hosts have them or were acted upon for them.

    Args:
        fleet: by host, ``causes`` found now, and ``acted``, the causes it was acted upon for within the hour.
        size: hosts of the whole fleet, also of those that this run leaves out.
        share: of the fleet that may have one cause, 0 to 1.
        at_least: that many hosts may always have it.
    """
    if not 0 <= share <= 1:
        raise OptionError("policy_breaker_share", share, "a ratio from 0 to 1 is needed (20 % is 0.20)")
    allowed = max(at_least, math.floor(share * max(size, len(fleet))))
    hosts: dict[str, list[str]] = {}
    for host, found in fleet.items():
        for cause in dict.fromkeys([*found.get("causes", []), *found.get("acted", [])]):
            hosts.setdefault(cause, []).append(host)
    return {
        cause: {"hosts": sorted(names), "allowed": allowed, "fleet": max(size, len(fleet))}
        for cause, names in hosts.items()
        if len(names) > allowed
    }
