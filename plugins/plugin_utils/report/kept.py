# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller keeps of alerts: those of hosts that cannot, and which of each host's own are open.

One run at a time moves it on. What cannot be kept is named, and never in the way of what is to be told.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from ...module_utils.alerts.alert_state import read_alerts, write_alerts
from ...module_utils.alerts.transition import Alerts, is_alert, nothing_known
from ...module_utils.errors import MediaOpsError
from ...module_utils.shapes import json_object, mapping, one_line
from ...module_utils.state.directory import alone, failing, open_existing, read_file, replace_file

_HOSTS, _FLOCK = "hosts.json", "alerts.flock"
_VERSION = 1
_MAX_BYTES = 64 << 20
_DIRECTORY_MODE = 0o750

T = TypeVar("T")


class Host(NamedTuple):
    """What the controller knows of a host that has open alerts."""

    inventory: str  # in which it was seen
    alerts: list[dict[str, Any]]  # those that it keeps itself, as it told them last


class Kept(NamedTuple):
    """All that the controller keeps."""

    state: Alerts
    hosts: dict[str, Host]


def nothing_kept() -> Kept:
    """Before the first run."""
    return Kept(nothing_known(), {})


def moved(path: str, change: Callable[[Kept, bool], tuple[Kept, T]], *, check_mode: bool) -> tuple[T, list[str]]:
    """What a change gives of what is kept, which it moves on, and what could not be read or written.

    Args:
        path: the directory, made with its parents where it is not there.
        change: pure, since it is made once more where what is kept cannot be had alone or written; whether what it
            makes of it lasts is its other argument.
        check_mode: whether nothing is written.
    """
    problems: list[str] = []
    try:
        with _opened(path, check_mode=check_mode) as directory:
            if directory is None:
                return change(nothing_kept(), True)[1], []
            with contextlib.nullcontext() if check_mode else alone(directory, _FLOCK, path):
                kept, reset, problems = _read(directory, path)
                after, result = change(kept, True)
                if not check_mode:
                    write_alerts(directory, path, after.state, kept.state, reset=reset)
                    _write_hosts(directory, path, after.hosts, kept.hosts)
            return result, problems
    except (MediaOpsError, OSError) as error:
        problems.append(f"What is told of alerts cannot be kept, and may be told again: {one_line(error, 300)}")
    return change(_seen(path), False)[1], problems


@contextlib.contextmanager
def _opened(path: str, *, check_mode: bool) -> Iterator[int | None]:
    """The directory; None where check mode would make it."""
    if check_mode and not os.path.lexists(path):
        yield None
        return
    if not os.path.isdir(path):
        with failing(f"cannot make the directory {path}"):
            os.makedirs(path, mode=_DIRECTORY_MODE, exist_ok=True)
    directory = open_existing(path)
    try:
        yield directory
    finally:
        os.close(directory)


def _seen(path: str) -> Kept:
    """What can be read where nothing can be locked, such as on a disk that became read-only."""
    try:
        directory = open_existing(path)
    except (MediaOpsError, OSError):
        return nothing_kept()
    try:
        return _read(directory, path)[0]
    except (MediaOpsError, OSError):
        return nothing_kept()
    finally:
        os.close(directory)


def _read(directory: int, path: str) -> tuple[Kept, bool, list[str]]:
    state, reset = read_alerts(directory, path)
    hosts, why = _read_hosts(directory, path)
    return Kept(state, hosts), bool(reset), [problem for problem in (reset, why) if problem]


def _read_hosts(directory: int, path: str) -> tuple[dict[str, Host], str]:
    data, mode = read_file(directory, _HOSTS, f"{path}/{_HOSTS}", _MAX_BYTES)
    if mode is None:
        return {}, ""
    try:
        document = json_object(data)
        if document.get("version") == _VERSION:
            return {name: _host(row) for name, row in mapping(document["hosts"]).items()}, ""
    except (KeyError, TypeError, ValueError, RecursionError):
        pass
    return {}, f"{path}/{_HOSTS} could not be understood: it is not known which alerts of hosts were open"


def _host(row: Mapping[str, Any]) -> Host:
    return Host(str(row["inventory"]), [alert for alert in row["alerts"] if is_alert(alert)])


def _write_hosts(directory: int, path: str, hosts: Mapping[str, Host], known: Mapping[str, Host]) -> None:
    if hosts == known:
        return
    document = {"version": _VERSION, "hosts": {name: host._asdict() for name, host in hosts.items()}}
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
    replace_file(directory, _HOSTS, data, 0o600, f"{path}/{_HOSTS}")
