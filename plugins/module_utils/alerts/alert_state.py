# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The alert state of a host in its state directory: read, moved on and replaced as a whole, one run at a time."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import OptionError
from ..shapes import json_object, one_line
from ..state.directory import alone, failing, open_state_dir, read_file, replace_file
from ..times import utc_now
from .transition import (
    AlertPolicy,
    Alerts,
    Message,
    Run,
    acknowledge,
    claim,
    load,
    nothing_known,
    open_alerts,
    transition,
)

_FILE, _BROKEN, _FLOCK = "alerts.json", "alerts.json.broken", "alerts.flock"
_MAX_BYTES = 64 << 20
_SOURCE = re.compile(r"[a-z][a-z0-9_]{0,62}")


def alert_state(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """The result of module alert_state."""
    policy = _policy(params)
    recording = params["state"] == "recorded"
    if recording:
        _require_run(params)
    path = params["state_dir"]
    if check_mode and params["create"] and not os.path.lexists(path):
        return _result(_moved(nothing_known(), params, policy), reset="")
    opened = open_state_dir(path, create=params["create"], check_mode=check_mode)
    directory = opened[0] if opened else -1
    try:
        with contextlib.nullcontext() if check_mode else alone(directory, _FLOCK, path):
            known, reset = read_alerts(directory, path)
            moved = _moved(known, params, policy)
            if not check_mode:
                write_alerts(directory, path, moved.state, known, reset=bool(reset))
    finally:
        if opened:
            os.close(directory)
    return _result(moved, reset=reset)


class _Moved(NamedTuple):
    state: Alerts
    messages: list[Message]  # that this run may send
    new: int = 0
    acked: int = 0


def _moved(known: Alerts, params: Mapping[str, Any], policy: AlertPolicy) -> _Moved:
    if params["state"] == "acked":
        state, acked = acknowledge(known, params["deliveries"])
        return _Moved(state, state["pending"], acked=acked)
    if params["state"] == "observed":
        return _Moved(known, known["pending"])
    run = Run(params["source"], params["run_id"], params["host"], utc_now())
    state, messages = transition(known, params["verdicts"], run, policy)
    state, mine = claim(state, run, params["hold"])
    return _Moved(state, mine, new=len(messages))


def _result(moved: _Moved, *, reset: str) -> dict[str, Any]:
    suppressed: dict[str, int] = {}
    for entry in moved.state["entries"].values():
        suppressed[entry["source"]] = suppressed.get(entry["source"], 0) + entry["suppressed"]
    return {
        "changed": False,
        "messages": moved.messages,
        "pending": len(moved.state["pending"]),
        "new": moved.new,
        "acked": moved.acked,
        "open": open_alerts(moved.state),
        "suppressed": suppressed,
        "dropped": moved.state["dropped"],
        "reset": reset,
    }


def _policy(params: Mapping[str, Any]) -> AlertPolicy:
    bounds = {
        "settle": (1, 100),
        "flap_changes": (2, 100),
        "keep": (10, 10000),
        "reminder_after": (0, math.inf),
        "hold": (0, 86400),
        "flap_window": (1, 7 * 86400),
        "flap_quiet": (1, 7 * 86400),
    }
    for option, (low, high) in bounds.items():
        # "not" also refuses NaN.
        if not low <= params[option] <= high:
            span = f"{low:g} to {high:g}" if high < math.inf else f"{low:g} or more"
            raise OptionError(option, params[option], f"must be {span}")
    return AlertPolicy(
        alert_from=params["alert_from"],
        reminder_after_s=min(params["reminder_after"], 10 * 365 * 86400),
        settle=params["settle"],
        flap_changes=params["flap_changes"],
        flap_window_s=params["flap_window"],
        flap_quiet_s=params["flap_quiet"],
        keep=params["keep"],
    )


def _require_run(params: Mapping[str, Any]) -> None:
    for option in ("run_id", "host", "source"):
        if not params[option]:
            raise OptionError(option, params[option], "is needed with state=recorded")
    if not _SOURCE.fullmatch(params["source"]):
        raise OptionError(
            "source", params["source"], "must be a lower case letter, then lower case letters, digits and _"
        )
    if not params["verdicts"]:
        # To take it for "all is well" would end every alert.
        raise OptionError("verdicts", [], "nothing was judged; at least one verdict is needed")
    for verdict in params["verdicts"]:
        if not isinstance(verdict.get("check"), str) or not verdict["check"]:
            raise OptionError("verdicts", one_line(verdict, 80), "each needs a check")


def read_alerts(directory: int, path: str) -> tuple[Alerts, str]:
    """What is known, and why it is not what the file says; a file that cannot be read starts all over."""
    data, mode = read_file(directory, _FILE, f"{path}/{_FILE}", _MAX_BYTES)
    if mode is None:
        there = _lexists(directory)
        return nothing_known(), f"{path}/{_FILE} is not a readable file" if there else ""
    try:
        state = load(json_object(data))
    except (ValueError, RecursionError):
        state = None
    if state is None:
        return nothing_known(), f"{path}/{_FILE} could not be understood: every bad state is told anew"
    return state, ""


def write_alerts(directory: int, path: str, state: Alerts, known: Alerts, *, reset: bool) -> None:
    """Write the state where it is another than the one known; one that began anew leaves what was there aside."""
    if reset:
        with failing(f"cannot set {path}/{_FILE} aside"):
            os.rename(_FILE, _BROKEN, src_dir_fd=directory, dst_dir_fd=directory)
    if state != known or reset:
        data = json.dumps(state, sort_keys=True, separators=(",", ":")).encode("utf-8") + b"\n"
        replace_file(directory, _FILE, data, 0o600, f"{path}/{_FILE}")


def _lexists(directory: int) -> bool:
    try:
        os.stat(_FILE, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
