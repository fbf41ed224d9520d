# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is remembered of logs and archives between two looks: which file it was, and which logs an archive holds."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import MediaOpsError
from ..shapes import json_object
from ..state import directory
from ..system.tree import opened_option

JOURNAL = "journal"
JOURNAL_MAX = 1 << 22


class Identity(NamedTuple):
    """What tells a file from others, whatever its name is by now."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Identity:
        """Of a file that was looked at."""
        return cls(facts.st_ino, facts.st_size, facts.st_mtime_ns)


def own_name(log_dir: str, what: str) -> str:
    """The name of a file in the archive directory that is about one log directory: others may share the archives'."""
    return f".archived_logs.{hashlib.sha256(os.fsencode(os.path.normpath(log_dir))).hexdigest()[:8]}.{what}"


def archived_logs(log_dir: str, archive_dir: str) -> frozenset[Identity]:
    """The logs of a directory that an archive holds, and that still are to be deleted.

    Raises:
        MediaOpsError: that cannot be told.
    """
    with opened_option("archived_in", archive_dir) as archives:
        name = own_name(log_dir, JOURNAL)
        path = f"{archives.path}/{name}"
        with directory.failing(f"cannot read {path}, which says what is archived already"):
            data = directory.read_if_there(archives.fd, name, JOURNAL_MAX)
        found: set[Identity] = set()
        for journal in journals_from_bytes(data or b"", path):
            with contextlib.suppress(OSError):  # without its archive it proves nothing
                if journal.is_of(os.stat(journal.archive, dir_fd=archives.fd, follow_symlinks=False)):
                    found.update(journal.files)
    return frozenset(found)


@dataclass
class Journal:
    """What stands in an archive and is to be deleted, by identity, with the hash of the content.

    Attributes:
        kept: whether a run tried to delete it, and could not.
    """

    archive: str
    archive_inode: int
    archive_size: int
    files: dict[Identity, str] = field(default_factory=dict)
    kept: bool = False

    def is_of(self, facts: os.stat_result) -> bool:
        """Whether a file that was looked at is the archive; one that got its name may have been put back since."""
        return facts.st_size == self.archive_size and (self.kept or facts.st_ino == self.archive_inode)


def journals_to_bytes(journals: Sequence[Journal]) -> bytes:
    """As they are kept."""
    rows = [
        {
            "archive": one.archive,
            "inode": one.archive_inode,
            "size": one.archive_size,
            "kept": one.kept,
            "files": [[*identity, sha256] for identity, sha256 in one.files.items()],
        }
        for one in journals
    ]
    return json.dumps({"archives": rows}).encode() + b"\n"


def journals_from_bytes(data: bytes, path: str) -> list[Journal]:
    """As they were kept, oldest first; empty where there are none."""
    if not data:
        return []
    try:
        return [
            Journal(
                str(row["archive"]),
                int(row["inode"]),
                int(row["size"]),
                {Identity(*map(int, file[:3])): str(file[3]) for file in row["files"]},
                bool(row["kept"]),
            )
            for row in json_object(data)["archives"]
        ]
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise MediaOpsError(
            f"{path} says which logs are archived already, and cannot be read: look into it, and delete it "
            "once no log stands both in the log directory and in an archive"
        ) from error


@dataclass
class Memory:
    """Hashes of logs that an archive holds, and that somebody else may have compressed meanwhile, with their days.

    What logrotate makes of a log while it is archived is found later, as a file of its own with the same lines.
    """

    days: dict[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """As it is kept."""
        return json.dumps({"archived": self.days}, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> Memory:
        """As it was kept; empty where there is none."""
        if not data:
            return cls()
        try:
            return cls({str(sha256): str(day) for sha256, day in json_object(data)["archived"].items()})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise MediaOpsError(
                f"{path} says which logs are archived that are being compressed, and cannot be read: look into it, "
                "and delete it once no compressed log stands both in the log directory and in an archive"
            ) from error
