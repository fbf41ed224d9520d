"""A service without an API: all that is known of it comes from its log, its processes and its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from plain_service.launcher import PlainService, running_plain_service

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


# runbook: P2S-2B, P2S-2C
def test_a_stuck_job_is_ended_and_the_one_beside_it_goes_on(play: Play, service: PlainService) -> None:
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
