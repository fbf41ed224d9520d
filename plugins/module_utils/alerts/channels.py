# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of channels: what each is sent, and how it says that it has it."""

from __future__ import annotations

import json
import os
import smtplib
import socket
import ssl
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Callable

from ..shapes import one_line
from .post import ChannelError, Line, host_of, network_fault, post
from .text import (
    SLACK_GROUPS_MAX,
    Frame,
    Group,
    Json,
    alertmanager,
    grouped,
    headline,
    latest,
    pagerduty,
    plain_text,
    slack,
    summary,
    syslog_lines,
    webhook,
)

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
TAG = "media-processing"
_LOCAL0 = 16
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEBHOOK_MAX = 1000
_ALERTS_PER_POST = 200


@dataclass
class Delivery:
    """What one channel was to be sent, and what came of it. Written by its thread, read after its end or its time."""

    channel: Json
    messages: list[Json]
    done: set[str] = field(default_factory=set)
    partly: dict[str, set[str]] = field(default_factory=dict)  # by a message's id, those of the channel who have it
    folded: int = 0
    deferred: int = 0
    reason: str = ""


def _shown(delivery: Delivery, most: int, messages: Sequence[Json] | None = None) -> tuple[list[Group], int]:
    """The groups that are shown, and how many messages are folded into "and N more"."""
    groups = grouped(latest(delivery.messages if messages is None else messages))
    kept = groups[:most]
    folded = sum(len(group.messages) for group in groups[most:])
    delivery.folded += folded
    return kept, folded


def _all_done(delivery: Delivery) -> None:
    delivery.done = {message["id"] for message in delivery.messages}


def _to_slack(delivery: Delivery, _open_keys: AbstractSet[str], frame: Frame, line: Line) -> None:
    groups, folded = _shown(delivery, min(delivery.channel["max_messages"], SLACK_GROUPS_MAX))
    answer = post(delivery.channel, delivery.channel["url"], slack(groups, frame, folded=folded), line)
    if answer.strip() != b"ok":
        # A login page says 200 as well.
        raise ChannelError(f"{host_of(delivery.channel['url'])} answered 200, but not 'ok': is it an incoming webhook?")
    _all_done(delivery)


def _to_webhook(delivery: Delivery, _open_keys: AbstractSet[str], frame: Frame, line: Line) -> None:
    shown = delivery.messages[-_WEBHOOK_MAX:]
    delivery.folded = len(delivery.messages) - len(shown)
    post(delivery.channel, delivery.channel["url"], webhook(shown, frame, folded=delivery.folded), line)
    _all_done(delivery)


def _to_alertmanager(delivery: Delivery, _open_keys: AbstractSet[str], frame: Frame, line: Line) -> None:
    url = delivery.channel["url"].rstrip("/")
    url = url if url.endswith("/api/v2/alerts") else f"{url}/api/v2/alerts"
    alerts = alertmanager(delivery.messages, frame, expires_after_s=delivery.channel["expires_after"])
    for start in range(0, len(alerts), _ALERTS_PER_POST):
        answer = post(delivery.channel, url, alerts[start : start + _ALERTS_PER_POST], line)
        if answer.lstrip().startswith(b"<"):
            raise ChannelError(f"{host_of(url)} answered with a page: is it an Alertmanager?")
    _all_done(delivery)


def _to_pagerduty(delivery: Delivery, open_keys: AbstractSet[str], frame: Frame, line: Line) -> None:
    """One event each. Those beyond the limit wait for the next run: a folded resolve would leave a page open."""
    channel = delivery.channel
    events = pagerduty(delivery.messages, open_keys, frame)
    posted = 0
    for event, ids in events:
        if event:
            if posted == channel["max_messages"]:
                break
            body = {"routing_key": channel["routing_key"], **event}
            answer = post(channel, channel["url"] or PAGERDUTY_URL, body, line)
            if _status_word(answer) != "success":
                raise ChannelError(f"{host_of(channel['url'] or PAGERDUTY_URL)} did not answer 'success'")
            posted += 1
        delivery.done.update(ids)
    delivery.deferred = len(delivery.messages) - len(delivery.done)


def _status_word(answer: bytes) -> object:
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return document.get("status") if isinstance(document, dict) else None


def syslog_address(given: str) -> tuple[str, int] | str | None:
    """The path of a socket, or host and port; None for what is neither."""
    if given.startswith("/"):
        return given
    host, colon, port = given.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        return None
    return host.strip("[]"), int(port)


def _to_syslog(delivery: Delivery, _open_keys: AbstractSet[str], frame: Frame, line: Line) -> None:
    groups, folded = _shown(delivery, delivery.channel["max_messages"])
    address = syslog_address(delivery.channel["address"])
    local = isinstance(address, str)
    stamp = _stamp(time.localtime(frame.now.timestamp()))
    # The host's name belongs into what goes over the network only.
    sender = "" if local else f"{socket.gethostname()} "
    try:
        with _syslog_socket(address) as log:
            log.settimeout(line.left(line.limits.read_timeout))
            for priority, text in syslog_lines(groups, folded=folded):
                log.send(f"<{_LOCAL0 * 8 + priority}>{stamp} {sender}{TAG}[{os.getpid()}]: {text}".encode())
    except socket.gaierror:
        raise ChannelError(f"the name in {delivery.channel['address']} does not resolve") from None
    except OSError as error:
        why = error.strerror or "no room within its time"
        raise ChannelError(f"no syslog at {delivery.channel['address']}: {why}") from error
    _all_done(delivery)


def _stamp(at: time.struct_time) -> str:
    """The time as RFC 3164 wants it, whatever language the controller speaks."""
    return f"{_MONTHS[at.tm_mon - 1]} {at.tm_mday:2} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"


def _syslog_socket(address: tuple[str, int] | str | None) -> socket.socket:
    if isinstance(address, str):
        log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        target: Any = address
    else:
        host, port = address or ("", 0)
        family, _kind, _protocol, _name, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        log = socket.socket(family, socket.SOCK_DGRAM)
    try:
        log.connect(target)
    except OSError:
        log.close()
        raise
    return log


def _to_email(delivery: Delivery, _open_keys: AbstractSet[str], frame: Frame, line: Line) -> None:
    """One mail, and one more for what only some of the recipients were refused before."""
    refused: dict[str, str] = {}
    for recipients, messages in _lacking(delivery).items():
        fresh = _mail(delivery, recipients, messages, frame, line)
        refused.update(fresh)
        for message in messages:
            has = delivery.partly.setdefault(message["id"], set())
            has |= {_of_recipient(delivery, recipient) for recipient in recipients if recipient not in fresh}
            if not fresh:
                delivery.done.add(message["id"])
    if refused:
        said = ", ".join(f"{recipient} ({code})" for recipient, code in sorted(refused.items()))
        raise ChannelError(f"{delivery.channel['host']}:{delivery.channel['port']} refused {said}")


def _of_recipient(delivery: Delivery, recipient: str) -> str:
    """How a message that not all recipients have says who has it; no channel's name has a slash."""
    return f"{delivery.channel['name']}/{recipient}"


def _lacking(delivery: Delivery) -> dict[tuple[str, ...], list[Json]]:
    """The messages by those who have not got them."""
    found: dict[tuple[str, ...], list[Json]] = {}
    for message in delivery.messages:
        to = [one for one in delivery.channel["recipients"] if _of_recipient(delivery, one) not in message["sent_to"]]
        if to:
            found.setdefault(tuple(dict.fromkeys(to)), []).append(message)
        else:
            # Whoever was refused is no recipient any more.
            delivery.done.add(message["id"])
    return found


def _mail(
    delivery: Delivery, recipients: Sequence[str], messages: Sequence[Json], frame: Frame, line: Line
) -> dict[str, str]:
    """Send one mail; the recipients that were refused, with the code of the refusal."""
    channel = delivery.channel
    groups, folded = _shown(delivery, channel["max_messages"], messages)
    mail = EmailMessage()
    more = f" (+{len(groups) - 1 + folded} more)" if len(groups) + folded > 1 else ""
    mail["Subject"] = one_line(f"[media-ops] {headline(groups[0])}", 150) + more
    mail["From"] = channel["sender"]
    mail["To"] = ", ".join(recipients)
    mail["Date"] = formatdate(frame.now.timestamp())
    mail["Message-ID"] = make_msgid(domain=channel["sender"].rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{summary(groups, frame)}\n\n{plain_text(groups, frame, folded=folded)}")
    where = f"{channel['host']}:{channel['port']}"
    answers: dict[str, tuple[int, bytes]] | None = None
    try:
        timeout = line.left(line.limits.connect_timeout)
        with smtplib.SMTP(channel["host"], channel["port"], timeout=timeout) as server:
            if server.sock:
                server.sock.settimeout(line.left(line.limits.read_timeout))
            if channel["starttls"]:
                server.starttls(context=_tls(channel["ca_path"]))
            if channel["username"]:
                server.login(channel["username"], channel["password"])
            answers = _taken(server, mail)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        # Once the mail is taken, how the server says good-bye counts for nothing.
        if answers is None:
            raise ChannelError(_mail_fault(error, where)) from error
    return {recipient: str(code) for recipient, (code, _words) in (answers or {}).items()}


def _taken(server: smtplib.SMTP, mail: EmailMessage) -> dict[str, tuple[int, bytes]]:
    """Who was refused: none, some or all."""
    try:
        return server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        return error.recipients


def _tls(ca_path: str | None) -> ssl.SSLContext:
    if not ca_path:
        return ssl.create_default_context()
    directory = os.path.isdir(ca_path)
    return ssl.create_default_context(cafile=None if directory else ca_path, capath=ca_path if directory else None)


def _mail_fault(error: Exception, where: str) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"{where} does not accept user and password ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return f"{where} offers no STARTTLS, or no login"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{where} refused the mail ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        late = isinstance(error.__context__, socket.timeout)
        return f"no answer of {where} in time" if late else f"{where} closed the connection"
    return network_fault(error, where)


SENDERS: dict[str, Callable[[Delivery, AbstractSet[str], Frame, Line], None]] = {
    "slack": _to_slack,
    "syslog": _to_syslog,
    "pagerduty": _to_pagerduty,
    "alertmanager": _to_alertmanager,
    "email": _to_email,
    "webhook": _to_webhook,
}
