# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""disk_cleanup and log_archive on a real host: as the service's user, beside the real service and its real ffmpeg."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.moved_clock import MovedClock
from tests.unit.plugins.deletion import record_fault

from .conftest import ROOT, Fleet
from .host_clock import host_clock

pytestmark = [pytest.mark.root, pytest.mark.slow]

HOST = "media3"
TEMP = "/srv/media-processing/temp"
MERGE = f"{TEMP}/video_merge"
UNIT = "media-processing-service"
RULES = [
    {"rule": "temporary files", "root": MERGE, "patterns": ["*.tmp"], "min_age": 8640, "steps": ["EM-S3"]},
    {"rule": "merged videos", "root": MERGE, "patterns": ["*.mp4"], "min_age": 43200, "steps": ["EM-D2"]},
]


class Site:
    """One host of the fleet."""

    def __init__(self, fleet: Fleet, clock: MovedClock) -> None:
        self._fleet = fleet
        self._clock = clock

    def root(self, script: str) -> str:
        """Run a script as root."""
        return self._fleet.lab.exec(HOST, ["bash", "-euc", script]).stdout

    def old(self, *paths: str) -> None:
        """Make files of the service's user, of two days ago."""
        with self._clock.ago(timedelta(days=2)):
            for path in paths:
                self.root(f"echo x >{path}; chown media: {path}")

    def module(self, name: str, options: dict[str, Any], *more: str) -> dict[str, Any]:
        """Run a module as role prepare lets one: user media-ops, becoming the service's user."""
        command = [str(Path(sys.executable).with_name("ansible")), HOST, "-i", str(self._fleet.inventory), "-b"]
        command += ["--become-user", "media", "-m", f"media_ops.runbook.{name}", "-a", json.dumps(options), "-o", *more]
        env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "NO_COLOR": "1"}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode, " => " in done.stdout) == (0, True), done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout.partition(" => ")[2])
        return found

    def clean(self, *more: str, **options: Any) -> dict[str, Any]:
        """The emergency's rules, with the real API and unit."""
        given = {"rules": RULES, "sessions_dir": MERGE, "unit": UNIT, "api_token": self._fleet.token, **options}
        return self.module("disk_cleanup", given, *more)


@pytest.fixture
def site(fleet: Fleet, tmp_path: Path) -> Iterator[Site]:
    with host_clock(fleet, HOST, tmp_path) as moved:
        site = Site(moved.fleet, moved.clock)
        site.root(f"rm -rf {MERGE}/left-* && install -d -o media -g media /backup/logs {MERGE}/left-1")
        try:
            yield site
        finally:
            site.root(f"systemctl start {UNIT}; rm -rf {MERGE}/left-* /backup/logs")


def test_what_root_holds_open_is_seen_by_the_services_user(site: Site) -> None:
    site.old(f"{MERGE}/left-1/free.tmp", f"{MERGE}/left-1/held.tmp")
    site.root(f"systemd-run --unit=holder --quiet tail -f {MERGE}/left-1/held.tmp")
    deadline = time.monotonic() + 30
    while "held.tmp" not in site.root("ls -l /proc/[0-9]*/fd 2>/dev/null || true") and time.monotonic() < deadline:
        pass
    try:
        planned = site.clean("--check")
        found = site.clean(plan_hash=planned["hash"], as_of=planned["as_of"])
    finally:
        site.root("systemctl stop holder")
    assert found["api"]["state"] == "ok"
    assert found["rules"][0]["skipped"] == {"open": 1}
    assert site.root(f"ls {MERGE}/left-1").split() == ["held.tmp"]
    record_fault("a file that root's process holds open, on a host", "open, by the kernel's lease", "left alone")


def test_what_came_a_moment_ago_with_an_old_date_stays(site: Site) -> None:
    site.old(f"{MERGE}/left-1/old.tmp")
    site.root(f"cp -p {MERGE}/left-1/old.tmp {MERGE}/left-1/copy.tmp; touch -d '3 days ago' {MERGE}/left-1/copy.tmp")
    found = site.clean()
    assert found["rules"][0]["removed"]["files"] == 1
    assert site.root(f"ls {MERGE}/left-1").split() == ["copy.tmp"]
    record_fault("a file that came a moment ago and keeps an old date", "as young as its change", "left alone")


def test_a_stopped_service_has_no_sessions_and_a_hanging_one_may(site: Site) -> None:
    site.old(f"{MERGE}/left-1/a.tmp")
    site.root(f"systemctl kill --signal=STOP {UNIT}")
    try:
        hanging = site.clean(total_timeout=3, read_timeout=2, overall_timeout=3, retries=0)
    finally:
        site.root(f"systemctl kill --signal=CONT {UNIT}")
    assert (hanging["api"]["state"], hanging["protected_all"]) == ("timeout", True)
    assert hanging["rules"][0]["skipped"] == {"session": 1}
    site.root(f"systemctl stop {UNIT}")
    stopped = site.clean(retries=0)
    assert (stopped["api"]["state"], stopped["protected_all"]) == ("service_down", False)
    assert stopped["rules"][0]["removed"]["files"] == 1
    record_fault("the API hangs", "sessions unknown", "everything of sessions stays")
    record_fault("the API is down as the service is stopped", "no session can run", "cleaned")


def test_logs_are_archived_beside_the_service_that_writes(site: Site) -> None:
    site.old(f"{TEMP}/logs/application.log.7", f"{TEMP}/logs/errors.log.1")
    options = {"log_dir": f"{TEMP}/logs", "archive_dir": "/backup/logs"}
    planned = site.module("log_archive", options, "--check")
    found = site.module("log_archive", {**options, "plan_hash": planned["hash"]})
    assert found["archive"]["members"] == found["removed"]["files"] == 2
    names = site.root(f"tar -tf {found['archive']['path']}").split()
    assert sorted(names) == ["application.log.7", "errors.log.1"]
    assert site.root(f"systemctl is-active {UNIT}; ls {TEMP}/logs/*.log.* 2>/dev/null || true").split() == ["active"]
    assert site.module("log_archive", options)["changed"] is False
