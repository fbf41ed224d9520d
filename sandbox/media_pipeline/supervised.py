# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pipeline that a supervisord of its own runs, without root, so that it can be restarted by a command."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from .client import wait_for
from .config import MONITORING
from .launcher import Pipeline, ffmpeg_of_imageio

_BIN = Path(sys.executable).parent
_SETTINGS = """\
[unix_http_server]
file={place}/supervisor.sock
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{place}/supervisor.sock
[supervisord]
nodaemon=true
logfile={base}/supervisord.log
pidfile={place}/supervisord.pid
[program:media]
command={python} -m media_pipeline
directory={base}
autorestart={autorestart}
startsecs=0
stopwaitsecs=10
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={base}/service.out
"""


class SupervisedPipeline(Pipeline):
    """A pipeline below a supervisord.

    Args:
        autorestart: whether supervisord starts it anew when it dies. Without that it stays dead until it is restarted.
    """

    def __init__(self, base_dir: Path, env: Mapping[str, str], ffmpeg: Path, *, autorestart: bool = False) -> None:
        super().__init__(base_dir, env, ffmpeg)
        # A socket's path has 107 characters at most, wherever the pipeline is.
        self._place = Path(tempfile.mkdtemp(prefix="media-pipeline-", dir="/tmp"))
        self._settings = self._place / "supervisord.conf"
        self._autorestart = str(autorestart).lower()
        with socket.socket() as probe:
            probe.bind((self.host, 0))
            self.port = int(probe.getsockname()[1])

    @property
    def site(self) -> dict[str, Any]:
        """What an inventory says of this service, which no unit of systemd runs."""
        return {
            "policy_service_unit": "",
            "policy_service_user": pwd.getpwuid(os.geteuid()).pw_name,
            "policy_become": False,
            "policy_service_path": str(self.bin_dir),
            "policy_service_process": {"port": self.port},
            "policy_service_restart": self._ctl("restart"),
        }

    @property
    def pid(self) -> int:
        """The service's process id, 0 while it does not run."""
        told = subprocess.run(self._ctl("pid"), capture_output=True, text=True, check=False).stdout.strip()
        return int(told) if told.isdecimal() else 0

    def start(self, deadline: float = 60.0) -> None:
        """Start supervisord with the service, or the service alone, and wait until that answers."""
        if self._process is None:
            self._place.mkdir(mode=0o700, exist_ok=True)
            settings = {"place": self._place, "base": self.base_dir, "python": sys.executable}
            text = _SETTINGS.format(**settings, autorestart=self._autorestart)
            self._settings.write_text(text, encoding="utf-8")
            argv = [str(_BIN / "supervisord"), "--configuration", str(self._settings)]
            env = {**self.env, "PIPELINE_PORT": str(self.port)}
            self._process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        else:
            subprocess.run(self._ctl("start"), capture_output=True, check=False)
        supervisord = self._process

        def answers() -> bool:
            if supervisord.poll() is not None:
                said = (self.base_dir / "supervisord.log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"supervisord ended with {supervisord.returncode}: {said[-2000:]}")
            try:
                return self.request("GET", MONITORING + "/sessions/active", timeout=deadline)[0] == 200
            except OSError:
                return False

        wait_for("answer of the pipeline", answers, deadline)

    def kill(self) -> None:
        """End the service alone, by SIGKILL: its ffmpeg children live on as orphans, and so does supervisord."""
        process = psutil.Process(self.pid)
        process.kill()
        wait_for("end of the service", lambda: not process.is_running() or self.pid != process.pid, 10)

    def stop(self, grace: float = 30.0) -> None:
        """End supervisord with the service, then whatever they left behind."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        super().stop(grace)
        shutil.rmtree(self._place, ignore_errors=True)

    def restart(self) -> None:
        """Restart it as a person would."""
        subprocess.run(self._ctl("restart"), capture_output=True, check=True)
        self.start()

    def orphans(self) -> list[psutil.Process]:
        """The running processes that this pipeline's service started, without itself."""
        main = self.pid if self._process is not None and self._process.poll() is None else 0
        return [process for process in super().orphans() if process.pid != main]

    def _ctl(self, verb: str) -> list[str]:
        return [str(_BIN / "supervisorctl"), "-c", str(self._settings), verb, "media"]


@contextlib.contextmanager
def supervised_pipeline(
    base_dir: Path, env: Mapping[str, str] | None = None, *, autorestart: bool = False
) -> Iterator[SupervisedPipeline]:
    """Run a pipeline below a supervisord of its own until the block ends (see launcher.running_pipeline)."""
    pipeline = SupervisedPipeline(base_dir, env or {}, ffmpeg_of_imageio(), autorestart=autorestart)
    try:
        pipeline.start()
        yield pipeline
    finally:
        pipeline.stop()
