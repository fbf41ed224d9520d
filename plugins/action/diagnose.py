# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnoses a host and chooses the rungs that this calls for; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.shapes import mapping
from ..plugin_utils.host_action import HostAction
from ..plugin_utils.response.diagnosis import diagnose, guard_holds, guard_refusals, looked
from ..plugin_utils.response.ladder import ladder, with_lost


class ActionModule(HostAction):
    """From what was seen to what could be done about it; nothing is asked."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """Classes, findings and rungs, and what the guard of the host says."""
        chosen, guard = given["chosen"], given["guard"]
        asked = not guard.get("skipped")
        answers = mapping(given["result"].get("answers"))
        stats = mapping(answers.get("stats"))
        told = (mapping(answers.get(name)).get("data") for name in ("health_detailed", "health"))
        found = diagnose(
            looked(given["seen"]),
            stats.get("data") if stats.get("state") == "ok" else None,
            limits=given["limits"],
            advice=given["advice"],
            health=next(filter(None, told), None),
        )
        rungs = with_lost(ladder(chosen["incidents"], found["classes"], given["ladders"]), found["probes"])
        return {
            **found,
            "incidents": chosen["incidents"],
            "rungs": rungs if chosen["reached"] else [],
            # One that did not answer may be paused.
            "refusals": guard_refusals(guard.get("answer") or guard) if asked and chosen["incidents"] else [],
            "held": guard_holds(mapping(guard.get("answer"))) if chosen["incidents"] else "",
            "caps_reached": mapping(guard.get("answer")).get("caps_reached") or [],
            "acted_for": mapping(guard.get("answer")).get("acted_for"),
        }
