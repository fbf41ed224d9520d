# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roots of all rules, each open once, and what goes on there: who has files open, and what is mounted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from ..errors import OptionError
from ..system.counted_on import Layers, Watched
from ..system.mounts import MountPoint, MountPoints
from ..system.open_files import OpenFiles
from ..system.tree import Root, SymbolicLinkError, is_at, open_root
from .retention import Findings, Rule


def with_mounts(rules: Iterable[Rule], paths: Iterable[str]) -> list[Rule]:
    """The rules, each once more for every one of these directories that lies below its root on another mount.

    A walk crosses no mount, so that nothing goes which nobody has named: what is named is a root of its own.

    Args:
        rules: as they are given.
        paths: of directories, which need not be there; what cannot be opened is what the walk meets and tells.
    """
    made: list[Rule] = []
    for rule in rules:
        made.append(rule)
        walked = {_mount(rule.root)}
        below = sorted(path for path in {os.path.normpath(path) for path in paths} if rule.covers(path))
        for path, mount in [(path, _mount(path)) for path in below]:
            if None not in (mount, *walked) and mount not in walked:
                walked.add(mount)
                made.append(replace(rule, name=f"{rule.name} in {path}", root=path))
    return made


def _mount(path: str) -> int | None:
    """The mount that a directory is of; None where it cannot be opened."""
    try:
        with contextlib.closing(open_root(path)) as root:
            return root.mount
    except OSError:
        return None


class Roots:
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
    """Who has what open, and what is mounted where, at one moment.

    Who watches directories is looked for once one of them is to go.
    """

    open_files: OpenFiles
    mounts: MountPoints
    points: dict[str, dict[str, MountPoint]]
    layers: Layers
    watchers: list[Watched]

    @classmethod
    def now(cls, roots: Roots) -> Look:
        """Look around."""
        mounts = MountPoints()
        points = {path: mounts.below(root) for path, root in roots}
        return cls(OpenFiles(roots.devices), mounts, points, Layers(), [])

    def counted_on(self, identity: tuple[int, int]) -> tuple[str, str]:
        """Why an empty directory that no process has open stays: in a word, and for people; both empty for nothing.

        Args:
            identity: of the directory, its device and inode.
        """
        if not self.watchers:
            self.watchers.append(Watched())
        return self.watchers[0].says(identity)

    def mounted_on(self, root: str, path: str) -> str:
        """What is known where something is mounted on a path, in whatever namespace, for people; else empty.

        Args:
            root: path of an open root.
            path: below it.
        """
        point = self.points[root].get(path)
        return point.says if point else ""

    def hidden(self, root: str, path: str) -> str:
        """The same where a path below a root is, or lies below, a mount point at which something else is seen."""
        for at, point in self.points[root].items():
            if point.hides and path == at:
                return point.says
            if point.hides and path.startswith(at + "/"):
                return f"lies below {root}/{at}, which {point.says}"
        return ""
