# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the whole fleet must be left alone: too many hosts have one cause, or were acted upon for it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.shapes import Json, mapping
from ...module_utils.state.guard import ATTEMPTED
from ...module_utils.times import from_text


def fleet_breaker(hosts: Mapping[str, Any], others: Sequence[Any], size: int, policy: Json, now: str) -> dict[str, Any]:
    """The causes for which no host may be touched in this run.

    Args:
        hosts: by name, what each host of the run found: ``incidents``, and the ``recent`` entries of its ledger.
        others: what module guard answered on hosts that the run leaves out, each with its name as ``item``.
        size: hosts of the whole fleet.
        policy: ``share``, ``at_least``, ``within`` (seconds).
        now: the moment to which ``within`` counts.
    """
    fleet: dict[str, dict[str, Any]] = {}
    for name, raw in hosts.items():
        found = mapping(raw)
        causes = [incident["cause"] for incident in found.get("incidents", [])]
        fleet[name] = {"causes": causes, "acted": _acted(found.get("recent"), found.get("now") or now, policy)}
    for raw in others:
        result, name = mapping(mapping(raw).get("answer")), str(mapping(raw).get("item") or len(fleet))
        fleet[name] = {"causes": [], "acted": _acted(result.get("recent"), now, policy)}
    try:
        share, at_least = float(policy["share"]), int(policy["at_least"])
    except (TypeError, ValueError):
        raise OptionError("policy_breaker_share", policy.get("share"), "a ratio from 0 to 1 is needed") from None
    return breaker(fleet, size, share=share, at_least=at_least)


def breaker_refusals(incidents: Sequence[Json], opened: Mapping[str, Json]) -> list[str]:
    """Why the incidents of a host are not responded to: a line for each cause for which the breaker is open."""
    return [
        f"the breaker is open: {len(found['hosts'])} of {found['fleet']} hosts have the cause {cause}, or were acted "
        f"upon for it ({', '.join(found['hosts'][:5])}), at most {found['allowed']} may. Look for what they share; "
        "-e incident_breaker_reset=true closes it for one run"
        for cause, found in opened.items()
        if cause in [incident["cause"] for incident in incidents]
    ]


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


def _acted(recent: object, now: object, policy: Json) -> list[str]:
    moment = from_text(now) if isinstance(now, str) else None
    causes = []
    for entry in recent if isinstance(recent, list) else []:
        at = from_text(mapping(entry).get("at"))
        late = moment and at and moment - at > timedelta(seconds=float(policy["within"]))
        if mapping(entry).get("result") in ATTEMPTED and entry.get("cause") and not late:
            causes.append(str(entry["cause"]))
    return list(dict.fromkeys(causes))
