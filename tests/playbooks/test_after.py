"""What must come before on each host, and a job of AWX that is to know when it was due: real runs of the deletion."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.playbooks.conftest import REACHED, Play, Run

pytestmark = pytest.mark.playbook
DELETION = "playbooks/daily_log_cleanup.yml"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("pipeline")) as pipeline:
        pipeline.feed(1)
        yield pipeline


def host(tmp_path: Path, pipeline: Pipeline, name: str) -> dict[str, Any]:
    for part in ("state", "archive"):
        (tmp_path / name / part).mkdir(mode=0o750, parents=True)
    return {
        **REACHED,
        "media_ops_api_url": pipeline.api_url,
        "policy_base_dir": str(pipeline.base_dir),
        "policy_state_dir": str(tmp_path / name / "state"),
        "policy_archive_dir": str(tmp_path / name / "archive"),
        "policy_become": False,
    }


def refusals(run: Run, name: str) -> list[str]:
    (found,) = (one for one in run.result("daily_log_cleanup")["hosts"] if one["host"] == name)
    return list(found["response"]["refusals"])


# runbook: AU-S3
def test_each_host_is_asked_for_its_own_archive(play: Play, tmp_path: Path, pipeline: Pipeline) -> None:
    hosts = {name: host(tmp_path, pipeline, name) for name in ("with", "without")}
    token = pipeline.token()
    archived = play("playbooks/weekly_log_management.yml", hosts, "--limit", "with", token=token)
    assert archived.code == 0, archived.output
    hosts["paused"] = host(tmp_path, pipeline, "paused")
    said = {"reason": "new disk", "by": "bob", "since": "2026-11-24T06:00:00Z", "until": "2199-01-01T00:00:00Z"}
    # As the version before kept it
    (tmp_path / "paused" / "state" / "pause.json").write_text(json.dumps(said), encoding="utf-8")
    done = play(DELETION, hosts, token=token)
    assert done.code == 2, done.output
    assert refusals(done, "with") == []
    assert done.verdict("with", "automation", "daily_log_cleanup")["observed"] == "free", "its own lease is not told"
    until = "automation is paused until 2199-01-01T00:00:00Z by bob: new disk"
    assert refusals(done, "paused")[0] == until
    assert done.verdict("paused", "automation", "daily_log_cleanup")["message"] == until
    (why,) = refusals(done, "without")
    assert why.startswith("weekly_log_management (log_archive) has not succeeded on this host within 168 h")
    assert done.states("daily_log_cleanup") == {"with": "ok", "without": "critical", "paused": "warning"}
    # Who starts an emergency awaits that it is done.
    emergency = play("playbooks/emergency_disk_cleanup.yml", hosts, "--limit", "paused", token=token)
    assert (emergency.code, emergency.states("emergency_disk_cleanup")) == (2, {"paused": "critical"}), emergency.output
    assert f"Nothing was done: {until}" in emergency.output
    # What the schedule's runner hands on is asked for beside it.
    more = json.dumps({"automation_after": [{"procedure": "weekly_system_cleanup", "hours": 72}]})
    (why,) = refusals(play(DELETION, hosts, "--limit", "with", "-e", more, token=token), "with")
    assert why.startswith("weekly_system_cleanup has not succeeded on this host within 72 h")


def test_a_scheduled_job_of_awx_acts_only_when_it_is_known_to_be_on_time(
    play: Play, tmp_path: Path, pipeline: Pipeline
) -> None:
    hosts = {"media1": host(tmp_path, pipeline, "media1")}
    minute, late = (datetime.now(UTC) - timedelta(minutes=ago) for ago in (1, 180))

    def deletion(schedule: str, due: datetime) -> list[str]:
        table = [{"name": "daily_log_cleanup", "at": f"{due:%H:%M}"}]
        job = {"awx_schedule_name": schedule, "schedule_procedures": table, "policy_schedule_zone": "UTC"}
        options = {**job, "policy_after": {}, "policy_schedule_window": 900}
        return refusals(play(DELETION, hosts, "-e", json.dumps(options), token=pipeline.token()), "media1")

    assert deletion("Nightly: daily log cleanup", minute) == []
    (why,) = deletion("daily_log_cleanup", late)
    assert "and starts over 900 s late" in why
    (why,) = deletion("Nightly deletion", minute)
    assert "when it was due is not known: its name has no name of schedule_procedures in it" in why
