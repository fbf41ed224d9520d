# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter from a module's result to observations; documented in the YAML file beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils.errors import OptionError
from ..plugin_utils.filters import shown
from ..plugin_utils.judging.observations import observe, observe_log


def _observations(result: Any, log: Any = None, *, age_max: Any = 300, skew_max: Any = 120) -> Any:
    found = observe(result, age_max_s=_positive("age_max", age_max), skew_max_s=_positive("skew_max", skew_max))
    return found if log is None else {**found, "log_errors": observe_log(log)}


def _positive(option: str, raw: Any) -> float:
    try:
        value = float(raw)
    except (TypeError, ValueError):
        value = -1
    if not 0 < value < float("inf"):
        raise OptionError(option, raw, "a number of seconds above 0 is needed")
    return value


class FilterModule:
    """Filters over answers."""

    def filters(self) -> Mapping[str, Callable[..., Any]]:
        """The filters by name."""
        return {"observations": shown(_observations)}
