"""The guards of a host: real files, real processes that race."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.state import guard as guarding
from ansible_collections.media_ops.runbook.plugins.module_utils.state.held import held_on_record
from ansible_collections.media_ops.runbook.plugins.module_utils.state.mutes import mutes_on_record
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text

DEFAULTS: dict[str, Any] = {
    "ttl": 900,
    "hours": 24,
    "ledger_max_bytes": 1 << 20,
    "actions": [],
    "caps": [],
    "entries": [],
}
NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
RESTART_CAP = [{"action": "restart", "at_most": 1, "within": 3600.0}]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that tests move, in seconds."""
    moment = {"now": NOW}
    monkeypatch.setattr(guarding, "utc_now", lambda: moment["now"])

    def move(seconds: float) -> None:
        moment["now"] += timedelta(seconds=seconds)

    return move


@pytest.fixture
def call(tmp_path: Path, clock: Any) -> Any:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o750)

    def guard(state: str, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        options = {**DEFAULTS, "state": state, "state_dir": str(directory), **options}
        return guarding.guard(options, check_mode=check_mode)

    guard.directory = directory  # type: ignore[attr-defined]
    return guard


def take(call: Any, run_id: str = "a", **options: Any) -> dict[str, Any]:
    taken: dict[str, Any] = call("leased", run_id=run_id, owner="alice", controller="c1", reason="testing", **options)
    return taken


def test_one_run_at_a_time_and_the_refusal_says_who(call: Any) -> None:
    assert take(call)["permitted"]
    refused = take(call, "b")
    assert not refused["permitted"]
    assert "alice on c1, run a, since 2026-11-24T06:00:00Z" in refused["refusals"][0]
    assert refused["lease"]["run_id"] == "a"
    call("released", run_id="b")
    assert not take(call, "b")["permitted"], "only the holder gives it back"
    call("released", run_id="a")
    assert take(call, "b")["permitted"]


def test_the_holder_renews_and_keeps_its_beginning(call: Any, clock: Any) -> None:
    take(call)
    clock(600)
    lease = take(call)["lease"]
    assert (lease["taken_at"], lease["expires_at"]) == ("2026-11-24T06:00:00Z", "2026-11-24T06:25:00Z")


def test_an_expired_lease_is_taken_over_and_said(call: Any, clock: Any) -> None:
    take(call)
    clock(901)
    taken = take(call, "b")
    assert taken["permitted"]
    assert taken["took_over"]["run_id"] == "a"


def test_a_dead_run_is_taken_over_before_its_end_only_by_its_name(call: Any) -> None:
    take(call)
    assert not take(call, "b", take_over="c")["permitted"]
    assert take(call, "b", take_over="a")["took_over"]["run_id"] == "a"


def test_what_is_about_to_be_done_is_recorded_with_the_lease_and_the_outcome_with_its_end(call: Any) -> None:
    started = {"action": "restart", "result": "started"}
    assert take(call, entries=[started], actions=["restart"], caps=RESTART_CAP)["recorded"] == 1
    refused = take(call, "b", entries=[started], actions=["restart"], caps=RESTART_CAP)
    assert not refused["permitted"]
    assert [(entry["run_id"], entry["result"]) for entry in refused["recent"]] == [("a", "started")]
    ended = call("released", run_id="a", entries=[{"action": "recovered"}])
    assert ended["lease"] is None
    assert [entry["action"] for entry in ended["recent"]] == ["restart", "recovered"]


def test_the_lease_keeps_what_tells_the_run_s_process_from_every_other(call: Any) -> None:
    process = {"machine_id": "m1", "boot_id": "b1", "namespaces": "pid:[1]", "pid": 4711, "start": 99}
    assert take(call, controller_process=process)["lease"]["controller_process"] == process
    # What is not known, or is of another kind, is left out, and so proves nothing.
    odd = {"machine_id": None, "pid": "4711", "start": True, "boot_id": "x" * 500, "more": 1}
    kept = take(call, controller_process=odd)["lease"]["controller_process"]
    assert (kept["machine_id"], kept["namespaces"], len(kept["boot_id"])) == ("", "", 100)
    assert set(kept) == {"machine_id", "boot_id", "namespaces"}
    assert take(call)["lease"]["controller_process"] == dict.fromkeys(kept, "")


def test_for_what_the_host_was_acted_upon_is_counted_over_all_entries_by_the_host_s_clock(
    call: Any, clock: Any
) -> None:
    def record(**entry: Any) -> None:
        call("recorded", run_id="a", entries=[{"action": "restart", **entry}])

    record(cause="service", result="done")
    clock(600)
    # However many entries come after it.
    call("recorded", run_id="b", entries=[{"action": "delete", "cause": "disk", "result": "started"}] * 500)
    record(cause="refused", result="refused")
    record(cause="", result="done")
    record(cause=["made", "up"], result="done")
    record(cause="ahead", result="failed", at="2099-01-01T00:00:00Z")
    assert call("observed")["acted_for"] == {"disk": 0, "ahead": 0, "service": 600}
    clock(86400 - 600)
    assert "service" not in call("observed")["acted_for"]


def test_a_ledger_of_many_causes_is_bounded(call: Any, clock: Any) -> None:
    call("recorded", run_id="a", entries=[{"action": "x", "cause": f"old{n}", "result": "done"} for n in range(60)])
    clock(1)
    call("recorded", run_id="a", entries=[{"action": "x", "cause": "c" * 5000, "result": "done"}])
    causes = list(call("observed")["acted_for"])
    assert len(causes) == 50
    assert len(causes[0]) == 100, "the newest comes first"


def test_a_ledger_that_cannot_be_written_keeps_no_host(call: Any, tmp_path: Path) -> None:
    take(call)
    os.link(tmp_path / "state" / "ledger.jsonl", tmp_path / "another name")
    with pytest.raises(MediaOpsError, match="cannot write the ledger"):
        call("released", run_id="a", entries=[{"action": "recovered"}])
    assert call("observed")["lease"] is None


def test_check_mode_decides_and_writes_nothing(call: Any, tmp_path: Path) -> None:
    assert take(call, check_mode=True)["permitted"]
    call("paused", reason="x", pause_for=60, check_mode=True)
    call("recorded", run_id="a", entries=[{"action": "restart"}], check_mode=True)
    assert list((tmp_path / "state").iterdir()) == []


def test_a_pause_stops_everything_until_its_end(call: Any, clock: Any) -> None:
    assert call("paused", reason="new disk", owner="bob", pause_for=3600)["changed"]
    assert "paused until 2026-11-24T07:00:00Z by bob: new disk" in take(call)["refusals"][0]
    clock(3601)
    assert take(call)["permitted"]
    call("paused", reason="again", pause_for=3600)
    assert call("resumed")["changed"]
    assert not call("resumed")["changed"]
    assert take(call)["permitted"]


def test_a_second_pause_shortens_no_first_one_and_both_are_said(call: Any, clock: Any) -> None:
    call("paused", reason="new disk", owner="bob", pause_for=3600)
    clock(60)
    pause = call("paused", reason="a look", owner="ann", pause_for=300)["pause"]
    assert pause["until"] == "2026-11-24T07:00:00Z"
    assert pause["since"] == "2026-11-24T06:00:00Z"
    assert (pause["by"], pause["reason"]) == ("bob, ann", "new disk; until 2026-11-24T06:06:00Z also: a look")
    assert call("paused", reason="more", owner="ann", pause_for=7200)["pause"]["until"] == "2026-11-24T08:01:00Z"
    clock(7201)
    call("paused", reason="another", owner="ann", pause_for=60)
    assert call("observed")["pause"]["reason"] == "another", "one that is over is over"


def test_who_keeps_automation_off_is_said_with_the_end(call: Any, clock: Any, tmp_path: Path) -> None:
    on_record = held_on_record(str(tmp_path / "state"))
    assert (on_record["state"], on_record["pause"], on_record["lease"]) == ("ok", None, None)
    assert take(call)["held"] == "", "a run does not keep itself off"
    assert call("observed", run_id="b")["held"].startswith("another run acts on this host: alice on c1, run a, since ")
    call("paused", reason="new disk", owner="bob", pause_for=3600)
    assert take(call)["held"] == "automation is paused until 2026-11-24T07:00:00Z by bob: new disk"
    (tmp_path / "state" / "pause.slots").write_bytes(b"\0")
    assert call("observed")["held"] == "", "that is a fault of the host"
    on_record = held_on_record(str(tmp_path / "state"))
    assert "pause.slots cannot be read" in on_record["pause"]["reason"]
    assert held_on_record(str(tmp_path / "none"))["state"] == "ok"
    (tmp_path / "file").touch()
    assert held_on_record(str(tmp_path / "file"))["state"] == "denied"


OLD_PAUSE = {"reason": "new disk", "by": "bob", "since": "2026-11-24T05:00:00Z", "until": "2026-11-24T07:00:00Z"}


def test_a_pause_of_a_version_before_holds_until_its_end(call: Any, clock: Any, tmp_path: Path) -> None:
    old = tmp_path / "state" / "pause.json"
    old.write_text(json.dumps(OLD_PAUSE), encoding="utf-8")
    call("prepared")
    assert take(call)["refusals"] == ["automation is paused until 2026-11-24T07:00:00Z by bob: new disk"]
    call("paused", reason="a look", owner="ann", pause_for=60, check_mode=True)
    assert old.exists()
    pause = call("paused", reason="a look", owner="ann", pause_for=60)["pause"]
    assert (pause["until"], pause["by"], old.exists()) == ("2026-11-24T07:00:00Z", "bob, ann", False)
    old.write_text(json.dumps({**OLD_PAUSE, "until": "2026-11-24T09:00:00Z", "by": "cid"}), encoding="utf-8")
    assert (call("observed")["pause"]["until"], call("observed")["pause"]["by"]) == (
        "2026-11-24T09:00:00Z",
        "cid, bob, ann",
    )
    assert call("resumed")["changed"]
    assert not old.exists()
    assert take(call)["permitted"]
    old.write_text(json.dumps(OLD_PAUSE), encoding="utf-8")
    clock(7200)
    assert take(call)["permitted"], "one that is over is over"
    old.write_text("{", encoding="utf-8")
    assert "pause.json cannot be read" in take(call)["refusals"][0]
    assert call("resumed")["cleared"] == ["pause.json"]


def test_a_lease_of_a_version_before_holds_until_its_end(call: Any, clock: Any, tmp_path: Path) -> None:
    old = tmp_path / "state" / "lease.json"
    lease = {"run_id": "old", "owner": "bob", "controller": "c2", "reason": "x", "expires_at": "2026-11-24T06:10:00Z"}
    old.write_text(json.dumps({**lease, "taken_at": "2026-11-24T05:55:00Z"}), encoding="utf-8")
    assert "bob on c2, run old" in take(call)["refusals"][0]
    clock(601)
    taken = take(call)
    assert (taken["permitted"], taken["took_over"]["run_id"], taken["lease"]["run_id"]) == (True, "old", "a")
    assert not old.exists()
    call("released", run_id="a")
    old.write_text("{", encoding="utf-8")
    assert "lease.json cannot be read" in take(call, "b")["refusals"][0]
    assert call("resumed")["cleared"] == ["lease.json"]
    assert take(call, "b")["permitted"]


def test_a_pause_that_cannot_be_read_goes_on(call: Any, tmp_path: Path) -> None:
    (tmp_path / "state" / "pause.slots").write_bytes(b"\0\0\0")
    assert not take(call)["permitted"]


def test_a_lock_that_cannot_be_read_counts_until_its_time_is_over(call: Any, clock: Any, tmp_path: Path) -> None:
    lease = tmp_path / "state" / "lease.slots"
    lease.write_bytes(b"{")
    os.utime(lease, (NOW.timestamp(), NOW.timestamp()))
    assert not take(call)["permitted"]
    clock(901)
    assert take(call)["permitted"]


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "a directory": Path.mkdir,
    "a symbolic link": lambda path: path.symlink_to("/dev/null"),
    "more than 16384 bytes": lambda path: path.write_bytes(b" " * 65537),
}


@pytest.mark.parametrize("name", ["pause.slots", "lease.slots"])
@pytest.mark.parametrize("said", UNREADABLE)
def test_what_cannot_be_read_refuses_until_a_person_resumes(call: Any, clock: Any, said: str, name: str) -> None:
    path = Path(call.directory) / name
    UNREADABLE[said](path)
    clock(10**6)
    refused = take(call, take_over="?")
    assert not refused["permitted"]
    assert all(text in refused["refusals"][0] for text in (name, said, "automation_resume"))
    assert refused["pause" if name == "pause.slots" else "lease"], "who only looks sees it, too"
    assert call("resumed", check_mode=True)["cleared"] == [name]
    assert path.exists() or path.is_symlink()
    resumed = call("resumed")
    assert (resumed["changed"], resumed["cleared"]) == (True, [name])
    assert os.path.lexists(f"{path}.broken"), "it is there to be looked into"
    assert take(call)["permitted"]
    assert call("resumed")["cleared"] == []
    assert call("observed")["lease"]["run_id"] == "a", "a lease that is held is not a person's to clear"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of another user")
@pytest.mark.parametrize("name", ["pause.slots", "lease.slots", "ledger.jsonl"])
def test_a_file_of_roots_is_not_taken_for_none_by_another_user(name: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chown(directory, 65534, 65534)
        Path(directory, name).write_text("{}")
        Path(directory, name).chmod(0o600)
        ran = subprocess.run(
            [sys.executable, "-c", AS_NOBODY + RACER, directory, "run1"],
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
            input="go\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert "Permission denied" in ran.stderr if name == "ledger.jsonl" else ran.stdout == "False\n", ran


AS_NOBODY = """
import sys
import ansible_collections.media_ops.runbook.plugins.module_utils.state.guard
import os
os.setgid(65534); os.setuid(65534)
"""


def test_a_pause_whose_newer_slot_is_damaged_goes_on_until_a_person_ends_it(call: Any, tmp_path: Path) -> None:
    call("prepared")
    call("paused", reason="new disk", pause_for=3600)
    path = tmp_path / "state" / "pause.slots"
    data = bytearray(path.read_bytes())
    data[data.index(b"new disk")] ^= 1
    path.write_bytes(data)
    held = call("observed")["pause"]
    assert (held["until"], "one of its two slots is not whole" in held["reason"]) == (None, True)
    assert not take(call, "a")["permitted"]
    assert call("resumed")["cleared"] == ["pause.slots"]
    assert take(call, "a")["permitted"]


def test_a_torn_lease_is_cleared_by_a_person_before_its_time_is_over(call: Any, tmp_path: Path) -> None:
    (tmp_path / "state" / "lease.slots").write_bytes(b"")
    os.utime(tmp_path / "state" / "lease.slots", (NOW.timestamp(), NOW.timestamp()))
    assert "lease.slots cannot be read" in take(call)["refusals"][0]
    assert call("resumed")["cleared"] == ["lease.slots"]
    assert take(call)["permitted"]


def test_a_pause_that_contradicts_itself_goes_on(call: Any, clock: Any, tmp_path: Path) -> None:
    twice = '{"document": {"until": "2030-01-01T00:00:00Z"}, "document": {"until": "2020-01-01T00:00:00Z"}}'
    (tmp_path / "state" / "pause.slots").write_text(twice)
    assert "pause.slots cannot be read" in take(call)["refusals"][0]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of another user")
@pytest.mark.parametrize("name", ["guard.flock", "ledger.jsonl"])
def test_root_gives_away_and_writes_nothing_that_has_another_name(call: Any, tmp_path: Path, name: str) -> None:
    """The owner of the directory made a hard link to a file of root's, or root's own empty one."""
    state = tmp_path / "state"
    os.chown(state, 65534, 65534)
    secret = tmp_path / "secret"
    secret.write_text("")
    os.link(secret, state / name)
    with pytest.raises(MediaOpsError, match="another name, a hard link"):
        take(call, entries=[{"action": "restart", "result": "started"}])
    assert (secret.stat().st_uid, secret.read_text()) == (0, "")
    (state / name).unlink()
    call("released", run_id="a")
    assert take(call, entries=[{"action": "restart", "result": "started"}])["permitted"]
    assert (state / name).stat().st_uid == 65534, "what root made is the owner's"


def test_the_same_action_is_refused_beyond_its_cap(call: Any, clock: Any) -> None:
    entry = {"action": "restart", "result": "done"}
    call("recorded", run_id="a", entries=[entry, entry])
    refused = take(call, "b", actions=["restart"], caps=RESTART_CAP)
    assert "restart was carried out 1 time within 3600 s, at most 1" in refused["refusals"][0]
    assert take(call, "b", actions=["reinstall"], caps=RESTART_CAP)["permitted"], "another action is not capped"
    assert take(call, "b")["permitted"]
    call("released", run_id="b")
    clock(3601)
    assert take(call, "c", actions=["restart"], caps=RESTART_CAP)["permitted"]


def test_a_failed_action_counts_and_a_planned_one_does_not(call: Any) -> None:
    call("recorded", run_id="a", entries=[{"action": "restart", "result": "planned"}])
    assert take(call, "b", actions=["restart"], caps=RESTART_CAP)["permitted"]
    call("recorded", run_id="b", entries=[{"action": "restart", "result": "failed"}])
    call("released", run_id="b")
    assert not take(call, "c", actions=["restart"], caps=RESTART_CAP)["permitted"]


def test_what_was_begun_counts_until_the_run_says_that_it_was_not_done(call: Any) -> None:
    begun, wanted = {"action": "restart", "result": "started"}, {"actions": ["restart"], "caps": RESTART_CAP}
    call("recorded", run_id="a", entries=[begun])
    assert not take(call, "b", **wanted)["permitted"], "it may have died in it"
    call("recorded", run_id="a", entries=[{"action": "paged", "result": "decided"}])
    assert not take(call, "b", **wanted)["permitted"], "that says nothing of the restart"
    for result in ("skipped", "refused"):
        call("recorded", run_id="a", entries=[begun, {"action": "restart", "result": result}])
        taken = take(call, "b", **wanted)
        assert taken["permitted"]
        assert "restart" not in taken["repeated"]
        call("released", run_id="b")
    call(
        "recorded", run_id="a", entries=[{**begun, "cause": "x"}, {"action": "restart", "result": "done", "cause": "x"}]
    )
    assert list(call("observed")["acted_for"]) == ["x"]
    assert not take(call, "b", **wanted)["permitted"]


def test_what_never_ran_is_none_that_the_breaker_counts(call: Any) -> None:
    begun = {"action": "restart", "result": "started", "cause": "ffmpeg"}
    call("recorded", run_id="a", entries=[begun, {**begun, "result": "skipped"}])
    assert call("observed")["acted_for"] == {}


def test_caps_count_by_what_it_was_for_and_one_of_all_whatever_it_was_for(call: Any) -> None:
    caps = [*RESTART_CAP, {"action": "restart", "at_most": 2, "within": 3600.0, "of_all": True}]
    done = {"action": "restart", "result": "done", "taken_for": "timeouts"}
    call("recorded", run_id="a", entries=[done])
    refused = take(call, "b", actions=["restart"], caps=caps, taken_for="timeouts")["refusals"]
    assert "restart was carried out 1 time for timeouts within 3600 s" in refused[0]
    assert """-e '{"policy_action_caps": []}'""" in refused[0], "the way past it is named"
    back = {"actions": ["restart"], "caps": caps, "taken_for": "take_back_overrides"}
    assert take(call, "b", **back)["permitted"], "an override's own restart does not block its taking back"
    call("released", run_id="b", entries=[{**done, "taken_for": "take_back_overrides"}])
    assert "2 times within" in take(call, "c", actions=["restart"], caps=caps, taken_for="ffmpeg")["refusals"][0]
    call("recorded", run_id="d", entries=[{"action": "delete", "result": "done"}])
    old = [{"action": "delete", "at_most": 1, "within": 3600.0}]
    assert not take(call, "e", actions=["delete"], caps=old, taken_for="x")["permitted"], "nobody wrote what for"
    call("recorded", run_id="f", entries=[{"action": "reinstall", "result": "done", "taken_for": ""}])
    alike = [{"action": "reinstall", "at_most": 1, "within": 3600.0}]
    assert not take(call, "g", actions=["reinstall"], caps=alike, taken_for="x")["permitted"], "nor here"


def test_who_plans_is_told_what_may_not_be_done_once_more(call: Any) -> None:
    caps = [*RESTART_CAP, {"action": "restart", "at_most": 2, "within": 3600.0, "of_all": True}]
    assert call("observed", caps=caps)["caps_reached"] == []
    done = {"action": "restart", "result": "done", "taken_for": "timeouts"}
    call("recorded", run_id="a", entries=[done])
    (row,) = call("observed", caps=caps)["caps_reached"]
    assert (row["action"], row["taken_for"]) == ("restart", "timeouts")
    assert "restart was carried out 1 time for timeouts" in row["why"]
    call("recorded", run_id="b", entries=[{**done, "taken_for": "ffmpeg"}])
    assert [row["taken_for"] for row in call("observed", caps=caps)["caps_reached"]] == ["ffmpeg", "timeouts", ""]


def test_a_clock_set_back_lifts_no_cap(call: Any, clock: Any) -> None:
    call("recorded", run_id="a", entries=[{"action": "restart", "result": "done"}])
    clock(-7200)
    assert not take(call, "b", actions=["restart"], caps=RESTART_CAP)["permitted"]


def test_a_late_scheduled_run_does_not_act(call: Any, clock: Any) -> None:
    due = to_text(NOW)
    clock(599)
    assert take(call, scheduled_for=due, window=600.0)["permitted"]
    clock(2)
    assert "starts over 600 s late" in take(call, scheduled_for=due, window=600.0)["refusals"][0]


def test_the_ledger_outlives_a_torn_line_and_a_broken_one(call: Any, tmp_path: Path) -> None:
    ledger = tmp_path / "state" / "ledger.jsonl"
    call("recorded", run_id="a", entries=[{"action": "restart", "result": "done"}])
    with ledger.open("rb+") as file:
        file.seek(len(ledger.read_bytes().rstrip()) + 1)
        file.write(b'not json\n{"action": "rein')
    stands = call("recorded", run_id="b", entries=[{"action": "reinstall", "result": "done"}])
    lines = ledger.read_bytes().rstrip().splitlines()
    assert len(lines) == 4
    assert json.loads(lines[-1])["action"] == "reinstall"
    assert call("observed")["bad_lines"] == 2
    assert stands["counts"] == {"reinstall done": 1, "restart done": 1}


def test_the_ledger_is_bounded_and_keeps_the_newest(call: Any, tmp_path: Path) -> None:
    for index in range(120):
        call("recorded", run_id=str(index), ledger_max_bytes=1000, entries=[{"action": "x", "result": "done"}])
    sizes = [path.stat().st_size for path in (tmp_path / "state").glob("ledger.jsonl*")]
    assert len(sizes) == 7, "six with lines, and the next one"
    assert max(sizes) <= 1000
    recent = call("observed")["recent"]
    assert recent[-1]["run_id"] == "119"
    assert [int(entry["run_id"]) for entry in recent] == sorted(int(entry["run_id"]) for entry in recent)


def test_room_is_taken_once_and_check_mode_says_so(call: Any, tmp_path: Path) -> None:
    files = {"lease.slots", "pause.slots", "ledger.jsonl", "ledger.jsonl.spare"}
    assert call("prepared", check_mode=True)["changed"]
    assert list(Path(call.directory).iterdir()) == []
    assert call("prepared")["changed"]
    assert {path.name for path in Path(call.directory).iterdir()} == {*files, "guard.flock"}
    assert not call("prepared")["changed"]
    stands = call("observed")
    assert (stands["lease"], stands["pause"], stands["recent"], stands["bad_lines"]) == (None, None, [], 0)


def test_repeated_fixes_are_named(call: Any) -> None:
    for run_id in "abc":
        call("recorded", run_id=run_id, entries=[{"action": "restart", "result": "done"}])
    assert call("observed")["repeated"] == {"restart": 3}


def test_the_last_recovery_is_told_and_what_cannot_be_read_is_none(call: Any, clock: Any, tmp_path: Path) -> None:
    state_dir = str(tmp_path / "state")
    assert guarding.last_recovery(state_dir) is None
    call("recorded", run_id="a", entries=[{"action": "paged"}, {"action": "recovered"}])
    first = guarding.last_recovery(state_dir)
    assert first is not None
    clock(120)
    call("recorded", run_id="b", entries=[{"action": "recovered"}, {"action": "restart"}])
    assert (guarding.last_recovery(state_dir) or "") > first
    clock(3700)
    assert guarding.last_recovery(state_dir) is None, "an hour is all it is good for"
    ledger = tmp_path / "state" / "ledger.jsonl"
    ledger.write_text('{"action": "recovered", "at": "2999-01-01T00:00:00Z"}\n')
    assert guarding.last_recovery(state_dir) is None, "a time ahead excuses nothing"
    ledger.unlink()
    ledger.symlink_to("/dev/null")
    assert guarding.last_recovery(state_dir) is None


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/dev/null"), Path.mkdir, os.mkfifo])
def test_a_ledger_that_is_a_link_or_a_directory_is_an_error(
    call: Any, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "state" / "ledger.jsonl")
    with pytest.raises(MediaOpsError, match="ledger"):
        take(call)


@pytest.mark.parametrize(
    ("state", "options", "named"),
    [
        ("leased", {"reason": "x"}, "run_id"),
        ("leased", {"run_id": "a"}, "reason"),
        ("paused", {"reason": "x"}, "pause_for"),
        ("paused", {"reason": "x", "pause_for": 10**9}, "pause_for"),
        ("observed", {"hours": -1}, "hours"),
        ("leased", {"run_id": "a", "reason": "x", "scheduled_for": "noon"}, "scheduled_for"),
        ("recorded", {"run_id": "a", "entries": [{"why": "x"}]}, "entries"),
    ],
)
def test_misuse_names_the_option(call: Any, state: str, options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError) as error:
        call(state, **options)
    assert error.value.details["option"] == named


RACER = """
import sys
from ansible_collections.media_ops.runbook.plugins.module_utils.state.guard import guard
sys.stdin.readline()
print(guard({"state": "leased", "state_dir": sys.argv[1], "run_id": sys.argv[2], "reason": "race", "ttl": 900,
             "hours": 24, "ledger_max_bytes": 1 << 20, "actions": [], "caps": [], "entries": []})["permitted"])
"""


def test_of_many_that_race_exactly_one_gets_it(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o750)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path / "state"), f"run{number}"],
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    assert sorted(answers) == ["False"] * 7 + ["True"]


def test_who_only_looks_makes_no_file(call: Any, tmp_path: Path) -> None:
    assert call("observed")["lease"] is None
    assert list((tmp_path / "state").iterdir()) == []


# --- what must come before

ARCHIVED = {"action": "completed", "procedure": "weekly", "acts": ["log_archive", "archive_copy"], "result": "decided"}
WEEKLY = [{"procedure": "weekly", "act": "log_archive", "hours": 168.0}]


def test_what_must_come_before_is_asked_of_the_host(call: Any, clock: Any) -> None:
    refused = take(call, after=WEEKLY)
    assert refused["refusals"] == [
        "weekly (log_archive) has not succeeded on this host within 168 h, its last end: none is known"
    ]
    call("recorded", run_id="w", entries=[ARCHIVED])
    assert take(call, after=WEEKLY)["permitted"]
    call("released", run_id="a")
    clock(168 * 3600 - 1)
    assert take(call, after=WEEKLY)["permitted"]
    call("released", run_id="a")
    clock(1)
    (why,) = take(call, after=WEEKLY)["refusals"]
    assert why.endswith("its last end: completed at 2026-11-24T06:00:00Z: no reason given")


def test_the_part_that_counts_may_have_been_done_where_the_whole_was_not(call: Any) -> None:
    ends = {"procedure": "weekly", "result": "decided", "why": "the store is down"}
    call("recorded", run_id="w", entries=[{**ends, "action": "paged", "acts": ["log_archive"]}])
    assert take(call, after=WEEKLY)["permitted"]
    whole = [{"procedure": "weekly", "hours": 168.0}]
    (why,) = take(call, after=whole)["refusals"]
    assert why.endswith("its last end: paged at 2026-11-24T06:00:00Z: the store is down")


@pytest.mark.parametrize(
    "entry",
    [
        {**ARCHIVED, "procedure": "other"},
        {**ARCHIVED, "acts": []},
        {**ARCHIVED, "acts": "log_archive"},
        {key: value for key, value in ARCHIVED.items() if key != "procedure"},
        {**ARCHIVED, "action": "refused", "acts": []},
        {**ARCHIVED, "at": "2026-11-24T07:00:00Z"},
        {**ARCHIVED, "at": "yesterday"},
    ],
)
def test_nothing_else_stands_for_it(call: Any, entry: dict[str, Any]) -> None:
    call("recorded", run_id="w", entries=[entry])
    assert not take(call, after=WEEKLY)["permitted"]


def test_hours_of_none_are_refused(call: Any) -> None:
    with pytest.raises(OptionError, match="hours must be above 0"):
        take(call, after=[{"procedure": "weekly", "hours": 0}])


# --- mutes


def a_mute(what: str = "component", name: str = "ffmpeg", hours: float = 1, **changes: Any) -> dict[str, Any]:
    until = to_text(NOW + timedelta(hours=hours))
    about = {"reason": "a bug", "by": "alice", "since": to_text(NOW), "until": until}
    return {"what": what, "name": name, **about, **changes}


def test_a_mute_is_kept_recorded_and_ends(call: Any, clock: Any) -> None:
    assert call("observed")["mutes"] == []
    muted = call("muted", run_id="r1", mute=a_mute())
    assert (muted["changed"], muted["mutes"], muted["mutes_unreadable"]) == (True, [a_mute()], "")
    entry = muted["recent"][-1]
    assert (entry["action"], entry["target"], entry["why"]) == ("muted", "component:ffmpeg", "a bug")
    assert (entry["user"], entry["until"], entry["run_id"]) == ("alice", "2026-11-24T07:00:00Z", "r1")
    call("muted", run_id="r1", mute=a_mute("host", "", hours=2))
    again = call("muted", run_id="r2", mute=a_mute(reason="the same bug"))
    assert sorted(mute["reason"] for mute in again["mutes"]) == ["a bug", "the same bug"], "one for each thing"
    clock(3600)
    assert [mute["what"] for mute in call("observed")["mutes"]] == ["host"]
    clock(3600)
    assert call("observed")["mutes"] == []


@pytest.mark.parametrize(("name", "left"), [("component:ffmpeg", ["host"]), ("host", ["component"]), ("all", [])])
def test_a_mute_can_be_ended_and_that_is_on_record(call: Any, name: str, left: list[str]) -> None:
    call("muted", run_id="r", mute=a_mute())
    call("muted", run_id="r", mute=a_mute("host", ""))
    ended = call("unmuted", run_id="r", unmute=name, owner="bob")
    assert (ended["changed"], [mute["what"] for mute in ended["mutes"]]) == (True, left)
    assert {(row["action"], row.get("user")) for row in ended["recent"]} == {("muted", "alice"), ("unmuted", "bob")}
    assert not call("unmuted", run_id="r", unmute=name)["changed"]


def test_in_check_mode_nothing_is_muted(call: Any) -> None:
    assert call("muted", check_mode=True, run_id="r", mute=a_mute())["changed"]
    assert not (call.directory / "mutes.json").exists()
    call("muted", run_id="r", mute=a_mute())
    call("unmuted", check_mode=True, run_id="r", unmute="all")
    assert call("observed")["mutes"] == [a_mute()]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"version": 2, "mutes": []}', '{"version": 1, "mutes": [{"what": "host"}]}', '{"version": 1}'],
)
def test_mutes_that_cannot_be_read_mute_nothing_until_a_person_says_so(call: Any, content: str) -> None:
    path = call.directory / "mutes.json"
    path.write_text(content, encoding="utf-8")
    stands = call("observed")
    assert stands["mutes"] == []
    assert "mutes.json cannot be read: " in stands["mutes_unreadable"]
    on_record = mutes_on_record(str(call.directory))
    assert (on_record["state"], on_record["mutes"]) == ("denied", [])
    ended = call("unmuted", run_id="r", unmute="all")
    assert (ended["cleared"], ended["mutes_unreadable"]) == (["mutes.json"], "")
    assert (call.directory / "mutes.json.broken").read_text(encoding="utf-8") == content


@pytest.mark.parametrize("make", ["link", "fifo", "large"])
def test_mutes_are_read_from_a_file_of_ours_alone(call: Any, tmp_path: Path, make: str) -> None:
    path = call.directory / "mutes.json"
    if make == "link":
        (tmp_path / "other").write_text(json.dumps({"version": 1, "mutes": [a_mute()]}), encoding="utf-8")
        path.symlink_to(tmp_path / "other")
    elif make == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(b" " * (1 << 20))
    assert call("observed")["mutes_unreadable"]
    assert mutes_on_record(str(call.directory))["state"] == "denied"


@pytest.mark.parametrize(
    "wrong",
    [{"what": "fleet"}, {"until": "soon"}, {"until": ""}, {"reason": " "}, {"name": ""}, {"what": "host", "name": "x"}],
)
def test_what_is_no_mute_is_refused(call: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="option 'mute'"):
        call("muted", run_id="r", mute=a_mute(**wrong))
    for options in ({"mute": a_mute()}, {"run_id": "r"}):
        with pytest.raises(OptionError, match="is needed with state=muted"):
            call("muted", **options)
    assert not (call.directory / "mutes.json").exists()


def test_a_host_that_nobody_prepared_mutes_nothing(tmp_path: Path) -> None:
    assert mutes_on_record(str(tmp_path / "none")) == {"state": "ok", "reason": "", "mutes": []}


def test_no_more_is_muted_than_a_person_can_look_through(call: Any) -> None:
    for number in range(100):
        call("muted", run_id="r", mute=a_mute(name=f"c{number}"))
    with pytest.raises(MediaOpsError, match="101 things are muted"):
        call("muted", run_id="r", mute=a_mute())
    assert len(call("observed")["mutes"]) == 100
