# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Incidents end to end on real hosts: broken from outside, responded to by the playbooks, as the unprivileged user."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.s3_store import s3_store

from .conftest import Fleet
from .incident_fixtures import incident, matrix, note
from .incident_host import RESPONSE, SERVICE_ENV, UNIT, Incident

pytestmark = pytest.mark.root
__all__ = ["incident", "matrix", "note"]


# runbook: P0-3C, P0-3D, P0-3E, P0-3F, P0-4A, P0-4B
def test_ffmpeg_deleted_is_planned_approved_and_repaired(
    incident: Callable[[str], Incident], note: Callable[..., None]
) -> None:
    host = incident("media1")
    host.sh("rm /usr/bin/ffmpeg")
    before, pid = host.listing(), host.main_pid()
    code, output = host.run(RESPONSE, "--check")
    checked = re.findall(r"Plan ([0-9a-f]{12}):", output)
    assert code == 2, output
    assert host.listing() == before, "--check left the host as it was"
    code, output = host.run("playbooks/incident_critical_system.yml")
    planned = host.response()
    assert code == 2, output
    assert host.listing() == before, "a plan left the host as it was"
    assert checked == [planned["hash"]], "the same plan by --check"
    assert [(row["cause"], row["priority"]) for row in planned["incidents"]] == [("ffmpeg", "P0")]
    assert [rung["act"] for rung in planned["plan"]] == ["package_repair", "service_control"]
    assert planned["hash"] in output

    code, output = host.run(RESPONSE, incident_mode="apply", incident_plan="0" * 12)
    drifted = host.response()
    assert code == 2, output
    assert "the plan has drifted" in drifted["refusals"][0]
    assert host.sh("ls /usr/bin/ffmpeg 2>&1", check=False).strip() != "/usr/bin/ffmpeg"

    code, output = host.run(RESPONSE, incident_mode="apply", incident_plan=planned["hash"])
    done = host.response()
    assert code == 0, output
    assert done["recovered"] is True
    assert [action["result"] for rung in done["acted"] for action in rung["actions"]] == ["done"]
    assert [taken["good"] for taken in done["samples"]] == [True, True, True]
    assert host.main_pid() == pid, "the service uses it, and needs no restart"
    note("ffmpeg deleted", host, done)
    for taken in done["samples"]:
        assert f"sample {taken['number']} of 5" in output, "each sample is seen as it is taken"
    assert host.sh(f"stat -c %a {done['evidence']}").strip() == "600"
    assert [(row["action"], row["result"]) for row in host.ledger()] == [
        ("refused", "decided"),
        ("reinstall", "started"),
        ("reinstall", "done"),
        ("recovered", "decided"),
    ]

    code, output = host.run(RESPONSE, incident_mode="apply")
    again = host.response()
    # The service still lists the alerts of a moment ago: the recovery has answered them, and nobody is called again.
    assert (code, again["incidents"], again["plan"], again["acted"]) == (0, [], [], []), output
    assert "before the recovery of" in json.dumps(again["verdicts"])


# runbook: P0-3C, P0-3F, P0-4A
def test_a_service_that_found_no_ffmpeg_at_its_start_is_restarted_once_there_is_one(
    incident: Callable[[str], Incident], note: Callable[..., None]
) -> None:
    """It would go on making merges of one clip of three."""
    host = incident("media1")
    host.sh("rm /usr/bin/ffmpeg")
    with host.settings(PIPELINE_FFMPEG_LOOKED_FOR="start"):
        pid = host.main_pid()
        host.sh("cp /root/ffmpeg.kept /usr/bin/ffmpeg")
        code, output = host.run(RESPONSE, incident_mode="apply", incident_only=["critical_system"])
        done = host.response()
        assert code == 0, output
        assert done["classes"]["ffmpeg"] == "not_used"
        assert [rung["act"] for rung in done["acted"]] == ["service_control"]
        assert done["recovered"] is True
        assert host.main_pid() not in (0, pid)
        note("ffmpeg works again, and the service found none at its start", host, done)


# runbook: P0-3C
def test_a_service_that_hangs_is_restarted(incident: Callable[[str], Incident], note: Callable[..., None]) -> None:
    host = incident("media3")
    pid = host.main_pid()
    # An address that does not answer is no dead service: it answers where it listens.
    code, output = host.run(RESPONSE, incident_mode="apply", media_ops_api_url="http://127.0.0.1:9/api/v1/monitoring")
    alone = host.response()
    assert code == 2, output
    assert (alone["classes"]["service"], alone["plan"], alone["acted"]) == ("running", [], [])
    assert "it answers on 127.0.0.1:8000 (HTTP 200)" in output
    assert host.main_pid() == pid
    host.sh(f"kill -STOP {pid}")
    code, output = host.run(RESPONSE, incident_mode="apply")
    done = host.response()
    assert code == 0, output
    assert (done["recovered"], done["classes"]["service"]) == (True, "hung")
    assert done["acted"][0]["actions"][0]["proof"]["merges in work"]
    assert host.main_pid() not in (0, pid)
    note("service listens but hangs (SIGSTOP)", host, done)


def test_a_restart_that_does_not_help_ends_in_a_page_after_one_try(
    incident: Callable[[str], Incident], note: Callable[..., None]
) -> None:
    host = incident("media1")
    host.sh("mv /srv/media-processing/app/media_pipeline /srv/media-processing/app/gone")
    host.sh(f"systemctl restart {UNIT}", check=False)
    try:
        code, output = host.run(RESPONSE, incident_mode="apply")
        done = host.response()
    finally:
        host.sh("mv /srv/media-processing/app/gone /srv/media-processing/app/media_pipeline")
    assert code == 2, output
    assert done["recovered"] is False
    assert done["page"] is True
    assert "Evidence on the host: /var/lib/media-ops" in done["msg"]
    note("service that cannot start", host, done)
    assert [(row["action"], row["result"]) for row in host.ledger()].count(("restart", "started")) == 1
    assert [row["action"] for row in host.ledger()][-1] == "paged"


def test_a_masked_service_is_left_to_a_person(incident: Callable[[str], Incident], note: Callable[..., None]) -> None:
    host = incident("media2")
    unit = f"/etc/systemd/system/{UNIT}.service"
    host.sh(f"systemctl stop {UNIT}; mv {unit} /root/; ln -s /dev/null {unit}; systemctl daemon-reload")
    try:
        code, output = host.run(RESPONSE, incident_mode="apply")
        done = host.response()
    finally:
        host.sh(f"mv -f /root/{UNIT}.service {unit}; systemctl daemon-reload")
    assert code == 2, output
    assert done["classes"]["service"] == "masked"
    assert (done["plan"], done["acted"], done["page"]) == ([], [], True)
    note("service masked", host, done)


# runbook: EM-R1, EM-R2, EM-R3
@pytest.mark.parametrize("how", ["graceful", "forced"])
def test_emergency_restart(incident: Callable[[str], Incident], how: str) -> None:
    host = incident("media1")
    pid = host.main_pid()
    code, output = host.run("playbooks/emergency_service_restart.yml", "--check", emergency_restart=how)
    assert code == 0, output
    assert host.main_pid() == pid
    code, output = host.run("playbooks/emergency_service_restart.yml", emergency_restart=how)
    done = host.response("emergency_service_restart")
    assert code == 0, output
    assert done["recovered"] is True
    assert host.main_pid() not in (0, pid)
    code, output = host.run("playbooks/emergency_service_restart.yml", emergency_restart="hard")
    assert code == 2
    assert "emergency_restart_hard" in output


@pytest.fixture
def stored(
    fleet: Fleet, incident: Callable[[str], Incident], tmp_path: Path
) -> Iterator[tuple[list[Incident], Callable[[], None]]]:
    """The whole fleet with its results in a real S3 store, which asks for signatures, and what ends the store."""
    hosts = [incident(name) for name in fleet.lab.hosts]
    with contextlib.ExitStack() as running, contextlib.ExitStack() as changed:
        store = running.enter_context(s3_store(tmp_path / "store", bind=fleet.gateway))
        for host in hosts:
            changed.enter_context(host.settings(**store.env))
        for host in hosts:
            host.wait_healthy()
        yield hosts, running.close


# runbook: P0-3G, P0-3H, P0-3I
def test_a_storage_outage_of_the_whole_fleet_restarts_nothing_and_names_what_is_shared(
    stored: tuple[list[Incident], Callable[[], None]], note: Callable[..., None]
) -> None:
    hosts, end_store = stored
    code, output = hosts[0].run(RESPONSE, limit="media_hosts", incident_mode="apply")
    assert code == 0, output
    pids = [host.main_pid() for host in hosts]
    end_store()
    code, output = hosts[0].run(RESPONSE, limit="media_hosts", incident_mode="apply")
    assert code == 2, output
    for host in hosts:
        response = host.response()
        assert response["classes"]["storage"] == "refused"
        assert "cloud_storage" in [row["cause"] for row in response["incidents"]]
        shared = "the breaker is open: 3 of 3 hosts have the cause cloud_storage"
        assert any(shared in line for line in response["refusals"]), response["refusals"]
        assert response["acted"] == []
    assert [host.main_pid() for host in hosts] == pids
    note("storage refused for the whole fleet", hosts[0], hosts[0].response(), *hosts[1:])


# runbook: P2S-1A, P2S-1B, P2S-1C, P2S-2A, P2S-2B, P2S-2C, P2S-2D
def test_a_stuck_session_is_ended_and_the_one_beside_it_goes_on(
    incident: Callable[[str], Incident], note: Callable[..., None]
) -> None:
    host = incident("media2")
    feed = (
        "set -a; . /etc/media-processing/service.env; cd /srv/media-processing/app;"
        " exec runuser -u media -- python3 -m media_pipeline feed --jobs 1 --fault"
    )
    minutes: dict[str, Any] = {
        "policy_session_look_minutes": 0.01,
        "policy_session_investigate_minutes": 0.02,
        "policy_session_end_minutes": 0.03,
        "policy_session_quiet_seconds": 1,
    }
    host.sh(f"systemctl restart {UNIT}")
    host.wait_healthy()
    host.sh(f"({feed} slow) >/dev/null 2>&1")
    host.sh(f"({feed} fifo) >/dev/null 2>&1")
    before = host.sh("pgrep -u media -x ffmpeg || true").split()
    assert len(before) >= 2, "one that waits and one that works"
    code, output = host.run("playbooks/incident_stuck_session.yml", **minutes)
    planned = host.response()
    assert code == 0, "a long session alone is a warning: " + output
    ended = [action for rung in planned["plan"] for action in rung["actions"] if action["action"] == "terminate"]
    assert len(ended) == 1, output
    assert ended[0]["proof"], "the proof that it is the session's"
    code, output = host.run(
        "playbooks/incident_stuck_session.yml", incident_mode="apply", incident_plan=planned["hash"], **minutes
    )
    done = host.response()
    assert done["recovered"] is True, output
    after = host.sh("pgrep -u media -x ffmpeg || true").split()
    assert set(after) < set(before)
    assert after, "the encode that makes progress goes on"
    note("session that waits on a FIFO, beside one that works", host, done)
    host.sh(f"systemctl restart {UNIT}")


def test_no_secret_is_shown_or_kept(incident: Callable[[str], Incident]) -> None:
    host = incident("media3")
    host.sh("rm /usr/bin/ffmpeg")
    code, output = host.run(RESPONSE, "-vvvv", incident_mode="apply")
    done = host.response()
    assert code == 0, output
    secrets = [host.fleet.token, host.sh(f"sed -n 's/^PIPELINE_JWT_SECRET=//p' {SERVICE_ENV}").strip()]
    assert all(len(secret) > 8 for secret in secrets)
    kept = host.sh(f"cat /var/lib/media-ops/ledger.jsonl; tar -xOzf {done['evidence']}; journalctl --no-pager")
    page = host.response_page()
    for secret in secrets:
        assert secret not in output
        assert secret not in kept
        assert secret not in page
