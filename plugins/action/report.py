# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes and writes the reports of a run; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.times import utc_now
from ..plugin_utils.arguments import require_arguments
from ..plugin_utils.ending.written import shown, written_report
from ..plugin_utils.host_action import HostAction
from ..plugin_utils.invocation import call_of
from ..plugin_utils.judging.checked import broken_off
from ..plugin_utils.report.made import news_of


class ActionModule(HostAction):
    """Once for the whole fleet, in ansible-playbook itself, whatever the connection of the host is."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """Write the reports, or in check mode say what would be written, and hand the summary on."""
        variables = self.variables
        results = self.of_hosts("healthcheck_result")
        found = news_of(shown(results, self.redactor), given["since"])
        for host in set(found) - set(map(str, variables["ansible_play_hosts"])):
            found[host] = broken_off(found[host], "in a task that failed, or did not reach it")
        facts = {
            "playbook": str(variables.get("ansible_play_name", "")),
            "check_mode": self._task.check_mode,
            "ansible_version": str(variables["ansible_version"]["full"]),
        }
        require_arguments("report", "main", variables, self._templar.template)
        written = written_report(found, given, facts, call_of(variables, given["command_prefix"]), utc_now())
        for row in written["not_removed"]:
            self._display.warning(f"The old report {row['path']} could not be removed: {row['reason']}")
        if written["problem"]:
            self._display.warning(f"What could not be said in a report: {written['problem']}")
        summary = written.pop("summary")
        return {
            **written,
            # Each run has a report of its own: a run's record is no change of what it looks after.
            "changed": False,
            "ansible_stats": {"data": {"media_ops_summary": summary}, "per_host": False, "aggregate": True},
        }
