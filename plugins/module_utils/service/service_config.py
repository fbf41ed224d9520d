# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Overrides: settings of the service that differ from its own files for a while, and how they are taken back.

They stand in ``ENV_FILE``, which a drop-in of role ``prepare`` makes systemd read after the unit's own files. So the
service's own configuration is never edited, and taking an override back is removing its line. The file is root's, since
root reads it, and a program of root's writes it. ``overrides.json`` of the state directory says who set what, why, and
until when. What is in ``ENV_FILE`` is what holds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..errors import MediaOpsError, OptionError
from ..options import check_range
from ..plan import Action, plan_hash, planned, require_hash
from ..shapes import one_line
from ..state.directory import alone, existing
from ..system.environment import running_environment, unit_environment
from ..system.environment_files import environment_files
from ..system.privilege import root_refusal
from ..system.systemd import PROPERTIES, main_pid, unit_name, unit_properties
from ..times import to_text, utc_now
from .overrides import (
    ENV_FILE,
    PROGRAM,
    expired,
    read_overrides,
    read_records,
    taken_at,
    write_overrides,
    write_records,
)
from .rules import Rule, read_rules
from .taken import pattern, shown_in

_ALL = "all"
_FLOCK = "overrides.flock"
_EXPIRES_MAX_S = 30 * 86400


@dataclass(frozen=True)
class Situation:
    """How the overrides and the service stand.

    Attributes:
        overrides: settings in ``ENV_FILE`` by name.
        records: what is known of each.
        foreign: number of settings there that nobody recorded and no rule names.
        base: what the unit gives without overrides.
        base_known: whether all of the unit's own files could be read.
        running: what the main process runs with; None where there is none, or it cannot be told.
        pid: the main process.
        in_force: whether the unit reads ``ENV_FILE``.
        later: settings of files that the unit reads after it.
        shown_in: where the running service is seen to have taken an override; None where that was not looked for.
    """

    overrides: Mapping[str, str]
    records: Mapping[str, Mapping[str, Any]]
    foreign: int
    base: Mapping[str, str]
    base_known: bool
    running: Mapping[str, str] | None
    pid: int
    in_force: bool
    later: Mapping[str, str]
    shown_in: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Asked:
    """What is asked for, checked. ``wanted`` holds what is to hold: nothing where overrides are seen or taken back."""

    unit: str
    state: str
    rules: Mapping[str, Rule]
    wanted: Mapping[str, str]
    names: tuple[str, ...]
    expires_in: float
    reason: str
    run_id: str
    steps: tuple[str, ...]
    state_dir: str
    plan_hash: str | None
    logs: tuple[str, ...] = ()
    shown_within: float = 0.0


def service_config(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """The result of module service_config."""
    if not params["unit"]:
        return _not_offered()
    asked = read_asked(params)
    with existing(asked.state_dir) as directory:
        # To look, nobody need be kept out: each file is replaced whole.
        looks_only = check_mode or asked.state == "observed"  # what it confirms it writes
        held = contextlib.nullcontext() if looks_only else alone(directory, _FLOCK, asked.state_dir)
        with held:
            return _configure(directory, asked, check_mode=check_mode)


def _not_offered() -> dict[str, Any]:
    """What stands for the answer where the service has no unit, which alone would read overrides."""
    return {
        "changed": False,
        "plan": [],
        "hash": plan_hash([]),
        "overrides": [],
        "restart_needed": False,
        "in_force": False,
        "foreign": 0,
        "msg": "they are not offered here: the service has no unit of systemd that would read overrides",
    }


def _configure(directory: int, asked: Asked, *, check_mode: bool) -> dict[str, Any]:
    before = _situation(directory, asked)
    plan = make_plan(before, asked)
    require_hash(plan, asked.plan_hash)
    overrides = _applied(before.overrides, plan)
    records = _recorded(before, overrides, plan, asked)
    if plan or asked.wanted:
        _refuse(before, asked)
    if plan and not check_mode:
        write_overrides(directory, asked.state_dir, overrides, records, before.records)
        for action in plan:
            action["result"] = "done"
            action["msg"] = (
                "the service has it once it is restarted" if before.pid else "the service has it at its start"
            )
    if asked.state == "confirmed":
        records = _confirmed(before, records)
        if records != before.records and not check_mode:
            write_records(directory, asked.state_dir, records)
    after = Situation(**{**vars(before), "overrides": overrides, "records": records})
    return {
        "changed": bool(plan),
        "plan": plan,
        "hash": plan_hash(plan),
        "diff": _diff(before, after, plan, asked.unit),
        "overrides": _shown(after),
        "restart_needed": _restart_needed(after, asked.rules, plan),
        "in_force": before.in_force,
        "foreign": before.foreign,
    }


# What is asked for.


def read_asked(params: Mapping[str, Any]) -> Asked:
    """Check the options."""
    unit_name(params["unit"])
    check_range(params, "shown_within", 0, 300)
    rules = read_rules("allowed", params["allowed"])
    return Asked(
        unit=params["unit"],
        state=params["state"],
        rules=rules,
        wanted=_wanted(params, rules),
        names=tuple(params["names"]),
        expires_in=params["expires_in"] or 0,
        reason=params["reason"] or "",
        run_id=params["run_id"] or "",
        steps=tuple(params["steps"]),
        state_dir=params["state_dir"],
        plan_hash=params["plan_hash"],
        logs=tuple(params["logs"]),
        shown_within=params["shown_within"],
    )


def _wanted(params: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, str]:
    state = params["state"]
    if _ALL in params["names"] and len(params["names"]) > 1:
        raise OptionError("names", params["names"], f"{_ALL} stands for every override and needs no other name")
    if state != "present":
        return {}
    for option in ("settings", "reason", "run_id"):
        if not params[option]:
            raise OptionError(option, params[option], "is needed with state=present")
    if not 0 < (params["expires_in"] or 0) <= _EXPIRES_MAX_S:
        raise OptionError("expires_in", params["expires_in"], "is needed with state=present: above 0, at most 30 days")
    unknown = sorted(str(name) for name in params["settings"] if name not in rules)
    if unknown:
        raise OptionError("settings", unknown[0], f"is not a setting that may be changed: {', '.join(sorted(rules))}")
    return {name: rules[name].value(name, given) for name, given in params["settings"].items()}


# How does it stand?


def _situation(directory: int, asked: Asked) -> Situation:
    there = read_overrides()
    records = read_records(directory)
    overrides = {name: value for name, value in there.items() if name in asked.rules or name in records}
    properties = unit_properties(asked.unit, (*PROPERTIES, "InvocationID"))
    files = environment_files(properties)
    later = files[files.index(ENV_FILE) + 1 :] if ENV_FILE in files else []
    base = unit_environment(
        {**properties, "EnvironmentFiles": _as_property(file for file in files if file != ENV_FILE)}
    )
    running = running_environment(properties)
    shown = None
    if asked.state in ("observed", "confirmed") and main_pid(properties):
        # Of one that the process does not even have, there is nothing to look for.
        given = {name: value for name, value in overrides.items() if running and running.variables.get(name) == value}
        patterns = {name: pattern(name, value, asked.rules.get(name)) for name, value in given.items()}
        shown = shown_in(patterns, asked.unit, properties, asked.logs, asked.shown_within)
    return Situation(
        overrides=overrides,
        records=records,
        foreign=len(there) - len(overrides),
        base=base.variables,
        base_known=not base.denied,
        running=running.variables if running else None,
        pid=main_pid(properties),
        in_force=ENV_FILE in files,
        later=unit_environment({"EnvironmentFiles": _as_property(later)}).variables if later else {},
        shown_in=shown,
    )


def _as_property(paths: Iterator[str] | Sequence[str]) -> str:
    return "\n".join(f"{path} (ignore_errors=yes)" for path in paths)


# What is to be done?


def make_plan(before: Situation, asked: Asked) -> list[Action]:
    """One action for each setting that changes. Pure, but for the clock by which overrides expire.

    Raises:
        OptionError: a name to take back is of nothing that is set here, or that could be.
    """
    if asked.state == "absent":
        _require_known(before, asked)
        return [_taken_back(name, before, asked) for name in sorted(before.overrides) if _goes(name, before, asked)]
    return [
        _set(name, value, before, asked)
        for name, value in sorted(asked.wanted.items())
        if before.overrides.get(name) != value or expired(before.records.get(name))
    ]


def _require_known(before: Situation, asked: Asked) -> None:
    known = {_ALL, *before.overrides, *asked.rules}
    unknown = [name for name in asked.names if name not in known]
    if unknown:
        there = ", ".join(sorted(before.overrides)) or "nothing"
        raise OptionError("names", unknown[0], f"is not a setting that may be changed; set for a time is {there}")


def _goes(name: str, before: Situation, asked: Asked) -> bool:
    if not asked.names:
        return expired(before.records.get(name))
    return asked.names == (_ALL,) or name in asked.names


def _set(name: str, value: str, before: Situation, asked: Asked) -> Action:
    now = before.overrides.get(name, before.base.get(name))
    return planned(
        "configure",
        f"{name}={value} for {asked.unit} (now {_text(now)})",
        one_line(asked.reason),
        _steps(name, asked),
        stable={"unit": asked.unit, "name": name, "value": value, "was": now},
        proof=_proof(name, before),
    )


def _taken_back(name: str, before: Situation, asked: Asked) -> Action:
    record = before.records.get(name) or {}
    because = "it has expired" if expired(record) else "it is taken back"
    return planned(
        "configure",
        f"{name} of {asked.unit} back to {_text(before.base.get(name))} (now {before.overrides[name]})",
        one_line(asked.reason or f"{because}; it was set for: {record.get('why') or 'no recorded reason'}"),
        _steps(name, asked),
        stable={"unit": asked.unit, "name": name, "value": None, "was": before.overrides[name]},
        proof=_proof(name, before),
    )


def _steps(name: str, asked: Asked) -> list[str]:
    step = asked.rules[name].step if name in asked.rules else ""
    return list(asked.steps) or ([step] if step else [])


def _proof(name: str, before: Situation) -> dict[str, Any]:
    running = before.running.get(name) if before.running is not None else None
    return {
        "file": ENV_FILE,
        "own_files": before.base.get(name),
        "running": running,
        "main_pid": before.pid,
    }


def _text(value: str | None) -> str:
    return "its own default" if value is None else one_line(value, 80)


def _refuse(before: Situation, asked: Asked) -> None:
    if before.foreign:
        raise MediaOpsError(
            f"{ENV_FILE} has {before.foreign} settings that were not made here: it is left alone. Take them out by hand"
        )
    why = root_refusal([PROGRAM])
    if why:
        raise MediaOpsError(why)
    if not asked.wanted:
        return
    if not before.in_force:
        raise MediaOpsError(
            f"{asked.unit} does not read {ENV_FILE}, an override would have no effect: run the playbook "
            "media_ops.runbook.prepare_hosts, which installs the drop-in for it"
        )
    overridden = sorted(set(asked.wanted) & set(before.later))
    if overridden:
        raise MediaOpsError(
            f"{asked.unit} reads another environment file after {ENV_FILE} which sets {', '.join(overridden)} as well: "
            "an override would have no effect. Name that drop-in so that it comes before 50-media-ops.conf"
        )


# Doing it.


def _applied(overrides: Mapping[str, str], plan: Sequence[Action]) -> dict[str, str]:
    after = dict(overrides)
    for action in plan:
        name, value = action["stable"]["name"], action["stable"]["value"]
        if value is None:
            after.pop(name)
        else:
            after[name] = value
    return after


def _recorded(
    before: Situation, overrides: Mapping[str, str], plan: Sequence[Action], asked: Asked
) -> dict[str, dict[str, Any]]:
    records = {name: dict(record) for name, record in before.records.items() if name in overrides}
    now = utc_now()
    for action in plan:
        name, value = action["stable"]["name"], action["stable"]["value"]
        if value is not None:
            records[name] = {
                "value": value,
                "was": before.base.get(name),
                "why": action["why"],
                "run_id": asked.run_id,
                "since": to_text(now),
                "until": to_text(now + timedelta(seconds=asked.expires_in)),
            }
    return records


def _confirmed(before: Situation, records: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The records with what the running service is seen to have taken, which its logs tell for a while only."""
    seen, now = before.shown_in or {}, to_text(utc_now())
    kept = {name: dict(record) for name, record in records.items()}
    for name, place in seen.items():
        if name in kept:
            kept[name]["taken"] = {"at": now, "shown_in": place}
    return kept


# What is shown: settings of rules and overrides, never any other variable.


def _shown(situation: Situation) -> list[dict[str, Any]]:
    shown = []
    for name, value in sorted(situation.overrides.items()):
        record = situation.records.get(name) or {}
        running = situation.running
        effective = None if situation.pid and running is None else (running or {}).get(name) == value
        shown.append(
            {
                "name": name,
                "value": one_line(value),
                "was": record.get("was"),
                "why": one_line(record.get("why") or ""),
                "run_id": record.get("run_id"),
                "since": record.get("since"),
                "until": record.get("until"),
                "expired": expired(record),
                "effective": effective,
                "taken_at": taken_at(record),
                "shown_in": None if situation.shown_in is None else situation.shown_in.get(name, ""),
            }
        )
    return shown


def _restart_needed(after: Situation, rules: Mapping[str, Rule], plan: Sequence[Action]) -> bool:
    """Whether the running process has another setting than a start would give it."""
    if not after.pid:
        return False
    touched = {action["stable"]["name"] for action in plan}
    if after.running is None:
        return bool(touched)
    # Where a file of the unit cannot be read, only overrides can be compared.
    known = {name for name in rules if after.base_known or name in after.base} | set(after.overrides)
    expected = {**after.base, **after.overrides, **after.later}
    stale = {name for name in known if after.running.get(name) != expected.get(name)}
    unknown = {name for name in touched - known if name in after.running}
    return bool(stale or unknown)


def _diff(before: Situation, after: Situation, plan: Sequence[Action], unit: str) -> dict[str, str]:
    names = sorted(action["stable"]["name"] for action in plan)

    def lines(situation: Situation) -> str:
        settings = {**situation.base, **situation.overrides}
        return "".join(f"{name}={one_line(settings[name])}\n" for name in names if name in settings)

    header = f"environment of {unit}"
    return {"before_header": header, "after_header": header, "before": lines(before), "after": lines(after)}
