# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the service remembers of its work. All of it is in memory: a restart loses it."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from .config import Settings
from .logs import application, utc_text

STAGES = ("upload", "analysis", "preparation", "merging", "compression", "storage_upload", "cleanup")
LEVELS = ("info", "warning", "error", "critical")
DAY = 24 * 3600
MAX_OPERATIONS, MAX_ALERTS = 1000, 500

Document = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One stage of one session that has ended."""

    stage: str
    ended: float
    duration: float
    error_code: str | None


@dataclass
class Running:
    """One stage of one session that is listed as running."""

    session_id: str
    user_id: str
    stage: str
    started: float = field(default_factory=time.time)
    child: psutil.Process | None = None

    def document(self) -> Document:
        """Return the entry of GET /sessions/active."""
        age = max(time.time() - self.started, 0.001)
        memory = cpu = 0.0
        try:
            if self.child is not None:
                memory = self.child.memory_info().rss / 2**20
                times = self.child.cpu_times()
                cpu = 100 * (times.user + times.system) / max(time.time() - self.child.create_time(), 0.01)
        except psutil.Error:  # it has ended since
            pass
        return {
            "session_id": self.session_id,
            "user_id": self.user_id,
            "stage": self.stage,
            "start_time": utc_text(self.started),
            "duration_seconds": age,
            "duration_minutes": age / 60,
            "memory_usage_mb": memory,
            "cpu_usage_percent": cpu,
        }


def tree_bytes(root: Path) -> int:
    """Return the size of all files below `root`; what vanishes meanwhile counts nothing."""

    def sizes() -> Iterator[int]:
        for path in root.rglob("*"):
            try:
                yield path.lstat().st_size if not path.is_dir() else 0
            except OSError:
                continue

    return sum(sizes())


class Monitor:
    """Operations, alerts, samples and running stages."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.last_sample = 0.0
        self._lock = threading.Lock()
        self._operations: deque[Operation] = deque(maxlen=MAX_OPERATIONS)
        self._alerts: deque[tuple[float, Document]] = deque(maxlen=MAX_ALERTS)
        self._samples: deque[tuple[float, Document]] = deque()
        self._running: list[Running] = []

    # Running stages

    def begin(self, session_id: str, user_id: str, stage: str, *, listed: bool = True) -> Running:
        """List a stage as running, unless nobody is to know of it."""
        running = Running(session_id, user_id, stage)
        with self._lock:
            self._running += [running] if listed else []
        return running

    def end(self, running: Running, error_code: str | None = None) -> float:
        """Take a stage off the list and remember it; return how long it took."""
        now = time.time()
        operation = Operation(running.stage, now, max(now - running.started, 0.0), error_code)
        with self._lock:
            if running in self._running:
                self._running.remove(running)
                self._operations.append(operation)
        return operation.duration

    def active(self) -> list[Document]:
        """Return the running stages, longest first."""
        with self._lock:
            running = list(self._running)
        return [entry.document() for entry in sorted(running, key=lambda entry: entry.started)]

    # Figures

    def stats(self, hours: int) -> Document:
        """Return the document of GET /stats."""
        now = time.time()
        with self._lock:
            done = [operation for operation in self._operations if operation.ended >= now - hours * 3600]
            active = len(self._running)
        failed = sum(operation.error_code is not None for operation in done)
        document: Document = {
            "time_period_hours": hours,
            "generated_at": utc_text(now),
            "total_operations": len(done),
            "success_rate": (len(done) - failed) / len(done) if done else 0.0,
            "error_rate": failed / len(done) if done else 0.0,
            "average_duration": sum(operation.duration for operation in done) / len(done) if done else 0.0,
            "stage_breakdown": {},
            "error_breakdown": dict(Counter(operation.error_code for operation in done if operation.error_code)),
            "active_sessions": active,
        }
        if done:
            document.update(successful_operations=len(done) - failed, failed_operations=failed)
        for stage in STAGES:
            if here := [operation for operation in done if operation.stage == stage]:
                durations = [operation.duration for operation in here]
                document["stage_breakdown"][stage] = {
                    "count": len(here),
                    "success_count": sum(operation.error_code is None for operation in here),
                    "average_duration": sum(durations) / len(durations),
                    "max_duration": max(durations),
                    "min_duration": min(durations),
                }
        return document

    # Alerts

    def alert(
        self,
        level: str,
        title: str,
        message: str,
        *,
        running: Running | None = None,
        metadata: Document | None = None,
    ) -> None:
        """Raise an alert."""
        now = time.time()
        document = {
            "id": str(uuid.uuid4()),
            "level": level,
            "title": title,
            "message": message,
            "timestamp": utc_text(now),
            "session_id": running.session_id if running else None,
            "user_id": running.user_id if running else None,
            "stage": running.stage if running else None,
            "metadata": metadata or {},
        }
        with self._lock:
            self._alerts.append((now, document))

    def alerts(self, level: str | None, limit: int) -> list[Document]:
        """Return the newest alerts first."""
        with self._lock:
            found = [document for _, document in reversed(self._alerts) if level in (None, document["level"])]
        return found[:limit]

    # Samples

    def sample(self) -> Document:
        """Take a sample of the system, and raise an alert for each figure above its limit."""
        now = time.time()
        with self._lock:
            active = len(self._running)
        document: Document = {
            "timestamp": utc_text(now),
            "cpu_usage_percent": psutil.cpu_percent(interval=0.2),
            "memory_usage_percent": psutil.virtual_memory().percent,
            "disk_usage_percent": psutil.disk_usage(str(self.settings.base_dir)).percent,
            "active_sessions": active,
            "temp_dir_size_mb": tree_bytes(self.settings.temp_dir) / 2**20,
        }
        with self._lock:
            self._samples.append((now, document))
            while self._samples[0][0] < now - DAY:
                self._samples.popleft()
            self.last_sample = now
        limits = self.settings.cpu_limits, self.settings.memory_limits, self.settings.disk_limits
        for name, (warning, critical) in zip(("cpu", "memory", "disk"), limits, strict=True):
            value = document[f"{name}_usage_percent"]
            level = "critical" if value >= critical else "warning" if value >= warning else ""
            if level:
                message = f"{name} usage is {value:.1f} % (warning {warning:g} %, critical {critical:g} %)"
                self.alert(level, f"High {name} usage", message, metadata=document)
        return document

    def samples(self, hours: int) -> list[Document]:
        """Return the samples of the last hours, oldest first."""
        since = time.time() - hours * 3600
        with self._lock:
            return [document for when, document in self._samples if when >= since]

    def watch(self, stopping: threading.Event, also: Callable[[], object]) -> None:
        """Sample at start and at each interval, and call `also` after it, until `stopping` is set."""
        while True:
            try:
                self.sample()
                also()
            except Exception:  # noqa: BLE001  (the next sample may succeed)
                application.exception("Sampling failed")
            if stopping.wait(self.settings.sample_seconds):
                return

    # Cleanup

    def forget_old(self) -> tuple[int, int, int]:
        """Drop what is older than a day; return how many operations, samples and alerts went."""
        since = time.time() - DAY
        with self._lock:
            operations = [operation for operation in self._operations if operation.ended >= since]
            samples = [entry for entry in self._samples if entry[0] >= since]
            alerts = [entry for entry in self._alerts if entry[0] >= since]
            gone = (
                len(self._operations) - len(operations),
                len(self._samples) - len(samples),
                len(self._alerts) - len(alerts),
            )
            self._operations = deque(operations, MAX_OPERATIONS)
            self._samples = deque(samples)
            self._alerts = deque(alerts, MAX_ALERTS)
        return gone
