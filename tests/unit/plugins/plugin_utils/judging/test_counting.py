"""What of a service's word counts, and what is only told: old alerts, few operations, a clock that is off."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.times import from_text
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.checked import checked
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.dates import moving_offset
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import PolicyError, require_sound

from tests.unit.plugins import factories as f
from tests.unit.plugins.policy import policy

POLICY = {name.removeprefix("policy_"): value for name, value in policy().items()}


def moment(text: str) -> datetime:
    found = from_text(text)
    assert found is not None
    return found


NOW = moment(f.NOW)


def found(run_by: str = "morning", offset: float | None = None, rules: Any = None, **spoiled: Any) -> dict[str, Any]:
    rules = {**POLICY, **(rules or {})}
    return checked(f.result(**spoiled), run_by=run_by, policy=rules, service_offset_s=offset, now=NOW)


def verdict(judged: dict[str, Any], check: str) -> dict[str, Any]:
    return next(one for one in judged["verdicts"] if one["check"] == check)


def alerts(*rows: tuple[float, str | None], level: str = "critical", **changes: Any) -> dict[str, Any]:
    """Alerts, each with its age in hours and its session, the newest first."""
    made = [
        {
            "id": str(at),
            "level": level,
            "title": "Merge failed",
            "message": "no space left on device",
            "timestamp": (NOW - timedelta(hours=age)).strftime("%Y-%m-%dT%H:%M:%S"),
            "session_id": session,
        }
        for at, (age, session) in enumerate(rows)
    ]
    return f.answer({**f.alerts(0), "alerts": made, "total_returned": len(made), **changes}, level=level, limit=200)


# runbook: DM-3
@pytest.mark.parametrize(
    ("rows", "count", "state", "note"),
    [
        ([(20 * 24, None)], 0, "ok", "1 older than 24.0 h, not counted"),
        ([(23.9, None)], 1, "critical", "newest of 2026-11-23T06:06:00Z: Merge failed: no space left on device"),
        ([(1, "a"), (1, "a"), (2, "a")], 1, "critical", "2 more of the same session"),
        ([(1, "a"), (1, "b"), (1, None), (2, None)], 4, "critical", ""),
        ([(1, "a"), (30, "a"), (30, "b")], 1, "critical", "2 older than 24.0 h, not counted"),
        ([(-3, None)], 1, "critical", ""),
    ],
)
def test_old_alerts_are_listed_and_alerts_of_one_session_count_once(
    rows: list[tuple[float, str | None]], count: int, state: str, note: str
) -> None:
    judged = found(alerts=alerts(*rows))
    one = verdict(judged, "critical_alerts")
    assert (one["observed"], one["state"]) == (count, state)
    assert note in one["message"]
    assert len(judged["details"]["alerts"]) == len(rows), "listed all the same"
    assert [i["incident"] for i in judged["incidents"]] == (["critical_system"] if count else [])


def test_what_is_not_shown_is_older_than_what_is() -> None:
    """Of more alerts than are shown the rest is older than the last one shown, and counts only where that does."""
    young = verdict(found(alerts=alerts((1, None), (2, None), total_returned=7)), "critical_alerts")
    old = verdict(found(alerts=alerts((1, None), (30, None), total_returned=7)), "critical_alerts")
    assert (young["observed"], old["observed"]) == (7, 1)


def test_an_alert_without_a_date_may_be_new() -> None:
    answer = alerts((1, None))
    answer["data"]["alerts"][0]["timestamp"] = None
    assert verdict(found(alerts=answer), "critical_alerts")["observed"] == 1


# runbook: DM-2, AU-H3
@pytest.mark.parametrize(
    ("total", "failed", "state"),
    [(4, 1, "warning"), (9, 9, "warning"), (10, 2, "critical"), (10, 1, "warning"), (4, 0, "ok")],
)
def test_a_rate_of_few_operations_is_a_warning_with_the_counts(total: int, failed: int, state: str) -> None:
    judged = found(stats=f.answer(f.stats(total=total, failed=failed), hours=24))
    rates = [verdict(judged, name) for name in ("error_rate", "success_rate")]
    assert [one["state"] for one in rates] == [state, state]
    if failed / total > 0.1 and total < 10:
        assert f"({failed} of {total} operations, fewer than the 10 that" in rates[0]["message"]
        assert f"({total - failed} of {total} operations, fewer" in rates[1]["message"]
    assert bool(judged["incidents"]) == (state == "critical")
    alike = found("watch_health", stats=f.answer(f.stats(1, total=total, failed=failed), hours=1))
    assert verdict(alike, "recent_error_rate")["state"] == state


def test_how_many_operations_a_rate_needs_is_policy() -> None:
    rules = {name.removeprefix("policy_"): value for name, value in policy(policy_rate_operations_min=3).items()}
    judged = found(rules=rules, stats=f.answer(f.stats(total=4, failed=1), hours=24))
    assert verdict(judged, "error_rate")["state"] == "critical"


@pytest.mark.parametrize(
    "needs", ["x", {}, {"observation": "total_operations_24h"}, {"observation": "x", "at_least": "many"}]
)
def test_needs_that_say_nothing_are_refused(needs: Any) -> None:
    row = {**next(row for row in POLICY["checks"] if row["check"] == "error_rate"), "needs": needs}
    with pytest.raises(PolicyError, match="check 'error_rate', needs: "):
        require_sound([row])


def pipeline(total: int | None, status: str = "critical", **others: str) -> dict[str, Any]:
    """A health answer where one failure of a few operations made the service call itself critical."""
    made = f.health(status, processing_pipeline="critical", **others)
    row = next(row for row in made["checks"] if row["component"] == "processing_pipeline")
    row["details"] = {} if total is None else {"total_operations": total}
    return made


@pytest.mark.parametrize(
    ("health", "state", "causes"),
    [
        (pipeline(4), "warning", []),
        (pipeline(10), "critical", ["processing_pipeline"]),
        # The day's statistics, asked for with the health, count 100.
        (pipeline(None), "critical", ["processing_pipeline"]),
        (pipeline(4, ffmpeg="critical"), "critical", ["ffmpeg"]),
        (pipeline(4, ffmpeg="unknown"), "unknown", []),
        # None of those that are listed makes it unknown.
        (pipeline(4, "unknown"), "unknown", []),
        # What is not listed may be what is critical.
        ({**pipeline(4), "summary": {"critical": 2}}, "critical", ["service"]),
    ],
)
def test_a_component_that_is_a_rate_of_few_operations_counts_as_a_warning(
    health: dict[str, Any], state: str, causes: list[str]
) -> None:
    judged = found(health=f.answer(health))
    one = verdict(judged, "overall_status")
    assert one["state"] == state
    assert [incident["cause"] for incident in judged["incidents"]] == causes
    if state == "warning":
        assert "processing_pipeline is critical (of 4 operations, fewer than the 10 that" in one["message"]


@pytest.mark.parametrize(
    "details",
    [
        {"total_operations": 0, "error_rate": 0.0, "success_rate": 0.0},
        {"total_operations": 4, "error_rate": 0.0},
        {"total_operations": 4, "success_rate": 1.0},
        {"total_operations": 4, "failed_operations": 0},
    ],
)
def test_what_is_critical_without_a_failed_operation_is_no_rate(details: dict[str, Any]) -> None:
    health = pipeline(None)
    health["checks"][-1]["details"] = details
    assert verdict(found(health=f.answer(health)), "overall_status")["state"] == "critical"


def test_a_second_row_of_a_component_counts_as_it_says() -> None:
    health = pipeline(4)
    health["checks"].insert(0, {**health["checks"][-1], "details": {"total_operations": 400}})
    assert verdict(found(health=f.answer(health)), "overall_status")["state"] == "critical"


# --- a clock


def dated(hours: float, second: float = 0, status: str = "healthy") -> dict[str, Any]:
    """A health answer whose date is off by some hours, read some seconds later than another."""
    shift = timedelta(hours=hours, seconds=second)
    text = (moment(f.THEN) + shift).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return {**f.health(status), "timestamp": text}


def read(hours: float, second: float = 0, moves: bool = True) -> dict[str, Any]:
    answer = f.answer(dated(hours, second if moves else 0))
    answer["fetched_at"] = (NOW + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"endpoints": {"health_detailed": answer}}


@pytest.mark.parametrize("hours", [2, -2, -5.5, 11, 3.3])
def test_a_service_that_goes_on_with_a_date_that_is_off_is_told_by_its_offset(hours: float) -> None:
    assert moving_offset(read(hours), read(hours, 2)) == round(hours * 3600 - 20)
    assert moving_offset(read(hours), read(hours, 2, moves=False)) is None
    assert moving_offset(read(hours), read(hours + 1, 2)) is None
    assert moving_offset(read(hours), {"failed": True}) is None


@pytest.mark.parametrize("status", ["healthy", "critical"])
@pytest.mark.parametrize("hours", [2, -2])
def test_a_zone_is_named_and_the_state_is_known(hours: float, status: str) -> None:
    shifted = (moment(f.THEN) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S")
    answers: dict[str, Any] = {
        "health": f.answer(dated(hours, status=status)),
        "stats": f.answer(f.stats(generated_at=shifted), hours=24),
        "alerts": f.answer({**f.alerts(0), "generated_at": shifted}, level="critical", limit=200),
    }
    judged = found(offset=hours * 3600, **answers)
    assert verdict(judged, "overall_status")["state"] == ("ok" if status == "healthy" else "critical")
    assert verdict(judged, "error_rate")["state"] == "ok"
    clock = verdict(judged, "clock")
    where = "ahead of" if hours > 0 else "behind"
    assert clock["state"] == "warning"
    assert f"the service's times are 2.0 h {where} the host's clock, as in a zone of its own" in clock["message"]
    assert "a zone of its own" in verdict(judged, "overall_status")["message"]
    assert bool(judged["incidents"]) == (status == "critical")


def test_alerts_are_as_old_as_the_services_own_clock_says() -> None:
    answer = alerts((23 - 2, None), generated_at=(NOW + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S"))
    assert verdict(found(offset=7200, alerts=answer), "critical_alerts")["observed"] == 1
    answer = alerts((25 - 2, None), generated_at=(NOW + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S"))
    assert verdict(found(offset=7200, alerts=answer), "critical_alerts")["observed"] == 0


def test_a_date_ahead_is_a_clock_and_no_outage_and_an_old_one_is() -> None:
    ahead, behind = found(health=f.answer(dated(3))), found(health=f.answer(dated(-3)))
    one = verdict(ahead, "overall_status")
    assert (one["state"], one["fault"], ahead["incidents"]) == ("unknown", "clock", [])
    assert "a clock or a zone is wrong" in one["message"]
    assert [incident["incident"] for incident in behind["incidents"]] == ["critical_system"]
