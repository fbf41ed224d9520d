# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dated JSON documents in the host's state directory: written whole or not at all, and bounded in number."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from ..errors import OptionError
from ..times import utc_now
from .directory import failing, open_state_dir, read_file, replace_file

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DATE = re.compile(r"[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STALE_TEMP_S = 3600


def state_report(params: Mapping[str, Any], *, check_mode: bool = False, diff: bool = False) -> dict[str, Any]:
    """Write one document, and drop the oldest of its name."""
    name, day = _name(params["name"]), _day(params["date"])
    if params["keep"] < 1:
        raise OptionError("keep", params["keep"], "must be 1 or more")
    if not 1024 <= params["max_bytes"] <= 100 << 20:
        raise OptionError("max_bytes", params["max_bytes"], f"must be 1024 to {100 << 20}")
    data = _document(params["content"], params["max_bytes"])
    mode = int(params["mode"], 8)
    file_name = f"{name}_{day}.json"
    path = os.path.join(params["state_dir"], file_name)
    result = {"path": path, "bytes": len(data)}

    directory = open_state_dir(params["state_dir"], create=params["create"], check_mode=check_mode)
    if directory is None:
        plan = {**result, "changed": True, "created_dir": True, "removed": [], "kept": 1}
        return {**plan, "diff": _diff(path, b"", data)} if diff else plan
    opened, created_dir = directory
    try:
        old, old_mode = read_file(opened, file_name, path, params["max_bytes"])
        same = _comparable(old, params["volatile"]) == _comparable(data, params["volatile"])
        written = not same or old_mode != mode
        if same:
            # What is on disk stays as it is, the volatile keys too.
            data = old
        others = sorted(_dated(opened, name) - {file_name}, reverse=True)
        surplus = sorted(others[params["keep"] - 1 :])
        if not check_mode:
            if written:
                replace_file(opened, file_name, data, mode, path)
            _remove(opened, surplus, params["state_dir"])
            _drop_stale_temps(opened, name)
    finally:
        os.close(opened)
    result.update(
        bytes=len(data),
        changed=created_dir or written or bool(surplus),
        created_dir=created_dir,
        removed=[os.path.join(params["state_dir"], gone) for gone in surplus],
        kept=1 + len(others) - len(surplus),
    )
    return {**result, "diff": _diff(path, old, data)} if diff else result


def _name(given: str) -> str:
    if not _NAME.fullmatch(given) or len(given) > 64:
        raise OptionError(
            "name", given, "must be a lower case letter, then lower case letters, digits and _, 64 at most"
        )
    return given


def _day(given: str | None) -> str:
    if given is None:
        return utc_now().strftime("%Y%m%d")
    day = given.replace("-", "")
    if not _DATE.fullmatch(given) or not _is_day(day):
        raise OptionError("date", given, "must be a day as YYYYMMDD or YYYY-MM-DD")
    return day


def _is_day(text: str) -> bool:
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


def _document(content: object, max_bytes: int) -> bytes:
    if not isinstance(content, (dict, list)):
        raise OptionError("content", type(content).__name__, "must be a dictionary or a list")
    try:
        text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        data = text.encode("utf-8") + b"\n"
    except (ValueError, TypeError, RecursionError) as error:  # NaN, lone surrogates
        raise OptionError("content", type(content).__name__, f"cannot be written as JSON: {error}") from error
    if len(data) > max_bytes:
        raise OptionError("content", f"{len(data)} bytes", f"is larger than max_bytes, {max_bytes}")
    return data


def _comparable(data: bytes, volatile: Iterable[str]) -> str | None:
    """A text that is equal for equal documents, volatile keys left out; None for what is no document."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    for key in volatile:
        document = _without(document, key.split("."))
    return json.dumps(document, sort_keys=True)


def _without(document: Any, keys: list[str]) -> Any:
    if isinstance(document, list):
        return [_without(element, keys) for element in document]
    if not isinstance(document, dict) or keys[0] not in document:
        return document
    rest = {key: value for key, value in document.items() if key != keys[0]}
    return {**rest, keys[0]: _without(document[keys[0]], keys[1:])} if keys[1:] else rest


def _dated(directory: int, name: str) -> set[str]:
    pattern = re.compile(rf"{name}_([0-9]{{8}})\.json")
    found = (pattern.fullmatch(entry.name) for entry in _entries(directory))
    return {match.group() for match in found if match and _is_day(match.group(1))}


def _entries(directory: int) -> Iterator[os.DirEntry[str]]:
    """The files of a directory, links included."""
    with os.scandir(directory) as entries:
        yield from (entry for entry in entries if not entry.is_dir(follow_symlinks=False))


def _remove(directory: int, names: Iterable[str], state_dir: str) -> None:
    for name in names:
        with failing(f"cannot remove the old {os.path.join(state_dir, name)}"):
            os.unlink(name, dir_fd=directory)


def _drop_stale_temps(directory: int, name: str) -> None:
    """What a killed run left behind."""
    pattern = re.compile(rf"\.{name}_[0-9]{{8}}\.json\.[0-9a-f]{{16}}\.tmp")
    for entry in _entries(directory):
        with contextlib.suppress(OSError):
            if (
                pattern.fullmatch(entry.name)
                and entry.stat(follow_symlinks=False).st_mtime < time.time() - _STALE_TEMP_S
            ):
                os.unlink(entry.name, dir_fd=directory)


def _diff(path: str, before: bytes, after: bytes) -> dict[str, str]:
    return {
        "before_header": path,
        "after_header": path,
        "before": before.decode("utf-8", "replace"),
        "after": after.decode("utf-8"),
    }
