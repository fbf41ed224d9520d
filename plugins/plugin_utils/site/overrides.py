# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a service may read overrides, and the drop-in of its unit that makes it."""

from __future__ import annotations

import re

from ...module_utils.service.overrides import ENV_FILE
from ...module_utils.shapes import Json

_MORE_RIGHTS = re.compile(r"^PermissionsStartOnly=yes$|flags=[^;]*(privileged|no-setuid|ambient)", re.MULTILINE)
_CAPABILITIES = re.compile(r"^AmbientCapabilities=.", re.MULTILINE)
# systemctl show does not print them before systemd 254, so they are looked for in the unit's files.
_CREDENTIALS = re.compile(r"^\s*(Load|Set|Import)Credential(Encrypted)?\s*=\s*\S", re.MULTILINE)


def unit_overrides(shown: str, files: str, unit: str, wanted: bool) -> Json:
    """What the unit may have, and has.

    Whoever sets a variable of a service steers it within what the allow list permits. That is no more than it may do as
    the service's user, unless something of the unit has more rights than that user: then there is no drop-in.
    Supplementary groups are no reason, since they give a service files and nothing that a number could turn.

    Args:
        shown: what ``systemctl show`` says of the unit, its commands among it; nothing where there is no systemd.
        files: what ``systemctl cat`` says of it.
        unit: its name, with or without its ending.
        wanted: whether the site wants overrides.
    """
    there = re.search(r"^LoadState=loaded$", shown, re.MULTILINE) is not None
    refusal = _refusal(shown, files) if wanted else "prepare_overrides is false"
    msg = f"{unit} reads no overrides: {refusal}" if refusal else ""
    if not there:
        msg = f"{unit} is not there, or cannot be loaded. Run this again once it is"
    directory = f"/etc/systemd/system/{unit.removesuffix('.service')}.service.d"
    return {
        "there": there,
        "permitted": not refusal,
        # As systemctl shows it, before how it is read
        "shown_as": f"{ENV_FILE} (",
        "in_force": f"{ENV_FILE} (" in shown,
        "directory": directory,
        "drop_in": f"{directory}/50-media-ops.conf",
        "environment_file": ENV_FILE,
        "msg": msg,
    }


def _refusal(shown: str, files: str) -> str:
    user = re.search(r"^User=(.+)$", shown, re.MULTILINE)
    if user is None or user[1] in ("root", "0"):
        return "it runs as root"
    if _MORE_RIGHTS.search(shown):
        return "some of its commands run with more rights than its user"
    if _CAPABILITIES.search(shown):
        return "it has capabilities that its user does not have (AmbientCapabilities=)"
    if _CREDENTIALS.search(files):
        return "it is given credentials that its user cannot read elsewhere (LoadCredential= or the like)"
    if not re.search(r"^ExecStartEx=.", shown, re.MULTILINE):
        return "systemd does not tell with which rights its commands run"
    return ""
