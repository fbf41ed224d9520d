# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How full the pipes are into which somebody waits to write: whoever reads a little of one lets nobody go on yet."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
import termios
from collections.abc import Iterable

from .processes import Process

_WAITS = "pipe_write"


def waiting_in_pipes(processes: Iterable[Process]) -> dict[int, int]:
    """The bytes in the pipes of those of some processes that wait to write into one, by the inode of the pipe."""
    found: dict[int, int] = {}
    for process in processes:
        if not any(_WAITS in place for _state, place in process.threads):
            continue
        for file in process.files:
            if stat.S_ISFIFO(file.mode) and file.inode not in found:
                with contextlib.suppress(OSError):
                    found[file.inode] = _waiting(process.pid, file.number, file.inode)
    return found


def _waiting(pid: int, number: int, inode: int) -> int:
    # Who waits to write has a reader, so that to be another one for a moment lets nobody else go on.
    handle = os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if os.fstat(handle).st_ino != inode:
            raise OSError("it is another pipe by now")
        return int(struct.unpack("i", fcntl.ioctl(handle, termios.FIONREAD, bytes(4)))[0])
    finally:
        os.close(handle)
