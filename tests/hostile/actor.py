"""Actors: processes that do what a script says, under any name and arguments; see actor.c."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("actor.c")
READY_S = 60.0  # on a machine that is busy with all else


class ActorError(RuntimeError):
    """An actor did not do what it was told: a fault of the test, not of the product."""


def compiled(directory: Path) -> Path:
    """The actor's program, made anew. Linked statically where that can be had: such a one starts faster."""
    program = directory / "actor"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise ActorError("there is no C compiler")
    for options in (["-static"], []):
        command = [compiler, *options, "-O1", "-pthread", "-o", str(program), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return program
    raise ActorError(done.stderr)


def started(pid: int) -> int | None:
    """When a process started, in ticks since boot; None where it has ended, also as a zombie.

    One whose first thread alone has ended shows as a zombie too, and lives.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        if fields[0] in "ZX" and len(list(Path(f"/proc/{pid}/task").iterdir())) < 2:
            return None
    except OSError:
        return None
    return int(fields[19])


@dataclass(frozen=True)
class One:
    """A process that was started: a pid and its start."""

    pid: int
    start: int

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        return started(self.pid) == self.start


class Spawner:
    """A process that starts others: the service, the one before it, a stranger."""

    def __init__(self, program: Path, name: str, events: Path, uid: int = 0) -> None:
        """Fork it. Only while this process has one thread.

        Args:
            program: the actor, under the name that the spawner goes by.
            name: argument 0.
            events: where its actors note what happened.
            uid: as whom it runs.
        """
        self._events = events
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        ready, ready_w = os.pipe()
        script, script_w = os.pipe()
        os.write(script_w, b"ready\nserve\t5\n")
        os.close(script_w)
        self.pid = os.fork()
        if self.pid == 0:
            high = [os.dup2(fd, 100 + number) for number, fd in enumerate((ready_w, script, theirs.fileno()))]
            os.closerange(3, 100)
            for number, fd in enumerate(high):
                os.dup2(fd, 3 + number)
            os.closerange(6, 200)
            os.chdir("/")
            if uid:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            os.execve(program, [name], {"ACTOR_EVENTS": str(events)})
        for fd in (ready_w, script):
            os.close(fd)
        theirs.close()
        self.one = _ready(ready)[0]

    def spawn(self, exe: Path | str, argv: Sequence[str], script: Iterable[str], uid: int = 0) -> list[One]:
        """Start an actor and wait until it is ready: it, and the children that it made by then."""
        order = b"\0".join(os.fsencode(text) for text in (str(exe), str(uid), *argv)) + b"\0"
        return self._send(order, "\n".join(script) + "\n")

    def do(self, verb: str) -> None:
        """Let the spawner itself do something."""
        self._send(b"=" + os.fsencode(verb), "")

    def _send(self, order: bytes, script: str) -> list[One]:
        ready, ready_w = os.pipe()
        script_r, script_w = os.pipe()
        os.write(script_w, os.fsencode(script))
        os.close(script_w)
        socket.send_fds(self._socket, [order], [ready_w, script_r])
        os.close(ready_w)
        os.close(script_r)
        return _ready(ready)

    def stop(self) -> None:
        """End it; what it started goes on, as a child of init."""
        self._socket.close()
        os.waitpid(self.pid, 0)


def _ready(fd: int) -> list[One]:
    said = b""
    deadline = time.monotonic() + READY_S
    try:
        while not said.endswith(b"\n"):
            if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise ActorError("an actor is not ready in time")
            part = os.read(fd, 4096)
            if not part:
                raise ActorError(f"an actor ended before it was ready: {said!r}")
            said += part
    finally:
        os.close(fd)
    return [One(pid, start) for pid in map(int, said.split()) if (start := _start(pid)) is not None]


def _start(pid: int) -> int | None:
    """The start of a process, of a zombie too."""
    try:
        return int(
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        )
    except OSError:
        return None
