# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every filter of the collection shares."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.errors import MediaOpsError


def shown(function: Callable[..., Any]) -> Callable[..., Any]:
    """A domain error becomes the filter's error, with its own words."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except MediaOpsError as error:
            raise AnsibleFilterError(str(error)) from error

    return call
