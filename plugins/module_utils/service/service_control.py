# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service and its restart: seen, planned, carried out and verified.

What state it is really in tells standing.py; whether it hangs, hanging.py; what a restart would lose, costs.py.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import MediaOpsError, OptionError
from ..options import check_range
from ..plan import Action, plan_hash, require_hash
from ..shapes import one_line
from ..system.ending import lives
from ..system.operated import Operated, require_operated
from . import by_process, by_unit
from .by_process import command_of
from .costs import drained, lost_by, wants_a_person
from .hanging import asked, why_left_alone
from .restart_plan import UNTOUCHABLE, dearer, nothing_said, refusals, restart_plan, tell_losses
from .standing import Service, not_contradicted, observe
from .work import NO_WORK, Lists, Work, Workers

_STEPS = {"started": ["EM-R1"], "restarted": ["EM-R1"], "force_restarted": ["EM-R2"]}


def service_control(
    params: Mapping[str, Any], *, check_mode: bool = False, lists: Lists | None = None
) -> dict[str, Any]:
    """The result of module service_control.

    Args:
        params: its options, and ``health_path``, where it is asked for its health, "" where it has nothing of the kind.
        check_mode: whether it only plans.
        lists: asks the API which sessions there are.
    """
    _check(params)
    began = time.monotonic()
    named, wanted, percent = require_operated(params), params["state"], params["busy_percent"]
    command = command_of(params) if named.process else None
    named_by = Workers(params["programs"], params["work_dir"] or "")
    before = asked(not_contradicted(_observed(named, params), named, lists), named_by, params)
    left_alone = why_left_alone(before, named_by, params)
    needed = [] if left_alone else params["steps"] or _STEPS.get(wanted, [])
    work = NO_WORK if left_alone or wanted in ("observed", "started") else lost_by(before, named_by, params, lists)
    plan = (
        []
        if left_alone
        else restart_plan(
            before,
            named,
            wanted,
            needed,
            params["reason"],
            work=work,
            merges_max=params["merges_max"],
            drain_s=params["drain"],
            command=command,
        )
    )
    if params["plan_hash"] != plan_hash(dearer(plan)):
        require_hash(plan, params["plan_hash"])
    refused = refusals(named, wanted, command) if plan else []
    after, verified = before, before.state == "running"
    said = left_alone or (nothing_said(before, wanted) if not plan else "")
    if not plan and wanted != "observed" and before.state in UNTOUCHABLE:
        refused = [said]
    if plan and not check_mode:
        told = {"plan": plan, "hash": plan_hash(plan), "service": before.as_result(named_by, percent)}
        if refused:
            raise MediaOpsError("; ".join(refused), **told)
        work, waited = drained(work, before, named_by, params, lists)
        tell_losses(plan[0], work)
        if why := wants_a_person(work, plan[0], params):
            # It stays planned: what was refused counts for no cap.
            raise MediaOpsError(why, **told)
        if waited and params["only_needed"]:
            # It may have come to itself meanwhile.
            after = asked(_observed(named, params), named_by, params)
            said = why_left_alone(after, named_by, params)
        if said:
            verified = after.state == "running"
            plan[0]["result"], plan[0]["msg"] = "skipped", said
        else:
            act = _carry_out if command is None else _carry_out_command
            after, verified, said = act(plan[0], before, params, work)
            after = asked(after, named_by, params)
    return {
        "changed": any(action["result"] != "skipped" for action in plan),
        "plan": plan,
        "hash": plan_hash(plan),
        "refusals": refused,
        "before": before.as_result(named_by, percent),
        "service": after.as_result(named_by, percent),
        "work": work.as_result(),
        "verified": verified,
        # A line of its own would say again what `service` says, and look like a failure to who only asks.
        "msg": "" if wanted == "observed" else said,
        "seconds": round(time.monotonic() - began, 1),
    }


def _check(params: Mapping[str, Any]) -> None:
    if params["restart_command"] and not params["process"]:
        raise OptionError("restart_command", params["restart_command"], "is for a service without a unit (process)")
    for option, low, high in (
        ("samples", 1, 60),
        ("interval", 0.1, 60),
        ("timeout", 1, 3600),
        ("kill_after", 0, 600),
        ("health_timeout", 0.1, 120),
        ("health_tries", 1, 10),
        ("busy_percent", 0.01, 100),
        ("changed_within", 0, 86_400),
        ("drain", 0, 3600),
    ):
        check_range(params, option, low, high)
    if params["merges_max"] is not None:
        check_range(params, "merges_max", 0, 100_000)
    if not params["programs"] or not all(name and "/" not in name for name in params["programs"]):
        raise OptionError("programs", params["programs"], "must be names of programs, without a path")


def _observed(named: Operated, params: Mapping[str, Any], *, restarts_before: int | None = None) -> Service:
    """Look at the service as often as the options say."""
    return observe(named, params["samples"], params["interval"], params["api_url"], restarts_before=restarts_before)


def _carry_out(action: Action, before: Service, params: Mapping[str, Any], work: Work) -> tuple[Service, bool, str]:
    """Carry the action out and verify it; what came of it is written into the action."""
    unit, wanted = params["unit"], params["state"]
    worked, said = by_unit.restart(
        unit,
        wanted,
        before.state,
        before.properties,
        before.processes,
        kill_after_s=params["kill_after"],
        timeout_s=params["timeout"],
    )
    after = _observed(Operated(unit), params, restarts_before=0)
    verified = worked and after.state == "running" and (after.main != before.main or wanted == "started")
    if after.state == "running" and after.main == before.main and wanted != "started":
        said.append(f"the old main process {after.main[0]} still runs")
    said.append(f"{after.state}: {after.reason}")
    if after.left_behind:
        said.append(f"processes of its control group that are not of its main process: {len(after.left_behind)}")
    return after, verified, _told(action, work, said, verified=verified)


def _carry_out_command(
    action: Action, before: Service, params: Mapping[str, Any], work: Work
) -> tuple[Service, bool, str]:
    """Carry the action out by the command of the site and verify it; what came of it is written into the action."""
    named, command = require_operated(params), command_of(params)
    if named.process is None:
        raise OptionError("process", None, "is needed for a restart by a command")
    renewed, said = by_process.restart(command, named.process, before.process, params["timeout"])
    after = _observed(named, params)
    verified = renewed and after.state == "running" and after.main != before.main
    said.append(f"{after.state}: {after.reason}")
    left = tuple(filter(lives, before.processes))
    ours = {one.pid for one in after.processes}
    if before.process and (left := tuple(one for one in left if one.pid not in ours)):
        after = replace(after, left_behind=left)
        said.append(f"processes left of the former main process: {len(left)}")
    return after, verified, _told(action, work, said, verified=verified)


def _told(action: Action, work: Work, said: Sequence[str], *, verified: bool) -> str:
    """Write into the action what came of it; the line that says so."""
    lost = [f"lost with it, merges: {work.said}"] if work.merges else []
    action["result"] = "done" if verified else "failed"
    action["msg"] = one_line("; ".join([*lost, *said]), 400)
    return action["msg"]
