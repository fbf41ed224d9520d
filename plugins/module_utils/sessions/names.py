# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which session a name speaks of, so that what is named so is kept. Pure.

What is kept by mistake goes another day, so that an id anywhere in a name is enough here. It is no proof of whose a
process is: nothing is ended by it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from .joined import ENDS

_PIECE = 4
"""So many characters an id has at least that is looked for anywhere; a shorter one is in too many words."""
BARE = 8
"""So many characters are left at least of an id that is looked for by a part of it, or without what is in between."""
_WORD = re.compile(r"\A(?:[^\W\d_]+[\W_])+")


class Names:
    """Ids of sessions, to be looked for in names: by the thousand, in as many steps as a name has characters."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids: dict[str, str] = {}
        for session in sorted(ids):
            # An id that itself has a suffix, such as ab12.part.mp4, is a name of ab12's: its other names stay as well.
            self._ids.setdefault(_folded(session).split(".", 1)[0], session)
            for other in _other_ways(session):
                self._ids.setdefault(other, session)
        self._ids.update((_folded(session), session) for session in sorted(ids))
        self._ids.pop("", None)
        self._lengths: dict[str, list[int]] = {}
        for piece, length in sorted({(one[:_PIECE], len(one)) for one in self._ids}, reverse=True):
            self._lengths.setdefault(piece, []).append(length)
        self._short = any(len(piece) < _PIECE for piece in self._lengths)

    def __bool__(self) -> bool:
        return bool(self._ids)

    def find(self, name: str) -> str:
        """The session whose id is in a name, in letters of whatever case; empty where none's is.

        An id of fewer than four characters must be a whole part of it, between what are no letters and digits.
        """
        text = _folded(name)
        found = self._find(text)
        if found or text.isalnum():
            return found
        # In letters of an address, or without what stands between its parts.
        plain = _folded(unquote(name, errors="surrogateescape")) if "%" in name else text
        return (self._find(plain) if plain != text else "") or self._find(bared(plain), bare=True)

    def _find(self, text: str, *, bare: bool = False) -> str:
        for start in range(len(text)):
            for length in self._lengths.get(text[start : start + _PIECE], ()):
                session = self._ids.get(text[start : start + length])
                if session is not None and (
                    length >= (BARE if bare else _PIECE) or _is_part(text, start, start + length)
                ):
                    return session
            for length in range(1, _PIECE) if self._short and not bare else ():
                session = self._ids.get(text[start : start + length])
                if session is not None and _is_part(text, start, start + length):
                    return session
        return ""

    def begins(self, name: str) -> str:
        """The session whose name, or whose temporary name behind a dot, this is, with or without what ends it."""
        text = _folded(name)
        for one in (text, text.lstrip(".")):
            for end in ENDS.finditer(one):
                session = self._ids.get(one[: end.start()])
                if session is not None:
                    return session
        return ""


def _other_ways(session: str) -> Iterator[str]:
    """How an id may be written otherwise: without what stands between its parts, or without the word before it."""
    text = _folded(session)
    for one in (text, _WORD.sub("", text, count=1), bared(text), bared(_WORD.sub("", text, count=1))):
        if len(one) >= BARE and one != text:
            yield one


def bared(text: str) -> str:
    """A name without what stands between its parts: its letters and digits."""
    return "".join(filter(str.isalnum, text))


def _is_part(text: str, start: int, end: int) -> bool:
    return not text[max(start - 1, 0) : start].isalnum() and not text[end : end + 1].isalnum()


def _folded(text: str) -> str:
    """A text as it compares: in one case, and with accents apart from their letters, as they may be written."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
