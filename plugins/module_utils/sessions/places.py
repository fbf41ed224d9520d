# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a process works: in which sessions' directories, by device and inode.

A path is no proof: it may stand in a comment, lead elsewhere in another mount namespace, or be only one of several that
lead to a file. Paths are read as hints of which directories are worth a look.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..shapes import one_line
from ..system.processes import FFMPEG, Argument, OpenFile, Process, shown_argv
from .files import Listing
from .joined import ID, Joined

_EVIDENCE_MAX = 3
_ERRORS = 2
_DELETED = " (deleted)"
# What has no output: to read is its work
_READERS = frozenset({"ffprobe"})
# What stands before a source, and flags without a value; what else begins with a dash has one, which is no output.
_SOURCE_OPTIONS = frozenset({"-i", "--input"})
_FLAGS = frozenset(
    {
        *("-y", "-n", "-an", "-vn", "-sn", "-dn", "-nostdin", "-hide_banner", "-nostats", "-stats", "-shortest", "-re"),
        *("-copyts", "-start_at_zero", "-xerror", "-bitexact", "-accurate_seek", "-autorotate", "-ignore_unknown"),
        *("-report", "-benchmark", "-noautorotate", "-noaccurate_seek", "-copy_unknown", "-debug_ts", "-intra"),
        *("-o", "--output", "-passlogfile", "-progress", "-vstats_file", "--"),
    }
)


@dataclass
class Claims:
    """What a process has to do with sessions, by their ids, with the lines that show it.

    Attributes:
        named: arguments that lead into a session's directory, other than sources.
        held: its current directory there, and what it has open or mapped for writing.
        uses: paths of files there that it has open or mapped, for whatever.
        lost: what leads into a directory that is gone: arguments, its current directory, files without a name.
        written: of these, the files that it has open for writing.
    """

    named: dict[str, list[str]] = field(default_factory=dict)
    held: dict[str, list[str]] = field(default_factory=dict)
    uses: dict[str, list[str]] = field(default_factory=dict)
    lost: dict[str, list[str]] = field(default_factory=dict)
    written: dict[str, list[str]] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        """The sessions in whose directories it works."""
        return {*self.named, *self.held}

    def lines(self, session_id: str) -> list[str]:
        """What shows it, the strongest first."""
        shown = [*self.held.get(session_id, []), *self.named.get(session_id, [])]
        return (shown or [*self.written.get(session_id, []), *self.lost.get(session_id, [])])[:_EVIDENCE_MAX]


class WorkDir:
    """The directory of all sessions; each has one of its own below it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.real = os.path.realpath(path)
        roots = "|".join(re.escape(root) for root in sorted({self.path, self.real}))
        # After a protocol, an option or a list in a filter, as in file:PATH, concat:PATH|PATH and movie=PATH
        self._below = re.compile(rf"(?:^|(?<=[:|=,;'\"@(\s]))(?:{roots})/+([^/]+)(?=/|\Z)")

    def hints(self, process: Process) -> set[str]:
        """The sessions that paths of a process speak of. A whole path component is an id, and nothing else is."""
        found: set[str] = set()
        for argument in process.argv:
            found.update(self._below.findall(_absolute(process, argument)))
        paths = [process.cwd, *(file.path for file in process.files), *(one.path for one in process.maps)]
        found.update(self.session_of(path) for path in paths)
        return {session_id for session_id in found if ID.fullmatch(session_id)}

    def argument_of(self, process: Process, argument: str) -> str:
        """The session into whose directory an argument leads as a path, by its text alone; empty where into none's."""
        path = os.path.normpath(_absolute(process, argument.removeprefix("file:")))
        for root in (self.real, self.path):
            if path.startswith(root + "/"):
                return path[len(root) + 1 :].partition("/")[0]
        return ""

    def directory(self, session_id: str) -> str:
        """A session's own directory, by its real path."""
        return f"{self.real}/{session_id}"

    def session_of(self, path: str) -> str:
        """The session whose directory a path lies in, or is; empty where it is none's."""
        if path.endswith(_DELETED):
            path = path[: -len(_DELETED)]
        return path[len(self.real) + 1 :].partition("/")[0] if path.startswith(self.real + "/") else ""


def _absolute(process: Process, argument: str) -> str:
    """An argument as a path from the root, where it is a relative one."""
    is_relative = "/" in argument and argument[0] not in "/-" and ":" not in argument.partition("/")[0]
    return os.path.normpath(os.path.join(process.cwd, argument)) if process.cwd and is_relative else argument


class Places:
    """Which sessions a file or a directory is of, by device and inode: of more than one where it has several links."""

    def __init__(self, work_dir: WorkDir, listings: Mapping[str, Listing], joined: Joined | None = None) -> None:
        self._work_dir = work_dir
        self._joined = joined or Joined()
        self._gone = {session_id for session_id, listing in listings.items() if listing.state == "missing"}
        self._files: dict[tuple[int, int], tuple[str, ...]] = {}
        self._directories: dict[tuple[int, int], tuple[str, ...]] = {}
        self._claims: dict[tuple[int, int], Claims] = {}
        for session_id, listing in listings.items():
            if listing.state != "ok":
                continue
            for inode in [listing.inode, *listing.directories.values()]:
                self._directories[listing.device, inode] = (session_id,)
            for entry in listing.entries.values():
                key = (listing.device, entry.inode)
                if session_id not in self._files.get(key, ()):
                    self._files[key] = (*self._files.get(key, ()), session_id)
        for key, (sessions, _path) in self._joined.keys.items():
            self._files[key] = tuple(dict.fromkeys((*self._files.get(key, ()), *sessions)))

    def of(self, key: tuple[int, int]) -> tuple[str, ...]:
        """The sessions of a file or directory."""
        return self._files.get(key) or self._directories.get(key, ())

    def claims(self, process: Process) -> Claims:
        """The sessions in which a process works, or has files open. Asked by many of the same look, and found once."""
        if process.key not in self._claims:
            self._claims[process.key] = self._found(process)
        return self._claims[process.key]

    def _found(self, process: Process) -> Claims:
        found = Claims()
        for session_id in self.of(process.cwd_key):
            found.held.setdefault(session_id, []).append(f"current directory is {one_line(process.cwd, 160)}")
        self._lost(found, process)
        for file in process.files:
            self._file(found, f"open file {file.number} is", file.path, (file.device, file.inode), writes=file.writes)
        for one in process.maps:
            self._file(found, "has mapped", one.path, (one.device, one.inode), writes=one.writes)
        for argument in process.paths:
            self._argument(found, process, argument)
        return found

    def _lost(self, found: Claims, process: Process) -> None:
        """What leads into a directory that is gone: nobody can get at what is made there."""
        if not self._gone:
            return
        session_id = self._work_dir.session_of(process.cwd)
        if session_id in self._gone:
            found.lost.setdefault(session_id, []).append(f"current directory was {one_line(process.cwd, 160)}")
        for file in process.files:
            session_id = self._work_dir.session_of(file.path)
            if file.writes and not file.links and session_id in self._gone:
                line = f"open file {file.number} was {one_line(file.path, 160)}"
                found.written.setdefault(session_id, []).append(line)
        for number, argument in enumerate(process.argv[1:], 1):
            session_id = self._work_dir.argument_of(process, argument)
            if session_id in self._gone and not is_source(process, number):
                found.lost.setdefault(session_id, []).append(f"argument {number} is {one_line(argument, 160)}")

    def _file(self, found: Claims, what: str, path: str, key: tuple[int, int], *, writes: bool) -> None:
        shown = one_line(path, 160)
        sessions = self.of(key)
        for session_id in sessions:
            found.uses.setdefault(session_id, []).append(shown)
            if writes:
                found.held.setdefault(session_id, []).append(f"{what} {shown}")
        # A file without a name any more is nobody's by its inode; that protects, and proves nothing.
        session_id = "" if sessions else self._work_dir.session_of(path)
        if session_id:
            found.uses.setdefault(session_id, []).append(shown)

    def _argument(self, found: Claims, process: Process, argument: Argument) -> None:
        key = (argument.device, argument.inode)
        sessions = self.of(key)
        if not sessions or is_source(process, argument.number):
            return
        shown = one_line(shown_argv([process.argv[argument.number]])[0], 160)
        by_map = self._joined.keys.get(key, ((), ""))[1] if key not in self._directories else ""
        shown += f", which {by_map} assigns to it" if by_map else ""
        for session_id in sessions:
            found.named.setdefault(session_id, []).append(f"argument {argument.number} is {shown}")


def outputs(processes: Iterable[Process], files: Listing) -> set[str]:
    """Files that processes were told to make in a session's directory, which were not there yet, by path below it."""
    places = {files.inode: "", **{inode: f"{path}/" for path, inode in files.directories.items()}}
    return {
        places[argument.inode] + os.path.basename(process.argv[argument.number])
        for process in processes
        for argument in process.paths
        if not argument.exists and argument.device == files.device and argument.inode in places
        if not is_source(process, argument.number)
    }


def is_source(process: Process, number: int) -> bool:
    """Whether an argument is what is read, or the value of an option that is no output."""
    before = process.argv[number - 1]
    if process.runs(_READERS):
        return False
    if before in _SOURCE_OPTIONS:
        return True
    # What begins with a number, such as a negative map, is the value of an option itself.
    is_option = before.startswith("-") and not before[1:2].isdigit()
    return process.runs(FFMPEG) and is_option and before not in _FLAGS


def talk(processes: Iterable[Process]) -> set[int]:
    """Inodes of the files into which an ffmpeg tells how far it has got, twice a second, also where nothing goes on."""
    return notes(process for process in processes if process.muxes)


def notes(processes: Iterable[Process]) -> set[int]:
    """Inodes of the files that take what an ffmpeg says, also before it has begun: who started it has them open."""
    found = set()
    for process in processes:
        if process.runs((*FFMPEG, "ffprobe")):
            others = {file.inode for file in process.files if file.number != _ERRORS}
            found |= {file.inode for file in process.files if file.number == _ERRORS} - others
    return found


def working_files(process: Process) -> list[OpenFile]:
    """The files that a process has open for its work: not the one into which it tells how far it has got."""
    told = talk([process])
    return [file for file in process.files if stat.S_ISREG(file.mode) and file.inode not in told]
