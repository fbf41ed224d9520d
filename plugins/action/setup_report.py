# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what works on all hosts and here, and what is next; documented by the module of the same name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible.errors import AnsibleError

from ..module_utils.errors import MediaOpsError
from ..module_utils.shapes import mapping, one_line
from ..plugin_utils.arguments import require_arguments, require_one_fleet, shipped
from ..plugin_utils.doctor.controller import controller_rows
from ..plugin_utils.doctor.steps import Places, steps, summary_of
from ..plugin_utils.host_action import HostAction, plain
from ..plugin_utils.invocation import call_of
from ..plugin_utils.judging.checked import broken_off
from ..plugin_utils.judging.shapes import Verdict, verdict
from ..plugin_utils.report.commands import Commands
from ..plugin_utils.site.fleet import FLEET_GROUP, FLEET_VARIABLE


class ActionModule(HostAction):
    """Once for the whole fleet, in ansible-playbook itself."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The table, for the callback; the hosts that are not well fail afterwards, each for itself."""
        found = {host: mapping(plain(one)) for host, one in self.of_hosts("healthcheck_result").items()}
        for host, one in found.items():
            if not one.get("verdicts"):
                found[host] = broken_off({}, f"in a task that failed: {one_line(one.get('msg') or 'no answer', 300)}")
        own = [*self._set_wrong(), *self._of_controller(list(found), send=given["message"])]
        call = call_of(self.variables, str(self._value("report_command_prefix") or ""))
        rows = {host: one["verdicts"] for host, one in found.items()}
        following = steps(
            rows,
            {host: mapping(one.get("lines")) for host, one in found.items()},
            own,
            fail_on=given["fail_on"],
            commands=Commands(call, list(found)),
            places=self._places(whole=not call["limit"]),
        )
        summary = summary_of(rows, own, fail_on=given["fail_on"], following=following)
        wrong = [row for row in own if row["state"] in given["fail_on"]]
        return {
            "summary": summary,
            # For the gate: what is wrong here fails the first host.
            "problem": "; ".join(f"{row['check']}: {row['message']}" for row in wrong),
            "ansible_stats": {"data": {"media_ops_summary": summary}, "per_host": False, "aggregate": True},
        }

    def _value(self, name: str) -> Any:
        return plain(self._templar.template(self.variables[name])) if name in self.variables else None

    def _set_wrong(self) -> list[Verdict]:
        """What would be refused of how the whole run reports and tells, or differs between hosts where it may not."""
        known: Any = self.variables["hostvars"]
        raw = {str(host): known.raw_get(host) for host in self.variables["ansible_play_hosts_all"]}
        looks: tuple[Callable[[], None], ...] = (
            lambda: require_arguments("report", "main", self.variables, self._templar.template),
            lambda: require_one_fleet(raw, lambda host, name: plain(known[host][name])),
        )
        problems = []
        for look in looks:
            try:
                look()
            except (AnsibleError, MediaOpsError) as error:
                problems.append(one_line(error, 400))
        cure = "Correct it in the inventory"
        return [verdict("inventory", "Inventory", "", "critical", text, action=cure) for text in problems]

    def _of_controller(self, hosts: list[str], *, send: bool) -> list[Verdict]:
        injected = C.config.get_config_value("INJECT_FACTS_AS_VARS")
        version = self.variables["ansible_version"]["full"]
        about = {
            "injected": bool(injected),
            "versions": f"ansible-core {version} with Python {sys.version_info.major}.{sys.version_info.minor}",
            "awx": bool(self.variables.get("awx_job_id") or self.variables.get("tower_job_id")),
            "schedule_dir": self._value("schedule_dir") or self._templar.template(shipped("schedule")["schedule_dir"]),
        }
        return controller_rows(self._value, hosts, about, send=send and not self._task.check_mode)

    def _places(self, *, whole: bool) -> Places:
        """Where Ansible reads variables of the fleet's group and of hosts: beside the inventory of this run."""
        sources = [str(one) for one in plain(self.variables.get("ansible_inventory_sources") or [])]
        first = next((one for one in sources if "," not in one), "")
        beside = first if os.path.isdir(first) else os.path.dirname(first)
        group = self._value(FLEET_VARIABLE)
        name = group if isinstance(group, str) and group in self.variables["groups"] else FLEET_GROUP
        of_all = os.path.join(beside, "group_vars", f"{name}.yml") if whole else ""
        return Places(of_all, os.path.join(beside, "host_vars"))
