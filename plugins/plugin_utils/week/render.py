# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the document of a fleet's week to the texts that a team lead reads, by Jinja templates of role report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.review.days import REVIEW_VERSION
from ...module_utils.shapes import Json, number, one_line
from ..report.render import facts_of
from ..report.templates import NOTHING, duration, figure, fill, is_html, percent, seen, when
from .charts import charts_of_week

_SHOWN = 20
_NOTES_MAX = 40
_NAMES = {
    "total_operations": "Operations",
    "success_rate": "Success rate",
    "error_rate": "Error rate",
    "average_duration_s": "Average duration",
    "peak_active_sessions": "Peak of active sessions",
}
_VERDICTS = {
    "worse": ("critical", "Worse than before"),
    "better": ("ok", "Better than before"),
    "noise": ("ok", "No more than noise"),
    "not_enough_data": ("unknown", "Not enough data"),
    "no_review": ("unknown", "No figures"),
}


def render_weekly(document: object, *template_paths: str) -> list[str]:
    """The document as each of the templates says.

    Raises:
        OptionError: the document or a template is none that can be used.
        MediaOpsError: a template fails; names the file, and the line where it is known.
    """
    if not isinstance(document, dict) or document.get("schema_version") != REVIEW_VERSION or "hosts" not in document:
        raise OptionError("document", one_line(repr(document), 80), "a document of weekly_document is needed")
    cleaned, view = seen(document, view_of_week, "roles/report/files/weekly.schema.json")
    return [
        fill(path, document=cleaned, view=view, charts=charts_of_week(cleaned, "week") if is_html(path) else [])
        for path in template_paths
    ]


def view_of_week(document: Json) -> dict[str, Any]:
    """What both templates show, ready to be laid out. Pure."""
    run: Json = document.get("run") or {}
    hosts = [_host_view(host) for host in document["hosts"]]
    shown = hosts[:_SHOWN]
    period: Json | None = document.get("period")
    return {
        "title": run.get("title") or "Weekly performance review",
        "check_mode": bool(run.get("check_mode")),
        "state": _state(document),
        "word": _word(document),
        "period": f"{when(period['from'])} to {when(period['to'])}" if period else "",
        "sentence": _sentence(document),
        "changes": [_change_view(row, document["figures"]["hosts"]) for row in document["changes"]],
        "tests": _tests(document["hosts"]),
        "unchanged": _unchanged(document),
        "hosts": shown,
        "more_hosts": hosts[_SHOWN:],
        "stages": [{**row, "change": _part(row.get("change"))} for row in document["stages"]],
        "errors": list(document["errors"].items())[:_SHOWN],
        "weeks": document["weeks"],
        "automation": document["automation"],
        "coverage": _coverage(document["hosts"]),
        "contacts": list(document.get("contacts") or []),
        "facts": facts_of(run, document),
    }


def _count(document: Json, verdict: str) -> int:
    return sum(1 for host in document["hosts"] if host["verdict"] == verdict)


def _unchanged(document: Json) -> str:
    """How many hosts the test for noise says nothing else of."""
    counts = ((_count(document, verdict), word.lower()) for verdict, (_level, word) in _VERDICTS.items())
    said = [f"{_hosts(count)}: {word}" for count, word in counts if count and not word.endswith("than before")]
    return "; ".join(said) or "No other host was reviewed"


def _state(document: Json) -> str:
    if _count(document, "worse"):
        return "warning"
    known = document["figures"]["total_operations"] is not None and not _lost(document)
    return "ok" if known and not _count(document, "no_review") and _is_compared(document) else "unknown"


def _word(document: Json) -> str:
    if document["figures"]["total_operations"] is None:
        return "No figures"
    if _count(document, "worse"):
        return "Slower or more errors"
    if _count(document, "no_review") or _lost(document):
        return "Too little is known"
    return "No degradation seen" if _is_compared(document) else "Not enough data to compare"


def _is_compared(document: Json) -> bool:
    """Whether the week of any host could be compared with those before."""
    return bool(_count(document, "better") or _count(document, "noise") or _count(document, "worse"))


def _lost(document: Json) -> list[str]:
    """Hosts of whose week the data cover too little."""
    reviews = {host["host"]: host["review"] or {} for host in document["hosts"]}
    return [host for host, review in reviews.items() if not (review.get("coverage") or {}).get("known", True)]


def _sentence(document: Json) -> str:
    figures: Json = document["figures"]
    hosts = document["hosts"]
    if not hosts:
        return "There was no host to review: look at the inventory and at --limit."
    if figures["total_operations"] is None:
        return f"Nothing is known of the week of {_hosts(len(hosts))}."
    parts = [f"{figures['total_operations']:,} operations on {_hosts(figures['hosts'])}"]
    if figures["error_rate"] is not None:
        parts.append(f"{percent(figures['error_rate'])} failed")
        parts.append(f"{duration(figures['average_duration_s'])} on average")
    said = ", ".join(parts) + "."
    worse = [host["host"] for host in hosts if host["verdict"] == "worse"]
    if worse:
        more = f" and {len(worse) - 3} more" if len(worse) > 3 else ""
        said += f" Worse than the weeks before by more than noise: {', '.join(worse[:3])}{more}."
    repeated = document["automation"]["repeated"]
    if repeated:
        said += f" {repeated} {'fix was' if repeated == 1 else 'fixes were'} repeated by automation."
    died = len(document["automation"]["interrupted"]) + document["automation"]["interrupted_left"]
    if died:
        said += f" {died} {'action of automation was' if died == 1 else 'actions of automation were'} interrupted."
    lost = _lost(document)
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        said += f" Too little is known of the week of {', '.join(lost[:3])}{more}."
    share = figures["coverage_share"]
    return said + (f" The data cover {percent(share)} of the week." if share is not None else "")


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"


def _part(change: object) -> str:
    """A change in parts: "+12 %"."""
    value = number(change)
    return NOTHING if value is None else f"{value:+.1%}".replace("%", " %")


def _change_view(row: Json, hosts: int) -> dict[str, Any]:
    change = number(row.get("change"))
    if change is None:
        said = row["why"] or NOTHING
    elif row["unit"] == "ratio":
        said = f"{change * 100:+.2f} points"
    else:
        said = _part(change)
    if change is not None and row["hosts"] < hosts:
        said += f" on {row['hosts']} of {hosts} hosts"
    return {
        "name": _NAMES.get(row["figure"], row["figure"]),
        "now": _value(row, "now"),
        "before": _value(row, "before"),
        "mean": _value(row, "mean"),
        "change": said,
    }


def _value(row: Json, key: str) -> str:
    value = number(row.get(key))
    if value is None:
        return NOTHING
    if row["unit"] == "count":
        return f"{value:,.10g}"
    return percent(value) if row["unit"] == "ratio" else duration(value)


def _host_view(host: Json) -> dict[str, Any]:
    review: Json = host["review"] or {}
    figures: Json = review.get("figures") or {}
    state, word = _VERDICTS[host["verdict"]]
    share = (review.get("coverage") or {}).get("share")
    return {
        "host": host["host"],
        "state": state,
        "word": word,
        "cells": [
            ("Operations", figure(figures.get("total_operations"))),
            ("Error rate", percent(figures.get("error_rate"))),
            ("Duration", duration(figures.get("average_duration_s"))),
            ("Peak sessions", figure(figures.get("peak_active_sessions"))),
            ("Covered", percent(share)),
        ],
    }


def _tests(hosts: Sequence[Json]) -> list[dict[str, Any]]:
    """What changed on which host by more than noise."""
    rows = [
        _test_view(host["host"], row)
        for host in hosts
        for row in (host["review"] or {}).get("degradation") or []
        if row["verdict"] in ("worse", "better")
    ]
    rows.sort(key=lambda row: row["state"] != "critical")
    return rows[:_SHOWN]


def _test_view(host: str, row: Json) -> dict[str, Any]:
    value: Callable[[object], str] = percent if row["figure"] == "error_rate" else duration
    state, word = _VERDICTS[row["verdict"]]
    return {
        "host": host,
        "state": state,
        "word": word,
        "figure": _NAMES.get(row["figure"], row["figure"]),
        "median": value(row["median"]),
        "before": value(row["median_before"]),
        "why": f"{row['why']}, {row['days']} and {row['days_before']} days",
    }


def _coverage(hosts: Sequence[Json]) -> list[str]:
    """What the data could not cover, in words."""
    notes = [] if hosts else ["No host was reviewed"]
    for host in hosts:
        review: Json | None = host["review"]
        if review is None:
            notes.append(f"{host['host']}: nothing is known of its week")
            continue
        coverage: Json = review["coverage"]
        missing = coverage["window_h"] - coverage["covered_h"]
        if missing >= 1:
            spans = [f"{when(gap['from'])} to {when(gap['to'])}" for gap in coverage["gaps"][:3]]
            more = len(coverage["gaps"]) + coverage["gaps_left"] - len(spans)
            notes.append(
                f"{host['host']}: no data of {missing:.0f} of {coverage['window_h']:g} h ({'; '.join(spans)}"
                + (f"; and {more} more)" if more > 0 else ")")
            )
        if coverage["restarts"]:
            starts = ", ".join(when(text) for text in coverage["restarts"][:3])
            notes.append(f"{host['host']}: the service was restarted, and forgot what was before ({starts})")
        notes += [f"{host['host']}: {note}" for note in coverage["notes"]]
    left = len(notes) - _NOTES_MAX
    return notes[:_NOTES_MAX] + ([f"and {left} more remarks in the document"] if left > 0 else [])
