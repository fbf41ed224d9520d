# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sessions there are, and which files are theirs. Where nobody can say, all of them stay."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from ..api.settings import api_settings
from ..errors import MediaOpsError, OptionError
from ..shapes import NOT_OFFERED, Json, number, one_line
from ..system.operated import Operated, operated, pids_left, service_properties
from ..system.systemd import main_pid
from .active import active_sessions
from .joined import id_maps, read_tables
from .names import Names
from .unlisted import Stays, Unlisted

_NAME_MAX = 255
_DEPTH_MAX = 5


@dataclass
class Sessions:
    """Whose files stay.

    Attributes:
        directory: holds a directory for each session; resolved. Empty where no session is to be looked for.
        state: what the API answered, ``not_asked``, or ``service_down`` where the service is known not to run.
        reason: why there is no list.
        ids: of the listed sessions, as far as there is a list.
        all_of: whether everything below ``directory`` stays, as nobody can say which sessions there are.
        joined: other ids of these sessions, as the service's maps have them.
        also: further directories below which everything stays then, as nobody can say whose the ids there are.
        unlisted: what of the files stays where the service lists no sessions.
        elsewhere: directories of sessions that stay, and that a link or a mount in ``directory`` shows there, and files
            that links in these directories, or the list, name; by device and inode, with the reason for people.
        linked: the same of directories that links in these directories lead to.
        named: paths that the list names, each with its session.
    """

    directory: str = ""
    state: str = "not_asked"
    reason: str = ""
    ids: frozenset[str] = frozenset()
    all_of: bool = False
    joined: frozenset[str] = frozenset()
    also: tuple[str, ...] = ()
    unlisted: Unlisted | None = None
    elsewhere: Mapping[tuple[int, int], str] = field(default_factory=dict)
    linked: Mapping[tuple[int, int], str] = field(default_factory=dict)
    named: tuple[tuple[str, str], ...] = ()
    _names: Names = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._names = Names(self.ids | self.joined)

    def looked(self) -> Sessions:
        """The same, once it was looked where the directories of sessions that stay really are."""
        found: dict[tuple[int, int], str] = {}
        linked: dict[tuple[int, int], str] = {}
        for path, session in self.named:
            _note(path, f"session {one_line(session, 60)} is listed, and names it", found, {})
        with contextlib.suppress(OSError), os.scandir(self.directory) as entries:
            device = os.stat(self.directory).st_dev
            for entry in entries:
                said = self.keeps_directory(entry.path, self.directory)
                for link in _links(entry) if said else ():
                    _note(link, f"{said}: {one_line(link, 100)} leads to it", found, linked)
                with contextlib.suppress(OSError):
                    facts = os.stat(entry.path) if said else None
                    # What is neither a link nor a mount point is met below the directory itself.
                    if facts and stat.S_ISDIR(facts.st_mode) and _is_elsewhere(facts, (device, entry.inode())):
                        shown = one_line(entry.path, 100)
                        found[facts.st_dev, facts.st_ino] = f"{said}: {shown} leads to its directory"
        self.elsewhere, self.linked = found, linked
        return self

    def keeps_unlisted(self, directory: str, name: str, age_s: float) -> Stays:
        """Why a file stays of a service that lists no sessions; empty where it lists them.

        Args:
            directory: that it lies in, absolute and resolved.
            name: its own.
            age_s: that its rule asks for.
        """
        return self.unlisted.stays(directory, name, age_s) if self.unlisted else ("", "")

    def keeps_directory(self, path: str, root: str) -> str:
        """Why a directory stays with all that is in it, for people: a session's that is listed, or may be; else empty.

        Args:
            path: absolute and resolved.
            root: of the walk, of which the site has chosen the name: a part of it that is like an id is none.
        """
        if self.all_of and any(f"{path}/".startswith(f"{top}/") for top in (self.directory, *self.also)):
            return f"may be a session's: {self.reason}"
        if not self._names:
            return ""
        is_below = path.startswith(self.directory + "/")
        names = path[len(self.directory if is_below else root) :].split("/")
        own = () if is_below else filter(None, map(self._names.begins, root.split("/")))
        return next(filter(None, (*map(self._says, own), *map(self.keeps_file, names))), "")

    def keeps_file(self, name: str) -> str:
        """Why a file or directory of this name stays, for people: a listed session's id is in it; else empty."""
        session = self._names.find(name) if self._names else ""
        return self._says(session) if session else ""

    def _says(self, session: str) -> str:
        shown = one_line(session, 60)
        return f"session {shown} is listed" if session in self.ids else f"{shown} is an id of a session of the list"


def _links(entry: os.DirEntry[str]) -> Iterator[str]:
    """The links in the directory of a session, by which it reads its inputs."""
    if entry.is_symlink():
        yield entry.path
    for place, directories, names in os.walk(entry.path):
        for name in (*directories, *names):
            if os.path.islink(f"{place}/{name}"):
                yield f"{place}/{name}"


def _note(path: str, said: str, files: dict[tuple[int, int], str], directories: dict[tuple[int, int], str]) -> None:
    """Take note of what a path leads to."""
    with contextlib.suppress(OSError, ValueError):
        facts = os.stat(path)
        kind = files if stat.S_ISREG(facts.st_mode) else directories if stat.S_ISDIR(facts.st_mode) else {}
        kind[facts.st_dev, facts.st_ino] = said


def _named_in(rows: object, session: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """The absolute paths that stand anywhere in the rows of a session."""
    if isinstance(rows, str):
        if rows.startswith("/"):
            yield rows, session
    elif isinstance(rows, (list, Mapping)) and depth < _DEPTH_MAX:
        for one in rows.values() if isinstance(rows, Mapping) else rows:
            yield from _named_in(one, session, depth + 1)


def _is_elsewhere(facts: os.stat_result, entry: tuple[int, int]) -> bool:
    return (facts.st_dev, facts.st_ino) != entry


def unusable(session_id: str) -> str:
    """Why no file can be told to be this session's or not, for people; else empty."""
    if not session_id.strip(". "):
        return "is empty"
    if "/" in session_id or ".." in session_id:
        return "is a path"
    if any(letter.isspace() or not letter.isprintable() for letter in session_id):
        return "has white space or control characters in it"
    # The client puts a question mark in the place of what is no text.
    if any(letter in "*?[]\ufffd" for letter in session_id):
        return "has wildcards, or what is no text, in it"
    return "is longer than a file name" if len(os.fsencode(session_id)) > _NAME_MAX else ""


def protected_sessions(
    params: Mapping[str, Any],
    unlisted: Unlisted | None = None,
    *,
    warn: Callable[[str], None],
    hide: Callable[[str], None],
) -> Sessions:
    """Ask the API which sessions there are. No answer protects all of them, unless the service is known not to run.

    Where there is no list to be had, `unlisted` says what stays, whether the service runs or not.
    """
    if not params["sessions_dir"]:
        return Sessions()
    if not params["sessions_dir"].startswith("/"):
        raise OptionError("sessions_dir", params["sessions_dir"], "must be an absolute path")
    directory = os.path.realpath(params["sessions_dir"])
    maps = id_maps(params["id_maps"])
    tables = read_tables(maps)
    from ..api.client import Client  # late: cleaning logs needs no API

    reply = Client(api_settings(params, warn=warn, hide=hide)).ask("sessions")
    known: frozenset[str] = frozenset()
    named: tuple[tuple[str, str], ...] = ()
    if reply.state == "ok" and reply.data is not None:
        listed = active_sessions(reply.data)
        reason = _short(reply.data) or listed.reason or _unusable_ids(listed.by_id)
        known = frozenset(session for session in listed.by_id if not unusable(session))
        named = tuple(one for session, rows in listed.by_id.items() for one in _named_in(rows, session))
        if not reason and not tables.fault:
            return Sessions(directory, "ok", "", known, joined=frozenset(tables.others_of(known)), named=named).looked()
        # Who answers runs, whatever is known of the unit: no further question makes such a list a right one.
        state, running = "invalid", "the list cannot be relied on"
        reason = reason or f"which ids are of one session is not known: {tables.fault}"
    else:
        if reply.state == NOT_OFFERED and unlisted is not None and not tables.fault:
            unlisted.look_again()
            return Sessions(directory, reply.state, reply.reason, unlisted=unlisted)
        service = operated(params)
        state, reason, running = reply.state, reply.reason, why_running(service)
        if not running and reply.state != NOT_OFFERED:
            said = f"{service} does not run, so no session does ({reason})"
            return Sessions(directory, "service_down", said)
    also = tuple(path for one in maps for path in one.directories) if tables.fault else ()
    everywhere = ", ".join(dict.fromkeys((directory, *also)))
    warn(f"the sessions are not known ({reason}; {running}): everything below {everywhere} stays")
    joined = frozenset(tables.others_of(None))
    said = f"{reason}; {running}"
    return Sessions(directory, state, said, known, all_of=True, joined=joined, also=also, named=named).looked()


def _short(document: Json) -> str:
    """Which part of the sessions that are counted is in the list, for people; empty where it is all, or not known."""
    rows, total = document.get("active_sessions"), number(document.get("total_active"))
    if not isinstance(rows, list) or total is None or total == len(rows):
        return ""
    return f"the list has {len(rows)} of {total:g} sessions"


def _unusable_ids(ids: Iterable[str]) -> str:
    """Which listed id cannot be matched with names of files, for people; empty where all can."""
    for session_id in ids:
        why = unusable(session_id)
        if why:
            return f"the listed id {one_line(ascii(session_id), 80)} {why}, and may be any file's"
    return ""


def why_running(service: Operated | None) -> str:
    """Empty where it is certain that a service does not run; else why it is not."""
    if service is None:
        return "no unit or process was given to see whether the service runs"
    try:
        properties = service_properties(service)
    except MediaOpsError as error:
        return str(error)
    if properties.get("LoadState") not in ("loaded", "masked"):
        return f"systemd knows no unit {service}"
    if properties.get("ActiveState") not in ("inactive", "failed"):
        return f"{service} is {one_line(properties.get('ActiveState'), 40)}"
    if main_pid(properties) or pids_left(service, properties):
        return f"{service} has processes left"
    return ""
