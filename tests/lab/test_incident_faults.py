# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Incidents end to end on real hosts: broken from outside, responded to by the playbooks, as the unprivileged user."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.s3_store import s3_store

from .conftest import ROOT, Fleet

pytestmark = pytest.mark.root
SCHEMA = json.loads((ROOT / "roles/report/files/result.schema.json").read_text(encoding="utf-8"))
RESPONSE = "playbooks/incident_response.yml"
HEALTH = (
    "python3 -c 'import urllib.request as u;"
    ' u.urlopen("http://127.0.0.1:8000/api/v1/monitoring/health", timeout=5); print("well")\' 2>/dev/null'
)
UNIT = "media-processing-service"
QUICK = {
    "policy_watch_samples": 5,
    "policy_watch_interval": 1,
    "policy_watch_good": 3,
    "policy_service_interval": 0.5,
    "policy_session_interval": 1,
    # The hosts share two processors with other tests: their load is no finding.
    "policy_cpu_critical": 101,
    "report_contacts": [{"area": "System administrator", "name": "Operations on call", "contact": "+00 000"}],
}


class Incident:
    """One host to break, and runs of playbooks on it."""

    def __init__(self, fleet: Fleet, host: str) -> None:
        self.fleet = fleet
        self.host = host
        self.sh("[ -e /root/ffmpeg.kept ] || cp /usr/bin/ffmpeg /root/ffmpeg.kept")

    def sh(self, command: str, *, check: bool = True) -> str:
        """Run a command as root on the host, without ssh."""
        return str(self.fleet.lab.exec(self.host, ["sh", "-c", command], check=check, timeout=120).stdout)

    def command(self, playbook: str, *options: str, limit: str = "", **variables: Any) -> list[str]:
        extra = json.dumps({**QUICK, **variables})
        ansible = str(Path(sys.executable).with_name("ansible-playbook"))
        base = [ansible, "-i", str(self.fleet.inventory), playbook, "-e", extra]
        return [*base, "--limit", limit or self.host, *options]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "NO_COLOR": "1"}

    def run(self, playbook: str, *options: str, limit: str = "", **variables: Any) -> tuple[int, str]:
        done = subprocess.run(
            self.command(playbook, *options, limit=limit, **variables),
            cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=420,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert "Traceback" not in output, output
        assert not [line for line in output.splitlines() if line.startswith(("[WARNING]", "[DEPRECATION"))], output
        return done.returncode, output

    def response(self, check: str = "incident_response") -> dict[str, Any]:
        """The response of the last run, from the result document, which is valid."""
        reports = json.loads(self.fleet.inventory.read_text())["all"]["children"]["media_hosts"]["vars"]["report_dir"]
        result = json.loads((Path(reports) / check / "latest" / "result.json").read_text(encoding="utf-8"))
        jsonschema.validate(result, SCHEMA)
        host = next(entry for entry in result["hosts"] if entry["host"] == self.host)
        return {**host["response"], "verdicts": host["verdicts"], "incidents": host["incidents"]}

    def response_page(self, check: str = "incident_response") -> str:
        """Everything that the last run left on the controller."""
        reports = json.loads(self.fleet.inventory.read_text())["all"]["children"]["media_hosts"]["vars"]["report_dir"]
        return "".join(path.read_text(encoding="utf-8") for path in (Path(reports) / check / "latest").iterdir())

    def ledger(self) -> list[dict[str, Any]]:
        lines = self.sh("cat /var/lib/media-ops/ledger.jsonl 2>/dev/null || true").splitlines()
        return [json.loads(line) for line in lines]

    def main_pid(self) -> int:
        return int(self.sh(f"systemctl show -p MainPID --value {UNIT}"))

    def listing(self) -> str:
        """What a run in check mode must leave as it is: files, units, processes of the service."""
        return self.sh(
            # The service writes a file of its own into temp at each look at its health.
            "find /srv /etc /usr/bin /var/lib/media-ops /backup -xdev"
            " \\( -type d -printf '%p %m %u\\n' -o -printf '%p %s %m %u %T@\\n' \\) 2>/dev/null"
            " | grep -v -e /temp/logs/ -e __pycache__ | sort;"
            f" systemctl show -p ActiveState,MainPID,NRestarts {UNIT}; pgrep -u media -a | sort",
            check=False,
        )

    def wait_healthy(self) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if "well" in self.sh(f"{HEALTH} || true"):
                return
            time.sleep(0.3)
        pytest.fail(f"{self.host} did not get well")


@pytest.fixture(scope="module")
def matrix() -> Iterator[list[dict[str, Any]]]:
    """What came of each fault, for docs/fault_matrix.md."""
    rows: list[dict[str, Any]] = []
    yield rows
    if directory := os.environ.get("MEDIA_OPS_FAULT_MATRIX"):
        (Path(directory) / "incidents.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


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
        host.sh("rm -f /var/lib/media-ops/ledger.jsonl* /var/lib/media-ops/lock.json /var/lib/media-ops/pause.json")
        host.sh(f"systemctl unmask {UNIT}; systemctl reset-failed {UNIT}; systemctl start {UNIT}", check=False)
        host.wait_healthy()


# runbook: P0-3C, P0-3D, P0-3E, P0-3F, P0-4A, P0-4B
def test_ffmpeg_deleted_is_planned_approved_and_repaired(
    incident: Callable[[str], Incident], note: Callable[..., None]
) -> None:
    host = incident("media1")
    host.sh("rm /usr/bin/ffmpeg")
    before = host.listing()
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
    assert [rung["act"] for rung in planned["plan"]] == ["package_repair"]
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
    note("ffmpeg deleted", host, done)
    for taken in done["samples"]:
        assert f"Show sample {taken['number']} of 5" in output, "each sample is seen as it is taken"
    assert host.sh(f"stat -c %a {done['evidence']}").strip() == "600"
    assert [(row["action"], row["result"]) for row in host.ledger()] == [
        ("reinstall", "done"),
        ("recovered", "decided"),
    ]

    code, output = host.run(RESPONSE, incident_mode="apply")
    again = host.response()
    assert (code, again["plan"], again["acted"]) == (0, [], []), output


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
    assert any("restart was carried out 1 times" in line for line in refused["refusals"]), refused["refusals"]
    assert "Operations on call +00 000" in refused["said"]
    note("service dead again within the hour", host, refused)
    assert host.main_pid() == 0


# runbook: P0-3C
def test_a_service_that_hangs_is_restarted(incident: Callable[[str], Incident], note: Callable[..., None]) -> None:
    host = incident("media3")
    pid = host.main_pid()
    host.sh(f"kill -STOP {pid}")
    code, output = host.run(RESPONSE, incident_mode="apply")
    done = host.response()
    assert code == 0, output
    assert done["recovered"] is True
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
    assert "Evidence on the host: /var/lib/media-ops" in done["said"]
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


def test_a_pause_stops_automation_and_is_shown(incident: Callable[[str], Incident], note: Callable[..., None]) -> None:
    host = incident("media3")
    code, output = host.run("playbooks/automation_pause.yml", incident_pause_reason="new disk", incident_pause_for=600)
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
    lock = {
        "run_id": "r-other", "owner": "alice", "controller": "ops2", "reason": "emergency", "controller_pid": 12,
        "taken_at": host.sh("date -u +%Y-%m-%dT%H:%M:%SZ").strip(),
        "expires_at": host.sh("date -u -d '+10 min' +%Y-%m-%dT%H:%M:%SZ").strip(),
    }  # fmt: skip
    host.sh(
        f"printf '%s' '{json.dumps(lock)}' > /var/lib/media-ops/lock.json; chown media-ops /var/lib/media-ops/lock.json"
    )
    code, output = host.run(RESPONSE, incident_mode="apply")
    refused = host.response()
    assert code == 2, output
    assert any("alice on ops2" in line and "r-other" in line for line in refused["refusals"]), refused["refusals"]
    assert host.main_pid() == 0
    assert json.loads(host.sh("cat /var/lib/media-ops/lock.json"))["run_id"] == "r-other", (
        "another's lock is left alone"
    )
    note("service dead while another run holds the host", host, refused)


def test_a_controller_that_is_killed_is_taken_over_from(
    incident: Callable[[str], Incident], note: Callable[..., None]
) -> None:
    host = incident("media3")
    host.sh(f"systemctl stop {UNIT}")
    # It waits long between two samples, and is killed while it does.
    process = subprocess.Popen(
        host.command(RESPONSE, incident_mode="apply", policy_watch_interval=120),
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
    assert json.loads(host.sh("cat /var/lib/media-ops/lock.json"))["run_id"]
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
    assert host.sh("cat /var/lib/media-ops/lock.json 2>/dev/null || true") == ""
    note("controller killed (SIGKILL) in the middle, then ffmpeg deleted", host, done)


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


SERVICE_ENV = "/etc/media-processing/service.env"


@pytest.fixture
def stored(
    fleet: Fleet, incident: Callable[[str], Incident], tmp_path: Path
) -> Iterator[tuple[list[Incident], Callable[[], None]]]:
    """The whole fleet with its results in a real S3 store, which asks for signatures, and what ends the store."""
    hosts = [incident(name) for name in fleet.lab.hosts]
    addresses = fleet.lab.inventory()["all"]["children"]["media_hosts"]["hosts"]
    gateway = f"{str(addresses['media1']['ansible_host']).rpartition('.')[0]}.1"
    with contextlib.ExitStack() as running:
        store = running.enter_context(s3_store(tmp_path / "store", bind=gateway))
        settings = "".join(f"{name}={value}\\n" for name, value in store.env.items())
        for host in hosts:
            host.sh(f"cp -p {SERVICE_ENV} /root/service.env; printf '{settings}' >> {SERVICE_ENV}")
            host.sh(f"systemctl restart {UNIT}")
        try:
            for host in hosts:
                host.wait_healthy()
            yield hosts, running.close
        finally:
            for host in hosts:
                host.sh(f"cp -p /root/service.env {SERVICE_ENV}; rm /root/service.env; systemctl restart {UNIT}")


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
    assert code == 2, output
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
