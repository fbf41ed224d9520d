"""What role policy lets be deleted, over all its tables: emergencies have a target, only rotated logs go by mtime."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.media_ops.runbook.plugins.module_utils.archives.live import may_take_a_log
from ansible_collections.media_ops.runbook.plugins.module_utils.disk.retention import parse_rules

from tests.unit.plugins.policy import ROOT, policy

POLICY = policy(inventory_hostname="media-1")
RUNGS: list[dict[str, Any]] = [
    rung
    for table in (POLICY["policy_ladders"], {name: one["rungs"] for name, one in POLICY["policy_procedures"].items()})
    for rungs in table.values()
    for rung in rungs
    if rung["act"] == "disk_cleanup"
]


# runbook: EM-D1, EM-D2, EM-D3
def test_whatever_frees_space_in_an_emergency_stops_at_a_target_that_cures() -> None:
    freeing = [rung for rung in RUNGS if rung["args"]["rules"] == POLICY["policy_retention"]["emergency"]]
    assert len(freeing) >= 4
    for rung in freeing:
        assert 100 - POLICY["policy_disk_critical"] < rung["args"]["target_free_percent"] <= 100


# runbook: EM-D3, WC-2
def test_finished_results_and_work_in_progress_stay_by_every_profile() -> None:
    modules = yaml.safe_load((ROOT / "roles" / "policy" / "vars" / "main.yml").read_text(encoding="utf-8"))
    options = modules["policy_modules"]["disk_cleanup"]["options"]
    assert {name: options[name] for name in ("kept_dirs", "sessions_dir", "idle_seconds", "id_maps")} == {
        "kept_dirs": "{{ policy_result_dirs }}",
        "sessions_dir": "{{ policy_work_dir }}",
        "idle_seconds": "{{ policy_work_idle_seconds }}",
        "id_maps": "{{ policy_session_id_maps }}",
    }
    assert f"{POLICY['policy_uploads_dir']}/merged_videos" in POLICY["policy_result_dirs"]
    assert [one["directories"] for one in POLICY["policy_session_id_maps"]] == [[POLICY["policy_uploads_dir"]]]
    assert POLICY["policy_work_idle_seconds"] >= 3600
    assert not [rung for rung in RUNGS if {"kept_dirs", "idle_seconds", "id_maps"} & rung["args"].keys()]


def test_every_rung_takes_its_rules_of_a_profile() -> None:
    profiles = list(POLICY["policy_retention"].values())
    assert RUNGS
    assert all(rung["args"]["rules"] in profiles for rung in RUNGS)


@pytest.mark.parametrize("profile", POLICY["policy_retention"])
def test_only_what_rotation_renames_goes_by_its_mtime(profile: str) -> None:
    given = POLICY["policy_retention"][profile]
    filled = [{"age_of": "change", "min_size": 0, "prune_empty": False, **rule} for rule in given]
    for rule in parse_rules(filled, []):
        is_rotated = not any(map(may_take_a_log, rule.patterns)) and all(".log." in one for one in rule.patterns)
        assert (rule.age_of == "mtime") == is_rotated, rule.name
