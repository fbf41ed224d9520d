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
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Protocol

from ..clock import require_clock
from ..deadline import Deadline, deadline_of
from ..errors import OptionError
from ..opener import open_regular_at
from ..options import check_range
from ..plan import Action, plan_hash, require_hash
from ..shapes import one_line
from ..system.open_files import OpenFiles, claimed, leased
from ..system.tree import LOCK, Directory, Root, SymbolicLinkError, open_root, opened_again, walk
from .retention import DueFile, Findings, Rule, Totals, lacking, limit_to, make_plan, parse_rules, totals

_SESSIONS_SHOWN = 50
_MILLI = 10**6  # nanoseconds
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
# Why a file may stay without anything having failed
_GOOD_REASONS = {"open", "changed", "gone", "locked", "target_reached", "mount"}


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

    def protect_directory(self, path: str) -> bool:
        """Whether a directory stays, with all that is in it."""

    def protect_file(self, name: str) -> bool:
        """Whether a file stays, by its name."""


def disk_cleanup(params: Mapping[str, Any], mode: Mode, ask: Callable[[], Protected]) -> dict[str, Any]:
    """The result of module disk_cleanup.

    Args:
        params: its options.
        mode: whether to plan only, and to list what goes.
        ask: tells whose files stay; asked once the rules are known to be right.
    """
    deadline = deadline_of("disk_cleanup", params)
    require_clock(params)
    homes = [entry.pw_dir for entry in pwd.getpwall()]
    rules = parse_rules(params["rules"], homes, resolve=params["resolve_roots"])
    now_ns = _moment(params["as_of"])
    if params["target_free_percent"] is not None:
        check_range(params, "target_free_percent", 0, 100)
    check_range(params, "max_listed", 0, 1000)
    roots = _Roots(rules)
    try:
        sessions = ask()
        open_files = OpenFiles(roots.devices)
        survey = Survey(roots, sessions, open_files, now_ns, deadline)
        if params["target_free_percent"] is not None:
            for root, found in roots.by_file_system(survey.findings):
                limit_to(found, lacking(root.statvfs(), params["target_free_percent"]))
        counted = [(found, totals(found)) for found in survey.findings]
        plan = make_plan(counted)
        require_hash(plan, params["plan_hash"])
        diff = _diff(survey.findings, params["max_listed"]) if mode.diff else {}
        before = roots.figures()
        sweep = Sweep(roots, open_files, params["target_free_percent"], deadline)
        if not mode.check:
            for action in plan:
                sweep.carry_out(action, survey.of(action["stable"]["rule"]))
        result = {
            "changed": bool(plan) if mode.check else any(action["result"] == "done" for action in plan),
            "plan": plan,
            "hash": plan_hash(plan),
            "as_of": now_ns // _MILLI / 1000,
            "rules": [sweep.result(found, total) for found, total in counted],
            "skipped_files": _samples(survey.findings, params["max_listed"]),
            "free": _free(before, roots.figures()),
            "held_open": open_files.held(),
            "protected_sessions": sorted(sessions.ids)[:_SESSIONS_SHOWN],
            "protected_all": sessions.all_of,
            "api": {"state": sessions.state, "reason": sessions.reason},
        }
        return {**result, "diff": diff} if mode.diff else result
    finally:
        roots.close()


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

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self._open: dict[str, Root] = {}
        self._closed: dict[str, tuple[str, str]] = {}
        try:
            for path in dict.fromkeys(rule.root for rule in rules):
                self._open_one(path)
        except BaseException:
            self.close()
            raise

    def _open_one(self, path: str) -> None:
        try:
            self._open[path] = open_root(path)
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


# Finding


class Survey:
    """What is due by each rule. A file that is due by several goes by the first of them."""

    def __init__(
        self, roots: _Roots, sessions: Protected, open_files: OpenFiles, now_ns: int, deadline: Deadline
    ) -> None:
        self._deadline = deadline
        self._sessions = sessions
        self._open_files = open_files
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
            for found in own:
                found.skip(where, reason)

        for directory, entries in walk(root, skipped):
            # What is due must be known of all before the first file goes.
            self._deadline.require(f"looking through {path}: nothing was deleted")
            rules = [rule for rule in rivals if rule.covers(directory.path)]
            protected = self._sessions.protect_directory(directory.path)
            writable = os.access(".", os.W_OK | os.X_OK, dir_fd=directory.fd, effective_ids=True)
            for entry in entries:
                self._entry(path, rules, directory, entry, protected=protected, writable=writable)
            if not directory.entries and directory.parent:
                self._empty(path, rules, directory, protected=protected)

    def _entry(
        self,
        path: str,
        rules: list[Rule],
        directory: Directory,
        entry: os.DirEntry[str],
        *,
        protected: bool,
        writable: bool,
    ) -> None:
        fitting = [rule for rule in rules if rule.names.match(entry.name)]
        if not fitting:
            return
        try:
            facts = entry.stat(follow_symlinks=False)
        except OSError:  # gone
            return
        verdicts = [(rule, rule.judge(entry.name, facts, self._now_ns)) for rule in fitting]
        where = f"{directory.path}/{entry.name}"
        for rule, verdict in verdicts:
            if rule.root == path:
                found = self._by_rule[rule.name]
                found.matched += 1
                if verdict == "future" and facts.st_mtime_ns > time.time_ns():
                    found.skip(where, "dated_in_the_future")
        owner = next((rule for rule, verdict in verdicts if not verdict), None)
        if owner is None or owner.root != path:
            return
        found = self._by_rule[owner.name]
        reason = self._why_not(directory, entry.name, facts, protected=protected, writable=writable)
        if reason:
            found.skip(where, reason)
        else:
            found.due.add(directory.relative, directory.facts.st_ino, entry.name, facts)

    def _why_not(
        self, directory: Directory, name: str, facts: os.stat_result, *, protected: bool, writable: bool
    ) -> str:
        if not stat.S_ISREG(facts.st_mode):
            return "symbolic_link" if stat.S_ISLNK(facts.st_mode) else "no_regular_file"
        if protected or self._sessions.protect_file(name):
            return "session"
        if not writable:
            return "denied"
        with claimed(directory.fd, name, facts, self._open_files) as (_fd, why):
            return why

    def _empty(self, path: str, rules: list[Rule], directory: Directory, *, protected: bool) -> None:
        age_ns = self._now_ns - directory.facts.st_mtime_ns
        owner = next((rule for rule in rules if rule.prune_empty and age_ns > rule.min_age * 10**9), None)
        parent = directory.parent
        if owner is None or parent is None or owner.root != path:
            return
        found = self._by_rule[owner.name]
        if protected:
            found.skip(directory.path, "session")
        elif self._open_files.holder(directory.facts):
            found.skip(directory.path, "open")
        elif not os.access(".", os.W_OK | os.X_OK, dir_fd=parent.fd, effective_ids=True):
            found.skip(directory.path, "denied")
        else:
            found.due_directories.add(parent.relative, parent.facts.st_ino, directory.name, directory.facts)


# Deleting


class Sweep:
    """Carries a plan out, and knows what came of it."""

    def __init__(self, roots: _Roots, open_files: OpenFiles, target_percent: float | None, deadline: Deadline) -> None:
        self._roots = roots
        self._deadline = deadline
        self._open_files = open_files
        self._target = target_percent
        self.removed: Counter[str] = Counter()
        self._removed_directories: Counter[str] = Counter()
        self._freed: Counter[str] = Counter()

    def carry_out(self, action: Action, found: Findings) -> None:
        """Delete what one rule takes. What changed since it was seen, or is in use now, stays."""
        rule = found.rule
        root = self._roots.get(rule)
        before = found.skipped.copy()
        for number, file in enumerate(found.chosen()):
            if self._target is not None and lacking(root.statvfs(), self._target).enough:
                found.skip(rule.root, "target_reached", action["stable"]["files"] - number)
                break
            if self._deadline.is_over:
                found.skip(rule.root, "time_over", action["stable"]["files"] - number)
                break
            self._one(root, found, file, remove_file)
        for directory in found.due_directories.oldest_first():
            if self._deadline.is_over:
                break
            self._one(root, found, directory, remove_directory)
        stayed = found.skipped - before
        files, directories = self.removed[rule.name], self._removed_directories[rule.name]
        failed = stayed.keys() - _GOOD_REASONS
        action["result"] = "done" if files or directories else "failed" if failed else "skipped"
        action["msg"] = f"{files} files deleted, {self._freed[rule.name]} bytes freed"
        action["msg"] += f", {directories} empty directories removed" if directories else ""
        if stayed:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(stayed.items()))
            action["msg"] += f"; skipped: {reasons}"

    def _one(
        self, root: Root, found: Findings, file: DueFile, remove: Callable[[int, DueFile, OpenFiles], tuple[str, int]]
    ) -> None:
        name = found.rule.name
        try:
            with opened_again(root, file.directory, file.directory_inode) as directory:
                why, freed = remove(directory, file, self._open_files)
        except OSError as error:
            why, freed = _REASONS.get(error.errno or 0, errno.errorcode.get(error.errno or 0, "changed")), 0
        if why:
            found.skip(f"{root.path}/{file.path}", why)
            return
        self._freed[name] += freed
        counter = self._removed_directories if remove is remove_directory else self.removed
        counter[name] += 1

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


def remove_file(directory: int, file: DueFile, open_files: OpenFiles) -> tuple[str, int]:
    """Delete a file by its name in an open directory, if it still is the one that was planned and nobody has it open.

    Returns:
        Why it stays, or empty text; and the bytes that were freed.
    """
    facts = os.stat(file.name, dir_fd=directory, follow_symlinks=False)
    seen = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    if not stat.S_ISREG(facts.st_mode) or seen != (file.inode, file.size, file.mtime_ns):
        return "changed", 0
    with _shared(directory) as ours:
        if not ours:
            return "locked", 0
        with claimed(directory, file.name, facts, open_files) as (fd, why):
            if why:
                return why, 0
            if fd is not None and not leased(fd, fcntl.F_WRLCK):
                return "open", 0
            os.unlink(file.name, dir_fd=directory)
    return "", facts.st_blocks * 512 if facts.st_nlink == 1 else 0


def remove_directory(directory: int, file: DueFile, open_files: OpenFiles) -> tuple[str, int]:
    """Remove a directory that still is the one that was planned; the kernel refuses one that is not empty."""
    facts = os.stat(file.name, dir_fd=directory, follow_symlinks=False)
    if (facts.st_ino, facts.st_mtime_ns) != (file.inode, file.mtime_ns) or open_files.holder(facts):
        return "changed", 0
    os.rmdir(file.name, dir_fd=directory)
    return "", 0


# What is shown


def _samples(findings: Iterable[Findings], limit: int) -> list[dict[str, str]]:
    shown = [
        {"rule": found.rule.name, "reason": reason, "path": path}
        for found in findings
        for reason, paths in sorted(found.samples.items())
        for path in paths
    ]
    return shown[:limit]


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
