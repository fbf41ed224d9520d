# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of one session: what there is, and the removal of what was planned, by open directories (tree.py)."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..shapes import one_line
from ..system.tree import Directory, Root, SymbolicLinkError, open_root, opened_again, walk

_ENTRIES_MAX = 100_000
_SKIPPED_MAX = 20


@dataclass(frozen=True)
class Entry:
    """A file of a session: which one, its size, and when it was written last."""

    inode: int
    size: int
    changed: float


@dataclass
class Listing:
    """The files of a session's directory.

    Attributes:
        state: ``ok``, ``missing``, ``link`` (a symbolic link, or no directory at all), ``mount`` or ``denied``.
        inode: of the directory.
        entries: files, links and the like by path below it.
        directories: inodes of the directories below by path, parents first.
        skipped: what was not looked into, and why.
    """

    state: str = "ok"
    inode: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(entry.size for entry in self.entries.values())

    @property
    def newest(self) -> float:
        """When a file was last written, in seconds since 1970; 0 where there is none."""
        return max((entry.changed for entry in self.entries.values()), default=0.0)

    @property
    def fingerprint(self) -> str:
        """12 hex digits over the names, inodes and sizes."""
        rows = [f"{path}\0{entry.inode}\0{entry.size}" for path, entry in self.entries.items()]
        rows += [f"{path}\0{inode}" for path, inode in self.directories.items()]
        return hashlib.sha256("\n".join(sorted(rows)).encode("utf-8", "surrogateescape")).hexdigest()[:12]


@dataclass
class Removed:
    """What came of a removal: files gone, bytes that were freed by it, what stays and why, whether all is gone."""

    files: int = 0
    freed: int = 0
    skipped: list[str] = field(default_factory=list)
    gone: bool = False

    def skip(self, path: str, why: str) -> None:
        """Note that something stays."""
        if len(self.skipped) < _SKIPPED_MAX:
            self.skipped.append(f"{one_line(path)}: {why}")


def list_session_files(directory: str) -> Listing:
    """What is in a session's directory; links are not followed and other mounts not entered."""
    listing = Listing()
    with _opened(directory) as (root, listing.state):
        if root is None:
            return listing
        listing.inode = os.fstat(root.fd).st_ino
        for place, others in walk(root, lambda path, why: listing.skipped.append(f"{one_line(path)}: {why}")):
            if place.relative:
                listing.directories[place.relative] = place.facts.st_ino
            for other in others:
                if len(listing.entries) >= _ENTRIES_MAX:
                    listing.skipped.append(f"{one_line(place.path)}: too many files")
                    return listing
                with contextlib.suppress(FileNotFoundError):
                    facts = other.stat(follow_symlinks=False)
                    path = _path(place, other.name)
                    listing.entries[path] = Entry(facts.st_ino, facts.st_size, facts.st_mtime)
    return listing


def remove_session_files(directory: str, planned: Listing, *, resized: bool) -> Removed:
    """Remove the files that were planned, and then the empty directories. What is new or another by now stays.

    Args:
        directory: the session's own, by its real path.
        planned: what there was when it was planned.
        resized: whether sizes may have changed since, as the processes that wrote them were ended.
    """
    removed = Removed()
    with _opened(directory) as (root, state):
        if root is None:
            removed.gone = state == "missing"
            if not removed.gone:
                removed.skip(directory, f"cannot be entered: {state}")
            return removed
        if os.fstat(root.fd).st_ino != planned.inode:
            removed.skip(directory, "is another directory than when it was planned")
            return removed
        for place, others in walk(root, removed.skip):
            for other in others:
                _unlink(place, other.name, planned, removed, resized=resized)
        for path in reversed(planned.directories):
            parent = path.rpartition("/")[0]
            inode = planned.directories[parent] if parent else planned.inode
            _remove_directory(root, path, (parent, inode), planned.directories[path], removed)
    removed.gone = _remove_top(directory, planned.inode, removed)
    return removed


@contextlib.contextmanager
def _opened(directory: str) -> Iterator[tuple[Root | None, str]]:
    """The session's directory, open, and its state."""
    root, state = None, "ok"
    try:
        root = open_root(directory)
        with contextlib.closing(open_root(os.path.dirname(directory))) as parent:
            if parent.mount != root.mount:
                root.close()
                root, state = None, "mount"
    except FileNotFoundError:
        state = "missing"
    except PermissionError:
        state = "denied"
    except (SymbolicLinkError, OSError):
        state = "link"
    try:
        yield root, state
    finally:
        if root is not None:
            root.close()


def _path(place: Directory, name: str) -> str:
    return f"{place.relative}/{name}" if place.relative else name


def _unlink(place: Directory, name: str, planned: Listing, removed: Removed, *, resized: bool) -> None:
    path = _path(place, name)
    try:
        facts = os.stat(name, dir_fd=place.fd, follow_symlinks=False)
        why = _drifted(planned.entries.get(path), facts, resized=resized)
        if why:
            removed.skip(path, why)
            return
        os.unlink(name, dir_fd=place.fd)
    except FileNotFoundError:
        return  # the service tidies up as well
    except OSError as error:
        removed.skip(path, error.strerror or "cannot be removed")
        return
    removed.files += 1
    removed.freed += facts.st_blocks * 512 if facts.st_nlink == 1 else 0


def _drifted(planned: Entry | None, facts: os.stat_result, *, resized: bool) -> str:
    if planned is None:
        return "is new since the plan was made"
    if planned.inode != facts.st_ino:
        return "is another file than when it was planned"
    if planned.size != facts.st_size and not resized:
        return f"has changed since it was planned: {planned.size} bytes then, {facts.st_size} now"
    return ""


def _remove_directory(root: Root, path: str, parent: tuple[str, int], inode: int, removed: Removed) -> None:
    name = path.rpartition("/")[2]
    try:
        with opened_again(root, *parent) as handle:
            if os.stat(name, dir_fd=handle, follow_symlinks=False).st_ino == inode:
                os.rmdir(name, dir_fd=handle)
            else:
                removed.skip(path, "is another directory than when it was planned")
    except FileNotFoundError:
        return
    except OSError as error:
        removed.skip(path, error.strerror or str(error))


def _remove_top(directory: str, inode: int, removed: Removed) -> bool:
    """Remove the session's directory itself, relative to the one it is in."""
    parent, _slash, name = directory.rpartition("/")
    with _opened(parent) as (root, _state):
        if root is None:
            return False
        try:
            if os.stat(name, dir_fd=root.fd, follow_symlinks=False).st_ino != inode:
                removed.skip(name, "is another directory than when it was planned")
                return False
            os.rmdir(name, dir_fd=root.fd)
        except FileNotFoundError:
            return True
        except OSError as error:
            removed.skip(name, error.strerror or "cannot be removed")
            return False
    return True
