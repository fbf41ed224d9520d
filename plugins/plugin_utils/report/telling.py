# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells a fleet's verdicts to people, in the process that calls it: no host, connection or task of Ansible is needed.

What each host keeps to be told goes out, and what the controller keeps for hosts that cannot. Whatever fails on the way
is a value that says why, and what is to be told leaves all the same.
"""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from typing import Any, NamedTuple, TypedDict

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ...module_utils.alerts.notify import COMMAND_PREFIX, LIMITS, channel_spec, notify
from ...module_utils.alerts.transition import (
    FLEET_PREFIX,
    AlertPolicy,
    Alerts,
    Run,
    acknowledge,
    adopt,
    claim,
    dedup_key,
    hand_back,
    is_alert,
    is_message,
    leave,
    open_alerts,
    transition,
)
from ...module_utils.redact import Redactor
from ...module_utils.shapes import Json, mapping, number, one_line
from ...module_utils.times import utc_now
from ..judging.muting import is_muted_host
from ..judging.shapes import Verdict, verdict
from .kept import Host, Kept, moved

_OF_HOSTS, _OF_CONTROLLER = "hosts", "controller"
_OURS = (_OF_HOSTS, _OF_CONTROLLER)
_CONTROLLER = "controller"
_RUN, _REPORT = "run", "report"
_HOLD_S = 240.0  # as module alert_state's option hold
_REMINDER_MAX_S = 10 * 365 * 86400.0
_SOURCE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SECRET = ("url", "routing_key", "token", "proxy", "password")


@dataclass(frozen=True)
class Way:
    """How and to whom a run tells.

    Attributes:
        state_dir: directory on the controller, made where it is not there; it may be one that cannot be written.
        source: what looked, such as ``watch_health``.
        channels: as option ``channels`` of module notify.
        title: what is watched, for people.
        contacts: whom to call, each with ``area``, ``name`` and ``contact``.
        report: the page that messages lead to, written already or not.
        command_prefix: how the reader calls a playbook; empty for the default.
        alert_from: the least bad state that is told, ``warning`` or ``unknown``.
        reminder_after_s: after how many seconds a bad state is told again; 0 for never.
        settle: how many runs in a row must see a state.
    """

    state_dir: str
    source: str
    channels: Sequence[Any] = ()
    title: str = "Media processing"
    contacts: Sequence[Any] = ()
    report: str = ""
    command_prefix: str = ""
    alert_from: str = "unknown"
    reminder_after_s: float = 14400.0
    settle: int = 1


def way_of(given: Json) -> tuple[Way, list[str]]:
    """How to tell, by the options of action tell, and what of these cannot be meant; there the default holds."""
    wrong = []

    def usable(name: str, default: Any, fits: Callable[[Any], bool]) -> Any:
        value = given.get(name)
        if value is None or fits(value):
            return default if value is None else value
        wrong.append(f"option '{name}' of tell cannot be used, and so {default!r} holds")
        return default

    least = {field.name: field.default for field in fields(Way)}
    way = Way(
        state_dir=given["state_dir"],
        source=usable("source", "check", lambda value: isinstance(value, str) and _SOURCE.fullmatch(value) is not None),
        channels=usable("channels", [], lambda value: isinstance(value, list)),
        title=str(given["title"]),
        contacts=usable("contacts", [], lambda value: isinstance(value, list)),
        report=str(given.get("report") or ""),
        command_prefix=str(given.get("command_prefix") or ""),
        alert_from=usable("alert_from", least["alert_from"], lambda value: value in ("warning", "unknown")),
        reminder_after_s=min(
            usable("reminder_after", least["reminder_after_s"], lambda value: number(value) is not None and value >= 0),
            _REMINDER_MAX_S,
        ),
        settle=usable("settle", least["settle"], lambda value: number(value) is not None and 1 <= value <= 100),
    )
    return way, wrong


@dataclass(frozen=True)
class Findings:
    """What a run found.

    Attributes:
        verdicts: of each host that was asked for; none for one that was not judged.
        answers: of module alert_state, by host; None where no host was asked, as when the run has ended before.
        lost: why the run as a whole ended before its time; empty where it did not.
        inventory: the name of the inventory, so that the hosts of another one are not taken for gone.
        everyone: all hosts of that inventory; None where the run may have seen only a part of it.
    """

    verdicts: Mapping[str, Sequence[Json]]
    answers: Mapping[str, Json] | None = field(default_factory=dict)
    lost: str = ""
    inventory: str = ""
    everyone: Collection[str] | None = None


class Told(TypedDict):
    """What came of it.

    Keys:
        headlines: what was sent, one line each.
        delivered: by host, what module alert_state is to take note of on it.
        problem: why not everything was told, or could be kept, without secrets of channels; empty where it was.
        late: whether people believe that the report of a run could not be written.
        changed: whether anything was sent.
    """

    headlines: list[str]
    delivered: dict[str, list[Any]]
    problem: str
    late: bool
    changed: bool


def tell_all(found: Findings, way: Way, *, check_mode: bool = False) -> Told:
    """Send what is to be told of the hosts of a run, those among them that were not judged or cannot keep it.

    Never raises for what lies outside: a directory, a channel, a host's answer.
    """
    run = _run(way)
    return _told(way, lambda kept, lasts: _found(kept, found, _steady(way, lasts), run), check_mode=check_mode)


def tell_of_report(way: Way, problem: str, *, check_mode: bool = False) -> Told:
    """Send that the report of this run could not be written, for that ``problem``; where it is empty, that it was."""
    run = _run(way)
    return _told(way, lambda kept, _lasts: _of_report(kept, problem, way, run), check_mode=check_mode)


def _steady(way: Way, lasts: bool) -> Way:
    """Where nothing can be kept, no state would ever have been seen twice, and so nothing told."""
    return way if lasts else replace(way, settle=1)


def _run(way: Way) -> Run:
    name = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"
    return Run(way.source, name, _CONTROLLER, utc_now())


class _ToTell(NamedTuple):
    of_hosts: list[Json]  # messages that hosts keep
    ours: list[Json]  # messages that the controller keeps
    alerts: list[Json]  # open anywhere
    told_before: list[Json]  # deliveries of messages that the controller has told in the host's place
    late: bool
    problems: list[str] = []  # noqa: RUF012 (a default of a tuple, which nobody changes)


def _told(way: Way, change: Callable[[Kept, bool], tuple[Kept, _ToTell]], *, check_mode: bool) -> Told:
    to_tell, kept_problems = moved(way.state_dir, change, check_mode=check_mode)
    channels, unusable = sound_channels(way.channels)
    redactor = redactor_of(way.channels)
    notes = [redactor.text(problem) for problem in [*kept_problems, *to_tell.problems]]
    sent = _sent(to_tell, way, channels, notes, check_mode=check_mode)
    rows = [mapping(row) for row in sent.get("deliveries") or []]
    if unusable:
        # Those channels get it once they are set up: until then it waits.
        rows = [{**row, "complete": False} for row in rows]
    ours = {(message["host"], message["id"]) for message in to_tell.ours}
    noted = [row for row in rows if (row["host"], row["id"]) in ours]
    if noted and not check_mode:
        _none, more = moved(way.state_dir, lambda kept, _lasts: (_acked(kept, noted), None), check_mode=False)
        notes += [redactor.text(problem) for problem in more]
    not_sent = problem_of({**sent, "failures": [*unusable, *(sent.get("failures") or [])]} if unusable else sent)
    problems = dict.fromkeys(filter(None, [redactor.text(not_sent), *notes]))
    return {
        "headlines": sent.get("headlines") or [],
        "delivered": delivered([*(row for row in rows if (row["host"], row["id"]) not in ours), *to_tell.told_before]),
        "problem": "; ".join(problems),
        "late": to_tell.late,
        "changed": sent.get("changed") is True,
    }


def _acked(kept: Kept, deliveries: Sequence[Json]) -> Kept:
    return kept._replace(state=acknowledge(kept.state, deliveries)[0])


def _sent(to_tell: _ToTell, way: Way, channels: Sequence[Json], notes: Sequence[str], *, check_mode: bool) -> Json:
    contacts = [one for one in way.contacts if isinstance(one, Mapping)]
    params = {
        **LIMITS,
        "messages": [*to_tell.of_hosts, *to_tell.ours],
        "open_alerts": to_tell.alerts,
        "channels": channels,
        "title": way.title,
        "contacts": contacts,
        "report_path": way.report,
        "notes": notes,
        "command_prefix": way.command_prefix or COMMAND_PREFIX,
        "fail": False,
    }
    try:
        return notify(params, check_mode=check_mode)
    except Exception as error:  # noqa: BLE001  whatever it is, the run goes on and says so
        return {"msg": f"Not notified: {type(error).__name__}: {one_line(error, 300)}"}


# --- what there is to tell


def _found(kept: Kept, found: Findings, way: Way, run: Run) -> tuple[Kept, _ToTell]:
    """What is kept after a run, and what it may tell. Pure."""
    policy = AlertPolicy(way.alert_from, way.reminder_after_s, way.settle)
    answers = found.answers or {}
    keeping = [host for host in kept_by(answers) if host in found.verdicts]
    silent = [host for host in found.verdicts if host not in keeping]
    gone = [host for host in silent if mapping(answers.get(host)).get("unreachable") is True]
    state, hosts = _taken_over(kept, silent, found.inventory, run)
    told_before: list[Json] = []
    for host in keeping:
        state, before = _handed_back(state, host, answers[host])
        told_before += before
        hosts[host] = Host(found.inventory, [row for row in answers[host]["open"] if row["source"] not in _OURS])
    rows = [
        *(row for host in silent if host not in gone for row in _rows(host, found)),
        # That such a host is silent is told below, which explains all else that is not known of it.
        *(row for host in gone for row in _rows(host, found) if row["state"] == "critical"),
        *(row for host in keeping for row in _rows(host, found) if _is_ours(state, run.source, host, row["check"])),
    ]
    state, _new = transition(state, rows, run, policy, partly=gone)
    of_hosts = host_states(found.verdicts, found.answers)
    state, _new = transition(state, of_hosts, _as(run, _OF_HOSTS), policy)
    state = _of_controller(state, {_RUN: found.lost}, way, run)
    state, hosts = _departed(state, hosts, found, run, policy)
    for host in [host for host, known in hosts.items() if not known.alerts]:
        if not any(entry["host"] == host for entry in state["entries"].values()):
            del hosts[host]
    state, mine = claim(state, run, _HOLD_S)
    not_news = {(row["host"], row["id"]) for row in told_before}
    theirs = [row for host in keeping for row in answers[host]["messages"] if (row["host"], row["id"]) not in not_news]
    elsewhere = [row for host, known in hosts.items() if host not in found.verdicts for row in known.alerts]
    return Kept(state, hosts), _ToTell(
        of_hosts=theirs,
        ours=[message for message in mine if is_message(message)],
        alerts=[*(row for host in keeping for row in answers[host]["open"]), *open_alerts(state), *elsewhere],
        told_before=told_before,
        late=_is_ours(state, _OF_CONTROLLER, _CONTROLLER, _REPORT),
        problems=[f"{host}: {one_line(answers[host]['reset'], 300)}" for host in keeping if answers[host].get("reset")],
    )


def _of_report(kept: Kept, problem: str, way: Way, run: Run) -> tuple[Kept, _ToTell]:
    state, mine = claim(_of_controller(kept.state, {_REPORT: problem}, way, run), run, _HOLD_S)
    known = [row for host in kept.hosts.values() for row in host.alerts]
    late = _is_ours(state, _OF_CONTROLLER, _CONTROLLER, _REPORT)
    ours: list[Json] = [message for message in mine if is_message(message)]
    return kept._replace(state=state), _ToTell([], ours, [*open_alerts(state), *known], [], late)


def _as(run: Run, source: str) -> Run:
    return Run(source, run.run_id, run.host, run.now)


def _rows(host: str, found: Findings) -> list[dict[str, Any]]:
    """The verdicts of a host, as they are taken into the state."""
    given = [mapping(row) for row in found.verdicts[host]]
    return [{**row, "hosts": [host], "state": row.get("state")} for row in given if isinstance(row.get("check"), str)]


def _is_ours(state: Alerts, source: str, host: str, check: str) -> bool:
    """Whether the controller keeps a check of a host as bad."""
    wanted = (source, host, check)
    return any((row["source"], row["host"], row["check"]) == wanted for row in open_alerts(state))


def _taken_over(kept: Kept, silent: Sequence[str], inventory: str, run: Run) -> tuple[Alerts, dict[str, Host]]:
    """What hosts that say nothing now had told before goes on as the controller's, so that it is not told twice."""
    state, hosts = kept.state, dict(kept.hosts)
    for host in silent:
        if host in hosts:
            state = adopt(state, [row for row in hosts[host].alerts if row["host"] == host], run)
        hosts[host] = Host(inventory, [])
    return state, hosts


def _handed_back(state: Alerts, host: str, answer: Json) -> tuple[Alerts, list[Json]]:
    """What a host keeps itself again is the controller's no more, and what was told of it is no news of the host's."""
    keys: dict[tuple[str, str], str] = {}
    over = [row for row in answer["messages"] if row["event"] == "ended"]
    for row in [*answer["open"], *over]:
        if row["source"] not in _OURS:
            state, key = hand_back(state, host, row["source"], row["check"])
            keys.update({(row["source"], row["check"]): key} if key else {})
    before = [row for row in answer["messages"] if row["event"] == "began" and (row["source"], row["check"]) in keys]
    return state, [
        {
            "id": row["id"],
            "host": host,
            "channels": [],
            "complete": True,
            "dedup_key": keys[(row["source"], row["check"])],
        }
        for row in before
    ]


def _of_controller(state: Alerts, problems: Mapping[str, str], way: Way, run: Run) -> Alerts:
    """The state with how the run itself went."""
    said = {
        _RUN: ("The run", "The run went to its end", "Read what ansible-playbook said"),
        _REPORT: ("Report of the run", "The report was written", "Make room for the reports, or another directory"),
    }
    rows = []
    for check, problem in problems.items():
        title, well, action = said[check]
        text = f"{way.title} on {socket.gethostname()}: {problem or well}"
        rows.append(verdict(check, title, "", "unknown" if problem else "ok", text, action=action if problem else ""))
    # One look is enough, and each way of looking has its own standing.
    policy = AlertPolicy("unknown", way.reminder_after_s)
    return transition(state, rows, _as(run, _OF_CONTROLLER), policy, partly=[_CONTROLLER])[0]


def _departed(
    state: Alerts, hosts: dict[str, Host], found: Findings, run: Run, policy: AlertPolicy
) -> tuple[Alerts, dict[str, Host]]:
    """What is bad of hosts that are in the inventory no more ends for that reason."""
    if found.everyone is None:
        return state, hosts
    everyone = set(found.everyone) | set(found.verdicts)
    left = [host for host, known in hosts.items() if known.inventory == found.inventory and host not in everyone]
    for host in left:
        state = adopt(state, [row for row in hosts[host].alerts if row["host"] == host], run)
        state, _messages = leave(state, host, f"{host} left the inventory", run, policy.keep)
    return state, {host: known for host, known in hosts.items() if host not in left}


def kept_by(answers: Mapping[str, Json]) -> list[str]:
    """The hosts that keep their alert state, which speak of themselves alone."""
    return [host for host, answer in answers.items() if _is_sound(mapping(answer), host)]


def _is_sound(answer: Json, host: str) -> bool:
    """Whether all that a host has to tell is of its own.

    One that speaks for another could end the other's alerts, and one that sends no messages could keep all from theirs.
    """
    messages, alerts = answer.get("messages"), answer.get("open")
    return (
        isinstance(messages, list)
        and isinstance(alerts, list)
        and all(is_message(row) and _is_of(row, host) for row in messages)
        and all(is_alert(row) and _is_of(row, host) for row in alerts)
    )


def _is_of(row: Json, host: str) -> bool:
    shared = str(row["dedup_key"]).startswith(FLEET_PREFIX)
    return bool(row["host"] == host) and (shared or row["dedup_key"] == dedup_key(row))


def host_states(verdicts: Mapping[str, Sequence[Json]], answers: Mapping[str, Json] | None) -> list[dict[str, Any]]:
    """For each host a verdict of whether it can be asked, was judged, and keeps its alert state.

    Args:
        verdicts: by host.
        answers: by host, of module alert_state; None where none was asked, and so nothing is said of that.
    """
    known = {host: mapping(answer) for host, answer in (answers or {}).items()}
    keeping = kept_by(known)
    found = []
    for host, judged in verdicts.items():
        answer = known.get(host) or {}
        said = one_line(answer.get("msg") or "no answer", 160)
        if is_muted_host(judged):
            row = _host_state("ok", "The host is muted: whether it can be asked counts for nothing")
        elif host in keeping:
            row = _host_state("ok", "State of the host: kept")
        elif answer.get("unreachable") is True:
            row = _host_state(
                "unknown",
                "The host is unreachable, so nothing about it is known",
                "Check that the host is up and that ssh reaches it",
            )
        elif not judged:
            row = _host_state(
                "unknown",
                f"The host was not judged, so nothing about it is known ({said})",
                "Read what ansible-playbook said of the host",
            )
        elif answers is None:
            continue
        else:
            row = _host_state(
                "unknown",
                f"The host does not keep its alert state, so the controller does ({said})",
                'Read the failure of the task "See what there is to tell"; the playbook prepare_hosts makes the '
                "directory",
            )
        found.append({**row, "hosts": [host]})
    return found


def _host_state(state: str, message: str, action: str = "") -> Verdict:
    return verdict("host_state", "State of the host", "", state, message, action=action)


# --- channels, and what came of them


def sound_channels(given: Iterable[Any]) -> tuple[list[Json], list[Json]]:
    """The channels with all their options, and a failure for each that cannot be understood at all."""
    sound: list[Json] = []
    failures: list[Json] = []
    for place, channel in enumerate(given, start=1):
        name = one_line(mapping(channel).get("name") or f"channel {place}", 80)
        if not isinstance(channel, Mapping):
            failures.append({"channel": name, "reason": "is not a dictionary"})
            continue
        checked = ArgumentSpecValidator(channel_spec()).validate(dict(channel))
        unknown = ", ".join(sorted(map(str, checked.unsupported_parameters)))
        if checked.error_messages:
            why = f"has no option {unknown}" if unknown else "; ".join(checked.error_messages)
            failures.append({"channel": name, "reason": one_line(why, 300)})
        else:
            sound.append(checked.validated_parameters)
    return sound, failures


def redactor_of(channels: object) -> Redactor:
    """Takes out what of channels must be seen nowhere, the addresses of webhooks among them."""
    given = map(mapping, channels if isinstance(channels, (list, tuple)) else [])
    return Redactor({str(channel[name]) for channel in given for name in _SECRET if channel.get(name)})


def problem_of(sent: Json) -> str:
    """Why not everything was told, in one sentence; empty where it was."""
    failures = sent.get("failures")
    if not isinstance(failures, list):
        return str(sent.get("msg") or "Not notified: no answer")
    said = [f"{mapping(row).get('channel')}: {mapping(row).get('reason')}" for row in failures]
    said += [str(sent["msg"])] if sent.get("msg") else []
    return f"Not notified: {'; '.join(said)}" if said else ""


def delivered(rows: Iterable[Json]) -> dict[str, list[Any]]:
    """What was delivered, by the host that keeps it."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(str(row["host"]), []).append(row)
    return found
