# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens that expire: until when one holds, and where a new one is kept that the service's login gave.

It is kept on the host that asks, in a file of the state directory that only its owner reads, for one address, one user
and one way to log in: none of them gets the token of another. Where that directory cannot be used, as by another user
of the host, it is kept for the call alone. Whoever renews it does so alone, and who waited for that takes what came.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable
from urllib.parse import urlsplit

from ..errors import MediaOpsError, OptionError
from ..expressions import UnfitError, compiled
from ..options import check_range
from ..shapes import json_object, mapping, number, one_line
from ..state.directory import alone, existing, read_if_there, replace_file

Find = Callable[[Any], Any]

CREDENTIALS = ("username", "password", "refresh_token")
_SPEC: Mapping[str, tuple[type, Any]] = {
    "path": (str, None),
    "body": (Mapping, None),
    "form": (bool, False),
    "token": (str, "access_token"),
    "expires_in": (str, "expires_in"),
    "renew_before": (float, 60.0),
}
_PLACE = re.compile(r"\{([^{}]*)\}")
_PATH = re.compile(r"/[A-Za-z0-9._~/?&=%:+,@!*;()-]*")
_MAX_BYTES = 262144
_AHEAD_MAX_S = 60
_YEARS_S = 100 * 366 * 86400


@dataclass(frozen=True)
class Token:
    """A token, with when it was given and until when it holds, by the host's clock; None where that is not known."""

    text: str = field(repr=False)
    since: float
    until: float | None


@dataclass(frozen=True)
class Login:
    """How a new token is had, checked."""

    url: str
    body: Mapping[str, str] = field(repr=False)
    form: bool
    find_token: Find
    find_expires_in: Find
    renew_before: float
    state_dir: str
    secrets: tuple[str, ...] = field(repr=False)
    hide: Callable[[str], None] = field(repr=False)

    @property
    def _bound_to(self) -> str:
        # The secrets are of it as well: with another password it is another user's, as far as anybody knows.
        facts = [self.url, self.form, sorted(self.body.items())]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    @property
    def _file(self) -> str:
        return f"api_token_{self._bound_to[:12]}"

    def obtain(self, ask: Callable[[], Token], refused: str = "") -> Token:
        """The token that is kept, or else a new one, which is kept then.

        Args:
            ask: logs in.
            refused: a token that the service does not take any more.
        """
        with self._directory() as directory:
            if directory is None:
                return ask()
            if found := self._kept(directory, refused):
                return found
            with _alone_if_possible(directory, f"{self._file}.lock", self.state_dir):
                if found := self._kept(directory, refused):
                    return found
                made = ask()
                document = {"bound_to": self._bound_to, "token": made.text, "since": made.since, "until": made.until}
                with contextlib.suppress(MediaOpsError):
                    path = f"{self.state_dir}/{self._file}.json"
                    replace_file(directory, f"{self._file}.json", json.dumps(document).encode(), 0o600, path)
                return made

    def token_of(self, answer: object, now: float) -> Token | None:
        """The token of the login's answer; None where it has none that can be sent."""
        text = _found(self.find_token, answer)
        if not isinstance(text, str) or not text or not all("!" <= letter <= "~" for letter in text):
            return None
        self.hide(text)
        lasts = number(_found(self.find_expires_in, answer))
        return Token(text, now, _ends_of_jwt(text, now) or (now + lasts if lasts and 0 < lasts < _YEARS_S else None))

    @contextlib.contextmanager
    def _directory(self) -> Iterator[int | None]:
        with contextlib.ExitStack() as stack:
            directory = None
            if self.state_dir:
                with contextlib.suppress(MediaOpsError):
                    directory = stack.enter_context(existing(self.state_dir))
            yield directory

    def _kept(self, directory: int, refused: str) -> Token | None:
        """What is kept, where it holds for a while."""
        try:
            data = json_object(read_if_there(directory, f"{self._file}.json", _MAX_BYTES) or b"{}")
        except (OSError, ValueError, RecursionError):
            return None
        text, since, until = data.get("token"), number(data.get("since")), number(data.get("until"))
        if data.get("bound_to") != self._bound_to or not isinstance(text, str) or text == refused or since is None:
            return None
        now = time.time()
        # A clock that was set back would keep a token for longer than it holds.
        if since > now + _AHEAD_MAX_S or (until is not None and now >= until - self._margin(until - since)):
            return None
        self.hide(text)
        return Token(text, since, until)

    def _margin(self, lasts: float) -> float:
        return min(self.renew_before, max(0.0, lasts) / 2)


@contextlib.contextmanager
def _alone_if_possible(directory: int, name: str, path: str) -> Iterator[None]:
    """Hold the lock; who cannot have it renews as well, which costs a second login and nothing else."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(MediaOpsError):
            stack.enter_context(alone(directory, name, path))
        yield


def _found(find: Find, answer: object) -> Any:
    try:
        return find(answer)
    except UnfitError:
        return None


def _ends_of_jwt(token: str, now: float) -> float | None:
    """When a token ends by its own word, by this clock where it says when it was given; None where it says nothing."""
    said = _said(token)
    ends, given = number(said.get("exp")), number(said.get("iat"))
    if ends is None or not 0 < ends < _YEARS_S:
        return None
    return now + (ends - given) if given is not None and 0 < given < ends else float(ends)


def ends_of(token: str) -> float | None:
    """When a token that was given ends, in seconds since 1970; None where it is none that says so."""
    ends = number(_said(token).get("exp"))
    return float(ends) if ends is not None and 0 < ends < _YEARS_S else None


def _said(token: str) -> Mapping[str, Any]:
    """What a JWT says of itself. Its signature is the service's matter: nothing is granted by it here."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        return mapping(json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))))
    except (ValueError, RecursionError):
        return {}


def read_login(params: Mapping[str, Any], url: str, hide: Callable[[str], None]) -> Login | None:
    """The login by the options api_login, api_username, api_password and api_refresh_token; None where there is none.

    Raises:
        OptionError: a key is missing or unknown, or what it asks for is not given.
    """
    given = params["api_login"]
    credentials = {name: params[f"api_{name}"] or "" for name in CREDENTIALS}
    for name in ("password", "refresh_token"):
        if credentials[name]:
            hide(credentials[name])
    if not given:
        return None
    checked = login_options(given)
    body = {}
    for key, value in checked["body"].items():
        asked = _PLACE.findall(str(value))
        lacking = [name for name in asked if not credentials[name]]
        if lacking:
            raise OptionError(f"api_{lacking[0]}", "", f"is needed: api_login sends it as {one_line(key, 40)}")
        body[str(key)] = _PLACE.sub(lambda place: str(credentials[place[1]]), str(value))
    parts = urlsplit(url)
    return Login(
        url=f"{parts.scheme}://{parts.netloc}{checked['path']}",
        body=body,
        form=checked["form"],
        find_token=compiled("api_login.token", checked["token"]),
        find_expires_in=compiled("api_login.expires_in", checked["expires_in"]),
        renew_before=checked["renew_before"],
        state_dir=params["api_state_dir"] or "",
        secrets=tuple(value for name, value in credentials.items() if value and name != "username"),
        hide=hide,
    )


def login_options(given: object, option: str = "api_login") -> dict[str, Any]:
    """The keys of api_login with their defaults, checked.

    Raises:
        OptionError: one is missing or unknown, or no value that there can be.
    """
    if not isinstance(given, Mapping):
        raise OptionError(option, one_line(given, 60), f"must be a table of {', '.join(_SPEC)}")
    for name in given:
        if name not in _SPEC:
            raise OptionError(option, one_line(name, 60), f"is no key of it; there are {', '.join(_SPEC)}")
    made = {name: given.get(name, default) for name, (_kind, default) in _SPEC.items()}
    for name, (kind, _default) in _SPEC.items():
        value = made[name]
        fits = number(value) is not None if kind is float else isinstance(value, kind)
        if not fits:
            what = {float: "a number of seconds", bool: "true or false", str: "a text"}.get(kind, "a table")
            raise OptionError(f"{option}.{name}", one_line(value, 60), f"must be {what}")
    if not _PATH.fullmatch(made["path"]):
        raise OptionError(f"{option}.path", one_line(made["path"], 60), "must begin with / and be of an address")
    check_range({f"{option}.renew_before": made["renew_before"]}, f"{option}.renew_before", 0, 86_400)
    places = [place for value in made["body"].values() for place in _PLACE.findall(str(value))]
    for place in places:
        if place not in CREDENTIALS:
            possible = ", ".join(f"{{{name}}}" for name in CREDENTIALS)
            raise OptionError(f"{option}.body", f"{{{one_line(place, 40)}}}", f"is no place; there are {possible}")
    if not places:
        raise OptionError(f"{option}.body", "", "sends no credential: {username} and {password}, or {refresh_token}")
    return made
