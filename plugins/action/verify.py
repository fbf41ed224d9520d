# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records what a rung did and watches the host after it; documented by the module of the same name."""

from __future__ import annotations

import time
from typing import Any

from ..module_utils.shapes import NOT_OFFERED, Json, mapping, one_line
from ..plugin_utils.host_action import HostAction
from ..plugin_utils.judging.observations import observe
from ..plugin_utils.response.course import acted, looks_for, refused, watched
from ..plugin_utils.response.ledger import entries
from ..plugin_utils.response.recovery import fallen_back, outcome, sample, sample_line, unsteady

_FIRST_S = 2  # a service that has just been acted upon is not asked at once


class ActionModule(HostAction):
    """Each sample is shown as it is taken: a watch takes minutes."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The course with the rung, and with what was seen of the host after it."""
        course, carried_out, looks = given["course"], given["carried_out"], list[dict[str, Any]]()
        if course["permitted"] and "rung" in carried_out:
            course = self._record(acted(course, carried_out["rung"], carried_out["answer"]), carried_out, given)
            rung = carried_out["rung"]
            # What somebody else mended meanwhile is well, and may be of no use yet.
            acts = rung["changed"] or (rung.get("component") and not rung["failed"])
            if not course["unsettled"] and acts and given["watch"].get("samples"):
                course = self._watch(course, carried_out["rung"], given)
                looks = looks_for(course, given["looks"])
        return {"course": course, "looks": looks}

    def _record(self, course: Json, carried_out: Json, given: Json) -> dict[str, Any]:
        run = course["run"]
        name = carried_out["rung"]["rung"]
        begun_as = next((rung for rung in course["response"]["plan"] if rung["rung"] == name), None)
        made = entries(
            carried_out["rung"],
            carried_out["answer"],
            controller=run["controller"],
            user=run["user"],
            procedure=course["response"]["procedure"],
            begun_as=begun_as,
        )
        wanted = {"state": "recorded", "state_dir": given["state_dir"], "run_id": run["run_id"], "entries": made}
        recorded = self.ask("guard", wanted)
        if "recorded" in recorded:
            return dict(course)
        why = f"what was done could not be recorded on the host: {recorded.get('msg') or 'no answer'}"
        return refused(course, [why])

    def _watch(self, course: Json, rung: Json, given: Json) -> dict[str, Any]:
        state, samples, watch = "watching", list[dict[str, Any]](), given["watch"]
        before = self._service(given)
        asked = {**self.connection(), "gather": ["health_detailed"]}
        while state == "watching":
            time.sleep(watch["interval"] if samples else min(watch["interval"], _FIRST_S))
            answer = self.ask("pipeline_info", asked)
            if _tells_no_health(answer) and "unit" not in asked:
                asked |= {**given["pipeline"], "gather": ["health_detailed", "stats"], "stats_hours": 1}
                asked |= {"unit": given["service"].get("unit"), "process": given["service"].get("process")}
                asked |= {"since_start": True}
                answer = self.ask("pipeline_info", asked)
            ages = {"age_max_s": given["age_max"], "skew_max_s": given["skew_max"]}
            seen = observe(answer, **ages, counting=given["counting"])
            taken = sample(answer, seen, rung.get("cause", ""), len(samples) + 1, rung.get("component") or "")
            samples.append(taken)
            self.tell([sample_line(samples[-1], watch["samples"])])
            state = outcome(samples, watch["samples"], watch["good"], given["relapses"])
        why = ""
        if state == "recovered":
            why = unsteady(before, self._service(given), restarted=_restarts(rung))
        elif fallen_back(samples) >= given["relapses"]:
            why = "it was well and ill again in turn: a service that flaps has not recovered"
        if why:
            self.tell([one_line(f"not recovered: {why}", 300)])
        return watched(course, "not_recovered" if why else state, samples, time.time(), why=why)

    def _service(self, given: Json) -> dict[str, Any]:
        """How the service stands now, by its unit or its main process."""
        return self.ask(
            "service_control", {**given["service"], "state": "observed", "samples": 1, "health": False, "drain": 0}
        )


def _tells_no_health(answer: Json) -> bool:
    health = mapping(mapping(answer.get("endpoints")).get("health_detailed"))
    return health.get("state") == NOT_OFFERED


def _restarts(rung: Json) -> bool:
    return any(action.get("action") == "restart" for action in rung.get("actions") or [])
