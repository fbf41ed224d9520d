"""Modules session_info and session_terminate as Ansible runs them: main() on real arguments."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.doc_fragments import api, id_maps, log_fields, process, sessions
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.session_terminate import (
    terminate_argument_spec,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.settings import session_argument_spec
from ansible_collections.media_ops.runbook.plugins.modules import session_info, session_terminate

from tests.session_site import Site, alive, running_site

# No other run of the tests has them, whose processes can be seen from here.
SESSION = f"5d0c1f6e-{os.getpid()}"
CANARY = "canary-5fJ2.sEcReT_token-9Kq"

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as running:
        yield running


def run(capsys: Capsys, module: Any, *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    limits = {"look_minutes": 10, "investigate_minutes": 30, "end_minutes": 60, "quiet_seconds": 0, "interval": 0.2}
    arguments = {"_ansible_check_mode": check_mode, "api_token": CANARY, **limits, **options}
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        module.main()
    text = capsys.readouterr().out
    result: dict[str, Any] = json.loads(text)
    assert bool(ended.value.code) == bool(result.get("failed"))
    assert CANARY not in text.replace(json.dumps(result.get("invocation")), "")
    return result


def test_a_stuck_session_is_found_planned_and_ended(capsys: Capsys, site: Site) -> None:
    process = site.waiting(SESSION)
    common: dict[str, Any] = {"api_url": site.api_url, "service_pid": site.service.pid, "work_dir": str(site.work_dir)}
    found = run(capsys, session_info, **common)
    assert (found["changed"], found["may_end"]) == (False, [SESSION])
    planned = run(capsys, session_terminate, check_mode=True, **common)
    assert planned["changed"]
    assert alive(process)
    drifted = run(capsys, session_terminate, plan_hash="0" * 12, **common)
    assert drifted["failed"]
    assert drifted["hash"] == planned["hash"]
    assert alive(process)
    done = run(capsys, session_terminate, plan_hash=planned["hash"], grace=0.3, wait=0, **common)
    assert done["outcomes"][0]["ended"] == [process.pid]
    assert not alive(process)


@pytest.mark.parametrize("module", [session_info, session_terminate])
def test_misuse_fails(capsys: Capsys, module: Any) -> None:
    options: dict[str, Any] = {"service_pid": 2, "work_dir": "/srv/media"}
    assert "session_ids" in run(capsys, module, session_ids=["*"], **options)["msg"]
    assert "unit" in run(capsys, module, work_dir="/srv/media")["msg"]


@pytest.mark.parametrize(
    ("module", "spec"), [(session_info, session_argument_spec()), (session_terminate, terminate_argument_spec())]
)
def test_the_documented_options_are_the_real_ones(module: Any, spec: dict[str, Any]) -> None:
    documented: dict[str, Any] = {}
    fragments = [one.ModuleDocFragment.DOCUMENTATION for one in (api, id_maps, log_fields, process, sessions)]
    for text in (*fragments, module.DOCUMENTATION):
        documented |= yaml.safe_load(text)["options"]
    assert documented.keys() == spec.keys()
    for name, option in spec.items():
        for key in ("type", "elements", "default", "required"):
            assert documented[name].get(key) == option.get(key), f"{name}.{key}"


def test_the_documented_results_are_the_real_ones(capsys: Capsys, site: Site) -> None:
    site.waiting(SESSION)
    common: dict[str, Any] = {"api_url": site.api_url, "service_pid": site.service.pid, "work_dir": str(site.work_dir)}
    for module in (session_info, session_terminate):
        result = run(capsys, module, check_mode=True, **common)
        assert yaml.safe_load(module.RETURN).keys() == result.keys() - {"changed", "invocation"}
    row = result["sessions"][0]
    assert yaml.safe_load(session_info.RETURN)["sessions"]["contains"].keys() == row.keys()
