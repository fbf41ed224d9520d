# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of states, and foreign values read with suspicion."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

STATES = ("ok", "warning", "unknown", "critical")
"""From best to worst. What could not be seen ranks above what was seen to be bearable."""

Json = Mapping[str, Any]


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
