# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restart a service without a unit, by the one command that root has been given for it.

Who may run this as root, by the sudo rule of role media_ops.runbook.prepare, chooses nothing: it takes no argument,
goes by no variable, reads nothing from stdin and has no terminal. The command stands in a file of root's, and its
program must be root's as well, with every directory on the way: whoever could write there would be root.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

SETTINGS = "/etc/media-ops/restart.json"
MAX_BYTES = 16384
LINKS_MAX = 40
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
}


class RefusedError(Exception):
    """What is said of what was not done, in one line."""


def main() -> int:
    """Exit code of the command, 1 where it is not run, or 2 for arguments."""
    if len(sys.argv) > 1:
        print("usage: restart, without arguments", file=sys.stderr)
        return 2
    try:
        argv = read_command()
        require_roots_own(argv[0])
    except (RefusedError, OSError) as error:
        print(f"nothing is restarted: {error}", file=sys.stderr)
        return 1
    os.umask(0o022)
    # A caller that goes away must not leave a service stopped half way.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP):
        signal.signal(number, lambda *_: None)
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
        check=False,
    )
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def read_command() -> list[str]:
    """The command, as root has written it."""
    with os.fdopen(os.open(SETTINGS, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        data = file.read(MAX_BYTES)
    try:
        argv = json.loads(data)["argv"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RefusedError(f"{SETTINGS} does not hold a command") from None
    if not isinstance(argv, list) or not argv or not all(isinstance(one, str) for one in argv):
        raise RefusedError(f"{SETTINGS} does not hold a command")
    return argv


def require_roots_own(program: str) -> None:
    """Refuse a program that another than root may have written, or put in its place: also by a link on the way."""
    if not program.startswith("/") or ".." in program.split("/"):
        raise RefusedError(f"{program} is not an absolute path without '..'")
    there, left, links = Path("/"), [part for part in program.split("/") if part], 0
    while left:
        _require_roots(there, program)
        at = there / left.pop(0)
        if not at.is_symlink():
            there = at
            continue
        links += 1
        if links > LINKS_MAX:
            raise RefusedError(f"{program} leads through more than {LINKS_MAX} links")
        # Where a link leads to is meant from its directory, which was followed to its end before.
        target = os.path.normpath(there / at.readlink())
        there, left = Path("/"), [part for part in target.split("/") if part] + left
    _require_roots(there, program)


def _require_roots(path: Path, program: str) -> None:
    facts = path.lstat()
    if facts.st_uid != 0 or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RefusedError(f"{path} is not root's alone, and {program} would be run as root")


if __name__ == "__main__":
    sys.exit(main())
