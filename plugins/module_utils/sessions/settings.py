# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of session_info and session_terminate: their argument spec, and their check before anything is seen."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..api.settings import api_argument_spec
from ..errors import OptionError
from ..logs.fields import OPTION as LOG_FIELDS
from ..logs.fields import LogFields
from ..options import check_range
from ..system.operated import Operated, operated, service_spec
from .joined import ID, IdMap, id_maps, id_maps_spec

NAMELESS = "must name the service's unit, unless process or service_pid is given"
_PROGRAM = re.compile(r"[^*?\[]{3}|[^*?\[]+\Z")


def session_argument_spec() -> dict[str, Any]:
    """The options that session_info and session_terminate share."""
    return {
        **api_argument_spec(),
        "api_required": {"type": "bool", "default": True},
        **service_spec(),
        "service_pid": {"type": "int"},
        "work_dir": {"type": "path", "required": True},
        "log_path": {"type": "path"},
        "log_lines": {"type": "int", "default": 10},
        LOG_FIELDS: {"type": "dict", "default": {}},
        "programs": {"type": "list", "elements": "str", "default": ["ffmpeg", "ffmpeg-linux*", "ffprobe"]},
        "id_maps": id_maps_spec(),
        "samples": {"type": "int", "default": 2},
        "interval": {"type": "float", "default": 5},
        "look_minutes": {"type": "float", "required": True},
        "investigate_minutes": {"type": "float", "required": True},
        "end_minutes": {"type": "float", "required": True},
        "quiet_seconds": {"type": "float", "default": 60},
        "idle_seconds": {"type": "float", "default": 0},
        "cpu_percent": {"type": "float", "default": 1},
        "look_bytes": {"type": "float", "default": 262144},
        "look_max": {"type": "float", "default": 120},
        "session_ids": {"type": "list", "elements": "str", "default": []},
        "min_id_length": {"type": "int", "default": 8},
    }


@dataclass(frozen=True)
class SessionSettings:
    """Options that were checked, without those of the API's connection."""

    api_required: bool
    operated: Operated | None
    service_pid: int | None
    work_dir: str
    log_path: str
    log_lines: int
    log_fields: LogFields
    programs: tuple[str, ...]
    id_maps: tuple[IdMap, ...]
    samples: int
    interval: float
    look_minutes: float
    investigate_minutes: float
    end_minutes: float
    quiet_seconds: float
    idle_seconds: float
    cpu_percent: float
    look_bytes: float
    look_max: float
    session_ids: tuple[str, ...]
    min_id_length: int


def session_settings(params: Mapping[str, Any]) -> SessionSettings:
    """Check the options."""
    _check(params)
    given = {field.name: params[field.name] for field in fields(SessionSettings) if field.name != "operated"}
    given.update(operated=operated(params))
    given.update(work_dir=os.path.normpath(params["work_dir"]), log_path=params["log_path"] or "")
    given.update(id_maps=id_maps(params["id_maps"]), log_fields=LogFields(params[LOG_FIELDS]))
    given.update(programs=tuple(params["programs"]), session_ids=tuple(params["session_ids"]))
    return SessionSettings(**given)


def _check(params: Mapping[str, Any]) -> None:
    if operated(params) is None and not params["service_pid"]:
        raise OptionError("unit", params["unit"], NAMELESS)
    if params["service_pid"] is not None and params["service_pid"] < 2:
        raise OptionError("service_pid", params["service_pid"], "must be a process id from 2 on")
    parts = params["work_dir"].split("/")
    if parts[0] or ".." in parts or len([part for part in parts if part not in ("", ".")]) < 2:
        raise OptionError("work_dir", params["work_dir"], "must be an absolute path of two components at least")
    if params["log_path"] and (not params["log_path"].startswith("/") or "\0" in params["log_path"]):
        raise OptionError("log_path", params["log_path"], "must be an absolute path")
    if not params["programs"] or not all(_PROGRAM.match(name) and "/" not in name for name in params["programs"]):
        why = "must be names of programs, without a path; three letters stand before the first wildcard"
        raise OptionError("programs", params["programs"], why)
    check_range(params, "samples", 2, 20)
    check_range(params, "interval", 0.1, 300)
    check_range(params, "log_lines", 0, 500)
    check_range(params, "min_id_length", 4, 128)
    check_range(params, "quiet_seconds", 0, 86_400)
    check_range(params, "idle_seconds", 0, 31_536_000)
    check_range(params, "cpu_percent", 0.01, 100)
    check_range(params, "look_bytes", 1, 1 << 40)
    check_range(params, "look_max", 0, 600)
    check_range(params, "look_minutes", 0, 100_000)
    check_range(params, "investigate_minutes", params["look_minutes"], 100_000)
    check_range(params, "end_minutes", params["investigate_minutes"], 100_000)
    _check_ids("session_ids", params["session_ids"], params["min_id_length"])


def _check_ids(option: str, session_ids: Sequence[str], min_length: int) -> None:
    """Refuse what is no session's id: empty, short, or with characters of wildcards and paths."""
    for session_id in session_ids:
        if not session_id.strip():
            raise OptionError(option, session_id, "an id must not be empty")
        if not ID.fullmatch(session_id):
            raise OptionError(option, session_id, "an id is letters, digits, '.', '_' and '-', the first no '.' or '-'")
        if len(session_id) < min_length:
            raise OptionError(option, session_id, f"an id has {min_length} characters at least (min_id_length)")
