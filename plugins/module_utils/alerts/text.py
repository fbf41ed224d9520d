# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From messages of many hosts to what one channel is sent: grouped, worded, and within the channel's limits. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..commands import command, limit_of
from ..shapes import STATES, one_line, worst_state
from ..times import from_text, to_text
from .transition import EVENTS, FLEET_PREFIX

Json = Mapping[str, Any]

HOSTS_SHOWN = 20
_LINES_SHOWN = 5
_LIMIT_HOSTS = 5
_KEY_PREFIX = "media-ops:"

SLACK_GROUPS_MAX = 40
_SLACK_HEADER = 150
_SLACK_TEXT = 3000
# Slack refuses a message whose blocks hold more than about 13,000 characters in all, whatever each of them holds.
_SLACK_TOTAL = 10000
_SLACK_FALLBACK = 3500
_SYSLOG_BYTES = 900
_PAGERDUTY_SUMMARY = 1024

PAGERDUTY_SEVERITY = {"critical": "critical", "unknown": "error", "warning": "warning", "ok": "info"}
SYSLOG_PRIORITY = {"critical": 2, "unknown": 3, "warning": 4, "ok": 5}
_ICON = {"critical": ":red_circle:", "unknown": ":white_circle:", "warning": ":large_yellow_circle:"}


@dataclass(frozen=True)
class Frame:
    """What surrounds the messages.

    Attributes:
        title: what is watched, for people.
        contacts: whom to call, one line each.
        report: where the report of the run is, or "".
        command_prefix: how the reader calls a playbook.
        now: when this is sent.
        notes: what else the reader is to know, such as what could not be kept.
    """

    title: str
    contacts: tuple[str, ...]
    report: str
    command_prefix: str
    now: datetime
    notes: tuple[str, ...] = ()

    @property
    def around(self) -> list[str]:
        """The lines that follow the messages."""
        report = [f"Report: {self.report}"] if self.report else []
        return [*self.notes, *report, *(f"Call: {contact}" for contact in self.contacts)]


@dataclass(frozen=True)
class Group:
    """Messages of one kind: the same event and state of the same check, on any number of hosts."""

    messages: tuple[Json, ...]

    @property
    def first(self) -> Json:
        """The message that speaks for what all have in common."""
        return self.messages[0]

    @property
    def hosts(self) -> list[str]:
        """Each host once, sorted."""
        return sorted({message["host"] for message in self.messages})


def latest(messages: Iterable[Json]) -> list[Json]:
    """Of several messages about one check of one host the last, which then says what came ``earlier``."""
    found: dict[tuple[str, ...], list[Json]] = {}
    for message in messages:
        found.setdefault(tuple(message[name] for name in ("source", "host", "check")), []).append(message)
    return [
        {
            **mine[-1],
            "severity": worst_state(message["severity"] for message in mine),
            "suppressed": sum(message["suppressed"] for message in mine),
            "earlier": [f"{message['at']} {message['event']} ({message['state']})" for message in mine[-6:-1]],
        }
        for mine in found.values()
    ]


def grouped(messages: Iterable[Json]) -> list[Group]:
    """Messages by what they say, the worst first, ends last; within an event and severity as they came."""
    found: dict[tuple[str, ...], list[Json]] = {}
    for message in messages:
        key = tuple(message[name] for name in ("source", "check", "event", "state", "was", "severity"))
        found.setdefault(key, []).append(message)
    groups = [Group(tuple(members)) for members in found.values()]
    groups.sort(key=lambda g: (g.first["event"] == "ended", -STATES.index(g.first["severity"]), _order(g)))
    return groups


def _order(group: Group) -> int:
    return EVENTS.index(group.first["event"])


def share_keys(messages: Sequence[Json], alerts: Sequence[Json]) -> tuple[list[Json], list[Json]]:
    """Messages and open alerts, where a trouble that begins on several hosts at once has one key for all.

    The key is made of the messages' ids, so that a repeated delivery has the same.
    """
    keys: dict[tuple[str, ...], str] = {}
    for group in grouped(message for message in messages if _opens(message)):
        if len(group.hosts) > 1:
            ids = "\n".join(sorted(message["id"] for message in group.messages))
            name = f"{group.first['source']}:{group.first['check']}"[:150]
            key = f"{FLEET_PREFIX}{name}:{hashlib.sha256(ids.encode()).hexdigest()[:16]}"
            keys.update({_trouble(message): key for message in group.messages})

    def keyed(thing: Json) -> Json:
        return {**thing, "dedup_key": keys.get(_trouble(thing), thing["dedup_key"])}

    return [keyed(message) for message in messages], [keyed(alert) for alert in alerts]


def _opens(message: Json) -> bool:
    opening = message["event"] == "began" or (message["event"] == "flapping" and message["was"] == "ok")
    return opening and not message["dedup_key"].startswith(FLEET_PREFIX)


def _trouble(thing: Json) -> tuple[str, ...]:
    return tuple(thing[name] for name in ("source", "host", "check", "began_at"))


# --- words


def headline(group: Group) -> str:
    """The group in one line, for people in a hurry."""
    first = group.first
    what, on = first["title"], _on(group.hosts)
    severity = first["severity"].upper()
    lasted = duration(max(message["duration_s"] for message in group.messages))
    return {
        "began": f"{severity}: {what} on {on}",
        "changed": f"{severity}: {what} on {on}, now {first['state']}, was {first['was']}",
        "flapping": f"{severity}: {what} keeps changing on {on}, now {first['state']}",
        "reminder": f"{severity}: {what} on {on}, for {lasted} now" + (", changing" if _flaps(first) else ""),
        "ended": f"ENDED: {what} on {on}, {first['state']} after {lasted}",
    }[first["event"]]


def _flaps(message: Json) -> bool:
    return bool(message["was"] == "flapping")


def _on(hosts: Sequence[str]) -> str:
    if len(hosts) == 1:
        return hosts[0]
    more = len(hosts) - HOSTS_SHOWN
    return f"{len(hosts)} hosts: {', '.join(hosts[:HOSTS_SHOWN])}" + (f" and {more} more" if more > 0 else "")


def duration(seconds: float) -> str:
    """Two figures at most: "15 min", "4 h 5 min", "2 d 3 h"."""
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    first = next(index for index, (figure, _unit) in enumerate(parts) if figure)
    return " ".join(f"{figure} {unit}" for figure, unit in parts[first : first + 2] if figure)


def details(group: Group, frame: Frame) -> list[str]:
    """What there is to know beside the headline, a line each."""
    first = group.first
    said = sorted({message["message"] for message in group.messages if message["message"]})
    if len(said) > 1:
        by_host = [f"{message['host']}: {message['message']}" for message in group.messages if message["message"]]
        more = len(by_host) - _LINES_SHOWN
        said = by_host[:_LINES_SHOWN] + ([f"and {more} more"] if more > 0 else [])
    lines = [*said, f"Since {min(message['began_at'] for message in group.messages)}"]
    suppressed = sum(message["suppressed"] for message in group.messages)
    if suppressed:
        lines[-1] += f"; {suppressed} earlier finding{'s' if suppressed > 1 else ''} not sent"
    if first.get("earlier"):
        lines.append(f"Before: {', '.join(first['earlier'])}")
    if first["action"]:
        lines.append(f"To do: {first['action']}")
    to_run = command_for(group, frame)
    return [*lines, f"Run: {to_run}"] if to_run else lines


def command_for(group: Group, frame: Frame) -> str:
    """The playbook to run, limited to the hosts; where they are many, to one, for a shared cause is in one place."""
    playbook = group.first["playbook"]
    if not playbook:
        return ""
    hosts = group.hosts if len(group.hosts) <= _LIMIT_HOSTS else group.hosts[:1]
    return command(frame.command_prefix, playbook, limit_of(hosts))


def summary(groups: Sequence[Group], frame: Frame) -> str:
    """All groups in one line: "Watch: 2 critical, 1 unknown, 1 ended"."""
    counts: dict[str, int] = {}
    for group in groups:
        kind = "ended" if group.first["event"] == "ended" else group.first["severity"]
        counts[kind] = counts.get(kind, 0) + 1
    return f"{frame.title}: " + ", ".join(f"{number} {kind}" for kind, number in counts.items())


def plain_text(groups: Sequence[Group], frame: Frame, *, folded: int) -> str:
    """All groups as a text of lines."""
    blocks = [[headline(group), *(f"  {line}" for line in details(group, frame))] for group in groups]
    if folded:
        blocks.append([_more(folded)])
    return "\n\n".join("\n".join(block) for block in [*blocks, frame.around] if block) + "\n"


def _more(folded: int) -> str:
    return f"and {folded} more message{'s' if folded > 1 else ''}, not shown here"


# --- channels


def slack(groups: Sequence[Group], frame: Frame, *, folded: int) -> dict[str, Any]:
    """A message of an incoming webhook: Block Kit, with a plain text for notifications."""
    lines = [headline(group) for group in groups] + ([_more(folded)] if folded else [])
    room = min(_SLACK_TEXT, _SLACK_TOTAL // max(1, len(groups)))
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": one_line(summary(groups, frame), _SLACK_HEADER)}}
    ]
    blocks += [_section(_slack_group(group, frame, room)) for group in groups]
    if folded:
        blocks.append(_context(_more(folded)))
    if frame.around:
        blocks.append(_context("\n".join(frame.around)))
    return {"text": _escaped("\n".join(lines), _SLACK_FALLBACK), "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(text, 1500)}]}


def _slack_group(group: Group, frame: Frame, room: int) -> str:
    first = group.first
    icon = ":large_green_circle:" if first["event"] == "ended" else _ICON.get(first["severity"], ":white_circle:")
    head = f"{icon} *{_escaped(headline(group).replace('*', ' '), room // 2)}*"
    return f"{head}\n{_escaped(chr(10).join(details(group, frame)), room - len(head) - 1)}"


def _escaped(text: str, limit: int) -> str:
    """Text for Slack, its three control characters escaped and within the limit after that."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(escaped) <= limit:
        return escaped
    # No half of an escape at the end.
    return re.sub(r"&[a-z]{0,3}\Z", "", escaped[: limit - 1]) + "…"


def pagerduty(
    messages: Sequence[Json], open_keys: Iterable[str], frame: Frame
) -> list[tuple[dict[str, Any], list[str]]]:
    """Events for Events API v2 without the routing key, in order, each with the ids of the messages that it delivers.

    One trigger for each trouble, also where it is on several hosts, and its end when it is over on all of them.
    """
    still = set(open_keys)
    events: list[tuple[dict[str, Any], list[str]]] = []
    for key in dict.fromkeys(message["dedup_key"] for message in messages):
        mine = [message for message in messages if message["dedup_key"] == key]
        bad = [message for message in mine if message["event"] != "ended"]
        over = [message["id"] for message in mine if message["event"] == "ended"]
        if bad:
            # The last state of each host says how it is now.
            group = Group(tuple({message["host"]: message for message in bad}.values()))
            events.append((_trigger(key, group, frame), [message["id"] for message in bad]))
        if over:
            events.append(({"event_action": "resolve", "dedup_key": key} if key not in still else {}, over))
    return events


def _trigger(key: str, group: Group, frame: Frame) -> dict[str, Any]:
    worst = max(group.messages, key=lambda message: STATES.index(message["severity"]))
    return {
        "event_action": "trigger",
        "dedup_key": key,
        "client": "media_ops.runbook",
        "payload": {
            "summary": one_line(headline(group), _PAGERDUTY_SUMMARY),
            "source": group.hosts[0] if len(group.hosts) == 1 else f"{len(group.hosts)} hosts",
            "severity": PAGERDUTY_SEVERITY[worst["severity"]],
            "timestamp": min(message["began_at"] for message in group.messages),
            "component": group.first["check"],
            "group": "media-processing",
            "class": group.first["source"],
            "custom_details": {
                "hosts": group.hosts[:100],
                "details": details(group, frame),
                "report": frame.report,
                "contacts": list(frame.contacts),
                "notes": list(frame.notes),
            },
        },
    }


def alertmanager(messages: Sequence[Json], frame: Frame, *, expires_after_s: float) -> list[dict[str, Any]]:
    """Alerts for POST /api/v2/alerts. Of several messages with the same labels the last counts."""
    alerts: dict[str, dict[str, Any]] = {}
    far = to_text(frame.now + timedelta(seconds=expires_after_s))
    for message in messages:
        ended = message["event"] == "ended"
        if message["severity_was"] not in ("ok", message["severity"]):
            # The severity is a label, so what was less severe is another alert, and over.
            _add(alerts, message, frame, message["severity_was"], message["at"])
        _add(alerts, message, frame, message["severity"], message["since"] if ended else far)
    return list(alerts.values())


def _add(alerts: dict[str, dict[str, Any]], message: Json, frame: Frame, severity: str, ends_at: str) -> None:
    group = Group((message,))
    labels = {
        "alertname": message["check"],
        "instance": message["host"],
        "source": message["source"],
        "service": "media-processing",
        "severity": severity,
    }
    annotations = {
        "summary": headline(group),
        "description": message["message"],
        "action": message["action"],
        "command": command_for(group, frame),
        "report": frame.report,
        "notes": "; ".join(frame.notes),
    }
    begins, ends = from_text(message["began_at"]) or frame.now, from_text(ends_at) or frame.now
    alerts["\n".join(labels.values())] = {
        "labels": labels,
        "annotations": {name: text for name, text in annotations.items() if text},
        "startsAt": to_text(begins),
        "endsAt": to_text(max(begins, ends)),
    }


def syslog_lines(groups: Sequence[Group], *, folded: int) -> list[tuple[int, str]]:
    """A priority (RFC 5424, without facility) and a line of bounded bytes for each group."""
    lines = []
    for group in groups:
        first = group.first
        priority = SYSLOG_PRIORITY["ok" if first["event"] == "ended" else first["severity"]]
        lines.append((priority, _bytes_bounded(": ".join(filter(None, (headline(group), first["message"]))))))
    return lines + ([(SYSLOG_PRIORITY["ok"], _more(folded))] if folded else [])


def _bytes_bounded(text: str) -> str:
    line = one_line(text, _SYSLOG_BYTES)
    return line.encode("utf-8", "replace")[:_SYSLOG_BYTES].decode("utf-8", "ignore")


def webhook(messages: Sequence[Json], frame: Frame, *, folded: int) -> dict[str, Any]:
    """A plain document for receivers of one's own."""
    return {
        "source": "media_ops.runbook",
        "schema_version": 1,
        "title": frame.title,
        "sent_at": to_text(frame.now),
        "report": frame.report,
        "contacts": list(frame.contacts),
        "notes": list(frame.notes),
        "messages": [{k: v for k, v in message.items() if k != "sent_to"} for message in messages],
        "omitted": folded,
    }
