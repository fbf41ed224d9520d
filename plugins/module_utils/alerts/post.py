# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One POST of a channel: bounded in time and tries, and with a reason that holds no secret.

Reasons are of our own words, since what libraries and servers say can hold the URL, which is the secret of a webhook.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..causes import causes_of
from ..http_session import bare_session
from ..shapes import one_line
from ..times import utc_now

if TYPE_CHECKING:
    import requests

_ANSWER_MAX = 4096
_RETRY_STATUS = (429, 500, 502, 503, 504)
_PAUSE_FIRST = 0.5


class ChannelError(Exception):
    """Why a channel did not take what it was sent, in words that may be shown."""


class _NotConnectedError(ChannelError):
    """Nothing was sent, so that sending again cannot double anything."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one channel's delivery."""

    connect_timeout: float
    read_timeout: float
    total_timeout: float
    retries: int
    retry_after_max: float


@dataclass(frozen=True)
class Line:
    """Time limits of one channel, with the end of its time."""

    limits: Limits
    deadline: float

    def left(self, most: float) -> float:
        return max(0.001, min(most, self.deadline - time.monotonic()))

    def expired(self, coming: float = 0.0) -> bool:
        return time.monotonic() + coming >= self.deadline


def post(channel: Mapping[str, Any], url: str, body: object, line: Line) -> bytes:
    """The first bytes of the answer to a POST, which is repeated where that may help and time is left."""
    data = json.dumps(body, allow_nan=False).encode("ascii")
    with _session(channel) as session:
        for attempt in range(line.limits.retries + 1):
            last = attempt == line.limits.retries
            try:
                status, answer, retry_after = _exchange(session, url, data, line)
            except _NotConnectedError as error:
                if last or not _pause(_PAUSE_FIRST * 2**attempt, line):
                    raise ChannelError(str(error)) from error
                continue
            if 200 <= status < 300:
                return answer
            reason = f"{host_of(url)} answered {_http_reason(status, answer)}"
            if status not in _RETRY_STATUS or last:
                raise ChannelError(reason)
            wait = _PAUSE_FIRST * 2**attempt if retry_after is None else retry_after
            if wait > line.limits.retry_after_max or not _pause(wait, line):
                raise ChannelError(f"{reason}, to be asked again after {wait:g} s, which is too late for this run")
    raise ChannelError("was not tried")


def _pause(seconds: float, line: Line) -> bool:
    if line.expired(seconds):
        return False
    time.sleep(seconds)
    return True


def _exchange(session: requests.Session, url: str, data: bytes, line: Line) -> tuple[int, bytes, float | None]:
    import requests
    import urllib3.exceptions

    timeout = (line.left(line.limits.connect_timeout), line.left(line.limits.read_timeout))
    try:
        with session.post(url, data=data, timeout=timeout, stream=True, allow_redirects=False) as response:
            answer = response.raw.read(_ANSWER_MAX, decode_content=False)
            return response.status_code, answer, _retry_after(response.headers.get("Retry-After"))
    except requests.ConnectionError as error:
        if isinstance(error, requests.ConnectTimeout) or _first(error, urllib3.exceptions.NewConnectionError):
            raise _NotConnectedError(network_fault(error, host_of(url))) from error
        raise ChannelError(network_fault(error, host_of(url))) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        raise ChannelError(network_fault(error, host_of(url))) from error


def _retry_after(header: str | None) -> float | None:
    """Seconds from now; the header gives seconds or a date."""
    if header is None:
        return None
    if header.strip().isdigit() and header.isascii():
        return float(header.strip()[:9])
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - utc_now().timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def _http_reason(status: int, answer: bytes) -> str:
    """The status, and Slack's code word where there is one. No other text of the answer: it may hold the URL."""
    if 300 <= status < 400:
        return f"{status}, a redirect, which is not followed"
    word = answer.strip().decode("ascii", "replace")
    return f"{status} ({word})" if re.fullmatch(r"[a-z]+(_[a-z]+){1,5}", word) and len(word) <= 40 else str(status)


def host_of(url: str) -> str:
    """All of a URL that may be shown."""
    return urlsplit(url).hostname or "?"


def _session(channel: Mapping[str, Any]) -> requests.Session:
    try:
        session = bare_session()
    except ImportError:
        raise ChannelError("the Python library 'requests' is missing on the controller") from None
    session.verify = channel["ca_path"] or True
    if channel["proxy"]:
        session.proxies = {"http": channel["proxy"], "https": channel["proxy"]}
    session.headers["Content-Type"] = "application/json"
    if channel["token"]:
        session.headers["Authorization"] = f"Bearer {channel['token']}"
    return session


def network_fault(error: BaseException, where: str) -> str:
    """From what requests, urllib3, smtplib, ssl and socket raise to words of our own."""
    late = _first(error, socket.timeout, TimeoutError) or "timed out" in type(error).__name__.lower()
    if tls := _first(error, ssl.SSLError):
        why = getattr(tls, "verify_message", "") or getattr(tls, "reason", "") or "it failed"
        return f"TLS: no secure connection to {where}: {one_line(why, 100)}"
    if _first(error, socket.gaierror):
        return f"the name {where} does not resolve"
    if late or "Timeout" in type(error).__name__:
        return f"no answer of {where} in time"
    if found := next((cause for cause in causes_of(error) if isinstance(cause, OSError) and cause.strerror), None):
        return f"no connection to {where}: {found.strerror}"
    return f"{where} broke off, or does not speak the protocol"


def _first(error: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    return next((cause for cause in causes_of(error) if isinstance(cause, kinds)), None)
