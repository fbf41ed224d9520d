# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stays whatever the rules say: finished results, work that goes on, and directories that options name."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import OptionError
from ..options import check_absolute, check_range
from ..system.tree import Directory, open_root, walk
from .known import Known, identity_of

_NANO = 10**9
_LASTS_S = 30.0


class Results:
    """Directories of finished results, which may be the only copies.

    Known by device and inode, so that neither a bind mount nor a link on the way shows one as something else.
    """

    def __init__(self, paths: list[str]) -> None:
        self._named: dict[tuple[int, int], str] = {}
        self._said_above: dict[str, str] = {}
        for path in paths:
            check_absolute("kept_dirs", path)
            try:
                facts = os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                why = f"cannot be looked at, so that its files would not be known: {error.strerror}"
                raise OptionError("kept_dirs", path, why) from error
            if not stat.S_ISDIR(facts.st_mode):
                raise OptionError("kept_dirs", path, "is no directory, so that it would keep nothing. Nothing was done")
            self._named[facts.st_dev, facts.st_ino] = path

    def holds(self, directory: Directory, known: Known) -> str:
        """Why everything in a directory of a walk stays, for people; empty where it is not of the results."""
        at: Directory | None = directory
        while at is not None and self._named:
            path = self._named.get((at.facts.st_dev, at.facts.st_ino))
            if path is not None:
                return f"finished results: {path}"
            top, at = at, at.parent
        if not self._named:
            return ""
        if top.path not in self._said_above:
            named = (self._named.get(one) for one in known.above(top.path))
            path = next((path for path in named if path is not None), None)
            self._said_above[top.path] = f"finished results: {path}" if path is not None else ""
        return self._said_above[top.path]


class Configured:
    """Directories that the options name. Empty or not, somebody counts on them: a service, or the next run.

    Known by device and inode, as the results are.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._named: dict[tuple[int, int], str] = {}
        for path in paths:
            identity = identity_of(path)
            if identity:
                self._named[identity] = path

    def says(self, facts: os.stat_result) -> str:
        """Why a directory is not removed, for people; empty where no option names it."""
        path = self._named.get((facts.st_dev, facts.st_ino))
        return f"is a directory that the options name: {path}" if path is not None else ""


class Work:
    """The directories of work below the sessions' directory, each kept whole while a file in it changes.

    A merge that nothing lists, and that waits between two runs of ffmpeg, has no file open: only what it has written
    tells that it goes on. The times of directories do not count, as each deletion of this module changes them.

    Args:
        directory: of the sessions, resolved; empty where there is none.
        idle_s: for how long nothing may have changed; 0 does not look.
    """

    def __init__(self, directory: str, idle_s: float) -> None:
        self._directory = directory if idle_s else ""
        self._idle_s = idle_s
        self._known: dict[str, tuple[float, str]] = {}

    def goes_on(self, path: str) -> str:
        """Why all of the work that a directory is part of stays, for people; empty where it is idle, or no work.

        Args:
            path: of the directory, absolute and resolved.
        """
        if not self._directory or not path.startswith(self._directory + "/"):
            return ""
        name = path[len(self._directory) + 1 :].partition("/")[0]
        asked, said = self._known.get(name, (0.0, ""))
        if not asked or time.monotonic() - asked > _LASTS_S:
            said = self._changed(f"{self._directory}/{name}")
            self._known[name] = (time.monotonic(), said)
        return said

    def forget(self) -> None:
        """Look anew from now on."""
        self._known.clear()

    def _changed(self, path: str) -> str:
        unseen: list[str] = []
        try:
            with contextlib.closing(open_root(path)) as root:
                for place, others in walk(root, lambda where, why: unseen.append(f"{where}: {why}")):
                    for other in others:
                        with contextlib.suppress(FileNotFoundError):
                            age_s = _age_s(other.stat(follow_symlinks=False))
                            if age_s < self._idle_s:
                                return f"work that is not listed: {place.path}/{other.name} changed {age_s:.0f} s ago"
        except FileNotFoundError:
            return ""
        except OSError as error:
            unseen.append(f"{path}: {error.strerror}")
        return f"work that is not listed, and cannot be looked at: {unseen[0]}" if unseen else ""


def _age_s(facts: os.stat_result) -> float:
    """Seconds since the last change. A content that is dated ahead says nothing; an inode that is, no age at all."""
    now_ns = time.time_ns()
    dates = [date for date in (facts.st_mtime_ns, facts.st_ctime_ns) if date <= now_ns or date == facts.st_ctime_ns]
    return max(now_ns - max(dates), 0) / _NANO


def work_of(params: Mapping[str, Any]) -> Work:
    """The work that is kept, by the options of disk_cleanup."""
    check_range(params, "idle_seconds", 0, 31_536_000)
    directory = params["sessions_dir"]
    return Work(os.path.realpath(directory) if directory else "", params["idle_seconds"])


def configured(params: Mapping[str, Any], roots: Iterable[str]) -> Configured:
    """The directories that the options of disk_cleanup name, and the roots of its rules."""
    maps = (path for one in params["id_maps"] for path in one["directories"])
    several = (*params["work_dirs"], *params["log_dirs"], *params["roots"], *params["kept_dirs"], *maps)
    archives = (rule.get("archived_in") for rule in params["rules"])
    return Configured(filter(None, (params["sessions_dir"], *several, *archives, *roots)))
