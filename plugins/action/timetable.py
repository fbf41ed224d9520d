# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says when procedures run as systemd and cron write it; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.host_action import HostAction
from ..plugin_utils.site.schedule import timetable


class ActionModule(HostAction):
    """The units and the times of procedures; nothing is asked."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """A row for each procedure, and the names of all units."""
        rows = timetable(given["procedures"], given["timeout"], given["wait"])
        units = [f"{row['unit']}.{kind}" for row in rows for kind in ("service", "timer")]
        files = [f"{given['directory']}/{unit}" for unit in units]
        return {"rows": rows, "units": units, "files": files}
