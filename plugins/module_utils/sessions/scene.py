# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions: the API's list joined with processes and files, seen several times, and what is to be thought of each.

Stuck is "no progress", not "old": age only makes a session a candidate. What could not be seen is no proof of anything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

from ..api.settings import ApiSettings, api_argument_spec, api_settings
from ..errors import OptionError
from ..options import check_range
from ..shapes import one_line
from ..system.processes import TICKS, Process, shown_argv, snapshot
from ..times import to_text
from .files import Listing, list_session_files
from .listed import Answer, LogMark, ask_sessions, lines_of, log_tail
from .proof import ID, Proofs, Service, WorkDir, service_of_pid, service_of_unit, user_name

STATES = (
    "progressing", "stuck", "stopped", "blocked_on_pipe", "uninterruptible", "zombie", "no_process", "unknown",
)  # fmt: skip
# Those that a signal ends. An uninterruptible process takes none, a zombie is its parent's business.
ENDABLE = ("stuck", "stopped", "blocked_on_pipe")

_RANK = {"end": 0, "investigate": 1, "look": 2, "none": 3}
_SESSIONS_MAX = 200
_PROCESSES_MAX = 50
_UNPROVED_MAX = 50
_PIPES = {
    "pipe_write": "writes to a pipe that nobody reads",
    "pipe_read": "reads from a pipe that nobody writes",
    "wait_for_partner": "waits for the other end of a FIFO",
}


def session_argument_spec() -> dict[str, Any]:
    """The options that session_info and session_terminate share."""
    return {
        **api_argument_spec(),
        "api_required": {"type": "bool", "default": True},
        "unit": {"type": "str"},
        "service_pid": {"type": "int"},
        "work_dir": {"type": "path", "required": True},
        "log_path": {"type": "path"},
        "log_lines": {"type": "int", "default": 10},
        "programs": {"type": "list", "elements": "str", "default": ["ffmpeg", "ffprobe"]},
        "samples": {"type": "int", "default": 2},
        "interval": {"type": "float", "default": 5},
        "look_minutes": {"type": "float", "required": True},
        "investigate_minutes": {"type": "float", "required": True},
        "end_minutes": {"type": "float", "required": True},
        "quiet_seconds": {"type": "float", "default": 60},
        "session_ids": {"type": "list", "elements": "str", "default": []},
        "min_id_length": {"type": "int", "default": 8},
    }


def session_info(
    params: Mapping[str, Any], *, warn: Callable[[str], None], hide: Callable[[str], None]
) -> dict[str, Any]:
    """The result of module session_info."""
    scene = observe(params, api_settings(params, warn=warn, hide=hide))
    return {"changed": False, **scene.result()}


def observe(params: Mapping[str, Any], settings: ApiSettings) -> Scene:
    """See all sessions several times, an interval apart, between two answers of the API; once where there are none."""
    _check(params)
    work_dir = WorkDir(os.path.normpath(params["work_dir"]))
    answers = [ask_sessions(settings)]

    def look(ids: Iterable[str], service: Service | None = None) -> Look:
        # Without an answer of the API a directory may be all that is known of a session.
        directories = [] if answers[0].state == "ok" else _directories(work_dir.real)
        return take_look(params, work_dir, {*ids, *directories}, service=service)

    looks = [look(answers[0].sessions)]
    if not looks[0].ids:
        return Scene(params, work_dir, answers, looks)
    for _number in range(1, params["samples"]):
        time.sleep(params["interval"])
        looks.append(look(looks[-1].files, looks[-1].service))
    answers.append(ask_sessions(settings))
    return Scene(params, work_dir, answers, looks)


def check_ids(option: str, session_ids: Sequence[str], min_length: int) -> None:
    """Refuse what is no session's id: empty, short, or with characters of wildcards and paths."""
    for session_id in session_ids:
        if not session_id.strip():
            raise OptionError(option, session_id, "an id must not be empty")
        if not ID.fullmatch(session_id):
            raise OptionError(option, session_id, "an id is letters, digits, '.', '_' and '-', the first no '.' or '-'")
        if len(session_id) < min_length:
            raise OptionError(option, session_id, f"an id has {min_length} characters at least (min_id_length)")


def _check(params: Mapping[str, Any]) -> None:
    if not params["unit"] and not params["service_pid"]:
        raise OptionError("unit", params["unit"], "must name the service's unit, unless service_pid is given")
    if params["service_pid"] is not None and params["service_pid"] < 2:
        raise OptionError("service_pid", params["service_pid"], "must be a process id from 2 on")
    parts = params["work_dir"].split("/")
    if parts[0] or ".." in parts or len([part for part in parts if part not in ("", ".")]) < 2:
        raise OptionError("work_dir", params["work_dir"], "must be an absolute path of two components at least")
    if params["log_path"] and not params["log_path"].startswith("/"):
        raise OptionError("log_path", params["log_path"], "must be an absolute path")
    if not params["programs"] or not all(name and "/" not in name for name in params["programs"]):
        raise OptionError("programs", params["programs"], "must be names of programs, without a path")
    check_range(params, "samples", 2, 20)
    check_range(params, "interval", 0.1, 300)
    check_range(params, "log_lines", 0, 500)
    check_range(params, "min_id_length", 4, 128)
    check_range(params, "quiet_seconds", 0, 86_400)
    check_range(params, "look_minutes", 0, 100_000)
    check_range(params, "investigate_minutes", params["look_minutes"], 100_000)
    check_range(params, "end_minutes", params["investigate_minutes"], 100_000)
    check_ids("session_ids", params["session_ids"], params["min_id_length"])


@dataclass(frozen=True)
class Look:
    """All that was seen at one moment. `ids` are all sessions asked for or claimed, also those of no valid id."""

    at: float
    ids: set[str]
    service: Service
    processes: dict[int, Process]
    files: dict[str, Listing]
    log: LogMark


def take_look(
    params: Mapping[str, Any], work_dir: WorkDir, session_ids: set[str], *, service: Service | None = None
) -> Look:
    """Look at the service (unless it was found before), its processes and the files of sessions."""
    if service is None and not params["service_pid"]:
        service = service_of_unit(params["unit"])
    if service is None:
        service = service_of_pid(params["service_pid"], snapshot(deep_uid=os.geteuid()))
    processes = snapshot(deep_uid=service.uid)
    wanted = {*session_ids, *params["session_ids"]}
    wanted |= {claimed for process in processes.values() for claimed in work_dir.claims(process).ids}
    files = {
        session_id: list_session_files(f"{work_dir.real}/{session_id}")
        for session_id in sorted(wanted)
        if ID.fullmatch(session_id)
    }
    return Look(time.monotonic(), wanted, service, processes, files, LogMark.of(params["log_path"] or ""))


def _directories(path: str) -> list[str]:
    """Directories that may be sessions' own."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(name for name in names if ID.fullmatch(name))[:_SESSIONS_MAX]


@dataclass
class Progress:
    """What went on between the first look and the last."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    read_bytes: int = 0
    write_bytes: int = 0
    output_bytes: int = 0
    log_lines: int = 0
    other: str = ""

    @property
    def any(self) -> bool:
        """Whether anything did."""
        counted = (self.cpu_s, self.read_bytes, self.write_bytes, self.output_bytes, self.log_lines)
        return any(counted) or bool(self.other)

    def __str__(self) -> str:
        parts = {
            f"{self.cpu_s:.2f} s of CPU": self.cpu_s,
            f"{self.read_bytes} bytes read": self.read_bytes,
            f"{self.write_bytes} bytes written": self.write_bytes,
            f"{self.output_bytes} bytes of output": self.output_bytes,
            f"{self.log_lines} log lines": self.log_lines,
            self.other: self.other,
        }
        shown = ", ".join(text for text, value in parts.items() if value)
        return f"{shown or 'no progress'} in {self.seconds:.3g} s"


@dataclass
class Session:
    """A session as it was found, and what is thought of it."""

    session_id: str
    listed: bool | None
    stage: str
    minutes: float | None
    started_at: str | None
    processes: list[Process]
    proofs: dict[int, list[str]]
    files: Listing
    progress: Progress
    orphan: bool
    quiet_s: float | None = None
    state: str = "unknown"
    attention: str = "none"
    may_end: bool = False
    why: str = ""


class Scene:
    """The looks joined: every session, judged, and what is not a session's."""

    def __init__(
        self, params: Mapping[str, Any], work_dir: WorkDir, answers: Sequence[Answer], looks: Sequence[Look]
    ) -> None:
        self.params = params
        self.work_dir = work_dir
        self.looks = looks
        self.last = looks[-1]
        self.api = next((answer for answer in answers if answer.state != "ok"), answers[-1])
        self._answers = answers
        # One that has left the list in between still counts as listed.
        self._entries = {**answers[0].sessions, **answers[-1].sessions}
        starts = {session_id: entry.started for session_id, entry in self._entries.items()}
        self.proofs = Proofs(self.last.processes, self.last.service, work_dir, params["programs"], starts)
        self._lines = looks[0].log.lines_since()
        found = [self._session(session_id) for session_id in sorted(self._ids())]
        self.proofs.mentions([session.session_id for session in found])
        for session in found:
            self._judge(session)
        found.sort(key=lambda session: (_RANK[session.attention], -(session.minutes or 0), session.session_id))
        self.sessions = [session for session in found if not session.orphan]
        self.orphans = [session for session in found if session.orphan]

    def _ids(self) -> set[str]:
        ids = {*self._entries, *self.proofs.by_session}
        chosen = set(self.params["session_ids"])
        if self.api.state != "ok" or chosen:  # else a directory alone is no session
            ids |= {name for name, listing in self.last.files.items() if listing.state != "missing"}
        return ids & chosen if chosen else ids

    def _session(self, session_id: str) -> Session:
        entry = self._entries.get(session_id)
        proved = self.proofs.by_session.get(session_id)
        pids = sorted(proved.lines) if proved else []
        processes = sorted((self.last.processes[pid] for pid in pids), key=lambda process: process.start)
        listed = True if entry else False if self.api.state == "ok" else None
        oldest = processes[0] if processes else None
        started = entry.started if entry else oldest.started_at if oldest else None
        minutes = entry.minutes if entry else oldest.age_s / 60 if oldest else None
        files = self.last.files.get(session_id, Listing("missing"))
        return Session(
            session_id=session_id,
            listed=listed,
            stage=", ".join(entry.stages) if entry else "",
            minutes=None if minutes is None else round(minutes, 1),
            started_at=to_text(started) if started else None,
            processes=processes,
            proofs=proved.lines if proved else {},
            files=files,
            progress=self._progress(session_id, processes),
            orphan=bool(proved and proved.orphans) and not listed,
            quiet_s=_quiet(processes, files),
        )

    def _progress(self, session_id: str, processes: Sequence[Process]) -> Progress:
        progress = Progress(seconds=self.last.at - self.looks[0].at, log_lines=lines_of(session_id, self._lines))
        keys = {process.key for process in processes}
        for before, after in zip(self.looks, self.looks[1:]):  # noqa: B905
            for key in keys:
                old, new = _same(before, key), _same(after, key)
                if old is None or new is None:
                    progress.other = "a process has come"
                    continue
                progress.cpu_s += (new.cpu - old.cpu) / TICKS
                progress.read_bytes += max(new.read - old.read, 0)
                progress.write_bytes += max(new.written - old.written, 0)
            ended = [pid for pid, old in before.processes.items() if _same(after, old.key) is None]
            if any(session_id in self.work_dir.claims(before.processes[pid]).ids for pid in ended):
                progress.other = "a process has ended"
            old_files, new_files = (look.files.get(session_id, Listing("missing")) for look in (before, after))
            progress.output_bytes += abs(new_files.bytes - old_files.bytes)
            if old_files.newest != new_files.newest or old_files.fingerprint != new_files.fingerprint:
                progress.other = progress.other or "its files have changed"
        first, last = (answer.sessions.get(session_id) for answer in self._answers)
        if first and last and first.starts != last.starts:
            progress.other = "a stage has ended or begun"
        return progress

    # Judging

    def _judge(self, session: Session) -> None:
        session.state, said = self._state(session)
        session.attention = self._attention(session)
        against = self._against(session)
        session.may_end = not against
        if session.orphan and session.may_end:
            session.attention = "end"
        session.why = one_line("; ".join(filter(None, [said, f"not to be ended: {against}" if against else ""])), 400)

    def _state(self, session: Session) -> tuple[str, str]:
        living = [process for process in session.processes if process.state not in "ZX"]
        if not living:
            return self._state_without(session)
        if session.progress.any:
            return "progressing", str(session.progress)
        unseen = any(process.read < 0 for process in living)
        if unseen or self.last.service.state == "unknown":
            why = "what its processes read and write cannot be seen" if unseen else self.last.service.reason
            return "unknown", why
        for state, letters, said in (
            ("uninterruptible", "D", "waits in the kernel (D) and takes no signal: a disk or a network file system"),
            ("stopped", "Tt", "is stopped (T)"),
        ):
            for process in living:
                if self._always(process, letters):
                    return state, f"process {process.pid} {said}; {session.progress}"
        for process in living:
            said = next((_PIPES[key] for key in _PIPES for _state, place in process.threads if key in place), "")
            if said:
                return "blocked_on_pipe", f"process {process.pid} {said}; {session.progress}"
        return "stuck", str(session.progress)

    def _state_without(self, session: Session) -> tuple[str, str]:
        """The state of a session of which no living process is known."""
        if self.last.service.state == "unknown":
            return "unknown", self.last.service.reason
        if self.proofs.unread:
            return "unknown", f"{len(self.proofs.unread)} processes of the service cannot be looked into"
        if session.progress.any:
            return "progressing", f"{session.progress}; none of it by a process of its own"
        started = self._entries[session.session_id].started if session.session_id in self._entries else None
        dead = [process for process in [*session.processes, *self.proofs.zombies] if process.state in "ZX"]
        dead = [process for process in dead if started is None or process.started_at >= started - timedelta(seconds=2)]
        if dead and session.listed:
            pids = ", ".join(str(process.pid) for process in dead[:3])
            return "zombie", (
                f"its process has ended and the service takes no note (zombie {pids}): only a restart of the service "
                "takes the session off the list"
            )
        if session.listed:
            return "no_process", "listed without a process: only a restart of the service takes it off the list"
        return "no_process", "a directory without a process"

    def _always(self, process: Process, letters: str) -> bool:
        """Whether the process, or a thread of it, had this state at every look."""
        seen = [_same(look, process.key) for look in self.looks]
        states = [{one.state, *(state for state, _place in one.threads)} for one in seen if one]
        return len(states) == len(self.looks) and all(one & set(letters) for one in states)

    def _attention(self, session: Session) -> str:
        minutes, params = session.minutes, self.params
        if minutes is None:
            return "none" if session.state in ("progressing", "no_process") and not session.listed else "look"
        if minutes < params["look_minutes"]:
            return "none"
        if session.state == "progressing" or minutes < params["investigate_minutes"]:
            return "look"
        return "investigate" if minutes < params["end_minutes"] else "end"

    def _against(self, session: Session) -> str:
        """What speaks against ending a session; "" where nothing does."""
        params, state = self.params, session.state
        length = params["min_id_length"]
        checks = (
            (not ID.fullmatch(session.session_id) or len(session.session_id) < length, "its id cannot be trusted"),
            (self.last.service.state == "unknown", "whose its processes are is not known"),
            (session.listed is None and params["api_required"], f"the API does not answer ({self.api.state})"),
            (any(process.tracer for process in session.processes), "a debugger is attached"),
            (session.orphan and state == "progressing", None),
            (state not in ENDABLE, f"it is {state.replace('_', ' ')}"),
            (session.orphan, None),
            (session.minutes is None, "its age is not known"),
            ((session.minutes or 0) < params["end_minutes"], f"under {params['end_minutes']:g} minutes"),
            (
                session.quiet_s is None or session.quiet_s < params["quiet_seconds"],
                f"the last sign of life is under {params['quiet_seconds']:g} s old",
            ),
        )
        for holds, why in checks:
            if holds:
                return why or ""
        return ""

    # The result

    def result(self) -> dict[str, Any]:
        """What both modules return of what was seen."""
        every = [*self.sessions, *self.orphans]
        unproved = sorted(self.proofs.unproved.items())
        return {
            "api": {"state": self.api.state, "reason": self.api.reason},
            "service": {
                "state": self.last.service.state,
                "reason": self.last.service.reason,
                "main_pid": self.last.service.main,
                "user": self.last.service.user,
            },
            "sessions": [self._row(session) for session in self.sessions[:_SESSIONS_MAX]],
            "orphans": [self._row(session) for session in self.orphans[:_SESSIONS_MAX]],
            "counts": {state: sum(session.state == state for session in every) for state in STATES},
            "may_end": [session.session_id for session in every if session.may_end][:_SESSIONS_MAX],
            "restart_needed": [
                session.session_id
                for session in every
                if session.listed and session.state in ("no_process", "zombie") and session.attention == "end"
            ][:_SESSIONS_MAX],
            "unproved": [self._stranger(pid, why) for pid, why in unproved[:_UNPROVED_MAX]],
            "unproved_count": len(unproved),
        }

    def _row(self, session: Session) -> dict[str, Any]:
        progress = session.progress
        shows_log = session.attention != "none" or session.session_id in self.params["session_ids"]
        return {
            "session_id": one_line(session.session_id, 130),
            "stage": session.stage,
            "minutes": session.minutes,
            "started_at": session.started_at,
            "listed": session.listed,
            "state": session.state,
            "attention": session.attention,
            "may_end": session.may_end,
            "why": session.why,
            "quiet_s": None if session.quiet_s is None else round(session.quiet_s, 1),
            "processes": [_process_row(one, session.proofs[one.pid]) for one in session.processes[:_PROCESSES_MAX]],
            "files": {
                "state": session.files.state,
                "count": len(session.files.entries),
                "bytes": session.files.bytes,
                "newest": _moment(session.files.newest),
            },
            "progress": {
                "seconds": round(progress.seconds, 2),
                "cpu_s": round(progress.cpu_s, 2),
                "read_bytes": progress.read_bytes,
                "write_bytes": progress.write_bytes,
                "output_bytes": progress.output_bytes,
                "log_lines": progress.log_lines,
                "other": progress.other,
            },
            "log_tail": log_tail(self.params["log_path"] or "", session.session_id, self.params["log_lines"])
            if shows_log
            else [],
        }

    def _stranger(self, pid: int, why: str) -> dict[str, Any]:
        process = self.last.processes[pid]
        return {
            "pid": pid,
            "user": user_name(process.uid),
            "command": one_line(process.name, 40),
            "argv": shown_argv(process.argv),
            "why": why,
        }


def _same(look: Look, key: tuple[int, int]) -> Process | None:
    process = look.processes.get(key[0])
    return process if process and process.key == key else None


def _quiet(processes: Sequence[Process], files: Listing) -> float | None:
    """Seconds since the last sign of life that is on record: the newest process, the last write to a file."""
    signs = [process.age_s for process in processes]
    if files.newest:
        signs.append(time.time() - files.newest)
    return min(signs) if signs else None


def _process_row(process: Process, proof: list[str]) -> dict[str, Any]:
    places = sorted({place for _state, place in process.threads if place})
    return {
        "pid": process.pid,
        "ppid": process.ppid,
        "pgid": process.pgid,
        "start": process.start,
        "started_at": to_text(process.started_at),
        "state": process.state,
        "command": one_line(process.name, 40),
        "argv": shown_argv(process.argv),
        "proof": proof,
        "wchan": places[:5],
        "cpu_s": round(process.cpu / TICKS, 2),
        "read_bytes": process.read,
        "write_bytes": process.written,
    }


def _moment(seconds: float) -> str | None:
    if not seconds:
        return None
    try:
        return to_text(datetime.fromtimestamp(seconds, timezone.utc))
    except (ValueError, OverflowError, OSError):
        return None
