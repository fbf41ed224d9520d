"""Archiving logs: every line is counted, wherever a run is killed, and whatever a rotation does meanwhile."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.archives import (
    archive,
    between_runs,
    log_archive,
    making,
    removal,
    set_aside,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.archives.journal import own_name
from ansible_collections.media_ops.runbook.plugins.module_utils.archives.redacted import redactor_of
from ansible_collections.media_ops.runbook.plugins.module_utils.archives.register import (
    REGISTER,
    read_register,
    write_register,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.deadline import Deadline, LateError
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.redact import Redactor
from ansible_collections.media_ops.runbook.plugins.module_utils.rotated import PATTERNS
from ansible_collections.media_ops.runbook.plugins.module_utils.system import tree as tree_module

from tests.unit.plugins.deletion import DAY, HOUR, fill, make, record_fault, rule, small_disk, tree
from tests.unit.plugins.deletion import clean as disk_cleanup

# Real processes, files and sockets by the hundred: more than the inner loop can wait for.
pytestmark = pytest.mark.slow

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts")
needs_zstd = pytest.mark.skipif(shutil.which("zstd") is None, reason="needs zstd")
TODAY = datetime.now(UTC).strftime("%Y%m%d")
DEFAULTS: dict[str, Any] = {
    "patterns": ["*.log.[0-9]*"],
    "date": None,
    "keep_days": 28,
    "copied_to": None,
    "held_max_percent": None,
    "compression": "gzip",
    "expected_ratio": 1.0,
    "limits": [],
    "plan_hash": None,
}


class Site:
    """A log directory and an archive directory."""

    def __init__(self, top: Path) -> None:
        self.logs, self.archives = top / "logs", top / "backup"
        self.logs.mkdir()
        self.archives.mkdir()

    def run(self, *, check: bool = False, redactor: Redactor | None = None, **options: Any) -> dict[str, Any]:
        params = {**DEFAULTS, "log_dir": str(self.logs), "archive_dir": str(self.archives), **options}
        return log_archive.log_archive(params, check_mode=check, redactor=redactor)

    def write(self, name: str, first: int, count: int = 100, age: float = HOUR) -> set[str]:
        """A log of numbered lines; gives the lines."""
        lines = [f"{number:08d} a line of {name}" for number in range(first, first + count)]
        data = ("\n".join(lines) + "\n").encode()
        make(self.logs / name, age, gzip.compress(data) if name.endswith(".gz") else data)
        return set(lines)

    def backup(self) -> dict[str, bytes | str]:
        """What is in the archive directory, but for the register."""
        return {name: data for name, data in tree(self.archives).items() if name != REGISTER}

    def lines(self) -> Counter[str]:
        """Every line in whatever archive and log, and how often it is there."""
        found: Counter[str] = Counter()
        for path in self.logs.iterdir():
            found.update(content(path.name, path.read_bytes()))
        for name, data in self.members():
            found.update(content(name, data))
        return found

    def members(self) -> Iterator[tuple[str, bytes]]:
        """What the archives hold, unpacked by tar itself."""
        for path in sorted(self.archives.glob("archived_logs_*.tar.*")):
            with tempfile.TemporaryDirectory() as directory:
                subprocess.run(["tar", "-xf", path, "-C", directory], check=True)
                for member in sorted(Path(directory).iterdir()):
                    yield member.name, member.read_bytes()


def content(name: str, data: bytes) -> list[str]:
    return (gzip.decompress(data) if name.endswith(".gz") else data).decode().splitlines()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def logs(site: Site) -> set[str]:
    """Rotated logs of several kinds, and one that is written to; their lines."""
    rotated = ["application.log.1", "application.log.2", "application.log.10", "errors.log.1.gz", "errors.log.2"]
    lines: set[str] = set()
    for number, name in enumerate(["application.log", *rotated]):
        lines |= site.write(name, number * 1000)
    return lines


def said(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Which files stay, and why; each has a text for people, too."""
    assert all(line["msg"] for line in found["skipped_files"])
    return [(line["file"], line["reason"]) for line in found["skipped_files"]]


def once(lines: set[str]) -> Counter[str]:
    return Counter(dict.fromkeys(lines, 1))


# runbook: WL-2, WL-3
@pytest.mark.parametrize("compression", ["gzip", pytest.param("zstd", marks=needs_zstd)])
def test_rotated_logs_of_any_number_go_into_an_archive_and_a_second_run_adds_nothing(
    site: Site, logs: set[str], compression: str
) -> None:
    found = site.run(compression=compression)
    suffix = {"gzip": "gz", "zstd": "zst"}[compression]
    assert found["archive"]["path"] == str(site.archives / f"archived_logs_{TODAY}.tar.{suffix}")
    assert (found["archive"]["members"], found["removed"]["files"]) == (5, 5)
    assert list(tree(site.logs)) == ["application.log"]
    assert list(site.backup()) == [f"archived_logs_{TODAY}.tar.{suffix}"]
    assert site.lines() == once(logs)
    again = site.run(compression=compression)
    assert (again["changed"], again["plan"], again["archive"]) == (False, [], None)
    assert len(site.backup()) == 1


def test_no_rotated_log_no_archive(site: Site) -> None:
    site.write("application.log", 0)
    found = site.run()
    assert (found["changed"], found["archive"]) == (False, None)
    assert site.backup() == {}
    record_fault("no rotated logs", "nothing to archive", "no empty archive is made")


def test_a_second_archive_of_a_day_gets_a_name_of_its_own(site: Site) -> None:
    lines = site.write("application.log.1", 0)
    site.run()
    lines |= site.write("application.log.1", 1000)
    assert site.run()["archive"]["path"].endswith(f"archived_logs_{TODAY}-2.tar.gz")
    assert site.lines() == once(lines)


def test_check_mode_plans_the_same_and_an_approved_plan_is_kept_to(site: Site, logs: set[str]) -> None:
    before = tree(site.logs)
    planned = site.run(check=True)
    assert planned["changed"] is True
    assert (tree(site.logs), site.backup()) == (before, {})
    site.write("application.log.3", 9000)
    with pytest.raises(MediaOpsError, match="drifted"):
        site.run(plan_hash=planned["hash"])
    (site.logs / "application.log.3").unlink()
    assert site.run(plan_hash=planned["hash"])["hash"] == planned["hash"]


def test_members_are_dated_as_the_logs_were(site: Site) -> None:
    site.write("application.log.1", 0, age=3 * DAY)
    changed = (site.logs / "application.log.1").stat().st_mtime
    path = site.run()["archive"]["path"]
    with tarfile.open(path) as tar:
        assert abs(tar.getmember("application.log.1").mtime - changed) < 0.001


# Faults


def test_a_directory_of_the_same_name_is_a_clear_error(site: Site, logs: set[str]) -> None:
    (site.archives / f"archived_logs_{TODAY}.tar.gz").mkdir()
    before = tree(site.logs)
    with pytest.raises(MediaOpsError, match=r"archived_logs_.*\.tar\.gz is a directory: .* all logs are kept"):
        site.run()
    assert tree(site.logs) == before
    record_fault("a directory of the archive's name", "an error that names it", "all logs kept")


@needs_root
def test_too_little_space_is_seen_before_anything_is_written(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        site = Site(tmp_path)
        site.archives = disk
        site.write("application.log.1", 0)
        fill(disk)
        with pytest.raises(MediaOpsError, match="nothing was done") as error:
            site.run()
        assert error.value.details["needed_bytes"] > error.value.details["free_bytes"]
        assert (site.logs / "application.log.1").exists()


@needs_root
@pytest.mark.parametrize("compression", ["gzip", pytest.param("zstd", marks=needs_zstd)])
def test_a_disk_that_fills_half_way_loses_no_line_and_the_next_run_finishes(tmp_path: Path, compression: str) -> None:
    with small_disk(tmp_path) as disk:
        site = Site(tmp_path)
        site.archives = disk
        make(site.logs / "noise.log.1", HOUR, os.urandom(12 << 20))
        lines = site.write("application.log.1", 0)
        before = tree(site.logs)
        with pytest.raises(MediaOpsError, match=r"cannot write an archive .* all logs are kept.*[Nn]o space"):
            site.run(compression=compression, expected_ratio=0.01)
        assert tree(site.logs) == before
        assert [path.name for path in disk.iterdir()] == ["lost+found"]
        (site.logs / "noise.log.1").unlink()
        site.run(compression=compression)
        assert site.lines() == once(lines)
    record_fault(
        "disk full half-way through the archive", "cannot write", "archive given up, all logs kept, next run ends"
    )


def killed_at(site: Site, number: int) -> bool:
    """Run in a process that is killed at its so-and-so-manieth call that touches a file; whether it got that far."""
    pid = os.fork()
    if not pid:
        seen = 0

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            opens = event == "open" and not str(arguments[0]).startswith(("/proc", "/usr", sys.prefix))
            if opens or event in ("os.rename", "os.remove", "os.link", "os.truncate"):
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            site.run()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_killed_at_every_step_no_line_is_lost_or_doubled_and_the_next_run_finishes(tmp_path: Path) -> None:
    kills = finished = 0
    for number in range(1, 500):
        top = tmp_path / str(number)
        top.mkdir()
        site = Site(top)
        lines = {line for name in "ab" for line in site.write(f"{name}.log.1", ord(name) * 1000, 5)}
        killed = killed_at(site, number)
        assert set(site.lines()) == lines, "no line is lost at any moment"
        finished += any(action["stable"]["kind"] == "finish" for action in site.run()["plan"])
        assert site.lines() == once(lines), f"killed at step {number}"
        assert site.run()["plan"] == []
        assert [name for name in site.backup() if name.startswith(".")] == []
        assert tree(site.logs) == {}
        shutil.rmtree(top)
        if not killed:
            break
        kills += 1
    assert 10 < kills < 200
    assert finished >= 3
    record_fault(
        "the archive run killed at each of its steps", f"{kills} kills", "the next run finishes, lines counted"
    )


def test_killed_while_it_packs_a_large_log(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = site.write("application.log.1", 0, 60_000)
    read = archive._Hashed.read

    def read_half(source: Any, size: int) -> bytes:
        if source.size > (site.logs / "application.log.1").stat().st_size // 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(source, size)

    pid = os.fork()
    if not pid:
        monkeypatch.setattr(archive._Hashed, "read", read_half)
        try:
            site.run()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert sorted(path.suffix for path in site.archives.iterdir()) == [".lock", ".tmp"]
    site.run()
    assert site.lines() == once(lines)
    assert list(site.backup()) == [f"archived_logs_{TODAY}.tar.gz"]


def test_an_archive_that_does_not_read_back_is_given_up(
    site: Site, logs: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(site.logs)
    write = archive.write_archive

    def write_badly(target: int, *arguments: Any) -> Any:
        members = write(target, *arguments)
        middle = os.fstat(target).st_size // 2
        os.pwrite(target, bytes(255 - byte for byte in os.pread(target, 8, middle)), middle)
        return members

    monkeypatch.setattr(making, "write_archive", write_badly)
    with pytest.raises(MediaOpsError, match="archive"):
        site.run()
    assert (tree(site.logs), site.backup()) == (before, {})
    record_fault("the archive is damaged as it is written", "does not read back", "archive given up, all logs kept")


@pytest.mark.parametrize("compression", ["gzip", pytest.param("zstd", marks=needs_zstd)])
@pytest.mark.parametrize("damage", ["cut", "flipped", "member_missing", "another_content", "tail"])
def test_every_damage_is_seen_when_it_is_read_back(tmp_path: Path, damage: str, compression: str) -> None:
    make(tmp_path / "a", content=os.urandom(100_000))
    make(tmp_path / "b", content=b"text\n" * 1000)
    with contextlib.ExitStack() as stack:
        sources = [
            archive.Source(name, stack.enter_context((tmp_path / name).open("rb")).fileno(), size, 0.0)
            for name, size in (("a", 100_000), ("b", 5000))
        ]
        target = stack.enter_context((tmp_path / "archive").open("w+b"))
        members = archive.write_archive(target.fileno(), sources, compression, Deadline(60))
        archive.verify_archive(target.fileno(), members, compression, Deadline(60))
        size = os.fstat(target.fileno()).st_size
        if damage == "cut":
            os.truncate(target.fileno(), size // 2)
        elif damage == "tail":
            os.truncate(target.fileno(), size - 3)
        elif damage == "flipped":
            os.pwrite(target.fileno(), b"\xff\x00\xff\x00", size // 3)
        elif damage == "member_missing":
            members.append(archive.Member("c", 0, ""))
        else:
            members[0] = members[0]._replace(sha256="0" * 64)
        with pytest.raises(MediaOpsError):
            archive.verify_archive(target.fileno(), members, compression, Deadline(60))


def test_what_was_packed_and_compared_is_not_packed_again(
    site: Site, logs: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = os.fork()
    if not pid:
        monkeypatch.setattr(between_runs.BetweenRuns, "name", lambda *_run: os.kill(os.getpid(), signal.SIGKILL))
        try:
            site.run()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert list(site.archives.glob("archived_logs_*")) == []
    left = [f"archived_logs_{TODAY}.tar.gz was packed and compared, and lacked its name: it is taken up"]
    left.append(f"5 logs that archived_logs_{TODAY}.tar.gz holds, and that were still to be deleted")
    assert site.run(check=True)["left"] == left
    monkeypatch.setattr(making, "write_archive", lambda *_all: pytest.fail("packed again"))
    found = site.run()
    assert (found["left"], found["removed"]["files"], found["changed"]) == (left, 5, True)
    assert site.lines() == once(logs)
    again = site.run()
    assert (again["left"], again["plan"]) == ([], [])


# What cannot be deleted


NOBODY = 65534


class Barred(Site):
    """Logs that cannot be deleted: in a directory of root, for a user who owns them, or on a read-only mount."""

    def __init__(self, top: Path, how: str) -> None:
        super().__init__(top)
        self.how = how
        self.user = NOBODY if how == "of_root" else os.geteuid()
        for directory in (top, self.logs, self.archives):
            directory.chmod(0o755)
        os.chown(self.archives, self.user, self.user)

    @contextlib.contextmanager
    def barred(self) -> Iterator[None]:
        for path in self.logs.iterdir():
            os.chown(path, self.user, self.user)
        if self.how == "of_root":
            yield
            return
        for options in (["--bind"], ["-o", "remount,bind,ro"]):
            subprocess.run(["mount", *options, self.logs, self.logs], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", self.logs], check=True)

    def run_as_user(self, **options: Any) -> dict[str, Any]:
        importlib.import_module("_strptime")  # which the other user may not read
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                os.setgroups([])
                os.setresgid(self.user, self.user, self.user)
                os.setresuid(self.user, self.user, self.user)
                os.write(writing, json.dumps(self.run(**options)).encode())
            except BaseException:  # noqa: BLE001  nothing of the parent's may run here
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            found: dict[str, Any] = json.load(answer)
        os.waitpid(pid, 0)
        return found


@pytest.fixture(params=["of_root", "read_only"])
def barred(request: pytest.FixtureRequest) -> Iterator[Barred]:
    with tempfile.TemporaryDirectory() as top:  # what pytest makes nobody else may enter
        yield Barred(Path(top), request.param)


@needs_root
def test_what_cannot_be_deleted_is_archived_once_and_told_each_week(barred: Barred) -> None:
    lines = barred.write("application.log.1", 0) | barred.write("application.log.2", 1000)
    for week in range(3):
        with barred.barred():
            found = barred.run_as_user()
        kept = [("application.log.1", "undeletable"), ("application.log.2", "undeletable")]
        assert said(found) == kept
        assert f"archived_logs_{TODAY}.tar.gz holds it" in found["skipped_files"][0]["msg"]
        assert (found["archive"] is None, found["changed"]) == (week > 0, week == 0)
        assert [path.name for path in barred.archives.glob("archived_logs_*")] == [f"archived_logs_{TODAY}.tar.gz"]
    # What is new is archived beside it, and does not make it be forgotten.
    (barred.logs / "application.log.2").rename(barred.logs / "application.log.3")
    lines |= barred.write("application.log.2", 2000)
    with barred.barred():
        found = barred.run_as_user()
        assert found["archive"]["members"] == 1
        assert barred.run_as_user()["archive"] is None
    assert len(said(found)) == 3
    # root compresses one of them, and the user may delete again: nothing is doubled.
    subprocess.run(["gzip", "-q", barred.logs / "application.log.3"], check=True)
    with barred.barred():
        assert {reason for _name, reason in said(barred.run_as_user())} == {"undeletable"}
    os.chown(barred.logs, barred.user, barred.user)
    done = barred.run_as_user()
    assert (done["removed"]["files"], done["archive"], said(done)) == (3, None, [])
    assert barred.lines() == once(lines)
    assert barred.run_as_user()["plan"] == []


@needs_root
def test_an_archive_that_undeletable_logs_stand_beside_does_not_expire(
    barred: Barred, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = barred.write("application.log.1", 0)
    with barred.barred():
        barred.run_as_user()
        real = time.time
        monkeypatch.setattr(log_archive, "utc_now", lambda: datetime.fromtimestamp(real() + 40 * DAY, UTC))
        found = barred.run_as_user()
        assert [one["reason"] for one in found["expired"]["kept"]] == ["needed"]
        assert (found["archive"], found["expired"]["removed"]) == (None, [])
    os.chown(barred.logs, barred.user, barred.user)
    barred.run_as_user()
    assert barred.lines() == once(lines)
    assert barred.run_as_user()["expired"]["removed"] == [f"archived_logs_{TODAY}.tar.gz"]


# runbook: AU-S3
@needs_root
def test_the_nightly_deletion_takes_only_what_an_archive_holds(barred: Barred) -> None:
    """A quiet log is rotated after Monday's archive: its last line is old, and no archive has it."""
    lines = barred.write("application.log.1", 0, age=9 * DAY)
    nightly = rule(barred.logs, "*.log.[0-9]*", min_age=7 * DAY, age_of="mtime", archived_in=str(barred.archives))
    with barred.barred():
        barred.run_as_user()
    (barred.logs / "application.log.1").rename(barred.logs / "application.log.2")
    lines |= barred.write("application.log.1", 1000, age=8 * DAY) | barred.write("errors.log.1", 2000, age=8 * DAY)
    (row,) = disk_cleanup(nightly)["rules"]
    assert (row["removed"]["files"], row["skipped"]) == (1, {"not_archived": 2})
    assert barred.lines() == once(lines)
    os.chown(barred.logs, barred.user, barred.user)
    for path in barred.logs.iterdir():
        os.chown(path, barred.user, barred.user)
    assert barred.run_as_user()["archive"]["members"] == 2
    assert barred.lines() == once(lines)


# runbook: EM-D1
@needs_root
def test_an_emergency_takes_what_no_archive_holds_after_what_one_does(barred: Barred) -> None:
    barred.write("application.log.1", 0, age=9 * DAY)
    with barred.barred():
        barred.run_as_user()
    barred.write("errors.log.1", 2000, age=9 * DAY)
    old: dict[str, Any] = {"min_age": DAY, "age_of": "mtime"}
    held = rule(barred.logs, "*.log.[0-9]*", name="held", archived_in=str(barred.archives), **old)
    rest = rule(barred.logs, "*.log.[0-9]*", name="rest", **old)
    rows = disk_cleanup(held, rest)["rules"]
    assert [(row["rule"], row["removed"]["files"], row["skipped"]) for row in rows] == [
        ("held", 1, {}),
        ("rest", 1, {}),
    ]


def test_where_nobody_knows_what_is_archived_nothing_is_deleted(site: Site) -> None:
    site.write("application.log.1", 0, age=8 * DAY)
    for archives, why in ((site.archives / "away", "No such file"), (site.archives, "cannot be read")):
        make(site.archives / own_name(str(site.logs), "journal"), content=b"{")
        one = rule(site.logs, "*.log.*", age_of="mtime", archived_in=str(archives))
        found = disk_cleanup(one)
        assert found["rules"][0]["skipped"] == {"unreadable": 1}
        assert why in found["skipped_files"][0]["msg"]


# Rotation and writers


def test_a_log_that_somebody_writes_to_stays_and_is_reported(site: Site, logs: set[str]) -> None:
    with (site.logs / "application.log.1").open("a") as writer:
        found = site.run()
        assert said(found) == [("application.log.1", "open")]
        assert [problem["problem"] for problem in found["rotation"]["problems"]] == ["gap", "writer"]
        assert found["archive"]["members"] == 4
        writer.write("the last line\n")
    site.run()
    assert site.lines() == once(logs | {"the last line"})


def test_a_reader_does_not_hold_it_up(site: Site, logs: set[str]) -> None:
    with (site.logs / "application.log.1").open():
        assert site.run()["archive"]["members"] == 5


def while_it_reads(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something after the archive was compared, before anything is deleted."""
    verify = archive.verify_archive

    def verify_and_act(*arguments: Any) -> None:
        verify(*arguments)
        act()

    monkeypatch.setattr(making, "verify_archive", verify_and_act)


def rotate(site: Site, new: bytes) -> None:
    """As RotatingFileHandler does it: .2 to .3, .1 to .2, the log to .1."""
    for number in (2, 1):
        with contextlib.suppress(FileNotFoundError):
            (site.logs / f"application.log.{number}").rename(site.logs / f"application.log.{number + 1}")
    (site.logs / "application.log").rename(site.logs / "application.log.1")
    (site.logs / "application.log").write_bytes(new)


def test_a_log_rotated_meanwhile_goes_by_the_name_it_has_then(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {line for number in (1, 2) for line in site.write(f"application.log.{number}", number * 1000)}
    lines |= site.write("application.log", 0)
    while_it_reads(monkeypatch, lambda: rotate(site, b"new\n"))
    found = site.run()
    assert found["removed"]["files"] == 2
    assert sorted(tree(site.logs)) == ["application.log", "application.log.1"]
    assert site.lines() == once(lines | {"new"})
    record_fault("a log rotated while it is archived", "its name is another's now", "the archived file goes, no other")


def test_a_rotation_between_the_look_and_the_deletion_takes_no_other_file(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rename catches what a rotation put under the name a moment before: it goes back."""
    lines = site.write("application.log.1", 1000) | site.write("application.log", 0)
    name_now = removal.Removal._name_now

    def name_then_rotate(by: Any, log: Any) -> str:
        name = name_now(by, log)
        rotate(site, b"new\n")
        return name

    monkeypatch.setattr(removal.Removal, "_name_now", name_then_rotate)
    found = site.run()
    assert said(found) == [("application.log.1", "changed")]
    assert sorted(tree(site.logs)) == ["application.log", "application.log.1", "application.log.2"]
    assert set(site.lines()) == lines | {"new"}


def test_a_log_that_is_written_to_meanwhile_is_left_for_the_next_run(
    site: Site, logs: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer waits for the lease: it is a process of its own."""
    writers: list[subprocess.Popen[bytes]] = []

    def start_writer() -> None:
        if not writers:
            program = "import sys; f = open(sys.argv[1], 'a'); f.write('late\\n')"
            writers.append(subprocess.Popen([sys.executable, "-c", program, str(site.logs / "errors.log.2")]))
            run_until_waiting(writers[0].pid, site.logs / "errors.log.2")

    while_it_reads(monkeypatch, start_writer)
    found = site.run()
    assert writers[0].wait(60) == 0
    assert said(found) == [("errors.log.2", "changed")]
    assert found["archive"]["members"] == 4
    monkeypatch.undo()
    site.run()
    assert site.lines() == once(logs | {"late"})


def run_until_waiting(_pid: int, path: Path) -> None:
    """Until /proc/locks shows that the lease on a file is being broken."""
    inode = f":{path.stat().st_ino} "
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        locks = Path("/proc/locks").read_text().splitlines()
        if any(inode in line and "BREAKING" in line for line in locks):
            return
        time.sleep(0.01)
    pytest.fail("the writer did not come")


def test_a_live_rotating_logger_loses_and_doubles_nothing(site: Site) -> None:
    """A real RotatingFileHandler writes and rotates all the time while archive after archive is made."""
    handler = RotatingFileHandler(site.logs / "application.log", maxBytes=2000, backupCount=10_000, encoding="utf-8")
    logger = logging.getLogger("rotating")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    stop = threading.Event()
    written: set[str] = set()

    def write() -> None:
        number = 0
        while not stop.is_set() and number < 200_000:
            line = f"{number:08d} a line of the live logger"
            logger.info(line)
            written.add(line)
            number += 1
            if number % 20 == 0:
                stop.wait(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    removed = 0
    try:
        deadline = time.monotonic() + 60
        while removed < 30 and time.monotonic() < deadline:
            removed += site.run()["removed"]["files"]
    finally:
        stop.set()
        thread.join()
        logger.removeHandler(handler)
        handler.close()
    removed += site.run()["removed"]["files"]
    assert removed >= 30
    assert site.lines() == once(written)
    record_fault(
        "a logger that rotates all the time", f"{removed} rotated logs in {len(list(site.members()))} members",
        "every line is there once",
    )  # fmt: skip


# Lines that stand there twice


def test_what_gzip_is_just_making_is_left_with_what_it_is_made_of(site: Site) -> None:
    lines = site.write("application.log.1", 0) | site.write("application.log.2", 1000)
    with gzip.open(site.logs / "application.log.1.gz", "wb") as file:
        file.write((site.logs / "application.log.1").read_bytes()[:50])
        file.flush()
        found = site.run()
        assert sorted(said(found)) == [("application.log.1", "twin"), ("application.log.1.gz", "open")]
        file.write((site.logs / "application.log.1").read_bytes()[50:])
    (site.logs / "application.log.1").unlink()
    site.run()
    assert site.lines() == once(lines)
    record_fault("logrotate compresses a log while it is archived", "two files of one log", "every line is there once")


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", pytest.param("zst", marks=needs_zstd)])
def test_of_a_log_and_its_complete_copy_one_is_archived_and_both_go(site: Site, suffix: str) -> None:
    lines = site.write("application.log.1", 0)
    command = {"gz": "gzip", "bz2": "bzip2", "xz": "xz", "zst": "zstd"}[suffix]
    if not shutil.which(command):
        pytest.skip(f"needs {command}")
    subprocess.run([command, "-q", "-k", site.logs / "application.log.1"], check=True)
    found = site.run()
    assert (found["archive"]["members"], found["removed"]["files"]) == (1, 2)
    ((name, data),) = site.members()
    assert name == f"application.log.1.{suffix}"
    unpacked = subprocess.run([command, "-dc"], input=data, capture_output=True, check=True).stdout
    assert Counter(unpacked.decode().splitlines()) == once(lines)
    assert site.run()["plan"] == []


@pytest.mark.parametrize(
    "half", [b"", b"\x1f\x8b\x08 torn", gzip.compress(b"another line\n", mtime=0)], ids=["empty", "torn", "another"]
)
def test_a_copy_that_differs_stays_beside_its_log(site: Site, half: bytes) -> None:
    site.write("application.log.1", 0)
    make(site.logs / "application.log.1.gz", content=half)
    found = site.run()
    assert said(found) == [("application.log.1", "twin"), ("application.log.1.gz", "twin")]
    assert found["plan"] == []


GZIP_AT_WORK = """
import gzip, os, sys
source = open(sys.argv[1], "rb")
data = source.read()
print("reads", flush=True)
sys.stdin.readline()
with gzip.open(sys.argv[1] + ".gz", "wb") as file:
    file.write(data)
"""


@pytest.mark.parametrize("reads", [True, False])
def test_what_is_compressed_while_it_is_archived_is_known_afterwards(
    site: Site, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    lines = site.write("application.log.1", 0)
    log = site.logs / "application.log.1"
    with contextlib.ExitStack() as stack:
        if reads:  # it has read all, and writes when the archive is made and the log gone
            worker = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", GZIP_AT_WORK, log], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            assert worker.stdout
            worker.stdout.readline()
        else:  # it is done with the log before that one is to be deleted

            def compress() -> None:
                subprocess.run(["gzip", "-q", log], check=True)

            while_it_reads(monkeypatch, compress)
        site.run()
        monkeypatch.undo()
        if reads:
            worker.communicate("\n")
    assert [path.name for path in site.logs.iterdir()] == ["application.log.1.gz"]
    found = site.run()
    assert (found["plan"][0]["stable"]["kind"], found["archive"]) == ("known", None)
    assert site.lines() == once(lines)
    assert site.run()["plan"] == []


def test_what_copytruncate_has_not_emptied_yet_is_left(site: Site) -> None:
    lines = site.write("application.log", 0)
    shutil.copy2(site.logs / "application.log", site.logs / "application.log.1")
    with (site.logs / "application.log").open("a") as file:
        file.write("one more\n")
    assert said(site.run()) == [("application.log.1", "twin")]
    (site.logs / "application.log").write_bytes(b"one more\n")
    site.run()
    assert site.lines() == once(lines | {"one more"})


@pytest.mark.parametrize("length", [240, 255])
def test_names_as_long_as_they_may_be_go_in_and_go(site: Site, length: int) -> None:
    name = "é" * ((length - 6) // 2) + "x" * ((length - 6) % 2) + ".log.1"
    assert len(os.fsencode(name)) == length
    lines = site.write(name, 0) | site.write(name[:-1] + "2", 1000)
    found = site.run()
    assert (found["removed"]["files"], found["skipped_files"]) == (2, [])
    assert site.lines() == once(lines)
    # What a killed run had set aside, beside a new log of that name
    aside = set_aside.aside_name(name, 99)
    assert len(os.fsencode(aside)) <= 255
    lines |= site.write(aside, 2000) | site.write(name, 3000)
    assert site.run(expected_ratio=0.5)["removed"]["files"] == 2
    assert site.lines() == once(lines)
    assert tree(site.logs) == {}


def test_a_log_that_others_were_rotated_from_stays(site: Site) -> None:
    for name in ("access", "access.1", "access.2.gz"):
        site.write(name, 0 if name == "access" else 1000 * len(name))
    found = site.run(patterns=["access", "access.[0-9]*"])
    assert said(found) == [("access", "live_log")]
    assert list(tree(site.logs)) == ["access"]


# Keeping


HOLD = "import sys; f = open(sys.argv[1], 'rb'); print('open', flush=True); sys.stdin.readline()"


@pytest.mark.usefixtures("moved_clock")
def test_an_archive_that_somebody_reads_stays_and_is_said(site: Site) -> None:
    read, old = (make(site.archives / f"archived_logs_{day(ago)}.tar.gz", ago * DAY) for ago in (50, 40))
    reader = subprocess.Popen(
        [sys.executable, "-c", HOLD, read], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert reader.stdout
        reader.stdout.readline()
        found = site.run()
    finally:
        reader.communicate("\n")
    assert found["expired"]["removed"] == [old.name]
    (kept,) = found["expired"]["kept"]
    assert (kept["archive"], kept["reason"]) == (read.name, "open")
    assert kept["msg"].startswith(f"open by pid {reader.pid} (")
    assert kept["msg"] in found["plan"][0]["msg"]
    assert site.run()["expired"]["removed"] == [read.name]


@needs_root
@pytest.mark.usefixtures("moved_clock")
def test_an_archive_that_is_mounted_elsewhere_or_immutable_stays_and_is_said(site: Site, tmp_path: Path) -> None:
    shown, fixed = (make(site.archives / f"archived_logs_{day(ago)}.tar.gz", ago * DAY) for ago in (50, 40))
    (tmp_path / "seen").touch()
    script = f"mount --bind {shown} {tmp_path}/seen && echo there && exec sleep 600"
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", script]
    subprocess.run(["chattr", "+i", fixed], check=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"there\n"
            found = site.run()
        finally:
            process.kill()
            subprocess.run(["chattr", "-i", fixed], check=True)
    kept = {one["archive"]: (one["reason"], one["msg"]) for one in found["expired"]["kept"]}
    assert kept[fixed.name] == ("immutable", "is immutable (chattr)")
    assert kept[shown.name][0] == "mount"
    assert kept[shown.name][1].startswith(f"is mounted at another place in the mount namespace of pid {process.pid}")


def test_an_archive_that_was_copied_back_is_young(site: Site) -> None:
    make(site.archives / f"archived_logs_{day(50)}.tar.gz", 50 * DAY)
    found = site.run()
    assert (found["plan"], found["expired"]["disagreeing"]) == ([], [f"archived_logs_{day(50)}.tar.gz"])


def day(ago: int) -> str:
    return (datetime.fromtimestamp(time.time(), UTC) - timedelta(days=ago)).strftime("%Y%m%d")


# runbook: WL-4
@pytest.mark.usefixtures("moved_clock")
def test_archives_go_when_name_and_time_agree_that_they_are_old(site: Site) -> None:
    ages = {"old": (29, 29), "kept": (28, 28), "by_name": (40, 1), "by_time": (1, 40)}
    names = {kind: f"archived_logs_{day(name)}.tar.gz" for kind, (name, _time) in ages.items()}
    for kind, (_name, time_) in ages.items():
        make(site.archives / names[kind], time_ * DAY)
    names["by_time"] = f"archived_logs_{day(1)}.tar.gz"
    make(site.archives / f"archived_logs_{day(50)}-2.tar.zst", 50 * DAY)
    for other in ("notes.txt", f"other_{day(90)}.tar.gz", "archived_logs_99999999.tar.gz"):
        make(site.archives / other, 90 * DAY)
    (site.archives / f"archived_logs_{day(60)}.tar.gz").mkdir()
    (site.archives / f"archived_logs_{day(61)}.tar.gz").symlink_to(site.archives / "notes.txt")
    planned = site.run(check=True)
    found = site.run()
    gone = [f"archived_logs_{day(50)}-2.tar.zst", names["old"]]
    assert planned["hash"] == found["hash"]
    assert found["expired"]["removed"] == gone
    disagreeing = ["archived_logs_99999999.tar.gz", names["by_name"], names["by_time"]]
    assert sorted(found["expired"]["disagreeing"]) == sorted(disagreeing)
    assert not {*gone} & {*site.backup()}
    assert len(site.backup()) == 8
    assert site.run()["plan"] == []


def test_an_archive_goes_only_once_its_copy_is_proved(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("application.log.1", 0)
    made = Path(site.run()["archive"]["path"])
    size = made.stat().st_size
    real = time.time
    monkeypatch.setattr(log_archive, "utc_now", lambda: datetime.fromtimestamp(real() + 40 * DAY, UTC))
    terms: dict[str, Any] = {"copied_to": "s3://media/logs/", "held_max_percent": 100.0}
    found = site.run(**terms)
    held = found["expired"]["held"]
    assert (held["archives"], held["bytes"], held["beyond"], held["oldest"]) == (1, size, False, [made.name])
    assert (found["plan"], found["changed"], made.exists()) == ([], False, True)
    assert site.run(copied_to="s3://media/logs/", held_max_percent=1e-9)["expired"]["held"]["beyond"] is True
    with contextlib.closing(tree_module.open_root(str(site.archives))) as root:
        register = read_register(root)
        register.archives[made.name].copied_to = "s3://elsewhere/logs/"
        write_register(root, register)
        assert site.run(**terms)["expired"]["held"]["archives"] == 1
        register.archives[made.name].copied_to = "s3://media/logs/"
        write_register(root, register)
    found = site.run(**terms)
    assert (found["expired"]["removed"], found["expired"]["held"]["archives"]) == ([made.name], 0)
    with pytest.raises(OptionError, match="held_max_percent"):
        site.run(held_max_percent=0.0)


def test_the_room_asked_for_follows_from_earlier_archives(site: Site) -> None:
    site.write("application.log.1", 0, 20_000)
    size = (site.logs / "application.log.1").stat().st_size
    assert site.run(check=True, expected_ratio=0.5)["space"]["needed_bytes"] == size // 2 + 2048
    took = site.run()["archive"]["bytes"]
    site.write("application.log.1", 0, 20_000)
    found = site.run(check=True)["space"]
    assert found["ratio"] == round(took / size * 1.5, 4) < 0.5
    assert abs(found["needed_bytes"] - 2048 - took * 1.5) < 2


# runbook: WL-1, WL-5
def test_sizes_and_what_is_wrong_with_the_rotation(site: Site) -> None:
    site.write("application.log", 0, 100)
    for number in (1, 2, 5):
        site.write(f"application.log.{number}", number)
    site.write("errors.log", 0, 1)
    make(site.logs / "errors.log.1.gz", content=gzip.compress(b"x\n"))
    make(site.logs / "x.log.2026-11-01")
    limits = [
        {"log": "application.log", "max_bytes": 100, "keep": 2},
        {"log": "errors.log", "max_bytes": 1 << 20, "keep": None},
        {"log": "performance.log", "max_bytes": 1, "keep": None},
    ]
    found = site.run(check=True, limits=limits)["rotation"]
    assert [(one["log"], one["rotated"]) for one in found["logs"]] == [
        ("application.log", 3),
        ("errors.log", 1),
        ("x.log", 1),
    ]
    assert found["bytes"] == sum(path.stat().st_size for path in site.logs.iterdir())
    assert [(one["log"], one["problem"]) for one in found["problems"]] == [
        ("application.log", "beyond_limit"),
        ("application.log", "too_many"),
        ("performance.log", "missing"),
        ("application.log", "gap"),
    ]
    assert "lack number 3, 4" in found["problems"][3]["msg"]


# Guards


READER = """
import fcntl, os, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_of_whoever_may_read_the_directory_stops_nobody(site: Site, logs: set[str]) -> None:
    reader = subprocess.Popen([sys.executable, "-c", READER, site.logs], stdout=subprocess.PIPE)
    try:
        assert reader.stdout
        assert reader.stdout.readline() == b"held\n"
        assert site.run()["removed"]["files"] == 5
    finally:
        reader.kill()
        reader.wait()
    assert site.lines() == once(logs)
    assert not list(site.logs.glob(".*")), "the lock leaves nothing behind"


def test_an_archive_that_takes_too_long_is_given_up_and_all_logs_stay(
    site: Site, logs: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(site.logs)
    monkeypatch.setattr(log_archive, "seconds_for", lambda _size: 0.0)
    with pytest.raises(LateError, match="reading the files to be archived"):
        site.run()
    assert tree(site.logs) == before
    assert list(site.archives.iterdir()) == []


def test_archives_are_for_their_owner_alone(site: Site, logs: set[str]) -> None:
    found = site.run()
    assert Path(found["archive"]["path"]).stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/null")])
def test_a_journal_that_cannot_be_read_is_not_taken_for_none(
    site: Site, logs: set[str], make: Callable[[Path], object]
) -> None:
    site.run()
    site.write("application.log.1", 9000)
    with contextlib.closing(tree_module.open_root(str(site.logs))) as root:
        make(site.archives / f".archived_logs.{sha256(os.fsencode(root.path)).hexdigest()[:8]}.journal")
    with pytest.raises(MediaOpsError, match="which says what is archived already"):
        site.run()
    assert (site.logs / "application.log.1").exists()


@pytest.mark.usefixtures("moved_clock")
def test_two_runs_and_a_cleanup_do_not_meet(site: Site, logs: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(site.logs)
    monkeypatch.setattr(tree_module, "_LOCK_WAIT_S", 0.1)
    met: list[Any] = []

    def others() -> None:
        with pytest.raises(MediaOpsError, match="another run works on"):
            site.run()
        met.append(disk_cleanup(rule(site.logs, "*.log.*", min_age=60)))
        assert tree(site.logs) == {**before, tree_module.LOCK: b""}

    while_it_reads(monkeypatch, others)
    site.run()
    assert met[0]["rules"][0]["removed"]["files"] == 0
    assert site.lines() == once(logs)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"log_dir": "logs"}, "log_dir"),
        ({"log_dir": "/nonexistent/logs"}, "log_dir"),
        ({"archive_dir": "/nonexistent/backup"}, "archive_dir"),
        ({"archive_dir": "/tmp/../tmp/x"}, "archive_dir"),
        ({"patterns": ["*"]}, "patterns"),
        ({"patterns": []}, "patterns"),
        ({"patterns": ["*.log"]}, "patterns"),
        ({"patterns": ["*.log.[0-9]*", "app*.log"]}, "patterns"),
        ({"patterns": ["*.log*"]}, "patterns"),
        ({"plan_hash": ""}, "plan_hash"),
        ({"patterns": ["../*.log.1"]}, "patterns"),
        ({"date": "monday"}, "date"),
        ({"keep_days": 0}, "keep_days"),
        ({"expected_ratio": 0.0}, "expected_ratio"),
        ({"expected_ratio": float("nan")}, "expected_ratio"),
        ({"limits": [{"log": "a.log", "max_bytes": 0, "keep": None}]}, "limits"),
    ],
)
def test_misuse_names_the_option(site: Site, logs: set[str], options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError) as error:
        site.run(**options)
    assert error.value.details["option"] == named
    assert site.backup() == {}


def test_links_are_refused_and_stay(site: Site, tmp_path: Path) -> None:
    outside = make(tmp_path / "precious")
    (site.logs / "application.log.1").symlink_to(outside)
    os.mkfifo(site.logs / "application.log.2")
    (site.logs / "application.log.3").mkdir()
    found = site.run()
    assert {one["reason"] for one in found["skipped_files"]} == {"no_regular_file"}
    assert (len(found["skipped_files"]), found["plan"]) == (3, [])
    assert outside.exists()
    (tmp_path / "link").symlink_to(site.logs)
    with pytest.raises(OptionError, match=f"give {site.logs}"):
        site.run(log_dir=str(tmp_path / "link"))


def test_a_journal_that_cannot_be_read_stops_the_run(site: Site, logs: set[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removal.Removal, "remove", lambda run, *_log: os.kill(os.getpid(), signal.SIGKILL))
        pid = os.fork()
        if not pid:
            site.run()
        os.waitpid(pid, 0)
    journal = next(site.archives.glob(".archived_logs.*.journal"))
    journal.write_bytes(journal.read_bytes()[:20])
    before = tree(site.logs)
    with pytest.raises(MediaOpsError, match="cannot be read"):
        site.run()
    assert {**tree(site.logs), tree_module.LOCK: b""} == before, "but for the lock that the killed run left"


def test_without_zstd_it_is_gzip_and_asked_for_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert archive.compression_of("auto") == "gzip"
    with pytest.raises(MediaOpsError, match="zstd is missing"):
        archive.compression_of("zstd")


# Names and holes


def test_rotated_logs_of_any_name_go_into_an_archive(site: Site) -> None:
    names = [
        *("application.log.0", "application.log-20261128", "application.log.2026-11-28_14-42-29", "application.1.log"),
        *("application-2026-11-27.log", "application.log.old", "application.log_20261126", "errors.log-1795876949"),
    ]  # fmt: skip
    site.write("application.log", 10)
    site.write("errors.log", 10)
    live = {"worker-1.log", "worker.2.log", "media-2026-11-28.log", "application.log", "errors.log"}
    lines = set().union(*(site.write(name, 500) for name in names))
    lines |= site.write("media-2026-11-27.log", 500)
    for name in ("worker-1.log", "worker.2.log", "media-2026-11-28.log"):
        site.write(name, 100)
    found = site.run(patterns=list(PATTERNS))
    assert set(tree(site.logs)) == live
    assert found["archive"]["members"] == len(names) + 1
    assert lines <= set(site.lines())
    assert said(found) == [("media-2026-11-28.log", "live_log"), ("worker.2.log", "live_log")]
    assert [one["problem"] for one in found["rotation"]["problems"] if one["log"] == "application.log"] == []


def test_a_rotated_log_that_no_pattern_fits_is_told(site: Site) -> None:
    site.write("application.log", 10)
    site.write("application.log-20261128", 10)
    site.write("application.log.1.xz", 10)
    problems = site.run(check=True, patterns=["*.log.[0-9]*"])["rotation"]["problems"]
    assert [(one["log"], one["problem"]) for one in problems] == [("application.log", "not_archived")]


def test_holes_are_not_archived_and_take_no_room(site: Site) -> None:
    lines = site.write("application.log.1", 3000)
    with (site.logs / "application.log.1").open("r+b") as file:
        data = file.read()
        file.truncate(0)
        file.seek(90 << 30)
        file.write(b"\n" + data)
    site.write("application.log", 10)
    limits = [{"log": "application.log", "max_bytes": 1 << 20, "keep": 5}]
    found = site.run(expected_ratio=1, limits=limits)
    assert lines <= {line.lstrip("\0") for line in site.lines()}
    assert found["archive"]["source_bytes"] < 1 << 20
    assert found["rotation"]["bytes"] < 1 << 20
    assert found["rotation"]["problems"] == []
    assert set(tree(site.logs)) == {"application.log"}


@pytest.mark.parametrize("compression", ["gzip", pytest.param("zstd", marks=needs_zstd)])
def test_secrets_are_taken_out_where_that_is_asked_for(site: Site, compression: str) -> None:
    """What a service really logs: the first characters of a token on each request's line, a signing key at start."""
    key, token = "c4n4ry-signing-key", "eyJhbGciOiJIUzI1NiIsInR5"
    lines = [
        f'{{"level": "INFO", "message": "request 1, token {token}..."}}',
        f'{{"level": "INFO", "message": "start", "extra": {{"JWT_SECRET_KEY": "{key}", "port": 8000}}}}',
        f"plain {key} \\xff",
        "a line of nothing",
    ]
    data = ("\n".join(lines) + "\n").encode() + b"\xff\xfe no text\nhalf a line"
    site.write("application.log", 10)
    make(site.logs / "application.log.1", HOUR, data)
    make(site.logs / "application.log.2.gz", 2 * HOUR, gzip.compress(data))
    make(site.logs / "application.log.3.gz", 3 * HOUR, gzip.compress(data)[:50])
    redactor = redactor_of({"redact": True, "redact_patterns": ["eyJ[A-Za-z0-9]+"]}, lambda: {key})
    found = site.run(redactor=redactor, compression=compression)
    assert said(found) == [("application.log.3.gz", "damaged")]
    members = dict(site.members())
    assert sorted(members) == ["application.log.1", "application.log.2"]
    for content_ in members.values():
        assert key.encode() not in content_
        assert token.encode() not in content_
        assert content_.count(b"\n") == data.count(b"\n")
        assert content_.endswith(b"a line of nothing\n\xff\xfe no text\nhalf a line")
    assert set(tree(site.logs)) == {"application.log", "application.log.3.gz"}
    assert [path.stat().st_mode & 0o777 for path in site.archives.glob("*.tar.*")] == [0o600]
    assert redactor_of({"redact": False, "redact_patterns": []}, set) is None
    with pytest.raises(OptionError, match="redact_patterns"):
        redactor_of({"redact": True, "redact_patterns": ["("]}, set)
