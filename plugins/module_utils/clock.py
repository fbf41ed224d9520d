# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's clock beside the controller's. What is deleted by its age must not go because a clock jumped ahead."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .errors import MediaOpsError, OptionError
from .options import check_range
from .times import from_text, to_text, utc_now


def clock_argument_spec() -> dict[str, Any]:
    """The options that doc fragment ``clock`` describes; they are required together."""
    return {"controller_time": {"type": "str"}, "clock_skew_max": {"type": "float"}}


def clock_offset(params: Mapping[str, Any]) -> float | None:
    """Seconds by which this host's clock is ahead of ``controller_time``, behind is negative; None without the option.

    The way of the task to the host is in it, a second or two.

    Raises:
        OptionError: it is no time.
    """
    given = params.get("controller_time")
    if given is None:
        return None
    moment = from_text(given)
    if moment is None:
        raise OptionError("controller_time", given, "is no ISO 8601 time")
    return round(time.time() - moment.timestamp(), 1)


def require_clock(params: Mapping[str, Any]) -> None:
    """Refuse to reckon ages by a clock that is further off than ``clock_skew_max``.

    Raises:
        MediaOpsError: it is.
        OptionError: an option is out of range.
    """
    offset = clock_offset(params)
    if offset is None:
        return
    check_range(params, "clock_skew_max", 1, 86400)
    if abs(offset) > params["clock_skew_max"]:
        now = to_text(utc_now())
        raise MediaOpsError(
            f"the clock of this host ({now}) is {said(offset)} ({params['controller_time']}), more than "
            f"clock_skew_max={params['clock_skew_max']:g}: nothing is deleted by its age. Set the clock first"
        )


def said(offset: float) -> str:
    """An offset in words."""
    return f"{abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} the controller's"
