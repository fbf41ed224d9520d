# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells once for the fleet what began and what ended; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError

from ..module_utils.errors import MediaOpsError
from ..module_utils.shapes import mapping, one_line
from ..module_utils.times import utc_now
from ..plugin_utils.arguments import require_arguments
from ..plugin_utils.host_action import HostAction, plain
from ..plugin_utils.invocation import call_of
from ..plugin_utils.report.report_files import place_of
from ..plugin_utils.report.telling import Findings, Told, redactor_of, tell_all, tell_of_report, way_of

# A job of AWX may be a slice, which sees its own hosts alone and is not told so.
_PERHAPS_A_PART = ("ansible_limit", "awx_job_id", "tower_job_id")


class ActionModule(HostAction):
    """Once, in ansible-playbook itself: no host, become, connection or home is in the way of what is to be told."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """What was sent, and why not all of it; never a failure, so that the hosts learn what was delivered."""
        problems = self._wrongly_set()
        place, page = place_of(None if self._task.check_mode else given["report_directory"], utc_now())
        try:
            prefix = call_of(self.variables, given["command_prefix"] or "")["prefix"]
            told = self._told({**given, "report": page, "command_prefix": prefix}, problems)
        except Exception as error:  # noqa: BLE001  whatever it is, verdicts, reports and the gate follow
            told = {"headlines": [], "delivered": {}, "late": False, "changed": False, "problem": ""}
            problems.append(f"Not notified: {type(error).__name__}: {one_line(error, 300)}")
        said = "; ".join(filter(None, [told["problem"], *problems]))
        problem = self.redactor.text(redactor_of(given["channels"]).text(said))
        if problem:
            self._display.warning(problem)
        return {**told, "problem": problem, "place": place}

    def _told(self, given: dict[str, Any], problems: list[str]) -> Told:
        way, wrong = way_of(given)
        problems += wrong
        check_mode = bool(self._task.check_mode)
        if given["report_problem"] == "" and not given["late"]:
            return {"headlines": [], "delivered": {}, "late": False, "changed": False, "problem": ""}
        if given["report_problem"] is not None:
            return tell_of_report(way, self.redactor.text(given["report_problem"]), check_mode=check_mode)
        return tell_all(self._findings(), way, check_mode=check_mode)

    def _findings(self) -> Findings:
        variables = self.variables
        limited = any(variables.get(name) for name in _PERHAPS_A_PART)
        judged = {host: mapping(plain(found)) for host, found in self.of_hosts("healthcheck_result").items()}
        return Findings(
            verdicts={host: self.redactor.data(list(found.get("verdicts") or [])) for host, found in judged.items()},
            answers={host: mapping(plain(answer)) for host, answer in self.of_hosts("__report_alerts").items()},
            inventory=" ".join(str(source) for source in variables.get("ansible_inventory_sources") or []),
            everyone=None if limited else [str(host) for host in mapping(variables.get("groups")).get("all") or []],
        )

    def _wrongly_set(self) -> list[str]:
        """What a site has set wrong of how it is told: said beside what is told all the same."""
        try:
            require_arguments("report", "notify", self.variables, self._templar.template)
        except (AnsibleError, MediaOpsError) as error:
            return [f"Not as it should be: {one_line(error, 500)}"]
        return []
