# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts a plain service as a process of its own, for the tests and the demo, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import getpass
import json
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from media_pipeline import feed
from media_pipeline.client import wait_for
from media_pipeline.launcher import OwnFfmpeg, ffmpeg_of_imageio


def live(ffmpeg: str, path: Path) -> Path:
    """A source that is read as fast as it would be played: its job goes on for an hour."""
    return feed.clip(ffmpeg, path.with_suffix(".live.mp4"), size="64x64")


FAULTS: dict[str, tuple[Callable[[str, Path], Path], str]] = {  # name: (maker of the input, the event waited for)
    "": (feed.sound, "done"),
    "broken": (feed.broken, "failed"),
    "fifo": (feed.fifo, "begun"),
    "live": (live, "begun"),
}


# Such services have a script of their own for it: it ends the watcher that the pid file names, and starts another one.
_RESTART = """#!/bin/sh
[ -f {base}/plain.pid ] && /bin/kill -TERM "$(/bin/cat {base}/plain.pid)" 2>/dev/null
/bin/rm -f {base}/plain.pid
cd {base} && {environment} /usr/bin/setsid {python} -m plain_service {base} --at-once 16 >>service.out 2>&1 </dev/null &
tries=0
while [ ! -f {base}/plain.pid ] && [ "$tries" -lt 300 ]; do tries=$((tries + 1)); /bin/sleep 0.1; done
[ -f {base}/plain.pid ]
"""


class PlainService(OwnFfmpeg):
    """A running watcher with its directories."""

    def __init__(self, base_dir: Path, ffmpeg: Path) -> None:
        self.base_dir = base_dir.resolve()
        self.input_dir, self.work_dir, self.output_dir, self.log_dir, self.bin_dir = (
            self.base_dir / name for name in ("input", "work", "output", "logs", "bin")
        )
        self.log = self.log_dir / "transcode.log"
        self._ffmpeg_binary = ffmpeg
        self._pid_file = self.base_dir / "plain.pid"
        self._restart = self.bin_dir / "restart"
        for directory in (self.input_dir, self.log_dir, self.bin_dir):
            directory.mkdir(parents=True, exist_ok=True)
        self.repair_ffmpeg()
        environment = {
            "PATH": self.bin_dir,  # this directory alone: no other ffmpeg may stand in for a broken one
            "PYTHONPATH": Path(__file__).resolve().parents[1],
            "PYTHONDONTWRITEBYTECODE": 1,
        }
        words = {"base": shlex.quote(str(self.base_dir)), "python": shlex.quote(sys.executable)}
        words["environment"] = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in environment.items())
        self._restart.write_text(_RESTART.format(**words), encoding="utf-8")
        self._restart.chmod(0o755)

    @property
    def pid(self) -> int:
        """The watcher's process id, whoever started it."""
        return int(self._pid_file.read_text(encoding="ascii"))

    def inventory(self) -> dict[str, Any]:
        """The lines of an inventory by which it is watched, those of docs/other_services.md."""
        return {
            "policy_api_offered": False,
            "policy_service_unit": "",
            "policy_service_process": {"pid_file": str(self._pid_file)},
            "policy_service_restart": [str(self._restart)],
            "policy_service_user": getpass.getuser(),
            "policy_service_path": str(self.bin_dir),
            "policy_ffprobe": False,
            "policy_base_dir": str(self.base_dir),
            "policy_temp_dir": str(self.work_dir),
            "policy_work_dir": str(self.work_dir),
            "policy_uploads_dir": str(self.input_dir),
            "policy_result_dirs": [str(self.output_dir), str(self.input_dir), str(self.base_dir / "failed")],
            "policy_log_dir": str(self.log_dir),
            "policy_operations_log": str(self.log),
            "policy_errors_log": str(self.log),
            "policy_log_fields": {
                "time": "at",
                "level": "sev",
                "message": "text",
                "session": "job",
                "stage": "step",
                "duration": {"field": "took_ms", "unit": "ms"},
                "success": {"field": "event", "values": {"done": True, "failed": False}},
                "error_code": "reason",
                "error_message": "text",
            },
            "policy_error_causes": {"NO_FFMPEG": "ffmpeg", "BAD_INPUT": "input"},
            "policy_session_id_maps": [],
        }

    def remember(self, hours: float, *, jobs: int = 0) -> None:
        """Begin the log so long ago, with so many jobs done by then, as that of a service has that is not new."""
        at = round((time.time() - hours * 3600) * 1000)
        told = [{"at": at, "sev": "info", "event": "watching"}]
        for _number in range(jobs):
            job = {"job": uuid.uuid4().hex[:12], "step": "transcode"}
            told.append({"at": at, "sev": "info", "event": "done", **job, "took_ms": 900})
        before = self.log.read_text(encoding="utf-8") if self.log.exists() else ""
        self.log.write_text("".join(json.dumps(one) + "\n" for one in told) + before, encoding="utf-8")

    def start(self, deadline: float = 60.0) -> None:
        """Start the watcher, or another one in its place, and wait until it watches."""
        subprocess.run([str(self._restart)], check=True, stdin=subprocess.DEVNULL, timeout=deadline)

    def kill(self) -> None:
        """End the watcher alone, by SIGKILL: its ffmpeg children live on as orphans."""
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            watcher = psutil.Process(self.pid)
            if "plain_service" in watcher.cmdline():
                watcher.kill()
                psutil.wait_procs([watcher], timeout=10)

    def stop(self, grace: float = 10.0) -> None:
        """End the watcher, and what it left behind."""
        self.kill()
        for child in self.workers():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        wait_for("end of all workers", lambda: not self.workers(), grace)

    def workers(self) -> dict[psutil.Process, str]:
        """The living processes below the directory of work, each with its job."""
        found: dict[psutil.Process, str] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                place = Path(process.cwd())
                if place.parent == self.work_dir and process.status() != psutil.STATUS_ZOMBIE:
                    found[process] = place.name
        return found

    def entries(self) -> list[dict[str, Any]]:
        """What it has logged."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines]

    def feed(self, count: int = 1, *, fault: str = "", deadline: float = 120.0) -> list[str]:
        """Put inputs of a kind into its directory, wait for what becomes of them, and return their jobs.

        What hangs or takes long is waited for until its ffmpeg works.
        """
        maker, event = FAULTS[fault]
        jobs = []
        for _number in range(count):
            made = maker(str(self._ffmpeg_binary), self.base_dir / f"clip_{uuid.uuid4().hex[:8]}.mp4")
            made.rename(self.input_dir / made.name)
            jobs.append(str(wait_for(f"job of {made.name}", partial(self._job_of, made.name), deadline)))
        for job in jobs:
            wait_for(f"{event} of job {job}", partial(self._is_at, job, event), deadline)
        return jobs

    def _job_of(self, name: str) -> str:
        return next((one["job"] for one in self.entries() if one["event"] == "begun" and one["file"] == name), "")

    def _is_at(self, job: str, event: str) -> bool:
        if event == "begun":
            return job in self.workers().values()
        return any(one.get("job") == job and one["event"] in ("done", "failed") for one in self.entries())


@contextlib.contextmanager
def running_plain_service(base_dir: Path) -> Iterator[PlainService]:
    """Run a plain service in `base_dir` until the block ends."""
    service = PlainService(base_dir, ffmpeg_of_imageio())
    try:
        service.start()
        yield service
    finally:
        service.stop()
