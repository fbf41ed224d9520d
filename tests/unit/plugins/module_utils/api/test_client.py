"""The HTTP client against real sockets: each fault becomes its state, in time, within its bounds."""

from __future__ import annotations

import json
import os
import socket
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.api.client import Client, Reply
from ansible_collections.media_ops.runbook.plugins.module_utils.api.settings import (
    TOKEN_VARIABLE,
    ApiSettings,
    api_argument_spec,
    api_settings,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fault_server import MODES, fault_server, make_certificate, server_context

TOKEN = "canary-7Zq3.token_of-the/test+1="
_STATES = {"ok", "unreachable", "timeout", "auth", "http_error", "invalid"}


def connection(url: str, *, environ: dict[str, str] | None = None, **options: Any) -> ApiSettings:
    params = {name: option.get("default") for name, option in api_argument_spec().items()}
    return api_settings(
        {**params, "api_url": str(url), **options},
        warn=lambda text: None,
        hide=lambda text: None,
        environ=environ or {},
    )


def ask(url: str, path: str = "/stats", **options: Any) -> Reply:
    return Client(connection(url, **options)).request(path)


@pytest.mark.parametrize(
    ("mode", "state", "status", "reason", "attempts"),
    [
        ("ok", "ok", 200, "", 1),
        ("chunked", "ok", 200, "", 1),
        ("gzip_fine", "ok", 200, "", 1),
        ("duplicate_keys", "invalid", 200, "the key 'overall_status' twice", 1),
        ("flaky", "ok", 200, "", 3),
        ("refused", "unreachable", None, "Connection refused", 3),
        ("closed", "unreachable", None, "closed the connection without an answer", 3),
        ("reset", "unreachable", None, "Connection reset", 3),
        ("no_accept", "timeout", None, "no answer of", 1),
        ("no_connect", "timeout", None, "no connection to", 3),
        ("hang", "timeout", None, "no answer of", 1),
        ("hang_body", "timeout", 200, "no answer of", 1),
        ("unauthorized", "auth", 401, "no token given (Could not validate credentials)", 1),
        ("forbidden", "auth", 403, "no token given (Not authenticated)", 1),
        ("not_found", "http_error", 404, "HTTP 404 (Not Found)", 1),
        ("unprocessable", "http_error", 422, "['query', 'hours']: Input should be <= 168", 1),
        ("error_500", "http_error", 500, "HTTP 500 (Health check failed)", 1),
        ("error_500_empty", "http_error", 500, "HTTP 500", 1),
        ("error_500_html", "http_error", 500, "HTTP 500", 1),
        ("hang_body_500", "http_error", 500, "HTTP 500", 1),
        ("unavailable_503", "http_error", 503, "HTTP 503 (Service Unavailable", 3),
        ("bad_gateway_502", "http_error", 502, "HTTP 502", 3),
        ("critical_503", "http_error", 503, "HTTP 503", 3),
        ("created_201", "http_error", 201, "HTTP 201", 1),
        ("no_content_204", "http_error", 204, "HTTP 204", 1),
        ("redirect_odd", "http_error", 301, "an address that cannot be read", 1),
        ("html", "invalid", 200, "it is not JSON (text/html", 1),
        ("empty", "invalid", 200, "at character 0 of 0", 1),
        ("truncated_json", "invalid", 200, "it is not JSON", 1),
        ("short", "invalid", 200, "broke off", 1),
        ("short_chunked", "invalid", 200, "broke off", 1),
        ("bad_chunk", "invalid", 200, "", 1),
        ("two_lengths", "invalid", None, "", 1),
        ("list", "invalid", 200, "not an object but list", 1),
        ("null", "invalid", 200, "not an object but NoneType", 1),
        ("string", "invalid", 200, "not an object but str", 1),
        ("nan", "invalid", 200, "NaN", 1),
        ("infinity", "invalid", 200, "-Infinity", 1),
        ("overflow", "invalid", 200, "too large", 1),
        ("huge_int", "invalid", 200, "too large", 1),
        ("deep", "invalid", 200, "nested deeper than 64", 1),
        ("deep_closed", "invalid", 200, "nested deeper than 64", 1),
        ("not_utf8", "invalid", 200, "not UTF-8", 1),
        ("utf16", "invalid", 200, "not UTF-8", 1),
        ("gzip_damaged", "invalid", 200, "damaged", 1),
        ("gzip_truncated", "invalid", 200, "broke off", 1),
        ("brotli", "invalid", 200, "'br', which was not asked for", 1),
        ("huge_head", "invalid", None, "not HTTP", 1),
        ("many_headers", "invalid", None, "not HTTP", 1),
        ("not_http", "invalid", None, "not HTTP", 1),
    ],
)
def test_fault_becomes_state(mode: str, state: str, status: int | None, reason: str, attempts: int) -> None:
    with fault_server(mode) as url:
        reply = ask(url, connect_timeout=0.5, read_timeout=0.5 if "hang" in mode or mode == "no_accept" else 10)
    assert (reply.state, reply.http_status, reply.attempts) == (state, status, attempts), reply.reason
    assert reason in reply.reason
    assert (reply.data is None) == (state != "ok")
    assert bool(reply.reason) == (state != "ok")
    assert len(reply.reason) <= 300
    assert reply.reason.isprintable()
    assert reply.url == f"{url}/stats"


@pytest.mark.parametrize("mode", ["drip_head", "drip_body", "endless_100"])
def test_drips_end_in_total_timeout(mode: str) -> None:
    started = time.monotonic()
    with fault_server(mode) as url:
        reply = ask(url, read_timeout=30, total_timeout=0.5)
    assert reply.state == "timeout"
    assert reply.reason == "no complete answer within 0.5 s"
    assert time.monotonic() - started < 10
    assert reply.elapsed_ms >= 400


@pytest.mark.parametrize("mode", ["huge", "gzip_bomb", "redirect_huge"])
def test_memory_is_bounded(mode: str) -> None:
    with fault_server(mode, target="http://127.0.0.1:9") as url:
        ask(url.replace("/api", "/x/api"), retries=0)  # imports and buffers are not what is measured
        tracemalloc.start()
        try:
            client = Client(connection(url, max_body_bytes=100_000, retries=0))
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            reply = client.request("/stats")
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
    if mode == "redirect_huge":
        assert reply.state == "http_error"
    else:
        assert reply.state == "invalid"
        assert reply.reason == "the answer is larger than 100000 bytes"
    assert reply.bytes <= 100_001
    assert peak < 30_000_000


def test_body_of_exactly_the_limit_is_read() -> None:
    with fault_server("payload") as url:
        url.payload = b'{"a":"' + b"x" * (2000 - 8) + b'"}'
        assert ask(url, max_body_bytes=2000).state == "ok"
        url.payload = b'{"a":"' + b"x" * (2001 - 8) + b'"}'
        assert ask(url, max_body_bytes=2000).state == "invalid"


def test_redirect_is_not_followed_and_not_leaked() -> None:
    with fault_server("ok") as elsewhere, fault_server("redirect", target=elsewhere) as url:
        reply = ask(url, api_token=TOKEN)
        assert elsewhere.connections == 0
    assert (reply.state, reply.http_status, reply.attempts) == ("http_error", 307, 1)
    assert "redirect to http://127.0.0.1" in reply.reason
    assert "redirect-secret" not in json.dumps(vars(reply))


def test_name_that_does_not_resolve() -> None:
    reply = ask("http://no-such-host.invalid:8000/x", retries=0)
    assert reply.state == "unreachable"
    assert "does not resolve" in reply.reason


def test_name_resolution_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing that no socket of a test can do: the resolver of the C library does not come back."""
    started = time.monotonic()
    with fault_server("hang") as url:

        def wait(*args: Any, **kwargs: Any) -> Any:
            url.stop.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "late")

        monkeypatch.setattr(socket, "getaddrinfo", wait)
        reply = ask("http://slow-name.example/x", total_timeout=0.4)
    assert reply.state == "timeout"
    assert time.monotonic() - started < 10


def test_one_session_is_kept_for_all_endpoints() -> None:
    with fault_server("ok") as url:
        client = Client(connection(url))
        assert [client.request(path).state for path in ("/stats", "/alerts", "/health")] == ["ok"] * 3
        assert url.connections == 1
        assert {request.headers["user-agent"] for request in url.seen} == {"media_ops.runbook"}


def test_after_unreachable_the_next_are_asked_once_until_one_answers() -> None:
    with fault_server({"/stats": "reset", "/alerts": "reset"}) as url:
        client = Client(connection(url))
        attempts = [client.request(path).attempts for path in ("/stats", "/alerts", "/health", "/alerts")]
    assert attempts == [3, 1, 1, 3]


def test_all_endpoints_together_end_in_overall_timeout() -> None:
    started = time.monotonic()
    with fault_server("hang") as url:
        client = Client(connection(url, read_timeout=10, overall_timeout=0.6))
        replies = [client.request("/stats") for _unused in range(4)]
    assert time.monotonic() - started < 8
    assert [reply.state for reply in replies] == ["timeout"] * 4
    assert replies[-1].attempts == 0
    assert replies[-1].reason == "not asked: the 0.6 s for all endpoints are used up"


def test_post_is_never_repeated() -> None:
    with fault_server("unavailable_503") as url:
        reply = Client(connection(url)).request("/cleanup", method="POST")
        assert [request.method for request in url.seen] == ["POST"]
    assert (reply.state, reply.attempts) == ("http_error", 1)


def test_environment_has_no_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    with fault_server("ok") as proxy, fault_server("ok") as url:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert ask(url, api_token=TOKEN).state == "ok"
        assert proxy.connections == 0
        assert url.seen[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(("mode", "token"), [("echo", TOKEN), ("echo_error", TOKEN), ("echo_error", "abc1234")])
def test_token_that_the_service_repeats_is_replaced(mode: str, token: str) -> None:
    with fault_server(mode) as url:
        reply = ask(url, api_token=token)
        assert url.seen[0].headers["authorization"] == f"Bearer {token}"
    assert "[token]" in json.dumps(vars(reply))
    assert token not in json.dumps(vars(reply))
    assert token not in repr(connection(url, api_token=token))


def test_half_a_surrogate_pair_does_not_reach_the_result() -> None:
    with fault_server("half_surrogate") as url:
        reply = ask(url)
    assert reply.data == {"message": "?", "?": [1]}


class TestToken:
    def sent(self, **options: Any) -> str | None:
        with fault_server("ok") as url:
            ask(url, **options)
            return url.seen[0].headers.get("authorization")

    def test_order_of_sources(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("of-the-file\n")
        environ = {TOKEN_VARIABLE: "of-environment"}
        given = {"api_token_file": str(file), "environ": environ}
        assert self.sent(api_token="of-option", **given) == "Bearer of-option"
        assert self.sent(api_token="", **given) == "Bearer of-the-file"
        assert self.sent(api_token="", environ=environ) == "Bearer of-environment"
        assert self.sent(api_token="", environ={TOKEN_VARIABLE: ""}) is None
        assert self.sent() is None

    def test_every_source_is_hidden(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text(" of-the-file \n")
        params = {name: option.get("default") for name, option in api_argument_spec().items()}
        for options, environ, token in (
            ({"api_token": "of-option"}, {}, "of-option"),
            ({"api_token_file": str(file)}, {}, "of-the-file"),
            ({}, {TOKEN_VARIABLE: "of-environment"}, "of-environment"),
        ):
            hidden: list[str] = []
            api_settings({**params, **options}, warn=lambda text: None, hide=hidden.append, environ=environ)
            assert hidden == [token]

    @pytest.mark.parametrize(
        "bad", ["canary\r\nX-Injected: 1", "canary\n", "canary one", "canary\x00", "canaryé", "\tcanary"]
    )
    def test_refused_without_being_shown(self, bad: str, tmp_path: Path) -> None:
        for source, options, environ in (
            ("api_token", {"api_token": bad}, {}),
            (TOKEN_VARIABLE, {}, {TOKEN_VARIABLE: bad}),
        ):
            with pytest.raises(OptionError) as caught:
                connection("http://127.0.0.1", environ=environ, **options)
            assert source in str(caught.value)
            assert "canary" not in str(caught.value)
        file = tmp_path / "token"
        file.write_bytes(b"a" + bad.encode() + b"b")
        with pytest.raises(OptionError, match="api_token_file") as caught:
            connection("http://127.0.0.1", api_token_file=str(file))
        assert "canary" not in str(caught.value)

    def test_file_that_cannot_be_used(self, tmp_path: Path) -> None:
        empty = tmp_path / "empty"
        empty.write_text(" \n")
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        for path, why in (
            (empty, "is empty"),
            (tmp_path / "none", "No such file"),
            (tmp_path, "it is a directory, not a regular file"),
            (fifo, "not a regular file"),
        ):
            with pytest.raises(OptionError, match=why) as caught:
                connection("http://127.0.0.1", api_token_file=str(path))
            assert str(path) in str(caught.value)

    def test_file_that_all_may_read_is_warned_of(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text(TOKEN)
        params = {name: option.get("default") for name, option in api_argument_spec().items()}
        for mode, count in ((0o604, 1), (0o600, 0), (0o640, 0)):
            file.chmod(mode)
            warnings: list[str] = []
            api_settings(
                {**params, "api_token_file": str(file)}, warn=warnings.append, hide=lambda text: None, environ={}
            )
            assert len(warnings) == count
            assert TOKEN not in "".join(warnings)


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:8000", "ftp://host/x", "http://", "http:///x", "http://host:port/", "http://host:99999/"),
        *("http://[::1/", "http://ho st/", "http://host/\r\nX: 1", "file:///etc/passwd", "http://host:0/"),
    ],
)
def test_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(OptionError, match="api_url"):
        connection(url)


@pytest.mark.parametrize(
    "url",
    [
        *("http://user:canary@host/x", "http://canary@host", "http://user:ca/canary@host", "user:canary@host/x"),
        *("http://host/x?token=canary", "http://host/x#canary", "http://a:canary@b@host/x?k=canary"),
    ],
)
def test_secrets_in_the_url_are_refused_without_being_shown(url: str) -> None:
    hidden: list[str] = []
    params = {name: option.get("default") for name, option in api_argument_spec().items()}
    with pytest.raises(OptionError, match="must have no") as caught:
        api_settings({**params, "api_url": url}, warn=lambda text: None, hide=hidden.append, environ={})
    assert "canary" not in str(caught.value)
    assert "canary" in "".join(hidden)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("connect_timeout", 0), ("read_timeout", -1), ("total_timeout", float("nan")), ("total_timeout", 601)),
        *(("overall_timeout", float("inf")), ("retries", -1), ("retries", 11), ("max_body_bytes", 0)),
    ],
)
def test_figure_out_of_range_is_refused(option: str, value: float) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(OptionError) as caught:
        connection("http://127.0.0.1", **options)
    assert option in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certs")
    for name, issuer, names in (
        ("ca", None, "DNS:ca"),
        ("other_ca", None, "DNS:other"),
        ("server", "ca", "IP:127.0.0.1"),
        ("elsewhere", "ca", "DNS:elsewhere.example"),
        ("client", "ca", "DNS:client"),
        ("self_signed", None, "IP:127.0.0.1"),
    ):
        make_certificate(directory, name, issuer=issuer, names=names)
    return directory


class TestTls:
    @pytest.mark.parametrize(
        ("certificate", "ca", "state", "reason"),
        [
            ("server", "ca", "ok", ""),
            ("server", "other_ca", "unreachable", "TLS: no secure connection"),
            ("server", None, "unreachable", "TLS: no secure connection"),
            ("self_signed", None, "unreachable", "self"),
            ("elsewhere", "ca", "unreachable", "match"),
        ],
    )
    def test_trust(self, certs: Path, certificate: str, ca: str | None, state: str, reason: str) -> None:
        with fault_server("ok", tls=server_context(certs / f"{certificate}.pem")) as url:
            reply = ask(url, api_token=TOKEN, ca_path=ca and str(certs / f"{ca}.pem"))
            assert len(url.seen) == (state == "ok"), "the token went to a server that is not trusted"
        assert (reply.state, reply.attempts) == (state, 1), reply.reason
        assert reason in reply.reason

    def test_environment_gives_no_trust(self, certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certs / "ca.pem"))
        monkeypatch.setenv("CURL_CA_BUNDLE", str(certs / "ca.pem"))
        with fault_server("ok", tls=server_context(certs / "server.pem")) as url:
            assert ask(url).state == "unreachable"

    def test_unchecked(self, certs: Path, recwarn: pytest.WarningsRecorder) -> None:
        with fault_server("ok", tls=server_context(certs / "self_signed.pem")) as url:
            assert ask(url, validate_certs=False).state == "ok"
        assert "Unverified HTTPS request" not in "".join(str(warning.message) for warning in recwarn)

    def test_client_certificate(self, certs: Path) -> None:
        context = server_context(certs / "server.pem", client_ca=certs / "ca.pem")
        options = {"ca_path": str(certs / "ca.pem"), "client_key": str(certs / "client.key")}
        with fault_server("ok", tls=context) as url:
            assert ask(url, client_cert=str(certs / "client.pem"), **options).state == "ok"
            reply = ask(url, ca_path=options["ca_path"], retries=0)
        assert reply.state == "unreachable"
        assert "TLS" in reply.reason

    def test_key_in_the_certificate_file(self, certs: Path, tmp_path: Path) -> None:
        both = tmp_path / "both.pem"
        both.write_bytes((certs / "client.pem").read_bytes() + (certs / "client.key").read_bytes())
        context = server_context(certs / "server.pem", client_ca=certs / "ca.pem")
        with fault_server("ok", tls=context) as url:
            assert ask(url, client_cert=str(both), ca_path=str(certs / "ca.pem")).state == "ok"

    def test_plain_http_asked_with_tls(self) -> None:
        with fault_server("not_http") as url:
            reply = ask(url.replace("http:", "https:"), retries=0)
        assert reply.state == "unreachable"
        assert "TLS" in reply.reason

    def test_files_that_cannot_be_used(self, certs: Path, tmp_path: Path) -> None:
        rubbish = tmp_path / "rubbish.pem"
        rubbish.write_text("no certificate")
        cases: tuple[tuple[str, dict[str, Any]], ...] = (
            ("ca_path", {"ca_path": str(tmp_path / "none.pem")}),
            ("ca_path", {"ca_path": str(rubbish)}),
            ("client_cert", {"client_cert": str(rubbish)}),
            ("client_cert", {"client_cert": str(certs / "client.pem"), "client_key": str(certs / "ca.key")}),
            ("client_key", {"client_key": str(certs / "client.key")}),
        )
        for option, options in cases:
            with pytest.raises(OptionError, match=f"option '{option}' is '{tmp_path}|option '{option}' is '{certs}"):
                connection("https://127.0.0.1", **options)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def _check(reply: Reply) -> None:
    assert reply.state in _STATES
    assert (reply.state == "ok") == isinstance(reply.data, dict)
    assert bool(reply.reason) == (reply.state != "ok")
    json.dumps(vars(reply), allow_nan=False, ensure_ascii=False).encode()


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=300) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises(body: bytes) -> None:
    with fault_server("payload") as url:
        url.payload = body
        _check(ask(url))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    start=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]),
    rest=st.binary(max_size=200) | st.text("0123456789abcdef-;{}\r\n: ", max_size=80).map(str.encode),
)
def test_no_raw_answer_raises(start: bytes, rest: bytes) -> None:
    with fault_server("raw") as url:
        url.payload = start + rest
        _check(ask(url, retries=0, read_timeout=2))


def test_every_mode_ends_in_a_state() -> None:
    """Also those that no other test names."""
    for mode in MODES:
        with fault_server(mode, target="http://127.0.0.1:9") as url:
            _check(ask(url, read_timeout=0.3, total_timeout=0.6, retries=0))
