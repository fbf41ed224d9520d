# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is remembered of logs and archives between two looks: which file it was, and which logs an archive holds."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import MediaOpsError
from ..shapes import json_object


class Identity(NamedTuple):
    """What tells a file from others, whatever its name is by now."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Identity:
        """Of a file that was looked at."""
        return cls(facts.st_ino, facts.st_size, facts.st_mtime_ns)


@dataclass
class Journal:
    """What stands in an archive and is to be deleted, by identity, with the hash of the content."""

    archive: str
    archive_inode: int
    archive_size: int
    files: dict[Identity, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """As it is kept."""
        files = [[*identity, sha256] for identity, sha256 in self.files.items()]
        document = {"archive": self.archive, "inode": self.archive_inode, "size": self.archive_size, "files": files}
        return json.dumps(document).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> Journal | None:
        """As it was kept; None where there is none."""
        if not data:
            return None
        try:
            document = json_object(data)
            files = {Identity(*map(int, row[:3])): str(row[3]) for row in document["files"]}
            return cls(str(document["archive"]), int(document["inode"]), int(document["size"]), files)
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


class Expired(NamedTuple):
    """An archive that is old by its name and by its time."""

    name: str
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, name: str, facts: os.stat_result) -> Expired:
        """Of an archive that was looked at."""
        return cls(name, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
