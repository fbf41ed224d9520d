# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories as the service's user meets them, by what their modes say, and their file systems. Nothing is tried."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import MediaOpsError
from ..opener import kind_of
from ..shapes import one_line
from ..state.directory import existing
from ..system.processes import user_name

PATHS_MAX = 40


@dataclass(frozen=True)
class User:
    """A user of this host, with all of its groups."""

    name: str
    uid: int
    groups: frozenset[int]

    def may(self, facts: os.stat_result, wanted: int) -> bool:
        """Whether the mode lets this user do what the bits (1 enter, 2 write, 4 read) say."""
        if self.uid == 0:
            return True
        shift = 6 if facts.st_uid == self.uid else 3 if facts.st_gid in self.groups else 0
        return (facts.st_mode >> shift) & wanted == wanted


def user_of(name: str) -> User | None:
    """The user of a name, None where the host has none."""
    try:
        row = pwd.getpwnam(name)
    except KeyError:
        return None
    return User(name, row.pw_uid, frozenset(os.getgrouplist(name, row.pw_gid)))


def own_user() -> User:
    """The user that this runs as."""
    return User(user_name(os.geteuid()), os.geteuid(), frozenset([os.getegid(), *os.getgroups()]))


def _group_name(gid: int) -> str:
    with contextlib.suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)


def directories(paths: Iterable[str], user: User | None) -> list[dict[str, Any]]:
    """What is at each path, and whether a user may read, and delete, what lies directly in it."""
    return [_directory(path, user) for path in list(dict.fromkeys(paths))[:PATHS_MAX]]


def _directory(path: str, user: User | None) -> dict[str, Any]:
    try:
        facts = os.stat(path)
    except OSError as error:
        state = "missing" if isinstance(error, FileNotFoundError) else "unknown"
        return {"path": path, "state": state, "reason": one_line(error.strerror or error)}
    if not stat.S_ISDIR(facts.st_mode):
        return {"path": path, "state": "other", "reason": f"is {kind_of(facts)}"}
    sticky = bool(facts.st_mode & stat.S_ISVTX) and user is not None and user.uid not in (0, facts.st_uid)
    return {
        "path": path,
        "state": "there",
        "reason": "",
        "owner": user_name(facts.st_uid),
        "group": _group_name(facts.st_gid),
        "mode": f"{stat.S_IMODE(facts.st_mode):04o}",
        "reads": user.may(facts, 5) if user else None,
        # With the sticky bit, everybody's own files alone
        "deletes": user.may(facts, 3) and not sticky if user else None,
    }


def state_dir(path: str) -> dict[str, Any]:
    """Whether what automation keeps can be kept there."""
    try:
        with existing(path) as opened:
            writes = os.access(".", os.W_OK | os.X_OK, dir_fd=opened)
    except MediaOpsError as error:
        return {"state": "missing" if not os.path.lexists(path) else "unusable", "reason": one_line(error)}
    if writes:
        return {"state": "ok", "reason": ""}
    return {"state": "unusable", "reason": f"{own_user().name} may not write there"}


def disks(paths: Iterable[str]) -> list[dict[str, Any]]:
    """How full the file systems are that the paths lie on, each once; of what is not there yet, the nearest above."""
    found: dict[int, dict[str, Any]] = {}
    for path in list(dict.fromkeys(paths))[:PATHS_MAX]:
        there = path
        while there != "/" and not os.path.exists(there):
            there = os.path.dirname(there) or "/"
        with contextlib.suppress(OSError):
            figures, device = os.statvfs(there), os.stat(there).st_dev
            # As df counts: of what is not root's own
            whole = figures.f_blocks - figures.f_bfree + figures.f_bavail
            if whole > 0 and device not in found:
                used = 100 * (figures.f_blocks - figures.f_bfree) / whole
                found[device] = {
                    "path": path,
                    "used_percent": round(used, 1),
                    "free": figures.f_bavail * figures.f_frsize,
                }
    return list(found.values())
