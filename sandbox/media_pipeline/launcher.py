# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts a pipeline as a process of its own, for the tests and the demo, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from .client import Client, wait_for
from .config import MONITORING
from .feed import feed

# The machine is shared with the tests themselves, so its load must not decide about the service's health.
QUIET = {f"PIPELINE_{name}_{level}": "1000" for name in ("CPU", "MEMORY", "DISK") for level in ("WARNING", "CRITICAL")}


# imageio brings no ffprobe; this says of a file what is asked of one.
_FFPROBE = """#!/bin/sh
for last do :; done
{} -v error -i "$last" -f null - && echo video
"""


class OwnFfmpeg:
    """A directory for PATH whose ffmpeg can be broken, and put back."""

    bin_dir: Path
    _ffmpeg_binary: Path

    @property
    def ffmpeg(self) -> Path:
        """The program that the service starts."""
        return self.bin_dir / "ffmpeg"

    def break_ffmpeg(self) -> None:
        """Put a file in ffmpeg's place that cannot be run."""
        replacement = self.ffmpeg.with_name("ffmpeg.new")
        replacement.write_text("This is no program.\n", encoding="ascii")
        replacement.replace(self.ffmpeg)

    def repair_ffmpeg(self) -> None:
        """Put ffmpeg back into its place."""
        replacement = self.ffmpeg.with_name("ffmpeg.new")
        replacement.unlink(missing_ok=True)
        replacement.symlink_to(self._ffmpeg_binary)
        replacement.replace(self.ffmpeg)


class Pipeline(OwnFfmpeg, Client):
    """A running service with its directories."""

    module = "media_pipeline"
    api_path = MONITORING
    # Not /health: its answer would be cached from here on, and a test may break something first.
    ready_path = MONITORING + "/sessions/active"

    def __init__(self, base_dir: Path, env: Mapping[str, str], ffmpeg: Path) -> None:
        self.base_dir = base_dir.resolve()
        self.temp_dir = self.base_dir / "temp"
        self.work_dir = self.temp_dir / "video_merge"
        self.log_dir = self.temp_dir / "logs"
        self.upload_dir = self.base_dir / "uploads"
        self.bin_dir = self.base_dir / "bin"
        self._ffmpeg_binary = ffmpeg
        self._port_file = self.base_dir / "port"
        self._process: subprocess.Popen[bytes] | None = None
        for directory in (self.bin_dir, self.upload_dir):
            directory.mkdir(parents=True, exist_ok=True)
        self.repair_ffmpeg()
        (self.bin_dir / "ffprobe").write_text(_FFPROBE.format(ffmpeg), encoding="utf-8")
        (self.bin_dir / "ffprobe").chmod(0o755)
        super().__init__("127.0.0.1", 0, secrets.token_hex(16))
        self.env = {
            **QUIET,
            "PATH": str(self.bin_dir),  # this directory alone: a system's ffmpeg must not stand in for a broken one
            "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIPELINE_BASE_DIR": str(self.base_dir),
            "PIPELINE_HOST": self.host,
            "PIPELINE_PORT_FILE": str(self._port_file),
            "PIPELINE_JWT_SECRET": self.secret,
            **env,
        }
        self.secret = self.env["PIPELINE_JWT_SECRET"]

    @property
    def base_url(self) -> str:
        """The service's address."""
        return f"http://{self.host}:{self.port}"

    @property
    def api_url(self) -> str:
        """The address of its monitoring API."""
        return self.base_url + self.api_path

    @property
    def pid(self) -> int:
        """The service's process id."""
        if self._process is None:
            raise RuntimeError("the pipeline does not run")
        return self._process.pid

    def start(self, deadline: float = 60.0) -> None:
        """Start the service and wait until it answers. A second start keeps the port."""
        self._port_file.unlink(missing_ok=True)
        with (self.base_dir / "service.out").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                env={**self.env, "PIPELINE_PORT": str(self.port)},
                cwd=self.base_dir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = self._process

        def answers() -> bool:
            if process.poll() is not None:
                said = (self.base_dir / "service.out").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"the pipeline ended with {process.returncode}: {said[-2000:]}")
            if not self._port_file.exists():
                return False
            self.port = int(self._port_file.read_text(encoding="ascii"))
            return self.request("GET", self.ready_path, timeout=deadline)[0] == 200

        wait_for("answer of the pipeline", answers, deadline)

    def stop(self, grace: float = 10.0) -> None:
        """End the service, then whatever it left behind."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()
        for orphan in self.orphans():
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()
        wait_for("end of all children", lambda: not self.orphans(), grace)
        self._process = None

    def kill(self) -> None:
        """End the service alone, by SIGKILL: its ffmpeg children live on as orphans."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop and start it on the same port."""
        self.stop()
        self.start()

    def orphans(self) -> list[psutil.Process]:
        """Return the running processes that this pipeline's service started: they have its environment."""
        found = []
        for process in psutil.process_iter():
            try:
                mine = process.environ().get("PIPELINE_PORT_FILE") == str(self._port_file)
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return [process for process in found if self._process is None or process.pid != self._process.pid]

    def feed(self, jobs: int = 1, **options: Any) -> list[dict[str, Any]]:
        """Post jobs with clips made for them (see media_pipeline.feed.feed)."""
        return feed(self, self.upload_dir, str(self._ffmpeg_binary), jobs, **options)


def ffmpeg_of_imageio() -> Path:
    """The ffmpeg that the package imageio-ffmpeg brings."""
    import imageio_ffmpeg

    return Path(imageio_ffmpeg.get_ffmpeg_exe())


@contextlib.contextmanager
def running_pipeline(
    base_dir: Path, env: Mapping[str, str] | None = None, ffmpeg: Path | None = None
) -> Iterator[Pipeline]:
    """Run a pipeline in `base_dir`, with `env` on top of its settings, until the block ends."""
    pipeline = Pipeline(base_dir, env or {}, ffmpeg or ffmpeg_of_imageio())
    try:
        pipeline.start()
        yield pipeline
    finally:
        pipeline.stop()
