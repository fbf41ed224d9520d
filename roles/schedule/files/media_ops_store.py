# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of the schedule: schedule.json, locks, the records of runs, and their artifacts."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

_RECORDS_MAX_BYTES = 1 << 20
_LOG_MAX_BYTES = 1 << 20
# Given up where the file system is full, so that the record of a run can be written still
_RESERVE_BYTES = 1 << 16
_LOCK_BYTES = 1024  # rewritten in place, which needs no space
_NOT_WRITTEN = "not-written."
Record = dict[str, Any]


class RefusedError(Exception):
    """Why the run does not take place."""


class Store:
    """The directory, as far as it can be written: what cannot be kept there is said, and ends no run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.schedule: Record = json.loads((directory / "schedule.json").read_text(encoding="utf-8"))

    @property
    def procedures(self) -> dict[str, Record]:
        """The procedures by name."""
        return {one["name"]: one for one in self.schedule["procedures"]}

    def mend(self, name: str) -> None:
        """Before a run: move aside what another user left here, write what could not be written, make the reserve."""
        parts = ("locks", f"locks/{name}", "locks/runs", "runs.jsonl", "runs.jsonl.1", "reserve", "cron.log.1")
        for part in (*parts, "runs", f"runs/{name}", f"runs/{name}/artifacts"):
            with contextlib.suppress(OSError):
                self._mine(self.directory / part)
        with contextlib.suppress(OSError, RefusedError):
            self._catch_up()
            self._reserve()

    def _mine(self, path: Path) -> None:
        owner = path.lstat().st_uid
        if owner != os.geteuid() != 0:
            aside = path.with_name(f"{path.name}.of-uid-{owner}.{time.time_ns()}")
            path.rename(aside)
            say(f"{path} belongs to uid {owner}, and is {aside.name} now")

    def _reserve(self) -> None:
        path = self.directory / "reserve"
        if not path.exists() or path.stat().st_size < _RESERVE_BYTES:
            try:
                path.write_bytes(bytes(_RESERVE_BYTES))
            except OSError:
                path.unlink(missing_ok=True)

    # --- the record

    def records(self) -> list[Record]:
        """The records of all runs that are kept, oldest first. A line that a crash broke off is passed over."""
        found = []
        for name in ("runs.jsonl.1", "runs.jsonl"):
            with contextlib.suppress(FileNotFoundError, PermissionError):
                for line in (self.directory / name).read_text(encoding="utf-8", errors="replace").splitlines():
                    with contextlib.suppress(ValueError):
                        found.append(json.loads(line))
        return [record for record in found if isinstance(record, dict) and "procedure" in record]

    def record(self, procedure: str, **more: Any) -> Record:
        """Append a record; it is on disk when this returns.

        Raises:
            OSError: it could not be written; the next run writes it, where at least a name could be left.
        """
        record = {"procedure": procedure, "due": None, "started": None, "finished": None, "rc": None, **more}
        try:
            self._append(record)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                (self.directory / "reserve").unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    self._append(record)
                    return record
            with contextlib.suppress(OSError):
                self._leave_name(record)
            raise
        return record

    def _append(self, record: Record) -> None:
        path = self.directory / "runs.jsonl"
        line = json.dumps(record, sort_keys=True).encode() + b"\n"
        with self._locked("runs", wait_s=30):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > _RECORDS_MAX_BYTES:
                    path.replace(path.with_name("runs.jsonl.1"))
            with path.open("ab", buffering=0) as file:
                # A broken line must not swallow the next one.
                whole = line if not file.tell() or _ends_with_newline(path) else b"\n" + line
                if (written := file.write(whole)) != len(whole):
                    raise OSError(errno.ENOSPC, f"{written} of {len(whole)} bytes were written", str(path))
                os.fsync(file.fileno())

    def _leave_name(self, record: Record) -> None:
        """The record as the name of an empty file, which needs no space."""
        kept = [record[key] for key in ("procedure", "due", "started", "finished", "rc")] + [record.get("status")]
        (self.directory / (_NOT_WRITTEN + quote(json.dumps(kept, separators=(",", ":")), safe=""))).touch()

    def _catch_up(self) -> None:
        """Write the records that could not be written when their runs ended."""
        for path in sorted(self.directory.glob(f"{_NOT_WRITTEN}*")):
            with contextlib.suppress(ValueError):
                procedure, due, started, finished, rc, status = json.loads(unquote(path.name[len(_NOT_WRITTEN) :]))
                times = {"due": due, "started": started, "finished": finished, "rc": rc}
                self._append({"procedure": procedure, **times, "status": status, "why": "its record is written late"})
            path.unlink(missing_ok=True)

    # --- one at a time

    @contextlib.contextmanager
    def _locked(self, name: str, wait_s: float) -> Iterator[int]:
        """The kernel's lock on a file; it ends with the process, whatever ends that."""
        held = self._open_lock(name)
        deadline = time.monotonic() + wait_s
        try:
            while held is not None:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise RefusedError(f"still running: {_said(_content(held))}") from None
                    time.sleep(0.2)
            yield -1 if held is None else held
        finally:
            if held is not None:
                os.close(held)

    def _open_lock(self, name: str) -> int | None:
        locks = self.directory / "locks"
        try:
            locks.mkdir(mode=0o700, exist_ok=True)
            return os.open(locks / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            # No file can be made: the directory is there to be locked, then by one run of any procedure at a time.
            return None if name == "runs" else os.open(self.directory, os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def alone(self, procedure: str) -> Iterator[tuple[int, Record]]:
        """One run of a procedure at a time; what a run that was killed left in the lock."""
        # Whoever only looks at the lock has it for a moment.
        with self._locked(procedure, wait_s=1) as held:
            yield held, _content(held)

    def wait_for(self, procedure: str, wait_s: float) -> None:
        """Return when no run of that procedure is under way."""
        if (self.directory / "locks" / procedure).exists():
            with self._locked(procedure, wait_s):
                pass

    def under_way(self, procedure: str) -> tuple[Record, bool] | None:
        """The run that holds the lock, or that died with it; and whether it lives."""
        try:
            held = os.open(self.directory / "locks" / procedure, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            content = _content(held)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return content, True
            return (content, False) if content else None
        finally:
            os.close(held)

    # --- what cron keeps of the output

    def bound_log(self) -> None:
        """Where this process writes to cron.log, and that is long, go on in a new one; the old one is kept."""
        path = self.directory / "cron.log"
        with contextlib.suppress(OSError, RefusedError), self._locked("log", wait_s=30):
            ours, there = os.fstat(1), path.stat()
            if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino):
                self._follow(path, ours)
            elif there.st_size > _LOG_MAX_BYTES:
                path.replace(path.with_name("cron.log.1"))
                _write_to(path)

    def _follow(self, path: Path, ours: os.stat_result) -> None:
        """Another run has just begun a new one."""
        old = path.with_name("cron.log.1").stat()
        if (ours.st_dev, ours.st_ino) == (old.st_dev, old.st_ino):
            _write_to(path)


def _write_to(path: Path) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for number in (1, 2):
        os.dup2(opened, number)
    os.close(opened)


def say(line: str) -> None:
    """Tell whoever reads the errors: a person, the journal or cron.log."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def note(held: int, run: Record | None) -> None:
    """What stands in the lock of a run; on a full disk it may be nothing."""
    text = json.dumps(run).encode() if run else b""
    with contextlib.suppress(OSError):
        os.pwrite(held, text.ljust(_LOCK_BYTES), 0)
        os.ftruncate(held, max(len(text), _LOCK_BYTES))


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _content(held: int) -> Record:
    with contextlib.suppress(ValueError, OSError):
        found = json.loads(os.pread(held, 65536, 0))
        if isinstance(found, dict):
            return found
    return {}


def _said(run: Record) -> str:
    return f"started {run.get('started') or '?'}, pid {run.get('pid') or '?'}"
