# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service's logs: JSON lines below temp/logs, rotated by rename."""

from __future__ import annotations

import json
import logging
import os
import time
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

MEGABYTE = 1024 * 1024
FILES = {  # name: (bytes, kept rotations)
    "application.log": (50 * MEGABYTE, 5),
    "media_processing.log": (100 * MEGABYTE, 10),
    "errors.log": (20 * MEGABYTE, 5),
    "performance.log": (20 * MEGABYTE, 3),
}

application = logging.getLogger("media_pipeline")
processing = logging.getLogger("media_pipeline.processing")
performance = logging.getLogger("media_pipeline.performance")


def utc_text(when: float | None = None) -> str:
    """Return a time as the service writes all of its times: ISO 8601 in UTC, without a zone mark.

    With ``local_times`` in PIPELINE_SEEN it is in the zone of the process (TZ), which the text does not tell either.
    """
    zone = None if "local_times" in os.environ.get("PIPELINE_SEEN", "") else UTC
    return datetime.fromtimestamp(time.time() if when is None else when, zone).replace(tzinfo=None).isoformat()


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry: dict[str, Any] = {
            "timestamp": utc_text(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "module": record.module,
            "function": record.funcName,
            "line": record.lineno,
            "process_id": record.process,
            "thread_id": record.thread,
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        entry["extra"] = getattr(record, "details", {})
        return json.dumps(entry, default=str)


def _handler(path: Path, formatter: logging.Formatter, size: int, kept: int, level: int = 0) -> logging.Handler:
    handler = RotatingFileHandler(path, maxBytes=size, backupCount=kept, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(formatter)
    handler.setLevel(level)
    return handler


def configure(log_dir: Path, level: str) -> None:
    """Attach the files to the loggers."""
    targets = {
        "application.log": (logging.getLogger(), 0),
        "errors.log": (logging.getLogger(), logging.ERROR),
        "media_processing.log": (processing, 0),
        "performance.log": (performance, 0),
    }
    for name, (logger, least) in targets.items():
        logger.addHandler(_handler(log_dir / name, JsonLines(), *FILES[name], least))
    # Older versions of such services write a plain log of the same name beside the directory.
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    processing.addHandler(_handler(log_dir.parent / "media_processing.log", plain, 10 * MEGABYTE, 1))
    for logger in (application, logging.getLogger("uvicorn")):
        logger.setLevel(level)
