# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module session_info: what is seen of sessions, and what is thought of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ..api.settings import api_settings
from .scene import observe
from .settings import session_settings


def session_info(
    params: Mapping[str, Any], *, warn: Callable[[str], None], hide: Callable[[str], None]
) -> dict[str, Any]:
    """The result of module session_info."""
    api = api_settings(params, warn=warn, hide=hide)
    scene = observe(session_settings(params), api)
    return {"changed": False, **scene.result()}
