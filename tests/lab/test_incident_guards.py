# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold before a real host is acted upon: caps, pause, lease, time, breaker; and a controller that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.state.slots import slots

from .conftest import ROOT
from .incident_fixtures import incident, matrix, note
from .incident_host import RESPONSE, UNIT, Incident

pytestmark = pytest.mark.root
__all__ = ["incident", "matrix", "note"]


# runbook: P0-3C
def test_a_dead_service_is_started_once_and_a_second_time_within_the_hour_is_refused(
    incident: Callable[[str], Incident], note: Callable[..., None]
) -> None:
    host = incident("media2")
    host.sh(f"systemctl stop {UNIT}")
    code, output = host.run(RESPONSE, incident_mode="apply")
    done = host.response()
    assert code == 0, output
    assert done["recovered"] is True
    assert done["classes"]["service"] == "dead"
    note("service dead", host, done)
    assert host.main_pid() > 0
    host.sh(f"systemctl stop {UNIT}")
    code, output = host.run(RESPONSE, incident_mode="apply")
    refused = host.response()
    assert code == 2, output
    assert refused["recovered"] is False
    assert refused["page"] is True
    assert any("restart was carried out 1 time" in line for line in refused["refusals"]), refused["refusals"]
    assert "Operations on call +00 000" in refused["msg"]
    note("service dead again within the hour", host, refused)
    assert host.main_pid() == 0


def test_a_pause_stops_automation_and_is_shown(incident: Callable[[str], Incident], note: Callable[..., None]) -> None:
    host = incident("media3")
    code, output = host.run(
        "playbooks/automation_pause.yml", automation_pause_reason="new disk", automation_pause_for=600
    )
    assert code == 0, output
    host.sh(f"systemctl stop {UNIT}")
    code, output = host.run(RESPONSE, incident_mode="apply")
    paused = host.response()
    assert code == 2, output
    assert any("paused until" in line and "new disk" in line for line in paused["refusals"])
    note("service dead while automation is paused", host, paused)
    assert host.main_pid() == 0
    code, output = host.run("playbooks/automation_status.yml")
    assert code == 0, output
    assert "new disk" in output
    code, output = host.run("playbooks/automation_resume.yml")
    assert code == 0, output
    code, output = host.run(RESPONSE, incident_mode="apply")
    assert code == 0, output


def test_a_late_scheduled_run_acts_on_nothing(incident: Callable[[str], Incident], note: Callable[..., None]) -> None:
    host = incident("media1")
    host.sh(f"systemctl stop {UNIT}")
    code, output = host.run(RESPONSE, incident_mode="apply", media_ops_scheduled_for="2026-01-01T00:00:00Z")
    late = host.response()
    assert code == 2, output
    assert any("late" in line for line in late["refusals"]), late["refusals"]
    note("service dead, scheduled run too late", host, late)
    assert host.main_pid() == 0


def test_two_runs_never_act_on_one_host(incident: Callable[[str], Incident], note: Callable[..., None]) -> None:
    host = incident("media2")
    host.sh(f"systemctl stop {UNIT}")
    lease = {
        "run_id": "r-other", "owner": "alice", "controller": "ops2", "reason": "emergency", "controller_pid": 12,
        "taken_at": host.sh("date -u +%Y-%m-%dT%H:%M:%SZ").strip(),
        "expires_at": host.sh("date -u -d '+10 min' +%Y-%m-%dT%H:%M:%SZ").strip(),
    }  # fmt: skip
    host.sh(
        f"printf '%s' '{slots(lease).decode()}' > /var/lib/media-ops/lease.slots; "
        "chown media-ops /var/lib/media-ops/lease.slots"
    )
    code, output = host.run(RESPONSE, incident_mode="apply")
    refused = host.response()
    assert code == 2, output
    assert any("alice on ops2" in line and "r-other" in line for line in refused["refusals"]), refused["refusals"]
    assert host.main_pid() == 0
    assert (host.lease() or {})["run_id"] == "r-other", "another's lease is left alone"
    note("service dead while another run holds the host", host, refused)


def test_a_controller_that_is_killed_is_taken_over_from(
    incident: Callable[[str], Incident], note: Callable[..., None]
) -> None:
    host = incident("media3")
    host.sh(f"systemctl stop {UNIT}")
    # It waits long between two samples, and is killed while it does.
    process = subprocess.Popen(
        host.command(RESPONSE, incident_mode="apply", policy_verify_interval=120),
        cwd=ROOT, env=host.environment(), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 180
        while not any((row["action"], row["result"]) == ("restart", "done") for row in host.ledger()):
            assert time.monotonic() < deadline, "the restart was not recorded in time"
            assert process.poll() is None
            time.sleep(0.5)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert (host.lease() or {})["run_id"]
    started = host.main_pid()
    assert started > 0
    host.sh("rm /usr/bin/ffmpeg")
    code, output = host.run(RESPONSE, incident_mode="apply")
    done = host.response()
    assert code == 0, output
    assert "Took the host over from run" in output
    assert done["recovered"] is True
    assert [(row["action"], row["result"]) for row in host.ledger()].count(("restart", "started")) == 1, (
        "nothing is doubled"
    )
    assert host.main_pid() == started
    assert host.lease() is None
    note("controller killed (SIGKILL) in the middle, then ffmpeg deleted", host, done)


def test_a_breaker_over_the_fleet_and_its_reset(incident: Callable[[str], Incident], note: Callable[..., None]) -> None:
    hosts = [incident(name) for name in ("media1", "media2")]
    for host in hosts:
        host.sh(f"systemctl stop {UNIT}")
    code, output = hosts[0].run(RESPONSE, limit="media_hosts", incident_mode="apply")
    assert code == 2, output
    for host in hosts:
        assert any(
            "the breaker is open: 2 of 3 hosts have the cause service" in line for line in host.response()["refusals"]
        )
        assert host.main_pid() == 0
    # One host at a time does not get around it: what was done to the others is in their ledgers.
    code, output = hosts[0].run(RESPONSE, incident_mode="apply")
    assert code == 0, output
    code, output = hosts[1].run(RESPONSE, incident_mode="apply")
    assert code == 2, output
    assert any("the breaker is open" in line for line in hosts[1].response()["refusals"])
    code, output = hosts[1].run(RESPONSE, incident_mode="apply", incident_breaker_reset=True)
    assert code == 0, output
    assert hosts[1].main_pid() > 0
    note("the same fault on two of three hosts", hosts[1], hosts[1].response(), hosts[0])


def test_an_expired_token_is_no_reason_to_act(incident: Callable[[str], Incident], note: Callable[..., None]) -> None:
    host = incident("media1")
    pid = host.main_pid()
    code, output = host.run(RESPONSE, incident_mode="apply", media_ops_api_token="expired.token.here")
    done = host.response()
    assert code == 2, output
    assert "auth" in {verdict["fault"] for verdict in done["verdicts"]}
    assert done["acted"] == []
    assert host.main_pid() == pid
    note("API token expired", host, done)
