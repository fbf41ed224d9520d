# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says whether what a rung was for is cured; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.host_action import HostAction
from ..plugin_utils.response.course import confirmed
from ..plugin_utils.response.diagnosis import looked


class ActionModule(HostAction):
    """Well by its own word is not enough; nothing is asked."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The course, recovered where the cause itself is gone."""
        return {"course": confirmed(given["course"], looked(given["seen"]), given["limits"])}
