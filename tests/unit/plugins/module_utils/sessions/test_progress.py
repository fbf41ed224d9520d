"""What is progress, and what only looks like it: a real ffmpeg that relays slowly, sources that are dead, and waits."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.session_info import session_info
from ansible_collections.media_ops.runbook.plugins.module_utils.system.processes import read_process

from tests.session_site import FFMPEG, Site, eventually, running_site

pytestmark = pytest.mark.slow

SESSION = f"5d0c1f6e-{os.getpid()}"
BYTES_PER_S = 8000  # 64 kbit/s


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as running:
        running.list_session(SESSION)
        running.directory(SESSION)
        yield running


def look(site: Site, **options: Any) -> dict[str, Any]:
    result = session_info(site.params(**options), warn=lambda _text: None, hide=lambda _text: None)
    row: dict[str, Any] = next(row for row in result["sessions"] if row["session_id"] == SESSION)
    return row


class Source:
    """A TCP source of a slow stream, which can die without closing, and a sink that takes what comes."""

    def __init__(self, video: bytes) -> None:
        self._video = video
        self._stopped = threading.Event()
        self.dead = threading.Event()
        self.sent = self.taken = 0
        self._open: list[socket.socket] = []
        self._in, self._out = (socket.create_server(("127.0.0.1", 0)) for _number in range(2))
        self.urls = [f"tcp://127.0.0.1:{server.getsockname()[1]}" for server in (self._in, self._out)]
        for work in (self._feed, self._take):
            threading.Thread(target=work, daemon=True).start()

    def _feed(self) -> None:
        with contextlib.suppress(OSError):
            connection, _address = self._in.accept()
            self._open.append(connection)
            connection.sendall(self._video[:200_000])  # what ffmpeg wants to see before it begins
            at = 200_000
            while not self._stopped.wait(0.1):
                if not self.dead.is_set():
                    connection.sendall(self._video[at : at + BYTES_PER_S // 10])
                    at += BYTES_PER_S // 10
                    self.sent = at

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            connection, _address = self._out.accept()
            self._open.append(connection)
            while data := connection.recv(65536):
                self.taken += len(data)

    def close(self) -> None:
        self._stopped.set()
        for one in (*self._open, self._in, self._out):
            one.close()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A transport stream of some minutes, at about 64 kbit/s."""
    path = tmp_path_factory.mktemp("video") / "slow.ts"
    picture = ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=5:duration=600"]
    codec = ["-c:v", "mpeg2video", "-b:v", "48k", "-maxrate", "48k", "-bufsize", "48k", "-muxrate", "64k"]
    subprocess.run([FFMPEG, "-loglevel", "error", *picture, *codec, "-y", str(path)], check=True)
    return path.read_bytes()


@pytest.fixture
def source(video: bytes) -> Iterator[Source]:
    made = Source(video)
    try:
        yield made
    finally:
        made.close()


def relay(site: Site, source: Source, level: str = "error", log: Path | None = None) -> None:
    read, write = source.urls
    source_of = ["-probesize", "100000", "-f", "mpegts", "-i", read]
    copied = ["-c", "copy", "-f", "mpegts", "-flush_packets", "1"]
    site.ffmpeg("-loglevel", level, *source_of, *copied, write, cwd=site.directory(SESSION), errors=log)
    eventually("it relays", lambda: source.taken > 1000, 60)


def test_a_relay_at_64_kbit_is_never_stuck(site: Site, source: Source) -> None:
    relay(site, source)
    for _look in range(15):
        row = look(site, interval=0.3, look_max=30)
        assert (row["state"], row["may_end"]) == ("progressing", False)
    assert row["progress"]["socket_bytes"] > 0


# By default it tells twice a second that nothing goes on, here also into a file of the session.
@pytest.mark.parametrize(("level", "log"), [("error", ""), ("info", ""), ("info", "ffmpeg.log")])
def test_a_relay_whose_source_is_dead_is_stuck_although_it_asks_again_and_again(
    site: Site, source: Source, level: str, log: str
) -> None:
    relay(site, source, level, site.directory(SESSION) / log if log else None)
    source.dead.set()
    pid, seen = site.started[-1].pid, [(-1, 0)]

    def quiet() -> bool:
        process = read_process(pid)
        assert process
        (taken, run_ns), seen[0] = seen[0], (source.taken, process.counters.run_ns)
        time.sleep(0.5)
        # It works off what it has read before.
        return taken == source.taken and process.counters.run_ns - run_ns < 2_000_000

    eventually("nothing comes any more", quiet)
    row = look(site, interval=1.2, look_max=5)
    assert (row["state"], row["may_end"]) == ("stuck", True), row["why"]
    assert row["progress"]["seconds"] > 1


ASKS_AGAIN = """
import select, socket, sys, time
connection = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
print(__import__("os").getpid(), flush=True)
while True:
    select.select([connection], [], [], 0.05)
"""
WAITS_WITH_TIMEOUT = """
import os, threading
print(os.getpid(), flush=True)
event = threading.Event()
while not event.wait(0.05):
    pass
"""
SENDS = """
import os, socket, sys, time
connection = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
print(os.getpid(), flush=True)
while True:
    connection.send(b"x"); time.sleep(0.5)
"""
SENDS_DATAGRAMS = """
import os, socket, sys, time
connection = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(os.getpid(), flush=True)
while True:
    connection.sendto(b"x", ("127.0.0.1", int(sys.argv[2]))); time.sleep(0.5)
"""
SENDS_ON_THE_HOST = """
import os, socket, time
one, other = socket.socketpair()
print(os.getpid(), flush=True)
while True:
    one.send(b"x"); other.recv(1); time.sleep(0.5)
"""
WRITES_BY_MAPPING = """
import mmap, os, sys, time
file = open(sys.argv[1], "r+b")
pages = mmap.mmap(file.fileno(), 0)
file.close()
print(os.getpid(), flush=True)
number = 0
while True:
    number += 1; pages[number % 4096] = number % 256; time.sleep(0.2)
"""
READS_SLOWLY = """
import os, sys, time
file = os.open(sys.argv[1], os.O_RDONLY)
os.chdir(os.path.dirname(sys.argv[1]))
print(os.getpid(), flush=True)
while True:
    os.read(file, 1) or os.lseek(file, 0, 0); time.sleep(0.5)
"""
WORKS_BY_CHILDREN = """
import os, time
print(os.getpid(), flush=True)
while True:
    pid = os.fork()
    if not pid:
        sum(range(10_000)); os._exit(0)
    os.waitpid(pid, 0); time.sleep(0.3)
"""
WORKS_BY_CHILDREN_THAT_NOBODY_COUNTS = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print(os.getpid(), flush=True)
while True:
    if not os.fork():
        sum(range(10_000)); os._exit(0)
    time.sleep(0.3)
"""
WORKS_BY_THREADS = """
import os, threading, time
print(os.getpid(), flush=True)
while True:
    threading.Thread(target=lambda: sum(range(30_000))).start(); time.sleep(0.3)
"""
BECOMES_ANOTHER = """
import os, sys, time
print(os.getpid(), flush=True)
time.sleep(1)
os.execv("/proc/self/exe", ["ffmpeg", "-c", sys.orig_argv[2], *sys.argv[1:]])
"""
READS_ELSEWHERE = """
import os, time
file = os.open(os.__file__, os.O_RDONLY)
print(os.getpid(), flush=True)
while True:
    os.lseek(file, 1, os.SEEK_CUR); time.sleep(0.5)
"""

SENDS_BY_QUEUE = """
import ctypes, os, sys, time
libc, queue = ctypes.CDLL(None), int(sys.argv[1])
print(os.getpid(), flush=True)
while True:
    libc.msgsnd(queue, (ctypes.c_long * 2)(1, 7), 8, 0o4000)
    libc.msgrcv(queue, (ctypes.c_long * 2)(), 8, 0, 0o4000); time.sleep(0.3)
"""
SENDS_BY_NAMED_QUEUE = """
import ctypes, os, time
libc = ctypes.CDLL(None)
name = f"/of{os.getpid()}".encode()
queue = libc.mq_open(name, os.O_RDWR | os.O_CREAT, 0o600, None)
libc.mq_unlink(name)
print(os.getpid(), flush=True)
while True:
    libc.mq_send(queue, b"x", 1, 0)
    libc.mq_receive(queue, ctypes.create_string_buffer(8192), 8192, None); time.sleep(0.3)
"""
READS_BY_MAPPING = """
import mmap, os, tempfile, time
file = tempfile.TemporaryFile()
file.truncate(1 << 30)
pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
os.dup2(os.open("/dev/null", os.O_RDONLY), file.fileno())
print(os.getpid(), flush=True)
at = 0
while True:
    at += 1 << 20; pages[at]; time.sleep(0.2)
"""


@pytest.mark.parametrize(
    ("code", "states", "may_end"),
    [
        (SENDS_BY_NAMED_QUEUE, {"progressing"}, False),
        (READS_BY_MAPPING, {"progressing", "unknown"}, False),
        (WORKS_BY_CHILDREN_THAT_NOBODY_COUNTS, {"progressing", "unknown"}, False),
        (WORKS_BY_THREADS, {"progressing", "unknown"}, False),
        (BECOMES_ANOTHER, {"progressing"}, False),
        (READS_ELSEWHERE, {"progressing"}, False),
        (WORKS_BY_CHILDREN, {"progressing", "unknown"}, False),
        (ASKS_AGAIN, {"stuck"}, True),
        (WAITS_WITH_TIMEOUT, {"stuck"}, True),
        (SENDS, {"progressing"}, False),
        (SENDS_DATAGRAMS, {"unknown"}, False),
        (SENDS_ON_THE_HOST, {"unknown"}, False),
        (WRITES_BY_MAPPING, {"progressing", "unknown"}, False),
        (READS_SLOWLY, {"progressing"}, False),
    ],
)
def test_what_is_progress_of_a_process(site: Site, code: str, states: set[str], *, may_end: bool) -> None:
    directory = site.directory(SESSION)
    (directory / "x.mp4").write_bytes(b"\0" * 8192)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        site.python(code, str(directory / "x.mp4"), port, cwd=directory, told=True)
        eventually("it is up", lambda: look(site, look_max=0)["processes"])
        row = look(site, interval=1.2, look_max=4)
    assert row["state"] in states, row["why"]
    assert row["may_end"] == may_end, row["why"]


def test_an_ffmpeg_that_writes_nothing_goes_on_as_long_as_its_muxer_takes_something(site: Site) -> None:
    source = ["-re", "-f", "lavfi", "-i", "testsrc=size=64x36:rate=2"]
    directory = site.directory(SESSION)
    site.ffmpeg(*source, "-f", "null", str(directory / "nothing"), cwd=directory)
    eventually("it is up", lambda: look(site, look_max=0)["processes"])
    time.sleep(2)
    row = look(site, interval=1.2)
    assert (row["state"], row["may_end"]) == ("progressing", False), row["why"]


def test_who_passes_messages_by_a_queue_goes_on(site: Site) -> None:
    libc = ctypes.CDLL(None)
    queue = libc.msgget(0, 0o1600)
    try:
        site.python(SENDS_BY_QUEUE, str(queue), cwd=site.directory(SESSION), told=True)
        row = look(site, interval=1.2)
    finally:
        libc.msgctl(queue, 0, None)  # IPC_RMID
    assert (row["state"], row["may_end"]) == ("progressing", False), row["why"]
    assert "has passed messages by a queue" in row["why"]


WRITES_SELDOM = """
import os, time
print(os.getpid(), flush=True)
null = os.open("/dev/null", os.O_WRONLY)
while True:
    time.sleep(2); os.write(null, b"x")
"""


def test_what_goes_on_after_the_first_looks_counts(site: Site) -> None:
    site.python(WRITES_SELDOM, cwd=site.directory(SESSION), told=True)
    row = look(site, interval=0.2, look_max=6, look_bytes=1e12)
    assert (row["state"], row["may_end"]) == ("progressing", False), row["why"]


def test_one_that_is_stopped_says_nothing_of_the_others(site: Site) -> None:
    directory = site.directory(SESSION)
    stopped = site.python("import time; time.sleep(600)", cwd=directory)
    site.python(WRITES_SELDOM, cwd=directory, told=True)
    os.kill(stopped.pid, signal.SIGSTOP)
    row = look(site, interval=0.2, look_max=6, look_bytes=1e12)
    assert (row["state"], row["may_end"]) == ("progressing", False), row["why"]


def test_who_reads_a_pipe_slowly_lets_its_writer_live(site: Site, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        code = "import os, sys; os.write(os.open(sys.argv[1], os.O_WRONLY), bytes(1 << 20))"
        writer = site.python(code, str(fifo), cwd=site.directory(SESSION))
        eventually("it waits", lambda: "pipe_write" in Path(f"/proc/{writer.pid}/wchan").read_text(encoding="ascii"))
        row = look(site, interval=0.3)
        assert (row["state"], row["may_end"]) == ("blocked_on_pipe", True), row["why"]
        stop = threading.Event()

        def read() -> None:
            while not stop.wait(0.1):
                os.read(reading, 10)

        reader = threading.Thread(target=read)
        reader.start()
        row = look(site, interval=0.5)
        stop.set()
        reader.join()
    finally:
        os.close(reading)
    assert (row["state"], row["may_end"]) == ("progressing", False), row["why"]
    assert "somebody reads the pipe of descriptor" in row["why"]
