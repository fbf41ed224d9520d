# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scaling advice from what was measured, by the rules of role policy. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.shapes import Json, number
from ..judging.verdict import BOUNDS, bound_of


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
        # Each is looked at, so that one that cannot be is named whatever the others say.
        fulfilled = [
            _fulfils(measured.get(name), kind, bound, name)
            for name, condition in rule["when"].items()
            for kind, bound in condition.items()
        ]
        if all(fulfilled):
            given.append(str(rule["advice"]))
    return given


def _fulfils(value: object, kind: str, bound: object, name: str) -> bool:
    on = f"condition on '{name}'"
    if kind == "in":
        if not isinstance(bound, Sequence) or isinstance(bound, str):
            raise OptionError("policy_advice", bound, f"{on}, in: a list is needed")
        return value in bound
    if kind not in BOUNDS:
        raise OptionError("policy_advice", kind, f"{on}: one of {', '.join([*BOUNDS, 'in'])} is needed")
    limit = bound_of(bound)
    if limit is None:
        raise OptionError("policy_advice", bound, f"{on}, {kind}: a number is needed")
    measured = number(value)
    return measured is not None and BOUNDS[kind][0](measured, limit)
