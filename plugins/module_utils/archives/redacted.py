# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs without their secrets, for archives that more people may read than the logs."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Callable

from ..deadline import Deadline
from ..options import patterns_of
from ..redact import Redactor
from ..rotated import PACKED
from .archive import NEW_FILE, Source, hashed_unpacked, logged

_BLOCK = 1 << 20


def redactor_of(params: Mapping[str, Any], secrets_of: Callable[[], set[str]]) -> Redactor | None:
    """What takes the secrets out by the options ``redact`` and ``redact_patterns``; None for nothing.

    Raises:
        OptionError: a pattern is no regular expression.
    """
    if not params["redact"]:
        return None
    patterns = patterns_of(params, "redact_patterns")
    return Redactor(secrets_of(), patterns)


def plain_name(name: str) -> str:
    """The name of a log as it goes into the archive: what was packed goes there unpacked."""
    return os.path.splitext(name)[0] if name.endswith(PACKED) else name


def can_be_read(fd: int, name: str, deadline: Deadline) -> bool:
    """Whether an open log can be looked through; not where it is packed, and damaged."""
    return not name.endswith(PACKED) or hashed_unpacked(fd, name, deadline) != ""


@contextlib.contextmanager
def redacted(source: Source, redactor: Redactor, directory: int, deadline: Deadline) -> Iterator[Source]:
    """A log without its secrets, in a file without a name that is gone afterwards.

    Args:
        source: the log, open; by the ending of its name it is unpacked.
        redactor: takes the secrets out.
        directory: of the archives, open: the file lies on their file system.
        deadline: for all of it.
    """
    name = f".{secrets.token_hex(8)}.tmp"
    opened = os.open(name, NEW_FILE, 0o600, dir_fd=directory)
    with os.fdopen(opened, "wb+", buffering=0) as file:
        os.unlink(name, dir_fd=directory)
        rest = b""
        with logged(source.fd, source.name, deadline) as read:
            while data := read(_BLOCK):
                deadline.require(f"taking the secrets out of {source.name}")
                whole, newline, rest = (rest + data).rpartition(b"\n")
                file.write(_without(whole + newline, redactor))
        file.write(_without(rest, redactor))
        size = file.tell()
        yield Source(plain_name(source.name), file.fileno(), size, source.mtime)


def _without(data: bytes, redactor: Redactor) -> bytes:
    # Line by line: a secret that seems to begin in one line must not take the next ones with it.
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return "\n".join(map(redactor.text, lines)).encode("utf-8", "surrogateescape")
