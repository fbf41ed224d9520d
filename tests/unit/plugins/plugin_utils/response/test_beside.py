"""Acted, looked and found nothing, could not look: three ends of a rung, and no two of them are the same."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import response
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.beside import noted_by, unjudged, unseen_by
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.course import begun, concluded
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.ledger import (
    planned_rung,
    planned_rungs,
    with_caps,
)
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.lines import response_lines
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.recovery import final_verdicts

RUN = {"run_id": "r1", "controller": "ops1", "pid": 7, "user": "alice"}
SEEN: dict[str, Any] = {"service": {"state": "running"}, "api": {"state": "ok"}, "sessions": [], "orphans": []}
DEAD = {"state": "unreachable", "reason": "Connection refused"}


def session(**more: Any) -> dict[str, Any]:
    return {"session_id": "5d0c1f6e", "state": "stuck", "attention": "end", "minutes": 99.0, "why": "", **more}


def row(act: str = "session_terminate", **args: Any) -> dict[str, Any]:
    return {"rung": "End sessions", "act": act, "steps": ["EM-S1"], "args": args}


class TestSessions:
    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            ({"service": {"state": "unknown", "reason": "systemctl is missing"}}, "systemctl is missing"),
            ({"api": DEAD}, "Connection refused"),
            ({"sessions": [session(state="unknown", why="read by pid 7")]}, "5d0c1f6e: read by pid 7"),
            ({"orphans": [session(state="unknown", why="no log")]}, "no log"),
            ({"sessions": [session(minutes=None, why="its age contradicts itself")]}, "contradicts itself"),
            ({"counts": {"unknown": 201}}, "201 more sessions"),
        ],
    )
    def test_what_could_not_be_judged_is_said_with_its_reason(self, answer: dict[str, Any], why: str) -> None:
        (line,) = unseen_by("session_terminate", {}, {**SEEN, **answer})
        assert why in line

    @pytest.mark.parametrize(
        "answer",
        [
            {},
            {"sessions": [session(state="progressing")]},
            {"sessions": [session(may_end=True)]},
            {"sessions": [session(state="unknown", attention="look", minutes=12.0)]},
            {"service": {"state": "down", "reason": "dead"}},
        ],
    )
    def test_what_was_seen_is_seen(self, answer: dict[str, Any]) -> None:
        assert unseen_by("session_terminate", {}, {**SEEN, **answer}) == []

    def test_an_emergency_that_needs_no_api_is_content_without(self) -> None:
        for off in (False, "false", "no"):
            assert unseen_by("session_terminate", {"api_required": off}, {**SEEN, "api": DEAD}) == []

    def test_what_is_not_to_be_ended_is_told_with_the_reason(self) -> None:
        answer = {
            **SEEN,
            "sessions": [session(state="uninterruptible", why="waits in the kernel")],
            "escalate": ["session x stays listed"],
            "unproved": [{"pid": 7, "command": "ffmpeg", "why": "another user's"}],
            "unproved_count": 60,
        }
        lines, left = noted_by("session_terminate", answer)
        assert left == 0
        for part in ("waits in the kernel", "stays listed", "pid 7 (ffmpeg)", "59 more processes"):
            assert part in "\n".join(lines)

    def test_the_rule_is_that_of_the_diagnosis(self) -> None:
        assert unjudged({"sessions": [session(state="unknown"), session()]}) == [session(state="unknown")]


class TestFiles:
    def rule(self, **more: Any) -> dict[str, Any]:
        return {"rule": "uploads", "root": "/srv/up", "state": "ok", "reason": "", "skipped": {}, **more}

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            ({"state": "denied", "reason": "/srv/up must not be read"}, "must not be read"),
            ({"state": "missing", "reason": "there is no /srv/up"}, "nothing was looked at: there is no /srv/up"),
            ({"skipped": {"time_over": 3, "open": 1}}, "time over 3"),
            ({"skipped": {"unproven": 2}}, "unproven 2"),
        ],
    )
    def test_a_root_that_could_not_be_looked_at_is_not_an_empty_one(self, answer: dict[str, Any], why: str) -> None:
        (line,) = unseen_by("disk_cleanup", {}, {"rules": [self.rule(**answer)]})
        assert why in line

    def test_files_of_sessions_that_nobody_knows_stay_and_that_is_said(self) -> None:
        answer = {"rules": [self.rule(skipped={"session": 4})], "protected_all": True, "api": DEAD}
        assert "Connection refused" in unseen_by("disk_cleanup", {}, answer)[0]
        assert unseen_by("disk_cleanup", {}, {**answer, "rules": [self.rule()]}) == []

    def test_what_stays_is_told_bounded_and_counted(self) -> None:
        skipped = [{"reason": "open", "path": f"/srv/up/{at}", "msg": "open by pid 7 (rsync)"} for at in range(40)]
        rules = [
            self.rule(skipped={"open": 4000, "target_reached": 2}),
            self.rule(rule="logs", state="missing", reason="no /l"),
        ]
        lines, left = noted_by("disk_cleanup", {"rules": rules, "skipped_files": skipped})
        assert lines[:3] == [
            "uploads: stays below /srv/up: open 4000, target reached 2",
            "logs: no /l",
            "/srv/up/0 stays: open by pid 7 (rsync)",
        ]
        assert (len(lines), left) == (20, 22)
        assert unseen_by("disk_cleanup", {}, {"rules": rules}) == []

    # runbook: WL-1, WL-5
    def test_limits_gaps_open_logs_and_disagreeing_archives_are_told(self) -> None:
        answer = {
            "rotation": {
                "problems": [{"msg": "media.log has 9 bytes, and is to be rotated at 5"}, {"msg": "lack number 2"}]
            },
            "expired": {"disagreeing": ["a.tar.zst"], "kept": [{"archive": "b.tar.zst", "msg": "open by pid 7"}]},
            "skipped_files": [{"file": "x.log.1", "reason": "open", "msg": "open by pid 8"}],
        }
        lines, left = noted_by("log_archive", answer)
        assert (len(lines), left) == (5, 0)
        for part in (
            "rotated at 5",
            "lack number 2",
            "archive a.tar.zst",
            "open by pid 7",
            "x.log.1 stays: open by pid 8",
        ):
            assert part in "\n".join(lines)
        assert unseen_by("log_archive", {}, answer) == []
        unproven = {**answer, "skipped_files": [{"file": "y.log.1", "reason": "unproven", "msg": "nobody can say"}]}
        assert unseen_by("log_archive", {}, unproven) == ["y.log.1 stays: nobody can say"]


def test_other_modules() -> None:
    assert unseen_by("package_repair", {}, {"state": "unknown", "reason": "hangs", "plan": []}) == ["ffmpeg: hangs"]
    assert unseen_by("archive_copy", {}, {"msg": "timeout", "archives": [{"archive": "a", "state": "unknown"}]})
    assert unseen_by("service_control", {}, {}) == []
    assert noted_by("service_control", {}) == ([], 0)


def carried_out(answer: dict[str, Any], **more: Any) -> Any:
    return planned_rung(row(), {"plan": [], "hash": "", "changed": False, **answer, **more})


def ended(*rungs: Any, **more: Any) -> dict[str, Any]:
    whole = {**response("r1", "apply", procedure="p", title="P", **more), "acted": list(rungs)}
    return concluded({**begun(whole, RUN, 100.0), "ended": 116.0}, evidence="", contacts=[])


def states(whole: dict[str, Any]) -> dict[str, str]:
    return {one["check"]: one["state"] for one in final_verdicts([], whole)}


class TestEnds:
    """A procedure with a session that hangs and nobody can judge was "Done in 16 s: nothing", exit code 0."""

    def test_it_looked_and_there_was_nothing_to_do(self) -> None:
        made = ended(carried_out(SEEN))
        assert (made["recovered"], made["page"], made["msg"]) == (
            True,
            False,
            "Looked in 16 s: there was nothing to do",
        )
        assert states(made) == {"recovery": "ok"}
        assert "     nothing to do" in response_lines(made)

    def test_it_could_not_look(self) -> None:
        made = ended(carried_out({**SEEN, "sessions": [session(state="unknown", why="systemd is dead")]}))
        assert (made["recovered"], made["page"]) == (None, True)
        assert made["msg"].startswith(
            "Nothing was done, and nobody can say whether there was anything to do. Could not look"
        )
        assert "systemd is dead" in made["msg"]
        assert states(made) == {"could_not_look": "unknown"}
        shown = "\n".join(response_lines(made))
        assert "could not look: session 5d0c1f6e: systemd is dead" in shown
        assert "nothing to do" not in shown

    def test_it_acted_and_could_not_look_everywhere(self) -> None:
        made = ended(carried_out({**SEEN, "api": DEAD}, changed=True))
        assert made["recovered"] is True
        assert made["msg"].startswith("Done in 16 s: End sessions. Could not look: End sessions: the API does not say")
        assert states(made) == {"recovery": "ok", "could_not_look": "unknown"}

    def test_an_incident_that_has_recovered_needs_no_look_any_more(self) -> None:
        whole = {**response("r1", "apply"), "acted": [carried_out({**SEEN, "api": DEAD})], "recovered": True}
        assert states(whole) == {"recovery": "ok"}
        assert states({**whole, "recovered": False})["could_not_look"] == "unknown"

    def test_a_plan_says_it_too(self) -> None:
        plan = {**response("r1", "plan", procedure="p", title="P"), "plan": [carried_out({**SEEN, "api": DEAD})]}
        assert states(plan) == {"could_not_look": "unknown"}

    def test_a_refusal_is_in_the_headline(self) -> None:
        made = ended(refusals=["another run acts on this host"])
        assert made["msg"].startswith("NOT done. Carried out: nothing. another run acts on this host")

    def test_what_was_found_beside_warns(self) -> None:
        problem = {"rotation": {"problems": [{"msg": "media.log is not there"}, {"msg": "a gap"}]}}
        made = ended(planned_rung(row("log_archive"), {"plan": [], "hash": "", **problem}))
        (found,) = [one for one in final_verdicts([], made) if one["check"] == "found_beside"]
        assert (found["state"], found["message"]) == ("warning", "media.log is not there (and 1 more)")
        assert final_verdicts([found], made).count(found) == 1, "it is told once, however often it is judged"

    @pytest.mark.parametrize("beyond", [False, True])
    def test_archives_that_are_held_warn_and_are_critical_from_the_bound_on(self, beyond: bool) -> None:
        held = {"archives": 3, "bytes": 4096, "percent": 12.5, "beyond": beyond, "copied_to": "s3://b/web1/"}
        answer = {"plan": [], "hash": "", "left": ["a file of 7 bytes"], "expired": {"held": held}}
        made = ended(planned_rung(row("log_archive"), answer))
        (found,) = [one for one in final_verdicts([], made) if one["check"] == "found_beside"]
        assert found["state"] == ("critical" if beyond else "warning")
        lines = made["acted"][0]["noted"]
        assert lines[0] == "a run before was cut off: a file of 7 bytes"
        assert lines[1].startswith("3 archives of 4096 bytes, 12.5 % of their file system, are past their days")
        assert found["message"] == f"{lines[1] if beyond else lines[0]} (and 1 more)"


def test_a_rung_that_could_not_be_planned_is_not_left_out() -> None:
    good = carried_out(SEEN)
    rows = [{"rung": good}, {"skipped": True, "item": row()}, {"failed": True, "msg": "boom", "item": row("guard")}]
    made = planned_rungs(rows)
    assert made[0] == good
    assert [(one["act"], one["failed"], one["msg"]) for one in made[1:]] == [
        ("guard", True, "could not be planned: boom")
    ]


@pytest.mark.parametrize(
    ("procedure", "mode", "state"),
    [
        ("emergency_disk_cleanup", "apply", "critical"),
        ("emergency_disk_cleanup", "plan", "warning"),
        ("weekly_log_management", "apply", "warning"),
        ("", "apply", "warning"),
    ],
)
def test_an_emergency_that_somebody_holds_back_is_not_done_and_fails(procedure: str, mode: Any, state: str) -> None:
    whole = response("r1", mode, procedure=procedure, held="automation is paused until 2199 by bob: new disk")
    (found,) = final_verdicts([], whole)
    assert (found["check"], found["state"]) == ("automation", state)


def test_what_was_done_often_enough_is_said_with_the_plan() -> None:
    action = {"action": "restart", "target": "media", "why": "dead", "proof": {}, "steps": ["EM-R1"]}
    answer = {"plan": [{**action, "result": "planned", "msg": ""}], "hash": "0123456789ab"}
    made = planned_rung({**row("service_control"), "cause": "service"}, answer)
    of_cause = {"action": "restart", "taken_for": "service", "why": "1 times for service"}
    others = [{**of_cause, "taken_for": "storage"}, {**of_cause, "action": "delete"}]
    for reached, noted in (([of_cause], 1), (others, 0), ([{**of_cause, "taken_for": ""}], 1)):
        (told,) = with_caps([made], reached)
        assert told["noted"] == ["it would be refused: 1 times for service"] * noted


@pytest.mark.parametrize("subject", ["service", "sessions", "performance", "errors_log"])
def test_a_look_that_failed_is_unknown_on_its_host(subject: str) -> None:
    finding: Any = {"subject": subject, "class": "unknown", "finding": "no answer: systemd cannot be asked"}
    whole = response("r1", "plan", classes={subject: "unknown"}, findings=[finding])
    (found,) = final_verdicts([], whole)
    assert (found["state"], found["check"]) == ("unknown", f"probed_{subject}")
    assert "systemd cannot be asked" in found["message"]
