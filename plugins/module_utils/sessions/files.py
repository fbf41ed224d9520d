# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of one session: what there is, and the removal of what was planned, by open directories (tree.py)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace
from typing import Callable

from ..shapes import one_line
from ..system.counted_on import Layers, Watched
from ..system.mounts import MountPoint, MountPoints
from ..system.open_files import OpenFiles, claimed, leased
from ..system.stamp import Stamp
from ..system.tree import Directory, Root, SymbolicLinkError, open_root, opened_again, walk

_ENTRIES_MAX = 100_000
_SKIPPED_MAX = 20
LEASES_MAX = 200  # held at once, of the 1024 descriptors that a process has as a rule


@dataclass
class Listing:
    """The files of a session's directory.

    Attributes:
        state: ``ok``, ``missing``, ``link`` (a symbolic link, or no directory at all), ``mount`` or ``denied``.
        device: of the directory and all that is below it.
        inode: of the directory.
        entries: files, links and the like by path below it.
        directories: inodes of the directories below by path, parents first.
        skipped: what was not looked into, and why.
    """

    state: str = "ok"
    device: int = 0
    inode: int = 0
    entries: dict[str, Stamp] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(entry.size for entry in self.entries.values())

    @property
    def newest(self) -> float:
        """When a file was last written, in seconds since 1970; 0 where there is none."""
        return max((entry.mtime_ns for entry in self.entries.values()), default=0) / 1e9

    @property
    def changed(self) -> float:
        """When a file was last written or came here, in seconds since 1970; 0 where there is none."""
        return max((max(one.mtime_ns, one.ctime_ns) for one in self.entries.values()), default=0) / 1e9

    @property
    def fingerprint(self) -> str:
        """12 hex digits over the names, inodes, sizes and times."""
        rows = [
            f"{path}\0{entry.inode}\0{entry.size}\0{entry.mtime_ns}\0{entry.ctime_ns}"
            for path, entry in self.entries.items()
        ]
        rows += [f"{path}\0{inode}" for path, inode in self.directories.items()]
        return hashlib.sha256("\n".join(sorted(rows)).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def without(listing: Listing, inodes: Container[int]) -> Listing:
    """The same, but for the files with these inodes."""
    left = {path: entry for path, entry in listing.entries.items() if entry.inode not in inodes}
    return replace(listing, entries=left)


@dataclass
class Removed:
    """What came of a removal: files gone, bytes that were freed by it, what stays and why, whether all is gone.

    `open_files` says who has what open.
    """

    open_files: OpenFiles
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
        facts = os.fstat(root.fd)
        listing.device, listing.inode = facts.st_dev, facts.st_ino
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
                    listing.entries[path] = Stamp.of(facts)
    return listing


def held_by_others(directory: str, open_files: OpenFiles, own: Container[int], told: Container[int] = ()) -> str:
    """Who has a file of a session open beside its own processes, in words; empty where nobody has.

    Args:
        directory: the session's own, by its real path.
        open_files: who has what open, but for the session's own processes.
        own: inodes of the files that these have open, of which no lease can be had.
        told: inodes of the files into which they tell how far they have got, which who started them has open as well.
    """
    with _opened(directory) as (root, _state):
        for place, name, facts in _entries(root, told):
            why = "open" if open_files.holder(facts) else ""
            if not why and facts.st_ino not in own and stat.S_ISREG(facts.st_mode):
                with claimed(place.fd, name, facts, open_files) as (_fd, why):
                    pass
            said = open_files.says(facts, why)
            if said:
                return f"{one_line(_path(place, name))}: {said}"
    return ""


def _regular_files(root: Root | None, but: Container[int]) -> Iterator[tuple[Directory, str, os.stat_result]]:
    return (one for one in _entries(root, but) if stat.S_ISREG(one[2].st_mode))


def _entries(root: Root | None, but: Container[int]) -> Iterator[tuple[Directory, str, os.stat_result]]:
    """What a session's open directory has, with the one that each lies in; not that with the inodes of `but`."""
    for place, others in walk(root, lambda _path, _why: None) if root else ():
        for other in others:
            try:
                facts = other.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if facts.st_ino not in but:
                yield place, other.name, facts


@contextlib.contextmanager
def kept_closed(
    directory: str, own: Container[int], open_files: OpenFiles, *, most: int
) -> Iterator[Callable[[], str]]:
    """Keep the files of a session from being opened while its processes are signalled: whoever tries waits.

    Args:
        directory: the session's own, by its real path.
        own: inodes of the files that its own processes have open.
        open_files: who had what open.
        most: how many files.

    Yields:
        A question to be asked right before the signal: who wants one of them, in words; empty where nobody does.
    """
    held: list[tuple[str, int]] = []
    wanted: list[str] = []
    with contextlib.ExitStack() as leases, _opened(directory) as (root, _state):
        for place, name, facts in _regular_files(root, own):
            if len(held) >= most:
                break
            path = _path(place, name)
            fd, why = leases.enter_context(claimed(place.fd, name, facts, open_files))
            said = open_files.says(facts, why)
            wanted += [f"{one_line(path)}: {said}"] if said else []
            held += [(path, fd)] if fd is not None else []

        def ask() -> str:
            opened = [f"{one_line(path)} is being opened" for path, fd in held if not leased(fd, fcntl.F_WRLCK)]
            return "; ".join([*wanted, *opened][:3])

        yield ask


def differences(before: Listing, after: Listing, *, but: Container[int] = ()) -> list[str]:
    """What has come, gone or changed in a session's directory, in words; not of the files with the inodes of `but`."""
    if (before.state, before.device, before.inode) != (after.state, after.device, after.inode):
        return [f"the directory is {after.state if after.state != 'ok' else 'another'} now"]
    found = []
    for path in sorted({*before.entries, *after.entries}):
        then, now = before.entries.get(path), after.entries.get(path)
        if then == now or (then and now and then.inode == now.inode and now.inode in but):
            continue
        found.append(f"{one_line(path)} {_how(then, now)}")
    return found


def _how(then: Stamp | None, now: Stamp | None) -> str:
    if now is None:
        return "is gone"
    return then.changed_how(now) if then else f"is new ({now.size} bytes)"


class _Elsewhere:
    """Which parts of a session's directory are seen elsewhere, or under way to somebody.

    Who only watches a directory does not count: it is the session's own, and the service itself may watch it.
    """

    def __init__(self, directory: str, listing: Listing) -> None:
        parent, _slash, self._top = directory.rpartition("/")
        self._listing = listing
        self._points: dict[str, MountPoint] = {}
        with _opened(parent) as (root, _state):
            if root is not None:
                found = MountPoints().below(root).items()
                self._points = {path: at for path, at in found if f"{path}/".startswith(f"{self._top}/")}
        self._layers = Layers()
        self._watched: Watched | None = None

    def says(self, path: str) -> str:
        """Why what is at a path below the directory stays, for people; empty where nobody sees it elsewhere."""
        parts = path.split("/") if path else []
        ways = ["/".join(parts[:number]) for number in range(len(parts) + 1)]
        for way in ways if self._points else ():
            point = self._points.get(f"{self._top}/{way}" if way else self._top)
            if point:
                return point.says if way == path else f"lies below {one_line(way) or 'what'}, which {point.says}"
        return self._layers.says(f"{self._top}/{path}", map(self._identity, ways)) if self._layers else ""

    def _identity(self, path: str) -> tuple[int, int]:
        inode = self._listing.directories.get(path, 0) if path else self._listing.inode
        return self._listing.device, inode

    def waits(self, path: str) -> str:
        """The same of an empty directory that may be under way in a socket."""
        self._watched = self._watched or Watched()
        return self.says(path) or self._watched.waits(self._identity(path))[1]


def remove_session_files(
    directory: str,
    planned: Listing,
    now: Listing,
    open_files: OpenFiles,
    *,
    written: Container[int] = (),
    made: Container[str] = (),
) -> Removed:
    """Remove the files that were planned, and then the empty directories. What is new, another or in use by now stays.

    Args:
        directory: the session's own, by its real path.
        planned: what there was when it was planned.
        now: what there was once its processes were known to be dead.
        open_files: who had what open then.
        written: inodes of the files that its processes wrote to up to their end, which may have grown since the plan.
        made: paths of files that its processes were to make, and may have made since the plan.
    """
    removed = Removed(open_files)
    with _opened(directory) as (root, state):
        if root is None:
            removed.gone = state == "missing"
            if not removed.gone:
                removed.skip(directory, f"cannot be entered: {state}")
            return removed
        if os.fstat(root.fd).st_ino != planned.inode:
            removed.skip(directory, "is another directory than when it was planned")
            return removed
        elsewhere = _Elsewhere(directory, planned)
        for place, others in walk(root, removed.skip):
            for other in others:
                path = _path(place, other.name)
                then, since = planned.entries.get(path), now.entries.get(path)
                why = elsewhere.says(path) or ("" if then is None and path in made else _drifted(then, since, written))
                if why or since is None:
                    removed.skip(path, why or "is new since its processes ended")
                    continue
                _unlink(place, other.name, since, removed)
        _remove_directories(root, planned, elsewhere, removed)
    seen = elsewhere.waits("")
    if seen:
        removed.skip(directory, seen)
        return removed
    removed.gone = _remove_top(directory, planned.inode, removed)
    return removed


def _remove_directories(root: Root, planned: Listing, elsewhere: _Elsewhere, removed: Removed) -> None:
    for path in reversed(planned.directories):
        parent = path.rpartition("/")[0]
        inode = planned.directories[parent] if parent else planned.inode
        seen = elsewhere.waits(path)
        if seen:
            removed.skip(path, seen)
        else:
            _remove_directory(root, path, (parent, inode), planned.directories[path], removed)


def _drifted(then: Stamp | None, now: Stamp | None, written: Container[int]) -> str:
    """Why a file is not the one that was planned; its own processes may have written to it up to their end."""
    if then is None:
        return "is new since the plan was made"
    if now is None or then == now or (then.inode == now.inode and then.inode in written):
        return ""
    return f"{_how(then, now)} since it was planned"


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


def _unlink(place: Directory, name: str, expected: Stamp, removed: Removed) -> None:
    """Delete a file that still is the one that was seen, and that nobody has in use."""
    path = _path(place, name)
    try:
        facts = os.stat(name, dir_fd=place.fd, follow_symlinks=False)
        if Stamp.of(facts) != expected:
            removed.skip(path, f"{expected.changed_how(Stamp.of(facts))} since its processes ended")
            return
        if stat.S_ISREG(facts.st_mode):
            with claimed(place.fd, name, facts, removed.open_files) as (fd, claim):
                why = claim or ("" if fd is None or leased(fd, fcntl.F_WRLCK) else "open")
                if why:
                    removed.skip(path, removed.open_files.says(facts, why) or why)
                    return
                os.unlink(name, dir_fd=place.fd)
        elif removed.open_files.holder(facts):
            removed.skip(path, removed.open_files.says(facts))
            return
        elif stat.S_ISSOCK(facts.st_mode):
            removed.skip(path, "is a socket, and who listens on it cannot be told")
            return
        else:  # a link or a FIFO has no lease to be had, and nothing in it that could be lost
            os.unlink(name, dir_fd=place.fd)
    except FileNotFoundError:
        return  # the service tidies up as well
    except OSError as error:
        why = error.strerror or "cannot be removed"
        removed.skip(path, f"{why}; it may be immutable (chattr +i)" if error.errno == errno.EPERM else why)
        return
    removed.files += 1
    removed.freed += facts.st_blocks * 512 if facts.st_nlink == 1 else 0


def _remove_directory(root: Root, path: str, parent: tuple[str, int], inode: int, removed: Removed) -> None:
    try:
        with opened_again(root, *parent) as handle:
            _rmdir(handle, path, inode, removed)
    except FileNotFoundError:
        return
    except OSError as error:
        removed.skip(path, error.strerror or str(error))


def _rmdir(handle: int, path: str, inode: int, removed: Removed) -> bool:
    name = path.rpartition("/")[2]
    facts = os.stat(name, dir_fd=handle, follow_symlinks=False)
    if facts.st_ino != inode:
        removed.skip(path, "is another directory than when it was planned")
    elif removed.open_files.holder(facts):
        removed.skip(path, removed.open_files.says(facts))
    else:
        os.rmdir(name, dir_fd=handle)
        return True
    return False


def _remove_top(directory: str, inode: int, removed: Removed) -> bool:
    """Remove the session's directory itself, relative to the one it is in."""
    parent, _slash, name = directory.rpartition("/")
    with _opened(parent) as (root, _state):
        if root is None:
            return False
        try:
            return _rmdir(root.fd, name, inode, removed)
        except FileNotFoundError:
            return True
        except OSError as error:
            removed.skip(name, error.strerror or "cannot be removed")
            return False
