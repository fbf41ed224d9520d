# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP side: the monitoring API and the jobs."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse

from . import jobs as jobs_
from .config import AUTH, JOBS, MERGE_SESSION, MONITORING, Settings
from .health import Health
from .jobs import Jobs
from .logs import application, utc_text
from .monitor import LEVELS, Monitor
from .tokens import TokenError, check
from .tokens import make as make_token

_REFRESH_SECONDS = 30 * 86400


def make(monitor: Monitor, jobs: Jobs, health: Health) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="media pipeline", docs_url=None, redoc_url=None, openapi_url=None)
    protected = [Depends(_bearer(monitor.settings.jwt_secret))]
    app.include_router(_open(health), prefix=MONITORING)
    app.include_router(_auth(monitor.settings), prefix=AUTH)
    app.include_router(_monitoring(monitor, health), prefix=MONITORING, dependencies=protected)
    app.include_router(_jobs(jobs), prefix=JOBS, dependencies=protected)
    app.include_router(_merge_sessions(jobs), prefix=MERGE_SESSION, dependencies=protected)
    return app


def _bearer(secret: str) -> Callable[[Request], None]:
    def bearer(request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise HTTPException(403, "Not authenticated")
        try:
            check(token.strip(), secret)
        except TokenError as error:
            raise HTTPException(401, str(error), {"WWW-Authenticate": "Bearer"}) from error

    return bearer


def _auth(settings: Settings) -> APIRouter:
    """Tokens for whoever knows the password; without one nobody gets any."""
    router = APIRouter()

    def tokens(user: str) -> JSONResponse:
        application.info("A token was given to %s", user)
        kinds = {"access_token": ("access", settings.token_seconds), "refresh_token": ("refresh", _REFRESH_SECONDS)}
        made = {name: make_token(settings.jwt_secret, ttl, user, kind=kind) for name, (kind, ttl) in kinds.items()}
        return JSONResponse({**made, "token_type": "bearer", "expires_in": settings.token_seconds})

    @router.post("/login")
    async def post_login(request: Request) -> JSONResponse:
        given = await request.json()
        wanted = {"username": settings.user, "password": settings.password}
        if not settings.password or given != wanted:
            raise HTTPException(401, "Incorrect username or password")
        return tokens(settings.user)

    @router.post("/refresh")
    async def post_refresh(request: Request) -> JSONResponse:
        given = await request.json()
        try:
            said = check(str(given.get("refresh_token")), settings.jwt_secret, kind="refresh")
        except TokenError as error:
            raise HTTPException(401, str(error)) from error
        return tokens(str(said["sub"]))

    return router


def _open(health: Health) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    def get_health() -> JSONResponse:
        document = health.cached()
        if document["overall_status"] != "critical":
            return JSONResponse(document)
        if health.settings.health_hides_document:
            application.error("Health check failed: %s", document["summary"], extra={"details": document})
            return JSONResponse({"detail": "Health check failed"}, 500)
        return JSONResponse({"detail": document}, 503)

    return router


def _monitoring(monitor: Monitor, health: Health) -> APIRouter:
    router = APIRouter()

    @router.get("/health/detailed")
    def get_detailed() -> JSONResponse:
        return JSONResponse(health.detailed())

    @router.get("/stats")
    def get_stats(hours: int = Query(24, ge=1, le=168)) -> JSONResponse:
        return JSONResponse(monitor.stats(hours))

    @router.get("/alerts")
    def get_alerts(level: str = Query(""), limit: int = Query(50, ge=1, le=200)) -> JSONResponse:
        if level and level not in LEVELS:
            raise HTTPException(400, f"Invalid alert level: {level}. Valid levels: {', '.join(LEVELS)}")
        alerts = monitor.alerts(level or None, limit)
        counted = {"total_returned": len(alerts), "filter_level": level or None, "generated_at": utc_text()}
        return JSONResponse({"alerts": alerts, **counted})

    @router.get("/metrics/system")
    def get_metrics(hours: int = Query(24, ge=1, le=168)) -> JSONResponse:
        samples = monitor.samples(hours)
        return JSONResponse({"metrics_count": len(samples), "metrics": samples})

    @router.get("/sessions/active")
    def get_active() -> JSONResponse:
        active = monitor.active()
        return JSONResponse({"active_sessions": active, "total_active": len(active)})

    @router.post("/cleanup")
    def post_cleanup() -> JSONResponse:
        return JSONResponse(
            {
                "message": "Monitoring data cleanup completed",
                **dict(zip(CLEANED, monitor.forget_old(), strict=True)),
                "cleaned_at": utc_text(),
            }
        )

    return router


CLEANED = ("cleaned_processing_metrics", "cleaned_system_metrics", "cleaned_alerts")


def _jobs(jobs: Jobs) -> APIRouter:
    router = APIRouter()

    @router.post("")
    async def post_job(request: Request) -> JSONResponse:
        try:
            job = jobs_.parse(await request.json(), jobs.settings.upload_dir)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        jobs.submit(job)
        return JSONResponse({"session_id": job.session_id, "status": job.status}, 202)

    @router.get("/{session_id}")
    def get_job(session_id: str) -> JSONResponse:
        job = jobs.get(session_id)
        if job is None:
            raise HTTPException(404, "Session not found")
        return JSONResponse(job.document())

    return router


def _merge_sessions(jobs: Jobs) -> APIRouter:
    router = APIRouter()

    @router.delete("/{session_id}/cancel")
    def delete_session(session_id: str) -> JSONResponse:
        if not jobs.cancel(session_id):
            raise HTTPException(404, "Session not found")
        return JSONResponse({"message": "Session cancelled", "session_id": session_id})

    return router
