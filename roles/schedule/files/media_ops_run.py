# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a procedure of the runbook by ansible-runner, once at a time, and keep the record of all runs.

Written by role schedule, started by systemd or cron. What it needs to know stands in schedule.json beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import re
import select
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

# They lie beside this file, also for a Python that does not look there.
import media_ops_tree as tree
from media_ops_due import due
from media_ops_store import Record, RefusedError, Store, note, say

EXIT_MISUSE, EXIT_NO_RESULT, EXIT_NO_RECORD, EXIT_REFUSED = 64, 66, 74, 75
EXIT_NOT_YOURS, EXIT_NO_SCHEDULE, EXIT_TIMEOUT, EXIT_KILLED, EXIT_CANCELED = 77, 78, 124, 137, 143
_HANGS_S = 60  # how much longer than the run's own limit its worker is waited for
_ROOM_BYTES = 4 << 20  # what the artifacts of a run may take
# An inventory of which a part cannot be read is an error: what is left of it is not the fleet.
_WHOLE_INVENTORY = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true", "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true"}


def now() -> datetime:
    """Now, to the second, in the zone of this machine, as its timers and its cron count."""
    return datetime.now(UTC).astimezone().replace(microsecond=0)


def text(moment: datetime) -> str:
    """ISO 8601 in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(written: str) -> datetime:
    """The time that :func:`text` wrote."""
    return datetime.strptime(written, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


# --- running


def run(store: Store, name: str, *, unscheduled: bool) -> int:
    """Run one procedure and give its exit code. Refusals are on record as well."""
    procedure = store.procedures[name]
    started = now()
    was_due = None if unscheduled else text(due(procedure, started))
    if was_due and procedure.get("at") and _has_begun(store, name, was_due):
        print(f"{name}: the run that was due {was_due} has begun already; --now runs it by hand", flush=True)
        return 0
    ident = f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    facts: Record = {"due": was_due, "started": text(started), "artifacts": None}
    store.mend(name)
    try:
        with store.alone(name) as (held, left):
            _bury(store, name, left)
            facts["artifacts"] = str(store.directory / "runs" / name / "artifacts" / ident)
            under_way = {"procedure": name, **facts, "pid": os.getpid(), "mark": ident}
            note(held, under_way)
            try:
                for need in procedure.get("after") or []:
                    store.wait_for(need["name"], store.schedule["wait"])
                ended = _supervised(store, procedure, under_way, held)
                return _close(store, {"procedure": name, **facts, **ended})
            finally:
                note(held, None)
    except RefusedError as error:
        refused = {"status": "refused", "why": str(error), "rc": EXIT_REFUSED, "artifacts": None}
        return _close(store, {"procedure": name, **facts, **refused})


def _has_begun(store: Store, name: str, was_due: str) -> bool:
    """Whether this is a timer's second firing: of an hour that comes twice, or that summer time may have left out."""
    under_way = store.under_way(name)
    runs = [*store.records(), *([under_way[0]] if under_way and under_way[1] else [])]
    return any(one["procedure"] == name and one["due"] == was_due and one.get("status") != "refused" for one in runs)


def _bury(store: Store, name: str, left: Record) -> None:
    """A run that was killed together with its supervisor: its processes end, and it gets its record."""
    if not left:
        return
    mark = str(left.get("mark") or "")
    unended = tree.end(lambda: tree.marked(mark)) if mark else []
    why = f"it ended without saying how{_unended(unended)}"
    with contextlib.suppress(OSError):
        store.record(**{**_facts(left), "procedure": name, "status": "died", "why": why})


def _facts(under_way: Record) -> Record:
    """What of a run under way goes into its record."""
    return {key: value for key, value in under_way.items() if key not in ("pid", "mark")}


def _close(store: Store, record: Record) -> int:
    """Put a run on record, say how it ended, and give its exit code."""
    record = {**record, "finished": text(now())}
    code = int(record["rc"])
    try:
        store.record(**record)
    except (OSError, RefusedError) as error:
        say(f"the record of this run could not be written: {error}")
        code = code or EXIT_NO_RECORD
    print(_line(record), flush=True)
    return code


def _supervised(store: Store, procedure: Record, under_way: Record, held: int) -> Record:
    """Have it played by a child that may be killed, hang or lose its own, and end all that is left of it."""
    tree.adopt()
    limit = int(procedure.get("timeout") or store.schedule["timeout"])
    supervisor = os.getpid()
    reading, writing = os.pipe()
    sys.stdout.flush()
    worker = os.fork()
    if not worker:
        _work(store, procedure, under_way, held, (supervisor, writing))
    os.close(writing)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: _pass_on(worker, received))
    told = _told(reading, limit + _HANGS_S)
    os.close(reading)
    unended = tree.end(lambda: tree.descendants(supervisor), grace_s=0 if told is None else 5)
    _waited, how = os.waitpid(worker, 0) if worker not in unended else (0, 0)
    tree.reap()
    if told is None:
        ended: Record = {"status": "timeout", "why": f"it hung past its limit of {limit} s", "rc": EXIT_TIMEOUT}
    elif told:
        ended = told
    else:
        why = f"it was ended by signal {os.WTERMSIG(how)}" if os.WIFSIGNALED(how) else "it ended without saying how"
        ended = {"status": "died", "why": why, "rc": EXIT_KILLED}
    return {**ended, "why": f"{ended.get('why') or ''}{_unended(unended)}"} if unended else ended


def _pass_on(worker: int, number: int) -> None:
    # Its status is still to be asked for, so its number is its own.
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, number)


def _told(reading: int, seconds: float) -> Record | None:
    """How the worker says that it ended: nothing where it said nothing, None where it went on for too long."""
    deadline, data = time.monotonic() + seconds, b""
    while (left := deadline - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            more = os.read(reading, 65536)
            data += more
            if not more:
                with contextlib.suppress(ValueError):
                    return dict(json.loads(data))
                return {}
    return None


def _unended(pids: list[int]) -> str:
    return f"; could not be ended: pid {', '.join(map(str, pids))}" if pids else ""


def _work(store: Store, procedure: Record, under_way: Record, held: int, above: tuple[int, int]) -> None:
    """Play it in a session of its own; where the supervisor is killed meanwhile, do what that would have done."""
    code, (supervisor, writing) = 1, above
    try:
        os.setsid()
        stopped: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: stopped.append(received))
        tree.adopt()
        tree.end_with_parent(signal.SIGTERM)
        if os.getppid() != supervisor:
            stopped.append(signal.SIGTERM)
        ended = _attempt(store, procedure, under_way, stopped)
        unended = tree.end(lambda: tree.descendants(os.getpid()))
        if os.getppid() != supervisor:
            why = f"the runner was killed, and what it had started was ended{_unended(unended)}"
            code = _close(store, {**_facts(under_way), "status": "died", "why": why, "rc": EXIT_KILLED})
            note(held, None)
        else:
            os.write(writing, json.dumps(ended).encode())
            code = 0
    finally:
        os._exit(code)


def _attempt(store: Store, procedure: Record, under_way: Record, stopped: list[int]) -> Record:
    """Play it and tidy up; whatever goes wrong is how the run ended, but for the tidying, which ends nothing."""
    ident, name = under_way["mark"], procedure["name"]
    temporary = None
    try:
        private = store.directory / "runs" / name
        missing = _no_room(private / "artifacts")
        if missing:
            private = temporary = Path(tempfile.mkdtemp(prefix="media_ops_run.", dir=_roomy()))
        ended = _play(store, procedure, under_way, private, stopped)
        if missing:
            kept = f"its artifacts could not be kept: {missing}"
            ended = {**ended, "why": "; ".join(filter(None, [ended.get("why"), kept])), "artifacts": None}
    except Exception as error:  # noqa: BLE001  a run without a record would look as if it had not taken place
        ended = {"status": "error", "why": f"{type(error).__name__}: {error}"[:300], "rc": 1}
    try:
        if temporary:
            shutil.rmtree(temporary)
        else:
            _tidy(private / "artifacts", procedure, store.schedule, ident)
    except Exception as error:  # noqa: BLE001  what was found on the hosts stands
        say(f"{name}: old artifacts could not be tidied: {type(error).__name__}: {error}")
    return ended


def _no_room(artifacts: Path) -> str:
    """Why the artifacts of a run cannot be kept there, or ""."""
    try:
        artifacts.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=artifacts) as tried:
            tried.write(bytes(4096))
        return "" if _free(artifacts) >= _ROOM_BYTES else f"{_free(artifacts)} bytes are free in {artifacts}"
    except OSError as error:
        return f"{error.strerror}: {artifacts}"


def _roomy() -> str:
    """A directory for what a run needs while it lasts."""
    places = [tempfile.gettempdir(), f"/run/user/{os.geteuid()}", "/dev/shm"]  # noqa: S108  mkdtemp makes its own in it
    there = [place for place in places if os.access(place, os.W_OK)]
    return next((place for place in there if _free(Path(place)) >= _ROOM_BYTES), places[0])


def _free(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _play(store: Store, procedure: Record, under_way: Record, private: Path, stopped: list[int]) -> Record:
    import ansible_runner

    schedule, ident = store.schedule, under_way["mark"]
    # ansible-playbook is found by name, and must be the one beside this Python.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {**_WHOLE_INVENTORY, **schedule["environment"], **_environment(schedule["environment_file"])}
    limit = int(procedure.get("timeout") or schedule["timeout"])
    done = ansible_runner.run(
        private_data_dir=str(private),
        ident=ident,
        project_dir=schedule["project_dir"],
        playbook=_playbook(schedule["playbook_prefix"], procedure["name"]),
        inventory=schedule["inventory"],
        extravars={**(procedure.get("vars") or {}), **_handed_on(procedure, under_way["due"])},
        envvars={**environment, tree.MARK: ident},
        suppress_env_files=True,
        quiet=True,
        timeout=limit,
        cancel_callback=lambda: bool(stopped),
        # Before ansible-playbook is started: whoever ends this process leaves no token behind.
        status_handler=lambda _status, runner_config: _without_environment(
            Path(runner_config.artifact_dir) / "command"
        ),
        process_isolation=False,
    )
    # A stop reaches ansible-playbook as well, and which of the two ends first is chance.
    if stopped or done.status == "canceled":
        return {"status": "canceled", "why": f"stopped by signal {stopped[0]}" if stopped else "", "rc": EXIT_CANCELED}
    if done.status == "timeout":
        return {"status": "timeout", "why": f"it took longer than {limit} s", "rc": EXIT_TIMEOUT}
    found = _judged(_statistics(Path(done.config.artifact_dir) / "job_events"), judges=procedure.get("judges", True))
    return _outcome(done.rc, found, done.status == "successful")


def _handed_on(procedure: Record, was_due: str | None) -> Record:
    """What the playbook is told: when it was due, and what each host must have behind it."""
    needs = [
        {"procedure": need["name"], "hours": need["hours"]} for need in procedure.get("after") or [] if "hours" in need
    ]
    return {
        **({"media_ops_scheduled_for": was_due} if was_due else {}),
        **({"automation_after": needs} if needs else {}),
    }


def _statistics(events: Path) -> Mapping[str, Any]:
    """What Ansible said at the end of the run, {} where it did not come to that."""
    numbered = [path for path in events.glob("*.json") if path.name.partition("-")[0].isdigit()]
    for path in sorted(numbered, key=lambda path: -int(path.name.partition("-")[0])):
        with contextlib.suppress(ValueError, OSError):
            event = json.loads(path.read_text(encoding="utf-8"))
            if event.get("event") == "playbook_on_stats":
                return dict(event.get("event_data") or {})
    return {}


def _judged(statistics: Mapping[str, Any], *, judges: bool) -> tuple[str, str]:
    """Why nothing can be said by this run, or "", and else what it found.

    Args:
        statistics: of Ansible, with the summary that the report leaves there.
        judges: whether the playbook judges hosts; one that does not must have played on some.
    """
    played = {str(host) for host in statistics.get("processed") or {}}
    if not judges:
        return ("" if played else "it played on no host"), ""
    summary = (statistics.get("artifact_data") or {}).get("media_ops_summary")
    hosts = summary.get("hosts") if isinstance(summary, dict) else None
    if not hosts or not isinstance(hosts, list):
        return "it judged no host: it left no result, or one without hosts", ""
    rows = [row for row in hosts if isinstance(row, dict)]
    judged = {str(row.get("host")) for row in rows if row.get("check") != "host"}
    without = sorted(({str(row.get("host")) for row in rows} | played - {"localhost"}) - judged)
    states = [str(row.get("state")) for row in rows]
    found = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    more = " ..." if len(without) > 5 else ""
    return (f"no verdict on {', '.join(without[:5])}{more}" if without else ""), f"of {len(rows)} hosts {found}"


def _outcome(rc: int | None, found: tuple[str, str], successful: bool) -> Record:
    """How a run ended: successful is what says so itself, and has a verdict on each host.

    Args:
        rc: of ansible-playbook, None where a signal ended it.
        found: why nothing can be said, and what was found.
        successful: what ansible-runner says.
    """
    nothing, hosts = found
    if successful and rc == 0 and not nothing:
        return {"status": "successful", "rc": 0}
    ended = "ansible-playbook was killed" if rc is None or rc < 0 else ""
    code = EXIT_KILLED if rc is None or rc < 0 else rc or EXIT_NO_RESULT
    return {"status": "failed", "why": "; ".join(filter(None, [ended, nothing, hosts])), "rc": code}


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
    said = f"{record['procedure']}: {record['status']}, due {record['due'] or 'by hand'}"
    more = [str(record[key]) for key in ("why", "artifacts") if record.get(key)]
    return ", ".join([said, f"took {_took(record)}", f"rc {record['rc']}", *more])


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


def _not_yours(directory: Path) -> str:
    """Why this user must not run it: what root or another leaves here, its own user could not use."""
    owner = directory.stat().st_uid
    if owner == os.geteuid():
        return ""
    try:
        whose = pwd.getpwuid(owner).pw_name
    except KeyError:
        whose = f"#{owner}"
    command = shlex.join([sys.executable, str(HERE / "media_ops_run.py"), *sys.argv[1:]])
    return f"the schedule in {directory} is {whose}'s, and is run as that user: sudo -u {shlex.quote(whose)} {command}"


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
    try:
        return _obey(options)
    except (OSError, ValueError, KeyError, TypeError) as error:
        say(f"the schedule in {options.dir} cannot be used: {type(error).__name__}: {error}")
        return EXIT_NO_SCHEDULE


def _obey(options: argparse.Namespace) -> int:
    store = Store(options.dir)
    if options.command == "table":
        return table(store, options.last)
    if options.name not in store.procedures:
        say(f"no procedure {options.name!r}: there are {', '.join(store.procedures)}")
        return EXIT_MISUSE
    if options.command == "due":
        print(text(due(store.procedures[options.name], now())))
        return 0
    if not_yours := _not_yours(options.dir):
        say(not_yours)
        return EXIT_NOT_YOURS
    store.bound_log()
    return run(store, options.name, unscheduled=options.now)


if __name__ == "__main__":
    sys.exit(main())
