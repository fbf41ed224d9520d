# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends the work on a host on which a task failed; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.shapes import mapping, one_line
from ..plugin_utils.host_action import HostAction
from ..plugin_utils.judging.checked import broken_off


class ActionModule(HostAction):
    """The hosts after it go on, and this one is unknown from here on."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """What was found before, the break, and how the lease stands."""
        reason = f"in task '{given['task']}': {one_line(given['reason'] or 'no reason given', 300)}"
        # A task that failed left its failure in the place of what was found.
        known: dict[str, Any] = next((one for one in (given["result"], given["found"]) if "verdicts" in one), {})
        run = mapping(given["run"] or known.get("run"))
        left = self._lease(str(run.get("run_id") or ""), given) if run.get("run_id") else ""
        said = f"{reason}. {left}" if left else reason
        self.tell([f"Broke off {said}"])
        return {**broken_off(known, said), "to_act": False}

    def _lease(self, run_id: str, given: dict[str, Any]) -> str:
        """Gives the lease back where this run has it; what stands of it where it could not be given back."""
        if self._task.check_mode:
            return ""
        asked = self.ask("guard", {"state": "released", "state_dir": given["state_dir"], "run_id": run_id})
        if "recent" in asked:
            return ""
        why = one_line(asked.get("msg") or "no answer", 200)
        return f"A lease that this run has there could not be given back ({why}) and ends within {given['ttl']} s"
