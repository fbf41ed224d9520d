# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The emergencies by their playbooks: what their tables say is done, and what lives beside it lives on."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT
from .host_clock import host_clock
from .incident_fixtures import incident
from .incident_host import UNIT, Incident

pytestmark = pytest.mark.root
__all__ = ["incident"]

CLEAR = "playbooks/emergency_clear_stuck_processes.yml"
DISK = "playbooks/emergency_disk_cleanup.yml"
RESTART = "playbooks/emergency_service_restart.yml"
WORK_DIR = "/srv/media-processing/temp/video_merge"
FEED = (
    "set -a; . /etc/media-processing/service.env; cd /srv/media-processing/app;"
    " exec runuser -u media -- python3 -m media_pipeline feed --jobs 1 --fault"
)
# So that nothing but progress stands between a session and its end
YOUNG: dict[str, Any] = {
    "policy_session_look_minutes": 0.01,
    "policy_session_investigate_minutes": 0.02,
    "policy_session_end_minutes": 0.03,
    "policy_session_quiet_seconds": 1,
}


def feed(host: Incident, fault: str) -> str:
    """Give the service a job that hangs or is slow in this way, and return its session."""
    return host.sh(f"({FEED} {fault}) 2>/dev/null").split()[0]


def workers(host: Incident, session: str) -> list[int]:
    """The ffmpeg processes that work in the directory of a session."""
    return [int(pid) for pid in host.sh(f"pgrep -u media -f '^ffmpeg.*/{session}/' || true").split()]


def alive(host: Incident, pids: list[int]) -> list[int]:
    return [pid for pid in pids if host.sh(f"ps -o stat= -p {pid} || true").strip()[:1] not in ("", "Z")]


@pytest.fixture
def bystander(incident: Callable[[str], Incident]) -> Iterator[tuple[Incident, int]]:
    """A host on which another user runs a process that has the name and the words of a stuck ffmpeg."""
    host = incident("media1")
    host.sh(f"systemctl restart {UNIT}")
    host.wait_healthy()
    host.sh("setsid -f runuser -u nobody -- python3 -c 'import time; time.sleep(600)' "
            f"ffmpeg -i {WORK_DIR}/0123456789/a.mp4 </dev/null >/dev/null 2>&1")  # fmt: skip
    host.wait_until("pgrep -u nobody -f 0123456789")
    pid = int(host.sh("pgrep -u nobody -f 'time.sleep.*0123456789' | head -1"))
    yield host, pid
    host.sh(f"kill {pid}; systemctl restart {UNIT}", check=False)


# runbook: EM-S1, EM-S2
def test_orphans_of_a_crash_are_ended_and_what_lives_beside_them_is_not(bystander: tuple[Incident, int]) -> None:
    host, neighbour = bystander
    drop_in = f"/etc/systemd/system/{UNIT}.service.d"
    host.sh(
        f"mkdir -p {drop_in} && printf '[Service]\nKillMode=process\n' >{drop_in}/lab.conf; systemctl daemon-reload;"
        f" systemctl restart {UNIT}"
    )
    host.wait_healthy()
    try:
        orphan = feed(host, "slow")
        # The long encode, not the short look at the clip before it
        host.wait_until("pgrep -u media -f ^ffmpeg.*veryslow")
        # It has opened what it writes: a file that comes after the plan stays.
        host.wait_until(f"find /srv/media-processing/temp/video_merge/{orphan} -name 'prepared_*' | grep -q .")
        left = [int(pid) for pid in host.sh("pgrep -u media -f ^ffmpeg.*veryslow").split()]
        main = host.main_pid()
        # Stopped, so that it does not come to its end by itself meanwhile
        host.sh(f"kill -KILL {main}; kill -STOP {' '.join(map(str, left))}")
        host.wait_until(f"! systemctl show -P MainPID {UNIT} | grep -qx -e {main} -e 0")
        host.wait_healthy()
        living = feed(host, "slow")
        assert alive(host, left) == left, "the crash leaves them"
        code, output = host.run(CLEAR, "--check", **YOUNG)
        assert f"session {orphan}" in output
        assert alive(host, left) == left, "--check ends nothing"
        code, output = host.run(CLEAR, incident_plan="0" * 12, **YOUNG)
        assert code == 2, output
        assert "the plan has drifted: approved was 000000000000" in output
        assert alive(host, left) == left, "a plan that was not approved is not carried out"
        code, output = host.run(CLEAR, **YOUNG)
        assert code == 0, output
        done = host.response("emergency_clear_stuck_processes")
        ended = [action for rung in done["acted"] for action in rung["actions"] if action["action"] == "terminate"]
        assert {action["result"] for action in ended} == {"done"}
        assert all(orphan in action["target"] for action in ended)
        assert alive(host, left) == []
        assert alive(host, workers(host, living)), "the new service's encode goes on"
        assert alive(host, [neighbour]) == [neighbour]
    finally:
        host.sh(f"rm -r {drop_in}; systemctl daemon-reload; systemctl kill --kill-whom=all {UNIT}", check=False)


# runbook: EM-S1, EM-S2, EM-S3
def test_a_stuck_session_is_ended_while_the_api_is_dead(bystander: tuple[Incident, int]) -> None:
    host, neighbour = bystander
    stuck, slow = feed(host, "fifo"), feed(host, "slow")
    hanging, working = workers(host, stuck), workers(host, slow)
    assert hanging
    assert working
    dead: dict[str, Any] = {"media_ops_api_url": "http://127.0.0.1:9/", "media_ops_api_total_timeout": 5}
    unknown = "the sessions are not known"
    code, output = host.run(CLEAR, expected_warning=unknown, **dead, **YOUNG)
    done = host.response("emergency_clear_stuck_processes")
    assert alive(host, hanging) == [], output
    assert alive(host, working), "the encode that makes progress goes on"
    assert alive(host, [neighbour]) == [neighbour]
    assert host.sh(f"ls -d {WORK_DIR}/{slow}").strip()
    # What it did is told; that the host is well nobody can see.
    ended = [action for rung in done["acted"] for action in rung["actions"] if action["action"] == "terminate"]
    assert [stuck in action["target"] for action in ended] == [True] * len(hanging)
    assert code == 2, output
    assert done["recovered"] is False


# runbook: EM-D1, EM-D2, EM-D3
def test_the_disk_is_freed_by_the_plan_that_was_approved_and_by_no_other(
    bystander: tuple[Incident, int], tmp_path: Path
) -> None:
    with host_clock(bystander[0].fleet, bystander[0].host, tmp_path) as moved:
        host = Incident(moved.fleet, bystander[0].host)
        old = f"{WORK_DIR}/gone/old.mp4"
        with moved.clock.ago(timedelta(days=2)):
            host.sh(f"runuser -u media -- sh -c 'mkdir -p {WORK_DIR}/gone; echo x >{old}'")
        _code, planned, output = host.checked(DISK)
        assert planned, output
        code, output = host.run(DISK, incident_plan="f" * 12)
        assert code == 2, output
        assert f"approved was {'f' * 12}, now it is {planned}" in output
        assert host.sh(f"ls {old}").strip() == old
        assert host.response("emergency_disk_cleanup")["acted"] == []
        code, output = host.run(DISK, incident_plan=planned)
        assert code == 0, output
        assert host.sh(f"ls {old} 2>/dev/null || true") == ""


# runbook: EM-R1, EM-R3
def test_a_restart_waits_for_the_merges_that_it_would_lose_and_asks_where_they_are_many(
    incident: Callable[[str], Incident],
) -> None:
    host = incident("media3")
    sessions = [feed(host, "slow") for _number in range(2)]
    pids: list[int] = []
    for session in sessions:
        host.wait_until(f"pgrep -u media -f '^ffmpeg.*veryslow.*/{session}/'")
        pids += workers(host, session)
    # In work as long as nobody ends them, and they take no time of the processor.
    host.sh(f"kill -STOP {' '.join(map(str, pids))}")
    main = host.main_pid()
    code, output = host.run(RESTART, policy_restart_merges_max=1, policy_restart_drain=1)
    assert code == 2, output
    assert "more than 1, so a person must say yes" in output
    assert all(session in output for session in sessions)
    assert host.main_pid() == main
    assert alive(host, pids) == pids
    code, output = host.run(RESTART, "--check", policy_restart_merges_max=1, policy_restart_drain=1)
    approved = re.findall(r"Plan ([0-9a-f]{12}):", output)[-1]
    command = host.command(RESTART, policy_restart_merges_max=1, policy_restart_drain=120, incident_plan=approved)
    begun = host.sh("grep -c started /var/lib/media-ops/ledger.jsonl || true").strip()
    with (host.fleet.inventory.parent / "drained").open("w+", encoding="utf-8") as said:
        run = subprocess.Popen(command, cwd=ROOT, env=host.environment(), stdin=subprocess.DEVNULL, stdout=said)
        try:
            host.wait_until(f"[ $(grep -c started /var/lib/media-ops/ledger.jsonl) -gt {begun} ]")
            assert host.main_pid() == main, "it waits for them"
            host.sh(f"kill -KILL {' '.join(map(str, pids))}")
            code = run.wait(180)
        finally:
            run.kill()
        said.seek(0)
        output = said.read()
    assert code == 0, output
    (done,) = host.response("emergency_service_restart")["acted"][0]["actions"]
    assert (done["result"], done["proof"]["merges in work"]) == ("done", "none")
    assert host.main_pid() not in (0, main)
