# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotated logs put into verified archives: no line is lost, none is there twice, wherever a run is killed.

The order is what guarantees it. The archive is written under a temporary name, brought to the disk, read back and
compared; a journal then says which files are in which archive; the archive gets its name; only then do the files go,
and the journal last. A run that finds a journal finishes what it says: it gives the archive its name if only that is
lacking, and deletes the files. What cannot be deleted stays in the journal, so that no other archive is made of it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

from ..clock import require_clock
from ..deadline import Deadline, seconds_for
from ..errors import MediaOpsError, OptionError
from ..opener import NotRegularError, kind_of, open_regular_at
from ..plan import Action, plan_hash, planned, require_hash
from ..redact import Redactor
from ..rotated import PACKED, rotated
from ..shapes import one_line
from ..state import directory
from ..system.open_files import OpenFiles, lease, leased
from ..system.tree import Root, locked, opened_option
from ..times import utc_now
from .archive import (
    Member,
    Source,
    archive_name,
    compression_of,
    data_size,
    hashed,
    hashed_unpacked,
    verify_archive,
    write_archive,
)
from .expiry import Expiry, Terms
from .journal import (
    JOURNAL,
    JOURNAL_MAX,
    Expired,
    Identity,
    Journal,
    Memory,
    journals_from_bytes,
    journals_to_bytes,
    own_name,
)
from .live import is_rotated, may_take_a_log, rotated_from, written_to
from .redacted import can_be_read, plain_name, redacted
from .register import REGISTER, Made, Register, read_register, write_register
from .rotation import rotation

_ASIDE = re.compile(r"\.(.+)\.archived-[0-9]+")
_SHORTENED = re.compile(r"~[0-9a-f]{16}~")
_NAME_MAX = 255
_SAID = {
    "changed": "was written to, moved or replaced meanwhile",
    "damaged": "cannot be unpacked, so that no secrets can be taken out of it",
    "denied": "cannot be opened by this user",
    "gone": "is not there any more",
    "live_log": "is the log that others were rotated from",
    "no_regular_file": "is no regular file",
    "open": "a process that cannot be told has it open",
    "twin": "may hold the same lines as another file",
    "unproven": "nobody can say whether a process has it open: there is no lease, and not all of /proc could be read",
}
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_REMEMBERED_MAX = 10_000
_MEMBER_OVERHEAD = 2048
_UNPACKED = 12  # by what logs of text grow, rather too much
_RATIOS = 8
_RATIO_MARGIN = 1.5  # beyond the worst that earlier archives took: no two weeks have the same lines


@dataclass
class Log:
    """A rotated log, open.

    Attributes:
        leased: whether a lease says that nobody writes to it.
        twin_of: a compressed log with the same lines, which is archived in its place.
        sha256: of a twin.
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
    """All that is to be known for a plan.

    Attributes:
        logs: to be archived.
        journals: of archives that a run before could not finish.
        archived: logs that these have.
        unnamed: that of them whose archive was packed and compared, and did not get its name.
        twins: logs that also stand among ``logs``, compressed.
        known: compressed logs whose lines an archive holds already.
    """

    logs: list[Log] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    archived: list[Log] = field(default_factory=list)
    twins: list[Log] = field(default_factory=list)
    known: list[Log] = field(default_factory=list)
    journals: list[Journal] = field(default_factory=list)
    unnamed: Journal | None = None
    writers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """Options that were checked; ``day`` is the one that an archive is named after."""

    patterns: Sequence[str]
    limits: Sequence[Mapping[str, Any]]
    terms: Terms
    expected_ratio: float
    day: date
    compression: str
    plan_hash: str | None
    redactor: Redactor | None


def log_archive(params: Mapping[str, Any], *, check_mode: bool, redactor: Redactor | None = None) -> dict[str, Any]:
    """The result of module log_archive.

    Args:
        params: its options.
        check_mode: whether to plan only.
        redactor: takes the secrets out of what goes into an archive, None for the lines as they are.
    """
    require_clock(params)
    settings = _settings(params, redactor)
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
            return run.work(check_mode=check_mode)


def _settings(params: Mapping[str, Any], redactor: Redactor | None) -> Settings:
    if params["keep_days"] < 1:
        raise OptionError("keep_days", params["keep_days"], "must be 1 or more")
    most = params["held_max_percent"]
    if most is not None and not 0 < most <= 100:
        raise OptionError("held_max_percent", most, "must be more than 0, and 100 at most")
    if not 0 < params["expected_ratio"] <= 1:
        raise OptionError("expected_ratio", params["expected_ratio"], "must be more than 0, and 1 at most")
    for pattern in params["patterns"] or [""]:
        if not pattern or "/" in pattern:
            raise OptionError("patterns", pattern, "must be patterns of file names: not empty, and without /")
        if may_take_a_log(pattern):
            raise OptionError(
                "patterns", pattern, "would take logs that are written to: it fits names that end with .log"
            )
    return Settings(
        patterns=params["patterns"],
        limits=params["limits"],
        terms=Terms(params["keep_days"], params["copied_to"] or "", most),
        expected_ratio=params["expected_ratio"],
        day=_day(params["date"]),
        compression=compression_of(params["compression"]),
        plan_hash=params["plan_hash"],
        redactor=redactor,
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
        self._journal_name, self._temp_name, self._memory_name = (
            own_name(logs.path, what) for what in (JOURNAL, "tmp", "compressed")
        )
        self._memory = Memory()
        self._remember: set[str] = set()
        self._undeletable: set[Identity] = set()
        self._register = Register()
        self._left: list[str] = []
        self._archive: dict[str, Any] | None = None
        self._removed: list[int] = []
        self._processes: OpenFiles | None = None
        self._deadline = Deadline(seconds_for(0))

    def close(self) -> None:
        seen = self._seen
        for log in seen.logs + seen.archived + seen.twins + seen.known:
            log.close()

    def work(self, *, check_mode: bool) -> dict[str, Any]:
        seen = self._seen
        self._look_at_earlier(check_mode=check_mode)
        self._look()
        needed = {journal.archive for journal in seen.journals if journal.kept}
        expiry = Expiry(self._archives, self._settings.terms, utc_now().date(), self._register, needed)
        self._deadline = Deadline(
            seconds_for(sum(data_size(log.fd, log.identity.size) for log in seen.logs + seen.archived))
        )
        state = rotation(self._logs.fd, self._settings.patterns, self._settings.limits, seen.writers)
        plan = make_plan(seen, expiry.due, self._logs.path, self._archives.path, self._settings.compression)
        require_hash(plan, self._settings.plan_hash)
        space = self._space(sum(archive.size for archive in expiry.due))
        if not check_mode:
            for action in plan:
                self._carry_out(action, expiry)
        return {
            "changed": bool(plan) if check_mode else any(action["result"] == "done" for action in plan),
            "plan": plan,
            "hash": plan_hash(plan),
            "archive": self._archive,
            "removed": {"files": len(self._removed), "bytes": sum(self._removed)},
            "skipped_files": seen.skipped,
            "left": self._left,
            "expired": expiry.result(),
            "space": space,
            "rotation": state,
        }

    # Looking

    def _look_at_earlier(self, *, check_mode: bool) -> None:
        """What earlier runs left: their journal, and what they were at when they were cut off."""
        seen = self._seen
        with directory.failing(f"cannot read {self._journal_path}, which says what is archived already"):
            data = directory.read_if_there(self._archives.fd, self._journal_name, JOURNAL_MAX)
        begun = self._facts(self._temp_name)
        for journal in journals_from_bytes(data or b"", self._journal_path):
            facts = self._facts(journal.archive)
            if facts and journal.is_of(facts):
                seen.journals.append(journal)
            elif begun and not journal.kept and journal.is_of(begun):
                seen.unnamed = journal
                seen.journals.append(journal)
        if seen.unnamed:
            self._left.append(f"{seen.unnamed.archive} was packed and compared, and lacked its name: it is taken up")
        elif begun:
            self._left.append(f"an archive of {begun.st_size} bytes that was not packed to its end: it is removed")
        if not check_mode:
            self._drop_temporaries()
        memory_path = f"{self._archives.path}/{self._memory_name}"
        with directory.failing(f"cannot read {memory_path}, which says what is archived already"):
            data = directory.read_if_there(self._archives.fd, self._memory_name, JOURNAL_MAX)
        self._memory = Memory.from_bytes(data or b"", memory_path)
        self._register = read_register(self._archives)

    def _facts(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._archives.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _drop_temporaries(self) -> None:
        """What a killed run had begun; none is at work now, as the directories are locked."""
        for name in os.listdir(self._archives.fd):
            begun = tuple(f".{what}." for what in (self._journal_name, self._memory_name, REGISTER))
            is_temp = name == self._temp_name and not self._seen.unnamed
            if is_temp or (name.startswith(begun) and name.endswith(".tmp")):
                os.unlink(name, dir_fd=self._archives.fd)

    def _look(self) -> None:
        seen = self._seen
        known: set[int] = set()
        names = sorted(os.listdir(self._logs.fd))
        origins = rotated_from(names)
        live = written_to(names)
        for name in names:
            if not self._is_rotated(name):
                continue
            if name in origins:
                self._skip(name, "live_log", f"is the log that {one_line(origins[name], 80)} was rotated from")
            elif name in live:
                self._skip(name, "live_log", live[name])
            else:
                self._take(name, known)
        self._look_for_twins({_plain(name) for name in names})
        seen.logs.sort(key=lambda log: (log.identity.mtime_ns, log.name))
        for journal in seen.journals:
            found = sum(log.identity in journal.files for log in seen.archived)
            if found and not journal.kept:
                self._left.append(f"{found} logs that {journal.archive} holds, and that were still to be deleted")

    @property
    def _journal_path(self) -> str:
        return f"{self._archives.path}/{self._journal_name}"

    def _is_rotated(self, name: str) -> bool:
        plain = _plain(name)
        # Of a name that was cut to be set aside, the pattern fitted the whole.
        is_cut = plain != name and _SHORTENED.search(plain) is not None
        return is_cut or is_rotated(plain, self._settings.patterns)

    def _skip(self, name: str, reason: str, said: str = "") -> None:
        text = said or _SAID.get(reason, reason)
        self._seen.skipped.append({"file": one_line(name), "reason": reason, "msg": one_line(text, 300)})

    def _take(self, name: str, known: set[int]) -> None:
        seen = self._seen
        try:
            fd = open_regular_at(self._logs.fd, name)
        except FileNotFoundError:  # rotated away: the next run has it
            return
        except OSError as error:
            reason = "no_regular_file" if isinstance(error, NotRegularError) else "denied"
            self._skip(name, reason)
            return
        facts = os.fstat(fd)
        if facts.st_ino in known:  # renamed while the directory was read
            os.close(fd)
            return
        why, is_leased = self._lease(fd, facts)
        if why:
            os.close(fd)
            holder = self._open_files().holder(facts) if why == "open" else ""
            self._skip(name, why, f"open by {holder}" if holder else "")
            if why == "open":
                seen.writers[name] = holder
            return
        known.add(facts.st_ino)
        log = Log(name, fd, Identity.of(facts), is_leased)
        is_archived = any(log.identity in journal.files for journal in seen.journals)
        (seen.archived if is_archived else seen.logs).append(log)

    def _look_for_twins(self, names: set[str]) -> None:
        """Find the logs that stand there twice, beside what logrotate or gzip makes of them.

        Only what holds the same lines to the last byte goes for the same; where that cannot be said, both stay.
        """
        seen = self._seen
        archived = self._archived_hashes()
        by_name = {_plain(log.name): log for log in seen.logs}
        for name, log in by_name.items():
            packed = [name + suffix for suffix in PACKED if name + suffix in names]
            for other in packed:
                self._settle(log, by_name.get(other), other, archived)
            if _is_packed(name) and log in seen.logs and archived and self._unpacked(log) in archived:
                seen.logs.remove(log)
                seen.known.append(log)
            elif not packed and self._stands_in_log(log):
                self._leave(log, "twin", "its lines still stand in the log itself, which copytruncate is to empty")

    def _settle(self, log: Log, packed: Log | None, name: str, archived: set[str]) -> None:
        """One of two names of a log, plain and compressed, has its lines; or nobody can say, and both stay."""
        seen = self._seen
        if log not in seen.logs:
            return
        log.sha256 = hashed(log.fd, self._enough(log))[1]
        if packed is not None and packed in seen.logs and self._unpacked(packed) == log.sha256:
            log.twin_of = packed
            seen.logs.remove(log)
            (seen.known if log.sha256 in archived else seen.twins).append(log)
            return
        self._leave(log, "twin", f"{one_line(name, 80)} is being made of it, or does not hold the same")
        if packed is not None and packed in seen.logs:
            self._leave(
                packed, "twin", f"{one_line(_plain(log.name), 80)} is there as well, and does not hold the same"
            )

    def _stands_in_log(self, log: Log) -> bool:
        """Whether a log begins with all that was rotated from it: it was copied, and is not emptied yet."""
        known = rotated(_plain(log.name))
        name = known.log if known else _plain(log.name)
        if not log.identity.size or name == _plain(log.name):
            return False
        try:
            fd = open_regular_at(self._logs.fd, name)
        except OSError:
            return False
        try:
            size = log.identity.size
            head = min(size, 4096)
            if os.fstat(fd).st_size < size or os.pread(fd, head, 0) != os.pread(log.fd, head, 0):
                return False
            return hashed(fd, self._enough(log), size)[1] == hashed(log.fd, self._enough(log))[1]
        finally:
            os.close(fd)

    def _leave(self, log: Log, reason: str, said: str) -> None:
        log.close()
        self._seen.logs.remove(log)
        self._skip(log.name, reason, said)

    def _archived_hashes(self) -> set[str]:
        """Of logs that an archive holds, and that may turn up once more."""
        return {*self._memory.days, *(sha256 for one in self._seen.journals for sha256 in one.files.values())}

    @staticmethod
    def _enough(log: Log) -> Deadline:
        return Deadline(seconds_for(log.identity.size * 10))

    def _unpacked(self, log: Log) -> str:
        return hashed_unpacked(log.fd, log.name if _is_packed(log.name) else _plain(log.name), self._enough(log))

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
            self._processes = OpenFiles({self._logs.device, self._archives.device})
        return self._processes

    def _ratio(self) -> float:
        """What part of its size text may take in the archive, by what earlier ones took."""
        made = [one.ratio for _name, one in sorted(self._register.archives.items())]
        ratios = [ratio for ratio in made if ratio is not None][-_RATIOS:]
        return min(1.0, max(ratios) * _RATIO_MARGIN) if ratios else self._settings.expected_ratio

    def _space(self, freed: int) -> dict[str, Any]:
        """What an archive may take, and what there is for it; too little of it ends the run before anything is done."""
        ratio = self._ratio()
        needed = sum(
            math.ceil(data_size(log.fd, log.identity.size) * (1 if _is_packed(log.name) else ratio)) + _MEMBER_OVERHEAD
            for log in self._seen.logs
        )
        if self._settings.redactor is not None:
            # Each lies there unpacked for a while, one after the other.
            sizes = (log.identity.size * (_UNPACKED if _is_packed(log.name) else 1) for log in self._seen.logs)
            needed += max(sizes, default=0)
        figures = self._archives.statvfs()
        free = figures.f_bavail * figures.f_frsize + freed
        if needed > free:
            raise MediaOpsError(
                f"the archive may need {needed} bytes, and {self._archives.path} has {free}: nothing was done",
                needed_bytes=needed,
                free_bytes=free,
            )
        return {"needed_bytes": needed, "free_bytes": free, "ratio": round(ratio, 4)}

    # Acting

    def _carry_out(self, action: Action, expiry: Expiry) -> None:
        work = {
            "finish": self._finish,
            "known": self._drop,
            "expire": lambda: expiry.delete(self._open_files),
            "archive": self._make,
        }
        action["msg"], done = work[action["stable"]["kind"]]()
        action["result"] = "done" if done else "skipped"

    def _finish(self) -> tuple[str, bool]:
        """Delete what is archived, and stands here still, after comparing it once more."""
        seen, before = self._seen, len(self._removed)
        if seen.unnamed:
            with directory.failing(f"cannot give {seen.unnamed.archive} its name; all logs are kept"):
                self._name(seen.unnamed)
        if any(_is_packed(name) for name in seen.writers):
            # Somebody compresses a log right now: it may be one of these.
            self._remember.update(self._archived_hashes())
        for journal in seen.journals:
            for log in [log for log in seen.archived if log.identity in journal.files]:
                log.sha256 = journal.files[log.identity]
                if hashed(log.fd, self._deadline)[1] == log.sha256:
                    self._remove(log, journal.archive)
                else:
                    self._skip(log.name, "changed")
        self._forget()
        removed = len(self._removed) - before
        return f"{removed} of {len(seen.archived)} logs deleted that archives hold", bool(removed or seen.unnamed)

    def _drop(self) -> tuple[str, bool]:
        """Delete what somebody compressed while it was archived: its lines are in an archive."""
        before = len(self._removed)
        for log in self._seen.known:
            log.sha256 = log.sha256 or self._unpacked(log)
            self._remove(log)
        removed = len(self._removed) - before
        return f"{removed} compressed logs deleted that an archive holds", bool(removed)

    def _make(self) -> tuple[str, bool]:
        """Write, compare, name; then delete the files."""
        name = self._free_name()
        with self._temp() as temp:
            logs, members = self._write(temp)
            if not logs:
                return "every log was written to meanwhile: nothing was archived", False
            facts = os.fstat(temp)
            # What an archive without secrets holds is not what the log does.
            files = (
                {log.identity: member.sha256 for log, member in zip(logs, members)}  # noqa: B905
                if self._settings.redactor is None
                else {log.identity: hashed(log.fd, self._deadline)[1] for log in logs}
            )
            twins = [twin for twin in self._seen.twins if twin.twin_of in logs]
            files.update({twin.identity: twin.sha256 for twin in twins})
            packed = sum(member.size for member in members if _is_packed(member.name))
            plain = sum(member.size for member in members) - packed
            self._register.archives[name] = Made(facts.st_size, hashed(temp, self._deadline)[1], plain, packed)
            self._register.forget_gone(os.listdir(self._archives.fd), utc_now().date(), self._settings.terms.keep_days)
            write_register(self._archives, self._register)
            journal = Journal(name, facts.st_ino, facts.st_size, files)
            self._seen.journals.append(journal)
            self._write_journals()
            self._name(journal)
        self._archive = {
            "path": f"{self._archives.path}/{name}",
            "bytes": facts.st_size,
            "members": len(members),
            "source_bytes": plain + packed,
            "compression": self._settings.compression,
        }
        before = len(self._removed)
        for log in logs + twins:
            log.sha256 = files[log.identity]
            self._remove(log, name)
        self._forget()
        removed = len(self._removed) - before
        return f"{len(members)} logs in {name}, compared with the files, of which {removed} are deleted", True

    def _name(self, journal: Journal) -> None:
        """Give an archive that the journal knows its name."""
        if self._facts(journal.archive):
            raise MediaOpsError(
                f"{self._archives.path}/{journal.archive} is there already, and is not what {self._temp_name} beside "
                "it was to become: look at both, and move one away. All logs are kept"
            )
        os.rename(self._temp_name, journal.archive, src_dir_fd=self._archives.fd, dst_dir_fd=self._archives.fd)
        os.fsync(self._archives.fd)

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
            fd = os.open(self._temp_name, _NEW, 0o600, dir_fd=self._archives.fd)
            try:
                yield fd
            finally:
                os.close(fd)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._temp_name, dir_fd=self._archives.fd)

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
                    self._skip(log.name, "changed")
            logs = still
        return [], []

    def _can_be_written(self, log: Log) -> bool:
        if self._settings.redactor is None or can_be_read(log.fd, _plain(log.name), self._deadline):
            return True
        log.close()
        self._skip(log.name, "damaged")
        return False

    def _written(self, logs: Sequence[Log]) -> Iterator[Source]:
        """What goes into the archive, one after the other."""
        for source in _sources(logs, as_plain=self._settings.redactor is not None):
            if self._settings.redactor is None:
                yield source
                continue
            with redacted(source, self._settings.redactor, self._archives.fd, self._deadline) as clean:
                yield clean

    def _remove(self, log: Log, archive: str = "an archive") -> None:
        """Delete a log that an archive holds by the name that it has now, which a rotation may change at any moment.

        It is first renamed to what no rotation touches, then looked at; what was caught in its place goes back.
        """
        name = self._name_now(log)
        if log.sha256 and (not name or self._is_read(log, name)):
            # Who reads it now, or had it away, may be compressing it: the lines will stand there once more.
            self._remember.add(log.sha256)
        if not name or not log.unchanged():
            self._skip(log.name, "changed" if name else "gone")
            return
        directory = self._logs.fd
        aside = _aside(_plain(name), log.identity.inode)
        try:
            os.rename(name, aside, src_dir_fd=directory, dst_dir_fd=directory)
            if Identity.of(os.stat(aside, dir_fd=directory, follow_symlinks=False)) != log.identity:
                self._skip(log.name, "changed")
                # Without a place to go back to, it waits under this name for the next run to archive it.
                with contextlib.suppress(FileExistsError):
                    os.link(aside, name, src_dir_fd=directory, dst_dir_fd=directory)
                    os.unlink(aside, dir_fd=directory)
                return
            os.unlink(aside, dir_fd=directory)
        except OSError as error:
            if log.sha256:
                self._remember.add(log.sha256)
            if error.errno == errno.ENOENT:
                self._skip(log.name, "gone")
                return
            self._undeletable.add(log.identity)
            self._skip(
                log.name,
                "undeletable",
                f"{archive} holds it, and it cannot be deleted ({one_line(error.strerror)}): it is not archived again; "
                f"let this user delete in {self._logs.path}, or delete it by hand",
            )
            return
        self._removed.append(log.identity.size)

    def _is_read(self, log: Log, name: str) -> bool:
        """Whether somebody may have a log open besides this run, or has made a compressed one of it."""
        for suffix in PACKED:
            with contextlib.suppress(OSError):
                os.stat(_plain(name) + suffix, dir_fd=self._logs.fd, follow_symlinks=False)
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

    def _forget(self) -> None:
        """The journal has done its service once the deletions are on the disk, but for what could not be deleted."""
        os.fsync(self._logs.fd)
        if self._remember:
            today = f"{utc_now():%Y%m%d}"
            days = {**self._memory.days, **dict.fromkeys(sorted(self._remember), today)}
            oldest = f"{utc_now() - timedelta(days=self._settings.terms.keep_days):%Y%m%d}"
            kept = [(sha256, day) for sha256, day in days.items() if day >= oldest][-_REMEMBERED_MAX:]
            self._memory = Memory(dict(kept))
            path = f"{self._archives.path}/{self._memory_name}"
            directory.replace_file(self._archives.fd, self._memory_name, self._memory.to_bytes(), 0o600, path)
        for journal in self._seen.journals:
            journal.files = {file: journal.files[file] for file in journal.files if file in self._undeletable}
            journal.kept = True
        self._seen.journals = [journal for journal in self._seen.journals if journal.files]
        if self._seen.journals:
            self._write_journals()
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._journal_name, dir_fd=self._archives.fd)
            os.fsync(self._archives.fd)

    def _write_journals(self) -> None:
        data = journals_to_bytes(self._seen.journals)
        directory.replace_file(self._archives.fd, self._journal_name, data, 0o600, self._journal_path)


def make_plan(seen: Seen, expired: Sequence[Expired], log_dir: str, archive_dir: str, compression: str) -> list[Action]:
    """What is to be done, in order: finish what a run left, drop old archives to make room, archive."""
    plan = []
    if seen.journals:
        names = [journal.archive for journal in seen.journals]
        cut_off = not all(journal.kept for journal in seen.journals)
        why = "was cut off before it had deleted them" if cut_off else "could not delete them"
        plan.append(
            planned(
                "delete",
                f"{len(seen.archived)} logs in {log_dir} that {', '.join(names)} holds",
                f"a run before {why}",
                ["WL-2"],
                stable={"kind": "finish", "archives": names, "files": _stable(seen.archived)},
            )
        )
    if seen.known:
        plan.append(
            planned(
                "delete",
                f"{len(seen.known)} compressed logs in {log_dir}",
                "an archive holds their lines: they were compressed while they were archived",
                ["WL-2"],
                stable={"kind": "known", "files": _stable(seen.known)},
            )
        )
    if expired:
        plan.append(
            planned(
                "delete",
                f"{len(expired)} archives in {archive_dir}",
                "older than they are kept, by the day in their name and by their time",
                ["WL-4"],
                stable={"kind": "expire", "archives": [list(archive) for archive in expired]},
            )
        )
    if seen.logs:
        plan.append(
            planned(
                "archive",
                f"{len(seen.logs) + len(seen.twins)} rotated logs of {log_dir}",
                "rotated logs are kept in archives",
                ["WL-2", "WL-3"],
                stable={"kind": "archive", "compression": compression, "files": _stable(seen.logs + seen.twins)},
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


def _aside(name: str, inode: int) -> str:
    """A name that no rotation touches, with what tells the log in it; it is no longer than a name may be."""
    suffix = f".archived-{inode}"
    return f".{_cut(name, _NAME_MAX - 1 - len(suffix))}{suffix}"


def _cut(name: str, length: int) -> str:
    """A name of so many bytes at most, with its beginning and its end, and a mark in their midst if it was longer."""
    whole = os.fsencode(name)
    if len(whole) <= length:
        return name
    mark = f"~{hashlib.sha256(whole).hexdigest()[:16]}~"
    end = length // 4
    return whole[: length - end - len(mark)].decode("utf-8", "ignore") + mark + whole[-end:].decode("utf-8", "ignore")


def _is_packed(name: str) -> bool:
    return name.endswith(PACKED)


def _sources(logs: Sequence[Log], *, as_plain: bool = False) -> list[Source]:
    """What goes into the archive; of two with one name, as a killed run may leave them, the second gets another."""
    sources, names = [], set()
    for log in logs:
        name = _plain(log.name)
        if (plain_name(name) if as_plain else name) in names:
            ending = name[len(plain_name(name)) :] if as_plain else ""
            suffix = f".{log.identity.inode}{ending}"
            name = _cut(name[: len(name) - len(ending)], _NAME_MAX - len(suffix)) + suffix
        names.add(plain_name(name) if as_plain else name)
        size = data_size(log.fd, log.identity.size)
        sources.append(Source(name, log.fd, size, log.identity.mtime_ns / 10**9))
    return sources
