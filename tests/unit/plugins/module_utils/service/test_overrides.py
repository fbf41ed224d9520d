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
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError
from ansible_collections.media_ops.runbook.plugins.module_utils.service import overrides
from ansible_collections.media_ops.runbook.plugins.module_utils.service.on_record import overrides_on_record
from ansible_collections.media_ops.runbook.plugins.module_utils.service.overrides import read_records, write_overrides
from ansible_collections.media_ops.runbook.plugins.module_utils.system import privilege
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text, utc_now

LATER, EARLIER = (to_text(utc_now() + timedelta(hours=hours)) for hours in (1, -1))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"PROCESSING_TIMEOUT": 5}', b'{"a b": {}}', b"\0" * 100])
def test_records_that_cannot_be_read_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "overrides.json").write_bytes(content)
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert read_records(directory) == {}
    finally:
        os.close(directory)


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of root's, in the place of which stands one of ours."""
    path = tmp_path / "etc.env"
    monkeypatch.setattr(overrides, "ENV_FILE", str(path))
    return path


def test_what_is_set_is_told_by_the_files_alone(tmp_path: Path, env_file: Path) -> None:
    state = tmp_path / "state"
    assert overrides_on_record(str(state)) == {"state": "ok", "reason": "", "overrides": []}
    env_file.write_text("# a comment\nPROCESSING_TIMEOUT=600\nLOG_LEVEL=DEBUG\nlower=1\n")
    assert [one["expired"] for one in overrides_on_record(str(state))["overrides"]] == [True, True]
    state.mkdir(0o750)
    taken = {"at": EARLIER, "shown_in": "journal"}
    (state / "overrides.json").write_text(json.dumps({"LOG_LEVEL": {"until": LATER, "why": "to\nsee", "taken": taken}}))
    known = {"name": "LOG_LEVEL", "value": "DEBUG", "since": None, "until": LATER, "expired": False, "why": "to see"}
    unknown = {"name": "PROCESSING_TIMEOUT", "value": "600", "since": None, "until": None, "expired": True, "why": ""}
    known, unknown = {**known, "taken_at": EARLIER}, {**unknown, "taken_at": None}
    assert overrides_on_record(str(state)) == {"state": "ok", "reason": "", "overrides": [known, unknown]}


def test_what_the_state_directory_says_is_set_is_not(tmp_path: Path, env_file: Path) -> None:
    """It belongs to the automation user: what holds stands in root's file."""
    (tmp_path / "overrides.env").write_text("LOG_LEVEL=DEBUG\n")
    assert overrides_on_record(str(tmp_path))["overrides"] == []


def test_what_anybody_may_write_is_not_believed(tmp_path: Path, env_file: Path) -> None:
    tmp_path.chmod(0o777)
    assert overrides_on_record(str(tmp_path))["state"] == "denied"


def test_a_file_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path, env_file: Path) -> None:
    env_file.mkdir()
    found = overrides_on_record(str(tmp_path / "none"))
    assert (found["state"], found["reason"]) == (
        "denied",
        f"cannot read {env_file}: it is a directory, not a regular file",
    )


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of root's program one that keeps what it is given, or refuses."""
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\ncat >{tmp_path}/given\n")
    path.chmod(0o755)
    monkeypatch.setattr(overrides, "PROGRAM", str(path))
    return path


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="sudo knows no such program")


@needs_root
def test_root_s_program_is_given_what_holds_and_the_records_go_with_the_last(tmp_path: Path, program: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(0o750)
    directory = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        held = {"PROCESSING_TIMEOUT": "600", "LOG_LEVEL": "DEBUG"}
        records = {name: {"until": LATER} for name in held}
        write_overrides(directory, str(state), held, records, {})
        assert json.loads((tmp_path / "given").read_bytes()) == held
        assert read_records(directory) == records
        write_overrides(directory, str(state), {}, {}, records)
        assert json.loads((tmp_path / "given").read_bytes()) == {}
        assert list(state.iterdir()) == []
    finally:
        os.close(directory)


@needs_root
def test_a_program_that_refuses_loses_no_record(tmp_path: Path, program: Path) -> None:
    """Nor does a crash after it: what holds has a record at each moment."""
    state = tmp_path / "state"
    state.mkdir(0o750)
    directory = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    old, new = {"LOG_LEVEL": {"until": LATER}}, {"PROCESSING_TIMEOUT": {"until": LATER}}
    try:
        write_overrides(directory, str(state), {"LOG_LEVEL": "DEBUG"}, old, {})
        program.write_text("#!/bin/sh\necho 'nothing is set: PATH is not a setting' >&2; exit 1\n")
        with pytest.raises(MediaOpsError, match="nothing is set: PATH is not a setting"):
            write_overrides(directory, str(state), {"PROCESSING_TIMEOUT": "600"}, new, old)
        assert read_records(directory) == {**old, **new}
    finally:
        os.close(directory)


def test_a_host_without_the_program_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privilege, "PROGRAMS", str(tmp_path))
    monkeypatch.setattr(overrides, "PROGRAM", f"{tmp_path}/overrides")
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(MediaOpsError, match=r"overrides is not on this host: run the playbook .*prepare_hosts"):
            write_overrides(directory, str(tmp_path), {"LOG_LEVEL": "DEBUG"}, {"LOG_LEVEL": {}}, {})
    finally:
        os.close(directory)
