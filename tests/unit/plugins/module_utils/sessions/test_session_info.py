"""What is seen of sessions, and what is thought of it: a real service with real ffmpeg processes that really hang."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.api.endpoints import PATHS
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions import listed, scene
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.files import list_session_files
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.log_lines import LogMark, lines_by_session
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.places import Places, WorkDir
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.proof import Proofs, Service
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.session_info import session_info
from ansible_collections.media_ops.runbook.plugins.module_utils.system.processes import (
    Process,
    read_process,
    snapshot,
)

from tests.session_site import VFORK, Site, default_params, eventually, look, running_site

# No other run of the tests has them, whose processes can be seen from here.
SESSION = f"5d0c1f6e-{os.getpid()}"
OTHER = f"7e11b2c4-{os.getpid()}"


SLEEPS = "import time; time.sleep(600)"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as running:
        yield running


def refuse(**options: Any) -> None:
    """The module called with options that must stop it before it asks or looks."""
    good = default_params(service_pid=2, work_dir="/srv/media", api_url="http://127.0.0.1:9")
    session_info({**good, **options}, warn=lambda _text: None, hide=lambda _text: None)


def only(result: dict[str, Any], session_id: str = SESSION) -> dict[str, Any]:
    rows = [row for row in [*result["sessions"], *result["orphans"]] if row["session_id"] == session_id]
    assert len(rows) == 1, result
    row: dict[str, Any] = rows[0]
    return row


def write_log(site: Site, session_id: str, message: str) -> None:
    entry = {"timestamp": datetime.now(UTC).isoformat(), "message": message, "extra": {"session_id": session_id}}
    with site.log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def test_where_there_is_no_session_one_look_is_enough(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"waited {seconds} s for nothing"))
    result = look(site)
    assert (result["api"]["state"], result["service"]["state"]) == ("ok", "running")
    assert (result["sessions"], result["orphans"], result["may_end"]) == ([], [], [])


# runbook: P2S-1A, P2S-1B, P2S-1C, EM-S1
def test_an_ffmpeg_that_waits_for_a_fifo_is_blocked_with_its_proof_and_its_log(site: Site) -> None:
    process = site.waiting(SESSION)
    for number in range(12):
        write_log(site, SESSION, f"line {number}")
    write_log(site, OTHER, "of another session")
    result = look(site)
    row = only(result)
    assert (row["state"], row["attention"], row["may_end"]) == ("blocked_on_pipe", "end", True)
    assert "waits for the other end of a FIFO" in row["why"]
    assert (row["listed"], row["stage"], row["minutes"]) == (True, "preparation", 180)
    shown = row["processes"][0]
    assert (shown["pid"], shown["start"], shown["ppid"]) == (process.pid, process.start, site.service.pid)
    proof = "\n".join(shown["proof"])
    assert f"descends from the process {site.service.pid}" in proof
    assert f"{site.work_dir}/{SESSION}/prepared_00.mp4" in proof
    assert "live.ts" not in proof, "a source proves nothing"
    assert "after its session" in proof
    assert [entry["message"] for entry in row["log_tail"]] == [f"line {number}" for number in range(2, 12)]
    assert result["may_end"] == [SESSION]
    assert result["counts"]["blocked_on_pipe"] == 1


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_log_that_cannot_be_read_leaves_a_session_unknown_and_holds_nobody_up(site: Site, make: Any) -> None:
    site.waiting(SESSION)
    site.log.unlink(missing_ok=True)
    make(site.log)
    row = only(look(site))
    assert (row["state"], row["may_end"], row["log_tail"]) == ("unknown", False, [])
    assert f"its log lines cannot be seen: {site.log}: it is a " in row["why"]


def test_a_log_that_is_not_there_has_no_lines(site: Site) -> None:
    site.waiting(SESSION)
    site.log.unlink(missing_ok=True)
    assert only(look(site))["may_end"]


# runbook: P0-3B, P2P-2B
def test_a_slow_encode_goes_on_at_three_hours_and_is_never_to_be_ended(site: Site) -> None:
    site.encoding(SESSION)
    result = look(site, interval=1.5)
    row = only(result)
    assert (row["state"], row["attention"], row["may_end"]) == ("progressing", "look", False)
    assert row["progress"]["cpu_s"] > 0
    assert result["may_end"] == []


def test_more_arguments_than_are_looked_at_prove_nothing_and_restart_nothing(site: Site) -> None:
    """A session whose process has them is neither ended nor taken for one without a process."""
    inputs = [argument for number in range(2000) for argument in ("-metadata", f"comment={number:0100}")]
    site.list_session(SESSION)
    output = site.directory(SESSION) / "x.mp4"
    source = ["-re", "-f", "lavfi", "-i", "anullsrc"]
    site.ffmpeg(*source, *inputs, "-c:a", "aac", "-y", str(output))
    eventually("it encodes", output.exists)
    result = look(site)
    row = only(result)
    assert (row["processes"], row["may_end"]) == ([], False)
    assert row["state"] in ("unknown", "progressing")
    assert "x.mp4" in row["why"]
    assert result["restart_needed"] == []
    assert [one["why"] for one in result["unproved"]] == ["has more arguments than are looked at"]


def test_age_only_makes_a_candidate(site: Site) -> None:
    ages = {9: ("none", False), 10: ("look", False), 30: ("investigate", False), 60: ("end", True)}
    for minutes in ages:
        site.waiting(f"{SESSION}-{minutes}", listed=False)
        site.list_session(f"{SESSION}-{minutes}", minutes)
    result = look(site)
    for minutes, expected in ages.items():
        row = only(result, f"{SESSION}-{minutes}")
        assert (row["attention"], row["may_end"]) == expected
        assert row["may_end"] or "under 60 minutes" in row["why"]
    assert [row["minutes"] for row in result["sessions"]] == [60, 30, 10, 9]


def test_a_program_of_the_service_that_works_elsewhere_may_be_the_sessions_and_is_no_reason_to_restart(
    site: Site,
) -> None:
    site.list_session(SESSION)
    process = site.python("import time; time.sleep(600)")
    result = look(site)
    assert (only(result)["state"], result["restart_needed"]) == ("unknown", [])
    assert f"process {process.pid} (" in only(result)["why"]


def test_an_output_behind_a_map_that_leaves_out_is_no_value_of_an_option(site: Site) -> None:
    site.list_session(SESSION)
    output = str(site.directory(SESSION) / "prepared_00.mp4")
    site.python("import time; time.sleep(600)", "-i", "tcp://127.0.0.1:1", "-map", "0", "-map", "-0:s", output)
    assert (only(look(site))["state"], only(look(site))["may_end"]) == ("stuck", True)


def test_a_stopped_ffmpeg(site: Site) -> None:
    process = site.encoding(SESSION)
    os.kill(process.pid, signal.SIGSTOP)
    row = only(look(site))
    assert (row["state"], row["may_end"]) == ("stopped", True)


def test_an_ffmpeg_that_filled_its_pipe(site: Site) -> None:
    output = site.directory(SESSION) / "prepared_00.mp4"
    site.list_session(SESSION)
    picture = ["-loglevel", "debug", "-f", "lavfi", "-i", "testsrc=size=64x64:duration=600", "-vf", "showinfo"]
    process = site.ffmpeg(*picture, "-y", str(output), pipe=True)

    def blocks() -> bool:
        now = read_process(process.pid)
        return now is not None and any("pipe_write" in place for _state, place in now.threads)

    eventually("the pipe is full", blocks)
    row = only(look(site))
    assert (row["state"], row["may_end"]) == ("blocked_on_pipe", True)
    assert "writes to a pipe that nobody reads" in row["why"]


def test_a_process_in_uninterruptible_sleep_is_not_to_be_ended(site: Site) -> None:
    site.list_session(SESSION)
    process = site.python(VFORK, str(site.directory(SESSION) / "x.mp4"))
    eventually("it is in state D", lambda: (now := read_process(process.pid)) and now.state == "D")
    for child in snapshot(deep_uid=os.geteuid()).values():
        if child.ppid == process.pid:
            site.remember(child.pid)
    row = only(look(site))
    assert (row["state"], row["attention"], row["may_end"]) == ("uninterruptible", "end", False)


def test_a_zombie_is_its_parents_business(site: Site) -> None:
    process = site.waiting(SESSION)
    os.kill(process.pid, signal.SIGKILL)
    eventually("a zombie", lambda: (now := read_process(process.pid)) and now.state == "Z")
    result = look(site)
    row = only(result)
    assert (row["state"], row["may_end"]) == ("zombie", False)
    assert str(process.pid) in row["why"]
    assert result["restart_needed"] == [SESSION]


def test_listed_without_a_process(site: Site) -> None:
    site.list_session(SESSION)
    site.list_session(OTHER, minutes=5)
    result = look(site)
    assert (only(result)["state"], only(result)["may_end"]) == ("no_process", False)
    assert result["restart_needed"] == [SESSION]


def test_a_new_log_line_and_a_growing_file_are_progress(site: Site) -> None:
    writer = "import sys, time\nwhile True:\n    open(sys.argv[1], 'a').write('x'); time.sleep(0.05)"
    site.list_session(SESSION)
    site.start([sys.executable, "-c", writer, str(site.directory(SESSION) / "merged.mp4")])
    assert only(look(site, interval=1.0))["state"] == "progressing"
    line = json.dumps({"extra": {"session_id": OTHER}})
    logger = "import sys, time\nwhile True:\n    print(sys.argv[2], file=open(sys.argv[1], 'a')); time.sleep(0.05)"
    site.waiting(OTHER)
    site.start([sys.executable, "-c", logger, str(site.log), line])
    eventually("lines", lambda: site.log.stat().st_size)
    row = only(look(site, interval=1.0), OTHER)
    assert row["state"] == "progressing"
    assert row["progress"]["log_lines"] > 0


def test_a_log_that_is_rotated_between_two_looks_loses_no_line(site: Site) -> None:
    write_log(site, SESSION, "before")
    mark = LogMark.of(str(site.log))
    assert mark.lines_since() == []
    write_log(site, SESSION, "old file")
    write_log(site, f"{SESSION}-2", "another session")
    site.log.rename(f"{site.log}.1")
    assert lines_by_session(mark.lines_since())[SESSION] == 1, "there is no log for a moment"
    write_log(site, SESSION, "new file")
    assert lines_by_session(mark.lines_since())[SESSION] == 2
    Path(f"{site.log}.1").rename(f"{site.log}.2")
    assert lines_by_session(mark.lines_since())[SESSION] == 1, "rotated twice: of the new file at least"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log: log.write_text("shorter\n"), "was emptied"),
        (lambda log: log.write_text("what was written after it was emptied, and is longer by now\n"), "was emptied"),
        (lambda log: (log.rename(f"{log}-20261130"), log.touch()), "was rotated"),
        (lambda log: log.unlink(), "was rotated"),
        (lambda log: (log.rename(f"{log}.1"), log.touch()), ""),
        (lambda log: log.open("a").write("one more\n"), ""),
    ],
)
def test_lines_that_are_lost_between_two_looks_are_no_silence(site: Site, change: Any, said: str) -> None:
    site.log.write_text("what was there before it\n")
    mark = LogMark.of(str(site.log))
    change(site.log)
    assert said in mark.lines_lost()
    assert bool(said) == bool(mark.lines_lost())


@pytest.mark.parametrize("name", ["MERGE-AB01-1", "session_merge-ab01-1"])
def test_a_process_in_a_directory_of_nearly_that_name_is_no_reason_to_restart(site: Site, name: str) -> None:
    site.list_session("merge-ab01-1")
    site.python(SLEEPS, cwd=site.directory(name))
    (row,) = (row for row in look(site)["sessions"] if row["session_id"] == "merge-ab01-1")
    assert row["state"] == "unknown", row["why"]
    assert look(site)["restart_needed"] == []


def test_an_id_that_cannot_be_trusted_is_no_reason_to_restart(site: Site) -> None:
    site.list_session(" merge-ab01-1")
    site.python(SLEEPS, cwd=site.directory("merge-ab01-1"))
    assert look(site)["restart_needed"] == []


def test_what_works_beside_an_orphan_lives(site: Site) -> None:
    orphan = site.python(SLEEPS, cwd=site.directory("merge-ab01-1"))
    site.crash()
    worker = site.python(SLEEPS, cwd=site.directory("merge-ab01-1"))
    (row,) = look(site, orphans=True)["orphans"]
    assert {process["pid"] for process in row["processes"]} == {orphan.pid, worker.pid}
    assert (row["state"], row["may_end"]) == ("unknown", False)
    assert f"pid {worker.pid} of the running service works there" in row["why"]


def test_a_fifo_that_somebody_else_has_open_keeps_a_session(site: Site) -> None:
    site.list_session("merge-ab01-1")
    directory = site.directory("merge-ab01-1")
    site.python(SLEEPS, cwd=directory)
    os.mkfifo(directory / "live.ts")
    (row,) = look(site)["sessions"]
    assert row["may_end"], row["why"]
    held = subprocess.Popen(["sleep", "60"], stdin=os.open(directory / "live.ts", os.O_RDWR))
    try:
        (row,) = look(site)["sessions"]
    finally:
        held.kill()
        held.wait()
    assert (row["state"], row["may_end"]) == ("unknown", False)
    assert f"open by pid {held.pid} (sleep)" in row["why"]


def test_ids_are_whole_path_components(site: Site) -> None:
    longer = f"{SESSION}-2"
    short, long = site.waiting(SESSION), site.waiting(longer)
    result = look(site)
    assert [one["pid"] for one in only(result)["processes"]] == [short.pid]
    assert [one["pid"] for one in only(result, longer)["processes"]] == [long.pid]


def test_what_only_looks_like_a_sessions_process_is_named_with_the_reason(site: Site, tmp_path: Path) -> None:
    hung = site.waiting(SESSION)
    site.waiting(OTHER)
    path = str(site.directory(SESSION) / "notes.txt")
    wait = "import time; time.sleep(600)"
    editor = subprocess.Popen(["vi", "-c", wait, path], executable=sys.executable, cwd=site.directory(SESSION))
    grep = subprocess.Popen(["grep", "-c", wait, SESSION], executable=sys.executable)
    stranger = subprocess.Popen(["ffmpeg", "-c", wait, path], executable=sys.executable, cwd=site.directory(SESSION))
    both = site.python(wait, path, str(site.directory(OTHER) / "x.mp4"))
    worker = site.python(wait, path, name="python3")
    upload = site.python(wait, str(tmp_path / f"uploads/{SESSION}_clip.mp4"))
    climber = site.python(wait, f"{site.work_dir}/{SESSION}/../elsewhere/x.mp4")
    try:
        result = look(site)
    finally:
        for process in (editor, grep, stranger):
            process.kill()
            process.wait()
    why = {row["pid"]: row["why"] for row in result["unproved"]}
    assert [one["pid"] for one in only(result)["processes"]] == [hung.pid]
    assert why[editor.pid] == "is no ffmpeg or ffmpeg-linux* or ffprobe"
    assert why[grep.pid] == "is neither of the service nor an orphan of it"
    assert why[stranger.pid] == "is neither of the service nor an orphan of it"
    assert why[both.pid] == "works in the directories of 2 sessions"
    assert why[worker.pid] == "is no ffmpeg or ffmpeg-linux* or ffprobe"
    assert why[upload.pid] == "works in no session's directory"
    assert why[climber.pid] == "works in no session's directory"


def test_a_process_that_is_older_than_its_session_is_not_its(site: Site) -> None:
    process = site.waiting(SESSION, listed=False)
    eventually("it is old enough", lambda: process.age_s > 2.6)
    site.list_session(SESSION, minutes=0)
    result = look(site)
    assert only(result)["processes"] == []
    # What a test before has left may still be ending.
    assert "before its session" in {row["pid"]: row["why"] for row in result["unproved"]}[process.pid]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_another_users_ffmpeg_is_not_the_sessions(site: Site) -> None:
    site.list_session(SESSION)
    code = "import os, time; os.setgid(65534); os.setuid(65534); print(os.getpid(), flush=True); time.sleep(600)"
    process = site.python(code, str(site.directory(SESSION) / "x.mp4"), told=True)
    result = look(site)
    assert only(result)["processes"] == []
    assert {row["pid"]: row["why"] for row in result["unproved"]}[process.pid] == "runs as nobody, not as root"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_as_the_wrong_user_nothing_is_known_and_nothing_may_be_ended(site: Site) -> None:
    site.waiting(SESSION)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            found = only(look(site, log_path=None))
            os.write(write_end, json.dumps([found["state"], found["may_end"]]).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    with os.fdopen(read_end, "rb") as file:
        assert json.loads(file.read() or b"null") == ["unknown", False]


def left_alone(site: Site, process: Process) -> None:
    """Wait until a process of the service that has ended was passed on."""
    eventually("passed on", lambda: (now := read_process(process.pid)) and now.ppid != process.ppid)


def test_an_orphan_is_told_from_a_session_of_the_living_service(site: Site) -> None:
    orphan, weak = site.encoding(SESSION), site.waiting(f"{SESSION}-weak", listed=False)
    site.listed.clear()
    site.crash()
    left_alone(site, orphan)
    left_alone(site, weak)
    unlisted = site.waiting(OTHER, listed=False)
    result = look(site)
    assert [row["session_id"] for row in result["orphans"]] == [SESSION]
    row = only(result)
    assert (row["listed"], row["may_end"], row["attention"]) == (False, True, "end")
    assert any("orphan" in line for line in row["processes"][0]["proof"])
    why = {stranger["pid"]: stranger["why"] for stranger in result["unproved"]}
    assert why[weak.pid] == "is neither of the service nor an orphan of it", "no control group, and nothing open there"
    assert [one["pid"] for one in only(result, OTHER)["processes"]] == [unlisted.pid]
    assert not only(result, OTHER)["may_end"], "it may have begun between two questions, and has no age"
    site.list_session(SESSION, minutes=0.01)
    listed = look(site)
    assert listed["orphans"] == [], "what the API lists is no orphan"
    assert not only(listed)["may_end"]


def test_an_orphan_whose_directory_is_gone_is_shown_and_nobodys(site: Site) -> None:
    left = site.waiting(SESSION, listed=False)
    site.crash()
    left_alone(site, left)
    shutil.rmtree(site.work_dir / SESSION)
    result = look(site)
    why = {stranger["pid"]: stranger["why"] for stranger in result["unproved"]}
    assert why[left.pid] == "is an orphan of the service's user, and works in no session's directory"
    assert result["may_end"] == []


def test_a_dead_service_leaves_orphans(site: Site) -> None:
    orphan = site.encoding(SESSION)
    site.listed.clear()
    site.service.kill()
    site.service.wait()
    left_alone(site, orphan)
    result = look(site)
    assert result["service"]["state"] == "down"
    assert [row["session_id"] for row in result["orphans"]] == [SESSION]


def test_without_the_api_sessions_are_shown_and_none_may_be_ended(site: Site) -> None:
    site.waiting(SESSION)
    site.directory(OTHER)
    for answer in (b"{", b'{"active_sessions": {}}', b'{"active_sessions": [{"session_id": 7}]}'):
        site.answer = answer
        result = look(site, end_minutes=0, investigate_minutes=0, look_minutes=0)
        assert result["api"]["state"] == "invalid"
        assert (only(result)["listed"], only(result)["may_end"]) == (None, False)
    assert "the API gives no list" in only(result)["why"]
    assert only(result, OTHER)["state"] == "no_process"
    emergency = {"look_minutes": 0.0, "investigate_minutes": 0.0, "end_minutes": 0.0, "api_required": False}
    assert only(look(site, **emergency))["may_end"]
    assert not only(look(site, **{**emergency, "end_minutes": 60.0}))["may_end"], "by the age of its process"


# Without a list there is no session that the list could hold back, and everything else must be proved all the same.
def test_where_no_list_is_offered_sessions_are_known_by_their_processes_and_directories(site: Site) -> None:
    site.waiting(SESSION)
    site.directory(OTHER)
    young = {
        "api_map": {**{name: {} for name in PATHS}, "sessions": None},
        "look_minutes": 0.0,
        "investigate_minutes": 0.0,
    }
    result = look(site, **young, end_minutes=0.0)
    assert (result["api"]["state"], only(result)["listed"], only(result)["may_end"]) == ("not_offered", None, True)
    assert (only(result, OTHER)["state"], only(result, OTHER)["may_end"]) == ("no_process", False)
    assert not only(look(site, **young, end_minutes=60.0))["may_end"], "by the age of its process"


def test_a_session_that_showed_life_a_moment_ago_is_not_to_be_ended(site: Site) -> None:
    site.waiting(SESSION)
    row = only(look(site, quiet_seconds=60.0))
    assert not row["may_end"]
    assert "last sign of life is under 60 s" in row["why"]
    assert 0 < row["quiet_s"] < 60


def test_a_session_under_a_debugger_is_not_to_be_ended(site: Site) -> None:
    process = site.waiting(SESSION)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, process.pid, 0, 0) != 0:  # PTRACE_SEIZE
        pytest.skip("tracing is not allowed here")
    try:
        assert "a debugger is attached" in only(look(site))["why"]
    finally:
        libc.ptrace(17, process.pid, 0, 0)


@pytest.mark.parametrize("fails", [1, 2])
@pytest.mark.parametrize("has_process", [True, False])
def test_an_api_that_answers_once_of_two_times_leaves_a_session_unknown(
    site: Site, monkeypatch: pytest.MonkeyPatch, has_process: bool, fails: int
) -> None:
    site.directory(SESSION)
    site.waiting(SESSION) if has_process else site.list_session(SESSION)
    ask, asked = listed.ask_sessions, 0

    def sometimes(settings: Any) -> Any:
        nonlocal asked
        asked += 1
        site.answer = b"<html>busy</html>" if asked == fails else None
        return ask(settings)

    monkeypatch.setattr(scene, "ask_sessions", sometimes)
    result = look(site)
    row = only(result)
    assert asked == 2
    assert (row["state"], row["may_end"], result["restart_needed"]) == ("unknown", False, [])
    assert "the API answered only once of two times: " in row["why"]


def test_a_session_that_stands_twice_in_the_list_is_one(site: Site) -> None:
    site.waiting(SESSION)
    site.list_session(SESSION, minutes=20, stage="analysis")
    row = only(look(site))
    assert (row["stage"], row["minutes"]) == ("preparation, analysis", 180)


@pytest.mark.parametrize("target", ["/etc", "."])
def test_a_sessions_directory_that_is_a_link_is_not_entered(site: Site, target: str) -> None:
    site.list_session(SESSION)
    (site.work_dir / SESSION).symlink_to(target)
    assert only(look(site))["files"] == {"state": "link", "count": 0, "bytes": 0, "newest": None}


def test_a_work_directory_that_is_a_link_is_followed(site: Site, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(site.work_dir)
    process = site.waiting(SESSION)
    row = only(look(site, work_dir=str(tmp_path / "link")))
    assert [one["pid"] for one in row["processes"]] == [process.pid]


@pytest.mark.parametrize(
    "session_id", ["", " ", "*", "../x", "a/b", "short", ".hidden-file", "..", "a" * 200, "abc?defgh", "ab\ncdefgh"]
)
def test_what_is_no_id_is_refused(session_id: str) -> None:
    with pytest.raises(OptionError, match="session_ids"):
        refuse(session_ids=[session_id])


def test_an_id_that_only_the_api_gives_is_never_acted_upon(site: Site) -> None:
    for session_id in ("*", "../x", "short"):
        site.list_session(session_id)
    result = look(site)
    assert {row["session_id"] for row in result["sessions"]} == {"*", "../x", "short"}
    assert result["may_end"] == []


@pytest.mark.parametrize(
    "options",
    [
        {"unit": None, "service_pid": None},
        {"service_pid": 1},
        {"work_dir": "/srv"},
        {"work_dir": "relative/path"},
        {"work_dir": "/srv/../etc/x"},
        {"samples": 1},
        {"interval": 0.0},
        {"interval": float("nan")},
        {"end_minutes": 20.0},
        {"programs": []},
        {"programs": ["/usr/bin/ffmpeg"]},
        {"min_id_length": 0},
        {"log_path": "x.log"},
    ],
)
def test_what_cannot_be_right_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        refuse(**options)


def test_a_unit_that_is_not_there_proves_nothing(site: Site) -> None:
    site.waiting(SESSION)
    result = look(site, service_pid=None, unit="media-ops-no-such-unit")
    assert result["service"]["state"] == "unknown"
    assert (only(result)["state"], only(result)["may_end"]) == ("unknown", False)


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a control group")
def test_the_control_group_proves_and_not_the_place_in_the_tree(site: Site) -> None:
    tops = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd")]
    top = next((top for top in tops if (top / "cgroup.procs").exists()), None)
    if top is None:
        pytest.skip("no control groups here")
    group = f"/media-ops-sessions-{os.getpid()}"
    directory = Path(f"{top}{group}/inner")
    directory.mkdir(parents=True)
    member, stranger = site.waiting(SESSION), site.waiting(OTHER)
    try:
        (directory / "cgroup.procs").write_text(str(member.pid))
        service = Service("running", "", site.service.pid, group, os.geteuid())
        processes = snapshot(deep_uid=os.geteuid())
        listings = {name: list_session_files(str(site.work_dir / name)) for name in (SESSION, OTHER)}
        proofs = Proofs(processes, service, Places(WorkDir(str(site.work_dir)), listings), ["ffmpeg"], {})
        assert list(proofs.by_session) == [SESSION]
        assert f"is in the control group {group}" in proofs.by_session[SESSION].lines[member.pid]
        assert proofs.unproved[stranger.pid] == "is neither of the service nor an orphan of it"
    finally:
        os.kill(member.pid, signal.SIGKILL)
        eventually("the group is empty", lambda: not (directory / "cgroup.procs").read_text())
        directory.rmdir()
        directory.parent.rmdir()


@pytest.mark.parametrize(
    ("argument", "counts"),
    [
        ("file:{}/1.ts", True),
        ("{}", True),
        ("video_merge/{id}/relative.mp4", True),
        ("video_merge/{id}/../{id}/relative.mp4", True),
        ("concat:{}/1.ts|{}/2.ts", False),
        ("movie={}/logo.png[wm];[in][wm]overlay", False),
        ("comment=cut from {}/in.mp4", False),
    ],
)
def test_an_argument_counts_that_leads_into_the_directory_for_the_process_itself(
    site: Site, argument: str, *, counts: bool
) -> None:
    directory = site.directory(SESSION)
    site.list_session(SESSION)
    wait = "import time; time.sleep(600)"
    text = argument.replace("{}", str(directory)).replace("{id}", SESSION)
    site.python(wait, text, cwd=site.work_dir.parent)
    source = site.python(wait, "-i", str(directory / "in.mp4"))
    processes = only(look(site))["processes"]
    assert len(processes) == counts
    assert source.pid not in [one["pid"] for one in processes]
