"""A service that no unit of systemd runs, below a real supervisord: seen, found dead, restarted and proved well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from media_pipeline.supervised import SupervisedPipeline, supervised_pipeline

from tests.host_state import entries
from tests.playbooks.conftest import REACHED, Play

pytestmark = pytest.mark.playbook


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupervisedPipeline]:
    with supervised_pipeline(tmp_path_factory.mktemp("supervised")) as pipeline:
        yield pipeline


def on(pipeline: SupervisedPipeline, **more: Any) -> dict[str, Any]:
    return {
        **REACHED,
        "media_ops_api_url": pipeline.api_url,
        "media_ops_api_token": pipeline.token(),
        "policy_base_dir": str(pipeline.base_dir),
        "policy_service_interval": 0.2,
        **pipeline.site,
        **more,
    }


# runbook: P0-3C, P0-4A, P0-4B
def test_a_service_that_died_is_restarted_by_the_sites_command(
    play: Play, supervised: SupervisedPipeline, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(mode=0o750)
    pid = supervised.pid
    supervised.kill()
    watch = {"policy_verify_samples": 2, "policy_verify_good": 1, "policy_verify_interval": 1}
    run = play(
        "playbooks/incident_critical_system.yml",
        {"media1": on(supervised, **watch, policy_breaker_share=1)},
        incident_mode="apply",
    )
    (host,) = run.result("incident_response")["hosts"]
    response = host["response"]
    assert response["classes"]["service"] == "dead", run.output
    assert (response["recovered"], supervised.pid not in (0, pid)) == (True, True), run.output
    [restart] = [action for rung in response["acted"] for action in rung["actions"]]
    assert (restart["action"], restart["result"]) == ("restart", "done")
    assert restart["proof"]["command"].endswith("restart media")
    ledger = entries((tmp_path / "state/ledger.jsonl").read_text(encoding="utf-8"))
    assert [one["result"] for one in ledger if one["action"] == "restart"] == ["started", "done"]
    # Overrides are not offered, and a check shows the main process.
    run = play("playbooks/take_back_overrides.yml", {"media1": on(supervised)}, incident_overrides=["all"])
    assert "they are not offered here: the service has no unit" in run.output
    shown = run.verdict("media1", "service_unit", "take_back_overrides")
    assert (shown["state"], shown["observed"]) == ("ok", "running")
    assert f"pid {supervised.pid}, which listens on port {supervised.port}, since " in shown["note"]
