# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a procedure of the runbook by ansible-runner, once at a time, and keep the record of all runs.

Written by role schedule, started by systemd or cron. What it needs to know stands in schedule.json beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
EXIT_MISUSE, EXIT_REFUSED, EXIT_TIMEOUT, EXIT_CANCELED = 64, 75, 124, 143
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
RECORDS_MAX_BYTES = 1 << 20
Record = dict[str, Any]


class RefusedError(Exception):
    """Why the run does not take place."""


def now() -> datetime:
    """Now, to the second, in the zone of this machine, as its timers and its cron count."""
    return datetime.now(UTC).astimezone().replace(microsecond=0)


def text(moment: datetime) -> str:
    """ISO 8601 in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(written: str) -> datetime:
    """The time that :func:`text` wrote."""
    return datetime.strptime(written, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def due(procedure: Record, at: datetime) -> datetime:
    """When the procedure was due last: the latest of its times that is not after ``at``.

    Neither systemd nor cron tells a job when it was due. A run that was missed while the machine was off is started at
    the next boot, so "now" would make it look punctual.
    """
    if procedure.get("every"):
        every = int(procedure["every"])
        return at.replace(minute=at.minute // every * every, second=0)
    hour, minute = map(int, procedure["at"].split(":"))
    for back in range(9):
        day = (at - timedelta(days=back)).date()
        # Without a zone it is local time; astimezone() knows whether summer time was in force then.
        candidate = datetime(day.year, day.month, day.day, hour, minute).astimezone()
        # The hour that summer time leaves out has no such time: systemd passes it over, too.
        there = candidate.astimezone(UTC).astimezone()
        if (there.hour, there.minute) != (hour, minute):
            continue
        if candidate <= at and procedure.get("weekday", WEEKDAYS[day.weekday()]) == WEEKDAYS[day.weekday()]:
            return candidate
    raise ValueError(f"no time in {procedure}")


class Store:
    """The directory: schedule.json, locks, the records of runs, and their artifacts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.schedule: Record = json.loads((directory / "schedule.json").read_text(encoding="utf-8"))

    @property
    def procedures(self) -> dict[str, Record]:
        """The procedures by name."""
        return {one["name"]: one for one in self.schedule["procedures"]}

    def records(self) -> list[Record]:
        """The records of all runs that are kept, oldest first. A line that a crash broke off is passed over."""
        found = []
        for name in ("runs.jsonl.1", "runs.jsonl"):
            with contextlib.suppress(FileNotFoundError):
                for line in (self.directory / name).read_text(encoding="utf-8", errors="replace").splitlines():
                    with contextlib.suppress(ValueError):
                        found.append(json.loads(line))
        return [record for record in found if isinstance(record, dict) and "procedure" in record]

    def record(self, procedure: str, **more: Any) -> Record:
        """Append a record; it is on disk when this returns."""
        record = {"procedure": procedure, "due": None, "started": None, "finished": None, "rc": None, **more}
        path = self.directory / "runs.jsonl"
        with self._locked("runs", wait_s=30):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > RECORDS_MAX_BYTES:
                    path.replace(path.with_name("runs.jsonl.1"))
            with path.open("ab") as file:
                # A broken line must not swallow the next one.
                file.write(b"" if not file.tell() or _ends_with_newline(path) else b"\n")
                file.write(json.dumps(record, sort_keys=True).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        return record

    @contextlib.contextmanager
    def _locked(self, name: str, wait_s: float) -> Iterator[int]:
        """The kernel's lock on a file; it ends with the process, whatever ends that."""
        locks = self.directory / "locks"
        locks.mkdir(mode=0o700, exist_ok=True)
        held = os.open(locks / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait_s
        try:
            while True:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise RefusedError(f"still running: {_said(_content(held))}") from None
                    time.sleep(0.2)
            yield held
        finally:
            os.close(held)

    @contextlib.contextmanager
    def alone(self, procedure: str, run: Record) -> Iterator[None]:
        """One run of a procedure at a time. What a run that was killed left in the lock becomes its record."""
        # Whoever only looks at the lock has it for a moment.
        with self._locked(procedure, wait_s=1) as held:
            left = _content(held)
            if left:
                self.record(**{**left, "status": "died", "why": "it ended without saying how"})
            _write(held, json.dumps({"procedure": procedure, **run}).encode())
            try:
                yield
            finally:
                _write(held, b"")

    def wait_for(self, procedure: str, wait_s: float) -> None:
        """Return when no run of that procedure is under way."""
        with self._locked(procedure, wait_s):
            pass

    def under_way(self, procedure: str) -> tuple[Record, bool] | None:
        """The run that holds the lock, or that died with it; and whether it lives."""
        path = self.directory / "locks" / procedure
        if not path.exists():
            return None
        held = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            content = _content(held)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return content, True
            return (content, False) if content else None
        finally:
            os.close(held)


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _content(held: int) -> Record:
    with contextlib.suppress(ValueError):
        found = json.loads(os.pread(held, 65536, 0))
        if isinstance(found, dict):
            return found
    return {}


def _write(held: int, data: bytes) -> None:
    os.ftruncate(held, 0)
    os.pwrite(held, data, 0)


def _said(run: Record) -> str:
    return f"started {run.get('started') or '?'}, pid {run.get('pid') or '?'}"


# --- running


def run(store: Store, name: str, *, unscheduled: bool) -> int:
    """Run one procedure and give its exit code. Refusals are on record as well."""
    procedure = store.procedures[name]
    started = now()
    was_due = None if unscheduled else text(due(procedure, started))
    ident = f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    artifacts = store.directory / "runs" / name / "artifacts" / ident
    facts: Record = {"due": was_due, "started": text(started), "artifacts": str(artifacts)}
    try:
        with store.alone(name, {**facts, "pid": os.getpid()}):
            _require_others(store, procedure)
            ended, code = _attempt(store, procedure, ident, was_due)
            record = store.record(name, **facts, **ended, finished=text(now()), rc=code)
    except RefusedError as error:
        code = EXIT_REFUSED
        facts["artifacts"] = None
        record = store.record(name, **facts, status="refused", why=str(error), finished=text(now()), rc=code)
    print(f"{name}: {_line(record)}", flush=True)
    return code


def _require_others(store: Store, procedure: Record) -> None:
    """Refuse a run that must come after another, which did not succeed of late."""
    for need in procedure.get("after") or []:
        store.wait_for(need["name"], store.schedule["wait"])
        theirs = [one for one in store.records() if one["procedure"] == need["name"] and one["status"] != "refused"]
        last = theirs[-1] if theirs else None
        why = f"{need['name']} has not succeeded within {need['hours']} h"
        if last is None:
            raise RefusedError(f"{why}: no run of it is on record")
        if last["status"] != "successful" or now() - moment(last["finished"]) > timedelta(hours=float(need["hours"])):
            raise RefusedError(f"{why}: its last run {last['status']} at {last['finished']}")


def _attempt(store: Store, procedure: Record, ident: str, was_due: str | None) -> tuple[Record, int]:
    """Play it and tidy up; whatever goes wrong is how the run ended."""
    artifacts = store.directory / "runs" / procedure["name"] / "artifacts"
    try:
        artifacts.mkdir(parents=True, exist_ok=True)
        try:
            return _play(store, procedure, ident, was_due)
        finally:
            _tidy(artifacts, procedure, store.schedule, ident)
    except Exception as error:  # noqa: BLE001  a run without a record would look as if it had not taken place
        return {"status": "error", "why": f"{type(error).__name__}: {error}"[:300]}, 1


def _play(store: Store, procedure: Record, ident: str, was_due: str | None) -> tuple[Record, int]:
    import ansible_runner

    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopped.append(received))
    schedule = store.schedule
    # ansible-playbook is found by name, and must be the one beside this Python.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = ansible_runner.run(
        private_data_dir=str(store.directory / "runs" / procedure["name"]),
        ident=ident,
        project_dir=schedule["project_dir"],
        playbook=_playbook(schedule["playbook_prefix"], procedure["name"]),
        inventory=schedule["inventory"],
        extravars={**(procedure.get("vars") or {}), **({"media_ops_scheduled_for": was_due} if was_due else {})},
        envvars={**schedule["environment"], **_environment(schedule["environment_file"])},
        suppress_env_files=True,
        quiet=True,
        timeout=int(procedure.get("timeout") or schedule["timeout"]),
        cancel_callback=lambda: bool(stopped),
        # Before ansible-playbook is started: whoever ends this process leaves no token behind.
        status_handler=lambda _status, runner_config: _without_environment(
            Path(runner_config.artifact_dir) / "command"
        ),
        process_isolation=False,
    )
    # A stop reaches ansible-playbook as well, and which of the two ends first is chance.
    status = "canceled" if stopped else done.status
    codes = {"successful": 0, "timeout": EXIT_TIMEOUT, "canceled": EXIT_CANCELED}
    return {"status": status}, codes.get(status, int(done.rc or 1))


def _playbook(prefix: str, name: str) -> str:
    """A file of a directory, or a name of an installed collection."""
    return f"{prefix}{name}" if prefix.endswith(".") else f"{prefix}{name}.yml"


def _environment(path: str) -> dict[str, str]:
    """The NAME=value lines of a file that only its owner may read, since tokens are in it."""
    if not path:
        return {}
    with Path(path).open(encoding="utf-8") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise PermissionError(f"{path} can be read by others: set its mode to 0600")
        lines = [line.strip() for line in file if "=" in line and not line.lstrip().startswith("#")]
    pairs = (line.removeprefix("export ").partition("=") for line in lines)
    return {name.strip(): value.strip().strip("'\"") for name, _sign, value in pairs}


def _tidy(artifacts: Path, procedure: Record, schedule: Record, current: str) -> None:
    """Drop artifacts beyond the number and the age that are kept, and the environment from those that stay."""
    oldest = now() - timedelta(days=schedule["keep_days"])
    runs = sorted(path.name for path in artifacts.iterdir() if re.fullmatch(r"\d{8}T\d{6}Z-\d+", path.name))
    for at, ident in enumerate(reversed(runs)):
        started = datetime.strptime(ident[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if ident != current and (at >= int(procedure.get("keep") or schedule["keep_runs"]) or started < oldest):
            shutil.rmtree(artifacts / ident)
        else:
            _without_environment(artifacts / ident / "command")


def _without_environment(path: Path) -> None:
    """ansible-runner notes the environment of a run, in which a token may be."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        noted = json.loads(path.read_text(encoding="utf-8"))
        if noted.pop("env", None) is not None:
            path.write_text(json.dumps(noted), encoding="utf-8")


# --- showing


def _line(record: Record) -> str:
    parts = [record["status"], f"due {record['due'] or 'by hand'}", f"took {_took(record)}", f"rc {record['rc']}"]
    return ", ".join([*parts, *(str(record[key]) for key in ("why", "artifacts") if record.get(key))])


def _took(record: Record) -> str:
    if not record.get("started") or not record.get("finished"):
        return "?"
    return f"{(moment(record['finished']) - moment(record['started'])).total_seconds():.0f} s"


def table(store: Store, last: int) -> int:
    """Print how each procedure ended last, and the last runs."""
    records = store.records()
    rows: list[tuple[str, ...]] = [("PROCEDURE", "DUE", "STARTED", "TOOK", "ENDED", "RC", "WHY OR WHERE")]
    for name in store.procedures:
        theirs = [record for record in records if record["procedure"] == name]
        under_way = store.under_way(name)
        if under_way:
            state = "running" if under_way[1] else "died"
            rows.append(_row({"procedure": name, **under_way[0], "status": state}))
        elif theirs:
            rows.append(_row(theirs[-1]))
        else:
            rows.append((name, "-", "-", "-", "never ran", "-", ""))
    _print(rows)
    if records and last:
        print(f"\nThe last {min(last, len(records))} of {len(records)} runs:")
        _print([rows[0], *(_row(record) for record in records[-last:])])
    return 0


def _row(record: Record) -> tuple[str, ...]:
    shown = (
        record["procedure"],
        record.get("due") or "by hand",
        record.get("started"),
        _took(record),
        record["status"],
    )
    rc = record.get("rc")
    return (*map(str, shown), "-" if rc is None else str(rc), str(record.get("why") or record.get("artifacts") or ""))


def _print(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=HERE, help="where schedule.json is (default: beside this file)")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="run a procedure")
    running.add_argument("name")
    running.add_argument("--now", action="store_true", help="by hand: it is not late, whatever its time was")
    showing = commands.add_parser("table", help="what ran, when, and how it ended")
    showing.add_argument("--last", type=int, default=20, help="how many of the last runs to list (default 20)")
    timing = commands.add_parser("due", help="when a procedure was due last")
    timing.add_argument("name")
    options = parser.parse_args()
    os.umask(0o077)
    store = Store(options.dir)
    if options.command == "table":
        return table(store, options.last)
    if options.name not in store.procedures:
        print(f"no procedure {options.name!r}: there are {', '.join(store.procedures)}", file=sys.stderr)
        return EXIT_MISUSE
    if options.command == "due":
        print(text(due(store.procedures[options.name], now())))
        return 0
    return run(store, options.name, unscheduled=options.now)


if __name__ == "__main__":
    sys.exit(main())
