"""What a real service was seen to say of itself, from a pipeline that does so, as the checks judge it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.api.pipeline_info import pipeline_info
from ansible_collections.media_ops.runbook.plugins.module_utils.api.settings import api_argument_spec
from ansible_collections.media_ops.runbook.plugins.module_utils.times import utc_now
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.checked import checked
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.dates import moving_offset
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.muting import made
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.unit.plugins.policy import policy

POLICY = {name.removeprefix("policy_"): value for name, value in policy().items()}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """One failed merge, a component that is broken for ever, a document hidden by a 500, and times of another zone."""
    seen = "alerts_twice local_times rate_of_few storage_bug"
    env = {"PIPELINE_SEEN": seen, "PIPELINE_HEALTH_503": "hidden", "TZ": "Asia/Kolkata"}
    with running_pipeline(tmp_path_factory.mktemp("seen"), env) as pipeline:
        pipeline.feed(1, fault="broken")
        yield pipeline


def ask(service: Pipeline, *gather: str) -> dict[str, Any]:
    params = {name: option.get("default") for name, option in api_argument_spec().items()}
    params |= {"gather": list(gather), "stats_hours": 24, "metrics_hours": 24, "alerts_level": "critical"}
    params |= {"alerts_limit": 200, "query": None, "api_url": service.api_url, "api_token": service.token()}
    return pipeline_info(params, {}, {}, warn=lambda text: None, hide=lambda text: None, environ={})


def test_it_is_no_outage_and_no_p0_while_its_bug_is_muted(service: Pipeline) -> None:
    answer = ask(service, "health", "stats", "alerts", "sessions")
    first = ask(service, "health_detailed")
    time.sleep(1.1)  # as far apart as two tasks of Ansible are at least: dates of an answer are whole seconds
    offset = moving_offset(first, ask(service, "health_detailed"))
    assert offset is not None
    assert abs(offset - 5.5 * 3600) < 5

    def judged(*mutes: dict[str, Any]) -> dict[str, Any]:
        given = {"run_by": "morning", "policy": POLICY, "mutes": mutes, "service_offset_s": offset}
        return checked(answer, **given, now=utc_now())  # type: ignore[arg-type]

    def verdict(found: dict[str, Any], check: str) -> dict[str, Any]:
        return next(one for one in found["verdicts"] if one["check"] == check)

    loud = judged()
    assert {incident["cause"] for incident in loud["incidents"]} == {"cloud_storage"}
    about: dict[str, Any] = {"reason": "MEDIA-123", "by": "alice", "seconds": 3600, "now": utc_now()}
    muted = judged(made("component:cloud_storage", **about))
    overall = verdict(muted, "overall_status")
    assert overall["state"] == "warning", "one failure of a few operations"
    assert "the service's times are 5.5 h ahead of the host's clock, as in a zone of its own" in overall["message"]
    rate = verdict(muted, "error_rate")
    assert (rate["state"], "fewer than the 10" in rate["message"]) == ("warning", True)
    # One failed merge makes one critical alert that counts, and its message is the cause.
    alerts = verdict(muted, "critical_alerts")
    assert alerts["observed"] == 1
    assert "Copyright" not in alerts["message"]
    unmuted = {incident["cause"] for incident in muted["incidents"]}
    assert unmuted == {"alerts"}
    quiet = judged(made("component:cloud_storage", **about), made("check:critical_alerts", **about))
    assert quiet["incidents"] == []
