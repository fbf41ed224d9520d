# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what a quick look found; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.host_action import HostAction
from ..plugin_utils.judging.quick import PARTS, quick_reference


class ActionModule(HostAction):
    """Looks at what was found; nothing is asked."""

    _requires_connection = False

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The parts, shown on the screen whatever the verbosity."""
        options = {key: given[key] for key in ("api_url", "log_dir", "logs", "contacts")}
        shown = quick_reference(given["result"], **options)
        parts = {part: shown[part] for part in PARTS if part in given["show"]}
        return {"msg": parts, "_ansible_verbose_always": True}
