"""Hostile answers of /sessions/active: all three readers distrust the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.api.partial import by_headers
from ansible_collections.media_ops.runbook.plugins.module_utils.api.settings import api_settings
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.active import active_sessions
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.listed import ask_sessions
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.observations import observe

from tests.unit.plugins import factories as f
from tests.unit.plugins.deletion import API, clean, make, rule, sessions_api

ROW = {"session_id": "abc", "stage": "merging", "duration_minutes": 1.0}
MERGED = {**ROW, "stage": "upload"}
NO_ID, NO_LIST = "a session of the answer has no id: ", "the answer has no list active_sessions"

# What the answer is, its rows, its count, why it is incomplete, and the fault of the observations.
HOSTILE: list[tuple[str, Any, Any, str, str]] = [
    ("no list", ..., 0, NO_LIST, "missing"),
    ("null for the list", None, 0, NO_LIST, "missing"),
    ("an object for the list", {"abc": ROW}, 1, NO_LIST, "wrong_type"),
    ("a text for the list", "abc", 3, NO_LIST, "wrong_type"),
    ("a text for a row", [ROW, "abc"], 2, NO_ID + "abc", "contradiction"),
    ("null for a row", [None], 1, NO_ID + "None", "contradiction"),
    ("a list for a row", [["abc"]], 1, NO_ID, "contradiction"),
    ("an empty row", [{}], 1, NO_ID + "{}", "contradiction"),
    ("a row without an id", [ROW, {"stage": "merging", "duration_minutes": 1.0}], 2, NO_ID, "contradiction"),
    ("null for an id", [{**ROW, "session_id": None}], 1, NO_ID, "contradiction"),
    ("a number for an id", [{**ROW, "session_id": 7}], 1, NO_ID, "contradiction"),
    ("an empty id", [{**ROW, "session_id": ""}], 1, NO_ID, "contradiction"),
    ("a blank id", [{**ROW, "session_id": " \n"}], 1, NO_ID, "contradiction"),
    ("no count", [ROW], ..., "the answer lists 1 session, and counts None", "missing"),
    ("null for the count", [ROW], None, "the answer lists 1 session, and counts None", "missing"),
    ("true for the count", [ROW], True, "the answer lists 1 session, and counts True", "wrong_type"),
    ("false for the count", [], False, "the answer lists 0 sessions, and counts False", "wrong_type"),
    ("a text for the count", [ROW], "1", "the answer lists 1 session, and counts 1", "wrong_type"),
    ("a negative count", [], -1, "the answer lists 0 sessions, and counts -1", "out_of_range"),
    ("half a session", [ROW], 1.5, "the answer lists 1 session, and counts 1.5", "wrong_type"),
    ("rows that were cut off", [ROW] * 3, 5, "the answer lists 3 sessions, and counts 5", "contradiction"),
    ("all rows cut off", [], 3, "the answer lists 0 sessions, and counts 3", "contradiction"),
    ("more rows than are counted", [ROW, MERGED], 1, "the answer lists 2 sessions, and counts 1", "contradiction"),
]  # fmt: skip


# What else an answer says, beside a list that holds together; and what may stand there without a meaning.
MORE: list[tuple[dict[str, Any], str]] = [
    ({"error": "database is away"}, "the answer says of itself error: database is away"),
    ({"errors": [{"code": 7}]}, "the answer says of itself errors: [{'code': 7}]"),
    ({"success": False}, "the answer says of itself success: false"),
    ({"total": 9}, "the answer lists 1 session, and its total is 9"),
    ({"count": 2.0}, "the answer lists 1 session, and its count is 2"),
    ({"total_count": 2}, "the answer lists 1 session, and its total_count is 2"),
    ({"total_sessions": 40}, "the answer lists 1 session, and its total_sessions is 40"),
    ({"has_more": True}, "the answer says that there is more: has_more is True"),
    ({"next": "?page=2"}, "the answer says that there is more: next is ?page=2"),
    ({"nextCursor": "abc"}, "the answer says that there is more: nextCursor is abc"),
    ({"pagination": {"hasMore": True}}, "the answer says that there is more: pagination.hasMore is True"),
    ({"meta": {"total": 9}}, "the answer lists 1 session, and its meta.total is 9"),
    ({"page": 1, "pages": 3}, "the answer says that there is more: pages is 3"),
    ({"truncated": True}, "the answer says of itself truncated: True"),
    ({"status": "partial"}, "the answer says of itself status: partial"),
    ({"complete": False}, "the answer says of itself complete: false"),
    ({"total": "9"}, "the answer lists 1 session, and its total is 9"),
    ({"Active_Sessions": [ROW, ROW]}, "the answer has activesessions twice, in different letters"),
]
NO_MORE: dict[str, Any] = {
    "error": None,
    "errors": [],
    "success": True,
    "total": 1,
    "count": 0,
    "has_more": False,
    "next": None,
    "status": "ok",
    "pages": 1,
    "meta": {"total": 1, "next": None},
    "figures": {"total": 900},
}


def document(rows: Any, total: Any) -> dict[str, Any]:
    return {key: one for key, one in {"active_sessions": rows, "total_active": total}.items() if one is not ...}


@pytest.mark.parametrize(("rows", "total", "reason", "fault"), [h[1:] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
def test_an_answer_that_may_not_list_all_sessions_is_believed_by_nobody(
    tmp_path: Path, rows: Any, total: Any, reason: str, fault: str
) -> None:
    answer = document(rows, total)
    found = active_sessions(answer)
    assert not found.complete
    assert found.reason.startswith(reason)

    make(tmp_path / "work/other/old.tmp")
    with sessions_api(answer) as url:
        asked = ask_sessions(api_settings({**API, "api_url": url}, warn=print, hide=print))
        cleaned = clean(
            rule(tmp_path / "work", "*.tmp", age_of="mtime"), api_url=url, sessions_dir=str(tmp_path / "work")
        )
    assert (asked.state, asked.reason, asked.sessions) == ("invalid", found.reason, {})
    assert (cleaned["api"]["state"], cleaned["protected_all"]) == ("invalid", True)
    assert cleaned["rules"][0]["skipped"] == {"session": 1}
    assert (tmp_path / "work/other/old.tmp").exists()

    seen = observe(f.result(sessions=f.answer(answer)), age_max_s=300, skew_max_s=120)
    for name in ("active_sessions", "longest_session"):
        assert (seen[name]["value"], seen[name]["fault"]) == (None, fault)
        assert fault != "contradiction" or seen[name]["reason"] == f"sessions: {found.reason}"


@pytest.mark.parametrize(("more", "reason"), MORE)
def test_an_answer_that_says_that_it_is_not_all_is_believed_by_nobody(
    tmp_path: Path, more: dict[str, Any], reason: str
) -> None:
    answer = {**document([ROW], 1), **more}
    assert active_sessions(answer) == ({"abc": [ROW]}, False, reason)
    make(tmp_path / "work/other/old.tmp")
    with sessions_api(answer) as url:
        asked = ask_sessions(api_settings({**API, "api_url": url}, warn=print, hide=print))
        cleaned = clean(rule(tmp_path / "work", age_of="mtime"), api_url=url, sessions_dir=str(tmp_path / "work"))
    assert (asked.state, asked.reason) == ("invalid", reason)
    assert cleaned["api"]["reason"].startswith(reason)
    assert cleaned["rules"][0]["skipped"] == {"session": 1}
    seen = observe(f.result(sessions=f.answer(answer)), age_max_s=300, skew_max_s=120)
    assert (seen["active_sessions"]["fault"], seen["active_sessions"]["value"]) == ("contradiction", None)


def test_what_says_of_no_more_sessions_is_no_fault() -> None:
    assert active_sessions({**document([ROW], 1), **NO_MORE}) == ({"abc": [ROW]}, True, "")


@pytest.mark.parametrize(
    ("rows", "total", "ids"), [([], 0, []), ([ROW], 1, ["abc"]), ([ROW, MERGED], 2, ["abc"]), ([ROW], 1.0, ["abc"])]
)
def test_a_whole_answer_is_believed_by_all(tmp_path: Path, rows: Any, total: Any, ids: list[str]) -> None:
    answer = document(rows, total)
    assert active_sessions(answer) == (dict.fromkeys(ids, rows), True, "")
    make(tmp_path / "work/other/old.tmp")
    with sessions_api(answer) as url:
        asked = ask_sessions(api_settings({**API, "api_url": url}, warn=print, hide=print))
        cleaned = clean(
            rule(tmp_path / "work", "*.tmp", age_of="mtime"), api_url=url, sessions_dir=str(tmp_path / "work")
        )
    assert (asked.state, list(asked.sessions)) == ("ok", ids)
    assert (cleaned["api"]["state"], cleaned["protected_sessions"], cleaned["protected_all"]) == ("ok", ids, False)
    assert not (tmp_path / "work/other/old.tmp").exists()
    seen = observe(f.result(sessions=f.answer(answer)), age_max_s=300, skew_max_s=120)
    assert (seen["active_sessions"]["value"], seen["active_sessions"]["fault"]) == (len(rows), "")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (
            {"Link": '</x?page=2>; rel="next"'},
            'the answer says that there is more: its header Link is </x?page=2>; rel="next"',
        ),
        ({"Link": "</x>; rel=self"}, ""),
        ({"X-Total-Count": "9"}, "the answer lists 1 session, and its header X-Total-Count is 9"),
        ({"X-Total-Count": "1", "Age": "0"}, ""),
        ({"Age": "600"}, "the answer comes out of a cache, where it has been for 600 s"),
    ],
)
def test_what_the_headers_of_an_answer_say_of_its_list_counts(headers: dict[str, str], reason: str) -> None:
    assert by_headers(headers, 1) == reason
