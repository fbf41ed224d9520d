"""The decisions of role incident: classes of fault, rungs, breaker, recovery, and what is recorded of them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import Verdict, verdict
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.advice import advise
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.diagnosis import (
    classify,
    ranked_stages,
)
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.ladder import cured, joined_hash, ladder
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.ledger import (
    begun,
    decision,
    entries,
    planned_rung,
)
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.lines import response_lines
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.recovery import (
    final_verdicts,
    outcome,
    sample,
    unsteady,
)

from tests.unit.plugins.policy import policy

LIMITS = {
    "disk_percent": 90,
    "memory_percent": 95,
    "cpu_percent": 90,
    "duration_s": 300,
    "service_share": 0.5,
    "failed_share": 0.5,
}
NOW = "2026-11-24T06:00:00Z"
POLICY = {"share": 0.2, "at_least": 1, "within": 3600}

RUNG = {
    "rung": "Restart",
    "act": "service_control",
    "steps": ["P0-3C"],
    "incident": "critical_system",
    "cause": "service",
}


def incident(cause: str, kind: str = "critical_system", priority: str = "P0", **more: Any) -> dict[str, Any]:
    return {
        "incident": kind,
        "priority": priority,
        "title": "Critical system",
        "cause": cause,
        "checks": ["overall_status"],
        "evidence": [f"{cause} is broken"],
        "respond_within_s": 300,
        "playbook": "incident_critical_system",
        **more,
    }


def action(**more: Any) -> dict[str, Any]:
    return {
        "action": "restart",
        "target": "unit media-processing-service",
        "why": "it is dead",
        "steps": ["P0-3C"],
        "stable": {"unit": "media-processing-service"},
        "proof": {"class": "dead"},
        "result": "planned",
        "msg": "",
        **more,
    }


def classes(found: dict[str, Any]) -> dict[str, str]:
    made: dict[str, str] = classify(found, LIMITS)["classes"]
    return made


class TestDiagnosis:
    def test_classes_are_those_of_the_probes(self) -> None:
        found = {
            "ffmpeg": {"state": "missing", "reason": "no ffmpeg on PATH"},
            "storage": {"state": "denied_put", "reason": "AccessDenied"},
            "service": {"service": {"class": "restart_loop", "reason": "3 restarts in 5 s"}},
        }
        made = classify(found, LIMITS)
        assert made["classes"] == {"ffmpeg": "missing", "storage": "denied_put", "service": "restart_loop"}
        assert [row["finding"] for row in made["findings"]] == [
            "3 restarts in 5 s",
            "no ffmpeg on PATH",
            "AccessDenied",
        ]

    @pytest.mark.parametrize(
        "result",
        [
            {"failed": True, "msg": "psutil is missing"},
            {"unreachable": True, "msg": "ssh"},
            {"rc": 127, "module_stderr": "no python"},
            {"failed": True, "msg": "option 'work_dir' is '/srv'"},
            {"failed": True, "sessions": [], "state": "ok", "service": {"class": "running"}, "msg": "died half way"},
            {},
            None,
            "text",
        ],
    )
    @pytest.mark.parametrize("subject", ["service", "ffmpeg", "storage", "sessions", "host"])
    def test_a_probe_that_did_not_answer_is_unknown_and_calls_for_nothing(self, subject: str, result: Any) -> None:
        made = classes({subject: result})
        assert set(made.values()) == {"unknown"}
        ladders = policy()["policy_ladders"]
        for cause in ladders:
            assert ladder([incident(cause)], made, ladders) == []

    def test_an_altered_program_of_a_package_is_cured_by_reinstalling_it(self) -> None:
        altered = {"state": "codec_missing", "reason": "no libx264", "reinstall_cures": True}
        assert classes({"ffmpeg": altered}) == {"ffmpeg": "altered"}
        assert classes({"ffmpeg": {**altered, "reinstall_cures": False}}) == {"ffmpeg": "codec_missing"}
        assert classes({"ffmpeg": {**altered, "state": "missing"}}) == {"ffmpeg": "missing"}

    @pytest.mark.parametrize(
        ("changed", "since", "says", "name"),
        [
            ("2026-11-24T06:00:00Z", "2026-11-24T05:00:00Z", "critical", "not_used"),
            ("2026-11-24T06:00:00Z", "2026-11-24T05:00:00Z", "unknown", "not_used"),
            ("2026-11-24T06:00:00Z", "2026-11-24T05:00:00Z", "healthy", "ok"),
            # Its own fault, which a restart changes nothing of
            ("2026-11-24T05:00:00Z", "2026-11-24T06:00:00Z", "critical", "ok"),
            (None, "2026-11-24T06:00:00Z", "critical", "ok"),
            ("2026-11-24T06:00:00Z", None, "critical", "ok"),
        ],
    )
    def test_an_ffmpeg_that_works_and_that_the_service_has_not_seen(
        self, changed: str | None, since: str | None, says: str, name: str
    ) -> None:
        found = {
            "ffmpeg": {"state": "ok", "changed_at": changed},
            "service": {"service": {"class": "running", "since": since}},
            "health": {"checks": [{"component": "ffmpeg", "status": says, "message": "no ffmpeg"}]},
        }
        made = classify(found, LIMITS)
        assert made["classes"]["ffmpeg"] == name
        (finding,) = [row["finding"] for row in made["findings"] if row["subject"] == "ffmpeg"]
        assert ("no ffmpeg" in finding) is (says != "healthy")

    @pytest.mark.parametrize(
        ("answering", "at_work", "found"),
        [
            ("answers", [], "running"),
            ("silent", [], "hung"),
            ("listens_nowhere", [], "hung"),
            ("silent", [7], "busy"),
            ("unknown", [], "running"),
            (None, [], "running"),
        ],
    )
    def test_a_service_that_runs_is_ill_where_it_does_not_answer_by_itself(
        self, answering: str | None, at_work: list[int], found: str
    ) -> None:
        service: dict[str, Any] = {"class": "running", "reason": "pid 5", "at_work": at_work}
        if answering:
            service["answering"] = {"state": answering, "reason": "it answers on 127.0.0.1:8000 (HTTP 200)"}
        made = classify({"service": {"service": service}}, LIMITS)
        assert made["classes"] == {"service": found}
        assert ("127.0.0.1:8000" in made["findings"][0]["finding"]) is (answering not in ("unknown", None))
        rungs = ladder([incident("service")], made["classes"], policy()["policy_ladders"])
        assert bool(rungs) is (found == "hung"), "an address that does not answer is no dead service"
        dead = classify({"service": {"service": {**service, "class": "failed"}}}, LIMITS)
        assert dead["classes"] == {"service": "failed"}

    @pytest.mark.parametrize(
        ("api", "says"),
        [
            ({"state": "unreachable", "reason": "no connection to proxy:443"}, True),
            ({"state": "auth", "reason": "HTTP 401"}, False),
            ({"state": "ok", "reason": ""}, False),
        ],
    )
    def test_an_address_that_leads_elsewhere_is_named_beside_a_service_that_answers(
        self, api: dict[str, Any], says: bool
    ) -> None:
        service = {"class": "running", "reason": "pid 5", "answering": {"state": "answers", "reason": "on 127.0.0.1:8"}}
        seen = {"service": {"service": service}, "sessions": {"api": api, "sessions": [], "orphans": []}}
        (line,) = [row["finding"] for row in classify(seen, LIMITS)["findings"] if row["subject"] == "service"]
        assert ("media_ops_api_url does not lead to it (no connection to proxy:443)" in line) is says

    def test_a_service_that_hangs_while_sessions_go_on_is_let_work(self) -> None:
        service = {"class": "running", "answering": {"state": "silent", "reason": "no answer"}, "at_work": []}
        going = {"session_id": "abc", "state": "progressing", "may_end": False, "attention": "none"}
        silent = {"api": {"state": "timeout", "reason": ""}, "sessions": [going], "orphans": []}
        made = classify({"service": {"service": service}, "sessions": silent}, LIMITS)
        assert made["classes"]["service"] == "busy"
        assert [row["class"] for row in made["findings"] if row["subject"] == "service"] == ["busy"]
        stuck = {**silent, "sessions": [{**going, "state": "stuck"}]}
        assert classes({"service": {"service": service}, "sessions": stuck})["service"] == "hung"

    @pytest.mark.parametrize(
        ("stats", "found"),
        [
            ({"total_operations": 0, "error_rate": 0.0}, "none"),
            ({"total_operations": 4, "failed_operations": 1, "error_rate": 0.25}, "ok"),
            ({"total_operations": 4, "failed_operations": 4, "error_rate": 1.0}, "failing"),
            ({"total_operations": 4, "error_rate": 0.5}, "failing"),
            ({"total_operations": 4}, "unknown"),
            # What contradicts itself proves no recovery.
            ({"total_operations": 0, "failed_operations": 4, "error_rate": 1.0}, "unknown"),
            ({"total_operations": 10, "failed_operations": 0, "error_rate": 0.9}, "unknown"),
            ({"total_operations": 10, "failed_operations": -5}, "unknown"),
            ({"total_operations": 10, "failed_operations": 11}, "unknown"),
            ({}, "unknown"),
        ],
    )
    def test_what_was_done_since_a_restart_says_whether_it_helped(self, stats: dict[str, Any], found: str) -> None:
        answer = {"endpoints": {"stats": {"state": "ok", "data": stats}}}
        assert classes({"operations": answer}) == {"operations": found}
        assert classes({"operations": {"endpoints": {"stats": {"state": "timeout", "reason": "x"}}}}) == {
            "operations": "unknown"
        }

    def test_operations_of_which_neither_service_nor_log_tells_count_for_nothing(self) -> None:
        answer = {"endpoints": {"stats": {"state": "not_offered", "reason": "the service does not offer this"}}}
        assert classes({"operations": answer}) == {"operations": "none"}

    def test_sessions(self) -> None:
        stuck = {"session_id": "abc", "state": "stopped", "may_end": True, "why": "T state", "attention": "end"}
        slow = {"session_id": "def", "state": "progressing", "may_end": False, "attention": "end"}
        lost = {"session_id": "ghi", "state": "no_process", "may_end": False, "attention": "end"}
        made = classify({"sessions": {"sessions": [stuck, slow], "left_out": {"sessions": 4999}}}, LIMITS)
        assert made["classes"] == {"sessions": "may_end"}
        assert made["findings"][0]["finding"].startswith("1 of 5001 may be ended")
        assert classes({"sessions": {"sessions": [slow]}}) == {"sessions": "attention"}
        assert classes({"sessions": {"sessions": [lost, slow], "restart_needed": ["ghi"]}}) == {
            "sessions": "no_process"
        }
        assert classes({"sessions": {"sessions": [lost], "restart_needed": []}}) == {"sessions": "attention"}
        left = {"session_id": "jkl", "state": "progressing", "processes": [{"pid": 41}, {"pid": 42}]}
        made = classify({"sessions": {"sessions": [], "orphans": [left]}}, LIMITS)
        assert made["classes"] == {"sessions": "orphans"}
        assert "jkl (pid 41, 42)" in made["findings"][0]["finding"]
        assert classes({"sessions": {"sessions": [], "orphans": []}}) == {"sessions": "ok"}
        stranger = {"pid": 43, "command": "ffmpeg", "why": "is an orphan"}
        made = classify({"sessions": {"sessions": [], "orphans": [], "unproved": [stranger]}}, LIMITS)
        assert made["classes"] == {"sessions": "ok"}
        assert made["findings"][0]["finding"].endswith("beside them pid 43 (ffmpeg) is an orphan")
        # Without the API nobody knows which sessions there are.
        silent = {"api": {"state": "unreachable", "reason": "refused"}, "sessions": [], "orphans": []}
        assert classes({"sessions": silent}) == {"sessions": "unknown"}

    def test_disk_and_resources(self) -> None:
        def host(cpu: float, memory: float, disk: float | None, inodes: float | None, **more: Any) -> dict[str, Any]:
            row = {"path": "/t", "state": "ok", "reason": "", "mount_point": "/", "read_only": False, **more}
            return {
                "host": {
                    "cpu": {"used_percent": cpu},
                    "memory": {"used_percent": memory},
                    "disks": [{**row, "used_percent": disk, "inodes_used_percent": inodes}],
                }
            }

        assert classes(host(10, 10, 89.9, 1)) == {"disk": "ok", "resources": "ok"}
        assert classes(host(10, 10, 90, 1)) == {"disk": "full", "resources": "ok"}
        assert classes(host(10, 10, 5, 100)) == {"disk": "full", "resources": "ok"}
        assert classes(host(90, 95, 5, None)) == {"disk": "ok", "resources": "ok"}
        assert classes(host(90.1, 10, 5, None))["resources"] == "short"
        assert classes(host(10, 95.1, 5, None))["resources"] == "short"

        def used(cpu: float, memory: float, **usage: float) -> str:
            service = {"service": {"service": {"class": "running", "reason": "", "usage": usage}}}
            return classes({**host(cpu, memory, 5, None), **service})["resources"]

        # Another user's hog is not cured by a restart, nor are the merges that somebody waits for.
        assert used(98, 10, own_cpu_percent=2, work_cpu_percent=3) == "short"
        assert used(98, 10, own_cpu_percent=2, work_cpu_percent=90) == "short_by_work"
        assert used(98, 10, own_cpu_percent=60, work_cpu_percent=30) == "short_by_service"
        assert used(98, 10, own_memory_percent=9) == "short", "it has the memory, and the CPU is short"
        assert used(50, 98, own_memory_percent=70) == "short_by_service"
        ladders = policy()["policy_ladders"]
        for kind in ("short", "short_by_work"):
            found = {"resources": kind, "service": "running", "disk": "ok", "sessions": "ok"}
            assert ladder([incident("system_resources")], found, ladders) == []
        assert classes(host(10, 10, 5, 1, read_only=True))["disk"] == "read_only"
        assert classes(host(10, 10, None, None, state="timeout", reason="no answer"))["disk"] == "unknown"

    def test_a_full_disk_says_who_holds_it_and_what_a_person_can_do(self) -> None:
        held = {"files": 2, "bytes": 3 << 30, "processes": [{"pid": 812, "name": "ffmpeg"}], "unseen_processes": 0}
        disk = {"path": "/tmp", "state": "ok", "mount_point": "/tmp", "used_percent": 5, "inodes_used_percent": 100}
        about = {"cpu": {"used_percent": 1}, "memory": {"used_percent": 1}}

        def said(**more: Any) -> str:
            limits = {**LIMITS, "disk_freed": ["/srv/temp"]}
            row = {**disk, "used_bytes": 5 << 30, **more}
            found = classify({"host": {**about, "disks": [row]}}, limits)["findings"]
            return str(next(one["finding"] for one in found if one["subject"] == "disk"))

        full = "/tmp has 100 % of its inodes in use"
        holds = "deleted files that ffmpeg (pid 812) hold open still take 3072 MiB and 2 inodes"
        by_hand = "no rule frees it: look with sudo du -xh /tmp | sort -h | tail, and delete by hand"
        assert said(held_open=held) == f"{full}; {holds}; {by_hand}"
        assert said(held_open=held, path="/srv/temp") == f"{full}; {holds}"
        doubt = "deleted files may hold more of the 5120 MiB in use, holder unproven"
        hidden = {**held, "files": 0, "bytes": 0, "processes": [], "unseen_processes": 7}
        assert said(held_open=hidden, path="/srv/temp") == f"{full}; {doubt}: 7 processes must not be looked into"
        assert said(held_open=None, path="/srv/temp") == f"{full}; {doubt}: the processes could not be looked at"

    def test_performance(self) -> None:
        stages = {"merging": {"average_duration": 250.0}, "upload": {"average_duration": 3.0}, "odd": {}}
        stats = {"total_operations": 4, "average_duration": 301.0, "stage_breakdown": stages}
        made = classify({"stats": stats}, LIMITS)
        assert made["classes"] == {"performance": "degraded"}
        assert "merging (250 s)" in made["findings"][0]["finding"]
        assert classes({"stats": {**stats, "average_duration": 300.0}}) == {"performance": "ok"}
        assert classes({"stats": {"total_operations": 0, "average_duration": 0.0}}) == {"performance": "idle"}
        assert classes({"stats": {}}) == {"performance": "unknown"}
        # runbook: P2P-2A
        assert [row["stage"] for row in ranked_stages(stats)] == ["merging", "upload"]


class TestLadder:
    def test_every_rung_can_be_read_and_names_how_it_is_cured(self) -> None:
        for cause, rungs in policy()["policy_ladders"].items():
            for rung in rungs:
                assert {"rung", "act", "when", "cured", "steps", "args"} == set(rung) - {"needs", "component"}, cause

    def test_restart_comes_last_over_all_incidents_and_each_rung_once(self) -> None:
        ladders = policy()["policy_ladders"]
        found = {"disk": "full", "sessions": "may_end", "service": "hung", "resources": "short_by_service"}
        rungs = ladder([incident("service"), incident("system_resources"), incident("temp_directory")], found, ladders)
        assert [rung["act"] for rung in rungs] == ["disk_cleanup", "session_terminate", "service_control"]
        assert rungs[-1]["cause"] == "service"
        assert rungs[-1]["args"] == {"state": "restarted"}, "of two restarts one, and for both"
        assert set(rungs[-1]["cured"]) == {"service", "operations", "resources"}
        alone = ladder([incident("service")], found, ladders)
        assert alone[-1]["args"] == {"state": "restarted", "only_needed": True}

    @pytest.mark.parametrize("state", ["dns", "timeout", "unknown_key", "throttled"])
    def test_a_storage_outage_restarts_nothing(self, state: str) -> None:
        found = {"storage": state, "service": "running", "ffmpeg": "ok", "resources": "ok", "disk": "ok"}
        assert ladder([incident("cloud_storage")], found, policy()["policy_ladders"]) == []

    @pytest.mark.parametrize("state", ["shadowed", "codec_missing", "hangs", "failed", "unknown", "ok"])
    def test_what_a_reinstallation_does_not_cure_is_left_to_a_person(self, state: str) -> None:
        assert ladder([incident("ffmpeg")], {"ffmpeg": state}, policy()["policy_ladders"]) == []

    def test_a_masked_service_is_left_alone(self) -> None:
        assert ladder([incident("service")], {"service": "masked"}, policy()["policy_ladders"]) == []

    def test_hashes(self) -> None:
        assert joined_hash([]) == ""
        assert joined_hash(["0123456789ab"]) == "0123456789ab"
        assert len(joined_hash(["0123456789ab", "ba9876543210"])) == 12
        assert joined_hash(["a" * 12, "b" * 12]) != joined_hash(["b" * 12, "a" * 12])

    def test_a_plan_that_could_not_be_made_has_no_hash(self) -> None:
        rung = {"rung": "Restart", "act": "service_control", "steps": ["P0-3C"], "args": {}}
        assert planned_rung(rung, {"failed": True, "msg": "sudo refuses"})["msg"] == "no answer: sudo refuses"
        for made_up in ("$(reboot)", "0123456789ab -e x=1", "0123456789AB", "0123456789ab\n"):
            lied = planned_rung(rung, {"plan": [action()], "hash": made_up})
            assert (lied["failed"], lied["hash"]) == (True, "")
        refused = planned_rung(rung, {"plan": [], "hash": "0123456789ab", "refusals": ["sudo does not allow it"]})
        assert (refused["failed"], refused["msg"]) == (True, "sudo does not allow it")
        made = planned_rung(rung, {"plan": [action()], "hash": "0123456789ab", "changed": True})
        assert (made["hash"], made["changed"], made["failed"], len(made["actions"])) == ("0123456789ab", True, False, 1)


class TestWatch:
    def taken(self, *good: bool) -> list[dict[str, Any]]:
        return [{"good": value} for value in good]

    # runbook: P0-4B
    @pytest.mark.parametrize(
        ("good", "ends"),
        [
            ([], "watching"),
            ([True] * 7, "watching"),
            ([True] * 8, "recovered"),
            ([False, False], "watching"),
            ([False] * 3, "not_recovered"),
            ([False, False, *[True] * 8], "recovered"),
            ([True, False, *[True] * 7], "recovered"),
            ([True, False, True, False], "not_recovered"),
            ([*[True] * 6, False, True, False], "not_recovered"),
        ],
    )
    def test_eight_of_ten(self, good: list[bool], ends: str) -> None:
        assert outcome(self.taken(*good), 10, 8, 2) == ends

    @pytest.mark.parametrize("needed", [0, 11, -1])
    def test_a_number_that_cannot_be_reached_is_refused(self, needed: int) -> None:
        with pytest.raises(OptionError, match="policy_verify_good"):
            outcome([], 10, needed, 2)

    # runbook: P0-4A
    def test_a_sample_is_good_when_the_host_and_the_cause_are(self) -> None:
        def answer(*checks: tuple[str, str]) -> dict[str, Any]:
            rows = [{"component": name, "status": status, "message": "m"} for name, status in checks]
            return {"endpoints": {"health_detailed": {"data": {"checks": rows}, "fetched_at": "2026-11-24T06:00:00Z"}}}

        def overall(value: str | None, reason: str = "") -> dict[str, Any]:
            return {"overall_status": {"value": value, "reason": reason, "note": ""}, "host": {"reason": ""}}

        assert sample(answer(("ffmpeg", "healthy")), overall("healthy"), "ffmpeg", 1)["good"]
        assert sample(answer(("ffmpeg", "warning")), overall("warning"), "ffmpeg", 1)["good"]
        assert not sample(answer(("ffmpeg", "critical")), overall("warning"), "ffmpeg", 1)["good"]
        assert not sample(answer(("ffmpeg", "healthy")), overall("critical"), "ffmpeg", 1)["good"]
        # What was mended is of no use while the service goes on without it.
        for said in ([], [("ffmpeg", "warning")], [("ffmpeg", "unknown")], [("storage", "healthy")]):
            taken = sample(answer(*said), overall("healthy"), "x", 1, "ffmpeg")
            assert not taken["good"]
            assert taken["message"] == "the service does not say that it uses ffmpeg"
        assert sample(answer(("ffmpeg", "healthy")), overall("healthy"), "ffmpeg", 1, "ffmpeg")["good"]
        silent = sample({"unreachable": True}, overall(None, "refused"), "ffmpeg", 3)
        assert (silent["good"], silent["state"], silent["message"], silent["number"]) == (
            False,
            "unknown",
            "refused",
            3,
        )

    def test_a_service_that_did_not_go_on_has_not_recovered(self) -> None:
        def seen(**more: Any) -> dict[str, Any]:
            row = {"class": "running", "main_pid": 7, "main_start": 5, "n_restarts": 0, "boot_id": "b", "reason": "r"}
            return {"service": {**row, **more}}

        assert unsteady(seen(), seen(), restarted=True) == ""
        for change, said in (
            ({"main_pid": 8, "main_start": 9}, "another main process"),
            ({"main_start": 9}, "started anew"),
            ({"n_restarts": 1}, "systemd restarted"),
            ({"boot_id": "c", "main_pid": 8}, "the host was started anew"),
            ({"class": "activating"}, "the service is activating"),
            ({"class": "restart_loop"}, "restart_loop"),
            ({"class": "unknown", "reason": "no bus"}, "no bus"),
        ):
            for restarted in (True, False):
                assert said in unsteady(seen(), seen(**change), restarted=restarted), change
        # Where there is no systemd, its health alone tells; of a restart by systemd that is no proof.
        silent = {"failed": True, "msg": "systemd cannot be asked"}
        assert unsteady(silent, silent, restarted=False) == ""
        assert "systemd cannot be asked" in unsteady(silent, silent, restarted=True)
        assert "gone" in unsteady(seen(), {"unreachable": True, "msg": "gone"}, restarted=False)

    def test_cured(self) -> None:
        rung = {"cured": {"ffmpeg": ["ok"]}}
        assert cured(rung, {"ffmpeg": "ok"})
        assert not cured(rung, {"ffmpeg": "broken_library"})
        assert not cured(rung, {})
        assert cured({"cured": {}}, {})


class TestRecord:
    def test_each_action_has_an_entry_with_its_proof(self) -> None:
        made = entries(RUNG, {"plan": [action(result="done", msg="it runs")]}, controller="ops1", user="alice")
        assert len(made) == 1
        assert made[0]["action"] == "restart"
        assert made[0]["cause"] == "service"
        assert made[0]["proof"] == {"class": "dead"}
        assert (made[0]["result"], made[0]["msg"], made[0]["controller"], made[0]["user"]) == (
            "done",
            "it runs",
            "ops1",
            "alice",
        )

    def test_a_module_that_failed_half_way_is_recorded_as_failed(self) -> None:
        failed = {"failed": True, "msg": "sudo refuses", "plan": [action(result="done"), action()]}
        assert [row["result"] for row in entries(RUNG, failed, controller="c", user="u")] == ["done", "failed"]
        nothing = entries(RUNG, {"unreachable": True, "msg": "ssh"}, controller="c", user="u")
        assert [(row["action"], row["result"], row["msg"]) for row in nothing] == [
            ("service_control", "failed", "no answer: ssh")
        ]

    def test_what_was_refused_or_never_ran_is_no_action(self) -> None:
        drifted = {"failed": True, "msg": "the plan has drifted", "plan": [action(), action()]}
        assert {row["result"] for row in entries(RUNG, drifted, controller="c", user="u")} == {"skipped"}
        begun_as = {**RUNG, "actions": [action()]}
        nothing = entries(RUNG, {"plan": [], "hash": ""}, controller="c", user="u", begun_as=begun_as)
        assert [(row["action"], row["result"]) for row in nothing] == [("restart", "skipped")]
        lost = entries(RUNG, {"unreachable": True, "msg": "ssh"}, controller="c", user="u", begun_as=begun_as)
        assert {row["result"] for row in lost} == {"failed"}, "it may have been done"

    def test_each_entry_says_what_it_was_for(self) -> None:
        done = {"plan": [action(result="done")]}
        made = [
            *entries(RUNG, done, controller="c", user="u"),
            *entries({**RUNG, "cause": ""}, done, controller="c", user="u", procedure="emergency_restart_graceful"),
        ]
        assert [row["taken_for"] for row in made] == ["service", "emergency_restart_graceful"]
        assert [row["cause"] for row in made] == ["service", ""]

    def test_what_was_begun_has_a_result_also_when_the_module_gives_none(self) -> None:
        rung = {**RUNG, "actions": [action(), {**action(), "target": "another unit"}]}
        began = begun(rung, controller="c", user="u")
        ended = entries(rung, {"unreachable": True, "msg": "ssh"}, controller="c", user="u")
        assert {row["result"] for row in began} == {"started"}
        assert [(row["action"], row["target"]) for row in ended] == [(row["action"], row["target"]) for row in began]
        assert {(row["result"], row["msg"]) for row in ended} == {("failed", "no answer: ssh")}

    def test_a_decision(self) -> None:
        made = decision("paged", {"incidents": [incident("ffmpeg")], "msg": "NOT recovered"}, controller="c", user="u")
        assert (made["action"], made["cause"], made["why"], made["result"]) == (
            "paged",
            "ffmpeg",
            "NOT recovered",
            "decided",
        )


class TestAfter:
    def verdict(self, check: str, state: str) -> Verdict:
        return verdict(check, check, "DM-1", state, check)

    def test_a_window_of_the_past_is_a_warning_after_a_recovery(self) -> None:
        response = {
            "recovered": True,
            "msg": "Recovered",
            "incidents": [incident("ffmpeg", checks=["recent_error_rate"])],
        }
        made = final_verdicts(
            [self.verdict("recent_error_rate", "critical"), self.verdict("overall_status", "ok")], response
        )
        assert [(row["check"], row["state"]) for row in made] == [
            ("recent_error_rate", "warning"),
            ("recovery", "ok"),
            ("overall_status", "ok"),
        ]

    def test_a_status_that_is_critical_stays_so(self) -> None:
        response = {"recovered": True, "msg": "", "incidents": [incident("ffmpeg")]}
        made = final_verdicts([self.verdict("overall_status", "critical")], response)
        assert made[0]["state"] == "critical"

    def test_no_recovery_is_critical(self) -> None:
        made = final_verdicts([], {"recovered": False, "msg": "NOT recovered", "incidents": []})
        assert [(row["check"], row["state"]) for row in made] == [("recovery", "critical")]

    def test_nothing_tried_changes_nothing(self) -> None:
        rows = [self.verdict("overall_status", "critical")]
        assert final_verdicts(rows, {"recovered": None}) == rows

    def test_what_a_probe_found_is_judged_also_where_the_service_says_that_it_is_well(self) -> None:
        classes = {"storage": "denied_put", "resources": "short", "disk": "unknown", "ffmpeg": "ok", "service": "dead"}
        found = [{"subject": "storage", "class": "denied_put", "finding": "these credentials may not write"}]
        response = {"recovered": None, "classes": classes, "findings": found}
        well = [self.verdict("overall_status", "ok")]
        made = final_verdicts(well, response)
        assert [(row["check"], row["state"]) for row in made] == [
            ("probed_storage", "critical"),
            ("probed_disk", "unknown"),
            ("probed_resources", "warning"),
            ("overall_status", "ok"),
        ]
        assert made[0]["message"] == "denied_put: these credentials may not write"
        assert final_verdicts(made, response) == made, "twice is as once"
        done = {**response, "recovered": True, "msg": "Recovered"}
        cures = [{"cured": {"storage": ["ok"]}}, {"cured": {"disk": ["ok"]}}]
        after = final_verdicts(made, {**done, "acted": cures})
        assert [row["check"] for row in after] == ["recovery", "overall_status"], "found before, and gone"
        after = final_verdicts(made, {**done, "acted": cures[1:]})
        assert after[0]["check"] == "probed_storage", "nothing was done about it"
        none = {"recovered": None, "classes": {"storage": "not_configured", "ffmpeg": "ok"}}
        assert final_verdicts(well, none) == well


class TestLines:
    def test_a_plan_shows_what_would_be_done_and_how_to_do_it(self) -> None:
        rung = {
            "rung": "Restart the service",
            "steps": ["P0-3C"],
            "actions": [action()],
            "msg": "",
            "hash": "0123456789ab",
        }
        response: dict[str, Any] = {
            "mode": "plan",
            "incidents": [incident("service")],
            "findings": [{"subject": "service", "class": "dead", "finding": "inactive (dead)"}],
            "plan": [rung],
            "hash": "0123456789ab",
            "refusals": [],
            "msg": "",
        }
        text = "\n".join(response_lines(response))
        for part in ("P0 Critical system, cause service", "service: dead", "Plan 0123456789ab", "class: dead"):
            assert part in text
        assert "-e incident_mode=apply -e incident_plan=0123456789ab" in text
        refused = {**rung, "failed": True, "msg": "policy_service_restart is empty"}
        assert "To do it" not in "\n".join(response_lines({**response, "plan": [refused]})), "it would not be done"

    def test_what_was_done_and_why_not_more(self) -> None:
        rung = {"rung": "Restart the service", "steps": ["P0-3C"], "actions": [action(result="failed", msg="timeout")]}
        shown = "\n".join(
            response_lines(
                {
                    "mode": "apply",
                    "incidents": [incident("service")],
                    "plan": [rung],
                    "acted": [rung],
                    "refusals": ["restart was carried out 1 time"],
                    "msg": "NOT recovered",
                }
            )
        )
        assert "-> failed: timeout" in shown
        assert "Not touched: restart was carried out 1 time" in shown
        assert shown.endswith("NOT recovered")

    def test_nothing_found(self) -> None:
        assert response_lines({"incidents": []}) == ["No incident: nothing is to be done"]
        seen = [{"subject": "ffmpeg", "class": "broken_binary", "finding": "exit code 1"}]
        shown = response_lines({"incidents": [], "findings": seen})
        assert shown[0] == "No incident by the checks: nothing is planned", "it does not say that all is well"

    def test_a_cause_without_a_rung_is_for_a_person(self) -> None:
        shown = response_lines({"incidents": [incident("cloud_storage")], "plan": []})
        assert shown[-1] == "Plan: nothing that automation may do; a person must look"


class TestAdvice:
    # runbook: P2P-3E
    def test_rules_of_the_policy(self) -> None:
        rules = policy()["policy_advice"]
        cpu = advise({"cpu_percent": 97, "slowest_stage": "compression", "memory_percent": 40}, rules)
        assert len(cpu) == 1
        assert cpu[0].startswith("CPU bound")
        upload = advise({"cpu_percent": 20, "slowest_stage": "storage_upload", "slowest_stage_s": 30}, rules)
        assert [line.split(":")[0] for line in upload] == ["Storage bound"]
        assert advise({}, rules) == []
        assert advise({"cpu_percent": None, "memory_percent": "a lot"}, rules) == []

    def test_a_bound_of_the_command_line_is_text(self) -> None:
        rule = {"when": {"cpu_percent": {"at_least": "80", "below": 90}, "stage": {"in": ["merging"]}}, "advice": "x"}
        given = [advise({"cpu_percent": cpu, "stage": "merging"}, [rule]) for cpu in (79.9, 80, 89.9, 90)]
        assert given == [[], ["x"], ["x"], []]

    @pytest.mark.parametrize(
        "rule",
        [
            {"when": {}},
            {"advice": "x"},
            {"when": {"a": {"over": 1}}, "advice": "x"},
            {"when": {"a": {"above": "many"}}, "advice": "x"},
            {"when": {"a": {"above": None}}, "advice": "x"},
            {"when": {"a": {"in": "merging"}}, "advice": "x"},
            {"when": {"a": {"above": 5, "over": 1}}, "advice": "x"},
        ],
    )
    def test_a_rule_that_cannot_be_used_is_named(self, rule: dict[str, Any]) -> None:
        with pytest.raises(OptionError, match="policy_advice"):
            advise({"a": 2}, [rule])


# runbook: WC-5
def test_a_cleanup_tells_the_use_of_each_file_system() -> None:
    row = {"roots": ["/srv/temp", "/srv/temp/logs", "/srv"], "before_percent": 4.1, "after_percent": 23.9}
    rung = {"rung": "Free the disk", "act": "disk_cleanup", "steps": ["WC-5"], "args": {}}
    made = planned_rung(
        rung, {"plan": [], "hash": "0123456789ab", "free": [row, {"roots": [], "before_percent": None}]}
    )
    assert made["msg"] == "/srv/temp, /srv/temp/logs: 4.1 % free before, 23.9 % after"
    held = {"files": 1, "bytes": 5 << 20, "processes": [{"pid": 7, "name": "tail", "files": 1, "bytes": 5 << 20}]}
    kept = planned_rung(rung, {"plan": [], "hash": "0123456789ab", "free": [row], "held_open": held})
    assert kept["msg"].endswith("; deleted files that tail (pid 7) hold open still take 5 MiB and 1 inodes")
    for few in ({**held, "bytes": 4096}, None, {"bytes": "x"}, {"bytes": 0, "processes": 5}):
        assert planned_rung(rung, {"plan": [], "hash": "", "free": [row], "held_open": few})["msg"] == made["msg"]
    room = {**row, "before_bytes": 1 << 20, "after_bytes": 4 << 20}
    short = {"plan": [], "hash": "", "free": [room], "rules": [{"freed_bytes": 5 << 20}, {"freed_bytes": "x"}]}
    assert planned_rung(rung, short)["msg"].endswith(
        "; 2 MiB of what was deleted are not free: held open or written since, holder unproven"
    )
    assert planned_rung(rung, {**short, "rules": [{"freed_bytes": 3 << 20}]})["msg"] == made["msg"]
    answers: list[Any] = [None, 5, [5], [{}], [{"roots": None, "before_percent": 1, "after_percent": 1}]]
    for nonsense in answers:
        assert planned_rung(rung, {"plan": [], "hash": "", "free": nonsense})["msg"] == ""
