# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module that carries a rung out is given: all that the table says, or an error. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ...module_utils.errors import MediaOpsError
from ...module_utils.shapes import Json
from .ladder import joined_hash


def settings_of(module: str, modules: Json) -> Json:
    """The site's options for a module.

    Args:
        module: that a rung names.
        modules: ``policy_modules``.
    """
    if module not in modules:
        raise MediaOpsError(f"role policy names module {module!r} for a rung, and only {', '.join(modules)} are known")
    options: Json = modules[module]["options"]
    return options


def module_arguments(
    rung: Json, module: str, options: Collection[str], settings: Json, given: Mapping[str, Any]
) -> dict[str, Any]:
    """The options of a rung's module: the site's, above them what the rung's ``args`` say.

    Args:
        rung: of policy_ladders or policy_procedures.
        module: that carries it out.
        options: which that module has.
        settings: of the site for this module.
        given: what the run itself knows; the module is given those that it has an option for.

    Raises:
        MediaOpsError: something of ``args`` or ``settings`` is no option of the module, and so would reach nothing.
    """
    for source, names in (
        (f"the rung '{rung['rung']}' of role policy", rung["args"]),
        ("the site's settings", settings),
    ):
        lost = sorted(set(names) - set(options))
        if lost:
            raise MediaOpsError(f"{source} gives {', '.join(lost)} to module {module}, which has no such option")
    reason = str(rung["rung"]) + (f" ({rung['cause']})" if rung.get("cause") else "")
    known = {"steps": rung["steps"], "reason": reason, **given}
    return {**{key: known[key] for key in known if key in options}, **settings, **rung["args"]}


def joined(setting: Json, restart: Json) -> dict[str, Any]:
    """The answers of a setting and of the restart that makes it take effect, as one."""
    failed = "plan" not in restart or bool(restart.get("failed"))
    return {
        **setting,
        "plan": [*(setting.get("plan") or []), *(restart.get("plan") or [])],
        "hash": joined_hash([hashed for hashed in (setting.get("hash"), restart.get("hash")) if hashed]),
        "changed": bool(setting.get("changed") or restart.get("changed")),
        "failed": failed,
        **{key: True for key in ("overdue", "unreachable") if restart.get(key)},
        "msg": str(restart.get("msg") or "the restart gave no answer") if failed else "",
    }
