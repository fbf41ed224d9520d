"""A small media service made of real parts, for tests of what ends sessions: a process with ffmpeg children, an API.

The service starts what it is told to, waits for nothing, and reads no pipe. The ages of its sessions are what the test
says to the API; everything else about them is real.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import imageio_ffmpeg
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.session_info import session_info
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.session_terminate import (
    terminate_argument_spec,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.system.processes import Process, read_process

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SERVICE = """
import json, os, subprocess, sys
held = []
for line in sys.stdin:
    order = json.loads(line)
    errors = subprocess.DEVNULL
    if order["pipe"]:
        reader, errors = os.pipe()
        held.append(reader)
    if order["errors"]:
        errors = open(order["errors"], "wb")
    # A Python that goes by the name of ffmpeg would look for its library beside the ffmpeg of this machine.
    env = {**os.environ, "PYTHONHOME": sys.base_prefix}
    child = subprocess.Popen(
        order["argv"], executable=order["executable"], cwd=order["cwd"], stdin=subprocess.DEVNULL, env=env,
        stdout=subprocess.PIPE if order["told"] else subprocess.DEVNULL, stderr=errors,
    )
    held.append(child)
    print(child.stdout.readline().decode().strip() if order["told"] else child.pid, flush=True)
"""
# What the kernel shows as D: one that waits for the end of a child that shares its memory, as after vfork().
VFORK = """
import ctypes, os, time
libc = ctypes.CDLL(None)
number = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
if libc.syscall(number, 0x4000 | 17, 0, 0, 0, 0) == 0:
    time.sleep(600)
"""
IGNORES_TERM = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
print(os.getpid(), flush=True)
time.sleep(600)
"""


def eventually(what: str, check: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait for something to come true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds:g} s")


def alive(process: Process) -> bool:
    """Whether it is the same process still, and no zombie."""
    now = read_process(process.pid, deep=False)
    return now is not None and now.key == process.key and now.state not in "ZX"


def default_params(**changed: Any) -> dict[str, Any]:
    """Options of both modules with the limits of the runbook, and short times."""
    defaults = {name: option.get("default") for name, option in terminate_argument_spec().items()}
    limits = {"look_minutes": 10.0, "investigate_minutes": 30.0, "end_minutes": 60.0, "quiet_seconds": 0.0}
    times = {"samples": 2, "interval": 0.2, "look_max": 1.0, "grace": 3.0, "wait": 0.0, "retries": 0}
    return {**defaults, **limits, **times, **changed}


class Site:
    """The service, its API and its directories. What it started ends with it."""

    def __init__(self, base: Path) -> None:
        self.work_dir = base / "temp" / "video_merge"
        self.work_dir.mkdir(parents=True)
        self.log = base / "temp" / "media_processing.log"
        self.log.touch()
        self.program = base / "ffmpeg"
        self.program.symlink_to(FFMPEG)
        self.started: list[Process] = []
        self.listed: dict[str, list[dict[str, Any]]] = {}
        self.after_post: Callable[[str], None] | None = None
        self.answer: bytes | None = None
        self.service = self._start_service()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                rows = [row for rows in site.listed.values() for row in rows]
                body = json.dumps({"active_sessions": rows, "total_active": len(rows)}).encode()
                self._say(200, body if site.answer is None else site.answer)

            def do_POST(self) -> None:
                session_id = self.path.split("/")[-2]
                if site.after_post is None:
                    self._say(404, b'{"detail": "Not Found"}')
                    return
                site.after_post(session_id)
                self._say(202, b"{}")

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.api_url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def params(self, **changed: Any) -> dict[str, Any]:
        """Options of the modules, as for this site."""
        mine = {"service_pid": self.service.pid, "work_dir": str(self.work_dir), "log_path": str(self.log)}
        return default_params(**{**mine, "api_url": self.api_url, **changed})

    def list_session(self, session_id: str, minutes: float = 180, stage: str = "preparation") -> None:
        """Let the API list a session (once more)."""
        start = datetime.now(UTC) - timedelta(minutes=minutes)
        row = {
            "session_id": session_id,
            "user_id": "u",
            "stage": stage,
            "start_time": start.replace(tzinfo=None).isoformat(),
            "duration_seconds": minutes * 60,
            "duration_minutes": minutes,
        }
        self.listed.setdefault(session_id, []).append(row)

    def directory(self, session_id: str) -> Path:
        """The session's own directory."""
        path = self.work_dir / session_id
        path.mkdir(exist_ok=True)
        return path

    def start(
        self,
        argv: list[str],
        *,
        executable: str | None = None,
        cwd: Path | None = None,
        errors: Path | None = None,
        **how: bool,
    ) -> Process:
        """Let the service start a process; `told`: it prints the pid that is meant; `pipe`: nobody reads its errors."""
        paths = {"executable": executable, "cwd": str(cwd) if cwd else None, "errors": str(errors) if errors else None}
        order = {"argv": argv, **paths, "told": False, "pipe": False}
        assert self.service.stdin
        assert self.service.stdout
        self.service.stdin.write(json.dumps({**order, **how}) + "\n")
        self.service.stdin.flush()
        return self.remember(int(self.service.stdout.readline()))

    def remember(self, pid: int) -> Process:
        """A process that ends with the site."""
        process = read_process(pid)
        assert process
        self.started.append(process)
        return process

    def ffmpeg(self, *arguments: str, **how: Any) -> Process:
        """Let the service start the real ffmpeg."""
        command = ["ffmpeg", "-nostdin", *arguments]
        started = self.start(command, executable=str(self.program), **how)
        eventually("ffmpeg runs", lambda: (now := read_process(started.pid)) and now.name == "ffmpeg" and now.argv)
        process = read_process(started.pid)
        assert process
        return process

    def python(self, code: str, *arguments: str, name: str = "ffmpeg", **how: Any) -> Process:
        """Let the service start a Python that goes by the name of ffmpeg; one that ends in sleep is asleep then."""
        process = self.start([name, "-c", code, *arguments], executable=sys.executable, **how)
        if code.endswith("time.sleep(600)"):
            eventually("it sleeps", lambda: _waits(process.pid, "nanosleep"))
        return process

    def waiting(self, session_id: str, *, listed: bool = True) -> Process:
        """A session whose ffmpeg waits for the writer of a FIFO."""
        directory = self.directory(session_id)
        source = directory / "live.ts"
        os.mkfifo(source)
        if listed:
            self.list_session(session_id)
        process = self.ffmpeg("-i", str(source), "-y", str(directory / "prepared_00.mp4"))
        eventually("it waits", lambda: _waits(process.pid, "wait_for_partner"))
        return process

    def encoding(self, session_id: str) -> Process:
        """A session whose ffmpeg encodes slowly, at the speed of its picture."""
        output = self.directory(session_id) / "prepared_00.mp4"
        self.list_session(session_id)
        picture = ["-re", "-f", "lavfi", "-i", "testsrc=size=640x360:rate=25:duration=600"]
        process = self.ffmpeg(*picture, "-preset", "ultrafast", "-y", str(output))
        eventually("it encodes", output.exists)
        return process

    def crash(self) -> None:
        """End the service alone, and start another one."""
        self.service.kill()
        self.service.wait()
        self.service = self._start_service()

    def close(self) -> None:
        """End everything that was started, by pid and only while it is the same process."""
        self._server.shutdown()
        self._server.server_close()
        for process in self.started:
            if alive(process):
                os.kill(process.pid, signal.SIGKILL)
        self.service.kill()
        self.service.wait()

    @staticmethod
    def _start_service() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SERVICE]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@contextlib.contextmanager
def running_site(base: Path) -> Iterator[Site]:
    """A site that leaves nothing behind."""
    site = Site(base)
    try:
        yield site
    finally:
        site.close()


def look(site: Site, **options: Any) -> dict[str, Any]:
    """What session_info sees."""
    return session_info(site.params(**options), warn=lambda _text: None, hide=lambda _text: None)


def _waits(pid: int, where: str) -> bool:
    """Whether it waits there in the kernel or, on kernels that do not tell where, did nothing for a moment."""
    process = read_process(pid)
    places = {place for state, place in process.threads if state == "S"} if process else set()
    if places <= {"", "0"}:
        return bool(places) and _idle(pid)
    return any(where in place for place in places)


def _idle(pid: int) -> bool:
    """Whether it did nothing for a moment."""
    before = read_process(pid)
    time.sleep(0.3)
    after = read_process(pid)
    return (
        before is not None
        and after is not None
        and (before.cpu, before.counters.read) == (after.cpu, after.counters.read)
    )
