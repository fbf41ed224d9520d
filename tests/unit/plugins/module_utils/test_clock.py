"""The host's clock beside the controller's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.archives.log_archive import log_archive
from ansible_collections.media_ops.runbook.plugins.module_utils.clock import clock_offset, require_clock
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text


def controller(ahead_s: float) -> dict[str, Any]:
    """Options of a task whose controller is ahead of this host."""
    moment = datetime.now(UTC) + timedelta(seconds=ahead_s)
    return {"controller_time": to_text(moment), "clock_skew_max": 120.0}


def test_a_clock_that_agrees_is_trusted_and_one_that_is_off_is_not() -> None:
    require_clock(controller(0))
    require_clock(controller(-100))
    require_clock({"controller_time": None, "clock_skew_max": None})
    with pytest.raises(MediaOpsError, match=r"is 3\d{3} s ahead of the controller's .*clock_skew_max=120: nothing"):
        require_clock(controller(-3600))
    with pytest.raises(MediaOpsError, match=r"behind the controller's"):
        require_clock(controller(3600))
    assert clock_offset(controller(-3600)) == pytest.approx(3600, abs=5)
    assert clock_offset({}) is None


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"controller_time": "noon", "clock_skew_max": 120.0}, "controller_time"),
        ({"controller_time": "", "clock_skew_max": 120.0}, "controller_time"),
        ({**controller(0), "clock_skew_max": 0.0}, "clock_skew_max"),
        ({**controller(0), "clock_skew_max": float("nan")}, "clock_skew_max"),
    ],
)
def test_misuse_names_the_option(options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        require_clock(options)


def test_no_archive_goes_by_a_clock_that_is_a_year_ahead(tmp_path: Path) -> None:
    logs, archives = tmp_path / "logs", tmp_path / "archives"
    logs.mkdir()
    archives.mkdir()
    (logs / "application.log.1").write_text("a line\n")
    options = {"log_dir": str(logs), "archive_dir": str(archives), **controller(-365 * 86400)}
    with pytest.raises(MediaOpsError, match="nothing is deleted by its age"):
        log_archive(options, check_mode=False)
    assert [path.name for path in logs.iterdir()] == ["application.log.1"]
    assert list(archives.iterdir()) == []
