# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends the response to a host, however it went; documented by the module of the same name."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..module_utils.shapes import one_line
from ..plugin_utils.host_action import HostAction
from ..plugin_utils.judging.checked import broken_off
from ..plugin_utils.response.course import acted, begun, concluded, decision_of, lease_left, refused
from ..plugin_utils.response.ledger import decision
from ..plugin_utils.response.lines import response_lines
from ..plugin_utils.response.recovery import amended


class ActionModule(HostAction):
    """However the response went, this is its end."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The result of the check with the outcome in it."""
        found, course, now = given["found"], given["course"], time.time()
        if "response" not in course:
            # What broke off may have been the first task; the lease is given back if it is this run's.
            course = {**begun(found["response"], found["run"], now), "leased": True, "touched": True}
        if given["broken"]:
            # What was carried out when it broke off was done all the same.
            rung = given["carried_out"].get("rung")
            if rung and rung["rung"] not in [one["rung"] for one in course["response"]["acted"]]:
                course = acted(course, rung, given["carried_out"].get("answer") or {})
            why = f"the response broke off: {one_line(given['broken'], 300)}"
            course = {**refused(course, [why]), "state": "not_recovered", "touched": True}
        if not course["response"]["samples"]:
            course = {**course, "ended": now}
        response = concluded(course, evidence=_place(given["evidence"]), contacts=given["contacts"])
        run = course["run"]
        made = decision(
            decision_of(response, course["state"]), response, controller=run["controller"], user=run["user"]
        )
        gives_back = course["leased"] and not course["unsettled"]
        released = self.ask(
            "guard",
            {
                "state": "released" if gives_back else "recorded",
                "state_dir": given["state_dir"],
                "run_id": run["run_id"],
                "entries": [made],
            },
        )
        if "recent" not in released:
            why = one_line(released.get("msg") or "no answer")
            self._display.warning(f"{self.host}: how the response ended could not be recorded on the host: {why}")
        # Nobody acts on the host before that, and so whoever is called has to know it.
        left = lease_left(course, given_back=gives_back and "recent" in released)
        if left:
            response = {**response, "msg": f"{response['msg']}. {left}"}
        result = amended(self._newest(given["result"], found, course), response, given["policy"])
        self.tell(response_lines(response))
        return {**result, "changed": False}

    def _newest(self, result: dict[str, Any], found: dict[str, Any], course: Mapping[str, Any]) -> dict[str, Any]:
        """What is known of the host. What was found before it was acted upon says nothing of the time after."""
        if "verdicts" in result and result.get("judged_at") != found.get("judged_at"):
            return result
        if not (course["leased"] and course["touched"]):
            return found
        why = one_line(result.get("msg") or "no answer", 200)
        return broken_off(found, f"after it was acted upon, before it was looked at anew: {why}")


def _place(evidence: Mapping[str, Any]) -> str:
    """Where the bundle is, or why there is none; "" where none was wanted."""
    if not evidence or evidence.get("skipped"):
        return ""
    return str(evidence.get("path") or f"no evidence was saved: {one_line(evidence.get('msg') or 'no answer')}")
