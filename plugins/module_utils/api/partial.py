# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an answer says of itself beside its list: that it failed, or that there is more than it shows. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..shapes import number, one_line
from ..words import number_of

# Keys as they compare: in small letters, without what separates words
_ERRORS = frozenset({"error", "errors", "partial", "truncated", "istruncated", "incomplete", "degraded", "stale"})
_NOT_WELL = frozenset({"success", "ok", "complete"})
_FAILED = frozenset({"error", "failed", "failure", "partial", "timeout", "incomplete", "degraded"})
_COUNTS = frozenset(
    {"total", "count", "totalcount", "totalsessions", "totalitems", "totalresults", "totalelements", "totalhits"}
)
_PAGES = frozenset({"pages", "totalpages", "pagecount"})
_MORE = frozenset(
    {"hasmore", "more", "next", "hasnext", "hasnextpage", "nextpage", "nexturl", "nextlink", "nextcursor"}
    | {"nexttoken", "nextpagetoken"}
)
_WRAPS = frozenset({"meta", "metadata", "pagination", "paging", "page", "pageinfo", "links", "data", "result"})
_DEPTH_MAX = 3


def contradiction(document: Mapping[str, Any], listed: int) -> str:
    """What an answer says of itself by which its list is not all, for people; empty where nothing does.

    Args:
        document: the answer, or what of it is not the list.
        listed: how many entries its list has.
    """
    said = list(_said(document))
    twice = [key for key, count in Counter(map(_as_compares, document)).items() if count > 1]
    if twice:
        return f"the answer has {one_line(twice[0], 40)} twice, in different letters"
    for name, key, value in said:
        if (key in _ERRORS and value) or (key == "status" and str(value).lower() in _FAILED):
            return f"the answer says of itself {name}: {one_line(value, 60)}"
        if key in _NOT_WELL and value is False:
            return f"the answer says of itself {name}: false"
    for name, key, value in said:
        counted = _counted(value)
        if key in _COUNTS and counted is not None and counted > listed:
            return f"the answer lists {number_of(listed, 'session')}, and its {name} is {counted:g}"
        if key in _PAGES and counted is not None and counted > 1:
            return f"the answer says that there is more: {name} is {counted:g}"
    more = next(((name, value) for name, key, value in said if key in _MORE and value), None)
    return f"the answer says that there is more: {more[0]} is {one_line(more[1], 40)}" if more else ""


def _said(document: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str, Any]]:
    """Each entry of an answer and of what it wraps: its name for people, as it compares, and its value."""
    for name, value in document.items():
        key = _as_compares(name)
        yield f"{before}{one_line(name, 40)}", key, value
        if isinstance(value, Mapping) and key in _WRAPS and not before:
            yield from _said(value, f"{one_line(name, 40)}.")


def by_headers(headers: Mapping[str, str], listed: int) -> str:
    """The same of the headers of an answer."""
    link = headers.get("Link", "")
    if re.search(r"""\brel\s*=\s*"?[^",;]*\bnext\b""", link, re.IGNORECASE):
        return f"the answer says that there is more: its header Link is {one_line(link, 60)}"
    for name in ("X-Total-Count", "X-Total"):
        counted = _counted(headers.get(name))
        if counted is not None and counted > listed:
            return f"the answer lists {number_of(listed, 'session')}, and its header {name} is {counted:g}"
    age = _counted(headers.get("Age"))
    return f"the answer comes out of a cache, where it has been for {age:g} s" if age else ""


def _counted(value: object) -> float | None:
    """A number, also one that is told as text."""
    return float(value) if isinstance(value, str) and value.isascii() and value.isdigit() else number(value)


def _as_compares(name: object) -> str:
    return "".join(filter(str.isalnum, str(name))).lower()


def longest(body: object, depth: int = 0) -> int:
    """How many entries the longest list of an answer has, or the longest table of tables."""
    if isinstance(body, list):
        return max([len(body), *(longest(one, depth + 1) for one in body if depth < _DEPTH_MAX)])
    if isinstance(body, Mapping) and depth < _DEPTH_MAX:
        tables = sum(isinstance(one, Mapping) for one in body.values())
        return max([tables, *(longest(one, depth + 1) for one in body.values())])
    return 0
