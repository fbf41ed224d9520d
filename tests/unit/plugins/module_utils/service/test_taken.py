"""Whether a service is seen to take a setting: by which lines, of which run, and what does not prove it."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.service import taken
from ansible_collections.media_ops.runbook.plugins.module_utils.service.rules import Rule, read_rules
from ansible_collections.media_ops.runbook.plugins.module_utils.service.taken import pattern, shown_in

from tests.unit.plugins.policy import policy

RULES = read_rules("allowed", policy()["policy_overrides_allowed"])
TIMEOUT = {"PROCESSING_TIMEOUT": pattern("PROCESSING_TIMEOUT", "600", RULES["PROCESSING_TIMEOUT"])}


@pytest.mark.parametrize(
    ("line", "shows"),
    [
        ("Settings: PROCESSING_TIMEOUT=600 MAX_CONCURRENT_SESSIONS=4", True),
        ('{"extra": {"processing_timeout": 600.0}}', True),
        ("processing timeout: 600 s", True),
        ("ProcessingTimeout -> 600", True),
        ("PROCESSING_TIMEOUT=6000", False),
        ("PROCESSING_TIMEOUT=600.5", False),
        ("PROCESSING_TIMEOUT=300", False),
        ('"error_code": "PROCESSING_TIMEOUT", "duration_seconds": 600', False),
        ("PROCESSING_TIMEOUT after 600 s", False),
        ("MY_PROCESSING_TIMEOUT=600", False),
    ],
)
def test_a_line_shows_a_setting_by_its_name_right_before_its_value(line: str, shows: bool) -> None:
    assert bool(TIMEOUT["PROCESSING_TIMEOUT"].search(line)) is shows


def test_what_follows_from_a_setting_shows_it_for_that_value_alone() -> None:
    line = json.dumps({"level": "DEBUG", "message": "x"})
    assert pattern("LOG_LEVEL", "DEBUG", RULES["LOG_LEVEL"]).search(line)
    assert not pattern("LOG_LEVEL", "WARNING", RULES["LOG_LEVEL"]).search(line)
    assert not pattern("LOG_LEVEL", "DEBUG", Rule(0, 0, ("DEBUG",), "")).search(line)
    with pytest.raises(OptionError, match="shown_by needs regular expressions"):
        read_rules("allowed", {"X": {"type": "choice", "choices": ["A"], "shown_by": {"A": "("}}})


class Site:
    """A service that began ten seconds ago, with a log and a journal."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = directory / "application.log"
        self.journal: list[str] = []
        started = (time.monotonic() - 10) * 1e6
        self.properties = {"ExecMainStartTimestampMonotonic": f"{started:.0f}", "InvocationID": "now"}
        monkeypatch.setattr(taken, "lines_of_run", lambda _unit, run: iter(self.journal if run == "now" else []))

    def write(self, seconds_ago: float, message: str) -> None:
        at = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).replace(tzinfo=None).isoformat()
        with self.log.open("a") as file:
            file.write(json.dumps({"timestamp": at, "level": "INFO", "message": message}) + "\n")

    def seen(self, patterns: dict[str, re.Pattern[str]] | None = None, within: float = 0) -> dict[str, str]:
        return shown_in(
            TIMEOUT if patterns is None else patterns,
            "u",
            self.properties,
            [str(self.log), "/nonexistent/x.log"],
            within,
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def test_only_lines_of_this_run_count(site: Site) -> None:
    assert site.seen() == {}, "no log, no journal"
    site.write(60, "PROCESSING_TIMEOUT=600")  # the run before, which an override had as well
    with site.log.open("a") as file:
        file.write('PROCESSING_TIMEOUT=600 without a time\n{"message": "PROCESSING_TIMEOUT=600"}\n[1]\n')
    assert site.seen() == {}
    site.write(5, "PROCESSING_TIMEOUT=600")
    assert site.seen() == {"PROCESSING_TIMEOUT": str(site.log)}
    site.properties["ExecMainStartTimestampMonotonic"] = "0"
    assert site.seen() == {}, "when it began is not known"


@pytest.mark.parametrize("field", ["time", "created", "timeMillis"])
def test_the_time_of_a_line_is_read_as_that_of_every_log(site: Site, field: str) -> None:
    unit = 1000 if field == "timeMillis" else 1
    for seconds_ago, shown in ((60, {}), (5, {"PROCESSING_TIMEOUT": str(site.log)})):
        at = int((time.time() - seconds_ago) * unit)
        site.log.write_text(json.dumps({field: at, "message": "PROCESSING_TIMEOUT=600"}), encoding="utf-8")
        assert site.seen() == shown


def test_the_journal_shows_it_and_what_shows_later_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.journal = ["PROCESSING_TIMEOUT=600"]
    assert site.seen() == {"PROCESSING_TIMEOUT": "journal"}
    site.journal = []
    monkeypatch.setattr(time, "sleep", lambda _seconds: site.write(0, "PROCESSING_TIMEOUT=600"))
    assert site.seen(within=2) == {"PROCESSING_TIMEOUT": str(site.log)}


def test_a_setting_that_is_not_read_never_shows(site: Site) -> None:
    site.write(5, "Settings: PROCESSING_TIMEOUT=300 LOG_LEVEL=INFO")
    both: dict[str, Any] = {**TIMEOUT, "LOG_LEVEL": pattern("LOG_LEVEL", "INFO", RULES["LOG_LEVEL"])}
    assert site.seen(both) == {"LOG_LEVEL": str(site.log)}
