# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running service: its parts, its socket and its end."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from . import app, logs
from .config import Settings
from .ffmpeg import Ffmpeg
from .health import Health
from .jobs import Jobs, log_dead_worker
from .monitor import Monitor


class _Server(uvicorn.Server):
    """uvicorn that ends the work of its service at once when it is told to stop."""

    def __init__(self, config: uvicorn.Config, ffmpeg: Ffmpeg, stopping: threading.Event) -> None:
        super().__init__(config)
        self._ffmpeg = ffmpeg
        self._stopping = stopping
        self.ending: threading.Thread | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        if self.ending is None:
            self.ending = threading.Thread(target=self._ffmpeg.stop)
            self.ending.start()
        super().handle_exit(sig, frame)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.create_server((settings.host, settings.port), family=family, backlog=128)
    if settings.port_file:
        partial = settings.port_file.with_name(settings.port_file.name + ".new")
        partial.write_text(f"{listener.getsockname()[1]}\n", encoding="ascii")
        partial.replace(settings.port_file)
    return listener


Make = Callable[[Monitor, Jobs, Health], FastAPI]


def serve(settings: Settings, make: Make = app.make) -> None:
    """Run until SIGTERM or SIGINT, with the API that `make` gives it."""
    for directory in (settings.log_dir, settings.work_dir, settings.upload_dir):
        directory.mkdir(parents=True, exist_ok=True)
    logs.configure(settings.log_dir, settings.log_level)
    threading.excepthook = log_dead_worker
    stopping = threading.Event()
    monitor = Monitor(settings)
    ffmpeg = Ffmpeg(settings.ffmpeg, remembered=settings.ffmpeg_remembered)
    health = Health(monitor, ffmpeg)
    jobs = Jobs(settings, monitor, ffmpeg)
    # Newer versions of uvicorn raise the signal again once they are done: then it shall do no more harm.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    config = uvicorn.Config(make(monitor, jobs, health), log_config=None, lifespan="off")
    server = _Server(config, ffmpeg, stopping)
    with _listen(settings) as listener:
        logs.application.info("Service starts, pid %s, %s:%s", os.getpid(), *listener.getsockname()[:2])
        logs.application.info(
            "Settings: PROCESSING_TIMEOUT=%g MAX_CONCURRENT_SESSIONS=%d LOG_LEVEL=%s",
            *(settings.processing_timeout, settings.max_sessions, settings.log_level),
        )
        threading.Thread(target=monitor.watch, args=(stopping, health.fresh), name="sampler", daemon=True).start()
        server.run(sockets=[listener])
    stopping.set()
    ffmpeg.stop()
    if server.ending:
        server.ending.join()
    logs.application.info("Service has stopped")
