# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts the service as a process of its own, as media_pipeline.launcher does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from media_pipeline.client import ClientError
from media_pipeline.launcher import Pipeline, ffmpeg_of_imageio

from .app import JOBS, KEY

_STATES = {"waiting": "queued", "running": "running", "done": "completed", "failed": "failed"}


class OtherService(Pipeline):
    """A running service with its directories. Jobs are told in the words of the feeder."""

    module = "other_service"
    api_path = ""
    ready_path = jobs_path = JOBS

    def token(self, ttl: float = 3600) -> str:  # noqa: ARG002  (a key does not expire)
        """Return the key of the API."""
        return self.secret

    def credential(self, token: str) -> dict[str, str]:
        """Return the header that carries the key."""
        return {KEY: token}

    def submit(self, inputs: Any, user_id: str = "feeder", **options: Any) -> str:
        """Post a job; return its id."""
        body = {"inputs": [str(path) for path in inputs], "user_id": user_id, **options}
        status, document = self.request("POST", JOBS, body)
        if status != 202:
            raise ClientError(f"POST {JOBS}: {status} {document}")
        return str(document["id"])

    def job(self, session_id: str) -> dict[str, Any]:
        """Return a job's state."""
        document = super().job(session_id)
        return {
            "session_id": document["id"],
            "status": _STATES[document["phase"]],
            "stage": document["step"],
            "error_code": document["why"],
        }

    def listed(self, session_id: str) -> list[dict[str, Any]]:
        """Return what is at work of a job, a row for each step."""
        rows = super().job(session_id)["at_work"]
        return [{"session_id": session_id, "stage": row["step"], "memory_usage_mb": row["mb"]} for row in rows]


@contextlib.contextmanager
def running_other_service(base_dir: Path, env: Mapping[str, str] | None = None) -> Iterator[OtherService]:
    """Run a service in `base_dir`, with `env` on top of its settings, until the block ends."""
    service = OtherService(base_dir, env or {}, ffmpeg_of_imageio())
    try:
        service.start()
        yield service
    finally:
        service.stop()
