# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives of evidence in the state directory: written whole or not at all, never over another, bounded."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import MediaOpsError
from ..state.directory import failing, give_to_owner, replace_file

BUNDLES = "bundles"
_SAME_RUN_MAX = 100


@dataclass
class Part:
    """One file of the bundle."""

    name: str
    source: str
    data: bytes
    truncated: bool

    def as_result(self) -> dict[str, Any]:
        """How the manifest and the module name it."""
        return {
            "name": self.name,
            "source": self.source,
            "bytes": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "truncated": self.truncated,
        }


def pack(run_id: str, made_at: int, manifest: str, parts: Sequence[Part]) -> bytes:
    """The archive: of equal parts made at the same time, the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for part in (Part("MANIFEST.json", "", manifest.encode(), False), *parts):
            entry = tarfile.TarInfo(f"{run_id}/{part.name}")
            entry.size, entry.mtime, entry.mode = len(part.data), made_at, 0o600
            archive.addfile(entry, io.BytesIO(part.data))
    return gzip.compress(buffer.getvalue(), mtime=made_at)


def keep_bundle(
    state_dir: int, archive: bytes, place: str, run_id: str, *, keep: int, keep_bytes: int, check_mode: bool
) -> tuple[str, list[str]]:
    """Write the archive under a name that is not taken, then drop the oldest beyond the bounds.

    Args:
        state_dir: the state directory, open.
        archive: the new bundle.
        place: path of the directory of bundles, for people.
        run_id: the run that made it.
        keep: how many bundles are kept at most.
        keep_bytes: how large all of them may be.
        check_mode: whether to tell only.
    """
    directory = _open_bundles(state_dir, place, check_mode=check_mode)
    if directory is None:
        return f"{run_id}.tar.gz", []
    try:
        there = _bundles(directory)
        taken = {name for name, _time, _size in there}
        names = [run_id, *(f"{run_id}-{number}" for number in range(2, _SAME_RUN_MAX))]
        name = next((f"{one}.tar.gz" for one in names if f"{one}.tar.gz" not in taken), None)
        if name is None:
            raise MediaOpsError(f"run {run_id} has made {_SAME_RUN_MAX} bundles already")
        surplus = _surplus(there, keep - 1, keep_bytes - len(archive))
        if not check_mode:
            replace_file(directory, name, archive, 0o600, os.path.join(place, name))
            for old in surplus:
                with failing(f"cannot remove the old {os.path.join(place, old)}"):
                    os.unlink(old, dir_fd=directory)
        return name, [os.path.join(place, old) for old in surplus]
    finally:
        os.close(directory)


def _open_bundles(state_dir: int, place: str, *, check_mode: bool) -> int | None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with failing(f"cannot use the directory {place}"):
        try:
            return os.open(BUNDLES, flags, dir_fd=state_dir)
        except FileNotFoundError:
            if check_mode:
                return None
        os.mkdir(BUNDLES, 0o700, dir_fd=state_dir)
        opened = os.open(BUNDLES, flags, dir_fd=state_dir)
        give_to_owner(opened, state_dir)
        return opened


def _bundles(directory: int) -> list[tuple[str, float, int]]:
    """Name, time and size of the bundles that are there, newest first."""
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(".tar.gz") and entry.is_file(follow_symlinks=False):
                facts = entry.stat(follow_symlinks=False)
                found.append((entry.name, facts.st_mtime, facts.st_size))
    return sorted(found, key=lambda bundle: (-bundle[1], bundle[0]))


def _surplus(there: Sequence[tuple[str, float, int]], count: int, size: int) -> list[str]:
    """The names of those that do not fit beside the new one, the oldest."""
    kept = used = 0
    for _name, _time, its_size in there:
        if kept >= count or used + its_size > size:
            break
        kept, used = kept + 1, used + its_size
    return sorted(name for name, _time, _size in there[kept:])
