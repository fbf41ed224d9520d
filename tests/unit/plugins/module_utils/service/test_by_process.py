# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service without a unit: how it stands, and its restart by a real supervisord; docker's argv with a stand-in."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.service import by_process
from ansible_collections.media_ops.runbook.plugins.module_utils.service.by_process import (
    check_command,
    classify_looks,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.service.service_control import service_control
from ansible_collections.media_ops.runbook.plugins.module_utils.service.work import Listed, Lists
from ansible_collections.media_ops.runbook.plugins.module_utils.system.listening import local_port
from ansible_collections.media_ops.runbook.plugins.module_utils.system.main_process import Found
from ansible_collections.media_ops.runbook.plugins.module_utils.system.processes import Process, read_process

from .test_service_control import OPTIONS

ME = pwd.getpwuid(os.geteuid()).pw_name
BIN = Path(sys.executable).parent
SERVICE = """
import os, pathlib, signal, sys
new = pathlib.Path(sys.argv[1] + ".new")
new.write_text(str(os.getpid()))
new.rename(sys.argv[1])
signal.pause()
"""
SETTINGS = """
[unix_http_server]
file={place}/s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{place}/s
[supervisord]
nodaemon=true
logfile={place}/log
pidfile={place}/supervisord.pid
[program:media]
command={python} {place}/service.py {place}/media.pid
autorestart=false
startsecs=0
"""


class Site:
    """A supervisord with the service."""

    def __init__(self, place: Path) -> None:
        self.pid_file = place / "media.pid"
        self.settings = place / "settings"
        self.settings.write_text(SETTINGS.format(place=place, python=sys.executable), encoding="utf-8")
        (place / "service.py").write_text(SERVICE, encoding="utf-8")
        argv = [str(BIN / "supervisord"), "--configuration", str(self.settings)]
        self.supervisord = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self.pid_file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text(encoding="ascii"))

    def ctl(self, *verb: str) -> list[str]:
        return [str(BIN / "supervisorctl"), "-c", str(self.settings), *verb]

    def control(
        self, state: str, *, check_mode: bool = False, lists: Lists | None = None, **options: Any
    ) -> dict[str, Any]:
        process = {"user": ME, "pid_file": str(self.pid_file)}
        given = {**OPTIONS, "unit": "", "process": process, "health": False, "samples": 2, "interval": 0.1}
        given |= {"timeout": 60, "restart_command": self.ctl("restart", "media"), "state": state}
        return service_control({**given, **options}, check_mode=check_mode, lists=lists)

    def kill(self) -> None:
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while (now := read_process(pid, deep=False)) and now.state != "Z":
            assert time.monotonic() < deadline


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    # A socket's path has 107 characters at most.
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        made = Site(Path(place))
        yield made
        made.supervisord.terminate()
        made.supervisord.wait(60)


def test_supervisord_restarts_it_and_another_main_process_proves_it(site: Site) -> None:
    # runbook: EM-R1
    before = site.control("observed")["service"]
    assert (before["class"], before["main_pid"], before["n_restarts"]) == ("running", site.pid, None)
    plan = site.control("restarted", check_mode=True)
    assert (plan["changed"], plan["refusals"], plan["service"]["main_pid"]) == (True, [], before["main_pid"])
    [action] = plan["plan"]
    assert action["proof"]["command"] == " ".join(site.ctl("restart", "media"))
    assert action["proof"]["run by"] == "the user that connects"
    done = site.control("restarted", plan_hash=plan["hash"])
    assert (done["verified"], done["plan"][0]["result"]) == (True, "done"), done["msg"]
    after = done["service"]
    assert after["main_pid"] == site.pid != before["main_pid"]
    assert after["main_start"] > before["main_start"]
    with pytest.raises(MediaOpsError, match="approved"):
        site.control("restarted", plan_hash=plan["hash"])


def test_one_that_died_is_dead_and_the_same_command_starts_it(site: Site) -> None:
    # runbook: P0-3C
    site.kill()
    found = site.control("restarted", check_mode=True, only_needed=True)
    assert (found["service"]["class"], found["service"]["main_pid"]) == ("dead", 0)
    done = site.control("restarted", only_needed=True, plan_hash=found["hash"])
    assert (done["verified"], done["service"]["class"]) == (True, "running"), done["msg"]


def test_one_whose_api_answers_is_not_dead_whatever_tells_its_main_process(site: Site, tmp_path: Path) -> None:
    wrong = {"user": ME, "pid_file": str(tmp_path / "another.pid")}
    answers, refuses = Listed("ok", "", ()), Listed("unreachable", "refused", ())
    assert site.control("restarted", check_mode=True, process=wrong, lists=lambda: refuses)["plan"]
    found = site.control("restarted", check_mode=True, process=wrong, lists=lambda: answers)
    assert (found["service"]["class"], found["plan"]) == ("unknown", [])
    assert "yet its API answers" in found["refusals"][0]
    apart = {**wrong, "serves_api": False}
    found = site.control("restarted", check_mode=True, process=apart, lists=lambda: answers)
    assert found["service"]["class"] == "dead", "the API is another program's"
    assert found["plan"]


def test_one_whose_api_is_another_programs_is_not_asked_for_its_health(site: Site) -> None:
    own = {"user": ME, "pid_file": str(site.pid_file), "serves_api": False}
    service = site.control("observed", process=own, health=True)["service"]
    assert (service["class"], service["answering"]["state"]) == ("running", "unknown")
    assert "its API is another program's" in service["answering"]["reason"]


def test_a_command_that_restarts_nothing_has_failed_whatever_it_returns(site: Site) -> None:
    pid = site.pid
    done = site.control("restarted", restart_command=["/bin/true"], timeout=1)
    assert (done["verified"], done["plan"][0]["result"], site.pid) == (False, "failed", pid)
    assert f"the old main process {pid} still runs" in done["msg"]
    done = site.control("restarted", restart_command=site.ctl("restart", "another"))
    assert (done["verified"], "another: ERROR (no such process)" in done["msg"]) == (False, True), done["msg"]


@pytest.mark.parametrize(
    ("state", "options", "said"),
    [
        ("force_restarted", {}, "a service without a unit is not killed"),
        ("restarted", {"restart_command": []}, "policy_service_restart is empty"),
        ("restarted", {"restart_command": ["/no/supervisorctl", "restart"]}, "/no/supervisorctl is not a program"),
        ("restarted", {"restart_as_root": True}, "prepare_hosts"),
    ],
)
def test_what_would_not_be_run_is_said_with_the_plan(
    site: Site, state: str, options: dict[str, Any], said: str
) -> None:
    pid = site.pid
    plan = site.control(state, check_mode=True, samples=1, **options)
    assert said in plan["refusals"][0]
    with pytest.raises(MediaOpsError, match=said):
        site.control(state, samples=1, **options)
    assert site.pid == pid


def test_root_runs_its_own_copy_of_the_command_and_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = tmp_path / "restart.json"
    monkeypatch.setattr(by_process, "SETTINGS", str(copy))
    monkeypatch.setattr(by_process, "root_refusal", lambda argv: "" if len(argv) == 1 else "arguments")
    command = by_process.Command(("/usr/bin/docker", "restart", "media"), as_root=True)
    assert "cannot be read" in by_process.refusals(command, "restarted")[0]
    copy.write_text('{"argv": ["/usr/bin/docker", "restart", "other"]}', encoding="ascii")
    assert "root would run" in by_process.refusals(command, "restarted")[0]
    copy.write_text('{"argv": ["/usr/bin/docker", "restart", "media"]}', encoding="ascii")
    assert by_process.refusals(command, "restarted") == []


def test_docker_is_given_its_words_as_they_are_written(site: Site, tmp_path: Path) -> None:
    """With a stand-in for docker, which notes what it was given: that docker itself restarts is docker's to prove."""
    docker = tmp_path / "docker"
    ctl = " ".join(site.ctl("restart", "media"))
    docker.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/given\nexec {ctl}\n', encoding="ascii")
    docker.chmod(0o755)
    done = site.control("restarted", restart_command=[str(docker), "restart", "media"])
    assert done["verified"], done["msg"]
    assert (tmp_path / "given").read_text(encoding="ascii") == "restart media\n"


def process(pid: int, start: int) -> Process:
    argv = ("media",)
    return Process(pid, 1, pid, start, "S", "media", argv, "0" * 12, cut=False, uid=1, groups=(), tracer=0, cpu=0)


@pytest.mark.parametrize(
    ("looks", "state"),
    [
        ([(1, 5), (1, 5)], "running"),
        ([(1, 5), (1, 9)], "activating"),  # a pid that was given anew
        ([(1, 5), None, (2, 9)], "activating"),
        ([(1, 5), (2, 9), (3, 12)], "restart_loop"),
        ([(1, 5), None], "dead"),
        ([None], "dead"),
    ],
)
def test_a_pid_with_its_start_stands_for_a_run(looks: list[tuple[int, int] | None], state: str) -> None:
    seen = [Found("running", "pid", process(*key)) if key else Found("dead", "it has ended") for key in looks]
    assert classify_looks(seen)[0] == state


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["supervisorctl", "restart"], "absolute path"),
        (["/bin/sh", "-c", "a; b"], "must be letters"),
        (["/bin/x", ""], "must be letters"),
        ("/bin/x restart", "must be a list"),
        (["/bin/x", "a"] * 17, "32 at most"),
    ],
)
def test_a_command_is_a_program_with_plain_arguments(argv: object, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        check_command("restart_command", argv)


def test_the_port_of_an_address_of_this_host_is_known() -> None:
    assert local_port("http://localhost:8000/api") == 8000
    assert local_port("https://127.0.0.1/api") == 443
    assert local_port("http://media.example:8000") == local_port("http://localhost:x") == 0
