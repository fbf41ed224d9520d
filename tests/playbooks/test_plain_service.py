"""A service without an API: all that is known of it comes from its log, its processes and its files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from plain_service.launcher import PlainService, running_plain_service

from tests.moved_clock import MovedClock
from tests.playbooks.conftest import REACHED, Play
from tests.playbooks.test_incidents import SCHEMA

pytestmark = pytest.mark.playbook
# Ages of seconds in place of those of an hour
SECONDS = {
    "policy_session_look_minutes": 0,
    "policy_session_investigate_minutes": 0.01,
    "policy_session_end_minutes": 0.02,
    "policy_session_quiet_seconds": 1,
    "policy_session_interval": 1,
    "policy_session_look_max": 3,
    "policy_verify_samples": 2,
    "policy_verify_interval": 1,
    "policy_verify_good": 2,
}


def on(service: PlainService, **more: Any) -> dict[str, Any]:
    """Variables of an inventory host that runs it."""
    return {**REACHED, **service.inventory(), "policy_become": False, **more}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PlainService]:
    (tmp_path / "state").mkdir(mode=0o750)
    (tmp_path / "plain").mkdir()
    with running_plain_service(tmp_path / "plain") as running:
        yield running


# runbook: DM-1, DM-2
def test_the_morning_check_goes_by_the_log(play: Play, service: PlainService) -> None:
    service.remember(30, jobs=3)
    service.feed(2)
    run = play("playbooks/daily_morning_health_check.yml", {"media1": on(service)})
    assert run.code == 0, run.output
    jsonschema.validate(run.result(), SCHEMA)
    assert run.states() == {"media1": "ok"}
    observed = run.result()["hosts"][0]["observations"]
    total, rate = observed["total_operations_24h"], observed["error_rate_24h"]
    assert (total["value"], total["endpoint"], rate["value"]) == (2, "log", 0)
    assert observed["active_sessions"]["endpoint"] == "processes"
    assert "does not offer this" in run.verdict("media1", "critical_alerts")["message"]
    service.feed(3, fault="broken")
    few = play("playbooks/daily_morning_health_check.yml", {"media1": on(service)}, policy_rate_operations_min=4)
    assert few.code == 2, few.output
    critical = few.verdict("media1", "error_rate")
    assert (critical["state"], critical["observed"]) == ("critical", pytest.approx(3 / 5))
    assert [one["cause"] for one in few.result()["hosts"][0]["incidents"]] == ["input"]
    service.log.chmod(0)
    service.log.unlink()
    service.log.mkdir()
    unread = play("playbooks/daily_morning_health_check.yml", {"media1": on(service)})
    assert unread.verdict("media1", "error_rate")["state"] == "unknown", unread.output


# runbook: P2S-2B, P2S-2C, P0-3C
def test_a_stuck_job_is_ended_beside_another_and_a_dead_watcher_started(play: Play, service: PlainService) -> None:
    service.remember(30, jobs=12)
    (neighbour,) = service.feed(1, fault="live")
    (stuck,) = service.feed(1, fault="fifo")
    hosts = {"media1": on(service, **SECONDS)}
    plan = play("playbooks/incident_response.yml", hosts)
    assert plan.code == 0, plan.output
    response = plan.result("incident_response")["hosts"][0]["response"]
    targets = [action["target"] for rung in response["plan"] for action in rung["actions"]]
    assert response["classes"]["sessions"] == "may_end"
    (target,) = targets
    assert stuck in target, "its process, and none of the neighbour's; its files are young"
    assert stuck in service.workers().values(), "a plan changes nothing"
    run = play("playbooks/incident_response.yml", hosts, incident_mode="apply", incident_plan=response["hash"])
    acted = run.result("incident_response")["hosts"][0]["response"]
    assert acted["recovered"] is True, run.output
    assert set(service.workers().values()) == {neighbour}
    assert (service.work_dir / neighbour).is_dir()
    service.stop()
    again = play("playbooks/incident_response.yml", hosts, incident_mode="apply")
    assert again.code == 0, again.output
    restarted = again.result("incident_response")["hosts"][0]["response"]
    assert [rung["act"] for rung in restarted["acted"]] == ["service_control"]
    service.feed(1)


# runbook: EM-D2, EM-D3
def test_a_full_disk_is_freed_of_old_work_alone(play: Play, tmp_path: Path, clock: MovedClock) -> None:
    (tmp_path / "state").mkdir(mode=0o750)
    base = tmp_path / "plain"
    base.mkdir()
    with running_plain_service(base) as service:
        service.remember(72)
        places = {"old": service.work_dir, "named": service.work_dir}
        with clock.ago(timedelta(days=30)):
            for name in places:
                (service.work_dir / f"{name}5678").mkdir()
                (service.work_dir / f"{name}5678" / "out.mp4").write_bytes(b"x" * 4096)
            service.stop()  # inputs wait for a watcher that does not run
            for directory in (service.input_dir, service.output_dir):
                (directory / "clip.mp4").write_bytes(b"x" * 4096)
        with service.log.open("a", encoding="utf-8") as log:
            log.write(f'{{"at": {round(time.time() * 1000)}, "event": "begun", "job": "named5678"}}\n')
        hosts = {"media1": on(service, policy_emergency_free_percent=100)}
        checked = play("playbooks/emergency_disk_cleanup.yml", hosts, "--check", environment=clock.environment)
        assert (service.work_dir / "old5678" / "out.mp4").exists(), checked.output
        run = play("playbooks/emergency_disk_cleanup.yml", hosts, environment=clock.environment)
        assert not (service.work_dir / "old5678" / "out.mp4").exists(), run.output
        assert (service.work_dir / "named5678" / "out.mp4").exists()
        assert (service.input_dir / "clip.mp4").exists()
        assert (service.output_dir / "clip.mp4").exists()
        weekly = play("playbooks/weekly_system_cleanup.yml", hosts, "--check", environment=clock.environment)
        assert "Clean up the monitoring data: left out, the service does not offer this" in weekly.output
        assert "nothing shows that the service works" in weekly.output


# runbook: DM-1, P0-3A, P0-3D
def test_what_it_cannot_tell_of_itself_is_looked_at(play: Play, service: PlainService) -> None:
    service.remember(30, jobs=3)
    service.feed(2)
    service.break_ffmpeg()
    host = {"policy_own_checks": ["disk", "ffmpeg"], "policy_service_path": str(service.ffmpeg.parent)}
    hosts = {"media1": on(service, **host)}
    morning = play("playbooks/daily_morning_health_check.yml", hosts)
    assert morning.verdict("media1", "fullest_disk")["state"] == "ok", morning.output
    assert (morning.code, morning.verdict("media1", "ffmpeg")["state"]) == (2, "critical"), morning.output
    # The disk is full from 1 % here.
    full = {"policy_disk_critical": 1, "policy_emergency_free_percent": 100}
    response = play("playbooks/incident_response.yml", hosts, **full)
    (told,) = response.result("incident_response")["hosts"]
    assert {one["cause"] for one in told["incidents"]} >= {"ffmpeg", "temp_directory"}, response.output
    assert told["response"]["classes"]["disk"] == "full"
    assert "Free the disk" in [rung["rung"] for rung in told["response"]["plan"]], response.output
