"""Incidents as a user meets them: a plan by default, on a real pipeline. What needs systemd is in tests/lab."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
import yaml
from ansible_collections.media_ops.runbook.plugins.module_utils.state.guard import guard
from media_pipeline.client import wait_for
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.fault_server import Exchange, document, fault_server
from tests.host_state import entries, held
from tests.moved_clock import MovedClock
from tests.playbooks.conftest import REACHED, ROOT, Play, closed_port
from tests.unit.plugins.deletion import fill, small_disk

pytestmark = pytest.mark.playbook
RESPONSE = "playbooks/incident_response.yml"
SCHEMA = json.loads((ROOT / "roles/report/files/result.schema.json").read_text(encoding="utf-8"))


def on(pipeline: Pipeline, **more: Any) -> dict[str, Any]:
    """Variables of an inventory host that runs this pipeline."""
    return {
        **REACHED,
        "media_ops_api_url": pipeline.api_url,
        "media_ops_api_token": pipeline.token(),
        "policy_base_dir": str(pipeline.base_dir),
        "policy_become": False,
        # Whether this machine has an ffmpeg decides nothing.
        "policy_service_path": "/nonexistent",
        "policy_service_user": pwd.getpwuid(os.geteuid()).pw_name,
        **more,
    }


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline whose ffmpeg cannot run, and most of whose jobs have failed."""
    settings = {"PIPELINE_SAMPLE_SECONDS": "1"}
    with running_pipeline(tmp_path_factory.mktemp("broken"), settings) as pipeline:
        pipeline.feed(1)
        pipeline.feed(2, fault="broken")
        pipeline.break_ffmpeg()
        yield pipeline


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir(mode=0o750)
    return made


def findings(response: dict[str, Any]) -> dict[str, str]:
    return {row["subject"]: row["finding"] for row in response["findings"]}


# runbook: P0-1A, P0-1B, P0-1C, P0-2A, P0-2B, P0-2C, P0-3A, P0-3B
def test_the_plan_of_a_critical_host_says_what_is_wrong(play: Play, broken: Pipeline, state: Path) -> None:
    run = play(RESPONSE, {"media1": on(broken)}, incident_only=["critical_system"])
    assert run.code == 2, run.output
    result = run.result("incident_response")
    jsonschema.validate(result, SCHEMA)
    (host,) = result["hosts"]
    response = host["response"]
    assert ("P0", "ffmpeg") in [(row["priority"], row["cause"]) for row in host["incidents"]]
    assert {"service", "ffmpeg", "storage", "sessions", "disk", "resources"} <= set(response["classes"])
    assert "FFMPEG_FAILED" in findings(response)["error codes"]
    assert response["mode"] == "plan"
    assert response["recovered"] is None
    assert list(state.iterdir()) == [], "a plan writes nothing on the host"
    page = (run.report_dir / "incident_response" / "latest" / "report.html").read_text(encoding="utf-8")
    assert "What was found" in page


# runbook: P1-1A, P1-1B, P1-1C, P1-2B, P1-2G, P1-2H
def test_a_high_error_rate_is_taken_apart(play: Play, broken: Pipeline, state: Path) -> None:
    # Its few operations are enough here.
    hosts = {"media1": on(broken, policy_rate_operations_min=1)}
    run = play("playbooks/incident_high_error_rate.yml", hosts, "--check")
    assert run.code == 2, run.output
    # In check mode nothing is written: the plan is on the screen.
    for part in ("Error rate of 1 h", "error codes", "FFMPEG_FAILED", "file sizes", "failures"):
        assert part in run.output, part
    assert list(state.iterdir()) == []


# runbook: P2P-1A, P2P-1B, P2P-1C, P2P-1D, P2P-2A, P2P-2C, P2P-3C, P2P-3D, P2P-3E
def test_slow_operations_are_taken_apart(play: Play, broken: Pipeline, state: Path) -> None:
    slow = {"policy_average_duration_critical": 0.001, "policy_advice": [{"when": {}, "advice": "Look at the encoder"}]}
    run = play("playbooks/incident_performance_degradation.yml", {"media1": on(broken)}, **slow)
    assert run.code == 2, run.output
    (host,) = run.result("incident_response")["hosts"]
    response = host["response"]
    assert response["classes"]["performance"] == "degraded"
    assert findings(response)["stages"]
    assert response["advice"] == ["Look at the encoder"]
    assert response["plan"][0]["act"] == "disk_cleanup"


# runbook: AU-P1, AU-P2, AU-P3
def test_the_performance_watch_tells_of_slow_stages_and_long_sessions(
    play: Play, broken: Pipeline, state: Path
) -> None:
    slow = {"policy_average_duration_critical": 0.001, "policy_stage_duration_warning": 0.0001}
    run = play("playbooks/watch_performance.yml", {"media1": on(broken)}, **slow)
    assert run.code == 2, run.output
    assert run.verdict("media1", "recent_duration", "watch_performance")["state"] == "critical"
    stages = run.verdict("media1", "slow_stages", "watch_performance")
    assert stages["state"] == "warning"
    assert "upload" in stages["message"] or "analysis" in stages["message"]
    assert run.verdict("media1", "long_sessions", "watch_performance")["state"] == "ok"
    assert (state / "alerts.json").exists(), "what is bad is on record on the host"


# runbook: WC-1, WC-2, WC-3, WC-4, WC-5, WC-6
def test_the_weekly_cleanup_waits_for_the_weeks_figures(
    play: Play, broken: Pipeline, state: Path, clock: MovedClock
) -> None:
    work = broken.base_dir / "temp" / "video_merge" / "gone"
    merge = work.with_name("temp_merge_7_1700000000")
    results = broken.upload_dir / "merged_videos"
    for directory in (work, merge, results):
        directory.mkdir(parents=True)
    old, young, result = work / "old.mp4", work / "young.mp4", results / "old.mp4"
    part = merge / "prepared_00.mp4"
    for path, days in ((old, 7.01), (part, 7.01), (result, 30), (young, 6.99)):
        with clock.ago(timedelta(days=days)):
            path.write_bytes(b"x" * 4096)
    # It came a moment ago and keeps its date, as what is copied with its dates does. Its neighbour stays with it.
    copied = merge / "copied.mp4"
    copied.write_bytes(b"x" * 4096)
    os.utime(copied, ((datetime.now(UTC) - timedelta(days=30)).timestamp(),) * 2)
    hosts = {"media1": on(broken)}
    moved = clock.environment
    refused = play("playbooks/weekly_system_cleanup.yml", hosts, environment=moved)
    assert refused.code == 2, refused.output
    assert "weekly_report" in refused.output
    assert not old.exists(), "only the service's own cleanup waits for the week's figures"
    acted = refused.result("weekly_system_cleanup")["hosts"][0]["response"]["acted"]
    assert [(rung["act"], rung["failed"]) for rung in acted] == [("disk_cleanup", False), ("pipeline_cleanup", True)]
    ledger = entries((state / "ledger.jsonl").read_text(encoding="utf-8"))
    assert [entry["action"] for entry in ledger] == ["delete", "delete", "paged"], "of the service's nothing was begun"
    with clock.ago(timedelta(days=7.01)):
        old.write_bytes(b"x" * 4096)
    week = {"schema_version": 1, "generated_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    (state / f"weekly_report_{datetime.now(UTC):%Y%m%d}.json").write_text(json.dumps(week), encoding="utf-8")
    checked = play("playbooks/weekly_system_cleanup.yml", hosts, "--check", environment=moved)
    assert old.exists(), checked.output
    run = play("playbooks/weekly_system_cleanup.yml", hosts, environment=moved)
    assert not old.exists(), run.output
    assert all(path.exists() for path in (young, copied, part, result))
    acted = run.result("weekly_system_cleanup")["hosts"][0]["response"]["acted"]
    assert [rung["act"] for rung in acted] == ["disk_cleanup", "pipeline_cleanup"]
    assert run.verdict("media1", "overall_status", "weekly_system_cleanup")["state"] == "critical"


def test_a_rung_that_fails_behind_one_that_went_well_is_no_success(
    play: Play, state: Path, tmp_path: Path, clock: MovedClock
) -> None:
    old = tmp_path / "site" / "temp" / "video_merge" / "gone" / "old.mp4"
    old.parent.mkdir(parents=True)
    (tmp_path / "site" / "temp" / "logs").mkdir()
    with clock.ago(timedelta(days=8)):
        old.write_bytes(b"x" * 4096)
    week = {"schema_version": 1, "generated_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    (state / f"weekly_report_{datetime.now(UTC):%Y%m%d}.json").write_text(json.dumps(week), encoding="utf-8")

    def stats(exchange: Exchange) -> None:
        more = 20 if exchange.request.number("hours", 24) > 24 else 0
        exchange.answer(200, document(exchange.request) | {"total_operations": 40 + more})

    with fault_server({"/cleanup": "error_500", "/stats": stats}) as url:
        site = {**REACHED, "media_ops_api_url": url, "media_ops_api_token": "token-of-the-site", "policy_become": False}
        run = play(
            "playbooks/weekly_system_cleanup.yml",
            {"media1": {**site, "policy_base_dir": str(tmp_path / "site")}},
            environment=clock.environment,
        )
    assert run.code == 2, run.output
    response = run.result("weekly_system_cleanup")["hosts"][0]["response"]
    assert not old.exists(), "the first rung did its work"
    assert (response["recovered"], response["page"]) == (False, True)
    assert "NOT done. Carried out: Delete what is past its age. Clean up the monitoring data: " in response["msg"]
    ledger = entries((state / "ledger.jsonl").read_text(encoding="utf-8"))
    assert ledger[-1]["action"] == "paged"


def test_bad_options_are_named_before_anything_is_asked(play: Play) -> None:
    nowhere = {**REACHED, "media_ops_api_url": f"http://127.0.0.1:{closed_port()}/api", "media_ops_api_token": "t"}
    for name, value in (("incident_mode", "do"), ("incident_plan", "abc"), ("incident_only", ["fire"])):
        run = play(RESPONSE, {"media1": nowhere}, "-e", json.dumps({name: value}))
        assert run.code == 2
        assert name in run.output
        assert "Ask the monitoring API" not in run.output


def test_a_pause_that_cannot_be_read_holds_the_host_until_a_person_resumes(
    play: Play, broken: Pipeline, state: Path
) -> None:
    os.mkfifo(state / "pause.slots")
    options = {"incident_mode": "apply", "incident_only": ["critical_system"]}
    refused = play(RESPONSE, {"media1": on(broken)}, **options)
    assert refused.code == 2, refused.output
    response = refused.result("incident_response")["hosts"][0]["response"]
    assert "pause.slots" in response["refusals"][0]
    assert "automation_resume" in response["refusals"][0]
    assert (response["acted"], "None" in refused.output) == ([], False)
    shown = play("playbooks/automation_status.yml", {"media1": on(broken)})
    assert "until somebody resumes automation" in shown.output
    resumed = play("playbooks/automation_resume.yml", {"media1": on(broken)})
    assert resumed.code == 0, resumed.output
    assert "pause.slots" in resumed.output
    assert "Not paused" in play("playbooks/automation_status.yml", {"media1": on(broken)}).output


def lines_of(output: str) -> list[str]:
    return [line.strip() for line in output.splitlines()]


# runbook: EM-S1, WL-1, WL-5
def test_what_could_not_be_looked_at_is_not_nothing(play: Play, broken: Pipeline, state: Path, tmp_path: Path) -> None:
    """There is no systemd to be asked here, so whose the processes are is not known: "Done: nothing" was a lie."""
    hosts = {"media1": on(broken)}
    run = play("playbooks/emergency_clear_stuck_processes.yml", hosts)
    assert run.code == 2, run.output
    response = run.result("emergency_clear_stuck_processes")["hosts"][0]["response"]
    unseen = [line for rung in response["acted"] for line in rung["unseen"]]
    assert any("whose processes there are is not known" in line for line in unseen), response
    verdict = run.verdict("media1", "could_not_look", "emergency_clear_stuck_processes")
    assert verdict["state"] == "unknown"
    assert "could not look: whose processes there are is not known" in run.output
    page = (run.report_dir / "emergency_clear_stuck_processes" / "latest" / "report.html").read_text(encoding="utf-8")
    assert "could not look" in page

    limits = [{"log": "absent.log", "max_bytes": 1, "keep": 1}]
    logs = play("playbooks/weekly_log_management.yml", hosts, policy_archive_dir=str(state), policy_log_limits=limits)
    found = logs.result("weekly_log_management")["hosts"][0]
    noted = [line for rung in found["response"]["acted"] for line in rung["noted"]]
    assert "absent.log is not there" in noted, noted
    assert "found beside it: absent.log is not there" in logs.output
    assert logs.verdict("media1", "found_beside", "weekly_log_management")["state"] == "warning"
    for name in ("report.html", "report.md"):
        text = (logs.report_dir / "weekly_log_management" / "latest" / name).read_text(encoding="utf-8")
        assert "absent.log is not there" in text.replace("\\", "")


def test_the_suggested_command_does_what_was_planned_when_it_is_pasted(
    broken: Pipeline, state: Path, tmp_path: Path
) -> None:
    """On hosts with names that mean something to a shell or to Ansible, with the options of the run."""
    names = ["büro 1", "it's 2", "media3"]
    site = tmp_path / "my site"
    site.mkdir()
    more = {"report_dir": str(tmp_path / "reports"), "policy_average_duration_critical": 0.001}
    more |= {
        "policy_breaker_share": 1,
        "policy_verify_samples": 1,
        "policy_verify_good": 1,
        "policy_verify_interval": 0,
    }
    (site / "more.yml").write_text(json.dumps(more), encoding="utf-8")
    hosts = {}
    for at, name in enumerate(names):
        (state / str(at)).mkdir(mode=0o750)
        work = tmp_path / f"work{at}"
        work.mkdir()
        (work / "old.tmp").write_bytes(b"x" * 4096)
        rules = [{"rule": "old", "root": str(work), "patterns": ["*.tmp"], "min_age": 1, "steps": ["P2P-3A"]}]
        rung = {"rung": "Clean up", "act": "disk_cleanup", "steps": ["P2P-3A"], "cured": {}, "args": {"rules": rules}}
        ladders = {"performance": [{**rung, "when": {"performance": ["degraded"]}}]}
        hosts[name] = on(broken, policy_state_dir=str(state / str(at)), policy_ladders=ladders)
    (site / "hosts.yml").write_text(yaml.safe_dump({"eu": {"hosts": hosts}}, allow_unicode=True), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "COLUMNS": "100"}

    def ran(command: str) -> tuple[str, dict[str, Any]]:
        done = subprocess.run(
            command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        path = tmp_path / "reports" / "incident_response" / "latest" / "result.json"
        return done.stdout + done.stderr, json.loads(path.read_text(encoding="utf-8"))

    options = (
        f"-i '{site}/hosts.yml' -e media_ops_hosts=eu -e '@{site}/more.yml' -e media_ops_own_password=s3cret-canary"
    )
    said, planned = ran(f"ansible-playbook playbooks/incident_performance_degradation.yml {options}")
    steps = [step["command"] for step in planned["next"] if step["command"]]
    assert len(steps) == 1, planned["next"]
    assert "s3cret-canary" not in json.dumps(planned)
    assert steps[0] in lines_of(said), "it is on the screen, whole"
    said, applied = ran(steps[0])
    assert {host["host"] for host in applied["hosts"]} == set(names), said
    for host in applied["hosts"]:
        assert not any("drifted" in line for line in host["response"]["refusals"]), host["response"]["refusals"]
        assert host["response"]["mode"] == "apply"
    # Neither a hash of one host for another, nor that of all for some.
    one = next(host["response"]["hash"] for host in planned["hosts"] if host["host"] == "media3")
    for limit, approved in (("~^büro", one), ("media3", steps[0].rpartition("=")[2])):
        again = f"{steps[0].partition(' --limit')[0]} --limit {shlex.quote(limit)} -e incident_mode=apply"
        said, refused = ran(f"{again} -e incident_plan={approved}")
        assert "the plan has drifted" in refused["hosts"][0]["response"]["refusals"][0], said
        assert "the plan has drifted" in refused["refused"][0]["why"]
        assert "Not done on" in said
        assert not any(step["command"] for step in refused["next"])


# Of a host whose only disk is full: there is no room in a temporary directory either.
ON_FULL_DISK = """#!/bin/sh
exec unshare --mount sh -c '
mount --bind {disk} /tmp && mount --bind {disk} /var/tmp && cd /tmp && exec {python} "$@"
' sh "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a file system of its own")
def test_a_full_disk_is_freed_and_the_evidence_is_on_the_controller(
    play: Play, broken: Pipeline, tmp_path: Path
) -> None:
    """State directory and temporary directories are on the disk that is full to the last byte."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as outside, small_disk(Path(outside), 24) as disk:
        state, work = disk / "state", disk / "work"
        for directory in (state, work):
            directory.mkdir(mode=0o750)
        (work / "old.tmp").write_bytes(b"x" * (1 << 20))
        room = {"ttl": 900, "hours": 24, "ledger_max_bytes": 1 << 20, "actions": [], "caps": [], "entries": []}
        guard({**room, "state": "prepared", "state_dir": str(state)})
        fill(disk)
        python = Path(outside) / "python"
        python.write_text(ON_FULL_DISK.format(disk=disk, python=sys.executable), encoding="utf-8")
        python.chmod(0o755)
        rules = [{"rule": "old", "root": str(work), "patterns": ["*.tmp"], "min_age": 0.001, "steps": ["P2P-3A"]}]
        rung = {"rung": "Clean up", "act": "disk_cleanup", "steps": ["P2P-3A"], "cured": {}, "args": {"rules": rules}}
        host = {
            **on(broken, policy_state_dir=str(state)),
            "policy_ladders": {"performance": [{**rung, "when": {"performance": ["degraded"]}}]},
            "ansible_python_interpreter": str(python),
        }
        run = play(
            "playbooks/incident_performance_degradation.yml",
            {"media1": host},
            incident_mode="apply",
            policy_average_duration_critical=0.001,
            policy_verify_samples=1,
            policy_verify_good=1,
            policy_verify_interval=0,
        )
        assert not (work / "old.tmp").exists(), run.output
        assert held(state) is None
        actions = [(entry["action"], entry.get("result")) for entry in entries((state / "ledger.jsonl").read_text())]
        assert ("delete", "done") in actions, actions
    evidence = run.result("incident_response")["hosts"][0]["response"]["evidence"]
    where, _colon, path = evidence.partition(":")
    assert where == "controller", evidence
    assert path.startswith(str(run.report_dir)), path
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    with tarfile.open(path) as archive:
        assert any(name.endswith("/documents/plan.json") for name in archive.getnames())


APART = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


@pytest.mark.skipif(
    subprocess.run([*APART, "true"], check=False, capture_output=True).returncode != 0,
    reason="no namespace of processes can be made",
)
def test_a_run_in_another_namespace_of_processes_is_not_taken_over(
    broken: Pipeline, state: Path, tmp_path: Path
) -> None:
    """Two containers on one machine: neither sees the other's processes, and both see the host's lease."""
    host = on(broken, policy_state_dir=str(state), policy_service_unit="media-ops-no-such-unit")
    inventory = tmp_path / "hosts.json"
    site = {"report_dir": str(tmp_path / "reports"), "policy_emergency_free_percent": 100}
    inventory.write_text(json.dumps({"media_hosts": {"hosts": {"media1": host}, "vars": site}}), encoding="utf-8")
    ansible = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [*APART, ansible, "-i", str(inventory), "playbooks/emergency_disk_cleanup.yml"]
    options: dict[str, Any] = {
        "cwd": ROOT,
        "env": {**os.environ, "NO_COLOR": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
    }
    with (tmp_path / "first").open("wb") as screen:
        first = subprocess.Popen(command, stdout=screen, stderr=screen, stdin=subprocess.DEVNULL, **options)
    try:
        wait_for("the first run's lease", lambda: held(state), 120)
        # It goes no further, and lives.
        (playbook,) = psutil.Process(first.pid).children()
        playbook.suspend()
        first_lease = held(state)
        second = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **options,
        )
        assert first.poll() is None, (tmp_path / "first").read_text(encoding="utf-8")
        assert second.returncode == 2, second.stdout
        assert "Took the host over" not in second.stdout
        assert "another run acts on this host" in second.stdout
        assert held(state) == first_lease, "the first run has its lease"
    finally:
        first.kill()
        first.wait(60)
