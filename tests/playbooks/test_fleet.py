"""The breaker over a fleet of which a run sees a part: hosts left out that act, lie, are dead, or are set wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.playbooks.conftest import REACHED, Play, Run
from tests.playbooks.test_incidents import RESPONSE, on

pytestmark = pytest.mark.playbook
# Really unreachable by ssh: nothing listens on port 1.
DEAD = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
RUNG = {
    "rung": "Clean up temporary files",
    "act": "disk_cleanup",
    "when": {
        "ffmpeg": ["missing", "not_executable", "broken_binary", "broken_library", "altered", "shadowed", "denied"]
    },
    "cured": {},
    "steps": ["P2P-3A"],
    "args": {"profile": "optimise"},
}
ACT: dict[str, Any] = {
    "incident_mode": "apply",
    "incident_only": ["critical_system"],
    "policy_ladders": {"ffmpeg": [RUNG], "service": [], "cloud_storage": [], "processing_pipeline": [], "errors": []},
    "policy_verify_samples": 1,
    "policy_verify_good": 1,
    "policy_verify_interval": 0,
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline whose ffmpeg cannot run."""
    with running_pipeline(tmp_path_factory.mktemp("broken"), {"PIPELINE_SAMPLE_SECONDS": "1"}) as pipeline:
        pipeline.feed(1)
        pipeline.break_ffmpeg()
        yield pipeline


@pytest.fixture
def dirs(tmp_path: Path) -> dict[str, Path]:
    """A state directory for each host of three."""
    made = {name: tmp_path / f"state_{name}" for name in ("media1", "media2", "media3")}
    for path in made.values():
        path.mkdir(mode=0o750)
    return made


def acted(directory: Path, cause: str, minutes: float = 10, entries: int = 1) -> None:
    """Put an action for a cause into the ledger of a host, and behind it as many entries that are none."""
    at = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = [{"at": at, "run_id": "before", "action": "restart", "cause": cause, "result": "done"}]
    rows += [{"at": at, "run_id": "before", "action": "note", "result": "decided"}] * (entries - 1)
    (directory / "ledger.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def response_of(run: Run, host: str = "media1") -> dict[str, Any]:
    found: dict[str, Any] = next(
        row["response"] for row in run.result("incident_response")["hosts"] if row["host"] == host
    )
    return found


def finding(response: dict[str, Any]) -> str:
    return next((str(row["finding"]) for row in response["findings"] if row["subject"] == "fleet"), "")


def test_what_is_wrong_with_a_host_left_out_is_its_own(
    play: Play, broken: Pipeline, dirs: dict[str, Path], tmp_path: Path
) -> None:
    (dirs["media2"] / "ledger.jsonl").symlink_to(tmp_path / "elsewhere")
    well = dict(REACHED, policy_state_dir=str(dirs["media3"]))
    faults: dict[str, Any] = {
        "dead": DEAD,
        "undefined": {**REACHED, "policy_state_dir": "{{ misspelt_root }}/state"},
        "undefined_address": {"ansible_connection": "ssh", "ansible_host": "{{ misspelt_address }}"},
        "missing": {**REACHED, "policy_state_dir": str(tmp_path / "nowhere")},
        "unreadable": {**REACHED, "policy_state_dir": str(dirs["media2"])},
        "no_python": {**well, "ansible_python_interpreter": "/nonexistent/python3"},
        "no_such_connection": {**well, "ansible_connection": "carrier_pigeon"},
    }
    hosts = {"media1": on(broken, policy_state_dir=str(dirs["media1"])), **faults}
    run = play(RESPONSE, hosts, "--limit", "media1", **ACT, policy_breaker_unseen_share=1)
    (unseen,) = [found["unseen"] for found in run.facts("See whether hosts have a cause in common").values()]
    assert sorted(unseen) == sorted(faults), run.output
    assert "misspelt_root" in unseen["undefined"]
    assert "misspelt_address" in unseen["undefined_address"]
    assert "Connection refused" in unseen["dead"]
    response = response_of(run)
    assert response["acted"], run.output
    assert finding(response).startswith("7 of 8 hosts of the fleet could not be seen: dead (Failed to connect")
    assert finding(response) in run.output, "said in the plan"


def test_each_host_is_asked_by_its_own_state_directory(play: Play, broken: Pipeline, dirs: dict[str, Path]) -> None:
    hosts = {name: on(broken, policy_state_dir=str(path)) for name, path in dirs.items()}
    acted(dirs["media3"], "ffmpeg", entries=500)
    run = play(RESPONSE, hosts, "--limit", "media1", **ACT)
    response = response_of(run)
    assert any("the breaker is open: 2 of 3 hosts have the cause ffmpeg" in line for line in response["refusals"])
    assert response["acted"] == []
    assert run.code == 2
    acted(dirs["media3"], "ffmpeg", minutes=70)
    run = play(RESPONSE, hosts, "--limit", "media1", **ACT)
    assert response_of(run)["acted"], run.output


def test_a_host_of_the_run_that_was_acted_upon_and_is_well_counts_as_well(
    play: Play, broken: Pipeline, dirs: dict[str, Path], tmp_path: Path
) -> None:
    with running_pipeline(tmp_path / "well", {}) as well:
        well.feed(1)
        hosts = {
            "media1": on(broken, policy_state_dir=str(dirs["media1"])),
            "media2": on(well, policy_state_dir=str(dirs["media2"])),
        }
        acted(dirs["media2"], "ffmpeg")
        run = play(RESPONSE, hosts, **{**ACT, "incident_only": []})
    refusals = response_of(run)["refusals"]
    assert any("have the cause ffmpeg" in line and "(media1, media2)" in line for line in refusals), refusals


@pytest.mark.parametrize("given", ["{{ group_of_site }}", "video:!retired"])
def test_the_fleet_is_the_group_whatever_it_is_called(
    given: Any, play: Play, broken: Pipeline, dirs: dict[str, Path], tmp_path: Path
) -> None:
    variables = {name: on(broken, policy_state_dir=str(path)) for name, path in dirs.items()}
    acted(dirs["media3"], "ffmpeg")
    inventory = tmp_path / "site.json"
    groups = {"video": {"hosts": {**variables, "media9": DEAD}}, "retired": {"hosts": {"media9": DEAD}}}
    inventory.write_text(json.dumps(groups), encoding="utf-8")
    given = {"media_ops_hosts": given, "group_of_site": "video"}
    site = {**ACT, "report_dir": str(tmp_path / "reports"), **given}
    options = ["-i", str(inventory), "--limit", "media1", "-e", json.dumps(site)]
    run = play(RESPONSE, {"elsewhere": REACHED}, *options)
    response = response_of(run)
    assert any("hosts have the cause ffmpeg" in line and "media3" in line for line in response["refusals"]), run.output
    assert ("media9" in finding(response)) is (given["media_ops_hosts"] != "video:!retired")


def test_a_host_that_is_named_alone_does_not_get_around_the_breaker(
    play: Play, broken: Pipeline, dirs: dict[str, Path]
) -> None:
    hosts = {name: on(broken, policy_state_dir=str(path)) for name, path in dirs.items()}
    acted(dirs["media3"], "ffmpeg")
    run = play(RESPONSE, hosts, "-e", "media_ops_hosts=media1", **ACT)
    assert any("the breaker is open" in line for line in response_of(run)["refusals"]), run.output


def test_a_part_of_the_fleet_is_enough_only_by_a_person_s_word(
    play: Play, broken: Pipeline, dirs: dict[str, Path]
) -> None:
    hosts = {"media1": on(broken, policy_state_dir=str(dirs["media1"])), "media2": DEAD, "media3": DEAD}
    options = ("--limit", "media1")
    run = play(RESPONSE, hosts, *options, **ACT, media_ops_fleet_size="{{ 40 }}")
    refusals = response_of(run)["refusals"]
    assert any("this run knows 3 of the 40 hosts of the fleet (media_ops_fleet_size)" in line for line in refusals)
    assert any("2 of 3 hosts of the fleet could not be seen" in line for line in refusals), run.output
    assert (response_of(run)["acted"], run.code) == ([], 2)
    run = play(RESPONSE, hosts, *options, **ACT, media_ops_fleet_size=40, incident_partial_fleet=True)
    assert response_of(run)["acted"], run.output


@pytest.mark.parametrize(
    ("wrong", "said"), [("many", "media_ops_fleet_size"), ("{{ misspelt_size }}", "misspelt_size")]
)
def test_a_fleet_size_that_is_none_ends_the_run_before_anything_is_asked(play: Play, wrong: str, said: str) -> None:
    run = play(RESPONSE, {"media1": REACHED}, media_ops_fleet_size=wrong)
    assert run.code == 2
    assert said in run.output
    assert "Ask the monitoring API" not in run.output


def test_a_fleet_of_slow_hosts_is_asked_at_once_and_for_a_bounded_time(
    play: Play, broken: Pipeline, dirs: dict[str, Path], tmp_path: Path
) -> None:
    slow = tmp_path / "slow_python"
    slow.write_text(f'#!/bin/sh\nsleep 300\nexec {sys.executable} "$@"\n', encoding="utf-8")
    slow.chmod(0o755)
    others = {f"slow{n}": {**REACHED, "ansible_python_interpreter": str(slow)} for n in range(3)}
    quick = {f"quick{n}": {**REACHED, "policy_state_dir": str(dirs["media2"])} for n in range(3)}
    hosts = {"media1": on(broken, policy_state_dir=str(dirs["media1"])), **others, **quick}
    began = datetime.now(UTC)
    run = play(RESPONSE, hosts, "--limit", "media1", **ACT, policy_breaker_ask_within=20)
    assert (datetime.now(UTC) - began).total_seconds() < 200
    response = response_of(run)
    assert finding(response).startswith("3 of 7 hosts of the fleet could not be seen: slow0 ("), run.output
    assert response["acted"], run.output
