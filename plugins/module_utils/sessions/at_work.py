# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sessions of a service that lists none, by the programs at work in their directories: how many, and for how long.

It is for a check to count by, and proves nothing: whoever ends a session asks session_info. What it takes, everybody
on a host may see of a process, so that no more rights are needed than for a list.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from typing import Any

from ..shapes import one_line
from ..system.proc import command_line
from ..system.processes import Process, descendants, snapshot
from ..times import to_text
from .places import WorkDir

_HIDDEN = "other users' processes are hidden on this host (hidepid), so that nobody can say what is in work"


def sessions_at_work(work_dir: str, programs: Sequence[str], user: str, main_pid: int | None = None) -> dict[str, Any]:
    """The list, which stands in for an endpoint's answer.

    Args:
        work_dir: that holds one directory for each session.
        programs: that work on sessions, also with wildcards.
        user: the service's.
        main_pid: of the service, None where that is not known. Its programs count also where nobody can see that they
            work in such a directory.
    """
    reason = ""
    rows: list[dict[str, Any]] = []
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        uid, reason = -1, f"the service's user {one_line(user, 40)} is not known on this host"
    if not reason and os.geteuid() not in (0, uid) and not command_line(1):
        reason = _HIDDEN
    if not reason:
        oldest: dict[str, Process] = {}
        place = WorkDir(work_dir)
        processes = snapshot(deep_uid=os.geteuid())
        of_service = descendants(processes, main_pid) if main_pid else set()
        for process in processes.values():
            if process.uid != uid or process.state in "ZX" or not process.runs(programs):
                continue
            elsewhere = {f"pid-{process.pid}"} if process.pid in of_service else set()
            for session_id in place.hints(process) or elsewhere:
                known = oldest.get(session_id)
                oldest[session_id] = process if known is None or process.start < known.start else known
        rows = [_row(session_id, oldest[session_id]) for session_id in oldest]
        rows.sort(key=lambda row: -row["duration_seconds"])
    return {
        "state": "invalid" if reason else "ok",
        "reason": reason,
        "bytes": 0,
        "url": f"file://{work_dir}",
        "source": "processes",
        "short": "",
        "data": None if reason else {"active_sessions": rows, "total_active": len(rows)},
    }


def _row(session_id: str, process: Process) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "stage": one_line(process.name, 20),
        "start_time": to_text(process.started_at),
        "duration_seconds": round(process.age_s, 1),
        "duration_minutes": round(process.age_s / 60, 2),
    }
