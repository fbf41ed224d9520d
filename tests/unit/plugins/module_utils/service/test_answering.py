# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a service answers where its own processes listen: asked of real processes with real sockets."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.service import answering as under_test
from ansible_collections.media_ops.runbook.plugins.module_utils.service.answering import Answering, answering
from ansible_collections.media_ops.runbook.plugins.module_utils.system import listening
from ansible_collections.media_ops.runbook.plugins.module_utils.system.listening import (
    Place,
    Places,
    places_of,
    users_on,
)

NOWHERE = "http://proxy.example.com:443/api/v1/monitoring"
HEALTH = {"overall_status": "healthy"}
LISTENER = """
import socket, sys
kind, where = sys.argv[1:3]
if kind == "unix":
    made = socket.socket(socket.AF_UNIX)
    made.bind(where)
else:
    made = socket.socket(socket.AF_INET6 if ":" in where else socket.AF_INET)
    made.bind((where, 0))
if kind != "bound":
    made.listen()
print(made.getsockname()[1] if kind != "unix" else 0, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def process(kind: str, where: str) -> Iterator[tuple[int, int]]:
    """A process that listens and never answers: its pid and port."""
    command = [sys.executable, "-c", LISTENER, kind, where]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin
        assert running.stdout
        try:
            yield running.pid, int(running.stdout.readline())
        finally:
            running.stdin.close()


class Health(http.server.BaseHTTPRequestHandler):
    """Says that it is well, or what it is told to say, and keeps what it was asked."""

    status, document = 200, HEALTH
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        body = json.dumps(self.document).encode()
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[type[Health]]:
    handler = type("Here", (Health,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        handler.port = made.server_address[1]  # type: ignore[attr-defined]
        yield handler
        made.shutdown()


def ask(places: Places, monkeypatch: pytest.MonkeyPatch, url: str = NOWHERE) -> Answering:
    monkeypatch.setattr(under_test, "places_of", lambda *_: places)
    monkeypatch.setattr(under_test, "_PAUSE_S", 0.01)
    return answering([], 1, 0, api_url=url, path="/health", timeout_s=0.3, tries=2)


@pytest.mark.parametrize("where", ["127.0.0.1", "0.0.0.0", "::1", "::", "127.0.0.2"])
def test_a_process_is_found_where_it_listens_and_found_silent(where: str) -> None:
    with process("tcp", where) as (pid, port):
        asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(where, where)
        assert places_of([pid], pid, os.getuid()) == Places((Place(asked, port),), proved=True)
        found = answering([pid], pid, os.getuid(), api_url=NOWHERE, path="/health", timeout_s=0.2, tries=1)
        assert (found.state, f":{port}" in found.reason) == ("silent", True)


def test_a_socket_of_the_host_itself_is_found_too(tmp_path: Path) -> None:
    path = str(tmp_path / "api.sock")
    with process("unix", path) as (pid, _port):
        assert places_of([pid], pid, os.getuid()) == Places((Place("", 0, path),), proved=True)


def test_what_is_bound_and_does_not_listen_is_nowhere() -> None:
    with process("bound", "127.0.0.1") as (pid, _port):
        found = answering([pid], pid, os.getuid(), api_url=NOWHERE, path="/health", timeout_s=0.2, tries=1)
        assert found.state == "listens_nowhere"


def test_whose_api_another_process_tells_is_not_known_to_hang() -> None:
    with process("bound", "127.0.0.1") as (pid, _port), process("tcp", "127.0.0.1") as (_other, port):
        url = f"http://127.0.0.1:{port}"
        found = answering([pid], pid, os.getuid(), api_url=url, path="/health", timeout_s=0.2, tries=1)
        assert found.state == "unknown"
        assert f"its API on port {port} is another process's" in found.reason


def without(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """A host whose kernel has no such file."""

    def opened(name: str, *args: Any, **options: Any) -> Any:
        return Path(f"{name}.missing" if name == path else name).open(*args, **options)

    monkeypatch.setattr(listening, "open", opened, raising=False)


def test_a_host_without_ipv6_has_the_sockets_of_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "/proc/net/tcp6")
    with process("tcp", "127.0.0.1") as (pid, port):
        assert places_of([pid], pid, os.getuid()) == Places((Place("127.0.0.1", port),), proved=True)
        assert users_on(port) == {os.getuid()}
        without(monkeypatch, "/proc/net/tcp")
        assert "cannot be read" in places_of([pid], pid, os.getuid()).reason
        assert users_on(port) is None


def test_a_port_of_its_user_is_no_proof_where_its_descriptors_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "sockets_of", lambda _pids: (set(), False))
    with process("tcp", "127.0.0.1") as (pid, port):
        found = places_of([pid], pid, os.getuid())
        assert (found.proved, Place("127.0.0.1", port) in found.found) == (False, True)
        assert Place("127.0.0.1", port) not in places_of([pid], pid, os.getuid() + 7).found


@pytest.mark.parametrize("status", [200, 500, 503, 401])
def test_whoever_answers_there_lives_whatever_the_answer(
    server: Any, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    server.status = status
    found = ask(Places((Place("127.0.0.1", server.port),), proved=True), monkeypatch)
    assert (found.state, found.http_status) == ("answers", status)
    assert server.asked == [("/api/v1/monitoring/health", None)], "no token goes there"


@pytest.mark.parametrize(
    ("status", "document", "state"),
    [
        (200, HEALTH, "answers"),
        (503, {"detail": HEALTH}, "answers"),
        (500, {"detail": "Health check failed"}, "answers"),
        (404, {"detail": "Not Found"}, "unknown"),
        (200, {"hello": "I am somebody else"}, "unknown"),
    ],
)
def test_a_neighbour_of_the_same_user_is_not_taken_for_it(
    server: Any, monkeypatch: pytest.MonkeyPatch, status: int, document: dict[str, Any], state: str
) -> None:
    server.status, server.document = status, document
    assert ask(Places((Place("127.0.0.1", server.port),)), monkeypatch).state == state


def test_a_silent_neighbour_is_not_taken_for_it_either(monkeypatch: pytest.MonkeyPatch) -> None:
    with process("tcp", "127.0.0.1") as (_pid, port):
        place = Place("127.0.0.1", port)
        assert ask(Places((place,)), monkeypatch).state == "unknown"
        assert ask(Places((place,), proved=True), monkeypatch).state == "silent"
        # Who is silent on the very port of the API is likely to be it.
        assert ask(Places((place,)), monkeypatch, f"http://localhost:{port}/api").state == "silent"


def test_one_place_that_answers_is_enough_and_the_likely_port_is_asked_first(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with process("tcp", "127.0.0.1") as (_pid, port):
        places = Places((Place("127.0.0.1", port), Place("127.0.0.1", server.port)), proved=True)
        assert ask(places, monkeypatch).state == "answers"
        assert ask(places, monkeypatch, f"http://localhost:{server.port}/api").state == "answers"
        assert server.asked[-1][0] == "/api/health"


def test_what_was_silent_once_may_answer_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as made:
        port = made.getsockname()[1]

        def second() -> None:
            first, _first_at = made.accept()
            again, _again_at = made.accept()
            with first, again:
                again.recv(4096)
                again.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")

        threading.Thread(target=second, daemon=True).start()
        assert ask(Places((Place("127.0.0.1", port),), proved=True), monkeypatch).state == "answers"


def test_tls_is_spoken_where_plain_http_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert),
            *("-subj", "/CN=somebody.example.com", "-days", "1"),
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("openssl makes no certificate here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    handler = type("Here", (Health,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = Place("127.0.0.1", server.server_address[1])
        monkeypatch.setattr(under_test, "places_of", lambda *_: Places((place,), proved=True))
        found = answering([], 1, 0, api_url=NOWHERE, path="/health", timeout_s=5, tries=1)
        server.shutdown()
    assert (found.state, found.http_status) == ("answers", 200)


def test_another_network_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_same_network", lambda _pid: False)
    found = answering([], os.getpid(), os.getuid(), api_url=NOWHERE, path="/health", timeout_s=0.2, tries=1)
    assert (found.state, "network namespace of its own" in found.reason) == ("unknown", True)
