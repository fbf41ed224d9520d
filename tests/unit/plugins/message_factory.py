"""Messages as alert_state makes them."""

from __future__ import annotations

from typing import Any


def message(host: str = "media1", **changes: Any) -> dict[str, Any]:
    """A message that a bad state began, with what a test wants otherwise."""
    check = changes.get("check", "overall_status")
    made = {
        "id": f"{host}-{check}-{changes.get('event', 'began')}",
        "event": "began",
        "source": "watch_health",
        "run_id": "20261124T060000Z",
        "host": host,
        "check": check,
        "title": "Overall status",
        "severity": "critical",
        "severity_was": "ok",
        "state": "critical",
        "was": "ok",
        "since": "2026-11-24T06:00:00Z",
        "began_at": "2026-11-24T06:00:00Z",
        "at": "2026-11-24T06:00:00Z",
        "duration_s": 0,
        "suppressed": 0,
        "message": "Overall status: critical",
        "action": "Follow the critical system response",
        "playbook": "incident_critical_system",
        "dedup_key": f"media-ops:{host}:watch_health:{check}",
        "sent_to": [],
    }
    return {**made, **changes}


def ended(host: str = "media1", **changes: Any) -> dict[str, Any]:
    """A message that a critical state ended after a quarter of an hour."""
    end = {"event": "ended", "severity_was": "critical", "state": "ok", "was": "critical", "duration_s": 900}
    end |= {"since": "2026-11-24T06:15:00Z", "at": "2026-11-24T06:15:00Z", "suppressed": 2}
    end |= {"message": "Overall status: healthy", "action": "", "playbook": ""}
    return message(host, **{**end, **changes})


def alert(of: dict[str, Any]) -> dict[str, Any]:
    """The open alert that a message speaks of."""
    names = ("source", "host", "check", "title", "state", "severity", "since", "began_at", "dedup_key")
    return {**{name: of[name] for name in names}, "flapping": False}
