# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operated service as systemd knows it: its properties, its processes, and the environment it runs with."""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import re
import shlex
from dataclasses import dataclass, field

from ..errors import MediaOpsError, OptionError
from .privilege import run, run_as

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
# What systemd gives a system service that sets none
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Where systemd keeps its groups: unified, hybrid, legacy
_CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
_MAX_FILE = 1 << 20


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


@dataclass(frozen=True)
class ServiceEnvironment:
    """What the service runs with. The variables hold secrets: they are passed on, and never shown.

    Attributes:
        variables: by name.
        source: ``process`` (the running one), or ``unit`` (what a start would get).
        unreadable: environment files that could not be read.
    """

    variables: dict[str, str] = field(repr=False)
    source: str
    unreadable: tuple[str, ...] = ()

    @property
    def denied(self) -> tuple[str, ...]:
        """Of the unreadable files those that are there, or may be: one that is missing adds nothing to a start."""
        return tuple(path for path in self.unreadable if not _is_missing(path))


def _is_missing(path: str) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def service_environment(properties: dict[str, str]) -> ServiceEnvironment:
    """The environment of the unit's main process, else the one its unit and files would give it."""
    pid = main_pid(properties)
    if pid:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            variables = _pairs(file.read(_MAX_FILE))
            if variables:
                return ServiceEnvironment(variables, "process")
    variables = {"PATH": DEFAULT_PATH}
    with contextlib.suppress(ValueError):
        for entry in shlex.split(properties.get("Environment", "")):
            name, separator, value = entry.partition("=")
            if separator:
                variables[name] = value
    unreadable = []
    for pattern in environment_files(properties):
        paths = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
        for path in paths:
            try:
                with open(path, encoding="utf-8", errors="surrogateescape") as file:
                    variables.update(parse_environment_file(file.read(_MAX_FILE)))
            except OSError:
                unreadable.append(path)
    return ServiceEnvironment(variables, "unit", tuple(unreadable))


def running_environment(properties: dict[str, str]) -> ServiceEnvironment | None:
    """The environment of the unit's main process, read as its own user where need be; None where it cannot be read."""
    pid = main_pid(properties)
    if not pid:
        return None
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return ServiceEnvironment(_pairs(file.read(_MAX_FILE)), "process")
    except OSError:
        user = properties.get("User") or "root"
        read = run_as(user, ["cat", f"/proc/{pid}/environ"], timeout_s=15, env={"PATH": DEFAULT_PATH})
        return ServiceEnvironment(_pairs(os.fsencode(read.out)), "process") if read.rc == 0 else None


def _pairs(environ: bytes) -> dict[str, str]:
    pairs = (entry.split(b"=", 1) for entry in environ.split(b"\0") if b"=" in entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, value in pairs}


def environment_files(properties: dict[str, str]) -> list[str]:
    """The unit's EnvironmentFile= paths, in the order in which they are read."""
    text = properties.get("EnvironmentFiles", "")
    return [
        match.group(1).lstrip("-")
        for match in re.finditer(r"(\S.*?) \(ignore_errors=(?:yes|no)\)(?:\s|$)", text)
        if match.group(1).lstrip("-").startswith("/")
    ]


def parse_environment_file(text: str) -> dict[str, str]:
    """Variables of an EnvironmentFile=, by systemd.exec(5): quotes, comments, continuations, no expansion."""
    variables: dict[str, str] = {}
    lines = iter(text.splitlines())
    for raw in lines:
        line = raw.lstrip()
        if not line or line[0] in "#;":
            continue
        while line.endswith("\\") and not line.endswith("\\\\"):
            line = line[:-1] + next(lines, "")
        name, separator, value = line.partition("=")
        name = name.strip()
        if separator and re.match(r"[A-Za-z_][A-Za-z0-9_]*\Z", name):
            variables[name] = _unquoted(value.strip())
    return variables


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        with contextlib.suppress(ValueError):
            return "".join(shlex.split(value, posix=True))
    return re.sub(r"\\(.)", r"\1", value)
