# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a service may read overrides from the state directory, and the drop-in of its unit that makes it."""

from __future__ import annotations

import re

from ...module_utils.shapes import Json

_MORE_RIGHTS = re.compile(r"^PermissionsStartOnly=yes$|flags=[^;]*(privileged|no-setuid|ambient)", re.MULTILINE)


def unit_overrides(shown: str, unit: str, state_dir: str, wanted: bool) -> Json:
    """What the unit may have, and has.

    Who owns the state directory chooses what the service reads from there. That is no more than it may do as the
    service's user, unless something of the unit runs with more rights, which LD_PRELOAD would take: then there is no
    drop-in.

    Args:
        shown: what ``systemctl show`` says of the unit, its commands among it; nothing where there is no systemd.
        unit: its name, with or without its ending.
        state_dir: where the file of overrides is.
        wanted: whether the site wants overrides.
    """
    there = re.search(r"^LoadState=loaded$", shown, re.MULTILINE) is not None
    refusal = _refusal(shown) if wanted else "prepare_overrides is false"
    msg = f"{unit} reads no overrides: {refusal}" if refusal else ""
    if not there:
        msg = f"{unit} is not there, or cannot be loaded. Run this again once it is"
    file = f"{state_dir.rstrip('/')}/overrides.env"
    directory = f"/etc/systemd/system/{unit.removesuffix('.service')}.service.d"
    return {
        "there": there,
        "permitted": not refusal,
        # As systemctl shows it, before how it is read
        "shown_as": f"{file} (",
        "in_force": f"{file} (" in shown,
        "directory": directory,
        "drop_in": f"{directory}/50-media-ops.conf",
        # A % of its own is written twice in a unit.
        "environment_file": file.replace("%", "%%"),
        "msg": msg,
    }


def _refusal(shown: str) -> str:
    user = re.search(r"^User=(.+)$", shown, re.MULTILINE)
    if user is None or user[1] in ("root", "0"):
        return "it runs as root"
    if _MORE_RIGHTS.search(shown):
        return "some of its commands run with more rights than its user"
    if not re.search(r"^ExecStartEx=.", shown, re.MULTILINE):
        return "systemd does not tell with which rights its commands run"
    return ""
