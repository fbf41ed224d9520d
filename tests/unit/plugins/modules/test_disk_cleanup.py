# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""disk_cleanup as Ansible runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.modules import disk_cleanup

from tests.unit.plugins.deletion import listed, make, sessions_api

pytestmark = pytest.mark.usefixtures("moved_clock")


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        disk_cleanup.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# runbook: EM-S3
def test_plan_approve_apply(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    make(tmp_path / "gone/a.tmp")
    make(tmp_path / "listed/b.tmp")
    rules = [{"rule": "temporary", "root": str(tmp_path), "patterns": "*.tmp", "min_age": 8640, "steps": ["EM-S3"]}]
    with sessions_api(listed("listed")) as url:
        options = {"rules": rules, "api_url": url, "sessions_dir": str(tmp_path)}
        planned = run(capsys, **options, _ansible_check_mode=True, _ansible_diff=True)
        assert planned["changed"] is True
        assert planned["diff"]["before"].startswith(f"{tmp_path}/gone/a.tmp (1 bytes)")
        drifted = run(capsys, **options, plan_hash="0" * 12)
        assert drifted["failed"] is True
        assert drifted["plan"] == planned["plan"]
        assert f"delete 1 file below {tmp_path} (rule temporary)" in drifted["msg"]
        done = run(capsys, **options, plan_hash=planned["hash"], as_of=planned["as_of"])
        assert done["plan"][0]["result"] == "done"
        assert "diff" not in done
        assert not {"skipped", "msg", "results"} & done.keys(), "Ansible takes these for its own"
        assert [one["reason"] for one in done["skipped_files"]] == ["session"]
        assert run(capsys, **options)["changed"] is False
    assert not (tmp_path / "gone/a.tmp").exists()
    assert (tmp_path / "listed/b.tmp").exists()


def test_the_token_is_in_no_output(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    canary = "canary-5f2c9a"
    rules = [{"rule": "temporary", "root": str(tmp_path), "patterns": ["*"], "min_age": 1}]
    with sessions_api({"detail": f"bad token {canary}"}, 401) as url:
        found = run(capsys, rules=rules, api_url=url, api_token=canary, sessions_dir=str(tmp_path))
    assert found["api"]["state"] == "auth"
    assert canary not in json.dumps(found)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rules": []}, "must have at least one rule"),
        ({"rules": [{"rule": "r", "root": "/", "patterns": ["*"], "min_age": 1}]}, "two components"),
        ({"rules": [{"rule": "r", "root": "/a/b", "patterns": ["*"]}]}, "missing required arguments: min_age"),
        ({"rules": [{"rule": "r", "root": "/a/b", "patterns": ["*"], "min_age": "1 day"}]}, "min_age"),
    ],
)
def test_misuse_fails_and_names_the_option(
    capsys: pytest.CaptureFixture[str], options: dict[str, Any], says: str
) -> None:
    found = run(capsys, **options)
    assert found["failed"] is True
    assert says in found["msg"]
