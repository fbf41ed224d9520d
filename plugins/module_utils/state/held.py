# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who keeps automation off a host, for checks, which ask little of it: a person's pause, or a run that acts there."""

from __future__ import annotations

import os
from typing import Any

from ..errors import MediaOpsError
from ..shapes import one_line
from ..times import utc_now
from .directory import alone, existing
from .guard import FLOCK, Lease, Pause


def held_on_record(state_dir: str) -> dict[str, Any]:
    """How automation stands on this host.

    Returns:
        ``state`` (``ok``, or ``denied`` where it cannot be read), ``reason``, and ``pause`` and ``lease`` as of module
        guard, None where there is none, or it is over.
    """
    nobody: dict[str, Any] = {"state": "ok", "reason": "", "pause": None, "lease": None}
    try:
        if not os.path.lexists(state_dir):
            return nobody
        with existing(state_dir) as directory, alone(directory, FLOCK, state_dir, create=False):
            now = utc_now()
            lease = Lease(directory, now, 0, dry=True).holder()
            pause = Pause(directory, now, dry=True).holds()
    except MediaOpsError as error:
        return {**nobody, "state": "denied", "reason": one_line(error)}
    return {**nobody, "pause": pause, "lease": lease if lease and not lease["expired"] else None}
