"""The errors that a log names, counted once where two logs name them."""

from __future__ import annotations

from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.details import details
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.log_errors import observe_log

from tests.unit.plugins import factories as f


# runbook: DE-2
def test_logged_errors_with_their_codes() -> None:
    counts = {"extra.error_code": [{"value": "FFMPEG_FAILED", "count": 12}, {"value": "UNKNOWN", "count": 3}]}
    log = {"state": "ok", "matched": 15, "lines": 400, "bad_lines": 2, "counts": counts}
    assert observe_log(log)["note"] == "FFMPEG_FAILED 12, UNKNOWN 3; 2 lines could not be read"
    assert details(f.result(), log)["log"]["errors"] == {"FFMPEG_FAILED": 12, "UNKNOWN": 3}
    assert observe_log({"state": "missing", "reason": "no such file"})["fault"] == "missing"
    assert observe_log({"skipped": True})["fault"] == "module_failed"


# runbook: DE-2
def test_errors_that_stand_in_their_own_log_alone_count() -> None:
    log = {"state": "ok", "matched": 2, "lines": 400, "bad_lines": 0, "counts": {}}
    more = observe_log(log, {**log, "matched": 18562})
    assert (more["value"], more["note"]) == (18562, "18562 in the log of errors, 2 in the other")
    assert observe_log(log, {**log, "matched": 2})["value"] == 2, "what stands in both is one error"
    assert observe_log(log, {"state": "missing", "reason": "no such file"}) == observe_log(log)
    unread = observe_log(log, {"state": "unreadable", "reason": "permission denied"})
    assert (unread["fault"], unread["reason"]) == ("missing", "the log of errors: permission denied")
    assert observe_log({"state": "missing", "reason": "no such file"}, log)["fault"] == "missing"
