# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site says of how its service is run, and cannot mean: by a unit and without one, by nothing, by a shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ...module_utils.errors import OptionError
from ...module_utils.service.by_process import check_command
from ...module_utils.system.main_process import main_process
from ...module_utils.system.systemd import UNIT

SETTINGS = ("policy_service_unit", "policy_service_process", "policy_service_restart", "policy_service_restart_as_root")


def service_problems(value: Callable[[str], Any]) -> list[str]:
    """Everything that is wrong with it."""
    unit, process, restart, as_root = (value(name) for name in SETTINGS)
    found = (_problem(_known_by, unit, process), _problem(_restarted_by, unit, restart, as_root))
    return [problem for problem in found if problem]


def _problem(check: Callable[..., None], *given: Any) -> str:
    try:
        check(*given)
    except OptionError as error:
        return str(error).removeprefix("option '").replace("'", "", 1)
    return ""


def _known_by(unit: Any, process: Any) -> None:
    if unit is None:  # no variable of this run
        return
    if unit:
        if not UNIT.match(str(unit)):
            raise OptionError("policy_service_unit", unit, 'must be the name of a systemd service, or "" without one')
        if process:
            why = f'is for a service without a unit: set policy_service_unit to "" (it is {unit!r}), or take this away'
            raise OptionError("policy_service_process", process, why)
        return
    if not isinstance(process, Mapping) or not process:
        why = "must tell the main process (pid_file, port or command), since policy_service_unit is empty"
        raise OptionError("policy_service_process", process, why)
    if "user" in process:
        raise OptionError("policy_service_process.user", process["user"], "is policy_service_user, which is set there")
    main_process("policy_service_process", process)


def _restarted_by(unit: Any, restart: Any, as_root: Any) -> None:
    argv = check_command("policy_service_restart", restart or [])
    if unit and argv:
        why = f"is for a service without a unit, and policy_service_unit is {unit!r}: systemd restarts that"
        raise OptionError("policy_service_restart", restart, why)
    if boolean(as_root or False) and not argv:
        raise OptionError("policy_service_restart_as_root", as_root, "is of policy_service_restart, which is empty")
