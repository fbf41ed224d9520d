# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files of a service stay that lists no sessions: all but old work, by its place and by what the log says of it.

Nothing there tells an input that waits for its service from an old file, or a result from a leftover: so what is not
named as work stays. Of work, the log has the last word: no line of its id within the age that a rule asks for, in a log
that reaches back that far.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ..deadline import Deadline
from ..logs.back import Back, read_back
from ..logs.fields import LogFields
from ..logs.writers import time_reader
from ..shapes import one_line
from ..times import text_of
from .joined import ENDS, ID
from .log_lines import LogMark
from .names import BARE, bared

_STARTS = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]")
_STOPS = re.compile(r"[^A-Za-z0-9]|$")
_LONG = re.compile(rb"\A(?=.*[0-9]).{6}")
_TOKEN = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")

Stays = tuple[str, str]
"""Why a file stays, as a reason of disk_cleanup and for people; both empty where it does not."""


class Unlisted:
    """What of the files stays.

    Args:
        places: directories of work, and those of logs, where rules hold as everywhere; by paths.
        log: with the lines of the service; empty where there is none.
        age_s: how far back the log is asked at most.
        fields: the service's own names of what the log says.
        deadline: by which the log is read.
    """

    def __init__(
        self,
        places: tuple[Sequence[str], Sequence[str]],
        log: str,
        age_s: float,
        *,
        fields: LogFields,
        deadline: Deadline | None = None,
    ) -> None:
        self._work, self._logs = (tuple(map(os.path.realpath, paths)) for paths in places)
        self._log, self._age_s, self._fields, self._deadline = log, age_s, fields, deadline
        self._mark = LogMark(log)
        self._back: Back | None = None
        self._named = _Named()

    def stays(self, directory: str, name: str, age_s: float) -> Stays:
        """Why a file stays, though it is old enough.

        Args:
            directory: that it lies in, absolute and resolved.
            name: its own.
            age_s: that its rule asks for.
        """
        top = next((top for top in self._work if f"{directory}/".startswith(f"{top}/")), None)
        if top is None:
            is_of_logs = any(f"{directory}/".startswith(f"{logs}/") for logs in self._logs)
            said = f"{one_line(directory, 100)} is not named as a directory of work"
            return ("", "") if is_of_logs else ("not_work", said)
        below = directory[len(top) + 1 :]
        parts = [*(below.split("/") if below else []), name]
        unseen = self._unseen(parts[0], age_s)
        if unseen:
            return "unproven", f"whether it is in work is not known: {unseen}"
        at, named = self._named.last(parts)
        if named and time.time() - at < age_s:
            return "active", f"a line of {named} was logged {max(time.time() - at, 0):.0f} s ago"
        return "", ""

    def _unseen(self, unit: str, age_s: float) -> str:
        """Why the log does not tell of some work of an age, for people; empty where it does."""
        if not ID.fullmatch(unit):
            return f"{one_line(unit, 60)} is no name that could be looked for in the log"
        if self._back is None or self._back.state != "ok":
            return f"the log was not read: {self._back.reason if self._back else 'none is named'}"
        begins = self._back.begins
        if self._back.reaches or (begins is not None and begins <= time.time() - age_s):
            return ""
        since = f"begins at {text_of(begins)}" if begins is not None else "has no entry"
        return f"{self._log} {since}, and says nothing of the time before"

    def look_again(self) -> None:
        """Read the log; once it was read, what was written since."""
        if not self._log:
            return
        if self._back is None or self._mark.fault:
            self._mark, self._named = LogMark.of(self._log), _Named()
            moment = datetime.fromtimestamp(max(time.time() - self._age_s, 0.0), timezone.utc)
            self._back = read_back(self._log, self._named, moment, self._fields, deadline=self._deadline)
            return
        lines, self._mark = self._mark.lines_since(), LogMark.of(self._log)
        for line in lines:
            self._named.take(line, time.time())


class _Named:
    """The last line of each name that lines speak of; a line without a time is as of now."""

    def __init__(self) -> None:
        self._last: dict[bytes, float] = {}
        self._time_of = time_reader("timestamp")

    def add(self, entry: Mapping[str, Any], line: bytes | bytearray) -> None:
        """Take one line."""
        at = self._time_of(entry)
        self.take(bytes(line), at.replace(tzinfo=timezone.utc).timestamp() if at else time.time())

    def take(self, line: bytes, at: float) -> None:
        """Take one line, of that moment."""
        for token in set(_TOKEN.findall(line)):
            for name in _names(token.decode("ascii").lower()):
                if at > self._last.get(name, 0.0):
                    self._last[name] = at

    def last(self, parts: Sequence[str]) -> tuple[float, str]:
        """When a file of work was last spoken of, in seconds since 1970, and by which name.

        Args:
            parts: of its path below the directory of work. The first one may be an id, or begin with one, whatever that
                looks like; an id elsewhere has some length and a digit, as words do not.
        """
        parts = [part.lower() for part in parts]
        names = {*_names(parts[0]), *(name for part in parts for name in _within(part) if _LONG.search(name))}
        spoken = [(self._last[name], name) for name in names if name in self._last]
        at, name = max(spoken, default=(0.0, b""))
        return at, name.decode("ascii")


def _names(text: str) -> Iterable[bytes]:
    """A name, and what of it may be an id: ID.mp4, ID_clip.mp4, ID-1.mp4; also in letters and digits alone."""
    found = [text[: end.start()] for end in ENDS.finditer(text) if end.start()]
    bare = [one for one in map(bared, found) if len(one) >= BARE]
    return dict.fromkeys(one.encode("utf-8", "replace") for one in (*found, *bare))


def _within(text: str) -> Iterable[bytes]:
    """Any part of a name that may be an id: thumb_ID (1).mp4."""
    for start in _STARTS.finditer(text):
        for end in _STOPS.finditer(text, start.end()):
            part = text[start.start() : end.start()]
            yield part.encode("utf-8", "replace")
            yield bared(part).encode("utf-8", "replace")


def unlisted_of(params: Mapping[str, Any], deadline: Deadline | None = None) -> Unlisted:
    """By the options of disk_cleanup."""
    age_s = max((float(rule["min_age"]) for rule in params["rules"]), default=0.0)
    fields, places = LogFields(params["log_fields"]), (params["work_dirs"], params["log_dirs"])
    return Unlisted(places, params["operations_log"] or "", age_s, fields=fields, deadline=deadline)
