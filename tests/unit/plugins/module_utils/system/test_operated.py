# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service without a unit is the same to all modules that need none: real processes, known by their command line."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg.probe import find_service, wanted
from ansible_collections.media_ops.runbook.plugins.module_utils.service.service_config import service_config
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.proof import service_of_process
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.protected import why_running
from ansible_collections.media_ops.runbook.plugins.module_utils.storage import settings
from ansible_collections.media_ops.runbook.plugins.module_utils.storage.faults import Fault
from ansible_collections.media_ops.runbook.plugins.module_utils.system.environment import secrets_of
from ansible_collections.media_ops.runbook.plugins.module_utils.system.operated import (
    Operated,
    operated,
    pids_left,
    require_operated,
    service_pids,
    service_properties,
)

from tests.unit.plugins.module_utils.evidence.test_evidence_bundle import bundle, missing
from tests.unit.plugins.module_utils.ffmpeg.test_probe import OPTIONS as OF_FFMPEG

ME = pwd.getpwuid(os.geteuid()).pw_name
SECRET = "canary-Secret+0123456789"
PATH = "/opt/ffmpeg/bin:/usr/bin"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Operated, subprocess.Popen[bytes]]]:
    """A service with a child, and what names it."""
    name = f"service-of-{tmp_path.name}"
    program = "import os, sys, time; os.fork() or time.sleep(600); print(1, flush=True); time.sleep(600)"
    env = {"PATH": PATH, "AWS_SECRET_ACCESS_KEY": SECRET}
    process = subprocess.Popen([sys.executable, "-c", program, name], stdout=subprocess.PIPE, env=env)
    assert process.stdout is not None
    assert process.stdout.readline() == b"1\n"
    yield require_operated({"process": {"user": ME, "command": ["*", "-c", "*", name]}}), process
    subprocess.run(["pkill", "--parent", str(process.pid)], check=False)
    process.kill()
    process.communicate()


def test_a_service_is_named_by_its_unit_or_by_its_main_process() -> None:
    assert operated({"unit": "", "process": None}) is None
    assert operated({"unit": "media", "process": None}) == Operated("media")
    named = operated({"unit": "media", "process": {"user": "x", "port": 80}})
    assert named is not None
    assert (named.unit, str(named)) == ("", "the service of x, by its port 80,")
    with pytest.raises(OptionError, match="must name the service's unit, unless process is given"):
        require_operated({"unit": ""})


def test_what_needs_no_unit_works_without_one(
    service: tuple[Operated, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    named, process = service
    assert named.process is not None
    properties = service_properties(named)
    assert (properties["MainPID"], properties["User"], properties["ActiveState"]) == (str(process.pid), ME, "active")
    assert process.pid in service_pids(named, properties)
    assert len(service_pids(named, properties)) == 2
    assert secrets_of(named) >= {SECRET}
    assert "is active" in why_running(named)
    seen = service_of_process(named.process)
    assert (seen.state, seen.main, seen.group, seen.user) == ("running", process.pid, "", ME)
    given = {"user": ME, "command": list(named.process.command)}
    ffmpeg = find_service(wanted({**OF_FFMPEG, "process": given}))
    assert (ffmpeg.path, ffmpeg.path_source, ffmpeg.unit_path) == (PATH, "process", "")
    environment, _home = settings._environment({"process": given, "environment_file": None})
    assert (environment.source, environment.variables["AWS_SECRET_ACCESS_KEY"]) == ("process", SECRET)
    # The evidence, without what only a unit has
    for name in ("state", "logs"):
        (tmp_path / name).mkdir(mode=0o750)
    found = bundle(tmp_path, unit="", process=given, log_files=[])
    assert "has no unit" in missing(found)["service/journal.jsonl"]
    assert {"service/processes.json", "service/configuration.json"} <= {one["name"] for one in found["files"]}
    assert found["redaction"]["environment"] == "process"


def test_of_a_service_that_has_ended_nothing_is_made_up() -> None:
    given = {"user": "nobody", "command": ["no-such-service-of-a-test"]}
    named = require_operated({"process": given})
    assert named.process is not None
    assert service_properties(named)["MainPID"] == "0"
    assert service_pids(named, {}) == set()
    assert service_of_process(named.process).state == "down"
    with pytest.raises(Fault, match="does not run"):
        settings._environment({"process": given, "environment_file": None})
    left = pids_left(named, {})
    assert ("processes left" in why_running(named)) == bool(left), "what its user has left may be its own"
    unknown = require_operated({"process": {"user": "no-such-user-here", "port": 1}})
    with pytest.raises(MediaOpsError, match="no user no-such-user-here"):
        service_properties(unknown)
    assert secrets_of(unknown) == set()
    assert "no-such-user-here" in why_running(unknown)


def test_overrides_are_not_offered(tmp_path: Path) -> None:
    options: dict[str, Any] = {"unit": "", "state": "present", "state_dir": str(tmp_path)}
    found = service_config(options)
    assert (found["changed"], found["plan"], found["overrides"], found["restart_needed"]) == (False, [], [], False)
    assert "no unit of systemd" in found["msg"]
    assert list(tmp_path.iterdir()) == []
