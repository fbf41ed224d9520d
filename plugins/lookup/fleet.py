# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts that a playbook is for."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
short_description: The hosts that a playbook is for, or why it cannot begin
version_added: 1.0.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Stands in C(hosts) of each playbook of this collection. Ansible ends a play that has no host, or fewer than were
    meant, as a success; this raises an error instead, before anything is done, and exit code 4.
  - Refused are a pattern or a C(--limit) that names what the inventory does not have, or leaves no host; an inventory
    of which a source could not be read to its end; C(--tags), C(--skip-tags) of all or of untagged tasks, and
    C(--start-at-task), since a run without some of its tasks says nothing of the hosts; extra variables with names that
    are the collection's own; an ansible-core that is too old.
  - Hosts that C(--limit) names outside of the pattern are told in a warning.
options:
  _terms:
    description:
      - A host pattern. Without it, the variable C(media_ops_hosts), of the command line or of group C(all), or
        C(media_hosts) where that is not set.
        An undefined name inside of that variable is an error.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Health watch
  hosts: "{{ lookup('media_ops.runbook.fleet') }}"
  tasks: []
"""

RETURN = r"""
_raw:
  description: The host pattern for C(hosts).
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars

from ..module_utils.errors import MediaOpsError
from ..module_utils.shapes import one_line
from ..plugin_utils.site.fleet import (
    FLEET_GROUP,
    FLEET_VARIABLE,
    FleetError,
    chosen_hosts,
    pattern_parts,
    run_problems,
    unread_sources,
)
from ..plugin_utils.site.inventory import read_sources, set_in_groups

_display = Display()


class LookupModule(LookupBase):  # type: ignore[misc]
    """Asked before a play begins, in ansible-playbook itself."""

    def run(self, terms: list[Any], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """The pattern."""
        self.set_options(var_options=variables, direct=kwargs)
        known = variables or {}
        try:
            parts = pattern_parts(self._pattern(terms, known))
            # Where only the syntax is looked at, an inventory need not be there.
            if not context.CLIARGS.get("syntax"):
                self._require(known, parts)
        except MediaOpsError as error:
            raise AnsibleError(str(error)) from None
        return [":".join(parts)]

    def _pattern(self, terms: list[Any], variables: Mapping[str, Any]) -> Any:
        if terms:
            return terms
        if FLEET_VARIABLE in variables:
            given = variables[FLEET_VARIABLE]
        else:
            # A play has no host yet, and so Ansible gives it no variable of a group.
            groups = set_in_groups(FLEET_VARIABLE)
            if set(groups) - {"all"}:
                named = ", ".join(sorted(set(groups) - {"all"}))
                raise FleetError(f"{FLEET_VARIABLE} is set for {named}, and holds for the whole run: set it for all")
            given = groups.get("all", FLEET_GROUP)
        try:
            return self._templar.template(given)
        except AnsibleError as error:
            raise FleetError(f"{FLEET_VARIABLE} cannot be used: {one_line(error, 300)}") from None

    def _require(self, variables: Mapping[str, Any], parts: list[str]) -> None:
        problems = run_problems(
            context.CLIARGS,
            load_extra_vars(self._loader),
            {"hash_behaviour": C.DEFAULT_HASH_BEHAVIOUR, "precedence": C.VARIABLE_PRECEDENCE},
            str((variables.get("ansible_version") or {}).get("full") or ""),
        )
        sources = variables.get("ansible_inventory_sources") or []
        read = read_sources()
        unread = unread_sources(sources, read) if read is not None else []
        if unread:
            problems.append(
                f"the inventory {', '.join(unread)} could not be read to its end, so that hosts may be missing"
            )
        if problems:
            raise FleetError(f"nothing was begun: {'; '.join(problems)}")
        limit = context.CLIARGS.get("subset")
        try:
            _hosts, outside = chosen_hosts(variables.get("groups") or {}, parts, limit)
        except FleetError as error:
            named = ", ".join(map(str, sources)) or "none"
            raise FleetError(f"nothing was begun: {error}. Inventory: {named}") from None
        if outside:
            shown = ", ".join(outside[:5]) + (f" and {len(outside) - 5} more" if len(outside) > 5 else "")
            _display.warning(f"--limit names hosts outside of {':'.join(parts)}, which this run leaves out: {shown}")
