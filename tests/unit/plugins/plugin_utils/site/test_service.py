"""What a site may say of a service without a unit: refused are two services, none, and what would reach a shell."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.service import service_problems

SUPERVISED: dict[str, Any] = {
    "policy_service_unit": "",
    "policy_service_process": {"port": 8000},
    "policy_service_restart": ["/usr/bin/supervisorctl", "restart", "media"],
    "policy_service_restart_as_root": True,
}


@pytest.mark.parametrize(
    "site",
    [
        SUPERVISED,
        {**SUPERVISED, "policy_service_restart": [], "policy_service_restart_as_root": "false"},
        {"policy_service_unit": "media", "policy_service_process": {}, "policy_service_restart": []},
        {},
    ],
)
def test_a_service_is_known_by_one_thing(site: dict[str, Any]) -> None:
    assert service_problems(site.get) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"policy_service_process": {}}, "policy_service_process is {}: must tell the main process"),
        ({"policy_service_process": {"port": 8000, "pid_file": "/run/a.pid"}}, "policy_service_process is {"),
        ({"policy_service_process": {"user": "x", "port": 1}}, "policy_service_process.user is 'x'"),
        ({"policy_service_process": {"port": "http"}}, "policy_service_process.port is 'http'"),
        ({"policy_service_unit": "media"}, "set policy_service_unit to \"\" (it is 'media')"),
        ({"policy_service_unit": "a b", "policy_service_process": {}}, "policy_service_unit is 'a b'"),
        ({"policy_service_restart": ["supervisorctl"]}, "policy_service_restart is 'supervisorctl': must begin with"),
        ({"policy_service_restart": ["/bin/sh", "-c", "a; b"]}, "policy_service_restart is 'a; b'"),
        ({"policy_service_restart": []}, "policy_service_restart_as_root is True"),
    ],
)
def test_what_cannot_be_meant_is_named(change: dict[str, Any], said: str) -> None:
    problems = service_problems({**SUPERVISED, **change}.get)
    assert any(said in problem for problem in problems), problems
