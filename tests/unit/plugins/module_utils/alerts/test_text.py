"""What a channel is sent: grouped, worded, and within its limits for any number of hosts and any text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.alerts import notify, text
from ansible_collections.media_ops.runbook.plugins.module_utils.alerts.text import Frame, grouped, latest, share_keys
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import receiver
from tests.unit.plugins.message_factory import alert, ended, message

NOW = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
FRAME = Frame(
    "Health watch", ("Operations Anna +49 30 1",), "/reports/1/report.html", "ansible-playbook playbooks/", NOW
)
FLEET = [message(f"media{number:03}") for number in range(300)]


def lines(*messages: dict[str, Any]) -> list[str]:
    return text.plain_text(grouped(latest(messages)), FRAME, folded=0).splitlines()


# runbook: AU-H1
def test_a_message_says_what_since_when_what_to_run_and_whom_to_call() -> None:
    assert lines(message(suppressed=1)) == [
        "CRITICAL: Overall status on media1",
        "  Overall status: critical",
        "  Since 2026-11-24T06:00:00Z; 1 earlier finding not sent",
        "  To do: Follow the critical system response",
        "  Run: ansible-playbook playbooks/incident_critical_system.yml --limit media1",
        "",
        "Report: /reports/1/report.html",
        "Call: Operations Anna +49 30 1",
    ]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (ended(), "ENDED: Overall status on media1, ok after 15 min"),
        (
            message(event="changed", state="critical", was="unknown"),
            "CRITICAL: Overall status on media1, now critical, was unknown",
        ),
        (
            message(event="reminder", was="critical", duration_s=14700),
            "CRITICAL: Overall status on media1, for 4 h 5 min now",
        ),
        (
            message(event="reminder", was="flapping", duration_s=86400),
            "CRITICAL: Overall status on media1, for 1 d now, changing",
        ),
        (message(event="flapping", state="ok"), "CRITICAL: Overall status keeps changing on media1, now ok"),
        (message(severity="unknown", state="unknown"), "UNKNOWN: Overall status on media1"),
    ],
)
def test_headlines(made: dict[str, Any], said: str) -> None:
    assert lines(made)[0] == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (90061, "1 d 1 h"), (86460, "1 d")]
)
def test_durations(seconds: int, said: str) -> None:
    assert text.duration(seconds) == said


# runbook: AU-H3
def test_fifty_hosts_with_one_cause_are_one_group_and_the_command_begins_with_one() -> None:
    (group,) = grouped(FLEET[:50])
    head = text.headline(group)
    assert head.startswith("CRITICAL: Overall status on 50 hosts: media000, media001, ")
    assert head.endswith("media019 and 30 more")
    assert text.command_for(group, FRAME).endswith("incident_critical_system.yml --limit media000")
    (few,) = grouped(FLEET[:3])
    assert text.command_for(few, FRAME).endswith("--limit media000,media001,media002")


def test_hosts_that_differ_each_say_what() -> None:
    found = lines(*(message(f"m{number}", message=f"Error rate: {number} %") for number in range(8)))
    assert found[1:7] == [*(f"  m{number}: Error rate: {number} %" for number in range(5)), "  and 3 more"]


def test_worst_first_and_ends_last() -> None:
    made = [
        ended("a"),
        message("b", severity="unknown", state="unknown"),
        message("c", check="x"),
        message("d", check="y"),
    ]
    assert [group.hosts for group in grouped(made)] == [["c"], ["d"], ["b"], ["a"]]


def test_an_installed_collection_is_called_by_name() -> None:
    frame = Frame("Watch", (), "", "ansible-playbook media_ops.runbook.", NOW)
    (group,) = grouped([message("media 1")])
    assert text.command_for(group, frame) == (
        "ansible-playbook media_ops.runbook.incident_critical_system --limit '~^media\\x201\\Z'"
    )


def test_after_an_outage_of_the_channel_the_last_state_stands_and_the_story_is_told() -> None:
    again = message(at="2026-11-24T06:20:00Z", began_at="2026-11-24T06:20:00Z", suppressed=3)
    found = lines(message(), ended(), again)
    assert found[0] == "CRITICAL: Overall status on media1"
    assert "  Before: 2026-11-24T06:00:00Z began (critical), 2026-11-24T06:15:00Z ended (ok)" in found
    assert "  Since 2026-11-24T06:20:00Z; 5 earlier findings not sent" in found


# --- one page for one cause


def test_a_trouble_that_begins_on_many_hosts_has_one_key_also_when_sent_again() -> None:
    keyed, alerts = share_keys(FLEET[:50], [alert(made) for made in FLEET[:60]])
    keys = {made["dedup_key"] for made in keyed}
    assert len(keys) == 1
    assert {found["dedup_key"] for found in alerts[:50]} == keys
    assert alerts[55]["dedup_key"] == FLEET[55]["dedup_key"]
    again, _alerts = share_keys(list(reversed(FLEET[:50])), [])
    assert {made["dedup_key"] for made in again} == keys
    assert share_keys(keyed, [])[0] == keyed, "what has such a key keeps it"


def test_one_host_has_its_own_key() -> None:
    assert share_keys([message()], [])[0] == [message()]


def test_a_page_for_many_ends_when_it_is_over_on_all() -> None:
    began, alerts = share_keys(FLEET[:3], [alert(made) for made in FLEET[:3]])
    (event,) = text.pagerduty(began, [found["dedup_key"] for found in alerts], FRAME)
    key = event[0]["dedup_key"]
    assert event[1] == [made["id"] for made in FLEET[:3]]
    over = [ended(made["host"], dedup_key=key) for made in FLEET[:3]]
    assert text.pagerduty(over[:1], [key], FRAME) == [({}, [over[0]["id"]])]
    assert text.pagerduty(over[1:], [], FRAME) == [
        ({"event_action": "resolve", "dedup_key": key}, [over[1]["id"], over[2]["id"]])
    ]


def test_what_began_and_ended_while_pagerduty_was_down_is_triggered_and_resolved() -> None:
    events = text.pagerduty([message(), ended()], [], FRAME)
    assert [event["event_action"] for event, _ids in events] == ["trigger", "resolve"]


def test_what_began_again_stays_open() -> None:
    events = text.pagerduty([ended(), message()], [message()["dedup_key"]], FRAME)
    assert [event.get("event_action") for event, _ids in events] == ["trigger", None]


# --- alertmanager


def test_an_alert_begins_and_ends_under_the_same_labels() -> None:
    (began,) = text.alertmanager([message()], FRAME, expires_after_s=3600)
    (over,) = text.alertmanager([message(), ended()], FRAME, expires_after_s=3600)
    assert began["labels"] == over["labels"]
    assert (began["startsAt"], began["endsAt"]) == ("2026-11-24T06:00:00Z", "2026-11-24T07:30:00Z")
    assert (over["startsAt"], over["endsAt"]) == ("2026-11-24T06:00:00Z", "2026-11-24T06:15:00Z")


def test_a_severity_that_rises_ends_the_lesser_alert() -> None:
    made = message(event="changed", severity_was="warning", at="2026-11-24T06:20:00Z")
    lesser, now = text.alertmanager([made], FRAME, expires_after_s=3600)
    assert (lesser["labels"]["severity"], lesser["endsAt"]) == ("warning", "2026-11-24T06:20:00Z")
    assert (now["labels"]["severity"], now["endsAt"]) == ("critical", "2026-11-24T07:30:00Z")


# --- limits, whatever comes

NASTY = ["<!channel> & <@U1> *x* `y`" * 12, "&" * 300, "\U0001f525" * 300, "'" * 300]
TEXTS = st.text(max_size=300) | st.sampled_from(NASTY)
MESSAGES = st.builds(
    message,
    host=st.sampled_from([f"media{number}" for number in range(40)] + [nasty * 2 for nasty in NASTY]),
    check=st.sampled_from([f"check{number}" for number in range(60)]),
    title=TEXTS,
    message=TEXTS,
    action=TEXTS,
    event=st.sampled_from(["began", "changed", "flapping", "reminder"]),
    severity=st.sampled_from(["warning", "unknown", "critical"]),
    suppressed=st.integers(0, 10**6),
)


@settings(max_examples=80, deadline=None)
@given(made=st.lists(MESSAGES, min_size=1, max_size=60), folded=st.integers(0, 10**6))
def test_slack_and_the_others_take_whatever_comes(made: list[dict[str, Any]], folded: int) -> None:
    made = [dict(notify._bounded({**one, "id": str(number)})) for number, one in enumerate(made)]
    groups = grouped(latest(made))[: text.SLACK_GROUPS_MAX]
    assert receiver.slack(json.loads(json.dumps(text.slack(groups, FRAME, folded=folded)))) == "ok"
    for event, _ids in text.pagerduty(made, [], FRAME):
        receiver.pagerduty({"routing_key": "a" * 32, **json.loads(json.dumps(event))})
    receiver.alertmanager(json.loads(json.dumps(text.alertmanager(made, FRAME, expires_after_s=60))))
    for _priority, line in text.syslog_lines(groups, folded=folded):
        assert line.isprintable()
        assert len(line.encode()) <= 900


def test_three_hundred_hosts_at_once_are_one_section_and_one_page() -> None:
    keyed, alerts = share_keys(FLEET, [alert(made) for made in FLEET])
    body = text.slack(grouped(latest(keyed)), FRAME, folded=0)
    assert receiver.slack(body) == "ok"
    assert [block["type"] for block in body["blocks"]] == ["header", "section", "context"]
    assert "300 hosts" in body["text"]
    assert len(text.pagerduty(keyed, {found["dedup_key"] for found in alerts}, FRAME)) == 1


def test_foreign_text_cannot_speak_to_slack() -> None:
    body = text.slack(grouped([message(message="<!channel> <http://x|y> & co")]), FRAME, folded=2)
    section = body["blocks"][1]["text"]["text"]
    assert "&lt;!channel&gt; &lt;http://x|y&gt; &amp; co" in section
    assert "and 2 more messages, not shown here" in body["text"]


def test_a_cut_leaves_no_half_of_an_escape() -> None:
    for limit in range(2, 12):
        cut = text._escaped("a&b<c>d" * 3, limit)
        assert len(cut) <= limit
        assert receiver._mrkdwn({"type": "mrkdwn", "text": cut}, limit), cut
