# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host with one module; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.errors import OptionError
from ..module_utils.shapes import mapping
from ..plugin_utils.host_action import HostAction, has_fragment, is_of_site

_LOOKS = (
    *("ffmpeg_info", "guard", "host_info", "log_digest_info", "pipeline_info", "service_config", "service_control"),
    *("session_info", "storage_probe"),
)


class ActionModule(HostAction):
    """What the module answers, or why it does not, is the answer: the task ends well."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """Ask what only looks. Ours in earnest: what storage may be written to is known by a write."""
        module, settings = given["module"], given["settings"]
        options = {**mapping(settings.get("options")), **given["args"]}
        if module not in _LOOKS and not is_of_site(module):
            raise OptionError("module", module, f"only {', '.join(_LOOKS)} and modules of the site's own look")
        if options.get("state", "observed") != "observed":
            raise OptionError("state", options["state"], "a look changes nothing, so only observed is possible")
        if has_fragment(module, "api"):
            options = {**self.connection(), **options}
        return {"answer": self.ask(module, options, check=is_of_site(module), within=settings.get("within"))}
