"""What a person muted counts for nothing, is said wherever it would have counted, and ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.state.mutes import mute_name
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.checked import broken_off, checked
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.muting import in_force, made, parsed
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import host_state
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.recovery import amended

from tests.unit.plugins import factories as f
from tests.unit.plugins.policy import policy

POLICY = {name.removeprefix("policy_"): value for name, value in policy().items()}
NOW = datetime.fromisoformat(f.NOW)
DAY = 86400


def mute(text: str, seconds: float = DAY, began: float = 0, **changes: Any) -> dict[str, Any]:
    about = {"reason": "MEDIA-123", "by": "alice", "seconds": seconds}
    return {**made(text, **about, now=NOW + timedelta(seconds=began)), **changes}  # type: ignore[arg-type]


def found(*mutes: dict[str, Any], answer: Any = None, run_by: str = "morning", **spoiled: Any) -> dict[str, Any]:
    kept = {"mutes": {"state": "ok", "reason": "", "mutes": list(mutes)}}
    given = {**f.result(**spoiled), **kept} if answer is None else answer
    return checked(given, run_by=run_by, policy=POLICY, mutes=mutes, now=NOW)


def verdict(judged: dict[str, Any], check: str) -> dict[str, Any]:
    return next(one for one in judged["verdicts"] if one["check"] == check)


BROKEN = f.health("critical", cloud_storage="critical")
SAID = "muted until 2026-11-25T06:00:00Z by alice: MEDIA-123"


def test_a_component_that_is_broken_for_ever_is_no_p0_while_it_is_muted() -> None:
    loud, muted = found(health=f.answer(BROKEN)), found(mute("component:cloud_storage"), health=f.answer(BROKEN))
    assert (host_state(loud["verdicts"]), len(loud["incidents"])) == ("critical", 1)
    assert (host_state(muted["verdicts"]), muted["incidents"]) == ("ok", [])
    one = verdict(muted, "overall_status")
    assert f"cloud_storage is critical ({SAID})" in one["message"]
    assert f"component:cloud_storage {SAID}" in verdict(muted, "mutes")["message"]
    row = next(row for row in muted["details"]["components"] if row["component"] == "cloud_storage")
    assert (row["status"], row["counts_as"]) == ("critical", "healthy")


def test_what_is_not_muted_counts_as_before() -> None:
    both = f.answer(f.health("critical", cloud_storage="critical", ffmpeg="critical"))
    judged = found(mute("component:cloud_storage"), health=both)
    assert [incident["cause"] for incident in judged["incidents"]] == ["ffmpeg"]
    judged = found(mute("component:ffmpeg"), health=f.answer(BROKEN))
    assert [incident["cause"] for incident in judged["incidents"]] == ["cloud_storage"]
    # What no component explains is not muted with one.
    alone = f.answer({**BROKEN, "summary": {"critical": 2}})
    assert host_state(found(mute("component:cloud_storage"), health=alone)["verdicts"]) == "critical"


def test_alerts_of_a_muted_component_are_not_counted() -> None:
    answer = f.answer(f.alerts(2), level="critical", limit=200)
    answer["data"]["alerts"][0]["metadata"] = {"component": "cloud_storage"}
    one = verdict(found(mute("component:cloud_storage"), alerts=answer), "critical_alerts")
    assert (one["observed"], "1 of components that are muted" in one["message"]) == (1, True)


def test_a_check_is_muted_alone() -> None:
    stats = f.answer(f.stats(failed=50), hours=24)
    judged = found(mute("check:error_rate"), stats=stats)
    one = verdict(judged, "error_rate")
    assert (one["state"], one["muted"]["state"], one["observed"]) == ("ok", "critical", 0.5)
    assert one["message"] == f"Error rate of 24 h: 50 % (critical, {SAID})"
    assert verdict(judged, "success_rate")["state"] == "critical"
    assert judged["incidents"][0]["checks"] == ["success_rate"]
    both = found(mute("check:error_rate"), mute("check:success_rate"), stats=stats)
    assert (host_state(both["verdicts"]), both["incidents"]) == ("ok", [])
    assert both["verdicts"][0]["muted"], "of what is ok, what is muted is told first"


@pytest.mark.parametrize(
    "answer", [{"unreachable": True, "msg": "no route to host"}, {"failed": True, "msg": "no"}, {"endpoints": {}}, {}]
)
def test_a_host_that_is_muted_fails_nothing_though_it_is_down(answer: dict[str, Any]) -> None:
    judged = found(mute("host"), answer=answer)
    assert {one["state"] for one in judged["verdicts"]} == {"ok"}
    assert judged["incidents"] == []
    assert all(one["muted"]["what"] == "host" for one in judged["verdicts"])
    assert host_state(found(answer=answer)["verdicts"]) != "ok"
    ended = broken_off(judged, "in a task")
    assert host_state(ended["verdicts"]) == "ok"
    assert SAID in next(one["message"] for one in ended["verdicts"] if one["check"] == "run")


def test_what_a_response_finds_can_be_muted() -> None:
    judged = found(mute("check:probed_storage"))
    response: dict[str, Any] = {"classes": {"storage": "denied"}, "findings": [], "recovered": None, "incidents": []}
    ended = amended(judged, response, {"incidents": POLICY["incidents"], "error_causes": {}})
    assert host_state(ended["verdicts"]) == "ok"
    assert verdict(ended, "probed_storage")["muted"]["state"] == "critical"


def test_a_mute_ends_by_itself_and_none_is_without_an_end() -> None:
    longest = 30 * DAY

    def holds(*rows: Any, after: float = 0) -> list[str]:
        return [mute_name(row) for row in in_force(rows, now=NOW + timedelta(seconds=after), longest_s=longest)]

    one = mute("component:ffmpeg", seconds=60)
    assert holds(one) == ["component:ffmpeg"]
    assert holds(one, after=59) == ["component:ffmpeg"]
    assert holds(one, after=60) == []
    assert holds(mute("host", seconds=longest)) == ["host"]
    assert holds(mute("host", seconds=longest + 1)) == [], "no file of a host mutes it for ever"
    bad: list[Any] = [None, "host", {}, mute("host", until=None), mute("host", until="never"), mute("host", reason=" ")]
    bad += [mute("host", what="fleet"), mute("host", name="x"), mute("check:clock", name="")]
    assert holds(*bad) == []
    later = mute("host", seconds=120, began=10, reason="newer")
    assert [row["reason"] for row in in_force([later, mute("host")], now=NOW, longest_s=longest)] == ["newer"]


def test_mutes_that_cannot_be_read_mute_nothing_and_are_said() -> None:
    answer = {**f.result(), "mutes": {"state": "denied", "reason": "mutes.json cannot be read", "mutes": []}}
    one = verdict(found(answer=answer), "mutes")
    assert (one["state"], "mutes.json cannot be read" in one["message"]) == ("unknown", True)


@pytest.mark.parametrize("text", ["", "ffmpeg", "host:web1", "component:", "component: ", "check", "fleet", "all"])
def test_what_cannot_be_muted_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="component:NAME, check:NAME or host is needed"):
        parsed(text)


def test_a_mute_is_as_long_as_it_is_asked_for() -> None:
    one = mute("check:clock", seconds=90)
    assert (one["since"], one["until"]) == (f.NOW, to_text(NOW + timedelta(seconds=90)))
