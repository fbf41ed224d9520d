# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes and writes the reports of a run; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.times import to_text, utc_now
from ..plugin_utils.arguments import require_arguments
from ..plugin_utils.host_action import HostAction, plain
from ..plugin_utils.invocation import call_of
from ..plugin_utils.report.made import news_of, report_of
from ..plugin_utils.report.report_files import report_files
from ..plugin_utils.report.result import summarise

_NOT_SHOWN = ("answers", "log", "review")


class ActionModule(HostAction):
    """Once for the whole fleet, in ansible-playbook itself, whatever the connection of the host is."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """Write the reports, or in check mode say what would be written, and hand the summary on."""
        now = utc_now()
        variables = self.variables
        results = self.of_hosts("healthcheck_result")
        # Here ids and paths are shown, too, which were left as they are to be acted on.
        found = {host: self.redactor.data(plain(result), _NOT_SHOWN) for host, result in results.items()}
        run = {
            "id": now.strftime("%Y%m%dT%H%M%SZ"),
            "check": given["check"],
            "title": given["title"],
            "playbook": str(variables.get("ansible_play_name", "")),
            "finished_at": to_text(now),
            "check_mode": self._task.check_mode,
            "ansible_version": str(variables["ansible_version"]["full"]),
        }
        require_arguments("report", "main", variables, self._templar.template)
        news = news_of(found, given["since"])
        document, files = report_of(news, run, given, call_of(variables, given["command_prefix"]))
        if any((host or {}).get("review") for host in news.values()):
            # Only here: the runs of each day need none of it.
            from ..plugin_utils.week.made import week_of

            files = {**week_of(news, document["run"], given["contacts"]), **files}
        wanted = {"directory": given["directory"], "run": run["id"], "files": files, "link": "latest"}
        written = report_files({**wanted, "keep": given["keep"]}, check_mode=self._task.check_mode)
        for row in written["not_removed"]:
            self._display.warning(f"The old report {row['path']} could not be removed: {row['reason']}")
        summary = summarise(document, [] if self._task.check_mode else written["files"])
        return {
            **written,
            # Each run has a report of its own: a run's record is no change of what it looks after.
            "changed": False,
            "page": None if self._task.check_mode else f"{written['path']}/report.html",
            "made_at": now.timestamp(),
            "ansible_stats": {"data": {"media_ops_summary": summary}, "per_host": False, "aggregate": True},
        }
