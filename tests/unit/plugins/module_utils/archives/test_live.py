"""Patterns and names of logs that are written to."""

from __future__ import annotations

import fnmatch

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.archives.live import may_take_a_log, rotated_from
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "*.log",
        "*.log*",
        "[a-z]*",
        "app*.log",
        "application.???",
        "*g",
        "*[!0-9]",
        "?*",
        "errors.log",
        "app2*.log",
        "*[0-9].log",
        "*.[l]og",
        "**",
    ],
)
def test_a_pattern_that_fits_a_log_without_a_rotation_is_seen(pattern: str) -> None:
    assert may_take_a_log(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "*.log.[0-9]*",
        "*.log.?",
        "*.log.*",
        "*.log-2*",
        "*.gz",
        "application.log.1",
        "*.LOG",
        "access.[0-9]*",
        "app.[0-9].log",
        "app-20[0-9]*.log",
        "*.[0-9]",
        "[.]log]",
    ],
)
def test_one_that_fits_none_is_not(pattern: str) -> None:
    assert not may_take_a_log(pattern)


@given(st.text("ab.log*?[]!-", max_size=8), st.text("ab1.", max_size=4))
def test_whatever_fits_is_seen(pattern: str, name: str) -> None:
    is_rotated = ".log" in name or ".1" in name
    assert may_take_a_log(pattern) or is_rotated or not fnmatch.fnmatchcase(f"{name}.log", pattern)


def test_what_was_rotated_from_a_log() -> None:
    names = ["app", "app.1", "x.log.2026-11-01", "x.log.10.gz", "y.log-20261101.zst", "z.log.1.bak"]
    assert rotated_from(names) == {
        "app": "app.1",
        "x.log.2026-11": "x.log.2026-11-01",
        "x.log": "x.log.10.gz",
        "y.log": names[4],
    }
