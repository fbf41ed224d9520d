# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module that carries a rung out is given: all that the table says, or an error. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ...module_utils.errors import MediaOpsError
from ...module_utils.shapes import Json, mapping, one_line
from .ladder import joined_hash

_NOT_PROVED = "set, not proved to have an effect"


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
    known = {"steps": rung.get("steps") or [], "reason": reason, **given}
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


def taken(joint: Json, observed: Json) -> dict[str, Any]:
    """The answer of an override and its restart, with whether the service took it.

    Args:
        joint: of :func:`joined`.
        observed: answer of service_config after the restart.
    """
    if joint["failed"]:
        return dict(joint)
    names = {
        one["stable"]["name"]: one["stable"].get("value")
        for one in joint["plan"]
        if isinstance(mapping(one.get("stable")).get("name"), str)
    }
    if "overrides" not in observed or observed.get("failed"):
        why = one_line(observed.get("msg") or "no answer", 200)
        return {**joint, "msg": f"{_NOT_PROVED}: whether the service has taken it could not be looked at ({why})"}
    if observed.get("restart_needed"):
        return {**joint, "failed": True, "msg": "the service still runs with other settings than it was started with"}
    rows = {row.get("name"): row for row in map(mapping, observed["overrides"])}
    is_set = [name for name, value in names.items() if value is not None]
    unseen = [name for name in is_set if not mapping(rows.get(name)).get("shown_in")]
    seen = [f"{name} shows in {one_line(rows[name]['shown_in'], 100)}" for name in is_set if name not in unseen]
    lines = [f"{_NOT_PROVED}: {', '.join(unseen)}"] if unseen else []
    return {**joint, "msg": "; ".join([*lines, *seen])}
