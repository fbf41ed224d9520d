# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a site describes its service's API, looked at before any host is asked."""

from __future__ import annotations

from typing import Any, Callable

from ...module_utils.api.endpoints import read_endpoints
from ...module_utils.errors import MissingLibraryError, OptionError
from ...module_utils.expressions import compiled
from ...module_utils.shapes import Json

API_MAP = "policy_api_map"


def api_map_problems(given: Json) -> list[str]:
    """What is wrong with the map of the service's endpoints, by its key."""
    try:
        read_endpoints(given, API_MAP, compile_=_compiled)
    except OptionError as error:
        return [str(error)]
    return []


def _compiled(option: str, expression: str) -> Callable[[Any], Any]:
    try:
        return compiled(option, expression)
    except MissingLibraryError:
        # The hosts have it, and each looks at the map for itself.
        return lambda _data: None
