# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how automation stands on a host; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.host_action import HostAction
from ..plugin_utils.response.lines import automation_lines


class ActionModule(HostAction):
    """Who holds a lease, what was done lately, what is paused, which overrides are in force."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """Shown for a person; failed where it is not known."""
        guard = self.ask("guard", {"state_dir": given["state_dir"], "hours": given["hours"]})
        if "recent" not in guard:
            why = f"how automation stands on {self.host} is not known: {guard.get('msg') or 'no answer'}"
            return {"failed": True, "msg": why}
        overrides = self.ask("service_config", {**given["overrides"], "state": "observed"})
        lines = automation_lines(guard, overrides)
        self.tell(lines)
        return {"guard": guard, "overrides": overrides.get("overrides"), "lines": lines}
