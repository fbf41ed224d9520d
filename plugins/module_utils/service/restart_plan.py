# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a restart: what is done to which main process, what it loses, and what would be refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..plan import Action, planned
from ..shapes import one_line
from ..system.operated import Operated
from . import by_process, by_unit
from .by_process import Command
from .costs import needs_a_yes
from .standing import Service
from .work import NO_WORK, Work

UNTOUCHABLE = ("masked", "not_found", "unknown")
"""Classes in which nothing is done to it."""


def restart_plan(
    service: Service,
    named: Operated,
    wanted: str,
    steps: Sequence[str],
    reason: str | None,
    *,
    work: Work = NO_WORK,
    merges_max: int | None = None,
    drain_s: float = 0,
    command: Command | None = None,
) -> list[Action]:
    """The one action that brings the service to ``wanted``, or none. Pure.

    Args:
        service: as it was seen.
        named: what names it.
        wanted: option ``state``.
        steps: of the runbook.
        reason: for people, None for what is wrong with it.
        work: what is lost with it.
        merges_max: above how many merges a person must approve it, None for any number.
        drain_s: for how long a restart waits for the merges to end.
        command: of the site, for a service without a unit.
    """
    if wanted == "observed" or service.state in UNTOUCHABLE:
        return []
    if wanted == "started" and service.state in ("running", "activating"):
        return []
    method = {"started": "start", "restarted": "restart", "force_restarted": "kill, then start"}[wanted]
    pid, started = service.main
    target, identity, shown = _by_unit(service, named.unit) if command is None else _by_command(named, command)
    asks = merges_max is not None and len(work.merges) > merges_max
    waits = wanted == "restarted" and work.merges and drain_s
    made = planned(
        "restart",
        f"{target} ({method}; now {service.state}{f', pid {pid}' if pid else ''})",
        one_line(reason) if reason else f"it is {service.state}: {service.reason}",
        steps,
        stable={
            **identity,
            "main_pid": pid,
            "started_us": started,
            "class": service.state,
            "method": method,
            # Whoever approves a restart that costs little has not approved one that costs much.
            **({"costs": "much"} if asks else {}),
        },
        proof={
            # First, since it is what a person has to know.
            "merges in work": "",
            **({"waits for them": f"{drain_s:g} s at most"} if waits else {}),
            **({"needs a yes": needs_a_yes(work, merges_max)} if asks and merges_max is not None else {}),
            **shown,
        },
    )
    tell_losses(made, work)
    return [made]


def _by_unit(service: Service, unit: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What a restart of a unit is of: for people, for the hash, and as its proof."""
    names = ("LoadState", "ActiveState", "SubState", "Result", "NRestarts", "KillMode")
    return unit, {"unit": unit}, {name: service.properties.get(name, "") for name in names}


def _by_command(named: Operated, command: Command) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Likewise of a restart by a command of the site."""
    process = named.process
    told_by = process.told_by if process else ""
    who = "root" if command.as_root else "the user that connects"
    identity = {"process": told_by, "command": list(command.argv), "as_root": command.as_root}
    shown = {"main process": f"of user {process.user if process else ''}, by its {told_by}"}
    return "the service", identity, {**shown, "command": command.shown, "run by": who}


def tell_losses(action: Action, work: Work) -> None:
    """Say with an action what it loses by the last look."""
    action["proof"]["merges in work"] = work.said


def dearer(plan: Sequence[Action]) -> list[Action]:
    """The plan as it was while it cost much: whoever approved that has approved what costs less by now."""
    return [{**action, "stable": {**action["stable"], "costs": "much"}} for action in plan]


def nothing_said(service: Service, wanted: str) -> str:
    """Why there is no plan."""
    if wanted == "observed" or service.state in ("running", "activating"):
        return f"{service.state}: {service.reason}"
    return f"nothing is planned, it is {service.state}: {service.reason}"


def refusals(named: Operated, wanted: str, command: Command | None) -> list[str]:
    """Why what ``wanted`` needs would not be allowed, in lines."""
    if command is not None:
        return by_process.refusals(command, wanted)
    return by_unit.refusals(named.unit, wanted)
