# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP side: other paths, names, units and words than the runbook's, a key for a token, no alerts, no metrics."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from media_pipeline import jobs as jobs_
from media_pipeline.health import Health
from media_pipeline.jobs import Job, Jobs
from media_pipeline.monitor import Monitor

JOBS = "/v2/jobs"
KEY = "X-Api-Key"
_WORDS = {"healthy": "fine", "warning": "strained", "critical": "failing", "unknown": "unclear"}
_PHASES = {"queued": "waiting", "running": "running", "completed": "done", "failed": "failed"}


def make(monitor: Monitor, jobs: Jobs, health: Health) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="other service", docs_url=None, redoc_url=None, openapi_url=None)

    def key(request: Request) -> None:
        if not hmac.compare_digest(request.headers.get(KEY, ""), monitor.settings.jwt_secret):
            raise HTTPException(401, "wrong key")

    app.include_router(_open(health))
    app.include_router(_numbers(monitor), dependencies=[Depends(key)])
    app.include_router(_jobs(jobs, monitor), prefix=JOBS, dependencies=[Depends(key)])
    return app


def _open(health: Health) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz")
    def get_health() -> JSONResponse:
        document = health.fresh()
        parts = [
            {"name": check["component"], "state": _WORDS[check["status"]], "note": check["message"]}
            for check in document["checks"]
        ]
        state = _WORDS[document["overall_status"]]
        said = {"state": state, "as_of": _milliseconds(document["timestamp"]), "parts": parts}
        return JSONResponse(said, 503 if state == "failing" else 200)

    return router


def _numbers(monitor: Monitor) -> APIRouter:
    router = APIRouter()

    @router.get("/v2/numbers")
    def get_numbers(last_minutes: int = Query(1440, ge=60, le=10080)) -> JSONResponse:
        stats = monitor.stats(last_minutes // 60)
        failed = stats.get("failed_operations", 0)
        steps = {
            name: {"runs": row["count"], "took_ms": row["average_duration"] * 1000}
            for name, row in stats["stage_breakdown"].items()
        }
        return JSONResponse(
            {
                "as_of": _milliseconds(stats["generated_at"]),
                "steps_done": {"good": stats["total_operations"] - failed, "bad": failed},
                "bad_percent": stats["error_rate"] * 100,
                "took_ms": stats["average_duration"] * 1000,
                "steps": steps,
                "reasons": [{"why": code, "times": times} for code, times in stats["error_breakdown"].items()],
            }
        )

    return router


def _jobs(jobs: Jobs, monitor: Monitor) -> APIRouter:
    router = APIRouter()

    def document(job: Job) -> dict[str, Any]:
        at_work = [row for row in monitor.active() if row["session_id"] == job.session_id]
        return {
            "id": job.session_id,
            "phase": _PHASES[job.status],
            "step": next(iter(job.running), job.last_stage),
            "at_work": [{"step": row["stage"], "mb": row["memory_usage_mb"]} for row in at_work],
            "begun": round(job.created * 1000),
            "why": job.error_code,
        }

    @router.post("")
    async def post_job(request: Request) -> JSONResponse:
        try:
            job = jobs_.parse(await request.json(), jobs.settings.upload_dir)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        jobs.submit(job)
        return JSONResponse(document(job), 202)

    @router.get("")
    def get_jobs() -> JSONResponse:
        return JSONResponse([document(job) for job in jobs.all()])

    @router.get("/{job_id}")
    def get_job(job_id: str) -> JSONResponse:
        job = jobs.get(job_id)
        if job is None:
            raise HTTPException(404, "no such job")
        return JSONResponse(document(job))

    return router


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
