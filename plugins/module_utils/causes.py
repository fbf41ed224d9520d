# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies below an exception, in a file of its own: only what asks others takes it along to a host."""

from __future__ import annotations

from collections.abc import Iterator


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that it wraps, as each library wraps in its own way."""
    waiting, seen = [error], set()
    while waiting:
        current = waiting.pop(0)
        if id(current) not in seen:
            seen.add(id(current))
            yield current
            inner = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
            waiting.extend(cause for cause in inner if isinstance(cause, BaseException))
