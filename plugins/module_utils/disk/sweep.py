# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan carried out: file by file after a last look, with what came of each."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Callable, NamedTuple

from ..deadline import Deadline
from ..opener import kind_of, open_regular_at
from ..plan import Action
from ..shapes import one_line
from ..system.file_flags import flag_of
from ..system.open_files import OpenFiles, claimed, leased
from ..system.stamp import Stamp
from ..system.tree import LOCK, Root, is_at, opened_again
from ..words import number_of
from .kept import Work
from .known import Known, on_the_way_to
from .retention import DueFile, Findings, Rule, Totals, lacking
from .roots import Look, Roots
from .survey import Protected

_ASK_AGAIN_S = 30.0
"""How long an answer about the sessions lasts: about as long as a deletion must not lag behind a session's start."""
_OPENED_AGAIN = 64
"""After how many files of one directory it is opened anew from its root, which sees what was mounted meanwhile."""
_REASONS = {
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EROFS: "read_only",
    errno.EBUSY: "mount",
    errno.ENOENT: "gone",
    errno.ENOTDIR: "changed",
    errno.ELOOP: "changed",
    errno.ENOTEMPTY: "changed",
}
# What a reason is for people, where nothing more is known
SAID = {
    "active": "is of work that nothing lists, and that goes on",
    "append_only": "may only be appended to (chattr +a)",
    "changed": "is another since it was planned",
    "configured": "is a directory that the options name",
    "denied": "this user may not delete from its directory",
    "gone": "is not there any more",
    "immutable": "is immutable (chattr +i)",
    "locked": "another run works in its directory",
    "mount": "is another mount, or a mount point or what a mount shows in some namespace",
    "moved": "the root was moved away, or something else is in its place",
    "no_date": "has a date that no clock can have given, before 1677 or after 2262",
    "no_regular_file": "is no regular file",
    "not_archived": "no archive holds it",
    "not_work": "lies below no directory of work",
    "read_only": "read-only file system",
    "result": "is a finished result",
    "session": "belongs to a session",
    "symbolic_link": "is a symbolic link",
    "target_reached": "enough is free without it",
    "time_over": "the module's time was over",
    "too_deep": "lies too deep to be looked into",
    "unreadable": "cannot be read",
}
# Why a file may stay without anything having failed
_GOOD_REASONS = {
    "active",
    "configured",
    "not_work",
    "result",
    "open",
    "changed",
    "gone",
    "locked",
    "target_reached",
    "mount",
    "session",
}


class Listed:
    """Whose files stay, as of the last answer, which does not last.

    Args:
        ask: whoever can tell.
        longest_s: how long an answer may take.
    """

    def __init__(self, ask: Callable[[], Protected], longest_s: float) -> None:
        self._ask = ask
        self.longest_s = longest_s
        self.now = ask()
        self._asked = time.monotonic()

    @property
    def is_old(self) -> bool:
        """Whether a session may have begun since, for all that one would want to answer for."""
        return time.monotonic() - self._asked > _ASK_AGAIN_S

    def ask_again(self) -> None:
        """Ask anew. Without an answer, what is below the sessions' directory stays."""
        self.now = self._ask()
        self._asked = time.monotonic()


class Outcome(NamedTuple):
    """What came of one file: why it stays, empty where it is gone; the same for people; the bytes that were freed."""

    why: str = ""
    said: str = ""
    freed: int = 0


class _MovedError(Exception):
    """A root is not any more where it was."""


class _Opened:
    """The directory that files are deleted from, kept open from one file to the next, and looked at before each."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._stack = contextlib.ExitStack()
        self._key: tuple[str, str, int] | None = None
        self._fd = -1
        self._left = 0

    def close(self) -> None:
        """Close it."""
        self._stack.close()
        self._key = None

    def directory(self, root: Root, file: DueFile) -> int:
        """The directory of a file, open, and reached by the path that it was found by.

        Raises:
            _MovedError: the root was moved, or something was mounted over it.
            OSError: the directory is not there any more, or something else is in its place.
        """
        key = (root.path, file.directory, file.directory_inode)
        path = f"{root.path}/{file.directory}" if file.directory else root.path
        self._left -= 1
        if key == self._key and self._left > 0 and is_at(self._fd, path):
            return self._fd
        self.close()
        if self._roots.is_moved(root):
            raise _MovedError
        self._fd = self._stack.enter_context(opened_again(root, file.directory, file.directory_inode))
        self._key, self._left = key, _OPENED_AGAIN
        return self._fd


class Sweep:
    """Carries a plan out, and knows what came of it."""

    def __init__(
        self,
        roots: Roots,
        listed: Listed,
        look: Look,
        target_percent: float | None,
        deadline: Deadline,
        *,
        work: Work,
        known: Known,
    ) -> None:
        self._work = work
        self._known = known
        self._whose: tuple[str, str, Protected | None, str] = ("", "", None, "")
        self._layer = ""
        self._roots = roots
        self._deadline = deadline
        self._listed = listed
        self._planned_by = self._look = look
        self._target = target_percent
        # Of files with several names that lost one here: to be without it is a change of our own.
        self._relinked: dict[tuple[int, int], int] = {}
        self._opened = _Opened(roots)
        self.removed: Counter[str] = Counter()
        self._removed_directories: Counter[str] = Counter()
        self._freed: Counter[str] = Counter()

    def carry_out(self, action: Action, found: Findings) -> None:
        """Delete what one rule takes. What changed since it was seen, or is in use now, stays."""
        rule = found.rule
        before = found.skipped.copy()
        ended = self._begin()
        planned = action["stable"]
        ended = self._each(found, found.chosen(), planned["files"], remove_file, ended)
        # A target is of files; what is empty goes whatever is free.
        ended = "" if ended == "target_reached" else ended
        self._each(found, found.due_directories.oldest_first(), planned["directories"], remove_directory, ended)
        stayed = found.skipped - before
        files, directories = self.removed[rule.name], self._removed_directories[rule.name]
        failed = stayed.keys() - _GOOD_REASONS
        action["result"] = "done" if files or directories else "failed" if failed else "skipped"
        action["msg"] = f"{number_of(files, 'file')} deleted, {self._freed[rule.name]} bytes freed"
        action["msg"] += f", {number_of(directories, 'empty directory')} removed" if directories else ""
        if found.skipped:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(found.skipped.items()))
            action["msg"] += f"; skipped: {reasons}"
            first = _first_held(found)
            action["msg"] += f"; {first}" if first else ""

    def _each(self, found: Findings, files: Iterable[DueFile], count: int, remove: Remove, ended: str) -> str:
        for number, file in enumerate(files):
            ended = ended or self._why_end(found.rule, of_files=remove is remove_file)
            ended = ended or self._one(found, file, remove)
            if ended:
                found.skip(found.rule.root, ended, count - number)
                break
        self._opened.close()
        return ended

    def _begin(self) -> str:
        """Look and ask once more right before the first deletion of a rule; why there must be none, or empty."""
        if self._look is self._planned_by:
            self._look = Look.now(self._roots)
        self._work.forget()
        return self._ask_again()

    def _ask_again(self) -> str:
        if self._deadline.left_s < self._listed.longest_s:
            return "time_over"
        self._listed.ask_again()
        return ""

    def _why_end(self, rule: Rule, *, of_files: bool) -> str:
        root = self._roots.get(rule)
        if self._deadline.is_over:
            return "time_over"
        if of_files and self._target is not None and lacking(root.statvfs(), self._target).enough:
            return "target_reached"
        if self._listed.is_old and self._ask_again():
            return "time_over"
        return ""

    def _one(self, found: Findings, file: DueFile, remove: Remove) -> str:
        """Delete one; tells why it and all others of the rule have to stay, else is empty."""
        name = found.rule.name
        root = self._roots.get(found.rule)
        outcome = self._kept(root, file, found.rule)
        if not outcome.why and remove is remove_directory:
            outcome = Outcome(*self._look.counted_on((root.device, file.inode)))
        if not outcome.why:
            try:
                directory = self._opened.directory(root, file)
                outcome = remove(directory, file, self._look.open_files, self._relinked)
            except _MovedError:
                return "moved"
            except OSError as error:
                why = _REASONS.get(error.errno or 0, errno.errorcode.get(error.errno or 0, "changed"))
                outcome = Outcome(why, "" if why in SAID else one_line(error.strerror))
        if outcome.why:
            found.skip(f"{root.path}/{file.path}", outcome.why, said=outcome.said)
            return ""
        self._freed[name] += outcome.freed
        counter = self._removed_directories if remove is remove_directory else self.removed
        counter[name] += 1
        return ""

    def _kept(self, root: Root, file: DueFile, rule: Rule) -> Outcome:
        """Whether a file is a session's by now, or below what is mounted by now."""
        directory = f"{root.path}/{file.directory}" if file.directory else root.path
        listed = self._listed.now
        # Files come by their age: many of one directory are asked for, one after the other.
        if self._whose[:2] != (root.path, file.directory) or self._whose[2] is not listed:
            said = self._known.keeps(listed, root, directory, on_the_way_to(root, file.directory))
            self._whose = (root.path, file.directory, listed, said)
            self._layer = ""
            if self._look.layers and file.directory:
                parts = list(on_the_way_to(root, file.directory))
                self._layer = self._look.layers.says(file.directory, parts[:-1])
        session = self._whose[3] or listed.keeps_file(file.name) or listed.elsewhere.get((root.device, file.inode), "")
        if session:
            return Outcome("session", f"{session}, since the plan was made")
        going_on = self._known.goes_on(self._work, root.path, directory)
        if going_on:
            return Outcome("active", f"{going_on}, since the plan was made")
        unlisted, said = listed.keeps_unlisted(directory, file.name, rule.min_age)
        if unlisted:
            return Outcome(unlisted, said)
        mounted_on = self._layer or self._look.mounted_on(root.path, file.path)
        mounted_on = mounted_on or self._look.hidden(root.path, file.path)
        return Outcome("mount", mounted_on) if mounted_on else Outcome()

    def result(self, found: Findings, planned: Totals) -> dict[str, Any]:
        """What the module says of one rule."""
        name = found.rule.name
        return {
            "rule": name,
            "root": found.rule.root,
            "steps": list(found.rule.steps),
            "state": found.state,
            "reason": found.reason,
            "matched": found.matched,
            "planned": {
                "files": planned.files,
                "bytes": planned.bytes,
                "directories": planned.directories,
                "hard_linked": planned.hard_linked,
            },
            "removed": {"files": self.removed[name], "directories": self._removed_directories[name]},
            "freed_bytes": self._freed[name],
            "skipped": dict(sorted(found.skipped.items())),
        }


@contextlib.contextmanager
def _shared(directory: int) -> Iterator[bool]:
    """Whether nobody else has the directory for himself, as log_archive has while it works; nor gets it meanwhile."""
    try:
        lock = open_regular_at(directory, LOCK)
    except OSError as error:
        # Who comes only now finds the file open, or gone, as anybody does who did not ask for the lock.
        yield isinstance(error, FileNotFoundError)
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        ours = True
    except BlockingIOError:
        ours = False
    try:
        yield ours
    finally:
        os.close(lock)


Remove = Callable[[int, DueFile, OpenFiles, "dict[tuple[int, int], int]"], Outcome]


def remove_file(directory: int, file: DueFile, open_files: OpenFiles, relinked: dict[tuple[int, int], int]) -> Outcome:
    """Delete a file by its name in an open directory, if it still is the one that was planned and nobody has it open.

    Args:
        directory: open.
        file: as it was planned.
        open_files: who has what open.
        relinked: files that lost another of their names here, by device and inode, with their ctime after that.
    """
    facts = os.stat(file.name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISREG(facts.st_mode):
        return Outcome("changed", f"is {kind_of(facts)} since it was planned")
    ctime_ns = relinked.get((facts.st_dev, facts.st_ino), file.ctime_ns)
    changed = Stamp(file.inode, file.size, file.mtime_ns, ctime_ns).changed_how(Stamp.of(facts))
    if changed:
        return Outcome("changed", f"{changed} since it was planned")
    with _shared(directory) as ours:
        return _delete(directory, file, facts, open_files, relinked) if ours else Outcome("locked")


def _delete(
    directory: int,
    file: DueFile,
    facts: os.stat_result,
    open_files: OpenFiles,
    relinked: dict[tuple[int, int], int],
) -> Outcome:
    with claimed(directory, file.name, facts, open_files) as (fd, why):
        if why:
            return Outcome(why, open_files.says(facts, why))
        if fd is not None and not leased(fd, fcntl.F_WRLCK):
            return Outcome("open", "a process wants to open it")
        if facts.st_nlink == 1:
            return _unlink(directory, file.name, fd) or Outcome(freed=facts.st_blocks * 512)
        # The other names stay, of which this run may take some as well.
        still = os.open(file.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            outcome = _unlink(directory, file.name, fd)
            if outcome is None:
                relinked[facts.st_dev, facts.st_ino] = os.fstat(still).st_ctime_ns
            return outcome or Outcome()
        finally:
            os.close(still)


def _unlink(directory: int, name: str, fd: int | None) -> Outcome | None:
    """Delete a file by its name; why that is not to be had, or None where it is gone.

    Args:
        directory: open.
        name: in it.
        fd: the file itself, where it is open: with a lease on it, nobody can open it once more, nor can this process.
    """
    try:
        os.unlink(name, dir_fd=directory)
    except PermissionError:
        with contextlib.ExitStack() as stack:
            if fd is None:
                with contextlib.suppress(OSError):
                    fd = open_regular_at(directory, name)
                    stack.callback(os.close, fd)
            return Outcome((flag_of(fd) if fd is not None else "") or flag_of(directory) or "denied")
    return None


def remove_directory(
    directory: int, file: DueFile, open_files: OpenFiles, _relinked: dict[tuple[int, int], int]
) -> Outcome:
    """Remove a directory that still is the one that was planned; the kernel refuses one that is not empty."""
    facts = os.stat(file.name, dir_fd=directory, follow_symlinks=False)
    if (facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns) != (file.inode, file.mtime_ns, file.ctime_ns):
        return Outcome("changed")
    if open_files.holder(facts):
        return Outcome("open", open_files.says(facts, "open"))
    os.rmdir(file.name, dir_fd=directory)
    return Outcome()


def _first_held(found: Findings) -> str:
    """The first file that somebody has open, and who."""
    return next((f"{path}: {said}" for path, said in found.samples.get("open", [])), "")
