"""What the tests of deletion share: trees with ages, an API of listed sessions, and the table of faults."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.archives import log_archive
from ansible_collections.media_ops.runbook.plugins.module_utils.archives.journal import archived_logs
from ansible_collections.media_ops.runbook.plugins.module_utils.disk import disk_cleanup
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions import protected
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.unlisted import unlisted_of

HOUR, DAY = 3600.0, 86400.0
API: dict[str, Any] = {
    "api_token": "",
    "api_token_file": None,
    "ca_path": None,
    "client_cert": None,
    "client_key": None,
    "validate_certs": True,
    "connect_timeout": 3.0,
    "read_timeout": 5.0,
    "total_timeout": 8.0,
    "overall_timeout": 8.0,
    "retries": 0,
    "max_body_bytes": 1 << 20,
    "api_offered": True,
    "api_map": {},
    "api_header": "Authorization",
    "api_scheme": "Bearer",
    "api_login": {},
    "api_username": None,
    "api_password": None,
    "api_refresh_token": None,
    "api_state_dir": None,
}
DEFAULTS: dict[str, Any] = {
    **API,
    "api_url": "http://127.0.0.1:9",
    "sessions_dir": None,
    "work_dirs": [],
    "log_dirs": [],
    "operations_log": None,
    "log_fields": {},
    "idle_seconds": 0.0,
    "roots": [],
    "kept_dirs": [],
    "id_maps": [],
    "unit": None,
    "target_free_percent": None,
    "resolve_roots": False,
    "as_of": None,
    "plan_hash": None,
    "max_listed": 100,
}


AHEAD_S = 400 * DAY


@pytest.fixture
def moved_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Move this process's clock forward, as nobody can set a ctime: what is made now was made 400 days ago.

    A file of an age is then one whose mtime is that much before the moved present, as ``make`` and ``aged`` date it,
    and a young one is one whose mtime is the moved present. That the ctime counts is tested without this.
    """
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + AHEAD_S)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(AHEAD_S) * 10**9)
    monkeypatch.setattr(log_archive, "utc_now", lambda: datetime.fromtimestamp(int(time.time()), UTC))


def rule(root: Path | str, *patterns: str, name: str = "rule", min_age: float = DAY, **more: Any) -> dict[str, Any]:
    """A rule as the module gets it."""
    given = {"rule": name, "root": str(root), "patterns": list(patterns or ("*",)), "min_age": min_age}
    return {**given, "age_of": "change", "min_size": 0, "prune_empty": False, "steps": [], **more}


def clean(*rules: dict[str, Any], check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
    """Run the cleanup; warnings are in ``warnings`` of the result."""
    warnings: list[str] = []
    params = {**DEFAULTS, "rules": list(rules), **options}
    mode = disk_cleanup.Mode(check, diff)

    unlisted = unlisted_of(params) if params["work_dirs"] else None

    def ask() -> protected.Sessions:
        return protected.protected_sessions(params, unlisted, warn=warnings.append, hide=lambda secret: None)

    result = disk_cleanup.disk_cleanup(params, mode, ask, archived_logs)
    return {**result, "warnings": warnings}


def make(path: Path, age: float = 2 * DAY, content: bytes = b"x") -> Path:
    """A file of that age, in seconds, and its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return aged(path, age)


def aged(path: Path, age: float) -> Path:
    """The same path, last changed so many seconds ago."""
    then = time.time() - age
    os.utime(path, (then, then), follow_symlinks=False)
    return path


def tree(top: Path) -> dict[str, bytes | str]:
    """All below a directory: content of files, targets of links, names of directories."""
    found: dict[str, bytes | str] = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        found[name] = f"-> {path.readlink()}" if path.is_symlink() else "/" if path.is_dir() else path.read_bytes()
    return found


@contextlib.contextmanager
def sessions_api(document: Any, status: int = 200) -> Iterator[str]:
    """A server whose GET /sessions/active gives a document; yields its api_url."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(document).encode() if self.path.endswith("/sessions/active") else b"{}"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  quiet
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api/v1/monitoring"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def listed(*sessions: str) -> dict[str, Any]:
    """The answer that lists these sessions."""
    return {"active_sessions": [{"session_id": session} for session in sessions], "total_active": len(sessions)}


@contextlib.contextmanager
def small_disk(directory: Path, mebibytes: int = 8, *options: str) -> Iterator[Path]:
    """A small ext4 file system on a loop device, mounted; root only."""
    image, mounted = directory / "disk.img", directory / "disk"
    image.write_bytes(b"")
    os.truncate(image, mebibytes << 20)
    mounted.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", *options, str(image)], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True, capture_output=True)
    try:
        yield mounted
    finally:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True, capture_output=True)


def fill(directory: Path) -> None:
    """Write into a directory until its file system is full to the last block."""
    for chunk in (1 << 16, 512):
        with contextlib.suppress(OSError), (directory / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(b"\0" * chunk)


def record_fault(fault: str, verdict: str, done: str, *, recovered: bool = True, neighbours: str = "untouched") -> None:
    """Put a fault that was tried into the table that docs are made of, where one is being made."""
    directory = os.environ.get("MEDIA_OPS_FAULT_MATRIX")
    if not directory:
        return
    path = Path(directory, "deletion.json")
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        rows = json.loads(file.read() or "[]")
        row = {"fault": fault, "verdict": verdict, "done": done, "recovered": recovered, "neighbours": neighbours}
        rows = sorted([*(old for old in rows if old["fault"] != fault), row], key=lambda one: str(one["fault"]))
        file.truncate(0)
        file.write(json.dumps(rows, indent=1) + "\n")
