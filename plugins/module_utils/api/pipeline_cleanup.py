# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The weekly cleanup of the service's monitoring data: what it would drop, whether the week is safe, and the one POST.

What the service drops is gone for good, so the figures of the week must be on disk first. The POST is not idempotent
and is never repeated: where its answer is lost, the result says that nobody knows whether it was carried out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Callable

from ..errors import MediaOpsError, OptionError
from ..options import check_range
from ..plan import Action, plan_hash, planned, require_approval, require_hash
from ..shapes import json_object, number
from ..state.directory import existing, read_file
from ..times import from_text, to_text, utc_now
from .client import Client, Reply
from .settings import ApiSettings, api_settings

KEPT_S = 86400
"""How much the service keeps: a fact of its API."""
_WEEK_H = 168
_COUNTED = ("cleaned_processing_metrics", "cleaned_system_metrics", "cleaned_alerts")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MAX_BYTES = 100 << 20
# Reports are named by days of the site, of which the first begin so long before those of UTC.
_DAY_AHEAD_MAX = timedelta(hours=14)


def pipeline_cleanup(
    params: Mapping[str, Any],
    *,
    check_mode: bool,
    warn: Callable[[str], None],
    hide: Callable[[str], None],
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The result of module pipeline_cleanup."""
    if not _NAME.fullmatch(params["after"]):
        raise OptionError("after", params["after"], "must be the name of a report, as state_report takes it")
    check_range(params, "after_max_age", 1, 366 * 86400)
    require_approval(params.get("plan_hash"))
    settings = api_settings(params, warn=warn, hide=hide, environ=environ)
    if settings.endpoints["cleanup"] is None:
        # A service without the call forgets by itself, or never.
        nothing = {"plan": [], "hash": plan_hash([]), "refusals": []}
        return {"changed": False, **nothing, "after": None, "older": {}, "cleaned": None}
    now = utc_now()
    safe, refusals = _safe(params, now)
    client = Client(settings)
    older, faults = _older(client, now)
    refusals += faults
    plan = _plan(settings, safe, older)
    result: dict[str, Any] = {
        "changed": bool(plan) and not refusals,
        "plan": plan,
        "hash": plan_hash(plan),
        "refusals": refusals,
        "after": safe,
        "older": older,
        "cleaned": None,
    }
    if check_mode:
        return result
    if refusals:
        raise MediaOpsError("nothing was cleaned: " + "; ".join(refusals), **result)
    require_hash(plan, params.get("plan_hash"))
    return {**result, **_clean(client, plan)} if plan else result


def _safe(params: Mapping[str, Any], now: datetime) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest report of that name, and why it does not make the week safe."""
    name = f"{params['after']}_DATE.json in {params['state_dir']}"
    with existing(params["state_dir"]) as directory:
        pattern = re.compile(rf"{params['after']}_[0-9]{{8}}\.json")
        files = sorted(file for file in os.listdir(directory) if pattern.fullmatch(file))
        if not files:
            return None, [f"there is no {name}: make it first"]
        path = os.path.join(params["state_dir"], files[-1])
        data, mode = read_file(directory, files[-1], path, _MAX_BYTES)
        if mode is None or not _is_document(data):
            return None, [f"{path} cannot be read as a report"]
        written = datetime.fromtimestamp(os.stat(files[-1], dir_fd=directory).st_mtime, now.tzinfo)
    # Now is to the second, and the file's date is not: written within this second is not ahead of it.
    written = written.replace(microsecond=0)
    age = round((now - written).total_seconds())
    found = {"path": path, "written_at": to_text(written), "age_s": age}
    dated = _dated(files[-1])
    if age < 0 or dated is None or dated > now + _DAY_AHEAD_MAX:
        return found, [f"{path} is dated ahead of the host's clock"]
    # A copy is as young as its making: the day in the name must agree, of which only the day is known.
    if max(age, (now - dated).total_seconds() - 86400) > params["after_max_age"]:
        return found, [f"{path} is of {to_text(min(written, dated))}, and may be {params['after_max_age']:g} s old"]
    return found, []


def _is_document(data: bytes) -> bool:
    try:
        json_object(data)
    except (ValueError, RecursionError):
        return False
    return True


def _dated(file: str) -> datetime | None:
    digits = file[-len("YYYYMMDD.json") :][:8]
    return from_text(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}")


def _older(client: Client, now: datetime) -> tuple[dict[str, int | None], list[str]]:
    """How much of what the service remembers is older than a day, as far as its API tells; and why it does not."""
    week, day = (client.ask("stats", {"hours": hours}) for hours in (_WEEK_H, KEPT_S // 3600))
    samples = client.ask("metrics", {"hours": _WEEK_H})
    alerts = client.ask("alerts", {"limit": 200})
    faults = [f"the service does not answer: {reply.reason}" for reply in (week, day) if reply.state != "ok"]
    then, today = (number((reply.data or {}).get("total_operations")) for reply in (week, day))
    if not faults and (then is None or today is None):
        faults.append("the service does not say how many operations it remembers")
    border = now - timedelta(seconds=KEPT_S)
    return {
        "operations": max(0, int(then - today)) if then is not None and today is not None else None,
        "samples": _rows_older(samples, "metrics", border),
        "alerts": _rows_older(alerts, "alerts", border),
    }, list(dict.fromkeys(faults))


def _rows_older(reply: Reply, key: str, border: datetime) -> int | None:
    rows = (reply.data or {}).get(key)
    if reply.state != "ok" or not isinstance(rows, list):
        return None
    dated = (from_text(row.get("timestamp")) for row in rows if isinstance(row, dict))
    return sum(1 for moment in dated if moment and moment < border)


def _plan(settings: ApiSettings, safe: Mapping[str, Any] | None, older: Mapping[str, int | None]) -> list[Action]:
    """One action where there is something to drop, or where that is not known."""
    if all(count == 0 for count in older.values()):
        return []
    counts = ", ".join(f"{'?' if count is None else count} {name}" for name, count in older.items())
    return [
        planned(
            "cleanup",
            f"monitoring data of the service older than 24 h ({counts})",
            "weekly cleanup of the monitoring data",
            ["WC-1"],
            stable={"url": settings.url, "after": safe["path"] if safe else None},
            proof={"after": safe, "older": dict(older)},
        )
    ]


def _clean(client: Client, plan: list[Action]) -> dict[str, Any]:
    reply = client.ask("cleanup", method="POST")
    counts = {key: number((reply.data or {}).get(key)) for key in _COUNTED}
    # Anything but three whole numbers is no word of success, an empty document least of all.
    known = {
        key: int(count) for key, count in counts.items() if count is not None and count >= 0 and count == int(count)
    }
    if reply.state == "ok" and {*known, *reply.not_offered} >= {*_COUNTED}:
        said = ", ".join(f"{key} {count}" for key, count in known.items()) or "the service does not say how much"
        return {"plan": [{**plan[0], "result": "done", "msg": said}], "cleaned": known}
    why = reply.reason or "the answer does not say what was dropped"
    # A request that was refused did nothing; of one whose answer was lost or is odd nobody knows.
    refused = reply.state == "auth" or (reply.http_status is not None and 300 <= reply.http_status < 500)
    unsure = "" if refused else "; whether it was carried out is not known, and it is not repeated"
    failed = [{**plan[0], "result": "failed", "msg": why + unsure}]
    raise MediaOpsError(
        f"cleanup of the monitoring data failed: {why}{unsure}", plan=failed, hash=plan_hash(plan), carried_out=None
    )
