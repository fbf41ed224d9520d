# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be told of a fleet, from what each host keeps; and what came of telling it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.alerts.transition import FLEET_PREFIX, dedup_key, is_alert, is_message
from ...module_utils.shapes import Json, mapping, one_line
from ..judging.shapes import Verdict, verdict


def kept_by(answers: Mapping[str, Json]) -> list[str]:
    """The hosts that keep their alert state, which speak of themselves alone."""
    return [host for host, answer in answers.items() if _is_sound(answer, host)]


def _is_sound(answer: Json, host: str) -> bool:
    """Whether all that a host has to tell is of its own.

    One that speaks for another could end the other's alerts, and one that sends no messages could keep all from theirs.
    """
    messages, alerts = answer.get("messages"), answer.get("open")
    return (
        isinstance(messages, list)
        and isinstance(alerts, list)
        and all(is_message(row) and _is_of(row, host) for row in messages)
        and all(is_alert(row) and _is_of(row, host) for row in alerts)
    )


def _is_of(row: Json, host: str) -> bool:
    shared = str(row["dedup_key"]).startswith(FLEET_PREFIX)
    return bool(row["host"] == host) and (shared or row["dedup_key"] == dedup_key(row))


def host_states(answers: Mapping[str, Json], kept: Sequence[str]) -> list[dict[str, Any]]:
    """A verdict for hosts that keep their alert state, one for those that are unreachable, one for those that cannot.

    Args:
        answers: by host, of module alert_state.
        kept: the hosts that keep it, by :func:`kept_by`.
    """
    unreachable = [host for host, answer in answers.items() if answer.get("unreachable") is True]
    return [
        {**_host_state("ok", "State of the host: kept"), "hosts": list(kept)},
        {
            **_host_state(
                "unknown",
                "The host is unreachable, so nothing about it is known",
                "Check that the host is up and that ssh reaches it",
            ),
            "hosts": unreachable,
        },
        {
            **_host_state(
                "unknown",
                "The host does not keep its alert state, so nothing about it is told",
                'Read the failure of the task "See what there is to tell"; the playbook prepare_hosts makes the '
                "directory",
            ),
            "hosts": [host for host in answers if host not in kept and host not in unreachable],
        },
    ]


def _host_state(state: str, message: str, action: str = "") -> Verdict:
    return verdict("host_state", "State of the host", "", state, message, action=action)


def joined(answers: Sequence[Json], fleet: Json, key: str) -> list[Any]:
    """The rows of all hosts that keep their state, and of those that the controller keeps."""
    rows = [row for answer in answers for row in answer.get(key) or []]
    return rows + list(fleet.get(key) or [])


def problem_of(sent: Json) -> str:
    """Why not everything was told, in one sentence; empty where it was."""
    failures = sent.get("failures")
    if not isinstance(failures, list):
        return str(sent.get("msg") or "Not notified: no answer")
    said = [f"{mapping(row).get('channel')}: {mapping(row).get('reason')}" for row in failures]
    return f"Not notified: {'; '.join(said)}" if said else ""


def delivered(sent: Json) -> dict[str, list[Any]]:
    """What was delivered, by the host that keeps it."""
    found: dict[str, list[Any]] = {}
    for row in sent.get("deliveries") or []:
        found.setdefault(one_line(mapping(row).get("host"), 300), []).append(row)
    return found
