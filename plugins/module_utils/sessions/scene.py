# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions: the API's list joined with processes and files, seen several times, and what is thought of each."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from ..api.settings import ApiSettings
from ..shapes import one_line
from ..system.open_files import OpenFiles
from ..system.processes import TICKS, Process, shown_argv, user_name
from ..times import text_of, to_text
from .files import Listing, held_by_others, without
from .judge import STATES, Judge, Session
from .listed import Answer, ask_sessions
from .log_lines import Entry, lines_by_session, log_tails, quiet_in_log
from .look import Look, quiet_seconds, same_process, session_directories, take_look
from .places import WorkDir, notes, talk
from .progress import Counting, Progress, longer_look_s, positions
from .proof import Proofs, Proved, Service
from .settings import SessionSettings

_RANK = {"end": 0, "investigate": 1, "look": 2, "none": 3}
_SESSIONS_MAX = 200
_PROCESSES_MAX = 50
_UNPROVED_MAX = 50
_LOOKS_ON = 4
_AT_A_STAND = "wait_for_partner"


def observe(settings: SessionSettings, api: ApiSettings) -> Scene:
    """See all sessions several times, an interval apart, between two answers of the API; once where there are none."""
    work_dir = WorkDir(settings.work_dir)
    answers = [ask_sessions(api)]

    def look(ids: Iterable[str], service: Service | None = None) -> Look:
        # Without an answer of the API a directory may be all that is known of a session.
        directories = [] if answers[0].state == "ok" else session_directories(work_dir.real)
        listed = answers[0].sessions
        return take_look(settings, work_dir, {*ids, *directories}, listed=listed, service=service)

    looks = [look(answers[0].sessions)]
    if not looks[0].ids:
        return Scene(settings, work_dir, answers, looks)
    for _number in range(1, settings.samples):
        time.sleep(settings.interval)
        looks.append(look(looks[-1].files, looks[-1].service))
    scene = Scene(settings, work_dir, [*answers, answers[0]], looks)
    while (more_s := scene.looks_on()) > 0:
        time.sleep(max(settings.interval, more_s / _LOOKS_ON))
        looks.append(look(looks[-1].files, looks[-1].service))
        scene = Scene(settings, work_dir, [*answers, answers[0]], looks)
    answers.append(ask_sessions(api))
    scene = Scene(settings, work_dir, answers, looks)
    scene.ask_who_holds()
    return scene


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
        self.proofs, before = (
            Proofs(look.processes, look.service, look.places, settings.programs, starts)
            for look in (looks[-1], looks[0])
        )
        self._before = before.by_session
        self._contradictions = looks[-1].joined.tables.contradictions(self._entries)
        self._ended = [_ended_in(before, after) for before, after in zip(looks, looks[1:])]  # noqa: B905, RUF007
        self.open_files: OpenFiles | None = None
        self._lines = lines_by_session(looks[0].log.lines_since())
        found = [self._session(session_id) for session_id in sorted(self._ids())]
        self.proofs.mentions([session.session_id for session in found])
        self._judge = Judge(settings, looks, self.proofs, self._entries, self.api.state)
        for session in found:
            self._judge.judge(session)
        self._ask_for_signs(found)
        self._sort(found)

    def _ask_for_signs(self, found: Sequence[Session]) -> None:
        """See of those that a restart would end when they last showed life; a worker may sleep between two tries."""
        asked = [one for one in found if self.settings.idle_seconds and _needs_restart(one)]
        in_log = quiet_in_log(self.settings.log_path, {one.session_id for one in asked}, self.settings.log_fields)
        for session in asked:
            signs = [one for one in (self._files_quiet_s(session), in_log.get(session.session_id)) if one is not None]
            session.sign_s = min(signs, default=None)
            self._judge.judge(session)

    def _files_quiet_s(self, session: Session) -> float | None:
        return quiet_seconds([], session.files, self._joined(self.last, session.session_id))

    def _sort(self, found: list[Session]) -> None:
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
        doubts = {**self.proofs.doubts.get(session_id, {}), **self._beside(proved, listed=bool(entry))}
        first = self._before.get(session_id)
        then = [self.looks[0].processes[pid] for pid in (first.lines if first else ())]
        now = [self.last.processes.get(process.pid) for process in then]
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
            progress=self._progress(session_id, processes, doubts),
            orphan=bool(proved and ((proved.orphans and not listed) or self._is_lost(session_id, proved))),
            contradiction=self._contradictions.get(session_id, "") or self._other_letters(session_id),
            doubts=doubts,
            ended=[one for old, one in zip(then, now) if one and one.key == old.key and one.state in "ZX"],  # noqa: B905
            quiet_s=quiet_seconds(
                processes, without(files, talk(processes)), self._joined(self.last, session_id, but=talk(processes))
            ),
        )

    def _beside(self, proved: Proved | None, *, listed: bool) -> dict[int, str]:
        """Who lives on beside a session's processes, and must not end with them."""
        found: dict[int, str] = {}
        if proved is None:
            return found
        if proved.orphans and not listed:
            for pid in proved.lines.keys() - proved.orphans - proved.lost:
                found[pid] = f"pid {pid} of the running service works there, beside what an earlier one left"
        for pid in proved.lines:
            init = self.last.processes[pid]
            if init.is_init and init.pids:
                within = (one.pid for one in self.last.processes.values() if one.pids == init.pids)
                other = next((one for one in within if one not in proved.lines), 0)
                if other:
                    found[pid] = f"pid {pid} is the first process of a container in which pid {other} works, too"
        return found

    def _other_letters(self, session_id: str) -> str:
        """That an id is listed in other letters than those of its directory, in words; empty where it is not."""
        if session_id in self._entries:
            return ""
        listed = next((one for one in self._entries if one.casefold() == session_id.casefold()), "")
        return f"the list has it as {one_line(listed, 130)}" if listed else ""

    def _is_lost(self, session_id: str, proved: Proved) -> bool:
        """Whether all processes of a session write to what has no name, in each look: its directory was taken away."""
        first = self._before.get(session_id)
        return bool(proved.lost) and proved.lost >= {*proved.lines} and first is not None and first.lost == proved.lost

    @staticmethod
    def _joined(look: Look, session_id: str, but: Container[int] = ()) -> Listing:
        """The files that are a session's by another id."""
        return without(look.joined.listings.get(session_id, Listing("missing")), but)

    def _progress(self, session_id: str, processes: Sequence[Process], doubts: Mapping[int, str]) -> Progress:
        counting = Counting(session_id, self.looks, self.settings.cpu_percent)
        progress = counting.count([process.key for process in processes])
        progress.log_lines = self._lines[session_id]
        told = talk(processes)
        for before, after, ended in zip(self.looks, self.looks[1:], self._ended):  # noqa: B905
            if session_id in ended:
                progress.other = "a process has ended"
            for pid in doubts:
                progress.other = progress.other or self._moved(pid, session_id, before, after)
            old_files, new_files = (
                without(look.files.get(session_id, Listing("missing")), told) for look in (before, after)
            )
            progress.output_bytes += abs(new_files.bytes - old_files.bytes)
            old_joined, new_joined = (self._joined(look, session_id, but=told) for look in (before, after))
            progress.output_bytes += abs(new_joined.bytes - old_joined.bytes)
            if (old_files.fingerprint, old_joined.fingerprint) != (new_files.fingerprint, new_joined.fingerprint):
                progress.other = progress.other or "its files have changed"
        first, last = (answer.sessions.get(session_id) for answer in (self._answers[0], self._answers[-1]))
        if first and last and first.starts != last.starts:
            progress.other = "a stage has ended or begun"
        elif bool(first) != bool(last) and self.api.state == "ok":
            progress.other = "it has left the list" if first else "it has come onto the list"
        elif bool(first) != bool(last):
            progress.unseen = f"the API answered only once of two times: {self.api.reason or self.api.state}"
        return progress

    def _moved(self, pid: int, session_id: str, before: Look, after: Look) -> str:
        """What a process that is not proved to be the session's did with its files."""
        old, new = before.processes.get(pid), after.processes.get(pid)
        if (
            old
            and new
            and old.key == new.key
            and positions(old, before, session_id) != positions(new, after, session_id)
        ):
            return f"process {pid} ({one_line(new.name, 20)}) has moved on in a file"
        return ""

    def looks_on(self) -> float:
        """For how many seconds more a session must be looked at that would be ended by what was seen so far."""
        longest = 0.0
        for session in [*self.sessions, *self.orphans]:
            if not session.may_end or all(map(_is_at_a_stand, session.processes)):
                continue
            wanted = longer_look_s(
                session.processes,
                self.last,
                session.files,
                look_bytes=self.settings.look_bytes,
                most_s=self.settings.look_max,
            )
            longest = max(longest, wanted - session.progress.seconds)
        return longest

    def again(self, api: ApiSettings) -> Scene:
        """The same sessions as they are now: what went on is counted from the last look on."""
        answer = ask_sessions(api)
        sessions = {*self.last.files, *answer.sessions}
        look = take_look(self.settings, self.work_dir, sessions, listed=answer.sessions)
        again = Scene(self.settings, self.work_dir, [self._answers[-1], answer], [self.last, look])
        again.ask_who_holds()
        return again

    def session(self, session_id: str) -> Session | None:
        """One of the sessions, None where there is none of that name."""
        return next((one for one in [*self.sessions, *self.orphans] if one.session_id == session_id), None)

    def has_begun_anew(self, session_id: str) -> bool:
        """Whether the last answer has another start of a session than the first one, or less of age."""
        first, last = (answer.sessions.get(session_id) for answer in (self._answers[0], self._answers[-1]))
        if first is None or last is None:
            return False
        return first.starts != last.starts or (last.minutes or 0) < (first.minutes or 0)

    def ask_who_holds(self) -> None:
        """Put the full question, once for all sessions that would be ended: who has one of their files open?"""
        candidates = [session for session in [*self.sessions, *self.orphans] if session.may_end]
        if not candidates:
            return
        own_pids = [process.pid for session in candidates for process in session.processes]
        self.open_files = OpenFiles({session.files.device for session in candidates}, but=own_pids)
        for session in candidates:
            own = own_inodes(session)
            directory = self.work_dir.directory(session.session_id)
            said = held_by_others(directory, self.open_files, own, notes(session.processes))
            if said:
                session.doubts[0] = said
                self._judge.judge(session)
        self._sort([*self.sessions, *self.orphans])

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
            "sessions": self._rows(self.sessions),
            "orphans": self._rows(self.orphans),
            "left_out": {
                "sessions": max(0, len(self.sessions) - _SESSIONS_MAX),
                "orphans": max(0, len(self.orphans) - _SESSIONS_MAX),
            },
            "counts": {state: sum(session.state == state for session in every) for state in STATES},
            "may_end": [session.session_id for session in every if session.may_end],
            "restart_needed": [session.session_id for session in every if _needs_restart(session)],
            "unproved": [self._stranger(pid, why) for pid, why in unproved[:_UNPROVED_MAX]],
            "unproved_count": len(unproved),
        }

    def _rows(self, sessions: Sequence[Session]) -> list[dict[str, Any]]:
        """The rows of some sessions: those first about which there is something to be done."""
        shown = sorted(sessions, key=lambda one: (not one.may_end, not _needs_restart(one)))[:_SESSIONS_MAX]
        with_log = {one.session_id for one in shown if one.attention != "none"} | set(self.settings.session_ids)
        tails = log_tails(self.settings.log_path, with_log, self.settings.log_lines, self.settings.log_fields)
        return [self._row(one, tails.get(one.session_id, [])) for one in shown]

    def _row(self, session: Session, tail: list[Entry]) -> dict[str, Any]:
        progress = session.progress
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
            "process_count": len(session.processes),
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
                "socket_bytes": progress.socket_bytes,
                "output_bytes": progress.output_bytes,
                "log_lines": progress.log_lines,
                "other": progress.other,
            },
            "log_tail": tail,
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


def _ended_in(before: Look, after: Look) -> set[str]:
    """The sessions in which a process has ended between two looks."""
    ended = [one for one in before.processes.values() if same_process(after, one.key) is None]
    return {session_id for one in ended for session_id in before.places.claims(one).ids}


def _is_at_a_stand(process: Process) -> bool:
    """Whether the kernel itself says that a process is at a stand, which no longer look will see go on."""
    return process.state in "TtZX" or any(state in "Tt" or _AT_A_STAND in where for state, where in process.threads)


def _needs_restart(session: Session) -> bool:
    """Whether only a restart of the service takes a session off the list."""
    return bool(session.listed) and session.state in ("no_process", "zombie") and session.attention == "end"


def own_inodes(session: Session) -> set[int]:
    """Inodes of the files that a session's own processes have open or mapped: of these no lease is to be had."""
    opened = {file.inode for process in session.processes for file in process.files}
    return opened | {one.inode for process in session.processes for one in process.maps}


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
        "read_bytes": process.counters.read,
        "write_bytes": process.counters.written,
    }


def _moment(seconds: float) -> str | None:
    if not seconds:
        return None
    try:
        return text_of(seconds)
    except (ValueError, OverflowError, OSError):
        return None
