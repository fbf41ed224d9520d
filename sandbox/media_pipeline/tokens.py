# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON Web Tokens (HS256) with what the standard library has."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import Any

_HEADER = {"alg": "HS256", "typ": "JWT"}


class TokenError(Exception):
    """A token that does not hold, and why."""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _sign(signed: str, secret: str) -> bytes:
    return hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()


def make(secret: str, ttl: float, subject: str = "ops", now: float | None = None, kind: str = "access") -> str:
    """Return a token that holds for `ttl` seconds; a negative one makes a token that has expired."""
    issued = int(time.time() if now is None else now)
    payload = {"sub": subject, "iat": issued, "exp": int(issued + ttl), "type": kind}
    signed = ".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in (_HEADER, payload))
    return f"{signed}.{_encode(_sign(signed, secret))}"


def check(token: str, secret: str, now: float | None = None, kind: str = "access") -> dict[str, Any]:
    """Return the payload of a token that holds; raise TokenError otherwise."""
    signed, _, signature = token.rpartition(".")
    header, _, body = signed.partition(".")
    try:
        good = hmac.compare_digest(_decode(signature), _sign(signed, secret))
        head, payload = json.loads(_decode(header)), json.loads(_decode(body))
        algorithm, expires = head["alg"], float(payload["exp"])
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise TokenError("Invalid token") from error
    if not good or algorithm != "HS256" or payload.get("type", "access") != kind:
        raise TokenError("Invalid token")
    if expires <= (time.time() if now is None else now):
        raise TokenError("Token has expired")
    return dict(payload)
