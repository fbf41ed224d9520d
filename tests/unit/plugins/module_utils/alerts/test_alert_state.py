"""The alert state in its directory: real files, real processes that race."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.alerts import alert_state
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
DEFAULTS: dict[str, Any] = {
    "state": "recorded",
    "create": False,
    "host": "media1",
    "source": "watch_health",
    "alert_from": "unknown",
    "reminder_after": 14400.0,
    "settle": 1,
    "flap_changes": 4,
    "flap_window": 3600.0,
    "hold": 240.0,
    "flap_quiet": 1800.0,
    "keep": 500,
    "deliveries": [],
    "verdicts": [],
}


class Host:
    """A host with a state directory and a clock that tests move."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = NOW
        self.runs = 0

    def call(self, seen: str = "ok", check_mode: bool = False, **options: Any) -> dict[str, Any]:
        self.runs += 1
        given = {"run_id": f"run{self.runs}", "verdicts": [{"check": "a", "state": seen}], **options}
        return alert_state.alert_state({**DEFAULTS, "state_dir": str(self.directory), **given}, check_mode=check_mode)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path / "state")
    made.directory.mkdir(mode=0o750)
    monkeypatch.setattr(alert_state, "utc_now", lambda: made.now)
    return made


def test_an_outage_of_all_channels_loses_no_message(host: Host) -> None:
    for state in ("critical", "ok", "critical"):
        host.now += timedelta(minutes=5)
        found = host.call(state)
    assert [message["event"] for message in found["messages"]] == ["began", "ended", "began"]
    first = found["messages"][0]
    acked = host.call(state="acked", deliveries=[{"id": first["id"], "channels": ["chat"], "complete": True}])
    assert (acked["acked"], len(acked["messages"])) == (1, 2)
    seen = host.call(state="observed")
    assert seen["messages"] == acked["messages"]
    assert [alert["state"] for alert in seen["open"]] == ["critical"]


def test_it_is_one_file_for_its_owner_alone(host: Host) -> None:
    host.call("critical")
    path = host.directory / "alerts.json"
    assert sorted(file.name for file in host.directory.iterdir()) == ["alerts.flock", "alerts.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_events(path) == ["began"]


def load_events(path: Path) -> list[str]:
    return [message["event"] for message in json.loads(path.read_text())["pending"]]


def test_check_mode_says_what_would_be_sent_and_writes_nothing(host: Host) -> None:
    host.call("critical")
    before = (host.directory / "alerts.json").read_bytes()
    host.now += timedelta(minutes=5)
    planned = host.call("ok", check_mode=True)
    assert [message["event"] for message in planned["messages"]] == ["began", "ended"]
    assert planned["new"] == 1
    ids = [{"id": message["id"], "complete": True} for message in planned["messages"]]
    assert host.call(state="acked", deliveries=ids, check_mode=True)["acked"] == 1
    assert (host.directory / "alerts.json").read_bytes() == before
    done = host.call("ok", run_id="run2")
    assert done["messages"] == planned["messages"], "the plan is what is done"


def test_check_mode_needs_no_directory_that_would_be_made(host: Host) -> None:
    host.directory = host.directory / "a" / "b"
    assert host.call("critical", check_mode=True, create=True)["new"] == 1
    assert not host.directory.parent.exists()


def test_a_quiet_run_rewrites_the_file_only_for_its_run_id(host: Host) -> None:
    host.call("ok", run_id="same")
    inode = (host.directory / "alerts.json").stat().st_ino
    host.call("ok", run_id="same")
    assert (host.directory / "alerts.json").stat().st_ino == inode


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b'{"version": 1', b"[]", b'{"version": 99}', b"[" * 100_000])
def test_a_file_that_cannot_be_understood_is_set_aside_and_bad_states_are_told_anew(host: Host, content: bytes) -> None:
    (host.directory / "alerts.json").write_bytes(content)
    found = host.call("critical")
    assert "could not be understood" in found["reset"]
    assert found["new"] == 1
    assert (host.directory / "alerts.json.broken").read_bytes() == content
    assert host.call("critical")["reset"] == ""


def test_a_link_in_its_place_is_not_followed(host: Host, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (host.directory / "alerts.json").symlink_to(target)
    assert host.call("critical")["reset"]
    assert target.read_text() == "precious"
    assert not (host.directory / "alerts.json").is_symlink()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"verdicts": []}, "verdicts"),
        ({"verdicts": [{"state": "ok"}]}, "verdicts"),
        ({"run_id": ""}, "run_id"),
        ({"host": None}, "host"),
        ({"source": "Watch health"}, "source"),
        ({"settle": 0}, "settle"),
        ({"flap_changes": 1}, "flap_changes"),
        ({"keep": 1}, "keep"),
        ({"reminder_after": float("nan")}, "reminder_after"),
        ({"state_dir": "relative"}, "state_dir"),
    ],
)
def test_misuse_names_the_option(host: Host, options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError) as error:
        host.call("critical", **options)
    assert error.value.details["option"] == named


def test_a_directory_in_its_place_is_an_error(host: Host) -> None:
    (host.directory / "alerts.json").mkdir()
    with pytest.raises(MediaOpsError, match="is a directory"):
        host.call("critical")


RACER = """
import json, sys
from ansible_collections.media_ops.runbook.plugins.module_utils.alerts.alert_state import alert_state
params = json.loads(sys.argv[1])
sys.stdin.readline()
alert_state(params)
"""


def test_of_sources_that_run_at_once_no_message_is_lost(host: Host) -> None:
    racers = []
    for number in range(6):
        params = {**DEFAULTS, "state_dir": str(host.directory), "run_id": "r", "source": f"p{number}"}
        params["verdicts"] = [{"check": "a", "state": "critical"}]
        racers.append(
            subprocess.Popen(
                [sys.executable, "-c", RACER, json.dumps(params)],
                env={"PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.PIPE,
                text=True,
            )
        )
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate(timeout=60)
        assert racer.returncode == 0
    waiting = host.call(state="observed")["messages"]
    assert sorted(message["source"] for message in waiting) == [f"p{number}" for number in range(6)]


ENDLESS = """
import json, sys
from ansible_collections.media_ops.runbook.plugins.module_utils.alerts.alert_state import alert_state
params = json.loads(sys.argv[1])
for number in range(10**6):
    verdict = {"check": "a", "state": "critical", "hosts": [f"{params['run_id']}-{number}"]}
    alert_state({**params, "run_id": f"{params['run_id']}-{number}", "verdicts": [verdict]})
    print(number, flush=True)
"""


def test_killed_at_any_moment_it_loses_no_message_that_was_taken(host: Host) -> None:
    taken = 0
    for attempt in range(4):
        params = {**DEFAULTS, "state_dir": str(host.directory), "run_id": f"r{attempt}", "keep": 10000}
        with subprocess.Popen(
            [sys.executable, "-c", ENDLESS, json.dumps(params)],
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout
            # The kill comes somewhere within the call after these.
            for _unused in range(5 + attempt):
                assert process.stdout.readline()
            process.kill()
            taken += 5 + attempt + len(process.stdout.read().splitlines())
        found = host.call(state="observed")
        assert found["reset"] == ""
        assert taken <= len(found["messages"]) <= taken + attempt + 1, "and at most the one that was under way"
