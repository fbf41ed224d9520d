# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of module log_archive, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ..errors import OptionError
from ..redact import Redactor
from .archive import compression_of, read_day
from .expiry import Terms
from .live import may_take_a_log


@dataclass(frozen=True)
class Settings:
    """Options that were checked; ``day`` is the one that an archive is named after, ``today`` that of the run."""

    patterns: Sequence[str]
    limits: Sequence[Mapping[str, Any]]
    terms: Terms
    expected_ratio: float
    today: date
    day: date
    compression: str
    plan_hash: str | None
    redactor: Redactor | None


def read_settings(params: Mapping[str, Any], redactor: Redactor | None, today: date) -> Settings:
    """The options of module log_archive, checked.

    Args:
        params: the options.
        redactor: takes the secrets out of what goes into an archive, None for the lines as they are.
        today: the day of the run.

    Raises:
        OptionError: one cannot be meant.
    """
    if params["keep_days"] < 1:
        raise OptionError("keep_days", params["keep_days"], "must be 1 or more")
    most = params["held_max_percent"]
    if most is not None and not 0 < most <= 100:
        raise OptionError("held_max_percent", most, "must be more than 0, and 100 at most")
    if not 0 < params["expected_ratio"] <= 1:
        raise OptionError("expected_ratio", params["expected_ratio"], "must be more than 0, and 1 at most")
    for pattern in params["patterns"] or [""]:
        if not pattern or "/" in pattern:
            raise OptionError("patterns", pattern, "must be patterns of file names: not empty, and without /")
        if may_take_a_log(pattern):
            raise OptionError(
                "patterns", pattern, "would take logs that are written to: it fits names that end with .log"
            )
    return Settings(
        patterns=params["patterns"],
        limits=params["limits"],
        terms=Terms(params["keep_days"], params["copied_to"] or "", most),
        expected_ratio=params["expected_ratio"],
        today=today,
        day=_day(params["date"], today),
        compression=compression_of(params["compression"]),
        plan_hash=params["plan_hash"],
        redactor=redactor,
    )


def _day(given: str | None, today: date) -> date:
    if given is None:
        return today
    try:
        return read_day(given.replace("-", ""))
    except ValueError:
        raise OptionError("date", given, "must be a day as YYYYMMDD or YYYY-MM-DD") from None
