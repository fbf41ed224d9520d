# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restart of the service as it was seen would lose; waited for, and above a number a person's to lose."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..plan import Action
from ..system.ending import lives
from ..system.operated import require_operated
from .hanging import hangs
from .standing import Service, observe
from .work import NO_WORK, Lists, Work, Workers, work_of

_DRAIN_LOOK_S = 5.0


def lost_by(service: Service, named_by: Workers, params: Mapping[str, Any], lists: Lists | None) -> Work:
    """What a restart would lose: nothing where there is no main process, with which it is lost already.

    That the main process of a service without a unit is gone is less sure: what works for its user there counts.
    """
    workers = [one for one in service.workers(named_by) if lives(one)]
    if not service.main[0]:
        workers = [one for one in workers if service.without_unit and named_by.session_of(one)]
    if not service.main[0] and not workers:
        return NO_WORK
    return work_of(
        workers,
        named_by,
        lists,
        work_dir=params["work_dir"] or "",
        unlisted=params["unlisted"],
        changed_within_s=params["changed_within"],
        lost=params["lost_sessions"],
    )


def drained(
    work: Work, service: Service, named_by: Workers, params: Mapping[str, Any], lists: Lists | None
) -> tuple[Work, bool]:
    """The merges in work when these have ended, or the time to wait for that has; and whether it was waited.

    A service that hangs, and whose workers are at a stand, ends none of them. Who kills it does not wait.
    """
    if params["state"] == "force_restarted" or hangs(service, named_by, params["busy_percent"]):
        return work, False
    waits = bool(work.merges) and params["drain"] > 0
    ends = time.monotonic() + params["drain"]
    while work.merges and time.monotonic() < ends:
        time.sleep(min(_DRAIN_LOOK_S, max(0.1, ends - time.monotonic())))
        work = lost_by(observe(require_operated(params), 1, 0), named_by, params, lists)
    return work, waits


def wants_a_person(work: Work, action: Action, params: Mapping[str, Any]) -> str:
    """Why a person must say yes first; "" where none must, or one has, by the hash of a plan that costs as much."""
    most = params["merges_max"]
    if most is None or len(work.merges) <= most or (params["plan_hash"] and "costs" in action["stable"]):
        return ""
    return needs_a_yes(work, most)


def needs_a_yes(work: Work, most: int) -> str:
    """That a person must say yes, where more than ``most`` merges would be lost."""
    return (
        f"a restart loses the merges in work, {work.said}: more than {most}, so a person must say yes, by the hash of "
        "the plan"
    )
