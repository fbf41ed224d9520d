"""Channels against real receivers: what arrives, what happens when they are down, and that no reason tells a secret."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.alerts import notify
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text, utc_now

from tests.fault_server import make_certificate, server_context
from tests.monitoring_tools import serving
from tests.receiver import MODES, Receiver, mail_server, nobody, receiver, syslog_socket
from tests.unit.plugins.message_factory import alert, ended, message

ROUTING_KEY = "0123456789abcdef0123456789CANARY"
CANARIES = ("canary", "T0CANARY", ROUTING_KEY, "hookcanarysecret")
FLEET = [message(f"media{number:03}") for number in range(300)]
DEFAULTS: dict[str, Any] = {
    "messages": [message()],
    "open_alerts": [],
    "title": "Health watch",
    "contacts": [{"area": "Operations", "name": "Anna", "contact": "+49 30 1"}],
    "report_path": "/reports/1/report.html",
    "notes": [],
    "command_prefix": "ansible-playbook media_ops.runbook.",
    "connect_timeout": 2.0,
    "read_timeout": 2.0,
    "total_timeout": 10.0,
    "retries": 2,
    "retry_after_max": 3.0,
    "fail": False,
}


MAIL = {"host": "127.0.0.1", "starttls": False, "sender": "m@example.com", "recipients": ["o@example.com"]}


def channel(kind: str, **options: Any) -> dict[str, Any]:
    """A channel as AnsibleModule hands it over."""
    spec = {name: option.get("default") for name, option in notify.channel_spec().items()}
    return {**spec, "name": kind, "type": kind, **options}


def send(*used: dict[str, Any], check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return notify.notify({**DEFAULTS, "channels": list(used), **options}, check_mode=check_mode)


def slack(server: Receiver, **options: Any) -> dict[str, Any]:
    return channel("slack", url=server.slack_url, **options)


def pagerduty(server: Receiver, **options: Any) -> dict[str, Any]:
    return channel("pagerduty", url=server.pagerduty_url, routing_key=ROUTING_KEY, **options)


def every(server: Receiver, log: str, mail_port: int) -> list[dict[str, Any]]:
    return [
        slack(server),
        pagerduty(server),
        channel("alertmanager", url=server.base),
        channel("webhook", url=server.webhook_url, token="bearercanary"),
        channel("syslog", address=log),
        channel(
            "email",
            host="127.0.0.1",
            port=mail_port,
            starttls=False,
            sender="m@example.com",
            recipients=["o@example.com"],
        ),
    ]


# runbook: AU-H1, AU-H2, AU-H3
def test_every_kind_of_channel_gets_it(tmp_path: Path) -> None:
    with receiver() as server, syslog_socket(tmp_path / "log") as log, mail_server() as mail:
        found = send(*every(server, log.address, mail.port))
        assert found["failures"] == server.refusals == []
        assert found["sent"] == dict.fromkeys(("slack", "pagerduty", "alertmanager", "webhook", "syslog", "email"), 1)
        assert found["changed"] is True
        (line,) = log.lines(1)
        (chat,) = server.bodies("slack")
        (page,) = server.bodies("pagerduty")
        ((told,),) = server.bodies("alertmanager")
        (posted,) = server.bodies("webhook")
    headline = "CRITICAL: Overall status on media1"
    assert found["headlines"] == [headline]
    assert chat["text"] == headline
    assert "incident_critical_system --limit media1" in chat["blocks"][1]["text"]["text"]
    assert chat["blocks"][0]["text"]["text"] == "Health watch: 1 critical"
    assert (page["event_action"], page["payload"]["severity"], page["payload"]["summary"]) == (
        "trigger",
        "critical",
        headline,
    )
    assert page["dedup_key"] == message()["dedup_key"]
    assert told["labels"] == {
        "alertname": "overall_status",
        "instance": "media1",
        "source": "watch_health",
        "service": "media-processing",
        "severity": "critical",
    }
    assert (posted["messages"][0]["host"], posted["omitted"]) == ("media1", 0)
    # local0.crit, and the tag of the runbook's logger command
    assert re.match(r"<130>(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 1-3]\d \d\d:\d\d:\d\d media", line)
    assert line.partition(" media-processing[")[2].endswith(f"]: {headline}: Overall status: critical")
    assert mail.mails[0]["Subject"] == f"[media-ops] {headline}"
    assert (mail.mails[0]["From"], mail.mails[0]["To"]) == ("m@example.com", "o@example.com")
    assert "Call: Operations Anna +49 30 1" in mail.mails[0].get_content()
    headers = next(seen.headers for seen in server.seen if seen.kind == "webhook")
    assert headers["Authorization"] == "Bearer bearercanary"


# runbook: AU-H2
def test_syslog_over_udp_names_the_host() -> None:
    with syslog_socket() as log:
        assert send(channel("syslog", address=log.address))["failures"] == []
        assert " media-processing[" in log.lines(1)[0]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in ("ok", "limited", "limited_date", "flaky")])
def test_slack_in_trouble_costs_the_others_nothing_and_says_no_secret(mode: str, tmp_path: Path) -> None:
    with receiver(mode) as bad, receiver() as good, syslog_socket(tmp_path / "log") as log, mail_server() as mail:
        others = every(good, log.address, mail.port)[1:]
        began = time.monotonic()
        found = send(slack(bad), *others, read_timeout=0.5, total_timeout=2.0, retries=1)
        assert time.monotonic() - began < 6
        assert log.lines(1)
    assert found["sent"] == {"slack": 0, **dict.fromkeys((other["name"] for other in others), 1)}
    (failure,) = found["failures"]
    assert (failure["channel"], failure["waiting"]) == ("slack", 1)
    expected = {
        "limited_long": "127.0.0.1 answered 429 (rate_limited), "
        "to be asked again after 3600 s, which is too late for this run",
        "slow": "no answer of 127.0.0.1 in time",
        "drip": "was not done within 2 s",
        "error": "127.0.0.1 answered 500",
        "gone": "127.0.0.1 answered 404 (no_service)",
        "login": "127.0.0.1 answered 200, but not 'ok': is it an incoming webhook?",
        "redirect": "127.0.0.1 answered 302, a redirect, which is not followed",
        "echo": "127.0.0.1 answered 400",
    }
    assert failure["reason"] == expected[mode]
    assert not any(canary in json.dumps(found) for canary in CANARIES)
    (delivery,) = found["deliveries"]
    assert delivery["complete"] is False
    assert delivery["channels"] == sorted(other["name"] for other in others)
    assert len(bad.seen) == {"error": 2}.get(mode, 1)


@pytest.mark.parametrize("mode", ["limited", "limited_date", "flaky"])
def test_what_passes_is_waited_for(mode: str) -> None:
    with receiver(mode) as server:
        began = time.monotonic()
        found = send(slack(server))
        assert found["failures"] == []
        assert len(server.bodies("slack")) == 1
        if mode == "limited":
            assert time.monotonic() - began >= 1, "Retry-After is honoured"


def test_nobody_there_is_a_failure_for_each_kind(tmp_path: Path) -> None:
    with nobody() as base:
        port = int(base.rpartition(":")[2])
        used = every(Receiver("ok", base), str(tmp_path / "absent"), port)
        found = send(*used, retries=0)
    reasons = {failure["channel"]: failure["reason"] for failure in found["failures"]}
    refused = "no connection to 127.0.0.1: Connection refused"
    assert reasons == {
        **dict.fromkeys(("slack", "pagerduty", "alertmanager", "webhook"), refused),
        "email": f"no connection to 127.0.0.1:{port}: Connection refused",
        "syslog": f"no syslog at {tmp_path}/absent: No such file or directory",
    }
    assert found["changed"] is False


def test_a_name_that_does_not_resolve() -> None:
    found = send(
        channel("webhook", url="https://nowhere.invalid/canary"),
        channel("email", host="nowhere.invalid", sender="a@b", recipients=["c@d"]),
        channel("syslog", address="nowhere.invalid:514"),
        retries=0,
    )
    reasons = [failure["reason"] for failure in found["failures"]]
    assert reasons == [
        "the name nowhere.invalid does not resolve",
        "the name nowhere.invalid:587 does not resolve",
        "the name in nowhere.invalid:514 does not resolve",
    ]


def test_tls_is_verified(tmp_path: Path) -> None:
    ca = make_certificate(tmp_path, "ca", names="DNS:ca")
    good = make_certificate(tmp_path, "good", issuer="ca")
    with receiver(tls=server_context(good)) as server:
        trusting = send(slack(server, ca_path=str(ca)))
        wary = send(slack(server), retries=0)
    assert trusting["failures"] == []
    assert wary["failures"][0]["reason"].startswith("TLS: no secure connection to 127.0.0.1: ")
    assert len(server.bodies("slack")) == 1
    with mail_server(tls=server_context(good), password="passwordcanary") as mail:
        options = {**MAIL, "port": mail.port, "starttls": True, "ca_path": str(ca)}
        options |= {"username": "media", "password": "passwordcanary"}
        assert send(channel("email", **options))["failures"] == []
        assert (mail.encrypted, mail.logins) == ([True], ["media"])
        wrong = send(channel("email", **{**options, "password": "othercanary"}))
        assert wrong["failures"][0]["reason"] == f"127.0.0.1:{mail.port} does not accept user and password (535)"
        wary = send(channel("email", **{**options, "ca_path": None}))
        assert wary["failures"][0]["reason"].startswith(f"TLS: no secure connection to 127.0.0.1:{mail.port}: ")
        assert len(mail.mails) == 1


@pytest.mark.parametrize(
    ("server_options", "channel_options", "reason"),
    [
        ({}, {"starttls": True}, "offers no STARTTLS, or no login"),
        ({"refuse": "o@example.com"}, {}, "refused o@example.com (550)"),
        ({"refuse": "two@"}, {"recipients": ["one@example.com", "two@example.com"]}, "refused two@example.com (550)"),
        ({"greet": False}, {}, "in time"),
    ],
)
def test_mail_in_trouble(server_options: dict[str, Any], channel_options: dict[str, Any], reason: str) -> None:
    with mail_server(**server_options) as mail:
        found = send(channel("email", port=mail.port, **{**MAIL, **channel_options}), connect_timeout=0.5)
    assert reason in found["failures"][0]["reason"]
    assert found["deliveries"][0]["complete"] is False


def test_a_full_syslog_socket_is_a_failure_in_time(tmp_path: Path) -> None:
    with syslog_socket(tmp_path / "log") as log:
        for _unused in range(2000):
            found = send(channel("syslog", address=log.address), read_timeout=0.2)
            if found["failures"]:
                break
    assert found["failures"][0]["reason"] == f"no syslog at {tmp_path}/log: no room within its time"


# --- fleet


def test_fifty_hosts_with_one_cause_are_one_message_and_one_page_that_ends_with_the_last() -> None:
    began = FLEET[:50]
    with receiver() as server:
        found = send(slack(server), pagerduty(server), messages=began, open_alerts=[alert(made) for made in began])
        keys = {delivery["dedup_key"] for delivery in found["deliveries"]}
        assert len(keys) == 1
        (key,) = keys
        assert found["sent"] == {"slack": 50, "pagerduty": 50}
        assert len(server.bodies("slack")) == len(server.bodies("pagerduty")) == 1
        still = [{**alert(made), "dedup_key": key} for made in began]
        send(pagerduty(server), messages=[ended("media000", dedup_key=key)], open_alerts=still[1:])
        assert len(server.bodies("pagerduty")) == 1
        send(pagerduty(server), messages=[ended(made["host"], dedup_key=key) for made in began[1:]])
        assert [body["event_action"] for body in server.bodies("pagerduty")] == ["trigger", "resolve"]
        assert {body["dedup_key"] for body in server.bodies("pagerduty")} == keys


def test_three_hundred_hosts_that_each_have_another_trouble_are_folded_and_pages_wait(tmp_path: Path) -> None:
    many = [message(f"media{number:03}", check=f"check{number:03}") for number in range(300)]
    with receiver() as server, syslog_socket(tmp_path / "log") as log, mail_server() as mail:
        used = every(server, log.address, mail.port)
        found = send(*used, messages=many)
        lines = log.lines(11)
        assert log.no_more()
        assert found["failures"] == server.refusals == []
        assert found["folded"] == {"slack": 290, "syslog": 290, "email": 290}
        assert found["deferred"] == {"pagerduty": 290}
        assert len(server.bodies("pagerduty")) == 10
        assert server.bodies("slack")[0]["text"].endswith("and 290 more messages, not shown here")
        assert lines[-1].endswith("and 290 more messages, not shown here")
        assert [len(body) for body in server.bodies("alertmanager")] == [200, 100]
        assert len(server.bodies("webhook")[0]["messages"]) == 300
        assert str(mail.mails[0]["Subject"]).endswith("(+299 more)")
        complete = [delivery for delivery in found["deliveries"] if delivery["complete"]]
        assert len(complete) == 10
        waiting = [
            {**made, "sent_to": delivery["channels"]}
            for made, delivery in zip(many, found["deliveries"], strict=True)
            if not delivery["complete"]
        ]
        again = send(*used, messages=waiting)
        assert again["sent"] == {**dict.fromkeys(found["sent"], 0), "pagerduty": 10}, "the others have them"
        pages = [body["dedup_key"] for body in server.bodies("pagerduty")]
        assert len(pages) == len(set(pages)) == 20


# --- routing


def test_severity_decides_and_an_end_follows_what_it_ends() -> None:
    made = [message(), ended("media2"), message("media3", severity="unknown")]
    with receiver() as server:
        found = send(slack(server, severities=["critical"]), channel("webhook", url=server.webhook_url), messages=made)
        assert found["sent"] == {"slack": 2, "webhook": 3}
        assert len(server.bodies("slack")[0]["blocks"]) == 4
    assert all(delivery["complete"] for delivery in found["deliveries"])


def test_what_no_channel_wants_is_complete() -> None:
    found = send(channel("slack", url="https://x.invalid/a", enabled=False))
    assert found["deliveries"] == [
        {"id": message()["id"], "host": "media1", "channels": [], "complete": True, "dedup_key": message()["dedup_key"]}
    ]
    assert (found["changed"], found["failures"]) == (False, [])


def test_check_mode_sends_nothing_and_says_what_it_would() -> None:
    with receiver() as server:
        found = send(slack(server), check_mode=True)
        assert server.seen == []
    assert (found["changed"], found["sent"]) == (True, {"slack": 1})
    assert found["headlines"] == ["CRITICAL: Overall status on media1"]


def test_nothing_to_say_is_no_message() -> None:
    with receiver() as server:
        found = send(slack(server), pagerduty(server), messages=[])
        assert server.seen == []
    assert found["changed"] is False


def test_with_fail_it_fails_after_all_were_tried() -> None:
    with receiver("gone") as bad, receiver() as good:
        with pytest.raises(MediaOpsError) as error:
            send(slack(bad), pagerduty(good), fail=True)
        assert len(good.bodies("pagerduty")) == 1
    assert str(error.value) == "1 of 2 channels failed: slack: 127.0.0.1 answered 404 (no_service)"
    assert error.value.details["deliveries"][0]["channels"] == ["pagerduty"]


# --- misuse


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("slack", {"url": None}, "channels[bad].url' is None: is needed with type=slack"),
        ("slack", {"url": "http://hooks.example.com/canary"}, "channels[bad].url' is '(hidden)': must be https, "),
        ("slack", {"url": "https://canary:canary@hooks.example.com/"}, "url' is '(hidden)': must be https://HOST"),
        ("slack", {"url": "hooks.example.com/canary"}, "url' is '(hidden)': must be https://HOST"),
        ("webhook", {"url": "http://[canary/"}, "url' is '(hidden)': must be https://HOST"),
        ("webhook", {"url": "http://h.example.com/", "token": "canary"}, "must be https, for it carries a secret"),
        ("webhook", {"url": "https://h/", "token": "cana ry"}, "token' is '(hidden)': must be visible ASCII"),
        ("pagerduty", {}, "routing_key' is None: is needed"),
        ("email", {**MAIL, "sender": None}, "sender' is None: is needed"),
        (
            "email",
            {"host": "h", "sender": "a@b", "recipients": ["a\n@b"]},
            "recipients' is 'a @b': is not an e-mail address",
        ),
        (
            "email",
            {
                "host": "h",
                "sender": "a@b",
                "recipients": ["a@b"],
                "username": "u",
                "password": "canary",
                "starttls": False,
            },
            "starttls' is False: a password is sent over TLS only",
        ),
        ("email", {**MAIL, "sender": "ops@exämple.com"}, "sender' is 'ops@exämple.com': is not an e-mail address"),
        ("syslog", {"address": "dev/log"}, "address' is 'dev/log': must be the path of a socket, or HOST:PORT"),
        ("syslog", {"max_messages": 0}, "max_messages' is 0: must be 1 to 1000"),
        ("alertmanager", {"url": "http://am:9093", "ca_path": "/nowhere"}, "ca_path' is '/nowhere': does not exist"),
        ("alertmanager", {"url": "http://am:9093", "expires_after": 1}, "expires_after' is 1: must be"),
    ],
)
def test_a_channel_that_is_set_up_wrongly_fails_alone_and_at_each_run(
    kind: str, options: dict[str, Any], reason: str
) -> None:
    with receiver() as server:
        bad = channel(kind, **{"name": "bad", **options})
        found = send(bad, slack(server))
        assert len(server.bodies("slack")) == 1
        assert send(bad, messages=[])["failures"][0]["channel"] == "bad"
    (failure,) = found["failures"]
    assert reason in failure["reason"]
    assert "canary" not in json.dumps(found)
    assert found["deliveries"][0]["complete"] is False


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"messages": [{"id": "x"}]}, "messages"),
        ({"messages": [message(severity="fine")]}, "messages"),
        ({"open_alerts": [{}]}, "open_alerts"),
        ({"retries": 11}, "retries"),
        ({"total_timeout": float("nan")}, "total_timeout"),
    ],
)
def test_misuse_names_the_option(options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError) as error:
        notify.notify({**DEFAULTS, "channels": [], **options})
    assert error.value.details["option"] == named


def test_a_proxy_is_used_only_where_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as server, nobody() as down:
        monkeypatch.setenv("http_proxy", down)
        monkeypatch.setenv("HTTP_PROXY", down)
        assert send(slack(server))["failures"] == [], "none of the environment"
        proxied = send(channel("webhook", url="http://nowhere.invalid/canary", proxy=server.base), retries=0)
        # Our receiver is no proxy, but it was asked.
        assert proxied["failures"][0]["reason"] == "nowhere.invalid answered 404 (no_service)"


def test_a_sender_that_breaks_is_a_failure_of_its_channel_only() -> None:
    """A text that no encoding takes, in a place that only a person can set."""
    with mail_server() as mail, syslog_socket() as log:
        used = [channel("email", port=mail.port, **MAIL), channel("syslog", address=log.address)]
        found = send(*used, command_prefix="\ud800")
        assert log.lines(1)
    assert found["failures"] == [{"channel": "email", "reason": "could not be sent (UnicodeEncodeError)", "waiting": 1}]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (lambda good: {**good, "name": "a b"}, "channels[].name' is 'a b': must be letters"),
        (lambda good: good, "channels[].name' is 'slack': is the name of two channels"),
    ],
)
def test_a_name_that_is_none_costs_the_other_channels_nothing(bad: Any, said: str) -> None:
    with receiver() as server:
        found = send(slack(server), bad(slack(server)))
        assert len(server.bodies("slack")) == 1
    (failure,) = found["failures"]
    assert said in failure["reason"]


def test_an_id_goes_out_bound_to_its_host_and_comes_back_as_it_was() -> None:
    with receiver() as server:
        used = channel("webhook", url=server.webhook_url)
        found = send(used, messages=[message("media1", id="same"), message("media2", id="same")])
        (body,) = server.bodies("webhook")
    assert len({row["id"] for row in body["messages"]}) == 2
    assert [(row["host"], row["id"]) for row in found["deliveries"]] == [("media1", "same"), ("media2", "same")]


def test_what_else_the_reader_is_to_know_is_in_every_kind_of_message(tmp_path: Path) -> None:
    note = "What is told of alerts cannot be kept"
    with receiver() as server, syslog_socket(tmp_path / "log") as log, mail_server() as mail:
        assert send(*every(server, log.address, mail.port), notes=[note])["failures"] == server.refusals == []
        kinds = ("slack", "pagerduty", "alertmanager", "webhook")
        assert [note in json.dumps(server.bodies(kind)) for kind in kinds] == [True] * 4
        assert note in mail.mails[0].get_content()


def test_each_of_several_recipients_gets_a_message_once() -> None:
    with mail_server(refuse="two@") as mail:
        used = channel("email", port=mail.port, **{**MAIL, "recipients": ["one@example.com", "two@example.com"]})
        found = send(used)
        (delivery,) = found["deliveries"]
        assert (delivery["channels"], delivery["complete"]) == (["email/one@example.com"], False)
        assert "refused two@example.com (550)" in found["failures"][0]["reason"]
        again = send(used, messages=[message(sent_to=delivery["channels"]), message("media2")])
        assert [found["To"] for found in mail.mails] == ["one@example.com, two@example.com"] * 2, "one for each message"
        assert again["deliveries"][0]["channels"] == ["email/one@example.com"]
    with mail_server() as mail:
        found = send({**used, "port": mail.port}, messages=[message(sent_to=delivery["channels"]), message("media2")])
        assert [found["To"] for found in mail.mails] == ["two@example.com", "one@example.com, two@example.com"]
        assert [row["complete"] for row in found["deliveries"]] == [True, True]


# --- a real Alertmanager


def test_a_real_alertmanager_takes_begin_change_and_end(tmp_path: Path) -> None:
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n", encoding="utf-8")
    arguments = (f"--config.file={config}", f"--storage.path={tmp_path}/data", "--cluster.listen-address=")
    began = to_text(utc_now() - timedelta(minutes=30))
    now = to_text(utc_now() - timedelta(seconds=1))
    with serving("prometheus-alertmanager", "/-/ready", *arguments) as url:

        def active() -> list[tuple[str, str]]:
            with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true", timeout=10) as answer:
                return sorted((a["labels"]["instance"], a["labels"]["severity"]) for a in json.load(answer))

        used = channel("alertmanager", url=url)
        first = [message(host, severity="warning", began_at=began) for host in ("media1", "media2")]
        assert send(used, messages=first)["failures"] == []
        assert active() == [("media1", "warning"), ("media2", "warning")]
        worse = message(event="changed", severity_was="warning", was="warning", began_at=began, at=now)
        assert send(used, messages=[worse])["failures"] == []
        assert active() == [("media1", "critical"), ("media2", "warning")]
        over = ended("media2", severity="warning", severity_was="warning", began_at=began, since=now, at=now)
        assert send(used, messages=[over])["failures"] == []
        assert active() == [("media1", "critical")]
