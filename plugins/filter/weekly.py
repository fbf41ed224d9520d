# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the weekly performance review; documented in the YAML files beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils.errors import OptionError
from ..module_utils.times import from_text, utc_now
from ..plugin_utils.filters import shown
from ..plugin_utils.week.document import weekly_document
from ..plugin_utils.week.observations import observe_review
from ..plugin_utils.week.render import render_weekly
from ..plugin_utils.week.review import review


def _performance_review(
    reports: Any, thresholds: Any, *, day: Any = None, week: Any = None, now: str | None = None
) -> dict[str, Any]:
    end = utc_now() if now is None else from_text(now)
    if end is None:
        raise OptionError("now", now, "is no ISO 8601 time")
    if not isinstance(thresholds, Mapping):
        raise OptionError("thresholds", thresholds, "a dictionary is needed")
    return review(reports, day=day, week=week, now=end, thresholds=thresholds)


class FilterModule:
    """Filters of the weekly review."""

    def filters(self) -> Mapping[str, Callable[..., Any]]:
        """The filters by name."""
        return {
            "performance_review": shown(_performance_review),
            "review_observations": shown(observe_review),
            "weekly_document": shown(weekly_document),
            "render_weekly": shown(render_weekly),
        }
