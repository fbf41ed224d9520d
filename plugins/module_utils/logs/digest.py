# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is made of the log entries that match: counts by value, the last ones, figures of numbers. Bounded in memory."""

from __future__ import annotations

import json
import math
import sys
from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Callable

from ..shapes import number
from ..times import to_text
from .where import Get
from .writers import carried_entry, carried_text, with_time

UNKNOWN, OTHER = "UNKNOWN", "OTHER"
RELATIVE_ERROR = 0.01
EXACT_MAX = 50_000

_VALUE_MAX = 200
_SHORT_LINE = 4096
_ENTRY_BUDGET = 16_384
_DEPTH_MAX = 20
_EXPONENT_MAX = math.log(sys.float_info.max)
_LOG_GAMMA = math.log((1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR))


_decoder: Any = json.JSONDecoder(strict=False, parse_constant=lambda _name: None)
# Half the time of decode, which looks for space first.
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once


def parse(line: bytes | bytearray) -> dict[str, Any] | None:
    """The JSON object of a line, else None. Invalid UTF-8 and control characters within texts do not spoil it.

    What Docker, Kubernetes, the journal or syslog carried is the object within theirs, or behind what they wrote.
    """
    text = line.decode("utf-8", "replace")
    try:
        entry, end = _scan(text, 0)
        if end != len(text):
            entry = _decoder.decode(text)
    except StopIteration:  # space before it, or nothing that starts a value
        return parse(line.lstrip()) if line[:1].isspace() else _behind_a_head(text)
    except (ValueError, RecursionError):
        return _behind_a_head(text)
    if not isinstance(entry, dict):
        return None
    return carried_entry(entry, _decoder.decode) if "log" in entry or "MESSAGE" in entry else entry


def _behind_a_head(text: str) -> dict[str, Any] | None:
    carried, at = carried_text(text)
    try:
        entry = _decoder.decode(carried)
    except (ValueError, RecursionError):
        return None
    return with_time(entry, at) if isinstance(entry, dict) else None


def shown(value: Any) -> str:
    """A value as it is counted: a text as it is, everything else as JSON, shortened."""
    if value is None:
        return UNKNOWN
    text = value if isinstance(value, str) else json.dumps(tidy(value, _VALUE_MAX), separators=(",", ":"))
    return shortened(text, _VALUE_MAX)


def shortened(text: str, limit: int) -> str:
    """At most so many characters and a note of how many more there were; lone surrogates are replaced."""
    cut = text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more characters)"
    return cut.encode("utf-8", "replace").decode("utf-8")


def tidy(value: Any, max_text: int) -> Any:
    """A value for the result: texts shortened, the whole bounded, no number that JSON lacks."""
    return _Tidy(max_text).of(value, 0)


class _Tidy:
    def __init__(self, max_text: int) -> None:
        self.max_text = max_text
        self.left = _ENTRY_BUDGET

    def of(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            limit = max(0, min(self.max_text, self.left))
            self.left -= min(len(value), limit)
            return shortened(value, limit)
        self.left -= 8
        if isinstance(value, (dict, list)) and depth >= _DEPTH_MAX:
            return "…"
        if isinstance(value, dict):
            made: dict[Any, Any] = {}
            for key, one in value.items():
                if self.left <= 0:
                    made["…"] = f"{len(value) - len(made)} more keys"
                    break
                made[self.of(key, depth)] = self.of(one, depth + 1)
            return made
        if isinstance(value, list):
            row: list[Any] = []
            for one in value:
                if self.left <= 0:
                    row.append(f"… ({len(value) - len(row)} more)")
                    break
                row.append(self.of(one, depth + 1))
            return row
        # A whole number that no float holds would break the next reader of the result.
        return value if value is None or isinstance(value, bool) else number(value)


class Counts:
    """How often each value of a field was seen. The first so many different values are told apart."""

    def __init__(self, max_values: int) -> None:
        self.max_values = max_values
        self.by_value: dict[str, int] = {}
        self.other = 0

    def add(self, value: Any) -> None:
        text = value if isinstance(value, str) and len(value) <= _VALUE_MAX else shown(value)
        if text in self.by_value:
            self.by_value[text] += 1
        elif len(self.by_value) < self.max_values:
            self.by_value[text] = 1
        else:
            self.other += 1

    def rows(self) -> list[dict[str, Any]]:
        found = sorted(self.by_value.items(), key=lambda item: (-item[1], item[0]))
        rows = [{"value": shortened(value, 2 * _VALUE_MAX), "count": count} for value, count in found]
        return [*rows, {"value": OTHER, "count": self.other}] if self.other else rows


class Figures:
    """Figures of a numeric field. Percentiles are exact up to EXACT_MAX numbers, then of buckets."""

    def __init__(self) -> None:
        self.count = 0
        self.ignored = 0
        self.low = math.inf
        self.high = -math.inf
        self.sum = 0.0
        self.exact: array[float] = array("d")
        self.buckets: dict[tuple[int, int], int] | None = None

    def add(self, value: Any) -> None:
        found = number(value)
        if found is None:
            self.ignored += value is not None
            return
        found = float(found)
        self.count += 1
        self.sum += found
        self.low = min(self.low, found)
        self.high = max(self.high, found)
        if self.buckets is not None:
            self._put(found)
        elif len(self.exact) < EXACT_MAX:
            self.exact.append(found)
        else:
            self.buckets = {}
            for one in (*self.exact, found):
                self._put(one)
            self.exact = array("d")

    def _put(self, value: float) -> None:
        """Buckets are (sign, exponent), in ascending order of the numbers in them."""
        sign = (value > 0) - (value < 0)
        key = (sign, sign * math.ceil(math.log(abs(value)) / _LOG_GAMMA)) if sign else (0, 0)
        if self.buckets is not None:
            self.buckets[key] = self.buckets.get(key, 0) + 1

    def row(self) -> dict[str, Any]:
        some = self.count > 0
        mean = number(self.sum / self.count) if some else None
        return {
            "count": self.count,
            "ignored": self.ignored,
            "min": self.low if some else None,
            "max": self.high if some else None,
            "mean": mean,
            "sum": number(self.sum),
            **self._percentiles((50, 95, 99)),
            "percentiles": "exact" if self.buckets is None else "approximate",
            "relative_error": 0.0 if self.buckets is None else RELATIVE_ERROR,
        }

    def _percentiles(self, wanted: Sequence[int]) -> dict[str, float | None]:
        # Nearest rank: the smallest number that at least so many per cent of all do not exceed.
        ranks = {f"p{percent}": -(-percent * self.count // 100) for percent in wanted}
        if not self.count:
            return dict.fromkeys(ranks)
        if self.buckets is None:
            ordered = sorted(self.exact)
            return {name: ordered[rank - 1] for name, rank in ranks.items()}
        found: dict[str, float | None] = {}
        passed = 0
        for sign, ordered_exponent in sorted(self.buckets):
            passed += self.buckets[sign, ordered_exponent]
            # The number that is off by the same share from both ends of the bucket.
            exponent = sign * ordered_exponent * _LOG_GAMMA + math.log1p(-RELATIVE_ERROR)
            middle = sign * math.exp(min(exponent, _EXPONENT_MAX))
            for name, rank in ranks.items():
                if name not in found and passed >= rank:
                    found[name] = min(max(middle, self.low), self.high)
        return found


def _text_of(moment: datetime | None) -> str | None:
    return to_text(moment.replace(tzinfo=timezone.utc)) if moment else None


class Digest:
    """Takes the entries that match, in the order of the log."""

    def __init__(
        self,
        *,
        count_by: Mapping[str, Get],
        numeric: Mapping[str, Get],
        fields: Mapping[str, Get],
        time_of: Callable[[Mapping[str, Any]], datetime | None],
        last: int,
        only_last: bool,
        max_values: int,
        max_text: int,
        since: datetime | None,
        entry_of: Callable[[bytes], dict[str, Any] | None] = parse,
    ) -> None:
        self._entry_of = entry_of
        self.matched = 0
        self.undated = 0
        self._first: datetime | None = None
        self._last_at: datetime | None = None
        self._time_of = time_of
        self._since = since.astimezone(timezone.utc).replace(tzinfo=None) if since else None
        self._fields = fields
        self._max_text = max_text
        self._only_last = only_last
        self._counts = {field: (get, Counts(max_values)) for field, get in count_by.items()}
        self._figures = {field: (get, Figures()) for field, get in numeric.items()}
        self._picks = [(get, counts.add) for get, counts in self._counts.values()]
        self._picks += [(get, figures.add) for get, figures in self._figures.values()]
        self._last: deque[tuple[Any, list[Any]]] = deque(maxlen=last)  # raw lines where short, else what is shown
        self._keep = last > 0

    def add(self, entry: Mapping[str, Any], line: bytes | bytearray) -> None:
        """Take one entry, with the line that it was read from; outside of the window of time it does not count."""
        at = self._time_of(entry)
        if at is None:
            self.undated += 1
            if self._since is not None:
                return
        elif self._since is not None and at < self._since:
            return
        elif self._first is None or self._last_at is None:
            self._first = self._last_at = at
        elif at > self._last_at:
            self._last_at = at
        elif at < self._first:
            self._first = at
        self.matched += 1
        if not self._only_last:
            for get, add in self._picks:
                add(get(entry))
        if self._keep:
            picked = [_small(get(entry)) for get, _add in self._picks] if self._only_last else []
            # Bounded as it is taken in, since the last 500 entries of 1 MiB each would not fit; and most are not shown.
            self._last.append((bytes(line) if len(line) <= _SHORT_LINE else self._shown(entry), picked))

    def _shown(self, entry: Any) -> Any:
        return tidy({name: get(entry) for name, get in self._fields.items()} if self._fields else entry, self._max_text)

    def result(self) -> dict[str, Any]:
        if self._only_last:
            for _entry, picked in self._last:
                for (_get, add), value in zip(self._picks, picked):  # noqa: B905
                    add(value)
        return {
            "matched": self.matched,
            "undated": self.undated,
            "first_at": _text_of(self._first),
            "last_at": _text_of(self._last_at),
            "counts": {field: counts.rows() for field, (_get, counts) in self._counts.items()},
            "counts_capped": [field for field, (_get, counts) in self._counts.items() if counts.other],
            "numeric": {field: figures.row() for field, (_get, figures) in self._figures.items()},
            "last": [
                self._shown(self._entry_of(entry)) if isinstance(entry, bytes) else entry
                for entry, _picked in self._last
            ],
        }


def _small(value: Any) -> Any:
    """A value of which not more than its counted text is needed."""
    return value if value is None or isinstance(value, (bool, int, float)) else shown(value)
