# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the incidents to respond to; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.host_action import HostAction
from ..plugin_utils.response.choice import choose, kinds_of_site


class ActionModule(HostAction):
    """What a check found says what is to be looked at; nothing is asked."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The incidents, and the looks that these call for."""
        kinds = kinds_of_site(given["kinds"], given["site_incidents"])
        found = choose(given["result"], given["only"], kinds, given["looks"])
        return {**found}
