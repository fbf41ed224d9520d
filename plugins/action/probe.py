# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host with a module of this collection; documented by the module of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ..plugin_utils.host_action import HostAction, has_fragment


class ActionModule(HostAction):
    """What the module answers, or why it does not, is the answer: the task ends well."""

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask what only looks. In earnest: what storage may be written to is known by a write."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        params = self.arguments()
        module, given = params["module"], {**params["options"], **params["args"]}
        if given.get("state", "observed") != "observed":
            raise AnsibleActionFail(
                f"state is {given['state']!r}: a look changes nothing, so only observed is possible"
            )
        if has_fragment(module, "api"):
            given = {**self.connection(), **given}
        return {**result, "changed": False, "answer": self.ask(module, given, task_vars)}
