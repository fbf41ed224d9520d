# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of processes: seen, waited for, or made by signals that reach the process that was meant, or nobody."""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from .proc import SMALL
from .processes import Process, read_living, read_process

KILL_WAIT_S = 5.0
_POLL_S = 0.05


def lives(process: Process) -> bool:
    """Whether a process that was seen has not ended since."""
    now = read_living(process.pid)
    return now is not None and now.key == process.key


def have_ended(processes: Sequence[Process], within_s: float) -> bool:
    """Wait so many seconds at most for processes that were seen to end; whether all of them have."""
    deadline = time.monotonic() + within_s
    while any(map(lives, processes)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


@dataclass(frozen=True)
class Target:
    """The process that is to be ended: what was planned, not merely a pid.

    Attributes:
        pid: of the process.
        start: of the process.
        argv_hash: of its arguments.
        group: those of one group are ended all, or none.
        still: whether it is left alone where it has read or written in the moment before the signal.
    """

    pid: int
    start: int
    argv_hash: str
    group: str = ""
    still: bool = False


@dataclass
class Ending:
    """What came of it: ``done``, ``skipped`` (it had ended, or the pid is another's by now), or ``failed``."""

    result: str = ""
    msg: str = ""


class _Held:
    """A process held by a pidfd: a signal reaches it, or nobody. Without pidfds, it is only looked at again."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.ending = Ending()
        self.pidfd = -1
        self.weak = False
        self.signalled = ""
        self.refused = False
        self._io = b""
        self._counted: tuple[int, ...] = ()

    def hold(self, refuse: Callable[[Process], str]) -> None:
        """Take hold of the process, then look whether it is still the one; set the ending where it is not."""
        opener = getattr(os, "pidfd_open", None)
        try:
            if opener is None or not hasattr(signal, "pidfd_send_signal"):
                self.weak = True
            else:
                self.pidfd = opener(self.target.pid)
        except ProcessLookupError:
            self.ending = Ending("skipped", "has ended by itself")
            return
        except OSError as error:
            if error.errno not in (
                errno.ENOSYS,
                errno.EPERM,
                errno.EINVAL,
                errno.ENOENT,
            ):  # the last two: a thread's id
                raise
            self.weak = True
        why = self._changed(refuse)
        if why:
            self.ending = Ending("skipped", why)

    def _changed(self, refuse: Callable[[Process], str]) -> str:
        self._io = _io_of(self.target.pid)
        now = read_process(self.target.pid)
        if now is None or now.state in "ZX":
            return "has ended by itself"
        if now.start != self.target.start:
            return "has ended by itself; its pid belongs to another process now, which was left alone"
        if now.argv_hash != self.target.argv_hash:
            return "runs another program by now, and was left alone"
        self._counted = now.counters.moved
        why = refuse(now)
        self.refused = bool(why)
        return why

    def moved(self) -> bool:
        """Whether it has read or written since it was held, where that matters."""
        if not self.target.still or self.ending.result or _io_of(self.target.pid) == self._io:
            return False
        now = read_process(self.target.pid)
        if now is not None and now.start == self.target.start and now.counters.moved == self._counted != (-1, -1):
            return False  # it has only told that nothing goes on
        self.ending, self.refused = Ending("skipped", "goes on again, and was left alone"), True
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal; set the ending where that is not possible."""
        try:
            if not self.weak:
                signal.pidfd_send_signal(self.pidfd, number)
            elif self.over():
                return
            else:
                os.kill(self.target.pid, number)
        except ProcessLookupError:
            return
        except PermissionError:
            self.ending = Ending("failed", f"{number.name} is not permitted")
            return
        if number != signal.SIGCONT:
            self.signalled = number.name

    def over(self) -> bool:
        """Whether the process has ended. What its parent has not yet taken note of, a zombie, has."""
        if not self.weak:
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            return bool(poll.poll(0))
        now = read_process(self.target.pid, deep=False)
        return now is None or now.start != self.target.start or now.state in "ZX"

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)


def end_processes(
    targets: Sequence[Target],
    *,
    grace_s: float,
    refuse: Callable[[Process], str] = lambda _process: "",
    signalled: Callable[[], object] = lambda: None,
    kill_wait_s: float = KILL_WAIT_S,
) -> list[Ending]:
    """End processes: TERM to all, then KILL to those that are left after the grace; their death is seen, not supposed.

    Args:
        targets: parents before children.
        grace_s: how long TERM has to work.
        refuse: asked of each process when it is held and known to be the one; a text is why it, and with it all the
            others of its group, are left alone.
        signalled: called once all have got TERM.
        kill_wait_s: how long to wait for the end after KILL.
    """
    held = [_Held(target) for target in targets]
    try:
        going: list[_Held] = []
        for group in dict.fromkeys(target.group for target in targets):
            going += _signalled([one for one in held if one.target.group == group], refuse)
        signalled()
        _wait(going, grace_s)
        late = [one for one in going if not one.ending.result and not one.over()]
        for one in late:
            one.send(signal.SIGKILL)
        _wait(late, kill_wait_s)
        for one in going:
            if not one.ending.result:
                one.ending = _ending(one, grace_s)
    finally:
        for one in held:
            one.close()
    return [one.ending for one in held]


def _io_of(pid: int) -> bytes:
    """What a process has read and written so far, as the kernel words it; empty where that is not told."""
    try:
        with open(f"/proc/{pid}/io", "rb", buffering=0) as file:
            return file.read(SMALL)
    except OSError:
        return b""


def _signalled(held: Sequence[_Held], refuse: Callable[[Process], str]) -> list[_Held]:
    """Those of a group that got their TERM, right after the look at them; none of them where one is refused."""
    for one in held:
        one.hold(refuse)
    refused = next((one for one in held if one.refused or one.moved()), None)
    for one in held:
        if refused and not one.ending.result:
            one.ending = Ending("skipped", f"process {refused.target.pid} {refused.ending.msg}; so was this one")
    going = [one for one in held if not one.ending.result]
    for one in going:
        one.send(signal.SIGTERM)
        one.send(signal.SIGCONT)  # one that is stopped gets TERM only when it goes on
    return going


def _wait(held: Sequence[_Held], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not all(one.ending.result or one.over() for one in held):
        time.sleep(_POLL_S)


def _ending(one: _Held, grace_s: float) -> Ending:
    weaker = "; weaker proof: no pidfd here, its start time was compared" if one.weak else ""
    if not one.over():
        now = read_process(one.target.pid, deep=False)
        return Ending("failed", f"does not end, not by SIGKILL either (state {now.state if now else '?'}){weaker}")
    how = f"ended by {one.signalled}" if one.signalled else "has ended by itself"
    after = f" after {grace_s:g} s of SIGTERM" if one.signalled == "SIGKILL" else ""
    return Ending("done" if one.signalled else "skipped", f"{how}{after}{weaker}")
