# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of the service, all from its environment (under systemd: the environment file)."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MONITORING = "/api/v1/monitoring"
JOBS = "/api/v1/jobs"
AUTH = "/api/v1/auth"
MERGE_SESSION = "/merge-session"
MEASURES = ("PROCESSING_TIMEOUT", "MAX_CONCURRENT_SESSIONS", "LOG_LEVEL")
SEEN = frozenset({"alerts_twice", "local_times", "rate_of_few", "storage_bug"})
"""What a real service was seen to do, each by its name in PIPELINE_SEEN."""


class SettingError(ValueError):
    """A setting that cannot be right; the message names the variable and its value."""


def _number(env: Mapping[str, str], name: str, default: float, least: float, most: float = 1e9) -> float:
    text = env.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise SettingError(f"{name}={text!r}: must be a number from {least:g} to {most:g}")
    return value


def _whole(env: Mapping[str, str], name: str, default: int, least: int, most: int = 10**9) -> int:
    value = _number(env, name, default, least, most)
    if value != int(value):
        raise SettingError(f"{name}={env[name]!r}: must be a whole number")
    return int(value)


def _level(env: Mapping[str, str]) -> str:
    level = env.get("LOG_LEVEL", "").upper() or "INFO"
    if level not in logging.getLevelNamesMapping():
        raise SettingError(f"LOG_LEVEL={env['LOG_LEVEL']!r}: must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return level


@dataclass(frozen=True)
class Storage:
    """The S3 bucket that results go to."""

    bucket: str
    region: str
    endpoint_url: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """What the environment says, checked."""

    base_dir: Path
    host: str
    port: int
    port_file: Path | None
    jwt_secret: str = field(repr=False)
    user: str
    password: str = field(repr=False)
    token_seconds: float
    ffmpeg: str
    ffprobe: str
    joins_ids: bool
    ffmpeg_remembered: bool
    log_level: str
    processing_timeout: float
    max_sessions: int
    max_upload_bytes: int
    slow_seconds: float
    cpu_limits: tuple[float, float]
    memory_limits: tuple[float, float]
    disk_limits: tuple[float, float]
    temp_limit_mb: float
    health_cache_seconds: float
    health_hides_document: bool
    sample_seconds: float
    storage: Storage | None
    result_dir: Path
    seen: frozenset[str]

    @property
    def temp_dir(self) -> Path:
        """Working files, and the logs below it."""
        return self.base_dir / "temp"

    @property
    def work_dir(self) -> Path:
        """One directory per session."""
        return self.temp_dir / "video_merge"

    @property
    def log_dir(self) -> Path:
        """The JSON logs."""
        return self.temp_dir / "logs"

    @property
    def upload_dir(self) -> Path:
        """What clients put in."""
        return self.base_dir / "uploads"

    @property
    def id_map(self) -> Path:
        """Which upload is of which session, where uploads have ids of their own."""
        return self.temp_dir / "upload_sessions.json"


def _read(env: Mapping[str, str]) -> dict[str, str]:
    """What is read of the environment: a setting that is documented need not be one that the code looks at."""
    ignored = [name.strip() for name in env.get("PIPELINE_IGNORES", "").split(",") if name.strip()]
    for name in ignored:
        if name not in MEASURES:
            raise SettingError(f"PIPELINE_IGNORES={name!r}: must be of {', '.join(MEASURES)}")
    return {name: value for name, value in env.items() if name not in ignored}


def load(env: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the settings."""
    env = _read(env)
    bucket = env.get("AWS_S3_BUCKET_NAME", "")
    storage = Storage(
        bucket=bucket,
        region=env.get("AWS_S3_REGION", "") or "us-east-1",
        endpoint_url=env.get("AWS_S3_ENDPOINT_URL", ""),
        access_key=env.get("AWS_ACCESS_KEY_ID", ""),
        secret_key=env.get("AWS_SECRET_ACCESS_KEY", ""),
    )
    style = env.get("PIPELINE_HEALTH_503", "") or "document"
    if style not in ("document", "hidden"):
        raise SettingError(f"PIPELINE_HEALTH_503={style!r}: must be document or hidden")
    ids = env.get("PIPELINE_UPLOAD_IDS", "") or "own"
    if ids not in ("own", "joined"):
        raise SettingError(f"PIPELINE_UPLOAD_IDS={ids!r}: must be own or joined")
    base_dir = Path(env.get("PIPELINE_BASE_DIR", "") or ".").resolve()
    looked_for = env.get("PIPELINE_FFMPEG_LOOKED_FOR", "") or "always"
    if looked_for not in ("always", "start"):
        raise SettingError(f"PIPELINE_FFMPEG_LOOKED_FOR={looked_for!r}: must be always or start")
    seen = frozenset(env.get("PIPELINE_SEEN", "").replace(",", " ").split())
    if unknown := sorted(seen - SEEN):
        raise SettingError(f"PIPELINE_SEEN={' '.join(unknown)!r}: only {', '.join(sorted(SEEN))} were seen")
    port_file = env.get("PIPELINE_PORT_FILE", "")

    def limits(name: str, warning: float, critical: float) -> tuple[float, float]:
        # Above 100 is never reached: the way to switch a limit off on a machine that is shared with other work.
        return (
            _number(env, f"PIPELINE_{name}_WARNING", warning, 0, 1000),
            _number(env, f"PIPELINE_{name}_CRITICAL", critical, 0, 1000),
        )

    return Settings(
        base_dir=base_dir,
        host=env.get("PIPELINE_HOST", "") or "127.0.0.1",
        port=_whole(env, "PIPELINE_PORT", 8000, 0, 65535),
        port_file=Path(port_file) if port_file else None,
        jwt_secret=jwt_secret(env),
        user=env.get("PIPELINE_USER", "") or "ops",
        password=env.get("PIPELINE_PASSWORD", ""),
        token_seconds=_number(env, "PIPELINE_TOKEN_SECONDS", 14400, 1),
        ffmpeg=env.get("PIPELINE_FFMPEG", "") or "ffmpeg",
        ffprobe=env.get("PIPELINE_FFPROBE", "") or "ffprobe",
        joins_ids=ids == "joined",
        ffmpeg_remembered=looked_for == "start",
        log_level=_level(env),
        processing_timeout=_number(env, "PROCESSING_TIMEOUT", 300, 0.1),
        max_sessions=_whole(env, "MAX_CONCURRENT_SESSIONS", 4, 1, 1000),
        max_upload_bytes=_whole(env, "PIPELINE_MAX_UPLOAD_MB", 2048, 1) * 1024 * 1024,
        slow_seconds=_number(env, "PIPELINE_SLOW_SECONDS", 60, 0),
        cpu_limits=limits("CPU", 80, 90),
        memory_limits=limits("MEMORY", 85, 95),
        disk_limits=limits("DISK", 80, 90),
        temp_limit_mb=_number(env, "PIPELINE_TEMP_WARNING_MB", 10240, 0),
        health_cache_seconds=_number(env, "PIPELINE_HEALTH_CACHE_SECONDS", 60, 0),
        health_hides_document=style == "hidden",
        sample_seconds=_number(env, "PIPELINE_SAMPLE_SECONDS", 300, 0.1),
        storage=storage if bucket else None,
        result_dir=base_dir / (env.get("PIPELINE_RESULT_DIR", "") or "results"),
        seen=seen,
    )


def jwt_secret(env: Mapping[str, str] = os.environ) -> str:
    """Return the secret that tokens are signed with."""
    secret = env.get("PIPELINE_JWT_SECRET", "")
    if len(secret) < 16:
        raise SettingError("PIPELINE_JWT_SECRET: must be set, to 16 characters or more")
    return secret
