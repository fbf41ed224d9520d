# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles incident and automation refuse, though its type is right: a plan, a procedure, a watch that is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.shapes import Json
from ..judging.verdict import bound_of


def require_incident(value: Callable[[str], Any]) -> None:
    """Raise OptionError for an incident that cannot be answered."""
    _require_hash(value)
    kinds = sorted({str(row.get("incident")) for row in value("policy_incidents") or []})
    unknown = [name for name in value("incident_only") or [] if name not in kinds]
    if unknown:
        raise OptionError("incident_only", unknown[0], f"only {', '.join(kinds)} are possible")
    _require_watch("policy_verify", {key: value(f"policy_verify_{key}") for key in ("samples", "good")})


def require_procedure(value: Callable[[str], Any]) -> None:
    """Raise OptionError for a procedure that cannot be carried out."""
    _require_hash(value)
    name, known = str(value("automation_procedure")), value("policy_procedures") or {}
    if name not in known:
        raise OptionError("automation_procedure", name, f"one of {', '.join(sorted(known))} is needed")
    if known[name].get("verify"):
        _require_watch(f"policy_procedures.{name}.verify", known[name]["verify"])


def require_reason(value: Callable[[str], Any]) -> None:
    """Raise OptionError for a pause without a reason."""
    if not str(value("automation_pause_reason") or "").strip():
        raise OptionError("automation_pause_reason", "", "say why, for those who meet the pause")


def _require_hash(value: Callable[[str], Any]) -> None:
    approved = str(value("incident_plan") or "")
    if not re.fullmatch(r"([0-9a-f]{12})?", approved):
        raise OptionError("incident_plan", approved, "the 12 hexadecimal digits that a plan gave are needed")


def _require_watch(name: str, watch: Json) -> None:
    samples, good = (bound_of(watch.get(key)) for key in ("samples", "good"))
    if samples is None or good is None or not 0 < good <= samples:
        of = f"{name}_samples ({watch.get('samples')})"
        raise OptionError(f"{name}_good", watch.get("good"), f"must be from 1 to {of}")
