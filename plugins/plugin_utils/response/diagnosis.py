# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From looks at a host to one class of fault for each subject. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...module_utils.expressions import UnfitError, compiled
from ...module_utils.shapes import NOT_OFFERED, SAID_NOT_OFFERED, Json, mapping, number, one_line
from ...module_utils.state.guard import pause_said
from ...module_utils.times import from_text
from ...module_utils.words import number_of
from ..judging.health import components
from ..judging.log_errors import unread
from .advice import advise
from .beside import unjudged
from .controller import dead_run
from .held_open import held_said, unproven_said
from .noted import noted_findings

LOOKED_AT_AS = {"disk": "host", "resources": "host"}
"""Subjects of which another look tells."""

_SAID_MAX = 700
_CLASS = re.compile("[a-z][a-z0-9_]{0,39}")
_RATES_DIFFER = 0.05  # what rounding may make of a rate


def diagnose(
    seen: Sequence[Json], stats: object, *, limits: Json, advice: Sequence[Json], health: object = None
) -> dict[str, Any]:
    """What the looks at a host say of it.

    Args:
        seen: each look with its ``subject`` and the module's ``answer``.
        stats: document of that endpoint, as the check has it; a look at ``stats`` is newer.
        limits: ``disk_percent``, ``memory_percent``, ``cpu_percent`` from which the host is short of it,
            ``service_share`` of what is in use from which that is by the service, ``duration_s`` from which the average
            operation is slow, ``failed_share`` of the operations since a restart from which they fail, and
            ``disk_freed``, the directories from which something goes by a rule.
        advice: ``policy_advice``, given with the stages ranked where there was a look at ``stats``.
        health: the newest document of the service's health, beside which what was looked at is held.

    Returns:
        ``classes`` by subject and ``findings``; ``noted``, what logs and statistics say; ``advice``; and ``probes``,
        the answers by subject.
    """
    found: dict[str, Any] = {look["subject"]: look["answer"] for look in seen if look["module"] != "log_digest_info"}
    logs = {look["subject"]: mapping(look["answer"]) for look in seen if look["module"] == "log_digest_info"}
    looked_at_stats, why = "stats" in found, ""
    asked = mapping(found.pop("stats", None))
    endpoints = mapping(asked.get("endpoints"))
    if looked_at_stats:
        why = failure_of(asked, "endpoints") or _failure_of_answer(mapping(endpoints.get("stats")))
        # Where the newer look failed, what the check has of them stands.
        stats = stats if why else mapping(endpoints.get("stats")).get("data")
        found["stats"] = {"failed": True, "msg": why or "the statistics are empty"}
    if stats is not None:
        found["stats"] = mapping(stats)
    noted: dict[str, Any] = {name: answer.get("last") or [] for name, answer in logs.items()}
    if logs:
        noted["counts"] = {
            field: rows for answer in logs.values() for field, rows in mapping(answer.get("counts")).items()
        }
    if looked_at_stats:
        stages = ranked_stages(found.get("stats"))
        noted.update(
            stages=stages,
            busy_metrics=busy(mapping(mapping(endpoints.get("metrics")).get("data")).get("metrics")),
            advice=advise(measured(stages, mapping(found.get("host"))), advice),
        )
    made = classify({**found, "noted": noted, "logs": logs, "health": health}, limits, seen)
    more = {"metrics": mapping(endpoints.get("metrics")).get("data")} if endpoints else {}
    return {**made, "noted": noted, "advice": noted.get("advice", []), "probes": {**found, **more}}


def looked(rows: Sequence[Json]) -> list[dict[str, Any]]:
    """The looks of a loop of action probe, each with its answer; one that gave none is a look that failed.

    Args:
        rows: the loop's results.
    """
    return [
        {**row["item"], "answer": row.get("answer") or {"failed": True, "msg": row.get("msg") or "no answer"}}
        for row in rows
        if not row.get("skipped")
    ]


def _failure_of_answer(answer: Json) -> str:
    """Why an endpoint gave no document, or "" where it did."""
    return "" if answer.get("state") == "ok" else str(answer.get("reason") or answer.get("state") or "no answer")


def guard_refusals(guard: Json) -> list[str]:
    """Why the guard of a host says that nothing may be done there, in lines for people.

    Args:
        guard: what module guard answered.
    """
    if "recent" not in guard:
        return [f"the guard of the host could not be asked: {one_line(guard.get('msg') or 'no answer')}"]
    pause = mapping(guard.get("pause"))
    return [one_line(pause_said(pause), _SAID_MAX)] if pause else []


def guard_holds(guard: Json) -> str:
    """Who keeps automation off the host until a known time: a person by a pause, or another run that lives; else "".

    Args:
        guard: what module guard answered.
    """
    return (
        "" if not guard.get("pause") and dead_run(guard.get("lease")) else one_line(guard.get("held") or "", _SAID_MAX)
    )


def measured(stages: Sequence[Json], host: Json) -> dict[str, Any]:
    """The values that the rules of ``policy_advice`` may name; None where there is none."""
    slowest = mapping(next(iter(stages), None))
    cpu, memory = mapping(host.get("cpu")), mapping(host.get("memory"))
    return {
        "slowest_stage": slowest.get("stage"),
        "slowest_stage_s": slowest.get("average_duration_s"),
        "cpu_percent": cpu.get("used_percent"),
        "iowait_percent": cpu.get("iowait_percent"),
        "memory_percent": memory.get("used_percent"),
        "swap_percent": memory.get("swap_used_percent"),
        "disk_busy_percent": _most(host.get("io"), "busy_percent"),
        "disk_percent": _most(host.get("disks"), "used_percent"),
    }


def _most(rows: object, key: str) -> float | int | None:
    values = [number(mapping(row).get(key)) for row in (rows if isinstance(rows, list) else [])]
    return max((value for value in values if value is not None), default=None)


def busy(metrics: object) -> list[Any]:
    """The newest samples of the system's metrics in which sessions were active, at most 50."""
    rows = metrics if isinstance(metrics, list) else []
    return [row for row in rows if (number(mapping(row).get("active_sessions")) or 0) > 0][-50:]


def classify(found: Mapping[str, Any], limits: Json, seen: Sequence[Json] = ()) -> dict[str, Any]:
    """The class of fault of each subject that was looked at, and a line for people on each.

    Args:
        found: answers by subject - ``service``, ``ffmpeg``, ``storage``, ``host``, ``sessions``, ``operations``; and
            ``stats`` and ``health``, the documents of these endpoints, and what was ``noted`` of the logs.
        limits: as for ``diagnose``.
        seen: the looks, of which those that a site added say themselves how their answers are read.

    Returns:
        ``classes`` by subject (a look that failed is ``unknown``, which no rung names), and ``findings``.
    """
    classes: dict[str, str] = {}
    findings: list[dict[str, str]] = []

    def add(subject: str, fault_class: str, line: object) -> None:
        classes[subject] = fault_class
        findings.append({"subject": subject, "class": fault_class, "finding": one_line(line, 300)})

    for subject, key, reader in _PROBES:
        if subject in found:
            result = mapping(found[subject])
            failure = failure_of(result, key)
            told = ("unknown", failure) if failure else reader(result)
            add(subject, *_beside(subject, told, found))
    if "host" in found:
        host = mapping(found["host"])
        failure = failure_of(host, "cpu", "memory", "disks")
        add("disk", *(("unknown", failure) if failure else _disk(host, limits)))
        usage = mapping(mapping(mapping(found.get("service")).get("service")).get("usage"))
        add("resources", *(("unknown", failure) if failure else _resources(host, usage, limits)))
    if "operations" in found:
        add("operations", *_operations(mapping(found["operations"]), limits))
    if "stats" in found:
        failure = failure_of(mapping(found["stats"]))
        add("performance", *(("unknown", failure) if failure else _performance(mapping(found["stats"]), limits)))
    for name, answer in mapping(found.get("logs")).items():
        if why := unread(mapping(answer)):
            add(name, "missing" if mapping(answer).get("state") == "missing" else "unknown", why)
    for look in (one for one in seen if "class" in one):
        add(look["subject"], *_of_site(look))
    findings += noted_findings(mapping(found.get("noted")))
    return {"classes": classes, "findings": findings}


def _of_site(look: Json) -> tuple[str, str]:
    """The class of what a site's own module looked at, by the expressions of its row; unknown where they give none."""
    failure = failure_of(mapping(look["answer"]))
    if failure:
        return "unknown", failure
    found = {}
    for key in ("class", "finding"):
        try:
            found[key] = compiled(f"policy_site_looks.{look['subject']}.{key}", str(look.get(key) or key))(
                look["answer"]
            )
        except UnfitError as error:
            found[key] = None if key == "class" else str(error)
    named = found["class"]
    if not isinstance(named, str) or not _CLASS.fullmatch(named):
        return "unknown", f"its class cannot be read: {one_line(repr(named), 100)}"
    return named, str(found["finding"] or named)


def _beside(subject: str, told: tuple[str, str], found: Mapping[str, Any]) -> tuple[str, str]:
    """The class of a subject, and the line on it, beside what else was found."""
    kind, line = told
    if (subject, kind) == ("ffmpeg", "ok"):
        return _unused(found) or told
    if (subject, kind) == ("service", "running") and (unreached := _unreached(found)):
        return kind, f"{line}; yet {unreached}"
    if (subject, kind) == ("service", "hung") and (working := _worked_on(mapping(found.get("sessions")))):
        return "busy", f"{line}; yet {working}: nothing is lost by waiting"
    return told


def failure_of(result: Json, *needed: str) -> str:
    """Why a module gave no answer, or "" where it did."""
    if result.get("failed") or result.get("unreachable") or result.get("rc") in (126, 127):
        return f"no answer: {one_line(result.get('msg') or result.get('module_stderr') or 'nothing was said')}"
    return "no answer" if any(key not in result for key in needed) else ""


def _state(result: Json) -> tuple[str, str]:
    return str(result.get("state") or "unknown"), str(result.get("reason") or result.get("state") or "no answer")


def _ffmpeg(result: Json) -> tuple[str, str]:
    state, reason = _state(result)
    listed = ("ok", "missing", "not_executable", "broken_binary", "broken_library")
    # A packaged program that was altered can show as anything.
    return ("altered" if result.get("reinstall_cures") and state not in listed else state), reason


def _unused(found: Mapping[str, Any]) -> tuple[str, str] | None:
    """The class of an ffmpeg that works where the service says that it does not; None where they agree.

    A service that looked for ffmpeg at its start, and found none, needs a restart. That is known of one that has run
    since before ffmpeg was put there as it is; of another one a restart would change nothing.
    """
    listed = components(mapping(found.get("health")))
    ill = next(
        (row for row in listed if row["component"] == "ffmpeg" and row["status"] not in ("healthy", "warning")), None
    )
    if ill is None:
        return None
    said = f"it works, and the service says that it is {ill['status']}: {ill['message'] or 'no reason given'}"
    service = mapping(mapping(found.get("service")).get("service"))
    began, changed = from_text(service.get("since")), from_text(mapping(found["ffmpeg"]).get("changed_at"))
    if service.get("class") == "running" and began and changed and began < changed:
        return "not_used", f"{said}; the service runs since before it was put there"
    return "ok", f"{said}; nothing was changed of it since the service began, or that is not known"


def _service(result: Json) -> tuple[str, str]:
    """What systemd says of it; of one that runs, whether it answers by itself, or at least works.

    An address of the API that does not answer is no dead service.
    """
    service = mapping(result.get("service"))
    fault_class = str(service.get("class") or "unknown")
    reason, answering = str(service.get("reason") or fault_class), mapping(service.get("answering"))
    state = answering.get("state")
    if fault_class != "running" or state not in ("answers", "silent", "listens_nowhere"):
        return fault_class, reason
    told = f"{reason}; {answering.get('reason')}"
    if state == "answers":
        return fault_class, told
    at_work = service.get("at_work")
    if at_work:
        pids = ", ".join(str(pid) for pid in at_work[:5]) if isinstance(at_work, list) else at_work
        return "busy", f"{told}; yet it works on merges (pid {pids}): nothing is lost by waiting"
    return "hung", told


def _unreached(found: Mapping[str, Any]) -> str:
    """That the API is not had under its address while the service answers by itself; "" where that is not seen."""
    api = mapping(mapping(found.get("sessions")).get("api"))
    answering = mapping(mapping(mapping(found.get("service")).get("service")).get("answering"))
    if answering.get("state") != "answers" or api.get("state") not in ("unreachable", "timeout"):
        return ""
    return (
        f"media_ops_api_url does not lead to it ({api.get('reason')}): look at that address, and at what is between "
        "(proxy, TLS)"
    )


def _worked_on(sessions: Json) -> str:
    """That sessions go on, in a few words; "" where none is seen to."""
    rows = sessions.get("sessions")
    going = [row for row in map(mapping, rows if isinstance(rows, list) else []) if row.get("state") == "progressing"]
    return f"sessions go on ({len(going)}), such as {going[0].get('session_id')}" if going else ""


def _operations(result: Json, limits: Json) -> tuple[str, str]:
    """What the service has done since it forgot all that was before, with its restart."""
    failure = failure_of(result, "endpoints")
    answer = mapping(mapping(result.get("endpoints")).get("stats"))
    if not failure and answer.get("state") == NOT_OFFERED:
        # Neither the service nor a log tells of operations, so these can prove nothing: the rest must.
        return "none", SAID_NOT_OFFERED
    failure = failure or _failure_of_answer(answer)
    if failure:
        return "unknown", failure
    stats = mapping(answer.get("data"))
    total, failed = number(stats.get("total_operations")), number(stats.get("failed_operations"))
    rate = number(stats.get("error_rate"))
    if total == 0 and not failed and not rate:
        return "none", "no operation since"
    share = failed / total if total and failed is not None else rate
    if not total or total < 0 or share is None or not 0 <= share <= 1:
        return "unknown", "the statistics do not tell how many operations failed"
    if rate is not None and abs(rate - share) > _RATES_DIFFER:
        return "unknown", f"the statistics contradict themselves: {share:.0%} of {total:g} failed, and {rate:.0%}"
    line = f"{share * total:.0f} of {total:g} operations failed"
    return ("failing" if share >= float(limits["failed_share"]) else "ok"), line


def _sessions(result: Json) -> tuple[str, str]:
    sessions, orphans = _rows(result, "sessions"), _rows(result, "orphans")
    due = [row for row in sessions if row.get("may_end")]
    if due:
        listed = ", ".join(f"{row.get('session_id')} ({row.get('state')}: {row.get('why')})" for row in due[:5])
        return "may_end", f"{len(due)} of {_all(result, 'sessions')} may be ended: {listed}"
    api = mapping(result.get("api"))
    if api.get("state", "ok") not in ("ok", NOT_OFFERED):
        return "unknown", f"the API does not say which sessions there are: {api.get('reason') or api['state']}"
    # A young session may have no process yet, or none any more while its result is uploaded.
    lost = [row for row in sessions if row.get("session_id") in (result.get("restart_needed") or [])]
    if lost:
        return "no_process", (
            f"{len(lost)} are listed without a process, such as {lost[0].get('session_id')}: only a restart of the "
            "service ends those"
        )
    kind, line = _long_running(result, sessions, orphans)
    return kind, "; ".join([line, *_strangers(result)])


def _strangers(result: Json) -> list[str]:
    """What looks like a session's process and is not proved to be one, in a line; none where there is nothing."""
    rows = _rows(result, "unproved")
    listed = "; ".join(f"pid {row.get('pid')} ({row.get('command')}) {row.get('why')}" for row in rows[:3])
    return [f"beside them {listed}"] if rows else []


def _long_running(result: Json, sessions: Sequence[Json], orphans: Sequence[Json]) -> tuple[str, str]:
    """The class where no session is known to be due."""
    doubtful = unjudged(result)
    service = mapping(result.get("service"))
    if doubtful or service.get("state") == "unknown":
        listed = "; ".join(f"{row.get('session_id')} ({row.get('state')}: {row.get('why')})" for row in doubtful[:5])
        return "unknown", f"{len(doubtful)} of {_all(result, 'sessions', 'orphans')} cannot be judged: " + (
            listed or str(service.get("reason") or "nothing is known of the service")
        )
    wanting = [row for row in sessions if row.get("attention") in ("investigate", "end")]
    if wanting:
        listed = ", ".join(
            f"{row.get('session_id')} ({row.get('state')}: {row.get('why') or 'no reason given'})"
            for row in wanting[:5]
        )
        return "attention", f"{len(wanting)} run long and are not to be ended: {listed}"
    if orphans:
        listed = "; ".join(f"{row.get('session_id')} (pid {_pids(row)})" for row in orphans[:5])
        return "orphans", (
            f"{_all(result, 'orphans')} without a session of the service still have processes: {listed}; "
            "emergency_clear_stuck_processes.yml ends such"
        )
    return "ok", f"{number_of(_all(result, 'sessions'), 'session')}, none is stuck"


def _all(result: Json, *kinds: str) -> int:
    """How many sessions of these kinds there are, also those that have no row."""
    left_out = mapping(result.get("left_out"))
    return sum(len(_rows(result, kind)) + int(number(left_out.get(kind)) or 0) for kind in kinds)


def _rows(result: Json, kind: str) -> list[Json]:
    return [row for row in result.get(kind) or [] if isinstance(row, Mapping)]


def _pids(session: Json) -> str:
    return ", ".join(str(mapping(process).get("pid")) for process in session.get("processes") or [])


_PROBES: tuple[tuple[str, str, Callable[[Json], tuple[str, str]]], ...] = (
    ("service", "service", _service),
    ("ffmpeg", "state", _ffmpeg),
    ("storage", "state", _state),
    ("sessions", "sessions", _sessions),
)


def _disk(host: Json, limits: Json) -> tuple[str, str]:
    disks = [row for row in host.get("disks") or [] if isinstance(row, Mapping)]
    there = [row for row in disks if row.get("state") != "missing"]
    # A directory that is not there lies on no disk; where none is, nothing was seen.
    bad = [row for row in there or disks if row.get("state") != "ok"]
    fullest: tuple[float, str, Json] | None = None
    for row in disks:
        for key, what in (("used_percent", "space"), ("inodes_used_percent", "inodes")):
            used = number(row.get(key))
            if used is not None and (fullest is None or used > fullest[0]):
                fullest = (used, f"{row.get('mount_point')} has {used:.0f} % of its {what} in use", row)
    if fullest and fullest[0] >= float(limits["disk_percent"]):
        line, disk = fullest[1:]
        held = mapping(disk.get("held_open"))
        more = (held_said(held), unproven_said(held, number(disk.get("used_bytes"))), _freed_by_none(disk, limits))
        return "full", "; ".join(filter(None, [line, *more]))
    read_only = [row for row in disks if row.get("read_only")]
    if read_only:
        return "read_only", f"{read_only[0].get('mount_point')} is mounted read-only"
    if bad or not fullest:
        return "unknown", "; ".join(f"{row.get('path')}: {row.get('reason')}" for row in bad) or "no figures"
    return "ok", fullest[1]


def _freed_by_none(disk: Json, limits: Json) -> str:
    """What a person can do about a disk on which nothing goes by any rule; "" of one on which something may."""
    # Of several paths on one disk the first is told, and policy_disk_paths has those of the service first.
    if disk.get("path") in limits.get("disk_freed", [disk.get("path")]):
        return ""
    at = disk.get("mount_point") or disk.get("path")
    return f"no rule frees it: look with sudo du -xh {at} | sort -h | tail, and delete by hand"


def _resources(host: Json, usage: Json, limits: Json) -> tuple[str, str]:
    """Whether the host is short of CPU or memory, and by whom.

    Only what the service has by itself a restart gives back; what its workers have is the merges that it would lose.
    """
    memory = number(mapping(host.get("memory")).get("used_percent"))
    cpu = number(mapping(host.get("cpu")).get("used_percent"))
    if memory is None or cpu is None:
        return "unknown", "no figures of CPU or memory"
    top = next(iter(mapping(host.get("processes")).get("top_cpu") or []), None)
    busiest = f", most by {top.get('name')} (pid {top.get('pid')})" if isinstance(top, Mapping) else ""
    line = f"CPU {cpu:.0f} %, memory {memory:.0f} % in use{busiest}"
    used = {"cpu": cpu, "memory": memory}
    short = [what for what, percent in used.items() if percent > float(limits[f"{what}_percent"])]
    if not short:
        return "ok", line
    shares = {
        whose: [(number(usage.get(f"{whose}_{what}_percent")) or 0) / used[what] for what in short]
        for whose in ("own", "work")
    }
    told = ", ".join(
        f"of the {what} in use {100 * own:.0f} % by the service, {100 * work:.0f} % by its merges"
        for what, own, work in zip(short, shares["own"], shares["work"], strict=True)
    )
    line = f"{line}; {told if usage else 'by whom is not known'}"
    least = float(limits["service_share"])
    if any(own >= least for own in shares["own"]):
        return "short_by_service", line
    if any(own + work >= least for own, work in zip(shares["own"], shares["work"], strict=True)):
        return "short_by_work", line
    return "short", line


def _performance(stats: Json, limits: Json) -> tuple[str, str]:
    average = number(stats.get("average_duration"))
    operations = number(stats.get("total_operations"))
    if operations == 0:
        return "idle", "no operation in the window"
    if operations is None or average is None:
        return "unknown", "the statistics do not tell the number of operations and their average duration"
    rows = {name: number(mapping(row).get("average_duration")) for name, row in _stages(stats)}
    slow = sorted(((value, name) for name, value in rows.items() if value is not None), reverse=True)
    line = f"{average:.0f} s an operation on average" + (
        f", slowest stage {slow[0][1]} ({slow[0][0]:.0f} s)" if slow else ""
    )
    return ("degraded" if average > float(limits["duration_s"]) else "ok"), line


def _stages(stats: Json) -> list[tuple[str, Any]]:
    return list(mapping(stats.get("stage_breakdown")).items())[:50]


def ranked_stages(stats: object) -> list[dict[str, Any]]:
    """The stages of a statistics answer, slowest on average first (P2P-2A)."""
    rows = [
        {"stage": one_line(name, 40), "average_duration_s": number(mapping(row).get("average_duration"))}
        for name, row in _stages(mapping(stats))
    ]
    return sorted(
        (row for row in rows if row["average_duration_s"] is not None),
        key=lambda row: -float(row["average_duration_s"]),
    )
