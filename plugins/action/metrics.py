# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaves metrics for node_exporter on a host; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.shapes import mapping
from ..plugin_utils.host_action import HostAction
from ..plugin_utils.response.choice import is_reached


class ActionModule(HostAction):
    """What the run found, when it last ran and succeeded, what automation did in the last day."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """Nothing where the check did not reach the host."""
        observations = mapping(given["found"].get("observations"))
        if not is_reached(given["found"]):
            return {"changed": False, "skipped": True, "skip_reason": "The check did not reach the host"}
        guard = self.ask("guard", {"state_dir": given["state_dir"]})
        overrides = mapping(observations.get("overrides"))
        written = self.ask(
            "metrics_textfile",
            {
                "textfile_dir": given["textfile_dir"],
                "source": given["source"],
                "verdicts": given["found"].get("verdicts"),
                "alerts": given["alerts"] if "open" in given["alerts"] else {},
                "guard": guard if "recent" in guard else {},
                "breaker_open": None if given["breaker"] is None else bool(given["breaker"]),
                "overrides_active": overrides.get("value"),
                "mutes": given["found"].get("mutes") or [],
            },
        )
        gone = written.pop("unreachable", False)
        # A run's record is no change of what it looks after.
        return {**written, "changed": False, "reached": not gone}
