# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files live processes have open: as far as /proc tells, and for one's own files as the kernel knows it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..opener import open_regular_at
from ..shapes import one_line

_PROCESSES_MAX = 20


@dataclass
class _Holder:
    """A process that keeps deleted files."""

    pid: int
    name: str
    deleted: dict[tuple[int, int], int] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        return {"pid": self.pid, "name": self.name, "files": len(self.deleted), "bytes": sum(self.deleted.values())}


class OpenFiles:
    """A look at all processes that may be looked at, taken once.

    Attributes:
        complete: whether every process of the host was seen; only root sees them all.
    """

    def __init__(self, devices: set[int]) -> None:
        self._open: dict[tuple[int, int], tuple[int, str]] = {}
        self._deleted: dict[tuple[int, int], int] = {}
        self._holders: list[_Holder] = []
        self._unseen = 0
        self._devices = devices
        for entry in os.listdir("/proc"):
            if entry.isdecimal() and int(entry) != os.getpid():
                self._look(int(entry))
        self.complete = os.geteuid() == 0 and not self._unseen

    def _look(self, pid: int) -> None:
        name = ""
        try:
            with open(f"/proc/{pid}/comm", "rb") as file:
                name = one_line(file.read(64).decode("utf-8", "replace"))
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except PermissionError:
            self._unseen += 1
            return
        except OSError:  # it has ended
            return
        holder = _Holder(pid, name)
        for path in (f"/proc/{pid}/cwd", *(f"/proc/{pid}/fd/{number}" for number in descriptors)):
            with contextlib.suppress(OSError):
                self._note(os.stat(path), holder)
        if holder.deleted:
            self._holders.append(holder)

    def _note(self, facts: os.stat_result, holder: _Holder) -> None:
        if facts.st_dev not in self._devices:
            return
        key = (facts.st_dev, facts.st_ino)
        if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
            holder.deleted[key] = self._deleted[key] = facts.st_blocks * 512
        elif stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode):
            self._open[key] = (holder.pid, holder.name)

    def holder(self, facts: os.stat_result) -> str:
        """The process that has a file open or works in a directory, for people; empty where none is known."""
        pid, name = self._open.get((facts.st_dev, facts.st_ino), (0, ""))
        return f"pid {pid} ({name})" if pid else ""

    def held(self) -> dict[str, Any]:
        """Deleted files that processes keep open, whose space is therefore not free."""
        holders = sorted((holder.shown() for holder in self._holders), key=lambda shown: -int(shown["bytes"]))
        return {
            "files": len(self._deleted),
            "bytes": sum(self._deleted.values()),
            "processes": holders[:_PROCESSES_MAX],
            "unseen_processes": self._unseen,
        }


@contextlib.contextmanager
def claimed(
    directory: int, name: str, facts: os.stat_result, open_files: OpenFiles
) -> Iterator[tuple[int | None, str]]:
    """Hold a file so that nobody else has it open, and nobody opens it meanwhile.

    A write lease proves it: the kernel grants none while any process of the host has the file open, in whatever
    container and of whatever user, and makes whoever opens it then wait. A lease is for the file's owner and for
    root. Where there is none to be had, /proc has to do, and only where all of it could be read.

    Yields:
        The open file where there is a lease on it; and empty text while it is held, else why it is not: open, unproven
        (somebody may have it open), changed, gone.
    """
    if open_files.holder(facts):
        yield None, "open"
        return
    unproven = "" if open_files.complete else "unproven"
    try:
        fd = open_regular_at(directory, name)
    except OSError as error:
        reasons = {errno.ENOENT: "gone", errno.EAGAIN: "open", errno.EACCES: unproven, errno.EPERM: unproven}
        yield None, reasons.get(error.errno or 0, "changed")
        return
    try:
        held, why = _lease(fd, facts, unproven)
        yield fd if held else None, why
    finally:
        os.close(fd)  # and with it the lease


def _lease(fd: int, facts: os.stat_result, unproven: str) -> tuple[bool, str]:
    now = os.fstat(fd)
    if (now.st_dev, now.st_ino) != (facts.st_dev, facts.st_ino):
        return False, "changed"
    try:
        lease(fd, fcntl.F_WRLCK)
    except OSError as error:
        return False, "open" if error.errno == errno.EAGAIN else unproven
    return True, ""


def lease(fd: int, kind: int) -> None:
    """Take a lease on an open file: ``F_WRLCK`` (nobody else has it open), ``F_RDLCK`` (nobody has it open to write).

    Raises:
        OSError: EAGAIN, somebody has; anything else, leases cannot be had here.
    """
    # The default signal for "somebody wants it" would end this process; this one is ignored by default.
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, kind)


def leased(fd: int, kind: int) -> bool:
    """Whether a lease still stands, and nobody waits for it to be given back."""
    return fcntl.fcntl(fd, fcntl.F_GETLEASE) == kind
