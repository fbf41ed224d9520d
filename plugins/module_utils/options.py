# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of options that several modules share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .errors import OptionError


def check_range(params: Mapping[str, Any], option: str, low: float, high: float) -> None:
    """Refuse a number outside of low to high; NaN is outside of everything."""
    if not low <= params[option] <= high:
        raise OptionError(option, params[option], f"must be {low:g} to {high:g}")


def check_absolute(option: str, path: str) -> None:
    """Refuse a path that is relative, cannot be one, or may lead elsewhere than it reads."""
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise OptionError(option, path, "must be an absolute path without '..'")


def patterns_of(params: Mapping[str, Any], option: str) -> list[re.Pattern[str]]:
    """Regular expressions, compiled; refuse what is none."""
    try:
        return [re.compile(pattern) for pattern in params[option]]
    except re.error as error:
        raise OptionError(option, error.pattern, f"is not a regular expression: {error}") from None
