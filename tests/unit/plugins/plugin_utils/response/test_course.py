"""How a response goes: what is chosen, looked at, planned, refused, carried out and concluded."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import fleet_hash, host_hash
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.choice import choose
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.course import (
    acted,
    begun,
    concluded,
    confirmed,
    decision_of,
    fleet_gate,
    held_back,
    is_disruptive,
    is_over,
    looks_for,
    passed_over,
    plan_hash_of,
    planned,
    planned_procedure,
    refused,
    to_be_acted_upon,
    watch_refusals,
    watched,
    without_work,
)
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.diagnosis import (
    diagnose,
    guard_holds,
    guard_refusals,
)

KINDS: dict[str, dict[str, Any]] = {
    "critical_system": {
        "subjects": ["service", "host"],
        "questions": [{"subject": "errors_log", "args": {"path": "/e"}}],
    },
    "performance_degradation": {
        "subjects": ["stats", "host"],
        "args": {"host": {"samples": 5}},
        "questions": [{"subject": "last_slow", "args": {"path": "/p"}}],
    },
}
LOOKS: dict[str, dict[str, Any]] = {
    "service": {"module": "service_control", "args": {"state": "observed"}},
    "host": {"module": "host_info", "args": {}},
    "stats": {"module": "pipeline_info", "args": {"gather": ["stats", "metrics"]}},
}
LIMITS = {
    "disk_percent": 90,
    "memory_percent": 95,
    "cpu_percent": 90,
    "duration_s": 300,
    "service_share": 0.5,
    "failed_share": 0.5,
}
RUN = {"run_id": "r1", "controller": "ops1", "pid": 7, "user": "alice"}


def found(*kinds: str, fault: str = "") -> dict[str, Any]:
    incidents = [{"incident": kind, "cause": kind, "title": kind} for kind in kinds]
    return {"incidents": incidents, "observations": {"host": {"fault": fault}}}


class TestChoice:
    def test_each_look_is_taken_once_with_what_each_kind_adds(self) -> None:
        made = choose(found("critical_system", "performance_degradation"), [], KINDS, LOOKS)
        assert [(look["subject"], look["module"], look["args"]) for look in made["looks"]] == [
            ("errors_log", "log_digest_info", {"path": "/e"}),
            ("last_slow", "log_digest_info", {"path": "/p"}),
            ("service", "service_control", {"state": "observed"}),
            ("host", "host_info", {"samples": 5}),
            ("stats", "pipeline_info", {"gather": ["stats", "metrics"]}),
        ]

    def test_only_what_is_wanted_and_that_also_where_it_was_not_found(self) -> None:
        made = choose(found("critical_system"), ["performance_degradation"], KINDS, LOOKS)
        assert made["incidents"] == []
        assert [look["subject"] for look in made["looks"]] == ["last_slow", "stats", "host"]

    def test_a_log_that_the_site_has_not_is_not_asked(self) -> None:
        kind = {**KINDS["critical_system"], "questions": [{"subject": "errors_log", "args": {"path": ""}}]}
        made = choose(found("critical_system"), [], {"critical_system": kind}, LOOKS)
        assert [look["subject"] for look in made["looks"]] == ["service", "host"]

    def test_a_host_that_is_not_reached_is_not_looked_at(self) -> None:
        made = choose(found("critical_system", fault="unreachable"), [], KINDS, LOOKS)
        assert (made["reached"], made["looks"], len(made["incidents"])) == (False, [], 1)
        assert choose({"incidents": []}, [], KINDS, LOOKS)["reached"] is False

    def test_a_kind_that_nobody_can_look_into_is_named(self) -> None:
        with pytest.raises(OptionError, match="policy_incidents' is 'fire'"):
            choose(found("fire"), [], KINDS, LOOKS)


class TestDiagnosis:
    def look(self, subject: str, module: str, answer: Any) -> dict[str, Any]:
        return {"subject": subject, "module": module, "args": {}, "answer": answer}

    def test_logs_and_statistics_are_noted_and_a_newer_look_at_the_statistics_wins(self) -> None:
        stats = {
            "total_operations": 4,
            "average_duration": 301.0,
            "stage_breakdown": {"merging": {"average_duration": 250.0}, "upload": {"average_duration": 3.0}},
        }
        rows = [{"active_sessions": 0}, {"active_sessions": 2, "cpu_percent": 97, "memory_percent": 10}, "x"]
        answer = {"endpoints": {"stats": {"state": "ok", "data": stats}, "metrics": {"data": {"metrics": rows}}}}
        host = {"cpu": {"used_percent": 97}, "memory": {"used_percent": 10}, "disks": [], "io": [{"busy_percent": 9}]}
        rule = {
            "when": {
                "cpu_percent": {"above": 90},
                "slowest_stage": {"in": ["merging"]},
                "disk_busy_percent": {"below": 10},
            },
            "advice": "add hosts",
        }
        made = diagnose(
            [
                self.look(
                    "last_slow",
                    "log_digest_info",
                    {"state": "ok", "last": [{"a": 1}], "counts": {"extra.error_code": []}},
                ),
                self.look("over_limit", "log_digest_info", {"failed": True, "msg": "no such file"}),
                self.look("stats", "pipeline_info", answer),
                self.look("host", "host_info", host),
            ],
            {"total_operations": 4, "average_duration": 1.0},
            limits=LIMITS,
            advice=[rule],
        )
        assert made["classes"]["performance"] == "degraded"
        assert (made["noted"]["last_slow"], made["noted"]["over_limit"]) == ([{"a": 1}], [])
        assert made["noted"]["counts"] == {"extra.error_code": []}
        assert [row["stage"] for row in made["noted"]["stages"]] == ["merging", "upload"]
        assert made["noted"]["busy_metrics"] == [rows[1]]
        assert made["advice"] == ["add hosts"]
        assert set(made["probes"]) == {"host", "stats", "metrics"}

    def test_statistics_of_the_check_stay_where_the_newer_look_failed(self) -> None:
        failed = self.look("stats", "pipeline_info", {"unreachable": True, "msg": "ssh"})
        given: dict[str, Any] = {"limits": LIMITS, "advice": []}
        made = diagnose([failed], {"total_operations": 4, "average_duration": 1.0}, **given)
        assert made["classes"] == {"performance": "ok"}
        without = diagnose([failed], None, **given)
        assert without["classes"] == {"performance": "unknown"}, "what was not seen is not nothing"
        assert without["findings"][0]["finding"] == "no answer: no answer: ssh"

    def test_what_the_guard_says(self) -> None:
        assert guard_refusals({"recent": [], "pause": None}) == []
        pause = {"until": "2026-11-29T07:00:00Z", "reason": "new\ndisk"}
        assert guard_refusals({"recent": [], "pause": pause}) == [
            "automation is paused until 2026-11-29T07:00:00Z by ?: new disk"
        ]
        assert guard_holds({"held": "another run acts", "lease": {"run_id": "b"}}) == "another run acts"
        assert guard_refusals({"unreachable": True, "msg": "ssh"}) == ["the guard of the host could not be asked: ssh"]


def rung(name: str = "Restart", **more: Any) -> Any:
    return {"rung": name, "hash": "a" * 12, "failed": False, "changed": True, "msg": "", "actions": [], **more}


def diagnosis(*causes: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"classes": {}, "findings": [], "advice": [], "noted": {}, "refusals": [], "held": ""}
    return {**empty, "incidents": [{"incident": "i", "cause": cause, "title": cause} for cause in causes], **more}


def plan_of(approved: str = "", mode: str = "apply", **more: Any) -> dict[str, Any]:
    breaker: dict[str, Any] = {"open": {}, "hash": "b" * 12, "refusals": [], "findings": []}
    given: dict[str, Any] = {"host": "media1", "run_id": "r1", "mode": mode, "breaker": breaker, "approved": approved}
    return {**planned(diagnosis("service"), [rung()], **{**given, **more})}


HASH = host_hash("media1", ["a" * 12])
ON: Any = {"host": "media1", "run_id": "r1"}


class TestPlan:
    def test_a_hash_is_of_one_host_and_of_all_its_rungs(self) -> None:
        other = plan_of(HASH, host="media2")
        assert other["hash"] not in ("", HASH, plan_of()["hash"])
        assert f"approved was {HASH}, now it is {other['hash']}" in other["refusals"][0]
        assert plan_hash_of("media1", [rung(), rung()]) not in ("", HASH)
        assert plan_hash_of("media1", [rung(hash="")]) == ""

    def test_a_hash_of_the_fleet_is_of_these_hosts_and_these_plans(self) -> None:
        both = fleet_hash({"a": "1" * 12, "b": "2" * 12, "idle": ""})
        assert both == fleet_hash({"b": "2" * 12, "a": "1" * 12})
        others: tuple[dict[str, str], ...] = (
            {"a": "2" * 12, "b": "1" * 12},
            {"a": "1" * 12, "c": "2" * 12},
            {"a": "1" * 12, "b": "2" * 12, "c": "2" * 12},
            {"a": "1" * 12},
        )
        assert both not in [fleet_hash(other) for other in others]
        assert (fleet_hash({"a": "1" * 12, "idle": ""}), fleet_hash({"idle": ""})) == ("1" * 12, "")

    @pytest.mark.parametrize(("approved", "drifts"), [("", 0), (HASH, 0), ("b" * 12, 0), ("c" * 12, 1), ("a" * 12, 1)])
    def test_only_what_was_approved_is_done(self, approved: str, drifts: int) -> None:
        assert len(plan_of(approved)["refusals"]) == drifts
        assert plan_of(approved, mode="plan")["refusals"] == [], "a plan is shown whatever was approved"

    def test_what_the_guard_and_the_breaker_say_stands_against_it(self) -> None:
        opened = {"service": {"hosts": ["a", "b"], "fleet": 2, "allowed": 1}}
        made = planned(
            diagnosis("service", refusals=["paused"]),
            [],
            host="media1",
            run_id="r1",
            mode="apply",
            breaker={"open": opened, "hash": "", "refusals": [], "findings": []},
            approved="",
        )
        assert made["refusals"][0] == "paused"
        assert "the breaker is open" in made["refusals"][1]
        assert to_be_acted_upon(made), "it is concluded, and a person is called"

    def test_what_is_to_be_acted_upon(self) -> None:
        assert to_be_acted_upon(plan_of())
        assert not to_be_acted_upon(plan_of(mode="plan"))
        assert not to_be_acted_upon({**plan_of(), "incidents": []})

    def test_what_cannot_be_planned_holds_back_itself_alone(self) -> None:
        bad = rung("Free", failed=True, hash="", msg="no answer: sudo", actions=[{"action": "delete"}])
        none = planned_procedure("p", "P", [bad, bad], **ON, mode="apply", approved="c" * 12)
        assert (none["refusals"][0], none["recovered"]) == ("Free: no answer: sudo", False)
        assert not to_be_acted_upon(none)
        made = planned_procedure("p", "P", [bad, rung()], **ON, mode="apply", approved="")
        assert to_be_acted_upon(made)
        assert (made["recovered"], made["msg"]) == (False, "Could not be planned: Free: no answer: sudo")
        at_first = passed_over(begun(made, RUN, 100.0), bad)
        assert at_first is not None
        assert (at_first["permitted"], at_first["response"]["acted"][0]["actions"]) == (False, [])
        end = concluded(acted(at_first, rung(), {}), evidence="", contacts=[])
        assert (end["recovered"], end["page"]) == (False, True)
        assert end["msg"].startswith("NOT done. Carried out: Restart. Free: no answer: sudo. Page ")
        assert passed_over(course(), bad) is None, "of a ladder it is tried"
        assert not to_be_acted_upon(planned_procedure("p", "P", [bad, rung()], **ON, mode="apply", approved="c" * 12))

    def test_a_procedure_that_is_not_what_was_approved_is_not_begun(self) -> None:
        drifted = planned_procedure("p", "P", [rung()], **ON, mode="apply", approved="c" * 12)
        assert drifted["recovered"] is False
        assert "c" * 12 in drifted["msg"]
        assert to_be_acted_upon(planned_procedure("p", "P", [rung()], **ON, mode="apply", approved=""))


class TestWithoutWork:
    idle = rung(act="disk_cleanup", changed=False)

    def test_an_empty_plan_is_what_a_carried_out_one_would_tell(self) -> None:
        made = without_work(course(procedure="p"), self.idle)
        assert made is not None
        assert (made["permitted"], made["touched"]) == (False, False)
        end = concluded(made, evidence="", contacts=[])
        assert (end["recovered"], decision_of(end, "watching")) == (True, "completed")
        assert end["msg"].startswith("Looked in 0 s: there was nothing to do")

    @pytest.mark.parametrize(
        "more",
        [
            {"act": "log_archive"},
            {"act": "pipeline_cleanup"},
            {"failed": True},
            {"actions": [{"action": "delete"}]},
        ],
    )
    def test_all_else_is_carried_out(self, more: dict[str, Any]) -> None:
        assert without_work(course(procedure="p"), {**self.idle, **more}) is None

    def test_so_is_what_comes_after_something_that_was_done_and_a_rung_of_a_ladder(self) -> None:
        assert without_work({**course(procedure="p"), "touched": True}, self.idle) is None
        assert without_work(course(), self.idle) is None


CONTACTS = [{"name": "Ann", "contact": "+1"}, {"name": "Bob", "contact": "+2"}]


def course(**response: Any) -> dict[str, Any]:
    return begun({**plan_of(), **response}, RUN, 100.0)


class TestCourse:
    def test_one_host_that_did_not_recover_stops_the_others(self) -> None:
        fleet = {"a": {"recovered": True}, "b": {"recovered": False}, "c": {"recovered": None}, "d": None}
        assert fleet_gate(fleet, "c") == ["b did not recover: no other host is touched in this run"]
        assert fleet_gate(fleet, "b") == []

    def test_a_host_that_a_person_or_another_run_has_in_hand_has_not_failed(self) -> None:
        said = "automation is paused until 2026-11-29T07:00:00Z by bob: new disk"
        for whole in (plan_of(), planned_procedure("p", "P", [rung()], **ON, mode="apply", approved="")):
            held = held_back(begun({**whole}, RUN, 100.0), [said, "too late"], said)
            end = concluded(held, evidence="", contacts=CONTACTS)
            assert (end["recovered"], end["page"], end["msg"]) == (None, False, f"Nothing was done: {said}. too late")
            assert decision_of(end, "watching") == "refused"
            assert fleet_gate({"media1": end}, "media2") == []
        begun_already = held_back(acted(course(), rung(), {}), [said], said)
        assert concluded(begun_already, evidence="", contacts=[])["recovered"] is False, "what is half done is told"
        unread = held_back(course(), ["automation is paused until somebody resumes it: pause.slots cannot be read"], "")
        assert concluded(unread, evidence="", contacts=[])["page"] is True

    def test_another_run_on_the_host_stands_against_a_plan_only_while_it_is_one(self) -> None:
        breaker: dict[str, Any] = {"open": {}, "hash": "", "refusals": [], "findings": []}
        given: dict[str, Any] = {**ON, "breaker": breaker, "approved": ""}
        shown = planned(diagnosis("service", held="another run acts"), [rung()], **given, mode="plan")
        assert (shown["refusals"], shown["held"]) == (["another run acts"], "another run acts")
        applied = planned(diagnosis("service", held="another run acts"), [rung()], **given, mode="apply")
        assert (applied["refusals"], applied["held"]) == ([], ""), "it may have ended when its turn comes"

    def test_a_ladder_ends_with_what_helped_and_a_procedure_goes_on(self) -> None:
        helped = watched(course(), "recovered", [], 160.0)
        assert is_over(helped)
        assert not is_over(watched(course(procedure="p"), "recovered", [], 160.0))
        assert not is_over(watched(course(), "not_recovered", [], 160.0))
        assert is_over(refused(course(), ["paused"]))

    def test_each_refusal_is_said_once_and_nothing_more_is_permitted(self) -> None:
        made = refused(refused(course(), ["paused"]), ["paused", "late"])
        assert (made["response"]["refusals"], made["permitted"]) == (["paused", "late"], False)
        assert refused(course(), [])["permitted"]

    def test_well_by_its_own_word_is_not_enough(self) -> None:
        looks = {
            "ffmpeg": {"module": "ffmpeg_info", "args": {}},
            "host": {"module": "host_info", "args": {"samples": 1}},
        }
        well = watched(acted(course(), rung(cured={"ffmpeg": ["ok"], "disk": ["ok"]}), {}), "recovered", [], 160.0)
        wanted = looks_for(well, looks)
        assert [(look["subject"], look["module"]) for look in wanted] == [
            ("ffmpeg", "ffmpeg_info"),
            ("host", "host_info"),
        ]
        host = {
            "cpu": {"used_percent": 1},
            "memory": {"used_percent": 1},
            "disks": [{"state": "ok", "used_percent": 50}],
        }
        good = [{**wanted[0], "answer": {"state": "ok"}}, {**wanted[1], "answer": host}]
        assert confirmed(well, good, LIMITS)["state"] == "recovered"
        gone = [{**wanted[0], "answer": {"unreachable": True, "msg": "ssh"}}, good[1]]
        assert confirmed(well, gone, LIMITS)["state"] == "not_recovered"
        assert confirmed(well, [], LIMITS)["state"] == "recovered", "a rung that was not tried changes nothing"
        ill = watched(well, "not_recovered", [], 170.0)
        assert looks_for(ill, looks) == []
        ill["response"]["plan"] = [rung(), rung("Restart", needs={"ffmpeg": ["ok"], "disk": ["ok"]})]
        assert looks_for(ill, looks) == wanted, "what the next rung needs is looked at anew"
        assert looks_for(course(), looks) == []

    def test_a_rung_is_passed_over_while_it_would_do_no_good_and_no_longer(self) -> None:
        restart = rung(needs={"ffmpeg": ["ok"]})
        began = course(classes={"ffmpeg": "missing", "disk": "ok"})
        over = passed_over(began, restart)
        assert over is not None
        assert not over["permitted"]
        assert not is_over(over)
        made = concluded(watched(over, "not_recovered", [], 170.0), evidence="", contacts=[])
        assert "Restart: passed over, ffmpeg is missing" in made["msg"]
        assert passed_over(began, rung()) is None
        look = {"subject": "ffmpeg", "module": "ffmpeg_info", "args": {}, "answer": {"state": "ok"}}
        mended = confirmed(watched(acted(began, rung(), {}), "not_recovered", [], 170.0), [look], LIMITS)
        assert (mended["state"], mended["classes"]) == ("not_recovered", {"ffmpeg": "ok", "disk": "ok"})
        assert passed_over(mended, restart) is None

    def test_emptied_figures_prove_nothing_and_what_is_ill_still_is_told(self) -> None:
        wanted = {"service": ["running"], "operations": ["ok", "none"]}
        lost = {"action": "restart", "result": "done", "proof": {"merges in work": "2 (a, b)"}}
        well = watched(acted(course(), rung(cured=wanted, actions=[lost]), {}), "recovered", [], 160.0)
        looks: dict[str, dict[str, Any]] = {
            "service": {"module": "service_control", "become": True, "args": {"state": "observed"}},
            "operations": {"module": "pipeline_info", "args": {}},
        }
        service, operations = looks_for(well, looks)
        assert service["become"] is True, "who may see where it listens"
        runs = {**service, "answer": {"service": {"class": "running", "reason": "pid 5"}}}
        failed = {"total_operations": 3, "failed_operations": 3}
        fails = {**operations, "answer": {"endpoints": {"stats": {"state": "ok", "data": failed}}}}
        ended = confirmed(well, [runs, fails], LIMITS)
        assert ended["state"] == "not_recovered"
        made = concluded(ended, evidence="", contacts=CONTACTS)
        assert "Merges lost with the restart: 2 (a, b)" in made["msg"]
        assert "The cause is not gone: operations is failing still: 3 of 3 operations failed" in made["msg"]
        none = {**operations, "answer": {"endpoints": {"stats": {"state": "ok", "data": {"total_operations": 0}}}}}
        assert confirmed(well, [runs, none], LIMITS)["state"] == "recovered"

    def test_what_is_not_on_record_is_no_recovery(self) -> None:
        done = watched(acted(refused(course(), ["could not be recorded"]), rung(), {}), "recovered", [], 163.0)
        made = concluded(done, evidence="", contacts=[{"name": "Ann"}])
        assert (made["recovered"], made["page"], decision_of(made, "recovered")) == (False, True, "paged")
        assert made["msg"].endswith("Page Ann")

    def test_a_restart_stops_at_a_host_that_does_not_recover_and_a_cleanup_does_not(self) -> None:
        assert is_disruptive({"procedure": "", "plan": []})
        assert is_disruptive({"procedure": "p", "plan": [{"act": "disk_cleanup"}, {"act": "service_control"}]})
        assert not is_disruptive({"procedure": "p", "plan": [{"act": "disk_cleanup"}]})

    @pytest.mark.parametrize(
        ("watch", "refusals"),
        [
            ({}, 0),
            ({"samples": 0, "interval": 0, "good": 0}, 0),
            ({"samples": 5, "interval": 10, "good": 3}, 0),
            ({"samples": 5, "interval": 10, "good": 6}, 1),
            ({"samples": 5, "interval": 10, "good": 0}, 1),
            ({"samples": 5, "interval": -1, "good": 3}, 1),
        ],
    )
    def test_a_host_that_cannot_be_watched_is_not_touched(self, watch: dict[str, Any], refusals: int) -> None:
        assert len(watch_refusals(watch)) == refusals

    def test_recovered(self) -> None:
        done = watched(acted(course(), rung(), {}), "recovered", [{"number": 1}], 163.9)
        made = concluded(done, evidence="/e", contacts=CONTACTS)
        assert (made["recovered"], made["recovered_after_s"], made["page"]) == (True, 63, False)
        assert made["msg"] == "Recovered after 63 s by: Restart"
        assert (made["samples"], made["evidence"]) == ([{"number": 1}], "/e")
        assert decision_of(made, "recovered") == "recovered"

    def test_not_recovered_says_what_was_tried_and_whom_to_page(self) -> None:
        ended = acted(course(), rung("Reinstall", failed=True, changed=False, msg="apt fails"), {})
        made = concluded(watched(ended, "not_recovered", [], 170.0), evidence="/e", contacts=CONTACTS)
        assert made["msg"] == (
            "NOT recovered. Tried: nothing. Reinstall: apt fails. Page Ann +1, Bob +2. Evidence of the host: /e"
        )
        assert (made["recovered"], made["page"], decision_of(made, "not_recovered")) == (False, True, "paged")
        alone = concluded(refused(course(), ["paused"]), evidence="", contacts=[])
        assert alone["msg"].endswith("Page the person on call (no report_contacts are set)")
        assert decision_of(alone, "watching") == "refused"

    def test_a_procedure_without_a_watch_is_done_when_all_was_carried_out(self) -> None:
        done = acted(course(procedure="p"), rung(), {})
        made = concluded(done, evidence="", contacts=[])
        assert (made["recovered"], made["msg"], decision_of(made, "watching")) == (
            True,
            "Done in 0 s: Restart",
            "completed",
        )
        failed = concluded(acted(done, rung("Free", failed=True, msg="full"), {}), evidence="", contacts=[])
        assert failed["msg"].startswith("NOT done. Carried out: Restart; Free. Free: full")
        ill = concluded(watched(done, "not_recovered", [], 170.0), evidence="", contacts=[])
        assert ill["recovered"] is False
