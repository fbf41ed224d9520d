# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs that stand in their directory twice: plain and compressed, or in the log that copytruncate is to empty."""

from __future__ import annotations

import os
from collections.abc import Collection

from ..deadline import Deadline, seconds_for
from ..opener import open_regular_at
from ..rotated import PACKED, rotated
from ..shapes import one_line
from .archive import hashed, hashed_unpacked
from .rotated_logs import Log, Seen
from .set_aside import log_name


def set_twins_apart(seen: Seen, directory: int, names: Collection[str], archived: Collection[str]) -> None:
    """Find the logs that stand there twice, beside what logrotate or gzip makes of them.

    Only what holds the same lines to the last byte goes for the same; where that cannot be said, both stay.

    Args:
        seen: the logs.
        directory: where they are, open.
        names: of all logs there.
        archived: hashes of logs that an archive holds, and that may turn up once more.
    """
    by_name = {log_name(log.name): log for log in seen.logs}
    for name, log in by_name.items():
        packed = [name + suffix for suffix in PACKED if name + suffix in names]
        for other in packed:
            _settle(seen, log, by_name.get(other), other, archived)
        if name.endswith(PACKED) and log in seen.logs and archived and unpacked(log) in archived:
            seen.logs.remove(log)
            seen.known.append(log)
        elif not packed and _stands_in_log(log, directory):
            seen.leave(log, "twin", "its lines still stand in the log itself, which copytruncate is to empty")


def _settle(seen: Seen, log: Log, packed: Log | None, name: str, archived: Collection[str]) -> None:
    """One of two names of a log, plain and compressed, has its lines; or nobody can say, and both stay."""
    if log not in seen.logs:
        return
    log.sha256 = hashed(log.fd, _enough(log))[1]
    if packed is not None and packed in seen.logs and unpacked(packed) == log.sha256:
        log.twin_of = packed
        seen.logs.remove(log)
        (seen.known if log.sha256 in archived else seen.twins).append(log)
        return
    seen.leave(log, "twin", f"{one_line(name, 80)} is being made of it, or does not hold the same")
    if packed is not None and packed in seen.logs:
        seen.leave(packed, "twin", f"{one_line(log_name(log.name), 80)} is there as well, and does not hold the same")


def _stands_in_log(log: Log, directory: int) -> bool:
    """Whether a log begins with all that was rotated from it: it was copied, and is not emptied yet."""
    known = rotated(log_name(log.name))
    name = known.log if known else log_name(log.name)
    if not log.identity.size or name == log_name(log.name):
        return False
    try:
        fd = open_regular_at(directory, name)
    except OSError:
        return False
    try:
        size = log.identity.size
        head = min(size, 4096)
        if os.fstat(fd).st_size < size or os.pread(fd, head, 0) != os.pread(log.fd, head, 0):
            return False
        return hashed(fd, _enough(log), size)[1] == hashed(log.fd, _enough(log))[1]
    finally:
        os.close(fd)


def _enough(log: Log) -> Deadline:
    return Deadline(seconds_for(log.identity.size * 10))


def unpacked(log: Log) -> str:
    """SHA-256 of what a compressed log holds; empty where it cannot be unpacked."""
    return hashed_unpacked(log.fd, log.name if log.name.endswith(PACKED) else log_name(log.name), _enough(log))
