# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs over one log directory leave in the archive directory for the next: journals, hashes, an archive half made.

A run that finds a journal finishes what it says: it gives the archive its name if only that is lacking, and deletes the
logs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from datetime import date, timedelta

from ..errors import MediaOpsError
from ..state import directory
from ..system.tree import Root
from .journal import JOURNAL, JOURNAL_MAX, Identity, Journal, Memory, journals_from_bytes, journals_to_bytes, own_name
from .register import REGISTER

_REMEMBERED_MAX = 10_000


class BetweenRuns:
    """What is kept for the next run over a log directory.

    Attributes:
        journals: of archives whose logs are not deleted yet, by a run before or by this one.
        unnamed: that of them whose archive was packed and compared, and did not get its name.
        left: what a run before left, in lines.
        temp_name: of an archive until it gets its name.
    """

    def __init__(self, log_dir: str, archives: Root) -> None:
        self.journals: list[Journal] = []
        self.unnamed: Journal | None = None
        self.left: list[str] = []
        self._archives = archives
        self._journal_name, self.temp_name, self._memory_name = (
            own_name(log_dir, what) for what in (JOURNAL, "tmp", "compressed")
        )
        self._memory = Memory()

    def read(self, *, check_mode: bool) -> None:
        """What earlier runs left: their journals, and what they were at when they were cut off."""
        with directory.failing(f"cannot read {self._journal_path}, which says what is archived already"):
            data = directory.read_if_there(self._archives.fd, self._journal_name, JOURNAL_MAX)
        begun = self._facts(self.temp_name)
        for journal in journals_from_bytes(data or b"", self._journal_path):
            facts = self._facts(journal.archive)
            if facts and journal.is_of(facts):
                self.journals.append(journal)
            elif begun and not journal.kept and journal.is_of(begun):
                self.unnamed = journal
                self.journals.append(journal)
        if self.unnamed:
            self.left.append(f"{self.unnamed.archive} was packed and compared, and lacked its name: it is taken up")
        elif begun:
            self.left.append(f"an archive of {begun.st_size} bytes that was not packed to its end: it is removed")
        if not check_mode:
            self._drop_temporaries()
        memory_path = f"{self._archives.path}/{self._memory_name}"
        with directory.failing(f"cannot read {memory_path}, which says what is archived already"):
            data = directory.read_if_there(self._archives.fd, self._memory_name, JOURNAL_MAX)
        self._memory = Memory.from_bytes(data or b"", memory_path)

    def _drop_temporaries(self) -> None:
        """What a killed run had begun; none is at work now, as the directories are locked."""
        for name in os.listdir(self._archives.fd):
            begun = tuple(f".{what}." for what in (self._journal_name, self._memory_name, REGISTER))
            is_temp = name == self.temp_name and not self.unnamed
            if is_temp or (name.startswith(begun) and name.endswith(".tmp")):
                os.unlink(name, dir_fd=self._archives.fd)

    def _facts(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._archives.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @property
    def _journal_path(self) -> str:
        return f"{self._archives.path}/{self._journal_name}"

    def archived_hashes(self) -> set[str]:
        """Of logs that an archive holds, and that may turn up once more."""
        return {*self._memory.days, *(sha256 for one in self.journals for sha256 in one.files.values())}

    def add(self, journal: Journal) -> None:
        """Keep which logs are in an archive before it gets its name."""
        self.journals.append(journal)
        self._write_journals()

    def name(self, journal: Journal) -> None:
        """Give an archive that the journal knows its name."""
        if self._facts(journal.archive):
            raise MediaOpsError(
                f"{self._archives.path}/{journal.archive} is there already, and is not what {self.temp_name} beside "
                "it was to become: look at both, and move one away. All logs are kept"
            )
        os.rename(self.temp_name, journal.archive, src_dir_fd=self._archives.fd, dst_dir_fd=self._archives.fd)
        os.fsync(self._archives.fd)

    def remember(self, hashes: Collection[str], today: date, keep_days: int) -> None:
        """Keep hashes of logs that an archive holds, and that may turn up once more; those of earlier days, too.

        Args:
            hashes: SHA-256 of each.
            today: the day of the run.
            keep_days: after so many days they are forgotten.
        """
        days = {**self._memory.days, **dict.fromkeys(sorted(hashes), f"{today:%Y%m%d}")}
        oldest = f"{today - timedelta(days=keep_days):%Y%m%d}"
        kept = [(sha256, day) for sha256, day in days.items() if day >= oldest][-_REMEMBERED_MAX:]
        self._memory = Memory(dict(kept))
        path = f"{self._archives.path}/{self._memory_name}"
        directory.replace_file(self._archives.fd, self._memory_name, self._memory.to_bytes(), 0o600, path)

    def keep_only(self, files: Collection[Identity]) -> None:
        """Keep of the journals what could not be deleted, and nothing else."""
        for journal in self.journals:
            journal.files = {file: journal.files[file] for file in journal.files if file in files}
            journal.kept = True
        self.journals = [journal for journal in self.journals if journal.files]
        if self.journals:
            self._write_journals()
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._journal_name, dir_fd=self._archives.fd)
            os.fsync(self._archives.fd)

    def _write_journals(self) -> None:
        data = journals_to_bytes(self.journals)
        directory.replace_file(self._archives.fd, self._journal_name, data, 0o600, self._journal_path)
