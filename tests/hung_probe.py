"""An ffprobe of a sandbox pipeline that hangs under the id of an upload, as the service's map of ids assigns it."""

from __future__ import annotations

import json
from typing import NamedTuple

import psutil
from media_pipeline.client import wait_for
from media_pipeline.feed import fifo
from media_pipeline.launcher import Pipeline


class HungProbe(NamedTuple):
    """The session, and the process that works on it."""

    session_id: str
    process: psutil.Process


def hung_probe(pipeline: Pipeline) -> HungProbe:
    """Give a pipeline with PIPELINE_UPLOAD_IDS=joined an input that never comes, and wait until its ffprobe hangs."""
    (pipeline.bin_dir / "ffprobe").unlink()
    (pipeline.bin_dir / "ffprobe").symlink_to(pipeline.ffmpeg.resolve())
    session_id = pipeline.submit([fifo("", pipeline.upload_dir / "live.mp4")])
    ids = pipeline.temp_dir / "upload_sessions.json"
    (upload_id,) = json.loads(wait_for("map", lambda: ids.is_file() and ids.read_text(encoding="utf-8")))

    def probing() -> list[psutil.Process]:
        children = psutil.Process(pipeline.pid).children()
        return [one for one in children if one.cmdline()[-1:] == [f"uploads/{upload_id}_clip0.mp4"]]

    (process,) = wait_for("ffprobe", probing)
    return HungProbe(session_id, process)
