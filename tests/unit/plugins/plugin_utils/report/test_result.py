"""The result document over a fleet."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import Action, drift, planned
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.observations import details, observe
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.routing import route
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import judge
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.result import build, summarise

from tests.unit.plugins import factories as f
from tests.unit.plugins.policy import policy

POLICY = policy()
CONTACTS = [{"area": "Operations", "name": "On call", "contact": "1"}]
RUN = {
    "check": "daily_morning",
    "title": "Daily morning health check",
    "finished_at": "2026-11-24T06:00:10Z",
    "playbook_prefix": "ansible-playbook playbooks/",
}


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
    return build(hosts, **{"run": RUN, "contacts": CONTACTS, "fail_on": ["critical", "unknown"], **more})


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
    made = document({"a": checked(BROKEN)}, run={**RUN, "playbook_prefix": "ansible-playbook media_ops.runbook."})
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


RUNG = {"rung": "Restart the service", "actions": [{"action": "restart"}]}


@pytest.mark.parametrize(
    ("response", "why", "command"),
    [
        (responded(plan=[RUNG], hash="0123456789ab"), "do what was planned", "-e incident_plan=0123456789ab"),
        (responded(), "a person must look", ""),
        (responded(plan=[{**RUNG, "actions": []}]), "a person must look", ""),
        (responded(plan=[RUNG], refusals=["the breaker is open"]), "a person must look", ""),
        (responded(plan=[RUNG], acted=[RUNG], recovered=False), "not recovered", ""),
    ],
)
def test_what_follows_on_a_response(response: dict[str, Any], why: str, command: str) -> None:
    """Not the same command again: the approval of the plan, or a person."""
    made = document({"media1": {**checked(f.result(health=f.answer(f.health("critical")))), "response": response}})
    first = made["next"][0]
    assert why in first["why"]
    assert first["command"].endswith(command) if command else first["command"] == ""


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
