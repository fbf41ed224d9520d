# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who answers where the API should be, and where the service answers else: asked without token or library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from ..shapes import json_object, mapping
from ..system.listening import HERE, Answered, Place, ask
from ..web_address import port_of

_TIMEOUT_S = 5.0
_PLACES_MAX = 8
_HEALTH, _NOWHERE = "/health", "/media-ops-no-such-path"
_DENIED = (401, 403)
_ERRNO = re.compile(r"\[Errno [0-9]+\] ")


def look_at_api(url: str, asked: str, places: Sequence[Place]) -> dict[str, Any]:
    """What answers at the address, and, where that is no monitoring API, at the places where the service listens.

    Args:
        url: of the monitoring API.
        asked: path below it that is asked for, that of its health.
        places: where the service listens.
    """
    try:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path.rstrip("/")
    except ValueError:
        host, path = "", ""
    port, is_local = port_of(url), host in HERE
    found: dict[str, Any] = {"local": is_local, "port": port, "status": 0, "answer": "", "reason": "", "elsewhere": []}
    if not is_local:
        return {**found, "reason": "it is not of this host"}
    own = [Place(one, port) for one in ("127.0.0.1", "::1") if host in ("localhost", one)]
    for place in own:
        answered = ask(place, path + asked, _TIMEOUT_S)
        found.update(status=answered.status, answer=_kind(answered), reason=_ERRNO.sub("", answered.reason))
        if answered.status:
            break
    if found["answer"] in ("health", "denied"):
        return found
    others = [place for place in places if place.port and place not in own][:_PLACES_MAX]
    return {**found, "elsewhere": [row for place in others if (row := _elsewhere(place, path))]}


def _kind(answered: Answered) -> str:
    """What was answered: the health that is asked for, a refusal, something else, or nothing."""
    if not answered.status:
        return ""
    try:
        document = json_object(answered.body)
    except (ValueError, RecursionError):
        document = {}
    if "overall_status" in document or "overall_status" in mapping(document.get("detail")):
        return "health"
    return "denied" if answered.status in _DENIED else "other"


def _elsewhere(place: Place, path: str) -> dict[str, Any] | None:
    answered = ask(place, path + _HEALTH, _TIMEOUT_S)
    if not answered.status:
        return None
    kind = _kind(answered)
    # What refuses everything alike says nothing of what is there.
    if kind == "denied" and ask(place, _NOWHERE, _TIMEOUT_S).status != 404:
        kind = "other"
    return {"host": place.host, "port": place.port, "path": path, "status": answered.status, "answer": kind}
