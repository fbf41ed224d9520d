# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is due: found by a walk through all roots, with the reason why anything else stays."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Mapping
from typing import Callable, NamedTuple, Protocol

from ..deadline import Deadline
from ..errors import MediaOpsError
from ..opener import kind_of
from ..system.file_flags import flag_of
from ..system.open_files import claimed
from ..system.tree import Directory, Root, walk
from .kept import Configured, Results, Work
from .known import Identity, Known, on_the_way
from .retention import Findings, Rule
from .roots import Look, Roots

_OF_MKFS = "lost+found"


class Protected(Protocol):
    """Whose files stay: sessions by their ``ids``, or all below their directory, and how that is known."""

    state: str
    reason: str
    ids: frozenset[str]
    all_of: bool
    elsewhere: Mapping[Identity, str]
    linked: Mapping[Identity, str]

    def keeps_directory(self, path: str, root: str) -> str:
        """Why a directory stays, with all that is in it; else empty."""

    def keeps_file(self, name: str) -> str:
        """Why a file stays, by its name; else empty."""

    def keeps_unlisted(self, directory: str, name: str, age_s: float) -> tuple[str, str]:
        """Why a file stays where there is no list, by the age of its rule: the reason, and the same for people."""


Archived = Callable[[str, str], Collection[tuple[int, int, int]]]
"""Of a directory of logs and one of archives: which logs an archive holds, by inode, size and time of change in ns.

Raises:
    MediaOpsError: that cannot be told.
"""


class Survey:
    """What is due by each rule. A file that is due by several goes by the first of them that lets it go."""

    def __init__(
        self,
        roots: Roots,
        sessions: Protected,
        look: Look,
        now_ns: int,
        deadline: Deadline,
        *,
        results: Results,
        work: Work,
        named: Configured,
        known: Known,
        archived: Archived,
    ) -> None:
        self._archived = archived
        self._archives: dict[str, tuple[Collection[tuple[int, int, int]], str]] = {}
        self._deadline = deadline
        self._sessions = sessions
        self._results = results
        self._work = work
        self._named = named
        self._known = known
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

        def skipped(where: str, reason: str, said: str = "") -> None:
            if reason == "denied" and where == f"{path}/{_OF_MKFS}" and _is_roots(where):
                return  # each file system has one at its top, and no file of the service's is in it
            if reason == "mount":
                said = said or self._look.mounted_on(path, where[len(path) + 1 :])
            for found in own:
                found.skip(where, reason, said=said)

        for directory, entries in walk(root, skipped):
            # What is due must be known of all before the first file goes.
            self._deadline.require(f"looking through {path}: nothing was deleted")
            if self._is_shown_otherwise(path, directory, skipped):
                continue
            self._known.meet(directory)
            rules = [rule for rule in rivals if rule.covers(directory.path)]
            place = _Place(
                path,
                directory,
                self._known.keeps(self._sessions, root, directory.path, on_the_way(directory)),
                _why_not_from(root, directory),
                self._results.holds(directory, self._known),
            )
            for entry in entries:
                self._entry(place, rules, entry)
            if not directory.entries and directory.parent:
                self._empty(place, root, rules)

    def _is_shown_otherwise(self, path: str, directory: Directory, skipped: Callable[[str, str, str], None]) -> bool:
        """Whether a mount shows something else there, or an overlay what is in it; told of the topmost only."""
        if directory.parent and self._look.hidden(path, directory.relative):
            if self._look.mounted_on(path, directory.relative):  # what lies below it goes without saying
                skipped(directory.path, "mount", "")
            return True
        layer = self._layer(directory)
        if layer and not self._layer(directory.parent):
            skipped(directory.path, "mount", layer)
        return bool(layer)

    def _layer(self, directory: Directory | None) -> str:
        """Why a directory of a walk stays with all that is in it, as an overlay shows it elsewhere; else empty."""
        if directory is None or not self._look.layers:
            return ""
        return self._look.layers.says(directory.relative, list(on_the_way(directory))[:-1])

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
        owner, verdict, unarchived = self._owner(verdicts, facts)
        if owner is None or owner.root != place.root:
            return
        found = self._by_rule[owner.name]
        reason, said = (verdict, "") if verdict else self._why_not(place, entry.name, facts, owner.min_age)
        if not reason:
            reason, said = unarchived
        if reason:
            found.skip(where, reason, said=said)
        else:
            found.due.add(place.directory.relative, place.directory.facts.st_ino, entry.name, facts)

    def _owner(
        self, verdicts: list[tuple[Rule, str]], facts: os.stat_result
    ) -> tuple[Rule | None, str, tuple[str, str]]:
        """The first rule by which a file is due, its verdict, and why no archive that it asks for holds the file.

        Where none does, a later rule that asks for none has the file: it frees space by logs that are lost with it.
        """
        due = [
            (rule, verdict, self._why_not_archived(rule, facts) if rule.archived_in and not verdict else ("", ""))
            for rule, verdict in verdicts
            if verdict in ("", "no_date")
        ]
        return next((one for one in due if not one[2][0]), due[0] if due else (None, "", ("", "")))

    def _judge(self, rule: Rule, name: str, facts: os.stat_result) -> str:
        verdict = rule.judge(name, facts, self._now_ns)
        # By whatever date a rule goes: where the other one is ahead, the clock was set, and no age is to be trusted.
        return "future" if not verdict and facts.st_ctime_ns > time.time_ns() else verdict

    def _why_not(self, place: _Place, name: str, facts: os.stat_result, age_s: float) -> tuple[str, str]:
        if not stat.S_ISREG(facts.st_mode):
            return "symbolic_link" if stat.S_ISLNK(facts.st_mode) else "no_regular_file", f"is {kind_of(facts)}"
        stays = self._stays(place, name, age_s)
        if stays[0]:
            return stays
        named = self._sessions.elsewhere.get((facts.st_dev, facts.st_ino))
        if named:
            return "session", named
        relative = place.directory.relative
        mounted_on = self._look.mounted_on(place.root, f"{relative}/{name}" if relative else name)
        if mounted_on:
            return "mount", mounted_on
        if place.why_not:
            return place.why_not, ""
        with claimed(place.directory.fd, name, facts, self._look.open_files) as (_fd, why):
            return why, self._look.open_files.says(facts, why)

    def _why_not_archived(self, rule: Rule, facts: os.stat_result) -> tuple[str, str]:
        """Why a log stays that its archive does not hold: it may have been rotated since, or been left out of it."""
        if rule.name not in self._archives:
            try:
                self._archives[rule.name] = (self._archived(rule.root, rule.archived_in), "")
            except MediaOpsError as error:
                self._archives[rule.name] = ((), str(error))
        archived, unknown = self._archives[rule.name]
        if unknown:
            return "unreadable", f"whether an archive holds it is not known: {unknown}"
        if (facts.st_ino, facts.st_size, facts.st_mtime_ns) in archived:
            return "", ""
        return "not_archived", f"no archive in {rule.archived_in} holds it: the next one is to"

    def _stays(self, place: _Place, name: str, age_s: float) -> tuple[str, str]:
        """Why a file stays by whose it is, and the same for people; empty where it does not."""
        if place.result:
            return "result", place.result
        session = place.session or self._sessions.keeps_file(name)
        if session:
            return "session", session
        going_on = self._known.goes_on(self._work, place.root, place.directory.path)
        return ("active", going_on) if going_on else self._sessions.keeps_unlisted(place.directory.path, name, age_s)

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
        reason, said = (verdict, "") if verdict else self._why_not_empty(place, parent, root, owner[0].min_age)
        if verdict == "future":
            _note_ahead(found, directory.path, directory.facts)
        elif reason:
            found.skip(directory.path, reason, said=said)
        else:
            found.due_directories.add(parent.relative, parent.facts.st_ino, directory.name, directory.facts)

    def _why_not_empty(self, place: _Place, parent: Directory, root: Root, age_s: float) -> tuple[str, str]:
        """Why an empty directory stays, and the same for people; empty where it does not."""
        directory, files = place.directory, self._look.open_files
        stays = (
            ("result", place.result),
            ("session", place.session),
            ("configured", self._named.says(directory.facts)),
            self._sessions.keeps_unlisted(parent.path, directory.name, age_s),
            ("mount", self._look.mounted_on(place.root, directory.relative)),
            ("open", files.says(directory.facts, "open") if files.holder(directory.facts) else ""),
        )
        stay = next((one for one in stays if one[1]), (_why_not_from(root, parent), ""))
        return stay if stay[0] else self._look.counted_on((directory.facts.st_dev, directory.facts.st_ino))


def _is_roots(path: str) -> bool:
    """Whether a directory is root's."""
    try:
        return os.lstat(path).st_uid == 0
    except OSError:
        return False


class _Place(NamedTuple):
    """A directory of a walk: what holds for all that is in it."""

    root: str
    directory: Directory
    session: str
    why_not: str
    result: str


def _why_not_from(root: Root, directory: Directory) -> str:
    """Why nothing can be deleted from a directory; empty where it can."""
    if os.access(".", os.W_OK | os.X_OK, dir_fd=directory.fd, effective_ids=True):
        return ""
    return "read_only" if root.statvfs().f_flag & os.ST_RDONLY else flag_of(directory.fd) or "denied"


def _note_ahead(found: Findings, path: str, facts: os.stat_result) -> bool:
    """Note what one of its dates says to be of the future, and tell whether one does."""
    for date, moment in (("mtime", facts.st_mtime_ns), ("ctime", facts.st_ctime_ns)):
        ahead = moment - time.time_ns()
        if ahead > 0:
            found.skip(path, "dated_in_the_future", said=f"{date} is {ahead / 10**9:.3g} s ahead of this host's clock")
            return True
    return False
