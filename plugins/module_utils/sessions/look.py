# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One look at the service, its processes and the files of sessions, and what went on between looks."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..system.processes import Process, snapshot
from .files import Listing, list_session_files
from .log_lines import LogMark
from .proof import ID, Service, WorkDir, service_of_pid, service_of_unit
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


def take_look(
    settings: SessionSettings, work_dir: WorkDir, session_ids: set[str], *, service: Service | None = None
) -> Look:
    """Look at the service (unless it was found before), its processes and the files of sessions."""
    if service is None and settings.service_pid:
        service = service_of_pid(settings.service_pid, snapshot(deep_uid=os.geteuid()))
    if service is None:
        service = service_of_unit(settings.unit or "")
    processes = snapshot(deep_uid=service.uid)
    wanted = {*session_ids, *settings.session_ids}
    wanted |= {claimed for process in processes.values() for claimed in work_dir.claims(process).ids}
    files = {
        session_id: list_session_files(f"{work_dir.real}/{session_id}")
        for session_id in sorted(wanted)
        if ID.fullmatch(session_id)
    }
    return Look(time.monotonic(), wanted, service, processes, files, LogMark.of(settings.log_path))


def session_directories(path: str) -> list[str]:
    """Directories that may be sessions' own."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(name for name in names if ID.fullmatch(name))[:SESSIONS_MAX]


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


def same_process(look: Look, key: tuple[int, int]) -> Process | None:
    process = look.processes.get(key[0])
    return process if process and process.key == key else None


def quiet_seconds(processes: Sequence[Process], files: Listing) -> float | None:
    """Seconds since the last sign of life that is on record: the newest process, the last write to a file."""
    signs = [process.age_s for process in processes]
    if files.newest:
        signs.append(time.time() - files.newest)
    return min(signs) if signs else None
