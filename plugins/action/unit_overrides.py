# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges whether a service may read overrides; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.host_action import HostAction
from ..plugin_utils.site.overrides import unit_overrides


class ActionModule(HostAction):
    """What systemd says of the unit, and what follows from it; nothing is asked."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The drop-in, whether it may be there, and a line where the service reads no overrides."""
        return {**unit_overrides(**given), "changed": False}
