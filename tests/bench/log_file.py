# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A large log as the pipeline writes it: 5 % errors, and every thousandth line broken in one of the ways of a crash."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

ERROR_SHARE, BROKEN_SHARE = 0.05, 0.001
CODES = ("FFMPEG_FAILED", "STORAGE_UPLOAD_FAILED", "VALIDATION_FAILED", "PROCESSING_TIMEOUT", None)
_START = datetime(2026, 11, 24, 5, 0, 0, 1)  # noqa: DTZ001
_POOL_LINES = 40_000


def entry(number: int, chance: random.Random) -> dict[str, Any]:
    """One entry of media_processing.log."""
    session = f"{chance.getrandbits(64):016x}"
    made: dict[str, Any] = {
        "timestamp": (_START + timedelta(milliseconds=37 * number)).isoformat(),
        "level": "INFO",
        "logger": "media_pipeline.processing",
        "message": f"Stage merging of session {session} done in {chance.uniform(1, 300):.1f} s",
        "module": "jobs",
        "function": "run_stage",
        "line": chance.randrange(100, 500),
        "process_id": 4711,
        "thread_id": 139872349112064,
        "extra": {"session_id": session, "stage": "merging", "duration_seconds": round(chance.uniform(1, 400), 3)},
    }
    if chance.random() < ERROR_SHARE:
        code = chance.choice(CODES)
        made.update(
            level="ERROR", exception='Traceback (most recent call last):\n  File "jobs.py", line 3\nOSError: \\x'
        )
        made["extra"].update({"error_message": "ffmpeg ended with 1"} | ({"error_code": code} if code else {}))
    else:
        made["extra"].update(file_size_bytes=chance.getrandbits(28), video_count=3)
    return made


def lines(count: int, *, spaced: bool, broken: bool, seed: int = 1) -> bytes:
    """So many lines, in the spelling of Python's json.dumps or without spaces."""
    chance = random.Random(seed)
    separators = (", ", ": ") if spaced else (",", ":")
    made = []
    for number in range(count):
        line = json.dumps(entry(number, chance), separators=separators).encode()
        if broken and chance.random() < BROKEN_SHARE:
            ways = (
                line[: chance.randrange(len(line) - 1)],
                b"plain text",
                b"\0" * 64 + line,
                b"",
                b"[1, 2]",
                b"\xff\xfe",
            )
            line = chance.choice(ways)
        made.append(line)
    return b"\n".join(made) + b"\n"


def write_log(path: Path, size: int, *, spaced: bool = False, broken: bool = True) -> None:
    """Write a log of at least so many bytes, fast: the same lines again and again."""
    pool = lines(_POOL_LINES, spaced=spaced, broken=broken)
    with path.open("wb") as file:
        for _repeat in range(-(-size // len(pool))):
            file.write(pool)
