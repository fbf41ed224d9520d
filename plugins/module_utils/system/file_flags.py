# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What chattr has made of a file or directory."""

from __future__ import annotations

import contextlib
import fcntl
import sys

_FLAGS = 0x80086601  # FS_IOC_GETFLAGS of Linux's fs.h
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20


def flag_of(fd: int) -> str:
    """What chattr has made of an open file or directory that keeps it from being deleted: immutable, append_only."""
    with contextlib.suppress(OSError):
        flags = int.from_bytes(fcntl.ioctl(fd, _FLAGS, bytes(8))[:4], sys.byteorder)
        return "immutable" if flags & _IMMUTABLE else "append_only" if flags & _APPEND_ONLY else ""
    return ""
