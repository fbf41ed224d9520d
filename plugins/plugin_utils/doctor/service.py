# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service and what it works with: its unit or main process, its user, ffmpeg, the bucket. Pure."""

from __future__ import annotations

from ...module_utils.shapes import Json, mapping
from .rows import PREPARE, Rows
from .seen import Seen, Settings, listed

# Of a service whose own health says nothing of it
_OWN_FFMPEG = "; the checks look at it themselves with policy_own_checks: [disk, ffmpeg]"


def service_row(found: Rows, seen: Seen, site: Settings) -> None:
    """The service's unit, or its main process."""
    unit, service = mapping(seen.info.get("unit")), mapping(seen.info.get("service"))
    pid = service.get("pid")
    process = f"process {pid} of {service.get('user')}" if isinstance(pid, int) else ""
    if unit.get("state") == "there":
        if unit.get("active") == "active":
            found.add("service", "ok", f"unit {site.unit} is active, {process or 'without a main process'}")
        else:
            cure = f"Look why on the host: systemctl status {site.unit}"
            found.add("service", "critical", f"unit {site.unit} is {unit.get('active')}", cure)
        return
    if unit.get("state") == "missing":
        others = [mapping(row) for row in listed(seen.info.get("units"))]
        why = f"there is no unit {site.unit}"
        named = "; ".join(f"{row.get('unit')} {' and '.join(map(str, listed(row.get('why'))))}" for row in others)
        if len(others) == 1:
            cure = found.set("policy_service_unit", str(others[0].get("unit")).removesuffix(".service"))
            found.add("service", "critical", f"{why}, but {named}", cure)
        elif others:
            found.add("service", "critical", f"{why}, but {named}", "Set policy_service_unit to the right one")
        else:
            cure = "Set policy_service_unit to the service's unit: systemctl list-units --type=service shows them"
            found.add("service", "critical", f"{why}{f'; {process} works there' if process else ''}", cure)
        return
    if unit.get("state") == "none":
        _main_process(found, unit, process)
        return
    why = f"no unit can be asked about ({unit.get('reason') or 'no answer'})"
    cure = 'Where it has no unit: policy_service_unit "", and in policy_service_process what tells its main process'
    if process:
        by = {"files": "works in its directories", "port": "listens on the API's port"}.get(
            str(service.get("found_by")), ""
        )
        found.add("service", "warning", f"{why}; {process} {by}", cure)
    else:
        found.add("service", "unknown", f"{why}, and no process works in {site.base_dir}", cure)


def _main_process(found: Rows, unit: Json, process: str) -> None:
    """Of a service without a unit."""
    active, why = unit.get("active"), str(unit.get("reason") or "not seen")
    if active == "running" and process:
        found.add("service", "ok", f"{process}: {why}")
    elif active == "unset":
        cure = "Say in policy_service_process what tells its main process"
        found.add("service", "critical", f"{why}{f'; {process} is at work there' if process else ''}", cure)
    else:
        also = f"; {process} is at work there" if process else ""
        cure = "Is policy_service_process right?"
        found.add("service", "critical" if active == "dead" else "unknown", f"{why}{also}", cure)


def service_user_row(found: Rows, seen: Seen, site: Settings) -> None:
    """Whether the service runs as the user that is set."""
    unit, service = mapping(seen.info.get("unit")), mapping(seen.info.get("service"))
    user = service.get("user") or (unit.get("user") if unit.get("state") == "there" else "")
    if user and user != site.service_user:
        why = f"the service runs as {user}, and policy_service_user is {site.service_user}"
        found.add("service_user", "critical", why, found.set("policy_service_user", user))
    elif not seen.has_user:
        cure = "Set policy_service_user to the user that the service runs as"
        found.add("service_user", "critical", f"there is no user {site.service_user}", cure)
    elif user:
        found.add("service_user", "ok", str(user))


def ffmpeg_row(found: Rows, seen: Seen, site: Settings) -> None:
    """Whether ffmpeg encodes as the service's user."""
    if seen.ffmpeg is None:
        if seen.may_not_become:
            found.add("ffmpeg", "unknown", "not tried yet: it takes the service's user", playbook=PREPARE)
        return
    state = seen.ffmpeg.get("state")
    binary = seen.ffmpeg.get("binary")
    if state == "ok":
        own = "" if (site.api_offered and not site.api_mapped) or "ffmpeg" in site.own_checks else _OWN_FFMPEG
        said = f"{binary} {seen.ffmpeg.get('version') or ''} encodes as the service's user{own}"
        found.add("ffmpeg", "ok", said)
    elif state == "missing":
        cure = "Install ffmpeg, or set policy_service_path to the PATH that the service has"
        found.add("ffmpeg", "critical", str(seen.ffmpeg.get("reason")), cure)
    else:
        why = str(seen.ffmpeg.get("reason") or seen.ffmpeg.get("msg") or "no answer")
        broken = state not in (None, "unknown")
        cure = "Try it by hand as the service's user; incident_critical_system plans what mends a package"
        found.add("ffmpeg", "critical" if broken else "unknown", why, cure if broken else "")


def bucket_row(found: Rows, seen: Seen, _site: Settings) -> None:
    """Whether the service's bucket can be listed, and written where that was asked for."""
    if seen.storage is None:
        if seen.may_not_become or not mapping(seen.info.get("libraries")).get("boto3"):
            found.add(
                "bucket",
                "unknown",
                "not looked at yet: it takes the service's user and boto3",
                playbook=PREPARE,
            )
        return
    state, reason = seen.storage.get("state"), seen.storage.get("reason")
    wrote = any(
        mapping(step).get("step") == "put" and mapping(step).get("state") == "ok"
        for step in listed(seen.storage.get("steps"))
    )
    if state == "ok":
        done = (
            "written, read and removed"
            if wrote
            else "listed; -e check_setup_write=true writes an object and removes it"
        )
        found.add("bucket", "ok", f"{seen.storage.get('bucket')} at {seen.storage.get('endpoint')}: {done}")
    elif state == "not_configured" and seen.storage.get("environment_source"):
        cure = "Nothing is wrong where the service stores elsewhere"
        found.add("bucket", "warning", f"the service's environment names none that could be used: {reason}", cure)
    elif mapping(seen.info.get("unit")).get("state") not in ("there", "none"):
        found.add("bucket", "warning", "not looked at: it is named by the environment of the service's unit")
    else:
        cure = "incident_response finds the cause where it is a fault" if state else ""
        found.add("bucket", "critical" if state else "unknown", str(reason or seen.storage.get("msg")), cure)
