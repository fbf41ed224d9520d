# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails a host that is not well; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.shapes import mapping, one_line
from ..plugin_utils.host_action import HostAction
from ..plugin_utils.judging.verdict import host_state

# What the tasks of the whole run are registered as
_OF_RUN = ("__report_written", "__report_sent")
_NOT_CHECKED = {"state": "unknown", "message": "not checked"}


class ActionModule(HostAction):
    """Each host answers for itself, so that the failed hosts of the recap are those that are not well."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """Failed where the host's state is one that fails a run, with the messages that say why."""
        verdicts = given["verdicts"] or [_NOT_CHECKED]
        state = host_state(verdicts)
        bad = dict.fromkeys(str(verdict["message"]) for verdict in verdicts if verdict["state"] in given["fail_on"])
        problems = self._problems()
        if state in given["fail_on"]:
            return {"failed": True, "state": state, "msg": f"{state}: {'; '.join([*bad, *problems])}"}
        if problems:
            return {"failed": True, "state": state, "msg": "; ".join(problems)}
        return {"state": state}

    def _problems(self) -> list[str]:
        """What could not be told or written of the whole run; it fails one host alone."""
        hosts = self.variables.get("ansible_play_hosts") or []
        if not hosts or str(hosts[0]) != self.host:
            return []
        told = [mapping(self.variables.get(name)).get("problem") for name in _OF_RUN]
        return [one_line(problem, 500) for problem in told if problem]
