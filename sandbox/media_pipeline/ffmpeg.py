# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ffmpeg as a child process."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


class FfmpegError(Exception):
    """It could not be started."""


class FfmpegTimeout(Exception):  # noqa: N818  (named like subprocess.TimeoutExpired)
    """It did not end in time and was killed."""


@dataclass(frozen=True)
class Outcome:
    """How an ffmpeg ended, and what it wrote."""

    returncode: int
    stdout: bytes
    stderr: bytes


class Ffmpeg:
    """Starts ffmpeg and knows its running children.

    With ``remembered`` it is looked for once, as real services do: where there was none, there is none until a restart.
    """

    def __init__(self, program: str, *, remembered: bool = False) -> None:
        self.program = program
        self.given_up = remembered and shutil.which(program) is None
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(
        self,
        arguments: Sequence[str],
        timeout: float,
        started: Callable[[psutil.Process | None], None] = lambda _child: None,
        *,
        program: str = "",
        cwd: Path | None = None,
    ) -> Outcome:
        """Run ffmpeg to its end. Its output is read when it has ended, as real services do: a full pipe blocks it.

        Args:
            arguments: of it.
            timeout: in seconds.
            started: is told its process, and None once it has ended.
            program: another one to be run instead, ffprobe for one.
            cwd: where it runs, if not where the service does.
        """
        if self.given_up:
            raise FfmpegError("no ffmpeg was found when the service started")
        program = program or self.program
        with self._lock:
            if self._stopped:
                raise FfmpegError("the service is stopping")
            try:
                child = subprocess.Popen(
                    [program, *arguments],
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            except OSError as error:
                raise FfmpegError(f"{program} cannot be started: {error.strerror}") from error
            self._children.add(child)
        try:
            try:
                started(psutil.Process(child.pid))
            except psutil.NoSuchProcess:
                started(None)
            try:
                child.wait(timeout)
            except subprocess.TimeoutExpired as error:
                raise FfmpegTimeout(f"ffmpeg did not end within {timeout:.1f} s") from error
            stdout, stderr = child.communicate()
            return Outcome(child.returncode, stdout, stderr)
        finally:
            started(None)
            if child.poll() is None:
                child.kill()
                child.communicate()
            with self._lock:
                self._children.discard(child)

    def stop(self, grace: float = 1.0) -> None:
        """End all children, and start none any more."""
        with self._lock:
            self._stopped = True
            children = list(self._children)
        for child in children:
            child.terminate()
        end = time.monotonic() + grace
        for child in children:
            try:
                child.wait(max(end - time.monotonic(), 0))
            except subprocess.TimeoutExpired:  # one that waits in open() for a FIFO's writer ignores SIGTERM
                child.kill()
