# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""host_info as Ansible runs it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.modules import host_info


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        host_info.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# runbook: P0-3A, P2P-3C, P2P-3D
def test_defaults_gather_everything(capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, interval="0.1", _ansible_check_mode=True)
    assert found["changed"] is False
    assert [disk["path"] for disk in found["disks"]] == ["/"]
    assert {"cpu", "memory", "load", "io", "processes", "clock"} <= set(found)
    assert found["invocation"]["module_args"]["samples"] == 1


def test_misuse_fails_and_names_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, samples=61)
    assert found["failed"] is True
    assert found["msg"] == "option 'samples' is 61: must be 1 to 60"
