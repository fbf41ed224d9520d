# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What went on in a session between looks, counted as finely as the kernel counts, and what of it nobody can see.

To wake up is no progress: a process that asks a dead source again and again uses a little of a processor for ever. So
time on a processor counts only where it has some weight; bytes, output and log lines count from the first one. Where a
process works in a way that has no counter (datagrams, sockets of the host, mapped pages), and has run at all, it is not
known whether there is progress.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..shapes import one_line
from ..system.proc import MappedFile
from ..system.processes import TICKS, OpenFile, Process
from ..system.sockets import protocol_of
from .files import Listing
from .look import Look, same_process
from .places import working_files

_STARVED = 0.5  # of the time between two looks in wait of a processor, of each thread on average
_SLICE_S = 0.0005  # to look at a source and find nothing takes some ten microseconds at a time
_THREAD_NS = 200_000  # what a thread runs that does anything; what runs while it is looked at is less
_TCP = ("TCP", "TCPv6")
_MEMORY = ("/dev/shm/", "/dev/zero")  # noqa: S108
_SUMMED = (*_TCP, "UDP", "UDPv6", "UDP-Lite", "UDPLITEv6")  # others, such as raw ones, are in no sum
_PIDS_SHOWN = 5
_STANDARD = 3  # descriptors of standard input, output and errors, which read() and write() serve, and their counters


@dataclass
class Progress:
    """What went on between the first look and the last.

    Attributes:
        seconds: between them.
        cpu_s: seconds on a processor; ``weighty`` where that is work.
        read_bytes: by calls, also from pipes and the cache.
        write_bytes: by calls, likewise.
        socket_bytes: taken from and given to TCP connections.
        output_bytes: by which the files of the session grew, or shrank.
        log_lines: new ones of the session.
        other: in words.
        unseen: why some of it cannot be seen, empty where it all can.
        by_pid: what single processes did, in words.
    """

    seconds: float = 0.0
    cpu_s: float = 0.0
    weighty: bool = False
    read_bytes: int = 0
    write_bytes: int = 0
    socket_bytes: int = 0
    output_bytes: int = 0
    log_lines: int = 0
    other: str = ""
    unseen: str = ""
    by_pid: dict[int, str] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether anything did."""
        counted = (self.read_bytes, self.write_bytes, self.socket_bytes, self.output_bytes, self.log_lines)
        return self.weighty or any(counted) or bool(self.other)

    def __str__(self) -> str:
        parts = {
            f"{self.cpu_s:.3g} s of CPU": self.weighty,
            f"{self.read_bytes} bytes read": self.read_bytes,
            f"{self.write_bytes} bytes written": self.write_bytes,
            f"{self.socket_bytes} bytes over TCP": self.socket_bytes,
            f"{self.output_bytes} bytes of output": self.output_bytes,
            f"{self.log_lines} log lines": self.log_lines,
            self.other: self.other,
        }
        shown = ", ".join(text for text, value in parts.items() if value)
        pids = sorted(self.by_pid)
        more = f" and {len(pids) - _PIDS_SHOWN} more" if len(pids) > _PIDS_SHOWN else ""
        by = f" by pid {', '.join(map(str, pids[:_PIDS_SHOWN]))}{more}" if pids else ""
        return f"{shown or 'no progress'} in {self.seconds:.3g} s{by}"


class Counting:
    """Counts what processes of one session did between looks.

    Args:
        session_id: of the session.
        cpu_percent: of one processor, from which time on it counts as work.
    """

    def __init__(self, session_id: str, looks: Sequence[Look], cpu_percent: float) -> None:
        self._session_id = session_id
        self._looks = looks
        self._share = cpu_percent / 100
        self.progress = Progress(seconds=looks[-1].at - looks[0].at)

    def count(self, keys: Sequence[tuple[int, int]]) -> Progress:
        """All that these processes did."""
        for before, after in zip(self._looks, self._looks[1:]):  # noqa: B905
            for key in keys:
                old, new = same_process(before, key), same_process(after, key)
                if old is None or new is None:
                    self.progress.other = "a process has come"
                else:
                    self._process(before, after, old, new)
        return self.progress

    def _process(self, before: Look, after: Look, old: Process, new: Process) -> None:
        seconds, counted = max(after.at - before.at, 1e-3), self.progress
        ran, is_work = cpu_work(old, new, seconds, self._share)
        ticks = _ticks_s(old, new)
        worked = max(ran, ticks, 0.0)
        read = max(new.counters.read - old.counters.read, 0)
        # It becomes less where an ffmpeg begins its output, and its first thread's part is told apart.
        written = abs(new.counters.written - old.counters.written)
        carried = self._carried(before, after, new)
        counted.cpu_s += worked
        counted.weighty = counted.weighty or is_work
        counted.read_bytes += read
        counted.write_bytes += written
        counted.socket_bytes += carried
        moved = positions(old, before, self._session_id) != positions(new, after, self._session_id)
        moved = moved or _read_so_far(old) != _read_so_far(new)
        if old.stack != new.stack:
            counted.other = counted.other or f"process {new.pid} has become another program"
        emptied = _emptied(before, after, new)
        if emptied is not None:
            counted.other = counted.other or f"somebody reads the pipe of descriptor {emptied} of process {new.pid}"
        if after.messages.get(new.pid, set()) - before.messages.get(new.pid, set()):
            counted.other = counted.other or f"process {new.pid} has passed messages by a queue"
        if new.counters.muxed > old.counters.muxed:
            counted.other = counted.other or f"the muxer of process {new.pid} has taken something"
        if moved and not (read or written):
            counted.other = counted.other or f"process {new.pid} has moved on in a file"
        said = {
            f"wrote {written} bytes": written,
            f"read {read} bytes": read,
            f"moved {carried} bytes over TCP": carried,
            f"used {worked:.3g} s of CPU": is_work,
            "moved on in a file": moved,
        }
        did = ", ".join(text for text, value in said.items() if value)
        if did:
            counted.by_pid[new.pid] = did
        if not did and not counted.unseen:
            counted.unseen = self._unseen(before, after, old, new, ran=ran, ticks=ticks, seconds=seconds)

    def _carried(self, before: Look, after: Look, process: Process) -> int:
        then, now = before.sockets.carried, after.sockets.carried
        # Of a new connection all counts but its first byte, which is its opening and stands for none.
        return sum(abs(now[inode] - then.get(inode, min(1, now[inode]))) for inode in _sockets(process) if inode in now)

    def _unseen(
        self, before: Look, after: Look, old: Process, new: Process, *, ran: float, ticks: float, seconds: float
    ) -> str:
        """Why a process without progress that can be counted may have made some all the same."""
        waited = (new.counters.wait_ns - old.counters.wait_ns) / 1e9
        always = all(any(state == "R" for state, _place in one.threads) for one in (old, new))
        if waited >= _STARVED * seconds * max(len(new.threads), 1) or always:
            return f"process {new.pid} wants to run, and gets no processor"
        if new.ended > old.ended:
            return f"what children of process {new.pid} did that have ended since has no counter"
        if new.counters.gone_ns - old.counters.gone_ns > _THREAD_NS:
            return f"what threads of process {new.pid} did that have ended since has no counter"
        has_run = ran > 0 or ticks > 0 or new.counters.run_ns < 0
        if has_run and new.forgets:
            return f"what children of process {new.pid} do is counted nowhere, as it ignores SIGCHLD"
        return self._without_counter(before, after, old, new) if has_run else ""

    def _without_counter(self, before: Look, after: Look, old: Process, new: Process) -> str:
        """What a process that has run may have done in a way that has no counter."""
        has_touched = new.counters.faults > old.counters.faults
        if has_touched and self._maps_ours(after, new):
            self.progress.other = self.progress.other or f"process {new.pid} has touched new pages of a file"
            return ""
        shared = next((one for one in new.maps if self._maps_ours(after, new, one) or _is_shared(one)), None)
        if shared:
            return f"what process {new.pid} does with {one_line(shared.path, 80)}, which it has mapped, has no counter"
        read = next((one for one in new.maps if not one.runs and not one.path.startswith("/dev/")), None)
        if has_touched and read:
            return f"process {new.pid} has touched new pages, which may be of {one_line(read.path, 80)}"
        if _sockets(old) - _sockets(new):
            return f"what process {new.pid} moved over a connection that it has closed since has no counter"
        for file in new.files:
            what = self._uncounted(before, after, new, file)
            if what:
                return f"what process {new.pid} sends or takes by {what} has no counter"
        return ""

    def _maps_ours(self, look: Look, process: Process, *which: MappedFile) -> bool:
        return any(self._session_id in look.places.of((one.device, one.inode)) for one in which or process.maps)

    def _uncounted(self, before: Look, after: Look, process: Process, file: OpenFile) -> str:
        if file.path.startswith("anon_inode:[io_uring]"):
            return "io_uring"
        # An ffmpeg with threads of its kind reads and writes, and lets the kernel move nothing.
        if stat.S_ISFIFO(file.mode) and not process.muxes and _may_splice(process, file):
            return f"the pipe of descriptor {file.number}"
        if not stat.S_ISSOCK(file.mode) or file.inode in after.sockets.carried:
            return ""
        if file.inode in after.sockets.local:
            return f"the local socket of descriptor {file.number}" if file.number >= _STANDARD else ""
        protocol = protocol_of(process.pid, file.number, file.inode)
        if protocol in _TCP and after.sockets.known and process.net == after.sockets.own:
            return ""  # it listens, or is closed
        then, now = (look.sockets.sums.get(process.net) for look in (before, after))
        return "" if then and then == now and protocol in _SUMMED else f"the socket of descriptor {file.number}"


def cpu_work(old: Process, new: Process, seconds: float, share: float) -> tuple[float, bool]:
    """What a process did on a processor between two looks at it.

    Args:
        old: it at the first look.
        new: it at the second.
        seconds: between them.
        share: of one processor, from which on it is work.

    Returns:
        Seconds on a processor, and whether they are work: so many, or long ones, as no look at a source is.
    """
    ticks = _ticks_s(old, new)
    if min(old.counters.run_ns, new.counters.run_ns) < 0:
        # One tick may be of the smallest part of it.
        return 0.0, ticks > 1 / TICKS and ticks >= share * seconds
    ran = (new.counters.run_ns + new.counters.gone_ns - old.counters.run_ns - old.counters.gone_ns) / 1e9
    slices = max(new.counters.slices - old.counters.slices, 1)
    long = ran >= 4 * _SLICE_S and ran / slices >= _SLICE_S
    return max(ran, 0.0), max(ran, ticks - 1 / TICKS) >= share * seconds or long


def _ticks_s(old: Process, new: Process) -> float:
    """Seconds by ticks: only of ended children where the kernel tells better of a process itself.

    A tick goes to whoever has the processor just then. Who wakes up for some microseconds at each one has them all.
    """
    if min(old.counters.run_ns, new.counters.run_ns) < 0:
        return (new.cpu - old.cpu) / TICKS
    return (new.cpu_ended - old.cpu_ended) / TICKS


def _is_shared(one: MappedFile) -> bool:
    """Whether a process may pass on by a mapping what it does: memory or a file, but not what a device has in it."""
    return one.writes and (not one.path.startswith("/dev/") or one.path.startswith(_MEMORY))


def _sockets(process: Process) -> set[int]:
    return {file.inode for file in process.files if stat.S_ISSOCK(file.mode)}


def _may_splice(process: Process, file: OpenFile) -> bool:
    """Whether the kernel may move what a pipe holds to another one, by splice(), as pv lets it."""
    pipes = {one.number: one.inode for one in process.files if stat.S_ISFIFO(one.mode)}
    is_filter = pipes.get(0, 0) != pipes.get(1, 0) and {0, 1} <= pipes.keys()
    return len({*pipes.values()}) > 1 and (file.number >= _STANDARD or is_filter)


def _read_so_far(process: Process) -> list[tuple[int, int, int]]:
    """How far a process has got in the files that it only reads, wherever they are."""
    return [
        (file.number, file.inode, file.position)
        for file in process.files
        if stat.S_ISREG(file.mode) and not file.writes and file.position >= 0
    ]


def _emptied(before: Look, after: Look, process: Process) -> int | None:
    """The descriptor of a pipe into which a process cannot write on, and which another one reads all the same."""
    return next(
        (
            file.number
            for file in process.files
            if before.pipes.keys() & after.pipes.keys() & {file.inode}
            and before.pipes[file.inode] != after.pipes[file.inode]
        ),
        None,
    )


def positions(process: Process, look: Look, session_id: str) -> list[tuple[int, int, int]]:
    """How far a process has got in the files of a session: descriptor, inode and offset of each."""
    return [
        (file.number, file.inode, file.position)
        for file in working_files(process)
        if session_id in look.places.of((file.device, file.inode))
    ]


def longer_look_s(
    processes: Sequence[Process], look: Look, files: Listing, *, look_bytes: float, most_s: float
) -> float:
    """How long a session must be looked at, so that it would have moved so many bytes at its own pace so far.

    Args:
        processes: of the session.
        look: the last one.
        files: of the session.
        look_bytes: how many it would have moved; the more, the surer.
        most_s: seconds that a look takes at most.

    Returns:
        Seconds; those of `most_s` for one that has moved nothing.
    """
    inodes = {inode for process in processes for inode in _sockets(process)}
    moved = sum(max(one.counters.read, 0) + max(one.counters.written, 0) for one in processes) + files.bytes
    moved += sum(look.sockets.carried.get(inode, 0) for inode in inodes)
    age = max((process.age_s for process in processes), default=0.0)
    return min(most_s, look_bytes * age / moved) if moved else most_s
