# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles incident and automation refuse, though its type is right: a plan, a procedure, a watch that is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.module_utils.common.validation import check_type_list

from ...module_utils.errors import OptionError
from ...module_utils.shapes import Json, mapping
from ..judging.muting import parsed
from ..judging.verdict import bound_of
from ..response.diagnosis import LOOKED_AT_AS
from ..response.ladder import is_hash
from ..response.recovery import CHECKS


def require_incident(value: Callable[[str], Any]) -> None:
    """Raise OptionError for an incident that cannot be answered."""
    _require_hash("incident_plan", value)
    tables = ("policy_ladders", "policy_site_ladders")
    ladders = ((f"{table}.{cause}", rungs) for table in tables for cause, rungs in (value(table) or {}).items())
    _require_rungs(ladders, value)
    rows = [*(value("policy_incidents") or []), *(value("policy_site_incidents") or [])]
    kinds = sorted({str(row.get("incident")) for row in rows})
    unknown = [name for name in check_type_list(value("incident_only") or []) if name not in kinds]
    if unknown:
        raise OptionError("incident_only", unknown[0], f"only {', '.join(kinds)} are possible")
    _require_watch("policy_verify", {key: value(f"policy_verify_{key}") for key in ("samples", "interval", "good")})


def require_procedure(value: Callable[[str], Any]) -> None:
    """Raise OptionError for a procedure that cannot be carried out."""
    _require_hash("automation_plan", value)
    name = str(value("automation_procedure"))
    ours, of_site = (value(table) or {} for table in ("policy_procedures", "policy_site_procedures"))
    if name not in {**ours, **of_site}:
        raise OptionError("automation_procedure", name, f"one of {', '.join(sorted({**ours, **of_site}))} is needed")
    table, row = ("policy_site_procedures", of_site[name]) if name in of_site else ("policy_procedures", ours[name])
    _require_rungs([(f"{table}.{name}", row.get("rungs") or [])], value)
    if row.get("verify"):
        _require_watch(f"{table}.{name}.verify", row["verify"])


def require_reason(value: Callable[[str], Any]) -> None:
    """Raise OptionError for a pause without a reason."""
    if not str(value("automation_pause_reason") or "").strip():
        raise OptionError("automation_pause_reason", "", "say why, for those who meet the pause")


def require_mute(value: Callable[[str], Any]) -> None:
    """Raise OptionError for a mute of what is not there, without a reason, without an end, or for too long."""
    what, name = _parsed(value)
    known = {"component": value("policy_components") or [], "check": _checks(value)}
    if what != "host" and name not in known[what]:
        are = ", ".join(sorted(map(str, known[what])))
        raise OptionError("automation_mute", value("automation_mute"), f"there is no {what} {name}, only {are}")
    if not str(value("automation_mute_reason") or "").strip():
        raise OptionError("automation_mute_reason", "", "say why, for those who meet the mute")
    seconds, most = bound_of(value("automation_mute_for")), bound_of(value("policy_mute_max"))
    if most is None or most <= 0:
        raise OptionError("policy_mute_max", value("policy_mute_max"), "a number of seconds above 0 is needed")
    if seconds is None or not 0 < seconds <= most:
        why = f"say for how many seconds, above 0 and at most {most:.0f} (policy_mute_max): no mute is without an end"
        raise OptionError("automation_mute_for", value("automation_mute_for"), why)


def require_unmute(value: Callable[[str], Any]) -> None:
    """Raise OptionError for a name that no mute has."""
    if str(value("automation_mute") or "").strip() != "all":
        _parsed(value)


def _parsed(value: Callable[[str], Any]) -> tuple[str, str]:
    text = str(value("automation_mute") or "")
    try:
        return parsed(text)
    except ValueError as error:
        raise OptionError("automation_mute", text, str(error)) from error


def _checks(value: Callable[[str], Any]) -> list[str]:
    """Every check of which there is a verdict."""
    rows = [*shipped_checks(value), *_rows(value("policy_site_checks"))]
    return [*(str(row.get("check")) for row in rows), *CHECKS]


def shipped_checks(value: Callable[[str], Any]) -> list[Json]:
    """The rows of the check table, and of what the checks look at themselves."""
    return [*_rows(value("policy_checks")), *_rows([*mapping(value("policy_own_check_rows")).values()])]


def _rows(table: object) -> list[Json]:
    return [row for row in table if isinstance(row, Mapping)] if isinstance(table, list) else []


def _require_rungs(rows: Iterable[tuple[str, Any]], value: Callable[[str], Any]) -> None:
    modules, looks = value("policy_all_modules"), value("policy_all_looks")
    for option, rungs in rows:
        for rung in rungs:
            lacking = [key for key in ("rung", "act") if key not in rung]
            if lacking:
                raise OptionError(option, rung, f"a rung lacks {', '.join(lacking)}")
            if modules is not None and rung["act"] not in modules:
                raise OptionError(option, rung["act"], f"only {', '.join(modules)} carry a rung out")
            asked = [*(rung.get("cured") or {}), *(rung.get("needs") or {})]
            unseen = [one for one in asked if looks and LOOKED_AT_AS.get(one, one) not in looks]
            if unseen:
                raise OptionError(option, unseen[0], "how that stands after a rung cannot be looked at")


def _require_hash(name: str, value: Callable[[str], Any]) -> None:
    approved = str(value(name) or "")
    if not is_hash(approved):
        raise OptionError(name, approved, "the 12 hexadecimal digits that a plan gave are needed")


def _require_watch(name: str, watch: Json) -> None:
    samples, good = (bound_of(watch.get(key)) for key in ("samples", "good"))
    if samples is None or good is None or not 0 < good <= samples:
        of = f"{name}_samples ({watch.get('samples')})"
        raise OptionError(f"{name}_good", watch.get("good"), f"must be from 1 to {of}")
    if (bound_of(watch.get("interval")) or 0) < 0:
        raise OptionError(f"{name}_interval", watch["interval"], "must be 0 or more seconds")
