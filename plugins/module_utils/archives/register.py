# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The register of an archive directory: what each archive was when it was made, where a copy of it is proved, what is
being uploaded. Whoever writes it has the directory locked."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import NamedTuple

from ..errors import MediaOpsError
from ..shapes import json_object
from ..state import directory
from ..system.tree import Root
from .archive import days_old

REGISTER = ".archived_logs.register"
_MAX = 1 << 24


@dataclass
class Made:
    """An archive as it was made.

    Attributes:
        bytes: its size.
        sha256: of the archive itself.
        plain_bytes: of what went into it as text.
        packed_bytes: of what went into it compressed as it was.
        copied_to: where the store had a proved copy of it, by the last look; empty where none was proved.
    """

    bytes: int
    sha256: str
    plain_bytes: int = 0
    packed_bytes: int = 0
    copied_to: str = ""

    @property
    def ratio(self) -> float | None:
        """What part of its size text took in it; None where there was none."""
        return max(0, self.bytes - self.packed_bytes) / self.plain_bytes if self.plain_bytes else None


class Upload(NamedTuple):
    """An upload in parts that was begun, and is not known to be ended.

    Attributes:
        to: bucket and prefix, as ``s3://BUCKET/PREFIX``.
        archive: its name.
    """

    to: str
    archive: str


@dataclass
class Register:
    """Archives by their names, uploads by their ids."""

    archives: dict[str, Made] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def forget_gone(self, there: Collection[str], today: date, keep_days: int) -> None:
        """Forget archives that are not there any more, once they would have gone by their age."""
        ages = {name: days_old(name, today) for name in self.archives if name not in there}
        for name, age in ages.items():
            if age is None or age > keep_days:
                del self.archives[name]


def register_path(archives: Root) -> str:
    """Where the register is, for people."""
    return f"{archives.path}/{REGISTER}"


def read_register(archives: Root) -> Register:
    """As it was kept; empty where there is none.

    Raises:
        MediaOpsError: it cannot be read.
    """
    path = register_path(archives)
    with directory.failing(f"cannot read {path}, which says what the archives were when they were made"):
        data = directory.read_if_there(archives.fd, REGISTER, _MAX)
    if not data:
        return Register()
    try:
        document = json_object(data)
        return Register(
            {
                str(name): Made(
                    int(row["bytes"]),
                    str(row["sha256"]),
                    int(row["plain_bytes"]),
                    int(row["packed_bytes"]),
                    str(row["copied_to"]),
                )
                for name, row in document["archives"].items()
            },
            {str(upload): Upload(str(to), str(name)) for upload, (to, name) in document["uploads"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MediaOpsError(
            f"{path} says what the archives were when they were made, and cannot be read: look into it, and delete it "
            "once the archives are known to be whole (their copies, zstd -t, gzip -t)"
        ) from error


def write_register(archives: Root, register: Register) -> None:
    """Keep it, whole or not at all."""
    document = {
        "archives": {name: asdict(made) for name, made in sorted(register.archives.items())},
        "uploads": {upload: list(of) for upload, of in sorted(register.uploads.items())},
    }
    directory.replace_file(archives.fd, REGISTER, json.dumps(document).encode() + b"\n", 0o600, register_path(archives))
