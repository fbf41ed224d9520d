# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of apt and dpkg that mend a broken ffmpeg: `configure`, `update`, or `reinstall PACKAGE`.

A rule of sudo fixes arguments, but neither terminal nor stdin nor environment, and a question of dpkg's that is
answered with Z, a pager or an ~/.dpkg.cfg is a root shell. So nothing of the caller's reaches apt and dpkg but the
arguments, which the sudo rule of role media_ops.runbook.prepare lists.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+]\Z")
# Of a configuration file that was changed here, the one that is here stays.
KEEP = ("--force-confdef", "--force-confold")
COMMANDS = {
    "configure": ("/usr/bin/dpkg", *KEEP, "--configure", "-a"),
    "update": ("/usr/bin/apt-get", "-o", "APT::Update::Error-Mode=any", "update"),
    "reinstall": (
        "/usr/bin/apt-get",
        *("-o", "DPkg::Lock::Timeout=60"),
        *(part for option in KEEP for part in ("-o", f"Dpkg::Options::={option}")),
        *("install", "--reinstall", "--no-remove", "--yes"),
    ),
}
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    # A repair restarts no services.
    "NEEDRESTART_SUSPEND": "1",
}


def main() -> int:
    """Exit code of the command, 1 where it cannot be run safely, or 2 for other arguments."""
    verb, *names = sys.argv[1:] or [""]
    if verb not in COMMANDS or len(names) != (verb == "reinstall") or not all(map(NAME.match, names)):
        print("usage: packages configure | update | reinstall PACKAGE", file=sys.stderr)
        return 2
    try:
        for limit in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE):
            resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError:
        print("packages: a limit of the caller's cannot be lifted (ulimit), and could cut dpkg short", file=sys.stderr)
        return 1
    os.umask(0o022)
    # Neither a caller that goes away nor one that stops reading may cut short or hold up what dpkg has begun: it has no
    # terminal, its output is kept until it has ended, and signals from the terminal end here.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP):
        signal.signal(number, lambda *_: None)
    done = subprocess.run(
        [*COMMANDS[verb], *names],
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


if __name__ == "__main__":
    sys.exit(main())
