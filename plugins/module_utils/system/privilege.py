# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands run with a time limit and bounded output, and the few that need root, by the very argv that sudo allows."""

from __future__ import annotations

import contextlib
import os
import pwd
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import MediaOpsError

# Where role ``prepare`` puts what is root's own and may be run as root
PROGRAMS = "/usr/local/libexec/media-ops"
_MAX_BYTES = 1 << 18
_KILL_WAIT_S = 5.0


@dataclass(frozen=True)
class Ran:
    """What came of a command.

    Attributes:
        argv: what was run, without sudo.
        rc: exit code; negative the signal that ended it; None where it was still running after the time limit.
        out: standard output, its first 256 KiB, undecodable bytes replaced.
        err: standard error, likewise.
        seconds: how long it ran.
    """

    argv: tuple[str, ...]
    rc: int | None
    out: str
    err: str
    seconds: float

    @property
    def timed_out(self) -> bool:
        """Whether the time limit came first."""
        return self.rc is None

    @property
    def msg(self) -> str:
        """The last line of what it said, for people."""
        lines = [line.strip() for line in (self.err + "\n" + self.out).splitlines() if line.strip()]
        err = [line.strip() for line in self.err.splitlines() if line.strip()]
        return (err or lines or [""])[-1][:300]


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> Ran:
    """Run a command without a shell; at the time limit its whole process group is killed.

    Args:
        argv: the command. A missing one gives exit code 127 and one that may not be run 126, as a shell does.
        timeout_s: seconds.
        env: its whole environment; None passes this process's own, in the C locale.
        cwd: where it runs.
    """
    return _run(list(argv), argv, timeout_s=timeout_s, env=env, cwd=cwd, kill=True)


def run_as(user: str, argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str]) -> Ran:
    """Run a command as the service's user, whom the sudo rule of role ``prepare`` lets us become.

    At the time limit it is killed by a process of that user, since ours may not; ``rc`` is then None.

    Args:
        user: the user's name.
        argv: the command.
        timeout_s: seconds.
        env: its whole environment. It is seen in the process list: no secrets.
    """
    if pwd.getpwuid(os.geteuid()).pw_name == user:
        return run(argv, timeout_s=timeout_s, env=env, cwd="/")
    limited = ["env", "-i", *(f"{name}={value}" for name, value in env.items())]
    limited += ["timeout", "--signal=KILL", f"{timeout_s:g}", *argv]
    become = ["runuser", "-u", user, "--"] if os.geteuid() == 0 else ["sudo", "-n", "-u", user, "--"]
    # What sudo allows is /bin/sh, which is how Ansible becomes another user.
    command = [*become, "/bin/sh", "-c", 'exec "$@"', "sh", *limited]
    ran = _run(command, argv, timeout_s=timeout_s + _KILL_WAIT_S, env=None, cwd="/", kill=True)
    killed = ran.rc in (137, -9) and ran.seconds >= timeout_s
    return replace(ran, rc=None) if killed else ran


def run_as_root(argv: Sequence[str], *, timeout_s: float, given: bytes = b"") -> Ran:
    """Run a command as root: directly, or by ``sudo -n`` where the rule of role ``prepare`` allows this very argv.

    A command that outlasts ``timeout_s`` is left running (root's processes cannot be ended by us, and a package manager
    should not be), and ``rc`` is None.

    Args:
        argv: the command.
        timeout_s: seconds.
        given: what it reads on stdin, no more than the 64 KiB that a pipe holds.

    Raises:
        MediaOpsError: sudo is missing, does not allow the command, or the host has no such program. Nothing was run.
    """
    why = root_refusal(argv)
    if why:
        raise MediaOpsError(why, command=list(argv))
    command = list(argv) if os.geteuid() == 0 else ["sudo", "-n", "--", *argv]
    return _run(command, argv, timeout_s=timeout_s, env=None, cwd="/", kill=False, given=given)


def root_refusal(argv: Sequence[str]) -> str:
    """Why :func:`run_as_root` would refuse this command, or "" where it would not."""
    if argv[0].startswith(f"{PROGRAMS}/") and not os.path.exists(argv[0]):
        return f"{argv[0]} is not on this host: run the playbook media_ops.runbook.prepare_hosts"
    if os.geteuid() == 0:
        return ""
    shown = " ".join(argv)
    if shutil.which("sudo") is None:
        return f"'{shown}' needs root, and sudo is not installed: run the playbook media_ops.runbook.prepare_hosts"
    asked = run(["sudo", "-n", "-l", "--", *argv], timeout_s=15)
    if asked.rc == 0:
        return ""
    return (
        f"sudo does not allow '{shown}' to this user ({asked.msg or 'no rule'}): "
        "the playbook media_ops.runbook.prepare_hosts allows what prepare_root_commands lists, and nothing more"
    )


def _run(
    command: list[str],
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None,
    cwd: str | None,
    kill: bool,
    given: bytes = b"",
) -> Ran:
    began = time.monotonic()
    environment = dict(env) if env is not None else {**os.environ, "LC_ALL": "C.UTF-8"}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        return Ran(tuple(argv), 127, "", f"{error.filename}: not found", 0.0)
    except OSError as error:
        return Ran(tuple(argv), 126, "", f"{error.filename}: {error.strerror}", 0.0)
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(given)
    out, err, finished = _drain(process, began + timeout_s)
    rc: int | None = None
    if finished:
        with contextlib.suppress(subprocess.TimeoutExpired):
            rc = process.wait(max(0.1, began + timeout_s - time.monotonic()))
    if rc is None and kill:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_KILL_WAIT_S)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return Ran(
        tuple(argv),
        rc,
        out.decode("utf-8", "replace"),
        err.decode("utf-8", "replace"),
        round(time.monotonic() - began, 3),
    )


def _drain(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes, bool]:
    """Read both pipes to their end or the deadline, keep the first part of each. A child left behind may hold them."""
    kept = {"out": bytearray(), "err": bytearray()}
    with selectors.DefaultSelector() as selector:
        for name, pipe in (("out", process.stdout), ("err", process.stderr)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, name)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return bytes(kept["out"]), bytes(kept["err"]), process.poll() is not None
            ready = selector.select(min(left, 0.2))
            for key, _events in ready:
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                kept[key.data].extend(data[: _MAX_BYTES - len(kept[key.data])])
            if not ready and process.poll() is not None:
                break
    return bytes(kept["out"]), bytes(kept["err"]), True
