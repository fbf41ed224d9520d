# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the incidents to respond to; documented by the module of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.errors import MediaOpsError
from ..plugin_utils.host_action import HostAction
from ..plugin_utils.response.choice import choose


class ActionModule(HostAction):
    """What a check found says what is to be looked at; nothing is asked."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The incidents, and the looks that these call for."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self.arguments()
        try:
            found = choose(given["result"], given["only"], given["kinds"], given["looks"])
        except MediaOpsError as error:
            raise self.failing(error) from error
        return {**result, **found, "changed": False}
