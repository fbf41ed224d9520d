# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy in front of an S3 store that breaks chosen requests and passes on all others.

    with s3_proxy(store.endpoint_url, {"put": "slow_down"}) as proxy:     an upload is refused at the wire
    with s3_proxy(store.endpoint_url, tls=server_context(pem)) as proxy:  over TLS
    with s3_proxy() as proxy:                                             for HTTP_PROXY and HTTPS_PROXY
    with s3_proxy(store.endpoint_url, secrets={key: secret}) as proxy:    for those whose clock is moved

``proxy.url`` is the endpoint, ``proxy.seen`` what was asked for, in order. The Host header goes through unchanged,
since requests are signed with it.

With `secrets` each request is signed anew at real time: a store that is a program of Go has no moved clock, and refuses
what is dated weeks ahead. A signature of a key that is not among them is left as it is; of those that are, it is not
looked at whether the secret was right.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "proxy-authorization", "proxy-connection", "te"}
_ERROR = '<?xml version="1.0"?><Error><Code>{}</Code><Message>{}</Message>{}<RequestId>1</RequestId></Error>'


def operation(method: str, target: str) -> str:
    """What a request asks for: identity, list, leftovers, put, get, delete, head, connect.

    Of an upload in parts: uploads (which there are), begin, part, complete, abort.
    """
    query = parse_qs(urlsplit(target).query, keep_blank_values=True)
    if "uploads" in query:
        return {"GET": "uploads", "POST": "begin"}[method]
    if "uploadId" in query:
        return {"PUT": "part", "POST": "complete", "DELETE": "abort"}[method]
    if method == "POST":
        return "identity"
    if method == "GET" and "list-type" in query:
        return "leftovers" if query.get("prefix", [""]) != [""] else "list"
    return method.lower()


@dataclass
class Proxy:
    """A running proxy."""

    url: str
    faults: dict[str, str]
    upstream: str
    secrets: Mapping[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)


def _error(code: str, message: str = "said by the proxy", more: str = "") -> bytes:
    return _ERROR.format(code, message, more).encode()


# name: (status, body, headers)
ANSWERS: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "slow_down": (503, _error("SlowDown", "Please reduce your request rate."), {}),
    "internal_error": (500, _error("InternalError"), {}),
    "bad_gateway": (502, b"<html><body>Bad Gateway</body></html>", {"Content-Type": "text/html"}),
    "forbidden_empty": (403, b"", {}),
    "access_denied": (403, _error("AccessDenied", "Access Denied"), {}),
    "storage_full": (507, _error("XMinioStorageFull", "Storage backend has reached its minimum free drive"), {}),
    "not_allowed": (405, _error("MethodNotAllowed"), {}),
    "expired_token": (400, _error("ExpiredToken", "The provided token has expired."), {}),
    "too_skewed": (403, _error("RequestTimeTooSkewed", "The difference is too large."), {}),
    "login_page": (200, b"<!doctype html><html><body><p>Please log in<br></body>", {"Content-Type": "text/html"}),
    "login_page_xml": (200, b"<html><body><p>Please log in</p></body></html>", {"Content-Type": "text/html"}),
    "redirect": (302, b"", {"Location": "http://user:redirect-secret@login.invalid/?ticket=redirect-secret"}),
    "permanent_redirect": (
        301,
        _error("PermanentRedirect", "Use the specified endpoint.", "<Endpoint>media.s3.eu-west-3.invalid</Endpoint>"),
        {"x-amz-bucket-region": "eu-west-3"},
    ),
    "malformed_region": (
        400,
        _error("AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-3'"),
        {},
    ),
    "created_nothing": (200, b"", {}),
    "no_md5": (400, _error("InvalidRequest", "Content-MD5 is required with Object Lock"), {}),
    # Seen in the field
    "invalid_region_name": (400, _error("InvalidRegionName", "The region name is not valid"), {}),
    "unexpected_scope": (400, _error("AuthorizationHeaderMalformed", "unexpected scope"), {}),
    "cap_exceeded": (403, _error("AccessDenied", "Cannot upload: the storage cap of the account is exceeded"), {}),
    "just_a_moment": (
        403,
        b"<!DOCTYPE html><html><body>Just a moment</body></html>",
        {"Content-Type": "text/html"},
    ),
    "archived": (
        403,
        _error("InvalidObjectState", "The operation is not valid for the object's storage class"),
        {},
    ),
    "no_crc32": (501, _error("NotImplemented", "Header x-amz-checksum-crc32 is not implemented"), {}),
    "has_expired": (403, _error("AccessDenied", "Request has expired"), {}),
    "not_implemented": (501, _error("NotImplemented", "A header you provided implies functionality"), {}),
}
FAULTS = (
    *ANSWERS,
    "hang",
    "hang_after",
    "drip",
    "corrupt",
    "truncate",
    "closed",
    "echo_secrets",
    "clock_ahead",
    "flaky",
    "lost_once",  # passed on, and the first answer never comes
    "cut",  # the connection, half-way through what is sent
    "no_checksum_headers",  # a store that refuses what boto3 sends by default since 1.36
    "no_conditions",  # a store that does not know If-None-Match
    "wants_md5",  # a bucket with a retention
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 60

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def handle_one_request(self) -> None:
        # A peer that goes away is what half of these tests are about.
        with contextlib.suppress(OSError):
            super().handle_one_request()

    def _serve(self) -> None:
        proxy = self.server.proxy
        asked = operation(self.command, self.path)
        fault = proxy.faults.get(asked, "")
        if fault == "cut":
            proxy.seen.append(asked)
            self._cut()
            return
        body = self._body()
        proxy.seen.append(asked)
        if fault in ("flaky", "lost_once"):
            first = {"flaky": "internal_error", "lost_once": "hang_after"}[fault]
            fault = first if proxy.seen.count(asked) == 1 else ""
        fault = self._refused(fault)
        if fault in ANSWERS:
            self._answer(*ANSWERS[fault])
        elif fault == "echo_secrets":
            token = self.headers.get("X-Amz-Security-Token", "")
            self._answer(400, _error("Odd", f"{'x' * 180} {token} {self.headers.get('Authorization')}"), {})
        elif fault == "hang":
            self._hang()
        elif fault == "drip":
            self._drip()
        elif fault == "closed":
            self.close_connection = True
        else:
            self._pass_on(body, fault)

    def _refused(self, fault: str) -> str:
        """What a store answers that refuses only some requests; "" for those that it takes."""
        if fault == "no_conditions":
            fault = "not_implemented" if self.headers.get("If-None-Match") else ""
        if fault == "no_checksum_headers":
            asks = [name for name in self.headers if name.lower().startswith(("x-amz-checksum", "x-amz-trailer"))]
            fault = "no_crc32" if asks or "x-amz-sdk-checksum-algorithm" in self.headers else ""
        if fault == "wants_md5":
            fault = "" if self.headers.get("Content-MD5") else "no_md5"
        return fault

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

    def do_CONNECT(self) -> None:
        """A tunnel, as for https through a proxy."""
        self.server.proxy.seen.append("connect")
        if "connect" in self.server.proxy.faults:
            self._answer(*ANSWERS[self.server.proxy.faults["connect"]])
            return
        host, _colon, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), 10) as other:
            self.send_response_only(200)
            self.end_headers()
            back = threading.Thread(target=_copy, args=(other, self.connection), daemon=True)
            back.start()
            _copy(self.connection, other)
            back.join(10)
        self.close_connection = True

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Type": "application/xml", **headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if "date" not in {name.lower() for name in headers}:
            self.send_header("Date", self.date_time_string())
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _pass_on(self, body: bytes, fault: str) -> None:
        place = urlsplit(self.path if "://" in self.path else self.server.proxy.upstream)
        target = "/" + self.path.partition("://")[2].partition("/")[2] if "://" in self.path else self.path
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        headers = self._signed_now(target, body, headers)
        try:
            connection.request(self.command, target, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except OSError:
            self._answer(502, b"", {})
            return
        finally:
            connection.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in {*HOP, "content-length"}}
        if fault == "hang_after":
            self._hang()
        elif fault == "corrupt":
            # What checks sums on the way would find is taken away, so that only a look at the content tells.
            kept = {name: value for name, value in kept.items() if not name.lower().startswith("x-amz-checksum")}
            self._answer(answer.status, content[:-2] + b"!\n", kept)
        elif fault == "truncate":
            self.send_response_only(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        elif fault == "clock_ahead":
            kept = {name: value for name, value in kept.items() if name.lower() != "date"}
            self._answer(answer.status, content, {**kept, "Date": "Fri, 01 Jan 2100 00:00:00 GMT"})
        else:
            self._answer(answer.status, content, kept)

    def _signed_now(self, target: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        """The same headers, signed anew where their key is known."""
        scope = re.search(r"Credential=([^/,]+)/[^/,]+/([^/,]+)/([^/,]+)/", headers.get("Authorization", ""))
        secret = self.server.proxy.secrets.get(scope[1]) if scope else None
        if not scope or secret is None:
            return headers
        signer = S3SigV4Auth if scope[3] == "s3" else SigV4Auth
        left = {name: value for name, value in headers.items() if name.lower() not in ("authorization", "x-amz-date")}
        request = AWSRequest(self.command, f"{self.server.proxy.upstream}{target}", left, body)
        signer(Credentials(scope[1], secret), scope[3], scope[2]).add_auth(request)
        return dict(request.headers.items())

    def _cut(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
        # A reset instead of an orderly end
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _hang(self) -> None:
        self.server.proxy.stop.wait()
        self.close_connection = True

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n\r\n")
        while not self.server.proxy.stop.wait(0.02):
            self.wfile.write(b" ")
        self.close_connection = True


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: Proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """A handshake that fails, a peer that is gone: of no interest."""


@contextlib.contextmanager
def s3_proxy(
    upstream: str = "",
    faults: Mapping[str, str] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    bind: str = "127.0.0.1",
    secrets: Mapping[str, str] | None = None,
) -> Iterator[Proxy]:
    """Run a proxy on a port from the kernel. `faults`: from an operation to the name of what goes wrong with it."""
    faults = dict(faults or {})
    if not {*faults.values()} <= {*FAULTS}:
        raise ValueError(f"no such fault: {faults}")
    server = _Server((bind, 0), _Handler)
    if tls:
        server.socket = _tls_listener(server.socket, tls)
    port = server.server_address[1]
    url = f"{'https' if tls else 'http'}://{bind}:{port}"
    server.proxy = Proxy(url, faults, upstream or "http://127.0.0.1:1", secrets or {})
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.proxy
    finally:
        server.proxy.stop.set()
        server.shutdown()
        server.server_close()


def _tls_listener(listener: socket.socket, context: ssl.SSLContext) -> socket.socket:
    """The handshake is made by the thread that serves, so that a slow one holds nobody up."""
    return context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
