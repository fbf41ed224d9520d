# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives that are past their age: which go, which stay, and what is held until a copy of it is proved."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Collection
from datetime import date
from typing import Any, Callable, NamedTuple

from ..shapes import one_line
from ..system.file_flags import flag_of
from ..system.mounts import MountPoints
from ..system.open_files import NOT_CLAIMED, OpenFiles, claimed, leased
from ..system.stamp import Stamp
from ..system.tree import Root
from ..words import number_of
from .archive import ARCHIVE_NAME, days_old
from .register import Register

_DAY_0 = date(1970, 1, 1)
_SHOWN = 20
_SAID = {
    **NOT_CLAIMED,
    "needed": "it holds logs that could not be deleted, and that would be archived once more without it",
}


class Expired(NamedTuple):
    """An archive that is old by its name and by its time, as it was looked at."""

    name: str
    stamp: Stamp

    @property
    def size(self) -> int:
        """In bytes."""
        return self.stamp.size


class Terms(NamedTuple):
    """When an archive goes.

    Attributes:
        keep_days: the age that it must have passed.
        copied_to: where a copy of it must be proved; empty where none is asked for.
        held_max_percent: of the file system, from which on what is held is more than can wait; None for whatever.
    """

    keep_days: int
    copied_to: str
    held_max_percent: float | None


class Expiry:
    """The archives of an open directory that are past their age by the day in their name, or by their time."""

    def __init__(
        self, archives: Root, terms: Terms, today: date, register: Register, needed: Collection[str] = ()
    ) -> None:
        """Look at them.

        Args:
            archives: their directory.
            terms: when one goes.
            today: the day that ages are counted to.
            register: which of them have a proved copy.
            needed: names of those that logs still stand beside, which could not be deleted.
        """
        self._archives = archives
        self._terms = terms
        self.due: list[Expired] = []
        self.disagreeing: list[str] = []
        self._held: list[Expired] = []
        self._removed: list[str] = []
        self._kept: list[dict[str, str]] = []
        for name in sorted(os.listdir(archives.fd)):
            if not ARCHIVE_NAME.fullmatch(name):
                continue
            facts = os.stat(name, dir_fd=archives.fd, follow_symlinks=False)
            if not stat.S_ISREG(facts.st_mode):
                continue
            # By the younger of its dates: what was copied back, or put here with its date, is as young as its arrival.
            since = max(facts.st_mtime_ns, facts.st_ctime_ns) // (86400 * 10**9)
            ages = [days_old(name, today), (today - _DAY_0).days - since]
            old = [age is not None and age > terms.keep_days for age in ages]
            if not all(old):
                if any(old):
                    self.disagreeing.append(name)
            elif name in needed:
                self._keep(name, "needed")
            elif self._is_copied(name, facts.st_size, register):
                self.due.append(Expired(name, Stamp.of(facts)))
            else:
                self._held.append(Expired(name, Stamp.of(facts)))

    def _is_copied(self, name: str, size: int, register: Register) -> bool:
        made = register.archives.get(name)
        to = self._terms.copied_to
        return not to or (made is not None and (made.copied_to, made.bytes) == (to, size))

    def _keep(self, name: str, reason: str, said: str = "") -> None:
        text = one_line(said or _SAID.get(reason, reason), 300)
        self._kept.append({"archive": name, "reason": reason, "msg": text})

    def delete(self, open_files: Callable[[], OpenFiles]) -> tuple[str, bool]:
        """Delete what is due, but for what somebody has open; what came of it, and whether anything went."""
        before = len(self._kept)
        points = MountPoints().below(self._archives) if self.due else {}
        for archive in self.due:
            point = points.get(archive.name)
            why, said = ("mount", point.says) if point else self._delete(archive, open_files())
            if why:
                self._keep(archive.name, why, said)
            else:
                self._removed.append(archive.name)
        os.fsync(self._archives.fd)
        kept = "".join(f"; {kept['archive']} stays: {kept['msg']}" for kept in self._kept[before : before + 1])
        return f"{number_of(len(self._removed), 'archive')} deleted{kept}", bool(self._removed)

    def _delete(self, archive: Expired, open_files: OpenFiles) -> tuple[str, str]:
        """Delete an archive that nobody has open; else why it stays, and the same for people."""
        try:
            facts = os.stat(archive.name, dir_fd=self._archives.fd, follow_symlinks=False)
            if Stamp.of(facts) != archive.stamp:
                return "changed", ""
            with claimed(self._archives.fd, archive.name, facts, open_files) as (fd, claim):
                why, said = claim, open_files.says(facts, claim)
                if fd is not None and not leased(fd, fcntl.F_WRLCK):
                    why, said = "open", "a process wants to open it"
                flag = flag_of(fd) if fd is not None and not why else ""
                if flag:
                    why, said = flag, f"is {flag.replace('_', '-')} (chattr)"
                if not why:
                    os.unlink(archive.name, dir_fd=self._archives.fd)
                return why, said
        except FileNotFoundError:
            return "gone", ""
        except OSError as error:
            return "denied", one_line(error.strerror)

    def result(self) -> dict[str, Any]:
        """What came of them."""
        figures = self._archives.statvfs()
        taken = sum(archive.size for archive in self._held)
        percent = 100 * taken / max(figures.f_blocks * figures.f_frsize, 1)
        most = self._terms.held_max_percent
        return {
            "removed": self._removed,
            "disagreeing": self.disagreeing,
            "kept": self._kept,
            "held": {
                "archives": len(self._held),
                "bytes": taken,
                "percent": round(percent, 2),
                "beyond": bool(self._held) and most is not None and percent >= most,
                "copied_to": self._terms.copied_to,
                "oldest": [archive.name for archive in self._held[:_SHOWN]],
            },
        }
