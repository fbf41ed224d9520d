"""Telling a fleet's verdicts: real directories, real disks that are full or read-only, real receivers."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.alerts.alert_state import alert_state
from ansible_collections.media_ops.runbook.plugins.plugin_utils.host_action import documented
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.telling import (
    Findings,
    Told,
    Way,
    host_states,
    tell_all,
    tell_of_report,
    way_of,
)

from tests.receiver import Receiver, mail_server, nobody, receiver

_OPTIONS = documented("alert_state", "DOCUMENTATION")["options"]
STATE = {**{name: option.get("default") for name, option in _OPTIONS.items()}, "create": True}
FAILED = {"failed": True, "msg": "option 'state_dir' is '/x': does not exist"}
GONE = {"unreachable": True, "msg": "No route to host"}


def seen(state: str, check: str = "overall_status") -> dict[str, Any]:
    return {"check": check, "title": "Overall status", "state": state, "message": f"Overall status: {state}"}


class Fleet:
    """Hosts with real state directories, a controller's directory, and a receiver."""

    def __init__(self, directory: Path, server: Receiver) -> None:
        self.directory, self.server = directory, server
        self.reports = directory / "reports"
        self.runs = 0

    @property
    def channel(self) -> dict[str, Any]:
        return {"name": "hook", "type": "webhook", "url": self.server.webhook_url}

    def way(self, **options: Any) -> Way:
        return Way(**{"state_dir": str(self.reports), "source": "watch_health", "channels": [self.channel], **options})

    def ask(self, host: str, found: str, **options: Any) -> dict[str, Any]:
        """What alert_state answers on a host that keeps its state."""
        self.runs += 1
        given = {"state": "recorded", "host": host, "source": "watch_health", "run_id": f"run{self.runs}"}
        given["state_dir"] = str(self.directory / host)
        return alert_state({**STATE, **given, "verdicts": [seen(found)], **options})

    def run(self, hosts: dict[str, tuple[str, Any]], way: Way | None = None, **options: Any) -> Told:
        """Tell what was seen of hosts; the answer of each, or True where it keeps its state."""
        answers = {h: self.ask(h, state) if answer is True else answer for h, (state, answer) in hosts.items()}
        verdicts = {host: [seen(state)] for host, (state, _answer) in hosts.items() if state}
        found = Findings(**{"verdicts": {**dict.fromkeys(hosts, ()), **verdicts}, "answers": answers, **options})
        told = tell_all(found, way or self.way())
        for host, rows in told["delivered"].items():
            self.ask(host, "", state="acked", verdicts=[], deliveries=rows)
        return told

    def news(self) -> list[str]:
        """What was received since this was asked last, a line for each message."""
        bodies = self.server.bodies("webhook")
        self.server.accepted.clear()
        rows = [row for body in bodies for row in body["messages"]]
        return sorted(f"{row['event']} {row['host']} {row['check']} {row['state']}" for row in rows)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with receiver() as server:
        yield Fleet(tmp_path, server)
        assert server.refusals == []


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[None]:
    """A small disk of its own at a path."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts")
    path.mkdir(exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(["size=64k", *options]), "tmpfs", path],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"no mount here: {made.stderr.decode()}")
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


@contextmanager
def full(path: Path) -> Iterator[None]:
    with mounted(path):
        with (path / "fill").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 1024)
        yield


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    with mounted(path, "ro"):
        yield


@contextmanager
def a_file(path: Path) -> Iterator[None]:
    path.write_text("x", encoding="utf-8")
    yield


@contextmanager
def a_file_inside(path: Path) -> Iterator[None]:
    path.mkdir()
    (path / "alerts").write_text("x", encoding="utf-8")
    yield


@contextmanager
def a_directory_for_the_state(path: Path) -> Iterator[None]:
    (path / "alerts/alerts.json").mkdir(parents=True)
    yield


# runbook: AU-H1
@pytest.mark.parametrize("broken", [full, read_only, a_file, a_file_inside, a_directory_for_the_state])
@pytest.mark.parametrize("settle", [1, 3])
def test_what_is_critical_is_told_whatever_the_controllers_disk_is_like(fleet: Fleet, broken: Any, settle: int) -> None:
    with broken(fleet.reports):
        way = fleet.way(state_dir=f"{fleet.reports}/alerts", settle=settle)
        told = fleet.run({"media1": ("critical", True), "media2": ("critical", FAILED), "media3": ("", GONE)}, way)
        assert "What is told of alerts cannot be kept, and may be told again: " in told["problem"]
        (body,) = fleet.server.bodies("webhook")
        assert body["notes"] == [told["problem"]], "the reader knows it as well"
        assert fleet.news() == [
            "began media1 overall_status critical",
            "began media2 host_state unknown",
            "began media2 overall_status critical",
            "began media3 host_state unknown",
        ]
        assert told["delivered"]["media1"][0]["complete"] is True


@pytest.mark.parametrize("content", [b"", b'{"version": 1', b"\0" * 50])
@pytest.mark.parametrize("name", ["alerts.json", "hosts.json"])
def test_an_empty_or_half_written_state_costs_nothing_but_a_word(fleet: Fleet, content: bytes, name: str) -> None:
    fleet.reports.mkdir()
    (fleet.reports / name).write_bytes(content)
    told = fleet.run({"media2": ("critical", FAILED)})
    assert f"{fleet.reports}/{name} could not be understood" in told["problem"]
    assert fleet.news() == ["began media2 host_state unknown", "began media2 overall_status critical"]
    assert fleet.run({"media2": ("critical", FAILED)})["problem"] == ""
    assert fleet.news() == []


def test_the_controller_keeps_it_for_hosts_that_cannot_and_gives_it_back(fleet: Fleet) -> None:
    cannot = {"media2": ("critical", FAILED)}
    assert fleet.run(cannot)["problem"] == ""
    assert fleet.news() == ["began media2 host_state unknown", "began media2 overall_status critical"]
    fleet.run(cannot)
    assert fleet.news() == [], "once"
    fleet.run({"media2": ("critical", True)})
    assert fleet.news() == ["ended media2 host_state ok"], "what began was told before"
    fleet.run({"media2": ("ok", True)})
    assert fleet.news() == ["ended media2 overall_status ok"]
    fleet.run({"media2": ("ok", True)})
    assert fleet.news() == []


def test_what_a_host_told_goes_on_where_it_can_keep_it_no_more(fleet: Fleet) -> None:
    fleet.run({"media1": ("critical", True)})
    assert fleet.news() == ["began media1 overall_status critical"]
    shutil.rmtree(fleet.directory / "media1")
    fleet.run({"media1": ("critical", FAILED)})
    assert fleet.news() == ["began media1 host_state unknown"]
    fleet.run({"media1": ("ok", FAILED)})
    assert fleet.news() == ["ended media1 overall_status ok"]
    fleet.run({"media1": ("critical", FAILED)})
    assert fleet.news() == ["began media1 overall_status critical"], "a trouble of its own"


def test_a_host_that_is_well_when_it_keeps_its_state_again_ends_what_the_controller_told(fleet: Fleet) -> None:
    fleet.run({"media2": ("critical", FAILED)})
    fleet.news()
    fleet.run({"media2": ("ok", True)})
    assert fleet.news() == ["ended media2 host_state ok", "ended media2 overall_status ok"]


def test_a_host_that_goes_away_between_its_verdict_and_its_state_is_told_of_by_its_verdict(fleet: Fleet) -> None:
    fleet.run({"media1": ("critical", GONE)})
    assert fleet.news() == ["began media1 host_state unknown", "began media1 overall_status critical"]
    fleet.run({"media1": ("unknown", GONE)})
    assert fleet.news() == [], "that it is gone explains what is unknown of it"


def test_a_host_without_a_verdict_is_told_of(fleet: Fleet) -> None:
    fleet.run({"media1": ("", {"failed": True, "msg": "sudo: a password is required"}), "media2": ("", None)})
    (body,) = fleet.server.bodies("webhook")
    assert [row["message"] for row in body["messages"]] == [
        "The host was not judged, so nothing about it is known (sudo: a password is required)",
        "The host was not judged, so nothing about it is known (no answer)",
    ]


def test_a_run_that_ended_before_it_told_is_told_without_any_host(fleet: Fleet) -> None:
    verdicts = {"media1": [seen("critical")], "media2": [seen("ok")], "media3": []}
    found = Findings(verdicts, answers=None, lost="A worker was killed in task 'Report'")
    assert tell_all(found, fleet.way())["problem"] == ""
    (body,) = fleet.server.bodies("webhook")
    assert "A worker was killed in task 'Report'" in json.dumps(body)
    assert fleet.news() == [
        "began controller run unknown",
        "began media1 overall_status critical",
        "began media3 host_state unknown",
    ]
    fleet.run({"media1": ("critical", True), "media2": ("ok", True), "media3": ("ok", True)})
    assert fleet.news() == ["ended controller run ok", "ended media3 host_state ok"]


# --- once


def _tell(directory: Path, url: str, start: Any) -> None:
    """A run of its own, in a process of its own."""
    server = Receiver("ok", url)
    fleet = Fleet(directory, server)
    start.wait()
    fleet.runs = os.getpid()
    fleet.run({"media1": ("critical", True), "media2": ("critical", FAILED), "media3": ("", GONE)})


def test_of_runs_in_the_same_second_one_tells(fleet: Fleet) -> None:
    (fleet.directory / "media1").mkdir()
    fork = multiprocessing.get_context("fork")
    start = fork.Event()
    runs = [fork.Process(target=_tell, args=[fleet.directory, fleet.server.base, start]) for _number in range(4)]
    for run in runs:
        run.start()
    start.set()
    for run in runs:
        run.join(60)
    assert [run.exitcode for run in runs] == [0] * 4
    assert fleet.news() == [
        "began media1 overall_status critical",
        "began media2 host_state unknown",
        "began media2 overall_status critical",
        "began media3 host_state unknown",
    ]


def test_what_a_run_that_broke_off_did_not_tell_is_told_later(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.ask("media1", "critical")
    fleet.run({"media1": ("critical", True)})
    assert fleet.news() == [], "another run may be at it"
    monkeypatch.setitem(STATE, "hold", 0.0)
    fleet.run({"media1": ("critical", True)})
    assert fleet.news() == ["began media1 overall_status critical"]


def test_what_a_channel_did_not_get_it_gets_next_and_the_others_not_again(fleet: Fleet) -> None:
    with nobody() as down:
        bad = {**fleet.channel, "name": "bad", "url": fleet.server.webhook_url.replace(fleet.server.base, down)}
        told = fleet.run({"media2": ("critical", FAILED)}, fleet.way(channels=[bad, fleet.channel]))
    assert told["problem"] == "Not notified: bad: no connection to 127.0.0.1: Connection refused"
    assert len(fleet.news()) == 2
    good = {**fleet.channel, "name": "bad"}
    assert fleet.run({"media2": ("critical", FAILED)}, fleet.way(channels=[good, fleet.channel]))["problem"] == ""
    assert len(fleet.news()) == 2


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("https://hooks.example.com/canary", "channel 1: is not a dictionary"),
        ({"name": "bad"}, "bad: missing required arguments: type"),
        ({"name": "bad", "type": "canary", "url": "canary"}, "bad: value of type must be one of"),
        ({"name": "bad", "type": "slack", "url": "http://canary"}, "must be https"),
        ({"name": "a b", "type": "slack", "url": "https://canary"}, "must be letters"),
        ({"name": "bad", "type": "webhook", "uri": "https://canary"}, "bad: has no option uri"),
    ],
)
def test_a_channel_that_is_no_channel_costs_the_others_nothing(fleet: Fleet, broken: Any, said: str) -> None:
    way = fleet.way(channels=[broken, fleet.channel])
    told = fleet.run({"media1": ("critical", True)}, way)
    assert said in told["problem"]
    assert "canary" not in told["problem"].replace("got: canary", "")
    assert fleet.news() == ["began media1 overall_status critical"]
    assert told["delivered"]["media1"][0]["complete"] is False, "it waits for the channel that is to get it, too"
    fleet.run({"media1": ("critical", True)}, way)
    assert fleet.news() == []


def test_each_recipient_of_a_mail_gets_it_once(fleet: Fleet) -> None:
    mail = {"name": "mail", "type": "email", "host": "127.0.0.1", "starttls": False, "sender": "m@example.com"}
    mail["recipients"] = ["one@example.com", "two@example.com", "three@example.com"]
    with mail_server(refuse="two@") as server:
        way = fleet.way(channels=[{**mail, "port": server.port}])
        for _time in range(2):
            told = fleet.run({"media1": ("critical", True)}, way)
            assert told["problem"] == f"Not notified: mail: 127.0.0.1:{server.port} refused two@example.com (550)"
        assert [found["To"] for found in server.mails] == ["one@example.com, two@example.com, three@example.com"]
    with mail_server() as server:
        way = fleet.way(channels=[{**mail, "port": server.port}])
        for _time in range(2):
            assert fleet.run({"media1": ("critical", True)}, way)["problem"] == ""
        assert [found["To"] for found in server.mails] == ["two@example.com"]


def test_an_id_of_another_hosts_message_is_not_taken_for_it(fleet: Fleet) -> None:
    """A host may say what it likes: with the id of another's message it keeps that from nobody."""
    first = fleet.ask("media1", "critical")
    liar = fleet.ask("media2", "unknown")
    for row in liar["messages"]:
        row["id"] = first["messages"][0]["id"]
    only_critical = {**fleet.channel, "severities": ["critical"]}
    rest = {**fleet.channel, "name": "rest", "severities": ["unknown", "warning"]}
    with nobody() as down:
        rest["url"] = rest["url"].replace(fleet.server.base, down)
        told = tell_all(
            Findings({"media1": [seen("critical")], "media2": [seen("unknown")]}, {"media1": first, "media2": liar}),
            fleet.way(channels=[only_critical, rest]),
        )
    assert told["delivered"]["media1"][0]["complete"] is True
    assert told["delivered"]["media2"][0]["complete"] is False


# --- hosts that are no more


def test_an_alert_of_a_host_that_left_the_inventory_ends_for_that_reason(fleet: Fleet) -> None:
    both = {"media1": ("critical", True), "media2": ("critical", FAILED), "media3": ("ok", True)}
    fleet.run(both, inventory="a", everyone=list(both))
    fleet.news()
    left = {"media3": ("ok", True)}
    fleet.run(left, inventory="a", everyone=None)
    assert fleet.news() == [], "of a limited run nobody knows"
    fleet.run(left, inventory="b", everyone=["media3"])
    assert fleet.news() == [], "another inventory has other hosts"
    fleet.run(left, inventory="a", everyone=[*both])
    assert fleet.news() == [], "what is in the inventory is only not in this play"
    fleet.run(left, inventory="a", everyone=["media3"])
    (body,) = fleet.server.bodies("webhook")
    assert [row["message"] for row in body["messages"] if row["host"] == "media1"] == [
        "Overall status: media1 left the inventory; the last state was critical"
    ]
    keys = {row["dedup_key"] for row in body["messages"]}
    assert "media-ops:media1:watch_health:overall_status" in keys, "the page is resolved"
    assert {row["source"] for row in body["messages"]} == {"watch_health", "hosts"}
    assert fleet.news() == [
        "ended media1 overall_status unknown",
        "ended media2 host_state unknown",
        "ended media2 overall_status unknown",
    ]
    fleet.run(left, inventory="a", everyone=["media3"])
    assert fleet.news() == [], "once"


# --- the report


def test_that_a_report_could_not_be_written_is_a_message_of_its_own(fleet: Fleet) -> None:
    assert tell_of_report(fleet.way(), "No space left on device")["late"] is True
    (body,) = fleet.server.bodies("webhook")
    assert f"on {socket.gethostname()}: No space left on device" in body["messages"][0]["message"]
    assert fleet.news() == ["began controller report unknown"]
    assert fleet.run({"media1": ("ok", True)})["late"] is True
    tell_of_report(fleet.way(), "No space left on device")
    assert fleet.news() == []
    assert tell_of_report(fleet.way(), "")["late"] is False
    assert fleet.news() == ["ended controller report ok"]


def test_the_page_need_not_be_written_yet(fleet: Fleet) -> None:
    fleet.run({"media1": ("critical", True)}, fleet.way(report="/reports/later/report.html"))
    assert fleet.server.bodies("webhook")[0]["report"] == "/reports/later/report.html"


def test_in_check_mode_nothing_is_sent_or_written(fleet: Fleet) -> None:
    found = Findings({"media2": [seen("critical")]}, {"media2": FAILED})
    told = tell_all(found, fleet.way(), check_mode=True)
    assert len(told["headlines"]) == 2
    assert fleet.server.seen == []
    assert not fleet.reports.exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("settle", value) for value in ("soon", 0, 101, None, True, float("nan"))),
        *(("reminder_after", value) for value in ("soon", -1, float("inf"))),
        ("alert_from", "fine"),
        ("source", "../x"),
        ("contacts", "Anna"),
        ("channels", {"a": 1}),
    ],
)
def test_an_option_that_cannot_be_meant_is_named_and_not_in_the_way(fleet: Fleet, option: str, value: Any) -> None:
    way, wrong = way_of({"state_dir": str(fleet.reports), "title": "Watch", "source": "watch_health", option: value})
    assert bool(wrong) is (value is not None)
    assert all(f"'{option}'" in line for line in wrong)
    assert tell_all(Findings({"media2": [seen("critical")]}, {"media2": FAILED}), way)["headlines"] != []


def test_what_is_neither_a_host_nor_a_verdict_costs_nothing(fleet: Fleet) -> None:
    odd: Any = {"media1": ["x", {"check": 1}, {"check": "a", "state": "odd", "playbook": "../../x"}]}
    tell_all(Findings(odd, {"media1": {"messages": "all well"}}), fleet.way(contacts=["Anna", {"name": "Bea"}]))
    assert fleet.news() == ["began media1 a unknown", "began media1 host_state unknown"]


def test_a_host_that_is_muted_is_not_told_of_though_it_is_down() -> None:
    mute = {"what": "host", "name": "", "reason": "new disk", "by": "", "since": "", "until": "", "state": "unknown"}
    verdicts: dict[str, Any] = {
        "media1": [{"check": "overall_status", "state": "ok", "muted": mute}],
        "media2": [{"check": "x"}],
    }
    rows = host_states(verdicts, {"media1": GONE, "media2": GONE})
    assert [row["state"] for row in rows] == ["ok", "unknown"]
