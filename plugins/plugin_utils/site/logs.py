# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a site names what its service's log says, looked at before any host is asked."""

from __future__ import annotations

from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.logs.fields import OPTION, LogFields

LOG_FIELDS = "policy_log_fields"


def log_field_problems(name: str, given: Any) -> list[str]:
    """What is wrong with the names of the log's fields, by their variable; nothing of another one."""
    if name != LOG_FIELDS:
        return []
    try:
        LogFields(given)
    except OptionError as error:
        return [str(error).replace(f"option '{OPTION}'", LOG_FIELDS)]
    return []
