"""Many hosts drawn as one."""

from __future__ import annotations

from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.fleet import fleet_details


def sample(at: str, cpu: float) -> dict[str, object]:
    return {"at": at, "cpu_percent": cpu, "memory_percent": cpu / 2}


def test_errors_are_added_and_durations_weighted_by_operations() -> None:
    made = fleet_details(
        [
            {
                "errors": {"A": 1, "B": 2},
                "stages": {"merging": {"count": 3, "average_duration_s": 10.0, "max_duration_s": 12.0}},
                "totals": {"window_h": 24},
            },
            {
                "errors": {"A": 4},
                "stages": {"merging": {"count": 1, "average_duration_s": 50.0, "max_duration_s": 90.0}},
                "totals": {"window_h": 24},
            },
        ]
    )
    assert made["errors"] == {"A": 5, "B": 2}
    assert made["stages"] == {"merging": {"count": 4, "average_duration_s": 20.0, "max_duration_s": 90.0}}
    assert made["totals"] == {"window_h": 24}


def test_samples_of_the_same_five_minutes_are_averaged_and_peaks_stay_those_of_hosts() -> None:
    made = fleet_details(
        [
            {"metrics": [sample("2026-11-24T05:00:10Z", 90.0), sample("2026-11-24T05:05:10Z", 20.0)]},
            {"metrics": [sample("2026-11-24T05:03:00Z", 10.0)]},
        ]
    )
    assert [(row["at"], row["cpu_percent"]) for row in made["metrics"]] == [
        ("2026-11-24T05:03:00Z", 50.0),
        ("2026-11-24T05:05:10Z", 20.0),
    ]
    assert [row["cpu_percent"] for row in made["resource_peaks"]] == [90.0, 20.0, 10.0]


def test_hosts_without_anything_are_no_obstacle() -> None:
    bare = {"stages": {"upload": {"average_duration_s": None}}, "metrics": [{"at": None, "cpu_percent": 1}]}
    made = fleet_details([{}, {"metrics": None, "stages": None, "errors": None, "log": None, "totals": None}, bare])
    assert (made["stages"], made["errors"], made["metrics"]) == ({}, {}, [])
