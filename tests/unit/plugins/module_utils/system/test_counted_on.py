"""Who counts on an empty directory that no process has open: watchers, messages that wait, and overlays."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.system.counted_on import Layers, Watched, _layers

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

START = "import ctypes, os, socket, array, sys, threading, time\npath = sys.argv[1]\nlibc = ctypes.CDLL(None)\n"
SAYS = "print(1, flush=True)\ntime.sleep(600)\n"
WATCHES = "assert libc.inotify_add_watch(libc.inotify_init1(0), path.encode(), 0x100) > 0\n"
MARKS = (
    "fd = libc.fanotify_init(0, 0)\nassert libc.fanotify_mark(fd, 1, ctypes.c_uint64(0x20), -100, path.encode()) == 0\n"
)
BY_A_THREAD = f"""
def work():
    libc.unshare(0x400)  # CLONE_FILES: from here on a table of its own
    {WATCHES.strip()}
    ready.set()
    time.sleep(600)
ready = threading.Event()
threading.Thread(target=work, daemon=True).start()
ready.wait()
"""
SENDS = """
one, other = socket.socketpair()
fd = os.open(path, os.O_RDONLY)
one.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))])
os.close(fd)
"""
TAKES = """
sys.stdin.readline()
data, sent, flags, address = other.recvmsg(1, 64)
found = array.array('i')
found.frombytes(sent[0][2])
print(data == b'x' and os.path.samefile(found[0], path), flush=True)
"""


@contextlib.contextmanager
def held(code: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has done that to a path."""
    command = [sys.executable, "-c", START + code + SAYS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        try:
            yield process
        finally:
            process.kill()


def identity(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino


@pytest.mark.parametrize("code", [WATCHES, BY_A_THREAD, pytest.param(MARKS, marks=root_only)])
def test_who_watches_a_directory_is_named(tmp_path: Path, code: str) -> None:
    with held(code, tmp_path) as process:
        reason, said = Watched().says(identity(tmp_path))
        assert (reason, said.startswith(f"is watched by pid {process.pid} (")) == ("open", True)
    assert Watched().says(identity(tmp_path)) == ("", "")


@root_only
def test_what_waits_in_a_socket_is_seen_and_not_taken(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with held(SENDS + SAYS.splitlines()[0] + TAKES, tmp_path) as process:
        seen = Watched()
        reason, said = seen.says(identity(tmp_path))
        assert (reason, said.startswith(f"waits in a socket of pid {process.pid} (")) == ("open", True)
        assert seen.says(identity(other)) == ("", ""), "of another directory it says nothing"
        assert process.stdin
        assert process.stdout
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "True\n"


@root_only
def test_of_what_cannot_all_be_looked_at_every_directory_may_be_one(tmp_path: Path) -> None:
    again = SENDS.replace("one, other = socket.socketpair()\n", "")
    with held(SENDS + again, tmp_path):
        reason, said = Watched().says((0, 0))
    assert (reason, "something of which no more is known waits in a socket of pid" in said) == ("unproven", True)


@root_only
def test_the_layers_of_an_overlay_are_known_in_whatever_namespace(tmp_path: Path) -> None:
    for name in ("a:b,c", "upper", "work", "merged", "free"):
        (tmp_path / name).mkdir()
    lower = str(tmp_path / "a:b,c").replace(":", "\\:").replace(",", "\\,")
    options = f"lowerdir={lower},upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    script = f"mount -t overlay overlay -o '{options}' {tmp_path}/merged && echo 1 && exec sleep 600"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        if process.stdout.readline() != "1\n":
            pytest.skip("no overlays here")
        try:
            layers = Layers()
            for name in ("a:b,c", "upper", "work"):
                said = layers.says("x", [(0, 0), identity(tmp_path / name)])
                assert said == f"is a layer of the overlay that is mounted on {tmp_path}/merged"
            assert layers.says("x", [identity(tmp_path / "free")]) == ""
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        (b"rw,lowerdir=/a:/b,upperdir=/u,workdir=/w,xino=off", ["/a", "/b", "/u", "/w"]),
        (b"rw,lowerdir=/a\\:b:l/C,upperdir=/u\\,v", ["/a:b", "l/C", "/u,v"]),
        (b"rw,lowerdir=/a\\134:b\\134\\054c:/d,upperdir=/u", ["/a:b,c", "/d", "/u"]),
        (b"rw,lowerdir=/a::/data\\040x,lowerdir+=/b:c,datadir+=/d", ["/a", "/data x", "/b:c", "/d"]),
        (b"rw", []),
    ],
)
def test_layers_are_read_in_each_way_that_the_kernel_writes_them(options: bytes, layers: list[str]) -> None:
    assert list(_layers(options)) == layers


def test_a_layer_that_was_mounted_by_a_relative_path_is_known_by_its_end() -> None:
    layers = Layers()
    layers._take("/proc/self", "l/ABC", "is a layer")
    assert layers.says("docker/l/ABC", []) == "is a layer"
    assert layers.says("l/ABC/bin", []) == "is a layer"
    assert layers.says("docker/l/ABCD", []) == ""
