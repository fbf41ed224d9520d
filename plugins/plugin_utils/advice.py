# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scaling advice from what was measured, by the rules of role policy. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..module_utils.errors import OptionError
from ..module_utils.shapes import Json, number

_BOUNDS: Mapping[str, Callable[[float, float], bool]] = {
    "above": lambda value, bound: value > bound,
    "at_least": lambda value, bound: value >= bound,
    "at_most": lambda value, bound: value <= bound,
    "below": lambda value, bound: value < bound,
}


def advise(measured: Mapping[str, Any], rules: Sequence[Json]) -> list[str]:
    """The advice of each rule whose conditions all hold, in the order of the rules.

    Args:
        measured: values by name. One that is missing or null fulfils no condition.
        rules: ``policy_advice``.
    """
    given = []
    for index, rule in enumerate(rules):
        lacking = [key for key in ("when", "advice") if key not in rule]
        if lacking:
            raise OptionError(f"policy_advice[{index}]", dict(rule), f"lacks {', '.join(lacking)}")
        if all(_holds(measured.get(name), condition, name) for name, condition in rule["when"].items()):
            given.append(str(rule["advice"]))
    return given


def _holds(value: object, condition: Json, name: str) -> bool:
    for operator, bound in condition.items():
        if operator == "in":
            if value not in bound:
                return False
        elif operator in _BOUNDS:
            limit = number(bound) if not isinstance(bound, str) else float(bound)
            measured = number(value)
            if limit is None or measured is None or not _BOUNDS[operator](measured, limit):
                return False
        else:
            raise OptionError(
                "policy_advice", operator, f"condition on '{name}': one of {', '.join([*_BOUNDS, 'in'])} is needed"
            )
    return True
