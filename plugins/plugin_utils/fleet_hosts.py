# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts the fleet has, whatever ``--limit`` leaves of it, and how many it has where that is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.inventory.manager import PATTERN_WITH_SUBSCRIPT, split_host_pattern

from ..module_utils.errors import OptionError
from .site.fleet import FLEET_GROUP, FLEET_VARIABLE

SIZE = "media_ops_fleet_size"


def whole_fleet(variables: Mapping[str, Any], template: Callable[[Any], Any]) -> list[str]:
    """The hosts that ``media_ops_hosts`` names, or the group ``media_hosts``, also those that ``--limit`` leaves out.

    A pattern that names single hosts of the group ``media_hosts`` is a part of that fleet, as ``--limit`` makes it.

    Args:
        variables: of the task.
        template: gives a variable's value, and raises where a name in it is not defined.
    """
    inventory = variables["hostvars"]._inventory
    pattern = template(variables[FLEET_VARIABLE]) if FLEET_VARIABLE in variables else FLEET_GROUP
    named = _names(inventory, pattern)
    whole = _names(inventory, FLEET_GROUP) if FLEET_GROUP in inventory.groups else []
    narrowed = _names_hosts(inventory, pattern) and set(named) <= set(whole)
    return whole if narrowed else named


def _names(inventory: Any, pattern: Any) -> list[str]:
    found = inventory.get_hosts(pattern, ignore_limits=True, ignore_restrictions=True)
    return [str(host.name) for host in found]


def _names_hosts(inventory: Any, pattern: Any) -> bool:
    """Whether a part of the pattern is no group as a whole."""
    parts = [part for part in split_host_pattern(pattern) if part[:1] not in "!&"]
    return any(part not in inventory.groups or PATTERN_WITH_SUBSCRIPT.match(part) for part in parts)


def fleet_size(variables: Mapping[str, Any], template: Callable[[Any], Any]) -> int:
    """How many hosts the fleet has by the inventory's data, 0 where these do not tell.

    Raises:
        OptionError: what is set is no number of hosts.
    """
    if SIZE not in variables:
        return 0
    given = template(variables[SIZE])
    text = str(given)
    if isinstance(given, bool) or not (text.isascii() and text.isdecimal() and 0 < int(text) < 10**6):
        raise OptionError(SIZE, given, "a whole number of hosts is needed, 1 or more")
    return int(text)
