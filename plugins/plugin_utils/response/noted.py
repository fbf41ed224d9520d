# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What logs and statistics say of an incident, in a line for each kind of question of the runbook. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.shapes import Json, number, one_line
from ...module_utils.words import number_of
from ..judging.cause import cause

_COUNTED = (
    ("extra.error_code", "error codes"),
    ("extra.input_format", "input formats"),
    ("extra.validation_error", "validation errors"),
)


def noted_findings(noted: Json) -> list[dict[str, str]]:
    """One finding for each thing that role incident noted of logs and statistics, as ``diagnose`` gives them.

    Args:
        noted: ``counts`` (of log_digest_info), ``last_failures``, ``file_sizes`` and ``over_limit`` (its last entries),
            ``stages`` (ranked), ``busy_metrics`` (samples with active sessions). All may be missing.
    """
    lines = {
        **_counts(noted.get("counts")),
        "failures": _failures(_rows(noted.get("last_failures"))),
        "file sizes": _sizes(_rows(noted.get("file_sizes"))),
        "stages": _stages(_rows(noted.get("stages"))),
        "slow operations": _slow(_rows(noted.get("over_limit"))),
        "busy hours": _busy(_rows(noted.get("busy_metrics"))),
    }
    return [
        {"subject": subject, "class": "noted", "finding": one_line(line, 300)}
        for subject, line in lines.items()
        if line
    ]


def _rows(value: object) -> list[Json]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _counts(raw: object) -> dict[str, str]:
    counts = raw if isinstance(raw, Mapping) else {}
    found = {}
    for field, subject in _COUNTED:
        rows = _rows(counts.get(field))
        if rows:
            found[subject] = ", ".join(f"{one_line(row.get('value'), 60)} {row.get('count')}" for row in rows[:10])
    return found


def field_of(entry: Json, name: str) -> Any:
    """A field of a log entry by its dotted name, given whole or as one key."""
    if name in entry:
        return entry[name]
    value: Any = entry
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _failures(rows: Sequence[Json]) -> str:
    if not rows:
        return ""
    newest = rows[-1]
    what = field_of(newest, "extra.error_message") or newest.get("message") or ""
    return f"{len(rows)} of the last entries failed, newest {newest.get('timestamp')}: {cause(what, 160)}"


def _sizes(rows: Sequence[Json]) -> str:
    sizes = sorted(size for row in rows if (size := number(field_of(row, "extra.file_size_bytes"))) is not None)
    return "bytes, smallest first: " + ", ".join(f"{size:g}" for size in sizes) if sizes else ""


def _stages(rows: Sequence[Json]) -> str:
    ranked = [(row.get("stage"), number(row.get("average_duration_s"))) for row in rows]
    return ", ".join(f"{stage} {value:.0f} s" for stage, value in ranked if value is not None)


def _slow(rows: Sequence[Json]) -> str:
    timed = [(number(field_of(row, "extra.duration_seconds")), row) for row in rows]
    known = [(seconds, row) for seconds, row in timed if seconds is not None]
    if not known:
        return ""
    longest, row = max(known, key=lambda pair: pair[0])
    memory = number(field_of(row, "extra.memory_usage_mb"))
    used = f", with {memory:g} MB" if memory is not None else ""
    return f"{number_of(len(known), 'operation')} over the limit, the longest {longest:.0f} s{used}"


def _busy(rows: Sequence[Json]) -> str:
    cpu = [value for row in rows if (value := number(row.get("cpu_usage_percent", row.get("cpu_percent")))) is not None]
    memory = [
        value
        for row in rows
        if (value := number(row.get("memory_usage_percent", row.get("memory_percent")))) is not None
    ]
    if not cpu or not memory:
        return ""
    return (
        f"{number_of(len(cpu), 'sample')} with active sessions: CPU {sum(cpu) / len(cpu):.0f} % on average, "
        f"{max(cpu):.0f} % at most, memory {max(memory):.0f} % at most"
    )
