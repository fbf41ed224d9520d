# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""log_digest_info as Ansible runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.modules import log_digest_info

LINES = (
    '{"timestamp": "2026-11-24T05:00:00", "level": "ERROR", "extra": {"error_code": "MERGE_ERROR", "success": false}}\n'
    '{"timestamp":"2026-11-24T05:00:01","level":"ERROR","extra":{}}\n'
    '{"timestamp":"2026-11-24T05:00:02","level":"INFO","extra":{"success":true}}\n'
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "media_processing.log"
    path.write_text(LINES, encoding="utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        log_digest_info.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# runbook: DE-2
def test_errors_by_code(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    found = run(capsys, path=str(log), where=[{"field": "level", "value": "ERROR"}], count_by=["extra.error_code"])
    assert found["counts"] == {
        "extra.error_code": [{"value": "MERGE_ERROR", "count": 1}, {"value": "UNKNOWN", "count": 1}]
    }
    assert (found["state"], found["changed"], found["matched"], found["lines"]) == ("ok", False, 2, 3)
    assert (found["first_at"], found["last_at"]) == ("2026-11-24T05:00:00Z", "2026-11-24T05:00:01Z")


# runbook: P1-1C
def test_a_value_keeps_its_type(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    condition = {"field": "extra.success", "value": False}
    assert run(capsys, path=str(log), where=[condition], last="10")["matched"] == 1
    assert run(capsys, path=str(log), where=[{**condition, "value": "false"}])["matched"] == 0


def test_cursor_in_check_mode_and_in_earnest(capsys: pytest.CaptureFixture[str], log: Path, tmp_path: Path) -> None:
    options = {"path": str(log), "cursor": "watch", "state_dir": str(tmp_path)}
    assert run(capsys, **options, _ansible_check_mode=True)["cursor"]["written"] is False
    assert run(capsys, **options)["cursor"]["written"] is True
    assert run(capsys, **options)["lines"] == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"where": [{"field": "level", "op": "matches", "value": "E"}]}, "value of op must be one of: eq, ne"),
        ({"where": [{"value": "E"}]}, "missing required arguments: field"),
        ({"where": [{"field": "d", "op": "gt", "value": "300"}]}, "gt needs as value a number"),
        ({"cursor": "watch", "state_dir": "/nonexistent"}, "option 'state_dir' is '/nonexistent': does not exist"),
    ],
)
def test_misuse_fails_and_names_the_option(
    capsys: pytest.CaptureFixture[str], log: Path, options: dict[str, Any], says: str
) -> None:
    found = run(capsys, path=str(log), **options)
    assert found["failed"] is True
    assert says in found["msg"]


@pytest.mark.slow
def test_by_ansible_itself(log: Path) -> None:
    root = Path(__file__).resolve().parents[4]
    plain = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    options = {"path": str(log), "where": [{"field": "*", "op": "contains_token", "value": "MERGE_ERROR"}], "last": 1}
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible", "localhost", "-m", "media_ops.runbook.log_digest_info", "-a",
         json.dumps(options), "-e", f"ansible_python_interpreter={sys.executable}"],
        cwd=root, env={**os.environ, **plain}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert found["last"][0]["extra"] == {"error_code": "MERGE_ERROR", "success": False}


def test_secrets_stay_on_the_host(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    said = "Authorization: Bearer c4n4ry123456, postgres://u:c4n4ry@db, token=c4n4ryc4n4ry"
    log.write_text(
        json.dumps({"level": "ERROR", "message": said, "extra": {"error_code": said}}) + "\n", encoding="utf-8"
    )
    found = run(capsys, path=str(log), last=1, count_by=["extra.error_code"], unit="no-such-unit")
    assert found["last"][0]["level"] == "ERROR"
    assert "c4n4ry" not in json.dumps(found)
