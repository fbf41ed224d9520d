# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first look at a host, by its shell alone: whether it is reached, as whom, and which Pythons it has. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from ...module_utils.shapes import one_line

PYTHON_NEEDED = (3, 9)
LIMIT_S = 60.0
# What a host may be set to use; the names are ours, so that a host names nothing that is run.
PYTHONS = (
    *("/usr/bin/python3", "/usr/local/bin/python3", "/usr/libexec/platform-python"),
    *(f"/usr/bin/python3.{minor}" for minor in range(9, 15)),
)
_HEAD = "Failed to connect to the host via ssh: "
_SAID = re.compile(r"media-ops ([a-z]+) ([^\n]{0,200})")
_PYTHON = re.compile(r"([0-9]{1,3}) ([0-9])\.([0-9]{1,3})\Z")


@dataclass(frozen=True)
class Reach:
    """How a host was reached.

    Attributes:
        state: ``ok``, ``unreachable``, or ``failed`` where its shell gave no answer.
        reason: why not, in a line.
        user: who connects.
        offset_s: by how much its clock is ahead of the controller's, None where that was not told.
        offset_error_s: how far that may be off.
        pythons: by path, the version of each that there is.
    """

    state: str
    reason: str = ""
    user: str = ""
    offset_s: float | None = None
    offset_error_s: float = 0.0
    pythons: Mapping[str, tuple[int, int]] | None = None

    def python(self, wanted: str) -> str:
        """The Python to use: the one that is wanted where it will do, else the first that will; "" for none."""
        will_do = [path for path, version in (self.pythons or {}).items() if version >= PYTHON_NEEDED]
        return wanted if wanted in will_do else next(iter(will_do), "")


def candidates(wanted: str) -> list[str]:
    """The Pythons that are looked for: the one that is set first."""
    return list(dict.fromkeys([*([wanted] if wanted else []), *PYTHONS]))


def script(wanted: str) -> str:
    """What the host's shell is asked: each answer is a line that begins with our name."""
    lines = ['echo "media-ops user $(id -un 2>/dev/null || id -u)"', 'echo "media-ops now $(date +%s)"']
    version = "import sys; print('%d.%d' % sys.version_info[:2])"
    for number, path in enumerate(candidates(wanted)):
        program = quote(path)
        lines.append(f'v=$({program} -I -c "{version}" 2>/dev/null) && echo "media-ops python {number} $v"')
    return "\n".join([*lines, "true"])


def reached(ran: Mapping[str, Any], wanted: str, began: float, ended: float) -> Reach:
    """What came of it.

    Args:
        ran: as ``HostAction.shell`` gives it.
        wanted: the Python that is set, "" where none is.
        began: by the controller's clock, seconds since 1970.
        ended: likewise.
    """
    if "rc" not in ran:
        why = one_line(str(ran.get("msg") or "no answer").removeprefix(_HEAD), 300)
        return Reach("unreachable" if ran.get("unreachable") else "failed", why)
    said: dict[str, list[str]] = {}
    for name, value in _SAID.findall(str(ran.get("stdout") or "")):
        said.setdefault(name, []).append(value.strip())
    if "user" not in said:
        why = one_line(ran.get("stderr") or ran.get("stdout") or "no answer", 300)
        return Reach("failed", f"its shell does not run what it is told (rc {ran.get('rc')}): {why}")
    now = said.get("now", [""])[0]
    known = re.fullmatch(r"[0-9]{1,12}", now)
    names = candidates(wanted)
    pythons = {}
    for match in map(_PYTHON.match, said.get("python", [])):
        if match and int(match[1]) < len(names):
            pythons[names[int(match[1])]] = (int(match[2]), int(match[3]))
    return Reach(
        "ok",
        user=one_line(said["user"][0], 60),
        # It told the second that it was in at some time in between.
        offset_s=float(now) + 0.5 - (began + ended) / 2 if known else None,
        offset_error_s=0.5 + (ended - began) / 2,
        pythons=pythons,
    )
