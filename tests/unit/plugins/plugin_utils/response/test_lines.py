"""How automation stands, in lines for people."""

from __future__ import annotations

from typing import Any

from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.ledger import bounded
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.lines import automation_lines

STANDS: dict[str, Any] = {"lease": None, "pause": None, "recent": [], "repeated": {}, "bad_lines": 0}
MUTE = {"what": "check", "name": "clock", "reason": "MEDIA-123", "by": "alice", "until": "2026-11-25T06:00:00Z"}


def test_what_is_muted_is_told_and_that_nothing_is() -> None:
    assert "Nothing is muted" in automation_lines(STANDS)
    muted = automation_lines({**STANDS, "mutes": [MUTE], "mutes_unreadable": ""})
    assert "Muted: check:clock muted until 2026-11-25T06:00:00Z by alice: MEDIA-123" in muted
    unread = automation_lines({**STANDS, "mutes": [], "mutes_unreadable": "mutes.json cannot be read"})
    assert "Muted: not known, and so nothing is: mutes.json cannot be read" in unread


def test_a_proof_is_in_plain_words() -> None:
    proof = {
        "lines": ["is the program ffmpeg", "descends from the process 7"],
        "state": "blocked_on_pipe",
        "skipped": [],
    }
    assert bounded(proof) == {
        "lines": "is the program ffmpeg, descends from the process 7",
        "state": "blocked_on_pipe",
    }
