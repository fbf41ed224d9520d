# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rotated logs of a directory: which are to be archived, and which are left alone, and why."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..opener import NotRegularError, open_regular_at
from ..shapes import one_line
from ..system.open_files import NOT_CLAIMED, OpenFiles, lease, leased
from ..system.tree import Root
from .journal import Identity
from .live import is_rotated, rotated_from, written_to
from .set_aside import log_name, was_shortened

_SAID = {
    **NOT_CLAIMED,
    "damaged": "cannot be unpacked, so that no secrets can be taken out of it",
    "denied": "cannot be opened by this user",
    "live_log": "is the log that others were rotated from",
    "no_regular_file": "is no regular file",
    "twin": "may hold the same lines as another file",
}


@dataclass
class Log:
    """A rotated log, open.

    Attributes:
        leased: whether a lease says that nobody writes to it.
        twin_of: a compressed log with the same lines, which is archived in its place.
        sha256: of its content, once that is known.
    """

    name: str
    fd: int
    identity: Identity
    leased: bool
    twin_of: Log | None = None
    sha256: str = ""

    def unchanged(self) -> bool:
        """Whether it still is what it was, and nobody wants to write to it."""
        still = Identity.of(os.fstat(self.fd)) == self.identity
        return still and (not self.leased or leased(self.fd, fcntl.F_RDLCK))

    def close(self) -> None:
        """Close it, and give the lease back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@dataclass
class Seen:
    """The rotated logs that were seen, and what becomes of them.

    Attributes:
        logs: to be archived.
        skipped: those that are left alone, and why.
        archived: logs that an archive has whose run could not delete them.
        twins: logs that also stand among ``logs``, compressed.
        known: compressed logs whose lines an archive holds already.
        writers: by the names of those that are open, who has them so, where that is known.
    """

    logs: list[Log] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    archived: list[Log] = field(default_factory=list)
    twins: list[Log] = field(default_factory=list)
    known: list[Log] = field(default_factory=list)
    writers: dict[str, str] = field(default_factory=dict)

    def skip(self, name: str, reason: str, said: str = "") -> None:
        """Say of a log why it is left alone."""
        text = said or _SAID.get(reason, reason)
        self.skipped.append({"file": one_line(name), "reason": reason, "msg": one_line(text, 300)})

    def leave(self, log: Log, reason: str, said: str) -> None:
        """Leave a log alone that was to be archived."""
        log.close()
        self.logs.remove(log)
        self.skip(log.name, reason, said)

    def close(self) -> None:
        """Close all logs."""
        for log in self.logs + self.archived + self.twins + self.known:
            log.close()


class Look:
    """A look at the rotated logs of an open directory, and at who has them open."""

    def __init__(self, logs: Root, archives: Root) -> None:
        self.seen = Seen()
        self._logs = logs
        self._devices = {logs.device, archives.device}
        self._processes: OpenFiles | None = None

    def take(self, patterns: Sequence[str], archived: Collection[Identity]) -> list[str]:
        """Take the rotated logs, open; the names of all that is there.

        Args:
            patterns: names of rotated logs.
            archived: the logs that an archive has whose run could not delete them.
        """
        known: set[int] = set()
        names = sorted(os.listdir(self._logs.fd))
        origins = rotated_from(names)
        live = written_to(names)
        for name in names:
            if not _is_rotated(name, patterns):
                continue
            if name in origins:
                self.seen.skip(name, "live_log", f"is the log that {one_line(origins[name], 80)} was rotated from")
            elif name in live:
                self.seen.skip(name, "live_log", live[name])
            else:
                self._take(name, archived, known)
        return names

    def _take(self, name: str, archived: Collection[Identity], known: set[int]) -> None:
        seen = self.seen
        try:
            fd = open_regular_at(self._logs.fd, name)
        except FileNotFoundError:  # rotated away: the next run has it
            return
        except OSError as error:
            reason = "no_regular_file" if isinstance(error, NotRegularError) else "denied"
            seen.skip(name, reason)
            return
        facts = os.fstat(fd)
        if facts.st_ino in known:  # renamed while the directory was read
            os.close(fd)
            return
        why, is_leased = self._lease(fd, facts)
        if why:
            os.close(fd)
            holder = self.open_files().holder(facts) if why == "open" else ""
            seen.skip(name, why, f"open by {holder}" if holder else "")
            if why == "open":
                seen.writers[name] = holder
            return
        known.add(facts.st_ino)
        log = Log(name, fd, Identity.of(facts), is_leased)
        (seen.archived if log.identity in archived else seen.logs).append(log)

    def _lease(self, fd: int, facts: os.stat_result) -> tuple[str, bool]:
        """Why a log must be left alone, or empty text; and whether a lease says that nobody writes to it meanwhile."""
        try:
            lease(fd, fcntl.F_RDLCK)
        except OSError as error:
            if error.errno == errno.EAGAIN or self.open_files().holder(facts):
                return "open", False
            return "" if self.open_files().complete else "unproven", False
        return "", True

    def open_files(self) -> OpenFiles:
        """A look at all processes, for which there is seldom a need."""
        if self._processes is None:
            self._processes = OpenFiles(self._devices)
        return self._processes


def _is_rotated(name: str, patterns: Sequence[str]) -> bool:
    plain = log_name(name)
    # Of a name that was cut to be set aside, the pattern fitted the whole.
    is_cut = plain != name and was_shortened(plain)
    return is_cut or is_rotated(plain, patterns)
