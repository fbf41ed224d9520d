# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the inventory was read, as the callback sees it when a playbook begins, for those that come after it."""

from __future__ import annotations

from typing import Any

_read: list[list[str]] = []


def note_inventory(inventory: Any) -> None:
    """Keep which sources were read to their end.

    Args:
        inventory: Ansible's inventory manager. Where it keeps no such list, nothing is known.
    """
    processed = getattr(getattr(inventory, "_inventory", None), "processed_sources", None)
    _read[:] = [] if processed is None else [[str(source) for source in processed]]


def read_sources() -> list[str] | None:
    """The sources that were read to their end; None where that is not known."""
    return _read[0] if _read else None
