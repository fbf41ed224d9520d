# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which endpoints the monitoring API has, and which of them a service offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import OptionError
from ..shapes import one_line

PATHS = {
    "health": "/health",
    "health_detailed": "/health/detailed",
    "stats": "/stats",
    "alerts": "/alerts",
    "metrics": "/metrics/system",
    "sessions": "/sessions/active",
    "cleanup": "/cleanup",
}
"""What can be asked for, and where the runbook's own service has it."""

READ = tuple(name for name in PATHS if name != "cleanup")
"""Those that only tell something."""

NOT_OFFERED = "not_offered"
"""The state of an endpoint that a service does not have, as its site says: it is not asked, and nothing is wrong."""
SAID_NOT_OFFERED = "the service does not offer this"


def not_offered(params: Mapping[str, Any]) -> frozenset[str]:
    """The endpoints that the service does not offer, by the options api_offered and api_map.

    Raises:
        OptionError: the map names an endpoint that there is none of.
    """
    given = params["api_map"]
    for name in given:
        if name not in PATHS:
            raise OptionError("api_map", one_line(name, 60), f"is no endpoint; there are {', '.join(PATHS)}")
    if not params["api_offered"]:
        return frozenset(PATHS)
    return frozenset(name for name, entry in given.items() if entry is None)


def health_path(params: Mapping[str, Any]) -> str:
    """Where the service is asked for its health, "" where it offers none."""
    return "" if "health" in not_offered(params) else PATHS["health"]
