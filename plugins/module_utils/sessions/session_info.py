# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module session_info: what is seen of sessions, and what is thought of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ..api.settings import api_argument_spec, api_settings
from .scene import observe


def session_argument_spec() -> dict[str, Any]:
    """The options that session_info and session_terminate share."""
    return {
        **api_argument_spec(),
        "api_required": {"type": "bool", "default": True},
        "unit": {"type": "str"},
        "service_pid": {"type": "int"},
        "work_dir": {"type": "path", "required": True},
        "log_path": {"type": "path"},
        "log_lines": {"type": "int", "default": 10},
        "programs": {"type": "list", "elements": "str", "default": ["ffmpeg", "ffprobe"]},
        "samples": {"type": "int", "default": 2},
        "interval": {"type": "float", "default": 5},
        "look_minutes": {"type": "float", "required": True},
        "investigate_minutes": {"type": "float", "required": True},
        "end_minutes": {"type": "float", "required": True},
        "quiet_seconds": {"type": "float", "default": 60},
        "session_ids": {"type": "list", "elements": "str", "default": []},
        "min_id_length": {"type": "int", "default": 8},
    }


def session_info(
    params: Mapping[str, Any], *, warn: Callable[[str], None], hide: Callable[[str], None]
) -> dict[str, Any]:
    """The result of module session_info."""
    scene = observe(params, api_settings(params, warn=warn, hide=hide))
    return {"changed": False, **scene.result()}
