# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the rows of all hosts to one table, and to what is to be done, one step after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ...module_utils.commands import AWX
from ...module_utils.shapes import STATES, Json, one_line, worst_state
from ..judging.shapes import Verdict
from ..judging.verdict import host_state
from ..report.commands import Commands
from ..report.result import SCHEMA_VERSION
from .rows import BELOW, PREPARE

CONTROLLER = "controller"
_FIRST = "daily_morning_health_check"
_SELF = "check_setup"
_STEPS_MAX = 12
_WAY = ("inventory", "ssh", "python")
# What prepare_hosts allows is for the service's user and its restart: they are set before
_BEFORE = (*_WAY, "service_user", "sudo")
_NAMED_MAX = 5


class Places(NamedTuple):
    """The files of the inventory that lines belong into.

    Attributes:
        of_all: the fleet's; "" where the run saw a part of it, which says nothing of the others.
        of_hosts: the directory of the hosts' own.
    """

    of_all: str
    of_hosts: str


def summary_of(
    rows: Mapping[str, Sequence[Verdict]],
    own: Sequence[Verdict],
    *,
    fail_on: Sequence[str],
    following: Sequence[Json],
) -> dict[str, Any]:
    """What the table is drawn from, after the shape of that of a report.

    Args:
        rows: by host.
        own: the rows of the controller.
        fail_on: the states that fail the run.
        following: what is to be done, as :func:`steps` says.
    """
    states = {host: host_state(list(found)) for host, found in rows.items()}
    state = worst_state([*states.values(), *([host_state(list(own))] if own else [])])

    def worst(found: Sequence[Verdict]) -> Verdict:
        return max(found, key=lambda row: STATES.index(row["state"]))

    return {
        "schema_version": SCHEMA_VERSION,
        "title": "Check of the setup",
        "state": state,
        "failed": state in fail_on,
        "summary": {"hosts": len(states), **{one: list(states.values()).count(one) for one in STATES}},
        "hosts": [
            {"host": host, "state": states[host], "check": worst(found)["check"], "message": worst(found)["message"]}
            for host, found in rows.items()
        ],
        "findings": findings({CONTROLLER: own, **rows}),
        "incidents": [],
        "refused": [],
        "muted": [],
        "next": list(following),
        "reports": [],
        "problems": [],
    }


def findings(rows: Mapping[str, Sequence[Verdict]]) -> list[dict[str, Any]]:
    """The rows of all hosts: what is the same on several is one row of them; worst first, then as they are mended."""
    joined: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    order: dict[str, int] = {}
    for host, found in rows.items():
        for row in found:
            order.setdefault(row["check"], len(order))
            key = (row["state"], row["check"], row["message"], _cure(row))
            made = dict(zip(("state", "check", "message", "action"), key, strict=True))
            joined.setdefault(key, {**made, "hosts": []})["hosts"].append(host)
    return sorted(joined.values(), key=lambda row: (-STATES.index(row["state"]), order[row["check"]]))


def _cure(row: Verdict) -> str:
    if row["state"] == "ok":
        return ""
    return row["action"] or (f"run {row['playbook']}" if row["playbook"] else "")


def steps(
    rows: Mapping[str, Sequence[Verdict]],
    lines: Mapping[str, Mapping[str, str]],
    own: Sequence[Verdict],
    *,
    fail_on: Sequence[str],
    commands: Commands,
    places: Places,
) -> list[dict[str, Any]]:
    """What is to be done, in order: first what all else stands on.

    Args:
        rows: by host.
        lines: by host, the lines that would mend some, by their names.
        own: the rows of the controller.
        fail_on: the states that fail the run.
        commands: makes commands.
        places: where lines belong.
    """
    every = {CONTROLLER: own, **rows}
    bad = [(host, row) for host, found in every.items() for row in found if row["state"] in fail_on]
    prepare = list(dict.fromkeys(host for host, row in bad if row["playbook"] == PREPARE))
    # What a line mends is said with the line.
    others = [
        (host, row) for host, row in bad if not row["playbook"] and not (lines.get(host) and BELOW in row["action"])
    ]
    found: list[dict[str, Any]] = _cures((host, row) for host, row in others if row["check"] in _BEFORE)
    found += _set(lines, rows, places)
    if prepare:
        found.append(_prepare(prepare, commands.of(PREPARE, [] if set(prepare) == set(rows) else prepare)))
    found += _cures((host, row) for host, row in others if row["check"] not in _BEFORE)
    if found:
        again = {"why": "Then look again", "command": commands.again(_SELF, [], {})}
        return _numbered([*found[:_STEPS_MAX], again])
    return [
        {"why": "All that the playbooks need is there. Now run the morning check", "command": commands.of(_FIRST, [])}
    ]


def _cures(rows: Iterable[tuple[str, Verdict]]) -> list[dict[str, Any]]:
    """What mends the rows, each cure once with its hosts."""
    named: dict[str, list[str]] = {}
    for host, row in rows:
        said = f"{row['message']}. {row['action']}" if row["check"] == "inventory" else row["action"] or row["message"]
        named.setdefault(f"{row['check']}: {said}", []).append(host)
    return [{"why": f"{_names(hosts)}: {text}"} for text, hosts in named.items()]


def _names(hosts: Sequence[str]) -> str:
    shown = list(dict.fromkeys(hosts))
    more = f" and {len(shown) - _NAMED_MAX} more" if len(shown) > _NAMED_MAX else ""
    return f"{', '.join(one_line(host, 60) for host in shown[:_NAMED_MAX])}{more}"


def _prepare(hosts: Sequence[str], command: str) -> dict[str, Any]:
    why = (
        f"{_names(hosts)}: prepare them, as a user who may log in there and become root (put its name in the place of "
        "admin). So that the user who is made may log in, set prepare_authorized_keys to a list with your public key"
    )
    return {"why": why, "command": command if command.startswith(AWX) else f"{command} -e ansible_user=admin -K"}


def _set(
    lines: Mapping[str, Mapping[str, str]], rows: Mapping[str, Sequence[Verdict]], places: Places
) -> list[dict[str, Any]]:
    """The lines to paste: those of all hosts into the file of all, else each host's into its own."""
    texts = {host: list(of_host.values()) for host, of_host in lines.items() if of_host}
    if not texts:
        return []
    alike = places.of_all and set(texts) == set(rows) and len({tuple(of_host) for of_host in texts.values()}) == 1
    said = "in the place of a line of that name there, paste into"
    if alike:
        return [{"why": f"{_names(list(rows))}: {said} {places.of_all}:", "lines": next(iter(texts.values()))}]
    return [
        {"why": f"{_names([host])}: {said} {places.of_hosts}/{one_line(host, 200)}.yml:", "lines": of_host}
        for host, of_host in texts.items()
    ]


def _numbered(found: Sequence[Json]) -> list[dict[str, Any]]:
    return [{**row, "why": f"{number}. {row['why']}"} for number, row in enumerate(found, start=1)]
