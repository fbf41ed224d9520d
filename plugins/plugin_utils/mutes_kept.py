# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller remembers of each host's mutes: a host that is down, and so cannot tell, may be muted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from ..module_utils.errors import MediaOpsError
from ..module_utils.shapes import json_object, one_line
from ..module_utils.state.directory import existing, failing, read_if_there, replace_file
from ..module_utils.state.mutes import Mute, is_mute

_VERSION = 1
_MAX_BYTES = 524288
_NAME_MAX = 200
_DIRECTORY_MODE = 0o750


class Known(NamedTuple):
    """What is muted of a host.

    Attributes:
        told: as the host told it last.
        here: what was muted while the host could not be reached, and is kept on this controller alone.
    """

    told: list[Mute]
    here: list[Mute]


def mutes_dir(given: str) -> str:
    """Where the controller remembers mutes: as it was given, else where its state is."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.expanduser(given) if given else os.path.join(state, "media_ops", "mutes")


def known_mutes(given: str, host: str) -> tuple[Known, str]:
    """What is remembered of a host, and why that cannot be read; a controller that never saw it knows of nothing."""
    nothing, path = Known([], []), mutes_dir(given)
    if not os.path.lexists(path):
        return nothing, ""
    try:
        with existing(path) as directory:
            data = read_if_there(directory, _file(host), _MAX_BYTES)
        if data is None:
            return nothing, ""
        document = json_object(data)
        rows = [document.get(key) for key in Known._fields]
        if document.get("version") == _VERSION and all(isinstance(of, list) and all(map(is_mute, of)) for of in rows):
            return Known(document["told"], document["here"]), ""
        why: object = "it holds what is no mute"
    except (MediaOpsError, OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
    return nothing, f"what is muted of {host} cannot be read in {path}/{_file(host)}: {one_line(why, 160)}"


def remember_mutes(given: str, host: str, told: Sequence[Mute], here: Sequence[Mute]) -> None:
    """Keep what is muted of a host, where it is another than what is kept.

    Raises:
        MediaOpsError: it cannot be kept.
    """
    path = mutes_dir(given)
    known, why = known_mutes(path, host)
    if not why and known == Known(list(told), list(here)):
        return
    with failing(f"cannot make the directory {path}"):
        os.makedirs(path, mode=_DIRECTORY_MODE, exist_ok=True)
    with existing(path) as directory:
        if not told and not here:
            with failing(f"cannot remove {path}/{_file(host)}"), contextlib.suppress(FileNotFoundError):
                os.unlink(_file(host), dir_fd=directory)
            return
        document = {"version": _VERSION, "told": list(told), "here": list(here)}
        data = json.dumps(document, sort_keys=True).encode() + b"\n"
        replace_file(directory, _file(host), data, 0o600, f"{path}/{_file(host)}")


def _file(host: str) -> str:
    """A name for the host's file that leads nowhere else."""
    name = quote(host, safe="")
    short = name if len(name) <= _NAME_MAX else hashlib.sha256(host.encode()).hexdigest()
    return f"mutes-{short}.json"
