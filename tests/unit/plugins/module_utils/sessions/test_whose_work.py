"""Whose work it is: programs by other names, work whose directory was taken away, and one session among thousands."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.logs.fields import LogFields
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.log_lines import log_tails, quiet_in_log
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.session_terminate import session_terminate

from tests.session_site import Site, alive, eventually, look, running_site

pytestmark = pytest.mark.slow

# No other run of the tests has them, whose processes can be seen from here.
SESSION = f"5d0c1f6e-{os.getpid()}"
OTHER = f"7e11b2c4-{os.getpid()}"
WAIT = "import time; time.sleep(600)"
READS = "import sys, time; f = open(sys.argv[-1]); f.read(3); time.sleep(600)"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as running:
        yield running


def end(site: Site, *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    params = site.params(**options)
    return session_terminate(params, check_mode=check_mode, warn=lambda _text: None, hide=lambda _text: None)


# runbook: P2S-2B
@pytest.mark.parametrize(
    ("name", "code"), [("ffmpeg-linux-x86_64-v7.0.2", WAIT), ("ffprobe", READS)], ids=["imageio", "ffprobe"]
)
def test_a_stuck_session_is_ended_whatever_its_ffmpeg_is_called(site: Site, name: str, code: str) -> None:
    site.list_session(SESSION)
    clip = site.directory(SESSION) / "prepared_00.mp4"
    clip.write_bytes(b"begun")
    process = site.python(code, "-hide_banner", str(clip), name=name)
    result = end(site)
    assert result["outcomes"][0]["ended"] == [process.pid]
    assert not alive(process)


WITH_CHILD_ELSEWHERE = """
import ctypes, os, signal, sys, time
reading, writing = os.pipe()
if os.fork() == 0:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    os.chdir("../" + sys.argv[1])
    os.close(writing)
else:
    os.close(writing)
    os.read(reading, 1)
    print(os.getpid(), flush=True)
time.sleep(600)
"""


def test_a_child_that_works_elsewhere_may_end_with_its_parent(site: Site) -> None:
    site.list_session(other := f"{SESSION}-other")
    site.python(WITH_CHILD_ELSEWHERE, site.directory(other).name, cwd=site.directory(SESSION), told=True)
    result = end(site, session_ids=[SESSION], check_mode=True)
    assert result["plan"] == []
    assert "which is not its own, was started by pid" in result["refused"][0]["why"]


def test_another_program_of_the_service_is_never_ended(site: Site) -> None:
    site.list_session(SESSION)
    clip = site.directory(SESSION) / "prepared_00.mp4"
    clip.write_bytes(b"begun")
    processes = [site.python(READS, str(clip), name=name) for name in ("ffmpeg-normalize", "python3")]
    result = end(site)
    assert (result["plan"], result["restart_needed"]) == ([], [])
    assert all(map(alive, processes))
    with pytest.raises(OptionError, match="wildcard"):
        look(site, programs=["ff*"])


def lost(site: Site, *, saved: Path | None = None) -> Any:
    """A session that was cancelled: its directory is gone, and its ffmpeg encodes on."""
    process = site.encoding(SESSION)
    site.listed.pop(SESSION)
    output = site.directory(SESSION) / "prepared_00.mp4"
    eventually("its output is open", lambda: str(output) in _open_files(process.pid))
    if saved:
        os.link(output, saved)
    shutil.rmtree(site.directory(SESSION))
    return process


def _open_files(pid: int) -> list[str]:
    return [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]


# runbook: EM-S1, EM-S2
def test_what_a_cancelled_session_left_is_an_orphan(site: Site) -> None:
    process = lost(site)
    found = look(site)
    assert [(row["session_id"], row["listed"]) for row in found["orphans"]] == [(SESSION, False)]
    assert "its directory is gone" in found["orphans"][0]["processes"][0]["proof"][-1]
    assert end(site)["plan"] == [], "orphans are ended on demand only"
    assert alive(process)
    result = end(site, orphans=True)
    assert (result["outcomes"][0]["ended"], result["complete"]) == ([process.pid], True)
    assert not alive(process)


def test_what_still_has_a_name_somewhere_is_no_orphans(site: Site, tmp_path: Path) -> None:
    process = lost(site, saved=tmp_path / "saved.mp4")
    assert look(site)["orphans"] == []
    assert end(site, orphans=True)["plan"] == []
    assert alive(process)


# runbook: P2S-1A
def test_a_stuck_session_is_planned_among_five_thousand(site: Site) -> None:
    for number in range(5000):
        site.list_session(f"session-{number:05}", minutes=300)
    process = site.waiting(SESSION)
    began = time.monotonic()
    result = end(site, check_mode=True)
    assert time.monotonic() - began < 120
    assert [one["stable"].get("pid") for one in result["plan"]] == [process.pid, None]
    assert (result["may_end"], result["sessions"][0]["session_id"]) == ([SESSION], SESSION)
    assert len(result["restart_needed"]) == 5000
    assert (len(result["sessions"]), result["left_out"]) == (200, {"sessions": 4801, "orphans": 0})
    assert result["escalate"][-1] == "4981 more"


def write_log(path: Path, seconds_ago: float, session_id: str = SESSION, **entry: Any) -> None:
    at = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()
    line = {"timestamp": at, "message": "try 2 in 300 s", "extra": {"session_id": session_id}, **entry}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


@pytest.mark.parametrize(
    ("seconds", "entry", "restart"),
    [(100, {}, []), (5000, {}, [SESSION]), (5000, {"timestamp": "soon"}, []), (-100, {}, [])],
)
def test_a_worker_that_sleeps_before_it_tries_again_is_no_reason_to_restart(
    site: Site, seconds: float, entry: dict[str, Any], restart: list[str]
) -> None:
    site.list_session(SESSION, stage="storage_upload")
    write_log(site.log.with_name(f"{site.log.name}.1"), seconds, **entry)
    write_log(site.log, 1, OTHER)
    result = look(site, idle_seconds=3600)
    assert result["restart_needed"] == restart
    assert result["sessions"][0]["attention"] == ("end" if restart else "investigate")
    assert ("waiting" in result["sessions"][0]["why"]) == (not restart)
    assert look(site)["restart_needed"] == [SESSION]


@pytest.mark.parametrize("hours", [-5, 0, 9])
@pytest.mark.parametrize("key", ["timestamp", "ts"])
def test_the_log_tells_how_long_ago_in_whatever_zone_it_is_written(tmp_path: Path, hours: float, key: str) -> None:
    log, now = tmp_path / "service.log", datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=hours)
    rows = [(900, SESSION), (600, "another"), (300, OTHER), (60, "another")]
    entries = [
        {key: (now - timedelta(seconds=ago)).isoformat(), "extra": {"session_id": session}} for ago, session in rows
    ]
    text = "".join(json.dumps(entry) + "\n" for entry in entries) + "Traceback (most recent call last):\n"
    log.write_text(text, encoding="utf-8")
    os.utime(log, (time.time() - 60, time.time() - 60))
    quiet = quiet_in_log(str(log), {SESSION, OTHER, "nobody"}, LogFields({}))
    assert {session: round(seconds, -1) for session, seconds in quiet.items()} == {SESSION: 900, OTHER: 300}


def test_a_file_of_a_moment_ago_is_a_sign_of_life(site: Site) -> None:
    site.list_session(SESSION, stage="storage_upload")
    (site.directory(SESSION) / "compressed_merged_video.mp4").write_bytes(b"done")
    assert look(site, idle_seconds=3600)["restart_needed"] == []


def test_work_that_is_not_listed_keeps_its_files(site: Site) -> None:
    process = site.waiting(SESSION, listed=False)
    clip = site.directory(SESSION) / "prepared_07.mp4"
    clip.write_bytes(b"of the run before")
    ages: dict[str, Any] = {"look_minutes": 0.0, "investigate_minutes": 0.0, "end_minutes": 0.0}
    result = end(site, idle_seconds=3600, **ages)
    assert [(one["action"], one["result"]) for one in result["plan"]] == [("terminate", "done")]
    assert not alive(process)
    assert "its files stay: it is not listed" in " ".join(result["escalate"])
    refused = end(site, idle_seconds=3600, session_ids=[SESSION], **ages)
    assert (refused["plan"], "was changed" in refused["refused"][0]["why"]) == ([], True)
    assert clip.exists()
    assert end(site, session_ids=[SESSION], **ages)["outcomes"][0]["files_removed"] == 2


def test_the_last_lines_of_many_sessions_are_read_at_once(site: Site) -> None:
    for number in range(30):
        write_log(site.log, 10, OTHER if number % 2 else SESSION, message=f'about "{SESSION}" {number}')
    with site.log.open("ab") as file:
        file.write(b'not json "session_id": "' + SESSION.encode() + b'"\n{"extra": {"session_id": "' + SESSION.encode())
    tails = log_tails(str(site.log), {SESSION, OTHER, "nobody"}, 3, LogFields({}))
    shown = {session_id: [entry["message"].split()[-1] for entry in tail] for session_id, tail in tails.items()}
    assert shown == {SESSION: ["24", "26", "28"], OTHER: ["25", "27", "29"]}
