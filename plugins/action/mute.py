# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutes a component, a check or a host for a time; documented by the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.errors import MediaOpsError, OptionError
from ..module_utils.shapes import Json, one_line
from ..module_utils.state.mutes import mute_name, sound_mute
from ..module_utils.times import utc_now
from ..plugin_utils.host_action import HostAction
from ..plugin_utils.judging.muting import made, parsed, said
from ..plugin_utils.mutes_kept import known_mutes, remember_mutes


class ActionModule(HostAction):
    """The host keeps it; the controller too, since a host that is down is muted as well."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """What is muted on the host afterwards."""
        wanted = {"state": given["state"], "state_dir": given["state_dir"], "run_id": given["run_id"]}
        if given["state"] == "muted":
            mute = self._mute(given)
            name, wanted["mute"] = mute_name(mute), mute
        else:
            mute, name = None, _named(given["mute"])
            wanted |= {"unmute": name, "owner": given["owner"]}
        answer = self.ask("guard", wanted)
        known, _unread = known_mutes(given["mutes_dir"], self.host)
        others = [row for row in known.here if name not in ("all", mute_name(row))]
        if "recent" in answer:
            told, here, alone = answer["mutes"], others, ""
            changed = bool(answer["changed"]) or len(others) < len(known.here)
        else:
            alone = one_line(answer.get("msg") or "no answer", 200)
            told = [row for row in known.told if name not in ("all", mute_name(row))]
            here = [*others, *([mute] if mute else [])]
            changed = (told, here) != (known.told, known.here)
        problem = self._kept(given["mutes_dir"], told, here)
        mutes = [*told, *here]
        self.tell([*_lines(mutes, answer), *([_alone(alone)] if alone else []), *([problem] if problem else [])])
        if alone and problem:
            return {"failed": True, "msg": f"neither the host ({alone}) nor the controller keeps it: {problem}"}
        return {"changed": changed, "mutes": mutes, "reached": not alone}

    def _mute(self, given: Json) -> dict[str, Any]:
        try:
            about = {"reason": given["reason"], "by": given["owner"], "seconds": given["seconds"]}
            return sound_mute(made(given["mute"], **about, now=utc_now()), "reason")
        except ValueError as error:
            raise OptionError("mute", given["mute"], str(error)) from error

    def _kept(self, directory: str, told: list[Any], here: list[Any]) -> str:
        """Why the controller does not remember it; empty where it does."""
        if self._task.check_mode:
            return ""
        try:
            remember_mutes(directory, self.host, told, here)
        except MediaOpsError as error:
            return f"the controller does not remember it: {one_line(error, 200)}"
        return ""


def _named(text: str) -> str:
    if text.strip() == "all":
        return "all"
    try:
        return ":".join(filter(None, parsed(text)))
    except ValueError as error:
        raise OptionError("mute", text, str(error)) from error


def _lines(mutes: list[Any], answer: Json) -> list[str]:
    cleared = [f"{name} could not be read, and was set aside" for name in answer.get("cleared") or []]
    return [*cleared, *(f"{mute_name(mute)} {said(mute)}" for mute in mutes)] or ["Nothing is muted"]


def _alone(why: str) -> str:
    return f"Kept on this controller alone, since the host could not keep it: {why}"
