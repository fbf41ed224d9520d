# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways out: every channel is tried, each in its own thread and time, whatever becomes of the others."""

from __future__ import annotations

import hashlib
import os
import queue
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ..errors import MediaOpsError, OptionError
from ..shapes import one_line
from ..times import utc_now
from ..web_address import is_web_address
from .channels import SENDERS, Delivery, syslog_address
from .post import ChannelError, Limits, Line
from .text import Frame, Json, grouped, headline, latest, share_keys
from .transition import is_alert, is_message

_NEEDED: dict[str, tuple[str, ...]] = {
    "slack": ("url",),
    "syslog": ("address",),
    "pagerduty": ("routing_key",),
    "alertmanager": ("url",),
    "email": ("host", "sender", "recipients"),
    "webhook": ("url",),
}
_HIDDEN = "(hidden)"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ADDRESS = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")
_HEADLINES_MAX = 50
LIMITS: dict[str, Any] = {
    "connect_timeout": 5.0,
    "read_timeout": 10.0,
    "total_timeout": 30.0,
    "retries": 2,
    "retry_after_max": 15.0,
}
"""The bounds of each channel's delivery, unless others are given; seconds, but for ``retries``."""
COMMAND_PREFIX = "ansible-playbook media_ops.runbook."
"""How the reader calls a playbook, unless it is given."""
_GRACE_S = 0.5


def channel_spec() -> dict[str, Any]:
    """The options of one channel, as module notify describes them."""
    severities = ["warning", "unknown", "critical"]
    return {
        "name": {"type": "str", "required": True},
        "type": {"choices": list(_NEEDED), "required": True},
        "enabled": {"type": "bool", "default": True},
        "severities": {"type": "list", "elements": "str", "choices": severities, "default": severities},
        **{name: {"type": "str", "no_log": True} for name in ("url", "routing_key", "token", "proxy", "password")},
        **{name: {"type": "str"} for name in ("host", "username", "sender")},
        "ca_path": {"type": "path"},
        "address": {"type": "str", "default": "/dev/log"},
        "port": {"type": "int", "default": 587},
        "starttls": {"type": "bool", "default": True},
        "recipients": {"type": "list", "elements": "str", "default": []},
        "max_messages": {"type": "int", "default": 10},
        "expires_after": {"type": "int", "default": 86400},
    }


def notify(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """Send messages through channels, and say who has what.

    Raises:
        MediaOpsError: with option ``fail``, when a channel failed; after all were tried, and with the whole result.
    """
    limits = _limits(params)
    messages, alerts = _messages(params)
    deliveries = _deliveries(params["channels"], messages)
    if check_mode:
        deliveries = [replace(d, done=set() if d.reason else {m["id"] for m in d.messages}) for d in deliveries]
    else:
        deliveries = _send_all(deliveries, {alert["dedup_key"] for alert in alerts}, _frame(params), limits)
    result = _result(messages, deliveries, _own_ids(params["messages"]))
    if params["fail"] and result["failures"]:
        said = "; ".join(f"{failure['channel']}: {failure['reason']}" for failure in result["failures"])
        raise MediaOpsError(f"{len(result['failures'])} of {len(deliveries)} channels failed: {said}", **result)
    return result


def _messages(params: Mapping[str, Any]) -> tuple[list[Json], list[Json]]:
    """The messages in the order they were made, and the open alerts, with the keys that they go out under."""
    for message in params["messages"]:
        if not is_message(message):
            raise OptionError("messages", one_line(message, 80), "is not a message of alert_state")
    for alert in params["open_alerts"]:
        if not is_alert(alert):
            raise OptionError("open_alerts", one_line(alert, 80), "is not an open alert of alert_state")
    bounded = [{**_bounded(message), "id": _bound_id(message)} for message in params["messages"]]
    return share_keys(sorted(bounded, key=lambda message: message["at"]), params["open_alerts"])


def _bound_id(message: Json) -> str:
    """What names a message of all hosts': a host that gives its own the id of another's is not taken for that one."""
    return hashlib.sha256(f"{message['host']}\n{message['id']}".encode()).hexdigest()[:20]


def _own_ids(messages: Sequence[Json]) -> dict[str, tuple[str, str]]:
    """By the ids under which messages go out, the host and the id under which it knows them."""
    return {_bound_id(message): (message["host"], message["id"]) for message in messages}


def _bounded(message: Json) -> Json:
    """A host says what it likes; what it says is kept short, so that no receiver refuses it for ever."""
    most = {"host": 200, "check": 100, "title": 100, "playbook": 100, "dedup_key": 255}
    return {
        name: one_line(value, most.get(name, 300)) if isinstance(value, str) else value
        for name, value in message.items()
    }


def _deliveries(channels: Sequence[Json], messages: Sequence[Json]) -> list[Delivery]:
    """What each channel that is on is to be sent.

    One that is set up wrongly fails at each run, not only when it is needed, and costs the others nothing.
    """
    found, names = [], set()
    for channel in channels:
        wanted = [m for m in messages if m["severity"] in channel["severities"] and channel["name"] not in m["sent_to"]]
        twice = "is the name of two channels" if channel["name"] in names else ""
        names.add(channel["name"])
        reason = str(OptionError("channels[].name", channel["name"], twice)) if twice else next(_problems(channel), "")
        found += [Delivery(channel, wanted, reason=reason)] if channel["enabled"] else []
    return found


def _result(
    messages: Sequence[Json], deliveries: Sequence[Delivery], own: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    has: dict[str, set[str]] = {message["id"]: set(message["sent_to"]) for message in messages}
    lacking: set[str] = set()
    for delivery in deliveries:
        for message in delivery.messages:
            if message["id"] in delivery.done:
                has[message["id"]].add(delivery.channel["name"])
            else:
                has[message["id"]] |= delivery.partly.get(message["id"], set())
                lacking.add(message["id"])
    return {
        "changed": any(delivery.done for delivery in deliveries),
        "sent": {d.channel["name"]: len(d.done) for d in deliveries},
        "folded": {d.channel["name"]: d.folded for d in deliveries if d.folded},
        "deferred": {d.channel["name"]: d.deferred for d in deliveries if d.deferred},
        "failures": [
            {"channel": d.channel["name"], "reason": d.reason, "waiting": len(d.messages) - len(d.done)}
            for d in deliveries
            if d.reason
        ],
        "headlines": [one_line(headline(group), 300) for group in grouped(latest(messages))[:_HEADLINES_MAX]],
        "deliveries": [
            {
                "id": own[message["id"]][1],
                "host": own[message["id"]][0],
                "channels": sorted(has[message["id"]]),
                "complete": message["id"] not in lacking,
                "dedup_key": message["dedup_key"],
            }
            for message in messages
        ],
    }


# --- sending


def _send_all(
    deliveries: Sequence[Delivery], open_keys: AbstractSet[str], frame: Frame, limits: Limits
) -> list[Delivery]:
    """All channels at once, each until its time is up. A thread that hangs is left behind and ends with the process."""
    ended: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    deadline = time.monotonic() + limits.total_timeout

    def work(index: int, delivery: Delivery) -> None:
        reason = ""
        try:
            SENDERS[delivery.channel["type"]](delivery, open_keys, frame, Line(limits, deadline))
        except ChannelError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001  one channel must never cost the others theirs
            reason = f"could not be sent ({type(error).__name__})"
        ended.put((index, reason))

    waiting = {index for index, delivery in enumerate(deliveries) if delivery.messages and not delivery.reason}
    for index in sorted(waiting):
        threading.Thread(target=work, args=[index, deliveries[index]], daemon=True).start()
    reasons = dict.fromkeys(waiting, f"was not done within {limits.total_timeout:g} s")
    # Senders keep the deadline themselves wherever a library lets them: a reason of theirs says more.
    while waiting:
        try:
            index, reason = ended.get(timeout=max(0.0, deadline + _GRACE_S - time.monotonic()))
        except queue.Empty:
            break
        waiting.discard(index)
        reasons[index] = reason
    # What a thread does from now on does not count: it is sent again.
    return [
        replace(d, done=set(d.done), partly=dict(d.partly), reason=reasons.get(i, d.reason))
        for i, d in enumerate(deliveries)
    ]


# --- options


def _problems(channel: Json) -> Iterator[str]:
    """What is wrong with the options of a channel, each with its name and value."""
    if not _NAME.fullmatch(channel["name"]):
        why = "must be letters, digits, _ . and -, 64 at most"
        yield str(OptionError("channels[].name", one_line(channel["name"], 80), why))
    for option, shown, why in (*_lacking(channel), *_bad_url(channel), *_bad_secrets(channel), *_bad_texts(channel)):
        yield str(OptionError(f"channels[{channel['name']}].{option}", shown, why))


def _lacking(channel: Json) -> Iterator[tuple[str, object, str]]:
    for option in _NEEDED[channel["type"]]:
        if not channel[option]:
            yield option, channel[option], f"is needed with type={channel['type']}"
    if channel["username"] and not channel["password"]:
        yield "password", channel["password"], "is needed with username"


def _bad_url(channel: Json) -> Iterator[tuple[str, object, str]]:
    url = channel["url"] or ""
    if not url:
        return
    if not is_web_address(url) or not url.isprintable() or " " in url or "@" in urlsplit(url).netloc:
        yield "url", _HIDDEN, "must be https://HOST[:PORT]/PATH, without user and password"
        return
    parts = urlsplit(url)
    secret = channel["type"] in ("slack", "pagerduty") or channel["token"]
    if secret and parts.scheme != "https" and not _is_loopback(parts.hostname):
        yield "url", _HIDDEN, "must be https, for it carries a secret"


def _bad_secrets(channel: Json) -> Iterator[tuple[str, object, str]]:
    for option in ("routing_key", "token"):
        if not all("!" <= character <= "~" for character in channel[option] or ""):
            yield option, _HIDDEN, "must be visible ASCII characters only"
    if channel["password"] and not channel["starttls"] and not _is_loopback(channel["host"]):
        yield "starttls", False, "a password is sent over TLS only, or to this machine"


def _bad_texts(channel: Json) -> Iterator[tuple[str, object, str]]:
    for option, addresses in (("sender", [channel["sender"] or "a@b"]), ("recipients", channel["recipients"])):
        for address in addresses:
            if not address.isascii() or not _ADDRESS.fullmatch(address):
                yield option, one_line(address, 80), "is not an e-mail address"
    if channel["type"] == "syslog" and not syslog_address(channel["address"]):
        yield "address", one_line(channel["address"], 80), "must be the path of a socket, or HOST:PORT for UDP"
    if channel["ca_path"] and not os.path.exists(channel["ca_path"]):
        yield "ca_path", channel["ca_path"], "does not exist"
    for option, low, high in (("max_messages", 1, 1000), ("expires_after", 60, 31 * 86400), ("port", 1, 65535)):
        if not low <= channel[option] <= high:
            yield option, channel[option], f"must be {low} to {high}"


def _is_loopback(host: str | None) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


def _limits(params: Mapping[str, Any]) -> Limits:
    bounds = {
        "connect_timeout": (0.05, 60),
        "read_timeout": (0.05, 120),
        "total_timeout": (0.05, 600),
        "retries": (0, 10),
        "retry_after_max": (0, 300),
    }
    for option, (low, high) in bounds.items():
        if not low <= params[option] <= high:
            raise OptionError(option, params[option], f"must be {low:g} to {high:g}")
    return Limits(**{option: params[option] for option in bounds})


def _frame(params: Mapping[str, Any]) -> Frame:
    contacts = [
        one_line(" ".join(str(contact.get(part) or "") for part in ("area", "name", "contact")), 200)
        for contact in params["contacts"][:5]
    ]
    return Frame(
        title=one_line(params["title"], 80),
        contacts=tuple(contacts),
        report=one_line(params["report_path"] or "", 300),
        notes=tuple(one_line(note, 300) for note in params["notes"][:5]),
        command_prefix=params["command_prefix"],
        now=utc_now(),
    )
