# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An archive of rotated logs: whether there is room for it, and how it is written, compared and given its name."""

from __future__ import annotations

import contextlib
import math
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..deadline import Deadline
from ..errors import MediaOpsError
from ..opener import kind_of
from ..rotated import PACKED
from ..state import directory
from ..system.tree import Root
from .archive import NEW_FILE, Member, Source, archive_name, data_size, hashed, verify_archive, write_archive
from .between_runs import BetweenRuns
from .journal import Journal
from .redacted import can_be_read, plain_name, redacted
from .register import Made, Register, write_register
from .rotated_logs import Log, Seen
from .set_aside import NAME_MAX, log_name, shortened
from .settings import Settings

_MEMBER_OVERHEAD = 2048
_UNPACKED = 12  # by what logs of text grow, rather too much
_RATIOS = 8
_RATIO_MARGIN = 1.5  # beyond the worst that earlier archives took: no two weeks have the same lines


def require_space(
    logs: Sequence[Log], settings: Settings, archives: Root, register: Register, freed: int
) -> dict[str, Any]:
    """What an archive of the logs may take, and what there is for it, in bytes.

    Args:
        logs: to be archived.
        settings: the options.
        archives: the directory that it goes to.
        register: what earlier archives took.
        freed: bytes that go before it is made.

    Raises:
        MediaOpsError: there is too little.
    """
    ratio = _ratio(register, settings.expected_ratio)
    needed = sum(
        math.ceil(data_size(log.fd, log.identity.size) * (1 if log.name.endswith(PACKED) else ratio)) + _MEMBER_OVERHEAD
        for log in logs
    )
    if settings.redactor is not None:
        # Each lies there unpacked for a while, one after the other.
        sizes = (log.identity.size * (_UNPACKED if log.name.endswith(PACKED) else 1) for log in logs)
        needed += max(sizes, default=0)
    figures = archives.statvfs()
    free = figures.f_bavail * figures.f_frsize + freed
    if needed > free:
        raise MediaOpsError(
            f"the archive may need {needed} bytes, and {archives.path} has {free}: nothing was done",
            needed_bytes=needed,
            free_bytes=free,
        )
    return {"needed_bytes": needed, "free_bytes": free, "ratio": round(ratio, 4)}


def _ratio(register: Register, expected: float) -> float:
    """What part of its size text may take in the archive, by what earlier ones took."""
    made = [one.ratio for _name, one in sorted(register.archives.items())]
    ratios = [ratio for ratio in made if ratio is not None][-_RATIOS:]
    return min(1.0, max(ratios) * _RATIO_MARGIN) if ratios else expected


class Packed(NamedTuple):
    """An archive that was made.

    Attributes:
        name: of the archive.
        logs: those that it holds, with their hashes, and their twins.
        result: what the module returns of it.
    """

    name: str
    logs: list[Log]
    result: dict[str, Any]


class Making:
    """Makes one archive of open logs."""

    def __init__(
        self,
        settings: Settings,
        archives: Root,
        seen: Seen,
        between: BetweenRuns,
        *,
        register: Register,
        deadline: Deadline,
    ) -> None:
        self._settings = settings
        self._archives = archives
        self._seen = seen
        self._between = between
        self._register = register
        self._deadline = deadline

    def make(self) -> Packed | None:
        """Write, compare, name; None where every log was written to meanwhile."""
        settings, register = self._settings, self._register
        name = self._free_name()
        with self._temp() as temp:
            logs, members = self._write(temp)
            if not logs:
                return None
            facts = os.fstat(temp)
            for log, member in zip(logs, members):  # noqa: B905
                # What an archive without secrets holds is not what the log does.
                log.sha256 = member.sha256 if settings.redactor is None else hashed(log.fd, self._deadline)[1]
            logs += [twin for twin in self._seen.twins if twin.twin_of in logs]
            packed = sum(member.size for member in members if member.name.endswith(PACKED))
            plain = sum(member.size for member in members) - packed
            register.archives[name] = Made(facts.st_size, hashed(temp, self._deadline)[1], plain, packed)
            register.forget_gone(os.listdir(self._archives.fd), settings.today, settings.terms.keep_days)
            write_register(self._archives, register)
            journal = Journal(name, facts.st_ino, facts.st_size, {log.identity: log.sha256 for log in logs})
            self._between.add(journal)
            self._between.name(journal)
        result = {
            "path": f"{self._archives.path}/{name}",
            "bytes": facts.st_size,
            "members": len(members),
            "source_bytes": plain + packed,
            "compression": settings.compression,
        }
        return Packed(name, logs, result)

    def _free_name(self) -> str:
        """A name for the archive that no other has, with a number where the day has one already."""
        for number in range(1, 1000):
            name = archive_name(self._settings.day, number, self._settings.compression)
            if name in self._register.archives:  # of a run over other logs that was cut off before its name
                continue
            try:
                facts = os.stat(name, dir_fd=self._archives.fd, follow_symlinks=False)
            except FileNotFoundError:
                return name
            if not stat.S_ISREG(facts.st_mode):
                there = f"{self._archives.path}/{name} is {kind_of(facts)}"
                raise MediaOpsError(f"{there}: nothing was archived, all logs are kept")
        raise MediaOpsError(f"{self._archives.path} has 999 archives of {self._settings.day}")

    @contextlib.contextmanager
    def _temp(self) -> Iterator[int]:
        """The new file, open; it does not outlive an error."""
        with directory.failing(f"cannot write an archive to {self._archives.path}; all logs are kept"):
            fd = os.open(self._between.temp_name, NEW_FILE, 0o600, dir_fd=self._archives.fd)
            try:
                yield fd
            finally:
                os.close(fd)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._between.temp_name, dir_fd=self._archives.fd)

    def _write(self, temp: int) -> tuple[list[Log], list[Member]]:
        """An archive of logs that did not change while it was written; one that does is left for the next run."""
        logs = [log for log in self._seen.logs if self._can_be_written(log)]
        while logs:
            os.ftruncate(temp, 0)
            os.lseek(temp, 0, os.SEEK_SET)
            members = write_archive(temp, self._written(logs), self._settings.compression, self._deadline)
            verify_archive(temp, members, self._settings.compression, self._deadline)
            still = [log for log in logs if log.unchanged()]
            if still == logs:
                return logs, members
            for log in logs:
                if log not in still:
                    log.close()
                    self._seen.skip(log.name, "changed")
            logs = still
        return [], []

    def _can_be_written(self, log: Log) -> bool:
        if self._settings.redactor is None or can_be_read(log.fd, log_name(log.name), self._deadline):
            return True
        log.close()
        self._seen.skip(log.name, "damaged")
        return False

    def _written(self, logs: Sequence[Log]) -> Iterator[Source]:
        """What goes into the archive, one after the other."""
        for source in _sources(logs, as_plain=self._settings.redactor is not None):
            if self._settings.redactor is None:
                yield source
                continue
            with redacted(source, self._settings.redactor, self._archives.fd, self._deadline) as clean:
                yield clean


def _sources(logs: Sequence[Log], *, as_plain: bool = False) -> list[Source]:
    """What goes into the archive; of two with one name, as a killed run may leave them, the second gets another."""
    sources, names = [], set()
    for log in logs:
        name = log_name(log.name)
        if (plain_name(name) if as_plain else name) in names:
            ending = name[len(plain_name(name)) :] if as_plain else ""
            suffix = f".{log.identity.inode}{ending}"
            name = shortened(name[: len(name) - len(ending)], NAME_MAX - len(suffix)) + suffix
        names.add(plain_name(name) if as_plain else name)
        size = data_size(log.fd, log.identity.size)
        sources.append(Source(name, log.fd, size, log.identity.mtime_ns / 10**9))
    return sources
