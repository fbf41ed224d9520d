# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian packages: whose a file is, what differs from what was installed, who holds apt's lock, and how to repair.

All but the repair commands, which role ``prepare`` lists in its sudo rule, needs no privilege.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import MediaOpsError
from ..shapes import one_line
from ..system import proc
from ..system.privilege import PROGRAMS, Ran, run

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+]\Z")
# How long apt waits for its lock, by root's program as well
LOCK_TIMEOUT_S = 60
_PROGRAM = f"{PROGRAMS}/packages"
UPDATE = (_PROGRAM, "update")
CONFIGURE = (_PROGRAM, "configure")
LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)
_UPDATES = "/var/lib/dpkg/updates"
_INFO = "/var/lib/dpkg/info"
_QUERY_S = 30.0
# What apt says when it has no file of the package to install
_NO_FILE = re.compile(
    r"cannot be downloaded|Failed to fetch|Unable to fetch|Unable to locate package|has no installation candidate"
    r"|Can't find a source to download|404 +Not Found"
)
# Its lines that tell a cause, and those that only say that there is one
_TELLING = re.compile(r"^(E: |dpkg: error|Reinstallation of )|Read-only file system|No space left")
_REMARK = re.compile(r"^(E: Sub-process |E: Some index files |E: Unable to fetch some |dpkg: error processing )")


def reinstall(package: str) -> tuple[str, ...]:
    """The command that reinstalls a package, or installs it where it is not."""
    if not NAME.match(package):
        raise ValueError(f"no name of a package: {package!r}")
    return (_PROGRAM, "reinstall", package)


def has_no_file(ran: Ran) -> bool:
    """Whether apt did nothing because the package's file cannot be had; its exit code may well be 0."""
    return _NO_FILE.search(ran.out + ran.err) is not None


def was_unpacked(ran: Ran, package: str) -> bool:
    """Whether apt really put the package's files in place."""
    return ran.rc == 0 and re.search(rf"^Setting up {re.escape(package)}[ :]", ran.out, re.MULTILINE) is not None


def complaint(ran: Ran) -> str:
    """What apt or dpkg said of its failure, in one line."""
    if ran.timed_out:
        return f"still running after {ran.seconds:.0f} s, and left to itself"
    said = [line.strip() for line in (ran.err + "\n" + ran.out).splitlines()]
    lines = [line for line in said if _TELLING.search(line)]
    lines = [line for line in lines if not _REMARK.search(line)] or lines
    return one_line("; ".join(dict.fromkeys(lines)), 400) or one_line(ran.msg) or f"exit code {ran.rc}"


@dataclass(frozen=True)
class Installed:
    """A package that dpkg knows. ``state`` is dpkg's abbreviation: ``ii`` is installed, ``iHR`` was cut short."""

    name: str
    version: str
    state: str
    source: str

    @property
    def is_installed(self) -> bool:
        """Whether its files should all be in place."""
        return self.state == "ii"

    @property
    def was_interrupted(self) -> bool:
        """Whether dpkg ended in the middle of its work on it."""
        return len(self.state) > 1 and (self.state[1] in "UFHWt" or self.state.endswith("R"))


def known() -> dict[str, Installed]:
    """Every package that dpkg knows, by name; nothing where there is no dpkg."""
    fields = "${Package}\t${Version}\t${db:Status-Abbrev}\t${source:Package}\n"
    found: dict[str, Installed] = {}
    for line in _query(fields):
        name, version, state, source = [*line.split("\t"), "", "", ""][:4]
        if name and name not in found:  # of a second architecture, only the first is looked at
            found[name] = Installed(name, version, state.strip(), source)
    return found


def unpacked_at(package: str) -> float | None:
    """When dpkg last put the package's files in place, in seconds since 1970; None where it does not tell."""
    found = []
    for path in (f"{_INFO}/{package}.list", *glob.glob(f"{_INFO}/{glob.escape(package)}:*.list")):
        with contextlib.suppress(OSError):
            found.append(os.stat(path).st_mtime)
    return max(found, default=None)


def needed_by(package: str) -> list[str]:
    """The packages that a package needs, and those that they need, and so on."""
    seen, level = {package}, {package}
    while level:
        relations = ", ".join(_query("${Pre-Depends}, ${Depends}\n", *sorted(level)))
        names = {re.split(r"[ (:]", one.strip(), maxsplit=1)[0] for one in re.split(r"[,|]", relations)}
        level = {name for name in names if NAME.match(name)} - seen
        seen |= level
    return sorted(seen - {package})


def _query(fields: str, *packages: str) -> list[str]:
    return run(["dpkg-query", "--show", f"--showformat={fields}", *packages], timeout_s=_QUERY_S).out.splitlines()


def owners(paths: Iterable[str]) -> dict[str, str]:
    """Which package each path belongs to; one that no package owns is left out. A path may begin with ``*/``."""
    asked = {path: _spellings(path) for path in paths}
    patterns = [
        one if one.startswith("*/") else re.sub(r"([\\\[\]?*])", r"\\\1", one)
        for ones in asked.values()
        for one in ones
    ]
    if not patterns:
        return {}
    found: dict[str, str] = {}
    for line in run(["dpkg-query", "--search", "--", *patterns], timeout_s=_QUERY_S).out.splitlines():
        names, separator, path = line.partition(": ")
        if separator and not line.startswith("diversion by "):
            package = names.split(", ")[0].partition(":")[0]
            found.setdefault(path, package)
            found.setdefault(f"*/{os.path.basename(path)}", package)
    return {
        path: next(found[one] for one in ones if one in found) for path, ones in asked.items() if found.keys() & ones
    }


def _spellings(path: str) -> list[str]:
    """A path as dpkg may have it: with /usr merged a file has two, and a link is another path than its target."""
    if path.startswith("*/"):
        return [path]
    real = os.path.realpath(path)
    in_place = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    paths = [path, in_place, real]
    paths += [one[len("/usr") :] for one in paths if re.match(r"/usr/s?(bin|lib)", one)]
    return list(dict.fromkeys(paths))


def is_library(path: str) -> bool:
    """Whether a path is named as shared libraries are."""
    return re.search(r"/[^/]+\.so(\.[^/]*)?\Z", path) is not None


def altered(packages: Sequence[str], *, timeout_s: float) -> dict[str, list[str]]:
    """Programs and shared libraries that are not what their package installed: missing, changed, or not to be read.

    Args:
        packages: names of installed packages.
        timeout_s: for all of them.

    Returns:
        paths by package.

    Raises:
        MediaOpsError: they could not be verified.
    """
    if not packages:
        return {}
    verified = run(["dpkg", "--verify", *packages], timeout_s=timeout_s)
    if verified.rc not in (0, 1):
        why = f"not done within {timeout_s:g} s" if verified.timed_out else one_line(verified.msg)
        raise MediaOpsError(f"its packages could not be verified: {why}")
    paths = []
    for line in verified.out.splitlines():
        match = re.match(r"(?:missing|[?.0-9A-Z]{9}) +(c )?(/\S.*?)(?: \(.*\))?\Z", line)
        if match and not match.group(1) and (is_library(match.group(2)) or "bin/" in match.group(2)):
            paths.append(match.group(2))
    by_package: dict[str, list[str]] = {}
    for path, package in owners(paths).items():
        by_package.setdefault(package, []).append(path)
    return by_package


def interrupted(packages: dict[str, Installed]) -> list[str]:
    """What dpkg was cut short at: packages, or its own journal; as it looks while dpkg runs, too."""
    found = sorted(name for name, one in packages.items() if one.was_interrupted)
    with contextlib.suppress(OSError):
        if not found and any(name.isdigit() for name in os.listdir(_UPDATES)):
            found.append("dpkg's journal")
    return found


@dataclass(frozen=True)
class Holder:
    """Who holds one of apt's locks."""

    pid: int
    command: str
    lock: str

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.command}) holds {self.lock}"


def lock_holder(locks: Sequence[str] = LOCKS) -> Holder | None:
    """Who holds one of apt's locks just now: root alone may open them, but everybody may see who has them."""
    found = proc.lock_holder(locks)
    if found is None:
        return None
    pid, lock = found
    return Holder(pid, one_line(proc.command_line(pid), 120) or "gone", lock)


def wait_for_locks(*, timeout_s: float = LOCK_TIMEOUT_S, locks: Sequence[str] = LOCKS) -> tuple[Holder | None, bool]:
    """Wait until nobody holds a lock of apt's; return who still does at the limit, and whether there was a wait."""
    deadline = time.monotonic() + timeout_s
    waited = False
    while True:
        holder = lock_holder(locks)
        if holder is None or time.monotonic() >= deadline:
            return holder, waited
        waited = True
        time.sleep(0.5)
