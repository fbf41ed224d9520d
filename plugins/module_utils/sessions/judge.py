# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be thought of a session: its state, how urgent it is, and whether it may be ended.

Stuck is "no progress", not "old": age only makes a session a candidate. What could not be seen is no proof of anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from ..shapes import NOT_OFFERED, one_line
from ..system.proc import is_frozen
from ..system.processes import Process
from ..words import number_of
from .files import Listing
from .joined import ID
from .listed import Entry
from .look import Look, same_process
from .progress import Progress
from .proof import Proofs
from .settings import SessionSettings

STATES = (
    "progressing", "stuck", "stopped", "blocked_on_pipe", "uninterruptible", "zombie", "no_process", "unknown",
)  # fmt: skip
# Those that a signal ends. An uninterruptible process takes none, a zombie is its parent's business.
ENDABLE = ("stuck", "stopped", "blocked_on_pipe")

_PIPES = {
    "pipe_write": "writes to a pipe that nobody reads",
    "pipe_read": "reads from a pipe that nobody writes",
    "wait_for_partner": "waits for the other end of a FIFO",
}


@dataclass
class Session:
    """A session as it was found, and what is thought of it.

    ``doubts`` are processes that have to do with it and are not proved to be its, by pid with what shows it; ``ended``
    are those of its own that ended while it was looked at. ``contradiction`` is what is said of its ids twice and not
    alike, ``sign_s`` the age of the last sign of one without a process.
    """

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
    doubts: dict[int, str] = field(default_factory=dict)
    ended: list[Process] = field(default_factory=list)
    quiet_s: float | None = None
    contradiction: str = ""
    sign_s: float | None = None
    state: str = "unknown"
    attention: str = "none"
    may_end: bool = False
    why: str = ""


def _unseen_of(session: Session, living: Sequence[Process]) -> str:
    """Why nobody can say whether a session's own processes go on; empty where it can be said."""
    if any(one.counters.read < 0 for one in living):
        return "what its processes read and write cannot be seen"
    frozen = next((one.pid for one in living if is_frozen(one.groups)), 0)
    return f"the control group of process {frozen} is frozen" if frozen else session.progress.unseen


def _worked_on(session: Session) -> str:
    """Who keeps a session alive, or may; empty where nobody does."""
    if session.contradiction or not session.doubts:
        return session.contradiction
    more = f", and {len(session.doubts) - 3} more" if len(session.doubts) > 3 else ""
    return f"worked on, it seems: {'; '.join(list(session.doubts.values())[:3])}{more}"


class Judge:
    """Judges the sessions of some looks."""

    def __init__(
        self,
        settings: SessionSettings,
        looks: Sequence[Look],
        proofs: Proofs,
        entries: Mapping[str, Entry],
        api_state: str,
    ) -> None:
        self._settings = settings
        self._looks = looks
        self._service = looks[-1].service
        self._lines_lost = looks[0].log.lines_lost()
        self._proofs = proofs
        self._entries = entries
        self._without_process = [one for one in entries if one not in proofs.by_session]
        self._api_state = api_state

    def judge(self, session: Session) -> None:
        """Write into a session what is thought of it."""
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
        why = self._doubted(session) or _unseen_of(session, living) or self._unseen()
        if why:
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
        if self._service.state == "unknown" or (self._unseen() and not session.progress.any):
            return "unknown", self._unseen()
        if session.progress.any:
            return "progressing", f"{session.progress}; none of it by a process of its own"
        unread = len(self._proofs.unread)
        why = self._doubted(session) or session.progress.unseen
        why = why or (f"{number_of(unread, 'process')} of the service cannot be looked into" if unread else "")
        why = why or (self._may_be_of(session) if session.listed else "")
        why = why or ("" if ID.fullmatch(session.session_id) else "its id cannot be trusted")
        if why:
            return "unknown", why
        dead = session.ended or self._zombies_of(session)
        if dead and session.listed:
            pids = ", ".join(str(process.pid) for process in dead[:3])
            return "zombie", (
                f"its process has ended and the service takes no note (zombie {pids}): only a restart of the service "
                "takes the session off the list"
            )
        return "no_process", self._says_without(session)

    def _says_without(self, session: Session) -> str:
        if not session.listed:
            return "a directory without a process"
        if self._is_waiting(session):
            return (
                f"listed without a process, and its last sign of life is {session.sign_s:.0f} s old, under "
                f"{self._settings.idle_seconds:g} s: who works on it may be waiting before he tries again"
            )
        return "listed without a process: only a restart of the service takes it off the list"

    def _is_waiting(self, session: Session) -> bool:
        """Whether a session without a process has shown life of late: a worker may sleep between two tries."""
        return session.sign_s is not None and session.sign_s < self._settings.idle_seconds

    def _zombies_of(self, session: Session) -> list[Process]:
        """Processes of the service that have ended and can only be this session's: a zombie tells no directory."""
        if self._without_process != [session.session_id]:
            return []
        return self._after_start(session, self._proofs.zombies)

    def _may_be_of(self, session: Session) -> str:
        """Which living program of the service may be this session's, though it does not work in its directory."""
        alike = {
            pid
            for one, proved in self._proofs.by_session.items()
            if one not in self._entries and session.session_id.casefold() in one.casefold()
            for pid in proved.lines.keys() - proved.orphans
        }
        unlisted = [self._looks[-1].processes[pid] for pid in sorted(alike)]
        found = self._after_start(session, [*self._proofs.unplaced.values(), *unlisted])
        if not found:
            return ""
        return f"process {found[0].pid} ({one_line(found[0].name, 20)}) of the service lives, and may be its"

    def _after_start(self, session: Session, processes: Iterable[Process]) -> list[Process]:
        entry = self._entries.get(session.session_id)
        started = entry.started if entry else None
        since = started - timedelta(seconds=2) if started else None
        return [one for one in processes if since is None or one.started_at >= since]

    def _unseen(self) -> str:
        """Why nobody can say that a session stands still, "" where it can be said."""
        if self._service.state == "unknown":
            return self._service.reason
        faults = [look.log.fault for look in self._looks if look.log.fault]
        faults += [self._lines_lost] if self._lines_lost else []
        if faults:
            return f"its log lines cannot be seen: {faults[-1]}"
        faults = [look.joined.fault for look in self._looks if look.joined.fault]
        return f"which ids are of one session is not known: {faults[-1]}" if faults else ""

    def _doubted(self, session: Session) -> str:
        """Who may work on a session; first of all what is said of its times, which may be why that is not proved."""
        why, entry = _worked_on(session), self._entries.get(session.session_id)
        return f"{entry.contradiction}; {why}" if why and entry and entry.contradiction else why

    def _always(self, process: Process, letters: str) -> bool:
        """Whether the process, or a thread of it, had this state at every look."""
        seen = [same_process(look, process.key) for look in self._looks]
        states = [{one.state, *(state for state, _place in one.threads)} for one in seen if one]
        return len(states) == len(self._looks) and all(one & set(letters) for one in states)

    def _attention(self, session: Session) -> str:
        minutes, settings = session.minutes, self._settings
        if minutes is None:
            return "none" if session.state in ("progressing", "no_process") and not session.listed else "look"
        if minutes < settings.look_minutes:
            return "none"
        if session.state == "progressing" or minutes < settings.investigate_minutes:
            return "look"
        is_due = minutes >= settings.end_minutes and not (session.state == "no_process" and self._is_waiting(session))
        return "end" if is_due else "investigate"

    def _why_no_age(self, session: Session) -> str:
        entry = self._entries.get(session.session_id)
        return entry.contradiction if entry and entry.contradiction else "its age is not known"

    def _needs_list(self) -> bool:
        """Whether nothing is ended without a list: a service that has one, and does not give it, may be busy."""
        return self._settings.api_required and self._api_state != NOT_OFFERED

    def _against(self, session: Session) -> str:
        """What speaks against ending a session; "" where nothing does."""
        settings, state = self._settings, session.state
        length = settings.min_id_length
        checks = (
            (not ID.fullmatch(session.session_id) or len(session.session_id) < length, "its id cannot be trusted"),
            (self._service.state == "unknown", "whose its processes are is not known"),
            (
                session.listed is None and self._needs_list(),
                f"the API gives no list that can be used ({self._api_state})",
            ),
            (bool(_worked_on(session)), self._doubted(session)),
            (any(process.tracer for process in session.processes), "a debugger is attached"),
            (session.orphan and state == "progressing", None),
            (state not in ENDABLE, f"it is {state.replace('_', ' ')}"),
            (session.orphan, None),
            (session.minutes is None, self._why_no_age(session)),
            ((session.minutes or 0) < settings.end_minutes, f"under {settings.end_minutes:g} minutes"),
            (
                session.quiet_s is None or session.quiet_s < settings.quiet_seconds,
                f"the last sign of life is under {settings.quiet_seconds:g} s old",
            ),
        )
        for holds, why in checks:
            if holds:
                return why or ""
        return ""
