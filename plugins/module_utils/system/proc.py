# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single things that /proc tells, for those who need no whole process (processes.py) and no environment of one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

_TEXT_MAX = 65536


def lock_holder(paths: Iterable[str]) -> tuple[int, str] | None:
    """The process that holds a lock on one of these files, and which: whoever may not open them may see that, too."""
    files: dict[str, str] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            facts = os.stat(path)
            files[f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}:{facts.st_ino}"] = path
    with contextlib.suppress(OSError), open("/proc/locks", encoding="ascii") as table:
        for line in table:
            fields = line.split()  # 1: POSIX ADVISORY WRITE 222 00:3b:16212316 0 EOF; after "->" it only waits
            if len(fields) > 5 and fields[1] != "->" and fields[5] in files and int(fields[4]) > 0:
                return int(fields[4]), files[fields[5]]
    return None


def command_line(pid: int) -> str:
    """The arguments of a process, with spaces between; "" where it has ended, and for a thread of the kernel."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read(4096).replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return ""


def resident_bytes(pid: int) -> int | None:
    """How much memory a process has in use; None where that is not told."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def kernel_text(name: str) -> str:
    """What the kernel tells under a name, such as ``meminfo`` or ``pressure/cpu``.

    Raises:
        OSError: it does not.
    """
    with open(f"/proc/{name}", encoding="ascii") as file:
        return file.read(_TEXT_MAX)
