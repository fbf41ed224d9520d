# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says for which causes the fleet must be left alone; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.errors import MediaOpsError
from ..module_utils.plan import fleet_hash
from ..module_utils.shapes import mapping
from ..plugin_utils.fleet_hosts import fleet_size, whole_fleet
from ..plugin_utils.host_action import HostAction, plain
from ..plugin_utils.other_hosts import OtherHosts
from ..plugin_utils.response.breaker import fleet_breaker
from ..plugin_utils.response.course import plan_hash_of


class ActionModule(HostAction):
    """Once for the run, over all its hosts; those of the fleet that it leaves out are asked for their ledgers."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The causes for which no host may be touched, what was not seen, one hash over all plans."""
        diagnoses = self.of_hosts(given["diagnoses"])
        found = {
            host: {
                key: plain(mapping(diagnosis)[key]) for key in ("incidents", "acted_for") if key in mapping(diagnosis)
            }
            for host, diagnosis in diagnoses.items()
        }
        plans = {
            host: plan_hash_of(host, [mapping(row.get("rung")) for row in mapping(plan).get("results") or []])
            for host, plan in self.of_hosts(given["plans"]).items()
        }
        # Nothing is asked of others where nothing is to be done.
        others = self._others(given, found) if any(one.get("incidents") for one in found.values()) else {}
        policy = {key: given[key] for key in ("share", "at_least", "within", "unseen_share", "partial")}
        size = fleet_size(self.variables, self._templar.template)
        seen = fleet_breaker(found, others, policy, size=size)
        if not any(one.get("incidents") for one in found.values()):
            seen = {**seen, "refusals": [], "findings": [], "unseen": {}}
        return {**seen, **({"open": {}} if given["reset"] else {}), "hash": fleet_hash(plans)}

    def _others(self, given: dict[str, Any], hosts: dict[str, Any]) -> dict[str, Any]:
        """What module guard answers on the hosts that the run leaves out."""
        fleet = given["fleet"] or whole_fleet(self.variables, self._templar.template)
        names = [name for name in dict.fromkeys(map(str, fleet)) if name not in hosts]
        if not names:
            return {}
        hours = given["within"] / 3600

        def arguments(value: Any) -> dict[str, Any]:
            directory = plain(value(given["state_dirs"]))
            if not isinstance(directory, str):
                raise MediaOpsError(f"its {given['state_dirs']} is no path")
            return {"state_dir": directory, "hours": hours}

        return OtherHosts(self, self.variables).ask(names, "guard", arguments, given["ask_within"])
