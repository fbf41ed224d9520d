# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One look at the service, its processes and the files of sessions, and what went on between looks."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from stat import S_ISSOCK

from ..system.processes import Process, snapshot
from ..system.sockets import Sockets, look_at_sockets
from .files import Listing, list_session_files
from .log_lines import LogMark
from .places import ID, Places, WorkDir
from .proof import Service, service_of_pid, service_of_unit
from .settings import SessionSettings

SESSIONS_MAX = 200


@dataclass(frozen=True)
class Look:
    """All that was seen at one moment. `ids` are all sessions asked for or claimed, also those of no valid id."""

    at: float
    ids: set[str]
    service: Service
    processes: dict[int, Process]
    files: dict[str, Listing]
    log: LogMark
    places: Places
    sockets: Sockets


def take_look(
    settings: SessionSettings, work_dir: WorkDir, session_ids: set[str], *, service: Service | None = None
) -> Look:
    """Look at the service (unless it was found before), its processes and the files of sessions."""
    if service is None and settings.service_pid:
        service = service_of_pid(settings.service_pid)
    if service is None:
        service = service_of_unit(settings.unit or "")
    processes = snapshot(deep_uid=service.uid)
    wanted = {*session_ids, *settings.session_ids}
    wanted |= {hinted for process in processes.values() for hinted in work_dir.hints(process)}
    files = {
        session_id: list_session_files(work_dir.directory(session_id))
        for session_id in sorted(wanted)
        if ID.fullmatch(session_id)
    }
    places = Places(work_dir, files)
    has_work = any(places.claims(process).ids for process in processes.values())
    with_sockets = [one for one in processes.values() if has_work and any(S_ISSOCK(file.mode) for file in one.files)]
    sockets = look_at_sockets({one.net: one.pid for one in with_sockets}) if with_sockets else Sockets()
    return Look(time.monotonic(), wanted, service, processes, files, LogMark.of(settings.log_path), places, sockets)


def session_directories(path: str) -> list[str]:
    """Directories that may be sessions' own."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(name for name in names if ID.fullmatch(name))[:SESSIONS_MAX]


def same_process(look: Look, key: tuple[int, int]) -> Process | None:
    process = look.processes.get(key[0])
    return process if process and process.key == key else None


def quiet_seconds(processes: Sequence[Process], files: Listing) -> float | None:
    """Seconds since the last sign of life that is on record: the newest process, the last change of a file."""
    signs = [process.age_s for process in processes]
    if files.entries:
        signs.append(time.time() - files.changed)
    return min(signs) if signs else None
