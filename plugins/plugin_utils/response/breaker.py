# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the whole fleet must be left alone: too many hosts have one cause or were acted upon for it. Pure.

What a host's ledger says is that host's word. It makes that one host count for the causes that it names, and no other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.shapes import Json, mapping, number, one_line

_SHOWN = 5
_PARTIAL = "-e incident_partial_fleet=true acts all the same"


def fleet_breaker(hosts: Mapping[str, Any], others: Mapping[str, Any], policy: Json, *, size: int) -> dict[str, Any]:
    """The causes for which no host may be touched in this run, and what of the fleet could not be seen.

    A host that could not be seen is neither well nor ill: it counts for nothing, and among none.

    Args:
        hosts: by name, what each host of the run found: ``incidents``, and of its ledger ``acted_for``. None of one
            that was not judged, ``acted_for`` None where the ledger could not be read.
        others: by name, what module guard answered on each host of the fleet that the run leaves out.
        policy: ``share``, ``at_least``, ``within`` (seconds), ``unseen_share``, and ``partial``, a person's word that a
            part of the fleet is enough.
        size: how many hosts the fleet has by the inventory's data, 0 where these do not tell.

    Returns:
        ``open``, the causes; ``unseen``, by host why it could not be seen; ``findings`` on the fleet; and ``refusals``,
        why no host may be touched for whatever cause.
    """
    try:
        figures = {key: float(policy[key]) for key in ("share", "within", "unseen_share")}
        at_least = int(policy["at_least"])
    except (TypeError, ValueError):
        raise OptionError("policy_breaker_share", policy.get("share"), "a ratio from 0 to 1 is needed") from None
    if not 0 <= figures["unseen_share"] <= 1:
        raise OptionError("policy_breaker_unseen_share", policy["unseen_share"], "a ratio from 0 to 1 is needed")
    counted: dict[str, dict[str, Any]] = {}
    unseen: dict[str, str] = {}
    for name, raw in {**others, **hosts}.items():
        found = mapping(raw)
        acted = found.get("acted_for")
        if not isinstance(acted, Mapping):
            unseen[name] = one_line(found.get("msg") or ("its ledger was not read" if found else "it was not judged"))
        if isinstance(acted, Mapping) or "incidents" in found:
            causes = [incident["cause"] for incident in found.get("incidents") or []]
            counted[name] = {"causes": causes, "acted": _acted(acted, figures["within"])}
    opened = breaker(counted, len(counted), share=figures["share"], at_least=at_least)
    total = max(size, len({**others, **hosts}))
    told = _partial(total, len({**others, **hosts}), unseen, figures["unseen_share"])
    return {
        "open": opened,
        "unseen": unseen,
        "findings": _findings(unseen, total) if total > 1 else [],
        "refusals": [] if policy.get("partial") or total < 2 else told,
    }


def _partial(total: int, known: int, unseen: Mapping[str, str], most: float) -> list[str]:
    """Why a part of the fleet is not enough to act on, in lines."""
    lines = []
    if known < total:
        lines.append(f"this run knows {known} of the {total} hosts of the fleet (media_ops_fleet_size): {_PARTIAL}")
    if len(unseen) > most * known:
        lines.append(f"{_unseen(unseen, known)}, and nobody knows what was done to them: {_PARTIAL}")
    return lines


def _findings(unseen: Mapping[str, str], total: int) -> list[dict[str, str]]:
    if not unseen:
        return []
    return [{"subject": "fleet", "class": "not_seen", "finding": f"{_unseen(unseen, total)}: they count for nothing"}]


def _unseen(unseen: Mapping[str, str], of: int) -> str:
    shown = ", ".join(f"{name} ({one_line(unseen[name], 160)})" for name in sorted(unseen)[:_SHOWN])
    more = f", and {len(unseen) - _SHOWN} more" if len(unseen) > _SHOWN else ""
    return f"{len(unseen)} of {of} hosts of the fleet could not be seen: {shown}{more}"


def breaker_refusals(incidents: Sequence[Json], opened: Mapping[str, Json]) -> list[str]:
    """Why the incidents of a host are not responded to: a line for each cause for which the breaker is open."""
    return [
        f"the breaker is open: {len(found['hosts'])} of {found['fleet']} hosts have the cause {cause}, or were acted "
        f"upon for it ({', '.join(found['hosts'][:5])}), at most {found['allowed']} may. Look for what they share; "
        "-e incident_breaker_reset=true closes it for one run (policy_breaker_share, policy_breaker_at_least)"
        for cause, found in opened.items()
        if cause in [incident["cause"] for incident in incidents]
    ]


def breaker(fleet: Mapping[str, Json], size: int, *, share: float, at_least: int) -> dict[str, dict[str, Any]]:
    """The causes for which no host may be touched, because too many hosts have them or were acted upon for them.

    Args:
        fleet: by host, ``causes`` found now, and ``acted``, the causes it was acted upon for within the hour.
        size: hosts of the whole fleet that could be seen, also of those that this run leaves out.
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


def _acted(acted_for: object, within: float) -> list[str]:
    """The causes that a host was acted upon for lately, by its own clock."""
    ages = {str(cause): number(age) for cause, age in mapping(acted_for).items()}
    return [cause for cause, age in ages.items() if age is None or age <= within]
