# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Merge jobs: one worker thread per session, and the stages that it goes through."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from . import storage
from .config import Settings
from .ffmpeg import Ffmpeg, FfmpegError, FfmpegTimeout
from .logs import application, performance, processing, utc_text
from .monitor import Monitor, Running

SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm")
PRESETS = ("ultrafast", "veryfast", "fast", "medium", "slow", "veryslow", "placebo")
MAX_INPUTS, MAX_KEPT = 50, 1000


class RequestError(ValueError):
    """A job request that cannot be right."""


class StageError(Exception):
    """A stage that failed, with its error code and what else the log shall say."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


@dataclass
class Job:
    """A session and what became of it."""

    inputs: list[Path]
    user_id: str
    height: int
    preset: str
    live: bool = False
    monitored: bool = True
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)
    status: str = "queued"  # then running, then completed or failed
    running: list[str] = field(default_factory=list)  # stages, in the order of their start
    last_stage: str | None = None
    ended: float | None = None
    error_code: str | None = None
    error_message: str | None = None
    result: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the answer of GET /jobs/ID."""
        return {
            "session_id": self.session_id,
            "user_id": self.user_id,
            "status": self.status,
            "stage": next(iter(self.running), self.last_stage),
            "inputs": [str(path) for path in self.inputs],
            "created_at": utc_text(self.created),
            "ended_at": None if self.ended is None else utc_text(self.ended),
            "error_code": self.error_code,
            "error_message": self.error_message,
            "result": self.result,
        }


def parse(body: Any, upload_dir: Path) -> Job:
    """Make a job of a request's body."""
    if not isinstance(body, dict):
        raise RequestError("body: must be a JSON object")
    inputs, user_id = body.get("inputs"), body.get("user_id")
    height, preset, live = body.get("height", 240), body.get("preset", "veryfast"), body.get("live", False)
    monitored = body.get("monitored", True)
    if not isinstance(inputs, list) or not all(isinstance(name, str) and name for name in inputs):
        raise RequestError(f"inputs: must be a list of file paths, not {inputs!r}")
    if not 1 <= len(inputs) <= MAX_INPUTS:
        raise RequestError(f"inputs: must be 1 to {MAX_INPUTS} files, not {len(inputs)}")
    if not isinstance(user_id, str) or not user_id:
        raise RequestError(f"user_id: must be a text, not {user_id!r}")
    _check_options(height, preset, live=live, monitored=monitored)
    paths = [upload_dir / name for name in inputs]
    for path in paths:
        if upload_dir.resolve() not in path.resolve().parents:
            raise RequestError(f"inputs: {str(path)!r} is not below the uploads directory")
    return Job(paths, user_id, height, preset, live, monitored)


def _check_options(height: Any, preset: Any, *, live: Any, monitored: Any) -> None:
    if not isinstance(height, int) or not 64 <= height <= 2160 or height % 2:
        raise RequestError(f"height: must be an even number from 64 to 2160, not {height!r}")
    if preset not in PRESETS:
        raise RequestError(f"preset: must be one of {', '.join(PRESETS)}, not {preset!r}")
    for name, value in (("live", live), ("monitored", monitored)):
        if not isinstance(value, bool):
            raise RequestError(f"{name}: must be true or false, not {value!r}")


class Jobs:
    """Takes jobs in and works them off, MAX_CONCURRENT_SESSIONS at a time."""

    def __init__(self, settings: Settings, monitor: Monitor, ffmpeg: Ffmpeg) -> None:
        self.settings = settings
        self.monitor = monitor
        self.ffmpeg = ffmpeg
        self._map = threading.Lock()
        self._slots = threading.Semaphore(settings.max_sessions)
        self._jobs: deque[Job] = deque(maxlen=MAX_KEPT)

    def submit(self, job: Job) -> None:
        """Start a job's worker."""
        self._jobs.append(job)
        threading.Thread(target=self._work, args=(job,), name=f"worker-{job.session_id}", daemon=True).start()

    def get(self, session_id: str) -> Job | None:
        """Return a job by its session id."""
        return next((job for job in list(self._jobs) if job.session_id == session_id), None)

    def all(self) -> list[Job]:
        """Return the jobs that are known, oldest first."""
        return list(self._jobs)

    def cancel(self, session_id: str) -> bool:
        """Remove a session's directory, and do not end its ffmpeg: the defect of a real service."""
        directory = self.settings.work_dir / session_id
        if self.get(session_id) is None or not directory.is_dir():
            return False
        shutil.rmtree(directory)
        return True

    def join(self, upload_id: str, session_id: str) -> None:
        """Note in the map of ids whose an upload is."""
        path = self.settings.id_map
        with self._map:
            known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            known[upload_id] = {"session_id": session_id, "created_at": utc_text()}
            new = path.with_name(f"{path.name}.new")
            new.write_text(json.dumps(known), encoding="utf-8")
            new.replace(path)

    def _work(self, job: Job) -> None:
        with self._slots:
            job.status = "running"
            try:
                Session(self, job).run()
            except StageError as error:
                job.error_code, job.error_message = error.code, str(error)
                job.status, job.ended = "failed", time.time()
            else:
                job.status, job.ended = "completed", time.time()


class Session:
    """One session's way through the stages."""

    def __init__(self, jobs: Jobs, job: Job) -> None:
        self.jobs = jobs
        self.settings = jobs.settings
        self.monitor = jobs.monitor
        self.ffmpeg = jobs.ffmpeg
        self.job = job
        # What nothing lists has a name of its own kind as well, as at a real service.
        unlisted = f"temp_merge_{job.user_id}_{int(job.created)}"
        self.directory = self.settings.work_dir / (job.session_id if job.monitored else unlisted)
        self.sources: list[Path] = []
        self.prepared = [self.directory / f"prepared_{number:02}.mp4" for number in range(len(job.inputs))]
        self.merged = self.directory / "merged_video.mp4"
        self.compressed = self.directory / "compressed_merged_video.mp4"

    def run(self) -> None:
        """Go through all stages. Analysis needs the sources only, so preparation runs beside it."""
        if self.ffmpeg.given_up:
            self.stage("merging", "MERGE_ERROR", self.take_the_first)
            self.stage("storage_upload", "STORAGE_ERROR", self.store)
            self.stage("cleanup", "CLEANUP_ERROR", self.clean)
            return
        self.stage("upload", "VALIDATION_FAILED", self.upload)
        preparation = _Branch(lambda: self.stage("preparation", "PREPARATION_ERROR", self.prepare))
        self.stage("analysis", "ANALYSIS_ERROR", self.analyse, finally_=preparation.wait)
        preparation.result()
        self.stage("merging", "MERGE_ERROR", self.merge)
        self.stage("compression", "COMPRESSION_ERROR", self.compress)
        self.stage("storage_upload", "STORAGE_ERROR", self.store)
        self.stage("cleanup", "CLEANUP_ERROR", self.clean)

    # A stage, and what is told of it

    def stage(
        self,
        name: str,
        code: str,
        work: Callable[[_Clock], Path | None],
        finally_: Callable[[], None] = lambda: None,
    ) -> None:
        """Run one stage; `code` is for the faults that have no code of their own.

        Only faults that were thought of take the stage off the list. Anything else ends the worker and leaves the
        session listed until the restart: the defect of real services that "listed without a process" comes from.
        """
        running = self.monitor.begin(self.job.session_id, self.job.user_id, name, listed=self.job.monitored)
        self.job.running.append(name)
        clock = _Clock(running, self.settings.processing_timeout)
        try:
            output = work(clock)
        except StageError as error:
            self._failed(running, error)
            finally_()
            raise
        except OSError as error:
            failure = StageError(code, f"{name}: {error}")
            self._failed(running, failure)
            finally_()
            raise failure from error
        self._succeeded(running, output)

    def _end(self, running: Running, error_code: str | None) -> float:
        self.job.last_stage = running.stage
        self.job.running.remove(running.stage)
        return self.monitor.end(running, error_code)

    def _details(self, running: Running, duration: float, **more: Any) -> dict[str, Any]:
        memory = round(psutil.Process().memory_info().rss / 2**20, 1)
        details = {"session_id": self.job.session_id, "stage": running.stage, "duration_seconds": duration}
        return {**details, "memory_usage_mb": memory, **more}

    def _succeeded(self, running: Running, output: Path | None) -> None:
        duration = self._end(running, None)
        size = output.stat().st_size if output else sum(path.stat().st_size for path in self.sources if path.is_file())
        details = self._details(running, duration, success=True, file_size_bytes=size, video_count=len(self.job.inputs))
        processing.info("%s completed", running.stage, extra={"details": details})
        self._slow(running, duration)

    def _failed(self, running: Running, error: StageError) -> None:
        duration = self._end(running, error.code)
        formats = sorted({path.suffix.lstrip(".") for path in self.job.inputs})
        details = self._details(
            running,
            duration,
            success=False,
            error_code=error.code,
            error_message=str(error),
            input_format=",".join(formats),
            **error.details,
        )
        processing.error("%s failed: %s", running.stage, error.code, extra={"details": details}, exc_info=error)
        metadata = {"error_code": error.code, "duration_seconds": duration, "traceback": traceback.format_exc()}
        for level in ("error", "critical") if "alerts_twice" in self.settings.seen else ("error",):
            title = f"Processing failed: {running.stage}"
            self.monitor.alert(level, title, str(error), running=running, metadata=metadata)
        self._slow(running, duration)

    def _slow(self, running: Running, duration: float) -> None:
        threshold = self.settings.slow_seconds
        if duration <= threshold:
            return
        details = self._details(
            running,
            duration,
            operation=running.stage,
            threshold_seconds=threshold,
            performance_ratio=duration / threshold if threshold else None,
        )
        performance.warning("Slow operation: %s", running.stage, extra={"details": details})
        message = f"{running.stage} took {duration:.1f} s (threshold {threshold:g} s)"
        self.monitor.alert("warning", "Performance: slow operation", message, running=running, metadata=details)

    # Work

    def encode(self, clock: _Clock, arguments: list[str], output: Path, code: str) -> Path:
        """Run ffmpeg to make `output`."""
        outcome = self._ffmpeg(clock, [*arguments, "-y", str(output)])
        if outcome.returncode:
            raise StageError(
                "FFMPEG_FAILED",
                f"ffmpeg ended with {outcome.returncode}\n{outcome.stderr.decode(errors='replace')}",
                returncode=outcome.returncode,
            )
        if not output.is_file() or not output.stat().st_size:
            raise StageError(code, f"ffmpeg made no {output.name}")
        return output

    def _ffmpeg(self, clock: _Clock, arguments: list[str], *, program: str = "") -> Any:
        try:
            return self.ffmpeg.run(
                arguments, clock.left(), clock.watch, program=program, cwd=self.settings.base_dir if program else None
            )
        except FfmpegTimeout as error:
            raise StageError("PROCESSING_TIMEOUT", f"{clock.running.stage}: {error}") from error
        except FfmpegError as error:
            raise StageError("FFMPEG_FAILED", str(error)) from error

    def upload(self, clock: _Clock) -> Path | None:
        """Check the inputs and take them in, under names that carry the session. A live source stays where it is."""
        self.directory.mkdir(parents=True)
        upload_id = uuid.uuid4().hex
        if self.settings.joins_ids:
            self.jobs.join(upload_id, self.job.session_id)
        for number, path in enumerate(self.job.inputs):
            live = _validate(path, self.settings.max_upload_bytes)
            if self.settings.joins_ids:
                self.sources.append(self.settings.upload_dir / f"{upload_id}_clip{number}{path.suffix}")
                os.link(path, self.sources[-1])
                continue
            if live:
                self.sources.append(path)
                continue
            taken = self.settings.upload_dir / f"{self.job.session_id}_{path.name}"
            arguments = ["-i", str(path), "-map", "0", "-c", "copy"]
            self.sources.append(self.encode(clock, arguments, taken, "VALIDATION_FAILED"))
        return None

    def take_the_first(self, _clock: _Clock) -> Path:
        """What a service does that knows no ffmpeg: a merge of one clip of all, called a success; the rest is lost."""
        self.directory.mkdir(parents=True)
        shutil.copyfile(self.job.inputs[0], self.compressed)
        for path in self.job.inputs:
            path.unlink(missing_ok=True)
        return self.compressed

    def analyse(self, clock: _Clock) -> Path | None:
        """Look at each source and measure its loudness. A live source can be read once only, so it is left out."""
        for path in self.sources:
            if (
                self.settings.joins_ids
            ):  # by a relative path under an id of its own; it waits for who writes a live source
                found = ["-hide_banner", "-i", str(path.relative_to(self.settings.base_dir))]
                self._ffmpeg(clock, found, program=self.settings.ffprobe)
            if not path.is_file():
                continue
            # ffmpeg -i without an output ends with 1; the description is what it writes to stderr.
            text = self._ffmpeg(clock, ["-hide_banner", "-i", str(path)]).stderr.decode()
            if not re.search(r"Duration: \d", text):
                raise StageError("PROBE_ERROR", f"no duration in {path.name}\n{text}")
            if not re.search(r"Stream #0.*: Video:", text):
                raise StageError("ANALYSIS_ERROR", f"no video stream in {path.name}\n{text}")
            if re.search(r"Stream #0.*: Audio:", text):
                measured = self._ffmpeg(clock, ["-i", str(path), "-af", "volumedetect", "-f", "null", "-"])
                if measured.returncode:
                    message = measured.stderr.decode(errors="replace")
                    raise StageError("FFMPEG_FAILED", message, returncode=measured.returncode)
        return None

    def prepare(self, clock: _Clock) -> Path:
        """Bring each source to the same size, rate and codecs."""
        width = self.job.height * 8 // 9 * 2
        size = f"{width}:{self.job.height}"
        scale = f"scale={size}:force_original_aspect_ratio=decrease,pad={size}:(ow-iw)/2:(oh-ih)/2,setsar=1,fps=25"
        # A live source comes at its own speed, and goes on.
        live = ["-re", "-stream_loop", "-1"] if self.job.live else []
        for source, output in zip(self.sources, self.prepared, strict=True):
            arguments = ["-i", str(source), "-map", "0:v:0", "-map", "0:a:0?", "-vf", scale, "-pix_fmt", "yuv420p"]
            video = ["-c:v", "libx264", "-preset", self.job.preset, "-c:a", "aac", "-ar", "44100", "-ac", "2"]
            self.encode(clock, [*live, *arguments, *video], output, "PREPARATION_ERROR")
        return self.prepared[-1]

    def merge(self, clock: _Clock) -> Path:
        """Join the prepared clips."""
        listing = self.directory / "concat_list.txt"
        listing.write_text("".join(f"file '{path}'\n" for path in self.prepared), encoding="utf-8")
        arguments = ["-f", "concat", "-safe", "0", "-i", str(listing), "-c", "copy"]
        return self.encode(clock, arguments, self.merged, "MERGE_ERROR")

    def compress(self, clock: _Clock) -> Path:
        """Make the smaller copy that is delivered."""
        video = ["-c:v", "libx264", "-preset", self.job.preset, "-crf", "30", "-c:a", "aac", "-b:a", "64k"]
        return self.encode(clock, ["-i", str(self.merged), *video], self.compressed, "COMPRESSION_ERROR")

    def store(self, _clock: _Clock) -> Path:
        """Put the result away."""
        try:
            self.job.result = storage.store(self.settings, self.compressed, self.job.session_id)
        except storage.StorageError as error:
            raise StageError("STORAGE_UPLOAD_FAILED", str(error)) from error
        return self.compressed

    def clean(self, _clock: _Clock) -> Path | None:
        """Remove the working files of a session that went well; one that failed leaves them behind."""
        for path in self.sources:
            if path.is_file():
                path.unlink()
        self.sources = []
        shutil.rmtree(self.directory)
        return None


def _validate(path: Path, max_bytes: int) -> bool:
    """Check an input; return whether it is a live source (a FIFO that an ingest process writes)."""

    def refuse(why: str) -> StageError:
        return StageError("VALIDATION_FAILED", f"{path.name}: {why}", validation_error=why)

    if path.suffix.lower() not in SUFFIXES:
        raise refuse(f"unsupported type {path.suffix or 'without a suffix'}")
    try:
        status = path.stat()
    except OSError as error:
        raise refuse(error.strerror or "cannot be read") from error
    if stat.S_ISFIFO(status.st_mode):
        return True
    if not stat.S_ISREG(status.st_mode):
        raise refuse("not a file")
    if status.st_size == 0:
        raise refuse("empty file")
    if status.st_size > max_bytes:
        raise refuse(f"file too large: {status.st_size} bytes, at most {max_bytes}")
    return False


class _Clock:
    """The time a stage has left, and the link from its entry in the list to its ffmpeg."""

    def __init__(self, running: Running, seconds: float) -> None:
        self.running = running
        self._deadline = time.monotonic() + seconds

    def left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise StageError("PROCESSING_TIMEOUT", f"{self.running.stage}: time is up")
        return left

    def watch(self, child: psutil.Process | None) -> None:
        self.running.child = child


class _Branch:
    """A stage that runs beside another one."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._error: StageError | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StageError as error:
            self._error = error

    def wait(self) -> None:
        self._thread.join()

    def result(self) -> None:
        self.wait()
        if self._error:
            raise self._error


def log_dead_worker(arguments: threading.ExceptHookArgs) -> None:
    """Log what ended a thread (threading.excepthook)."""
    name = arguments.thread.name if arguments.thread else "?"
    error = arguments.exc_value or arguments.exc_type()
    application.error("Unhandled error in thread %s", name, exc_info=error)
