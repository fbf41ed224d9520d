# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which alerts a recovery has answered: those of the cause that was treated, from before it. Pure.

An alert of which nobody can say what it is about is answered by none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ...module_utils.shapes import Json, mapping
from ...module_utils.times import from_text

_COMPONENTS = (
    *("system_resources", "ffmpeg", "cloud_storage", "temp_directory", "processing_pipeline", "monitoring_system"),
    "log_files",
)
# A component that only says that others fail is well again with any of these.
_SHOWN_BY = {"processing_pipeline": frozenset({"ffmpeg", "cloud_storage", "timeouts", "errors", "service"})}
# What a service says without naming a component
_SAID = (
    (re.compile(r"\bdisk\b", re.IGNORECASE), frozenset({"system_resources", "temp_directory", "log_files"})),
    (re.compile(r"\b(cpu|memory) usage\b", re.IGNORECASE), frozenset({"system_resources"})),
)


def is_answered(
    alert: Json, recovered: Sequence[Json], error_causes: Mapping[str, str], offset: timedelta = timedelta(0)
) -> datetime | None:
    """When the host recovered from what an alert is about, after it was raised; None where it did not.

    Args:
        alert: a row of the API.
        recovered: the host's recoveries, each with ``at`` and ``cause``.
        error_causes: what an error code points to, ``policy_error_causes``.
        offset: how far the times of the API are ahead of the host's.
    """
    raised, causes = from_text(alert.get("timestamp")), causes_of(alert, error_causes)
    moments = [from_text(row.get("at")) for row in map(mapping, recovered) if str(row.get("cause")) in causes]
    return max((one for one in moments if one and raised and raised - offset <= one), default=None)


def causes_of(alert: Json, error_causes: Mapping[str, str]) -> frozenset[str]:
    """Each cause of which a recovery answers an alert; none where it cannot be told what it is about."""
    metadata = mapping(alert.get("metadata"))
    component, code = metadata.get("component"), metadata.get("error_code")
    if component in _COMPONENTS:
        return _with_others(str(component))
    if isinstance(code, str) and code in error_causes:
        return _with_others(error_causes[code])
    said = f"{alert.get('title') or ''} {alert.get('message') or ''}"
    words = set(re.findall(r"\w+", said))
    by_code = {cause for known, cause in error_causes.items() if known in words}
    if by_code:
        # Of several, nobody can say which it was.
        return _with_others(next(iter(by_code))) if len(by_code) == 1 else frozenset()
    title = str(alert.get("title") or "").lower().replace(" ", "_")
    named = [name for name in _COMPONENTS if name in title]
    if named:
        return _with_others(named[0]) if len(named) == 1 else frozenset()
    return next((causes for pattern, causes in _SAID if pattern.search(str(alert.get("title") or ""))), frozenset())


def _with_others(cause: str) -> frozenset[str]:
    return frozenset({cause}) | _SHOWN_BY.get(cause, frozenset())
