"""The verdict table of the terminal."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.result import summarise
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.table import Line, table
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import result_factory

MIXED = summarise(result_factory.mixed(), ["/var/lib/reports/report.html", "/var/lib/reports/report.md"])


def lines(summary: Any, width: int = 80) -> list[str]:
    return [line.text for line in table(summary, width)]


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_one_row_for_each_host_worst_first() -> None:
    made = lines(MIXED)
    assert made[0] == "STATE    HOST   CHECK          FINDING"
    rows = [line.split()[:3] for line in made[1 : made.index("")] if not line.startswith(" ")]
    assert rows == [
        ["CRITICAL", "media2", "overall_status"],
        ["UNKNOWN", "media3", "overall_status"],
        ["UNKNOWN", "media4", "overall_status"],
        ["OK", "media1", "overall_status"],
    ]


def test_after_the_rows_verdict_report_and_what_to_run() -> None:
    made = lines(MIXED, 120)
    assert made[made.index("") + 1 :] == [
        "CRITICAL: Daily morning health check: 1 critical, 2 unknown, 1 ok. The run fails.",
        "Report: /var/lib/reports/report.html",
        "Next:",
        "  P0 critical system (ffmpeg) on media2",
        "    ansible-playbook playbooks/incident_critical_system.yml --limit media2",
        "  P2 stuck session (sessions) on media2",
        "    ansible-playbook playbooks/incident_stuck_session.yml --limit media2",
        "  Check that the host is up and that ssh reaches it (media3)",
        "  Install python3 on the host by hand: without it no playbook works there, prepare_hosts neither (media4)",
    ]


@pytest.mark.parametrize("case", ["mixed", "hostile", "fleet"])
def test_it_keeps_to_the_width_but_for_what_is_to_be_copied(case: str) -> None:
    summary = summarise(result_factory.CASES[case](), [])
    for width in (1, 60, 80, 100, 160):
        made = lines(summary, width)
        assert all(columns(line) <= max(width, 60) for line in made if "ansible-playbook" not in line), width
        assert any(line.endswith("…") for line in made) or width == 160 or case == "mixed", width


def test_wide_characters_count_twice() -> None:
    hosts = [{"host": "視頻主機", "state": "ok", "check": "c", "message": "好" * 60}]
    (row,) = [line for line in lines({**MIXED, "hosts": hosts}, 60) if "視頻主機" in line]
    assert columns(row) <= 60


def test_many_sound_hosts_are_a_number_and_few_are_listed() -> None:
    def fine(count: int) -> list[str]:
        hosts = [{"host": f"h{n}", "state": "ok", "check": "c", "message": "m"} for n in range(count)]
        return lines({**MIXED, "state": "ok", "hosts": hosts})

    assert "OK       21 more hosts" in fine(21)
    assert sum(line.startswith("OK  ") for line in fine(20)) == 20


def test_the_state_is_what_is_coloured() -> None:
    row = next(line for line in table(MIXED, 80) if "media2" in line.text)
    assert (row.state, row.text[: row.coloured]) == ("critical", "CRITICAL")


def test_no_summary_no_table() -> None:
    assert table(None, 80) == []
    assert table("text", 80) == []


def test_another_version_is_a_plain_note() -> None:
    made = table({"schema_version": 7}, 80)
    assert made == [Line("No verdict table: the summary has schema_version 7, not 1.")]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "ok", "hosts": []},
        {"state": "fine", "hosts": [{"host": "a", "state": "ok"}]},
        {"state": "ok", "hosts": [{"host": "a", "state": "moon"}]},
        {"state": "ok", "hosts": [{"host": "a"}]},
        {"state": "ok", "hosts": "all"},
    ],
)
def test_what_is_not_known_is_never_ok(changes: dict[str, Any]) -> None:
    made = lines({**MIXED, **changes})
    assert any(line.startswith("UNKNOWN: ") for line in made)


def test_a_failure_that_is_not_told_is_not_hidden() -> None:
    assert any("Whether the run fails is not known." in line for line in lines({**MIXED, "failed": "no"}, 120))


def test_nothing_steers_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\r\n\u202eevil"
    hosts = [{"host": evil, "state": "critical", "check": evil, "message": evil}]
    summary = {**MIXED, "title": evil, "hosts": hosts, "reports": [evil], "next": [{"why": evil, "command": evil}]}
    assert all(line.isprintable() for line in lines(summary))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(["title", "state", "failed", "summary", "hosts", "next", "reports", "schema_version"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(keys, json_values, max_size=8), st.integers(-5, 300))
def test_anything_can_stand_in_the_summary(summary: dict[str, Any], width: int) -> None:
    made = lines({"schema_version": 1, **summary}, width)
    assert made
    assert all(line.isprintable() for line in made)


def test_what_is_muted_is_told_below_the_verdict() -> None:
    made = lines(summarise(result_factory.muted(), []), 120)
    assert [line for line in made if line.startswith("Muted")] == [
        "Muted on media1: check:error_rate until 2026-11-25T05:55:00Z by alice: bad inputs",
        "Muted on media1: component:cloud_storage until 2026-11-25T05:55:00Z by alice: MEDIA-123, uploads work",
        "Muted on media2: host until 2026-11-25T05:55:00Z by alice: new disk",
    ]
    row = next(line for line in made if line.startswith("OK") and "media2" in line)
    assert "Overall status: not known, Failed to connect" in row
    nonsense = [None, 5, {}, {"hosts": 7, "mute": []}, *({"mute": f"check:c{n}", "hosts": ["h"]} for n in range(20))]
    assert "and 12 more mutes" in lines({**MIXED, "muted": nonsense})
