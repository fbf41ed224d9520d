# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A clock for the modules on one lab host, by which files are as old as a test wants them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.moved_clock import MovedClock, library, missing_reason

from .conftest import Fleet

PLACE = "/usr/local/lib/moved-clock"
PYTHON = "/usr/local/bin/moved-python"


@dataclass(frozen=True)
class HostClock:
    """The clock; the fleet, whose modules have it on that host; and its environment there, for other processes."""

    clock: MovedClock
    fleet: Fleet
    environment: str


@contextlib.contextmanager
def host_clock(fleet: Fleet, host: str, scratch: Path) -> Iterator[HostClock]:
    """Give a host's Python a clock that can be moved. The host itself, its service too, goes on by real time."""
    if reason := missing_reason():
        pytest.skip(reason)
    root = fleet.lab.hosts[host].root
    place, python = root / PLACE.lstrip("/"), root / PYTHON.lstrip("/")
    place.mkdir()
    try:
        shutil.copy(library(), place / "library.so")
        clock = MovedClock(place / "clock")
        environment = f"LD_PRELOAD={PLACE}/library.so MOVED_CLOCK_FILE={PLACE}/clock"
        python.write_text(f'#!/bin/sh\nexec env {environment} /usr/bin/python3 "$@"\n', encoding="ascii")
        for path, mode in ((place, 0o755), (place / "library.so", 0o755), (place / "clock", 0o644), (python, 0o755)):
            path.chmod(mode)
        content = json.loads(fleet.inventory.read_text(encoding="utf-8"))
        content["all"]["children"]["media_hosts"]["hosts"][host]["ansible_python_interpreter"] = PYTHON
        inventory = scratch / "hosts_with_clock.json"
        inventory.write_text(json.dumps(content), encoding="utf-8")
        yield HostClock(clock, dataclasses.replace(fleet, inventory=inventory), environment)
    finally:
        shutil.rmtree(place)
        python.unlink(missing_ok=True)
