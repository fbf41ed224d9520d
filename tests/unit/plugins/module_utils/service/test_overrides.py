# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Overrides as their files tell of them, also files that nobody can read."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError
from ansible_collections.media_ops.runbook.plugins.module_utils.service import overrides
from ansible_collections.media_ops.runbook.plugins.module_utils.service.on_record import overrides_on_record
from ansible_collections.media_ops.runbook.plugins.module_utils.service.overrides import read_records, write_overrides
from ansible_collections.media_ops.runbook.plugins.module_utils.state.directory import replace_file
from ansible_collections.media_ops.runbook.plugins.module_utils.system.environment_files import parse_environment_file
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text, utc_now

LATER = to_text(utc_now() + timedelta(hours=1))


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
    (tmp_path / "overrides.env").write_text("# a comment\nPROCESSING_TIMEOUT=600\nLOG_LEVEL=DEBUG\nlower=1\n")
    (tmp_path / "overrides.json").write_text(json.dumps({"LOG_LEVEL": {"until": LATER, "why": "to\nsee"}}))
    known = {"name": "LOG_LEVEL", "value": "DEBUG", "since": None, "until": LATER, "expired": False, "why": "to see"}
    unknown = {"name": "PROCESSING_TIMEOUT", "value": "600", "since": None, "until": None, "expired": True, "why": ""}
    assert overrides_on_record(str(tmp_path)) == {"state": "ok", "reason": "", "overrides": [known, unknown]}


def test_what_anybody_may_write_is_not_believed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert overrides_on_record(str(tmp_path))["state"] == "denied"


def test_the_file_is_written_whole_and_goes_with_the_last_override(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        held = {"PROCESSING_TIMEOUT": "600", "LOG_LEVEL": "DEBUG"}
        records = {name: {"until": LATER} for name in held}
        write_overrides(directory, str(tmp_path), held, records, {})
        text = (tmp_path / "overrides.env").read_text()
        assert parse_environment_file(text) == held
        assert (tmp_path / "overrides.env").stat().st_mode & 0o777 == 0o640
        assert read_records(directory) == records
        write_overrides(directory, str(tmp_path), {}, {}, records)
        write_overrides(directory, str(tmp_path), {}, {}, {})
        assert list(tmp_path.iterdir()) == []
    finally:
        os.close(directory)


def test_a_crash_between_the_two_files_loses_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds has a record at each moment: the writer is stopped before each of its writes in turn."""
    old = {"LOG_LEVEL": "DEBUG"}
    new = {"PROCESSING_TIMEOUT": "600"}
    replace = replace_file
    for stop in range(4):
        writes = iter(range(10))

        def stopping(*arguments: Any, stop: int = stop, writes: Any = writes) -> None:
            if next(writes) == stop:
                raise MediaOpsError("power cut")
            replace(*arguments)

        directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            monkeypatch.setattr(overrides, "replace_file", replace)
            write_overrides(directory, str(tmp_path), old, {name: {"until": LATER} for name in old}, {})
            monkeypatch.setattr(overrides, "replace_file", stopping)
            try:
                write_overrides(
                    directory,
                    str(tmp_path),
                    new,
                    {name: {"until": LATER} for name in new},
                    {name: {"until": LATER} for name in old},
                )
            except MediaOpsError:
                assert stop < 3
            holds = parse_environment_file((tmp_path / "overrides.env").read_text())
            assert holds in (old, new)
            assert set(holds) <= set(read_records(directory))
        finally:
            os.close(directory)
