# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of logs that are set aside while they are deleted, and of logs whose name another has. Pure."""

from __future__ import annotations

import hashlib
import os
import re

_ASIDE = re.compile(r"\.(.+)\.archived-[0-9]+")
_SHORTENED = re.compile(r"~[0-9a-f]{16}~")
NAME_MAX = 255
"""Bytes that a name may have."""


def log_name(name: str) -> str:
    """The name of a log, also of one that a killed run had set aside."""
    aside = _ASIDE.fullmatch(name)
    return aside.group(1) if aside else name


def was_shortened(name: str) -> bool:
    """Whether a name is one that :func:`shortened` cut."""
    return _SHORTENED.search(name) is not None


def aside_name(name: str, inode: int) -> str:
    """A name that no rotation touches, with what tells the log in it; it is no longer than a name may be."""
    suffix = f".archived-{inode}"
    return f".{shortened(name, NAME_MAX - 1 - len(suffix))}{suffix}"


def shortened(name: str, length: int) -> str:
    """A name of so many bytes at most, with its beginning and its end, and a mark in their midst if it was longer."""
    whole = os.fsencode(name)
    if len(whole) <= length:
        return name
    mark = f"~{hashlib.sha256(whole).hexdigest()[:16]}~"
    end = length // 4
    return whole[: length - end - len(mark)].decode("utf-8", "ignore") + mark + whole[-end:].decode("utf-8", "ignore")
