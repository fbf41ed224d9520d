# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The JSON Schemas of the week and of a host's day: what the collection makes passes, what is spoiled does not."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.review.compare import WEEKS
from ansible_collections.media_ops.runbook.plugins.module_utils.review.days import REVIEW_VERSION
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.review import review

from tests import weekly_factory
from tests.schemas import DAILY_REPORT, REVIEW, WEEKLY, problems, schema
from tests.unit.plugins.week_factory import LIMITS, NOW, ago, answer, daily, reports, service_week, today


@cache
def mixed() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(weekly_factory.mixed()))
    return made


def test_the_schemas_are_some() -> None:
    weekly, day, result = (schema(name) for name in ("weekly", "daily_report", "result"))
    for one in (weekly, day):
        WEEKLY.check_schema(one)
    review_schema = weekly["$defs"]["review"]["properties"]
    assert review_schema["schema_version"] == {"const": REVIEW_VERSION}
    assert review_schema["weeks"]["maxItems"] == WEEKS
    # The facts of a run and whom to call are those of the result document.
    for shared in ("run", "contacts"):
        assert weekly["properties"][shared] == result["properties"][shared]
    samples = result["$defs"]["details"]["properties"]
    for name, own in {"metrics": "metrics", "resource_peaks": "resource_peaks", "log": "log_errors"}.items():
        assert day["properties"][own] == samples[name]


@pytest.mark.parametrize("case", weekly_factory.CASES)
def test_what_the_collection_makes_is_valid(case: str) -> None:
    made = weekly_factory.CASES[case]()
    assert problems(WEEKLY, made) == []
    if case == "fleet":
        assert len(made["hosts"]) == 300


@pytest.mark.parametrize(
    "made",
    [
        review({}, now=NOW, thresholds=LIMITS),
        review(reports([]), week=service_week(0), now=NOW, thresholds=LIMITS),
        review(reports([daily(ago(24), operations=0)]), day=today(operations=0), now=NOW, thresholds=LIMITS),
        review(reports([daily(ago(24 * back), operations=1000) for back in range(30)]), now=NOW, thresholds=LIMITS),
        review({"unreachable": True}, week={"endpoints": {"stats": answer(None, "auth")}}, now=NOW, thresholds=LIMITS),
    ],
    ids=["nothing", "no_operations_asked", "no_operations_kept", "capped", "refused"],
)
def test_the_review_of_any_host_is_valid(made: dict[str, Any]) -> None:
    assert problems(REVIEW, made) == []


def spoiled(path: Sequence[str | int], value: Any) -> dict[str, Any]:
    """The document with another value in one place; with ``...``, without what stands there."""
    document = copy.deepcopy(mixed())
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


REVIEW_OF = ["hosts", 0, "review"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["schema_version"], 2),
        (["colour"], "red"),
        (["figures"], ...),
        (["run", "finished_at"], "2026-11-27T17:00:00+01:00"),
        (["period"], {"from": "2026-11-20T17:00:00Z"}),
        (["figures", "total_operations"], -1),
        (["figures", "error_rate"], 1.5),
        (["figures", "coverage_share"], "all"),
        (["changes"], []),
        (["changes", 0, "figure"], "mood"),
        (["changes", 0, "change"], -1.5),
        (["days", 0, "date"], "27.11.2026"),
        (["stages", 0, "count"], 1.5),
        (["errors", "FFMPEG_FAILED"], -1),
        (["hosts", 0, "verdict"], "fine"),
        (["hosts", 0, "verdict"], "no_review"),  # it has one
        (["hosts", 1, "verdict"], "worse"),  # it has none
        (["hosts", 0, "host"], ""),
        ([*REVIEW_OF, "source"], "guess"),
        ([*REVIEW_OF, "coverage", "covered_h"], 169),
        ([*REVIEW_OF, "coverage", "notes"], ["x"] * 21),
        ([*REVIEW_OF, "figures", "cpu_peak_percent"], 101),
        ([*REVIEW_OF, "degradation", 0, "p"], 2),
        ([*REVIEW_OF, "degradation", 0, "verdict"], "unsure"),
        ([*REVIEW_OF, "comparison", "mean", "weeks"], 0),
        ([*REVIEW_OF, "automation", "bad_lines"], ...),
        (["automation", "rows", 0, "runs"], 0),
        (["automation", "rows", 0, "interrupted"], ...),
        (["automation", "interrupted", 0, "host"], ...),
        (["automation", "interrupted", 0, "target"], "x" * 121),
        (["automation", "unread"], ["media5", "media5"]),
    ],
)
def test_a_spoiled_week_is_not_valid(path: list[str | int], value: Any) -> None:
    assert problems(WEEKLY, mixed()) == []
    found = problems(WEEKLY, spoiled(path, value))
    assert found, "the schema lets it pass"


def objects_of(node: Any, at: str = "") -> list[tuple[str, Mapping[str, Any]]]:
    """Every schema of an object, with its place."""
    if isinstance(node, list):
        return [found for number, one in enumerate(node) for found in objects_of(one, f"{at}/{number}")]
    if not isinstance(node, dict):
        return []
    own = [(at, node)] if node.get("type") == "object" and "description" in node else []
    return own + [found for key, one in node.items() for found in objects_of(one, f"{at}/{key}")]


@pytest.mark.parametrize(("name", "loose"), [("weekly", []), ("daily_report", ["/properties/stats"])])
def test_nothing_but_the_service_s_own_answer_may_have_other_keys(name: str, loose: list[str]) -> None:
    found = objects_of(schema(name))
    assert found
    assert [at for at, one in found if "additionalProperties" not in one] == loose


SUMS: dict[str, Any] = {"operations": 1, "failed": 0, "duration_s": 9.5, "stages": {}, "errors": {}}
DAY: dict[str, Any] = {
    "schema_version": 2,
    "generated_at": "2026-11-24T18:00:00Z",
    "day": "2026-11-24",
    "from": "2026-11-23T23:00:00Z",
    "to": "2026-11-24T23:00:00Z",
    "figures": {"total_operations": 1, "failed_operations": 0, "error_rate": 0, "average_duration_s": 9.5},
    "coverage": {"hours": 19, "covered_h": 18, "gaps": []},
    "stats": {"time_period_hours": 24, "generated_at": "2026-11-24T18:00:00", "total_operations": 3, "own": {"x": 1}},
    "resource_peaks": [{"at": "2026-11-24T12:00:00Z", "cpu_percent": 90.5, "memory_percent": None}],
    "metrics": [],
    "log_errors": {"errors": {"FFMPEG_FAILED": 1}, "lines": 20, "bad_lines": 0},
    "windows": [],
    "logged": {"state": "ok", "reason": "", "quarters": [{"begin": "2026-11-24T12:15:00Z", **SUMS}]},
    "seen": [["2026-11-24T00:00:00Z", "2026-11-24T18:00:00Z"]],
    "restarts": ["2026-11-24T03:00:00Z"],
}


@pytest.mark.parametrize(
    "more",
    [
        {"schema_version": 1},
        {"generated_at": "2026-11-24"},
        {"day": "24.11.2026"},
        {"figures": {}},
        {"logged": {"state": "ok", "reason": "", "quarters": [SUMS]}},
        {"seen": [["2026-11-24T00:00:00Z"]]},
        {"windows": [SUMS]},
        {"stats": {}},
        {"stats": {"total_operations": -1}},
        {"stats": None},
        {"resource_peaks": DAY["resource_peaks"] * 4},
        {"metrics": [{"at": "2026-11-24T12:00:00Z"}]},
        {"log_errors": {}},
        {"more": 1},
    ],
)
def test_a_spoiled_day_is_not_valid(more: dict[str, Any]) -> None:
    assert problems(DAILY_REPORT, DAY) == []
    assert problems(DAILY_REPORT, {**DAY, **more})
