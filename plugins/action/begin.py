# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds what a site has set against the roles' documentation; documented by the module of the same name."""

from __future__ import annotations

import secrets
from typing import Any

from ansible import constants as C  # noqa: N812

from ..module_utils.errors import MediaOpsError
from ..module_utils.times import utc_now
from ..plugin_utils.arguments import (
    acts,
    are_judged_alike,
    goes_by_policy,
    own_settings,
    policy_ages,
    require_arguments,
    require_known_names,
    require_meant,
    require_one_fleet,
    require_sound_policy,
)
from ..plugin_utils.host_action import HostAction, plain
from ..plugin_utils.response.controller import this_run


class ActionModule(HostAction):
    """Once for a run, where variables of one host may stand for those of all; else for each host."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """What names the run, where all is well; else the failure names every variable that is wrong."""
        variables, template = self.variables, self._templar.template
        self._look_at_injection(given, template(variables.get("incident_mode")))
        known: Any = variables.get("hostvars")
        raw = {str(host): known.raw_get(host) for host in variables.get("ansible_play_hosts_all") or []}
        require_known_names(given["role"], raw)
        of_each_host = own_settings(given["role"], raw)
        require_arguments(given["role"], given["entry"], variables, template, of_each_host)
        if goes_by_policy(given["role"]) and are_judged_alike(variables, of_each_host):
            require_sound_policy(plain(template(variables.get("policy_checks"))), policy_ages(variables, template))
        require_meant(given["role"], given["entry"], variables, template, of_each_host)
        require_one_fleet(raw, lambda host, name: plain(known[host][name]))
        now = f"{utc_now():%Y%m%dT%H%M%SZ}-{secrets.randbelow(10000):04d}"
        return {"run": {"run_id": now, **this_run(variables, template)}}

    def _look_at_injection(self, given: dict[str, Any], mode: Any) -> None:
        """What acts refuses where an answer's facts would become variables; what looks asks through actions of ours."""
        injected, origin = C.config.get_config_value_and_origin("INJECT_FACTS_AS_VARS")
        if not injected:
            return
        said = (
            f"inject_facts_as_vars is true (from {origin}), by which facts that a host tells become variables here. "
            f"Set inject_facts_as_vars = false in section [defaults] of {C.CONFIG_FILE or 'an ansible.cfg'}, or "
            "ANSIBLE_INJECT_FACT_VARS=false in the environment"
        )
        if acts(given["role"], given["entry"], mode):
            raise MediaOpsError(f"nothing is changed on hosts while {said}")
        self._display.warning(said)
