"""What logs and statistics say of an incident, in a line each."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.noted import noted_findings


def found(**noted: Any) -> dict[str, str]:
    rows = noted_findings(noted)
    assert {row["class"] for row in rows} <= {"noted"}
    return {row["subject"]: row["finding"] for row in rows}


# runbook: P1-1B, P1-2B, P1-2G
def test_counts_of_the_log() -> None:
    counts = {
        "extra.error_code": [{"value": "FFMPEG_FAILED", "count": 12}, {"value": "UNKNOWN", "count": 3}],
        "extra.input_format": [{"value": "mkv", "count": 5}],
        "extra.validation_error": [{"value": "too short", "count": 2}],
    }
    assert found(counts=counts) == {
        "error codes": "FFMPEG_FAILED 12, UNKNOWN 3",
        "input formats": "mkv 5",
        "validation errors": "too short 2",
    }


# runbook: P1-1C, P1-2H
def test_failures_and_file_sizes() -> None:
    failures = [
        {
            "timestamp": "2026-11-24T05:00:00",
            "message": "Stage failed",
            "extra": {"error_message": "no such codec\nmore"},
        }
    ]
    sizes = [{"extra": {"file_size_bytes": 5000}}, {"extra.file_size_bytes": 12}, {"extra": {}}, {"extra": None}]
    assert found(last_failures=failures, file_sizes=sizes) == {
        "failures": "1 of the last entries failed, newest 2026-11-24T05:00:00: no such codec more",
        "file sizes": "bytes, smallest first: 12, 5000",
    }


# runbook: P2P-1B, P2P-1D, P2P-2A, P2P-2C
def test_stages_slow_operations_and_busy_hours() -> None:
    assert found(
        stages=[{"stage": "merging", "average_duration_s": 250.4}, {"stage": "upload", "average_duration_s": 3}],
        over_limit=[
            {"extra": {"duration_seconds": 301.5, "memory_usage_mb": 900}},
            {"extra": {"duration_seconds": 412.0, "memory_usage_mb": 1200}},
        ],
        busy_metrics=[
            {"cpu_usage_percent": 90.0, "memory_usage_percent": 40.0},
            {"cpu_usage_percent": 70.0, "memory_usage_percent": 50.0},
        ],
    ) == {
        "stages": "merging 250 s, upload 3 s",
        "slow operations": "2 operations over the limit, the longest 412 s, with 1200 MB",
        "busy hours": "2 samples with active sessions: CPU 80 % on average, 90 % at most, memory 50 % at most",
    }


@pytest.mark.parametrize("nonsense", [None, 5, "text", [5], {"a": 1}, [None], [{"extra": 5}]])
@pytest.mark.parametrize("key", ["counts", "last_failures", "file_sizes", "stages", "over_limit", "busy_metrics"])
def test_what_cannot_be_read_is_no_error(key: str, nonsense: Any) -> None:
    found(**{key: nonsense})
