"""The daily checks as a user runs them: real playbooks against a real pipeline and against real faults."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.templates import SYMBOLS, WORDS
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.fault_server import fault_server
from tests.playbooks.conftest import REACHED, ROOT, Play, Run, closed_port
from tests.schemas import DAILY_REPORT, RESULT, problems

pytestmark = pytest.mark.playbook
MORNING = "playbooks/daily_morning_health_check.yml"
EVENING = "playbooks/daily_evening_summary.yml"


def on(pipeline: Pipeline, **more: Any) -> dict[str, Any]:
    """Variables of an inventory host that runs this pipeline."""
    return {**REACHED, "media_ops_api_url": pipeline.api_url, "policy_base_dir": str(pipeline.base_dir), **more}


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline that has merged clips and failed at a broken one."""
    with running_pipeline(tmp_path_factory.mktemp("worked")) as pipeline:
        pipeline.feed(12)
        pipeline.feed(1, fault="broken")
        yield pipeline


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline whose ffmpeg cannot run."""
    with running_pipeline(tmp_path_factory.mktemp("broken")) as pipeline:
        pipeline.break_ffmpeg()
        yield pipeline


def test_a_report_takes_nothing_from_one_before_it_in_the_same_run(
    play: Play, worked: Pipeline, tmp_path: Path
) -> None:
    state, scratch = tmp_path / "state", tmp_path / "scratch"
    state.mkdir(mode=0o750)
    # A host on which nothing can be put any more is unreachable for Ansible, which leaves it out from then on.
    silenced = [
        {"ansible.builtin.shell": f"rm -r {scratch} && touch {scratch}", "delegate_to": "media1", "run_once": True},
        {"ansible.builtin.ping": {}},
    ]
    review = str(ROOT / "playbooks/weekly_performance_review.yml")
    both = [
        {"ansible.builtin.import_playbook": review},
        {"hosts": "media_hosts", "gather_facts": False, "tasks": silenced},
        {"ansible.builtin.import_playbook": str(ROOT / MORNING)},
    ]
    (tmp_path / "both.yml").write_text(json.dumps(both), encoding="utf-8")
    hosts = {"media1": on(worked), "media2": on(worked, ansible_remote_tmp=str(scratch))}
    run = play(str(tmp_path / "both.yml"), hosts, token=worked.token(), policy_become=False, policy_fail_on=[])
    # Of a week there is next to nothing yet.
    assert run.states("weekly_performance_review") == {"media1": "unknown", "media2": "unknown"}
    assert run.states() == {"media1": "ok", "media2": "unknown"}
    reports = {path.name for path in (run.report_dir / "daily_morning/latest").iterdir()}
    assert reports == {"report.html", "report.md", "result.json"}


# runbook: DM-1, DM-2, DM-3, DM-4
def test_morning_of_a_healthy_host(play: Play, worked: Pipeline) -> None:
    run = play(MORNING, {"media1": on(worked)}, token=worked.token())
    assert run.code == 0, run.output
    result = run.result()
    assert problems(RESULT, result) == []
    assert run.states() == {"media1": "ok"}
    assert run.verdict("media1", "error_rate")["observed"] == worked.get("/stats?hours=24")["error_rate"] > 0
    assert {verdict["step"] for verdict in result["hosts"][0]["verdicts"]} >= {"DM-1", "DM-2", "DM-3", "DM-4"}
    latest = run.report_dir / "daily_morning" / "latest"
    assert "<html" in (latest / "report.html").read_text(encoding="utf-8")
    assert "media1" in (latest / "report.md").read_text(encoding="utf-8")
    assert str(latest.resolve() / "report.html") in run.output, "the way to the report is shown"

    again = play(MORNING, {"media1": on(worked)}, token=worked.token())
    assert (again.code, again.changed) == (0, [])


def test_morning_in_check_mode_says_the_same_and_writes_nothing(play: Play, worked: Pipeline) -> None:
    run = play(MORNING, {"media1": on(worked)}, "--check", "--diff", token=worked.token())
    assert run.code == 0, run.output
    assert not run.report_dir.exists()
    assert "OK" in run.output


# runbook: DE-1, DE-2, DE-3
def test_evening_keeps_the_day_on_the_host(play: Play, worked: Pipeline, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o750)
    checked = play(EVENING, {"media1": on(worked)}, "--check", "--diff", token=worked.token())
    assert checked.code == 0, checked.output
    assert list(state.iterdir()) == []

    run = play(EVENING, {"media1": on(worked)}, token=worked.token())
    assert run.code == 0, run.output
    (kept,) = state.glob("daily_report_*.json")
    day = json.loads(kept.read_text(encoding="utf-8"))
    assert day["stats"]["total_operations"] == worked.get("/stats?hours=24")["total_operations"]
    assert kept.name == f"daily_report_{day['day'].replace('-', '')}.json"
    assert day["logged"]["state"] == "ok"
    assert day["figures"]["total_operations"] >= day["stats"]["total_operations"]
    assert day["windows"] == [], "the log names all that the service knows of"
    assert set(day["stats"]) >= {"success_rate", "error_rate", "average_duration", "stage_breakdown"}
    assert sum(day["log_errors"]["errors"].values()) >= 1
    assert 1 <= len(day["resource_peaks"]) <= 3
    assert run.verdict("media1", "error_log", "daily_evening")["observed"] >= 1
    assert run.verdict("media1", "figures_kept", "daily_evening")["state"] == "ok"
    assert problems(RESULT, run.result("daily_evening")) == []
    assert problems(DAILY_REPORT, day) == []

    again = play(EVENING, {"media1": on(worked)}, token=worked.token())
    assert (again.code, again.changed) == (0, [])


def test_evening_with_an_expired_token_keeps_what_the_log_names_alone(
    play: Play, worked: Pipeline, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(mode=0o750)
    run = play(EVENING, {"media1": on(worked)}, token=worked.token(ttl=-60))
    assert run.code == 2
    (kept,) = (tmp_path / "state").glob("daily_report_*.json")
    day = json.loads(kept.read_text(encoding="utf-8"))
    assert day["figures"]["total_operations"] == worked.get("/stats?hours=24")["total_operations"]
    assert (day["windows"], day["logged"]["state"]) == ([], "ok"), "nothing is of the service's own word"
    assert run.verdict("media1", "error_rate", "daily_evening")["fault"] == "auth"


@pytest.fixture(scope="module")
def fleet(worked: Pipeline, broken: Pipeline) -> dict[str, dict[str, Any]]:
    nowhere = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": closed_port()}
    return {
        "fine": on(worked, media_ops_api_token=worked.token()),
        "critical": on(broken, media_ops_api_token=broken.token()),
        "down": {**on(worked), **nowhere},
        "bare": on(worked, ansible_python_interpreter="/nonexistent/python3"),
    }


def test_every_host_of_a_fleet_gets_its_verdict(play: Play, fleet: dict[str, dict[str, Any]]) -> None:
    run = play(MORNING, fleet)
    assert run.code == 2, run.output
    assert run.states() == {"critical": "critical", "bare": "unknown", "down": "unknown", "fine": "ok"}
    assert run.verdict("down", "overall_status")["fault"] == "host_unreachable"
    assert run.verdict("bare", "overall_status")["fault"] == "no_python"
    assert "ffmpeg" in run.verdict("critical", "overall_status")["message"]
    result = run.result()
    assert [(i["priority"], i["cause"], i["hosts"]) for i in result["incidents"]] == [("P0", "ffmpeg", ["critical"])]
    assert "incident_critical_system" in result["incidents"][0]["command"]
    page = (run.report_dir / "daily_morning" / "latest" / "report.html").read_text(encoding="utf-8")
    text = (run.report_dir / "daily_morning" / "latest" / "report.md").read_text(encoding="utf-8")
    plain = re.sub(r"\x1b\[[\d;]*m", "", run.output).splitlines()
    for host, state in run.states().items():
        assert host in page
        assert f"| {host} | {SYMBOLS[state]} {WORDS[state]} |" in text
        assert [state.upper(), host] in [line.split()[:2] for line in plain], "in the verdict table"
    assert problems(RESULT, result) == []

    limited = play(MORNING, fleet, "--limit", "fine")
    assert limited.code == 0, limited.output
    assert limited.states() == {"fine": "ok"}


API_FAULTS = {
    "no_accept": "timeout",
    "no_connect": "timeout",
    "hang": "timeout",
    "drip_body": "timeout",
    "closed": "unreachable",
    "unauthorized": "auth",
    "forbidden": "auth",
    "not_found": "http_error",
    "expired": "auth",
    "unprocessable": "http_error",
    "error_500": "http_error",
    "error_500_empty": "http_error",
    "redirect": "http_error",
    "html": "invalid",
    "truncated_json": "invalid",
    "short": "invalid",
    "nan": "invalid",
    "infinity": "invalid",
    "huge": "invalid",
}


def test_no_fault_of_the_api_is_ever_ok(play: Play) -> None:
    limits = {"media_ops_api_read_timeout": 1, "media_ops_api_total_timeout": 2, "media_ops_api_connect_timeout": 1}
    with ExitStack() as stack:
        urls = {mode: str(stack.enter_context(fault_server(mode))) for mode in API_FAULTS}
        urls["refused"] = f"http://127.0.0.1:{closed_port()}"
        run = play(
            MORNING,
            {mode: {**REACHED, "media_ops_api_url": url} for mode, url in urls.items()},
            token="a-token-for-tests",
            **limits,
        )
    assert run.code == 2, run.output
    assert set(run.states().values()) == {"unknown"}
    found = {mode: run.verdict(mode, "error_rate")["fault"] for mode in urls}
    assert found == {**API_FAULTS, "refused": "unreachable"}
    assert all(run.verdict(mode, "error_rate")["message"] for mode in urls)
    assert "Traceback" not in run.output


def test_critical_under_detail_of_a_503_is_critical(play: Play) -> None:
    with fault_server("critical_503") as url:
        run = play(MORNING, {"media1": {**REACHED, "media_ops_api_url": str(url)}}, token="a-token-for-tests")
    assert run.code == 2
    assert run.verdict("media1", "overall_status")["state"] == "critical"


CANARY = "canary-7f3a9b2e5d8c"


class _CommandLines(threading.Thread):
    """Looks at the command lines of all processes, as any user of the machine can, until told to stop."""

    def __init__(self, *secrets: str) -> None:
        super().__init__(daemon=True)
        self.secrets = [secret.encode() for secret in secrets]
        self.stop = threading.Event()
        self.rounds = 0
        self.seen: list[str] = []

    def run(self) -> None:
        while not self.stop.wait(0.02):
            self.rounds += 1
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    line = path.read_bytes()
                    if any(secret in line for secret in self.secrets):
                        self.seen.append(line.replace(b"\0", b" ").decode(errors="replace"))


@pytest.mark.parametrize("playbook", [MORNING, EVENING, "playbooks/quick_reference.yml"])
def test_the_token_is_seen_nowhere(
    play: Play, worked: Pipeline, broken: Pipeline, tmp_path: Path, playbook: str
) -> None:
    """Neither at -vvvv nor in anything that the run writes, nor in the list of processes meanwhile, accepted or not."""
    (tmp_path / "state").mkdir(mode=0o750)
    (tmp_path / "refused").write_text(CANARY, encoding="utf-8")
    refused = {"media_ops_api_token": f"{{{{ lookup('ansible.builtin.file', '{tmp_path}/refused') }}}}"}
    hosts = {"media1": on(worked), "media2": on(worked, **refused), "media3": on(broken, **refused)}
    token = worked.token()
    watch = _CommandLines(token, CANARY)
    watch.start()
    run = play(playbook, hosts, "-vvvv", token=token)
    watch.stop.set()
    watch.join()
    assert run.code == 2, run.output
    failed = {event["event_data"]["host"] for event in run.events if event["event"] == "runner_on_failed"}
    assert failed == {"media2", "media3"}, "the token of media1 is accepted"
    assert watch.rounds > 10
    assert watch.seen == []
    written = [
        path for top in (run.artifacts, run.report_dir, tmp_path / "state") for path in top.rglob("*") if path.is_file()
    ]
    # ansible-runner keeps the environment it was given, which a user's own AWX does not.
    assert {path.name for path in written} >= {"stdout", "command", "result.json", "report.md", "report.html"}
    for secret in (token, CANARY):
        assert secret not in run.output
        assert [str(path) for path in written if secret.encode() in path.read_bytes() and path.name != "command"] == []


# By host: what a site sets, and what the refusal must say.
REFUSED = {
    "above_one": ({"policy_error_rate_critical": "10"}, "'policy_error_rate_critical' is"),
    "a_word": ({"policy_error_rate_critical": "ten"}, "'policy_error_rate_critical' is"),
    "contradiction": ({"policy_error_rate_warning": "0.5"}, "'policy_error_rate_warning' is"),
    "falling": ({"policy_session_look_minutes": "90"}, "policy_session_look_minutes 90"),
}


def refusals(run: Run) -> dict[str, str]:
    """What each failed host was told first."""
    told: dict[str, str] = {}
    for event in run.events:
        if event["event"] == "runner_on_failed":
            told.setdefault(event["event_data"]["host"], json.dumps(event["event_data"]["res"]))
    return told


def test_a_policy_that_cannot_be_is_refused_by_name_on_its_host(play: Play, worked: Pipeline) -> None:
    refused = {host: on(worked, **variables) for host, (variables, _said) in REFUSED.items()}
    run = play(MORNING, {"well": on(worked), **refused}, token=worked.token())
    assert run.code == 2
    told = refusals(run)
    assert {host: said for host, (_variables, said) in REFUSED.items() if said not in told.get(host, "")} == {}
    assert run.states() == {"well": "ok", **dict.fromkeys(REFUSED, "unknown")}


# What is set for the whole run, and what the refusal must say.
REFUSED_AT_ONCE = {
    "above_one": ({"policy_error_rate_critical": "10"}, "'policy_error_rate_critical' is"),
    "a_word": ({"policy_error_rate_critical": "ten"}, "policy_error_rate_critical is 'ten': "),
    "falling": ({"policy_session_look_minutes": "90"}, "policy_session_look_minutes 90"),
    "no_number": ({"policy_answer_age_max": "soon"}, "policy_answer_age_max is 'soon': "),
    "no_state": ({"policy_fail_on": ["bad"]}, "policy_fail_on: "),
}


@pytest.mark.parametrize("case", REFUSED_AT_ONCE)
def test_a_policy_that_cannot_be_ends_the_run_before_anything_is_asked(play: Play, worked: Pipeline, case: str) -> None:
    variables, said = REFUSED_AT_ONCE[case]
    hosts = {"media1": on(worked), "media2": on(worked)}
    run = play(MORNING, hosts, "-e", json.dumps(variables), token=worked.token())
    assert run.code == 2
    assert said in refusals(run)["media1"].replace("\\n", " ")
    assert run.facts("Ask the monitoring API and judge") == {}
    if case == "no_state":
        assert not run.report_dir.exists(), "what fails a run is not known"
    else:
        assert run.states() == dict.fromkeys(hosts, "unknown")
    assert "2 unknown. The run fails." in run.output


def test_a_quiet_check_is_few_tasks(play: Play, worked: Pipeline) -> None:
    run = play(MORNING, {"media1": on(worked)}, token=worked.token())
    started = [event for event in run.events if event["event"] == "playbook_on_task_start"]
    assert len(started) <= 6, [event["event_data"]["task"] for event in started]


def test_a_threshold_from_the_command_line_counts(play: Play, worked: Pipeline) -> None:
    run = play(MORNING, {"media1": on(worked)}, "-e", "policy_error_rate_warning=0.01", token=worked.token())
    assert (run.code, run.states()) == (0, {"media1": "warning"})


# runbook: TQ-1, TQ-2, TQ-3, TQ-4, TQ-5, QR-CONTACTS, QR-ENDPOINTS, QR-LOGS
def test_quick_reference_answers_the_one_liners(play: Play, worked: Pipeline) -> None:
    contacts = [{"area": "Operations", "name": "On call", "contact": "+00 1"}]
    run = play("playbooks/quick_reference.yml", {"media1": on(worked)}, token=worked.token(), report_contacts=contacts)
    assert run.code == 0, run.output
    shown = run.facts("Show the answers")["media1"]["msg"]
    assert shown["health"] == "Overall status: healthy"
    assert shown["alerts"].startswith("Error alerts: 1")
    assert shown["sessions"] == "Active sessions: 0"
    assert shown["errors"][-1]["level"] == "ERROR"
    assert shown["resources"][0]["component"] == "system_resources"
    assert shown["contacts"] == contacts
    assert f"{worked.api_url}/alerts?level=critical" in shown["endpoints"]
    assert [Path(path).exists() for path in shown["logs"]] == [True] * 4

    part = play(
        "playbooks/quick_reference.yml", {"media1": on(worked)}, "-e", '{"healthcheck_quick_show": ["health"]}',
        token=worked.token(),
    )  # fmt: skip
    assert set(part.facts("Show the answers")["media1"]["msg"]) == {"health"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collections path of a user who has built the tarball from what git has, and installed it."""
    work = tmp_path_factory.mktemp("installed")
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(work / "source")], check=True)
    for command in (
        ["collection", "build", str(work / "source"), "--output-path", str(work)],
        [
            "collection",
            "install",
            str(work / "media_ops-runbook-0.1.0.tar.gz"),
            "-p",
            str(work / "collections"),
            "--offline",
        ],
    ):
        # Not in the clone: its ansible.cfg finds the collection there, and there is nothing to install.
        done = subprocess.run(
            ["ansible-galaxy", *command], cwd=work, env=_alone(work), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(work / "source")
    return work / "collections"


def _alone(home: Path, **environment: str) -> dict[str, str]:
    """The environment of a user who has nothing of this repository but the tools."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8", **environment}


def test_the_installed_collection_works_by_name_from_another_directory(
    installed: Path, worked: Pipeline, broken: Pipeline, tmp_path: Path
) -> None:
    inventory = tmp_path / "hosts.json"
    hosts = {
        **{f"media{number}": on(worked, media_ops_api_token=worked.token()) for number in range(1, 4)},
        "critical": on(broken, media_ops_api_token=broken.token()),
    }
    site = {"report_dir": str(tmp_path / "reports"), "policy_state_dir": str(tmp_path / "state")}
    inventory.write_text(json.dumps({"media_hosts": {"hosts": hosts, "vars": site}}), encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "ANSIBLE_COLLECTIONS_PATH": str(installed),
            "ANSIBLE_CALLBACKS_ENABLED": "media_ops.runbook.verdicts",
            "COLUMNS": "80",
        }
        return subprocess.run(
            ["ansible-playbook", "-i", str(inventory), "media_ops.runbook.daily_morning_health_check", *options],
            cwd=elsewhere,
            env=_alone(tmp_path, **environment),
            capture_output=True,
            text=True,
            check=False,
        )

    checked = run("--check", "--forks", "2")
    assert checked.returncode == 2, checked.stdout + checked.stderr
    assert "CRITICAL: Daily morning health check: 1 critical, 3 ok. The run fails." in checked.stdout
    assert not (tmp_path / "reports").exists(), "--check writes nothing"

    limited = run("--limit", "media1,media2", "--forks", "1")
    assert limited.returncode == 0, limited.stdout + limited.stderr
    result = json.loads((tmp_path / "reports/daily_morning/latest/result.json").read_text(encoding="utf-8"))
    assert problems(RESULT, result) == []
    assert [host["host"] for host in result["hosts"]] == ["media1", "media2"]

    table = checked.stdout[checked.stdout.index("STATE    HOST") :].splitlines()
    assert "\x1b" not in checked.stdout
    assert [line for line in table if len(line) > 80 and "ansible-playbook" not in line] == []
    assert any("media_ops.runbook.incident_critical_system --limit critical" in line for line in table)
    assert list(elsewhere.iterdir()) == []


def test_what_is_muted_fails_no_run_and_is_shown_until_it_is_unmuted(
    play: Play, broken: Pipeline, tmp_path: Path
) -> None:
    """A component that is broken for ever, and a host that is down."""
    hosts = {
        "media1": on(broken, policy_state_dir=str(tmp_path / "state1")),
        "media2": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": closed_port()},
    }
    (tmp_path / "state1").mkdir(mode=0o750)
    options = {"token": broken.token(), "policy_become": False}

    def muted(limit: str, mute: str, playbook: str = "mute") -> Run:
        said = {"automation_mute": mute, "automation_mute_reason": "MEDIA-123", "automation_mute_for": 3600}
        given = ["--limit", limit, "-e", json.dumps(said)]
        return play(f"playbooks/automation_{playbook}.yml", hosts, *given, **options)

    assert muted("media1", "component:ffmpeg").code == 0
    down = muted("media2", "host")
    assert down.code == 0
    assert "Kept on this controller alone" in down.output
    run = play(MORNING, hosts, **options)
    assert run.code == 0, run.output
    assert problems(RESULT, run.result()) == []
    assert run.states() == {"media1": "ok", "media2": "ok"} or run.states()["media1"] == "warning"
    assert run.result()["incidents"] == []
    assert "Muted on media1: component:ffmpeg until " in run.output
    assert "Muted on media2: host until " in run.output
    assert run.verdict("media2", "overall_status")["muted"]["state"] == "unknown"
    assert muted("media1", "component:ffmpeg", "unmute").code == 0
    run = play(MORNING, hosts, **options)
    assert (run.code, run.states()) == (2, {"media1": "critical", "media2": "ok"})
    assert "ffmpeg" in {incident["cause"] for incident in run.result()["incidents"]}
