# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run on this controller: who it is, and whether another one that holds a lease is still alive."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...module_utils.times import from_text

_PLAYBOOK = "ansible-playbook"


def this_run() -> dict[str, Any]:
    """Host name, process id and user of the run that asks."""
    return {"controller": socket.gethostname(), "pid": _run_pid(), "user": _user()}


def dead_run(lease: object) -> str:
    """The id of the run that holds the lease where it is known to be dead, else "".

    Args:
        lease: RV(lease) of module guard, or None. Only a lease of this controller can be known to be dead.
    """
    if not isinstance(lease, Mapping) or lease.get("controller") != socket.gethostname():
        return ""
    pid = lease.get("controller_pid")
    taken = from_text(lease.get("taken_at"))
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 1 or taken is None:
        return ""
    began = _started_at(pid)
    # A process that began after the lease was taken has only inherited the number. Two seconds for the clocks' rounding
    # and a minute for a host's clock that differs.
    reused = began is not None and began > taken.timestamp() + 62
    return str(lease.get("run_id") or "") if began is None or reused else ""


def _run_pid() -> int:
    """The ansible-playbook above this process: filters run in it, or in a worker that it forked."""
    pid, found = os.getpid(), os.getpid()
    while pid > 1:
        if any(os.path.basename(part) == _PLAYBOOK for part in _argv(pid)[:3]):
            found = pid
        pid = _parent(pid)
    return found


def _argv(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return []


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on, the process's state first."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if len(fields) > 1 else 0


def _started_at(pid: int) -> float | None:
    """When the process was started, seconds since 1970; None where it is not there or a zombie."""
    fields = _stat(pid)
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def _user() -> str:
    for name in ("AWX_USER", "SUDO_USER", "USER", "LOGNAME"):
        if os.environ.get(name):
            return os.environ[name]
    return f"uid {os.getuid()}"
