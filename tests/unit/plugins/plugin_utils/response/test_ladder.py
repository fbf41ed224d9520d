"""Ladders and the fleet's breaker."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.breaker import breaker
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.ladder import lacking, ladder, rungs

from tests.unit.plugins.policy import policy

LADDERS = policy()["policy_ladders"]


def acts(cause: str, **diagnosis: str) -> list[str]:
    return [rung["act"] for rung in rungs(cause, diagnosis, LADDERS)]


def test_only_what_cures_the_class_is_tried() -> None:
    assert acts("ffmpeg", ffmpeg="missing") == ["package_repair"]
    assert acts("ffmpeg", ffmpeg="missing", service="running") == ["package_repair", "service_control"]
    assert acts("ffmpeg", ffmpeg="not_used", service="running") == ["service_control"]
    for class_ in ("shadowed", "hangs", "codec_missing", "unknown", "ok"):
        assert acts("ffmpeg", ffmpeg=class_) == []


def test_a_masked_service_is_left_to_a_person() -> None:
    assert acts("service", service="dead") == ["service_control"]
    assert acts("service", service="masked") == []


def test_a_restart_is_last() -> None:
    for rows in LADDERS.values():
        names = [row["act"] for row in rows]
        assert sorted(names, key=lambda name: name == "service_control") == names
    found = acts("system_resources", disk="full", sessions="may_end", resources="short_by_service", service="running")
    assert found == ["disk_cleanup", "session_terminate", "service_control"]


RESTARTS = {"service_control", "service_config"}


@pytest.mark.parametrize("cause", [name for name, rows in LADDERS.items() if RESTARTS & {row["act"] for row in rows}])
def test_what_fills_comes_before_a_restart_and_a_full_disk_is_no_reason_for_one(cause: str) -> None:
    """Each ladder that a full disk, a full /tmp or full inodes can lead to."""
    assert LADDERS[cause][0]["act"] == "disk_cleanup"
    for row in LADDERS[cause]:
        if row["act"] in RESTARTS and "dead" not in row["when"].get("service", []):
            assert lacking(row, {"disk": "full", "ffmpeg": "ok"}) == ["disk is full"]
            assert not lacking(row, {"disk": "ok", "ffmpeg": "ok"})
            assert not lacking(row, {"ffmpeg": "ok"}), "what nobody looked at holds nothing up"


def test_a_dead_service_is_started_whatever_fills() -> None:
    found = rungs("service", {"service": "dead", "disk": "full"}, LADDERS)
    assert [(rung["act"], lacking(rung, {"disk": "full"})) for rung in found] == [
        ("disk_cleanup", []),
        ("service_control", []),
    ]


def test_a_service_is_not_restarted_for_an_ffmpeg_that_is_still_broken() -> None:
    restart = rungs("ffmpeg", {"ffmpeg": "missing", "service": "running"}, LADDERS)[-1]
    assert lacking(restart, {"ffmpeg": "missing", "disk": "ok"}) == ["ffmpeg is missing"]
    assert lacking(restart, {"ffmpeg": "unknown"}) == ["ffmpeg is unknown"]
    assert lacking(restart, {}) == ["ffmpeg is unknown"]
    assert not lacking(restart, {"ffmpeg": "ok", "disk": "ok"})


def test_a_restart_that_two_causes_call_for_needs_what_both_need() -> None:
    row = {"rung": "R", "act": "service_control", "when": {}, "steps": [], "args": {}}
    ladders = {
        "a": [{**row, "needs": {"ffmpeg": ["ok"], "disk": ["ok"]}}],
        "b": [{**row, "needs": {"disk": ["ok", "unknown"]}}],
        "c": [row],
    }
    incidents = [{"incident": "i", "cause": cause, "priority": "P0"} for cause in "abc"]
    assert ladder(incidents[:2], {}, ladders)[0]["needs"] == {"disk": ["ok", "unknown"]}
    assert ladder(incidents, {}, ladders)[0]["needs"] == {}


def test_a_storage_outage_has_no_rung() -> None:
    assert acts("cloud_storage", storage="timeout") == []
    assert acts("never heard of") == []


def test_a_rung_that_is_no_rung_is_refused() -> None:
    with pytest.raises(MediaOpsError, match="policy_ladders: a rung of 'x' lacks when"):
        rungs("x", {}, {"x": [{"rung": "r", "act": "a", "steps": []}]})


def fleet(hosts: int, broken: int, **more: Any) -> dict[str, Any]:
    return {f"h{n}": {"causes": ["cloud_storage"] if n < broken else [], **more} for n in range(hosts)}


@pytest.mark.parametrize(
    ("hosts", "broken", "size", "opens"),
    [(1, 1, 1, False), (3, 1, 3, False), (3, 2, 3, True), (10, 2, 10, False), (10, 3, 10, True), (3, 3, 300, False)],
)
def test_the_breaker_opens_beyond_its_share(hosts: int, broken: int, size: int, opens: bool) -> None:
    assert bool(breaker(fleet(hosts, broken), size, share=0.2, at_least=1)) is opens


def test_the_breaker_counts_what_was_acted_upon_within_the_hour() -> None:
    seen = {"a": {"causes": ["ffmpeg"]}, "b": {"causes": [], "acted": ["ffmpeg"]}}
    assert breaker(seen, 2, share=0.2, at_least=1) == {"ffmpeg": {"hosts": ["a", "b"], "allowed": 1, "fleet": 2}}


def test_a_share_in_per_cent_is_refused() -> None:
    with pytest.raises(OptionError, match="policy_breaker_share"):
        breaker({}, 1, share=20, at_least=1)
