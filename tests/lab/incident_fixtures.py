# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the tests of incidents: hosts that are whole again after each, and what came of each fault."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Fleet
from .incident_host import UNIT, Incident


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[list[dict[str, Any]]]:
    """What came of each fault, for docs/fault_matrix.md."""
    rows: list[dict[str, Any]] = []
    yield rows
    if directory := os.environ.get("MEDIA_OPS_FAULT_MATRIX"):
        name = request.path.stem.removeprefix("test_")
        (Path(directory) / f"{name}.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


@pytest.fixture
def note(matrix: list[dict[str, Any]], fleet: Fleet) -> Iterator[Callable[..., None]]:
    """Note what came of a fault; the hosts that were not broken must have been left alone."""
    before = {name: Incident(fleet, name).main_pid() for name in fleet.lab.hosts}
    broken: set[str] = set()
    rows: list[dict[str, Any]] = []

    def add(fault: str, host: Incident, done: dict[str, Any], *others: Incident) -> None:
        broken.update([host.host, *(other.host for other in others)])
        acted = "; ".join(rung["rung"] for rung in done["acted"]) or "; ".join(done["refusals"]) or "nothing"
        classes = ", ".join(f"{subject} {name}" for subject, name in done["classes"].items() if name != "ok")
        ended = f"{done['recovered_after_s']} s" if done["recovered"] else "no: a person is called"
        rows.append({"fault": fault, "verdict": classes, "done": acted, "recovered": ended})

    yield add
    alive = all(Incident(fleet, name).main_pid() == pid for name, pid in before.items() if name not in broken)
    matrix.extend({**row, "neighbours": alive} for row in rows)
    assert alive, "a host that was well was touched"


@pytest.fixture
def incident(fleet: Fleet) -> Iterator[Callable[[str], Incident]]:
    """Hosts to break. Afterwards each is as before: the service runs, and the guard knows nothing."""
    broken: dict[str, Incident] = {}

    def on(host: str) -> Incident:
        return broken.setdefault(host, Incident(fleet, host))

    yield on
    for host in broken.values():
        host.sh("[ -e /usr/bin/ffmpeg ] || cp /root/ffmpeg.kept /usr/bin/ffmpeg")
        host.sh("rm -f /var/lib/media-ops/ledger.jsonl* /var/lib/media-ops/lease.slots /var/lib/media-ops/pause.slots")
        host.sh(f"systemctl unmask {UNIT}; systemctl reset-failed {UNIT}; systemctl start {UNIT}", check=False)
        host.wait_healthy()
