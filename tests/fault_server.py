"""A monitoring API that goes wrong on demand: real sockets, one mode for each fault.

    with fault_server("truncated") as url:                        every endpoint
    with fault_server({"/alerts": "hang"}) as url:                one endpoint, the others are well
    with fault_server({"/stats": spoiled(error_rate=2)}) as url:  well but for a value of the document
    with fault_server("ok", tls=server_context(certs)) as url:    over TLS

``url`` is the api_url, a str that also tells what the server saw: ``url.seen``, ``url.connections``, ``url.sent``.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import re
import socket
import ssl
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

BASE = "/api/v1/monitoring"
COMPONENTS = (
    *("system_resources", "ffmpeg", "cloud_storage", "temp_directory"),
    *("processing_pipeline", "monitoring_system", "log_files"),
)


class Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0].removeprefix(BASE)

    def number(self, key: str, default: int) -> int:
        found = re.search(rf"[?&]{key}=(\d+)", self.target)
        return int(found[1]) if found else default


class Url(str):
    """The api_url of a running server, and what the server saw."""

    __slots__ = ("connections", "payload", "seen", "sent", "stop", "target")

    seen: list[Request]
    connections: int
    sent: int
    payload: bytes
    target: str
    stop: threading.Event


def document(request: Request, status: str = "healthy") -> dict[str, Any]:
    """The document of a service that is well (or whose ffmpeg has ``status``), dated now."""
    now = datetime.now(UTC).replace(tzinfo=None).isoformat()
    checks = [
        {"component": name, "status": "healthy", "message": "", "details": {}, "response_time_ms": 1.0}
        for name in COMPONENTS
    ]
    if status != "healthy":
        checks[1].update(status=status, message="ffmpeg not found")
    health = {
        "overall_status": status,
        "timestamp": now,
        "total_check_time_ms": 7.5,
        "checks": checks,
        "summary": {"total_checks": len(checks), "healthy": sum(c["status"] == "healthy" for c in checks)},
    }
    hours = request.number("hours", 24)
    stats = {"time_period_hours": hours, "generated_at": now, "total_operations": 40, "successful_operations": 39}
    stats |= {"failed_operations": 1, "success_rate": 0.975, "error_rate": 0.025, "average_duration": 12.5}
    stats |= {"stage_breakdown": {}, "error_breakdown": {"FFMPEG_FAILED": 1}, "active_sessions": 0}
    return {
        "/health": health,
        "/health/detailed": health | {"recent_alerts": [], "processing_stats_24h": stats},
        "/stats": stats,
        "/alerts": {"alerts": [], "total_returned": 0, "filter_level": "critical", "generated_at": now},
        "/metrics/system": {"metrics_count": 0, "metrics": []},
        "/sessions/active": {"active_sessions": [], "total_active": 0},
    }.get(request.path, {})


class Exchange:
    """One request, and the ways to answer it. An answer with a length keeps the connection; all else ends it."""

    def __init__(self, connection: socket.socket, request: Request, url: Url) -> None:
        self.connection = connection
        self.request = request
        self.url = url

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)
        self.url.sent += len(data)

    def answer(
        self,
        status: int,
        body: bytes | object,
        *headers: str,
        kind: str = "application/json",
        length: int | None = None,
    ) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", *headers]
        lines.append(f"Content-Length: {len(content) if length is None else length}")
        self.send("\r\n".join([*lines, "", ""]).encode() + content)

    def stream(self, *headers: str) -> None:
        """The head of an answer that ends when the connection does."""
        lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", "Connection: close", *headers, "", ""]
        self.send("\r\n".join(lines).encode())

    def drip(self, data: bytes) -> None:
        """One byte at a time, over and over, until the test ends."""
        while not self.url.stop.is_set():
            for byte in data:
                self.send(bytes([byte]))
                self.url.stop.wait(0.02)

    def close(self) -> None:
        raise ConnectionAbortedError


Way = Callable[[Exchange], None]
MODES: dict[str, Way] = {}
SOCKET_MODES = ("refused", "no_accept", "no_connect", "not_http")
"""What goes wrong before a request is read.

Nothing listens; listens and never accepts; does not even connect; speaks first, and another language.
"""


def _mode(function: Way) -> Way:
    MODES[function.__name__.strip("_")] = function
    return function


def _simple(name: str, status: int, body: bytes | object, *headers: str, kind: str = "application/json") -> None:
    MODES[name] = lambda exchange: exchange.answer(status, body, *headers, kind=kind)


_simple("unauthorized", 401, {"detail": "Could not validate credentials"}, "WWW-Authenticate: Bearer")
_simple("expired", 401, {"detail": "Token has expired"}, "WWW-Authenticate: Bearer")
_simple("forbidden", 403, {"detail": "Not authenticated"})
_simple("not_found", 404, {"detail": "Not Found"})
_simple(
    "unprocessable",
    422,
    {
        "detail": [
            {"type": "less_than_equal", "loc": ["query", "hours"], "msg": "Input should be <= 168", "input": "999"}
        ]
    },
)
_simple("error_500", 500, {"detail": "Health check failed"})
_simple("error_500_empty", 500, b"")
_simple("error_500_html", 500, b"<h1>Internal Server Error</h1>", kind="text/html")
_simple("unavailable_503", 503, {"detail": "Service Unavailable\n\x1b[31m" + "x" * 4000})
_simple("bad_gateway_502", 502, b"<html>nginx</html>", kind="text/html")
_simple("created_201", 201, {"overall_status": "healthy"})
_simple("no_content_204", 204, b"")
_simple("html", 200, b"<!doctype html><title>Please log in</title>", kind="text/html; charset=utf-8")
_simple("empty", 200, b"")
_simple("truncated_json", 200, b'{"overall_status": "heal')
_simple("list", 200, [{"overall_status": "healthy"}])
_simple("null", 200, None)
_simple("string", 200, "healthy")
_simple("nan", 200, b'{"error_rate": NaN}')
_simple("infinity", 200, b'{"error_rate": -Infinity}')
_simple("overflow", 200, b'{"error_rate": 1e999}')
_simple("huge_int", 200, b'{"total_operations": ' + b"9" * 100_000 + b"}")
_simple("deep", 200, b'{"a":' * 200_000)
_simple("deep_closed", 200, b'{"a":' * 300 + b"1" + b"}" * 300)
_simple("duplicate_keys", 200, b'{"overall_status": "healthy", "overall_status": "critical"}')
_simple("not_utf8", 200, b'{"message": "\xff\xfe"}')
_simple("utf16", 200, '{"message": "x"}'.encode("utf-16"))
_simple("half_surrogate", 200, b'{"message": "\\ud800", "\\udfff": [1]}')
_simple("gzip_damaged", 200, b"\x1f\x8b\x08\x00nothing of the kind", "Content-Encoding: gzip")
_simple("gzip_truncated", 200, gzip.compress(b'{"a": "' + bytes(9999) + b'"}')[:-12], "Content-Encoding: gzip")
_simple("brotli", 200, b"\x8b\x00\x80{}\x03", "Content-Encoding: br")


@_mode
def ok(exchange: Exchange) -> None:
    exchange.answer(200, document(exchange.request))


@_mode
def critical_503(exchange: Exchange) -> None:
    """A critical service as FastAPI's HTTPException shows it."""
    exchange.answer(503, {"detail": document(exchange.request, "critical")})


@_mode
def critical_503_plain(exchange: Exchange) -> None:
    exchange.answer(503, document(exchange.request, "critical"))


@_mode
def flaky(exchange: Exchange) -> None:
    """Two faults, then well."""
    if len(exchange.url.seen) == 1:
        exchange.close()
    if len(exchange.url.seen) == 2:
        exchange.answer(503, {"detail": "starting"})
    else:
        ok(exchange)


@_mode
def echo(exchange: Exchange) -> None:
    """The request's headers as the document, the token in them."""
    exchange.answer(200, exchange.request.headers)


@_mode
def echo_error(exchange: Exchange) -> None:
    exchange.answer(401, {"detail": f"bad header: {exchange.request.headers.get('authorization')}"})


@_mode
def need_token(exchange: Exchange) -> None:
    """As the real service: 403 without a token, but for /health."""
    if exchange.request.path == "/health" or "authorization" in exchange.request.headers:
        ok(exchange)
    else:
        MODES["forbidden"](exchange)


@_mode
def gzip_fine(exchange: Exchange) -> None:
    packed = gzip.compress(json.dumps(document(exchange.request)).encode())
    exchange.answer(200, packed, "Content-Encoding: gzip")


@functools.cache
def _bomb() -> bytes:
    packer = zlib.compressobj(wbits=-15)

    def packed(data: bytes) -> bytes:
        """Deflated without regard to what came before, so that it may be repeated."""
        return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)

    head, block, tail = b'{"a": "', b"x" * 1_000_000, b'"}'
    checksum = functools.reduce(lambda sum_, part: zlib.crc32(part, sum_), [head, *[block] * 200, tail], 0)
    body = packed(head) + packed(block) * 200 + packer.compress(tail) + packer.flush()
    size = len(head) + len(block) * 200 + len(tail)
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + body + struct.pack("<II", checksum, size)


@_mode
def gzip_bomb(exchange: Exchange) -> None:
    """200 MB of JSON in 200 kB."""
    exchange.answer(200, _bomb(), "Content-Encoding: gzip")


@_mode
def hang(exchange: Exchange) -> None:
    exchange.url.stop.wait()
    exchange.close()


@_mode
def hang_body(exchange: Exchange) -> None:
    exchange.answer(200, b'{"a":', length=100)
    hang(exchange)


@_mode
def hang_body_500(exchange: Exchange) -> None:
    exchange.answer(500, b'{"a":', length=100)
    hang(exchange)


@_mode
def drip_head(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    exchange.drip(b"X-Drip: 1")


@_mode
def drip_body(exchange: Exchange) -> None:
    exchange.stream()
    exchange.drip(b" ")


@_mode
def endless_100(exchange: Exchange) -> None:
    while not exchange.url.stop.wait(0.001):
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@_mode
def closed(exchange: Exchange) -> None:
    exchange.close()


@_mode
def reset(exchange: Exchange) -> None:
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.close()


@_mode
def short(exchange: Exchange) -> None:
    """JSON that is whole, in a body shorter than announced: what is missing could have said more."""
    exchange.answer(200, b'{"overall_status": "healthy"}', length=4000)
    exchange.close()


@_mode
def short_chunked(exchange: Exchange) -> None:
    exchange.stream("Transfer-Encoding: chunked")
    exchange.send(b'10\r\n{"a": 1}        \r\n')
    exchange.close()


@_mode
def bad_chunk(exchange: Exchange) -> None:
    exchange.stream("Transfer-Encoding: chunked")
    exchange.send(b"-5\r\n{}\r\n0\r\n\r\n")
    exchange.close()


@_mode
def chunked(exchange: Exchange) -> None:
    exchange.stream("Transfer-Encoding: chunked")
    body = json.dumps(document(exchange.request)).encode()
    exchange.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    exchange.close()


@_mode
def two_lengths(exchange: Exchange) -> None:
    exchange.answer(200, b"{}", "Content-Length: 3")
    exchange.close()


@_mode
def huge(exchange: Exchange) -> None:
    """200 MB of JSON, as fast as they are read."""
    exchange.stream()
    exchange.send(b'{"a": "')
    for _unused in range(200):
        exchange.send(b"x" * 1_000_000)
    exchange.send(b'"}')
    exchange.close()


@_mode
def huge_head(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000_000 + b"\r\n\r\n{}")
    exchange.close()


@_mode
def many_headers(exchange: Exchange) -> None:
    exchange.answer(200, {}, *(f"X-{number}: 1" for number in range(5000)))


@_mode
def redirect(exchange: Exchange) -> None:
    """To ``url.target``, with a user and a query in it that nobody should read."""
    place = exchange.url.target.replace("://", "://user:redirect-secret@") + "/login?ticket=redirect-secret"
    exchange.answer(307, {}, f"Location: {place}")


@_mode
def redirect_huge(exchange: Exchange) -> None:
    exchange.send(f"HTTP/1.1 302 Found\r\nLocation: {exchange.url.target}\r\n\r\n".encode())
    for _unused in range(200):
        exchange.send(b"x" * 1_000_000)
    exchange.close()


@_mode
def redirect_odd(exchange: Exchange) -> None:
    exchange.answer(301, {}, "Location: http://[::1/")


@_mode
def payload(exchange: Exchange) -> None:
    """The body ``url.payload`` of the test."""
    exchange.answer(200, exchange.url.payload)


@_mode
def raw(exchange: Exchange) -> None:
    """The whole answer ``url.payload`` of the test."""
    exchange.send(exchange.url.payload)
    exchange.close()


def spoiled(status: int = 200, **changes: Any) -> Way:
    """The document of a service that is well with other values in it; a key that is to be ``...`` is missing."""

    def way(exchange: Exchange) -> None:
        changed = document(exchange.request) | changes
        exchange.answer(status, {key: value for key, value in changed.items() if value is not ...})

    return way


@contextlib.contextmanager
def fault_server(
    mode: str | Mapping[str, str | Way] = "ok",
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    target: str = "",
) -> Iterator[Url]:
    """A server on a port from the kernel. ``mode``: for all, or path to mode, where paths without one are well."""
    named, default = (mode, "ok") if isinstance(mode, Mapping) else ({}, mode)
    if default not in {*MODES, *SOCKET_MODES}:
        raise ValueError(f"no such mode: {mode}")
    ways = {path: MODES[way] if isinstance(way, str) else way for path, way in named.items()}
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, 0), backlog=0 if default == "no_connect" else 64))
        address = listener.getsockname()
        url = Url(f"{'https' if tls else 'http'}://{host}:{address[1]}{BASE}")
        url.seen, url.connections, url.sent, url.payload, url.target = [], 0, 0, b"", target
        url.stop = threading.Event()
        server = _Server(listener, url, ways, default, tls)
        if default == "refused":
            # Bound and not listening: the port stays ours, so that nobody else can answer on it.
            listener.close()
            stack.enter_context(socket.socket()).bind(address)
        elif default == "no_connect":
            _fill_backlog(address, stack)
        elif default != "no_accept":
            threading.Thread(target=server.accept, daemon=True).start()
        try:
            yield url
        finally:
            server.stop()


class _Server:
    def __init__(
        self, listener: socket.socket, url: Url, ways: Mapping[str, Way], default: str, tls: ssl.SSLContext | None
    ) -> None:
        self._listener = listener
        self._url = url
        self._ways = ways
        self._default = default
        self._tls = tls
        self._open: list[socket.socket] = []

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._listener.accept()
                self._url.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._default == "not_http":
                connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
                while connection.recv(1000):
                    pass
            talk = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with talk, talk.makefile("rb") as lines:
                while request := _read_request(lines):
                    self._url.seen.append(request)
                    way = self._ways.get(request.path) or MODES[self._default]
                    way(Exchange(talk, request, self._url))

    def stop(self) -> None:
        self._url.stop.set()
        for connection in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _read_request(lines: Any) -> Request | None:
    head = lines.readline().decode("latin-1").split()
    if len(head) < 3:
        return None
    headers: dict[str, str] = {}
    while line := lines.readline().decode("latin-1").strip():
        name, _colon, value = line.partition(":")
        headers[name.lower()] = value.strip()
    lines.read(int(headers.get("content-length", 0)))
    return Request(head[0], head[1], headers)


def _fill_backlog(address: tuple[str, int], stack: contextlib.ExitStack) -> None:
    """Connect until the kernel drops what comes: then a connection takes for ever."""
    for _unused in range(16):
        waiting = stack.enter_context(socket.socket())
        waiting.settimeout(0.3)
        try:
            waiting.connect(address)
        except TimeoutError:
            return
    raise RuntimeError("the backlog does not fill up")


def make_certificate(
    directory: Path, name: str, *, issuer: str | None = None, names: str = "IP:127.0.0.1,DNS:localhost"
) -> Path:
    """``directory``/name.pem and name.key, signed by ``issuer`` of the same directory or by itself (then a CA)."""
    path = directory / f"{name}.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", f"/CN={name}", "-keyout", str(path.with_suffix(".key")), "-out", str(path)]
    command += ["-addext", f"subjectAltName={names}"]
    if issuer:
        ca = directory / f"{issuer}.pem"
        command += [
            "-CA",
            str(ca),
            "-CAkey",
            str(ca.with_suffix(".key")),
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return path


def server_context(certificate: Path, *, client_ca: Path | None = None) -> ssl.SSLContext:
    """The TLS side of a server; with ``client_ca`` it wants a certificate of its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context
