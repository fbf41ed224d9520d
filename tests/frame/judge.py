"""What holds however a run goes, and what of it a run broke. Pure, over what the run left (world.Left)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .world import CRITICAL, DOWN, HOSTS, TTL_S, WELL, Fault, Left, Playbook

# After these nothing of a host can be lost: what they say is said elsewhere, too.
HARMLESS = {"ansible.builtin.debug", "debug", "media_ops.runbook.gate"}
_WELL_ENOUGH = ("ok", "warning")


def broken(playbook: Playbook, base: Left, left: Left, fault: Fault | None = None) -> list[str]:
    """The promises that a run broke, a line each; none where all held.

    Args:
        base: what a run of the same playbook, on such a fleet, leaves without a fault.
    """
    return [
        *_end(playbook, base, left, fault),
        *_lost(base, left, fault),
        *_told(playbook, base, left, fault),
        *_leases(left, fault),
        *_acts(base, left),
    ]


def _end(playbook: Playbook, base: Left, left: Left, fault: Fault | None) -> Iterator[str]:
    # A fleet that is well ends with 0, where nothing was lost.
    lost = (fault and is_loss(base, fault)) or (playbook.check and left.result is None)
    if left.code == 0 and (CRITICAL in playbook.hosts or lost):
        yield "exit code 0"
    elif left.code < 0:
        yield f"the run was ended by signal {-left.code}, or had to be"
    if "Traceback (most recent call last)" in left.screen:
        yield "a traceback on the screen"
    for host in playbook.hosts:
        # Playbooks without a report judge nothing: there Ansible's own recap tells.
        recap = not playbook.check and re.search(rf"^{host} +: ok=", left.screen, re.MULTILINE)
        if host not in left.states and not recap:
            yield f"no verdict for {host}"
    for host in (CRITICAL, DOWN) if playbook.sees else (DOWN,):
        if left.states.get(host) == "ok":
            yield f"{host} is ok in the table"


def _lost(base: Left, left: Left, fault: Fault | None) -> Iterator[str]:
    """What failed on a host that is well leaves it not well, where something could be lost by it."""
    if fault and left.states.get(WELL) == "ok" and is_loss(base, fault):
        yield f"the fault hit {WELL}, and its verdict is ok"


def is_loss(base: Left, fault: Fault) -> bool:
    """Whether the fault hit the well host's own part of a run, and something of it could be lost."""
    hit = [line for line in base.trace if line["k"] == fault.k and line["host"] == WELL]
    return bool(WELL in fault.hosts and hit and not hit[0]["run_once"] and hit[0]["action"] not in HARMLESS)


def _told(playbook: Playbook, base: Left, left: Left, fault: Fault | None) -> Iterator[str]:
    if not playbook.tells:
        return
    for host in (CRITICAL, DOWN):
        if host in playbook.hosts and base.told[host] and not left.told[host]:
            yield f"nobody was told of {host}"
    if left.told[WELL] and left.states.get(WELL) == "ok":
        yield f"people were called for {WELL}, which is ok"
    if (most := max(left.told.values())) > 2:
        yield f"people were called {most} times for one host"


def _leases(left: Left, fault: Fault | None) -> Iterator[str]:
    """A lease is left behind by a host that was lost, or a run that died, alone, and ends by itself.

    With a full disk Ansible sends no module to any host, as it writes each to a file before: to this run all are lost.
    """
    for host, seconds in left.leases.items():
        kind = fault.fault if fault else ""
        if not (kind in ("killed", "disk_full") or (kind == "unreachable" and fault and host in fault.hosts)):
            yield f"the lease of {host} is left behind"
        elif seconds > TTL_S:
            yield f"the lease of {host} does not end in its time"


def _acts(base: Left, left: Left) -> Iterator[str]:
    for host in HOSTS:
        if more := left.begun[host] - base.begun[host]:
            yield f"on {host} was done what was not planned: {', '.join(sorted(more))}"
        if more := left.deleted.get(host, set()) - base.deleted.get(host, set()):
            yield f"on {host} was deleted what was not planned: {', '.join(sorted(more))}"
        if left.deleted.get(host) and not left.begun[host]:
            yield f"on {host} was deleted what is not on record"


def differs(playbook: Playbook, base: Left, left: Left, refusal: str) -> list[str]:
    """What a setting of a site broke: a run goes as without it, or refuses and says a word that `refusal` matches."""
    wrong = broken(playbook, base, left)
    for host in playbook.hosts:
        was, now = base.states.get(host), left.states.get(host)
        if was and now and was != now and not (was in _WELL_ENOUGH and now in _WELL_ENOUGH):
            wrong.append(f"{host} is {now}, and {was} without the setting")
        if base.begun[host] - left.begun[host]:
            wrong.append(f"on {host} was not done what is done without the setting")
    acted = any(left.begun.values()) or any(left.deleted.values())
    if wrong and not acted and left.code > 0 and not left.told[WELL] and re.search(refusal, left.screen):
        return []
    return wrong


def row_of(fault: Fault, base: Left) -> Mapping[str, Any]:
    """The task that a fault hits, as the run without a fault has it."""
    return next(line for line in base.trace if line["k"] == fault.k)
