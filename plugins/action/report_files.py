# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the reports of a run on the controller; documented by the module of the same name.

An action and not a module: reports are kept on the controller in any case, where a module costs half a second and has
its arguments, here all the reports, in its result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.errors import MediaOpsError
from ..plugin_utils.report.report_files import report_files

_ARGUMENTS = {
    "directory": {"type": "path", "required": True},
    "run": {"type": "str", "required": True},
    "files": {"type": "dict", "required": True},
    "link": {"type": "str", "default": "latest"},
    "keep": {"type": "int", "default": 60},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs in ansible-playbook itself, whatever the connection of the host is."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Write the reports, or in check mode say what would be written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, params = self.validate_argument_spec(_ARGUMENTS)
        try:
            result.update(report_files(params, check_mode=self._task.check_mode))
        except MediaOpsError as error:
            raise AnsibleActionFail(str(error), result=error.details) from error
        for row in result["not_removed"]:
            self._display.warning(f"The old report {row['path']} could not be removed: {row['reason']}")
        return result
