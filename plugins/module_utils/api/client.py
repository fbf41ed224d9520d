# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place of the collection that speaks HTTP to the pipeline.

Whatever the network or the service does becomes a state and a reason. Time, bytes, nesting and retries are bounded.
urllib3's Retry is not used: it knows neither a total time, nor that a 503 can carry the document asked for, nor how to
tell how often it asked.
"""

from __future__ import annotations

import http.client
import json
import math
import queue
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, NamedTuple
from urllib.parse import urlsplit

from ..causes import causes_of
from ..errors import MissingLibraryError
from ..http_session import bare_session
from ..shapes import NOT_OFFERED, SAID_NOT_OFFERED, RepeatedKeyError, mapping, one_line, unique_keys
from ..times import text_of, to_text, utc_now
from .login import Login, Token, ends_of
from .mapped import NoJson, mapped
from .partial import by_headers
from .settings import ApiSettings

if TYPE_CHECKING:
    import requests

Document = dict[str, Any]
Accept = Callable[[int, Any], "Document | None"]
"""From a status and the JSON object that came with it to the document asked for, or None when it is not that."""

_CHUNK = 64 * 1024
_DEPTH_MAX = 64
_PAUSE_FIRST = 0.2
_PAUSE_MAX = 2.0
_RETRY_STATUS = (502, 503, 504)
# Shorter tokens are no secrets, and replacing them could break the JSON around them.
_REDACT_MIN = 8


@dataclass
class Reply:
    """What came of one endpoint; the shape of a module result in docs/architecture.md."""

    state: str
    reason: str
    http_status: int | None
    elapsed_ms: int
    attempts: int
    bytes: int
    fetched_at: str
    url: str
    data: Document | None
    not_offered: list[str] = field(default_factory=list)


class _Fault(Exception):  # noqa: N818
    """Why there is no document. ``again``: asking again may help; ``down``: so may asking the next endpoint not."""

    def __init__(
        self,
        state: str,
        reason: str,
        *,
        status: int | None = None,
        size: int = 0,
        again: bool = False,
        down: bool = False,
    ) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason
        self.status = status
        self.size = size
        self.again = again
        self.down = down


class _Taken(NamedTuple):
    """What is taken for an answer, whether it may be any JSON, or none, and the login that it is of."""

    accept: Accept
    any_json: bool
    login: Login | None = None


def accept_ok(status: int, document: Document) -> Document | None:
    """The document of a plain 200 answer."""
    return document if status == 200 else None


class _NoTokenError(Exception):
    """The login gave no token, and why."""


def _accept_any(status: int, document: Any) -> Document | None:
    return {"answer": document} if 200 <= status < 300 else None


def _body_of(login: Login | None) -> dict[str, Any]:
    if login is None:
        return {}
    return {"data": dict(login.body)} if login.form else {"json": dict(login.body)}


class Client:
    """One HTTP session with the monitoring API.

    Not to be shared between threads; the time for all requests runs from its making.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._deadline = time.monotonic() + settings.overall_timeout
        self._down = False
        self._given = Token(settings.token, 0, ends_of(settings.token))
        self._why_none = "no token given"
        self._asked_login = settings.login is None
        self._renewed = settings.login is None

    @cached_property
    def _session(self) -> requests.Session:
        return _session(self._settings)

    def ask(
        self,
        endpoint: str,
        query: Mapping[str, str | int] | None = None,
        *,
        method: str = "GET",
        accept: Accept = accept_ok,
    ) -> Reply:
        """Ask an endpoint by its name. One that is not offered is not asked, and has a state that says so."""
        of_service, asked = self._settings.endpoints[endpoint], query or {}
        if of_service is None or not of_service.offers(asked):
            return Reply(NOT_OFFERED, SAID_NOT_OFFERED, None, 0, 0, 0, to_text(utc_now()), "", None)
        if of_service.fields is None:
            return self.request(of_service.target(asked), method=method, accept=accept)
        absent: list[str] = []

        def accept_mapped(status: int, body: object) -> Document | None:
            found = mapped(of_service, body, status, asked, utc_now())
            if found is None:
                return None
            absent[:] = found[1]
            return found[0]

        reply = self.request(of_service.target(asked), method=method, accept=accept_mapped, any_json=True)
        return replace(reply, not_offered=absent)

    def request(
        self,
        path: str,
        query: Mapping[str, str | int] | None = None,
        *,
        method: str = "GET",
        accept: Accept = accept_ok,
        any_json: bool = False,
    ) -> Reply:
        """Ask for the document of one endpoint. Only GET is ever repeated, but for a token that is over.

        Args:
            path: below the API's address.
            query: what is asked for.
            method: of HTTP.
            accept: gives the document of an answer.
            any_json: whether it also takes what is no object, and NoJson of what is no JSON.
        """
        url = self._settings.url + path
        url += "?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else ""
        taken = _Taken(accept, any_json)
        if not self._asked_login:
            self._asked_login = True
            self._log_in()
        reply = self._send(method, url, taken)
        if reply.http_status == 401 and self._given.text and not self._renewed:
            # What was refused did nothing, so that it may be asked for again.
            self._renewed = True
            self._log_in(refused=self._given.text)
            reply = self._send(method, url, taken)
        return reply

    def _log_in(self, refused: str = "") -> None:
        """Take the token that is kept on the host, or a new one; without one, what needs none is asked all the same."""
        login = self._settings.login
        if login is None:
            return

        def ask() -> Token:
            self._renewed = True
            self._use(Token("", 0, None))
            reply = self._send("POST", login.url, _Taken(_accept_any, any_json=True, login=login))
            made = login.token_of(reply.data["answer"], time.time()) if reply.data else None
            if made is None:
                raise _NoTokenError(reply.reason or "its answer has no token")
            return made

        try:
            self._use(login.obtain(ask, refused))
        except _NoTokenError as error:
            self._why_none = f"no token: the login at {urlsplit(login.url).path} failed: {error}"

    def _use(self, token: Token) -> None:
        self._given = token
        self._session.headers.pop(self._settings.header, None)
        self._session.headers.update(_credential(self._settings, token.text))

    def access(self) -> dict[str, Any]:
        """How the API is asked: ``by`` login, token or none, until when that holds, and why there is none."""
        login, held = self._settings.login, self._given
        return {
            "by": "login" if login else "token" if held.text else "none",
            "valid_until": None if held.until is None else text_of(held.until),
            "reason": self._why_none if login and not held.text and self._asked_login else "",
        }

    def _send(self, method: str, url: str, taken: _Taken) -> Reply:
        settings, session = self._settings, self._session
        started = time.monotonic()
        deadline = min(started + settings.total_timeout, self._deadline)
        tries = 1 if method != "GET" or self._down else settings.retries + 1
        attempts, status, size, data = 0, None, 0, None
        fault: _Fault | None = _Fault(
            "timeout", f"not asked: the {settings.overall_timeout:g} s for all endpoints are used up"
        )
        while attempts < tries and time.monotonic() < deadline:
            attempts += 1
            try:
                status, size, data = self._attempt(session, method, url, deadline, taken)
                fault = None
                break
            except _Fault as error:
                fault, status, size = error, error.status, error.size
            pause = min(_PAUSE_FIRST * 2 ** (attempts - 1), _PAUSE_MAX)
            # Where no time is left for another try, the reason that is known says more than "timeout".
            if not fault.again or attempts == tries or time.monotonic() + pause >= deadline:
                break
            time.sleep(pause)
        self._down = fault.down if fault else False
        return Reply(
            state=fault.state if fault else "ok",
            reason=self._shown(fault.reason) if fault else "",
            http_status=status,
            elapsed_ms=round((time.monotonic() - started) * 1000),
            attempts=attempts,
            bytes=size,
            fetched_at=to_text(utc_now()),
            url=url,
            data=data,
        )

    def _shown(self, reason: str) -> str:
        for secret in self._secrets():
            reason = reason.replace(secret, "[token]")
        return one_line(reason, 300)

    def _secrets(self) -> list[str]:
        of_login = self._settings.login.secrets if self._settings.login else ()
        return [secret for secret in (self._given.text, *of_login) if secret]

    def _attempt(
        self, session: requests.Session, method: str, url: str, deadline: float, taken: _Taken
    ) -> tuple[int, int, Document]:
        """One exchange in a thread of its own, which is left behind when the time is up.

        Only so do name resolution, and an answer that comes drop by drop, end in time. What is left behind reads no
        more than ``max_body_bytes``, and ends with the process.
        """
        outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def work() -> None:
            try:
                outcome.put(self._exchange(session, method, url, deadline, taken))
            except BaseException as error:  # noqa: BLE001  raised again below, in the thread that waits
                outcome.put(error)

        begun = time.monotonic()
        threading.Thread(target=work, daemon=True).start()
        try:
            result = outcome.get(timeout=max(0.0, deadline - begun))
        except queue.Empty:
            raise _Fault("timeout", f"no complete answer within {deadline - begun:.3g} s") from None
        if isinstance(result, BaseException):
            raise result
        return result  # type: ignore[no-any-return]

    def _exchange(
        self, session: requests.Session, method: str, url: str, deadline: float, taken: _Taken
    ) -> tuple[int, int, Document]:
        settings = self._settings
        left = max(0.001, deadline - time.monotonic())
        timeout = (min(settings.connect_timeout, left), min(settings.read_timeout, left))
        try:
            with session.request(
                method, url, timeout=timeout, stream=True, allow_redirects=False, **_body_of(taken.login)
            ) as response:
                return self._judge(response, taken)
        except _network_errors() as error:
            raise self._explain(error) from error

    def _judge(self, response: requests.Response, taken: _Taken) -> tuple[int, int, Document]:
        status = response.status_code
        if 300 <= status < 400:
            raise _Fault("http_error", f"HTTP {status}: {_redirect(response)}", status=status)
        body, problem = b"", None
        document: Any = NoJson()
        try:
            body = self._read(response)
            document = _document(
                self._redacted(body), response.headers.get("Content-Type", ""), any_json=taken.any_json
            )
        except _Fault as error:
            # The status is known by now; that the rest did not come does not take it back.
            problem = error
        data = taken.accept(status, document) if taken.any_json or problem is None else None
        if data is not None:
            rows = data.get("active_sessions") if isinstance(data, dict) else None
            said = by_headers(response.headers, len(rows)) if isinstance(rows, list) else ""
            return status, len(body), {**data, "incomplete": data.get("incomplete") or said} if said else data
        size = problem.size if problem and not body else len(body)
        if status in (401, 403):
            had = "credentials not accepted" if taken.login else self._why_none
            had = "token expired or not accepted" if self._given.text else had
            raise _Fault("auth", f"HTTP {status}: {had}{_detail(document)}", status=status, size=size)
        if status == 200 and problem:
            problem.status, problem.size = status, size
            raise problem
        raise _Fault(
            "http_error", f"HTTP {status}{_detail(document)}", status=status, size=size, again=status in _RETRY_STATUS
        )

    def _redacted(self, body: bytes) -> bytes:
        for secret in self._secrets():
            if len(secret) >= _REDACT_MIN:
                body = body.replace(secret.encode(), b"[token]")
        return body

    def _read(self, response: requests.Response) -> bytes:
        """The body, read and unpacked in pieces, so that neither can outgrow the bound."""
        limit = self._settings.max_body_bytes
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip", "x-gzip", "deflate"):
            raise _Fault("invalid", f"the answer is packed as {one_line(coding, 40)!r}, which was not asked for")
        unpacker = None if coding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
        body = bytearray()
        received = 0
        while True:
            try:
                piece = response.raw.read(min(_CHUNK, limit + 1 - received), decode_content=False)
            except _network_errors() as error:
                raise self._explain(error, size=received) from error
            if not piece:
                break
            received += len(piece)
            try:
                body += unpacker.decompress(piece, limit + 1 - len(body)) if unpacker else piece
            except zlib.error as error:
                raise _Fault("invalid", "the answer is packed, and damaged", size=received) from error
            if max(received, len(body)) > limit:
                raise _Fault("invalid", f"the answer is larger than {limit} bytes", size=received)
        # urllib3 1.26 does not raise for a body that is shorter than announced.
        if response.raw.length_remaining or (unpacker and not unpacker.eof):
            raise _Fault("invalid", f"the answer broke off after {received} bytes", size=received)
        return bytes(body)

    def _explain(self, error: BaseException, size: int = 0) -> _Fault:
        """From what requests, urllib3, ssl, http.client and socket raise to a state and a reason of our own words."""
        from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ReadTimeoutError, SSLError

        where = urlsplit(self._settings.url).netloc
        causes = list(causes_of(error))

        def first(*kinds: type[BaseException]) -> Any:
            return next((cause for cause in causes if isinstance(cause, kinds)), None)

        late = first(ConnectTimeoutError) and (first(TimeoutError) or not first(NewConnectionError))
        if found := first(ssl.SSLError, SSLError):
            # urllib3 1.26 compares names itself, and says so in an exception of its own, the last of the chain.
            why = getattr(found, "verify_message", "") or getattr(found, "reason", "") or causes[-1]
            fault = _Fault("unreachable", f"TLS: no secure connection to {where}: {why}", down=True)
        elif first(socket.gaierror):
            fault = _Fault("unreachable", f"the name in {where} does not resolve", again=True, down=True)
        elif late:
            limit = self._settings.connect_timeout
            fault = _Fault("timeout", f"no connection to {where} within {limit:g} s", again=True, down=True)
        elif first(ReadTimeoutError, socket.timeout):
            fault = _Fault("timeout", f"no answer of {where} within {self._settings.read_timeout:g} s")
        elif first(http.client.IncompleteRead):
            fault = _Fault("invalid", "the answer broke off before its end")
        elif first(http.client.RemoteDisconnected):
            fault = _Fault("unreachable", f"{where} closed the connection without an answer", again=True, down=True)
        elif found := next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None):
            fault = _Fault("unreachable", f"no connection to {where}: {found.strerror}", again=True, down=True)
        else:
            fault = _Fault("invalid", f"the answer of {where} is not HTTP that can be read ({causes[-1]})")
        fault.size = size
        return fault


def _network_errors() -> tuple[type[Exception], ...]:
    """What the network can make the libraries raise; the ValueError is http.client's, for odd sizes of chunks."""
    import requests
    import urllib3.exceptions

    return requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError


def _session(settings: ApiSettings) -> requests.Session:
    try:
        session = bare_session()
        import urllib3
    except ImportError as error:
        raise MissingLibraryError("requests", "python3-requests", "it is needed to ask the monitoring API") from error
    session.verify = settings.verify
    if settings.cert:
        session.cert = settings.cert if settings.cert[1] else settings.cert[0]  # type: ignore[assignment]
    if not settings.verify:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
    session.headers.update(_credential(settings, settings.token))
    return session


def _credential(settings: ApiSettings, token: str) -> dict[str, str]:
    """The header that carries a token; none where there is none."""
    return {settings.header: f"{settings.scheme} {token}".strip()} if token else {}


def _redirect(response: requests.Response) -> str:
    try:
        target = urlsplit(response.headers.get("Location", ""))
        place = f"{target.scheme}://{target.hostname}" if target.hostname else "another place of the same server"
    except ValueError:
        place = "an address that cannot be read"
    return f"a redirect to {place}, which is not followed"


def _detail(document: object) -> str:
    """The reason in the body of an error: FastAPI's ``detail``, a text or a list of what is wrong in the request."""
    detail = mapping(document).get("detail")
    if isinstance(detail, list):
        detail = "; ".join(f"{e.get('loc')}: {e.get('msg')}" for e in detail[:3] if isinstance(e, dict))
    return f" ({one_line(detail, 200)})" if isinstance(detail, str) and detail else ""


def _document(body: bytes, content_type: str, *, any_json: bool) -> Any:
    kind = one_line(content_type.partition(";")[0], 40) or "no content type"
    try:
        document = json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=unique_keys,
        )
        if isinstance(document, dict) or any_json:
            return _plain(document)
        why = f"its JSON is not an object but {type(document).__name__}"
    except (_NumberError, RepeatedKeyError) as error:
        why = str(error)
    except RecursionError:
        why = f"its JSON is nested deeper than {_DEPTH_MAX} levels"
    except UnicodeDecodeError:
        why = f"it is not UTF-8 text ({kind})"
    except json.JSONDecodeError as error:
        why = f"it is not JSON ({kind}; {error.msg} at character {error.pos} of {len(body)})"
    raise _Fault("invalid", f"the answer cannot be used: {why}", size=len(body))


class _NumberError(ValueError):
    pass


def _refuse(name: str) -> float:
    raise _NumberError(f"its JSON has {name} where a number belongs")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NumberError("its JSON has a number too large to be one")
    return number


def _integer(text: str) -> int:
    # Bounded before int(): that takes quadratic time on Python 3.9, and a ValueError of its own later on.
    if len(text) > 300:
        raise _NumberError("its JSON has a number too large to be one")
    return int(text)


def _plain(value: Any, depth: int = 1) -> Any:
    """The value with all text fit for UTF-8, as JSON can escape half a surrogate pair.

    Raises:
        RecursionError: it is nested too deep for those who come next, such as Ansible's own handling of results.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, (dict, list)):
        if depth > _DEPTH_MAX:
            raise RecursionError
        if isinstance(value, list):
            return [_plain(entry, depth + 1) for entry in value]
        return {_plain(key): _plain(entry, depth + 1) for key, entry in value.items()}
    return value
