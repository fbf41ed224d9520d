# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Retention rules carried out: what is due is found by a walk, planned, and deleted file by file after a last look."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Protocol

from ..clock import require_clock
from ..deadline import Deadline, deadline_of
from ..errors import OptionError
from ..opener import kind_of, open_regular_at
from ..options import check_range
from ..plan import Action, plan_hash, require_hash
from ..shapes import one_line
from ..system.mounts import MountPoint, MountPoints
from ..system.open_files import OpenFiles, claimed, leased
from ..system.stamp import Stamp
from ..system.tree import LOCK, Directory, Root, SymbolicLinkError, is_at, open_root, opened_again, walk
from .retention import DueFile, Findings, Rule, Totals, lacking, limit_to, make_plan, parse_rules, totals

_SESSIONS_SHOWN = 50
_MILLI = 10**6  # nanoseconds
_ASK_AGAIN_S = 30.0
"""How long an answer about the sessions lasts: about as long as a deletion must not lag behind a session's start."""
_OPENED_AGAIN = 64
"""After how many files of one directory it is opened anew from its root, which sees what was mounted meanwhile."""
_FLAGS = 0x80086601  # FS_IOC_GETFLAGS of Linux's fs.h
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20
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
_SAID = {
    "append_only": "may only be appended to (chattr +a)",
    "changed": "is another since it was planned",
    "denied": "this user may not delete from its directory",
    "gone": "is not there any more",
    "immutable": "is immutable (chattr +i)",
    "locked": "another run works in its directory",
    "mount": "is another mount, or a mount point in some namespace",
    "moved": "the root was moved away, or something else is in its place",
    "no_date": "has a date that no clock can have given, before 1677 or after 2262",
    "no_regular_file": "is no regular file",
    "read_only": "read-only file system",
    "session": "belongs to a session",
    "symbolic_link": "is a symbolic link",
    "target_reached": "enough is free without it",
    "time_over": "the module's time was over",
    "too_deep": "lies too deep to be looked into",
    "unreadable": "cannot be read",
}
# Why a file may stay without anything having failed
_GOOD_REASONS = {"open", "changed", "gone", "locked", "target_reached", "mount", "session"}


@dataclass(frozen=True)
class Mode:
    """How Ansible wants it: ``check`` to plan only, ``diff`` to list the files that go."""

    check: bool = False
    diff: bool = False


class Protected(Protocol):
    """Whose files stay: sessions by their ``ids``, or all below their directory, and how that is known."""

    state: str
    reason: str
    ids: frozenset[str]
    all_of: bool

    def keeps_directory(self, path: str) -> str:
        """Why a directory stays, with all that is in it; else empty."""

    def keeps_file(self, name: str) -> str:
        """Why a file stays, by its name; else empty."""


class _Listed:
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


def disk_cleanup(params: Mapping[str, Any], mode: Mode, ask: Callable[[], Protected]) -> dict[str, Any]:
    """The result of module disk_cleanup.

    Args:
        params: its options.
        mode: whether to plan only, and to list what goes.
        ask: tells whose files stay; asked once the rules are known to be right, and again before each rule deletes.
    """
    deadline = deadline_of("disk_cleanup", params)
    require_clock(params)
    homes = [entry.pw_dir for entry in pwd.getpwall()]
    rules = parse_rules(params["rules"], homes, resolve=params["resolve_roots"])
    now_ns = _moment(params["as_of"])
    if params["target_free_percent"] is not None:
        check_range(params, "target_free_percent", 0, 100)
    check_range(params, "max_listed", 0, 1000)
    roots = _Roots(rules, homes)
    try:
        listed = _Listed(ask, params["overall_timeout"] if params["sessions_dir"] else 0.0)
        look = Look.now(roots)
        survey = Survey(roots, listed.now, look, now_ns, deadline)
        if params["target_free_percent"] is not None:
            for root, found in roots.by_file_system(survey.findings):
                limit_to(found, lacking(root.statvfs(), params["target_free_percent"]))
        counted = [(found, totals(found)) for found in survey.findings]
        plan = make_plan(counted)
        require_hash(plan, params["plan_hash"], _since(survey.findings, params["as_of"]))
        diff = _diff(survey.findings, params["max_listed"]) if mode.diff else {}
        before = roots.figures()
        sweep = Sweep(roots, listed, look, params["target_free_percent"], deadline)
        if not mode.check:
            for action in plan:
                sweep.carry_out(action, survey.of(action["stable"]["rule"]))
        sessions = listed.now
        result = {
            "changed": bool(plan) if mode.check else any(action["result"] == "done" for action in plan),
            "plan": plan,
            "hash": plan_hash(plan),
            "as_of": now_ns // _MILLI / 1000,
            "rules": [sweep.result(found, total) for found, total in counted],
            "skipped_files": _samples(survey.findings, params["max_listed"]),
            "free": _free(before, roots.figures()),
            "held_open": look.open_files.held(),
            "mount_namespaces": {
                "seen": look.mounts.namespaces,
                "unseen_processes": look.mounts.unseen_processes,
            },
            "protected_sessions": sorted(sessions.ids)[:_SESSIONS_SHOWN],
            "protected_all": sessions.all_of,
            "api": {"state": sessions.state, "reason": sessions.reason},
        }
        return {**result, "diff": diff} if mode.diff else result
    finally:
        roots.close()


def _since(findings: Iterable[Findings], as_of: float | None) -> list[str]:
    """What is known to have changed since a plan was made, a line for each rule."""
    if as_of is None:
        return ["what has become due since counts too, as as_of was not given"]
    return [
        f"{found.newer} files that fit rule {found.rule.name} are new or changed since as_of, and are not due: "
        + ", ".join(found.newer_sample)
        + (" ..." if found.newer > len(found.newer_sample) else "")
        for found in findings
        if found.newer
    ]


def _moment(as_of: float | None) -> int:
    """The moment that ages are counted to, to the millisecond, so that it survives being written down.

    It is not ahead of us: nothing gets old by it.
    """
    now = time.time_ns()
    if as_of is None:
        return now // _MILLI * _MILLI
    if not 0 <= as_of * 10**9 <= now:
        raise OptionError("as_of", as_of, "must be the as_of of a plan made before, in seconds since 1970, not ahead")
    return round(as_of * 1000) * _MILLI


# Roots


class _Roots:
    """The open roots of all rules, each once, and of those that cannot be opened the state and reason."""

    def __init__(self, rules: list[Rule], homes: Iterable[str]) -> None:
        self.rules = rules
        self._homes = _homes(homes)
        self._open: dict[str, Root] = {}
        self._identities: dict[str, tuple[int, int]] = {}
        self._closed: dict[str, tuple[str, str]] = {}
        try:
            for path in dict.fromkeys(rule.root for rule in rules):
                self._open_one(path)
        except BaseException:
            self.close()
            raise

    def _open_one(self, path: str) -> None:
        try:
            root = self._open[path] = open_root(path)
        except SymbolicLinkError as error:
            raise OptionError(
                "rules",
                path,
                f"{error.strerror}; give {os.path.realpath(path)} as root, or set resolve_roots. Nothing was done",
            ) from error
        except FileNotFoundError:
            self._closed[path] = ("missing", f"{path} does not exist")
        except NotADirectoryError:
            self._closed[path] = ("not_a_directory", f"{path} is not a directory")
        except PermissionError:
            self._closed[path] = ("denied", f"{path} must not be read by this user")
        else:
            facts = os.fstat(root.fd)
            self._identities[path] = (facts.st_dev, facts.st_ino)
            if self._identities[path] in self._homes:
                raise OptionError("rules", path, "is a home directory by another path, or holds one. Nothing was done")

    def is_moved(self, root: Root) -> bool:
        """Whether a root is not any more what its path leads to, without a link: it was moved, or mounted over."""
        with contextlib.suppress(OSError):
            facts = os.lstat(root.path)
            return (facts.st_dev, facts.st_ino) != self._identities[root.path] or not is_at(root.fd, root.path)
        return True

    def close(self) -> None:
        for root in self._open.values():
            root.close()

    def __iter__(self) -> Iterator[tuple[str, Root]]:
        return iter(self._open.items())

    def get(self, rule: Rule) -> Root:
        return self._open[rule.root]

    def state(self, rule: Rule) -> tuple[str, str]:
        return self._closed.get(rule.root, ("ok", ""))

    @property
    def devices(self) -> set[int]:
        return {root.device for root in self._open.values()}

    def rivals(self, root: Root) -> list[Rule]:
        """Rules that may cover directories of a root: of its own mount only, as no walk crosses one."""
        return [rule for rule in self.rules if rule.root in self._open and self.get(rule).mount == root.mount]

    def by_file_system(self, findings: Iterable[Findings]) -> Iterator[tuple[Root, list[Findings]]]:
        found: dict[int, tuple[Root, list[Findings]]] = {}
        for one in findings:
            if one.rule.root in self._open:
                root = self.get(one.rule)
                found.setdefault(root.device, (root, []))[1].append(one)
        yield from found.values()

    def figures(self) -> dict[int, tuple[list[str], os.statvfs_result]]:
        """By device: the roots there, and how full it is."""
        found: dict[int, tuple[list[str], os.statvfs_result]] = {}
        for root in self._open.values():
            found.setdefault(root.device, ([], root.statvfs()))[0].append(root.path)
        return found


def _homes(homes: Iterable[str]) -> set[tuple[int, int]]:
    """Homes and what holds them, by what they are: a bind mount shows one at any path."""
    found = set()
    for home in homes:
        path = os.path.realpath(home) if home.startswith("/") else "/"
        while path != "/":
            with contextlib.suppress(OSError):
                facts = os.stat(path)
                found.add((facts.st_dev, facts.st_ino))
            path = os.path.dirname(path)
    top = os.stat("/")
    return {*found, (top.st_dev, top.st_ino)}


class Look(NamedTuple):
    """Who has what open, and what is mounted where, at one moment."""

    open_files: OpenFiles
    mounts: MountPoints
    points: dict[str, dict[str, MountPoint]]

    @classmethod
    def now(cls, roots: _Roots) -> Look:
        """Look around."""
        mounts = MountPoints()
        return cls(OpenFiles(roots.devices), mounts, {path: mounts.below(root) for path, root in roots})

    def mounted_on(self, root: str, path: str) -> str:
        """What is known where something is mounted on a path, in whatever namespace, for people; else empty.

        Args:
            root: path of an open root.
            path: below it.
        """
        point = self.points[root].get(path)
        return f"is a mount point {point.where}" if point else ""

    def hidden(self, root: str, path: str) -> str:
        """The same where a path below a root is, or lies below, a mount point at which something else is seen."""
        for at, point in self.points[root].items():
            if point.hides and path == at:
                return f"is a mount point {point.where}"
            if point.hides and path.startswith(at + "/"):
                return f"lies below {root}/{at}, which is a mount point {point.where}"
        return ""


# Finding


class Survey:
    """What is due by each rule. A file that is due by several goes by the first of them."""

    def __init__(self, roots: _Roots, sessions: Protected, look: Look, now_ns: int, deadline: Deadline) -> None:
        self._deadline = deadline
        self._sessions = sessions
        self._look = look
        self._now_ns = now_ns
        self._by_rule = {}
        for rule in roots.rules:
            state, reason = roots.state(rule)
            self._by_rule[rule.name] = Findings(rule, state, reason)
        for path, root in roots:
            self._walk(path, root, roots.rivals(root))

    @property
    def findings(self) -> list[Findings]:
        """One for each rule, in their order."""
        return list(self._by_rule.values())

    def of(self, rule: str) -> Findings:
        """What was found by a rule."""
        return self._by_rule[rule]

    def _walk(self, path: str, root: Root, rivals: list[Rule]) -> None:
        own = [found for found in self.findings if found.rule.root == path]

        def skipped(where: str, reason: str) -> None:
            said = self._look.mounted_on(path, where[len(path) + 1 :]) if reason == "mount" else ""
            for found in own:
                found.skip(where, reason, said=said)

        for directory, entries in walk(root, skipped):
            # What is due must be known of all before the first file goes.
            self._deadline.require(f"looking through {path}: nothing was deleted")
            if directory.parent and self._look.hidden(path, directory.relative):
                if self._look.mounted_on(path, directory.relative):  # what lies below it goes without saying
                    skipped(directory.path, "mount")
                continue
            rules = [rule for rule in rivals if rule.covers(directory.path)]
            place = _Place(
                path, directory, self._sessions.keeps_directory(directory.path), _why_not_from(root, directory)
            )
            for entry in entries:
                self._entry(place, rules, entry)
            if not directory.entries and directory.parent:
                self._empty(place, root, rules)

    def _entry(self, place: _Place, rules: list[Rule], entry: os.DirEntry[str]) -> None:
        fitting = [rule for rule in rules if rule.names.match(entry.name)]
        if not fitting:
            return
        try:
            facts = entry.stat(follow_symlinks=False)
        except OSError:  # gone
            return
        verdicts = [(rule, self._judge(rule, entry.name, facts)) for rule in fitting]
        where = f"{place.directory.path}/{entry.name}"
        for rule, verdict in verdicts:
            if rule.root == place.root:
                found = self._by_rule[rule.name]
                found.matched += 1
                if verdict == "future" and not _note_ahead(found, where, facts):
                    found.note_newer(where, facts, self._now_ns)
        owner, verdict = next((pair for pair in verdicts if pair[1] in ("", "no_date")), (None, ""))
        if owner is None or owner.root != place.root:
            return
        found = self._by_rule[owner.name]
        reason, said = (verdict, "") if verdict else self._why_not(place, entry.name, facts)
        if reason:
            found.skip(where, reason, said=said)
        else:
            found.due.add(place.directory.relative, place.directory.facts.st_ino, entry.name, facts)

    def _judge(self, rule: Rule, name: str, facts: os.stat_result) -> str:
        verdict = rule.judge(name, facts, self._now_ns)
        # By whatever date a rule goes: where the other one is ahead, the clock was set, and no age is to be trusted.
        return "future" if not verdict and facts.st_ctime_ns > time.time_ns() else verdict

    def _why_not(self, place: _Place, name: str, facts: os.stat_result) -> tuple[str, str]:
        if not stat.S_ISREG(facts.st_mode):
            return "symbolic_link" if stat.S_ISLNK(facts.st_mode) else "no_regular_file", f"is {kind_of(facts)}"
        session = place.session or self._sessions.keeps_file(name)
        if session:
            return "session", session
        relative = place.directory.relative
        mounted_on = self._look.mounted_on(place.root, f"{relative}/{name}" if relative else name)
        if mounted_on:
            return "mount", mounted_on
        if place.why_not:
            return place.why_not, ""
        with claimed(place.directory.fd, name, facts, self._look.open_files) as (_fd, why):
            return why, self._look.open_files.says(facts, why)

    def _empty(self, place: _Place, root: Root, rules: list[Rule]) -> None:
        directory, parent = place.directory, place.directory.parent
        owner = next(
            (
                (rule, verdict)
                for rule in rules
                if rule.prune_empty
                for verdict in [rule.judge_age(directory.facts, self._now_ns)]
                if verdict != "young"
            ),
            None,
        )
        if owner is None or parent is None or owner[0].root != place.root:
            return
        found, verdict = self._by_rule[owner[0].name], owner[1]
        why_not = _why_not_from(root, parent)
        mounted_on = self._look.mounted_on(place.root, directory.relative)
        if verdict == "future":
            _note_ahead(found, directory.path, directory.facts)
        elif verdict:
            found.skip(directory.path, verdict)
        elif place.session:
            found.skip(directory.path, "session", said=place.session)
        elif mounted_on:
            found.skip(directory.path, "mount", said=mounted_on)
        elif self._look.open_files.holder(directory.facts):
            found.skip(directory.path, "open", said=self._look.open_files.says(directory.facts, "open"))
        elif why_not:
            found.skip(directory.path, why_not)
        else:
            found.due_directories.add(parent.relative, parent.facts.st_ino, directory.name, directory.facts)


class _Place(NamedTuple):
    """A directory of a walk: what holds for all that is in it."""

    root: str
    directory: Directory
    session: str
    why_not: str


def _why_not_from(root: Root, directory: Directory) -> str:
    """Why nothing can be deleted from a directory; empty where it can."""
    if os.access(".", os.W_OK | os.X_OK, dir_fd=directory.fd, effective_ids=True):
        return ""
    return "read_only" if root.statvfs().f_flag & os.ST_RDONLY else _flag_of(directory.fd) or "denied"


def _note_ahead(found: Findings, path: str, facts: os.stat_result) -> bool:
    """Note what one of its dates says to be of the future, and tell whether one does."""
    for date, moment in (("mtime", facts.st_mtime_ns), ("ctime", facts.st_ctime_ns)):
        ahead = moment - time.time_ns()
        if ahead > 0:
            found.skip(path, "dated_in_the_future", said=f"{date} is {ahead / 10**9:.3g} s ahead of this host's clock")
            return True
    return False


def _flag_of(fd: int) -> str:
    """What chattr has made of an open file or directory that keeps it from being deleted: immutable, append_only."""
    with contextlib.suppress(OSError):
        flags = int.from_bytes(fcntl.ioctl(fd, _FLAGS, bytes(8))[:4], sys.byteorder)
        return "immutable" if flags & _IMMUTABLE else "append_only" if flags & _APPEND_ONLY else ""
    return ""


# Deleting


class Outcome(NamedTuple):
    """What came of one file: why it stays, empty where it is gone; the same for people; the bytes that were freed."""

    why: str = ""
    said: str = ""
    freed: int = 0


class _MovedError(Exception):
    """A root is not any more where it was."""


class _Opened:
    """The directory that files are deleted from, kept open from one file to the next, and looked at before each."""

    def __init__(self, roots: _Roots) -> None:
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
        self, roots: _Roots, listed: _Listed, look: Look, target_percent: float | None, deadline: Deadline
    ) -> None:
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
        action["msg"] = f"{files} files deleted, {self._freed[rule.name]} bytes freed"
        action["msg"] += f", {directories} empty directories removed" if directories else ""
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
        outcome = self._kept(root, file)
        if not outcome.why:
            try:
                directory = self._opened.directory(root, file)
                outcome = remove(directory, file, self._look.open_files, self._relinked)
            except _MovedError:
                return "moved"
            except OSError as error:
                why = _REASONS.get(error.errno or 0, errno.errorcode.get(error.errno or 0, "changed"))
                outcome = Outcome(why, "" if why in _SAID else one_line(error.strerror))
        if outcome.why:
            found.skip(f"{root.path}/{file.path}", outcome.why, said=outcome.said)
            return ""
        self._freed[name] += outcome.freed
        counter = self._removed_directories if remove is remove_directory else self.removed
        counter[name] += 1
        return ""

    def _kept(self, root: Root, file: DueFile) -> Outcome:
        """Whether a file is a session's by now, or below what is mounted by now."""
        directory = f"{root.path}/{file.directory}" if file.directory else root.path
        listed = self._listed.now
        session = listed.keeps_directory(directory) or listed.keeps_file(file.name)
        if session:
            return Outcome("session", f"{session}, since the plan was made")
        mounted_on = self._look.mounted_on(root.path, file.path) or self._look.hidden(root.path, file.path)
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
            return Outcome((_flag_of(fd) if fd is not None else "") or _flag_of(directory) or "denied")
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


# What is shown


def _samples(findings: Iterable[Findings], limit: int) -> list[dict[str, str]]:
    shown = [
        {"rule": found.rule.name, "reason": reason, "path": path, "msg": said or _SAID.get(reason, reason)}
        for found in findings
        for reason, stays in sorted(found.samples.items())
        for path, said in stays
    ]
    return shown[:limit]


def _first_held(found: Findings) -> str:
    """The first file that somebody has open, and who."""
    return next((f"{path}: {said}" for path, said in found.samples.get("open", [])), "")


def _free(
    before: Mapping[int, tuple[list[str], os.statvfs_result]], after: Mapping[int, tuple[list[str], os.statvfs_result]]
) -> list[dict[str, Any]]:
    return [
        {
            "roots": roots,
            "before_percent": _percent_free(old.f_bavail, old.f_blocks - old.f_bfree),
            "after_percent": _percent_free(after[device][1].f_bavail, old.f_blocks - after[device][1].f_bfree),
            "before_bytes": old.f_bavail * old.f_frsize,
            "after_bytes": after[device][1].f_bavail * old.f_frsize,
            "inodes": {
                "before_percent": _percent_free(old.f_favail, old.f_files - old.f_ffree),
                "after_percent": _percent_free(after[device][1].f_favail, old.f_files - after[device][1].f_ffree),
            },
        }
        for device, (roots, old) in before.items()
    ]


def _percent_free(free: int, used: int) -> float | None:
    """Per cent that is free, as df counts: what is kept for root is neither. None where there is no such limit."""
    return round(100 * free / (free + used), 2) if free + used > 0 else None


def _diff(findings: Iterable[Findings], limit: int) -> dict[str, str]:
    lines: list[str] = []
    more = 0
    for found in findings:
        for directory, slash in ((False, ""), (True, "/")):
            chosen = found.due_directories.oldest_first() if directory else found.chosen()
            for file in chosen:
                if len(lines) < limit:
                    lines.append(one_line(f"{found.rule.root}/{file.path}{slash}", 300) + f" ({file.size} bytes)\n")
                else:
                    more += 1
    lines += [f"... and {more} more\n"] if more else []
    return {"before_header": "files that are due", "after_header": "after", "before": "".join(lines), "after": ""}
