# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges a host by the response to it as well; documented by the module of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.errors import MediaOpsError
from ..plugin_utils.host_action import HostAction
from ..plugin_utils.judging.routing import route
from ..plugin_utils.response.recovery import final_verdicts

_ARGUMENTS: dict[str, Any] = {
    "result": {"type": "dict", "required": True},
    "response": {"type": "dict", "required": True},
    "policy": {"type": "dict", "required": True},
}


class ActionModule(HostAction):
    """What was done to a host counts for its verdicts; nothing is asked."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The result with the response in it, and what follows from it."""
        answer: dict[str, Any] = super().run(tmp, task_vars)
        given = self.arguments(_ARGUMENTS)
        found, policy = given["result"], given["policy"]
        try:
            verdicts: Any = final_verdicts(found["verdicts"], given["response"])
            incidents = route(verdicts, policy["incidents"], found["details"], policy["error_causes"])
        except MediaOpsError as error:
            raise self.failing(error) from error
        amended = {**found, "response": given["response"], "verdicts": verdicts, "incidents": incidents}
        return {**answer, **amended, "changed": False}
