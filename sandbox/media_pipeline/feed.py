# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes real clips with ffmpeg, sound ones and faulty ones, and posts jobs with them.

A fault is always in the input; no request asks the service to behave badly.
"""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .client import Client, ClientError, wait_for
from .config import Settings

ENDED = ("completed", "failed")


def clip(ffmpeg: str, path: Path, *, seconds: float = 1, size: str = "160x120", title: bytes = b"") -> Path:
    """Make a clip with picture and sound."""
    picture = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate=25:duration={seconds:g}"]
    sound = ["-f", "lavfi", "-i", f"sine=duration={seconds:g}"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    metadata: list[str | bytes] = ["-metadata", b"title=" + title] if title else []
    command = [ffmpeg, "-v", "error", "-nostdin", *picture, *sound, *codecs, *metadata, "-y", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=120)
    return path


def broken(ffmpeg: str, path: Path) -> Path:
    """A clip whose upload was cut off: the index at its end is missing, and ffmpeg refuses it."""
    clip(ffmpeg, path)
    os.truncate(path, path.stat().st_size // 2)
    return path


def fifo(_ffmpeg: str, path: Path) -> Path:
    """A live source that nobody writes: its ffmpeg waits for ever."""
    os.mkfifo(path)
    return path


def slow(ffmpeg: str, path: Path) -> Path:
    """A clip that a job reads as a live source: with a slow preset ffmpeg works on it, a little all the time."""
    return clip(ffmpeg, path, seconds=10)


def empty(_ffmpeg: str, path: Path) -> Path:
    """A file without content."""
    path.touch()
    return path


def wrong_type(_ffmpeg: str, path: Path) -> Path:
    """A text file."""
    path = path.with_suffix(".txt")
    path.write_text("This is no clip.\n", encoding="ascii")
    return path


def latin1(ffmpeg: str, path: Path) -> Path:
    """A sound clip with a title that is not UTF-8. The service's analysis does not expect that: its worker dies."""
    return clip(ffmpeg, path, title="Café".encode("latin-1"))


def noisy(ffmpeg: str, path: Path) -> Path:
    """A clip with damage in every frame: ffmpeg complains until the pipe that nobody reads is full, and blocks."""
    clip(ffmpeg, path, seconds=120)
    with path.open("r+b") as file:
        position, kind, size = 0, b"", 0
        while kind != b"mdat":  # the pictures alone: with a damaged index ffmpeg would refuse the file
            position += size
            file.seek(position)
            size, kind = struct.unpack(">I4s", file.read(8))
        for damage in range(position + 1024, position + size - 8, 512):
            file.seek(damage)
            file.write(b"\xff" * 8)
    return path


def sound(ffmpeg: str, path: Path) -> Path:
    """A clip that is as it should be."""
    return clip(ffmpeg, path)


Maker = Callable[[str, Path], Path]
FAULTS: dict[str, tuple[Maker, str, dict[str, Any]]] = {  # name: (maker, the status that is waited for, job options)
    "": (sound, "completed", {}),
    "broken": (broken, "failed", {}),
    "empty": (empty, "failed", {}),
    "type": (wrong_type, "failed", {}),
    "fifo": (fifo, "running", {}),
    "latin1": (latin1, "running", {}),
    "noisy": (noisy, "running", {}),
    "slow": (slow, "running", {"height": 120, "preset": "veryslow", "live": True}),
}


def feed(
    client: Client,
    upload_dir: Path,
    ffmpeg: str,
    jobs: int = 1,
    *,
    clips: int = 1,
    fault: str = "",
    user_id: str = "feeder",
    deadline: float = 120.0,
) -> list[dict[str, Any]]:
    """Post jobs of a kind, wait for the state that is theirs, and return their documents.

    Each job has `clips` sound clips, or `clips` - 1 and a faulty one. Jobs that hang or are slow are waited for until
    their ffmpeg runs in the preparation (`latin1`: until the worker is gone) and then left so.
    """
    maker, state, options = FAULTS[fault]
    sessions = []
    for _ in range(jobs):
        stem = upload_dir / f"clip_{uuid.uuid4().hex[:8]}"
        inputs = [sound(ffmpeg, stem.with_name(f"{stem.name}_{number}.mp4")) for number in range(clips - 1)]
        inputs.append(maker(ffmpeg, stem.with_name(f"{stem.name}_{clips - 1}.mp4")))
        sessions.append(client.submit(inputs, user_id, **options))

    beside = {"analysis"} if fault in ("slow", "noisy") else set()  # what may go on beside the preparation
    errors = upload_dir.parent / "temp/logs/errors.log"

    def hangs(session_id: str) -> bool:
        entries = {entry["stage"]: entry for entry in client.listed(session_id)}
        if fault == "latin1":  # the log of the worker's end names the session
            return list(entries) == ["analysis"] and session_id in errors.read_text(encoding="utf-8")
        if "preparation" not in entries or not entries.keys() <= beside | {"preparation"}:
            return False
        return bool(entries["preparation"]["memory_usage_mb"] > 0)  # listed comes before started

    def settled(session_id: str) -> dict[str, Any] | None:
        job = client.job(session_id)
        if job["status"] in ENDED:
            return job
        return client.job(session_id) if state == "running" and hangs(session_id) else None

    def waited(session_id: str) -> dict[str, Any]:
        return dict(wait_for(f"session {session_id}", lambda: settled(session_id), deadline))

    return [waited(session_id) for session_id in sessions]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--jobs", type=int, default=1, help="how many jobs (default 1)")
    parser.add_argument("--clips", type=int, default=1, help="clips of each job (default 1)")
    parser.add_argument("--fault", choices=sorted(name for name in FAULTS if name), default="", help="what is wrong")
    parser.add_argument("--deadline", type=float, default=120, metavar="SECONDS", help="how long to wait (default 120)")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Feed the service that the environment names; 0 when every job did what its input makes it do."""
    port = settings.port
    if settings.port_file and settings.port_file.exists():
        port = int(settings.port_file.read_text(encoding="ascii"))
    client = Client(settings.host, port, settings.jwt_secret)
    try:
        done = feed(
            client,
            settings.upload_dir,
            settings.ffmpeg,
            arguments.jobs,
            clips=arguments.clips,
            fault=arguments.fault,
            deadline=arguments.deadline,
        )
    except (ClientError, OSError, subprocess.SubprocessError) as error:
        print(f"feed: {error}")
        return 1
    for job in done:
        print(f"{job['session_id']} {job['status']} {job['error_code'] or '-'} {job['stage']}")
    return 0 if all(job["status"] == FAULTS[arguments.fault][1] for job in done) else 1
