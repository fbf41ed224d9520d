# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other ids of sessions, such as of uploads and merges, as the service's own maps join them.

A map is a file of JSON that the service keeps. Names in the map's directories that are, or begin with, such an id are
of the session that it belongs to. What a map says twice and not alike is not known, and neither is anything while a
map that is there cannot be read.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from ..errors import MissingLibraryError
from ..expressions import UnfitError, compiled
from ..opener import read_regular
from ..options import check_absolute
from ..shapes import one_line, unique_keys
from ..system.stamp import Stamp
from .files import Listing, list_session_files

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
ENDS = re.compile(r"[._-]|$")
"""What may stand between an id and the rest of a name: ID.tmp, ID_clip.mp4, ID-1.mp4, ID.part.mp4"""

_BYTES_MAX = 32 << 20
_TRIES, _PAUSE_S = 3, 0.1  # a service may be writing it

Find = Callable[[Any], Any]


def id_maps_spec() -> dict[str, Any]:
    """Option id_maps, as an argument spec has it."""
    options = {
        "path": {"type": "path", "required": True},
        "query": {"type": "str", "default": "@"},
        "id": {"type": "str"},
        "session": {"type": "str", "default": "session_id || @"},
        "directories": {"type": "list", "elements": "path", "required": True},
    }
    return {"type": "list", "elements": "dict", "default": [], "options": options}


@dataclass(frozen=True)
class IdMap:
    """A map as the options describe it, checked; its directories are absolute, and resolved.

    Without the library of the expressions, `missing` says so: a map that is there cannot be read then.
    """

    path: str
    query: Find
    other_ids: Find | None
    session: Find
    directories: tuple[str, ...]
    missing: str = ""


def _nothing(_data: object) -> None:
    return None


def id_maps(given: Sequence[Mapping[str, Any]]) -> tuple[IdMap, ...]:
    """Check option id_maps."""
    maps = []
    for one in given:
        for path in (one["path"], *one["directories"]):
            check_absolute("id_maps", path)
        path, directories = os.path.normpath(one["path"]), tuple(map(os.path.realpath, one["directories"]))
        try:
            query, other_ids, session = (
                compiled("id_maps", one[name]) if one[name] else None for name in ("query", "id", "session")
            )
        except MissingLibraryError as error:
            maps.append(IdMap(path, _nothing, None, _nothing, directories, missing=str(error)))
            continue
        maps.append(IdMap(path, query or _nothing, other_ids, session or _nothing, directories))
    return tuple(maps)


@dataclass
class Table:
    """What one map says: sessions by other ids."""

    source: IdMap
    sessions: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def of_file(self, name: str) -> tuple[str, ...]:
        """The sessions of a file of this name: of more than one where the name may be read in two ways."""
        found = [one for end in ENDS.finditer(name) for one in self.sessions.get(name[: end.start()], ())]
        return tuple(dict.fromkeys(found))


@dataclass
class Tables:
    """What all maps say.

    Attributes:
        by_map: a table for each that could be read.
        fault: why not all could, empty where they were.
    """

    by_map: list[Table] = field(default_factory=list)
    fault: str = ""

    def contradictions(self, listed: Collection[str]) -> dict[str, str]:
        """By session, what the maps say of it and of another one as well."""
        joined: dict[str, set[str]] = {}
        for table in self.by_map:
            for other, sessions in table.sessions.items():
                joined.setdefault(other, set()).update(sessions)
        found: dict[str, str] = {}
        for other, of in joined.items():
            every = {*of, other} if other in listed else of
            if len(every) > 1:
                names = " and ".join(one_line(name, 60) for name in sorted(every)[:3])
                found.update(dict.fromkeys(every, f"id {one_line(other, 60)} is of {names} by the service's map"))
        return found

    def others_of(self, sessions: Collection[str] | None) -> set[str]:
        """The other ids of these sessions, or (None) of all."""
        return {
            other
            for table in self.by_map
            for other, of in table.sessions.items()
            if sessions is None or not set(of).isdisjoint(sessions)
        }


def read_tables(maps: Iterable[IdMap]) -> Tables:
    """Read all maps. One that is not there says nothing, unless it comes back: it may be written anew just now."""
    tables = Tables()
    for source in maps:
        for tried in range(1, _TRIES + 1):
            try:
                tables.by_map.append(_table(source))
            except (FileNotFoundError, ValueError) as error:
                if tried < _TRIES:
                    time.sleep(_PAUSE_S)
                    continue
                if isinstance(error, ValueError):
                    tables.fault = one_line(f"{source.path} cannot be read: {error}")
            except OSError as error:
                tables.fault = one_line(f"{source.path}: {error.strerror}")
            break
    return tables


def _table(source: IdMap) -> Table:
    text = read_regular(source.path, _BYTES_MAX, follow=True)
    if source.missing:
        raise OSError(errno.ENOSYS, source.missing)
    try:
        data = json.loads(text, object_pairs_hook=unique_keys)
        rows = source.query(data)
    except (RecursionError, UnfitError) as error:
        raise ValueError(str(error) or "it is nested too deep") from error
    if isinstance(rows, dict):
        pairs = list(rows.items())
    elif isinstance(rows, list):
        pairs = [("", row) for row in rows]
    elif rows is None:
        pairs = []
    else:
        raise ValueError("its query gives neither an object nor a list")
    table = Table(source)
    for key, row in pairs:
        # A row that says nothing of a session joins nothing; what it is about is then nobody's.
        with contextlib.suppress(UnfitError):
            others = source.other_ids(row) if source.other_ids else key
            session = source.session(row)
            for other in others if isinstance(others, list) else [others]:
                if _is_id(other) and _is_id(session) and other != session:
                    known = table.sessions.get(other, ())
                    table.sessions[other] = known if session in known else (*known, session)
    return table


def _is_id(value: object) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None


@dataclass
class Joined:
    """The files that are a session's by another id.

    Attributes:
        tables: what the maps say.
        keys: their device and inode, directories included, with the sessions, and the map that says so.
        listings: the same by session, each file by its whole path.
        own: names of directories in the sessions' directory that are a session's by another id.
        fault: why not all is known; empty where it is.
    """

    tables: Tables = field(default_factory=Tables)
    keys: dict[tuple[int, int], tuple[tuple[str, ...], str]] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    fault: str = ""


def look_at_joined(maps: Iterable[IdMap], work_dir: str) -> Joined:
    """Find the files that are sessions' by other ids.

    Args:
        maps: of the service.
        work_dir: the directory of all sessions, resolved.
    """
    tables = read_tables(maps)
    joined = Joined(tables, fault=tables.fault)
    for table in tables.by_map:
        for directory in table.source.directories if table.sessions else ():
            try:
                _look_into(directory, table, joined, is_work_dir=directory == work_dir)
            except FileNotFoundError:
                continue
            except OSError as error:
                joined.fault = one_line(f"{directory}: {error.strerror}")
    return joined


def _look_into(directory: str, table: Table, joined: Joined, *, is_work_dir: bool) -> None:
    with os.scandir(directory) as entries:
        for entry in entries:
            is_directory = entry.is_dir(follow_symlinks=False)
            name = entry.name
            sessions = table.sessions.get(name, ()) if is_directory or is_work_dir else table.of_file(name)
            if not sessions:
                continue
            path = f"{directory}/{name}"
            if is_directory:
                found = list_session_files(path)
                joined.own |= {name} if is_work_dir else set()
                keys = [(found.device, inode) for inode in (found.inode, *found.directories.values())]
                entries_of = {f"{path}/{below}": stamp for below, stamp in found.entries.items()}
                device = found.device
            else:
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISLNK(facts.st_mode):
                    continue
                keys, entries_of, device = [], {path: Stamp.of(facts)}, facts.st_dev
            keys += [(device, stamp.inode) for stamp in entries_of.values()]
            for key in keys:
                known = joined.keys.get(key, ((), ""))[0]
                joined.keys[key] = (tuple(dict.fromkeys((*known, *sessions))), table.source.path)
            for session_id in sessions:
                joined.listings.setdefault(session_id, Listing(device=device)).entries.update(entries_of)
