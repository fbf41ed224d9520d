# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins what is wrong with a host and what would be done into one plan; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.host_action import HostAction
from ..plugin_utils.response.choice import is_reached
from ..plugin_utils.response.course import planned, planned_procedure, to_be_acted_upon
from ..plugin_utils.response.ledger import planned_rungs, with_caps
from ..plugin_utils.response.lines import response_lines
from ..plugin_utils.response.recovery import amended


class ActionModule(HostAction):
    """The response of a host before anything is done; nothing is asked."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The result of the check with the plan in it, which is shown where the host was reached."""
        reached = (given["diagnosis"] or {}).get("caps_reached") or []
        rungs = with_caps(planned_rungs(given["rungs"]), reached)
        run: dict[str, Any] = {
            "host": str(self.variables["inventory_hostname"]),
            "run_id": given["run"]["run_id"],
            "mode": "plan" if self._task.check_mode else given["mode"],
            "approved": given["approved"],
        }
        if given["procedure"]:
            response = planned_procedure(given["procedure"], given["title"], rungs, **run)
        else:
            response = planned(given["diagnosis"], rungs, breaker=given["breaker"], **run)
        found = amended(given["result"], response, given["policy"])
        if is_reached(found):
            self.tell(response_lines(response, (given["breaker"] or {}).get("hash") or ""))
        more = {
            "run": given["run"],
            "probes": (given["diagnosis"] or {}).get("probes", {}),
            "to_act": is_reached(found) and to_be_acted_upon(response),
        }
        return {**found, **more, "changed": False}
