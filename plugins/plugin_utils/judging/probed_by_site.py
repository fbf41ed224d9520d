# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module of a site's own observes, by the expressions of the probe's row. Pure."""

from __future__ import annotations

from ...module_utils.expressions import UnfitError, compiled
from ...module_utils.shapes import Json, mapping, number, one_line
from .shapes import Observation, observation


def observe_probe(probe: Json, answer: Json) -> dict[str, Observation]:
    """The observations of one probe, by name; each has a fault where the answer does not give it.

    Args:
        probe: row of ``policy_site_probes``.
        answer: of its module, also where it failed.
    """
    rows = mapping(probe["observations"])
    if answer.get("failed") or answer.get("unreachable"):
        reason = one_line(f"{probe['probe']}: {answer.get('msg') or 'no answer'}", 300)
        return {name: observation(unit=rows[name]["unit"], fault="module_failed", reason=reason) for name in rows}
    return {name: _observed(f"{probe['probe']}.{name}", row, answer) for name, row in rows.items()}


def _observed(named: str, row: Json, answer: Json) -> Observation:
    unit = row["unit"]
    try:
        value = compiled(f"policy_site_probes.{named}", row["query"])(answer)
    except UnfitError as error:
        return observation(unit=unit, fault="wrong_type", reason=f"{named}: {one_line(error, 200)}")
    if value is None:
        return observation(
            unit=unit, fault="missing", reason=f"{named}: the answer has no {one_line(row['query'], 80)}"
        )
    figure = value if unit == "state" and isinstance(value, str) else number(value)
    if figure is None:
        shown = one_line(repr(value), 80)
        return observation(unit=unit, fault="wrong_type", reason=f"{named}: {shown} is not of unit {unit}")
    return observation(figure, unit, endpoint=named.partition(".")[0])
