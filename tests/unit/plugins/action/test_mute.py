"""mute: the host keeps it, the controller remembers it, and a check knows of it though the host is down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.media_ops.runbook.plugins.module_utils.times import from_text, to_text
from ansible_collections.media_ops.runbook.plugins.plugin_utils.mutes_kept import (
    Known,
    known_mutes,
    mutes_dir,
    remember_mutes,
)

from tests.unit.plugins.action.acting import INTRUDER, Run, act
from tests.unit.plugins.action.test_check import MORNING, states, whole

DOWN = {"unreachable": True, "msg": "no route to host"}
HOST = {"inventory_hostname": "media1"}


def row(text: str = "component:cloud_storage", hours: float = 1, reason: str = "MEDIA-123") -> dict[str, Any]:
    what, _colon, name = text.partition(":")
    now = datetime.now(UTC)
    until = to_text(now + timedelta(hours=hours))
    return {"what": what, "name": name, "reason": reason, "by": "alice", "since": to_text(now), "until": until}


def stands(*mutes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"changed": True, "recent": [], "mutes": list(mutes), "mutes_unreadable": "", "cleared": [], **more}


def mute(directory: Path, answer: dict[str, Any], check_mode: bool = False, **changes: Any) -> Run:
    given = {"mute": "component:cloud_storage", "reason": "MEDIA-123", "seconds": 3600, "owner": "alice"}
    given |= {"run_id": "r", "state_dir": "/s", "mutes_dir": str(directory), **changes}
    return act("mute", given, answers={"guard": {**answer, **INTRUDER}}, variables=HOST, check_mode=check_mode)


def test_the_host_keeps_it_and_the_controller_remembers_it(tmp_path: Path) -> None:
    run = mute(tmp_path / "mutes", stands(row()))
    asked = run.arguments("guard")
    kept = asked.pop("mute")
    assert asked == {"state": "muted", "state_dir": "/s", "run_id": "r"}
    since, until = from_text(kept["since"]), from_text(kept["until"])
    assert since is not None
    assert until is not None
    assert until - since == timedelta(hours=1)
    assert {key: kept[key] for key in ("what", "name", "reason", "by")} == {
        "what": "component",
        "name": "cloud_storage",
        "reason": "MEDIA-123",
        "by": "alice",
    }
    assert (run.result["changed"], run.result["reached"], len(run.result["mutes"])) == (True, True, 1)
    known, why = known_mutes(str(tmp_path / "mutes"), "media1")
    assert (why, len(known.told), known.here) == ("", 1, [])


def test_a_host_that_is_down_is_muted_on_the_controller(tmp_path: Path) -> None:
    directory = tmp_path / "mutes"
    run = mute(directory, DOWN, mute="host")
    assert (run.result["changed"], run.result["reached"]) == (True, False)
    assert [one["what"] for one in known_mutes(str(directory), "media1")[0].here] == ["host"]
    given = {**MORNING, "mutes_dir": str(directory)}
    checked = act("check", given, answers={"pipeline_info": DOWN}, variables=HOST)
    assert {state for state, _fault in states(checked).values()} == {"ok"}
    assert known_mutes(str(directory), "media2") == (Known([], []), "")
    ended = mute(directory, DOWN, state="unmuted", mute="all")
    assert (ended.result["changed"], ended.result["mutes"]) == (True, [])
    checked = act("check", given, answers={"pipeline_info": DOWN}, variables=HOST)
    assert {state for state, _fault in states(checked).values()} == {"unknown"}


def test_a_check_remembers_what_the_host_told(tmp_path: Path) -> None:
    directory = tmp_path / "mutes"
    given = {**MORNING, "mutes_dir": str(directory), "state_dir": "/s"}
    told = {**whole(), "mutes": {"state": "ok", "reason": "", "mutes": [row("host")]}}
    act("check", given, answers={"pipeline_info": told}, variables=HOST, check_mode=True)
    assert not directory.exists()
    act("check", given, answers={"pipeline_info": told}, variables=HOST)
    down = act("check", given, answers={"pipeline_info": DOWN}, variables=HOST)
    assert {state for state, _fault in states(down).values()} == {"ok"}
    assert down.result["mutes"][0]["what"] == "host"
    act("check", given, answers={"pipeline_info": {**told, "mutes": {"state": "ok", "mutes": []}}}, variables=HOST)
    down = act("check", given, answers={"pipeline_info": DOWN}, variables=HOST)
    assert {state for state, _fault in states(down).values()} == {"unknown"}, "ended elsewhere"


def test_what_neither_can_keep_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failed = mute(tmp_path / "file" / "mutes", DOWN).result
    assert failed["failed"]
    assert failed["msg"].startswith("neither the host (no route to host) nor the controller keeps it: ")
    well = mute(tmp_path / "file" / "mutes", stands(row()))
    assert well.result["reached"]


@pytest.mark.parametrize("text", ["cloud_storage", "component:", "host:media1", "all"])
def test_what_cannot_be_muted_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(AnsibleActionFail, match=f"option 'mute' is '{text}': component:NAME, check:NAME or host"):
        mute(tmp_path, stands(), mute=text)


def test_in_check_mode_the_controller_remembers_nothing(tmp_path: Path) -> None:
    mute(tmp_path / "mutes", stands(row()), check_mode=True)
    assert not (tmp_path / "mutes").exists()


@pytest.mark.parametrize("host", ["../../etc/passwd", "a/b", ".", "", "ü" * 200, "web1.example.org"])
def test_a_name_of_a_host_leads_nowhere_else(tmp_path: Path, host: str) -> None:
    directory = tmp_path / "mutes"
    remember_mutes(str(directory), host, [row()], [])
    assert [path.parent for path in tmp_path.rglob("*.json")] == [directory]
    assert len(known_mutes(str(directory), host)[0].told) == 1
    remember_mutes(str(directory), host, [], [])
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', '{"version": 1, "told": [1], "here": []}'])
def test_what_is_remembered_and_cannot_be_read_mutes_nothing(tmp_path: Path, content: str) -> None:
    remember_mutes(str(tmp_path), "media1", [row()], [])
    (path,) = tmp_path.glob("*.json")
    path.write_text(content, encoding="utf-8")
    known, why = known_mutes(str(tmp_path), "media1")
    assert known == Known([], [])
    assert "what is muted of media1 cannot be read in" in why
    remember_mutes(str(tmp_path), "media1", [row()], [])
    assert len(known_mutes(str(tmp_path), "media1")[0].told) == 1


def test_where_it_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert mutes_dir("") == "/x/media_ops/mutes"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert mutes_dir("") == str(Path.home() / ".local/state/media_ops/mutes")
    assert mutes_dir("~/m") == str(Path.home() / "m")
