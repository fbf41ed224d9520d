"""The sessions of a service that lists none, counted by who works in their directories."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions import at_work
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.at_work import sessions_at_work

USER = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def program(tmp_path: Path) -> Iterator[str]:
    """A program of a name of its own, at work for two sessions, one of them by two processes."""
    name = f"worker{os.getpid()}"
    (tmp_path / name).symlink_to(sys.executable)
    started = [
        subprocess.Popen(
            [str(tmp_path / name), "-c", "import time; print(flush=True); time.sleep(600)", argument],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHOME": sys.base_prefix},
        )
        for argument in (f"{tmp_path}/work/aaaa1111/out.mp4", f"{tmp_path}/work/aaaa1111/b", f"{tmp_path}/work/bbbb/c")
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    yield name
    for process in started:
        process.kill()
        process.communicate()


def test_each_session_counts_once_by_its_oldest_program(tmp_path: Path, program: str) -> None:
    (tmp_path / "work").mkdir()
    found = sessions_at_work(str(tmp_path / "work"), [program], USER)
    assert (found["state"], found["source"]) == ("ok", "processes")
    rows = found["data"]["active_sessions"]
    assert sorted(row["session_id"] for row in rows) == ["aaaa1111", "bbbb"]
    assert found["data"]["total_active"] == 2
    assert all(0 <= row["duration_minutes"] < 10 for row in rows)


def test_a_program_of_the_service_in_no_directory_of_work_counts_for_itself(tmp_path: Path, program: str) -> None:
    others = sessions_at_work(str(tmp_path / "elsewhere"), [program], USER)
    assert others["data"]["total_active"] == 0, "of whoever else runs them"
    found = sessions_at_work(str(tmp_path / "elsewhere"), [program], USER, os.getpid())
    assert found["data"]["total_active"] == 3


def test_what_cannot_be_seen_is_no_empty_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = sessions_at_work(str(tmp_path), ["ffmpeg"], "nobody-of-that-name")
    assert (unknown["state"], unknown["data"]) == ("invalid", None)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(at_work, "command_line", lambda _pid: "")
    hidden = sessions_at_work(str(tmp_path), ["ffmpeg"], "root")
    assert (hidden["state"], hidden["data"]) == ("invalid", None)
    assert "hidepid" in hidden["reason"]
