# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sessions there are, and which files are theirs. Where nobody can say, all of them stay."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from ..api.settings import api_settings
from ..errors import MediaOpsError, OptionError
from ..shapes import one_line
from ..system.systemd import main_pid, unit_pids, unit_properties
from .active import active_sessions


@dataclass
class Sessions:
    """Whose files stay.

    Attributes:
        directory: holds a directory for each session; resolved. Empty where no session is to be looked for.
        state: what the API answered, ``not_asked``, or ``service_down`` where the service is known not to run.
        reason: why there is no list.
        ids: of the listed sessions.
        all_of: whether everything below ``directory`` stays, as nobody can say which sessions there are.
    """

    directory: str = ""
    state: str = "not_asked"
    reason: str = ""
    ids: frozenset[str] = frozenset()
    all_of: bool = False
    _prefixes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._prefixes = tuple(f"{session}_" for session in self.ids)

    def protect_directory(self, path: str) -> bool:
        """Whether a directory belongs to a session that is listed, or may be."""
        if self.all_of and (path == self.directory or path.startswith(self.directory + "/")):
            return True
        return bool(self.ids) and not self.ids.isdisjoint(path.split("/"))

    def protect_file(self, name: str) -> bool:
        """Whether a name says that the file is a listed session's: SESSION, SESSION.tmp, SESSION_clip.mp4."""
        return bool(self.ids) and (name.startswith(self._prefixes) or name.partition(".")[0] in self.ids)


def protected_sessions(
    params: Mapping[str, Any], *, warn: Callable[[str], None], hide: Callable[[str], None]
) -> Sessions:
    """Ask the API which sessions there are. No answer protects all of them, unless the service is known not to run."""
    if not params["sessions_dir"]:
        return Sessions()
    if not params["sessions_dir"].startswith("/"):
        raise OptionError("sessions_dir", params["sessions_dir"], "must be an absolute path")
    directory = os.path.realpath(params["sessions_dir"])
    from ..api.client import PATHS, Client  # late: cleaning logs needs no API

    reply = Client(api_settings(params, warn=warn, hide=hide)).request(PATHS["sessions"])
    if reply.state == "ok" and reply.data is not None:
        listed = active_sessions(reply.data)
        if listed.complete:
            return Sessions(directory, "ok", "", frozenset(listed.by_id))
        state, reason = "invalid", listed.reason
    else:
        state, reason = reply.state, reply.reason
    running = why_running(params["unit"])
    if not running:
        return Sessions(directory, "service_down", f"{params['unit']} does not run, so no session does ({reason})")
    warn(f"the sessions are not known ({reason}; {running}): everything below {directory} stays")
    return Sessions(directory, state, f"{reason}; {running}", all_of=True)


def why_running(unit: str | None) -> str:
    """Empty where it is certain that a service does not run; else why it is not."""
    if not unit:
        return "no unit was given to see whether the service runs"
    try:
        properties = unit_properties(unit)
    except MediaOpsError as error:
        return str(error)
    if properties.get("LoadState") not in ("loaded", "masked"):
        return f"systemd knows no unit {unit}"
    if properties.get("ActiveState") not in ("inactive", "failed"):
        return f"{unit} is {one_line(properties.get('ActiveState'), 40)}"
    if main_pid(properties) or unit_pids(properties):
        return f"{unit} has processes left"
    return ""
