# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restart costs: the merges that are in work, whoever knows of them.

The service lists sessions; of its workers the arguments tell whose they are; and of work that it does not list there is
a directory in which something changed a while ago.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from stat import S_ISDIR
from typing import Any, Callable, NamedTuple

from ..shapes import NOT_OFFERED, one_line
from ..system.processes import Process

_NAMED_MAX, _RETURNED_MAX = 5, 50
_ENTRIES_MAX = 5000
_ID_MAX = 130


class Listed(NamedTuple):
    """The sessions that the API lists, or why it does not."""

    state: str
    reason: str
    ids: tuple[str, ...]


Lists = Callable[[], Listed]


def work_argument_spec() -> dict[str, Any]:
    """The options of service_control that say what is a merge in work, and what becomes of it."""
    return {
        "programs": {"type": "list", "elements": "str", "default": ["ffmpeg", "ffprobe"]},
        "work_dir": {"type": "path"},
        "unlisted": {"type": "list", "elements": "str", "default": ["temp_merge_*"]},
        "changed_within": {"type": "float", "default": 300},
        "busy_percent": {"type": "float", "default": 1},
        "lost_sessions": {"type": "list", "elements": "str", "default": []},
        "drain": {"type": "float", "default": 0},
        "merges_max": {"type": "int"},
    }


@dataclass(frozen=True)
class Work:
    """The merges in work.

    Attributes:
        merges: by id, or by what else is known of it, why it is thought to be in work.
        unseen: what could not be looked at, in lines: there may be more.
    """

    merges: Mapping[str, str]
    unseen: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """How many there are and which, in a line."""
        named = ", ".join(list(self.merges)[:_NAMED_MAX])
        left = len(self.merges) - _NAMED_MAX
        more = f" and {left} more" if left > 0 else ""
        if not self.merges:
            return f"none that can be seen: {'; '.join(self.unseen)}" if self.unseen else "none"
        counted = f"{len(self.merges)} ({named}{more})"
        return counted + (f", at least: {'; '.join(self.unseen)}" if self.unseen else "")

    def as_result(self) -> dict[str, Any]:
        """What the module returns."""
        rows = [{"merge": name, "why": why} for name, why in list(self.merges.items())[:_RETURNED_MAX]]
        return {"count": len(self.merges), "merges": rows, "unseen": list(self.unseen), "said": self.said}


NO_WORK = Work({})


class Workers:
    """Tells the service's workers from the service itself, by their programs and by the directories that they name.

    Args:
        programs: names of programs, such as ffmpeg; what begins with one of them is one, too.
        work_dir: the directory of all sessions, "" where there is none.
    """

    def __init__(self, programs: Sequence[str], work_dir: str) -> None:
        self._programs = tuple(programs)
        roots = {root for root in (work_dir, os.path.realpath(work_dir) if work_dir else "") if root}
        joined = "|".join(re.escape(root) for root in sorted(roots))
        self._below = re.compile(rf"(?:{joined})/+([^/\0:|,;'\" ]+)") if joined else None

    def is_worker(self, process: Process) -> bool:
        """Whether a process works on a merge, and is not the service's own."""
        names = [process.name, *(os.path.basename(argument) for argument in process.argv[:1])]
        return any(name.startswith(self._programs) for name in names) or bool(self.session_of(process))

    def session_of(self, process: Process) -> str:
        """The session whose directory its arguments name; "" where they name none."""
        if not self._below:
            return ""
        found = (self._below.search(argument) for argument in process.argv)
        return next((match.group(1) for match in found if match), "")


def work_of(
    workers: Iterable[Process],
    named_by: Workers,
    lists: Lists | None,
    *,
    work_dir: str,
    unlisted: Sequence[str],
    changed_within_s: float,
    lost: Iterable[str],
) -> Work:
    """Count the merges that a restart would lose.

    Args:
        workers: the service's workers that live.
        named_by: tells whose they are.
        lists: asks the API which sessions there are.
        work_dir: the directory of all sessions, "" where there is none.
        unlisted: patterns of names of directories there whose work the API does not list.
        changed_within_s: a directory in which something changed in that time is in work.
        lost: sessions that are listed still, and worked on no more.
    """
    merges: dict[str, str] = {}
    unseen: list[str] = []
    listed = lists() if lists else Listed("unknown", "the API was not asked", ())
    if listed.state == "ok":
        merges.update({one_line(name, _ID_MAX): "listed by the service" for name in listed.ids})
    elif listed.state != NOT_OFFERED:  # who has no list cannot withhold it: workers and directories are all there is
        unseen.append(f"the API does not say which sessions there are ({listed.reason or listed.state})")
    for process in workers:
        if process.state in ("Z", "X"):
            continue
        name = named_by.session_of(process) or f"pid {process.pid}"
        merges.setdefault(one_line(name, _ID_MAX), f"{one_line(process.name, 40)} (pid {process.pid}) works on it")
    # Of the service's own list it is known that it has all; without it any directory may be one.
    patterns = tuple(unlisted) if listed.state == "ok" else ("*",)
    if work_dir and patterns:
        for name in _changed(work_dir, patterns, changed_within_s, unseen):
            merges.setdefault(
                one_line(name, _ID_MAX), f"something in its directory changed within {changed_within_s:g} s"
            )
    return Work({name: why for name, why in merges.items() if name not in set(lost)}, tuple(unseen))


def _changed(work_dir: str, patterns: Sequence[str], within_s: float, unseen: list[str]) -> list[str]:
    """Names of the directories in which something changed of late."""
    since, found = time.time() - within_s, []
    try:
        with os.scandir(work_dir) as entries:
            names = [entry.name for entry in entries if any(fnmatch.fnmatchcase(entry.name, one) for one in patterns)]
    except FileNotFoundError:
        return []
    except OSError as error:
        unseen.append(f"{one_line(work_dir, 80)} cannot be read ({error.strerror})")
        return []
    for name in sorted(names):
        path = os.path.join(work_dir, name)
        try:
            if S_ISDIR(os.lstat(path).st_mode) and _newest(path, since) >= since:
                found.append(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            unseen.append(f"{one_line(path, 80)} cannot be read ({error.strerror})")
    return found


def _newest(path: str, enough: float) -> float:
    """When something in a directory changed last, however deep; it is not looked for anything newer than ``enough``.

    Raises:
        OSError: it cannot be read, or holds more than is looked at.
    """
    newest, left, number = os.lstat(path).st_mtime, [path], 0
    while left and newest < enough:
        with os.scandir(left.pop()) as entries:
            for entry in entries:
                number += 1
                if newest >= enough:
                    break
                if number > _ENTRIES_MAX:
                    raise OSError(errno.EFBIG, f"more than {_ENTRIES_MAX} entries")
                with contextlib.suppress(FileNotFoundError):
                    facts = entry.stat(follow_symlinks=False)
                    newest = max(newest, facts.st_mtime)
                    left += [entry.path] if S_ISDIR(facts.st_mode) else []
    return newest
