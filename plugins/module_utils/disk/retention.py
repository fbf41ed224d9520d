# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Retention rules: which files are due by their name, age and size, and the plan that follows. Touches no file.

What is due is kept compactly, in some 60 bytes a file and its name, so that a million files fit into little memory.
"""

from __future__ import annotations

import fnmatch
import hashlib
import heapq
import math
import os
import re
import stat
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import OptionError
from ..plan import Action, planned
from ..shapes import one_line
from ..times import text_of
from ..words import number_of

_NANO = 10**9
_SORTED_AT_ONCE = 1 << 16
_SAMPLE = 5
_NS_MAX = (1 << 63) - 1

AGES = ("change", "mtime")
"""What an age is counted from. ``change`` is the younger of both dates: nobody can set the time of the inode's change,
so that what has just come here (unpacked, moved, copied with its dates) is young, whatever it is dated."""


def rule_spec() -> dict[str, Any]:
    """The suboptions of a rule, as an argument spec has them."""
    return {
        "rule": {"type": "str", "required": True},
        "root": {"type": "str", "required": True},
        "patterns": {"type": "list", "elements": "str", "required": True},
        "min_age": {"type": "float", "required": True},
        "age_of": {"type": "str", "choices": ["change", "mtime"], "default": "change"},
        "min_size": {"type": "int", "default": 0},
        "prune_empty": {"type": "bool", "default": False},
        "archived_in": {"type": "path"},
        "steps": {"type": "list", "elements": "str", "default": []},
    }


@dataclass(frozen=True)
class Rule:
    """Files with such names below ``root`` go once they are older than ``min_age`` s, and take ``min_size`` bytes.

    Attributes:
        age_of: what the age is counted from, one of :data:`AGES`.
        archived_in: where an archive must hold a file before it goes; empty where none need.
    """

    name: str
    root: str
    patterns: tuple[str, ...]
    min_age: float
    age_of: str
    min_size: int
    steps: tuple[str, ...]
    prune_empty: bool
    archived_in: str
    names: re.Pattern[str] = field(repr=False, compare=False)

    def covers(self, directory: str) -> bool:
        """Whether a directory is the rule's root or lies below it."""
        return directory == self.root or directory.startswith(self.root + "/")

    def since_ns(self, facts: os.stat_result) -> int:
        """The moment that the age of a file or directory is counted from, in ns since 1970."""
        return facts.st_mtime_ns if self.age_of == "mtime" else max(facts.st_mtime_ns, facts.st_ctime_ns)

    def since_of(self, file: DueFile) -> int:
        """The same of a file that was found."""
        return file.mtime_ns if self.age_of == "mtime" else max(file.mtime_ns, file.ctime_ns)

    def judge(self, name: str, facts: os.stat_result, now_ns: int) -> str:
        """Empty for what is due; else why it is not: other (name), or as :meth:`judge_age`, or small."""
        if not self.names.match(name):
            return "other"
        return self.judge_age(facts, now_ns) or ("" if _taken(facts) >= self.min_size else "small")

    def judge_age(self, facts: os.stat_result, now_ns: int) -> str:
        """Empty for what is old enough; else future, young, or no_date (one that no clock can have given)."""
        since_ns = self.since_ns(facts)
        if since_ns > now_ns:
            return "future"
        # To compare a whole number with a float is exact, also with one beyond all dates.
        if now_ns - since_ns <= (round(self.min_age * _NANO) if self.min_age < _NANO else self.min_age * _NANO):
            return "young"
        return "" if max(abs(facts.st_mtime_ns), abs(facts.st_ctime_ns)) <= _NS_MAX else "no_date"

    @property
    def says(self) -> str:
        """The rule in words."""
        size = f" and of {self.min_size} bytes or more" if self.min_size else ""
        by = " by mtime" if self.age_of == "mtime" else ""
        archived = f", archived in {self.archived_in}" if self.archived_in else ""
        return f"{', '.join(self.patterns)} older than {_duration(self.min_age)}{by}{size}{archived}"


def _taken(facts: os.stat_result) -> int:
    """Bytes that a file takes of its disk, of its content: the holes of a sparse one take none."""
    return min(facts.st_size, facts.st_blocks * 512)


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:.3g} s"


def parse_rules(given: Sequence[Mapping[str, Any]], homes: Iterable[str], *, resolve: bool = False) -> list[Rule]:
    """Check the rules, in their order, which is also their rank: the first takes least valuable files.

    Args:
        given: what the module got.
        homes: home directories of this host, which are no roots, nor is what holds one.
        resolve: whether roots may be, or pass through, symbolic links, which are followed now, once.
    """
    if not given:
        raise OptionError("rules", given, "must have at least one rule")
    homes = {how(home) for home in homes if home.startswith("/") for how in (os.path.normpath, os.path.realpath)} - {
        "/"
    }
    rules = [_rule(one, homes, resolve) for one in given]
    twice = [name for name, count in Counter(rule.name for rule in rules).items() if count > 1]
    if twice:
        raise OptionError("rules", twice[0], "names a rule twice")
    return rules


def _rule(given: Mapping[str, Any], homes: set[str], resolve: bool) -> Rule:
    name = given["rule"]
    if not name or not name.isprintable():
        raise OptionError("rules", name, "a rule needs a name")
    for option, value in (("min_age", given["min_age"]), ("min_size", given["min_size"])):
        if not math.isfinite(value) or value < 0:
            raise OptionError("rules", value, f"{option} of rule {name} must not be negative")
    if not given["min_age"]:
        raise OptionError(
            "rules", 0, f"min_age of rule {name} must be more than 0: it would take what is being written"
        )
    patterns = tuple(given["patterns"])
    if not patterns:
        raise OptionError("rules", [], f"rule {name} needs patterns")
    for pattern in patterns:
        if not pattern.strip() or "/" in pattern or "\0" in pattern:
            raise OptionError("rules", pattern, f"a pattern of rule {name} is for file names: not empty, and without /")
    root = checked_root(given["root"], name, homes)
    # Also of what is not resolved: a link on the way is refused when it is opened, a home by whatever path here.
    real = checked_root(os.path.realpath(root), name, homes) if resolve or os.path.lexists(root) else root
    if given["age_of"] not in AGES:
        raise OptionError("rules", given["age_of"], f"age_of of rule {name} must be one of {', '.join(AGES)}")
    return Rule(
        name=name,
        root=real if resolve else root,
        patterns=patterns,
        min_age=given["min_age"],
        age_of=given["age_of"],
        min_size=given["min_size"],
        steps=tuple(given["steps"]),
        prune_empty=given["prune_empty"],
        archived_in=given.get("archived_in") or "",
        names=re.compile("|".join(f"(?:{fnmatch.translate(pattern)})" for pattern in patterns)),
    )


def checked_root(path: str, rule: str, homes: Iterable[str]) -> str:
    """The root of a rule, refused where a slip of the pen could have made it."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    root = "/" + "/".join(parts)
    why = ""
    if not path.startswith("/") or "\0" in path:
        why = "must be an absolute path"
    elif ".." in parts:
        why = "must not contain '..'"
    elif len(parts) < 2:
        why = "must have two components at least"
    elif parts[0] == "root" or (parts[0] == "home" and len(parts) < 3):
        why = "must not be a home directory"
    elif any(home == root or home.startswith(root + "/") for home in homes):
        why = "must not be a home directory, nor hold one"
    if why:
        raise OptionError("rules", path, f"the root of rule {rule} {why}")
    return root


class DueFile(NamedTuple):
    """One file that is due, as it was seen: what has changed since is not touched.

    Attributes:
        directory: its directory below the root.
        directory_inode: of that directory.
        name: its name there.
        inode: of the file.
        size: in bytes.
        mtime_ns: time of its content's last change, as it is dated.
        ctime_ns: time of its inode's last change, which nobody can set.
        freed: bytes that its end gives back, 0 where it has other hard links.
        hard_linked: whether it has.
    """

    directory: str
    directory_inode: int
    name: str
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    freed: int
    hard_linked: bool

    @property
    def path(self) -> str:
        """Its path below the root."""
        return f"{self.directory}/{self.name}" if self.directory else self.name


class DueFiles:
    """Files that are due, in columns.

    Args:
        age_of: what their age is counted from, one of :data:`AGES`.
    """

    def __init__(self, age_of: str = "change") -> None:
        self._by_mtime = age_of == "mtime"
        self._directories: list[tuple[str, int]] = []
        self._names = bytearray()
        self._name_ends = array("Q")
        self._directory_of = array("I")
        self._inodes = array("Q")
        self._sizes = array("Q")
        self._mtimes = array("q")
        self._ctimes = array("q")
        self._freed = array("q")  # -1 for what has other hard links

    def __len__(self) -> int:
        return len(self._inodes)

    def add(self, directory: str, directory_inode: int, name: str, facts: os.stat_result) -> None:
        """Take a file; those of one directory come one after the other."""
        if not self._directories or self._directories[-1] != (directory, directory_inode):
            self._directories.append((directory, directory_inode))
        self._names += os.fsencode(name)
        self._name_ends.append(len(self._names))
        self._directory_of.append(len(self._directories) - 1)
        self._inodes.append(facts.st_ino)
        self._sizes.append(facts.st_size)
        self._mtimes.append(facts.st_mtime_ns)
        self._ctimes.append(facts.st_ctime_ns)
        self._freed.append(-1 if facts.st_nlink > 1 and not stat.S_ISDIR(facts.st_mode) else facts.st_blocks * 512)

    def __getitem__(self, index: int) -> DueFile:
        directory, inode = self._directories[self._directory_of[index]]
        start = self._name_ends[index - 1] if index else 0
        name = os.fsdecode(bytes(self._names[start : self._name_ends[index]]))
        freed = self._freed[index]
        return DueFile(
            directory,
            inode,
            name,
            self._inodes[index],
            self._sizes[index],
            self._mtimes[index],
            self._ctimes[index],
            max(freed, 0),
            hard_linked=freed < 0,
        )

    def oldest_first(self) -> Iterator[DueFile]:
        """All of them by age, to the second, sorted without an object for each."""
        dates = self._mtimes if self._by_mtime else map(max, self._mtimes, self._ctimes)
        keys = array("Q", (_second(date) << 32 | index for index, date in enumerate(dates)))
        runs = []
        for start in range(0, len(keys), _SORTED_AT_ONCE):
            keys[start : start + _SORTED_AT_ONCE] = array("Q", sorted(keys[start : start + _SORTED_AT_ONCE]))
            runs.append(start)
        view = memoryview(keys)
        for key in heapq.merge(*(view[start : start + _SORTED_AT_ONCE] for start in runs)):
            yield self[key & 0xFFFFFFFF]


def _second(date_ns: int) -> int:
    return min(max(date_ns // _NANO, 0), 0xFFFFFFFF)


class Stays(NamedTuple):
    """Something that stays: its path, and why in words."""

    path: str
    said: str


@dataclass
class Findings:
    """What was found for one rule.

    Attributes:
        state: ok, missing, denied, not_a_directory, locked; anything but ok has a reason and no files.
        matched: files with a fitting name.
        due: those that are due and may go.
        due_directories: empty directories that are due and may go.
        skipped: reasons why a file that would be due stays, and of what was not looked into.
        samples: some for each reason.
        newer: how many files with a fitting name are new or changed since the moment that ages are counted to.
        newer_sample: some of them, in words.
        wanted: how many of ``due`` reach the target, oldest first; None for all.
    """

    rule: Rule
    state: str = "ok"
    reason: str = ""
    matched: int = 0
    due: DueFiles = field(init=False)
    due_directories: DueFiles = field(init=False)
    skipped: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[Stays]] = field(default_factory=dict)
    newer: int = 0
    newer_sample: list[str] = field(default_factory=list)
    wanted: int | None = None

    def __post_init__(self) -> None:
        self.due, self.due_directories = DueFiles(self.rule.age_of), DueFiles(self.rule.age_of)

    def skip(self, path: str, reason: str, count: int = 1, said: str = "") -> None:
        """Note why something stays.

        Args:
            path: of it, or of what holds all of it.
            reason: one word.
            count: how many files or directories it stands for.
            said: the same for people, where there is more to say than the word.
        """
        self.skipped[reason] += count
        sample = self.samples.setdefault(reason, [])
        if len(sample) < _SAMPLE:
            sample.append(Stays(one_line(path, 300), one_line(said, 300)))

    def note_newer(self, path: str, facts: os.stat_result, now_ns: int) -> None:
        """Note a file that is new or changed since ages are counted to."""
        self.newer += 1
        if len(self.newer_sample) < _SAMPLE:
            after = (self.rule.since_ns(facts) - now_ns) / _NANO
            self.newer_sample.append(f"{one_line(path, 300)} ({facts.st_size} bytes, {_duration(after)} after it)")

    def chosen(self) -> Iterator[DueFile]:
        """The files that go, oldest first."""
        for number, file in enumerate(self.due.oldest_first()):
            if number == self.wanted:
                return
            yield file


@dataclass
class Room:
    """What a file system lacks until its target is reached."""

    bytes: int
    inodes: int

    @property
    def enough(self) -> bool:
        """Whether nothing is lacking."""
        return self.bytes <= 0 and self.inodes <= 0


def lacking(figures: os.statvfs_result, target_percent: float) -> Room:
    """What has to be freed until so many per cent are free, of bytes as df counts them, and of inodes."""
    used = (figures.f_blocks - figures.f_bfree) * figures.f_frsize
    free = figures.f_bavail * figures.f_frsize
    inodes_used = figures.f_files - figures.f_ffree
    return Room(
        math.ceil((used + free) * target_percent / 100) - free,
        # A file system without a fixed number of inodes shows none at all.
        math.ceil((inodes_used + figures.f_favail) * target_percent / 100) - figures.f_favail if figures.f_files else 0,
    )


def limit_to(findings: Iterable[Findings], room: Room) -> None:
    """Choose no more than the target needs, least valuable first: in the order of rules, the oldest of each first."""
    for found in findings:
        found.wanted = 0
        for file in found.due.oldest_first():
            if room.enough:
                break
            found.wanted += 1
            room.bytes -= file.freed
            room.inodes -= 0 if file.hard_linked else 1
        if found.wanted < len(found.due):
            found.skip(found.rule.root, "target_reached", len(found.due) - found.wanted)


@dataclass
class Totals:
    """What the plan takes of one rule."""

    files: int = 0
    bytes: int = 0
    directories: int = 0
    hard_linked: int = 0
    digest: int = 0
    oldest_ns: int = 0
    newest_ns: int = 0
    sample: list[str] = field(default_factory=list)

    def note(self, path: str, file: DueFile) -> None:
        """Count one. The digest is a sum of hashes, hence the same in any order of directory entries."""
        below = os.fsencode(file.path)
        text = b"%s\0%d\0%d\0%d\0%d" % (below, file.inode, file.size, file.mtime_ns, file.ctime_ns)
        self.digest = (self.digest + int.from_bytes(hashlib.sha256(text).digest(), "big")) % (1 << 256)
        if len(self.sample) < _SAMPLE:
            self.sample.append(one_line(path, 300))


def totals(found: Findings) -> Totals:
    """Sum up what goes by one rule."""
    counted = Totals()
    for file in found.chosen():
        since_ns = max(found.rule.since_of(file), 0)
        counted.oldest_ns = counted.oldest_ns if counted.files else since_ns
        counted.newest_ns = max(counted.newest_ns, since_ns)
        counted.files += 1
        counted.bytes += file.freed
        counted.hard_linked += file.hard_linked
        counted.note(f"{found.rule.root}/{file.path}", file)
    for directory in found.due_directories.oldest_first():
        counted.directories += 1
        counted.note(f"{found.rule.root}/{directory.path}/", directory)
    return counted


def make_plan(findings: Iterable[tuple[Findings, Totals]]) -> list[Action]:
    """One action for each rule by which something goes, in the order in which they are carried out."""
    return [_action(found.rule, counted) for found, counted in findings if counted.files or counted.directories]


def _action(rule: Rule, counted: Totals) -> Action:
    what = number_of(counted.files, "file")
    if counted.directories:
        what += f" and {number_of(counted.directories, 'empty directory')}"
    target = f"{what} below {rule.root} (rule {rule.name})"
    return planned(
        "delete",
        one_line(target),
        one_line(rule.says),
        rule.steps,
        stable={
            "rule": rule.name,
            "root": rule.root,
            "files": counted.files,
            "directories": counted.directories,
            "bytes": counted.bytes,
            "digest": f"{counted.digest:064x}",
        },
        proof={
            "sample": counted.sample,
            "oldest": _dated(counted.oldest_ns) if counted.files else None,
            "newest": _dated(counted.newest_ns) if counted.files else None,
            "hard_linked": counted.hard_linked,
        },
    )


def _dated(date_ns: int) -> str:
    return text_of(date_ns // _NANO)
