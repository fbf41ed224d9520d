# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Conditions on log entries: one list of {field, op, value}, all of which must hold.

Besides the test of a parsed entry, a list of conditions gives patterns for the raw bytes: a line in which none of them
is found cannot fulfil the conditions and need not be parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, NamedTuple

from ..errors import OptionError
from ..shapes import number
from .writers import LEVELS, has_failed, level_name, level_of, level_of_number

OPS = ("eq", "ne", "gt", "ge", "lt", "le", "in", "not_in", "exists", "contains", "contains_token")
ANYWHERE = "*"
LEVEL = "level"
"""This field is the entry's level by one of five names, however its writer has it."""

Get = Callable[[Mapping[str, Any]], Any]
Test = Callable[[Mapping[str, Any]], bool]

_VALUES_MAX = 100
_PATTERNS_MAX = 8
# JSON can write these characters in one other way only, as \u00XX, for which there is a pattern.
_PLAIN = re.compile(r"[A-Za-z0-9 _.,:;+=@#%()-]+")
_WORD = "[A-Za-z0-9_-]"


def getter(option: str, field: str) -> Get:
    """What reads a dotted field of an entry: its value, or None where it is missing."""
    keys = field.split(".")
    if not all(keys) or len(field) > 200:
        raise OptionError(option, field, "must be names joined by dots, as extra.error_code, 200 characters at most")
    if field == LEVEL:
        return lambda entry: level_of(entry) or entry.get(LEVEL)
    if len(keys) == 1:
        return lambda entry: entry.get(field)
    if len(keys) == 2:
        outer, inner = keys
        return lambda entry: found.get(inner) if isinstance(found := entry.get(outer), dict) else entry.get(field)

    def get(entry: Any) -> Any:
        if field in entry:
            return entry[field]
        for key in keys:
            if not isinstance(entry, dict):
                return None
            entry = entry.get(key)
        return entry

    return get


class Where:
    """Conditions that were checked.

    Attributes:
        by_level: the test of an entry's level, None where no condition is on it.
        patterns: what is found in each line that fulfils the conditions; empty where nothing is known to be.
    """

    def __init__(self, conditions: Sequence[Mapping[str, Any]], *, failures_only: bool = False) -> None:
        levels = [_on_level(condition) for condition in conditions if condition["field"] == LEVEL]
        made = [_condition(condition) for condition in conditions if condition["field"] != LEVEL]
        self._tests = [test for test, _patterns in made]
        if failures_only:
            self._tests.append(has_failed)
        self.by_level: Callable[[Any], bool] | None = (
            (lambda level: all(test(level) for test in levels)) if levels else None
        )
        self.by_level_only = self.by_level is not None and not self._tests
        usable = [patterns for _test, patterns in made if patterns and len(patterns) <= _PATTERNS_MAX]
        # A long text is rarer than a short one, and a value rarer than the name of a field.
        best = max(
            usable, key=lambda patterns: (patterns[0].is_value, min(len(text.raw) for text in patterns)), default=[]
        )
        self.patterns = [Pattern(re.compile(re.escape(text.raw)), text.raw) for text in best]
        if self.patterns:
            self.patterns.append(Pattern(re.compile(rb"\\u00[2-7]"), b"\\"))

    def test(self) -> Test:
        """The test of a parsed entry, but for its level."""
        tests = self._tests
        if len(tests) == 1:
            return tests[0]
        return lambda entry: all(test(entry) for test in tests)


def _on_level(condition: Mapping[str, Any]) -> Callable[[Any], bool]:
    """The test of a level: of the name that it has in common, or of what is none."""
    op, value = condition["op"], condition.get("value")
    if op in ("gt", "ge", "lt", "le"):
        least = _as_level(value)
        if least not in LEVELS:
            raise _refuse(condition, f"a level: {', '.join(LEVELS)}")
        rank = LEVELS.index(least)
        compare: Callable[[int], bool] = {
            "gt": lambda found: found > rank,
            "ge": lambda found: found >= rank,
            "lt": lambda found: found < rank,
            "le": lambda found: found <= rank,
        }[op]
        return lambda level: level in LEVELS and compare(LEVELS.index(level))
    wanted = [_as_level(one) for one in value] if isinstance(value, list) else _as_level(value)
    test, _patterns = _condition({**condition, "value": wanted})
    return lambda level: test({LEVEL: level})


def _as_level(value: Any) -> Any:
    return level_name(value) or level_of_number(value) or value


class Pattern(NamedTuple):
    """What to find in raw bytes: an expression, and bytes that it starts with, all of them or some."""

    expression: re.Pattern[bytes]
    start: bytes


class _Raw:
    """A text as it stands in a line."""

    def __init__(self, text: str, *, is_value: bool) -> None:
        self.raw = text.encode("ascii")
        self.is_value = is_value


def _condition(condition: Mapping[str, Any]) -> tuple[Test, list[_Raw]]:
    field, op, value = condition["field"], condition["op"], condition.get("value")
    if field == ANYWHERE:
        if op not in ("contains", "contains_token"):
            raise OptionError(
                "where", dict(condition), f"field '{ANYWHERE}' goes with contains and contains_token only"
            )
        get: Get = _texts
    else:
        get = getter("where", field)
    make = {"in": _among, "not_in": _among, "exists": _exists, "contains": _text, "contains_token": _text}.get(op)
    if make is None:
        make = _equal if op in ("eq", "ne") else _ordered
    return make(get, op, value, condition)


def _refuse(condition: Mapping[str, Any], why: str) -> OptionError:
    return OptionError("where", dict(condition), f"{condition['op']} needs as value {why}")


def _is_scalar(value: object) -> bool:
    return isinstance(value, (str, bool)) or number(value) is not None


def same(one: object, other: object) -> bool:
    """Equal, and of the same JSON type: 1 is not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other


def _equal(get: Get, op: str, value: Any, condition: Mapping[str, Any]) -> tuple[Test, list[_Raw]]:
    if not _is_scalar(value):
        raise _refuse(condition, "a text, a number, true or false (for null, use exists)")
    if op == "ne":
        return (lambda entry: not same(get(entry), value)), []
    if isinstance(value, str):
        return (lambda entry: get(entry) == value), _whole([value]) or _named(condition)
    return (lambda entry: same(get(entry), value)), _named(condition)


def _among(get: Get, op: str, value: Any, condition: Mapping[str, Any]) -> tuple[Test, list[_Raw]]:
    if not isinstance(value, list) or not 1 <= len(value) <= _VALUES_MAX or not all(map(_is_scalar, value)):
        raise _refuse(condition, f"a list of 1 to {_VALUES_MAX} texts, numbers, true or false")
    if op == "not_in":
        return (lambda entry: not any(same(get(entry), one) for one in value)), []
    return (lambda entry: any(same(get(entry), one) for one in value)), _whole(value) or _named(condition)


def _ordered(get: Get, op: str, value: Any, condition: Mapping[str, Any]) -> tuple[Test, list[_Raw]]:
    if number(value) is None:
        raise _refuse(condition, "a number")
    compare: Callable[[Any], bool] = {
        "gt": lambda found: found > value,
        "ge": lambda found: found >= value,
        "lt": lambda found: found < value,
        "le": lambda found: found <= value,
    }[op]

    def test(entry: Mapping[str, Any]) -> bool:
        found = number(get(entry))
        return found is not None and compare(found)

    return test, _named(condition)


def _exists(get: Get, _op: str, value: Any, condition: Mapping[str, Any]) -> tuple[Test, list[_Raw]]:
    if value is not None and not isinstance(value, bool):
        raise _refuse(condition, "true (the default) or false")
    if value is False:
        return (lambda entry: get(entry) is None), []
    return (lambda entry: get(entry) is not None), _named(condition)


def _text(get: Get, op: str, value: Any, condition: Mapping[str, Any]) -> tuple[Test, list[_Raw]]:
    if not isinstance(value, str) or not value.strip():
        raise _refuse(condition, "a text that is not empty")
    text = re.escape(value)
    holds = re.compile(f"(?<!{_WORD}){text}(?!{_WORD})" if op == "contains_token" else text).search

    def test(entry: Mapping[str, Any]) -> bool:
        found = get(entry)
        texts = found if isinstance(found, Iterator) else (found,)
        return any(holds(text) for text in map(_as_text, texts) if text)

    run = max(_PLAIN.findall(value), key=len, default="")
    return test, [_Raw(run, is_value=True)] if run else []


def _as_text(value: object) -> str:
    """A text as it is, and a whole number (an id) by its digits."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _texts(value: Any) -> Iterator[Any]:
    """Every value of an entry that is neither object nor list, however deep."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            todo.extend(one.values())
        elif isinstance(one, list):
            todo.extend(one)
        else:
            yield one


def _whole(texts: Sequence[Any]) -> list[_Raw]:
    """Patterns of which a line has one when a value of it is one of the texts; none where that cannot be said."""
    # The first quotation mark is left out: a search for a rarer first character is several times as fast.
    found = [_Raw(text + '"', is_value=True) for text in texts if isinstance(text, str) and _PLAIN.fullmatch(text)]
    return found if len(found) == len(texts) else []


def _named(condition: Mapping[str, Any]) -> list[_Raw]:
    """The name of the field, for a condition that only an entry with this field fulfils."""
    key = condition["field"].rpartition(".")[2]
    return [_Raw(key + '"', is_value=False)] if _PLAIN.fullmatch(key) else []
