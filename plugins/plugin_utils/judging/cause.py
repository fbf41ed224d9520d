# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a long message of a service says at its end, for people: before it stand ffmpeg's banner, or a traceback."""

from __future__ import annotations

import re

from ...module_utils.shapes import one_line

_LAST_LINES = 3
_LONG = 65536
_BANNER = re.compile(r"ff(?:mpeg|probe) version \S+[^\r\n]{0,120}? Copyright \(c\)")
# All of bounded length: a message may repeat any part of these for as long as it likes.
_VERSION = r"\d{1,9}\.\s{0,9}\d{1,9}\.\s{0,9}\d{1,9}"
# The banner ends with the versions of the libraries: "libpostproc    58.  3.100 / 58.  3.100".
_LIBRARY = re.compile(rf"lib[a-z]{{1,20}}\s{{1,9}}{_VERSION} {{0,9}}/\s{{0,9}}{_VERSION}", re.ASCII)
_OF_BANNER = re.compile(r"ff(?:mpeg|probe) version |built with |configuration: |lib[a-z]{1,20} {1,9}\d{1,9}\.")
# What ffmpeg says of its inputs and its progress, and the end that every failure has.
_TALK = re.compile(
    r"(?:Input|Output) #|Stream (?:#|mapping)|Metadata:|Duration: |Press \[q\]|"
    r"(?:frame|size|video|bitrate)[=:] {0,20}\S{1,80} |"
    r"Side data:|Conversion failed!|Exiting normally|(?:major_brand|minor_version|compatible_brands|encoder|title|"
    r"handler_name|vendor_id|creation_time) {0,40}:"
)
_TRACEBACK = "Traceback (most recent call last):"


def cause(message: object, limit: int = 300) -> str:
    """One line of a message: the whole of a short one, of ffmpeg's output or a traceback the last lines.

    Args:
        message: of an alert, a component or a log entry, as the service gives it.
        limit: of characters.
    """
    text = str(message)
    if len(text) > _LONG:
        text = f"{text[: _LONG // 2]}\n{text[-_LONG // 2 :]}"
    if "\n" not in text and "\\n" in text:  # written with repr(), as by an f-string with {stderr!r}
        text = text.replace("\\r", "\n").replace("\\n", "\n")
    return _cause(text, limit) or one_line(text, limit)


def _cause(text: str, limit: int) -> str:
    banner = _BANNER.search(text)
    if banner:
        return _of_ffmpeg(text, banner.start(), limit)
    if _TRACEBACK in text:
        head, _found, rest = text.rpartition(_TRACEBACK)
        return _joined(head.partition("\n")[0].partition(_TRACEBACK)[0], _lines(rest)[-1:], limit)
    lines = _lines(text)
    if len(lines) <= _LAST_LINES + 1 or len(" ".join(lines)) <= limit:
        return one_line(text, limit)
    return _joined(lines[0], [line for line in lines[1:] if not _TALK.match(line)][-_LAST_LINES:], limit)


def _of_ffmpeg(text: str, at: int, limit: int) -> str:
    """What stands before the banner in its line, and the last lines of what stands after it."""
    before = text[:at].rstrip().rpartition("\n")[2]
    libraries = [found.end() for found in _LIBRARY.finditer(text, at)]
    rest = text[libraries[-1] :] if libraries else text[at:]
    said = [line for line in _lines(rest) if not _OF_BANNER.match(line)]
    told = [line for line in said if not _TALK.match(line)] or said
    if not told:
        return _joined(before, ["of ffmpeg's output only its banner was kept"], limit)
    return _joined(before, told[-_LAST_LINES:], limit)


def _lines(text: str) -> list[str]:
    return [line for line in (part.strip() for part in re.split(r"[\r\n]+", text)) if line.strip("'\"")]


def _joined(head: str, lines: list[str], limit: int) -> str:
    head = one_line(head.strip().rstrip(":'\" "), limit // 3)
    # Of the last lines the very last counts most: what is too long loses its beginning.
    tail = one_line("; ".join(line[-limit:] for line in lines), limit * (_LAST_LINES + 1))
    room = limit - len(head) - 2 if head else limit
    tail = tail if len(tail) <= room else f"…{tail[-room + 1 :]}"
    return f"{head}: {tail}" if head and tail else head or tail
