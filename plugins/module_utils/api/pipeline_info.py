# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The endpoints of the monitoring API, asked for in one session, each for itself."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Callable

from ..clock import clock_offset
from ..errors import OptionError
from ..expressions import compiled
from ..options import check_range
from ..shapes import NOT_OFFERED
from ..times import to_text, utc_now
from .client import Client, Document, Reply, accept_ok
from .settings import api_settings


def pipeline_info(
    params: Mapping[str, Any],
    kept: Mapping[str, Callable[[str], Any]],
    instead: Mapping[str, Callable[[], Mapping[str, Any]]] = MappingProxyType({}),
    *,
    warn: Callable[[str], None],
    hide: Callable[[str], None],
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The result of module pipeline_info. Only misuse and a missing library raise, never what the network does.

    Args:
        params: its options.
        kept: what reads a state directory, by the key of the result; a check is one round trip.
        instead: by endpoint, what tells of a service that does not offer it.
        warn: takes a warning for the user.
        hide: takes each secret that must not be in the module's output.
        environ: where the token may come from, by default the environment of the process.
    """
    if not params["gather"]:
        raise OptionError("gather", params["gather"], "must name at least one endpoint")
    check_range(params, "stats_hours", 1, 168)
    check_range(params, "metrics_hours", 1, 168)
    check_range(params, "alerts_limit", 1, 200)
    offset = clock_offset(params)
    search = None if params["query"] is None else _compile(params["query"])
    client = Client(api_settings(params, warn=warn, hide=hide, environ=environ))

    queries: dict[str, dict[str, str | int]] = {
        "stats": {"hours": params["stats_hours"]},
        "alerts": {"level": params["alerts_level"], "limit": params["alerts_limit"]},
        "metrics": {"hours": params["metrics_hours"]},
    }
    waiting = list(dict.fromkeys(params["gather"]))
    replies: dict[str, Reply] = {}
    while waiting:
        name = waiting.pop(0)
        accept = _accept_health if name.startswith("health") else accept_ok
        replies[name] = reply = client.ask(name, queries.get(name), accept=accept)
        # A critical service may answer /health with a bare 5xx; the reason is in the detailed answer.
        if name == "health" and reply.state == "http_error" and (reply.http_status or 0) >= 500:
            waiting += [] if "health_detailed" in (*replies, *waiting) else ["health_detailed"]
    answers: dict[str, dict[str, Any]] = {
        name: {
            **(_told(instead[name]) if _is_for(instead, name, reply) else {**vars(reply), "source": "", "short": ""}),
            "params": queries.get(name, {}),
        }
        for name, reply in replies.items()
    }
    result: dict[str, Any] = {"changed": False, "endpoints": answers, "api_access": client.access()}
    if offset is not None:
        result["clock_offset_s"] = offset
    if params.get("state_dir"):
        result.update({key: read(params["state_dir"]) for key, read in kept.items()})
    if search:
        result.update(search({name: answer["data"] for name, answer in answers.items()}))
    return result


def _told(look: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What is looked at instead of an endpoint, in the shape of its answer."""
    began = time.monotonic()
    found = look()
    elapsed_ms = round((time.monotonic() - began) * 1000)
    return {"http_status": None, "elapsed_ms": elapsed_ms, "attempts": 1, "fetched_at": to_text(utc_now()), **found}


def _is_for(instead: Mapping[str, Any], name: str, reply: Reply) -> bool:
    return reply.state == NOT_OFFERED and name in instead


def _accept_health(status: int, document: Document) -> Document | None:
    """The health document, which a 5xx can carry too: plain, or under ``detail`` as FastAPI's HTTPException puts it."""
    if status >= 500:
        for found in (document.get("detail"), document):
            if isinstance(found, dict) and "overall_status" in found:
                return found
    return accept_ok(status, document)


def _compile(expression: str) -> Callable[[Document], dict[str, Any]]:
    """Check a JMESPath expression before any request is made."""
    find = compiled("query", expression)

    def search(data: Document) -> dict[str, Any]:
        # What the data do not fit (an endpoint that is down is null) is no misuse: a value, with the reason beside it.
        try:
            found = find(data)
            json.dumps(found, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            return {"query_result": None, "query_error": f"the query does not fit the answers: {str(error)[:300]}"}
        return {"query_result": found, "query_error": ""}

    return search
