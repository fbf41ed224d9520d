# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reviews of many hosts as one document: the fleet's week, hosts ranked, what automation did. Pure.

Figures of the fleet are made from sums over hosts, as a host's are from sums over days. A change is one only between
hosts that have both weeks: a host that is new would look like growth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.review.actions import put_in_order
from ...module_utils.review.days import REVIEW_VERSION
from ...module_utils.shapes import Json, mapping, number, one_line

_ACTIONS_MAX = 50
_INTERRUPTED_MAX = 20


def weekly_document(reviews: object, *, run: Mapping[str, Any], contacts: Sequence[Any] = ()) -> dict[str, Any]:
    """The document of the fleet's week (roles/report/files/weekly.schema.json).

    Args:
        reviews: the review of each host by its name; of a host that has none, anything that is no review.
        run: what is known of the run: id, title, finished_at and the like; ``playbook_prefix`` leaves the document.
        contacts: whom to call.

    Raises:
        OptionError: the reviews are no dictionary.
    """
    if not isinstance(reviews, Mapping):
        raise OptionError("reviews", one_line(repr(reviews), 80), "a dictionary of host to review is needed")
    hosts = [_host(str(name), review) for name, review in reviews.items()]
    hosts.sort(key=_rank)
    known = [host["review"] for host in hosts if host["review"]]
    return {
        "schema_version": REVIEW_VERSION,
        "run": {key: value for key, value in run.items() if key != "playbook_prefix"},
        "contacts": list(contacts),
        "period": known[0]["period"] if known else None,
        "figures": _figures(known),
        "changes": _changes(known),
        "days": _days(known),
        "weeks": _weeks(known),
        "stages": _stages(known),
        "errors": _errors(known),
        "hosts": hosts,
        "automation": _automation(hosts),
    }


def _host(name: str, review: object) -> dict[str, Any]:
    found = mapping(review)
    good = found.get("schema_version") == REVIEW_VERSION and all(
        isinstance(found.get(key), Mapping) for key in ("figures", "coverage", "comparison", "period")
    )
    if not good:
        return {"host": name, "verdict": "no_review", "review": None}
    verdicts = {row["verdict"] for row in found["degradation"]}
    order = ("worse", "better", "noise", "not_enough_data")
    return {
        "host": name,
        "verdict": next((one for one in order if one in verdicts), "not_enough_data"),
        "review": dict(found),
    }


def _rank(host: Json) -> tuple[int, float, float, str]:
    """Hosts that got worse first, then those nothing is known of, then by errors and duration."""
    first = {"worse": 0, "no_review": 1}.get(host["verdict"], 2)
    figures: Json = host["review"]["figures"] if host["review"] else {}
    return (first, -(figures.get("error_rate") or 0), -(figures.get("average_duration_s") or 0), host["host"])


def _sums(figures: Iterable[Json]) -> dict[str, Any]:
    """Rates and durations over all operations; the peak is the highest of any host."""
    listed = [one for one in figures if number(one.get("total_operations")) is not None]
    operations = sum(one["total_operations"] for one in listed)
    failed = sum(one.get("failed_operations") or 0 for one in listed)
    duration = sum((one.get("average_duration_s") or 0) * one["total_operations"] for one in listed)
    peaks = [one["peak_active_sessions"] for one in listed if one.get("peak_active_sessions") is not None]
    return {
        "total_operations": operations if listed else None,
        "success_rate": 1 - failed / operations if operations else None,
        "error_rate": failed / operations if operations else None,
        "average_duration_s": duration / operations if operations else None,
        "peak_active_sessions": max(peaks, default=None),
    }


def _figures(reviews: Sequence[Json]) -> dict[str, Any]:
    covered = [review["coverage"]["covered_h"] for review in reviews]
    window = sum(review["coverage"]["window_h"] for review in reviews)
    return {
        **_sums(review["figures"] for review in reviews),
        "hosts": len(reviews),
        "coverage_share": sum(covered) / window if window else None,
    }


def _changes(reviews: Sequence[Json]) -> list[dict[str, Any]]:
    """Each figure of the fleet beside the week before, over the hosts of which it can be compared."""
    rows = []
    now = _sums(review["figures"] for review in reviews)
    for unit, name in (
        ("count", "total_operations"),
        ("ratio", "success_rate"),
        ("ratio", "error_rate"),
        ("s", "average_duration_s"),
        ("count", "peak_active_sessions"),
    ):
        both = [review for review in reviews if _row(review, name).get("why") == ""]
        here = _sums(review["figures"] for review in both)[name]
        before = _sums(review["comparison"]["previous"]["figures"] for review in both)[name]
        former = _sums(week["figures"] for review in both for week in review["weeks"])[name]
        if name == "total_operations":
            means = [review["comparison"]["mean"]["figures"][name] for review in both]
            former = sum(means) if means and None not in means else None
        change = None
        if here is not None and before is not None and (unit == "ratio" or before):
            change = here - before if unit == "ratio" else here / before - 1
        whys = sorted({_row(review, name).get("why", "") for review in reviews} - {""})
        rows.append(
            {
                "figure": name,
                "unit": unit,
                "now": now[name],
                "before": before,
                "mean": former,
                "change": change,
                "hosts": len(both),
                "why": "" if both else "; ".join(whys[:2]) or "nothing is known",
            }
        )
    return rows


def _row(review: Json, figure: str) -> Json:
    return next((row for row in review["comparison"]["changes"] if row["figure"] == figure), {})


def _days(reviews: Sequence[Json]) -> list[dict[str, Any]]:
    """The days of all hosts together, by date."""
    by_date: dict[str, list[tuple[int, Json]]] = {}
    for host, review in enumerate(reviews):
        for day in review.get("days") or []:
            # The rest of a day that others have told of is no day.
            if (day.get("counted_h") or 0) >= 1 or day.get("total_operations"):
                by_date.setdefault(day["date"], []).append((host, day))
    rows = []
    for date, days in sorted(by_date.items()):
        failed = [
            {**day, "failed_operations": (day.get("error_rate") or 0) * (day.get("total_operations") or 0)}
            for _host, day in days
        ]
        rows.append({"date": date, **_sums(failed), "hosts": len({host for host, _day in days})})
    return rows


def _weeks(reviews: Sequence[Json]) -> list[dict[str, Any]]:
    """The former weeks of all hosts together, oldest first, and this one at the end."""
    by_week: dict[str, list[Json]] = {}
    for review in reviews:
        for week in review.get("weeks") or []:
            by_week.setdefault(week["to"][:10], []).append(week["figures"])
        by_week.setdefault(review["period"]["to"][:10], []).append(review["figures"])
    return [{"to": to, **_sums(figures), "hosts": len(figures)} for to, figures in sorted(by_week.items())]


def _stages(reviews: Sequence[Json]) -> list[dict[str, Any]]:
    """The stages over all hosts, slowest first. The week before is that of the hosts that have one."""
    rows: dict[str, list[Json]] = {}
    for review in reviews:
        for name, row in (review.get("stages") or {}).items():
            if number(row.get("average_duration_s")) is not None:
                rows.setdefault(name, []).append(row)
    made = []
    for name, found in rows.items():
        both = [row for row in found if number(row.get("before_s")) is not None and row["count"]]
        here, before = _weighted(both, "average_duration_s"), _weighted(both, "before_s")
        rates = [row for row in found if number(row.get("success_rate")) is not None]
        made.append(
            {
                "stage": name,
                "count": sum(row["count"] for row in found),
                "success_rate": _weighted(rates, "success_rate"),
                "average_duration_s": _weighted(found, "average_duration_s"),
                "max_duration_s": max((row["max_duration_s"] or 0 for row in found), default=None),
                "before_s": before,
                "change": here / before - 1 if here is not None and before else None,
            }
        )
    return sorted(made, key=lambda row: -(row["average_duration_s"] or 0))


def _weighted(rows: Sequence[Json], key: str) -> float | None:
    total = sum(row["count"] for row in rows)
    return sum(row[key] * row["count"] for row in rows) / total if total else None


def _errors(reviews: Sequence[Json]) -> dict[str, int]:
    total: dict[str, int] = {}
    for review in reviews:
        for code, count in (review.get("errors") or {}).items():
            total[code] = total.get(code, 0) + count
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _automation(hosts: Sequence[Json]) -> dict[str, Any]:
    """Every action of every host, repeated fixes first."""
    rows: list[dict[str, Any]] = []
    interrupted: list[dict[str, Any]] = []
    unread, left, died_left, attempts, aside = [], 0, 0, 0, 0
    for host in hosts:
        actions = mapping((host["review"] or {}).get("automation"))
        if "rows" not in actions:
            unread.append(host["host"])
            continue
        rows += [{"host": host["host"], **row} for row in actions["rows"]]
        left += actions.get("rows_left") or 0
        interrupted += [{"host": host["host"], **row} for row in actions.get("interrupted") or []]
        died_left += actions.get("interrupted_left") or 0
        attempts += actions.get("attempts") or 0
        aside += actions.get("not_attempted") or 0
    put_in_order(rows, interrupted)
    return {
        "attempts": attempts,
        "not_attempted": aside,
        "repeated": sum(1 for row in rows if row["runs"] > 1),
        "rows": rows[:_ACTIONS_MAX],
        "rows_left": left + max(0, len(rows) - _ACTIONS_MAX),
        "interrupted": interrupted[:_INTERRUPTED_MAX],
        "interrupted_left": died_left + max(0, len(interrupted) - _INTERRUPTED_MAX),
        "unread": unread,
    }
