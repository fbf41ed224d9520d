# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the service stands: seen several times, by its unit (by_unit.py) or by its main process (by_process.py)."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from ..errors import MediaOpsError
from ..shapes import one_line
from ..system.operated import Operated
from ..system.proc import boot_id
from ..system.processes import Process, descendants, read_living
from ..system.systemd import main_pid, unit_pids, unit_properties
from ..system.usage import Uses, share_of, uses_of, working
from ..times import to_text, utc_now
from .answering import NOT_WANTED, Answering
from .by_process import look_at, start_us
from .by_unit import UNIT_PROPERTIES, Properties, classify, explained, main_of, number_of, stop_timeout
from .work import Lists, Workers

_LEFT_BEHIND_MAX = 50


@dataclass(frozen=True)
class Service:
    """The service as it was seen over some samples.

    Attributes:
        state: its class (module service_control, return value ``service``).
        reason: why, one line.
        properties: the last sample of its unit; empty where systemd did not answer, or it has no unit.
        left_behind: processes in its control group that do not descend from its main process; without a unit those of
            the former main process that live.
        processes: all processes in its control group; without a unit what by_process.py knows.
        uses: what these used at the first look and at the last, None where there was one look only.
        answering: whether it answers on its own ports.
    """

    state: str
    reason: str
    properties: Properties
    left_behind: tuple[Process, ...] = ()
    processes: tuple[Process, ...] = ()
    uses: tuple[Uses, Uses] | None = None
    answering: Answering = NOT_WANTED
    without_unit: bool = False
    process: Process | None = None

    @property
    def main(self) -> tuple[int, int]:
        """Main process and its start since boot, in microseconds; (0, 0) where there is none."""
        if self.without_unit:
            return (self.process.pid, start_us(self.process)) if self.process else (0, 0)
        return main_of(self.properties)

    @property
    def up_s(self) -> float:
        """How long its main process has been there."""
        return self.process.age_s if self.process else time.monotonic() - self.main[1] / 1e6

    @property
    def since(self) -> str | None:
        """Since when its main process runs, else since when its state is this; None where that is not known."""
        if self.without_unit:
            return to_text(self.process.started_at) if self.process else None
        since_us = self.main[1] or number_of(self.properties, "StateChangeTimestampMonotonic")
        return _moment(since_us) if since_us else None

    def workers(self, named_by: Workers) -> list[Process]:
        """Those of its processes that work on merges; its main process is none."""
        return [one for one in self.processes if one.pid != self.main[0] and named_by.is_worker(one)]

    def own(self, named_by: Workers) -> list[Process]:
        """Its processes without its workers."""
        workers = {one.pid for one in self.workers(named_by)}
        return [one for one in self.processes if one.pid not in workers]

    def at_work(self, named_by: Workers, percent: float) -> list[int]:
        """Workers that were seen to work: on a processor for more than so many per cent of the time."""
        if not self.uses:
            return []
        return working(*self.uses, [one.pid for one in self.workers(named_by)], percent)

    def usage(self, named_by: Workers) -> dict[str, Any] | None:
        """Shares of the host that it has by itself, and that its workers have; None where it was looked at once."""
        if not self.uses:
            return None
        own = share_of(*self.uses, [one.pid for one in self.own(named_by)])
        of_work = share_of(*self.uses, [one.pid for one in self.workers(named_by)])
        return {
            "own_cpu_percent": own.cpu,
            "own_memory_percent": own.memory,
            "work_cpu_percent": of_work.cpu,
            "work_memory_percent": of_work.memory,
        }

    def as_result(self, named_by: Workers, percent: float) -> dict[str, Any]:
        """What the module returns."""
        pid, started_us = self.main
        return {
            "class": self.state,
            "reason": self.reason,
            "main_pid": pid,
            "main_start": started_us,
            "boot_id": boot_id(),
            "since": self.since,
            # Nobody counts those of a service without a unit.
            "n_restarts": None if self.without_unit else number_of(self.properties, "NRestarts"),
            "load_state": self.properties.get("LoadState", ""),
            "active_state": self.properties.get("ActiveState", ""),
            "sub_state": self.properties.get("SubState", ""),
            "result": self.properties.get("Result", ""),
            "kill_mode": self.properties.get("KillMode", ""),
            "stop_timeout": stop_timeout(self.properties),
            "left_behind": [
                {"pid": process.pid, "name": one_line(process.name, 40), "since": to_text(process.started_at)}
                for process in self.left_behind[:_LEFT_BEHIND_MAX]
            ],
            "left_behind_count": len(self.left_behind),
            "answering": self.answering.as_result(),
            "usage": self.usage(named_by),
            "at_work": self.at_work(named_by, percent)[:_LEFT_BEHIND_MAX],
        }


def _moment(monotonic_us: int) -> str:
    """A reading of the monotonic clock, by the clock as it is set now."""
    return to_text(utc_now() - timedelta(seconds=time.monotonic() - monotonic_us / 1e6))


def observe(
    named: Operated, samples: int, interval_s: float, api_url: str = "", *, restarts_before: int | None = None
) -> Service:
    """Look at the service several times."""
    if named.process:
        stands = look_at(named.process, samples, interval_s, api_url)
        return Service(
            stands.state,
            stands.reason,
            {},
            (),
            stands.processes,
            stands.uses,
            without_unit=True,
            process=stands.main,
        )
    return _observe_unit(named.unit, samples, interval_s, restarts_before=restarts_before)


def _observe_unit(unit: str, samples: int, interval_s: float, *, restarts_before: int | None = None) -> Service:
    """Look at the unit several times; systemd that does not answer makes it ``unknown``.

    Args:
        restarts_before: NRestarts that a sound service would still have; None where the first sample tells.
    """
    seen: list[Properties] = []
    first: Uses | None = None
    for index in range(samples):
        if index:
            time.sleep(interval_s)
        try:
            seen.append(unit_properties(unit, UNIT_PROPERTIES))
        except MediaOpsError as error:
            return Service("unknown", one_line(error), {})
        if first is None and samples > 1:
            first = uses_of(unit_pids(dict(seen[0])))
    last = seen[-1]
    state, reason = explained(unit, last, *classify(seen, restarts_before=restarts_before))
    found = {pid: process for pid in unit_pids(dict(last)) if (process := read_living(pid))}
    tree = {main_pid(dict(last)), *descendants(found, main_pid(dict(last)))}
    processes = tuple(found[pid] for pid in sorted(found))
    left_behind = tuple(one for one in processes if one.pid not in tree)
    return Service(state, reason, last, left_behind, processes, (first, uses_of(found)) if first else None)


def service_seen(named: Operated, api_url: str) -> dict[str, Any]:
    """How the service stands at one look: its class and the reason, its main process and by what that is known."""
    if named.process:
        stands = observe(named, 1, 0, api_url)
    else:
        try:
            properties = unit_properties(named.unit, UNIT_PROPERTIES)
            state, reason = classify([properties])
        except MediaOpsError as error:
            state, reason = "unknown", one_line(error)
            properties = {}
        stands = Service(state, reason, properties)
    return {
        "class": stands.state,
        "reason": stands.reason,
        "main_pid": stands.main[0],
        "since": stands.since,
        "told_by": named.process.told_by if named.process else "systemd",
        "serves_api": serves_api(named),
    }


def serves_api(named: Operated) -> bool:
    """Whether the API is the service's own, and not another program's."""
    return named.process is None or named.process.serves_api


def not_contradicted(service: Service, named: Operated, lists: Lists | None) -> Service:
    """The service; unknown where it is dead by what tells its main process, and its API answers all the same."""
    is_dead = service.without_unit and service.state == "dead"
    if not (is_dead and serves_api(named) and lists and lists().state == "ok"):
        return service
    why = f"{service.reason}, and yet its API answers: policy_service_process or policy_service_user is another's"
    return replace(service, state="unknown", reason=why)
