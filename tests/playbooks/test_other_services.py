"""A service of another make, watched by the lines of inventory that docs/other_services.md gives for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from demo_services import documented
from other_service.launcher import OtherService, running_other_service

from tests.playbooks.conftest import REACHED, Play

pytestmark = pytest.mark.playbook
MORNING = "playbooks/daily_morning_health_check.yml"
NOT_OFFERED = "the service does not offer this"


def on(service: OtherService) -> dict[str, Any]:
    """Variables of a host that runs this service."""
    lines = documented("A service whose API has another shape")
    return {**REACHED, **lines, "media_ops_api_url": service.api_url, "policy_base_dir": str(service.base_dir)}


# runbook: DM-1, DM-2, DM-3, DM-4
def test_morning_of_a_service_of_another_shape(play: Play, tmp_path: Path) -> None:
    with running_other_service(tmp_path / "other") as service:
        service.feed(3)
        good = play(MORNING, {"media1": on(service)}, token=service.token())
        assert (good.code, good.states()) == (0, {"media1": "ok"}), good.output
        assert good.verdict("media1", "overall_status")["observed"] == "healthy"
        assert good.verdict("media1", "error_rate")["observed"] == 0
        assert good.verdict("media1", "active_sessions")["observed"] == 0
        alerts = good.verdict("media1", "critical_alerts")
        assert (alerts["state"], alerts["observed"], alerts["note"]) == ("ok", None, NOT_OFFERED)
        report = (good.report_dir / "daily_morning/latest/report.md").read_text(encoding="utf-8")
        assert "* Not offered by the service on media1, and counted for nothing: Critical alerts\n" in report

        service.feed(4, fault="broken")
        bad = play(MORNING, {"media1": on(service)}, token=service.token())
        assert (bad.code, bad.states()) == (2, {"media1": "critical"}), bad.output
        rate = bad.verdict("media1", "error_rate")
        assert rate["state"] == "critical"
        assert 0.1 < rate["observed"] < 1
        assert "incident_high_error_rate" in rate["playbook"]
        assert service.token() not in bad.output
        # A service that has one window, and no log that tells of the last hour
        day = on(service)
        stats = {**day["policy_api_map"]["stats"], "path": "/v2/numbers?last_minutes=1440", "hours": 24}
        day |= {"policy_api_map": {**day["policy_api_map"], "stats": stats}, "policy_operations_log": ""}
        found = play("playbooks/incident_response.yml", {"media1": day}, token=service.token())
        assert "P1 High error rate" in found.output, found.output
        title = found.verdict("media1", "recent_error_rate", "incident_response")["title"]
        assert title == "Error rate of 24 h"
