"""Who has a file in use: whatever way it is opened, it is found, or the lease of the kernel says so."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.system.open_files import OpenFiles, claimed

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

READS = "file = open(path)\n"
WRITES = "file = open(path, 'r+')\n"
MAPS = """
import mmap
file = open(path, 'rb')
held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
file.close()
"""
MANY = "held = [open('/dev/null') for number in range(5000)]\nfile = open(path)\n"
LIMIT = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))\n"
OWN_TABLE = """
import ctypes, threading
ready = threading.Event()
def hold():
    ctypes.CDLL(None).unshare(0x400)  # CLONE_FILES: from here on a table of its own
    global file
    file = open(path)
    ready.set()
    time.sleep(600)
threading.Thread(target=hold, daemon=True).start()
ready.wait()
"""
DEAD_FIRST_THREAD = """
import ctypes, threading
file = open(path)
def say():
    while open('/proc/self/stat').read().rpartition(')')[2].split()[0] != 'Z':
        time.sleep(0.01)
    print(1, flush=True)
    time.sleep(600)
threading.Thread(target=say).start()
libc = ctypes.CDLL(None)
libc.pthread_exit(None)
"""
IN_FLIGHT = """
import array, socket
one, other = socket.socketpair()
file = open(path)
one.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [file.fileno()]))])
file.close()
"""
SAYS = "print(1, flush=True)\ntime.sleep(600)\n"


@contextlib.contextmanager
def holding(code: str, path: Path, *before: str) -> Iterator[int]:
    """A process that has a file in use; yields its pid."""
    text = f"import os, sys, time\npath = sys.argv[1]\n{code}{SAYS if code != DEAD_FIRST_THREAD else ''}"
    command = [*before, sys.executable, "-c", text, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"1\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def claim(path: Path) -> tuple[str, str]:
    """What is said of a file that somebody wants to delete, as a reason and in words."""
    facts = path.lstat()
    open_files = OpenFiles({facts.st_dev})
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        with claimed(directory, path.name, facts, open_files) as (_fd, why):
            return why, open_files.says(facts, why)
    finally:
        os.close(directory)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in.mp4"
    path.write_bytes(b"x" * 8192)
    tmp_path.chmod(0o755)
    return path


def test_what_nobody_has_open_may_go(file: Path) -> None:
    assert claim(file)[0] == ""


@pytest.mark.parametrize("code", [READS, WRITES, MAPS, LIMIT + MANY, OWN_TABLE, DEAD_FIRST_THREAD])
def test_who_has_it_open_is_named(file: Path, code: str) -> None:
    with holding(code, file) as pid:
        assert claim(file) == ("open", f"open by pid {pid} (python)") or claim(file)[1].startswith(
            f"open by pid {pid} ("
        )
    assert claim(file)[0] == ""


def test_a_file_in_flight_in_a_socket_is_open_although_no_process_shows_it(file: Path) -> None:
    with holding(IN_FLIGHT, file):
        assert claim(file)[0] == "open"
    assert claim(file)[0] == ""


@root_only
def test_another_path_to_it_is_the_same_file(file: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    mount = f'mount --bind {tmp_path} {place} && exec "$0" "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount]
    with holding(READS, place / file.name, *command) as pid:
        assert not (place / file.name).exists(), "in a mount namespace of its own"
        assert claim(file)[1].startswith(f"open by pid {pid} (")


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A file as an overlay shows it, and as it lies in its lower layer."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    (tmp_path / "lower" / "in.mp4").write_bytes(b"x" * 8192)
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    merged = tmp_path / "merged"
    made = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(merged)], check=False)
    if made.returncode:
        pytest.skip("no overlays here")
    try:
        yield merged / "in.mp4", tmp_path / "lower" / "in.mp4"
    finally:
        subprocess.run(["umount", str(merged)], check=True)


@root_only
def test_on_an_overlay_a_lease_proves_nothing_and_the_layers_are_looked_at(layers: tuple[Path, Path]) -> None:
    shown, below = layers
    sees_all = OpenFiles({shown.stat().st_dev}).complete
    assert claim(shown)[0] == ("" if sees_all else "unproven")
    with holding(READS, below) as pid:
        assert claim(shown) == ("open", claim(shown)[1])
        assert f"pid {pid} " in claim(shown)[1]
    with holding(IN_FLIGHT, below):
        why, said = claim(shown)
        assert why == "unproven"
        assert "in flight" in said or not sees_all


@root_only
def test_who_sees_not_all_processes_proves_nothing_on_an_overlay(layers: tuple[Path, Path]) -> None:
    shown, _below = layers
    os.chown(shown, 65534, 65534)
    shown.parent.chmod(0o777)
    assert as_nobody(shown)[0] == "unproven"


@root_only
def test_the_owner_proves_by_a_lease_on_a_local_file_system(file: Path) -> None:
    os.chown(file, 65534, 65534)
    assert as_nobody(file)[0] == ""
    with holding(MAPS, file):
        assert as_nobody(file)[0] == "open", "root's, which nobody else may look into"


def as_nobody(path: Path) -> list[str]:
    """What the user nobody finds out; the directory is reached by a descriptor that root has opened."""
    read_end, write_end = os.pipe()
    directory = os.open(path.parent, os.O_RDONLY)
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE, as after an exec: /proc/self is its own again
        try:
            facts = os.stat(path.name, dir_fd=directory)
            open_files = OpenFiles({facts.st_dev})
            with claimed(directory, path.name, facts, open_files) as (_fd, why):
                os.write(write_end, f"{why}\n{open_files.says(facts, why)}".encode())
        finally:
            os._exit(0)
    os.close(write_end)
    os.close(directory)
    os.waitpid(child, 0)
    with os.fdopen(read_end) as file:
        said = file.read().split("\n")
    assert len(said) == 2, "it failed"
    return said


@root_only
def test_what_is_mounted_by_a_loop_device_is_open(tmp_path: Path) -> None:
    image, place = tmp_path / "disk.img", tmp_path / "place"
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    place.mkdir()
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        why, said = claim(image)
        assert why == "open"
        assert "the kernel" in said
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@root_only
@pytest.mark.parametrize("starts", [3, 5])
def test_where_processes_start_faster_than_they_are_looked_at_not_all_were_seen(file: Path, starts: int) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Restless(OpenFiles):
        """Whoever is looked at has started another one meanwhile, so many times."""

        def _look(self, pid: int) -> None:
            super()._look(pid)
            if len(started) < starts and (not started or pid == started[-1].pid):
                started.append(subprocess.Popen(["sleep", "600"]))

    try:
        seen = Restless({file.stat().st_dev})
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert len(started) == starts
    assert ("started faster" in seen.unseen) == (starts == 5)
    assert seen.complete == (not seen.unseen), "in a container not even a quiet look sees all"
    assert ("started faster" in seen.says(file.stat(), "unproven")) == (starts == 5)
