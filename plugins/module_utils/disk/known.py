# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a directory of a walk is, by whatever path it is reached.

A bind mount or a symbolic link shows one directory at several paths, and whose it is may be told by one of them only.
So the sessions' directory is known by device and inode, and a root that is a bind mount by what it shows, also where
what holds that is not on the way to it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from ..system.mounts import MountPoints
from ..system.tree import Directory, Root
from .roots import Roots

Identity = tuple[int, int]
"""Device and inode."""


class _Sessions(Protocol):
    elsewhere: Mapping[Identity, str]
    linked: Mapping[Identity, str]

    def keeps_directory(self, path: str, root: str) -> str: ...


class _Work(Protocol):
    def goes_on(self, path: str) -> str: ...


class Known:
    """The paths by which directories of roots are known, and what is on the way to them.

    Args:
        roots: of the walks.
        mounts: as they are now.
        directories: that the options name, of which something below stays by its path.
    """

    def __init__(self, roots: Roots, mounts: MountPoints, directories: Iterable[str]) -> None:
        self._named: dict[Identity, str] = {}
        for path in directories:
            identity = identity_of(path)
            if identity:
                self._named[identity] = os.path.realpath(path)
        self._others: dict[tuple[str, str], None] = {}
        self._above: dict[str, dict[Identity, None]] = {}
        for path, root in roots:
            self._above[path] = {}
            # What cannot be looked at may be the same, and what is kept in vain goes another day.
            ways = [way for way in mounts.ways(root) if identity_of(way) in (None, identity_of(path))]
            self._others.update(((path, way), None) for way in ways)
            for base in (path, *ways):
                self._climb(path, base)

    def _climb(self, root: str, base: str) -> None:
        """Take note of what holds a root, by one of the paths that lead to it."""
        at = base
        while at != "/":
            at = os.path.dirname(at)
            identity = identity_of(at)
            if identity:
                self._above[root][identity] = None
                if identity in self._named:
                    self._others[root, self._named[identity] + base[len(at.rstrip("/")) :]] = None

    def meet(self, directory: Directory) -> None:
        """Take note of a directory of a walk: it may be one that is named."""
        real = self._named.get((directory.facts.st_dev, directory.facts.st_ino))
        if real is not None and real != directory.path:
            self._others[directory.path, real] = None

    def paths(self, path: str, root: str) -> Iterator[tuple[str, str]]:
        """The paths of a directory below a root, each with its beginning that is as good as a root; its own first."""
        yield path, root
        for place, other in self._others:
            if path == place or path.startswith(place + "/"):
                yield other + path[len(place) :], other

    def above(self, root: str) -> Iterable[Identity]:
        """What a root lies in, by all paths that lead to it."""
        return self._above[root]

    def keeps(self, sessions: _Sessions, root: Root, path: str, parts: Iterable[Identity]) -> str:
        """Why a directory stays with all that is in it, for people: a session's that is listed, or may be; else empty.

        Args:
            sessions: that are listed.
            root: of the walk.
            path: of the directory, which begins with the root's.
            parts: the directory and what it lies in, up to the root; asked for only where that matters.
        """
        said = (sessions.keeps_directory(*known) for known in self.paths(path, root.path))
        found = next(filter(None, said), "")
        if found or not (sessions.elsewhere or sessions.linked):
            return found
        own = list(parts)
        held = [sessions.elsewhere.get(one, "") for one in (*own, *self.above(root.path))]
        # A session may have a link to all that there is; it is kept below the root, which the site itself has named.
        held += [sessions.linked.get(one, "") for one in own[:-1]]
        return next(filter(None, held), "")

    def goes_on(self, work: _Work, root: str, path: str) -> str:
        """Why the work that a directory is part of stays, for people, by whatever path; else empty."""
        return next(filter(None, (work.goes_on(known) for known, _root in self.paths(path, root))), "")


def on_the_way(directory: Directory) -> Iterator[Identity]:
    """A directory of a walk and what it lies in, up to the root."""
    at: Directory | None = directory
    while at is not None:
        yield at.facts.st_dev, at.facts.st_ino
        at = at.parent


def on_the_way_to(root: Root, relative: str) -> Iterator[Identity]:
    """The same of a directory below a root, as it is now."""
    while True:
        with contextlib.suppress(OSError):
            facts = os.stat(relative or ".", dir_fd=root.fd, follow_symlinks=False)
            yield facts.st_dev, facts.st_ino
        if not relative:
            return
        relative = relative.rpartition("/")[0]


def identity_of(path: str) -> Identity | None:
    """Of what a path leads to; None where that cannot be looked at."""
    with contextlib.suppress(OSError):
        facts = os.stat(path)
        return facts.st_dev, facts.st_ino
    return None
