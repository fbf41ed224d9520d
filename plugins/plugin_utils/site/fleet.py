# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a run is for, and why it is not begun: Ansible ends a play without hosts, or with fewer, as a success."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.inventory.manager import IGNORED, InventoryManager, split_host_pattern

from ...module_utils.errors import MediaOpsError, OptionError
from ...module_utils.shapes import one_line

FLEET_VARIABLE, FLEET_GROUP = "media_ops_hosts", "media_hosts"
# Where Ansible takes the variables of groups from, as long as a site does not set it otherwise
_SOURCES = (
    *("all_inventory", "groups_inventory", "all_plugins_inventory"),
    *("all_plugins_play", "groups_plugins_inventory", "groups_plugins_play"),
)
_CORE_NEEDED = (2, 19)
_SHOWN_MAX = 5
# No task of ours has a tag, and so no other tag leaves one out; molecule always gives some.
_TAKE_ALL = ("all", "always", "tagged", "untagged")
_OURS = ("healthcheck_result",)
Groups = Mapping[str, Iterable[str]]


class FleetError(MediaOpsError):
    """The run cannot be for the hosts that were asked for."""


def pattern_parts(pattern: Any, option: str = FLEET_VARIABLE) -> list[str]:
    """A host pattern as its parts.

    Raises:
        OptionError: it is neither text nor a list of texts, or empty.
    """
    listed = pattern if isinstance(pattern, (list, tuple)) else [pattern]
    if not all(isinstance(part, str) for part in listed):
        raise OptionError(option, pattern, "a host pattern is needed: the name of a group or host, or several")
    parts = [part.strip() for text in listed for part in split_host_pattern(str(text)) if part.strip()]
    if not parts:
        raise OptionError(option, pattern, "a host pattern is needed, as the name of a group")
    return parts


def hosts_of(groups: Groups, parts: Sequence[str]) -> list[str]:
    """The hosts of a pattern, whatever ``--limit`` leaves of them.

    Args:
        groups: of the inventory, each with all of its hosts.
        parts: as :func:`pattern_parts` gives them.

    Raises:
        FleetError: a part names nothing of the inventory, or there is no host.
    """
    inventory = _inventory(groups)
    _require_known(inventory, parts, f"{FLEET_VARIABLE} names")
    hosts = [str(host) for host in inventory.get_hosts(list(parts))]
    if not hosts:
        raise FleetError(f"no host to work on: {', '.join(parts)} has no host in the inventory")
    return hosts


def chosen_hosts(groups: Groups, parts: Sequence[str], limit: str | None) -> tuple[list[str], list[str]]:
    """The hosts of a pattern that ``--limit`` leaves, and those that it names outside of the pattern.

    Raises:
        FleetError: nothing is left, or a part of pattern or limit names nothing of the inventory.
    """
    fleet = hosts_of(groups, parts)
    if not limit:
        return fleet, []
    inventory = _inventory(groups)
    wanted = _limit_parts(limit)
    _require_known(inventory, wanted, "--limit names")
    limited = {str(host) for host in inventory.get_hosts(wanted)}
    chosen = [host for host in fleet if host in limited]
    if not chosen:
        raise FleetError(f"no host to work on: --limit {one_line(limit, 80)} leaves no host of {', '.join(parts)}")
    # Exclusions alone mean: of all hosts but these.
    named = limited if any(part[0] not in "!&" for part in wanted) else set()
    return chosen, sorted(named - set(fleet))


def _limit_parts(limit: str) -> list[str]:
    """As Ansible reads it: a part that begins with @ is a file with one pattern a line."""
    parts = []
    for part in split_host_pattern(limit):
        if part.startswith("@"):
            try:
                parts += Path(part[1:]).expanduser().read_text(encoding="utf-8").split("\n")
            except (OSError, UnicodeDecodeError) as error:
                raise FleetError(f"--limit: the file {part[1:]} cannot be read: {error}") from error
        else:
            parts.append(part)
    return [part.strip() for part in parts if part.strip()]


def _inventory(groups: Groups) -> InventoryManager:
    """Ansible's own reading of patterns, over hosts and groups alone."""
    inventory = InventoryManager(loader=None, sources=None, parse=False)
    for group, hosts in groups.items():
        inventory.add_group(str(group))
        for host in hosts:
            inventory.add_host(str(host), str(group))
    inventory.reconcile_inventory()
    return inventory


def _require_known(inventory: InventoryManager, parts: Sequence[str], said: str) -> None:
    for part in parts:
        name = part.lstrip("!&")
        if not name or name in inventory.groups or inventory.get_hosts([name]):
            continue
        groups = sorted(str(group) for group in inventory.groups if group not in ("all", "ungrouped"))
        there = ", ".join(groups[:_SHOWN_MAX]) or "none"
        raise FleetError(
            f"{said} {one_line(part, 80)}, which is no group and no host of the inventory (its groups: {there}"
            f"{', …' if len(groups) > _SHOWN_MAX else ''})"
        )


def unread_sources(sources: Iterable[Any], read: Iterable[Any]) -> list[str]:
    """The sources of an inventory that no plugin could read to its end: their hosts are lost or half there.

    Args:
        sources: as the command line or the configuration name them.
        read: what was read, file by file; after a directory Ansible notes its last file once more, read or not.
    """
    noted = Counter(map(str, read))
    directories: list[list[str]] = []
    files = [file for source in sources for file in _files(str(source), directories)]

    def is_read(file: str) -> bool:
        ending = [held for held in directories if held[-1] == file]
        again = sum(1 for held in ending if any(is_read(other) for other in held if other != file))
        return noted[file] > again

    return [file for file in files if not is_read(file)]


def _files(source: str, directories: list[list[str]]) -> list[str]:
    """The files of a source, and to ``directories`` the files of each directory in it."""
    if "," in source:
        return [source]
    path = os.path.abspath(os.path.expanduser(source))
    if os.path.isdir(path):
        names = sorted(name for name in os.listdir(path) if not IGNORED.search(os.fsencode(name)))
        found = [file for name in names for file in _files(os.path.join(path, name), directories)]
        directories += [found] if found else []
        return found
    # The place where Ansible looks when nothing is set
    return [] if path == "/etc/ansible/hosts" and not os.path.exists(path) else [path]


def run_problems(options: Mapping[str, Any], extra: Iterable[str], settings: Mapping[str, Any], core: str) -> list[str]:
    """Why a run with these options would not do what its playbook says.

    Args:
        options: of the command line, as Ansible keeps them.
        extra: names of the variables of ``-e``.
        settings: of Ansible, ``hash_behaviour`` and ``precedence``.
        core: the version of ansible-core.
    """
    problems = []
    if _version(core) < _CORE_NEEDED:
        problems.append(f"ansible-core {core} is too old: {'.'.join(map(str, _CORE_NEEDED))} or newer is needed")
    chosen = [str(tag) for tag in options.get("tags") or [] if str(tag) != "all"]
    if chosen:
        problems.append(f"--tags {','.join(chosen)} would leave out what the run is made of")
    left_out = [str(tag) for tag in options.get("skip_tags") or [] if str(tag) in _TAKE_ALL]
    if left_out:
        problems.append(f"--skip-tags {','.join(left_out)} would leave out what the run is made of")
    if options.get("start_at_task"):
        problems.append(
            f"--start-at-task {one_line(options['start_at_task'], 60)} would leave out what comes before it"
        )
    ours = sorted(name for name in map(str, extra) if name.startswith("__") or name in _OURS)
    if ours:
        problems.append(
            f"-e {', '.join(ours)}: such names are the collection's own, by which its tasks hand on what they found"
        )
    if settings.get("hash_behaviour") == "merge":
        problems.append(
            "hash_behaviour is merge, which would mix the tables of role policy with a site's: set it to replace"
        )
    unread = [source for source in _SOURCES if source not in settings.get("precedence", _SOURCES)]
    if unread:
        problems.append(f"precedence leaves {', '.join(unread)} out, so that variables of the site would be missing")
    return problems


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
