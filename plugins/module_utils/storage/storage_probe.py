# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A storage probe with the service's own credentials, in a child process that has the service's environment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable

from ..times import to_text, utc_now
from .client import PLAIN_REQUESTS, in_child, need_boto3
from .settings import Settings, clean, read_settings
from .steps import Probe


def storage_probe(params: Mapping[str, Any], *, check_mode: bool, hide: Callable[[str], None]) -> dict[str, Any]:
    """Probe the service's storage; everything that is wrong with it is a value.

    Args:
        params: the module's parameters.
        check_mode: whether nothing is to be written.
        hide: takes each secret that must not be in the module's output.

    Raises:
        OptionError: an option cannot be right.
        MissingLibraryError: boto3 is not on the host.
    """
    settings = read_settings(params, check_mode=check_mode, hide=hide)
    began = time.monotonic()
    checked_at = to_text(utc_now())
    if settings.trouble:
        found = _not_probed(settings, settings.trouble.state, settings.trouble.reason)
    else:
        need_boto3()
        ended = in_child(settings, lambda: Probe(settings).run(), settings.total_timeout, **PLAIN_REQUESTS)
        why = f"the probe ended without a result (wait status {ended.status})"
        found = _not_probed(settings, "unknown", why) if ended.found is None else ended.found
    result = {
        **found,
        "bucket": settings.bucket,
        "region": settings.region,
        "addressing": settings.addressing,
        "environment": settings.environment(),
        "environment_source": settings.source,
        "checked_at": checked_at,
        "elapsed_ms": round((time.monotonic() - began) * 1000),
        "changed": False,
    }
    return clean(result, settings.hidden())  # type: ignore[no-any-return]


def _not_probed(settings: Settings, state: str, reason: str) -> dict[str, Any]:
    probe = Probe(settings)
    probe.skip_all(state, reason)
    return probe.report
