# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run on this controller: who it is, and whether another one that holds a lease is still alive."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...module_utils.shapes import mapping, one_line

# What tells one process from every other. All of it must be known of a run before that can be called dead.
_WHERE = ("machine_id", "boot_id", "namespaces")


def this_run(variables: Mapping[str, Any], template: Callable[[Any], Any]) -> dict[str, Any]:
    """Host name, user and process of the run that asks.

    Args:
        variables: of the task; a job of AWX is named by them.
        template: gives a variable's value.
    """

    def of_job(name: str) -> str:
        names = (f"awx_{name}", f"tower_{name}")
        return next((one_line(template(variables[key]), 80) for key in names if variables.get(key)), "")

    return {"controller": socket.gethostname(), "user": _owner(of_job), "process": _process()}


def dead_run(lease: object) -> str:
    """The id of the run that holds the lease where it is known to be dead, else "".

    A host name proves nothing: containers and cloned machines share theirs. Only of a process of this machine, since
    it was started last, in this namespace of processes, can it be seen here that it is gone.

    Args:
        lease: RV(lease) of module guard, or None.
    """
    holder = mapping(lease)
    process, here = mapping(holder.get("controller_process")), _process()
    if not all(_is_known(process.get(key)) and process[key] == here[key] for key in _WHERE):
        return ""
    pid, start = _count(process.get("pid")), _count(process.get("start"))
    if not pid or pid == 1 or not start:
        return ""
    return str(holder.get("run_id") or "") if _is_gone(pid, start) else ""


def is_own(lease: object) -> bool:
    """Whether a lease is this run's.

    Args:
        lease: as for :func:`dead_run`.
    """
    process = mapping(mapping(lease).get("controller_process"))
    return bool(_count(process.get("pid"))) and dict(process) == _process()


def _is_known(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _count(value: object) -> int:
    """The number, 0 where it is none above 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _is_gone(pid: int, start: int) -> bool:
    """Whether no process has this number any more, or one that was started at another time. What is hidden is there."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass  # another user's
    fields = _stat(pid)
    if len(fields) < 20:
        return False
    try:
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return False
    return int(fields[19]) != start or (fields[0] in "ZX" and threads <= 1)


def _process() -> dict[str, Any]:
    """The run's process: ``machine_id``, ``boot_id``, ``namespaces``, ``pid`` and ``start`` (clock ticks since boot).

    A text is "" and a number 0 where it is not known: with it nobody can ever see that the run is dead.
    """
    pid = _run_pid()
    fields = _stat(pid)
    return {
        "machine_id": _read("/etc/machine-id"),
        "boot_id": _read("/proc/sys/kernel/random/boot_id"),
        "namespaces": _namespaces(),
        "pid": pid,
        "start": int(fields[19]) if len(fields) >= 20 else 0,
    }


def _namespaces() -> str:
    """The namespaces in which numbers of processes and times since boot hold; "" where /proc is another one's."""
    try:
        if int(os.readlink("/proc/self")) != os.getpid():
            return ""
        found = [os.readlink("/proc/self/ns/pid")]
        if os.path.lexists("/proc/self/ns/time"):
            found.append(os.readlink("/proc/self/ns/time"))
    except (OSError, ValueError):
        return ""
    return " ".join(found)


def _read(path: str) -> str:
    try:
        return one_line(Path(path).read_text(encoding="ascii", errors="replace").strip(), 80)
    except OSError:
        return ""


def _run_pid() -> int:
    """The process of the run. Actions run in workers that it forked, which have its command line."""
    pid = os.getpid()
    mine, parent = _command_line(pid), _parent(pid)
    while parent > 1 and mine and _command_line(parent) == mine:
        pid, parent = parent, _parent(parent)
    return pid


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on, the process's state first."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if len(fields) > 1 else 0


def _owner(of_job: Callable[[str], str]) -> str:
    """Who started the run: of a job of AWX its user or schedule and its number, of ansible-runner its ident as well."""
    job, schedule = of_job("job_id"), of_job("schedule_name")
    who = of_job("user_name") or (f"schedule {schedule}" if schedule else "")
    if job:
        return f"{who or 'nobody that is named'}, AWX job {job}"
    ident = os.path.basename(os.environ.get("AWX_ISOLATED_DATA_DIR", "").rstrip("/"))
    return ", ".join([who or _user(), *([f"ansible-runner {one_line(ident, 80)}"] if ident else [])])


def _user() -> str:
    for name in ("SUDO_USER", "USER", "LOGNAME"):
        if os.environ.get(name):
            return os.environ[name]
    return f"uid {os.getuid()}"
