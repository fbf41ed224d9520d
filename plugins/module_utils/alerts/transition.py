# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From verdicts to messages that people do not mute: one when a state begins, one when it ends. Pure.

Each run that found a check bad or changed either leads to a message or is counted as suppressed in the next one.
Messages wait in ``pending`` until they are acknowledged, so that a channel that is down loses nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

from ..shapes import STATES, one_line, worst_state
from ..times import from_text, to_text

Json = Mapping[str, Any]

VERSION = 1
EVENTS = ("began", "changed", "flapping", "reminder", "ended")
"""What a message tells, in the order in which it is told."""
_OK = "ok"
FLEET_PREFIX = "media-ops:fleet:"
"""How the key of a trouble begins that several hosts share."""
_OF_ALERT = ("source", "host", "check", "began_at", "dedup_key")
_STANDINGS = (*STATES, "flapping")
# It becomes part of a command that people copy.
_PLAYBOOK = re.compile(r"(?!.*\.\.)([A-Za-z0-9_][A-Za-z0-9_./-]{0,99})?\Z")
_FORGET = timedelta(days=30)
_ENTRIES_MAX = 5000
_CHANGES_MAX = 200
_KEY_MAX = 255


class Message(TypedDict):
    """What is told to people about one check of one host (docs/architecture.md)."""

    id: str
    event: str
    source: str
    run_id: str
    host: str
    check: str
    title: str
    severity: str
    severity_was: str
    state: str
    was: str
    since: str
    began_at: str
    at: str
    duration_s: int
    suppressed: int
    message: str
    action: str
    playbook: str
    dedup_key: str
    sent_to: list[str]


class Entry(TypedDict):
    """What is remembered of one check of one host between runs."""

    source: str
    host: str
    check: str
    title: str
    state: str
    since: str
    began_at: str
    severity: str
    seen: str
    seen_since: str
    seen_times: int
    changes: list[list[str]]
    flapping: bool
    told_at: str
    suppressed: int
    dedup_key: str
    last_seen: str


class Alerts(TypedDict):
    """The content of the state file."""

    version: int
    sequence: int
    runs: dict[str, str]
    entries: dict[str, Entry]
    pending: list[Message]
    claims: dict[str, list[str]]  # by a message's id, the run that sends it now, and since when
    dropped: int


@dataclass(frozen=True)
class AlertPolicy:
    """When there is something to tell.

    Attributes:
        alert_from: the least bad state that counts as bad, ``warning`` or ``unknown``.
        reminder_after_s: how long after a message the same bad state is told again; 0 for never.
        settle: how many runs in a row must see a state before it is told.
        flap_changes: how many changes within ``flap_window_s`` make a check flap.
        flap_window_s: see there.
        flap_quiet_s: how long a check must keep its state to flap no more.
        keep: how many messages wait for delivery at most; beyond, the oldest are dropped and counted.
    """

    alert_from: str = "unknown"
    reminder_after_s: float = 14400
    settle: int = 1
    flap_changes: int = 4
    flap_window_s: float = 3600
    flap_quiet_s: float = 1800
    keep: int = 500


@dataclass(frozen=True)
class Run:
    """Which run looked, at what, and when."""

    source: str
    run_id: str
    host: str
    now: datetime


def nothing_known() -> Alerts:
    """The state before the first run."""
    return {"version": VERSION, "sequence": 0, "runs": {}, "entries": {}, "pending": [], "claims": {}, "dropped": 0}


def transition(
    previous: Alerts, verdicts: Sequence[Json], run: Run, policy: AlertPolicy, partly: Collection[str] = ()
) -> tuple[Alerts, list[Message]]:
    """The state after a run, and the messages that it adds to those that wait.

    Args:
        previous: left as it is.
        verdicts: each may name its ``hosts``, else it is of ``run.host``. A known check of these hosts that is not
            among them is no longer checked, and a bad state of it ends.
        run: a run that was counted already changes nothing.
        policy: when to tell.
        partly: hosts of which not all checks are among the verdicts; what is not, stays as it is.
    """
    state = _copy(previous)
    if state["runs"].get(run.source) == run.run_id:
        return state, []
    state["runs"][run.source] = run.run_id
    messages: list[Message] = []
    judged = _by_key(verdicts, run)
    for key, verdict in judged.items():
        entry = state["entries"].setdefault(key, _new_entry(verdict, run))
        found = _observe(entry, verdict, run, policy)
        if found:
            messages.append(_numbered(found, state))
    hosts = {verdict["host"] for verdict in judged.values()} - {one_line(host) for host in partly}
    for key, entry in list(state["entries"].items()):
        if entry["source"] == run.source and entry["host"] in hosts and key not in judged:
            if entry["state"] != _OK or entry["flapping"]:
                messages.append(_numbered(_gone(entry, run), state))
            del state["entries"][key]
    _forget(state, run, policy)
    _queue(state, messages, policy.keep)
    return state, messages


def acknowledge(previous: Alerts, deliveries: Sequence[Json]) -> tuple[Alerts, int]:
    """The state after deliveries, and how many messages wait no longer.

    Args:
        previous: left as it is.
        deliveries: for each message its ``id``, the ``channels`` that have it, whether these are all (``complete``),
            and the ``dedup_key`` under which it went out. One that names a ``host`` is of no other's message.
    """
    state = _copy(previous)
    told = {str(delivery.get("id")): delivery for delivery in deliveries}
    waiting = len(state["pending"])
    for message in list(state["pending"]):
        delivery = told.get(message["id"])
        if delivery is None or delivery.get("host") not in (None, message["host"]):
            continue
        state["claims"].pop(message["id"], None)
        message["sent_to"] = sorted({*message["sent_to"], *(str(name) for name in delivery.get("channels") or [])})
        _rekey(state, message, str(delivery.get("dedup_key") or message["dedup_key"]))
        if delivery.get("complete"):
            state["pending"].remove(message)
    return state, waiting - len(state["pending"])


def claim(previous: Alerts, run: Run, hold_s: float) -> tuple[Alerts, list[Message]]:
    """The state, and the messages that this run may send: those that no other run is sending.

    Args:
        previous: left as it is.
        run: what it takes is its own until it is acknowledged, delivered or not.
        hold_s: how long, where that never comes. Another run then sends what may so be told twice, and is never lost.
    """
    state = _copy(previous)
    since = to_text(run.now)
    mine, waiting = [], {message["id"] for message in state["pending"]}
    state["claims"] = {key: claimed for key, claimed in state["claims"].items() if key in waiting}
    for message in state["pending"]:
        by, at = state["claims"].get(message["id"], ("", ""))
        # A clock that was set back holds nothing for ever: what lies ahead is over as well.
        held = by not in ("", run.run_id) and timedelta(0) <= run.now - (from_text(at) or run.now) < timedelta(
            seconds=hold_s
        )
        if not held:
            state["claims"][message["id"]] = [run.run_id, since]
            mine.append(message)
    return state, mine


def adopt(previous: Alerts, alerts: Sequence[Json], run: Run) -> Alerts:
    """The state with the open alerts that others told of and that it does not know, as if they had been told by it.

    Args:
        previous: left as it is.
        alerts: as :func:`open_alerts` has them, of whoever says so.
        run: the run that takes them over.
    """
    state = _copy(previous)
    for alert in alerts:
        texts = {name: one_line(alert.get(name) or "", 255) for name in ("source", "host", "check", "dedup_key")}
        key = _key(texts["source"], texts["host"], texts["check"])
        if key in state["entries"] or alert.get("state") not in STATES or alert.get("severity") not in STATES:
            continue
        since, began_at = (to_text(_time(alert.get(name), run.now)) for name in ("since", "began_at"))
        entry = _new_entry({**texts, "title": one_line(alert.get("title") or texts["check"], 100)}, run)
        state["entries"][key] = {
            **entry,
            "source": texts["source"],
            "state": alert["state"],
            "seen": alert["state"],
            "since": since,
            "seen_since": since,
            "seen_times": 1,
            "began_at": began_at,
            "severity": alert["severity"],
            "flapping": alert.get("flapping") is True,
            "told_at": to_text(run.now),
            "dedup_key": texts["dedup_key"],
        }
    return state


def leave(previous: Alerts, host: str, why: str, run: Run, keep: int) -> tuple[Alerts, list[Message]]:
    """The state after a host that will not be seen again: what is bad of it ends for that reason, in words.

    Args:
        previous: left as it is.
        host: whose entries go.
        why: what has become of it, such as "media9 left the inventory".
        run: whose messages these are.
        keep: how many messages may wait.
    """
    state = _copy(previous)
    messages = []
    for key, entry in list(state["entries"].items()):
        if entry["host"] == host:
            if entry["state"] != _OK or entry["flapping"]:
                messages.append(_numbered(_gone(entry, run, why), state))
            del state["entries"][key]
    _queue(state, messages, keep)
    return state, messages


def hand_back(previous: Alerts, host: str, source: str, check: str) -> tuple[Alerts, str]:
    """The state without a check that its host keeps itself again, and the key under which that was told, or ""."""
    state = _copy(previous)
    entry = state["entries"].pop(_key(source, host, check), None)
    return state, entry["dedup_key"] if entry else ""


def open_alerts(state: Alerts) -> list[dict[str, Any]]:
    """What is bad or flapping now, of all sources."""
    shown = ("source", "host", "check", "title", "state", "severity", "since", "began_at", "flapping", "dedup_key")
    return [
        {name: entry[name] for name in shown}  # type: ignore[literal-required]
        for _key, entry in sorted(state["entries"].items())
        if entry["state"] != _OK or entry["flapping"]
    ]


def load(document: object) -> Alerts | None:
    """The state of a document that was read, or None where it is none."""
    if not isinstance(document, dict) or document.get("version") != VERSION:
        return None
    document.setdefault("claims", {})  # those of earlier versions have none
    if {name: type(value) for name, value in document.items()} != {n: type(v) for n, v in nothing_known().items()}:
        return None
    sound = all(fits(entry, Entry) for entry in document["entries"].values()) and all(
        isinstance(by, list) and [type(part) for part in by] == [str, str] for by in document["claims"].values()
    )
    return document if sound and all(fits(message, Message) for message in document["pending"]) else None  # type: ignore[return-value]


def fits(found: object, shape: Any) -> bool:
    """Whether something has the keys of a TypedDict of this module, each with a value of its type."""
    kinds = {"int": int, "bool": bool, "str": str, "list[str]": list, "list[list[str]]": list}
    wanted = {name: kinds[str(getattr(kind, "__forward_arg__", kind))] for name, kind in shape.__annotations__.items()}
    return isinstance(found, dict) and {name: type(value) for name, value in found.items()} == wanted


def is_message(found: object) -> bool:
    """Whether something is a message as this module makes them, whoever says so."""
    if not fits(found, Message):
        return False
    row: Json = found  # type: ignore[assignment]
    words = {"event": EVENTS, "severity": STATES, "severity_was": STATES, "state": _STANDINGS, "was": _STANDINGS}
    known = all(row[name] in allowed for name, allowed in words.items())
    return known and from_text(row["at"]) is not None and _PLAYBOOK.match(row["playbook"]) is not None


def is_alert(found: object) -> bool:
    """Whether something is an open alert, as far as it is sent, whoever says so."""
    return isinstance(found, dict) and all(isinstance(found.get(name), str) for name in _OF_ALERT)


def _copy(state: Alerts) -> Alerts:
    entries = {
        key: {**entry, "changes": [list(change) for change in entry["changes"]]}
        for key, entry in state["entries"].items()
    }
    pending = [{**message, "sent_to": list(message["sent_to"])} for message in state["pending"]]
    claims = {key: list(claimed) for key, claimed in state["claims"].items()}
    return {**state, "runs": dict(state["runs"]), "entries": entries, "pending": pending, "claims": claims}  # type: ignore[typeddict-item]


def _by_key(verdicts: Iterable[Json], run: Run) -> dict[str, dict[str, str]]:
    """The texts that count of each verdict; of two for one check the worse."""
    found: dict[str, dict[str, str]] = {}
    for verdict in verdicts:
        raw = verdict.get("state")
        texts = {
            "check": one_line(verdict.get("check"), 100),
            "state": raw if isinstance(raw, str) and raw in STATES else "unknown",
            "title": one_line(verdict.get("title") or verdict.get("check"), 100),
            "message": one_line(verdict.get("message") or "", 300),
            "action": one_line(verdict.get("action") or "", 300),
            "playbook": _playbook(verdict.get("playbook")),
        }
        for host in verdict["hosts"] if isinstance(verdict.get("hosts"), list) else [run.host]:
            key = _key(run.source, one_line(host), texts["check"])
            if key not in found or worst_state([found[key]["state"], texts["state"]]) != found[key]["state"]:
                found[key] = {**texts, "host": one_line(host)}
    return found


def _playbook(name: object) -> str:
    """The name of a playbook; none for what is no name of one, since whoever sends would refuse the whole message."""
    text = one_line(name or "", 100)
    return text if _PLAYBOOK.match(text) else ""


def _key(source: str, host: str, check: str) -> str:
    return f"{source}/{host}/{check}"


def _new_entry(verdict: Mapping[str, str], run: Run) -> Entry:
    now = to_text(run.now)
    return {
        "source": run.source,
        "host": verdict["host"],
        "check": verdict["check"],
        "title": verdict["title"],
        "state": _OK,
        "since": now,
        "began_at": "",
        "severity": _OK,
        "seen": _OK,
        "seen_since": now,
        "seen_times": 0,
        "changes": [],
        "flapping": False,
        "told_at": "",
        "suppressed": 0,
        "dedup_key": "",
        "last_seen": now,
    }


def _observe(entry: Entry, verdict: Mapping[str, str], run: Run, policy: AlertPolicy) -> Message | None:
    """Take one verdict into the entry; a message where there is something to tell."""
    state = verdict["state"] if STATES.index(verdict["state"]) >= STATES.index(policy.alert_from) else _OK
    now = to_text(run.now)
    entry["title"], entry["last_seen"] = verdict["title"], now
    changed = state != entry["seen"]
    if changed:
        entry["changes"].append([now, state])
        entry["seen"], entry["seen_since"], entry["seen_times"] = state, now, 0
    entry["seen_times"] = min(entry["seen_times"] + 1, 1000)
    window = run.now - timedelta(seconds=policy.flap_window_s)
    entry["changes"] = [change for change in entry["changes"] if _time(change[0], run.now) > window][-_CHANGES_MAX:]
    was, severity_was = _standing(entry), entry["severity"]
    event = _event(entry, run, policy, changed=changed)
    if event:
        return _tell(entry, event, verdict, run, was=was, severity_was=severity_was)
    if changed or state != _OK:
        entry["suppressed"] += 1
    return None


def _standing(entry: Entry) -> str:
    return "flapping" if entry["flapping"] else entry["state"]


def _event(entry: Entry, run: Run, policy: AlertPolicy, *, changed: bool) -> str:
    """What there is to tell, "" for nothing; the entry's state becomes what is told."""
    if entry["flapping"]:
        quiet = run.now - _time(entry["seen_since"], run.now) >= timedelta(seconds=policy.flap_quiet_s)
        if not quiet or entry["seen_times"] < policy.settle:
            return "reminder" if _reminder_due(entry, run, policy) else ""
        entry["flapping"], entry["changes"] = False, []
        return "ended" if _settle(entry) == _OK else "changed"
    if changed and len(entry["changes"]) >= policy.flap_changes:
        entry["flapping"] = True
        if entry["state"] == _OK:
            entry["began_at"] = entry["changes"][0][0]
        entry["severity"] = worst_state([entry["severity"], *(state for _at, state in entry["changes"])])
        return "flapping"
    if entry["seen"] != entry["state"] and entry["seen_times"] >= policy.settle:
        was = entry["state"]
        now = _settle(entry)
        return "began" if was == _OK else "ended" if now == _OK else "changed"
    return "reminder" if entry["state"] != _OK and _reminder_due(entry, run, policy) else ""


def _settle(entry: Entry) -> str:
    """What was seen becomes the state of the entry. The severity of a trouble is the worst state that it had."""
    if entry["state"] == _OK and entry["seen"] != _OK and not entry["began_at"]:
        entry["began_at"] = entry["seen_since"]
    entry["severity"] = worst_state([entry["severity"], entry["seen"]])
    entry["state"], entry["since"] = entry["seen"], entry["seen_since"]
    return entry["state"]


def _reminder_due(entry: Entry, run: Run, policy: AlertPolicy) -> bool:
    due = _time(entry["told_at"], run.now) + timedelta(seconds=policy.reminder_after_s)
    return policy.reminder_after_s > 0 and run.now >= due


def _time(text: object, now: datetime) -> datetime:
    """A time that was kept; one that lies ahead, since the clock was set back, is now."""
    return min(from_text(text) or now, now)


def _tell(entry: Entry, event: str, verdict: Mapping[str, str], run: Run, *, was: str, severity_was: str) -> Message:
    now = to_text(run.now)
    ended = event == "ended"
    if event == "began" or not entry["dedup_key"]:
        entry["dedup_key"] = dedup_key(entry)
    until = _time(entry["seen_since"], run.now) if ended else run.now
    message: Message = {
        "id": "",
        "event": event,
        "source": entry["source"],
        "run_id": run.run_id,
        "host": entry["host"],
        "check": entry["check"],
        "title": entry["title"],
        "severity": entry["severity"],
        "severity_was": severity_was,
        "state": verdict["state"],
        "was": was,
        "since": entry["seen_since"],
        "began_at": entry["began_at"],
        "at": now,
        "duration_s": max(0, int((until - _time(entry["began_at"], run.now)).total_seconds())),
        "suppressed": entry["suppressed"],
        "message": verdict["message"],
        "action": "" if ended else verdict["action"],
        "playbook": "" if ended else verdict["playbook"],
        "dedup_key": entry["dedup_key"],
        "sent_to": [],
    }
    entry["suppressed"], entry["told_at"] = 0, now
    if ended:
        entry["severity"], entry["began_at"], entry["dedup_key"] = _OK, "", ""
    return message


def _gone(entry: Entry, run: Run, why: str = "no longer checked") -> Message:
    """The end of a bad state whose check is no longer made: not the same as well, and so it is said."""
    text = f"{entry['title']}: {why}; the last state was {entry['seen']}"
    verdict = {"state": "unknown", "message": text, "action": "", "playbook": ""}
    entry["seen_since"] = to_text(run.now)
    return _tell(entry, "ended", verdict, run, was=_standing(entry), severity_was=entry["severity"])


def dedup_key(entry: Json) -> str:
    """The key of a trouble of one host, by which receivers know what belongs together."""
    key = f"media-ops:{entry['host']}:{entry['source']}:{entry['check']}"
    if len(key) <= _KEY_MAX:
        return key
    return f"media-ops:{hashlib.sha256(key.encode()).hexdigest()}"


def _numbered(message: Message, state: Alerts) -> Message:
    """An id that no other message has, on any host."""
    state["sequence"] += 1
    # The key alone may be one that several hosts share.
    parts = [
        message["host"],
        message["dedup_key"],
        message["event"],
        message["at"],
        message["run_id"],
        str(state["sequence"]),
    ]
    message["id"] = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]
    return message


def _queue(state: Alerts, messages: Iterable[Message], keep: int) -> None:
    for message in messages:
        if message["event"] == "reminder":
            # Reminders that nobody got yet become one.
            for older in [m for m in state["pending"] if _same(m, message) and m["event"] == "reminder"]:
                if not older["sent_to"]:
                    message["suppressed"] += 1 + older["suppressed"]
                    state["pending"].remove(older)
        state["pending"].append(message)
    surplus = len(state["pending"]) - keep
    if surplus > 0:
        del state["pending"][:surplus]
        state["dropped"] += surplus


def _same(one: Json, other: Json) -> bool:
    return all(one[name] == other[name] for name in ("source", "host", "check", "began_at"))


def _rekey(state: Alerts, message: Message, dedup_key: str) -> None:
    """The messages still to come of one trouble bear the key under which its first was sent."""
    if dedup_key == message["dedup_key"]:
        return
    message["dedup_key"] = dedup_key
    for other in state["pending"]:
        if _same(other, message):
            other["dedup_key"] = dedup_key
    entry = state["entries"].get(_key(message["source"], message["host"], message["check"]))
    if entry and _same(entry, message):
        entry["dedup_key"] = dedup_key


def _forget(state: Alerts, run: Run, policy: AlertPolicy) -> None:
    """Drop what has no more to say: checks that are well and quiet, and those that nobody made for long."""
    quiet = run.now - timedelta(seconds=policy.flap_window_s)
    for key, entry in list(state["entries"].items()):
        entry["changes"] = [change for change in entry["changes"] if _time(change[0], run.now) > quiet]
        well = entry["state"] == entry["seen"] == _OK and not entry["flapping"]
        idle = well and not entry["changes"] and not entry["suppressed"]
        if idle or run.now - _time(entry["last_seen"], run.now) > _FORGET:
            del state["entries"][key]
    if len(state["entries"]) > _ENTRIES_MAX:
        kept = sorted(state["entries"].items(), key=lambda item: (item[1]["state"] == _OK, item[0]))[:_ENTRIES_MAX]
        state["entries"] = dict(kept)
