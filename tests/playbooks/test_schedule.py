"""The schedule as it is written for a control node, and its runner playing real playbooks by ansible-runner."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.schedule import calendars_of
from media_pipeline.client import wait_for

from tests.playbooks.conftest import REACHED, ROOT, Play, Run

pytestmark = pytest.mark.playbook
PLAYBOOK = "playbooks/schedule.yml"
FILES = ROOT / "roles/schedule/files"
RUNNER = FILES / "media_ops_run.py"
ANALYZE = shutil.which("systemd-analyze")
Scheduled = Callable[..., Run]


@pytest.fixture
def scheduled(play: Play, tmp_path: Path) -> Scheduled:
    """Play the playbook with everything below the test's directory, and systemd left alone."""

    def run(*options: str, **more: Any) -> Run:
        places = {
            "schedule_dir": str(tmp_path / "schedule"),
            "schedule_unit_dir": str(tmp_path / "units"),
            "schedule_cron_file": str(tmp_path / "cron"),
            "schedule_kind": "systemd",
            "schedule_enable": False,
        }
        return play(PLAYBOOK, {"media1": REACHED}, *options, "-e", json.dumps({**places, **more}))

    return run


needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze on this machine (Debian: systemd)")


# runbook: AU-S1, AU-S2, AU-S3, AU-S4
@needs_systemd
def test_timers_at_the_runbooks_times(scheduled: Scheduled, tmp_path: Path) -> None:
    checked = scheduled("--check", "--diff")
    assert checked.code == 0, checked.output
    assert not (tmp_path / "units").exists()
    assert not (tmp_path / "schedule").exists()

    done = scheduled()
    assert done.code == 0, done.output
    units = tmp_path / "units"
    times = {}
    for timer in units.glob("*.timer"):
        text = timer.read_text(encoding="utf-8")
        when = [line.removeprefix("OnCalendar=") for line in text.splitlines() if line.startswith("OnCalendar=")]
        times[timer.stem.removeprefix("media-ops-run-")] = when
        assert "Persistent=true" in text
        assert timer.with_suffix(".service").exists()
    assert times == {
        "watch_health": ["*-*-* *:0/5:00"],
        "watch_performance": ["*-*-* *:0/15:00"],
        "daily_morning_health_check": ["*-*-* 07:00:00"],
        "daily_evening_summary": ["*-*-* 18:00:00"],
        # The later ones are for the day on which summer time leaves the first one out.
        "daily_log_cleanup": ["*-*-* 02:00:00", "*-*-* 03:00:00", "*-*-* 04:00:00"],
        "weekly_log_management": ["Mon *-*-* 01:00:00", "Mon *-*-* 02:00:00", "Mon *-*-* 03:00:00"],
        "weekly_performance_review": ["Fri *-*-* 17:00:00"],
        "weekly_system_cleanup": ["Sun *-*-* 03:00:00", "Sun *-*-* 04:00:00", "Sun *-*-* 05:00:00"],
    }
    # Defect 6 of the runbook: its nightly deletion races Monday's archive.
    nightly = (units / "media-ops-run-daily_log_cleanup.service").read_text(encoding="utf-8")
    assert "After=network-online.target media-ops-run-weekly_log_management.service\n" in nightly
    assert (tmp_path / "schedule").stat().st_mode & 0o777 == 0o700
    kept = json.loads((tmp_path / "schedule/schedule.json").read_text(encoding="utf-8"))
    assert kept["inventory"] == [str(tmp_path / "run2/hosts.json")]

    few = {"schedule_procedures": [{"name": "watch_health", "every": 10}], "schedule_inventory": kept["inventory"]}
    fewer = scheduled(**few)
    assert fewer.code == 0, fewer.output
    again = scheduled(**few)
    assert (again.code, again.changed) == (0, [])
    assert sorted(path.name for path in units.iterdir()) == [
        "media-ops-run-watch_health.service",
        "media-ops-run-watch_health.timer",
    ]
    assert "OnCalendar=*-*-* *:0/10:00" in (units / "media-ops-run-watch_health.timer").read_text(encoding="utf-8")

    gone = scheduled(schedule_state="absent")
    assert gone.code == 0, gone.output
    assert list(units.iterdir()) == []
    assert list((tmp_path / "schedule").iterdir()) == []


def test_lines_for_cron_where_there_is_no_systemd(scheduled: Scheduled, tmp_path: Path) -> None:
    done = scheduled(schedule_kind="cron")
    assert done.code == 0, done.output
    lines = (tmp_path / "cron").read_text(encoding="utf-8").splitlines()
    times: dict[str, list[str]] = {}
    for line in lines:
        if " run " in line:
            times.setdefault(line.partition(" run ")[2].split()[0], []).append(" ".join(line.split()[:5]))
    assert times == {
        "watch_health": ["*/5 * * * *"],
        "watch_performance": ["*/15 * * * *"],
        "daily_morning_health_check": ["0 7 * * *"],
        "daily_evening_summary": ["0 18 * * *"],
        "daily_log_cleanup": ["0 2 * * *", "0 3 * * *", "0 4 * * *"],
        "weekly_log_management": ["0 1 * * Mon", "0 2 * * Mon", "0 3 * * Mon"],
        "weekly_performance_review": ["0 17 * * Fri"],
        "weekly_system_cleanup": ["0 3 * * Sun", "0 4 * * Sun", "0 5 * * Sun"],
    }
    assert not (tmp_path / "units").exists()
    assert scheduled(schedule_kind="cron", schedule_state="absent").code == 0
    assert not (tmp_path / "cron").exists()


# By host: what a site sets, and what the refusal must say.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "divides_no_hour": ({"schedule_procedures": [{"name": "a", "every": 7}]}, "every"),
    "sexagesimal": ({"schedule_procedures": [{"name": "a", "at": 1020}]}, "in quotes"),
    "no_hour": ({"schedule_procedures": [{"name": "a", "at": "25:00"}]}, "in quotes"),
    "no_time": ({"schedule_procedures": [{"name": "a"}]}, "it needs a name"),
    "two_times": ({"schedule_procedures": [{"name": "a", "at": "02:00", "every": 5}]}, "it needs a name"),
    "path": ({"schedule_procedures": [{"name": "../../etc/x", "at": "02:00"}]}, "it needs a name"),
    "unknown": ({"schedule_procedures": [{"name": "a", "at": "02:00", "after": [{"name": "b", "hours": 1}]}]}, "names"),
    "itself": ({"schedule_procedures": [{"name": "a", "at": "02:00", "after": [{"name": "a", "hours": 1}]}]}, "names"),
    "twice": ({"schedule_procedures": [{"name": "a", "at": "02:00"}, {"name": "a", "every": 5}]}, "each once"),
    "empty": ({"schedule_procedures": []}, "at least one"),
    "blank": ({"schedule_dir": "/srv/a b"}, "schedule_dir is '/srv/a b'"),
    "dots": ({"schedule_dir": "/srv/../etc"}, "schedule_dir is '/srv/../etc'"),
    "percent": ({"schedule_dir": "/srv/%h"}, "schedule_dir is '/srv/%h'"),
    "python": ({"schedule_python": "/nonexistent/python"}, "cannot import"),
    "user": ({"schedule_user": "root\nroot"}, "schedule_user is"),
    "user_cron": ({"schedule_kind": "cron", "schedule_scope": "user"}, "schedule_scope is 'user'"),
}


def test_what_cannot_be_scheduled_is_refused_by_name(play: Play, tmp_path: Path) -> None:
    book = tmp_path / "refused.yml"
    call = {"name": "media_ops.runbook.schedule", "rolespec_validate": False}
    role = {"name": "Schedule", "ansible.builtin.import_role": call}
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [role]}]), encoding="utf-8")
    untouched = tmp_path / "untouched"
    places = {"schedule_dir": f"{untouched}/dir", "schedule_unit_dir": f"{untouched}/units", "schedule_kind": "systemd"}
    places |= {"schedule_cron_file": f"{untouched}/cron", "schedule_user": ""}
    hosts = {host: {**REACHED, **places, **variables} for host, (variables, _said) in REFUSED.items()}
    done = play(str(book), hosts)
    assert done.code == 2
    told: dict[str, str] = {}
    for event in done.events:
        if event["event"] == "runner_on_failed":
            told[event["event_data"]["host"]] = event["event_data"]["res"]["msg"]
    assert {host: said for host, (_variables, said) in REFUSED.items() if said not in told.get(host, "")} == {}
    assert not untouched.exists()


# --- the runner

BOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.lineinfile:
        path: "{{ noted }}"
        line: "{{ media_ops_scheduled_for | default('by hand') }} {{ lookup('env', 'CANARY') | length }}"
        create: true
        mode: "0600"
    - ansible.builtin.wait_for:
        path: "{{ gate }}"
        timeout: 60
      when: gate is defined
    - ansible.builtin.set_stats:
        data:
          media_ops_summary: "{{ summary | default({'hosts': [{'host': 'here', 'state': 'ok', 'check': 'a'}]}) }}"
    - ansible.builtin.assert:
        that: fails is not defined
"""


def processes() -> dict[int, int]:
    """All living processes and their parents."""
    found = {}
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (path / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if fields[0] not in "ZX":
                found[int(path.name)] = int(fields[1])
    return found


class Node:
    """A control node's schedule directory with small playbooks of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "schedule"
        self.books = directory / "books"
        self.noted = directory / "noted"
        self.directory.mkdir()
        self.books.mkdir()
        inventory = directory / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": {"here": REACHED}}}), encoding="utf-8")
        self.schedule: dict[str, Any] = {
            "procedures": [],
            "project_dir": str(directory),
            "playbook_prefix": f"{self.books}/",
            "inventory": [str(inventory)],
            "environment": {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            "environment_file": "",
            "keep_runs": 2,
            "keep_days": 30,
            "timeout": 120,
            "wait": 60,
        }
        for file in FILES.glob("*.py"):
            shutil.copy(file, self.directory)

    def add(self, name: str, **procedure: Any) -> None:
        variables = {"noted": str(self.noted), **procedure.pop("vars", {})}
        procedures = [one for one in self.schedule["procedures"] if one["name"] != name]
        times = {} if "at" in procedure else {"every": 5}
        self.schedule["procedures"] = [*procedures, {"name": name, **times, "vars": variables, **procedure}]
        (self.books / f"{name}.yml").write_text(BOOK, encoding="utf-8")
        (self.directory / "schedule.json").write_text(json.dumps(self.schedule), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.directory / "media_ops_run.py"), *arguments]

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command(*arguments), stdout=subprocess.DEVNULL, start_new_session=True)

    @property
    def records(self) -> list[dict[str, Any]]:
        path = self.directory / "runs.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_run_is_told_when_it_was_due_and_is_on_record(node: Node) -> None:
    node.add("watch_health")
    done = node.run("run", "watch_health")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = node.records
    due = datetime.fromisoformat(record["due"])
    started = datetime.fromisoformat(record["started"])
    assert due.minute % 5 == due.second == 0
    assert timedelta() <= started - due < timedelta(minutes=5)
    assert node.noted.read_text(encoding="utf-8").split()[0] == record["due"]
    assert (record["procedure"], record["status"], record["rc"]) == ("watch_health", "successful", 0)
    assert (Path(record["artifacts"]) / "stdout").exists()
    assert done.stdout.startswith("watch_health: successful, due ")

    by_hand = node.run("run", "watch_health", "--now")
    assert by_hand.returncode == 0
    assert node.noted.read_text(encoding="utf-8").splitlines()[-1].startswith("by hand")
    assert node.records[-1]["due"] is None


def test_a_run_that_was_missed_knows_that_it_is_late(node: Node) -> None:
    """The machine was off at the procedure's hour, and the timer makes up for it now."""
    missed = (datetime.now(UTC).astimezone() - timedelta(hours=3)).replace(second=0, microsecond=0)
    node.add("weekly", at=f"{missed:%H:%M}", weekday=f"{missed:%a}")
    assert node.run("run", "weekly").returncode == 0
    assert node.records[0]["due"] == f"{missed.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_a_failure_ends_with_its_code(node: Node) -> None:
    node.add("watch_health", vars={"fails": True})
    done = node.run("run", "watch_health")
    assert done.returncode == 2
    assert (node.records[0]["status"], node.records[0]["rc"]) == ("failed", 2)


def test_two_runs_of_one_procedure_do_not_overlap(node: Node, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    node.add("watch_health", vars={"gate": str(gate)})
    node.add("other")
    first = node.start("run", "watch_health")
    try:
        wait_for("first run", node.noted.exists, 60)
        table = node.run("table").stdout
        assert [line.split()[4] for line in table.splitlines() if line.startswith("watch_health")] == ["running"]
        second = node.run("run", "watch_health")
        assert second.returncode == 75
        assert f"still running: started {_started(node)}, pid {first.pid}" in second.stdout
        assert node.run("run", "other").returncode == 0, "another procedure is not held up"
        gate.touch()
        assert first.wait(60) == 0
    finally:
        first.kill()
    assert [(r["procedure"], r["status"]) for r in node.records] == [
        ("watch_health", "refused"), ("other", "successful"), ("watch_health", "successful"),
    ]  # fmt: skip
    assert node.run("run", "watch_health").returncode == 0, "the lock is free again"


def _started(node: Node) -> str:
    held = json.loads((node.directory / "locks/watch_health").read_text(encoding="utf-8"))
    return str(held["started"])


def test_a_run_that_was_killed_is_told_of_by_the_next(node: Node, tmp_path: Path) -> None:
    node.add("watch_health", vars={"gate": str(tmp_path / "gate")})
    first = node.start("run", "watch_health")
    wait_for("first run", node.noted.exists, 60)
    worker = next(pid for pid, parent in processes().items() if parent == first.pid)
    os.kill(first.pid, signal.SIGSTOP)
    for pid in (worker, first.pid):
        os.kill(pid, signal.SIGKILL)
    first.wait()
    assert "died" in node.run("table").stdout
    (tmp_path / "gate").touch()
    assert node.run("run", "watch_health").returncode == 0
    assert [record["status"] for record in node.records] == ["died", "successful"]
    assert "died" not in node.run("table", "--last", "0").stdout


# --- what a run is worth

UNSEEN: dict[str, tuple[dict[str, Any], str]] = {
    "no_summary": ({"summary": {}}, "it judged no host"),
    "no_hosts": ({"summary": {"hosts": []}}, "it judged no host"),
    "no_verdict": (
        {"summary": {"hosts": [{"host": "here", "state": "unknown", "check": "host"}]}}, "no verdict on here"
    ),
    "another_host": (
        {"summary": {"hosts": [{"host": "there", "state": "ok", "check": "a"}]}}, "no verdict on here"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNSEEN)
def test_a_run_without_a_verdict_on_each_host_is_no_success(node: Node, kind: str) -> None:
    variables, why = UNSEEN[kind]
    node.add("watch_health", vars=variables)
    done = node.run("run", "watch_health")
    assert done.returncode == 66, done.stdout + done.stderr
    assert (node.records[0]["status"], node.records[0]["rc"]) == ("failed", 66)
    assert why in node.records[0]["why"]


INVENTORIES = {
    "empty": "media_hosts:\n  hosts: {}\n",
    "broken": "media_hosts:\n  hosts:\n   h1: {ansible_host: 127.0.0.1\n",
    "half": (
        "all:\n  hosts:\n    here: {ansible_connection: local}\n"
        "    '[brk]': {}\n    gone: {ansible_connection: local}\n"
    ),
    "missing": "",
}


@pytest.mark.parametrize("kind", INVENTORIES)
def test_an_inventory_that_is_not_whole_makes_no_success(node: Node, tmp_path: Path, kind: str) -> None:
    inventory = tmp_path / "inventory.yml"
    if INVENTORIES[kind]:
        inventory.write_text(INVENTORIES[kind], encoding="utf-8")
    node.schedule["inventory"] = [str(inventory)]
    node.add("watch_health")
    assert node.run("run", "watch_health").returncode not in (0, 75)
    (record,) = node.records
    assert record["status"] == "failed"
    assert record["why"]


def test_what_judges_nothing_must_have_played_on_a_host(node: Node) -> None:
    node.add("tidy", judges=False, vars={"summary": {}})
    assert node.run("run", "tidy").returncode == 0
    node.schedule["inventory"] = ["localhost,"]
    node.add("tidy", judges=False, vars={"summary": {}})
    (node.books / "tidy.yml").write_text(BOOK.replace("hosts: all", "hosts: nobody"), encoding="utf-8")
    assert node.run("run", "tidy").returncode == 66
    assert node.records[-1]["why"] == "it played on no host"


# --- whatever becomes of it

ESCAPES = "setsid sh -c 'echo $$ >{pid}; exec sleep 600' </dev/null >/dev/null 2>&1 &"


def escaping(node: Node, tmp_path: Path, **more: Any) -> Path:
    """A procedure that leaves a process with a session of its own behind; where its pid is written."""
    pid = tmp_path / "escaped"
    node.add("watch_health", vars={"gate": str(tmp_path / "gate")}, **more)
    task = {"ansible.builtin.shell": ESCAPES.format(pid=pid)}
    book = BOOK.replace("  tasks:\n", f"  tasks:\n    - {json.dumps(task)}\n")
    (node.books / "watch_health.yml").write_text(book, encoding="utf-8")
    return pid


@pytest.mark.parametrize("how", ["succeeds", "timeout", "runner", "worker", "ansible", "all"])
def test_whatever_ends_a_run_ends_all_that_it_started(node: Node, tmp_path: Path, how: str) -> None:
    noted = escaping(node, tmp_path, **({"timeout": 40} if how == "timeout" else {}))
    runner = node.start("run", "watch_health")
    wait_for("a process of its own", lambda: noted.exists() and noted.read_text().strip() and node.noted.exists(), 90)
    escaped = int(noted.read_text(encoding="ascii"))
    running = processes()
    worker = next(pid for pid, parent in running.items() if parent == runner.pid)
    playing = next(pid for pid, parent in running.items() if parent == worker)
    if how == "succeeds":
        (tmp_path / "gate").touch()
    if how == "all":
        os.kill(runner.pid, signal.SIGSTOP)
        for pid in (worker, runner.pid):
            os.kill(pid, signal.SIGKILL)
    killed = {"runner": runner.pid, "worker": worker, "ansible": playing}.get(how)
    if killed:
        os.kill(killed, signal.SIGKILL)
    runner.wait(120)
    if how == "all":
        (tmp_path / "gate").touch()
        assert node.run("run", "watch_health").returncode == 0
    wait_for("a record", lambda: node.records, 60)
    wait_for("all to end", lambda: not {escaped, playing} & set(processes()), 60)
    status = {"succeeds": "successful", "timeout": "timeout", "ansible": "failed"}.get(how, "died")
    assert node.records[0]["status"] == status
    assert node.records[0]["rc"] == {"succeeds": 0, "timeout": 124, "all": None}.get(how, 137)
    assert not _locked(node, "watch_health")


def test_tidying_changes_no_result(node: Node) -> None:
    node.add("watch_health")
    kept = node.directory / "runs/watch_health/artifacts"
    kept.mkdir(parents=True)
    (kept / "20200101T000000Z-1").touch()  # no directory, as it should be
    done = node.run("run", "watch_health")
    assert (done.returncode, node.records[0]["status"]) == (0, "successful")
    assert "old artifacts could not be tidied" in done.stderr


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="not root: no file system can be mounted")


@pytest.fixture
def small(node: Node) -> Iterator[Node]:
    """The schedule on a small file system."""
    kept = {path.name: path.read_bytes() for path in node.directory.iterdir()}
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(node.directory)], check=True)
    try:
        for name, content in kept.items():
            (node.directory / name).write_bytes(content)
        yield node
    finally:
        subprocess.run(["umount", "-l", str(node.directory)], check=True)


def fill(directory: Path) -> Path:
    filler = directory / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1024)):
            pass
    return filler


@needs_root
@pytest.mark.root
def test_a_full_disk_hides_no_run(small: Node) -> None:
    """What is to be told is told: it is played all the same, on record by the reserve, or told by the next run."""
    small.add("watch_health")
    assert small.run("run", "watch_health").returncode == 0
    filler = fill(small.directory)
    small.noted.unlink()
    done = small.run("run", "watch_health")
    assert small.noted.exists(), done.stdout + done.stderr
    assert done.returncode == 0
    assert small.records[-1]["status"] == "successful"
    assert "its artifacts could not be kept" in small.records[-1]["why"]
    with filler.open("ab") as file, contextlib.suppress(OSError):
        file.write(bytes(1 << 20))
    (small.directory / "reserve").unlink(missing_ok=True)
    fill(small.directory.joinpath())
    with (small.directory / "runs.jsonl").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\n"):
            pass
    failed = small.run("run", "watch_health")
    assert failed.returncode == 74, failed.stdout + failed.stderr
    assert "could not be written" in failed.stderr
    filler.unlink()
    assert small.run("run", "watch_health").returncode == 0
    assert [record.get("why") for record in small.records if "written late" in str(record.get("why"))]
    assert list(small.directory.glob("not-written.*")) == []


NOBODY = 65534


@needs_root
@pytest.mark.root
def test_root_runs_no_schedule_of_another_user(node: Node) -> None:
    node.add("watch_health")
    os.chown(node.directory, NOBODY, NOBODY)
    before = sorted(path.name for path in node.directory.rglob("*"))
    done = node.run("run", "watch_health", "--now")
    assert done.returncode == 77
    assert "is run as that user: sudo -u nobody " in done.stderr
    assert sorted(path.name for path in node.directory.rglob("*")) == before
    assert node.run("table").returncode == 0


AS_USER = """
import os, sys
sys.argv[1:] = ["--dir", sys.argv[1], "run", "watch_health"]
sys.path.insert(0, os.environ["FILES"])
import ansible_runner, locale, media_ops_run
os.setgid(65534); os.setuid(65534)
sys.exit(media_ops_run.main())
"""


@needs_root
@pytest.mark.root
def test_what_root_left_harms_no_later_run(node: Node, tmp_path: Path) -> None:
    """As an older runner did: its locks, its record and its artifacts are root's."""
    node.add("watch_health")
    for name in ("locks", "runs/watch_health/artifacts"):
        (node.directory / name).mkdir(parents=True, mode=0o700)
    for name in ("locks/watch_health", "locks/runs", "runs.jsonl"):
        (node.directory / name).touch(mode=0o600)
    os.chown(node.directory, NOBODY, NOBODY)
    place = tmp_path
    while place != place.parent and place.stat().st_uid == 0 and place != Path("/tmp"):
        place.chmod(0o755)
        place = place.parent
    done = subprocess.run(
        [sys.executable, "-c", AS_USER, str(node.directory)],
        env={**os.environ, "FILES": str(node.directory)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "belongs to uid 0" in done.stderr
    # This Python is not the user's, so that the run itself ends soon; it is on record, as the user's.
    assert [record["procedure"] for record in node.records] == ["watch_health"], done.stdout + done.stderr
    assert (node.directory / "runs.jsonl").stat().st_uid == NOBODY


def test_a_second_firing_for_one_time_runs_nothing(node: Node) -> None:
    node.add("weekly", at=f"{datetime.now(UTC).astimezone() - timedelta(minutes=1):%H:%M}")
    assert node.run("run", "weekly").returncode == 0
    again = node.run("run", "weekly")
    assert (again.returncode, len(node.records)) == (0, 1)
    assert "has begun already; --now runs it by hand" in again.stdout
    assert node.run("run", "weekly", "--now").returncode == 0
    assert len(node.records) == 2


def test_the_log_of_cron_is_bounded_and_loses_nothing(node: Node) -> None:
    node.add("watch_health")
    log = node.directory / "cron.log"
    log.write_bytes(b"x" * (1 << 20) + b"\nlast line\n")
    for number in (1, 2):
        with log.open("ab") as file:
            subprocess.run(node.command("run", "watch_health"), stdout=file, stderr=file, check=True, timeout=120)
        assert log.read_text(encoding="utf-8").count("watch_health: successful") == number
    assert (node.directory / "cron.log.1").read_bytes().endswith(b"\nlast line\n")


def test_a_run_that_is_stopped_says_so(node: Node, tmp_path: Path) -> None:
    node.add("watch_health", vars={"gate": str(tmp_path / "gate")})
    first = node.start("run", "watch_health")
    wait_for("first run", node.noted.exists, 60)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 143
    assert node.records[0]["status"] == "canceled"


def test_a_run_that_takes_too_long_is_ended(node: Node, tmp_path: Path) -> None:
    node.add("watch_health", vars={"gate": str(tmp_path / "gate")}, timeout=4)
    begun = time.monotonic()
    assert node.run("run", "watch_health").returncode == 124
    assert time.monotonic() - begun < 60
    assert node.records[0]["status"] == "timeout"


def test_logs_are_archived_before_old_ones_are_deleted(node: Node, tmp_path: Path) -> None:
    """The deletion waits for an archive that is under way; each host is asked for itself whether it succeeded there."""
    node.add("deletion", after=[{"name": "archive", "hours": 192}, {"name": "review"}])
    handed = {"ansible.builtin.assert": {"that": "automation_after == [{'procedure': 'archive', 'hours': 192}]"}}
    book = BOOK.replace("  tasks:\n", f"  tasks:\n    - {json.dumps(handed)}\n")
    (node.books / "deletion.yml").write_text(book, encoding="utf-8")
    gate = tmp_path / "gate"
    node.add("archive", vars={"gate": str(gate)})
    archive = node.start("run", "archive")
    wait_for("archive", node.noted.exists, 60)
    deletion = node.start("run", "deletion")
    try:
        wait_for("deletion waits", lambda: _locked(node, "deletion"), 60)
        gate.touch()
        assert (archive.wait(60), deletion.wait(60)) == (0, 0)
    finally:
        archive.kill()
        deletion.kill()
    assert [r["procedure"] for r in node.records if r["status"] == "successful"] == ["archive", "deletion"]


def _locked(node: Node, name: str) -> bool:
    path = node.directory / "locks" / name
    return path.exists() and path.read_bytes().strip() != b""


def _is_held(node: Node, name: str) -> bool:
    """Whether a run, or what lives on of it, still has its lock."""
    with (node.directory / "locks" / name).open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_artifacts_are_kept_within_number_and_age(node: Node, tmp_path: Path) -> None:
    node.add("watch_health")
    kept = node.directory / "runs/watch_health/artifacts"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").touch()
    for ident in ("20200101T000000Z-1", "20990101T000000Z-2", "notes"):
        (kept / ident).mkdir(parents=True)
    (kept / "20200101T000000Z-1/link").symlink_to(outside)
    assert node.run("run", "watch_health").returncode == 0
    (first,) = (Path(record["artifacts"]).name for record in node.records)
    assert {path.name for path in kept.iterdir()} == {"20990101T000000Z-2", "notes", first}
    assert (outside / "mine").exists()
    assert node.run("run", "watch_health").returncode == 0
    assert Path(node.records[-1]["artifacts"]).exists(), "the run just made is never dropped"


def test_a_token_is_in_no_file_of_the_run(node: Node, tmp_path: Path) -> None:
    secret = "canary-7f3a9b2e5d8c"
    file = tmp_path / "environment"
    file.write_text(f"# for the runs\nCANARY={secret}\n", encoding="utf-8")
    file.chmod(0o600)
    node.schedule["environment_file"] = str(file)
    node.add("watch_health")
    done = node.run("run", "watch_health", ALSO=f"{secret}-inherited")
    assert done.returncode == 0, done.stdout + done.stderr
    assert node.noted.read_text(encoding="utf-8").split()[1] == str(len(secret)), "the playbook had it"
    written = [path for path in node.directory.rglob("*") if path.is_file()]
    assert [str(path) for path in written if secret.encode() in path.read_bytes()] == []
    made_here = {"schedule.json", *(path.name for path in FILES.glob("*.py"))}
    assert [str(path) for path in written if path.stat().st_mode & 0o077 and path.name not in made_here] == []

    node.noted.unlink()
    node.add("watch_health", vars={"gate": str(tmp_path / "gate")})
    killed = node.start("run", "watch_health")
    wait_for("second run", node.noted.exists, 60)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    (tmp_path / "gate").touch()
    written = [path for path in node.directory.rglob("*") if path.is_file()]
    assert [str(path) for path in written if secret.encode() in path.read_bytes()] == [], "nor after a kill"

    # The run itself goes on without its supervisor.
    wait_for("end of the second run", lambda: not _is_held(node, "watch_health"), 60)
    file.chmod(0o644)
    assert node.run("run", "watch_health").returncode == 1
    assert "can be read by others: set its mode to 0600" in node.records[-1]["why"]


def test_without_ansible_runner_the_record_says_so(node: Node, tmp_path: Path) -> None:
    node.add("watch_health")
    bare = subprocess.run(
        [sys.executable, "-I", "-S", *node.command("run", "watch_health")[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert bare.returncode == 1
    assert "No module named 'ansible_runner'" in node.records[0]["why"]


def test_a_torn_record_hides_no_other(node: Node) -> None:
    node.add("watch_health")
    node.run("run", "watch_health")
    with (node.directory / "runs.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"procedure": "watch_he')
    node.run("run", "watch_health")
    shown = node.run("table").stdout
    assert "The last 2 of 2 runs" in shown


def test_the_table_shows_what_never_ran(node: Node) -> None:
    node.add("weekly", at="17:00", weekday="Fri")
    assert node.run("table").stdout.splitlines()[1].split() == ["weekly", "-", "-", "-", "never", "ran", "-"]
    assert node.run("run", "another").returncode == 64


TIMES: list[dict[str, Any]] = [
    {"every": 5},
    {"every": 15},
    {"at": "02:00"},
    {"at": "02:30"},
    {"at": "07:00"},
    {"at": "17:00", "weekday": "Fri"},
    {"at": "01:00", "weekday": "Mon"},
    {"at": "03:00", "weekday": "Sun"},
]
AROUND = [
    "2026-03-29T01:10:00",
    "2026-10-25T00:40:00",
    "2026-11-27T17:00:00",
    "2026-12-31T23:59:59",
    "2028-02-29T02:00:00",
]
ASK = """
import importlib.util, json, sys, datetime
spec = importlib.util.spec_from_file_location("media_ops_run", sys.argv[1])
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
for line in sys.stdin:
    procedure, at = json.loads(line)
    print(module.text(module.due(procedure, module.moment(at).astimezone())))
"""


@needs_systemd
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_the_runner_and_systemd_mean_the_same_times(zone: str) -> None:
    """What the runner calls due is when systemd's timer elapses, summer time included: none lies in between."""
    if not Path("/usr/share/zoneinfo", zone).exists():
        pytest.skip(f"no zone {zone} on this machine (Debian: tzdata)")
    chooser = random.Random(20261125)
    bases = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in AROUND]
    moments = [base + timedelta(minutes=chooser.randrange(0, 600)) for base in bases for _twice in range(2)]
    cases = [(one, f"{at:%Y-%m-%dT%H:%M:%SZ}") for one in TIMES for at in moments]
    asked = "".join(json.dumps(case) + "\n" for case in cases)
    told = subprocess.run(
        [sys.executable, "-c", ASK, str(RUNNER)],
        input=asked, env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    wrong = []
    for (procedure, at), due in zip(cases, told, strict=True):
        before = datetime.fromisoformat(due) - timedelta(seconds=1)
        first, *later = calendars_of(procedure)
        fires = [_elapses(line, before, zone) for line in (first, *later)]
        # After it there is no other time of the procedure until then, and at it a timer fires.
        if due not in fires or _elapses(first, datetime.fromisoformat(due), zone) <= at:
            wrong.append((procedure, at, due, fires))
    assert wrong == []


def _elapses(expression: str, base: datetime, zone: str) -> str:
    """When systemd's timer elapses next after a moment."""
    assert ANALYZE
    said = subprocess.run(
        [ANALYZE, "calendar", f"--base-time={base:%Y-%m-%d %H:%M:%S} UTC", expression],
        env={"TZ": zone, "LANG": "C"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lines = dict(line.strip().split(": ", 1) for line in said.splitlines() if ": " in line)
    utc = lines.get("(in UTC)") or lines["Next elapse"]
    _day, date, clock, name = utc.split()
    assert name == "UTC"
    return f"{date}T{clock}Z"
