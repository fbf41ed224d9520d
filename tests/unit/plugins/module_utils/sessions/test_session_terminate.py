"""Ending stuck sessions: what is proved dies, by the order of the contract, and every neighbour lives."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.api.settings import ApiSettings, api_settings
from ansible_collections.media_ops.runbook.plugins.module_utils.deadline import Deadline
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions import session_terminate as module
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.scene import Scene, observe
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.session_terminate import (
    Orders,
    act,
    choose,
    make_plan,
    read_orders,
    session_terminate,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.settings import session_settings
from ansible_collections.media_ops.runbook.plugins.module_utils.system.processes import (
    TICKS,
    Process,
    read_process,
    snapshot,
)

from tests.session_site import IGNORES_TERM, Site, alive, default_params, eventually, running_site

# Real processes, files and sockets by the hundred: more than the inner loop can wait for.
pytestmark = pytest.mark.slow

# No other run of the tests has them, whose processes can be seen from here.
SESSION = f"5d0c1f6e-{os.getpid()}"
OTHER = f"7e11b2c4-{os.getpid()}"
WAIT = "import time; time.sleep(600)"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as running:
        yield running


def say_nothing(_text: str) -> None:
    """Take a warning or a secret."""


def terminate(site: Site, *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return session_terminate(site.params(**options), check_mode=check_mode, warn=say_nothing, hide=say_nothing)


def settings(site: Site) -> ApiSettings:
    return api_settings(site.params(), warn=say_nothing, hide=say_nothing)


def scene_and_orders(site: Site) -> tuple[Scene, Orders]:
    """What is there, and what may be done about it."""
    return observe(session_settings(site.params()), settings(site)), read_orders(site.params())


def results(result: dict[str, Any], kind: str = "terminate") -> list[tuple[str, str]]:
    return [(one["result"], one["msg"]) for one in result["plan"] if one["action"] == kind]


def unlist_when_dead(site: Site, process: Process, session_id: str = SESSION) -> None:
    """What a service does: when the ffmpeg has died, its session leaves the list."""

    def wait() -> None:
        eventually("it has died", lambda: not alive(process), 60)
        site.listed.pop(session_id, None)

    threading.Thread(target=wait, daemon=True).start()


# runbook: P2S-2B, P2S-2C, P2S-2D, EM-S2
def test_a_stuck_session_is_ended_and_all_its_neighbours_live(site: Site) -> None:
    path = str(site.directory(SESSION) / "prepared_00.mp4")
    stuck = site.waiting(SESSION)
    unlist_when_dead(site, stuck)
    editor = subprocess.Popen(["vi", "-c", WAIT, path], executable=sys.executable)
    grep = subprocess.Popen(["grep", "-c", WAIT, SESSION], executable=sys.executable)
    neighbours = [
        site.encoding(OTHER),
        site.waiting(f"{SESSION}-2", listed=False),
        site.remember(editor.pid),
        site.remember(grep.pid),
        site.remember(site.service.pid),
    ]
    site.list_session(f"{SESSION}-2", minutes=59)
    planned = terminate(site, check_mode=True, interval=1.0)
    assert planned["changed"]
    assert alive(stuck)
    result = terminate(site, plan_hash=planned["hash"], interval=1.0, wait=20.0)
    assert not alive(stuck)
    assert all(map(alive, neighbours))
    assert [action["action"] for action in result["plan"]] == ["terminate", "delete"]
    assert [action["steps"] for action in result["plan"]] == [["P2S-2B"], ["P2S-2C"]]
    assert result["plan"][0]["result"] == "done"
    assert not (site.work_dir / SESSION).exists()
    assert (site.work_dir / f"{SESSION}-2" / "live.ts").exists()
    outcome = result["outcomes"][0]
    assert (outcome["ended"], outcome["alive"], outcome["gone"]) == ([stuck.pid], [], True)
    assert result["complete"]
    again = terminate(site, interval=1.0)
    assert (again["plan"], again["changed"], again["complete"]) == ([], False, True)
    editor.kill()
    grep.kill()
    editor.wait()
    grep.wait()


def test_check_mode_gives_the_same_plan_and_changes_nothing(site: Site) -> None:
    stuck = site.waiting(SESSION)
    before = sorted(site.work_dir.rglob("*"))
    first, second = terminate(site, check_mode=True), terminate(site, check_mode=True)
    assert first["hash"] == second["hash"]
    stable = [[action["stable"] for action in result["plan"]] for result in (first, second)]
    assert stable[0] == stable[1]
    assert first["plan"][0]["stable"] == {
        "session": SESSION,
        "pid": stuck.pid,
        "start": stuck.start,
        "argv": stuck.argv_hash,
    }
    assert alive(stuck)
    assert sorted(site.work_dir.rglob("*")) == before


def test_a_plan_that_has_drifted_is_not_carried_out(site: Site) -> None:
    stuck = site.waiting(SESSION)
    planned = terminate(site, check_mode=True)
    (site.work_dir / SESSION / "new.tmp").touch()
    with pytest.raises(MediaOpsError, match="drifted"):
        terminate(site, plan_hash=planned["hash"])
    assert alive(stuck)


def test_a_stopped_ffmpeg_gets_its_term(site: Site) -> None:
    stopped = site.encoding(SESSION)
    os.kill(stopped.pid, signal.SIGSTOP)
    result = terminate(site, grace=20.0)
    assert results(result)[0] == ("done", "ended by SIGTERM")
    assert not alive(stopped)


def test_one_that_ignores_term_is_killed_with_its_child_in_another_session(site: Site) -> None:
    site.list_session(SESSION)
    stubborn = site.python(IGNORES_TERM, str(site.directory(SESSION) / "x.mp4"), told=True)
    child = next(one for one in snapshot(deep_uid=os.geteuid()).values() if one.ppid == stubborn.pid)
    site.remember(child.pid)
    eventually("a session of its own", lambda: (now := read_process(child.pid)) and now.pgid == child.pid)
    result = terminate(site, grace=0.3)
    assert results(result) == [("done", "ended by SIGKILL after 0.3 s of SIGTERM")] * 2
    assert not alive(stubborn)
    assert not alive(child)


def test_what_a_proved_process_started_is_ended_with_it(site: Site) -> None:
    site.list_session(SESSION)
    wrapper = site.work_dir.parent / "ffmpeg"
    wrapper.write_text("#!/bin/sh\nsetsid sleep 600 &\necho $!\nsleep 600\n")
    wrapper.chmod(0o755)
    helper = site.start([str(wrapper), str(site.directory(SESSION) / "x.mp4")], told=True)
    parent = site.remember(helper.ppid)
    eventually("both run", lambda: sum(one.ppid == parent.pid for one in snapshot(deep_uid=os.geteuid()).values()) == 2)
    eventually("sleep runs", lambda: (now := read_process(helper.pid)) and now.name == "sleep")
    bystander = site.start(["sleep", "600"])
    result = terminate(site)
    assert len(results(result)) == 3
    assert {said for said, _why in results(result)} == {"done"}
    assert not alive(helper)
    assert not alive(parent)
    assert alive(bystander)


def test_what_only_waits_for_the_ffmpeg_that_it_was_given_keeps_no_session(site: Site) -> None:
    site.list_session(SESSION)
    directory = site.directory(SESSION)
    os.mkfifo(directory / "live.ts")
    command = [str(site.program), "-nostdin", "-i", str(directory / "live.ts"), "-y", str(directory / "out.mp4")]
    waits = site.start(["timeout", "3600", *command], executable="/usr/bin/timeout", cwd=directory)
    works = eventually(
        "ffmpeg waits",
        lambda: next(
            (one for one in snapshot(deep_uid=os.geteuid()).values() if one.ppid == waits.pid and one.name == "ffmpeg"),
            None,
        ),
    )
    result = terminate(site)
    assert [row["may_end"] for row in result["sessions"]] == [True], result["sessions"]
    eventually("both have ended", lambda: not alive(works) and not alive(waits))
    assert not directory.exists(), result["plan"]


def test_a_session_that_goes_on_again_is_left_alone_in_the_last_moment(site: Site) -> None:
    process = site.encoding(SESSION)
    os.kill(process.pid, signal.SIGSTOP)
    scene, orders = scene_and_orders(site)
    chosen, _refused = choose(scene, orders)
    plan = make_plan(scene, chosen, orders)
    assert [action["action"] for action in plan] == ["terminate", "delete"]
    os.kill(process.pid, signal.SIGCONT)
    seen = chosen[0].processes[0].cpu
    eventually("it works again", lambda: (now := read_process(process.pid)) and now.cpu > seen)
    act(scene, chosen, plan, orders, settings(site), deadline=Deadline(60))
    assert [action["result"] for action in plan] == ["skipped", "skipped"]
    assert f"pid {process.pid} " in plan[0]["msg"]
    assert "s of CPU" in plan[0]["msg"]
    assert alive(process)
    assert (site.work_dir / SESSION / "prepared_00.mp4").exists()


def test_what_is_left_when_the_time_is_over_is_skipped_and_said(site: Site) -> None:
    process = site.waiting(SESSION)
    scene, orders = scene_and_orders(site)
    chosen, _refused = choose(scene, orders)
    plan = make_plan(scene, chosen, orders)
    outcomes = act(scene, chosen, plan, orders, settings(site), deadline=Deadline(0))
    assert {(action["result"], action["msg"]) for action in plan} == {("skipped", "the 0 s for all sessions are over")}
    assert outcomes[0].alive == [process.pid]
    assert alive(process)


def test_a_process_that_became_another_program_is_left_alone(site: Site) -> None:
    code = "import os, signal, sys, time; signal.signal(10, lambda *a: os.execvp('sleep', ['sleep', '600']))\n" + WAIT
    process = site.python(code, str(site.directory(SESSION) / "x.mp4"))
    site.list_session(SESSION)
    eventually("it waits", lambda: (now := read_process(process.pid)) and now.state == "S")
    scene, orders = scene_and_orders(site)
    chosen, _refused = choose(scene, orders)
    plan = make_plan(scene, chosen, orders)
    os.kill(process.pid, signal.SIGUSR1)
    eventually("another program", lambda: (now := read_process(process.pid)) and now.name == "sleep")
    act(scene, chosen, plan, orders, settings(site), deadline=Deadline(60))
    assert "another program" in plan[0]["msg"]
    assert alive(process)


def test_orphans_are_ended_on_demand_only(site: Site) -> None:
    orphan = site.encoding(SESSION)
    site.listed.clear()
    site.crash()
    eventually("passed on", lambda: (now := read_process(orphan.pid)) and now.ppid != orphan.ppid)
    living = site.encoding(OTHER)
    assert terminate(site, interval=1.0)["plan"] == []
    refused = terminate(site, session_ids=[SESSION])["refused"]
    assert "the option orphans is off" in refused[0]["why"]
    result = terminate(site, orphans=True, interval=1.0, grace=20.0)
    assert results(result)[0][0] == "done"
    assert not alive(orphan)
    assert alive(living)
    assert not (site.work_dir / SESSION).exists()


def test_a_session_that_stays_listed_needs_a_restart(site: Site) -> None:
    stuck = site.waiting(SESSION)
    result = terminate(site, wait=0.5)
    assert not alive(stuck)
    assert result["outcomes"][0]["gone"] is False
    assert result["restart_needed"] == [SESSION]
    assert not result["complete"]
    assert any("the service must be restarted" in line for line in result["escalate"])
    again = terminate(site)
    assert again["plan"] == []
    assert again["restart_needed"] == [SESSION]
    assert "restart of the service" in terminate(site, session_ids=[SESSION])["refused"][0]["why"]


# runbook: P2S-2A
def test_the_apis_own_cleanup_comes_first_where_there_is_one(site: Site) -> None:
    stuck, path = site.waiting(SESSION), "/sessions/{session_id}/cleanup"
    assert terminate(site, check_mode=True)["api_cleanup"] == "not offered"
    posted: list[str] = []

    def clean(session_id: str) -> None:
        posted.append(session_id)
        os.kill(stuck.pid, signal.SIGKILL)
        site.listed.pop(session_id)

    planned = terminate(site, check_mode=True, cleanup_path=path)
    assert [action["action"] for action in planned["plan"]] == ["cleanup", "terminate", "delete"]
    site.after_post = clean
    result = terminate(site, cleanup_path=path)
    assert posted == [SESSION]
    assert result["api_cleanup"] == "the API took it (HTTP 202)"
    assert results(result) == [("skipped", "has ended by itself")]
    assert results(result, "delete")[0][0] == "done"
    assert result["complete"]


@pytest.mark.parametrize("untold", [(), ("start_time", "duration_seconds")])
def test_what_is_begun_anew_under_the_same_id_keeps_its_files(site: Site, untold: tuple[str, ...]) -> None:
    stuck = site.waiting(SESSION)

    def clean(session_id: str) -> None:
        os.kill(stuck.pid, signal.SIGKILL)
        site.listed.pop(session_id)
        site.list_session(session_id, minutes=0)
        tell()

    def tell() -> None:
        (row,) = site.listed[SESSION]
        for name in untold:
            row.pop(name)

    tell()
    site.after_post = clean
    result = terminate(site, cleanup_path="/sessions/{session_id}/cleanup")
    assert results(result) == [("skipped", "has ended by itself")]
    said = "nothing was deleted: it was begun anew under the same id, by the list"
    assert results(result, "delete") == [("skipped", said)]
    assert site.directory(SESSION).exists()


def test_an_api_without_cleanup_is_said_and_the_processes_are_ended_all_the_same(site: Site) -> None:
    stuck = site.waiting(SESSION)
    result = terminate(site, cleanup_path="/sessions/{session_id}/cleanup", grace=0.3)
    assert results(result, "cleanup") == [("skipped", "not offered by the API (HTTP 404)")]
    assert not alive(stuck)


@pytest.mark.parametrize("path", ["sessions/{session_id}", "/sessions", "/a {session_id}", "/a\n{session_id}"])
def test_a_cleanup_path_that_cannot_be_right_is_refused(path: str) -> None:
    params = default_params(service_pid=2, work_dir="/srv/media", api_url="http://127.0.0.1:9", cleanup_path=path)
    with pytest.raises(OptionError, match="cleanup_path"):
        session_terminate(params, check_mode=False, warn=say_nothing, hide=say_nothing)


def test_without_the_api_nothing_is_ended_but_in_an_emergency(site: Site) -> None:
    stuck = site.waiting(SESSION)
    encoding = site.encoding(OTHER)
    site.answer = b"<html>"
    ages: dict[str, Any] = {"look_minutes": 0.0, "investigate_minutes": 0.0, "end_minutes": 0.0, "interval": 1.0}
    assert terminate(site, **ages)["plan"] == []
    refused = terminate(site, session_ids=[SESSION], **ages)["refused"]
    assert "the API gives no list" in refused[0]["why"]
    result = terminate(site, api_required=False, grace=0.3, wait=60.0, **ages)
    assert [action["steps"] for action in result["plan"]] == [["EM-S1", "EM-S2"], ["P2S-2C"]]
    assert not alive(stuck)
    assert alive(encoding)
    assert result["outcomes"][0]["gone"] is None


def test_named_sessions_are_the_only_ones_and_refusals_say_why(site: Site) -> None:
    first, second = site.waiting(SESSION), site.waiting(OTHER)
    young = site.waiting("99999999-cccc", listed=False)
    site.list_session("99999999-cccc", minutes=5)
    result = terminate(site, session_ids=[SESSION, "99999999-cccc", "no-such-session"], grace=0.3)
    assert not alive(first)
    assert alive(second)
    assert alive(young)
    why = {row["session_id"]: row["why"] for row in result["refused"]}
    assert "under 60 minutes" in why["99999999-cccc"]
    assert "no such session" in why["no-such-session"]


def test_a_run_that_was_cut_off_is_finished_by_the_next(site: Site) -> None:
    (site.directory(SESSION) / "prepared_00.mp4").write_bytes(b"x" * 5000)
    assert terminate(site)["plan"] == [], "a directory alone is the business of disk_cleanup, unless it is named"
    site.list_session(SESSION)
    assert terminate(site, session_ids=[SESSION])["plan"] == [], "the service may be at work in it"
    site.listed.clear()
    result = terminate(site, session_ids=[SESSION])
    assert [action["action"] for action in result["plan"]] == ["delete"]
    assert not (site.work_dir / SESSION).exists()


# Files


@pytest.mark.parametrize("how", ["open", "directory", "mapped"])
def test_files_stay_while_another_process_uses_them(site: Site, how: str) -> None:
    stuck = site.waiting(SESSION)
    used = site.directory(SESSION) / "prepared_01.mp4"
    used.write_bytes(b"x" * 8192)
    codes = {
        "open": "import sys, time; file = open(sys.argv[1]); print(1, flush=True); time.sleep(600)",
        "directory": "import os, sys, time; os.chdir(sys.argv[2]); print(1, flush=True); time.sleep(600)",
        "mapped": "import mmap, os, sys, time; fd = os.open(sys.argv[1], os.O_RDONLY);"
        "held = mmap.mmap(fd, 0, prot=mmap.PROT_READ); os.close(fd); print(1, flush=True); time.sleep(600)",
    }
    arguments = [str(used), str(used.parent)]
    reader = subprocess.Popen([sys.executable, "-c", codes[how], *arguments], stdout=subprocess.PIPE)
    try:
        assert reader.stdout
        reader.stdout.readline()
        result = terminate(site, grace=0.3)
        assert used.exists()
        if how == "directory":
            assert not alive(stuck)
            said = results(result, "delete")
            assert (said[0][0], used.parent.exists()) == ("skipped", True)
            assert f"in use by pid {reader.pid} (python" in said[0][1]
            assert not result["complete"]
        else:
            assert alive(stuck), "who reads keeps it alive"
            assert result["plan"] == []
            assert f"prepared_01.mp4 is open by pid {reader.pid} (python" in result["sessions"][0]["why"]
    finally:
        reader.kill()
        reader.communicate()


def test_the_plan_holds_no_secret_and_is_json(site: Site) -> None:
    path = str(site.directory(SESSION) / "x.mp4")
    site.list_session(SESSION)
    site.python(WAIT, "-headers", "Authorization: Bearer canary1", "https://h/x?X-Amz-Signature=canary2", path)
    result = terminate(site, check_mode=True)
    text = json.dumps(result)
    assert "terminate" in text
    assert "canary" not in text


@pytest.mark.parametrize(
    ("ago_s", "slices", "says"),
    [
        (10, 1000, ""),  # woken a thousand times, and asleep again at once
        (1, 1000, "goes on again, and was left alone: it has used 0.05 s of CPU in 1"),
        (10, 2, "goes on again, and was left alone: it has used 0.05 s of CPU in 10"),
    ],
)
def test_who_is_only_woken_does_not_go_on_however_long_ago_the_look_was(
    site: Site, ago_s: float, slices: int, says: str
) -> None:
    then = site.waiting(SESSION)
    counters = then.counters._replace(run_ns=10**9, slices=500)
    then = dataclasses.replace(then, counters=counters)
    counters = counters._replace(run_ns=counters.run_ns + 50 * 10**6, slices=counters.slices + slices)
    now = dataclasses.replace(then, cpu=then.cpu + TICKS // 20, counters=counters)
    again = SimpleNamespace(last=SimpleNamespace(at=time.monotonic() - ago_s), settings=SimpleNamespace(cpu_percent=1))
    one = SimpleNamespace(cleaned=False, session=SimpleNamespace(orphan=False))
    found = module._why_not_now(again, one, then, now)  # type: ignore[arg-type]
    assert found.startswith(says)
    assert bool(found) == bool(says)


# Starts one with its own output, which is a log, and goes on to write there.
SHARED_LOG = """
import subprocess, sys, time
log = open(sys.argv[1], "ab", buffering=0)
stuck = ["ffmpeg", "-c", "import time; time.sleep(600)"]
how = {"executable": sys.argv[3], "cwd": sys.argv[2], "stdin": subprocess.DEVNULL}
child = subprocess.Popen(stuck, stdout=log, stderr=log, **how)
print(child.pid, flush=True)
while True:
    log.write(b"line")
    time.sleep(0.0005)
"""


def test_what_others_write_to_a_log_that_is_shared_is_not_held_against_a_session(site: Site, tmp_path: Path) -> None:
    site.list_session(SESSION)
    arguments = [str(tmp_path / "service.log"), str(site.directory(SESSION)), sys.executable]
    command = ["worker", "-c", SHARED_LOG, *arguments]
    stuck = site.start(command, executable=sys.executable, told=True)
    eventually("it sleeps", lambda: "nanosleep" in Path(f"/proc/{stuck.pid}/wchan").read_text(encoding="ascii"))
    writer = read_process(stuck.ppid)
    assert writer
    result = terminate(site)
    assert results(result)[0] == ("done", "ended by SIGTERM")
    assert not alive(stuck)
    assert alive(writer)
    os.kill(writer.pid, signal.SIGKILL)


MAKES_ITS_OUTPUT_AT_THE_END = """
import os, signal, sys, time
def end(*_given):
    open(sys.argv[1], "w").write("begun at its end"); os._exit(0)
signal.signal(signal.SIGTERM, end)
print(os.getpid(), flush=True)
time.sleep(600)
"""


def test_what_an_ffmpeg_makes_only_as_it_is_ended_goes_with_the_rest(site: Site) -> None:
    site.list_session(SESSION)
    directory = site.directory(SESSION)
    process = site.python(MAKES_ITS_OUTPUT_AT_THE_END, str(directory / "out.mp4"), cwd=directory, told=True)
    result = terminate(site)
    assert results(result) == [("done", "ended by SIGTERM")]
    assert not alive(process)
    assert not directory.exists(), result["plan"]


def test_a_socket_stays_as_nobody_can_say_who_listens(site: Site) -> None:
    site.list_session(SESSION)
    directory = site.directory(SESSION)
    site.python("import time; time.sleep(600)", cwd=directory)
    here = os.open(directory, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(f"/proc/self/fd/{here}/control.sock")
        os.close(here)
        result = terminate(site)
    assert [path.name for path in directory.iterdir()] == ["control.sock"]
    assert "control.sock: is a socket" in json.dumps(result["plan"])
