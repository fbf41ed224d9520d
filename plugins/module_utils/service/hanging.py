# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the service hangs, or works: one that answers or works is left alone by a restart that is only for need.

That an address of the API does not answer is no reason to restart it: it is asked for its health where its own
processes listen, and what works on a merge is seen to work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..system.operated import require_operated
from .answering import NOT_WANTED, answering, not_asked, not_known
from .standing import Service, serves_api
from .work import Workers

_STARTS_S = 60.0  # a service loads for a while before it listens
_SILENT = ("silent", "listens_nowhere")


def asked(service: Service, named_by: Workers, params: Mapping[str, Any]) -> Service:
    """The service, with whether it answers on its own ports, where it runs and that is wanted."""
    if not params["health"] or service.state != "running":
        return replace(service, answering=not_asked(f"it is {service.state}") if params["health"] else NOT_WANTED)
    if not params["health_path"]:
        return replace(service, answering=not_asked("the service does not offer this"))
    if not serves_api(require_operated(params)):
        return replace(service, answering=not_asked("its API is another program's (serves_api)"))
    main = service.main[0]
    uid = next((one.uid for one in service.processes if one.pid == main), -1)
    found = answering(
        [one.pid for one in service.own(named_by)],
        main,
        uid,
        api_url=params["api_url"],
        path=params["health_path"],
        timeout_s=params["health_timeout"],
        tries=params["health_tries"],
    )
    if found.state == "listens_nowhere" and service.up_s < _STARTS_S:
        found = not_known(f"{found.reason}, and began {service.up_s:.0f} s ago: it may not be up yet")
    return replace(service, answering=found)


def hangs(service: Service, named_by: Workers, percent: float) -> bool:
    """Whether it listens and does not answer, or listens nowhere, and no worker of it is seen to work either.

    Args:
        service: as it was seen and asked.
        named_by: tells its workers.
        percent: a worker works that is on a processor for more than so many per cent of the time.
    """
    return service.answering.state in _SILENT and not service.at_work(named_by, percent)


def why_left_alone(service: Service, named_by: Workers, params: Mapping[str, Any]) -> str:
    """Why a service that was to be restarted only where it needs that is not; "" where it is, or may, need it."""
    if not params["only_needed"] or params["state"] not in ("restarted", "force_restarted"):
        return ""
    if service.state != "running":
        return ""
    if service.answering.state == "answers":
        return f"left alone: {service.answering.reason}, so that there is nothing for a restart to cure"
    pids = service.at_work(named_by, params["busy_percent"])
    if pids:
        return f"left alone: it works on merges (pid {', '.join(map(str, pids[:5]))})"
    return ""
