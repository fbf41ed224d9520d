# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One look at the service, its processes and the files of sessions, and what went on between looks."""

from __future__ import annotations

import os
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass
from stat import S_ISSOCK

from ..errors import OptionError
from ..system.pipes import waiting_in_pipes
from ..system.processes import Process, snapshot
from ..system.queues import last_messages
from ..system.sockets import Sockets, look_at_sockets
from .files import Listing, list_session_files
from .joined import ID, Joined, look_at_joined
from .log_lines import LogMark
from .places import Places, WorkDir
from .proof import Service, service_of_pid, service_of_process, service_of_unit
from .settings import NAMELESS, SessionSettings


@dataclass(frozen=True)
class Look:
    """All that was seen at one moment.

    `ids` are all sessions asked for or claimed, also those of no valid id; `pipes` the bytes in the pipes into which a
    process of a session waits to write, by inode; `messages` what each process did last with queues of System V.
    """

    at: float
    ids: set[str]
    service: Service
    processes: dict[int, Process]
    files: dict[str, Listing]
    log: LogMark
    places: Places
    sockets: Sockets
    joined: Joined
    pipes: dict[int, int]
    messages: dict[int, set[tuple[int, str, int]]]


def take_look(
    settings: SessionSettings,
    work_dir: WorkDir,
    session_ids: set[str],
    *,
    listed: Container[str] = (),
    service: Service | None = None,
) -> Look:
    """Look at the service (unless it was found before), its processes and the files of sessions.

    Args:
        settings: checked options.
        work_dir: of all sessions.
        session_ids: which sessions there may be.
        listed: those of them that the API lists: none of these is another one's by another id.
        service: as it was found before.
    """
    if service is None and settings.service_pid:
        service = service_of_pid(settings.service_pid)
    if service is None and settings.operated:
        named = settings.operated
        service = service_of_process(named.process) if named.process else service_of_unit(named.unit)
    if service is None:
        raise OptionError("unit", None, NAMELESS)
    processes = snapshot(deep_uid=service.uid)
    wanted = {*session_ids, *settings.session_ids}
    wanted |= {hinted for process in processes.values() for hinted in work_dir.hints(process)}
    joined = look_at_joined(settings.id_maps, work_dir.real)
    wanted -= {name for name in joined.own if name not in listed}
    files = {
        session_id: list_session_files(work_dir.directory(session_id))
        for session_id in sorted(wanted)
        if ID.fullmatch(session_id)
    }
    places = Places(work_dir, files, joined)
    at_work = [process for process in processes.values() if places.claims(process).ids]
    with_sockets = [one for one in processes.values() if at_work and any(S_ISSOCK(file.mode) for file in one.files)]
    sockets = look_at_sockets({one.net: one.pid for one in with_sockets}) if with_sockets else Sockets()
    log, pipes = LogMark.of(settings.log_path), waiting_in_pipes(at_work)
    now = time.monotonic()
    return Look(now, wanted, service, processes, files, log, places, sockets, joined, pipes, last_messages())


def session_directories(path: str) -> list[str]:
    """Directories that may be sessions' own."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(name for name in names if ID.fullmatch(name))


def same_process(look: Look, key: tuple[int, int]) -> Process | None:
    process = look.processes.get(key[0])
    return process if process and process.key == key else None


def quiet_seconds(processes: Sequence[Process], *listings: Listing) -> float | None:
    """Seconds since the last sign of life that is on record: the newest process, the last change of a file."""
    signs = [process.age_s for process in processes]
    signs += [time.time() - files.changed for files in listings if files.entries]
    return min(signs) if signs else None
