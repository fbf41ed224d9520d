# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CPU, memory, file systems, disk I/O and top processes of the host, from psutil and statvfs. Observes, judges nothing.

Figures are finite or None. Nothing here waits for a file system: each path is looked at by a child of its own that
is left behind when its mount hangs.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, NamedTuple

from ..deadline import LateError
from ..errors import MissingLibraryError, OptionError
from ..redact import Redactor
from ..shapes import one_line
from ..times import text_of, to_text, utc_now
from .open_files import OpenFiles

PARTS = ("cpu", "memory", "load", "disks", "io", "processes")
OVERRIDE_MAX_S = 600
PATHS_MAX = 64
COMMAND_LINE_MAX = 200
_ARGUMENT_MAX = 4096
CGROUP_ROOT = "/sys/fs/cgroup"

_SAMPLED = {"cpu", "io", "processes"}  # what is a difference between two moments


def host_info(params: Mapping[str, Any]) -> dict[str, Any]:
    """What module host_info returns."""
    parts = _checked(params)
    psutil = _psutil()
    found = _Parts()
    clock = found.take("clock", lambda: _clock(psutil))
    if clock is None:
        found.values["clock"] = {"at": to_text(utc_now()), "booted_at": None, "uptime_s": None}
    if "load" in parts:
        found.take("load", _load)
    if "memory" in parts:
        found.take("memory", lambda: _memory(psutil))
    if "disks" in parts:
        found.take("disks", lambda: file_systems(psutil, params["paths"], params["path_timeout"]))
    if _SAMPLED & parts:
        _measure(found, psutil, parts, params)
    return {"changed": False, **found.values, "unseen": found.unseen}


class _Parts:
    """What was found: each part by itself, null where it could not be seen, with a reason.

    In containers /proc is made by others than the kernel, and psutil raises whatever it likes on what it does not know.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.unseen: dict[str, str] = {}

    def take(self, part: str, look: Callable[[], Any]) -> Any:
        """Take a part; None where that fails."""
        self.values[part] = self.attempt(part, look)
        return self.values[part]

    def attempt(self, part: str, look: Callable[[], Any]) -> Any:
        """Look at a part that is not whole yet; None where that fails, or did before."""
        if part in self.unseen:
            return None
        try:
            return look()
        except LateError:
            raise
        except Exception as error:  # noqa: BLE001  whatever psutil raises
            self.unseen[part] = one_line(f"{type(error).__name__}: {error}", 300)
            return None


def _load() -> dict[str, float]:
    minute, five, fifteen = os.getloadavg()
    return {"load_1m": round(minute, 2), "load_5m": round(five, 2), "load_15m": round(fifteen, 2)}


def _checked(params: Mapping[str, Any]) -> set[str]:
    for option, low, high in (("interval", 0.1, 60), ("samples", 1, 60), ("top", 0, 100), ("path_timeout", 0.1, 60)):
        if not low <= params[option] <= high:
            raise OptionError(option, params[option], f"must be {low} to {high}")
    total = params["interval"] * params["samples"]
    if total > OVERRIDE_MAX_S:
        raise OptionError("samples", params["samples"], f"times interval makes {total:g} s; at most {OVERRIDE_MAX_S} s")
    if not params["gather"]:
        raise OptionError("gather", params["gather"], f"must name at least one of {', '.join(PARTS)}")
    if len(params["paths"]) > PATHS_MAX:
        raise OptionError("paths", len(params["paths"]), f"at most {PATHS_MAX} paths")
    for path in params["paths"]:
        if not path.startswith("/") or "\0" in path:
            raise OptionError("paths", path, "must be absolute paths")
    return set(params["gather"])


def _psutil() -> Any:
    try:
        import psutil
    except ImportError as error:
        raise MissingLibraryError("psutil", "python3-psutil", str(error)) from error
    return psutil


def _percent(part: float, whole: float) -> float | None:
    """``part`` of ``whole`` in per cent, None where there is no whole."""
    return round(min(max(100.0 * part / whole, 0.0), 100.0), 2) if whole > 0 else None


def _clock(psutil: Any) -> dict[str, Any]:
    now = utc_now()
    booted = psutil.boot_time()
    return {
        "at": to_text(now),
        "booted_at": text_of(booted),
        "uptime_s": max(0, int(now.timestamp() - booted)),
    }


# Memory


def _memory(psutil: Any) -> dict[str, Any]:
    memory = psutil.virtual_memory()
    try:
        swap_total, swap_used = (found := psutil.swap_memory()).total, found.used
    except (OSError, RuntimeError, ValueError, KeyError):  # the memory is more than the swap
        swap_total = swap_used = None
    limit, charged = container_limit(memory.total)
    return {
        "total_bytes": memory.total,
        "free_bytes": memory.free,
        "available_bytes": memory.available,
        "cached_bytes": getattr(memory, "cached", None),
        "buffers_bytes": getattr(memory, "buffers", None),
        "used_percent": _percent(memory.total - memory.available, memory.total),
        "swap_total_bytes": swap_total,
        "swap_used_bytes": swap_used,
        "swap_used_percent": None if swap_total is None or swap_used is None else _percent(swap_used, swap_total),
        "limit_bytes": limit,
        "limit_used_bytes": charged,
        "limit_used_percent": None if limit is None or charged is None else _percent(charged, limit),
    }


def container_limit(host_total: int, root: str = CGROUP_ROOT) -> tuple[int | None, int | None]:
    """Memory limit of the container the host is, and what is charged to it; None where none is below ``host_total``.

    On a real machine the root of the hierarchy has no such file; in a container it has.
    """
    limit = _number_in(f"{root}/memory.max")
    if limit is None or limit >= host_total:
        return None, None
    return limit, _number_in(f"{root}/memory.current")


def _number_in(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read(32))
    except (OSError, ValueError):  # no such file, or "max"
        return None


# File systems


def file_systems(
    psutil: Any, paths: Sequence[str], timeout: float, look: Callable[[str], dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """The file system that each path lies on, each once, in the order of ``paths``."""
    try:
        # The mount table is the kernel's own and never hangs.
        mounts = psutil.disk_partitions(all=True)
    except Exception:  # noqa: BLE001  the figures are the file system's own, whatever psutil makes of the table
        mounts = []
    found, devices = {}, {}
    once = list(dict.fromkeys(paths))
    for path, seen in _look_all(once, timeout, look or _look):
        real = seen.pop("real_path", None) or os.path.normpath(path)
        devices[path] = seen.pop("device_number", None)
        found[path] = {"path": path, **seen, **_mount_of(() if seen["state"] == "missing" else mounts, real)}
    held = _held_open({device for device in devices.values() if device is not None}, timeout)
    return [{**found[path], "held_open": held.get(devices[path])} for path in once]


def _held_open(devices: set[int], timeout: float) -> dict[int | None, Any]:
    """By device, the deleted files that processes keep open there; nothing where that could not be seen in time."""

    def look(_path: str) -> dict[str, Any]:
        seen = OpenFiles(devices)
        return {"state": "ok", "reason": "", "held": {str(device): seen.held(device) for device in devices}}

    # What a process has open may be on a mount that hangs.
    answers = dict(_look_all(["/proc"], timeout, look)) if devices else {}
    held = answers.get("/proc", {}).get("held") or {}
    return {int(device): found for device, found in held.items()}


_FIGURES = (
    "total_bytes",
    "used_bytes",
    "free_bytes",
    "available_bytes",
    "used_percent",
    "inodes_total",
    "inodes_free",
    "inodes_used_percent",
    "read_only",
)


def _look(path: str) -> dict[str, Any]:
    """Ask the kernel about one path; this can hang for as long as the mount does."""
    real = os.path.realpath(path)
    facts = os.statvfs(real)
    used = facts.f_blocks - facts.f_bfree
    inodes_used = facts.f_files - facts.f_ffree
    return {
        "state": "ok",
        "reason": "",
        "real_path": real,
        "device_number": os.stat(real).st_dev,
        "total_bytes": facts.f_blocks * facts.f_frsize,
        "used_bytes": used * facts.f_frsize,
        "free_bytes": facts.f_bfree * facts.f_frsize,
        "available_bytes": facts.f_bavail * facts.f_frsize,
        # As df counts: what is reserved for root is neither used nor available.
        "used_percent": _percent(used, used + facts.f_bavail),
        "inodes_total": facts.f_files,
        "inodes_free": facts.f_ffree,
        "inodes_used_percent": _percent(inodes_used, inodes_used + facts.f_favail),
        "read_only": bool(facts.f_flag & os.ST_RDONLY),
    }


_STATES = {errno.ENOENT: "missing", errno.ENOTDIR: "missing", errno.EACCES: "denied", errno.EPERM: "denied"}


def _unseen(state: str, reason: str) -> dict[str, Any]:
    return {"state": state, "reason": reason, **dict.fromkeys(_FIGURES)}


def _look_all(
    paths: Sequence[str], timeout: float, look: Callable[[str], dict[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Look at all paths at once. A look that is not back in time counts as a hung mount."""
    children = {path: _child(path, look) for path in dict.fromkeys(paths)}
    answers = _read_until({path: pipe for path, (_pid, pipe) in children.items()}, time.monotonic() + timeout)
    for path, (pid, pipe) in children.items():
        os.close(pipe)
        if path in answers:
            os.waitpid(pid, 0)
        else:
            # A child that waits in the kernel may not be there to reap for as long as the mount hangs: never wait.
            os.kill(pid, signal.SIGKILL)
    for path in children:
        if path not in answers:
            yield path, _unseen("timeout", f"no answer of the file system within {timeout:g} s")
        elif not answers[path]:
            yield path, _unseen("error", "the look at it broke off")
        else:
            yield path, json.loads(answers[path])


def _child(path: str, look: Callable[[str], dict[str, Any]]) -> tuple[int, int]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        # A child left behind must not hold the connection's streams open: the controller waits for their end.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.dup2(writer, 3)
        os.closerange(4, 65536)
        try:
            answer = look(path)
        except OSError as error:
            answer = _unseen(_STATES.get(error.errno or 0, "error"), error.strerror or str(error))
        with os.fdopen(3, "wb") as pipe:
            pipe.write(json.dumps(answer).encode("ascii"))
    finally:
        os._exit(0)


def _read_until(pipes: Mapping[str, int], deadline: float) -> dict[str, bytes]:
    """What came through each pipe that was closed at its other end by ``deadline``."""
    partly = dict.fromkeys(pipes, b"")
    whole = {}
    with selectors.DefaultSelector() as selector:
        for path, pipe in pipes.items():
            selector.register(pipe, selectors.EVENT_READ, path)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _events in selector.select(left):
                data = os.read(key.fd, 65536)
                partly[key.data] += data
                if not data:
                    selector.unregister(key.fd)
                    whole[key.data] = partly[key.data]
    return whole


def _mount_of(mounts: Iterable[Any], path: str) -> dict[str, Any]:
    """The mount that ``path`` lies below: the longest mount point, and of equals the last, which covers the others."""
    best: Any = None
    for mount in mounts:
        inside = path == mount.mountpoint or path.startswith(mount.mountpoint.rstrip("/") + "/")
        if inside and (best is None or len(mount.mountpoint) >= len(best.mountpoint)):
            best = mount
    return {
        "mount_point": best and one_line(best.mountpoint),
        "device": best and one_line(best.device),
        "fstype": best and best.fstype,
    }


# What is measured between two moments


def _measure(found: _Parts, psutil: Any, parts: set[str], params: Mapping[str, Any]) -> None:
    """Take all counters, wait, take them again; I/O after each interval, the rest over the whole time."""

    def counters() -> Any:
        return found.attempt("io", lambda: _io_counters(psutil)) if "io" in parts else {}

    cpu_before = found.attempt("cpu", psutil.cpu_times) if "cpu" in parts else None
    work_before = found.attempt("processes", lambda: _walk(psutil)) if "processes" in parts else {}
    start = time.monotonic()
    marks = [(start, counters())]
    for number in range(1, params["samples"] + 1):
        # Against the start, so that the time the counters take does not add up.
        time.sleep(max(0.0, start + number * params["interval"] - time.monotonic()))
        marks.append((time.monotonic(), counters()))
    elapsed = marks[-1][0] - start
    found.values["measured_s"] = round(elapsed, 3)
    if "cpu" in parts:
        found.take("cpu", lambda: _cpu(cpu_before, psutil.cpu_times(), psutil.cpu_count()))
    if "io" in parts:
        found.take("io", lambda: io_rates(marks))
    if "processes" in parts:
        found.take("processes", lambda: _processes(psutil, work_before, time.monotonic() - start, params))


def _cpu(before: Any, after: Any, count: int | None) -> dict[str, Any]:
    spent = {name: max(0.0, getattr(after, name) - getattr(before, name)) for name in after._fields}
    # The kernel counts the time of guests in user and nice as well.
    whole = sum(spent.values()) - spent.get("guest", 0) - spent.get("guest_nice", 0)
    idle = spent["idle"] + spent.get("iowait", 0)
    return {
        "count": count,
        "used_percent": _percent(whole - idle, whole),
        "iowait_percent": _percent(spent.get("iowait", 0), whole),
        "steal_percent": _percent(spent.get("steal", 0), whole),
    }


def _io_counters(psutil: Any) -> dict[str, Any]:
    counters = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
    # Whole devices that were ever used: no partitions, no idle loop and ram devices.
    return {
        name: now
        for name, now in counters.items()
        if os.path.exists(f"/sys/block/{name.replace('/', '!')}") and now.read_count + now.write_count
    }


def io_rates(marks: Sequence[tuple[float, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Rates per device over all the time, and for each sample; ``marks`` are pairs of a moment and counters."""
    (start, first), (end, last) = marks[0], marks[-1]
    devices = []
    for name in sorted(set(first) & set(last)):
        samples = [
            _io_rate(marks[at - 1][1][name], marks[at][1][name], marks[at][0] - marks[at - 1][0])
            for at in range(1, len(marks))
            if name in marks[at - 1][1] and name in marks[at][1]
        ]
        devices.append({"device": name, **_io_rate(first[name], last[name], end - start), "samples": samples})
    return devices


def _io_rate(was: Any, now: Any, seconds: float) -> dict[str, Any]:
    delta = {
        field: getattr(now, field, 0) - getattr(was, field, 0)
        for field in ("read_bytes", "write_bytes", "read_count", "write_count", "read_time", "write_time", "busy_time")
    }
    # A counter that went back was reset, with a device that came anew: no rate can be told.
    if seconds <= 0 or min(delta.values()) < 0:
        rates = dict.fromkeys(("read_bytes_per_s", "write_bytes_per_s", "read_ops_per_s", "write_ops_per_s"))
        return {**rates, "busy_percent": None, "wait_ms": None}
    operations = delta["read_count"] + delta["write_count"]
    return {
        "read_bytes_per_s": round(delta["read_bytes"] / seconds),
        "write_bytes_per_s": round(delta["write_bytes"] / seconds),
        "read_ops_per_s": round(delta["read_count"] / seconds, 2),
        "write_ops_per_s": round(delta["write_count"] / seconds, 2),
        "busy_percent": _percent(delta["busy_time"] / 1000, seconds) if hasattr(now, "busy_time") else None,
        "wait_ms": round((delta["read_time"] + delta["write_time"]) / operations, 2) if operations else None,
    }


# Processes


class _Use(NamedTuple):
    cpu_s: float
    rss: int


def _walk(psutil: Any) -> dict[tuple[int, float], _Use]:
    """CPU seconds so far and memory of each process; the start time tells a pid from the one that had it before."""
    found = {}
    for process in psutil.process_iter():
        try:
            times = process.cpu_times()
            found[process.pid, _started(process)] = _Use(times.user + times.system, process.memory_info().rss)
        except psutil.Error:  # gone meanwhile, or hidden from this user
            continue
    return found


def _started(process: Any) -> float:
    """When a process was started, as psutil has it; 0 where it cannot say, as a container's /proc/stat has no btime."""
    try:
        return float(process.create_time())
    except (RuntimeError, ValueError, KeyError, IndexError):
        return 0.0


def _processes(
    psutil: Any, before: Mapping[tuple[int, float], _Use], elapsed: float, params: Mapping[str, Any]
) -> dict[str, Any]:
    after = _walk(psutil)
    # One that was not there before has started since, with no CPU time.
    none = _Use(0.0, 0)
    cpu = {
        key: round(100 * max(0.0, use.cpu_s - before.get(key, none).cpu_s) / elapsed, 1)
        for key, use in after.items()
        if key[0] != os.getpid()
    }
    describe = _Describer(psutil, cpu, after, params["with_arguments"])
    return {
        "count": len(after),
        "top_cpu": describe.top(sorted(cpu, key=lambda key: (-cpu[key], -after[key].rss, key)), params["top"]),
        "top_memory": describe.top(sorted(cpu, key=lambda key: (-after[key].rss, -cpu[key], key)), params["top"]),
    }


def _memory_total(psutil: Any) -> int:
    """0 where it cannot be told: part ``memory`` says why."""
    try:
        return int(psutil.virtual_memory().total)
    except Exception:  # noqa: BLE001  whatever psutil raises
        return 0


class _Describer:
    """Describes processes, each once."""

    def __init__(
        self,
        psutil: Any,
        cpu: Mapping[tuple[int, float], float],
        use: Mapping[tuple[int, float], _Use],
        with_arguments: bool,
    ) -> None:
        self._psutil = psutil
        self._cpu = cpu
        self._use = use
        self._memory_total = _memory_total(psutil)
        self._attributes = ["ppid", "username", "name", "status"] + ["cmdline"] * with_arguments
        self._known: dict[tuple[int, float], dict[str, Any] | None] = {}

    def top(self, keys: Iterable[tuple[int, float]], limit: int) -> list[dict[str, Any]]:
        """The first ``limit`` of these processes that are still there."""
        found: list[dict[str, Any]] = []
        for key in keys:
            if len(found) >= limit:
                break
            if key not in self._known:
                self._known[key] = self._describe(key)
            seen = self._known[key]
            if seen is not None:
                found.append(seen)
        return found

    def _describe(self, key: tuple[int, float]) -> dict[str, Any] | None:
        pid, started = key
        try:
            # What this user may not see of a process is None.
            process = self._psutil.Process(pid)
            facts = process.as_dict(self._attributes)
            if _started(process) != started:
                return None
        except self._psutil.Error:
            return None
        return {
            "pid": pid,
            "ppid": facts["ppid"],
            "user": facts["username"] and one_line(facts["username"]),
            "name": facts["name"] and one_line(facts["name"]),
            "status": facts["status"],
            "cpu_percent": self._cpu[key],
            "memory_rss_bytes": self._use[key].rss,
            "memory_percent": _percent(self._use[key].rss, self._memory_total),
            "started_at": text_of(started) if started else None,
            "command_line": command_line(facts["cmdline"]) if facts.get("cmdline") else None,
        }


def command_line(arguments: Sequence[str]) -> str:
    """A command line for people: bounded, and without what looks like a secret."""
    bounded: list[str] = []
    for argument in arguments:
        if sum(map(len, bounded)) > 4 * COMMAND_LINE_MAX:
            break
        # Nobody reads a long one, and half of it could hold half of a secret.
        bounded.append(argument if len(argument) <= _ARGUMENT_MAX else f"({len(argument)} characters)")
    return one_line(" ".join(Redactor().argv(bounded)), COMMAND_LINE_MAX)
