# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Overrides as their files tell of them, also files that nobody can read."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.service.overrides import (
    overrides_on_record,
    read_records,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text, utc_now


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"PROCESSING_TIMEOUT": 5}', b'{"a b": {}}', b"\0" * 100])
def test_records_that_cannot_be_read_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "overrides.json").write_bytes(content)
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert read_records(directory) == {}
    finally:
        os.close(directory)


def test_what_is_set_is_told_by_the_files_alone(tmp_path: Path) -> None:
    assert overrides_on_record(f"{tmp_path}/none") == {"state": "ok", "reason": "", "overrides": []}
    later = to_text(utc_now() + timedelta(hours=1))
    (tmp_path / "overrides.env").write_text("# a comment\nPROCESSING_TIMEOUT=600\nLOG_LEVEL=DEBUG\nlower=1\n")
    (tmp_path / "overrides.json").write_text(json.dumps({"LOG_LEVEL": {"until": later, "why": "to\nsee"}}))
    known = {"name": "LOG_LEVEL", "value": "DEBUG", "since": None, "until": later, "expired": False, "why": "to see"}
    unknown = {"name": "PROCESSING_TIMEOUT", "value": "600", "since": None, "until": None, "expired": True, "why": ""}
    assert overrides_on_record(str(tmp_path)) == {"state": "ok", "reason": "", "overrides": [known, unknown]}


def test_what_anybody_may_write_is_not_believed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert overrides_on_record(str(tmp_path))["state"] == "denied"
