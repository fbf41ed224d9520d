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
SECONDS = {"policy_session_look_minutes": 0, "policy_session_investigate_minutes": 0.01}


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
