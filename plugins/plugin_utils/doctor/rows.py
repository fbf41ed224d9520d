# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What works on a host and what does not, a row for each thing, with its cure: verdicts on what was seen. Pure.

All that comes of a host is read with suspicion: what is not of the kind that is promised is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...module_utils.api.endpoints import READ
from ...module_utils.clock import said as offset_said
from ...module_utils.shapes import NOT_OFFERED, SAID_NOT_OFFERED, Json, mapping, number, one_line
from ...module_utils.times import from_text, text_of
from ..judging.checked import ages_of
from ..judging.observations import observe
from ..judging.shapes import Verdict, verdict
from .lines import inventory_line
from .reach import PYTHON_NEEDED, Reach

PREPARE = "prepare_hosts"
BELOW = "set the line below"
_NEEDED = ".".join(map(str, PYTHON_NEEDED))
# Of a service whose own health says nothing of it
_OWN_FFMPEG = "; the checks look at it themselves with policy_own_checks: [disk, ffmpeg]"
_LISTED_MAX, _ROWS_MAX = 6, 50
# Of what ssh says, the first that fits, and what helps
_WAYS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile("(?i)REMOTE HOST IDENTIFICATION HAS CHANGED"),
        "its key is not the one that this controller knows",
        "If it was installed anew: ssh-keygen -R HOST, then log in once by hand; else somebody may stand in between",
    ),
    (
        re.compile("(?i)host key verification failed|host key is known|authenticity of host"),
        "its key is not known to this controller",
        "Log in once by hand (ssh HOST) and compare the fingerprint, or put its key into ~/.ssh/known_hosts",
    ),
    (
        re.compile("(?i)permission denied|authentication fail|too many authentication"),
        "it does not let {user} in",
        "Is that user there, with your key in ~/.ssh/authorized_keys? Before prepare_hosts: -e ansible_user=admin",
    ),
    (
        re.compile("(?i)could not resolve|name or service not known|name resolution|nodename nor servname"),
        "its name does not resolve",
        "Correct the name in the inventory, or set ansible_host to its address",
    ),
    (
        re.compile("(?i)connection refused"),
        "nothing listens for ssh there",
        "Is sshd running there, and is ansible_port right?",
    ),
    (
        re.compile("(?i)timed out|timeout|no route to host|network is unreachable|no answer within"),
        "it does not answer",
        "Is it up, is ansible_host right, and does a firewall let ssh through?",
    ),
    (
        re.compile("(?i)sshpass"),
        "sshpass, which passwords need, is not on this controller",
        "Install sshpass, or use a key",
    ),
)


@dataclass(frozen=True)
class Settings:
    """What the site has set, as far as rows speak of it.

    Attributes:
        api_url: address of the monitoring API.
        api_offered: whether the service has an API.
        api_mapped: whether a map says where and how it has its endpoints.
        has_token: whether the controller gives a token.
        token_end: when that token ends, in seconds since 1970, where it says so.
        token_file: path of a token on the host.
        log_names: the logs that playbooks read.
        disk_percent: from where on a file system is full.
        unit: the service's.
        restart: what restarts a service without a unit.
        service_user: whose it is.
        base_dir: its own directory.
        log_dir: where it logs.
        becomes: whether modules that work in its files become the service's user.
        archive_dir: where its archives go.
        own_checks: what the checks look at themselves.
        python: what ``ansible_python_interpreter`` says, "" where Ansible is to look for one.
        connects_as: the user by whom hosts are reached, "" where nothing is set.
        policy: as option ``policy`` of action check.
    """

    api_url: str
    api_offered: bool
    api_mapped: bool
    has_token: bool
    token_end: float | None
    token_file: str
    log_names: Sequence[str]
    disk_percent: float
    unit: str
    restart: Sequence[str]
    service_user: str
    base_dir: str
    log_dir: str
    becomes: bool
    archive_dir: str
    own_checks: Sequence[str]
    python: str
    connects_as: str
    policy: Json


@dataclass(frozen=True)
class Seen:
    """What was seen of a host.

    Attributes:
        reach: the first look.
        info: of module setup_info, with ``failed`` and ``msg`` where it gave no answer.
        api: of module pipeline_info, None where it was not asked.
        ffmpeg: of module ffmpeg_info, likewise.
        storage: of module storage_probe, likewise.
        now: the controller's time, seconds since 1970.
    """

    reach: Reach
    info: Json = field(default_factory=dict)
    api: Json | None = None
    ffmpeg: Json | None = None
    storage: Json | None = None
    now: float = 0.0


@dataclass
class Rows:
    """The rows of a host, and the lines of its inventory that would mend some."""

    rows: list[Verdict] = field(default_factory=list)
    lines: dict[str, str] = field(default_factory=dict)

    def add(self, check: str, state: str, message: str, cure: str = "", playbook: str = "") -> None:
        """A row. What it says may come from the host: it is one line, without what steers a terminal."""
        text = one_line(message, 400)
        check = one_line(check, 120)
        self.rows.append(verdict(check, check, "", state, text, action=one_line(cure, 400), playbook=playbook))

    def set(self, key: str, value: object) -> str:
        """A line to set, in words; one that could not be pasted safely is only described."""
        line = inventory_line(key, value) if isinstance(value, str) else ""
        if line:
            self.lines[key] = line
            return BELOW
        return f"set {key} yourself: {one_line(value, 100)!r} is no value that is printed as a line"


def rows_of(seen: Seen, site: Settings) -> Rows:
    """All rows of a host, in the order in which they are mended."""
    found = Rows()
    _connection(found, seen, site)
    if seen.reach.state != "ok":
        return found
    if not _python(found, seen, site):
        _clock(found, seen, site)
        return found
    for part in _PARTS:
        part(found, seen, site)
    return found


def _connection(found: Rows, seen: Seen, site: Settings) -> None:
    reach = seen.reach
    if reach.state == "ok":
        found.add("ssh", "ok", f"connected as {reach.user}")
        return
    for pattern, why, cure in _WAYS:
        if pattern.search(reach.reason):
            denied = "{user}" in why
            text = why.format(user=site.connects_as or "the user of this shell (ansible_user is not set)")
            found.add("ssh", "critical", f"{text} ({reach.reason})", cure, PREPARE if denied else "")
            return
    cure = "Try the same by hand: ssh HOST true" if reach.state == "unreachable" else "Log in by hand and look"
    found.add("ssh", "critical", reach.reason, cure)


def _python(found: Rows, seen: Seen, site: Settings) -> bool:
    """Whether modules can run there."""
    there, wanted = seen.reach.pythons or {}, site.python
    usable = seen.reach.python(wanted)
    listed = ", ".join(f"{path} is {'.'.join(map(str, version))}" for path, version in there.items())
    if seen.info and not seen.info.get("failed") and (not wanted or usable == wanted):
        found.add("python", "ok", f"Python {seen.info.get('python')}")
        return True
    if usable and wanted and usable != wanted:
        what = "is older than " + _NEEDED if wanted in there else "is not there"
        cure = f"{found.set('ansible_python_interpreter', usable)}; this look used {usable}"
        found.add("python", "critical", f"ansible_python_interpreter is {wanted}, which {what}", cure)
        return not seen.info.get("failed")
    if not usable and not (seen.info and not seen.info.get("failed")):
        has = f"Python {_NEEDED} or newer is needed, and {listed or 'there is none'}"
        cure = "As root on the host: apt-get install python3. Without it no playbook works there, prepare_hosts neither"
        found.add("python", "critical", has, cure)
        return False
    why = seen.info.get("msg") or "no answer"
    become = re.search("(?i)sudo|become|password", str(why))
    cure = (
        "Give the password of sudo by --ask-become-pass, or take ansible_become out of the inventory" if become else ""
    )
    found.add("python", "critical", f"no module runs there: {why}", cure or "Read the reason, and run this again")
    return False


def _libraries(found: Rows, seen: Seen, _site: Settings) -> None:
    known = mapping(seen.info.get("libraries"))
    missing = sorted(name for name, version in known.items() if not version)
    if missing:
        found.add("libraries", "critical", f"missing: {', '.join(missing)}", playbook=PREPARE)
    else:
        listed = ", ".join(f"{name} {version}" for name, version in known.items())
        found.add("libraries", "ok", listed)


def _sudo(found: Rows, seen: Seen, site: Settings) -> None:
    said, user = mapping(seen.info.get("sudo")), seen.info.get("user")
    become, restart, named = said.get("become"), said.get("restart"), site.unit or "the service"
    if not isinstance(become, str) or not isinstance(restart, str):
        found.add("sudo", "unknown", "the host does not say what sudo allows")
    elif site.becomes and not _has_user(seen):
        why = f"whether {user} may become {site.service_user} is not known, as there is no such user"
        found.add("sudo", "unknown", why, "It is known when policy_service_user is right")
    elif become:
        why = f"{user} may not become {site.service_user}: {become}"
        found.add("sudo", "critical", why, playbook=PREPARE)
    elif restart:
        prepare = bool(site.unit) or PREPARE in restart
        cure = "" if prepare else f"{'Correct' if site.restart else 'Set'} policy_service_restart, what restarts it"
        found.add("sudo", "warning", f"{user} may not restart {named}: {restart}", cure, PREPARE if prepare else "")
    else:
        also = f" and become {site.service_user}" if site.becomes else ""
        found.add("sudo", "ok", f"{user} may restart {named}{also}")


def _state_dir(found: Rows, seen: Seen, _site: Settings) -> None:
    state = mapping(seen.info.get("state_dir"))
    if state.get("state") == "ok":
        found.add("state_dir", "ok", "there, and ours to write")
    else:
        why = str(state.get("reason") or "not seen")
        found.add("state_dir", "critical", why.partition(" (run prepare_hosts")[0], playbook=PREPARE)


def _has_user(seen: Seen) -> bool:
    return mapping(seen.info.get("service_user")).get("there") is True


def _service(found: Rows, seen: Seen, site: Settings) -> None:
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
        others = [mapping(row) for row in _list(seen.info.get("units"))]
        why = f"there is no unit {site.unit}"
        named = "; ".join(f"{row.get('unit')} {' and '.join(map(str, _list(row.get('why'))))}" for row in others)
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


def _service_user(found: Rows, seen: Seen, site: Settings) -> None:
    unit, service = mapping(seen.info.get("unit")), mapping(seen.info.get("service"))
    user = service.get("user") or (unit.get("user") if unit.get("state") == "there" else "")
    if user and user != site.service_user:
        why = f"the service runs as {user}, and policy_service_user is {site.service_user}"
        found.add("service_user", "critical", why, found.set("policy_service_user", user))
    elif not _has_user(seen):
        cure = "Set policy_service_user to the user that the service runs as"
        found.add("service_user", "critical", f"there is no user {site.service_user}", cure)
    elif user:
        found.add("service_user", "ok", str(user))


def _api(found: Rows, seen: Seen, site: Settings) -> None:
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
    others = [row for row in map(mapping, _list(here.get("elsewhere"))) if row.get("answer") in ("health", "denied")]
    urls = sorted({url for row in others if (url := _url(row))})
    if len(urls) == 1:
        cure = f"It answers at {urls[0]}: {found.set('media_ops_api_url', urls[0])}"
    elif urls:
        cure = f"Set media_ops_api_url to the right one of {', '.join(urls[:_LISTED_MAX])}"
    else:
        places = [mapping(row) for row in _list(_of(seen, "service", "listens"))]
        listens = [f"{row.get('host')}:{row.get('port')}" for row in places if row.get("port")]
        also = f" The service listens on {', '.join(listens[:_LISTED_MAX])}." if listens else ""
        cure = f"Set media_ops_api_url to where it answers, as seen from the host.{also}"
    found.add("api", "critical", f"no answer of it at {where}: {why}", cure)


def _url(row: Json) -> str:
    host, port, path = row.get("host"), row.get("port"), row.get("path")
    if not isinstance(host, str) or not isinstance(port, int) or not isinstance(path, str):
        return ""
    return f"http://{'localhost' if host in ('127.0.0.1', '::1') else host}:{port}{path}"


def _token(found: Rows, seen: Seen, site: Settings) -> None:
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


def _endpoints(found: Rows, seen: Seen, site: Settings) -> None:
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
                found.add(f"endpoint {name}", "critical", "; ".join(wrong[:_LISTED_MAX]), cure)
            else:
                found.add(f"endpoint {name}", "ok", f"as expected, in {reply.get('elapsed_ms')} ms")
        elif state != "auth":  # said once, of the token
            found.add(f"endpoint {name}", "critical", str(reply.get("reason") or state))


def _logs(found: Rows, seen: Seen, site: Settings) -> None:
    logs = mapping(seen.info.get("logs"))
    dirs = [one for one in _list(_of(seen, "service", "log_dirs")) if isinstance(one, str) and one != site.log_dir]
    if logs.get("state") != "there":
        why = f"{site.log_dir}: {logs.get('reason') or 'not seen'}"
        if logs.get("state") == "unreadable":
            found.add("logs", "critical", why, playbook=PREPARE)
        elif len(dirs) == 1:
            cure = _set_logs(found, dirs[0], seen, site)
            found.add("logs", "critical", f"{why}; the service logs to {dirs[0]}", cure)
        else:
            also = f"; it has logs open in {', '.join(dirs[:_LISTED_MAX])}" if dirs else ""
            found.add("logs", "critical", why + also, "Set policy_log_dir to where the service logs")
        return
    files = {str(one.get("name")): one for one in map(mapping, _list(logs.get("files")))}
    named = ", ".join(list(files)[:_LISTED_MAX])
    if files:
        found.add("logs", "ok", f"{site.log_dir} has {named}")
    else:
        found.add("logs", "warning", f"{site.log_dir} has no file that ends with .log")
    for name in site.log_names:
        _log(found, name, files.get(name))


def _set_logs(found: Rows, directory: str, seen: Seen, site: Settings) -> str:
    """By its base directory where the logs are where they always are, else by their own."""
    base = directory.removesuffix("/temp/logs")
    if base != directory and site.log_dir == f"{site.base_dir}/temp/logs" and _base_missing(seen, site):
        return found.set("policy_base_dir", base)
    return found.set("policy_log_dir", directory)


def _log(found: Rows, name: str, row: Json | None) -> None:
    check = f"log {name}"
    if row is None:
        found.add(check, "warning", "not there: what is counted in it is unknown")
        return
    if row.get("state") != "there":
        found.add(check, "critical", f"cannot be read: {row.get('reason')}", playbook=PREPARE)
        return
    lines, entries, dated = (number(row.get(key)) or 0 for key in ("lines", "json_lines", "dated_lines"))
    fields = ", ".join(map(str, _list(row.get("fields"))[:12]))
    if not lines:
        found.add(check, "ok", "empty so far")
    elif not entries:
        cure = "What is counted by fields and dates is unknown, until it logs JSON lines"
        found.add(check, "critical", f"none of its last {lines} lines is a JSON object", cure)
    elif not dated:
        cure = "Its lines count for no time: set time in policy_log_fields to the field that holds their date"
        found.add(check, "critical", f"its lines have no date that can be read; fields: {fields}", cure)
    else:
        levels = "levels" if row.get("leveled_lines") else "no levels"
        dates = f"dates in {row.get('time_field')} (last {row.get('last_at')}), {levels}"
        few = f"{entries} of {lines} lines are JSON, " if entries < lines else ""
        found.add(check, "ok", f"{few}{dates}; fields {fields}")


def _base_missing(seen: Seen, site: Settings) -> bool:
    rows = [mapping(one) for one in _list(seen.info.get("directories"))]
    return any(one.get("path") == site.base_dir and one.get("state") == "missing" for one in rows)


def _directories(found: Rows, seen: Seen, site: Settings) -> None:
    rows = [mapping(one) for one in _list(seen.info.get("directories"))]
    user = site.service_user if site.becomes else seen.info.get("user")
    if _base_missing(seen, site):
        others = [str(one.get("path")) for one in map(mapping, _list(seen.info.get("service_directories")))
                  if one.get("state") == "there"]  # fmt: skip
        cure = "Set policy_base_dir to the service's directory"
        if others:
            cure = f"The service works in {others[0]}: {found.set('policy_base_dir', others[0])}"
        found.add("directories", "critical", f"policy_base_dir is {site.base_dir}, which is not there", cure)
        return
    # In the base directory itself nothing is deleted.
    below = [row for row in rows if row.get("path") != site.base_dir]
    bad = [row for row in below if row.get("state") == "there" and row.get("deletes") is False]
    # Of the logs' own it is said with the logs.
    absent = [row for row in rows if row.get("state") != "there" and row.get("path") != site.log_dir]
    for own in (False, True):
        # prepare_hosts makes the one for archives, the others are the service's.
        named = [
            f"{row.get('path')} ({row.get('owner')}:{row.get('group')} {row.get('mode')})"
            for row in bad
            if (row.get("path") == site.archive_dir) == own
        ]
        if named:
            cure = "" if own else f"Let {user} write there, or nothing can be cleaned up there"
            check = "archives" if own else "directories"
            found.add(check, "critical", f"{user} may not delete in {', '.join(named)}", cure, PREPARE if own else "")
    for row in absent:
        path = str(row.get("path"))
        if row.get("state") == "unknown":
            found.add(f"directory {path}", "unknown", f"{path}: {row.get('reason')}", playbook=PREPARE)
        elif path == site.archive_dir:
            found.add("archives", "critical", f"{path} is not there", playbook=PREPARE)
        else:
            why = f"{path}: {row.get('reason') or row.get('state')}"
            found.add(f"directory {path}", "warning", why, "Set its variable where the service has another")
    if not bad:
        known = [str(row.get("path")) for row in below if row.get("deletes") is True]
        if known:
            found.add("directories", "ok", f"{user} may delete in {', '.join(known[:_LISTED_MAX])}")


def _not_become(seen: Seen) -> bool:
    return bool(mapping(seen.info.get("sudo")).get("become"))


def _bucket(found: Rows, seen: Seen, _site: Settings) -> None:
    if seen.storage is None:
        if _not_become(seen) or not mapping(seen.info.get("libraries")).get("boto3"):
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
        for step in _list(seen.storage.get("steps"))
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


def _ffmpeg(found: Rows, seen: Seen, site: Settings) -> None:
    if seen.ffmpeg is None:
        if _not_become(seen):
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


def _clock(found: Rows, seen: Seen, site: Settings) -> None:
    _age_max_s, skew_max_s = ages_of(site.policy)
    told = number(seen.info.get("clock_offset_s"))
    offset, error = (told, 0.0) if told is not None else (seen.reach.offset_s, seen.reach.offset_error_s)
    if offset is None:
        found.add("clock", "unknown", "the host does not tell the time")
    elif abs(offset) - error > skew_max_s:
        cure = "Set the clock (timedatectl set-ntp true): by such a one nothing is deleted"
        found.add("clock", "warning", f"it is {offset_said(offset)}", cure)
    else:
        found.add("clock", "ok", f"within {skew_max_s:g} s of the controller's")


def _disk(found: Rows, seen: Seen, site: Settings) -> None:
    rows = [mapping(one) for one in _list(seen.info.get("disks"))]
    used = [(str(row.get("path")), number(row.get("used_percent"))) for row in rows]
    known = [(path, share) for path, share in used if share is not None]
    full = [f"{path} {share:.0f} %" for path, share in known if share >= site.disk_percent]
    if not known:
        found.add("disk", "unknown", "no file system could be looked at")
    elif full:
        cure = "emergency_disk_cleanup --check shows what could go"
        found.add("disk", "critical", f"full: {', '.join(full)}", cure)
    else:
        found.add("disk", "ok", ", ".join(f"{path} {share:.0f} %" for path, share in known[:_LISTED_MAX]))


def _list(value: object) -> list[Any]:
    """A list of a host's answer, as long as ours are."""
    return value[:_ROWS_MAX] if isinstance(value, list) else []


def _of(seen: Seen, part: str, key: str) -> object:
    return mapping(seen.info.get(part)).get(key)


_PARTS: tuple[Callable[[Rows, Seen, Settings], None], ...] = (
    _libraries,
    _sudo,
    _state_dir,
    _service,
    _service_user,
    _api,
    _token,
    _endpoints,
    _logs,
    _directories,
    _bucket,
    _ffmpeg,
    _clock,
    _disk,
)
