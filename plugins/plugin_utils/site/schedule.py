# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When procedures run: what role schedule refuses, what systemd and cron are told, and when a job of AWX was due."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import yaml

from ...module_utils.shapes import Json, one_line
from ...module_utils.times import to_text
from .due import WEEKDAYS, due, firings
from .prepare import USER

_PATH = re.compile(r"/[A-Za-z0-9_./@:+-]+\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")
_HOURS = re.compile(r"[1-9][0-9]{0,3}\Z")
_MINUTES = ("1", "2", "3", "4", "5", "6", "10", "12", "15", "20", "30")
# Playbooks of ours whose end says nothing about a host: only what their tasks did.
_JUDGE_NOTHING = (
    *(f"automation_{name}" for name in ("pause", "resume", "mute", "unmute", "status")),
    "prepare_hosts",
    "schedule",
)
# Playbooks of ours that leave nothing in the ledger of a host by which it could be asked whether they succeeded there
_NOT_ON_RECORD = (
    *_JUDGE_NOTHING,
    *("check_setup", "daily_evening_summary", "daily_morning_health_check", "quick_reference", "report"),
    *("watch_health", "watch_performance", "weekly_performance_review"),
)
# How much longer than the runner, which ends a run itself, systemd waits
_GRACE = 60


def schedule_problems(value: Callable[[str], Any]) -> list[str]:
    """Everything that could not be scheduled; what is taken away may be anything."""
    if value("schedule_state") == "absent":
        return []
    return [*_places(value), *_procedures(value("schedule_procedures"))]


def _places(value: Callable[[str], Any]) -> list[str]:
    directory, python, user = (str(value(f"schedule_{name}")) for name in ("dir", "python", "user"))
    path = "must be an absolute path of letters, digits and _ . / @ : + -"
    problems = []
    if not _PATH.match(directory) or ".." in directory.split("/"):
        problems.append(f"schedule_dir is {directory!r}: {path}")
    if not _PATH.match(python):
        problems.append(f"schedule_python is {python!r}: {path}")
    if user and not USER.match(user):
        problems.append(f"schedule_user is {user!r}: must be a user's name of lower case letters, digits, _ and -")
    return problems


def _procedures(procedures: Any) -> list[str]:
    if not isinstance(procedures, list) or not all(isinstance(one, Mapping) for one in procedures):
        return ["schedule_procedures must be a list of dictionaries"]
    names = [str(one.get("name", "")) for one in procedures]
    problems = []
    if not names or len(set(names)) < len(names):
        said = ", ".join(names) or "none"
        problems.append(f"schedule_procedures names {said}: at least one is needed, and each once")
    return (
        problems
        + [
            f"schedule_procedures has {json.dumps(one)}: it needs a name of lower case letters, digits and _, and "
            f'either `every`, minutes that divide an hour ({", ".join(_MINUTES)}), or `at`, a time as "07:05" in quotes'
            ", with `weekday` (Mon to Sun) where it is weekly; `after` names other procedures of the list"
            ", with `hours` above 0 where hosts are asked for it"
            for one in procedures
            if not (_NAME.match(str(one.get("name", ""))) and _is_time(one) and _is_order(one, names))
        ]
        + [line for one in procedures for line in _cannot_be_told(one)]
    )


def _cannot_be_told(procedure: Json) -> list[str]:
    """What could never be said of the runs of a procedure."""
    name, problems = procedure.get("name"), list[str]()
    if name in _JUDGE_NOTHING and procedure.get("judges", True) is not False:
        problems.append(
            f"schedule_procedures has {name}, which judges no host, so that none of its runs would be a success: "
            "take it out, or say `judges: false`"
        )
    return problems + [
        f"schedule_procedures has {name} after {other['name']} with `hours`, and {other['name']} leaves no record on "
        "the hosts that could be asked: without `hours` it is waited for"
        for other in procedure.get("after") or []
        if isinstance(other, Mapping) and other.get("name") in _NOT_ON_RECORD and "hours" in other
    ]


def _is_time(procedure: Json) -> bool:
    if "every" in procedure:
        return not {"at", "weekday"} & set(procedure) and str(procedure["every"]) in _MINUTES
    fits = _TIME.match(str(procedure.get("at", ""))) is not None
    return fits and procedure.get("weekday", WEEKDAYS[0]) in WEEKDAYS


def _is_order(procedure: Json, names: Sequence[str]) -> bool:
    others = set(names) - {procedure["name"]}
    return all(
        other.get("name") in others and ("hours" not in other or _HOURS.match(str(other["hours"])))
        for other in procedure.get("after") or []
    )


class Due(NamedTuple):
    """When a run was due, ISO 8601, "" where nothing scheduled it; and why it must not act, else ""."""

    at: str
    refusal: str


def due_of_job(variables: Mapping[str, Any], procedures: Any, procedure: str, began: datetime, zone: str) -> Due:
    """When a job of AWX was due: nothing there says so, but the schedule's name names a row of our table.

    Args:
        variables: of the run; those of AWX begin with ``awx_`` or ``tower_``.
        procedures: the table, ``schedule_procedures``; None is the collection's own.
        procedure: what the run carries out, "" where it answers incidents.
        began: when the run began.
        zone: of the table's times, "" for this machine's.
    """
    if not _is_scheduled(variables):
        return Due("", "")
    schedule = one_line(_of_awx(variables, "schedule_name"), 100)
    unknown = f"this run was started by the schedule '{schedule}' of AWX, and when it was due is not known: "
    table = {
        str(one["name"]): one
        for one in (procedures if isinstance(procedures, list) else _own_table())
        if isinstance(one, Mapping) and _NAME.match(str(one.get("name", ""))) and _is_time(one)
    }
    # "Nightly: Daily log cleanup" names daily_log_cleanup; words of it alone name nothing.
    words = f"_{re.sub(r'[^a-z0-9]+', '_', schedule.lower())}_"
    named = [name for name in table if f"_{name}_" in words]
    if len(named) != 1:
        return Due("", f"{unknown}its name has {', '.join(named) or 'no name'} of schedule_procedures in it, not one")
    if procedure in table and procedure != named[0]:
        return Due("", f"{unknown}it is named after {named[0]}, and {procedure} is carried out")
    try:
        found = due(table[named[0]], began, ZoneInfo(zone) if zone else None)
    except (ValueError, OSError, KeyError) as error:
        return Due("", f"{unknown}policy_schedule_zone is {zone!r}: {one_line(error, 100)}")
    return Due(to_text(found), "")


def _of_awx(variables: Mapping[str, Any], name: str) -> str:
    return str(next((variables[key] for key in (f"awx_{name}", f"tower_{name}") if variables.get(key)), ""))


def _is_scheduled(variables: Mapping[str, Any]) -> bool:
    """Whether a schedule of AWX started this job, or the workflow that it is of."""
    by = [_of_awx(variables, f"{kind}_launch_type") for kind in ("job", "workflow_job")]
    return "scheduled" in by or any(_of_awx(variables, f"schedule_{key}") for key in ("id", "name"))


@lru_cache(maxsize=None)
def _own_table() -> list[Any]:
    """The table as the collection has it."""
    path = Path(__file__).resolve().parents[3] / "roles/schedule/defaults/main.yml"
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    return list(loaded["schedule_procedures"])


def unit_of(name: str) -> str:
    """The unit of a procedure, without its ending."""
    return f"media-ops-run-{name}"


def calendars_of(procedure: Json) -> list[str]:
    """The times of a procedure as systemd writes them."""
    if "every" in procedure:
        return [f"*-*-* *:0/{procedure['every']}:00"]
    return [f"{weekday} *-*-* {hour:02}:{minute:02}:00".strip() for hour, minute, weekday in firings(procedure)]


def crons_of(procedure: Json) -> list[str]:
    """The times of a procedure as cron writes them."""
    if "every" in procedure:
        return [f"*/{procedure['every']} * * * *"]
    return [f"{minute} {hour} * * {weekday or '*'}" for hour, minute, weekday in firings(procedure)]


def timetable(procedures: Sequence[Json], timeout: int, wait: int) -> list[Json]:
    """What the units and the lines for cron say of each procedure.

    Args:
        procedures: of the schedule.
        timeout: seconds after which a run is ended, where its procedure names none.
        wait: seconds for which a run waits for one that it must come after.
    """
    return [
        {
            "name": one["name"],
            "unit": unit_of(one["name"]),
            "calendars": calendars_of(one),
            "crons": crons_of(one),
            "after": [f"{unit_of(other['name'])}.service" for other in one.get("after") or []],
            "timeout": int(one.get("timeout") or timeout) + (wait if one.get("after") else 0) + _GRACE,
        }
        for one in procedures
    ]
