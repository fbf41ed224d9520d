# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of states, and foreign values read with suspicion."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

STATES = ("ok", "warning", "unknown", "critical")
"""From best to worst. What could not be seen ranks above what was seen to be bearable."""

NOT_OFFERED = "not_offered"
"""The state of what a service does not have, as its site says: it is not asked for, and nothing is wrong."""
SAID_NOT_OFFERED = "the service does not offer this"

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


def json_object(data: bytes | str) -> dict[str, Any]:
    """The object that a JSON text is.

    Raises:
        ValueError: it is none, or names a key twice and so contradicts itself.
    """
    found = json.loads(data, object_pairs_hook=unique_keys)
    if isinstance(found, dict):
        return found
    raise ValueError("its JSON is not an object")


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON from its pairs, for ``object_pairs_hook``.

    Raises:
        RepeatedKeyError: a key is there twice; Python would take the last, others the first.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _value in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise RepeatedKeyError(f"its JSON has the key {one_line(twice, 40)!r} twice in one object")
    return made


class RepeatedKeyError(ValueError):
    """An object of JSON names a key twice."""


def mapping(value: object) -> Json:
    """The value where it is an object of JSON, else an empty one."""
    return value if isinstance(value, Mapping) else {}
