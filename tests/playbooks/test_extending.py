"""What a site adds by its inventory and its own collection alone, as docs/examples/extension has it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.host_state import entries
from tests.playbooks.conftest import REACHED, ROOT, Play, Run

pytestmark = pytest.mark.playbook
EXAMPLE = ROOT / "docs" / "examples" / "extension"
SITE = yaml.safe_load((EXAMPLE / "group_vars" / "media_hosts.yml").read_text(encoding="utf-8"))
COLLECTIONS = {"ANSIBLE_COLLECTIONS_PATH": f"{ROOT / 'playbooks/collections'}{os.pathsep}{EXAMPLE / 'collections'}"}
SCHEMA = json.loads((ROOT / "roles/report/files/result.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("site"), {"PIPELINE_SAMPLE_SECONDS": "1"}) as running:
        running.feed(1)
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    made = tmp_path / "spool"
    made.mkdir()
    (tmp_path / "state").mkdir(mode=0o750)
    for name in ("a.job", "b.job.failed", "c.job.failed"):
        (made / name).write_text("x", encoding="utf-8")
    return made


def run(play: Play, pipeline: Pipeline, spool: Path, playbook: str, *options: str, **more: Any) -> Run:
    host = {
        **REACHED,
        "media_ops_api_url": pipeline.api_url,
        "media_ops_api_token": pipeline.token(),
        "policy_base_dir": str(pipeline.base_dir),
        "policy_become": False,
        "policy_service_user": pwd.getpwuid(os.geteuid()).pw_name,
    }
    site = {**SITE, "spool_dir": str(spool), **more}
    return play(playbook, {"media1": host}, *options, environment=COLLECTIONS, **site)


def test_a_check_an_incident_and_a_ladder_of_a_site(play: Play, pipeline: Pipeline, spool: Path) -> None:
    response = "playbooks/incident_response.yml"
    only = {
        "incident_only": ["failing_jobs"],
        "policy_verify_samples": 1,
        "policy_verify_good": 1,
        "policy_verify_interval": 0,
    }
    looked = run(play, pipeline, spool, response, **only)
    assert looked.code == 2, looked.output
    result = looked.result("incident_response")
    jsonschema.validate(result, SCHEMA)
    (host,) = result["hosts"]
    assert [(one["incident"], one["cause"]) for one in host["incidents"]] == [("failing_jobs", "spool")]
    assert "Failed jobs in the spool: 2" in looked.output
    assert host["response"]["classes"]["spool"] == "failing"
    assert "2 jobs failed" in looked.output
    (rung,) = host["response"]["plan"]
    assert [action["target"] for action in rung["actions"]] == [f"{spool}/b.job.failed", f"{spool}/c.job.failed"]
    assert (spool / "b.job.failed").exists()
    # What was approved is another plan by now.
    (spool / "d.job.failed").write_text("x", encoding="utf-8")
    apply = {**only, "incident_mode": "apply"}
    drifted = run(play, pipeline, spool, response, **apply, incident_plan=host["response"]["hash"])
    assert drifted.code == 2
    assert "the plan has drifted" in drifted.output
    assert (spool / "b.job.failed").exists()
    acted = run(play, pipeline, spool, response, **apply)
    assert acted.code == 0, acted.output
    (host,) = acted.result("incident_response")["hosts"]
    assert host["response"]["recovered"] is True
    assert sorted(path.name for path in spool.iterdir()) == ["a.job", "b.job", "c.job", "d.job"]
    kept = [
        (entry["action"], entry["result"])
        for entry in entries((spool.parent / "state" / "ledger.jsonl").read_text(encoding="utf-8"))
    ]
    assert kept.count(("requeue", "done")) == 3
    assert kept.count(("requeue", "started")) == 3


def test_a_procedure_and_a_profile_of_a_site(play: Play, pipeline: Pipeline, spool: Path) -> None:
    old = spool / "old.done"
    old.write_text("x", encoding="utf-8")
    os.utime(old, (0, 0))
    # One failed job is a warning.
    (spool / "c.job.failed").unlink()
    rule = {**SITE["policy_site_retention"]["spool"][0], "age_of": "mtime"}
    more = {"policy_site_retention": {"spool": [rule]}}
    # Variables beside a playbook would stand above those of the inventory.
    playbook = str(shutil.copy(EXAMPLE / "spool_cleanup.yml", spool.parent))
    shown = run(play, pipeline, spool, playbook, "--check", **more)
    assert shown.code == 0, shown.output
    assert old.exists()
    assert str(old) in shown.output
    done = run(play, pipeline, spool, playbook, **more)
    assert done.code == 0, done.output
    assert not old.exists()
    assert (spool / "a.job").exists()


def test_a_probe_that_gives_no_answer_is_unknown(play: Play, pipeline: Pipeline, spool: Path) -> None:
    checked = run(play, pipeline, spool / "nothere", "playbooks/daily_morning_health_check.yml")
    assert checked.code == 2, checked.output
    assert checked.states()["media1"] == "unknown"
    assert "No such file or directory" in checked.verdict("media1", "failed_jobs")["message"]


def test_what_reaches_nothing_is_refused_before_anything_is_asked(play: Play, pipeline: Pipeline, spool: Path) -> None:
    row = {**SITE["policy_site_probes"][0], "args": {"pth": "/"}}
    refused = run(play, pipeline, spool, "playbooks/daily_morning_health_check.yml", policy_site_probes=[row])
    assert refused.code == 2
    assert "policy_site_probes: spool: acme.media.spool_info has no option pth" in " ".join(refused.output.split())
    assert "Ask the monitoring API" not in refused.output
