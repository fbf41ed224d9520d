# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From observations to verdicts by the check table of role ``policy``. Pure: data in, data out."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ...module_utils.errors import MediaOpsError
from ...module_utils.shapes import STATES, Json, number, one_line, worst_state
from .shapes import SHORT, Observation, Verdict, verdict

BOUNDS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "above": (operator.gt, "above"),
    "at_least": (operator.ge, "at least"),
    "below": (operator.lt, "below"),
    "at_most": (operator.le, "at most"),
}
"""How a bound of the policy compares, and how it reads. The border itself belongs to at_least and at_most."""

_RISING = ("above", "at_least")
_OF_SITE = "site"  # instead of a step of the runbook, which a site's own check has not
UNITS = ("ratio", "count", "s", "min", "percent", "state")


def judge(observations: Mapping[str, Observation], checks: Sequence[Json], run_by: str) -> list[Verdict]:
    """One verdict for each row of the check table that is run by that check, worst first.

    An observation that is missing, faulty or of the wrong kind gives ``unknown``, never ``ok``.

    Args:
        observations: by name, as :func:`observations.observe` gives them.
        checks: the rows of ``policy_checks``.
        run_by: morning, evening, watch ...

    Raises:
        PolicyError: the table contradicts itself, or has no row for it.
    """
    require_sound(checks)
    rows = [row for row in checks if run_by in row["run_by"]]
    if not rows:
        raise PolicyError([f"policy_checks has no check that is run by {run_by!r}"])
    verdicts = [_judge_row(observations, row) for row in rows]
    return sorted(verdicts, key=lambda one: -STATES.index(one["state"]))


def _judge_row(observations: Mapping[str, Observation], row: Json) -> Verdict:
    seen = observations.get(row["observation"])
    host = observations.get("host")
    if seen is None and host is not None and host["fault"]:
        seen = host
    parts: dict[str, Any]
    if seen is None:
        parts = {"fault": "missing", "message": f"{row['title']}: not observed"}
    elif seen["fault"] == SHORT and (critical := _critical(seen, row, observations)):
        parts = critical
    elif seen["fault"]:
        reason = one_line(f"{row['title']}: not known, {seen['reason']}", 300)
        parts = {"fault": seen["fault"], "message": reason}
    elif not seen["applicable"]:
        parts = {"state": "ok", "note": seen["note"], "at": seen["at"], "message": f"{row['title']}: {seen['note']}"}
    else:
        parts = _judge_value(seen, row, observations)
    state = parts.get("state", "unknown")
    if state in ("critical", "warning"):
        parts.update(action=row.get("action", ""), playbook=row.get("playbook", ""))
    elif state == "unknown":
        parts.update(action=_ACTIONS.get(parts.get("fault", ""), _FIND_OUT))
    return verdict(
        row["check"], row["title"], row.get("step") or _OF_SITE, unit=row["unit"], threshold=_threshold(row), **parts
    )


_FIND_OUT = "Find out why the answer cannot be trusted, then run the check again"
_ACTIONS = {
    "host_unreachable": "Check that the host is up and that ssh reaches it",
    "no_python": "Install python3 on the host by hand: without it no playbook works there, prepare_hosts neither",
    "module_failed": "Read the message. Playbook prepare_hosts installs a missing library, and cannot mend sudo or ssh",
    "unreachable": "Check that the service runs and listens: systemctl status, then playbook incident_critical_system",
    "timeout": "The service hangs or the host is overloaded: playbook incident_critical_system",
    "auth": "Renew the API token (media_ops_api_token): it is missing, expired or not accepted",
    "clock": "Set right the clock or the zone that is off (timedatectl); the service must write its times in UTC",
    SHORT: "Keep the log's rotated files for as long as the window; a new log tells of it once it is that old",
    "stale": "Compare the clocks of host and service; a service that repeats old answers hangs",
}


def _judge_value(seen: Observation, row: Json, observations: Mapping[str, Observation]) -> dict[str, Any]:
    value = seen["value"]
    figure = number(value)
    state: str | None
    if "levels" in row:
        state = row["levels"].get(value) if isinstance(value, str) else None
        fault, shown = "unknown_value", one_line(value, 40)
    elif figure is not None:
        state, fault, shown = _by_bounds(figure, row), "", as_text(figure, row["unit"])
    else:
        state, fault, shown = None, "wrong_type", ""
    if state is None:
        return {"fault": fault, "message": f"{row['title']}: {one_line(repr(value), 60)} cannot be judged"}
    note = seen["note"]
    if state == "critical" and (few := _too_few(figure, row, observations)):
        state, note = "warning", "; ".join(filter(None, [few, note]))
    message = f"{row['title']}: {shown}" + (f" ({note})" if note else "")
    return {
        "state": state,
        "observed": value,
        "note": note,
        "at": seen["at"],
        "message": one_line(message, 300),
    }


def _critical(seen: Observation, row: Json, observations: Mapping[str, Observation]) -> dict[str, Any]:
    """The verdict by what is known of a value in part, where that is critical; else nothing."""
    if seen["value"] is None:
        return {}
    parts = _judge_value({**seen, "note": "; ".join(filter(None, [seen["note"], seen["reason"]]))}, row, observations)
    return parts if parts.get("state") == "critical" else {}


def _too_few(figure: float | None, row: Json, observations: Mapping[str, Observation]) -> str:
    """Of how few a rate is made, with the counts; empty where they are enough, or are not known."""
    needs = row.get("needs")
    seen = observations.get(needs["observation"]) if needs else None
    total = number(seen["value"]) if seen is not None and seen["fault"] in ("", SHORT) else None
    least = bound_of(needs["at_least"]) if needs else None
    if figure is None or total is None or least is None or total >= least:
        return ""
    return f"{figure * total:.0f} of {total:g} operations, fewer than the {least:g} that a rate needs to be critical"


def _by_bounds(figure: float, row: Json) -> str:
    for state in ("critical", "warning"):
        for kind, bound in row.get(state, {}).items():
            if BOUNDS[kind][0](figure, float(bound)):
                return state
    return "ok"


def _threshold(row: Json) -> str:
    """What is not ok, for people: "warning at least 10 %, critical above 10 %"."""
    if "levels" in row:
        return ", ".join(
            f"{state} when {value}" for value, state in row["levels"].items() if state not in ("ok", "unknown")
        )
    return ", ".join(
        f"{state} {BOUNDS[kind][1]} {as_text(float(bound), row['unit'])}"
        for state in ("warning", "critical")
        for kind, bound in row.get(state, {}).items()
    )


def as_text(figure: float, unit: str) -> str:
    """A figure with its unit, for people: 0.1 of unit ratio is "10 %"."""
    if unit == "ratio":
        return f"{figure * 100:.4g} %"
    suffix = {"percent": " %", "s": " s", "min": " min"}.get(unit, "")
    return f"{figure:.6g}{suffix}"


class PolicyError(MediaOpsError):
    """The policy contradicts itself. Names every option that is wrong, with its value."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("the policy cannot be used: " + "; ".join(problems))
        self.problems = list(problems)


def require_sound(checks: Sequence[Json]) -> None:
    """Raise PolicyError when rows of the check table cannot be judged by, or contradict themselves."""
    problems = [problem for row in checks for problem in _row_problems(row)]
    if problems:
        raise PolicyError(problems)


def _row_problems(row: Json) -> list[str]:
    lacking = [key for key in ("check", "title", "run_by", "observation", "unit") if not row.get(key)]
    if lacking:
        return [f"policy_checks: the row {one_line(dict(row), 80)} lacks {', '.join(lacking)}"]
    named = f"policy_checks: check '{row['check']}'"
    if row["unit"] not in UNITS:
        return [f"{named} has the unit {row['unit']!r}, which is none of {', '.join(UNITS)}"]
    if "needs" in row and (wrong := _needs_problem(row["needs"], row["unit"])):
        return [f"{named}, needs: {wrong}"]
    if "levels" in row:
        unknown = sorted({str(state) for state in row["levels"].values()} - set(STATES))
        return [f"{named} gives the state {', '.join(unknown)}"] if unknown else []
    problems = [
        text for state in ("warning", "critical") if state in row for text in _bound_problems(row, state, named)
    ]
    return problems or _order_problems(row, named)


def _needs_problem(needs: object, unit: str) -> str:
    if not isinstance(needs, Mapping) or set(needs) != {"observation", "at_least"} or unit != "ratio":
        return "an observation and at_least are needed, of a ratio"
    least = bound_of(needs["at_least"])
    return (
        ""
        if least is not None and least >= 0
        else f"at_least is {needs['at_least']!r}: a number of 0 or more is needed"
    )


def _option(row: Json, state: str) -> str:
    return f"{row.get('option', 'policy_checks: ' + row['check'])}_{state}"


def _bound_problems(row: Json, state: str, named: str) -> list[str]:
    bounds = row[state]
    if len(bounds) != 1 or not set(bounds) <= set(BOUNDS):
        return [f"{named}, {state}: one of {', '.join(BOUNDS)} is needed, not {', '.join(bounds)}"]
    (raw,) = bounds.values()
    bound = bound_of(raw)
    if bound is None:
        return [f"option '{_option(row, state)}' is {raw!r}: a number is needed"]
    high = {"ratio": 1.0, "percent": 100.0}.get(row["unit"], float("inf"))
    if not 0 <= bound <= high:
        hint = " (10 % is 0.10)" if row["unit"] == "ratio" else ""
        return [f"option '{_option(row, state)}' is {raw!r}: 0 to {high:g} is possible{hint}"]
    return []


def _order_problems(row: Json, named: str) -> list[str]:
    if "warning" not in row or "critical" not in row:
        return []
    ((kind, warning),) = row["warning"].items()
    ((critical_kind, critical),) = row["critical"].items()
    rising = kind in _RISING
    if rising != (critical_kind in _RISING):
        return [f"{named}: warning is '{kind}' and critical is '{critical_kind}', opposite ways"]
    if (float(warning) > float(critical)) if rising else (float(warning) < float(critical)):
        first, second = _option(row, "warning"), _option(row, "critical")
        where = "above" if rising else "below"
        return [f"option '{first}' is {warning}, {where} '{second}', which is {critical}: the warning would come last"]
    return []


def bound_of(raw: object) -> float | None:
    """A bound as a number. ``-e name=0.2`` arrives as text, so text that is a number counts."""
    if isinstance(raw, str):
        try:
            return number(float(raw))
        except ValueError:
            return None
    return number(raw)


def host_state(verdicts: Sequence[Verdict]) -> str:
    """The state of a host: its worst verdict; unknown when there is none."""
    return worst_state(one["state"] for one in verdicts)
