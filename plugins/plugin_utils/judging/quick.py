# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runbook's one-liners, from what a quick look found. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...module_utils.shapes import NOT_OFFERED, SAID_NOT_OFFERED, Json, mapping

PARTS = ("health", "alerts", "sessions", "errors", "resources", "contacts", "endpoints", "logs")
_PATHS = {"health": "/health", "health_detailed": "/health/detailed", "alerts": "/alerts?level=critical"}
_LOGS = ("application.log", "media_processing.log", "errors.log", "performance.log")


def quick_reference(
    found: Json, *, api_url: str, log_dir: str, contacts: Sequence[Any], logs: Sequence[str] = ()
) -> dict[str, Any]:
    """What each part says.

    Args:
        found: what action check gave for ``run_by: quick``.
        api_url: of the monitoring API.
        log_dir: of the service.
        contacts: whom to call.
        logs: of a service that has others than the runbook's.
    """
    answers = mapping(found.get("answers"))
    offered = {name: path for name, path in _PATHS.items() if mapping(answers.get(name)).get("state") != NOT_OFFERED}
    addresses = dict.fromkeys(_address(api_url, path, mapping(answers.get(name))) for name, path in offered.items())
    said = {verdict["check"]: verdict["message"] for verdict in found["verdicts"]}
    return {
        "health": said.get("overall_status", "not checked"),
        "alerts": said.get("error_alerts", "not checked"),
        "sessions": said.get("active_sessions", "not checked"),
        "errors": _errors(mapping(found.get("log"))),
        "resources": _resources(mapping(answers.get("health_detailed"))),
        "contacts": list(contacts),
        "endpoints": list(addresses) or SAID_NOT_OFFERED,
        "logs": list(logs) or [f"{log_dir}/{name}" for name in _LOGS],
    }


def _address(api_url: str, path: str, answer: Json) -> str:
    """Where a person asks: as the runbook says, or of a service of another shape as it was asked."""
    asked = answer.get("url")
    is_ours = not isinstance(asked, str) or not asked or asked.startswith(f"{api_url}{path.partition('?')[0]}")
    return f"{api_url}{path}" if is_ours else str(asked)


def _errors(log: Json) -> Any:
    if log.get("state") == "ok":
        return log.get("last")
    return f"not known: {log.get('reason') or log.get('msg') or 'the log was not read'}"


def _resources(answer: Json) -> Any:
    checks = mapping(answer.get("data")).get("checks")
    if isinstance(checks, list):
        return [row for row in checks if mapping(row).get("component") == "system_resources"]
    return f"not known: {answer.get('reason') or 'no answer'}"
