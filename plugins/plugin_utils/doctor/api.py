# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitoring API: whether it answers, takes the token, and tells what the checks read of it. Pure."""

from __future__ import annotations

from ...module_utils.api.endpoints import READ
from ...module_utils.shapes import NOT_OFFERED, SAID_NOT_OFFERED, Json, mapping
from ...module_utils.times import from_text, text_of
from ..judging.checked import ages_of
from ..judging.observations import observe
from .rows import PREPARE, Rows
from .seen import LISTED_MAX, Seen, Settings, listed


def api_row(found: Rows, seen: Seen, site: Settings) -> None:
    """Whether the API answers where it is asked, and where it does else."""
    here, endpoints = mapping(seen.info.get("api")), mapping(mapping(seen.api).get("endpoints"))
    health, where = mapping(endpoints.get("health")), site.api_url
    states = {mapping(one).get("state") for one in endpoints.values()}
    if not site.api_offered or states == {NOT_OFFERED}:
        found.add("api", "ok", SAID_NOT_OFFERED)
        return
    if states & {"ok", "auth"}:
        found.add("api", "ok", f"answers at {where}")
        return
    if not endpoints and (here.get("answer") in ("health", "denied") or (site.api_mapped and here.get("status"))):
        said = f"answers at {where}; its endpoints are looked at when the libraries are there"
        found.add("api", "warning", said, playbook=PREPARE)
        return
    if not endpoints and not here.get("local"):
        said = mapping(seen.api).get("msg") or "it is not of this host, and is asked when the libraries are there"
        found.add("api", "unknown", f"{where}: {said}", playbook="" if seen.api else PREPARE)
        return
    why = health.get("reason") or here.get("reason") or f"HTTP {here.get('status')}, and no health"
    others = [row for row in map(mapping, listed(here.get("elsewhere"))) if row.get("answer") in ("health", "denied")]
    urls = sorted({url for row in others if (url := _url(row))})
    if len(urls) == 1:
        cure = f"It answers at {urls[0]}: {found.set('media_ops_api_url', urls[0])}"
    elif urls:
        cure = f"Set media_ops_api_url to the right one of {', '.join(urls[:LISTED_MAX])}"
    else:
        places = [mapping(row) for row in listed(seen.of("service", "listens"))]
        listens = [f"{row.get('host')}:{row.get('port')}" for row in places if row.get("port")]
        also = f" The service listens on {', '.join(listens[:LISTED_MAX])}." if listens else ""
        cure = f"Set media_ops_api_url to where it answers, as seen from the host.{also}"
    found.add("api", "critical", f"no answer of it at {where}: {why}", cure)


def _url(row: Json) -> str:
    host, port, path = row.get("host"), row.get("port"), row.get("path")
    if not isinstance(host, str) or not isinstance(port, int) or not isinstance(path, str):
        return ""
    return f"http://{'localhost' if host in ('127.0.0.1', '::1') else host}:{port}{path}"


def token_row(found: Rows, seen: Seen, site: Settings) -> None:
    """Whether the API takes the token, and until when."""
    endpoints = {name: mapping(one) for name, one in mapping(mapping(seen.api).get("endpoints")).items()}
    refusing = [name for name, one in endpoints.items() if one.get("state") == "auth"]
    file, end, where = mapping(seen.info.get("access")), site.token_end, "the token"
    if not site.api_offered:
        return
    access = mapping(mapping(seen.api).get("api_access"))
    if access.get("by") == "login":
        _login(found, access)
        return
    if not site.has_token and site.token_file:
        where = f"the token in {site.token_file}"
        if file.get("state") != "there":
            cure = f"Put it there, for {seen.info.get('user')} alone to read"
            found.add("token", "critical", f"{where} cannot be read: {file.get('reason') or 'not seen'}", cure)
            return
        moment = from_text(file.get("ends_at"))
        end = moment.timestamp() if moment else None
    has = site.has_token or bool(site.token_file)
    give = "by the environment variable MEDIA_OPS_API_TOKEN"
    if has and end is not None and end <= seen.now:
        found.add(
            "token",
            "critical",
            f"{where} expired at {text_of(end)}, {_time(seen.now - end)} ago",
            f"Get a new one, and give it {give}",
        )
    elif refusing:
        first = endpoints[refusing[0]].get("reason") or "refused"
        cure = f"Get another one, and give it {give}" if has else f"Give one {give}"
        found.add("token", "critical", f"{', '.join(refusing)}: {first}", cure)
    else:
        # Health may be told to everybody.
        accepted = any(one.get("state") == "ok" for name, one in endpoints.items() if not name.startswith("health"))
        _token_taken(found, seen.now, end if has else None, accepted=accepted, has=has)


def _token_taken(found: Rows, now: float, end: float | None, *, accepted: bool, has: bool) -> None:
    """Of a token that is not refused, or of none."""
    if end is not None:
        found.add(
            "token", "ok", f"valid{' and accepted' if accepted else ''}, until {text_of(end)} (in {_time(end - now)})"
        )
    elif not accepted:
        said = "whether it is accepted is not known" if has else "none is set, and whether one is needed is not known"
        found.add("token", "unknown", said, "It is known when the API answers")
    elif has:
        found.add("token", "ok", "accepted; it does not say until when it is valid")
    else:
        found.add("token", "ok", "none is set, and none is asked for")


def _login(found: Rows, access: Json) -> None:
    """Of a token that the service's login gives."""
    if access.get("reason"):
        cure = "Are policy_api_login, media_ops_api_username and media_ops_api_password right?"
        found.add("token", "critical", f"the login gives none: {access.get('reason')}", cure)
    else:
        found.add("token", "ok", f"renewed by login, valid until {access.get('valid_until') or 'it does not say when'}")


def _time(seconds: float) -> str:
    """A duration in words."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def endpoint_rows(found: Rows, seen: Seen, site: Settings) -> None:
    """Each endpoint's answer, held against what checks read of it."""
    answered = mapping(mapping(seen.api).get("endpoints"))
    states = {mapping(one).get("state") for one in answered.values()}
    if states == {NOT_OFFERED} or (states & {"unreachable", "timeout"} and "ok" not in states):
        return  # said once, of the API as a whole
    if seen.api is not None and not answered:
        found.add("endpoints", "unknown", f"not seen: {seen.api.get('msg') or 'no answer'}")
    age_max_s, skew_max_s = ages_of(site.policy)
    observed = observe(seen.api, age_max_s=age_max_s, skew_max_s=skew_max_s) if answered else {}
    for name in (one for one in READ if one in answered):
        reply = mapping(answered[name])
        state = reply.get("state")
        if state == NOT_OFFERED:
            found.add(f"endpoint {name}", "ok", SAID_NOT_OFFERED)
        elif state == "ok":
            wrong = [
                f"{key}: {one['reason']}" for key, one in observed.items() if one["endpoint"] == name and one["fault"]
            ]
            if wrong:
                cure = "Where the service has other names: policy_api_map says how they are read"
                found.add(f"endpoint {name}", "critical", "; ".join(wrong[:LISTED_MAX]), cure)
            else:
                found.add(f"endpoint {name}", "ok", f"as expected, in {reply.get('elapsed_ms')} ms")
        elif state != "auth":  # said once, of the token
            found.add(f"endpoint {name}", "critical", str(reply.get("reason") or state))
