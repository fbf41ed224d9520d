# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a site describes its service's API, looked at before any host is asked."""

from __future__ import annotations

from typing import Any, Callable

from ...module_utils.api.endpoints import read_endpoints
from ...module_utils.api.login import login_options
from ...module_utils.errors import MissingLibraryError, OptionError
from ...module_utils.expressions import compiled
from ...module_utils.shapes import Json

API_MAP, API_LOGIN = "policy_api_map", "policy_api_login"


def api_problems(name: str, given: Json) -> list[str]:
    """What is wrong with the map of the service's endpoints, or its login, by its key; nothing of another variable."""
    try:
        if name == API_MAP:
            read_endpoints(given, API_MAP, compile_=_compiled)
        elif name == API_LOGIN and given:
            login = login_options(given, API_LOGIN)
            for key in ("token", "expires_in"):
                _compiled(f"{API_LOGIN}.{key}", login[key])
    except OptionError as error:
        return [str(error)]
    return []


def _compiled(option: str, expression: str) -> Callable[[Any], Any]:
    try:
        return compiled(option, expression)
    except MissingLibraryError:
        # The hosts have it, and each looks at the map for itself.
        return lambda _data: None
