# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells once for the fleet what began and what ended; documented by the module of the same name."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleActionFail

from ..plugin_utils.host_action import HostAction, plain
from ..plugin_utils.invocation import call_of
from ..plugin_utils.report.telling import delivered, host_states, joined, kept_by, problem_of


class ActionModule(HostAction):
    """Once, delegated to the controller, which keeps what is to be told of hosts that cannot."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """What was sent. A channel that fails is a value: the hosts learn first what was delivered."""
        answers = {host: plain(answer or {}) for host, answer in self.of_hosts("__report_alerts").items()}
        keeping = kept_by(answers)
        kept = {"state_dir": given["state_dir"], "create": True}
        self._make(os.path.dirname(given["state_dir"]))
        fleet = self.ask(
            "alert_state",
            {
                **kept,
                "run_id": datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ"),
                "host": "localhost",
                # Whichever source finds a host gone: it is told once.
                "source": "hosts",
                "verdicts": host_states(answers, keeping),
                "reminder_after": given["reminder_after"],
                "settle": given["settle"],
            },
        )
        if fleet.get("failed") or fleet.get("unreachable"):
            raise AnsibleActionFail(f"what is to be told of hosts that cannot keep it is not kept: {fleet.get('msg')}")
        told = [answers[host] for host in keeping]
        options = {key: given[key] for key in ("channels", "title", "contacts")}
        options["command_prefix"] = call_of(self.variables, given["command_prefix"] or "")["prefix"]
        sent = self.ask(
            "notify",
            {
                **options,
                "messages": joined(told, fleet, "messages"),
                "open_alerts": joined(told, fleet, "open"),
                "report_path": given["report"],
            },
        )
        if fleet.get("messages") and isinstance(sent.get("deliveries"), list):
            acked = {**kept, "state": "acked", "deliveries": sent["deliveries"]}
            noted = self.ask("alert_state", acked)
            if noted.get("failed") or noted.get("unreachable"):
                raise AnsibleActionFail(f"what was delivered cannot be noted: {noted.get('msg')}")
        return {
            "changed": bool(fleet.get("changed") or sent.get("changed")),
            "headlines": sent.get("headlines") or [],
            "delivered": delivered(sent),
            "problem": problem_of(sent),
        }

    def _make(self, path: str) -> None:
        """The directory of the reports, where no report has made it yet."""
        if self._task.check_mode or os.path.isdir(path):
            return
        try:
            os.makedirs(path, mode=0o750, exist_ok=True)
        except OSError as error:
            raise AnsibleActionFail(f"cannot make the directory {path}: {error.strerror}") from error
