"""The result document over a fleet."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import Action, drift, fleet_hash, planned
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.details import details
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.observations import observe
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.routing import route
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import judge
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.commands import Commands
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.result import build, summarise

from tests import result_factory
from tests.unit.plugins import factories as f
from tests.unit.plugins.policy import policy

POLICY = policy()
CONTACTS = [{"area": "Operations", "name": "On call", "contact": "1"}]
RUN = {
    "check": "daily_morning",
    "title": "Daily morning health check",
    "finished_at": "2026-11-24T06:00:10Z",
}
CALL = {"prefix": "ansible-playbook playbooks/", "again": "ansible-playbook -i hosts mine.yml", "limit": "eu"}


def checked(registered: Any) -> dict[str, Any]:
    found = observe(registered, age_max_s=300, skew_max_s=120)
    judged = judge(found, POLICY["policy_checks"], "morning")
    drawn = details(registered)
    return {
        "observations": found,
        "verdicts": judged,
        "incidents": route(judged, POLICY["policy_incidents"], drawn, POLICY["policy_error_causes"]),
        "details": drawn,
    }


def document(hosts: dict[str, Any], **more: Any) -> dict[str, Any]:
    commands = Commands(CALL, hosts, "/r/1")
    return build(
        hosts, **{"run": RUN, "commands": commands, "contacts": CONTACTS, "fail_on": ["critical", "unknown"], **more}
    )


BROKEN = f.result(health=f.answer(f.health("critical", ffmpeg="critical")))


# runbook: QR-CONTACTS
def test_hosts_worst_first_with_every_state_counted() -> None:
    made = document(
        {
            "fine": checked(f.result()),
            "down": checked({"unreachable": True, "msg": "no route"}),
            "bad": checked(BROKEN),
            "lost": {},
        }
    )
    assert [(h["host"], h["state"]) for h in made["hosts"]] == [
        ("bad", "critical"),
        ("down", "unknown"),
        ("lost", "unknown"),
        ("fine", "ok"),
    ]
    assert made["summary"] == {"hosts": 4, "ok": 1, "warning": 0, "unknown": 2, "critical": 1}
    assert (made["state"], made["failed"]) == ("critical", True)
    assert made["contacts"] == CONTACTS


def test_incidents_of_the_fleet_are_merged_by_cause_with_a_command() -> None:
    made = document({"a": checked(BROKEN), "b": checked(BROKEN)})
    assert [(i["cause"], i["hosts"]) for i in made["incidents"]] == [("ffmpeg", ["a", "b"])]
    assert made["incidents"][0]["command"] == "ansible-playbook playbooks/incident_critical_system.yml --limit a,b"
    assert made["next"][0] == {"why": "P0 critical system (ffmpeg) on a, b", "command": made["incidents"][0]["command"]}


def test_an_installed_collection_is_called_by_its_full_name() -> None:
    installed = Commands({"prefix": "ansible-playbook media_ops.runbook."}, ["a"])
    made = document({"a": checked(BROKEN)}, commands=installed)
    assert made["incidents"][0]["command"] == "ansible-playbook media_ops.runbook.incident_critical_system --limit a"


def test_since_is_carried_on_while_the_state_lasts() -> None:
    first = document({"a": checked(BROKEN)})
    second = document({"a": checked(BROKEN)}, previous=first)
    third = document({"a": checked(BROKEN)}, previous={**second, "run": {"finished_at": "2026-11-25T06:00:00Z"}})
    since = [
        next(v["since"] for v in made["hosts"][0]["verdicts"] if v["check"] == "overall_status")
        for made in (first, second, third)
    ]
    assert since == [None, "2026-11-24T06:00:10Z", "2026-11-24T06:00:10Z"]
    assert document({"a": checked(BROKEN)}, previous="rubbish")["state"] == "critical"


def test_no_host_at_all_is_unknown_and_fails() -> None:
    made = document({})
    assert (made["state"], made["failed"]) == ("unknown", True)


def test_the_level_that_fails_can_be_chosen() -> None:
    warned = checked(f.result(sessions=f.answer(f.sessions(6))))
    assert document({"a": warned})["failed"] is False
    assert document({"a": warned}, fail_on=["warning"])["failed"] is True


def test_the_summary_names_each_host_with_its_worst_check() -> None:
    made = summarise(document({"bad": checked(BROKEN), "fine": checked(f.result())}), ["/r/report.html"])
    assert [(h["host"], h["state"], h["check"]) for h in made["hosts"]] == [
        ("bad", "critical", "overall_status"),
        ("fine", "ok", "overall_status"),
    ]
    assert made["reports"] == ["/r/report.html"]


def responded(**more: Any) -> dict[str, Any]:
    return {
        "run_id": "r",
        "mode": "plan",
        "classes": {},
        "findings": [],
        "plan": [],
        "hash": "",
        "refusals": [],
        "acted": [],
        "samples": [],
        "recovered": None,
        "evidence": "",
        "page": False,
        "msg": "",
        **more,
    }


RUNG = {"rung": "Restart the service", "actions": [{"action": "restart"}], "failed": False, "msg": "", "unseen": []}
UNKNOWN = [{"subject": "service", "class": "unknown", "finding": "no answer: systemd"}]


@pytest.mark.parametrize(
    ("response", "why", "command"),
    [
        (responded(plan=[RUNG], hash="0123456789ab"), "do what was planned", "-e incident_plan=0123456789ab"),
        (responded(), "nothing that automation may do: a person must look", ""),
        (responded(findings=UNKNOWN), "(service: no answer: systemd): a person must look", ""),
        (responded(plan=[{**RUNG, "actions": []}]), "a person must look", ""),
        (responded(plan=[{**RUNG, "actions": [], "unseen": ["API dead"]}]), "(API dead): a person must look", ""),
        (
            responded(plan=[RUNG], refusals=["the breaker is open"]),
            "may do nothing (the breaker is open): a person",
            "",
        ),
        (responded(plan=[RUNG], acted=[RUNG], recovered=False), "not recovered, call", ""),
        (responded(plan=[RUNG], acted=[RUNG], recovered=False, refusals=["cap"]), "not recovered (cap), call", ""),
    ],
)
def test_what_follows_on_a_response(response: dict[str, Any], why: str, command: str) -> None:
    """Not the same command again: the approval of the plan, or a person."""
    made = document({"media1": {**checked(f.result(health=f.answer(f.health("critical")))), "response": response}})
    first = made["next"][0]
    assert why in first["why"]
    assert first["command"].endswith(command) if command else first["command"] == ""


def test_one_command_approves_the_plans_of_all_hosts_and_of_no_other() -> None:
    host = checked(f.result(health=f.answer(f.health("critical", ffmpeg="critical", storage="critical"))))
    found = {
        "a": {**host, "response": responded(plan=[RUNG], hash="a" * 12)},
        "b c": {**host, "response": responded(plan=[RUNG], hash="b" * 12)},
        "paused": {**host, "response": responded(plan=[RUNG], hash="c" * 12, refusals=["automation is paused"])},
        "well": checked(f.result()),
    }
    made = document(found)
    of_both = fleet_hash({"a": "a" * 12, "b c": "b" * 12})
    steps = [step for step in made["next"] if step["command"]]
    assert [step["command"] for step in steps] == [
        f"ansible-playbook -i hosts mine.yml --limit 'a,~^b\\x20c\\Z' -e incident_mode=apply -e incident_plan={of_both}"
    ]
    assert {incident["command"] for incident in made["incidents"]} == {""}
    assert made["refused"] == [{"why": "automation is paused", "hosts": ["paused"]}]
    assert any("on paused: automation may do nothing (automation is paused)" in step["why"] for step in made["next"])
    assert summarise(made, [])["refused"] == made["refused"]


def test_a_procedure_answers_no_incident_and_its_refusal_is_told() -> None:
    response = responded(procedure="weekly", title="Weekly", plan=[RUNG], refusals=["another run acts"], msg="x")
    made = document({"a": {**checked(BROKEN), "response": response}})
    assert made["incidents"][0]["command"].endswith("incident_critical_system.yml --limit a")
    assert {"why": "Not done on a: another run acts", "command": ""} in made["next"]


def test_many_hosts_are_named_by_a_file_or_by_the_limit_of_the_run() -> None:
    hosts = [f"media{at}" for at in range(300)]
    commands = Commands(CALL, hosts, "/r/1")
    assert commands.of("x", hosts) == "ansible-playbook playbooks/x.yml --limit eu"
    for _twice in range(2):
        assert commands.of("x", hosts[1:]) == "ansible-playbook playbooks/x.yml --limit @/r/1/hosts-1.txt"
    assert commands.files == {"hosts-1.txt": "".join(f"{name}\n" for name in hosts[1:])}
    assert Commands(CALL, hosts, "/my r/1").of("x", hosts[1:]).endswith("--limit '@/my r/1/hosts-1.txt,'")
    of_awx = {"prefix": "AWX: the job template of ", "again": "AWX: the job template 'Respond'", "limit": ""}
    assert Commands(of_awx, hosts).again("x", ["media1"], {"incident_plan": "a" * 12}) == (
        f"AWX: the job template 'Respond'; limit media1; incident_plan {'a' * 12}"
    )


def test_a_service_that_is_down_is_told_once() -> None:
    down = {"state": "unreachable", "reason": "Connection refused", "data": None}
    made = document({"media1": checked(f.result(**dict.fromkeys(("health", "stats", "alerts", "sessions"), down)))})
    assert [step["command"] != "" for step in made["next"]] == [True]


def deletion(files: int, size: int) -> Action:
    return planned(
        "delete",
        f"{files} files",
        "old",
        [],
        stable={"rule": "uploads", "root": "/srv/x", "files": files, "bytes": size},
    )


def ending(pid: int) -> Action:
    return planned("terminate", f"pid {pid}", "stuck", [], stable={"session": "5d0c1f6e", "pid": pid, "start": 1})


def test_a_plan_that_has_drifted_says_what_is_another_than_was_approved() -> None:
    def responding(*actions: Any, **more: Any) -> dict[str, Any]:
        rung = {"rung": "Free", "act": "disk_cleanup", "actions": list(actions), "msg": "", "failed": False}
        whole = {"mode": "apply", "plan": [rung], "refusals": [], "acted": [], "msg": "", **more}
        return {"media1": {**checked(f.result()), "response": whole}}

    before = document(responding(deletion(3, 100), ending(7), hash="a" * 12))
    refusals = [drift("a" * 12, "b" * 12)]
    made = document(responding(deletion(4, 3100), ending(8), hash="b" * 12, refusals=refusals), previous=before)
    changed = "4 files: bytes 100 then, 3100 now, files 3 then, 4 now; new: terminate pid 8; no more: terminate pid 7"
    assert made["hosts"][0]["response"]["refusals"] == [f"{refusals[0]}. Since the approval: {changed}"]
    other = document(
        responding(ending(8), hash="b" * 12, refusals=refusals), previous=document(responding(hash="c" * 12))
    )
    assert other["hosts"][0]["response"]["refusals"] == refusals


def test_what_is_muted_is_listed_with_what_counts_for_nothing_by_it() -> None:
    made = result_factory.muted()
    assert [(row["mute"], row["hosts"]) for row in made["muted"]] == [
        ("check:error_rate", ["media1"]),
        ("component:cloud_storage", ["media1"]),
        ("host", ["media2"]),
    ]
    error_rate, storage, host = (row["findings"] for row in made["muted"])
    assert error_rate[0].startswith("media1: Error rate of 24 h: 40 % (critical, muted until ")
    assert storage[0].startswith("media1: cloud_storage is critical: cloud_storage is critical (muted until ")
    assert "No route to host" in host[0]
    assert [(row["host"], row["state"]) for row in made["hosts"]] == [("media1", "critical"), ("media2", "ok")]
    # The success rate is another check, which nobody muted.
    assert [incident["checks"] for incident in made["incidents"]] == [["success_rate"]]
    assert summarise(made, [])["muted"][2] == {
        "mute": "host",
        "until": "2026-11-25T05:55:00Z",
        "by": "alice",
        "reason": "new disk",
        "hosts": ["media2"],
    }
