# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Until when a token is valid, where it says so itself. Whether it is accepted, the API alone can tell."""

from __future__ import annotations

import base64
import binascii

from ..shapes import json_object, number

_LATEST = 253402300799  # the last second that a date of Python can be


def token_end(token: str) -> float | None:
    """When a JSON Web Token ends, in seconds since 1970; None for one that does not say so, or is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json_object(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    end = number(claims.get("exp"))
    return float(end) if end is not None and 0 < end <= _LATEST else None
