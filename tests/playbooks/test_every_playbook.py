"""Every playbook on a fleet of which one host is well, one sick, one hostile, one down: with --check, and twice."""

from __future__ import annotations

import json
import os
import pwd
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.fault_server import fault_server
from tests.playbooks.conftest import REACHED, ROOT, Play, closed_port

pytestmark = pytest.mark.playbook


@pytest.fixture(autouse=True)
def _as_at_a_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here Ansible keeps nothing from run to run (tests/kept)."""
    monkeypatch.delenv("MEDIA_OPS_KEPT", raising=False)


# These change the machine itself, so they are run on hosts of the lab.
ELSEWHERE = {
    "prepare_hosts": "molecule/default/converge.yml",
    "schedule": "tests/lab/test_schedule.py",
}
# Ten minutes of watching are not what is tested here.
QUICK = ["-e", json.dumps({"policy_verify_samples": 2, "policy_verify_good": 1, "policy_verify_interval": 0.1})]
# What a cleanup says where it protects the files of all sessions, as the service does not name its own.
UNKNOWN = "the sessions are not known"
# The end of others, not a playbook to be run
PARTS = {"report"}
# One path of a role, by another variable than a playbook that is played here on all hosts: the sick host once for all.
LIKE_ANOTHER = {
    "incident_critical_system": "incident_response",
    "incident_high_error_rate": "incident_response",
    "incident_performance_degradation": "incident_response",
    "incident_stuck_session": "incident_response",
    "emergency_clear_stuck_processes": "emergency_disk_cleanup",
    "weekly_log_management": "daily_log_cleanup",
    "weekly_system_cleanup": "daily_log_cleanup",
}


class Expected(NamedTuple):
    """How a playbook ends on the host that is well, and what its second run changes there."""

    check: str = ""  # the report that it writes, none where ""
    variables: Mapping[str, Any] = MappingProxyType({})
    code: int = 2  # of the whole fleet, three quarters of which are ill
    again: bool = False  # whether a second run changes something
    well: tuple[str, ...] = ("ok", "warning")  # states of the host that is well


EXPECTED = {
    # These judge nothing: Ansible's own code says that a host could not be reached.
    "automation_pause": Expected(
        variables={"automation_pause_reason": "new disk", "automation_pause_for": 600}, code=4, again=True
    ),
    "automation_resume": Expected(code=4),
    # A host that is down is muted too, by the controller.
    "automation_mute": Expected(
        variables={"automation_mute": "check:clock", "automation_mute_reason": "new clock", "automation_mute_for": 600},
        code=0,
        again=True,
    ),
    "automation_unmute": Expected(variables={"automation_mute": "all"}, code=0),
    "automation_status": Expected(),
    # It reports nothing but its table. No ffmpeg is on the PATH of a service that has none of systemd's.
    "check_setup": Expected(well=("critical",)),
    "daily_evening_summary": Expected("daily_evening"),
    # Its own ledger knows of no archive, so that nothing is deleted.
    "daily_log_cleanup": Expected("daily_log_cleanup", well=("critical",)),
    "daily_morning_health_check": Expected("daily_morning"),
    # Where systemd cannot be asked, whose a process is cannot be told, and how the service is cannot be known.
    "emergency_clear_stuck_processes": Expected("emergency_clear_stuck_processes", well=("unknown",)),
    "emergency_disk_cleanup": Expected("emergency_disk_cleanup"),
    # Its unit cannot be asked: what cannot be done is said, and is no success.
    "emergency_service_restart": Expected("emergency_service_restart", well=("critical",)),
    # Asked for by name they probe, and find no ffmpeg on the PATH of a service that has none of systemd's.
    "incident_critical_system": Expected("incident_response", well=("critical",)),
    "incident_high_error_rate": Expected("incident_response", well=("critical",)),
    "incident_performance_degradation": Expected("incident_response", well=("unknown",)),
    "incident_response": Expected("incident_response"),
    "incident_stuck_session": Expected("incident_response", well=("unknown",)),
    "quick_reference": Expected("quick_reference"),
    # As above: whether the unit has overrides cannot be asked.
    "take_back_overrides": Expected("take_back_overrides", well=("critical",)),
    "watch_health": Expected("watch_health"),
    "watch_performance": Expected("watch_performance"),
    "weekly_log_management": Expected("weekly_log_management"),
    # Of its week there is next to nothing yet.
    "weekly_performance_review": Expected("weekly_performance_review", well=("unknown",)),
    # Its figures are not safe, so nothing is deleted.
    "weekly_system_cleanup": Expected("weekly_system_cleanup", well=("critical",)),
}


def test_no_playbook_is_left_out() -> None:
    names = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    assert names == {*EXPECTED, *ELSEWHERE, *PARTS}
    assert set(LIKE_ANOTHER.values()) <= set(EXPECTED) - set(LIKE_ANOTHER)
    for playbook, where in ELSEWHERE.items():
        assert f"{playbook}.yml" in (ROOT / where).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    # No sample is taken between two runs: it would be a figure of the day that the second has to keep.
    with running_pipeline(tmp_path_factory.mktemp("well"), {"PIPELINE_SAMPLE_SECONDS": "3600"}) as pipeline:
        pipeline.feed(2)
        yield pipeline


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Its ffmpeg cannot run, and it says so."""
    with running_pipeline(tmp_path_factory.mktemp("sick")) as pipeline:
        pipeline.break_ffmpeg()
        yield pipeline


def host(tmp_path: Path, name: str, api_url: str, base_dir: Path, **more: Any) -> dict[str, Any]:
    """Variables of a host with directories of its own."""
    for part in ("state", "archive"):
        (tmp_path / name / part).mkdir(mode=0o750, parents=True)
    return {
        **REACHED,
        "media_ops_api_url": api_url,
        "policy_base_dir": str(base_dir),
        "policy_state_dir": str(tmp_path / name / "state"),
        "policy_archive_dir": str(tmp_path / name / "archive"),
        "policy_become": False,
        # Whether this machine has an ffmpeg decides nothing.
        "policy_service_path": "/nonexistent",
        "policy_service_unit": "media-ops-no-such-unit",
        "policy_service_user": pwd.getpwuid(os.geteuid()).pw_name,
        **more,
    }


def listing(*roots: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file; the service goes on writing its own logs."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".log" and not path.name.startswith(".health-")
    }


@pytest.mark.parametrize("playbook", sorted(EXPECTED))
def test_playbook(playbook: str, play: Play, tmp_path: Path, well: Pipeline, sick: Pipeline) -> None:
    expected = EXPECTED[playbook]
    with fault_server("html") as hostile_url:
        nowhere = tmp_path / "nowhere"
        hosts = {
            "down": {**host(tmp_path, "down", "", nowhere), "ansible_connection": "ssh", "ansible_host": "127.0.0.1",
                     "ansible_port": closed_port()},
            "hostile": host(tmp_path, "hostile", hostile_url, nowhere, media_ops_api_token="token-of-hostile"),
            "sick": host(tmp_path, "sick", sick.api_url, sick.base_dir, media_ops_api_token=sick.token()),
            "well": host(tmp_path, "well", well.api_url, well.base_dir, media_ops_api_token=well.token()),
        }  # fmt: skip
        if playbook in LIKE_ANOTHER:
            del hosts["sick"]
        path = f"playbooks/{playbook}.yml"
        options = {"expected_warning": UNKNOWN, **expected.variables}
        kept = [tmp_path / name for name in hosts] + [well.base_dir, sick.base_dir]
        before = listing(*kept)
        answering = {name: hosts[name] for name in ("sick", "well") if name in hosts}
        checked = play(path, answering, "--check", "--diff", *QUICK, **options)
        assert listing(*kept) == before, "--check wrote something"
        run = play(path, hosts, *QUICK, **options)
        states = run.states(expected.check) if expected.check else {}
        again = play(path, {"well": hosts["well"]}, *QUICK, **options)
    for done in (checked, run, again):
        assert "Traceback" not in done.output
        for token in (well.token(), sick.token()):
            assert token not in done.output
    assert checked.code in (0, 2), checked.output
    assert run.code == expected.code, "hosts that are ill or cannot be asked are no success: " + run.output
    assert again.code == (0 if "ok" in expected.well else 2), again.output
    assert bool(again.changed) == expected.again, f"the second run changed {again.changed}"
    plain = re.sub(r"\x1b\[[0-9;]*m", "", run.output)
    assert set(re.findall(r"^(\w+) +: ok=\d+ ", plain, re.MULTILINE)) >= set(hosts) - {"down"}, run.output
    if expected.check:
        assert set(states) == set(hosts)
        assert states["down"] == "unknown"
        assert states["hostile"] in ("unknown", "critical")
        assert states["well"] in expected.well, run.output
