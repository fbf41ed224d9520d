"""The actions of a response: what they ask, and that nothing of what was done is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import response, rung
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import host_state
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.course import begun

from tests.unit.plugins import factories as f
from tests.unit.plugins.action.acting import INTRUDER, Run, act

RUN = {"run_id": "r1", "controller": "ops1", "process": {"pid": 7}, "user": "alice"}
STATE = {"state_dir": "/var/lib/media-ops"}
ROW = {"rung": "Free", "act": "disk_cleanup", "steps": ["EM-D1"], "cured": {"disk": ["ok"]}, "cause": "temp_directory"}
ACTION: Any = {
    "action": "delete",
    "target": "/t/a",
    "why": "old",
    "steps": ["EM-D1"],
    "stable": {},
    "proof": {},
    "result": "done",
    "msg": "",
}
LOOKS = {"host": {"module": "host_info", "args": {}}}
ROUTING: dict[str, Any] = {"incidents": [], "error_causes": {}}
STANDS: dict[str, Any] = {"lease": None, "pause": None, "recent": [], "counts": {}, "repeated": {}, "bad_lines": 0}
INCIDENT: Any = {
    "incident": "i",
    "priority": "P0",
    "cause": "temp_directory",
    "title": "Full",
    "checks": [],
    "evidence": [],
}


def planned(**more: Any) -> dict[str, Any]:
    """The result of action plan, with a plan of one rung."""
    made = {**response("r1", "apply", incidents=[INCIDENT]), "plan": [rung(ROW, [ACTION])], **more}
    host = {"observations": {"host": {"fault": ""}}, "verdicts": [], "incidents": [], "details": {}, "judged_at": 1.0}
    return {**host, "response": made, "run": RUN}


def lease(result: dict[str, Any], answer: Any, fleet: dict[str, Any] | None = None, **options: Any) -> Run:
    class Vars:
        def raw_get(self, host: str) -> dict[str, Any]:
            known: dict[str, Any] = (fleet or {}).get(host, {})
            return known

    variables = {"hostvars": Vars(), "ansible_play_hosts_all": [*(fleet or {}), "media1"]}
    given = {**STATE, "ttl": 900, "window": 600, "result": result, **options}
    return act("lease", given, answers={"guard": answer}, variables=variables)


class TestLease:
    def test_a_host_that_does_not_answer_is_a_refusal(self) -> None:
        run = lease(planned(), {"unreachable": True, "msg": "ssh"})
        assert (run.result["course"]["permitted"], run.result["course"]["leased"]) == (False, False)
        assert run.result["course"]["response"]["refusals"] == ["the lease could not be taken: ssh"]

    def test_it_is_given_and_says_for_what(self) -> None:
        held = {"run_id": "r1", "expires_at": "2026-11-29T06:15:00Z"}
        given = {**STANDS, "lease": held, "permitted": True, "refusals": [], "took_over": None}
        run = lease(planned(), {**given, **INTRUDER})
        assert run.result["course"]["leased_until"] == "2026-11-29T06:15:00Z"
        assert run.arguments("guard")["controller_process"] == RUN["process"]
        assert (run.result["course"]["permitted"], run.result["course"]["leased"]) == (True, True)
        assert run.arguments("guard")["reason"] == "Full"
        assert "made_up" not in run.result

    def test_caps_count_for_the_cause_and_what_would_do_no_good_is_not_asked_for(self) -> None:
        course = begun(planned(classes={"disk": "full"})["response"], RUN, 1.0)
        given = {**STANDS, "permitted": True, "refusals": [], "took_over": None, "recorded": 1}
        options: dict[str, Any] = {"course": course, "rung": rung(ROW, [ACTION])}
        run = lease(planned(), given, **options)
        assert run.arguments("guard")["taken_for"] == "temp_directory"
        assert run.arguments("guard")["entries"][0]["taken_for"] == "temp_directory"
        run = lease(planned(), [], **{**options, "rung": rung({**ROW, "needs": {"disk": ["ok"]}}, [ACTION])})
        assert run.modules == []
        assert not run.result["course"]["permitted"]
        assert run.result["course"]["passed_over"] == ["Free: passed over, disk is full"]

    def test_a_rung_that_has_nothing_to_do_is_done_without_a_question(self) -> None:
        course = begun(planned(procedure="p")["response"], RUN, 1.0)
        idle = rung({**ROW, "act": "disk_cleanup"}, [], plan_hash="a" * 12)
        run = lease(planned(), [], course=course, rung=idle)
        assert run.modules == []
        assert run.result["course"]["response"]["acted"] == [idle]
        assert not run.result["course"]["permitted"]
        given = {**STANDS, "permitted": True, "refusals": [], "took_over": None, "recorded": 1}
        run = lease(planned(), given, course={**course, "touched": True}, rung=idle)
        assert run.modules == ["guard"], "what was done before it may have made work for it"
        assert run.result["course"]["touched"]

    def test_what_cannot_be_watched_and_a_host_before_it_that_is_ill_are_not_even_asked(self) -> None:
        run = lease(planned(), [], watch={"samples": 5, "good": 9})
        assert run.modules == []
        assert "cannot be watched" in run.result["course"]["response"]["refusals"][0]
        ill = {"healthcheck_result": {"response": {"recovered": False}}}
        run = lease(planned(), [], {"media0": ill})
        assert run.result["course"]["response"]["refusals"] == [
            "media0 did not recover: no other host is touched in this run"
        ]


def verify(course: dict[str, Any], answers: dict[str, Any], **options: Any) -> Run:
    carried_out = {"rung": rung(ROW, [ACTION], changed=True), "answer": {"plan": [ACTION]}}
    given = {"course": course, "carried_out": carried_out, **STATE, "age_max": 300, "skew_max": 120, "looks": LOOKS}
    given["service"] = {"unit": "media-processing-service", "samples": 3}
    return act("verify", {**given, **options}, answers=answers)


class TestVerify:
    def test_what_was_done_is_on_record_before_the_host_is_watched(self) -> None:
        course = begun(planned()["response"], RUN, 1.0)
        ill = {"unreachable": True, "msg": "ssh"}
        answers = {"guard": {**STANDS, "recorded": 1}, "pipeline_info": [ill, ill], "service_control": [ill]}
        run = verify(course, answers, watch={"samples": 2, "interval": 0, "good": 1})
        assert run.modules == ["guard", "service_control", "pipeline_info", "pipeline_info"]
        assert run.arguments("guard")["entries"][0]["result"] == "done"
        assert (run.result["course"]["state"], run.result["looks"]) == ("not_recovered", [])
        assert [one["rung"] for one in run.result["course"]["response"]["acted"]] == ["Free"]

    @pytest.mark.parametrize(("pid", "ends"), [(7, "recovered"), (8, "not_recovered")])
    def test_a_service_that_ended_while_it_was_watched_has_not_recovered(self, pid: int, ends: str) -> None:
        def service(main_pid: int) -> dict[str, Any]:
            return {"service": {"class": "running", "main_pid": main_pid, "n_restarts": 0}}

        well = f.result(health_detailed=f.answer(f.health()))
        answers = {
            "guard": {**STANDS, "recorded": 1},
            "pipeline_info": [well, well],
            "service_control": [service(7), service(pid)],
        }
        watch = {"samples": 2, "interval": 0, "good": 2}
        run = verify(begun(planned()["response"], RUN, 1.0), answers, watch=watch)
        asked = [one.arguments for one in run.asked if one.module == "service_control"]
        assert [(one["state"], one["samples"], one["health"]) for one in asked] == [("observed", 1, False)] * 2
        assert run.result["course"]["state"] == ends
        assert ("another main process" in run.result["course"]["why"]) is (ends == "not_recovered")

    def test_what_is_not_on_record_ends_the_response(self) -> None:
        run = verify(begun(planned()["response"], RUN, 1.0), {"guard": {"failed": True, "msg": "disk full"}})
        course = run.result["course"]
        assert course["response"]["refusals"] == ["what was done could not be recorded on the host: disk full"]
        assert not course["permitted"]

    @pytest.mark.parametrize("silent", [{"overdue": True, "failed": True}, {"unreachable": True}])
    def test_a_host_that_gave_no_answer_is_left_alone_and_its_lease_stays(self, silent: dict[str, Any]) -> None:
        carried_out = {"rung": rung(ROW, [ACTION], failed=True), "answer": {**silent, "msg": "no answer"}}
        course = {**begun(planned()["response"], RUN, 1.0), "leased": True}
        watch = {"samples": 2, "interval": 0, "good": 1}
        run = verify(course, {"guard": {**STANDS, "recorded": 1}}, carried_out=carried_out, watch=watch)
        assert run.modules == ["guard"], "it is not watched, either"
        after = run.result["course"]
        assert (after["permitted"], after["unsettled"]) == (False, True)
        assert "may still be at work on it" in after["response"]["refusals"][0]
        end = conclude(course=after)
        assert end.arguments("guard")["state"] == "recorded"
        assert end.result["response"]["recovered"] is False

    def test_a_rung_that_was_not_permitted_leaves_the_course_as_it_was(self) -> None:
        done = planned(acted=[rung(ROW, [ACTION], changed=True)])["response"]
        course = {**begun(done, RUN, 1.0), "permitted": False, "state": "recovered"}
        run = verify(course, {}, carried_out={"skipped": True})
        assert run.result["course"] == course
        assert run.result["looks"] == []


def conclude(answer: Any = None, **options: Any) -> Run:
    given = {"result": planned(), "found": planned(), **STATE, "policy": ROUTING, **options}
    return act("conclude", given, answers={"guard": answer or {**STANDS, "recorded": 1}})


class TestConclude:
    def test_until_when_the_lease_of_a_host_that_was_lost_stands_is_told(self) -> None:
        course = {**begun(planned()["response"], RUN, 1.0), "leased": True, "leased_until": "2026-11-29T06:15:00Z"}
        lost = conclude({"unreachable": True, "msg": "ssh"}, course=course).result
        assert lost["response"]["msg"].endswith(
            "The lease of the host could not be given back and stands until 2026-11-29 06:15:00 UTC"
        )
        assert lost["verdicts"][0]["message"] == lost["response"]["msg"]
        unsettled = conclude(course={**course, "unsettled": True}).result["response"]["msg"]
        assert unsettled.endswith("was not given back and stands until 2026-11-29 06:15:00 UTC")
        unknown = {**course, "leased_until": "soon"}
        assert conclude({"unreachable": True}, course=unknown).result["response"]["msg"].endswith("until its time")
        for well in (conclude(course=course), conclude({"unreachable": True}, course={**course, "leased": False})):
            assert "lease" not in well.result["response"]["msg"]

    def test_what_was_carried_out_when_it_broke_off_is_told_and_a_person_called(self) -> None:
        course = {**begun(planned()["response"], RUN, 1.0), "leased": True}
        run = conclude(course=course, carried_out={"rung": rung(ROW, [ACTION], changed=True)}, broken="Timed out")
        made = run.result["response"]
        assert [one["rung"] for one in made["acted"]] == ["Free"]
        assert made["refusals"] == ["the response broke off: Timed out"]
        assert made["msg"].startswith("NOT recovered. Tried: Free")
        asked = run.arguments("guard")
        assert (asked["state"], asked["entries"][0]["action"]) == ("released", "paged")

    def test_a_lease_that_broke_off_is_given_back(self) -> None:
        run = conclude(course={}, broken="no such variable")
        assert run.arguments("guard")["state"] == "released"
        assert run.result["response"]["recovered"] is False

    def test_where_it_could_not_be_looked_anew_what_was_found_before_says_nothing_of_now(self) -> None:
        begin = begun(planned()["response"], RUN, 1.0)
        course = {**begin, "state": "recovered", "leased": True, "touched": True}
        run = conclude(result={"failed": True, "msg": "no"}, course=course)
        assert run.result["judged_at"] > 1.0
        assert any("before it was looked at anew: no" in row["message"] for row in run.result["verdicts"])
        assert host_state(run.result["verdicts"]) == "unknown"
        assert run.result["response"]["recovered"] is True

    def test_what_was_found_stands_where_nothing_was_begun_since(self) -> None:
        course = {**begun(planned(procedure="p")["response"], RUN, 1.0), "leased": True}
        run = conclude(course=course)
        assert (run.result["judged_at"], [row["check"] for row in run.result["verdicts"]]) == (1.0, ["recovery"])
        assert run.arguments("guard")["state"] == "released"
        assert conclude(course=course, broken="Timed out").result["judged_at"] > 1.0


class TestProbe:
    def test_it_asks_in_earnest_and_takes_what_is_promised(self) -> None:
        answer = {"state": "denied_put", "reason": "AccessDenied", **INTRUDER}
        run = act(
            "probe",
            {"module": "storage_probe", "settings": {"options": {"write": True}}},
            answers={"storage_probe": answer},
        )
        assert run.asked[0].check_mode is False
        assert run.result["answer"] == {"state": "denied_put", "reason": "AccessDenied", "changed": False}

    def test_it_changes_nothing(self) -> None:
        for given in ({"module": "service_control", "args": {"state": "restarted"}}, {"module": "disk_cleanup"}):
            with pytest.raises(AnsibleActionFail, match=r"only observed is possible|only ffmpeg_info, .* look"):
                act("probe", given)


class TestRung:
    def test_what_is_set_is_looked_for_in_the_service_after_its_restart(self) -> None:
        row = {"rung": "More time", "act": "service_config", "steps": ["P1-3A"], "args": {"state": "present"}}
        settings = {"options": {"unit": "u"}}
        setting: Any = {**ACTION, "action": "configure", "stable": {"name": "PROCESSING_TIMEOUT", "value": "600"}}
        answer = {"plan": [setting], "hash": "a" * 12, "changed": True, "restart_needed": True}
        seen = {"overrides": [{"name": "PROCESSING_TIMEOUT", "shown_in": ""}], "restart_needed": False}
        restart = {"plan": [{**ACTION, "action": "restart"}], "hash": "b" * 12, "changed": True}
        answers: dict[str, Any] = {"service_config": [answer, seen], "service_control": restart}
        given = {"rung": row, "settings": settings, "restart": settings, "run_id": "r1"}
        run = act("rung", given, answers=answers)
        assert run.modules == ["service_config", "service_control", "service_config"]
        assert run.asked[-1].arguments["state"] == "confirmed", "a later run can tell it"
        assert run.result["rung"]["msg"] == "set, not proved to have an effect: PROCESSING_TIMEOUT"
        assert [one["action"] for one in run.result["rung"]["actions"]] == ["configure", "restart"]
        planned = act("rung", {**given, "planning": True}, answers=answers)
        assert planned.modules == ["service_config", "service_control"], "of a plan there is nothing to look for"
