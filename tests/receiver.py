"""Receivers of alerts, as strict as the real ones: Slack, PagerDuty, Alertmanager and plain webhooks, mail, syslog.

with receiver() as server:                       one HTTP server for all kinds
    server.slack_url, server.pagerduty_url, ...
    server.bodies("slack")                       what was accepted
    server.refusals                              what was not, and why
with receiver("slow") as server:                 one fault for all requests, see MODES
with mail_server() as server:                    server.mails
with syslog_socket(path) as log: log.lines(2)
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as mail_policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SLACK_PATH = "/services/T0CANARY/B0CANARY/slackcanarysecret"
PATHS = {
    SLACK_PATH: "slack",
    "/v2/enqueue": "pagerduty",
    "/api/v2/alerts": "alertmanager",
    "/hook/hookcanarysecret": "webhook",
}
MODES = (
    *("ok", "limited", "limited_long", "limited_date", "slow", "drip"),
    *("error", "flaky", "gone", "login", "redirect", "echo"),
)


class RefusedError(Exception):
    """A request that the real service would not take: status and body of the answer."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(body)
        self.status = status
        self.body = body


# --- Slack


def slack(body: Any) -> str:
    """The answer to the body of an incoming webhook; https://api.slack.com/reference/block-kit says the limits."""
    if not isinstance(body, dict) or not set(body) <= {"text", "blocks", "username", "icon_emoji", "attachments"}:
        raise RefusedError(400, "invalid_payload")
    if not _text(body.get("text"), 40000):
        raise RefusedError(400, "no_text")
    blocks = body.get("blocks", [])
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= 50:
        raise RefusedError(400, "invalid_blocks")
    for block in blocks:
        if set(block) - {"type", "text", "elements", "block_id", "fields"} or not _SLACK_BLOCKS[block["type"]](block):
            raise RefusedError(400, "invalid_blocks")
    if len(json.dumps(blocks, ensure_ascii=False)) > 13000:
        raise RefusedError(400, "msg_blocks_too_long")
    return "ok"


def _text(text: object, most: int) -> bool:
    return isinstance(text, str) and 1 <= len(text) <= most


def _plain(text: Any, most: int) -> bool:
    return set(text) <= {"type", "text", "emoji"} and text["type"] == "plain_text" and _text(text["text"], most)


def _mrkdwn(text: Any, most: int) -> bool:
    """Also no control character that is not escaped: none of ours is meant as one."""
    return (
        set(text) <= {"type", "text", "verbatim"}
        and text["type"] == "mrkdwn"
        and _text(text["text"], most)
        and not re.search(r"[<>]|&(?!amp;|lt;|gt;)", text["text"])
    )


_SLACK_BLOCKS: dict[str, Callable[[Any], bool]] = {
    "header": lambda block: _plain(block["text"], 150),
    "section": lambda block: _mrkdwn(block["text"], 3000),
    "context": lambda block: 1 <= len(block["elements"]) <= 10 and all(_mrkdwn(e, 3000) for e in block["elements"]),
    "divider": lambda block: set(block) == {"type"},
}


# --- PagerDuty and Alertmanager


def pagerduty(body: Any) -> str:
    """The answer to an event; https://developer.pagerduty.com/docs/send-alert-event says what it must be."""
    wrong = []
    if not isinstance(body, dict) or not re.fullmatch(r"[0-9a-zA-Z]{32}", str(body.get("routing_key"))):
        wrong.append("routing_key")
    if body.get("event_action") not in ("trigger", "resolve", "acknowledge"):
        wrong.append("event_action")
    if not _text(body.get("dedup_key"), 255):
        wrong.append("dedup_key")
    if body.get("event_action") == "trigger":
        payload = body.get("payload", {})
        wrong += [name for name in ("summary", "source") if not _text(payload.get(name), 1024)]
        if payload.get("severity") not in ("critical", "error", "warning", "info"):
            wrong.append("severity")
        datetime.fromisoformat(payload["timestamp"])
    if wrong or len(json.dumps(body)) > 512 * 1024:
        raise RefusedError(400, json.dumps({"status": "invalid event", "errors": wrong}))
    return json.dumps({"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]})


def alertmanager(body: Any) -> str:
    """The answer to POST /api/v2/alerts, by its OpenAPI document and its validation."""
    if not isinstance(body, list) or not body:
        raise RefusedError(400, '{"code": 601, "message": "parsing alerts body failed"}')
    for alert in body:
        labels = alert["labels"]
        begins, ends = datetime.fromisoformat(alert["startsAt"]), datetime.fromisoformat(alert["endsAt"])
        if not labels.get("alertname") or begins > ends:
            raise RefusedError(400, '{"code": 400, "message": "start time must be before end time"}')
        texts = [*labels.values(), *alert.get("annotations", {}).values()]
        if not all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in (*labels, *alert.get("annotations", {}))):
            raise RefusedError(400, "invalid name")
        if not all(isinstance(text, str) and text for text in texts):
            raise RefusedError(422, "invalid value")
    return ""


_TAKES: dict[str, tuple[int, Callable[[Any], str]]] = {
    "slack": (200, slack),
    "pagerduty": (202, pagerduty),
    "alertmanager": (200, alertmanager),
    "webhook": (204, lambda _body: ""),
}


# --- the server


@dataclass
class Seen:
    """One request."""

    kind: str
    headers: dict[str, str]
    body: Any
    at: float


@dataclass
class Receiver:
    """A running server, and what it saw."""

    mode: str
    base: str = ""
    seen: list[Seen] = field(default_factory=list)
    accepted: list[Seen] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def slack_url(self) -> str:
        return self.base + SLACK_PATH

    @property
    def pagerduty_url(self) -> str:
        return self.base + "/v2/enqueue"

    @property
    def webhook_url(self) -> str:
        return self.base + "/hook/hookcanarysecret"

    def bodies(self, kind: str) -> list[Any]:
        return [request.body for request in self.accepted if request.kind == kind]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def do_POST(self) -> None:
        receiver = self.receiver
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        kind = PATHS.get(self.path, "")
        request = Seen(kind, dict(self.headers), None, time.monotonic())
        receiver.seen.append(request)
        try:
            if not self._fault(receiver, raw):
                self._take(request, raw)
        except RefusedError as error:
            receiver.refusals.append(f"{kind}: {error.body}")
            self._answer(error.status, error.body)
        except (KeyError, TypeError, ValueError) as error:
            receiver.refusals.append(f"{kind}: {error!r}")
            self._answer(400, "invalid_payload")

    def _take(self, request: Seen, raw: bytes) -> None:
        if not request.kind or self.headers["Content-Type"] != "application/json":
            raise RefusedError(404, "no_service")
        request.body = json.loads(raw)
        status, take = _TAKES[request.kind]
        answer = take(request.body)
        self.receiver.accepted.append(request)
        self._answer(status, answer)

    def _fault(self, receiver: Receiver, raw: bytes) -> bool:
        """Answer as the mode wants it; False where the request is to be taken."""
        number = len(receiver.seen)
        simple: dict[str, tuple[int, str, dict[str, str]]] = {
            "limited_long": (429, "rate_limited", {"Retry-After": "3600"}),
            "error": (500, "internal", {}),
            "gone": (404, "no_service", {}),
            "login": (200, "<html>please log in</html>", {}),
            "redirect": (302, "", {"Location": receiver.base + "/elsewhere"}),
            "echo": (400, f"bad request: {self.path} {raw.decode()}", {}),
        }
        if receiver.mode in simple:
            self._answer(*simple[receiver.mode])
            return True
        if receiver.mode in ("limited", "limited_date", "flaky") and number == 1:
            header = {"limited": "1", "limited_date": self.date_time_string(int(time.time()) + 1), "flaky": ""}
            status = 503 if receiver.mode == "flaky" else 429
            self._answer(status, "rate_limited", {"Retry-After": header[receiver.mode]} if status == 429 else {})
            return True
        if receiver.mode == "slow":
            receiver.stop.wait()
            return True
        if receiver.mode == "drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
            while not receiver.stop.wait(0.05):
                self.wfile.write(b"o")
            return True
        return False

    def _answer(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing on stderr."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or that does not trust us, is no error of ours."""


@contextlib.contextmanager
def receiver(mode: str = "ok", *, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A server on a port from the kernel, for all kinds."""
    if mode not in MODES:
        raise ValueError(mode)
    running = Receiver(mode)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"receiver": running}))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    running.base = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.stop.set()
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """The base of URLs at which nobody listens, and nobody can begin to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


# --- mail


@dataclass
class Mails:
    """A running mail server."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)


@contextlib.contextmanager
def mail_server(
    *, tls: ssl.SSLContext | None = None, refuse: str = "", password: str = "", greet: bool = True
) -> Iterator[Mails]:
    """An SMTP server: STARTTLS with ``tls``, a login with ``password``, and no mail to ``refuse``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = Mails(listener.getsockname()[1])
        open_connections: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _address = listener.accept()
                    open_connections.append(connection)
                    if greet:
                        session = _MailSession(connection, running, tls, refuse, password)
                        threading.Thread(target=session.serve, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield running
        finally:
            for connection in (listener, *open_connections):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _MailSession:
    def __init__(
        self, connection: socket.socket, mails: Mails, tls: ssl.SSLContext | None, refuse: str, password: str
    ) -> None:
        self.connection = connection
        self.mails = mails
        self.tls = tls
        self.refuse = refuse
        self.password = password
        self.encrypted = False

    def serve(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.say("220 receiver ESMTP")
            lines = self.connection.makefile("rb")
            while line := lines.readline().decode("latin-1").strip():
                word = line.split(" ", 1)[0].upper()
                if word == "STARTTLS" and self.tls:
                    self.say("220 go on")
                    self.connection = self.tls.wrap_socket(self.connection, server_side=True)
                    self.encrypted = True
                    lines = self.connection.makefile("rb")
                elif word == "DATA":
                    self.say("354 go on")
                    self.take(lines)
                elif word == "QUIT":
                    self.say("221 bye")
                    self.connection.close()
                    return
                else:
                    self.answer(word, line)

    def answer(self, word: str, line: str) -> None:
        if word == "EHLO":
            offers = ["receiver", "8BITMIME"]
            offers += ["STARTTLS"] if self.tls and not self.encrypted else []
            offers += ["AUTH PLAIN"] if self.password else []
            self.say("\r\n".join([*(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}"]))
        elif word == "AUTH":
            _empty, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
            self.mails.logins.append(user)
            self.say("235 welcome" if password == self.password else f"535 no: {password}")
        elif word == "RCPT" and self.refuse and self.refuse in line:
            self.say("550 no such user")
        else:
            self.say("250 fine")

    def take(self, lines: Any) -> None:
        content = b""
        while (line := lines.readline()) not in (b".\r\n", b""):
            content += line.removeprefix(b".") if line.startswith(b"..") else line
        self.mails.mails.append(BytesParser(policy=mail_policy).parsebytes(content))
        self.mails.encrypted.append(self.encrypted)
        self.say("250 taken")

    def say(self, text: str) -> None:
        self.connection.sendall(text.encode() + b"\r\n")


# --- syslog


class Log:
    """A datagram socket that plays syslog."""

    def __init__(self, bound: socket.socket) -> None:
        self._bound = bound

    @property
    def address(self) -> str:
        name = self._bound.getsockname()
        return name if isinstance(name, str) else f"{name[0]}:{name[1]}"

    def lines(self, number: int) -> list[str]:
        """The next lines; fails when they do not come."""
        self._bound.settimeout(10)
        return [self._bound.recv(65536).decode() for _unused in range(number)]

    def no_more(self) -> bool:
        self._bound.setblocking(False)
        try:
            self._bound.recv(1)
        except BlockingIOError:
            return True
        return False


@contextlib.contextmanager
def syslog_socket(path: Path | None = None) -> Iterator[Log]:
    """A local socket at a path, or UDP on a port from the kernel."""
    with socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(str(path) if path else ("127.0.0.1", 0))
        yield Log(bound)
