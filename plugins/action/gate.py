# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails a host that is not well; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.shapes import STATES, one_line
from ..plugin_utils.host_action import HostAction
from ..plugin_utils.judging.muting import is_muted_host
from ..plugin_utils.judging.verdict import host_state

_NOT_CHECKED = {"state": "unknown", "message": "not checked"}


class ActionModule(HostAction):
    """Each host answers for itself, so that the failed hosts of the recap are those that are not well."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """Failed where the host's state is one that fails a run, with the messages that say why."""
        verdicts = given["verdicts"] or [_NOT_CHECKED]
        state = host_state(verdicts)
        bad = dict.fromkeys(str(verdict["message"]) for verdict in verdicts if verdict["state"] in given["fail_on"])
        # Of a host that is unknown or worse people know by its verdict, and one that is muted fails no run.
        known = STATES.index(state) >= STATES.index("unknown") or is_muted_host(verdicts)
        of_host = self._not_kept({} if known else given["kept"], {} if is_muted_host(verdicts) else given["noted"])
        said = [f"{state}: {'; '.join(bad)}"] if state in given["fail_on"] else []
        said += [*self._not_told(given["sent"], given["written"]), *of_host]
        if not said:
            return {"state": state}
        return {"failed": True, "state": state, "not_kept": of_host, "msg": "; ".join(said)}

    def _not_told(self, sent: dict[str, Any], written: dict[str, Any]) -> list[str]:
        """What people do not know or have not in writing, on one host for all."""
        first = next(iter(self.variables.get("ansible_play_hosts") or [self.host]))
        return [str(one["problem"]) for one in (sent, written) if one.get("problem") and self.host == first]

    def _not_kept(self, kept: dict[str, Any], noted: dict[str, Any]) -> list[str]:
        """What a host could not keep of what there is to tell of it, and could not note of what was told."""
        said = []
        if kept and not kept.get("skipped") and "messages" not in kept:
            said.append(f"The host does not keep its alert state: {one_line(kept.get('msg') or 'no answer', 300)}")
        if noted and not noted.get("skipped") and "acked" not in noted:
            why = one_line(noted.get("msg") or "no answer", 300)
            said.append(f"What was told of the host cannot be noted, and may be told again: {why}")
        return said
