# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operated service as systemd knows it: its properties and its processes."""

from __future__ import annotations

import contextlib
import itertools
import os
import re

from ..errors import MediaOpsError, OptionError
from .privilege import run

SYSTEMCTL = "/usr/bin/systemctl"
"""As root runs it: by the very path that role ``prepare`` grants."""
UNIT = re.compile(r"[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]*\Z")
PROPERTIES = (
    "Id",
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "Result",
    "MainPID",
    "NRestarts",
    "ExecMainCode",
    "ExecMainStatus",
    "ExecMainStartTimestampMonotonic",
    "ActiveEnterTimestampMonotonic",
    "ControlGroup",
    "User",
    "Type",
    "Restart",
    "RestartUSec",
    "KillMode",
    "TimeoutStopUSec",
    "Environment",
    "EnvironmentFiles",
    "WorkingDirectory",
    "NeedDaemonReload",
)
# Where systemd keeps its groups: unified, hybrid, legacy
_CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")


def unit_name(unit: str) -> str:
    """The unit's full name.

    Raises:
        OptionError: it is no name of a service.
    """
    if not UNIT.match(unit or "") or "/" in unit:
        raise OptionError("unit", unit, "must be the name of a systemd service, such as media-processing-service")
    return unit if "." in unit and unit.rsplit(".", 1)[1] in ("service", "scope") else f"{unit}.service"


def unit_properties(unit: str, names: tuple[str, ...] = PROPERTIES, *, timeout_s: float = 15) -> dict[str, str]:
    """Properties of a unit; one that is not there has LoadState ``not-found``.

    Raises:
        MediaOpsError: systemd does not answer on this host.
    """
    shown = run(
        ["systemctl", "show", "--no-pager", "--property", ",".join(names), "--", unit_name(unit)], timeout_s=timeout_s
    )
    found: dict[str, str] = {}
    for line in shown.out.splitlines():
        name, separator, value = line.partition("=")
        if separator:  # a list property such as EnvironmentFiles has a line for each of its entries
            found[name] = f"{found[name]}\n{value}" if name in found else value
    if shown.rc != 0 or not found:
        why = "no answer in time" if shown.timed_out else shown.msg or "no answer"
        raise MediaOpsError(f"systemd cannot be asked about {unit}: {why}", unit=unit)
    return found


def main_pid(properties: dict[str, str]) -> int:
    """The service's main process, 0 where it does not run."""
    text = properties.get("MainPID", "0")
    return int(text) if text.isdigit() else 0


def unit_pids(properties: dict[str, str]) -> set[int]:
    """Every process in the unit's control group and below it, also those that left its process group."""
    group = properties.get("ControlGroup", "")
    if not group.startswith("/") or group.strip("/") == "":
        return set()
    pids: set[int] = set()
    for root, _directories, files in itertools.chain.from_iterable(os.walk(top + group) for top in _CGROUPS):
        if "cgroup.procs" in files:
            with contextlib.suppress(OSError), open(os.path.join(root, "cgroup.procs"), encoding="ascii") as file:
                pids.update(int(line) for line in file if line.strip().isdigit())
    return pids
