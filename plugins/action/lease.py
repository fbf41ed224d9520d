# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes or renews the lease of a host; documented by the module of the same name."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.shapes import Json, mapping, one_line
from ..module_utils.times import from_text, utc_now
from ..plugin_utils.host_action import HostAction, plain
from ..plugin_utils.response.controller import dead_run
from ..plugin_utils.response.course import (
    begun,
    fleet_gate,
    held_back,
    is_disruptive,
    is_over,
    passed_over,
    refused,
    watch_refusals,
    without_work,
)
from ..plugin_utils.response.ledger import begun as begun_entries
from ..plugin_utils.response.ledger import taken_for
from ..plugin_utils.site.schedule import Due, due_of_job


class ActionModule(HostAction):
    """What speaks against acting on a host is noted in the course of its response, and ends no task."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The course, ``permitted`` where the next thing may be done."""
        if given["course"]:
            course = given["course"]
        elif given["result"] and "response" in given["result"]:
            course = begun(given["result"]["response"], given["result"]["run"], time.time())
            if is_disruptive(course["response"]):
                course = refused(course, self._gate())
            # What is set for this host alone was not seen when the run began.
            course = refused(course, watch_refusals(given["watch"]))
        else:
            raise AnsibleActionFail("one of course, and result with a response, is needed")
        if is_over(course):
            return {"course": {**course, "permitted": False}}
        rung = given["rung"] or {}
        over = passed_over(course, rung)
        if over:
            self.tell(over["passed_over"][len(course["passed_over"]) :])
        return {"course": over or without_work(course, rung) or self._ask(course, given)}

    def _gate(self) -> list[str]:
        results = self.of_hosts("healthcheck_result")
        responses = {host: mapping(mapping(result).get("response")) for host, result in results.items()}
        ended = {host: {"recovered": plain(one.get("recovered"))} for host, one in responses.items()}
        return fleet_gate(ended, self.host)

    def _due(self, course: Json, given: Json) -> Due:
        """When the run was due, if it was scheduled, reckoned by when it began."""
        if given["scheduled_for"]:
            return Due(given["scheduled_for"], "")
        table = self.variables.get("schedule_procedures")
        table = None if table is None else plain(self._templar.template(table))
        began = from_text(str(course["run"]["run_id"])[:16]) or utc_now()
        return due_of_job(self.variables, table, course["response"]["procedure"], began, given["zone"])

    def _ask(self, course: Json, given: Json) -> dict[str, Any]:
        run, rung, response = course["run"], given["rung"] or {}, course["response"]
        due = self._due(course, given)
        if due.refusal:
            return refused(course, [f"{due.refusal}; nothing is acted upon"])
        titles = [incident["title"] for incident in response["incidents"]]
        wanted = {
            "state": "leased",
            "state_dir": given["state_dir"],
            "run_id": run["run_id"],
            "owner": run["user"],
            "controller": run["controller"],
            "controller_process": run["process"],
            "reason": response["title"] or ", ".join(dict.fromkeys(titles)),
            "ttl": given["ttl"],
            "actions": list(dict.fromkeys(action["action"] for action in rung.get("actions", []))),
            "caps": given["caps"],
            "taken_for": taken_for(rung, response["procedure"]) or None,
            "scheduled_for": due.at or None,
            "after": _needs(given, response["procedure"]),
            "window": given["window"],
            "entries": begun_entries(
                rung, controller=run["controller"], user=run["user"], procedure=response["procedure"]
            )
            if rung
            else [],
        }
        asked = self.ask("guard", wanted)
        # That a run is dead can be seen here only, and whose the lease is was not known before.
        dead = "" if asked.get("permitted") else dead_run(asked.get("lease"))
        if dead:
            asked = self.ask("guard", {**wanted, "take_over": dead})
        if asked.get("took_over"):
            other = asked["took_over"]
            said = (
                f"Took the host over from run {other['run_id']} of {other['owner']}, which ended without releasing it"
            )
            self.tell([one_line(said)])
        if not asked.get("permitted"):
            why = asked.get("refusals") or [f"the lease could not be taken: {asked.get('msg') or 'no answer'}"]
            return held_back(course, why, str(asked.get("held") or ""))
        until = str(mapping(asked.get("lease")).get("expires_at") or "")
        touched = bool(course["touched"] or rung)
        return {**course, "leased": True, "leased_until": until, "permitted": True, "touched": touched}


def _needs(given: Json, procedure: str) -> list[Any]:
    """What must have succeeded on the host before: by the policy for this procedure, and by the schedule."""
    by_schedule = {(need["procedure"], need.get("act")): need for need in given["after"]}
    by_policy = {(need["procedure"], need.get("act")): need for need in mapping(given["after_of"]).get(procedure) or []}
    return list({**by_schedule, **by_policy}.values())
