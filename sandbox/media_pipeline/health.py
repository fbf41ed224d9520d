# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The health checks. Each one really does what it reports on."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from . import storage
from .ffmpeg import Ffmpeg, FfmpegError, FfmpegTimeout
from .logs import FILES, application, utc_text
from .monitor import Document, Monitor, tree_bytes

Finding = tuple[str, str, Document]  # status, message, details


class Health:
    """All components, checked one after the other."""

    def __init__(self, monitor: Monitor, ffmpeg: Ffmpeg) -> None:
        self.monitor = monitor
        self.settings = monitor.settings
        self.ffmpeg = ffmpeg
        self._cached: tuple[float, Document] | None = None
        self._last: dict[str, tuple[float, str]] = {}  # component: when its check began, what it found
        self._lock = threading.Lock()

    def cached(self) -> Document:
        """Return a document that may be a minute old."""
        with self._lock:
            kept = self._cached
        if kept and time.monotonic() - kept[0] < self.settings.health_cache_seconds:
            return kept[1]
        document = self.fresh()
        with self._lock:
            self._cached = time.monotonic(), document
        return document

    def fresh(self) -> Document:
        """Run every check now."""
        components: dict[str, Callable[[], Finding]] = {
            "system_resources": self._system,
            "ffmpeg": self._ffmpeg,
            "cloud_storage": self._storage,
            "temp_directory": self._temp,
            "processing_pipeline": self._pipeline,
            "monitoring_system": self._monitoring,
            "log_files": self._logs,
        }
        began = time.monotonic()
        checks = [self._check(name, check) for name, check in components.items()]
        counts = {
            state: sum(check["status"] == state for check in checks) for state in ("healthy", "warning", "critical")
        }
        worst = next(
            state
            for state in ("critical", "warning", "unknown", "healthy")
            if state == "healthy" or any(check["status"] == state for check in checks)
        )
        return {
            "overall_status": worst,
            "timestamp": utc_text(),
            "total_check_time_ms": (time.monotonic() - began) * 1000,
            "checks": checks,
            "summary": {"total_checks": len(checks), **counts},
        }

    def detailed(self) -> Document:
        """Return a fresh document with what is known beside it."""
        document = self.fresh()
        status, message, _ = self._monitoring()
        samples = self.monitor.samples(1)
        document.update(
            processing_stats_24h=self.monitor.stats(24),
            recent_alerts=self.monitor.alerts(None, 10),
            monitoring_system_health={
                "status": status,
                "issues": [] if status == "healthy" else [message],
                "system_metrics": samples[-1] if samples else {},
                "recent_stats": self.monitor.stats(1),
            },
        )
        return document

    def _check(self, name: str, check: Callable[[], Finding]) -> Document:
        began = time.monotonic()
        try:
            status, message, details = check()
        except Exception as error:  # noqa: BLE001  (a check that breaks is unknown, not the end of the answer)
            application.exception("Health check of %s failed", name)
            status, message, details = "unknown", f"check failed: {error}", {}
        self._notice(name, began, status, message, details)
        return {
            "component": name,
            "status": status,
            "message": message,
            "details": details,
            "response_time_ms": (time.monotonic() - began) * 1000,
        }

    def _notice(self, name: str, began: float, status: str, message: str, details: Document) -> None:
        with self._lock:
            last, before = self._last.get(name, (0.0, "healthy"))
            if began < last:  # checks run side by side: an older finding says nothing new
                return
            self._last[name] = began, status
        if status == "critical" and before != "critical":
            application.error("%s is critical: %s", name, message, extra={"details": details})
            self.monitor.alert("critical", f"{name} is critical", message, metadata={"component": name, **details})
        elif before == "critical" and status != "critical":
            self.monitor.alert("info", f"{name} is no longer critical", message, metadata={"component": name})

    def _system(self) -> Finding:
        figures = {
            "cpu": (psutil.cpu_percent(interval=1), self.settings.cpu_limits),
            "memory": (psutil.virtual_memory().percent, self.settings.memory_limits),
            "disk": (psutil.disk_usage(str(self.settings.base_dir)).percent, self.settings.disk_limits),
        }
        details = {f"{name}_usage_percent": value for name, (value, _) in figures.items()}
        details["load_average_1m"] = os.getloadavg()[0]
        for state, index in (("critical", 1), ("warning", 0)):
            if high := [name for name, (value, limits) in figures.items() if value >= limits[index]]:
                return state, "high usage: " + ", ".join(f"{name} {figures[name][0]:.1f} %" for name in high), details
        return "healthy", "resources are within their limits", details

    def _ffmpeg(self) -> Finding:
        path = shutil.which(self.ffmpeg.program)
        try:
            outcome = self.ffmpeg.run(["-version"], 10)
        except (FfmpegError, FfmpegTimeout) as error:
            return "critical", str(error), {"path": path}
        if outcome.returncode:
            return "critical", f"ffmpeg -version ended with {outcome.returncode}", {"path": path}
        version = outcome.stdout.decode(errors="replace").partition("\n")[0]
        return "healthy", "ffmpeg runs", {"path": path, "version": version}

    def _storage(self) -> Finding:
        kept = self.settings.storage
        if "storage_bug" in self.settings.seen:
            return "critical", "'StorageClient' object has no attribute 'list_objects_v2'", {}
        if kept is None:
            return "healthy", "no bucket configured", {}
        details = {"bucket": kept.bucket, "region": kept.region}
        try:
            return "healthy", "bucket can be listed", {**details, "objects_listed": storage.list_one(kept)}
        except storage.StorageError as error:
            return "critical", str(error), details

    def _temp(self) -> Finding:
        directory = self.settings.temp_dir
        details: Document = {"path": str(directory)}
        try:
            # A real write: root may write where a permission bit says otherwise, and a full disk refuses it all.
            with tempfile.NamedTemporaryFile(dir=directory, prefix=".health-", suffix=".tmp") as probe:
                probe.write(b"x" * 4096)
                probe.flush()
            size = tree_bytes(directory) / 2**20
            details |= {"size_mb": size, "free_mb": shutil.disk_usage(directory).free / 2**20}
        except OSError as error:
            return "critical", f"temp directory cannot be written: {error.strerror}", details
        if size > self.settings.temp_limit_mb:
            return "warning", f"temp directory holds {size:.0f} MB", details
        return "healthy", "temp directory can be written", details

    def _pipeline(self) -> Finding:
        stats = self.monitor.stats(1)
        details: Document = {
            key: stats[key] for key in ("total_operations", "success_rate", "error_rate", "active_sessions")
        }
        details["max_concurrent_sessions"] = self.settings.max_sessions
        if not stats["total_operations"]:
            return "healthy", "no operations in the last hour", details
        message = f"error rate of the last hour is {stats['error_rate']:.1%}"
        if stats["error_rate"] > 0.2 and "rate_of_few" in self.settings.seen:
            return "critical", message, details
        if stats["error_rate"] > 0.5 and stats["total_operations"] >= 10:
            return "critical", message, details
        return ("warning" if stats["error_rate"] > 0.1 else "healthy"), message, details

    def _monitoring(self) -> Finding:
        age = time.time() - self.monitor.last_sample
        details = {"samples": len(self.monitor.samples(24)), "sample_interval_seconds": self.settings.sample_seconds}
        if self.monitor.last_sample and age > 2 * self.settings.sample_seconds + 60:
            return "warning", f"the last sample is {age:.0f} s old", details
        return "healthy", "samples are taken", details

    def _logs(self) -> Finding:
        sizes: dict[str, Any] = {}
        for name in FILES:
            try:
                sizes[name] = (self.settings.log_dir / name).stat().st_size
            except OSError as error:
                return "warning", f"{name}: {error.strerror}", sizes
        return "healthy", "all log files are there", sizes
