# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions that really hang, on a real host: found, ended by the service's user, and their neighbours alive.

The limits of age are zero, so that nothing but progress stands between a session and its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.lab import Lab

from .conftest import Fleet, keep_code

pytestmark = [pytest.mark.root, pytest.mark.slow]

UNIT = "media-processing-service"
BASE = "/srv/media-processing"
WORK_DIR = f"{BASE}/temp/video_merge"
FEED = "set -a; . /etc/media-processing/service.env; cd /srv/media-processing/app; exec python3 -m media_pipeline feed"
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - {module}:
        api_token: "{{{{ lookup('ansible.builtin.file', lab_scratch ~ '/api_token') }}}}"
        unit: media-processing-service
        work_dir: /srv/media-processing/temp/video_merge
        log_path: /srv/media-processing/temp/logs/media_processing.log
        look_minutes: 0
        investigate_minutes: 0
        end_minutes: 0
        quiet_seconds: 0
        interval: 3
        look_max: 4
        {options}
      become: true
      become_user: media
      register: found
      ignore_errors: true
    - ansible.builtin.copy:
        content: "{{{{ found | to_json }}}}"
        dest: {result}
        mode: "0600"
      delegate_to: localhost
"""
# A child of the service's control group, as if the service had started it
JOIN = """
import os, sys
user = int(sys.argv[1])
with open(sys.argv[2] + "/cgroup.procs", "w") as file:
    file.write(str(os.getpid()))
if os.fork():
    os._exit(0)
os.setsid()
os.setgid(int(sys.argv[3]))
os.setuid(user)
null = os.open("/dev/null", os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(null, number)
os.chdir("/")
os.execv("/usr/bin/python3", sys.argv[4:])
"""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
time.sleep(3600)
"""
ZOMBIE = """
import os, time
if os.fork() == 0:
    open("/proc/self/comm", "w").write("ffmpeg")
    os._exit(0)
time.sleep(3600)
"""


class Host:
    """The host, its service, and what the test does to them."""

    def __init__(self, fleet: Fleet, scratch: Path) -> None:
        self.fleet = fleet
        self.scratch = scratch
        self._runs = 0

    def root(self, *command: str, check: bool = True) -> str:
        """Run a command as root on the host."""
        return self.fleet.lab.exec("media1", command, check=check, timeout=180).stdout.strip()

    def feed(self, fault: str) -> str:
        """Give the service a job that hangs in this way, and return its session."""
        options = f" --jobs 1 --deadline 150{f' --fault {fault}' if fault else ''}"
        said = self.root("runuser", "-u", "media", "--", "sh", "-c", FEED + options)
        return said.split()[0]

    def call(self, module: str, *, name: str = "", **options: Any) -> dict[str, Any]:
        """Call a module as the daily user, who becomes the service's user."""
        self._runs += 1
        result = self.scratch / f"result_{self._runs}.json"
        text = "\n        ".join(f"{option}: {json.dumps(value)}" for option, value in options.items())
        playbook = self.scratch / f"call_{self._runs}.yml"
        playbook.write_text(
            PLAYBOOK.format(module=f"media_ops.runbook.{module}", options=text, result=result), encoding="utf-8"
        )
        done = self.fleet.playbook(str(playbook))
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.fleet.token not in done.stdout + done.stderr
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found

    def look(self, **options: Any) -> dict[str, Any]:
        """Module session_info."""
        return self.call("session_info", **options)

    def end(self, **options: Any) -> dict[str, Any]:
        """Module session_terminate."""
        return self.call("session_terminate", **{"grace": 2, "wait": 30, **options})

    def group(self) -> str:
        """The directory of the service's control group."""
        group = self.root("systemctl", "show", "-P", "ControlGroup", UNIT)
        tops = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
        return next(top + group for top in tops if self.root("sh", "-c", f"ls {top}{group}/cgroup.procs", check=False))

    def in_service(self, code: str, *arguments: str, name: str = "ffmpeg") -> None:
        """Start a Python by another name in the service's control group, as its user."""
        user, group = self.root("id", "-u", "media"), self.root("id", "-g", "media")
        self.root("python3", "-c", JOIN, user, self.group(), group, name, "-c", code, *arguments)

    def beside(self, name: str, *arguments: str) -> int:
        """Start a process as the service's user that is not the service's: an editor, a grep."""
        code = "import time; time.sleep(3600)"
        user, group = self.root("id", "-u", "media"), self.root("id", "-g", "media")
        top = self.group().rpartition("/system.slice")[0]
        self.root("python3", "-c", JOIN, user, top, group, name, "-c", code, *arguments)
        return int(self.eventually(lambda: next(iter(self.pids(" ".join((name, "-c", code, *arguments)))), 0)))

    def pids(self, command: str) -> list[int]:
        """Processes by the whole of their command line."""
        rows = self.root("ps", "-ww", "-eo", "pid=,args=").splitlines()
        return [int(pid) for pid, args in (row.strip().split(" ", 1) for row in rows) if args.strip() == command]

    def alive(self, pid: int) -> bool:
        """Whether a process is there, and no zombie."""
        return self.root("ps", "-o", "stat=", "-p", str(pid), check=False)[:1] not in ("", "Z")

    @staticmethod
    def eventually(check: Callable[[], Any], seconds: float = 60) -> Any:
        """Wait for something to come true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := check():
                return found
            time.sleep(0.3)
        raise AssertionError("not in time")

    def restart(self) -> None:
        """Start the service anew, and wait until it answers."""
        self.root("systemctl", "reset-failed", UNIT, check=False)
        self.root("systemctl", "restart", UNIT)
        health = "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/api/v1/monitoring/health', timeout=5)"
        self.eventually(lambda: self.root("sh", "-c", f'python3 -c "{health}" && echo up', check=False) == "up")


def row(found: dict[str, Any], session_id: str) -> dict[str, Any]:
    """What was said of a session."""
    rows = [one for one in [*found["sessions"], *found["orphans"]] if one["session_id"] == session_id]
    assert len(rows) == 1, found
    one: dict[str, Any] = rows[0]
    return one


def pids_of(found: dict[str, Any], session_id: str) -> list[int]:
    """The proved processes of a session."""
    return [process["pid"] for process in row(found, session_id)["processes"]]


@pytest.fixture(scope="module")
def installed(lab_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One host with the service, prepared as a site does it."""
    lab = Lab(f"{lab_name}-sessions")
    scratch = tmp_path_factory.mktemp("sessions")
    try:
        lab.up(["media1"], "media")
        keep_code(lab)
        content = lab.inventory()
        group = content["all"]["children"]["media_hosts"]["vars"]
        group |= {"lab_scratch": str(scratch), "prepare_authorized_keys": [group["lab_public_key"]]}
        as_root, as_user = scratch / "root.json", scratch / "hosts.json"
        as_root.write_text(json.dumps(content), encoding="utf-8")
        group["ansible_user"] = "media-ops"
        as_user.write_text(json.dumps(content), encoding="utf-8")
        fleet = Fleet(lab, as_user, "")
        for playbook in ("molecule/shared/install_pipeline.yml", "playbooks/prepare_hosts.yml"):
            done = fleet.playbook(playbook, inventory=as_root)
            assert done.returncode == 0, done.stdout + done.stderr
        yield Host(Fleet(lab, as_user, (scratch / "api_token").read_text(encoding="ascii")), scratch)
    finally:
        lab.down()


@pytest.fixture
def host(installed: Host) -> Host:
    """The host with a service that has nothing to do."""
    installed.restart()
    return installed


@pytest.fixture(scope="module")
def matrix() -> Iterator[list[dict[str, Any]]]:
    """The rows of the fault matrix, written where the environment says."""
    rows: list[dict[str, Any]] = []
    yield rows
    if directory := os.environ.get("MEDIA_OPS_FAULT_MATRIX"):
        path = Path(directory, "sessions.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def record(matrix: list[dict[str, Any]], fault: str, verdict: str, done: str, recovered: str, neighbours: str) -> None:
    """One row, once everything in it was asserted."""
    matrix.append({"fault": fault, "verdict": verdict, "done": done, "recovered": recovered, "neighbours": neighbours})


def test_stopped_beside_a_long_encode_that_goes_on(host: Host, matrix: list[dict[str, Any]]) -> None:
    stopped, slow = host.feed("slow"), host.feed("slow")
    found = host.look()
    assert row(found, slow)["state"] == row(found, stopped)["state"] == "progressing"
    assert found["may_end"] == []
    for pid in pids_of(found, stopped):
        host.root("kill", "-STOP", str(pid))
    result = host.end()
    assert row(result, stopped)["state"] == "stopped"
    assert [one["result"] for one in result["plan"]] == ["done", "done"]
    assert result["complete"], result
    assert not any(map(host.alive, pids_of(found, stopped)))
    assert any(map(host.alive, pids_of(found, slow)))
    assert host.end()["plan"] == []
    record(matrix, "ffmpeg stopped (SIGSTOP)", "stopped", "ended, files removed", "yes", "a slow encode goes on")
    record(matrix, "slow encode that goes on, any age", "progressing", "nothing", "not needed", "it is the neighbour")


def test_waiting_for_a_fifo_with_neighbours_that_look_alike(host: Host, matrix: list[dict[str, Any]]) -> None:
    waiting, other = host.feed("fifo"), host.feed("fifo")
    longer = f"{WORK_DIR}/{waiting}-2"
    host.root("runuser", "-u", "media", "--", "mkdir", longer)
    code = "import time; time.sleep(3600)"
    host.in_service(code, f"{longer}/prepared_00.mp4")
    prefix = host.eventually(lambda: host.pids(f"ffmpeg -c {code} {longer}/prepared_00.mp4"))[0]
    editor = host.beside("vi", f"{WORK_DIR}/{waiting}/concat_list.txt")
    grep = host.beside("grep", waiting)
    neighbours = [prefix, editor, grep]
    for wrong in ("", "*", "../x", waiting[:4]):
        refused = host.end(session_ids=[wrong])
        assert refused["failed"], refused
        assert "session_ids" in refused["msg"]
    found = host.look()
    assert row(found, waiting)["state"] == "blocked_on_pipe"
    assert {one["pid"] for one in found["unproved"]} >= {editor, grep}
    neighbours += pids_of(found, other)
    result = host.end(session_ids=[waiting])
    assert result["complete"], result
    assert "SIGKILL" in result["plan"][0]["msg"], "in open() it takes no SIGTERM"
    assert not any(map(host.alive, pids_of(found, waiting)))
    assert all(map(host.alive, neighbours))
    assert host.root("sh", "-c", f"ls -d {longer}")
    assert not host.root("sh", "-c", f"ls -d {WORK_DIR}/{waiting}", check=False)
    for pid in (prefix, editor, grep):
        host.root("kill", "-KILL", str(pid))
    record(matrix, "ffmpeg waits for a FIFO", "blocked_on_pipe", "ended by SIGKILL, files removed", "yes",
           "a session whose id begins with its id, another session, an editor and a grep with the id live")  # fmt: skip
    record(matrix, 'ids "", "*", "../x" and one too short', "refused", "nothing", "not needed", "all live")


def test_full_pipe(host: Host, matrix: list[dict[str, Any]]) -> None:
    noisy, other = host.feed("noisy"), host.feed("slow")
    found = host.eventually(
        lambda: found if row(found := host.look(), noisy)["state"] == "blocked_on_pipe" else None, 120
    )
    result = host.end(session_ids=[noisy])
    assert result["outcomes"][0]["ended"] == pids_of(found, noisy)
    assert any(map(host.alive, pids_of(found, other)))
    # Its other ffmpeg works in uploads/, which proves nothing: it is named, and left to the service.
    if not result["complete"]:
        assert result["restart_needed"] == [noisy]
        assert [one["why"] for one in found["unproved"]] == ["works in no session's directory"]
    recovered = "yes" if result["complete"] else "after a restart: its ffmpeg in uploads/ is not proved to be its"
    record(matrix, "ffmpeg filled its pipe", "blocked_on_pipe", "ended", recovered, "a slow encode goes on")


def test_ignores_sigterm_with_a_child_in_another_process_group(host: Host, matrix: list[dict[str, Any]]) -> None:
    session, other = host.feed("fifo"), host.feed("fifo")
    output = f"{WORK_DIR}/{session}/prepared_07.mp4"
    host.in_service(STUBBORN, output)
    found = host.eventually(lambda: found if len(pids_of(found := host.look(), session)) == 3 else None)
    assert len({one["pgid"] for one in row(found, session)["processes"]}) == 3
    result = host.end(session_ids=[session])
    assert result["complete"], result
    assert sorted(result["outcomes"][0]["ended"]) == sorted(pids_of(found, session))
    assert all(map(host.alive, pids_of(found, other)))
    done = "all three ended, SIGKILL after the grace"
    record(matrix, "ignores SIGTERM", "blocked_on_pipe", done, "yes", "another session lives")
    record(matrix, "child in another process group", "blocked_on_pipe", done, "yes", "another session lives")


def test_worker_gone_and_zombie(host: Host, matrix: list[dict[str, Any]]) -> None:
    gone, other = host.feed("latin1"), host.feed("slow")
    found = host.look()
    assert (row(found, gone)["state"], found["restart_needed"]) == ("no_process", [gone])
    refused = host.end(session_ids=[gone])
    assert refused["plan"] == []
    assert refused["restart_needed"] == [gone]
    host.in_service(ZOMBIE, name="python3")
    found = host.eventually(lambda: found if row(found := host.look(), gone)["state"] == "zombie" else None)
    result = host.end()
    assert result["plan"] == []
    assert result["restart_needed"] == [gone]
    assert any(map(host.alive, pids_of(found, other)))
    host.restart()
    assert gone not in [one["session_id"] for one in host.look()["sessions"]]
    done, recovered = "no signal; says that a restart is needed", "yes, after the restart"
    record(matrix, "worker gone, session still listed", "no_process", done, recovered, "a slow encode goes on")
    record(matrix, "zombie", "zombie", done, recovered, "a slow encode goes on")


def test_orphan_after_a_crash_of_the_service(host: Host, matrix: list[dict[str, Any]]) -> None:
    drop_in = f"/etc/systemd/system/{UNIT}.service.d"
    host.root("sh", "-c", f"mkdir -p {drop_in} && printf '[Service]\\nKillMode=process\\n' >{drop_in}/lab.conf")
    host.root("systemctl", "daemon-reload")
    host.restart()
    try:
        orphan = host.feed("slow")
        before = pids_of(host.look(), orphan)
        main = host.root("systemctl", "show", "-P", "MainPID", UNIT)
        host.root("kill", "-KILL", main)
        host.eventually(lambda: host.root("systemctl", "show", "-P", "MainPID", UNIT) not in (main, "0"))
        host.eventually(lambda: host.look()["api"]["state"] == "ok")
        living = host.feed("slow")
        found = host.look()
        assert [one["session_id"] for one in found["orphans"]] == [orphan]
        assert host.end()["plan"] == [], "orphans are ended on demand only"
        result = host.end(orphans=True)
        assert result["complete"], result
        assert not any(map(host.alive, before))
        assert any(map(host.alive, pids_of(found, living)))
        record(matrix, "orphan after a crash of the service", "orphan", "ended, files removed", "yes",
               "the new service's encode goes on")  # fmt: skip
    finally:
        host.root("rm", "-r", drop_in)
        host.root("systemctl", "daemon-reload")
        host.root("systemctl", "kill", "--kill-whom=all", UNIT, check=False)


def test_the_pid_is_reused_between_plan_and_apply(host: Host, matrix: list[dict[str, Any]]) -> None:
    session = host.feed("fifo")
    planned = host.call("session_terminate", session_ids=[session], remove_files=False, wait=0, plan_hash="0" * 12)
    target = planned["plan"][0]["stable"]["pid"]
    leader = host.fleet.lab.leader(host.fleet.lab.hosts["media1"])
    host.root("kill", "-KILL", str(target))
    host.eventually(lambda: not host.root("ps", "-o", "pid=", "-p", str(target), check=False))
    # In the host's pid namespace, and with this machine's /proc: the host's own is read-only there.
    force = f"""
for attempt in $(seq 200); do
  echo {target - 1} >/proc/sys/kernel/ns_last_pid; sleep 3600 </dev/null >/dev/null 2>&1 &
  [ $! = {target} ] && echo forced && exit 0
  kill $!
done"""
    command = ["nsenter", f"--target={leader}", "--pid", "--", "sh", "-c", force]
    forced = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert forced.stdout == "forced\n", forced.stderr
    result = host.end(session_ids=[session], remove_files=False, plan_hash=planned["hash"], wait=0)
    assert result["failed"]
    assert "drifted" in result["msg"]
    assert host.alive(target)
    assert host.end()["plan"] == []
    assert host.alive(target)
    host.root("kill", "-KILL", str(target))
    record(matrix, "pid reused between plan and apply", "drifted", "nothing", "not needed", "the newcomer lives")


def test_the_emergency_without_an_api(host: Host, matrix: list[dict[str, Any]]) -> None:
    session, slow = host.feed("fifo"), host.feed("slow")
    found = host.look()
    dead = {"api_url": "http://127.0.0.1:9/", "retries": 0}
    assert host.end(**dead)["plan"] == []
    result = host.end(api_required=False, **dead)
    assert result["outcomes"][0]["ended"] == pids_of(found, session)
    assert result["outcomes"][0]["gone"] is None
    assert [one["session_id"] for one in result["outcomes"]] == [session]
    assert any(map(host.alive, pids_of(found, slow)))
    record(matrix, "stuck while the API is dead", "blocked_on_pipe", "ended in an emergency only", "yes",
           "a slow encode goes on")  # fmt: skip
