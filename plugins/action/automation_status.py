# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how automation stands on a host; documented by the module of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugin_utils.host_action import HostAction
from ..plugin_utils.response.lines import automation_lines


class ActionModule(HostAction):
    """Who holds a lease, what was done lately, what is paused, which overrides are in force."""

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Shown for a person; failed where it is not known."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self.arguments()
        host = str((task_vars or {}).get("inventory_hostname", ""))
        guard = self.ask("guard", {"state_dir": given["state_dir"], "hours": given["hours"]}, task_vars)
        if "recent" not in guard:
            why = f"how automation stands on {host} is not known: {guard.get('msg') or 'no answer'}"
            return {**result, "failed": True, "changed": False, "msg": why}
        overrides = self.ask("service_config", {**given["overrides"], "state": "observed"}, task_vars)
        lines = automation_lines(guard, overrides)
        self.tell(lines, task_vars)
        return {**result, "changed": False, "guard": guard, "overrides": overrides.get("overrides"), "lines": lines}
