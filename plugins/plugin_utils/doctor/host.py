# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What works on a host and what does not: all of its rows, in the order in which they are mended. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ...module_utils.clock import said as offset_said
from ...module_utils.shapes import number
from ..judging.checked import ages_of
from . import access, api, files, service
from .rows import Rows
from .seen import Seen, Settings


def host_rows(seen: Seen, site: Settings) -> Rows:
    """All rows of a host, in the order in which they are mended."""
    found = Rows()
    access.connection_row(found, seen, site)
    if seen.reach.state != "ok":
        return found
    if not access.python_row(found, seen, site):
        _clock(found, seen, site)
        return found
    for part in _PARTS:
        part(found, seen, site)
    return found


def _clock(found: Rows, seen: Seen, site: Settings) -> None:
    _age_max_s, skew_max_s = ages_of(site.policy)
    told = number(seen.info.get("clock_offset_s"))
    offset, error = (told, 0.0) if told is not None else (seen.reach.offset_s, seen.reach.offset_error_s)
    if offset is None:
        found.add("clock", "unknown", "the host does not tell the time")
    elif abs(offset) - error > skew_max_s:
        cure = "Set the clock (timedatectl set-ntp true): by such a one nothing is deleted"
        found.add("clock", "warning", f"it is {offset_said(offset)}", cure)
    else:
        found.add("clock", "ok", f"within {skew_max_s:g} s of the controller's")


_PARTS: tuple[Callable[[Rows, Seen, Settings], None], ...] = (
    access.libraries_row,
    access.sudo_row,
    access.state_dir_row,
    service.service_row,
    service.service_user_row,
    api.api_row,
    api.token_row,
    api.endpoint_rows,
    files.log_rows,
    files.directory_rows,
    service.bucket_row,
    service.ffmpeg_row,
    _clock,
    files.disk_row,
)
