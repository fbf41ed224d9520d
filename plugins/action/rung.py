# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans or carries out one rung of a ladder or a procedure; documented by the module of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible import context

from ..module_utils.errors import MediaOpsError
from ..module_utils.shapes import mapping, one_line
from ..module_utils.times import to_text, utc_now
from ..plugin_utils.host_action import HostAction, has_fragment, options_of
from ..plugin_utils.response.ladder import is_enabled
from ..plugin_utils.response.ledger import planned_rung
from ..plugin_utils.response.rung import joined, module_arguments, taken


class ActionModule(HostAction):
    """Which module, and with which options, is what the tables of role policy say."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """Ask the rung's module, in check mode where it is only planned."""
        rung = {"args": {}, **given["rung"]}
        if not is_enabled(rung):
            why = rung.get("unless") or "this rung is not enabled"
            if given["planning"]:
                self.tell([f"{rung['rung']}: left out, {why}"] if rung.get("unless") else [])
            return {"changed": False, "skipped": True, "skip_reason": one_line(why)}
        try:
            answer = self._carry(rung, rung["act"], given["settings"], given)
            if answer.get("restart_needed") and rung["act"] == "service_config" and not answer.get("failed"):
                # What the service reads at its start takes effect with a restart.
                restart = {**rung, "args": {"state": "restarted"}}
                answer = joined(answer, self._carry(restart, "service_control", given["restart"], given))
                if not given["planning"] and not self._task.check_mode:
                    confirm = {**rung, "args": {"state": "confirmed"}}
                    answer = taken(answer, self._carry(confirm, rung["act"], given["settings"], given))
        except MediaOpsError as error:
            answer = {"failed": True, "msg": str(error)}
        made = planned_rung(rung, answer)
        # A plan is no change, but with --check it says what would be one.
        changed = made["changed"] and (not given["planning"] or bool(context.CLIARGS.get("check")))
        told = {key: answer[key] for key in ("plan", "failed", "unreachable", "overdue", "msg") if key in answer}
        result: dict[str, Any] = {"changed": changed, "rung": made, "answer": told}
        return {"diff": answer["diff"]} if answer.get("diff") else result

    def _carry(
        self,
        rung: Mapping[str, Any],
        module: str,
        settings: Mapping[str, Any],
        params: Mapping[str, Any],
    ) -> dict[str, Any]:
        options = options_of(module)
        given = {
            "run_id": params["run_id"],
            "controller_time": to_text(utc_now()),
            # Another module may have options of the same names that mean another connection.
            **(self.connection() if has_fragment(module, "api") else {}),
        }
        if params["approved"] and not params["planning"]:
            given.update(plan_hash=rung.get("hash") or None, as_of=rung.get("as_of"))
        arguments = module_arguments(rung, module, options, mapping(settings.get("options")), given)
        return self.ask(module, arguments, check=params["planning"], within=settings.get("within"))
