# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes that pass from observation to report (docs/architecture.md), and the order of states."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

STATES = ("ok", "warning", "unknown", "critical")
"""From best to worst. What could not be seen ranks above what was seen to be bearable."""

Json = Mapping[str, Any]


class Observation(TypedDict):
    """One value with its unit, or the reason why there is none."""

    value: Any
    unit: str
    fault: str
    reason: str
    note: str
    applicable: bool
    at: str | None
    endpoint: str


def observation(value: Any = None, unit: str = "", **more: Any) -> Observation:
    """An observation; what is not given says that there is nothing to say."""
    made: Observation = {
        "value": value,
        "unit": unit,
        "fault": "",
        "reason": "",
        "note": "",
        "applicable": True,
        "at": None,
        "endpoint": "",
    }
    made.update(more)  # type: ignore[typeddict-item]
    return made


class Verdict(TypedDict):
    """What one observation means, judged by one row of the check table."""

    check: str
    title: str
    step: str
    state: str
    observed: Any
    unit: str
    threshold: str
    message: str
    fault: str
    note: str
    at: str | None
    since: str | None
    action: str
    playbook: str


class Incident(TypedDict):
    """What is to be responded to, one per cause."""

    incident: str
    priority: str
    title: str
    cause: str
    checks: list[str]
    evidence: list[str]
    respond_within_s: int
    playbook: str


def worst_state(states: Iterable[str]) -> str:
    """The worst of some states. None at all is unknown: nothing was judged."""
    return max(states, key=STATES.index, default="unknown")


def one_line(text: object, limit: int = 200) -> str:
    """Foreign text for people: one line, no control characters, shortened with an ellipsis."""
    head = str(text)[: limit * 4]
    line = " ".join("".join(c if c.isprintable() else " " for c in head).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def number(value: object) -> float | int | None:
    """A finite number, else None. A bool is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer too large for a float
        return None


def mapping(value: object) -> Json:
    """The value where it is an object of JSON, else an empty one."""
    return value if isinstance(value, Mapping) else {}
