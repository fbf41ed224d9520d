# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operated service as a host knows it: by its unit of systemd, or where it has none by its main process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import MediaOpsError, OptionError
from .main_process import MainProcess, find_main, main_process, process_spec
from .systemd import PROPERTIES, unit_name, unit_pids, unit_properties


@dataclass(frozen=True)
class Operated:
    """What names the service: ``process`` where it has no unit, else ``unit``."""

    unit: str = ""
    process: MainProcess | None = None

    def __str__(self) -> str:
        return f"the service of {self.process.user}, by its {self.process.told_by}," if self.process else self.unit


def service_spec(**of_unit: Any) -> dict[str, Any]:
    """The options that doc fragment ``process`` describes; ``of_unit`` is more of the first."""
    return {"unit": {"type": "str", **of_unit}, "process": process_spec()}


def operated(params: Mapping[str, Any]) -> Operated | None:
    """The service that the options name; None where they name none.

    Raises:
        OptionError: they cannot mean one.
    """
    if params.get("process"):
        return Operated(process=main_process("process", params["process"]))
    if not params.get("unit"):
        return None
    unit_name(params["unit"])
    return Operated(unit=params["unit"])


def require_operated(params: Mapping[str, Any]) -> Operated:
    """The service that the options name.

    Raises:
        OptionError: they name none.
    """
    found = operated(params)
    if found is None:
        raise OptionError("unit", params.get("unit"), "must name the service's unit, unless process is given")
    return found


def service_properties(service: Operated, names: tuple[str, ...] = PROPERTIES) -> dict[str, str]:
    """Properties of the unit, or those of them that a service without one has as well.

    Raises:
        MediaOpsError: systemd does not answer, or the main process cannot be told.
    """
    if service.process is None:
        return unit_properties(service.unit, names)
    found = find_main(service.process)
    if found.state == "unknown":
        raise MediaOpsError(f"the main process of {service} is not known: {found.reason}")
    return {
        "LoadState": "loaded",
        "ActiveState": "active" if found.main else "inactive",
        "MainPID": str(found.main.pid if found.main else 0),
        "User": service.process.user,
    }


def service_pids(service: Operated, properties: Mapping[str, str]) -> set[int]:
    """Every process of the service: of the unit's control group, or its main process and what descends from it."""
    if service.process is None:
        return unit_pids(dict(properties))
    found = find_main(service.process)
    return set(found.processes) if found.main else set()


def pids_left(service: Operated, properties: Mapping[str, str]) -> set[int]:
    """What may be left of a service that has no main process: of its unit's control group, else all of its user."""
    return unit_pids(dict(properties)) if service.process is None else set(find_main(service.process).processes)
