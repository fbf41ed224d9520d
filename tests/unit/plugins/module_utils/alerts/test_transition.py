"""Once-only messages: what a person reckons by hand, and what holds for any sequence of states."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.alerts.transition import (
    AlertPolicy,
    Alerts,
    Message,
    Run,
    acknowledge,
    adopt,
    claim,
    hand_back,
    is_message,
    leave,
    load,
    nothing_known,
    open_alerts,
    transition,
)
from hypothesis import given, settings
from hypothesis import strategies as st

START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


class Watch:
    """A check of one host, looked at again and again."""

    def __init__(self, *, delivered: bool = False, **policy: Any) -> None:
        self.delivered = delivered
        self.policy = AlertPolicy(**policy)
        self.state: Alerts = nothing_known()
        self.now = START
        self.runs = 0
        self.told: list[Message] = []

    def see(self, *states: str, every_min: float = 5, **verdict: Any) -> list[Message]:
        """Look once for each state, then let the time until the next look pass. What was told by these looks."""
        told: list[Message] = []
        for state in states:
            told += self.judge([{"check": "overall_status", "title": "Overall status", "state": state, **verdict}])
            self.now += timedelta(minutes=every_min)
        return told

    def judge(self, verdicts: list[dict[str, Any]], source: str = "watch_health") -> list[Message]:
        self.runs += 1
        run = Run(source, f"run{self.runs}", "media1", self.now)
        before = json.dumps(self.state, sort_keys=True)
        self.state, messages = transition(known := self.state, verdicts, run, self.policy)
        assert json.dumps(known, sort_keys=True) == before, "the state of before is left as it is"
        assert load(json.loads(json.dumps(self.state))) == self.state, "it survives the file"
        self.told += messages
        if self.delivered:
            self.state, _done = acknowledge(self.state, [{"id": m["id"], "complete": True} for m in messages])
        return messages


def events(messages: list[Message]) -> list[str]:
    return [message["event"] for message in messages]


# runbook: AU-H1
def test_one_message_when_a_state_begins_and_one_when_it_ends_with_its_duration() -> None:
    watch = Watch()
    assert watch.see("ok", "ok") == []
    (began,) = watch.see("critical", message="Overall status: critical", playbook="incident_critical_system")
    assert watch.see("critical", "critical") == []
    (ended,) = watch.see("ok")
    assert watch.see("ok", "ok") == []
    assert (began["event"], began["severity"], began["state"], began["was"]) == ("began", "critical", "critical", "ok")
    assert (began["began_at"], began["duration_s"]) == ("2026-11-24T06:10:00Z", 0)
    assert (began["message"], began["playbook"]) == ("Overall status: critical", "incident_critical_system")
    assert (ended["event"], ended["severity"], ended["state"], ended["was"]) == ("ended", "critical", "ok", "critical")
    assert (ended["began_at"], ended["since"], ended["duration_s"]) == (
        "2026-11-24T06:10:00Z",
        "2026-11-24T06:25:00Z",
        900,
    )
    assert ended["suppressed"] == 2
    assert (ended["playbook"], ended["dedup_key"]) == ("", began["dedup_key"])
    assert watch.state["pending"] == [began, ended]


def test_unknown_is_bad_and_a_warning_is_not_unless_asked_for() -> None:
    assert events(Watch().see("unknown")) == ["began"]
    assert Watch().see("warning") == []
    assert events(Watch(alert_from="warning").see("warning")) == ["began"]


def test_a_state_that_is_none_is_unknown() -> None:
    (began,) = Watch().see("fine")
    assert (began["state"], began["severity"]) == ("unknown", "unknown")
    (began,) = Watch().judge([{"check": "x", "state": ["critical"]}])
    assert began["state"] == "unknown"


def test_getting_worse_and_better_is_told_and_routed_by_the_worst() -> None:
    watch = Watch(alert_from="warning", flap_changes=10)
    told = watch.see("warning", "critical", "critical", "warning", "ok", "warning")
    assert [(m["event"], m["was"], m["state"], m["severity"], m["severity_was"]) for m in told] == [
        ("began", "ok", "warning", "warning", "ok"),
        ("changed", "warning", "critical", "critical", "warning"),
        ("changed", "critical", "warning", "critical", "critical"),
        ("ended", "warning", "ok", "critical", "critical"),
        ("began", "ok", "warning", "warning", "ok"),
    ]
    assert [m["duration_s"] for m in told] == [0, 300, 900, 1200, 0]


def test_a_reminder_comes_after_its_time_and_counts_what_was_suppressed() -> None:
    watch = Watch(delivered=True, reminder_after_s=4 * 3600)
    told = watch.see(*["critical"] * 98)
    assert [(m["event"], m["suppressed"], m["duration_s"]) for m in told] == [
        ("began", 0, 0),
        ("reminder", 47, 4 * 3600),
        ("reminder", 47, 8 * 3600),
    ]
    assert events(Watch(reminder_after_s=0).see(*["critical"] * 1000)) == ["began"]


def test_reminders_that_nobody_got_become_one_and_lose_no_count() -> None:
    watch = Watch(reminder_after_s=3600)
    watch.see(*["critical"] * 37)
    assert [(m["event"], m["suppressed"]) for m in watch.state["pending"]] == [("began", 0), ("reminder", 35)]


# runbook: AU-H1
def test_twenty_changes_in_an_hour_are_a_handful_of_messages() -> None:
    watch = Watch()
    told = watch.see(*["critical", "ok"] * 10, every_min=3)
    assert events(told) == ["began", "ended", "began", "flapping"]
    assert told[-1]["severity"] == "critical"
    # 20 noteworthy runs: 4 told, 16 not. Then well for half an hour, and the end says so.
    (ended,) = watch.see(*["ok"] * 20, every_min=3)
    assert (ended["event"], ended["was"], ended["suppressed"]) == ("ended", "flapping", 16)
    assert ended["began_at"] == "2026-11-24T06:06:00Z"
    assert ended["duration_s"] == (57 - 6) * 60, "to the first good sample, not to when it was believed"


def test_flapping_that_ends_badly_says_so() -> None:
    watch = Watch()
    watch.see(*["critical", "ok"] * 5, every_min=3)
    told = watch.see(*["unknown"] * 15, every_min=3)
    assert [(m["event"], m["was"], m["state"], m["severity"]) for m in told] == [
        ("changed", "flapping", "unknown", "critical")
    ]
    (ended,) = watch.see("ok")
    assert (ended["event"], ended["was"], ended["severity"]) == ("ended", "unknown", "critical")


def test_after_flapping_a_check_begins_anew() -> None:
    watch = Watch()
    watch.see(*["critical", "ok"] * 5, every_min=3)
    watch.see(*["ok"] * 20, every_min=3)
    assert events(watch.see("critical", "ok")) == ["began", "ended"]
    assert open_alerts(watch.state) == []


def test_a_day_of_flapping_is_reminded_of_and_not_more() -> None:
    watch = Watch(reminder_after_s=4 * 3600)
    told = watch.see(*["critical", "ok"] * 240, every_min=3)
    assert Counter(events(told)) == {"began": 2, "ended": 1, "flapping": 1, "reminder": 5}


def test_what_does_not_settle_is_not_told_but_counted() -> None:
    watch = Watch(settle=3, flap_changes=50)
    assert watch.see("critical", "ok", "critical", "critical", "ok") == []
    told = watch.see("critical", "critical", "critical")
    assert [(m["event"], m["suppressed"], m["began_at"]) for m in told] == [("began", 7, "2026-11-24T06:25:00Z")]
    (ended,) = watch.see("ok", "ok", "ok")
    assert (ended["since"], ended["duration_s"]) == ("2026-11-24T06:40:00Z", 900)


def test_the_same_run_twice_counts_once() -> None:
    run = Run("watch_health", "run1", "media1", START)
    verdicts = [{"check": "x", "state": "critical"}]
    once, messages = transition(nothing_known(), verdicts, run, AlertPolicy())
    assert len(messages) == 1
    assert transition(once, verdicts, run, AlertPolicy()) == (once, [])


def test_a_clock_set_back_gives_no_negative_duration_and_no_storm() -> None:
    watch = Watch()
    watch.see("critical")
    watch.now -= timedelta(hours=30)
    told = watch.see("critical", "critical", "ok")
    assert [(m["event"], m["duration_s"]) for m in told] == [("ended", 0)]


def test_a_check_that_is_no_longer_made_ends_and_says_that_it_is_not_well() -> None:
    watch = Watch()
    watch.judge([{"check": "a", "title": "A", "state": "critical"}, {"check": "b", "state": "ok"}])
    (ended,) = watch.judge([{"check": "b", "state": "ok"}])
    assert (ended["event"], ended["check"], ended["state"]) == ("ended", "a", "unknown")
    assert ended["message"] == "A: no longer checked; the last state was critical"
    assert open_alerts(watch.state) == []


def test_other_procedures_and_hosts_that_were_not_looked_at_are_left_alone() -> None:
    watch = Watch()
    bad = {"check": "a", "state": "critical"}
    watch.judge([{**bad, "hosts": ["m1"]}, {**bad, "hosts": ["m2"]}])
    assert watch.judge([bad], source="watch_performance")[0]["host"] == "media1"
    assert watch.judge([{**bad, "hosts": ["m2"]}]) == []
    assert [(a["host"], a["source"]) for a in open_alerts(watch.state)] == [
        ("m1", "watch_health"),
        ("m2", "watch_health"),
        ("media1", "watch_performance"),
    ]


def test_of_two_verdicts_for_one_check_the_worse_counts() -> None:
    (began,) = Watch().judge([{"check": "a", "state": "critical"}, {"check": "a", "state": "ok"}])
    assert began["state"] == "critical"


def test_messages_wait_until_all_channels_have_them() -> None:
    watch = Watch()
    (began,) = watch.see("critical")
    state, done = acknowledge(watch.state, [{"id": began["id"], "channels": ["log"], "complete": False}])
    assert (done, [m["sent_to"] for m in state["pending"]]) == (0, [["log"]])
    state, done = acknowledge(state, [{"id": began["id"], "channels": ["chat"], "complete": True}, {"id": "other"}])
    assert (done, state["pending"]) == (1, [])


def test_later_messages_of_a_trouble_bear_the_key_under_which_it_was_sent() -> None:
    watch = Watch()
    (began,) = watch.see("critical")
    watch.state, _done = acknowledge(watch.state, [{"id": began["id"], "complete": True, "dedup_key": "fleet"}])
    assert watch.see("ok")[0]["dedup_key"] == "fleet"
    assert watch.see("critical")[0]["dedup_key"] == began["dedup_key"], "the next trouble has its own"


def test_a_late_acknowledgement_reaches_the_messages_that_wait_and_not_the_next_trouble() -> None:
    watch = Watch()
    began, _ended, again = watch.see("critical", "ok", "critical")
    state, _done = acknowledge(watch.state, [{"id": began["id"], "complete": True, "dedup_key": "fleet"}])
    assert [m["dedup_key"] for m in state["pending"]] == ["fleet", again["dedup_key"]]
    assert open_alerts(state)[0]["dedup_key"] == again["dedup_key"]


def test_no_more_wait_than_are_kept_and_what_is_dropped_is_counted() -> None:
    watch = Watch(keep=10, flap_changes=100)
    told = watch.see(*["critical", "ok"] * 8)
    assert watch.state["pending"] == told[-10:]
    assert watch.state["dropped"] == 6


def test_what_is_well_and_quiet_is_forgotten() -> None:
    watch = Watch()
    watch.see("critical", "ok", *["ok"] * 13)
    assert watch.state["entries"] == {}


def test_what_nobody_looked_at_for_a_month_is_forgotten() -> None:
    watch = Watch()
    watch.judge([{"check": "a", "state": "critical", "hosts": ["gone"]}])
    watch.now += timedelta(days=31)
    watch.see("ok")
    assert watch.state["entries"] == {}


def test_three_hundred_hosts_at_once() -> None:
    watch = Watch()
    told = watch.judge([{"check": "a", "state": "critical", "hosts": [f"m{number}" for number in range(300)]}])
    assert len({m["id"] for m in told}) == len({m["dedup_key"] for m in told}) == 300


def test_keys_fit_and_foreign_text_is_one_line() -> None:
    host = "h" * 300
    (began,) = Watch().judge(
        [{"check": "a", "state": "critical", "hosts": [host], "message": "x\n\x1b[31m" + "y" * 999}]
    )
    assert len(began["dedup_key"]) <= 255
    assert began["message"].isprintable()
    assert len(began["message"]) <= 300


def test_five_weeks_of_watching_are_what_a_person_reckons_by_hand() -> None:
    """Every five minutes; each night critical from 02:00 to 02:20, and each seventh day unknown for ten hours."""
    watch = Watch(delivered=True)
    watch.now = START.replace(hour=0)
    size = 0
    for day in range(35):
        night = ["ok"] * 24 + ["critical"] * 4 + ["ok"] * 44
        long = ["unknown"] * 120 if day % 7 == 6 else ["ok"] * 120
        watch.see(*night, *long, *["ok"] * 96)
        size = max(size, len(json.dumps(watch.state)))
    found = Counter((m["event"], m["severity"], m["duration_s"] // 60) for m in watch.told)
    assert found == {
        ("began", "critical", 0): 35,
        ("ended", "critical", 20): 35,
        ("began", "unknown", 0): 5,
        ("reminder", "unknown", 240): 5,
        ("reminder", "unknown", 480): 5,
        ("ended", "unknown", 600): 5,
    }
    assert sum(1 + m["suppressed"] for m in watch.told) == 35 * 5 + 5 * 121, (
        "each run that found something is accounted for"
    )
    assert (watch.state["entries"], watch.state["pending"]) == ({}, [])
    assert size < 1000


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {},
        {"version": 2},
        {**nothing_known(), "entries": []},
        {**nothing_known(), "sequence": True},
        {**nothing_known(), "entries": {"a": {}}},
        {**nothing_known(), "pending": ["x"]},
        {**nothing_known(), "claims": {"a": "run1"}},
        {**nothing_known(), "claims": {"a": ["run1", 5]}},
    ],
)
def test_a_file_that_is_something_else_is_no_state(broken: object) -> None:
    assert load(broken) is None


def test_a_file_of_an_earlier_version_has_no_claims_yet() -> None:
    older = {name: value for name, value in nothing_known().items() if name != "claims"}
    assert load(older) == nothing_known()


# --- who tells


def taken(watch: Watch, run: str, *, after_s: float = 0, hold_s: float = 240) -> list[str]:
    now = watch.now + timedelta(seconds=after_s)
    watch.state, mine = claim(watch.state, Run("watch_health", run, "media1", now), hold_s)
    return events(mine)


def test_a_message_is_one_runs_until_it_is_acknowledged_or_its_time_is_over() -> None:
    watch = Watch()
    watch.see("critical", every_min=0)
    assert taken(watch, "a") == ["began"]
    assert taken(watch, "b", after_s=239) == []
    assert taken(watch, "a", after_s=10) == ["began"], "its own run may ask again"
    assert taken(watch, "b", after_s=251) == ["began"], "whoever had it is gone"
    watch.state, _done = acknowledge(watch.state, [{"id": watch.told[0]["id"], "complete": False}])
    assert taken(watch, "c", after_s=252) == ["began"], "it was tried, and did not go everywhere"
    watch.state, _done = acknowledge(watch.state, [{"id": watch.told[0]["id"], "complete": True}])
    assert watch.state["claims"] == {}


def test_a_clock_that_was_set_back_holds_no_message_for_ever() -> None:
    watch = Watch()
    watch.see("critical", every_min=0)
    assert taken(watch, "a", after_s=86400) == ["began"]
    assert taken(watch, "b") == ["began"]


def test_the_delivery_of_another_hosts_message_is_none() -> None:
    watch = Watch()
    watch.see("critical")
    (began,) = watch.state["pending"]
    row = {"id": began["id"], "channels": ["chat"], "complete": True}
    assert acknowledge(watch.state, [{**row, "host": "media2"}]) == (watch.state, 0)
    assert acknowledge(watch.state, [{**row, "host": "media1"}])[1] == 1


def test_messages_of_two_hosts_never_have_one_id() -> None:
    ids = set()
    for host in ("media1", "media2"):
        run = Run("watch_health", "run1", host, START)
        state, _messages = transition(nothing_known(), [{"check": "a", "state": "critical"}], run, AlertPolicy())
        shared = [{"id": message["id"], "dedup_key": "media-ops:fleet:a"} for message in state["pending"]]
        state, _done = acknowledge(state, shared)
        later = Run("watch_health", "run2", host, START + timedelta(minutes=5))
        _state, messages = transition(state, [{"check": "a", "state": "ok"}], later, AlertPolicy())
        ids |= {message["id"] for message in messages}
    assert len(ids) == 2


def test_what_is_no_name_of_a_playbook_is_none_in_a_message() -> None:
    watch = Watch()
    (began,) = watch.see("critical", playbook="../x; rm")
    assert began["playbook"] == ""
    assert is_message(began)


# --- whose it is


def test_what_another_told_is_taken_over_ended_and_handed_back() -> None:
    watch = Watch()
    watch.see("critical")
    alerts = open_alerts(watch.state)
    run = Run("watch_performance", "run9", "controller", watch.now)
    held = adopt(nothing_known(), [*alerts, {**alerts[0], "check": "b", "state": "odd"}], run)
    assert load(json.loads(json.dumps(held))) == held
    assert open_alerts(held) == alerts
    assert adopt(held, [{**alerts[0], "severity": "warning"}], run) == held, "what it knows itself counts"
    assert hand_back(held, "media1", "watch_health", "overall_status") == (
        {**held, "entries": {}},
        alerts[0]["dedup_key"],
    )
    assert hand_back(held, "media1", "watch_health", "b") == (held, "")
    left, (ended,) = leave(held, "media1", "media1 left the inventory", run, 500)
    assert (ended["event"], ended["source"], ended["dedup_key"]) == ("ended", "watch_health", alerts[0]["dedup_key"])
    assert ended["message"] == "Overall status: media1 left the inventory; the last state was critical"
    assert (left["entries"], left["pending"]) == ({}, [ended])
    assert leave(held, "media2", "gone", run, 500) == (held, [])


def test_what_is_not_among_some_of_a_hosts_verdicts_stays_as_it_is() -> None:
    watch = Watch()
    watch.judge([{"check": "a", "state": "critical"}])
    run = Run("watch_health", "part", "media1", watch.now)
    rows = [{"check": "b", "state": "critical"}]
    state, told = transition(watch.state, rows, run, AlertPolicy(), partly=["media1"])
    assert [message["check"] for message in told] == ["b"]
    assert [alert["check"] for alert in open_alerts(state)] == ["a", "b"]


@settings(max_examples=60, deadline=None)
@given(
    seen=st.lists(
        st.tuples(st.sampled_from(["ok", "warning", "unknown", "critical"]), st.integers(1, 90)), max_size=80
    ),
    settle=st.integers(1, 3),
    flap_changes=st.integers(2, 6),
    alert_from=st.sampled_from(["warning", "unknown"]),
)
def test_each_noteworthy_run_is_told_or_counted_and_what_begins_ends(
    seen: list[tuple[str, int]], settle: int, flap_changes: int, alert_from: str
) -> None:
    watch = Watch(settle=settle, flap_changes=flap_changes, alert_from=alert_from)
    good = {"ok", "warning"} if alert_from == "unknown" else {"ok"}
    noteworthy, before = 0, "ok"
    for state, minutes in seen:
        told = watch.see(state, every_min=minutes)
        shown = "ok" if state in good else state
        # An end that was waited for is told by a run that found nothing new.
        noteworthy += bool(told) or shown != "ok" or shown != before
        before = shown
    waiting = sum(entry["suppressed"] for entry in watch.state["entries"].values())
    assert sum(1 + m["suppressed"] for m in watch.state["pending"]) + waiting == noteworthy

    is_open = False
    for message in watch.told:
        assert message["duration_s"] >= 0
        if message["event"] == "began":
            assert not is_open
        if message["event"] in ("changed", "ended", "reminder"):
            assert is_open
        assert message["severity"] not in good
        is_open = message["event"] != "ended"
    assert bool(open_alerts(watch.state)) == is_open

    watch.now += timedelta(hours=2)
    watch.see(*["ok"] * 20)
    assert open_alerts(watch.state) == [], "whatever was bad ends when all is well"
