# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics for node_exporter's textfile collector: one file for each source, and one for the host.

The collector refuses a sample that two files have, so what holds for the host as a whole stands in a file of its own.
It wants no timestamps: how old a figure is, a metric with a time as its value tells.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable

from ..errors import OptionError
from ..opener import open_directory
from ..shapes import STATES, number, one_line
from ..times import from_text, utc_now
from .directory import read_file, replace_file
from .mutes import Mute, mute_name, sound_mute

Sample = tuple[str, Mapping[str, str], float]

FAMILIES: dict[str, str] = {
    "media_ops_check_state": "State of a check: 0 ok, 1 warning, 2 unknown, 3 critical.",
    "media_ops_last_run_timestamp_seconds": "When the source last ran, whatever it found.",
    "media_ops_last_success_timestamp_seconds": "When the source last ran with an answer to every check.",
    "media_ops_open_alerts": "Checks of the source that are alerted on now.",
    "media_ops_suppressed_findings": "Runs that found something bad or changed since the last message, and sent none.",
    "media_ops_heartbeat_timestamp_seconds": "When any source last ran on the host.",
    "media_ops_pending_messages": "Messages that not every channel has yet.",
    "media_ops_dropped_messages": "Messages that were ever dropped undelivered.",
    "media_ops_recent_actions": "Actions of automation in the ledger within the last hours, by result.",
    "media_ops_lease_held": "Whether a run holds the lease on the host.",
    "media_ops_lease_age_seconds": "How long the lease has been held.",
    "media_ops_lease_expired": "Whether the lease is over its time, as after a run that died.",
    "media_ops_paused": "Whether a person paused automation on the host.",
    "media_ops_mute_ends_timestamp_seconds": "When a mute of a person ends; what it mutes counts as ok until then.",
    "media_ops_breaker_open": "Whether the breaker of the fleet is open, so that no host is touched.",
    "media_ops_overrides_active": "Overrides that are in force on the host.",
}
"""All gauges, by name, with their help. The same help in each file, or the collector refuses them."""

_SOURCE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_HOST_FILE = "host"
_LABEL = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_SUCCESS = re.compile(r"^media_ops_last_success_timestamp_seconds\{[^}]*\} ([0-9]{1,15})$", re.MULTILINE)
_MAX_BYTES = 4 << 20
_SAMPLES_MAX = 2000


@dataclass(frozen=True)
class _Facts:
    """What a run knows, checked."""

    source: str
    verdicts: list[Mapping[str, Any]]
    alerts: Mapping[str, Any]
    guard: Mapping[str, Any]
    breaker_open: bool | None
    overrides_active: int | None
    mutes: list[Mute]
    now: datetime


def metrics_textfile(
    params: Mapping[str, Any], *, warn: Callable[[str], None], check_mode: bool = False
) -> dict[str, Any]:
    """The result of module metrics_textfile."""
    facts = _facts(params)
    directory = params["textfile_dir"]
    opened, reason = _open(directory)
    if reason:
        warn(f"no metrics are written: {reason}")
    files: dict[str, str] = {}
    try:
        before = _last_success(opened, facts.source)
        files[_file(facts.source)] = exposition(_of_source(facts, before))
        files[_file(_HOST_FILE)] = exposition(_of_host(facts))
        if opened >= 0 and not check_mode:
            for name, text in files.items():
                replace_file(opened, name, text.encode("utf-8"), 0o644, f"{directory}/{name}")
    finally:
        if opened >= 0:
            os.close(opened)
    return {
        "changed": False,
        "written": not reason and not check_mode,
        "reason": reason,
        "files": {} if reason else {os.path.join(directory, name): text for name, text in files.items()},
    }


def exposition(samples: Iterable[Sample]) -> str:
    """The samples in Prometheus's text format, each family once and in one piece."""
    by_family: dict[str, list[str]] = {}
    for name, labels, value in samples:
        pairs = ",".join(f'{label}="{text.translate(_LABEL)}"' for label, text in labels.items())
        shown = f"{{{pairs}}}" if pairs else ""
        by_family.setdefault(name, []).append(f"{name}{shown} {_figure(value)}")
    lines = []
    for name, of_family in by_family.items():
        lines += [f"# HELP {name} {FAMILIES[name]}", f"# TYPE {name} gauge", *of_family[:_SAMPLES_MAX]]
    return "\n".join(lines) + "\n"


def _figure(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _of_source(facts: _Facts, last_success: float | None) -> Iterator[Sample]:
    mine = {"source": facts.source}
    states: dict[str, int] = {}
    for verdict in facts.verdicts:
        check = one_line(verdict["check"], 100)
        states[check] = max(states.get(check, 0), _state(verdict))
    for check, state in sorted(states.items()):
        yield "media_ops_check_state", {**mine, "check": check}, state
    now = facts.now.timestamp()
    yield "media_ops_last_run_timestamp_seconds", mine, now
    seen_all = bool(states) and STATES.index("unknown") not in states.values()
    success = now if seen_all else last_success
    if success is not None:
        yield "media_ops_last_success_timestamp_seconds", mine, success
    if "open" in facts.alerts:
        alerts = [alert for alert in facts.alerts["open"] if alert.get("source") == facts.source]
        yield "media_ops_open_alerts", mine, len(alerts)
    suppressed = number((facts.alerts.get("suppressed") or {}).get(facts.source, 0))
    if "suppressed" in facts.alerts and suppressed is not None:
        yield "media_ops_suppressed_findings", mine, suppressed


def _state(verdict: Mapping[str, Any]) -> int:
    state = verdict.get("state")
    return STATES.index(state) if isinstance(state, str) and state in STATES else STATES.index("unknown")


def _of_host(facts: _Facts) -> Iterator[Sample]:
    nothing: dict[str, str] = {}
    now = facts.now.timestamp()
    yield "media_ops_heartbeat_timestamp_seconds", nothing, now
    if "pending" in facts.alerts:
        yield "media_ops_pending_messages", nothing, number(facts.alerts["pending"]) or 0
        yield "media_ops_dropped_messages", nothing, number(facts.alerts.get("dropped")) or 0
    for key, count in sorted((facts.guard.get("counts") or {}).items()):
        action, _space, result = str(key).partition(" ")
        figure = number(count)
        if figure is not None:
            yield "media_ops_recent_actions", {"action": one_line(action, 60), "result": one_line(result, 60)}, figure
    if "lease" in facts.guard:
        yield from _of_lease(facts.guard["lease"], facts.now)
        yield "media_ops_paused", nothing, bool(facts.guard.get("pause"))
    ends = {one_line(mute_name(mute), 200): from_text(mute["until"]) for mute in facts.mutes}
    for name, end in sorted(ends.items()):
        if end is not None:
            yield "media_ops_mute_ends_timestamp_seconds", {"mute": name}, end.timestamp()
    if facts.breaker_open is not None:
        yield "media_ops_breaker_open", nothing, facts.breaker_open
    if facts.overrides_active is not None:
        yield "media_ops_overrides_active", nothing, facts.overrides_active


def _of_lease(lease: object, now: datetime) -> Iterator[Sample]:
    held = lease if isinstance(lease, Mapping) else {}
    yield "media_ops_lease_held", {}, bool(held)
    yield "media_ops_lease_expired", {}, bool(held.get("expired"))
    taken = from_text(held.get("taken_at"))
    if taken is not None:
        yield "media_ops_lease_age_seconds", {}, max(0.0, (now - taken).total_seconds())


def _facts(params: Mapping[str, Any]) -> _Facts:
    source = params["source"]
    if not _SOURCE.fullmatch(source) or source == _HOST_FILE:
        why = f"must be a lower case letter, then lower case letters, digits and _, and not '{_HOST_FILE}'"
        raise OptionError("source", source, why)
    for verdict in params["verdicts"]:
        if not isinstance(verdict.get("check"), str) or not verdict["check"]:
            raise OptionError("verdicts", one_line(verdict, 80), "each needs a check")
    overrides = params["overrides_active"]
    if overrides is not None and overrides < 0:
        raise OptionError("overrides_active", overrides, "must be 0 or more")
    return _Facts(
        source,
        params["verdicts"],
        params["alerts"],
        params["guard"],
        params["breaker_open"],
        overrides,
        [sound_mute(mute, "mutes") for mute in params.get("mutes") or []],
        utc_now(),
    )


def _file(name: str) -> str:
    return f"media_ops_{name}.prom"


def _open(path: str) -> tuple[int, str]:
    """The directory, or -1 and why it cannot be used: a host without node_exporter is not broken."""
    if not path.startswith("/") or os.path.normpath(path) == "/":
        raise OptionError("textfile_dir", path, "must be an absolute path, and not /")
    try:
        opened = open_directory(path)
    except FileNotFoundError:
        return -1, f"{path} does not exist: is node_exporter installed, with its textfile collector?"
    except OSError as error:
        return -1, f"{path} cannot be used: {error.strerror}"
    facts = os.fstat(opened)
    if facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX:
        os.close(opened)
        return -1, f"{path} cannot be used: everybody may write there"
    if not os.access(path, os.W_OK | os.X_OK):
        os.close(opened)
        return -1, f"{path} cannot be written by this user: give it a group that may"
    return opened, ""


def _last_success(directory: int, source: str) -> float | None:
    """What the file of the run before says."""
    if directory < 0:
        return None
    data, _mode = read_file(directory, _file(source), _file(source), _MAX_BYTES)
    found = _SUCCESS.search(data.decode("utf-8", "replace"))
    return float(found[1]) if found else None
