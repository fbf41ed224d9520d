# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotated logs put into verified archives: no line is lost, none is there twice, wherever a run is killed.

The order is what guarantees it. The archive is written under a temporary name, brought to the disk, read back and
compared; a journal then says which files are in which archive; the archive gets its name; only then do the files go,
and the journal last. A run that finds a journal finishes what it says, if the archive got its name, else forgets it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import fnmatch
import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any

from ..clock import require_clock
from ..deadline import Deadline, seconds_for
from ..errors import MediaOpsError, OptionError
from ..opener import NotRegularError, kind_of, open_regular_at
from ..plan import Action, plan_hash, planned, require_hash
from ..shapes import one_line
from ..state import directory
from ..system.open_files import OpenFiles, lease, leased
from ..system.tree import Root, locked, opened_option
from ..times import utc_now
from .archive import (
    ARCHIVE_NAME,
    Member,
    Source,
    archive_name,
    compression_of,
    hashed,
    verify_archive,
    write_archive,
)
from .journal import Expired, Identity, Journal
from .rotation import rotation

_ASIDE = re.compile(r"\.(.+)\.archived-[0-9]+")
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_JOURNAL_MAX = 1 << 22
_MEMBER_OVERHEAD = 2048


@dataclass
class Log:
    """A rotated log, open."""

    name: str
    fd: int
    identity: Identity
    leased: bool

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
    """All that is to be known for a plan."""

    logs: list[Log] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    archived: list[Log] = field(default_factory=list)
    journal: Journal | None = None
    expired: list[Expired] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)
    writers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """Options that were checked; ``day`` is the one that an archive is named after."""

    patterns: Sequence[str]
    limits: Sequence[Mapping[str, Any]]
    keep_days: int
    expected_ratio: float
    day: date
    compression: str
    plan_hash: str | None


def log_archive(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """The result of module log_archive."""
    require_clock(params)
    settings = _settings(params)
    with (
        opened_option("log_dir", params["log_dir"]) as logs,
        opened_option("archive_dir", params["archive_dir"]) as archives,
    ):
        run = _Run(settings, logs, archives)
        with contextlib.closing(run), contextlib.ExitStack() as locks:
            if not check_mode:
                # One run at a time in either directory; disk_cleanup leaves a locked one alone.
                for root in {root.path: root for root in (logs, archives)}.values():
                    locks.enter_context(locked(root))
                run.drop_temporaries()
            return run.work(check_mode=check_mode)


def _settings(params: Mapping[str, Any]) -> Settings:
    if params["keep_days"] < 1:
        raise OptionError("keep_days", params["keep_days"], "must be 1 or more")
    if not 0 < params["expected_ratio"] <= 1:
        raise OptionError("expected_ratio", params["expected_ratio"], "must be more than 0, and 1 at most")
    for pattern in params["patterns"] or [""]:
        if not pattern or "/" in pattern:
            raise OptionError("patterns", pattern, "must be patterns of file names: not empty, and without /")
        if fnmatch.fnmatchcase("application.log", pattern):
            raise OptionError("patterns", pattern, "would take logs that are written to, such as application.log")
    return Settings(
        patterns=params["patterns"],
        limits=params["limits"],
        keep_days=params["keep_days"],
        expected_ratio=params["expected_ratio"],
        day=_day(params["date"]),
        compression=compression_of(params["compression"]),
        plan_hash=params["plan_hash"],
    )


def _day(given: str | None) -> date:
    if given is None:
        return utc_now().date()
    try:
        return datetime.strptime(given.replace("-", ""), "%Y%m%d").replace(tzinfo=timezone.utc).date()
    except ValueError:
        raise OptionError("date", given, "must be a day as YYYYMMDD or YYYY-MM-DD") from None


class _Run:
    """One run over one log directory and one archive directory, both open."""

    def __init__(self, settings: Settings, logs: Root, archives: Root) -> None:
        self._settings = settings
        self._logs = logs
        self._archives = archives
        self._seen = Seen()
        # Runs over other log directories may share the archive directory.
        own = hashlib.sha256(os.fsencode(logs.path)).hexdigest()[:8]
        self._journal_name = f".archived_logs.{own}.journal"
        self._temp_name = f".archived_logs.{own}.tmp"
        self._archive: dict[str, Any] | None = None
        self._removed: list[int] = []
        self._gone: list[str] = []
        self._processes: OpenFiles | None = None
        self._deadline = Deadline(seconds_for(0))

    def close(self) -> None:
        for log in self._seen.logs + self._seen.archived:
            log.close()

    def drop_temporaries(self) -> None:
        """What a killed run had begun; none is at work now, as the directories are locked."""
        for name in os.listdir(self._archives.fd):
            if name == self._temp_name or (name.startswith(f".{self._journal_name}.") and name.endswith(".tmp")):
                os.unlink(name, dir_fd=self._archives.fd)

    def work(self, *, check_mode: bool) -> dict[str, Any]:
        seen = self._seen
        self._look()
        self._deadline = Deadline(seconds_for(sum(log.identity.size for log in seen.logs + seen.archived)))
        state = rotation(self._logs.fd, self._settings.patterns, self._settings.limits, seen.writers)
        plan = make_plan(seen, self._logs.path, self._archives.path, self._settings.compression)
        require_hash(plan, self._settings.plan_hash)
        space = self._space()
        if not check_mode:
            for action in plan:
                self._carry_out(action)
        return {
            "changed": bool(plan) if check_mode else any(action["result"] == "done" for action in plan),
            "plan": plan,
            "hash": plan_hash(plan),
            "archive": self._archive,
            "removed": {"files": len(self._removed), "bytes": sum(self._removed)},
            "skipped_files": seen.skipped,
            "expired": {"removed": self._gone, "disagreeing": seen.disagreeing},
            "space": space,
            "rotation": state,
        }

    # Looking

    def _look(self) -> None:
        seen = self._seen
        with directory.failing(f"cannot read {self._journal_path}, which says what is archived already"):
            data = directory.read_if_there(self._archives.fd, self._journal_name, _JOURNAL_MAX)
        journal = Journal.from_bytes(data or b"", self._journal_path)
        if journal and self._is_there(journal):
            seen.journal = journal
        known: set[int] = set()
        for name in sorted(os.listdir(self._logs.fd)):
            if self._is_rotated(name):
                self._take(name, known)
        seen.logs.sort(key=lambda log: (log.identity.mtime_ns, log.name))
        self._look_at_archives()

    @property
    def _journal_path(self) -> str:
        return f"{self._archives.path}/{self._journal_name}"

    def _is_there(self, journal: Journal) -> bool:
        """Whether the archive of a journal got its name; if not, its run was killed before anything was deleted."""
        try:
            facts = os.stat(journal.archive, dir_fd=self._archives.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (facts.st_ino, facts.st_size) == (journal.archive_inode, journal.archive_size)

    def _is_rotated(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(_plain(name), pattern) for pattern in self._settings.patterns)

    def _take(self, name: str, known: set[int]) -> None:
        seen = self._seen
        try:
            fd = open_regular_at(self._logs.fd, name)
        except FileNotFoundError:  # rotated away: the next run has it
            return
        except OSError as error:
            reason = "no_regular_file" if isinstance(error, NotRegularError) else "denied"
            seen.skipped.append({"file": one_line(name), "reason": reason})
            return
        facts = os.fstat(fd)
        if facts.st_ino in known:  # renamed while the directory was read
            os.close(fd)
            return
        why, is_leased = self._lease(fd, facts)
        if why:
            os.close(fd)
            seen.skipped.append({"file": one_line(name), "reason": why})
            if why == "open":
                seen.writers[name] = self._open_files().holder(facts)
            return
        known.add(facts.st_ino)
        log = Log(name, fd, Identity.of(facts), is_leased)
        is_archived = seen.journal is not None and log.identity in seen.journal.files
        (seen.archived if is_archived else seen.logs).append(log)

    def _lease(self, fd: int, facts: os.stat_result) -> tuple[str, bool]:
        """Why a log must be left alone, or empty text; and whether a lease says that nobody writes to it meanwhile."""
        try:
            lease(fd, fcntl.F_RDLCK)
        except OSError as error:
            if error.errno == errno.EAGAIN or self._open_files().holder(facts):
                return "open", False
            return "" if self._open_files().complete else "unproven", False
        return "", True

    def _open_files(self) -> OpenFiles:
        """A look at all processes, for which there is seldom a need."""
        if self._processes is None:
            self._processes = OpenFiles({self._logs.device})
        return self._processes

    def _look_at_archives(self) -> None:
        seen, today = self._seen, utc_now().date()
        for name in sorted(os.listdir(self._archives.fd)):
            found = ARCHIVE_NAME.fullmatch(name)
            facts = os.stat(name, dir_fd=self._archives.fd, follow_symlinks=False) if found else None
            if not found or not facts or not stat.S_ISREG(facts.st_mode):
                continue
            changed = datetime.fromtimestamp(facts.st_mtime, timezone.utc).date()
            ages = [_age(found.group(1), today), (today - changed).days]
            old = [age is not None and age > self._settings.keep_days for age in ages]
            if all(old):
                seen.expired.append(Expired(name, facts.st_size, facts.st_mtime_ns))
            elif any(old):
                seen.disagreeing.append(name)

    def _space(self) -> dict[str, Any]:
        """What an archive may take, and what there is for it; too little of it ends the run before anything is done."""
        needed = sum(
            math.ceil(log.identity.size * (1 if _is_packed(log.name) else self._settings.expected_ratio))
            + _MEMBER_OVERHEAD
            for log in self._seen.logs
        )
        figures = self._archives.statvfs()
        free = figures.f_bavail * figures.f_frsize + sum(archive.size for archive in self._seen.expired)
        if needed > free:
            raise MediaOpsError(
                f"the archive may need {needed} bytes, and {self._archives.path} has {free}: nothing was done",
                needed_bytes=needed,
                free_bytes=free,
            )
        return {"needed_bytes": needed, "free_bytes": free}

    # Acting

    def _carry_out(self, action: Action) -> None:
        work = {"finish": self._finish, "expire": self._expire, "archive": self._make}[action["stable"]["kind"]]
        action["msg"] = work()
        action["result"] = "done"

    def _finish(self) -> str:
        """Delete what a killed run had archived, after comparing it once more."""
        journal = self._seen.journal
        if journal is None:
            return "nothing left to finish"
        for log in self._seen.archived:
            if hashed(log.fd, self._deadline)[1] == journal.files[log.identity]:
                self._remove(log)
            else:
                self._seen.skipped.append({"file": one_line(log.name), "reason": "changed"})
        self._forget()
        return f"{len(self._removed)} logs deleted that {journal.archive} holds"

    def _expire(self) -> str:
        for archive in self._seen.expired:
            facts = os.stat(archive.name, dir_fd=self._archives.fd, follow_symlinks=False)
            if Expired(archive.name, facts.st_size, facts.st_mtime_ns) == archive:
                os.unlink(archive.name, dir_fd=self._archives.fd)
                self._gone.append(archive.name)
        os.fsync(self._archives.fd)
        return f"{len(self._gone)} archives deleted"

    def _make(self) -> str:
        """Write, compare, name; then delete the files."""
        self._forget()
        name = self._free_name()
        with self._temp() as temp:
            logs, members = self._write(temp)
            if not logs:
                return "every log was written to meanwhile: nothing was archived"
            facts = os.fstat(temp)
            files = {log.identity: member.sha256 for log, member in zip(logs, members)}  # noqa: B905
            journal = Journal(name, facts.st_ino, facts.st_size, files)
            directory.replace_file(self._archives.fd, self._journal_name, journal.to_bytes(), 0o600, self._journal_path)
            os.rename(self._temp_name, name, src_dir_fd=self._archives.fd, dst_dir_fd=self._archives.fd)
            os.fsync(self._archives.fd)
        self._archive = {
            "path": f"{self._archives.path}/{name}",
            "bytes": facts.st_size,
            "members": len(members),
            "source_bytes": sum(member.size for member in members),
            "compression": self._settings.compression,
        }
        for log in logs:
            self._remove(log)
        self._forget()
        return f"{len(members)} logs in {name}, compared with the files, of which {len(self._removed)} are deleted"

    def _free_name(self) -> str:
        """A name for the archive that no other has, with a number where the day has one already."""
        for number in range(1, 1000):
            name = archive_name(self._settings.day, number, self._settings.compression)
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
            fd = os.open(self._temp_name, _NEW, 0o600, dir_fd=self._archives.fd)
            try:
                yield fd
            finally:
                os.close(fd)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._temp_name, dir_fd=self._archives.fd)

    def _write(self, temp: int) -> tuple[list[Log], list[Member]]:
        """An archive of logs that did not change while it was written; one that does is left for the next run."""
        logs = list(self._seen.logs)
        while logs:
            os.ftruncate(temp, 0)
            os.lseek(temp, 0, os.SEEK_SET)
            members = write_archive(temp, _sources(logs), self._settings.compression, self._deadline)
            verify_archive(temp, members, self._settings.compression, self._deadline)
            still = [log for log in logs if log.unchanged()]
            if still == logs:
                return logs, members
            for log in logs:
                if log not in still:
                    log.close()
                    self._seen.skipped.append({"file": one_line(log.name), "reason": "changed"})
            logs = still
        return [], []

    def _remove(self, log: Log) -> None:
        """Delete a log by the name that it has now, which a rotation may change at any moment.

        It is first renamed to what no rotation touches, then looked at; what was caught in its place goes back.
        """
        name = self._name_now(log)
        if not name or not log.unchanged():
            self._seen.skipped.append({"file": one_line(log.name), "reason": "changed" if name else "gone"})
            return
        directory = self._logs.fd
        aside = f".{_plain(name)}.archived-{log.identity.inode}"
        try:
            os.rename(name, aside, src_dir_fd=directory, dst_dir_fd=directory)
            if Identity.of(os.stat(aside, dir_fd=directory, follow_symlinks=False)) != log.identity:
                self._seen.skipped.append({"file": one_line(log.name), "reason": "changed"})
                # Without a place to go back to, it waits under this name for the next run to archive it.
                with contextlib.suppress(FileExistsError):
                    os.link(aside, name, src_dir_fd=directory, dst_dir_fd=directory)
                    os.unlink(aside, dir_fd=directory)
                return
            os.unlink(aside, dir_fd=directory)
        except OSError as error:
            reason = "gone" if error.errno == errno.ENOENT else one_line(error.strerror)
            self._seen.skipped.append({"file": one_line(log.name), "reason": reason})
            return
        self._removed.append(log.identity.size)

    def _name_now(self, log: Log) -> str:
        names = [log.name, *sorted(os.listdir(self._logs.fd))]
        for name in names:
            with contextlib.suppress(OSError):
                facts = os.stat(name, dir_fd=self._logs.fd, follow_symlinks=False)
                if Identity.of(facts) == log.identity:
                    return name
        return ""

    def _forget(self) -> None:
        """The journal has done its service once the deletions are on the disk."""
        os.fsync(self._logs.fd)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._journal_name, dir_fd=self._archives.fd)
            os.fsync(self._archives.fd)


def make_plan(seen: Seen, log_dir: str, archive_dir: str, compression: str) -> list[Action]:
    """What is to be done, in order: finish what a run left, drop old archives to make room, archive."""
    plan = []
    if seen.journal:
        plan.append(
            planned(
                "delete",
                f"{len(seen.archived)} logs in {log_dir} that {seen.journal.archive} holds",
                "a run before was ended between its archive and the deletion",
                ["WL-2"],
                stable={"kind": "finish", "archive": seen.journal.archive, "files": _stable(seen.archived)},
            )
        )
    if seen.expired:
        plan.append(
            planned(
                "delete",
                f"{len(seen.expired)} archives in {archive_dir}",
                "older than they are kept, by the day in their name and by their time",
                ["WL-4"],
                stable={"kind": "expire", "archives": [list(archive) for archive in seen.expired]},
            )
        )
    if seen.logs:
        plan.append(
            planned(
                "archive",
                f"{len(seen.logs)} rotated logs of {log_dir}",
                "rotated logs are kept in archives",
                ["WL-2", "WL-3"],
                stable={"kind": "archive", "compression": compression, "files": _stable(seen.logs)},
            )
        )
    return plan


def _stable(logs: Sequence[Log]) -> list[list[Any]]:
    """Files by what they are: their names change by rotation."""
    return sorted([*log.identity] for log in logs)


def _plain(name: str) -> str:
    """The name of a log, also of one that a killed run had set aside."""
    aside = _ASIDE.fullmatch(name)
    return aside.group(1) if aside else name


def _is_packed(name: str) -> bool:
    return name.endswith((".gz", ".zst", ".xz", ".bz2"))


def _age(day: str, today: date) -> int | None:
    try:
        made = datetime.strptime(day, "%Y%m%d").replace(tzinfo=timezone.utc).date()
    except ValueError:
        return None
    return (today - made).days


def _sources(logs: Sequence[Log]) -> list[Source]:
    """What goes into the archive; of two with one name, as a killed run may leave them, the second gets another."""
    sources, names = [], set()
    for log in logs:
        name = _plain(log.name)
        if name in names:
            name = f"{name}.{log.identity.inode}"
        names.add(name)
        sources.append(Source(name, log.fd, log.identity.size, log.identity.mtime_ns / 10**9))
    return sources
