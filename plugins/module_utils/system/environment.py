# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the operated service runs with: the environment of its process, or what its unit and its files would give it."""

from __future__ import annotations

import contextlib
import glob
import os
import shlex
from dataclasses import dataclass, field

from ..errors import MediaOpsError
from ..redact import secret_values
from .environment_files import environment_files, read_environment_file, required_files
from .operated import Operated, service_properties
from .privilege import run_as
from .systemd import main_pid

# What systemd gives a system service that sets none
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_FILE = 1 << 20


def environ_path(pid: int) -> str:
    """Where the environment of a process is; for its own user and root."""
    return f"/proc/{pid}/environ"


@dataclass(frozen=True)
class ServiceEnvironment:
    """What the service runs with. The variables hold secrets: they are passed on, and never shown.

    Attributes:
        variables: by name.
        source: ``process`` (the running one), or ``unit`` (what a start would get).
        unreadable: environment files that could not be read, without optional ones that are not there.
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
    with contextlib.suppress(OSError):
        variables = _of_process(main_pid(properties))
        if variables:
            return ServiceEnvironment(variables, "process")
    return unit_environment(properties)


def unit_environment(properties: dict[str, str]) -> ServiceEnvironment:
    """The environment that the unit and its files would give a start."""
    variables = {"PATH": DEFAULT_PATH}
    with contextlib.suppress(ValueError):
        for entry in shlex.split(properties.get("Environment", "")):
            name, separator, value = entry.partition("=")
            if separator:
                variables[name] = value
    unreadable, required = [], required_files(properties)
    for pattern in environment_files(properties):
        paths = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
        for path in paths:
            try:
                variables.update(read_environment_file(path))
            except FileNotFoundError:
                if path in required:
                    unreadable.append(path)
            except OSError:
                unreadable.append(path)
    return ServiceEnvironment(variables, "unit", tuple(unreadable))


def secrets_of(service: Operated | None) -> set[str]:
    """The secrets that the service runs with, as far as this process may read them."""
    if service is None:
        return set()
    try:
        return secret_values(service_environment(service_properties(service)).variables)
    except MediaOpsError:
        return set()


def running_environment(properties: dict[str, str]) -> ServiceEnvironment | None:
    """The environment of the unit's main process, read as its own user where need be; None where it cannot be read."""
    pid = main_pid(properties)
    if not pid:
        return None
    try:
        return ServiceEnvironment(_of_process(pid), "process")
    except OSError:
        user = properties.get("User") or "root"
        read = run_as(user, ["cat", environ_path(pid)], timeout_s=15, env={"PATH": DEFAULT_PATH})
        return ServiceEnvironment(_pairs(os.fsencode(read.out)), "process") if read.rc == 0 else None


def _of_process(pid: int) -> dict[str, str]:
    with open(environ_path(pid), "rb") as file:
        return _pairs(file.read(_MAX_FILE))


def _pairs(environ: bytes) -> dict[str, str]:
    pairs = (entry.split(b"=", 1) for entry in environ.split(b"\0") if b"=" in entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, value in pairs}
