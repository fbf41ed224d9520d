# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of archives, and the hash of an open file."""

from __future__ import annotations

import hashlib
import os
from datetime import date
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.archives.archive import (
    ARCHIVE_NAME,
    ARCHIVES_BEGIN,
    archive_name,
    hashed,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.deadline import Deadline


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("number", [1, 2, 999])
def test_an_archive_is_known_by_the_name_that_it_gets(number: int, compression: str) -> None:
    name = archive_name(date(2026, 11, 30), number, compression)
    found = ARCHIVE_NAME.fullmatch(name)
    assert found
    assert found.group(1) == "20261130"
    assert name.startswith(ARCHIVES_BEGIN)
    assert ("-" in name) == (number > 1)


@pytest.mark.parametrize("size", [0, 1, (1 << 18) + 1])
def test_all_of_an_open_file_is_hashed_wherever_it_stands(tmp_path: Path, size: int) -> None:
    data = b"x" * size
    (tmp_path / "file").write_bytes(data)
    with (tmp_path / "file").open("rb") as file:
        file.seek(size // 2)
        assert hashed(file.fileno(), Deadline(60)) == (size, hashlib.sha256(data).hexdigest())
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == size // 2
