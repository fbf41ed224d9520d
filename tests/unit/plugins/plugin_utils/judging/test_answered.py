"""A recovery answers the alerts of the cause that was treated, and no others."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.answered import causes_of, is_answered

from tests.unit.plugins.policy import policy

CODES = policy()["policy_error_causes"]


@pytest.mark.parametrize(
    ("alert", "causes"),
    [
        ({"metadata": {"component": "ffmpeg"}, "title": "x"}, {"ffmpeg"}),
        ({"metadata": {"error_code": "STORAGE_ERROR"}, "title": "Processing failed: ffmpeg"}, {"cloud_storage"}),
        ({"title": "Processing failed: merging", "message": "FFMPEG_FAILED: exit 1"}, {"ffmpeg"}),
        ({"title": "x", "message": "FFMPEG_FAILED after STORAGE_ERROR"}, set()),
        ({"title": "Cloud storage is critical"}, {"cloud_storage"}),
        ({"title": "High disk usage"}, {"system_resources", "temp_directory", "log_files"}),
        ({"title": "High memory usage"}, {"system_resources"}),
        ({"title": "ffmpeg and cloud_storage are critical"}, set()),
        ({"title": "Something else", "message": "the disk of ffmpeg", "metadata": {"component": "new"}}, set()),
        ({"metadata": {"component": ["ffmpeg"], "error_code": {}}}, set()),
        ({}, set()),
    ],
)
def test_what_an_alert_is_about(alert: dict[str, Any], causes: set[str]) -> None:
    assert causes_of(alert, CODES) == causes


def test_a_component_that_shows_what_others_lack_is_answered_with_them() -> None:
    alert = {"metadata": {"component": "processing_pipeline"}, "timestamp": "2026-11-24T05:50:00"}
    for cause, answered in (("ffmpeg", True), ("processing_pipeline", True), ("system_resources", False), ("", False)):
        recovered = [{"at": "2026-11-24T05:51:00Z", "cause": cause}]
        assert bool(is_answered(alert, recovered, CODES)) is answered, cause
    assert not is_answered({**alert, "timestamp": None}, [{"at": "2026-11-24T05:51:00Z", "cause": "ffmpeg"}], CODES)
    assert not is_answered(alert, [{"at": "2026-11-24T05:49:00Z", "cause": "ffmpeg"}], CODES)


def test_a_recovery_whose_cause_is_no_text_answers_nothing() -> None:
    alert = {"metadata": {"component": "ffmpeg"}, "timestamp": "2026-11-24T05:50:00"}
    odd: list[Any] = [[], {}, None, ["ffmpeg"]]
    for cause in odd:
        assert is_answered(alert, [{"at": "2026-11-24T05:55:00Z", "cause": cause}], {}) is None
