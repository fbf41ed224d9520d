# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Streaming through JSON lines: which lines there are, which are bad, and which must be parsed.

Speed comes from not looking at single lines: the patterns of the conditions are searched in a whole block, and the
lines of a block are checked by looking for line ends that are unlike the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Protocol

from .digest import parse
from .fields import LogFields
from .where import LEVEL, Pattern, Where
from .writers import level_of

BLOCK = 131_072
_ANY_OBJECT = b'{"'
_BRACE = 0x7D
_PIECE = 32_768  # of a block, for a copy that stays in the processor's cache
_HOPS_MAX = 200
_LEARN_FROM = 20
_LEARN_MAX = 100
_AFTER_KEY = 12
_FIRST_KEY = re.compile(rb'\{[ \t]*"[^"\\\n]{1,100}"')
# An object within a text, as Docker and the journal carry one: its quotation marks are not those of the line.
_WITHIN_A_TEXT = b'{\\"'
_LEVEL_TEXTS_MAX = 12
_LEVEL_TEXT = re.compile(
    rb'"(?:level(?:_?name|no|_value|_number)?|lvl|log[_.]?level|severity|@l|L|Level|LogLevel|Severity|PRIORITY)"'
    rb'[ \t]*:[ \t]*(?:"[^"\\\n]{1,20}"|[0-9]{1,6}[ \t]*[,}])'
)

ReadInto = Callable[[memoryview], int]


class Taker(Protocol):
    """Takes the entries that match, in the order of the log."""

    def add(self, entry: Mapping[str, Any], line: bytes | bytearray) -> None:
        """Take one entry, with the line that it was read from."""


class Scanner:
    """Reads files one after the other into what takes their entries, such as a digest.

    A line that has none of the patterns of the conditions is not parsed. It is taken for a JSON object when it starts
    as the other lines of the log do, ends with a brace, and holds no NUL byte; else it is parsed after all, and is bad
    when it is no JSON object.

    Where the conditions are on the level alone, the texts by which this log tells its levels are learned from lines
    that were parsed. Of a block of which each line has one of them, those of the wanted levels are parsed.
    """

    def __init__(
        self, taker: Taker, where: Where, *, max_line_bytes: int, parse_all: bool, fields: LogFields | None = None
    ) -> None:
        # The conditions are in our words, which stand in no line of a log that has its own.
        parse_all = parse_all or bool(fields)
        self._entry_of = fields.read if fields else parse
        self.lines = 0
        self.bad_lines = 0
        self.too_long_lines = 0
        self.unlevelled = 0
        self._taker = taker
        self._matches = where.test()
        self._by_level = where.by_level
        self._learns_levels = where.by_level_only and not parse_all
        self._level_texts: dict[bytes, str | None] = {}
        self._told: set[str | None] = {None}
        self._patterns = [] if parse_all else where.patterns
        self._rare: dict[bytes, int] = {}
        self.parses_all = not self._patterns and not self._learns_levels
        self._max_line = max_line_bytes
        self._buffer = bytearray(2 * BLOCK)
        self._start = b""
        self._learned = 0
        self._expect(_ANY_OBJECT)

    def _expect(self, start: bytes) -> None:
        """Set how lines are expected to start: with the first key, and as much as they have in common after it."""
        self._start = start
        self._usual_end = b"}\n" + start
        self._unusual_end = re.compile(rb"\n(?:(?<!\}\n)|(?!" + re.escape(start) + rb"))")

    def read(self, read_into: ReadInto, *, limit: int | None = None, mid_line: bool = False) -> tuple[int, int, bytes]:
        """Read to the end, or until so many bytes were read and a line is complete.

        Args:
            read_into: fills a view with the next bytes, and says how many; 0 at the end.
            limit: the number of bytes.
            mid_line: whether the first bytes are the end of a line that is not to be taken.

        Returns:
            The number of bytes read, the number of those in complete lines, and the line that follows them (empty where
            it is too long to be held).
        """
        filled = total = consumed = 0
        skipping = mid_line
        while limit is None or total < limit or not consumed:
            with memoryview(self._buffer) as view:
                count = read_into(view[filled : filled + BLOCK])
            if not count:
                break
            total += count
            buffer, end = self._buffer, filled + count
            begin = 0
            if skipping:
                begin = buffer.find(b"\n", filled, end) + 1
                if not begin:
                    filled = 0
                    continue
                if not mid_line:
                    self._too_long()
                skipping = mid_line = False
            cut = buffer.rfind(b"\n", max(begin, filled), end) + 1 or begin
            if cut > begin:
                self._block(begin, cut)
            filled = end - cut
            consumed = total - filled
            buffer[:filled] = buffer[cut:end]
            if filled > self._max_line:
                skipping = True
                filled = 0
            elif filled + BLOCK > len(buffer):
                buffer.extend(bytes(len(buffer)))
        return total, consumed, bytes(self._buffer[:filled])

    def rest(self, line: bytes) -> bool:
        """Take the line at the end of a file, which has no line end, where it is a whole JSON object."""
        entry = self._entry_of(line)
        if entry is None or len(line) > self._max_line:
            return False
        self.lines += 1
        self._take(entry, line)
        return True

    def cut_off(self, line: bytes) -> None:
        """Take a line that a hole in the file ends: an entry where it is whole, else a bad line."""
        if not self.rest(line):
            self.lines += 1
            self.bad_lines += 1

    def _take(self, entry: Mapping[str, Any], line: bytes | bytearray) -> str | None:
        """Take an entry where it matches; its level, where that was to be known."""
        level = None
        if self._by_level is not None:
            level = level_of(entry)
            self.unlevelled += level is None
            if not self._by_level(level or entry.get(LEVEL)):
                return level
        if self._matches(entry):
            self._taker.add(entry, line)
        return level

    def _too_long(self) -> None:
        self.lines += 1
        self.bad_lines += 1
        self.too_long_lines += 1

    def _block(self, begin: int, cut: int) -> None:
        """Take complete lines. Only the first can be too long: the others are shorter than a block."""
        first_end = self._buffer.find(b"\n", begin, cut)
        if first_end - begin > self._max_line:
            self._too_long()
            begin = first_end + 1
        if begin == cut:
            return
        buffer = self._buffer
        if self.parses_all or buffer.find(_WITHIN_A_TEXT, begin, cut) >= 0:
            self._whole(begin, cut)
            return
        if self._start == _ANY_OBJECT and self._learned < _LEARN_MAX:
            self._learn(begin, cut)
        before = self.lines
        unlike = {(start, buffer.find(10, start)) for start in self._unlike(begin, cut)}
        if self._learns_levels and not self._tell_their_levels(begin, cut, self.lines - before, unlike):
            self.lines = before
            self._whole(begin, cut)
            return
        found = self._hits(begin, cut)
        if unlike:
            found = sorted({*found, *unlike})
        self._parse([buffer[start:end] for start, end in found])

    def _whole(self, begin: int, cut: int) -> None:
        """Parse each line of a block."""
        block = bytes(self._buffer[begin : cut - 1]).split(b"\n")
        self.lines += len(block)
        if not self._learns_levels:
            self._parse(block)
            return
        self._parse(block[:_LEARN_FROM], learns=True)
        self._parse(block[_LEARN_FROM:])

    def _tell_their_levels(self, begin: int, cut: int, lines: int, unlike: set[tuple[int, int]]) -> bool:
        """Whether each line of a block, but those that are parsed anyway, has just one of the texts that tell levels.

        A line may have a level that no line had before, and the text of another one further in: none may have more
        values by the name of a level. Nor may a line that has two make up for one that has none.
        """
        texts, buffer = self._level_texts, self._buffer
        if not texts or None in texts.values():
            return False
        names = {text[: text.index(b'"', 1) + 1] for text in texts}
        values = sum(buffer.count(name, begin, cut) for name in names)
        values -= sum(buffer.count(name, start, end) for name in names for start, end in unlike)
        if values != lines - len(unlike):
            return False
        untold = bytes(buffer[begin : cut - 1]).split(b"\n")
        for text in texts:
            untold = [line for line in untold if text not in line]
        return not untold or {bytes(buffer[start:end]) for start, end in unlike}.issuperset(untold)

    def _learn_level(self, line: bytes | bytearray, level: str | None) -> None:
        """By which text of a line its level is told. With one that does not tell it, nothing is ever taken for told."""
        texts = _LEVEL_TEXT.findall(line)
        if level is None or not texts or (len(texts) == 1 and self._level_texts.get(texts[0]) == level):
            return
        self._told.add(level)
        for text in texts:
            if (
                (text not in self._level_texts and len(self._level_texts) >= _LEVEL_TEXTS_MAX)
                or len(texts) > 1
                or self._level_texts.setdefault(text, level) != level
            ):
                self._level_texts[text] = None
        is_wanted = self._by_level or (lambda _level: True)
        keen = [text for text, told in self._level_texts.items() if told is not None and is_wanted(told)]
        self._patterns = [Pattern(re.compile(re.escape(text)), text) for text in keen]

    def _parse(self, lines: Iterable[bytes | bytearray], *, learns: bool = False) -> None:
        matches, add, entry_of = self._matches, self._taker.add, self._entry_of
        for line in lines:
            entry = entry_of(line)
            if entry is None:
                self.bad_lines += 1
            elif self._by_level is None:
                if matches(entry):
                    add(entry, line)
            else:
                level = self._take(entry, line)
                if learns or (level not in self._told and self._learns_levels):
                    self._learn_level(line, level)

    def _learn(self, begin: int, cut: int) -> None:
        """Expect all lines to start as the first good ones do."""
        self._learned += 1
        lines = bytes(self._buffer[begin:cut]).split(b"\n")
        sample = [line for line in lines[:: len(lines) // _LEARN_FROM + 1] if parse(line) is not None]
        common = _common_start(min(sample), max(sample)) if sample else b""
        key = _FIRST_KEY.match(common)
        if key:
            # A longer start is found faster; more than the date of a timestamp would change too often.
            self._expect(common[: key.end() + _AFTER_KEY])

    def _unlike(self, begin: int, cut: int) -> set[int]:
        """Count the lines, and find the starts of those that are unlike the others."""
        buffer, start = self._buffer, self._start
        lines = _line_ends(buffer, begin, cut)
        self.lines += lines
        # The last line end is followed by nothing here.
        usual = buffer.count(self._usual_end, begin, cut) + 1
        found: set[int] = set()
        if usual < lines or not buffer.startswith(start, begin) or buffer[cut - 2] != _BRACE:
            found = self._look_at_ends(begin, cut)
            if (lines - usual) * 2 > lines > 8:
                # The start of the lines has changed, as dates do: learn anew.
                self._expect(_ANY_OBJECT)
        at = buffer.find(0, begin, cut)
        while at >= 0:
            found.add(max(buffer.rfind(10, begin, at) + 1, begin))
            at = buffer.find(0, buffer.index(10, at), cut)
        return found

    def _look_at_ends(self, begin: int, cut: int) -> set[int]:
        """The starts of the lines before and after the unusual line ends that are to blame for them."""
        buffer, start = self._buffer, self._start
        found: set[int] = set()
        line = begin
        if not buffer.startswith(start, begin):
            found.add(begin)
        for hit in self._unusual_end.finditer(buffer, begin, cut):
            end = hit.start()
            if end == line or buffer[end - 1] != _BRACE:
                found.add(max(buffer.rfind(10, line, end) + 1, line))
            line = end + 1
            if line < cut and not buffer.startswith(start, line):
                found.add(line)
        return found

    def _hits(self, begin: int, cut: int) -> list[tuple[int, int]]:
        """The lines, from start to end, that hold one of the patterns."""
        buffer = self._buffer
        found: list[tuple[int, int]] = []
        for expression, start in self._patterns:
            if start not in self._rare:
                self._rare[start] = min(start, key=lambda byte: buffer.count(byte, begin, cut))
            rare = self._rare[start]
            if buffer.find(rare, begin, cut) < 0:
                continue
            if not found:
                found = self._lines_with(expression, start, rare, begin, cut)
                continue
            more: list[tuple[int, int]] = []
            left = begin
            for hit in [*found, (cut, cut)]:
                if left < hit[0] and buffer.find(rare, left, hit[0]) >= 0:
                    more += self._lines_with(expression, start, rare, left, hit[0])
                more.append(hit)
                left = hit[1] + 1
            more.pop()
            found = more
        return found

    def _lines_with(
        self, expression: re.Pattern[bytes], start: bytes, rare: int, begin: int, cut: int
    ) -> list[tuple[int, int]]:
        """The lines in which an expression, which begins with some bytes, is found.

        A single byte is found ten times as fast as anything else. So the rarest of them is looked for, until there are
        so many that the expression is faster.
        """
        buffer = self._buffer
        shift = start.index(rare)
        whole = expression.pattern == re.escape(start)
        found: list[tuple[int, int]] = []
        line = begin
        at = begin - 1
        for _hop in range(_HOPS_MAX):
            at = buffer.find(rare, at + 1, cut)
            if at < 0:
                return found
            if at - shift < line or not buffer.startswith(start, at - shift):
                continue
            if whole or expression.match(buffer, at - shift, cut):
                end = buffer.find(10, at)
                found.append((max(buffer.rfind(10, line, at) + 1, line), end))
                at = end
                line = end + 1
        for hit in expression.finditer(buffer, line, cut):
            at = hit.start()
            if at >= line:
                end = buffer.find(10, at)
                found.append((max(buffer.rfind(10, line, at) + 1, line), end))
                line = end + 1
        return found


def _line_ends(buffer: bytearray, begin: int, cut: int) -> int:
    """How many there are. To take them out of a copy takes half the time of counting them."""
    pieces = (buffer[at : min(at + _PIECE, cut)] for at in range(begin, cut, _PIECE))
    return sum(len(piece) - len(piece.replace(b"\n", b"")) for piece in pieces)


def _common_start(one: bytes, other: bytes) -> bytes:
    for index, (byte, byte_of_other) in enumerate(zip(one, other)):  # noqa: B905
        if byte != byte_of_other:
            return one[:index]
    return min(one, other, key=len)
