"""Mount points of every namespace, of real processes and threads."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.system.mounts import MountPoint, MountPoints
from ansible_collections.media_ops.runbook.plugins.module_utils.system.tree import open_root

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts")

# A namespace of a thread's own, in a process whose first thread has ended
THREAD = """
import ctypes, os, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def work():
    if libc.unshare(0x00020000 | 0x00000200):  # CLONE_NEWNS, CLONE_FS
        os._exit(1)
    libc.mount(b"none", b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE
    if libc.mount(b"none", os.fsencode(sys.argv[1]), b"tmpfs", 0, None):
        os._exit(1)
    print("there", flush=True)
    time.sleep(600)
threading.Thread(target=work).start()
if sys.argv[2] == "dead":
    libc.pthread_exit(None)
"""


@contextlib.contextmanager
def running(*command: str) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("first", ["alive", "dead"])
def test_a_mount_of_one_thread_is_seen(tmp_path: Path, first: str) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    with contextlib.closing(open_root(str(tmp_path))) as root:
        assert MountPoints().below(root) == {}
        with running(sys.executable, "-c", THREAD, str(tmp_path / "a/b"), first) as pid:
            found = MountPoints()
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
            assert found.below(root) == {"a/b": MountPoint(True, pid, name)}
            assert found.below(root)["a/b"].says == f"is a mount point in the mount namespace of pid {pid} ({name})"
            assert found.namespaces >= 2
        assert MountPoints().below(root) == {}


def test_a_mount_point_is_seen_through_a_bind_mount_of_it(tmp_path: Path) -> None:
    for name in ("real/sub/point \\x", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    mounted = []
    try:
        for arguments in (("-t", "tmpfs", "none", "real/sub/point \\x"), ("--bind", "real", "elsewhere")):
            subprocess.run(["mount", *arguments], check=True, cwd=tmp_path)
            mounted.append(tmp_path / arguments[-1])
        for path, expected in (
            ("elsewhere", {"sub/point \\x": MountPoint(True)}),
            ("elsewhere/sub", {"point \\x": MountPoint(True)}),
        ):
            with contextlib.closing(open_root(str(tmp_path / path))) as root:
                assert MountPoints().below(root) == expected
    finally:
        for point in reversed(mounted):
            subprocess.run(["umount", "--lazy", point], check=True)


OWN = 'mount --make-rprivate / && mount --bind "$1" "$1" && echo there && exec sleep 600'
OTHER = 'mount --make-rprivate / && mount -t tmpfs none "$1" && echo there && exec sleep 600'


def test_who_hides_what_is_there_is_told_before_who_shows_the_same(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.mkdir()
    pids = []
    with contextlib.closing(open_root(str(tmp_path))) as root, contextlib.ExitStack() as stack:
        for script, told in ((OWN, 0), (OTHER, 1), (OWN, 1)):
            pids.append(stack.enter_context(running("unshare", "-m", "sh", "-c", script, "sh", str(place))))
            found = MountPoints().below(root)["a"]
            assert (found.hides, found.pid) == (bool(told), pids[told])
