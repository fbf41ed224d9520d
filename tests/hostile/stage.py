"""What the scenes of both halves share: kinds, situations, their verdicts, the API, and the world that they live in."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import re
import selectors
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWPID = 0x20000, 0x20000000
GROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
END, KEEP, EITHER = "end", "keep", "either"

# What came of a situation. `said`: right and provable, not done, and the reason was told; `missed`: without a word.
# `unsaid`: rightly kept, but who reads the answer does not learn what stands against it.
VERDICTS = ("acted", "kept", "wrong", "missed", "said", "unsaid")


@dataclass(frozen=True)
class Kind:
    """A kind of situations.

    Attributes:
        name: its own.
        half: ``kill`` or ``delete``.
        right: what is right, to ``end`` it (kill or delete), to ``keep`` it, or ``either``; a situation may say other.
        cause: of the issue that it is drawn from, or 0 for what has always to hold.
        alone: whether it changes what holds for a whole scene, and has one of its own.
        early: whether it has to be made before the service has started.
        make: makes a situation of it.
    """

    name: str
    half: str
    right: str
    cause: int
    alone: bool
    early: bool
    make: Callable[[Any], None]

    @property
    def text(self) -> str:
        """What it is, for people."""
        return " ".join((self.make.__doc__ or "").split())


KINDS: dict[str, Kind] = {}


Make = Callable[[Any], None]


def kind(half: str, right: str, cause: int, *, alone: bool = False, early: bool = False) -> Callable[[Make], Make]:
    """Register a kind by the function that makes its situations; its name and its doc are the kind's."""

    def register(make: Make) -> Make:
        name = f"{half}.{make.__name__}"
        assert name not in KINDS, name
        assert make.__doc__, name
        KINDS[name] = Kind(name, half, right, cause, alone, early, make)
        return make

    return register


@dataclass
class Try:
    """What came of one situation."""

    kind: str
    right: str
    verdict: str
    detail: str
    scene: int
    number: int

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass
class Situation:
    """One situation of a scene, and what is known of it as it was made."""

    kind: Kind
    number: int
    rng: random.Random
    right: str = ""
    says: str = ""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.right = self.right or self.kind.right

    def has_word(self, pattern: str, text: str) -> bool:
        """Whether the text says it."""
        return re.search(pattern, text, re.IGNORECASE) is not None


class Api:
    """What the service's API answers with; each GET may be something else, and may make something happen first."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.asked = 0
        self.before: dict[int, list[Callable[[], None]]] = {}
        self.after: dict[int, list[Callable[[], None]]] = {}
        self.answer: Callable[[int, bytes], tuple[int, dict[str, str], bytes]] | None = None
        self.cleanup: Callable[[str], None] | None = None
        self._lock = threading.Lock()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with api._lock:
                    api.asked += 1
                    number = api.asked
                    for act in api.before.pop(number, []):
                        act()
                    body = json.dumps({"active_sessions": api.rows, "total_active": len(api.rows)}).encode()
                    for act in api.after.pop(number, []):
                        act()
                status, headers = 200, {"Content-Type": "application/json"}
                if api.answer:
                    status, more, body = api.answer(number, body)
                    headers.update(more)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                if api.cleanup:
                    api.cleanup(self.path.split("/")[-2])
                self.send_response(202 if api.cleanup else 404)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/v1/monitoring"

    def start(self) -> None:
        """Begin to answer; from now on there are threads."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()


class Sockets:
    """The other ends of what actors send and receive."""

    def __init__(self, directory: Path) -> None:
        self.sink, self.feed, self.silent = (self._listen() for _number in range(3))
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", 0))
        self.unix_path = directory / "sink.sock"
        self.unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.unix.bind(str(self.unix_path))
        self.unix_path.chmod(0o777)

    @staticmethod
    def _listen() -> socket.socket:
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        one.listen(512)
        return one

    @staticmethod
    def port(one: socket.socket) -> str:
        """Its port."""
        return str(one.getsockname()[1])

    def start(self) -> None:
        """Take what comes, and give those who ask 160 bytes each 20 ms: 64 kbit/s. The silent one never answers."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        chosen = selectors.DefaultSelector()
        for one in (self.sink, self.feed, self.datagrams, self.unix):
            one.setblocking(False)
            chosen.register(one, selectors.EVENT_READ, one)
        fed: list[socket.socket] = []
        due = time.monotonic()
        while True:
            for key, _events in chosen.select(0.02 if fed else 0.5):
                one = key.data
                try:
                    if one in (self.sink, self.feed):
                        new = one.accept()[0]
                        new.setblocking(False)
                        chosen.register(new, selectors.EVENT_READ, new)
                        fed += [new] if one is self.feed else []
                    elif not one.recv(65536):
                        chosen.unregister(one)
                        one.close()
                        fed = [old for old in fed if old is not one]
                except OSError:
                    continue
            if fed and time.monotonic() >= due:
                due = time.monotonic() + 0.02
                for one in fed:
                    try:
                        one.send(b"\0" * 160)
                    except OSError:
                        continue


class World:
    """Something that runs as init of its own processes, with its own mounts; what is left at its end is killed."""

    def __init__(self, run: Callable[[], Any], limit_s: float) -> None:
        self._limit_s = limit_s
        self._said = b""
        self.deadline = time.monotonic() + limit_s
        self.fd, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self.fd)
            libc = ctypes.CDLL(None, use_errno=True)
            code = 1
            try:
                if libc.unshare(CLONE_NEWNS | CLONE_NEWPID):
                    raise OSError(ctypes.get_errno(), "unshare")
                inner = os.fork()
                if inner == 0:
                    libc.prctl(1, 9)  # it ends with the outer one
                    code = _init(run, writer)
                    os._exit(code)
                os.close(writer)
                code = os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1])
            finally:
                os._exit(code)
        os.close(writer)

    def take(self) -> bool:
        """Read what it says, once there is something; whether that was all."""
        part = os.read(self.fd, 1 << 20)
        self._said += part
        return not part

    def end(self) -> Any:
        """Its result, at its end, which comes now if it has not come.

        Raises:
            WorldError: it failed, or took too long.
        """
        os.kill(self._pid, 9)
        os.close(self.fd)
        os.waitpid(self._pid, 0)
        if not self._said.endswith(b"\n"):
            raise WorldError(f"it ended without a result, or not within {self._limit_s:g} s")
        answer = json.loads(self._said)
        if "error" in answer:
            raise WorldError(answer["error"])
        return answer["result"]


class WorldError(RuntimeError):
    """A scene had no end: a fault of the test."""


def _init(run: Callable[[], Any], writer: int) -> int:
    import traceback

    try:
        for command in (["mount", "--make-rprivate", "/"], ["mount", "-t", "proc", "proc", "/proc"]):
            subprocess.run(command, check=True, capture_output=True)
        answer = {"result": run()}
    except BaseException:  # noqa: BLE001  told to who waits
        answer = {"error": traceback.format_exc()}
    text = json.dumps(answer).encode() + b"\n"
    while text:
        text = text[os.write(writer, text) :]
    return 0


def strings(value: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield str(key)
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif value is not None:
        yield str(value)


def tidy(base: Path) -> None:
    """Remove what a scene left: its control groups, and its directory, also what is immutable there."""
    groups = [path for top in GROUPS for path in top.glob(f"hostile-{base.name}-*")]
    deadline = time.monotonic() + 5
    while groups and time.monotonic() < deadline:
        for path in groups:
            with contextlib.suppress(OSError):  # its last process is on its way out
                path.rmdir()
        groups = [path for path in groups if path.exists()]
        time.sleep(0.01)
    shutil.rmtree(base, ignore_errors=True)
    if base.exists():
        subprocess.run(["chattr", "-R", "-f", "-i", "-a", str(base)], check=False, capture_output=True)
        shutil.rmtree(base, ignore_errors=True)


def changed(path: Path, before: bytes | None) -> str:
    """How a path is not as it was; "" where it is."""
    if not os.path.lexists(path):
        return "deleted"
    with contextlib.suppress(OSError):
        if before is not None and path.read_bytes() != before:
            return "changed"
    return ""
