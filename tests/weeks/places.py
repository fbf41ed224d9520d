# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the lines of a host's logs are, and what the hosts have kept of their days and weeks."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .site import ARCHIVES, LOGS, STATE, Site

NUMBERED = re.compile(r'"message": "line (\d+)"')


@dataclass
class Lines:
    """All lines of one host, by what is only once in each: its number, or time, session and stage of an operation."""

    numbered: Counter[int] = field(default_factory=Counter)
    operations: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failed: set[tuple[str, str, str]] = field(default_factory=set)
    files: dict[str, int] = field(default_factory=dict)

    def read(self, name: str, content: str) -> None:
        """The lines of one file; what is no operation and has no number counts nothing."""
        lines = content.splitlines()
        self.files[name] = len(lines)
        for line in lines:
            if numbered := NUMBERED.search(line):
                self.numbered[int(numbered[1])] += 1
            elif "media_processing" in name and line.startswith("{"):
                self._operation(line)

    def _operation(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:  # torn by a power cut, or a disk that was full
            return
        extra = entry["extra"]
        if "duration_seconds" in extra:
            key = (entry["timestamp"], extra["session_id"], extra["stage"])
            self.operations[key] += 1
            if "error_code" in extra:
                self.failed.add(key)


def lines_of(site: Site, host: str) -> Lines:
    """What is in live and rotated logs, in archives, and in the copies of archives that are no more on the host."""
    found = Lines()
    root = site.root(host)
    for path in sorted((root / LOGS.lstrip("/")).iterdir()):
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        found.read(path.name, text.decode(errors="replace"))
    local = {path.name for path in (root / ARCHIVES.lstrip("/")).glob("archived_logs_*.tar.*")}
    for name in sorted(local):
        _archive(found, site, host, name, f"{ARCHIVES}/{name}")
    prefix = f"log-archives/{host}/"
    stored = site.store.keys()
    for key in stored:
        name = key.removeprefix(prefix)
        if key.startswith(prefix) and not name.endswith(".sha256") and name not in local:
            there = root / "root" / name
            there.write_bytes(site.store.content(key))
            _archive(found, site, host, f"s3/{name}", f"/root/{name}")
            there.unlink()
    return found


def _archive(found: Lines, site: Site, host: str, name: str, path: str) -> None:
    for member in site.sh(host, f"tar -tf {path}").splitlines():
        content = site.sh(host, f"tar -xOf {path} '{member}'" + (" | gzip -dc" if member.endswith(".gz") else ""))
        found.read(f"{name}:{member}", content)


def copies(site: Site, host: str) -> dict[str, bool]:
    """For each archive on a host: whether the store has the same."""
    found = {}
    stored = site.store.keys()
    for path in (site.root(host) / ARCHIVES.lstrip("/")).glob("archived_logs_*.tar.*"):
        key = f"log-archives/{host}/{path.name}"
        found[path.name] = key in stored and site.store.content(key) == path.read_bytes()
    return found


def operations_by_day(site: Site, lines: Lines) -> dict[int, tuple[int, int]]:
    """Operations, and failed ones, of each day of the site, as the lines say."""
    count: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    for key in lines.operations:
        day = site.day_of(datetime.fromisoformat(key[0]).replace(tzinfo=UTC))
        count[day] += 1
        failed[day] += key in lines.failed
    return {day: (count[day], failed[day]) for day in sorted(count)}


def kept(site: Site, host: str, kind: str) -> list[dict[str, Any]]:
    """The daily or weekly reports that a host keeps, in order."""
    paths = sorted((site.root(host) / STATE.lstrip("/")).glob(f"{kind}_report_*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def reported_by_day(site: Site, host: str) -> dict[int, tuple[int, int]]:
    """Operations, and failed ones, of each day that a host has a report of."""
    found = {}
    for report in kept(site, host, "daily"):
        day = (datetime.fromisoformat(report["day"]).date() - site.first).days
        figures = report["figures"]
        assert day not in found, report["day"]
        found[day] = (figures["total_operations"], figures["failed_operations"])
    return found
