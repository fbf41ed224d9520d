# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of the service that cannot be meant, or not be answered."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.service.service_control import service_control

OPTIONS: dict[str, Any] = {
    "unit": "media-processing-service",
    "process": None,
    "restart_command": [],
    "restart_as_root": False,
    "state": "observed",
    "samples": 1,
    "interval": 1,
    "timeout": 10,
    "kill_after": 1,
    "reason": None,
    "steps": [],
    "plan_hash": None,
    "only_needed": False,
    "health": True,
    "health_timeout": 0.3,
    "health_tries": 2,
    "api_url": "http://localhost:8000/api/v1/monitoring",
    "health_path": "/health",
    "programs": ["ffmpeg", "ffprobe"],
    "work_dir": None,
    "unlisted": ["temp_merge_*"],
    "changed_within": 300,
    "busy_percent": 1,
    "lost_sessions": [],
    "drain": 0,
    "merges_max": None,
}


@pytest.mark.parametrize(
    ("option", "value"),
    [("unit", "a b"), ("unit", ""), ("samples", 0), ("interval", 0), ("timeout", float("nan")), ("kill_after", -1)],
)
def test_misuse_names_the_option(option: str, value: Any) -> None:
    with pytest.raises(OptionError) as error:
        service_control({**OPTIONS, option: value})
    assert error.value.details["option"] == option


def test_systemd_that_does_not_answer_is_unknown_and_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    found = service_control({**OPTIONS, "state": "force_restarted"})
    assert (found["changed"], found["verified"], found["service"]["class"]) == (False, False, "unknown")
    assert "systemd cannot be asked" in found["msg"]
