# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who has put a message into a queue of System V, or taken one: no descriptor and no counter tells of it."""

from __future__ import annotations

import contextlib

from .proc import kernel_text


def last_messages() -> dict[int, set[tuple[int, str, int]]]:
    """What each process was the last one to do with a queue, by pid: queue, way, and the second in which it did so."""
    found: dict[int, set[tuple[int, str, int]]] = {}
    with contextlib.suppress(OSError, ValueError, KeyError):
        names, *rows = [line.split() for line in kernel_text("sysvipc/msg").splitlines()]
        for row in rows:
            queue = dict(zip(names, map(int, row)))  # noqa: B905
            for who, when in (("lspid", "stime"), ("lrpid", "rtime")):
                found.setdefault(queue[who], set()).add((queue["msqid"], who, queue[when]))
    return found
