# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module log_digest_info: a log of JSON lines, read once as a stream, and what is worth knowing of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Callable

from ..deadline import deadline_of
from ..errors import OptionError
from ..state.directory import open_existing, read_file, replace_file
from ..times import utc_now
from .digest import Digest
from .fields import OPTION as LOG_FIELDS
from .fields import LogFields
from .files import Cursor, Place
from .reading import Reading
from .scan import BLOCK, Scanner
from .where import OPS, Where, getter
from .writers import time_reader

_RANGES = {
    "hours": (0.001, 87_840),
    "last": (0, 500),
    "max_values": (1, 10_000),
    "max_text": (20, 100_000),
    "max_line_bytes": (BLOCK, 8 << 20),
    "max_bytes": (1 << 20, 1 << 50),
}

_CURSOR_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CURSOR_MAX = 4096


def argument_spec() -> dict[str, Any]:
    """The options of the module."""
    fields = {"type": "list", "elements": "str", "default": []}
    return {
        "path": {"type": "path", "required": True},
        "include_rotated": {"type": "bool", "default": False},
        "hours": {"type": "float"},
        "time_field": {"type": "str", "default": "timestamp"},
        "where": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "field": {"type": "str", "required": True},
                "op": {"type": "str", "choices": list(OPS), "default": "eq"},
                "value": {"type": "raw"},
            },
        },
        "failures_only": {"type": "bool", "default": False},
        "count_by": fields,
        "numeric": fields,
        "count_scope": {"type": "str", "choices": ["all", "last"], "default": "all"},
        "max_values": {"type": "int", "default": 100},
        "last": {"type": "int", "default": 0},
        "fields": fields,
        "max_text": {"type": "int", "default": 2000},
        "cursor": {"type": "str"},
        "state_dir": {"type": "path"},
        "max_line_bytes": {"type": "int", "default": 1 << 20},
        "max_bytes": {"type": "int"},
        "parse_all": {"type": "bool", "default": False},
        LOG_FIELDS: {"type": "dict", "default": {}},
    }


def log_digest(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """The result of module log_digest_info."""
    since = _check(params)
    own = LogFields(params[LOG_FIELDS])
    digest = Digest(
        count_by={field: getter("count_by", field) for field in params["count_by"]},
        numeric={field: getter("numeric", field) for field in params["numeric"]},
        fields={field: getter("fields", field) for field in params["fields"]},
        time_of=_time_of(params),
        last=params["last"],
        only_last=params["count_scope"] == "last",
        max_values=params["max_values"],
        max_text=params["max_text"],
        since=since,
        entry_of=own.read,
    )
    scanner = Scanner(
        digest,
        Where(params["where"], failures_only=params["failures_only"]),
        max_line_bytes=params["max_line_bytes"],
        parse_all=params["parse_all"],
        fields=own,
    )
    store = _CursorStore(params) if params["cursor"] else None
    try:
        reading = Reading(
            params["path"],
            scanner,
            rotated=params["include_rotated"],
            max_bytes=params["max_bytes"],
            cursor=store.cursor if store else None,
            since=since,
            deadline=deadline_of("log_digest_info", params),
        )
        reading.run()
        # What nobody gets to see was not read.
        keeps = store and reading.places and not check_mode and not reading.is_late
        written = store.save(reading.places) if store and keeps else False
    finally:
        if store:
            store.close()
    return {
        **reading.result(),
        "lines": scanner.lines,
        "bad_lines": scanner.bad_lines,
        "too_long_lines": scanner.too_long_lines,
        "unlevelled": scanner.unlevelled,
        "parsed": "all" if scanner.parses_all else "matching",
        **digest.result(),
        "cursor": {"path": store.path, "found": store.found, "written": written} if store else None,
        "cursor_reset": store.cursor.reset if store else "",
    }


def _time_of(params: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], datetime | None]:
    getter("time_field", params["time_field"])
    return time_reader(params["time_field"])


def _check(params: Mapping[str, Any]) -> datetime | None:
    if not params["path"].startswith("/") or "\0" in params["path"]:
        raise OptionError("path", params["path"], "must be an absolute path")
    for option, (low, high) in _RANGES.items():
        if params[option] is not None and not low <= params[option] <= high:
            raise OptionError(option, params[option], f"must be {low} to {high}")
    for option in ("where", "count_by", "numeric", "fields"):
        if len(params[option]) > 20:
            raise OptionError(option, f"{len(params[option])} entries", "must have 20 at most")
    _check_together(params)
    if params["hours"] is None:
        return None
    return utc_now() - timedelta(hours=params["hours"])


def _check_together(params: Mapping[str, Any]) -> None:
    """Options that need one another."""
    if params["count_scope"] == "last" and not params["last"]:
        raise OptionError("count_scope", "last", "needs last, the number of entries to count")
    if params["fields"] and not params["last"]:
        raise OptionError("fields", params["fields"], "needs last, the number of entries to show")
    if params["cursor"] is None:
        return
    if not _CURSOR_NAME.fullmatch(params["cursor"]):
        raise OptionError(
            "cursor",
            params["cursor"],
            "must be a lower case letter, then lower case letters, digits and _, 64 at most",
        )
    if params["state_dir"] is None:
        raise OptionError("cursor", params["cursor"], "needs state_dir, the directory to keep it in")


class _CursorStore:
    """The cursor's file in the state directory."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.log = params["path"]
        self._name = f"log_cursor_{params['cursor']}.json"
        self.path = os.path.join(params["state_dir"], self._name)
        self._directory = open_existing(params["state_dir"])
        try:
            data, mode = read_file(self._directory, self._name, self.path, _CURSOR_MAX)
        except BaseException:
            self.close()
            raise
        self.found = mode is not None
        self.cursor = Cursor.from_bytes(data, self.log) if self.found else Cursor([])
        self._data = data

    def save(self, places: list[Place]) -> bool:
        data = Cursor(places).to_bytes(self.log)
        if data == self._data:
            return False
        replace_file(self._directory, self._name, data, 0o600, self.path)
        return True

    def close(self) -> None:
        os.close(self._directory)
