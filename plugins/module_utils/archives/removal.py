# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs that an archive holds are deleted, by what they are and not by their name.

What cannot be deleted is kept in the journal, so that no other archive is made of it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os

from ..rotated import PACKED
from ..shapes import one_line
from ..system.open_files import lease
from ..system.tree import Root
from .between_runs import BetweenRuns
from .journal import Identity
from .rotated_logs import Log, Seen
from .set_aside import aside_name, log_name
from .settings import Settings


class Removal:
    """Deletes logs of an open directory.

    Attributes:
        removed: the bytes of each that was deleted.
        to_remember: hashes of logs that may turn up once more, as of those that somebody may compress right now.
    """

    def __init__(self, logs: Root, seen: Seen, between: BetweenRuns, settings: Settings) -> None:
        self.removed: list[int] = []
        self.to_remember: set[str] = set()
        self._logs = logs
        self._seen = seen
        self._between = between
        self._settings = settings
        self._undeletable: set[Identity] = set()

    def remove(self, log: Log, archive: str = "an archive") -> None:
        """Delete a log that an archive holds by the name that it has now, which a rotation may change at any moment.

        It is first renamed to what no rotation touches, then looked at; what was caught in its place goes back.
        """
        name = self._name_now(log)
        if log.sha256 and (not name or self._is_read(log, name)):
            # Who reads it now, or had it away, may be compressing it: the lines will stand there once more.
            self.to_remember.add(log.sha256)
        if not name or not log.unchanged():
            self._seen.skip(log.name, "changed" if name else "gone")
            return
        directory = self._logs.fd
        aside = aside_name(log_name(name), log.identity.inode)
        try:
            os.rename(name, aside, src_dir_fd=directory, dst_dir_fd=directory)
            if Identity.of(os.stat(aside, dir_fd=directory, follow_symlinks=False)) != log.identity:
                self._seen.skip(log.name, "changed")
                # Without a place to go back to, it waits under this name for the next run to archive it.
                with contextlib.suppress(FileExistsError):
                    os.link(aside, name, src_dir_fd=directory, dst_dir_fd=directory)
                    os.unlink(aside, dir_fd=directory)
                return
            os.unlink(aside, dir_fd=directory)
        except OSError as error:
            if log.sha256:
                self.to_remember.add(log.sha256)
            if error.errno == errno.ENOENT:
                self._seen.skip(log.name, "gone")
                return
            self._undeletable.add(log.identity)
            self._seen.skip(
                log.name,
                "undeletable",
                f"{archive} holds it, and it cannot be deleted ({one_line(error.strerror)}): it is not archived again; "
                f"let this user delete in {self._logs.path}, or delete it by hand",
            )
            return
        self.removed.append(log.identity.size)

    def _is_read(self, log: Log, name: str) -> bool:
        """Whether somebody may have a log open besides this run, or has made a compressed one of it."""
        for suffix in PACKED:
            with contextlib.suppress(OSError):
                os.stat(log_name(name) + suffix, dir_fd=self._logs.fd, follow_symlinks=False)
                return True
        try:
            # Of our own lease for readers it makes one that bears no other; given back at once.
            lease(log.fd, fcntl.F_WRLCK)
            lease(log.fd, fcntl.F_RDLCK)
        except OSError:
            return True
        return False

    def _name_now(self, log: Log) -> str:
        names = [log.name, *sorted(os.listdir(self._logs.fd))]
        for name in names:
            with contextlib.suppress(OSError):
                facts = os.stat(name, dir_fd=self._logs.fd, follow_symlinks=False)
                if Identity.of(facts) == log.identity:
                    return name
        return ""

    def forget(self) -> None:
        """The journal has done its service once the deletions are on the disk, but for what could not be deleted."""
        os.fsync(self._logs.fd)
        if self.to_remember:
            self._between.remember(self.to_remember, self._settings.today, self._settings.terms.keep_days)
        self._between.keep_only(self._undeletable)
