# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""python -m plain_service BASE_DIR: the watcher. Standard library only, as such scripts are.

BASE_DIR/input/NAME.mp4     what is to be done; it goes once it is done
BASE_DIR/work/JOB/          where ffmpeg works on it
BASE_DIR/output/NAME.mp4    what came of it
BASE_DIR/failed/NAME.mp4    what could not be done
BASE_DIR/logs/transcode.log a line of JSON for each thing that happens
BASE_DIR/plain.pid          the watcher's process
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import Any, NoReturn

POLL_S = 0.1
LIVE = ".live.mp4"
"""An input of such a name is read again and again as fast as it would be played, as a live source is, for an hour."""


class Watcher:
    """Takes each input once, and works on several at a time."""

    def __init__(self, base: Path, at_once: int) -> None:
        self.base = base
        self._slots = threading.BoundedSemaphore(at_once)
        self._lock = threading.Lock()
        self._taken: set[Path] = set()
        for name in ("input", "work", "output", "failed", "logs"):
            (base / name).mkdir(exist_ok=True)

    def run(self) -> NoReturn:
        """Watch until the process is ended."""
        pid_file = self.base / "plain.pid"
        pid_file.with_suffix(".new").write_text(f"{os.getpid()}\n", encoding="ascii")
        pid_file.with_suffix(".new").replace(pid_file)
        self._log("info", "watching", text=f"watching {self.base / 'input'}")
        while True:
            for path in sorted((self.base / "input").glob("*.mp4")):
                if path not in self._taken and self._slots.acquire(blocking=False):
                    self._taken.add(path)
                    threading.Thread(target=self._work_on, args=(path,), daemon=True).start()
            time.sleep(POLL_S)

    def _work_on(self, path: Path) -> None:
        job, began = uuid.uuid4().hex[:12], time.monotonic()
        work = self.base / "work" / job
        work.mkdir()
        self._log("info", "begun", job=job, step="transcode", file=path.name)
        try:
            why, said = self._transcode(path, work)
        except OSError as error:
            why, said = "NO_FFMPEG", str(error)
        took = {"took_ms": round((time.monotonic() - began) * 1000)}
        if why:
            path.replace(self.base / "failed" / path.name)
            self._log("err", "failed", job=job, step="transcode", **took, reason=why, text=said[-500:])
        else:
            (work / "out.mp4").replace(self.base / "output" / path.name)
            path.unlink()
            self._log("info", "done", job=job, step="transcode", **took, file=path.name)
        shutil.rmtree(work, ignore_errors=True)
        self._taken.discard(path)
        self._slots.release()

    def _transcode(self, path: Path, work: Path) -> tuple[str, str]:
        """Why it failed, and what ffmpeg said; "" where it did not."""
        pace = ["-re", "-stream_loop", "3600"] if path.name.endswith(LIVE) else []
        output = work / "out.mp4"
        settings = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "copy"]
        command = ["ffmpeg", "-nostdin", "-v", "error", *pace, "-i", str(path), *settings, "-y", str(output)]
        errors = work / "errors.txt"
        with errors.open("wb") as said:
            # Of a source that is none, ffmpeg's own process waits for ever, and so does this.
            code = subprocess.run(command, cwd=work, stdin=subprocess.DEVNULL, stderr=said, check=False).returncode
        if code < 0:
            return "ENDED", f"ffmpeg was ended by signal {-code}"
        return ("BAD_INPUT", errors.read_text(encoding="utf-8", errors="replace")) if code else ("", "")

    def _log(self, severity: str, event: str, **more: Any) -> None:
        line = json.dumps({"at": round(time.time() * 1000), "sev": severity, "event": event, **more})
        with self._lock, (self.base / "logs" / "transcode.log").open("a", encoding="utf-8") as log:
            log.write(line + "\n")


def main() -> NoReturn:
    """Read the command line and watch."""
    parser = argparse.ArgumentParser(prog="plain_service", description="Transcodes what lies in a directory.")
    parser.add_argument("base", type=Path, metavar="BASE_DIR")
    parser.add_argument("--at-once", type=int, default=4, metavar="N", help="inputs at a time (default 4)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
    Watcher(arguments.base.resolve(), arguments.at_once).run()


if __name__ == "__main__":
    main()
