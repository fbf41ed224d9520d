"""What is written where the disk is full: real files, on a real ext4 with no byte, and with no inode left."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.state import slots as subject
from ansible_collections.media_ops.runbook.plugins.module_utils.state.guard import guard
from ansible_collections.media_ops.runbook.plugins.module_utils.state.slots import SLOT, LineFiles, TornError

from tests.unit.plugins.deletion import fill, small_disk

NAME = "a.slots"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path, os.O_RDONLY)
    yield opened
    os.close(opened)


def test_what_was_written_last_is_read(directory: int, tmp_path: Path) -> None:
    assert subject.read_slots(directory, NAME) is None
    for number in range(5):
        subject.write_slots(directory, NAME, {"n": number, "text": "é😀"})
        assert subject.read_slots(directory, NAME) == {"n": number, "text": "é😀"}
    subject.write_slots(directory, NAME, None)
    assert subject.read_slots(directory, NAME) is None
    assert (tmp_path / NAME).stat().st_size == 2 * SLOT


def test_it_is_written_in_place(directory: int, tmp_path: Path) -> None:
    subject.write_slots(directory, NAME, {"n": 1})
    before = (tmp_path / NAME).stat()
    subject.write_slots(directory, NAME, {"n": 2})
    after = (tmp_path / NAME).stat()
    assert (before.st_ino, before.st_blocks) == (after.st_ino, after.st_blocks)


@pytest.mark.parametrize("torn", [b"", b"\0" * 100, b'{"document": {"n": 3}, "number": 9, "sha256": "0"}'])
@pytest.mark.parametrize("cut", [1, 40, SLOT - 1])
def test_where_the_last_write_was_torn_the_one_before_it_stands(
    directory: int, tmp_path: Path, torn: bytes, cut: int
) -> None:
    path = tmp_path / NAME
    subject.write_slots(directory, NAME, {"n": 1})
    first = path.read_bytes()
    subject.write_slots(directory, NAME, {"n": 2})
    data = path.read_bytes()
    at = next(at for at in (0, SLOT) if data[at : at + SLOT] != first[at : at + SLOT])
    begun = torn + data[at : at + cut]
    path.write_bytes(data[:at] + begun[:SLOT].ljust(SLOT, b"x") + data[at + SLOT :])
    assert subject.read_slots(directory, NAME) == {"n": 1}
    subject.write_slots(directory, NAME, {"n": 4})
    assert subject.read_slots(directory, NAME) == {"n": 4}


@pytest.mark.parametrize("data", [b"", b"{}", b"\0" * 2 * SLOT, b'{"document": null, "number": 1, "sha256": ""}'])
def test_where_neither_is_whole_nobody_can_tell(directory: int, tmp_path: Path, data: bytes) -> None:
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(TornError):
        subject.read_slots(directory, NAME)
    subject.write_slots(directory, NAME, {"n": 1})
    assert subject.read_slots(directory, NAME) == {"n": 1}, "it can be said anew"


def test_what_is_too_long_is_refused_and_nothing_is_lost(directory: int) -> None:
    subject.write_slots(directory, NAME, {"n": 1})
    with pytest.raises(OSError, match="too many for a slot") as failure:
        subject.write_slots(directory, NAME, {"n": "x" * SLOT})
    assert failure.value.errno == errno.EFBIG
    assert subject.read_slots(directory, NAME) == {"n": 1}


def lines(tmp_path: Path) -> list[int]:
    files = LineFiles(-1, "l", 0, 5).names
    found = [(tmp_path / name).read_bytes() for name in files if (tmp_path / name).exists()]
    return [json.loads(line)["n"] for data in found for line in data.split(b"\n") if line]


class Dying:
    """A call of the system that ends the process at a given one of all such calls."""

    def __init__(self, at: int) -> None:
        self.left = at

    def of(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
            return real(*arguments, **options)

        return call


@pytest.mark.parametrize("at", range(1, 12))
def test_a_crash_at_any_moment_of_a_rotation_loses_no_line(
    directory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    files = LineFiles(directory, "l", 60, 5)
    for number in range(6):
        files.append(json.dumps({"n": number, "pad": "x" * 30}).encode() + b"\n")
    dying = Dying(at)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", dying.of(os.rename))
        patch.setattr(os, "pwrite", dying.of(os.pwrite))
        with contextlib.suppress(KeyboardInterrupt):
            files.append(json.dumps({"n": 6, "pad": "x" * 30}).encode() + b"\n")
    assert dying.left <= 0 or at > 8, "there were so many calls"
    assert set(range(1, 6)) <= set(lines(tmp_path))
    files.append(b'{"n": 7}\n')
    assert lines(tmp_path)[-1] == 7
    assert set(range(2, 6)) <= set(lines(tmp_path))


AS_NOBODY = """
import os, sys
from ansible_collections.media_ops.runbook.plugins.module_utils.state.guard import guard
os.setgroups([]); os.setgid(65534); os.setuid(65534)
given = {"state_dir": sys.argv[1], "run_id": "r1", "reason": "full", "ttl": 900, "hours": 24, "ledger_max_bytes": 20000,
         "actions": [], "caps": [], "entries": []}
entry = {"action": "disk_cleanup", "result": "done", "why": "x" * 300}
try:
    os.write(os.open(sys.argv[1] + "/more", os.O_WRONLY | os.O_CREAT), b"x" * 5000)
except OSError as error:
    print(error.strerror)
print(guard({**given, "state": "leased", "entries": [entry]})["permitted"])
for _ in range(400):
    guard({**given, "state": "recorded", "entries": [entry]})
print(guard({**given, "state": "paused", "pause_for": 60})["pause"]["reason"])
print(guard({**given, "state": "resumed"})["pause"])
print(guard({**given, "state": "leased"})["permitted"])
stands = guard({**given, "state": "released", "entries": [{"action": "recovered"}]})
print(stands["lease"], stands["recent"][-1]["action"], stands["bad_lines"], len(stands["recent"]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a file system of its own")
@pytest.mark.parametrize("full", ["bytes", "inodes"])
def test_a_full_ext4_stops_neither_lease_nor_ledger_nor_pause(full: str) -> None:
    """As a user without root's reserve: whoever acts has to say so before, and after."""
    with tempfile.TemporaryDirectory() as directory, small_disk(Path(directory), 8, "-N", "64") as mounted:
        Path(directory).chmod(0o755)
        state = mounted / "state"
        state.mkdir()
        os.chown(state, 65534, 65534)
        given = {"state_dir": str(state), "ttl": 900, "hours": 24, "ledger_max_bytes": 20000, "actions": [], "caps": []}
        assert guard({**given, "entries": [], "state": "prepared"})["changed"]
        if full == "bytes":
            fill(mounted)
        else:
            with contextlib.suppress(OSError):
                for number in range(1000):
                    (mounted / f"filler{number}").touch()
        ran = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(state)],
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    said = ran.stdout.splitlines()
    assert said[:-1] == ["No space left on device", "True", "full", "None", "True"], ran
    lease, last, bad, kept = said[-1].split()
    assert (lease, last, bad) == ("None", "recovered", "0"), ran
    assert int(kept) > 40, "a ledger without room gives up its oldest lines alone"
