# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of this run, as the callback sees it when a playbook begins, for those that come after it."""

from __future__ import annotations

from typing import Any

_noted: list[Any] = []


def note_inventory(inventory: Any) -> None:
    """Keep Ansible's inventory manager of this run; None where there is none."""
    _noted[:] = [] if inventory is None else [inventory]


def read_sources() -> list[str] | None:
    """The sources that were read to their end; None where that is not known."""
    processed = getattr(getattr(_noted[0], "_inventory", None), "processed_sources", None) if _noted else None
    return None if processed is None else [str(source) for source in processed]


def set_in_groups(name: str) -> dict[str, Any]:
    """The groups of the inventory that set a variable, with its value there; a play without hosts sees none of them."""
    groups = getattr(_noted[0], "groups", {}) if _noted else {}
    return {str(group): found.vars[name] for group, found in groups.items() if name in found.vars}
