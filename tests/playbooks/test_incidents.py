"""Incidents as a user meets them: a plan by default, on a real pipeline with real faults. What needs systemd is in molecule/."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.playbooks.conftest import REACHED, ROOT, Play, closed_port

pytestmark = pytest.mark.playbook
RESPONSE = "playbooks/incident_response.yml"
SCHEMA = json.loads((ROOT / "roles/report/files/result.schema.json").read_text(encoding="utf-8"))


def on(pipeline: Pipeline, **more: Any) -> dict[str, Any]:
    """Variables of an inventory host that runs this pipeline."""
    return {
        **REACHED,
        "media_ops_api_url": pipeline.api_url,
        "media_ops_api_token": pipeline.token(),
        "policy_base_dir": str(pipeline.base_dir),
        "policy_become": False,
        "policy_service_user": pwd.getpwuid(os.geteuid()).pw_name,
        **more,
    }


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline whose ffmpeg cannot run."""
    with running_pipeline(tmp_path_factory.mktemp("broken")) as pipeline:
        pipeline.break_ffmpeg()
        yield pipeline


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir(mode=0o750)
    return made


# runbook: P0-1A, P0-1B, P0-1C, P0-2A, P0-2B, P0-2C, P0-3A, P0-3B
def test_the_plan_of_a_critical_host_says_what_is_wrong(play: Play, broken: Pipeline, state: Path) -> None:
    run = play(RESPONSE, {"media1": on(broken)})
    print(run.output)
    assert run.code == 2, run.output
    result = run.result("incident_response")
    jsonschema.validate(result, SCHEMA)
    (host,) = result["hosts"]
    response = host["response"]
    assert [(row["priority"], row["cause"]) for row in host["incidents"]] == [("P0", "ffmpeg")]
    assert {"service", "ffmpeg", "storage", "sessions", "disk", "resources"} <= set(response["classes"])
    assert response["mode"] == "plan"
    assert response["recovered"] is None
    assert list(state.iterdir()) == [], "a plan writes nothing on the host"
