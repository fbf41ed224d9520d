# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service tells of the time just past, where it can be trusted and is of a time that has come. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...module_utils.shapes import NOT_OFFERED, Json, mapping
from ...module_utils.times import from_text, to_text
from .checked import ages_of, counting_of
from .details import details
from .observations import observe
from .shapes import SHORT


@dataclass(frozen=True)
class ToldNow:
    """The figures for the reports of days; empty, with the fault and the reason, where they are not to be kept."""

    document: dict[str, Any]
    fault: str = ""
    reason: str = ""


def told_now(
    answer: Json, log: Json | None, hours: int, *, policy: Json, service_offset_s: float | None, now: datetime
) -> ToldNow:
    """What of an answer of pipeline_info, and of a digest of the log, is for the reports of days.

    Args:
        answer: of pipeline_info, with stats and metrics.
        log: of log_digest_info, where it was asked.
        hours: for how many the stats were asked.
        policy: as for ``checked``.
        service_offset_s: how many seconds the service's times are known to be ahead of the host's clock.
        now: by the controller's clock.
    """
    age_max_s, skew_max_s = ages_of(policy)
    counting = counting_of(policy, (), service_offset_s)
    observed = observe(answer, age_max_s=age_max_s, skew_max_s=skew_max_s, counting=counting)
    total = observed.get(f"total_operations_{hours}h") or observed["host"]
    if not total["applicable"]:
        return ToldNow({}, NOT_OFFERED, total["note"])
    # Of a log that begins within the window, what it has is kept; how much that is, the reports say.
    if total["fault"] not in ("", SHORT) or total["value"] is None:
        return ToldNow({}, total["fault"] or "missing", total["reason"])
    stats = mapping(mapping(mapping(answer.get("endpoints")).get("stats")).get("data"))
    dated = from_text(stats.get("generated_at"))
    if dated and (dated - now).total_seconds() > skew_max_s:
        # Kept, they would stand beside the figures of a day that has not come, and count once more when it has.
        ahead = (
            f"the figures are dated {to_text(dated)}, ahead of the controller's clock ({to_text(now)}), and not kept"
        )
        return ToldNow({}, "clock", ahead)
    found = details(answer, log)
    return ToldNow({"stats": dict(stats), "metrics": found["metrics"], "log_errors": found["log"] if log else None})
