# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host has of what the playbooks need, seen with the standard library alone; judged by who asks."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ..api.login import ends_of
from ..clock import clock_offset
from ..errors import OptionError
from ..opener import read_regular
from ..options import check_absolute
from ..service.by_process import command_of, refusals
from ..shapes import one_line
from ..system.privilege import root_refusal, run
from ..system.systemd import SYSTEMCTL, unit_name
from ..times import text_of
from ..web_address import port_of
from . import api, log_files, places, service
from .places import User

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
_LIBRARY = re.compile(r"[a-z][a-z0-9_]{0,40}\Z")
_TOKEN_MAX = 64 * 1024
_SUDO_S = 15


def setup_argument_spec() -> dict[str, Any]:
    """The options of module setup_info."""
    return {
        "unit": {"type": "str", "default": "media-processing-service"},
        "process": {"type": "dict"},
        "restart_command": {"type": "list", "elements": "str", "default": []},
        "restart_as_root": {"type": "bool", "default": False},
        "service_user": {"type": "str", "default": "media"},
        "service_become": {"type": "bool", "default": True},
        "base_dir": {"type": "path", "required": True},
        "log_dir": {"type": "path", "required": True},
        "state_dir": {"type": "path", "required": True},
        "directories": {"type": "list", "elements": "path", "default": []},
        "disk_paths": {"type": "list", "elements": "path", "default": ["/"]},
        "libraries": {"type": "list", "elements": "str", "default": []},
        "api_url": {"type": "str", "required": True},
        "health_path": {"type": "str", "default": "/health"},
        "token_file": {"type": "path", "no_log": False},
        "controller_time": {"type": "str"},
    }


def setup_info(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the host has; only what cannot be meant raises.

    Raises:
        OptionError: an option cannot be right.
    """
    _check(params)
    user = places.user_of(params["service_user"])
    own = places.own_user()
    # Without become, what is deleted is deleted by who connects.
    deletes = user if params["service_become"] else own
    roots = [params["base_dir"], params["log_dir"]]
    port = port_of(params["api_url"])
    found, units = service.find_service(params["unit"], params["process"], user, roots, port)
    return {
        "changed": False,
        "user": own.name,
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "libraries": _libraries(params["libraries"]),
        "sudo": _sudo(params, own),
        "state_dir": places.state_dir(params["state_dir"]),
        "service_user": {"there": user is not None, "name": params["service_user"]},
        "unit": dict(found.unit),
        "units": units,
        "service": service.shown(found),
        "api": api.look_at_api(params["api_url"], params["health_path"], found.places),
        "access": _access(params["token_file"]),
        "logs": log_files.log_files(params["log_dir"]),
        "directories": places.directories([params["base_dir"], *params["directories"]], deletes),
        "service_directories": places.directories(_candidates(found), deletes),
        "disks": places.disks(params["disk_paths"]),
        "clock_offset_s": clock_offset(params),
    }


def _check(params: Mapping[str, Any]) -> None:
    if params["unit"]:
        unit_name(params["unit"])
    if not _USER.match(params["service_user"]):
        raise OptionError("service_user", params["service_user"], "must be the name of a user")
    for option in ("base_dir", "log_dir", "state_dir"):
        check_absolute(option, params[option])
    for option in ("directories", "disk_paths"):
        for path in params[option]:
            check_absolute(option, path)
    for library in params["libraries"]:
        if not _LIBRARY.match(library):
            raise OptionError("libraries", library, "must be names of Python libraries")


def _candidates(found: service.Service) -> list[str]:
    """Where the base directory may be: the service's own, by what it says and where it logs."""
    named = [str(found.unit.get("directory", "")).lstrip("!-"), found.directory]
    logs = [one[: -len("/temp/logs")] for one in found.log_dirs if one.endswith("/temp/logs")]
    return [path for path in dict.fromkeys([*logs, *named]) if path.startswith("/") and ".." not in path.split("/")]


def _libraries(names: Iterable[str]) -> dict[str, str]:
    """The version of each library, "" where it cannot be imported: one that is there may yet be broken."""
    found = {}
    for name in names:
        try:
            version = getattr(importlib.import_module(name), "__version__", "of unknown version")
        except Exception:  # noqa: BLE001  whatever its own code raises
            version = ""
        found[name] = one_line(version, 40)
    return found


def _sudo(params: Mapping[str, Any], own: User) -> dict[str, str]:
    """Why this user may not become the service's, or restart the service; "" where it may."""
    why_become = ""
    if params["service_become"] and own.name != params["service_user"] and own.uid != 0:
        argv = ["sudo", "-n", "-l", "-u", params["service_user"], "--", "/bin/sh"]
        asked = run(argv, timeout_s=_SUDO_S)
        why_become = "" if asked.rc == 0 else asked.msg or "sudo does not allow it"
    return {
        "become": one_line(why_become),
        "restart": one_line(_restart(params)),
    }


def _restart(params: Mapping[str, Any]) -> str:
    """Why the service would not be restarted; "" where it would."""
    if params["unit"]:
        return root_refusal([SYSTEMCTL, "restart", params["unit"]])
    return next(iter(refusals(command_of(params), "restarted")), "")


def _access(path: str | None) -> dict[str, Any]:
    """Whether the file of the token can be read, and when the token in it ends."""
    if not path:
        return {"state": "", "reason": "", "ends_at": None}
    try:
        text = read_regular(path, _TOKEN_MAX, follow=True).decode("latin-1").strip()
    except OSError as error:
        return {"state": "unreadable", "reason": one_line(error.strerror or error), "ends_at": None}
    if not text:
        return {"state": "unreadable", "reason": "it is empty", "ends_at": None}
    end = ends_of(text)
    return {"state": "there", "reason": "", "ends_at": None if end is None else text_of(end)}
