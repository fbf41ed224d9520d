# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ending stuck sessions: planned from what was seen, carried out in order, watched until the API lists them no more."""

from __future__ import annotations

import os
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
from ..system.processes import Process, Target, end_processes, mapping_of, read_process, snapshot
from .files import remove_session_files
from .judge import Session
from .listed import ask_sessions
from .proof import Proofs
from .scene import Scene, observe
from .settings import session_argument_spec, session_settings

_POLL_S = 1.0
_LOOK_S = 0.05
_SHOWN_MAX = 20
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
    """The sessions to be ended, and those that were named and will not be, with the reason."""
    named, orphans = scene.settings.session_ids, orders.orphans
    found = {session.session_id: session for session in [*scene.sessions, *scene.orphans]}
    if not named:
        every = [*scene.sessions, *(scene.orphans if orphans else [])]
        return [session for session in every if session.may_end], []
    chosen: list[Session] = []
    refused: list[dict[str, str]] = []
    for session_id in dict.fromkeys(named):
        session = found.get(session_id)
        if session is None:
            why = "there is no such session: it is not listed, and has neither processes nor a directory"
        elif session.orphan and session.may_end and not orphans:
            why = "it is an orphan, and the option orphans is off"
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


# Planning


def make_plan(scene: Scene, chosen: Sequence[Session], orders: Orders) -> list[Action]:
    """What is to be done, in order, session by session."""
    plan: list[Action] = []
    for session in chosen:
        if orders.cleanup_path and session.listed:
            plan.append(_cleanup(session, orders.cleanup_path))
        plan += [_terminate(scene, session, process) for process in session.processes if process.state not in "ZX"]
        if orders.remove_files and session.files.state == "ok":
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
    largest = sorted(files.entries.items(), key=lambda entry: -entry[1].size)[:_SHOWN_MAX]
    return planned(
        "delete",
        f"{scene.work_dir.real}/{session.session_id} ({len(files.entries)} files, {files.bytes} bytes)",
        f"the files of session {session.session_id}",
        ["P2S-2C"],
        stable={
            "session": session.session_id,
            "path": f"{scene.work_dir.real}/{session.session_id}",
            "inode": files.inode,
            "files": len(files.entries),
            "bytes": files.bytes,
            "fingerprint": files.fingerprint,
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


def act(
    scene: Scene,
    chosen: Sequence[Session],
    plan: Sequence[Action],
    orders: Orders,
    settings: ApiSettings,
    *,
    deadline: Deadline,
) -> list[Outcome]:
    """Carry the plan out: for each session the API's cleanup, its processes, and when they are dead, its files."""
    outcomes: list[Outcome] = []
    for session in chosen:
        outcome = Outcome(session.session_id)
        kinds: dict[str, list[Action]] = {"cleanup": [], "terminate": [], "delete": []}
        for action in plan:
            if action["stable"]["session"] == session.session_id:
                kinds[action["action"]].append(action)
        if deadline.is_over:
            for action in [one for several in kinds.values() for one in several]:
                action["result"], action["msg"] = "skipped", f"the {deadline.seconds:g} s for all sessions are over"
            outcome.alive = [process.pid for process in session.processes if _lives(process)]
            outcomes.append(outcome)
            continue
        for action in kinds["cleanup"]:
            _clean(action, session, settings, orders.grace)
        cleaned = any(action["result"] == "done" for action in kinds["cleanup"])
        _end(session, kinds["terminate"], outcome, orders.grace, cleaned=cleaned)
        for action in kinds["delete"]:
            _remove(scene, session, action, outcome, cleaned=cleaned)
        outcomes.append(outcome)
    return outcomes


def _clean(action: Action, session: Session, settings: ApiSettings, grace_s: float) -> None:
    """Ask the API to end the session, and give its processes time to do so."""
    reply = Client(settings).request(action["stable"]["path"], method="POST")
    status = reply.http_status or 0
    if status in _NOT_OFFERED:
        action["result"], action["msg"] = "skipped", f"not offered by the API (HTTP {status})"
    elif not 200 <= status < 300:
        action["result"], action["msg"] = "failed", reply.reason
    else:
        action["result"], action["msg"] = "done", f"the API took it (HTTP {status})"
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline and any(map(_lives, session.processes)):
            time.sleep(_LOOK_S)


def _lives(process: Process) -> bool:
    now = read_process(process.pid, deep=False)
    return now is not None and now.key == process.key and now.state not in "ZX"


def _end(session: Session, actions: Sequence[Action], outcome: Outcome, grace_s: float, *, cleaned: bool) -> None:
    seen = {process.pid: process for process in session.processes}
    targets = [Target(one["stable"]["pid"], one["stable"]["start"], one["stable"]["argv"]) for one in actions]

    def refuse(now: Process) -> str:
        """A session that goes on after all is left alone, up to the last moment. Orphans work for nobody."""
        then = seen[now.pid]
        moved = (now.cpu, now.read, now.written) != (then.cpu, then.read, then.written)
        return "goes on again, and was left alone" if moved and not session.orphan and not cleaned else ""

    endings = end_processes(targets, grace_s=grace_s, refuse=refuse)
    for action, ending in zip(actions, endings):  # noqa: B905
        action["result"], action["msg"] = ending.result, ending.msg
        if ending.result == "done":
            outcome.ended.append(action["stable"]["pid"])
    outcome.alive = [process.pid for process in session.processes if _lives(process)]


def _remove(scene: Scene, session: Session, action: Action, outcome: Outcome, *, cleaned: bool) -> None:
    why = _in_use(scene, session.session_id)
    if why:
        action["result"], action["msg"] = "skipped", f"nothing was deleted: {why}"
        return
    resized = cleaned or bool(outcome.ended)
    removed = remove_session_files(action["stable"]["path"], session.files, resized=resized)
    outcome.files_removed, outcome.bytes_freed = removed.files, removed.freed
    action["result"] = "done" if removed.gone else "failed"
    stays = f"; stays: {'; '.join(removed.skipped)}" if removed.skipped else ""
    action["msg"] = one_line(f"{removed.files} files removed, {removed.freed} bytes freed{stays}", 1000)


def _in_use(scene: Scene, session_id: str) -> str:
    """Who still has the session's directory in use, or works for it, as far as this user may see."""
    processes = snapshot(deep_uid=None)
    for process in processes.values():
        if process.pid == os.getpid() or process.state in "ZX":
            continue
        name = f"process {process.pid} ({one_line(process.name, 20)})"
        held = scene.work_dir.claims(process).held.get(session_id)
        if held:
            return f"{name}: {held[0]}"
        mapped = mapping_of(process.pid, f"{scene.work_dir.real}/{session_id}")
        if mapped:
            return f"{name} has mapped {one_line(mapped)}"
    proofs = Proofs(processes, scene.last.service, scene.work_dir, scene.settings.programs, {})
    proved = proofs.by_session.get(session_id)
    living = [pid for pid in proved.lines if processes[pid].state not in "ZX"] if proved else []
    return f"process {living[0]} works for the session" if living else ""


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
    listed = [one.session_id for one in outcomes if one.gone is False]
    seen = scene.result()
    cleanups = [action for action in plan if action["action"] == "cleanup"]
    failed = [action for action in plan if action["result"] == "failed"]
    escalate = [f"{action['target']}: {action['msg']}" for action in failed]
    escalate += [
        f"session {session.session_id}: {session.why}"
        for session in scene.sessions
        if session.state in ("uninterruptible", "unknown") and session.attention == "end"
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
        "escalate": escalate[:_SHOWN_MAX],
    }
