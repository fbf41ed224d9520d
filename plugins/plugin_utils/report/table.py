# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict table of the terminal, as lines of text with the state that colours their beginning. Pure.

The summary comes out of set_stats, so anything can stand in it: what is not of the right kind is left out or unknown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...module_utils.shapes import STATES, Json, one_line, worst_state
from .result import SCHEMA_VERSION

WIDTH_MIN = 60
_WORDS = {"ok": "OK", "warning": "WARNING", "unknown": "UNKNOWN", "critical": "CRITICAL"}
_STATE_WIDTH = 9
_OK_LISTED = 20
_HOSTS_WRAPPED = 20  # with more rows than these, one line each
_LINES_MAX = 3
_FOUND_MAX = 5
_MUTES_MAX = 10


class Line(NamedTuple):
    """One line; the first `coloured` characters belong to the state."""

    text: str
    state: str = ""
    coloured: int = 0


def table(summary: object, width: int) -> list[Line]:
    """The lines to print; none when there is no summary.

    Args:
        summary: ``media_ops_summary`` of set_stats.
        width: columns of the terminal; below 60 the table is as wide as 60. Commands and paths are never broken.
    """
    if not isinstance(summary, Mapping):
        return []
    if summary.get("schema_version") != SCHEMA_VERSION:
        version = one_line(summary.get("schema_version"), 20)
        return [Line(f"No verdict table: the summary has schema_version {version}, not {SCHEMA_VERSION}.")]
    width = max(width, WIDTH_MIN)
    hosts = sorted((_host(row) for row in _rows(summary, "hosts")), key=lambda h: -STATES.index(h.state))
    fine = [host for host in hosts if host.state == "ok"]
    shown = hosts if len(fine) <= _OK_LISTED else hosts[: len(hosts) - len(fine)]
    findings = [_finding(row) for row in _rows(summary, "findings")]
    lines = _found(findings, width) if findings else _body(shown, width) if shown else []
    if not findings and len(shown) < len(hosts):
        lines.append(Line(f"{_word('ok')}{len(fine)} more hosts", "ok", len("OK")))
    lines += [Line(""), *_verdict(summary, hosts, width)]
    problems = summary.get("problems")
    for problem in problems if isinstance(problems, list) else []:
        first, *more = _wrapped(f"Problem: {one_line(problem, 600)}", width, 6)
        lines += [Line(first, "unknown", len("Problem")), *(Line(f"  {text}") for text in more)]
    reports = summary.get("reports")
    paths = [_exact(path) for path in reports if isinstance(path, str)] if isinstance(reports, Sequence) else []
    if paths and not isinstance(reports, str):
        lines.append(Line(f"Report: {paths[0]}"))
    return lines + _next(summary, width)


class _Host(NamedTuple):
    host: str
    state: str
    check: str
    message: str


def _rows(summary: Json, key: str) -> list[Json]:
    rows = summary.get(key)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, Sequence) else []


def _host(row: Json) -> _Host:
    texts = [one_line(row.get(key) or "-", limit) for key, limit in (("host", 253), ("check", 60), ("message", 300))]
    return _Host(texts[0], _state(row.get("state")), texts[1], texts[2])


def _state(raw: object) -> str:
    return raw if isinstance(raw, str) and raw in STATES else "unknown"


def _word(state: str) -> str:
    return _padded(_WORDS[state], _STATE_WIDTH)


def _body(hosts: Sequence[_Host], width: int) -> list[Line]:
    name = min(max(4, *(_columns(host.host) for host in hosts)), width // 3)
    check = min(max(5, *(_columns(host.check) for host in hosts)), width // 5)
    rest = width - _STATE_WIDTH - name - check - 2
    lines = [Line(f"{_padded('STATE', _STATE_WIDTH)}{_padded('HOST', name)} {_padded('CHECK', check)} FINDING")]
    for host in hosts:
        most = _LINES_MAX if len(hosts) <= _HOSTS_WRAPPED and host.state != "ok" else 1
        first, *more = _wrapped(host.message, rest, most)
        row = f"{_word(host.state)}{_fitted(host.host, name)} {_fitted(host.check, check)} {first}"
        lines.append(Line(row.rstrip(), host.state, len(_WORDS[host.state])))
        lines += [Line(" " * (width - rest) + text) for text in more]
    return lines


def _finding(row: Json) -> tuple[_Host, str]:
    """What was found on several hosts at once, and what mends it."""
    return _host({**row, "host": _names(row)}), one_line(row.get("action") or "", 400)


def _found(findings: Sequence[tuple[_Host, str]], width: int) -> list[Line]:
    """A row for each finding, and below it what mends it."""
    name = min(max(4, *(_columns(host.host) for host, _action in findings)), width // 4)
    check = min(max(5, *(_columns(host.check) for host, _action in findings)), width // 5)
    rest = width - _STATE_WIDTH - name - check - 2
    lines = [Line(f"{_padded('STATE', _STATE_WIDTH)}{_padded('HOST', name)} {_padded('CHECK', check)} FINDING")]
    for host, action in findings:
        first, *more = _wrapped(host.message, rest, _FOUND_MAX)
        row = f"{_word(host.state)}{_fitted(host.host, name)} {_fitted(host.check, check)} {first}"
        lines.append(Line(row.rstrip(), host.state, len(_WORDS[host.state])))
        below = [*more, *(_wrapped(f"-> {action}", rest, _FOUND_MAX) if action else [])]
        lines += [Line(" " * (width - rest) + text) for text in below]
    return lines


def _verdict(summary: Json, hosts: Sequence[_Host], width: int) -> list[Line]:
    # The worst of what the summary says: a run without hosts, or with hosts worse than it says, is not ok.
    state = worst_state([_state(summary.get("state")), *([host.state for host in hosts] or ["unknown"])])
    title = one_line(summary.get("title") or "Check", 80)
    counts = [(s, sum(1 for host in hosts if host.state == s)) for s in reversed(STATES)]
    found = ", ".join(f"{count} {s}" for s, count in counts if count) or "no host was checked"
    failed = summary.get("failed")
    end = " The run fails." if failed is True else "" if failed is False else " Whether the run fails is not known."
    first, *more = _wrapped(f"{_WORDS[state]}: {title}: {found}.{end}", width, 4)
    beside = [*more, *_refused(summary, width), *_muted(summary, width)]
    return [Line(first, state, len(_WORDS[state])), *(Line(text) for text in beside)]


def _refused(summary: Json, width: int) -> list[str]:
    """Why nothing, or no more, was done: a line or two for each reason."""
    lines: list[str] = []
    for row in _rows(summary, "refused")[:_LINES_MAX]:
        said = f"Not done on {_names(row)}: {one_line(row.get('why') or '', 300)}"
        lines += _wrapped(said, width, _LINES_MAX)
    return lines


def _muted(summary: Json, width: int) -> list[str]:
    """What counts for nothing by a person's word: a line or two for each mute."""
    lines: list[str] = []
    rows = _rows(summary, "muted")
    for row in rows[:_MUTES_MAX]:
        what, until, by = (one_line(row.get(key) or "?", 80) for key in ("mute", "until", "by"))
        said = f"Muted on {_names(row)}: {what} until {until} by {by}: {one_line(row.get('reason') or '', 300)}"
        lines += _wrapped(said, width, _LINES_MAX)
    return [*lines, f"and {len(rows) - _MUTES_MAX} more mutes"] if len(rows) > _MUTES_MAX else lines


def _names(row: Json) -> str:
    names = row.get("hosts") if isinstance(row.get("hosts"), Sequence) else []
    on = ", ".join(one_line(name, 80) for name in list(names or [])[:_LINES_MAX])
    return on + (f" and {len(names) - _LINES_MAX} more" if names and len(names) > _LINES_MAX else "")


def _next(summary: Json, width: int) -> list[Line]:
    lines: list[Line] = []
    for row in _rows(summary, "next"):
        why, command = one_line(row.get("why") or "", 300), row.get("command")
        if why:
            lines += [Line(f"  {text}") for text in _wrapped(why, width - 2, _FOUND_MAX)]
        if isinstance(command, str) and command:
            lines.append(Line(f"    {_exact(command)}"))
        pasted = row.get("lines")
        # At the beginning of a line, as they are to be pasted
        block = [Line(_exact(line)) for line in pasted if isinstance(line, str)] if isinstance(pasted, list) else []
        lines += [Line(""), *block, Line("")] if block else []
    return [Line("Next:"), *lines] if lines else []


def _exact(text: str) -> str:
    """To be copied: whole, but without anything that could steer the terminal."""
    return one_line(text, max(len(text), 1))


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _columns(text))


def _cut(text: str, width: int) -> str:
    """As much of the text as fits."""
    taken = 0
    for at, character in enumerate(text):
        taken += _columns(character)
        if taken > width:
            return text[:at]
    return text


def _fitted(text: str, width: int) -> str:
    return _padded(text if _columns(text) <= width else _cut(text, width - 1) + "…", width)


def _wrapped(text: str, width: int, lines_max: int) -> list[str]:
    """The text in at most so many lines, broken between words where it can be."""
    lines: list[str] = []
    while text and len(lines) < lines_max:
        if _columns(text) <= width:
            return [*lines, text]
        head = _cut(text, width)
        if len(lines) == lines_max - 1:
            return [*lines, _cut(text, width - 1) + "…"]
        space = text.rfind(" ", 1, len(head) + 1)
        end = space if space > width // 3 else len(head)
        lines.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return lines or [""]
