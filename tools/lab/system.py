"""What the lab needs of this machine: commands, waiting, locks, mounts and processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "iptables": "iptables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "nsenter": "util-linux",
}


class LabError(Exception):
    """The lab cannot do what it was asked for; the message says why."""


def missing_packages(packages: Mapping[str, str]) -> str:
    """Name the Debian packages of those commands that are not there; as root they are installed first."""

    def missing() -> str:
        return " ".join(sorted({package for command, package in packages.items() if not shutil.which(command)}))

    names = missing()
    if names and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "install", "--no-install-recommends"]
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "-qq", "update"], [*install, *names.split()]):
            subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        names = missing()
    return names


def missing_reason() -> str:
    """Say why no lab can be made here ("" when it can); as root missing Debian packages are installed."""
    if os.geteuid() != 0:
        return "lab hosts take root"
    missing = missing_packages(PACKAGES)
    return f"lab hosts take packages that are not installed: {missing}" if missing else ""


def run(command: Sequence[str], *, check: bool = True, timeout: float = 60, stdin: str = "") -> str:
    """Return what a command writes; LabError has its standard error when it fails."""
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(command)}: no end within {timeout:g} s") from error
    if check and done.returncode != 0:
        raise LabError(
            f"{' '.join(command)}: exit code {done.returncode}: {(done.stderr or done.stdout)[-2000:].strip()}"
        )
    return done.stdout


def wait_for(what: str, condition: Callable[[], bool], deadline: float, interval: float = 0.05) -> None:
    """Wait until `condition` holds; LabError when it does not within `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise LabError(f"{what}: not within {deadline:g} s")
        time.sleep(interval)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; it is free again when its holder dies. A holder may remove the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever waited for a file that was removed meanwhile holds nothing.
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                yield
                return


def mounts_below(directory: Path) -> list[str]:
    """Mount points at or below a directory, innermost first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    prefix = str(directory)
    return sorted((point for point in points if point == prefix or point.startswith(prefix + "/")), reverse=True)


def mount_overlay(lower: Sequence[Path], upper: Path, work: Path, merged: Path) -> None:
    """Mount the layers of `lower` (topmost first) with `upper` for what is written."""
    for directory in (upper, work, merged):
        directory.mkdir(parents=True, exist_ok=True)
    layers = ":".join(map(str, lower))
    run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={layers},upperdir={upper},workdir={work}", str(merged)])


def mount_bind(source: Path, target: Path) -> None:
    """Mount a directory at another place as well; both are made where they are missing."""
    for directory in (source, target):
        directory.mkdir(parents=True, exist_ok=True)
    run(["mount", "--bind", str(source), str(target)])


def unmount_below(directory: Path) -> None:
    """Unmount everything at or below a directory; a process that is on its way out may hold one for a moment."""

    def gone() -> bool:
        for point in mounts_below(directory):
            run(["umount", point], check=False)
        return not mounts_below(directory)

    wait_for(f"unmounting {directory}", gone, 20)


class Group:
    """A control group of the lab: the kernel's own record of what was started in it, which no process can leave."""

    def __init__(self, name: str) -> None:
        mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines())
        roots = [Path(m[4]) for m in mounts if "cgroup2" in m[6:] or ("cgroup" in m[6:] and "name=systemd" in m[-1])]
        self._name = f"media-ops-lab/{name}"
        self._paths = [root / self._name for root in roots]

    def make(self) -> list[Path]:
        """Make the group; return the files that take the pid of whoever joins it."""
        for path in self._paths:
            path.mkdir(parents=True, exist_ok=True)
        return [path / "cgroup.procs" for path in self._paths]

    def pids(self, below: str = "") -> list[int]:
        """Processes in the group and in those below it."""
        found: list[int] = []
        for path in self._paths:
            # os.walk passes over groups that go away meanwhile, as those of a booting host do; Path.rglob does not.
            for directory, _groups, _files in os.walk(path / below):
                with contextlib.suppress(OSError):
                    found += map(int, Path(directory, "cgroup.procs").read_text(encoding="ascii").split())
        return sorted(set(found))

    def end(self) -> None:
        """Kill what runs in the group, and remove it."""

        def empty() -> bool:
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    self._kill(pid)
            return not self.pids()

        wait_for(f"end of the processes in {self._name}", empty, 30)
        wait_for(f"removal of control group {self._name}", self._removed, 10)

    def _kill(self, pid: int) -> None:
        handle = os.pidfd_open(pid)
        try:
            # Read after the handle was got: a newcomer with the same pid is never hit.
            groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines()
            if any(f"{line.split(':', 2)[2]}/".startswith(f"/{self._name}/") for line in groups):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except OSError:
            pass  # it has ended meanwhile
        finally:
            os.close(handle)

    def _removed(self) -> bool:
        for path in self._paths:
            for directory in sorted((Path(found) for found, _groups, _files in os.walk(path)), reverse=True):
                with contextlib.suppress(OSError):
                    directory.rmdir()
            with contextlib.suppress(OSError):
                path.parent.rmdir()  # the last lab takes it along
        return not any(path.exists() for path in self._paths)
