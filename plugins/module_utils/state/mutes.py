# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person has muted for a time, in a file of a state directory: a component, a check, or the host as a whole.

Only a file that is not there means that nothing is muted. One that cannot be read mutes nothing, and is said.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..errors import MediaOpsError, OptionError
from ..shapes import json_object, one_line
from ..times import from_text
from .directory import existing, failing, read_if_there, replace_file

Mute = dict[str, Any]
"""``what`` (component, check or host), its ``name`` ("" of a host), ``reason``, ``by``, ``since`` and ``until``."""

KINDS = ("component", "check", "host")
MUTES = "mutes.json"
_KEYS = ("what", "name", "reason", "by", "since", "until")
_VERSION = 1
_MAX_BYTES = 262144
_MAX = 100


def is_mute(row: object) -> bool:
    """Whether something is a mute, with a reason and an end."""
    return (
        isinstance(row, Mapping)
        and all(isinstance(row.get(key), str) for key in _KEYS)
        and row["what"] in KINDS
        and (row["what"] == "host") == (row["name"] == "")
        and bool(row["reason"].strip())
        and from_text(row["until"]) is not None
    )


def mute_name(mute: Mapping[str, Any]) -> str:
    """What is muted, as a person names it: ``component:ffmpeg``, ``check:clock``, ``host``."""
    return f"{mute['what']}:{mute['name']}" if mute["name"] else str(mute["what"])


def sound_mute(given: object, option: str) -> Mute:
    """A mute with its texts bounded.

    Raises:
        OptionError: it is none; names ``option``.
    """
    if not is_mute(given):
        raise OptionError(
            option, one_line(given, 120), "what, name, a reason, by, since and the end, until, are needed"
        )
    return {key: one_line(given[key], 300) for key in _KEYS}  # type: ignore[index]  # it is a mapping


class UnreadableMutesError(MediaOpsError):
    """The file is there, and nobody can tell what it mutes."""


def read_mutes(directory: int) -> list[Mute]:
    """All mutes of a state directory, those among them that are over.

    Raises:
        UnreadableMutesError: there are some, and they cannot be read.
    """
    try:
        data = read_if_there(directory, MUTES, _MAX_BYTES)
        document = None if data is None else json_object(data)
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(getattr(error, "strerror", None) or error) from error
    if document is None:
        return []
    rows = document.get("mutes")
    if document.get("version") != _VERSION or not isinstance(rows, list) or not all(is_mute(row) for row in rows):
        raise _unreadable("it holds what is no mute")
    return [dict(row) for row in rows]


def _unreadable(why: object) -> UnreadableMutesError:
    return UnreadableMutesError(
        f"{MUTES} cannot be read: {one_line(why, 120)}. The playbook automation_unmute clears it"
    )


def set_mutes_aside(directory: int) -> None:
    """Put a file that cannot be read out of the way."""
    with failing(f"cannot set {MUTES} aside"):
        os.rename(MUTES, f"{MUTES}.broken", src_dir_fd=directory, dst_dir_fd=directory)


def holding(mutes: Sequence[Mute], now: datetime) -> list[Mute]:
    """Those of them that are not over."""
    return [mute for mute in mutes if (from_text(mute["until"]) or now) > now]


def mutes_on_record(state_dir: str) -> dict[str, Any]:
    """What is muted on this host, for checks, which ask little of it.

    Returns:
        ``state`` (``ok``, or ``denied`` where it cannot be read), ``reason``, and ``mutes``, those among them that are
        over by this host's clock: the controller's may say otherwise, and counts.
    """
    try:
        if not os.path.lexists(state_dir):
            return {"state": "ok", "reason": "", "mutes": []}
        with existing(state_dir) as directory:
            return {"state": "ok", "reason": "", "mutes": read_mutes(directory)}
    except MediaOpsError as error:
        return {"state": "denied", "reason": one_line(error), "mutes": []}


class Mutes:
    """What is muted on the host. With ``dry`` nothing of it is changed."""

    def __init__(self, directory: int, now: datetime, *, dry: bool) -> None:
        self._directory, self._now, self._dry = directory, now, dry

    def holding(self) -> tuple[list[Mute], str]:
        """What is muted now by this host's clock, and why that is not known."""
        try:
            return holding(read_mutes(self._directory), self._now), ""
        except UnreadableMutesError as error:
            return [], one_line(error)

    def begin(self, mute: Mute) -> list[str]:
        """Mute something, in the place of an earlier mute of it; the name of a file that could not be read."""
        known, cleared = self._known()
        self._write([row for row in known if mute_name(row) != mute_name(mute)] + [mute])
        return cleared

    def end(self, name: str) -> tuple[list[Mute], list[str]]:
        """End the mute of a name, or ``all``; those that held, and the name of a file that could not be read."""
        known, cleared = self._known()
        ended = [row for row in known if name in ("all", mute_name(row))]
        if ended:
            self._write([row for row in known if row not in ended])
        return ended, cleared

    def _known(self) -> tuple[list[Mute], list[str]]:
        """Those that hold. By this word of a person, what cannot be read is put out of the way."""
        try:
            return holding(read_mutes(self._directory), self._now), []
        except UnreadableMutesError:
            if not self._dry:
                set_mutes_aside(self._directory)
            return [], [MUTES]

    def _write(self, mutes: Sequence[Mute]) -> None:
        if len(mutes) > _MAX:
            raise MediaOpsError(f"{len(mutes)} things are muted on the host: {_MAX} are possible, end some first")
        if not self._dry:
            data = json.dumps({"version": _VERSION, "mutes": list(mutes)}, sort_keys=True).encode() + b"\n"
            replace_file(self._directory, MUTES, data, 0o600, MUTES)
