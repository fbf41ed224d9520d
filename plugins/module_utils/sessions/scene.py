# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions: the API's list joined with processes and files, seen several times, and what is thought of each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from ..api.settings import ApiSettings
from ..shapes import one_line
from ..system.processes import TICKS, Process, shown_argv
from ..times import to_text
from .files import Listing
from .judge import STATES, Judge, Session
from .listed import Answer, ask_sessions
from .log_lines import lines_of, log_tail
from .look import SESSIONS_MAX, Look, Progress, quiet_seconds, same_process, session_directories, take_look
from .proof import Proofs, Service, WorkDir, user_name
from .settings import SessionSettings

_RANK = {"end": 0, "investigate": 1, "look": 2, "none": 3}
_PROCESSES_MAX = 50
_UNPROVED_MAX = 50


def observe(settings: SessionSettings, api: ApiSettings) -> Scene:
    """See all sessions several times, an interval apart, between two answers of the API; once where there are none."""
    work_dir = WorkDir(settings.work_dir)
    answers = [ask_sessions(api)]

    def look(ids: Iterable[str], service: Service | None = None) -> Look:
        # Without an answer of the API a directory may be all that is known of a session.
        directories = [] if answers[0].state == "ok" else session_directories(work_dir.real)
        return take_look(settings, work_dir, {*ids, *directories}, service=service)

    looks = [look(answers[0].sessions)]
    if not looks[0].ids:
        return Scene(settings, work_dir, answers, looks)
    for _number in range(1, settings.samples):
        time.sleep(settings.interval)
        looks.append(look(looks[-1].files, looks[-1].service))
    answers.append(ask_sessions(api))
    return Scene(settings, work_dir, answers, looks)


class Scene:
    """The looks joined: every session, judged, and what is not a session's."""

    def __init__(
        self, settings: SessionSettings, work_dir: WorkDir, answers: Sequence[Answer], looks: Sequence[Look]
    ) -> None:
        self.settings = settings
        self.work_dir = work_dir
        self.looks = looks
        self.last = looks[-1]
        self.api = next((answer for answer in answers if answer.state != "ok"), answers[-1])
        self._answers = answers
        # One that has left the list in between still counts as listed.
        self._entries = {**answers[0].sessions, **answers[-1].sessions}
        starts = {session_id: entry.started for session_id, entry in self._entries.items()}
        self.proofs = Proofs(self.last.processes, self.last.service, work_dir, settings.programs, starts)
        self._lines = looks[0].log.lines_since()
        found = [self._session(session_id) for session_id in sorted(self._ids())]
        self.proofs.mentions([session.session_id for session in found])
        judge = Judge(settings, looks, self.proofs, self._entries, self.api.state)
        for session in found:
            judge.judge(session)
        found.sort(key=lambda session: (_RANK[session.attention], -(session.minutes or 0), session.session_id))
        self.sessions = [session for session in found if not session.orphan]
        self.orphans = [session for session in found if session.orphan]

    def _ids(self) -> set[str]:
        ids = {*self._entries, *self.proofs.by_session}
        chosen = set(self.settings.session_ids)
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
            quiet_s=quiet_seconds(processes, files),
        )

    def _progress(self, session_id: str, processes: Sequence[Process]) -> Progress:
        progress = Progress(seconds=self.last.at - self.looks[0].at, log_lines=lines_of(session_id, self._lines))
        keys = {process.key for process in processes}
        for before, after in zip(self.looks, self.looks[1:]):  # noqa: B905
            for key in keys:
                old, new = same_process(before, key), same_process(after, key)
                if old is None or new is None:
                    progress.other = "a process has come"
                    continue
                progress.cpu_s += (new.cpu - old.cpu) / TICKS
                progress.read_bytes += max(new.read - old.read, 0)
                progress.write_bytes += max(new.written - old.written, 0)
            ended = [pid for pid, old in before.processes.items() if same_process(after, old.key) is None]
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
            "sessions": [self._row(session) for session in self.sessions[:SESSIONS_MAX]],
            "orphans": [self._row(session) for session in self.orphans[:SESSIONS_MAX]],
            "counts": {state: sum(session.state == state for session in every) for state in STATES},
            "may_end": [session.session_id for session in every if session.may_end][:SESSIONS_MAX],
            "restart_needed": [
                session.session_id
                for session in every
                if session.listed and session.state in ("no_process", "zombie") and session.attention == "end"
            ][:SESSIONS_MAX],
            "unproved": [self._stranger(pid, why) for pid, why in unproved[:_UNPROVED_MAX]],
            "unproved_count": len(unproved),
        }

    def _row(self, session: Session) -> dict[str, Any]:
        progress = session.progress
        shows_log = session.attention != "none" or session.session_id in self.settings.session_ids
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
            "log_tail": log_tail(self.settings.log_path, session.session_id, self.settings.log_lines)
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
