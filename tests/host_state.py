"""What lies in a host's state directory, read as the product reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.media_ops.runbook.plugins.module_utils.state.slots import newest


def said_by(data: bytes | str) -> dict[str, Any] | None:
    """The document of a file of slots; None where it says that there is none, or is empty because it is not there."""
    given = data.encode() if isinstance(data, str) else data
    return newest(given)[1] if given else None


def held(state: Path) -> dict[str, Any] | None:
    """The lease in a state directory."""
    path = state / "lease.slots"
    return said_by(path.read_bytes()) if path.exists() else None


def entries(text: str) -> list[dict[str, Any]]:
    """The entries of a ledger's file; its room is empty lines."""
    return [json.loads(line) for line in text.split("\n") if line]
