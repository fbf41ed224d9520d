# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which process is the main one of a service without a unit, of real processes, sockets and files; else nobody's."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.system import main_process as under_test
from ansible_collections.media_ops.runbook.plugins.module_utils.system.main_process import (
    Found,
    MainProcess,
    find_main,
    fits,
    listens_all_the_same,
    main_process,
)

ME = pwd.getpwuid(os.geteuid()).pw_name
IS_ROOT = os.geteuid() == 0
# Says that it is up, then waits for its standard input to end.
WAITS = "import sys; print(1, flush=True); sys.stdin.read()"
LISTENS = f"import socket; s = socket.create_server(('127.0.0.1', int(__import__('sys').argv[1]))); {WAITS}"
FORKS = f"import os; print(1, flush=True); os.fork(); {WAITS}"

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python program with arguments, and wait until it is up."""
    begun: list[subprocess.Popen[bytes]] = []

    def call(program: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", program, *arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        begun.append(subprocess.Popen(argv, **pipes, **options))  # type: ignore[call-overload]
        assert begun[-1].stdout is not None
        assert begun[-1].stdout.readline() == b"1\n"
        return begun[-1]

    yield call
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "media.pid"


def by_file(place: Path, user: str = ME) -> Found:
    return find_main(MainProcess(user, pid_file=str(place)))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_pid_file_names_a_process_of_the_user_that_began_before_it(start: Start, place: Path) -> None:
    process = start(WAITS)
    place.write_text(f"{process.pid}\n", encoding="ascii")
    found = by_file(place)
    assert (found.state, found.main and found.main.pid) == ("running", process.pid)
    assert set(found.processes) == {process.pid}
    assert str(place) in found.reason


def test_a_pid_that_was_given_anew_is_nobodys(start: Start, place: Path) -> None:
    process = start(WAITS)
    place.write_text(str(process.pid), encoding="ascii")
    os.utime(place, (time.time() - 3600,) * 2)
    found = by_file(place)
    assert (found.state, found.main) == ("unknown", None)
    assert "its pid was given anew, or the clock was set" in found.reason
    # Of another user, and begun later: the service's own process is gone for certain.
    assert by_file(place, "nobody").state == ("dead" if IS_ROOT else "unknown")


def test_a_process_of_another_user_is_not_the_service(start: Start, place: Path) -> None:
    place.write_text(str(start(WAITS).pid), encoding="ascii")
    found = by_file(place, "nobody")
    assert (found.state, found.main) == ("unknown", None)
    if IS_ROOT:
        assert "runs as root, not as nobody" in found.reason


def test_a_process_that_ended_is_dead(start: Start, place: Path) -> None:
    process = start(WAITS)
    place.write_text(str(process.pid), encoding="ascii")
    process.kill()
    deadline = time.monotonic() + 30
    while by_file(place).state != "dead":  # a zombie is dead, too
        assert time.monotonic() < deadline
    process.wait()
    found = by_file(place)
    assert (found.state, found.reason) == ("dead", f"process {process.pid} of pid file {place} has ended")


@pytest.mark.parametrize(("text", "said"), [("", "does not hold the number"), ("abc", "number"), ("0", "number")])
def test_what_is_no_pid_file_tells_nothing(place: Path, text: str, said: str) -> None:
    place.write_text(text, encoding="ascii")
    found = by_file(place)
    assert found.state == "unknown"
    assert said in found.reason


def test_only_a_pid_file_that_is_not_there_where_it_should_be_says_something(place: Path) -> None:
    assert by_file(place).state == "dead"
    assert by_file(place / "x").state == "unknown"
    assert by_file(place.parent / "no/x.pid").state == "unknown"
    place.mkdir()
    assert by_file(place).state == "unknown"


def test_a_pid_file_that_anybody_may_write_tells_nothing(start: Start, place: Path) -> None:
    place.write_text(str(start(WAITS).pid), encoding="ascii")
    place.chmod(0o666)
    assert (by_file(place).state, "another than root" in by_file(place).reason) == ("unknown", True)


def test_who_listens_on_the_port_is_the_main_process_and_of_several_the_first(start: Start) -> None:
    port = free_port()
    named = MainProcess(ME, port=port)
    assert find_main(named).state == "dead"
    process = start(LISTENS.replace(WAITS, FORKS), str(port))
    found = find_main(named)
    assert (found.state, found.main and found.main.pid) == ("running", process.pid)
    # Who is another user does not listen there, whoever else does.
    assert find_main(MainProcess("nobody", port=port)).state == "unknown"


def test_a_service_that_listens_on_ipv6_alone_is_found(start: Start) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as probe:
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip("this host has no IPv6")
    program = f"import socket, sys; s = socket.create_server(('::1', {port}), family=socket.AF_INET6); {WAITS}"
    process = start(program)
    found = find_main(MainProcess(ME, port=port))
    assert (found.state, found.main and found.main.pid) == ("running", process.pid)


def test_two_that_share_a_port_are_not_told_apart(start: Start) -> None:
    port = free_port()
    program = f"import socket; s = socket.create_server(('127.0.0.1', {port}), reuse_port=True); {WAITS}"
    pids = sorted([start(program).pid, start(program).pid])
    found = find_main(MainProcess(ME, port=port))
    assert (found.state, found.main) == ("unknown", None)
    assert all(str(pid) in found.reason for pid in pids)


def test_the_command_line_of_exactly_one_tree_is_the_services(start: Start) -> None:
    named = MainProcess(ME, command=("*", "-c", "*", "media-service-of-a-test"))
    assert find_main(named).state == "dead"
    process = start(FORKS, "media-service-of-a-test")
    found = find_main(named)
    assert (found.state, found.main and found.main.pid) == ("running", process.pid)
    start(WAITS, "media-service-of-a-test")
    assert (find_main(named).state, find_main(named).main) == ("unknown", None)


@pytest.mark.parametrize(
    ("pattern", "fit"),
    [
        ("/usr/bin/python3 -m media*", True),
        ("-m media", False),
        (["/usr/bin/python*", "-m"], True),
        (["*", "media"], False),
        (["/usr/bin/python3", "-m", "media", "more"], False),
    ],
)
def test_a_command_line_fits_as_a_whole_or_by_its_first_arguments(pattern: Any, fit: bool) -> None:
    named = main_process("process", {"user": ME, "command": pattern})
    assert fits(("/usr/bin/python3", "-m", "media"), named) is fit


def test_a_user_that_is_not_there_and_hidden_processes_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no user no-such-user" in find_main(MainProcess("no-such-user", port=1)).reason
    monkeypatch.setattr(under_test, "snapshot", lambda **_options: {})
    monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwnam("nobody").pw_uid)
    found = find_main(MainProcess("root", command=("abc",)))
    assert (found.state, "hidepid" in found.reason) == ("unknown", True)


def test_a_port_that_the_user_listens_on_contradicts_that_the_service_is_dead(start: Start) -> None:
    port = free_port()
    dead = Found("dead", "", uid=os.geteuid())
    assert not listens_all_the_same(dead, port)
    start(LISTENS, str(port))
    assert listens_all_the_same(dead, port)
    assert not listens_all_the_same(Found("dead", "", uid=pwd.getpwnam("nobody").pw_uid), port)
    assert not listens_all_the_same(dead, 0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "must have one of pid_file, port, command"),
        ({"pid_file": "/run/a.pid", "port": 1}, "must have one of"),
        ({"pidfile": "/run/a.pid"}, "'process' is 'pidfile'"),
        ({"pid_file": "run/a.pid"}, "absolute path"),
        ({"pid_file": "/a.pid"}, "not in /"),
        ({"pid_file": "/run/../a.pid"}, "absolute path"),
        ({"port": 0}, "'process.port' is 0"),
        ({"port": 65536}, "'process.port' is 65536"),
        ({"port": True}, "'process.port' is True"),
        ({"port": "http"}, "'process.port' is 'http'"),
        ({"command": "*"}, "3 characters that are no wildcards"),
        ({"command": [1, "x"]}, "'process.command'"),
        ({"command": {"a": 1}}, "'process.command'"),
    ],
)
def test_what_can_tell_no_process_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said.replace("(", r"\(")):
        main_process("process", given)
