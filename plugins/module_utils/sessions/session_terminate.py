# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ending stuck sessions: planned from what was seen, carried out in order, watched until the API lists them no more."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from ..api.client import Client
from ..api.settings import ApiSettings, api_settings
from ..deadline import Deadline, deadline_of
from ..errors import OptionError
from ..options import check_range
from ..plan import Action, plan_hash, planned, require_hash
from ..shapes import one_line
from ..system.ending import Target, end_processes, have_ended, lives
from ..system.open_files import OpenFiles
from ..system.processes import TICKS, OpenFile, Process
from ..words import number_of
from .files import LEASES_MAX, Listing, differences, kept_closed, remove_session_files, without
from .judge import Session
from .listed import ask_sessions
from .look import quiet_seconds
from .places import outputs, talk, working_files
from .progress import cpu_work
from .scene import Scene, observe, own_inodes
from .settings import session_argument_spec, session_settings

_POLL_S = 1.0
_CLOSES_S = 3.0
_SHOWN_MAX = 20
_SHOWN_DRIFT = 5
_CPU_TICKS = 1  # may pass while a process is looked at
_NOT_OFFERED = (404, 405, 501)


def terminate_argument_spec() -> dict[str, Any]:
    """The options of session_terminate."""
    return {
        **session_argument_spec(),
        "orphans": {"type": "bool", "default": False},
        "cleanup_path": {"type": "str"},
        "grace": {"type": "float", "default": 10},
        "remove_files": {"type": "bool", "default": True},
        "wait": {"type": "float", "default": 60},
        "plan_hash": {"type": "str"},
    }


def session_terminate(
    params: Mapping[str, Any],
    *,
    check_mode: bool,
    warn: Callable[[str], None],
    hide: Callable[[str], None],
) -> dict[str, Any]:
    """The result of module session_terminate."""
    deadline = deadline_of("session_terminate", {**params, "wait": 0})  # the wait for the list comes after it
    orders = read_orders(params)
    settings = api_settings(params, warn=warn, hide=hide)
    scene = observe(session_settings(params), settings)
    chosen, refused = choose(scene, orders)
    plan = make_plan(scene, chosen, orders)
    require_hash(plan, params["plan_hash"])
    outcomes: list[Outcome] = []
    changed = bool(plan)
    if plan and not check_mode:
        outcomes = act(scene, chosen, plan, orders, settings, deadline=deadline)
        changed = any(action["result"] in ("done", "failed") for action in plan)
        # Where it did not answer before, it is asked once: waiting is for a list that gets shorter.
        watch(outcomes, settings, orders.wait if scene.api.state == "ok" else 0)
    return {**_result(scene, plan, outcomes), "refused": refused, "changed": changed}


@dataclass(frozen=True)
class Orders:
    """What may be done about sessions, beyond what was seen of them."""

    orphans: bool
    cleanup_path: str
    grace: float
    remove_files: bool
    wait: float


def read_orders(params: Mapping[str, Any]) -> Orders:
    """Check the options of session_terminate that session_info does not have."""
    check_range(params, "grace", 0, 600)
    check_range(params, "wait", 0, 3600)
    path = params["cleanup_path"]
    if path and not (path.startswith("/") and "{session_id}" in path and path.isprintable() and " " not in path):
        raise OptionError("cleanup_path", path, "must begin with / and hold {session_id}")
    return Orders(params["orphans"], path or "", params["grace"], params["remove_files"], params["wait"])


def choose(scene: Scene, orders: Orders) -> tuple[list[Session], list[dict[str, str]]]:
    """The sessions to be ended, and those that were named and will not be, with the reason.

    They are in an order that no age decides: a plan's hash goes by it, and those of two of one minute take turns.
    """
    named, orphans = scene.settings.session_ids, orders.orphans
    found = {session.session_id: session for session in [*scene.sessions, *scene.orphans]}
    if not named:
        every = [*scene.sessions, *(scene.orphans if orphans else [])]
        return sorted((one for one in every if one.may_end), key=lambda one: one.session_id), []
    chosen: list[Session] = []
    refused: list[dict[str, str]] = []
    for session_id in dict.fromkeys(named):
        session = found.get(session_id)
        if session is None:
            why = "there is no such session: it is not listed, and has neither processes nor a directory"
        elif session.orphan and session.may_end and not orphans:
            why = "it is an orphan, and the option orphans is off"
        elif _is_left_behind(session) and (stays := _files_stay(scene, session)):
            why = stays
        elif session.may_end or _is_left_behind(session):
            chosen.append(session)
            continue
        else:
            why = session.why
        refused.append({"session_id": session_id, "why": why})
    return chosen, refused


def _is_left_behind(session: Session) -> bool:
    """Whether only files are left of it, as after a run that was cut off: it is known not to be listed."""
    return session.listed is False and session.state == "no_process" and session.files.state == "ok"


def _files_stay(scene: Scene, session: Session) -> str:
    """Why the files of a session stay, for people: nothing lists it, and it may go on; empty where they may go."""
    if session.listed or session.orphan or not session.files.entries:
        return ""
    age_s = quiet_seconds([], without(session.files, talk(session.processes)))
    if age_s is None or age_s >= scene.settings.idle_seconds:
        return ""
    return f"it is not listed, and a file of it was changed {age_s:.0f} s ago: whoever works on it may need the others"


# Planning


def make_plan(scene: Scene, chosen: Sequence[Session], orders: Orders) -> list[Action]:
    """What is to be done, in order, session by session."""
    plan: list[Action] = []
    for session in chosen:
        if orders.cleanup_path and session.listed:
            plan.append(_cleanup(session, orders.cleanup_path))
        plan += [_terminate(scene, session, process) for process in session.processes if process.state not in "ZX"]
        if orders.remove_files and session.files.state == "ok" and not _files_stay(scene, session):
            plan.append(_delete(scene, session))
    return plan


def _cleanup(session: Session, template: str) -> Action:
    path = template.replace("{session_id}", session.session_id)
    return planned(
        "cleanup",
        f"session {session.session_id} (POST {path})",
        session.why,
        ["P2S-2A"],
        stable={"session": session.session_id, "path": path},
    )


def _terminate(scene: Scene, session: Session, process: Process) -> Action:
    emergency = not scene.settings.api_required
    return planned(
        "terminate",
        f"pid {process.pid} ({one_line(process.name, 20)}, session {session.session_id})",
        session.why,
        ["EM-S1", "EM-S2"] if emergency else ["P2S-2B"],
        stable={
            "session": session.session_id,
            "pid": process.pid,
            "start": process.start,
            "argv": process.argv_hash,
        },
        proof={"lines": session.proofs[process.pid], "state": session.state, "progress": str(session.progress)},
    )


def _delete(scene: Scene, session: Session) -> Action:
    files = session.files
    # What an ffmpeg tells of itself grows until it is ended, and is no drift.
    directory = scene.work_dir.directory(session.session_id)
    steady = without(files, talk(session.processes))
    largest = sorted(files.entries.items(), key=lambda entry: -entry[1].size)[:_SHOWN_MAX]
    return planned(
        "delete",
        f"{directory} ({number_of(len(files.entries), 'file')}, {files.bytes} bytes)",
        f"the files of session {session.session_id}",
        ["P2S-2C"],
        stable={
            "session": session.session_id,
            "path": directory,
            "inode": files.inode,
            "files": len(files.entries),
            "bytes": steady.bytes,
            "fingerprint": steady.fingerprint,
        },
        proof={
            "largest": [{"path": one_line(path), "inode": one.inode, "bytes": one.size} for path, one in largest],
            "skipped": files.skipped[:_SHOWN_MAX],
        },
    )


# Acting


@dataclass
class Outcome:
    """What came of one session: pids ended and still alive, what was removed, whether the API lists it no more."""

    session_id: str
    ended: list[int] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)
    files_removed: int = 0
    bytes_freed: int = 0
    gone: bool | None = None

    @property
    def is_dead(self) -> bool:
        """Whether its processes were ended, and none of them is left: only then may a restart be what it needs."""
        return bool(self.ended) and not self.alive


def act(
    scene: Scene,
    chosen: Sequence[Session],
    plan: Sequence[Action],
    orders: Orders,
    settings: ApiSettings,
    *,
    deadline: Deadline,
) -> list[Outcome]:
    """Carry the plan out: the API's cleanup, then the processes of all sessions, and when they are dead, the files.

    All are ended side by side, so that no session waits for the end of another between its proof and its signal.
    """
    work = [_Work(session, plan) for session in chosen]
    if deadline.is_over:
        for one in work:
            one.refuse(f"the {deadline.seconds:g} s for all sessions are over")
    else:
        _clean(work, settings, orders.grace)
        if any(one.kinds["terminate"] for one in work):
            again = _prove_again(scene, work, settings)
            _end(again, work, orders.grace)
        _remove(scene, work, settings)
    for one in work:
        one.outcome.alive = [process.pid for process in one.session.processes if lives(process)]
    return [one.outcome for one in work]


class _Work:
    """One session with what is to be done about it, and what came of it."""

    def __init__(self, session: Session, plan: Sequence[Action]) -> None:
        self.session = session
        self.outcome = Outcome(session.session_id)
        self.proved = session
        self.kinds: dict[str, list[Action]] = {"cleanup": [], "terminate": [], "delete": []}
        for action in plan:
            if action["stable"]["session"] == session.session_id:
                self.kinds[action["action"]].append(action)

    @property
    def cleaned(self) -> bool:
        """Whether the API has ended it by itself."""
        return any(action["result"] == "done" for action in self.kinds["cleanup"])

    def refuse(self, why: str) -> None:
        """Do nothing of what was not done yet, and say why."""
        for action in [one for several in self.kinds.values() for one in several]:
            if action["result"] == "planned":
                action["result"], action["msg"] = "skipped", one_line(why, 1000)


def _clean(work: Sequence[_Work], settings: ApiSettings, grace_s: float) -> None:
    """Ask the API to end sessions, and give their processes time to do so."""
    for one in work:
        for action in one.kinds["cleanup"]:
            _ask(action, settings)
    waited_for = [process for one in work if one.cleaned for process in one.session.processes]
    have_ended(waited_for, grace_s)


def _ask(action: Action, settings: ApiSettings) -> None:
    reply = Client(settings).request(action["stable"]["path"], method="POST")
    status = reply.http_status or 0
    if status in _NOT_OFFERED:
        action["result"], action["msg"] = "skipped", f"not offered by the API (HTTP {status})"
    elif not 200 <= status < 300:
        action["result"], action["msg"] = "failed", reply.reason
    else:
        action["result"], action["msg"] = "done", f"the API took it (HTTP {status})"


def _prove_again(scene: Scene, work: Sequence[_Work], settings: ApiSettings) -> Scene:
    """Prove each session anew, right before its first signal: a plan ages while it is read, and while the API works."""
    again = scene.again(settings)
    for one in work:
        if not one.kinds["terminate"]:
            continue
        now = again.session(one.session.session_id)
        drift = _drift(scene, again, one, now)
        if drift:
            one.refuse(f"left alone, as it is another now: {drift}")
        elif now is not None:
            one.proved = now
    return again


def _drift(scene: Scene, again: Scene, one: _Work, now: Session | None) -> str:
    """What is another with a session than when it was planned; empty where the plan still holds."""
    then, was, service = one.session, scene.last.service, again.last.service
    if (service.state, service.main, service.group) != (was.state, was.main, was.group):
        return f"the service's main process was {was.main or 'none'}, and is {service.main or 'none'} ({service.state})"
    left = [process for process in then.processes if lives(process)]
    for process in left:
        seen_now = again.last.processes.get(process.pid)
        if seen_now and seen_now.key == process.key and seen_now.argv_hash != process.argv_hash:
            return f"process {process.pid} runs another program by now, {one_line(seen_now.name, 40)}"
    if now is None or not now.processes:
        why = "; ".join(again.proofs.unproved.get(process.pid, "") for process in left).strip("; ")
        return f"its processes are not proved to be its any more ({why})" if left else ""
    if one.cleaned:
        # The service ends it at this moment: what moves is no progress. Whose its processes are is asked all the same.
        strange = {process.key for process in now.processes} - {process.key for process in then.processes}
        doubts = "; ".join(now.doubts.values())
        return doubts or (f"it has a new process {min(strange)[0]}" if strange else "")
    # Orphans work for nobody, and may go on until they are ended.
    said = [] if then.orphan else [f"pid {pid} {did}" for pid, did in sorted(now.progress.by_pid.items())]
    said += [] if then.orphan else differences(then.files, now.files, but=talk(now.processes))
    known, seen = ({process.key for process in session.processes} for session in (then, now))
    said += [f"process {pid} has come" for pid, _start in sorted(seen - known)]
    said += [f"it lists {now.stage or 'no stage'}, and did {then.stage or 'none'}"] if now.stage != then.stage else []
    if not said and now.may_end:
        return ""
    return "; ".join([*said[:_SHOWN_DRIFT], *([] if now.may_end else [now.why])]) or "it has changed"


def _end(again: Scene, work: Sequence[_Work], grace_s: float) -> None:
    targets: list[Target] = []
    pairs: list[tuple[_Work, Action]] = []
    seen: dict[int, tuple[_Work, Process]] = {}
    for one in work:
        seen.update({process.pid: (one, process) for process in one.proved.processes})
        for action in one.kinds["terminate"]:
            if action["result"] == "planned":
                stable, still = action["stable"], not (one.cleaned or one.session.orphan)
                targets.append(Target(stable["pid"], stable["start"], stable["argv"], stable["session"], still))
                pairs.append((one, action))
    if not targets:
        return
    with contextlib.ExitStack() as closed:
        left = {target.group for target in targets}
        share = max(1, LEASES_MAX // len(left))
        who_wants = {
            one.session.session_id: closed.enter_context(
                kept_closed(
                    again.work_dir.directory(one.session.session_id),
                    own_inodes(one.proved),
                    again.open_files,
                    most=share,
                )
            )
            for one in work
            if one.session.session_id in left and again.open_files
        }

        def refuse(now: Process) -> str:
            one, then = seen[now.pid]
            why = _why_not_now(again, one, then, now)
            ask = who_wants.get(one.session.session_id)
            wanted = "" if why or ask is None else ask()
            return f"is left alone: {wanted}" if wanted else why

        endings = end_processes(targets, grace_s=grace_s, refuse=refuse, signalled=closed.close)
    for (one, action), ending in zip(pairs, endings):  # noqa: B905
        action["result"], action["msg"] = ending.result, ending.msg
        if ending.result == "done":
            one.outcome.ended.append(action["stable"]["pid"])


def _why_not_now(again: Scene, one: _Work, then: Process, now: Process) -> str:
    """A session that goes on after all is left alone, up to the last moment."""
    if now.groups != then.groups or now.uid != then.uid:
        return "is in another control group or another user's by now"
    if now.tracer:
        return f"is traced by process {now.tracer}"
    if one.cleaned or one.session.orphan:
        return ""
    read, written = (new - old for old, new in zip(then.counters.moved, now.counters.moved))  # noqa: B905
    seconds, share = time.monotonic() - again.last.at, again.settings.cpu_percent / 100
    # Who is woken and sleeps on uses some time, the more the longer ago the look was.
    is_work = now.cpu - then.cpu > _CPU_TICKS and cpu_work(then, now, seconds, share)[1]
    sockets, before = ([file.inode for file in one.files if stat.S_ISSOCK(file.mode)] for one in (now, then))
    said = {
        f"has read {read} bytes": read,
        f"has written {written} bytes": written,
        f"has used {(now.cpu - then.cpu) / TICKS:.2f} s of CPU": is_work,
        "has other connections": sockets != before,
        "has moved on in a file": _moved_on(again, one, then, now),
        "works in another directory": now.cwd_key != then.cwd_key,
    }
    did = ", ".join(text for text, is_so in said.items() if is_so)
    return f"goes on again, and was left alone: it {did} in {seconds:.3g} s" if did else ""


def _moved_on(again: Scene, one: _Work, then: Process, now: Process) -> bool:
    """Whether a process has got further in one of its files, or has others open."""
    before, after = ({(file.number, file.inode): file for file in working_files(process)} for process in (then, now))
    return before.keys() != after.keys() or any(
        file.position != before[key].position and not _is_shared(again, one, file) for key, file in after.items()
    )


def _is_shared(again: Scene, one: _Work, file: OpenFile) -> bool:
    """Whether others have a file open, too, that is not the session's: who moves on in a common log cannot be told."""
    key, own = (file.device, file.inode), {process.key for process in one.proved.processes}
    return one.session.session_id not in again.last.places.of(key) and any(
        (other.device, other.inode) == key
        for process in again.last.processes.values()
        if process.key not in own
        for other in process.files
    )


def _remove(scene: Scene, work: Sequence[_Work], settings: ApiSettings) -> None:
    """Remove the files of sessions whose processes are dead, after looking once more at who is there."""
    left = [one for one in work if any(action["result"] == "planned" for action in one.kinds["delete"])]
    if not left:
        return
    again = scene.again(settings)
    deadline = time.monotonic() + _CLOSES_S
    while any(_in_use(again, one) for one in left if one.outcome.ended) and time.monotonic() < deadline:
        time.sleep(_POLL_S)  # who started a process closes its log once he knows of its end
        again = scene.again(settings)
    open_files = OpenFiles({one.session.files.device for one in left})
    for one in left:
        for action in one.kinds["delete"]:
            _remove_one(again, one, action, open_files)


def _remove_one(again: Scene, one: _Work, action: Action, open_files: OpenFiles) -> None:
    session_id = one.session.session_id
    why = _in_use(again, one)
    now = again.last.files.get(session_id, Listing("missing"))
    if why:
        action["result"], action["msg"] = "skipped", one_line(f"nothing was deleted: {why}", 1000)
        return
    ended = {process.key for process in one.proved.processes} if one.cleaned or one.outcome.ended else set()
    written = {
        file.inode for process in one.proved.processes if process.key in ended for file in process.files if file.writes
    }
    # What an ffmpeg was to make, it may begin as it is ended: a source that stalled has let it make nothing so far.
    made = outputs((process for process in one.proved.processes if process.key in ended), one.session.files)
    path = action["stable"]["path"]
    removed = remove_session_files(path, one.session.files, now, open_files, written=written, made=made)
    one.outcome.files_removed, one.outcome.bytes_freed = removed.files, removed.freed
    action["result"] = "done" if removed.gone else "failed"
    stays = f"; stays: {'; '.join(removed.skipped)}" if removed.skipped else ""
    action["msg"] = one_line(f"{number_of(removed.files, 'file')} removed, {removed.freed} bytes freed{stays}", 1000)


def _in_use(again: Scene, one: _Work) -> str:
    """Who works in a session's directory, or has files of it open, once its own processes should be dead."""
    session_id = one.session.session_id
    alive = [process.pid for process in one.session.processes if lives(process)]
    if alive:
        return f"process {alive[0]} still lives"
    for process in again.last.processes.values():
        claims = again.last.places.claims(process)
        held, used = claims.held.get(session_id, []), claims.uses.get(session_id, [])
        named = claims.named.get(session_id, []) if again.proofs.is_ours(process) else []
        if process.state not in "ZX" and process.pid != os.getpid() and (held or used or named):
            return f"in use by pid {process.pid} ({one_line(process.name, 20)}): {[*held, *used, *named][0]}"
    then, now = one.session, again.session(session_id)
    if now is not None and now.listed and now.stage != then.stage:
        return f"it lists {now.stage or 'no stage'}, and did {then.stage or 'none'}"
    if again.has_begun_anew(session_id):
        return "it was begun anew under the same id, by the list"
    if now is not None and now.listed and then.listed is False:
        return "the API lists it by now"
    return ""


def watch(outcomes: Sequence[Outcome], settings: ApiSettings, wait_s: float) -> None:
    """Ask the API until it lists the sessions no more, or the time is over. Without an answer it is not known."""
    deadline = time.monotonic() + wait_s
    while True:
        answer = ask_sessions(settings)
        for outcome in outcomes:
            outcome.gone = outcome.session_id not in answer.sessions if answer.state == "ok" else None
        if all(outcome.gone for outcome in outcomes) or time.monotonic() >= deadline:
            return
        time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))


def _result(scene: Scene, plan: list[Action], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    listed = [one.session_id for one in outcomes if one.gone is False and one.is_dead]
    seen = scene.result()
    cleanups = [action for action in plan if action["action"] == "cleanup"]
    failed = [action for action in plan if action["result"] == "failed"]
    escalate = [f"{action['target']}: {action['msg']}" for action in failed]
    escalate += [
        f"session {session.session_id}: {session.why}"
        for session in scene.sessions
        if session.state in ("uninterruptible", "unknown") and session.attention == "end"
    ]
    ended = {one.session_id for one in outcomes}
    escalate += [
        f"session {one.session_id}: its files stay: {_files_stay(scene, one)}"
        for one in scene.sessions
        if one.session_id in ended and _files_stay(scene, one)
    ]
    open_ends = any(outcome.alive for outcome in outcomes) or any(
        action["result"] == "planned" or (action["action"], action["result"]) == ("delete", "skipped")
        for action in plan
    )
    restart = list(dict.fromkeys([*seen["restart_needed"], *listed]))
    escalate += [f"session {session_id} stays listed: the service must be restarted" for session_id in restart]
    return {
        **seen,
        "restart_needed": restart,
        "plan": plan,
        "hash": plan_hash(plan),
        "outcomes": [vars(outcome) for outcome in outcomes],
        "api_cleanup": "; ".join(one["msg"] or one["result"] for one in cleanups) or "not offered",
        "complete": not failed and not listed and not open_ends,
        "escalate": _bounded(escalate),
    }


def _bounded(lines: Sequence[str]) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(lines) - _SHOWN_MAX
    return [*lines[: _SHOWN_MAX - 1], f"{more + 1} more"] if more > 0 else list(lines)
