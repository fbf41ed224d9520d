# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a result document to the texts that a person reads, by Jinja templates of role report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.shapes import SAID_NOT_OFFERED, STATES, Json, number, one_line
from ...module_utils.times import from_text
from ..judging.muting import said as muted_as
from .charts import Chart, charts_of
from .fleet import fleet_details
from .response_view import responses
from .result import SCHEMA_VERSION
from .templates import NOTHING, duration, figure, fill, percent, seen, when

FAULTS = {
    "host_unreachable": "Ansible could not reach the host",
    "no_python": "The host has no Python that Ansible can use",
    "module_failed": "The check did not run to its end on the host",
    "unreachable": "The service does not accept connections",
    "timeout": "The service did not answer in time",
    "auth": "The service did not accept the API token",
    "http_error": "The service answered with an HTTP error",
    "invalid": "The answer could not be read",
    "missing": "The answer lacks the value",
    "wrong_type": "The value is of the wrong kind",
    "out_of_range": "The value lies outside of what is possible",
    "unknown_value": "The value is none that is known",
    "contradiction": "The answer contradicts itself",
    "short": "The log does not reach back over the whole window",
    "stale": "The answer is too old to prove anything",
    "clock": "A clock or a zone is wrong, so that the answer proves nothing",
}
_ALL_CHARTED = 8  # a fleet up to this size gets charts of each host
_CHARTED_MAX = 20  # of a larger one, so many of the hosts that are not ok
_ROWS_MAX = 30
_REASONS_MAX = 5


def render(document: object, *template_paths: str) -> list[str]:
    """The document as each of the templates says.

    Raises:
        OptionError: the document or a template is none that can be used.
        MediaOpsError: a template fails; names the file, and the line where it is known.
    """
    if not isinstance(document, Mapping):
        raise OptionError("document", one_line(repr(document), 80), "a result document (a dictionary) is needed")
    if document.get("schema_version") != SCHEMA_VERSION:
        why = f"{SCHEMA_VERSION} is the version of the result document that this release of the collection renders"
        raise OptionError("schema_version", document.get("schema_version"), why)
    cleaned, view = seen(document, view_of, "roles/report/files/result.schema.json")
    charts = _Charts(view)
    return [fill(path, document=cleaned, view=view, charts=charts) for path in template_paths]


def view_of(document: Json) -> dict[str, Any]:
    """What both templates show, ready to be laid out: sentences, groups, bounded lists. Pure."""
    hosts = [_host_view(host, at) for at, host in enumerate(document.get("hosts") or [])]
    _drop_empty_figures(hosts)
    run: Json = document.get("run") or {}
    together = fleet_details([host["details"] for host in hosts])
    return {
        "title": run.get("title") or "Check",
        "state": document["state"] if document["state"] in STATES else "unknown",
        "sentence": _sentence(hosts, document),
        "findings": _findings(hosts),
        "outcome": _outcome(document),
        "at": run.get("finished_at"),
        "counts": [(state, sum(1 for h in hosts if h["state"] == state)) for state in reversed(STATES)],
        "hosts": hosts,
        "troubled": [host for host in hosts if host["state"] != "ok"],
        "fine": [host for host in hosts if host["state"] == "ok"],
        "incidents": list(document.get("incidents") or []),
        "steps": _steps(document),
        "refused": list(document.get("refused") or [])[:_REASONS_MAX],
        "muted": list(document.get("muted") or [])[:_ROWS_MAX],
        "not_offered": _not_offered(hosts)[:_ROWS_MAX],
        "responses": responses(document.get("hosts") or []),
        "unknowns": _unknowns(hosts),
        **_fleet_rows(hosts),
        **_fleet_figures(hosts, together),
        "together": together,
        "contacts": list(document.get("contacts") or []),
        "facts": facts_of(run, document),
        "coverage": [note for host in hosts for note in _coverage(host)],
    }


def _not_offered(hosts: Sequence[Json]) -> list[Json]:
    """What of the checks has nothing to go by, as a service does not offer it, with the hosts of which that is so."""
    found: dict[str, list[str]] = {}
    for host in hosts:
        titles = sorted(
            v["title"] for v in host["verdicts"] if v["state"] == "ok" and v.get("note") == SAID_NOT_OFFERED
        )
        if titles:
            found.setdefault(", ".join(titles), []).append(host["host"])
    return [{"what": what, "hosts": names} for what, names in found.items()]


def _steps(document: Json) -> list[Json]:
    """What is to be done beside the commands of the incidents, which stand with these."""
    shown = [incident.get("command") for incident in document.get("incidents") or []]
    return [step for step in document.get("next") or [] if not step.get("command") or step["command"] not in shown]


def _host_view(host: Json, at: int) -> dict[str, Any]:
    verdicts = _merged(host)
    state = host["state"] if host["state"] in STATES else "unknown"
    details: Json = host.get("details") or {}
    totals: Json = details.get("totals") or {}
    worst = max(verdicts, key=lambda v: STATES.index(v["state"]), default=None)
    samples: list[Json] = details.get("metrics") or []
    peaks = {
        key: max((v for sample in samples if (v := number(sample.get(key))) is not None), default=None)
        for key in ("cpu_percent", "memory_percent", "disk_percent")
    }
    return {
        "host": host["host"],
        "anchor": f"host-{at}",
        "state": state,
        "message": worst["message"] if worst else "Nothing was judged",
        "since": _since(verdicts, state),
        "verdicts": verdicts,
        "details": details,
        "figures": [
            ("Operations", figure(totals.get("total_operations"))),
            ("Error rate", percent(totals.get("error_rate"))),
            ("Duration", duration(totals.get("average_duration_s"))),
            ("CPU peak", figure(peaks["cpu_percent"], "percent")),
            ("Memory peak", figure(peaks["memory_percent"], "percent")),
            ("Disk peak", figure(peaks["disk_percent"], "percent")),
        ],
    }


def _merged(host: Json) -> list[Json]:
    """The verdicts; as one where nothing could be judged because the host gave nothing at all."""
    verdicts: list[Json] = list(host.get("verdicts") or [])
    lost: Json = (host.get("observations") or {}).get("host") or {}
    if not lost.get("fault") or len(verdicts) < 2 or any(v["fault"] != lost["fault"] for v in verdicts):
        return verdicts
    merged = {"title": f"All {len(verdicts)} checks", "step": "", "unit": "state", "threshold": ""}
    said = _capital(lost.get("reason") or verdicts[0]["message"])
    if mute := verdicts[0].get("muted"):
        said = f"{said} ({mute['state']}, {muted_as(mute)})"
    return [{**verdicts[0], **merged, "message": said}]


def _since(verdicts: Sequence[Json], state: str) -> str:
    """Since when the host has been in its state, as far as earlier runs tell; nothing for a host that is ok."""
    if state == "ok":
        return NOTHING
    known = [str(v["since"]) for v in verdicts if v["state"] == state and from_text(v.get("since"))]
    return when(min(known)) if known else "this run"


def _drop_empty_figures(hosts: Sequence[dict[str, Any]]) -> None:
    """Take out the figures that no host has: which there are depends on what the check asks for."""
    have = {label for host in hosts for label, value in host["figures"] if value != NOTHING}
    for host in hosts:
        host["figures"] = [(label, value) for label, value in host["figures"] if label in have]


def _sentence(hosts: Sequence[Json], document: Json) -> str:
    """One sentence: how the fleet is."""
    if not hosts:
        return "No host was checked, so nothing is known: look at the inventory and at --limit."
    parts: list[str] = []
    for state in reversed(STATES[1:]):
        count = sum(1 for host in hosts if host["state"] == state)
        if count:
            share = str(count) if parts else f"{count} of {len(hosts)} hosts"
            said = ("has a" if count == 1 else "have a") if state == "warning" else "is" if count == 1 else "are"
            parts.append(f"{share} {said} {state}")
    if parts:
        return ", ".join(parts).replace("1 of 1 hosts", "The host", 1) + "."
    warned = " Nothing is to be done." if not document.get("incidents") else ""
    return ("The host is ok." if len(hosts) == 1 else f"All {len(hosts)} hosts are ok.") + warned


def _findings(hosts: Sequence[Json]) -> list[tuple[str, str]]:
    """For each state that is not ok, what is wrong on its first host, since when, and on how many more."""
    found: list[tuple[str, str]] = []
    for state in reversed(STATES[1:]):
        names = [host for host in hosts if host["state"] == state]
        if names:
            first = names[0]
            since = "" if first["since"] == "this run" else f", since {first['since']}"
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            found.append((state, f"{first['host']}{more}{since}: {one_line(first['message'], 200)}"))
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _outcome(document: Json) -> str:
    fail_on = " or ".join(state for state in reversed(STATES) if state in (document.get("fail_on") or []))
    if document.get("failed") and not document.get("hosts"):
        return "The run fails."
    if document.get("failed"):
        return f"The run fails (exit code 2): a host that is {fail_on} fails it." if fail_on else "The run fails."
    return "The run succeeds (exit code 0)" + (f": no host is {fail_on}." if fail_on else ".")


def _unknowns(hosts: Iterable[Json]) -> list[dict[str, Any]]:
    """The unknown verdicts by fault and what to do, with their hosts, most hosts first."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for host in hosts:
        for verdict in host["verdicts"]:
            if verdict["state"] == "unknown":
                fault, action = verdict.get("fault") or "", verdict.get("action") or ""
                group = groups.setdefault(
                    (fault, action),
                    {
                        "meaning": FAULTS.get(fault, "The service itself says unknown"),
                        "action": action,
                        "hosts": [],
                        "reason": verdict["message"],
                    },
                )
                if host["host"] not in group["hosts"]:
                    group["hosts"].append(host["host"])
    return sorted(groups.values(), key=lambda group: -len(group["hosts"]))


def _fleet_rows(hosts: Sequence[Json]) -> dict[str, Any]:
    """Components that are not healthy, alerts and sessions over all hosts, bounded, with how many were left out."""
    components = _rows(hosts, "components")
    ill = [row for row in components if row.get("status") != "healthy"]
    ill.sort(key=lambda row: ("warning", "unknown", "critical").index(_level(row)), reverse=True)
    alerts = sorted(_rows(hosts, "alerts"), key=lambda row: row.get("at") or "", reverse=True)
    sessions = sorted(_rows(hosts, "sessions"), key=lambda row: -(number(row.get("minutes")) or 0))
    return {
        "components": ill[:_ROWS_MAX],
        "components_left": max(0, len(ill) - _ROWS_MAX),
        "components_healthy": len(components) - len(ill),
        "alerts": alerts[:_ROWS_MAX],
        "alerts_left": max(0, len(alerts) - _ROWS_MAX),
        "sessions": sessions[:_ROWS_MAX],
        "sessions_left": max(0, len(sessions) - _ROWS_MAX),
    }


def _fleet_figures(hosts: Sequence[Json], together: Json) -> dict[str, Any]:
    """What the charts of the fleet show, as rows."""
    stages = [{"stage": name, **row} for name, row in together["stages"].items()]
    peaks = _rows(hosts, "resource_peaks")
    return {
        "stages": sorted(stages, key=lambda row: -row["average_duration_s"])[:_ROWS_MAX],
        "errors": _most(together["errors"]),
        "log_errors": _most(together["log"]["errors"]),
        "peaks": sorted(peaks, key=lambda row: -(number(row.get("cpu_percent")) or 0))[:3],
    }


def _most(counts: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_ROWS_MAX]


def _level(row: Json) -> str:
    return row["status"] if row.get("status") in ("warning", "critical") else "unknown"


def _rows(hosts: Sequence[Json], key: str) -> list[dict[str, Any]]:
    return [{"host": host["host"], **row} for host in hosts for row in host["details"].get(key) or []]


def facts_of(run: Json, document: Json) -> list[tuple[str, str]]:
    started, finished = from_text(run.get("started_at")), from_text(run.get("finished_at"))
    facts = [
        ("Run", run.get("id")),
        ("Check", run.get("check")),
        ("Playbook", run.get("playbook")),
        ("Started", when(run["started_at"]) if started else None),
        ("Finished", when(run["finished_at"]) if finished else None),
        ("Took", duration((finished - started) / timedelta(seconds=1)) if started and finished else None),
        ("Check mode", {True: "yes: nothing was changed", False: "no"}.get(run.get("check_mode"))),  # type: ignore[arg-type]
        ("Collection media_ops.runbook", run.get("collection_version")),
        ("ansible-core", run.get("ansible_version")),
        ("Schema of result.json", document.get("schema_version")),
    ]
    return [(label, str(value)) for label, value in facts if value not in (None, "")]


def _coverage(host: Json) -> list[str]:
    """What of the window the host's figures cannot cover, in words."""
    totals: Json = host["details"].get("totals") or {}
    log: Json = host["details"].get("log") or {}
    window, covered = number(totals.get("window_h")), number(totals.get("covered_h"))
    notes = []
    if window is not None and covered is not None and covered < window:
        started = from_text(host["details"].get("service_started_at"))
        why = f": the service started at {when(host['details']['service_started_at'])}" if started else ""
        notes.append(f"{host['host']}: figures cover only the last {duration(covered * 3600)} of {window:g} h{why}")
    bad, lines = number(log.get("bad_lines")), number(log.get("lines"))
    if bad:
        of = f" of {lines:g}" if lines else ""
        notes.append(f"{host['host']}: {bad:g}{of} log lines could not be read and are not counted")
    return notes


class _Charts:
    """Charts for a template, drawn when it asks for them."""

    def __init__(self, view: Json) -> None:
        self._together = view["together"]
        self._drawable = [host for host in view["hosts"] if host["details"]]
        small = len(view["hosts"]) <= _ALL_CHARTED
        wanted = self._drawable if small else [host for host in self._drawable if host["state"] != "ok"]
        self.hosts = wanted[:_CHARTED_MAX]
        self.left = 0 if small else len(self._drawable) - len(self.hosts)

    def of(self, host: Json) -> list[Chart]:
        """The charts of one host."""
        return charts_of(host["details"], f"chart-{host['anchor']}")

    def fleet(self) -> list[Chart]:
        """The charts of all hosts together; none where there is one host only."""
        return charts_of(self._together, "chart-fleet") if len(self._drawable) > 1 else []
