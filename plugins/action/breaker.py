# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says for which causes the fleet must be left alone; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.plan import fleet_hash
from ..module_utils.shapes import mapping
from ..module_utils.times import to_text, utc_now
from ..plugin_utils.host_action import HostAction, plain
from ..plugin_utils.response.breaker import fleet_breaker
from ..plugin_utils.response.course import plan_hash_of


class ActionModule(HostAction):
    """Once for the run, over all its hosts; nothing is asked."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The causes for which no host may be touched, and one hash over all hosts and their plans."""
        diagnoses = self.of_hosts(given["diagnoses"])
        found = {
            host: {key: plain(mapping(diagnosis).get(key)) for key in ("incidents", "recent", "now")}
            for host, diagnosis in diagnoses.items()
        }
        plans = {
            host: plan_hash_of(host, [mapping(row.get("rung")) for row in mapping(plan).get("results") or []])
            for host, plan in self.of_hosts(given["plans"]).items()
        }
        size = len({*given["fleet"], *diagnoses})
        policy = {key: given[key] for key in ("share", "at_least", "within")}
        opened = {} if given["reset"] else fleet_breaker(found, given["others"], size, policy, to_text(utc_now()))
        return {"open": opened, "hash": fleet_hash(plans)}
