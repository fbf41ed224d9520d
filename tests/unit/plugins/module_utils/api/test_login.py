"""Tokens that expire, had by a login of the service, kept on the host and given to nobody else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.api.client import Client
from ansible_collections.media_ops.runbook.plugins.module_utils.api.settings import api_argument_spec, api_settings
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.api import api_problems

PASSWORD = "canary-pass-9fK2"
LOGIN: dict[str, Any] = {"path": "/auth/login", "body": {"user": "{username}", "secret": "{password}"}}


class Service:
    """Gives tokens by number, each for its user, and takes those alone that it has not ended."""

    def __init__(self) -> None:
        self.logins: list[dict[str, Any]] = []
        self.ended: set[str] = set()
        self.answer: dict[str, Any] = {"expires_in": 3600}
        self.seen: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = "form" in self.headers["Content-Type"]
                body = {key: value[0] for key, value in parse_qs(text).items()} if form else json.loads(text)
                if PASSWORD not in body.values():
                    self._say(401, {"detail": f"not with {body.get('secret')}"})
                    return
                service.logins.append(body)
                token = f"token-of-{body['user']}-{len(service.logins)}"
                self._say(200, {"access_token": token, **service.answer})

            def do_GET(self) -> None:
                token = self.headers.get("Authorization", "")
                service.seen.append(token)
                good = token.startswith("Bearer token-of-") and token.split()[1] not in service.ended
                self._say(200 if good else 401, {"said": token} if good else {"detail": "no"})

            def _say(self, status: int, document: dict[str, Any]) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/monitoring"


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir(mode=0o750)
    return made


def client(service: Service, state: Path | None, hidden: list[str] | None = None, **options: Any) -> Client:
    defaults = {name: option.get("default") for name, option in api_argument_spec().items()}
    given = {
        **defaults,
        "api_url": service.url,
        "api_login": LOGIN,
        "api_username": "ops",
        "api_password": PASSWORD,
        "api_state_dir": str(state) if state else None,
        "retries": 0,
        **options,
    }
    hide = (hidden if hidden is not None else []).append
    return Client(api_settings(given, warn=lambda _text: None, hide=hide, environ={}))


def test_a_token_is_had_once_and_kept_for_its_owner_alone(service: Service, state: Path) -> None:
    hidden: list[str] = []
    for _run in range(3):
        reply = client(service, state, hidden).ask("stats")
        assert (reply.state, reply.data) == ("ok", {"said": "Bearer [token]"})
    assert [login["user"] for login in service.logins] == ["ops"]
    (kept,) = state.glob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert set(hidden) == {PASSWORD, "token-of-ops-1"}
    assert PASSWORD not in kept.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "other", [{"api_username": "eve"}, {"api_login": {**LOGIN, "path": "/other/login"}}], ids=["user", "address"]
)
def test_nobody_gets_the_token_of_another(service: Service, state: Path, other: dict[str, Any]) -> None:
    assert client(service, state).ask("stats").state == "ok"
    assert client(service, state, **other).ask("stats").state == "ok"
    assert len(service.logins) == 2
    first, second = state.glob("*.json")
    # A file that is put in the place of another is not taken either.
    second.write_bytes(first.read_bytes())
    first.write_bytes(second.read_bytes())
    client(service, state).ask("stats")
    client(service, state, **other).ask("stats")
    assert len(service.logins) == 3


def test_it_is_renewed_before_its_end_and_after_a_401_once(
    service: Service, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    assert client(service, state).ask("stats").state == "ok"
    for ahead, logins in ((3500, 1), (3541, 2), (3541 + 3500, 2), (3541 + 3541, 3), (0, 4)):
        monkeypatch.setattr("time.time", lambda ahead=ahead: now + ahead)
        assert client(service, state).ask("stats").state == "ok"
        assert len(service.logins) == logins, f"{ahead} s after the first"
    service.ended = {"token-of-ops-4"}
    assert client(service, state).ask("stats").state == "ok"
    assert len(service.logins) == 5
    service.ended = {f"token-of-ops-{number}" for number in range(20)}
    assert client(service, state).ask("stats").state == "auth"
    assert len(service.logins) == 6, "once"


def test_one_of_which_no_end_is_known_is_taken_until_it_is_refused(service: Service, state: Path) -> None:
    service.answer = {}
    assert client(service, state).ask("stats").state == "ok"
    asking = client(service, state)
    assert (asking.ask("stats").state, asking.access()["valid_until"]) == ("ok", None)
    service.ended = {"token-of-ops-1"}
    assert asking.ask("stats").state == "ok"
    assert len(service.logins) == 2


def test_of_runs_at_once_one_renews(service: Service, state: Path) -> None:
    states: list[str] = []

    def run() -> None:
        states.append(client(service, state).ask("stats").state)

    running = [threading.Thread(target=run) for _number in range(8)]
    for one in running:
        one.start()
    for one in running:
        one.join(30)
    assert (states, len(service.logins)) == (["ok"] * 8, 1)


@pytest.mark.parametrize("where", [None, "missing"])
def test_without_a_state_directory_it_is_kept_for_the_call(service: Service, tmp_path: Path, where: str | None) -> None:
    for run in (1, 2):
        asking = client(service, tmp_path / where if where else None)
        assert [asking.ask(name).state for name in ("stats", "sessions")] == ["ok", "ok"]
        assert len(service.logins) == run
    assert list(tmp_path.iterdir()) == []


def test_a_login_that_fails_is_told_without_its_secret_and_costs_one_request(service: Service, state: Path) -> None:
    asking = client(service, state, api_password="wrong-canary-77")
    replies = [asking.ask(name) for name in ("stats", "sessions")]
    assert [reply.state for reply in replies] == ["auth", "auth"]
    assert "no token: the login at /auth/login failed: HTTP 401: credentials not accepted" in replies[0].reason
    assert "wrong-canary" not in replies[0].reason
    assert asking.access()["by"] == "login"
    assert "the login at /auth/login failed" in asking.access()["reason"]
    assert service.seen == ["", ""], "asked all the same"
    assert list(state.glob("*.json")) == []


def test_a_form_is_sent_as_one(service: Service, state: Path) -> None:
    body = {"grant_type": "password", "user": "{username}", "secret": "{password}"}
    assert client(service, state, api_login={**LOGIN, "form": True, "body": body}).ask("stats").state == "ok"
    assert service.logins == [{"grant_type": "password", "user": "ops", "secret": PASSWORD}]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"paths": "/x"}, "'policy_api_login' is 'paths': is no key of it; there are path, body, form"),
        ({"path": None}, "'policy_api_login.path' is 'None': must be a text"),
        ({"path": "login"}, "'policy_api_login.path' is 'login': must begin with /"),
        ({"body": {"user": "{name}"}}, "'policy_api_login.body' is '{name}': is no place; there are {username}"),
        ({"body": {"user": "ops"}}, "sends no credential"),
        ({"renew_before": -1}, "'policy_api_login.renew_before' is -1: must be 0 to 86400"),
        ({"token": "a["}, "'policy_api_login.token' is 'a[': is no JMESPath expression"),
    ],
)
def test_what_is_wrong_in_the_login_is_told_by_its_key(wrong: dict[str, Any], said: str) -> None:
    (problem,) = api_problems("policy_api_login", {**LOGIN, **wrong})
    assert said in problem


def test_a_credential_that_is_asked_for_must_be_given(service: Service, state: Path) -> None:
    assert api_problems("policy_api_login", LOGIN) == api_problems("policy_api_login", {}) == []
    with pytest.raises(OptionError, match="option 'api_password' is '': is needed: api_login sends it as secret"):
        client(service, state, api_password=None)
