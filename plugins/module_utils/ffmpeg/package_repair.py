# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reinstallation of what is broken of ffmpeg: planned from its probe, and a success where the probe says so.

Neither apt's 0 nor its 100 says whether ffmpeg works: it may have done nothing, or all but another package's script.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import MediaOpsError
from ..options import check_range
from ..plan import Action, plan_hash, planned, require_hash
from ..shapes import one_line
from ..system.privilege import Ran, root_refusal, run_as_root
from . import packages
from .ffmpeg_info import ffmpeg_info
from .packages import CONFIGURE, UPDATE
from .probe import wanted

_STEPS = ("P0-3F",)


def plan_repair(found: Mapping[str, Any], installed: Mapping[str, str]) -> list[Action]:
    """What would mend the ffmpeg that was found so; nothing where it works, or reinstalling would not help.

    Args:
        found: result of :func:`.ffmpeg_diagnosis.ffmpeg_info`.
        installed: versions by package.
    """
    if found["state"] == "ok" or not found["reinstall_cures"]:
        return []
    proof = {"state": found["state"], "reason": found["reason"], "binary": found["binary"]}
    plan = []
    if found["dpkg_interrupted"]:
        cut_short = ", ".join(found["dpkg_interrupted"])
        plan.append(
            planned(
                "configure",
                "packages that dpkg was cut short at",
                f"dpkg was interrupted ({cut_short}) and refuses all work until it is done",
                _STEPS,
                stable={"command": list(CONFIGURE), "packages": found["dpkg_interrupted"]},
                proof=proof,
            )
        )
    for package in found["broken_packages"]:
        version = installed.get(package, "")
        plan.append(
            planned(
                "reinstall",
                f"package {package} {version or '(not installed)'}",
                found["reason"],
                _STEPS,
                stable={"command": list(packages.reinstall(package)), "package": package, "version": version},
                proof=proof,
            )
        )
    return plan


def package_repair(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Probe, plan, and where allowed act and probe again.

    Raises:
        MediaOpsError: the plan is not the approved one, sudo does not allow it, or ffmpeg does not work afterwards.
    """
    want = wanted(params)
    check_range(params, "repair_timeout", 60, 7200)
    before = ffmpeg_info(want)
    installed = {name: one.version for name, one in packages.known().items() if one.is_installed}
    plan = plan_repair(before, installed)
    require_hash(plan, params["plan_hash"])
    refusals = [why for why in (root_refusal(command) for command in _commands(plan)) if why]
    holder = packages.lock_holder() if plan else None
    result: dict[str, Any] = {
        "changed": bool(plan),
        "state": before["state"],
        "reason": before["reason"],
        "plan": plan,
        "hash": plan_hash(plan),
        "before": before,
        "after": None,
        "refusals": refusals,
        "locked_by": str(holder) if holder else "",
        "msg": "",
    }
    if not plan:
        said = "ffmpeg works" if before["state"] == "ok" else f"reinstalling does not mend this: {before['reason']}"
        return {**result, "after": before, "msg": said}
    if check_mode:
        return {**result, "msg": f"would repair: {before['reason']}"}
    if refusals:
        raise MediaOpsError(refusals[0], **{**result, "changed": False})
    try:
        if _waited_for_apt():
            now = ffmpeg_info(want)  # whoever used apt may have mended it, or have been at it when it looked broken
            if now["state"] == "ok":
                for action in plan:
                    action["result"], action["msg"] = "skipped", f"ffmpeg works since apt is free again ({holder})"
                result.update(changed=False, state="ok", reason="", after=now, msg=plan[0]["msg"])
                return result
        for action in plan:
            _carry_out(action, params["repair_timeout"])
    except MediaOpsError as error:
        raise MediaOpsError(str(error), **{**result, "changed": _has_changed(plan), "msg": str(error)}) from error
    after = ffmpeg_info(want)
    _count_as_done(plan, after["state"])
    said = "; ".join(f"{one['action']} of {one['target']} {one['result']} {one['msg']}".strip() for one in plan)
    result.update(state=after["state"], reason=after["reason"], after=after, changed=_has_changed(plan))
    result["msg"] = one_line(said, 800)
    if after["state"] != "ok":
        raise MediaOpsError(
            f"ffmpeg does not work after the repair ({after['state']}: {after['reason']}). Tried: {result['msg']}",
            **result,
        )
    return result


def _commands(plan: list[Action]) -> list[tuple[str, ...]]:
    """Every command that carrying out the plan may need."""
    commands = [tuple(action["stable"]["command"]) for action in plan]
    return [*commands, UPDATE] if commands else []


def _has_changed(plan: list[Action]) -> bool:
    return any(action["result"] == "done" for action in plan)


def _count_as_done(plan: list[Action], state: str) -> None:
    """What apt called a failure, and what has mended ffmpeg all the same."""
    for action in plan:
        if state == "ok" and action["result"] == "failed":
            action["result"], action["msg"] = "done", f"ffmpeg works, though apt was not content: {action['msg']}"


def _waited_for_apt() -> bool:
    """Wait until nobody uses apt; say whether somebody did.

    Raises:
        MediaOpsError: somebody still does, after the time that apt itself would wait.
    """
    holder, waited = packages.wait_for_locks()
    if holder:
        raise MediaOpsError(f"apt is in use: {holder}, after {packages.LOCK_TIMEOUT_S} s of waiting")
    return waited


def _carry_out(action: Action, timeout_s: float) -> None:
    """Carry out one action, and write down what came of it.

    Raises:
        MediaOpsError: nothing more can be done now: apt is in use, or still busy.
    """
    command = tuple(action["stable"]["command"])
    ran = _run(command, action, timeout_s)
    if action["action"] == "configure":
        done = ran.rc == 0
    else:
        package = action["stable"]["package"]
        done = packages.was_unpacked(ran, package)
        if not done and packages.has_no_file(ran):
            updated = _run(UPDATE, action, timeout_s)
            if updated.rc == 0:
                ran = _run(command, action, timeout_s)
                done = packages.was_unpacked(ran, package)
            else:
                ran = updated
    action["result"] = "done" if done else "failed"
    action["msg"] = "" if done else packages.complaint(ran)


def _run(command: tuple[str, ...], action: Action, timeout_s: float) -> Ran:
    try:
        _waited_for_apt()
        ran = run_as_root(command, timeout_s=timeout_s)
        if ran.timed_out:
            raise MediaOpsError(f"{' '.join(command)}: {packages.complaint(ran)}")  # noqa: TRY301
    except MediaOpsError as error:
        action["result"], action["msg"] = "failed", one_line(error)
        raise
    return ran
