"""How a run was called: what a command that follows must say again, and no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible import context
from ansible.utils.context_objects import CLIArgs
from ansible_collections.media_ops.runbook.plugins.plugin_utils.invocation import call_of

VARIABLES = {"playbook_dir": "/srv/my runbook", "ansible_inventory_sources": ["/srv/my hosts.yml"]}
FQCN = {**VARIABLES, "playbook_dir": "/x/ansible_collections/media_ops/runbook/playbooks"}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Any:
    def with_options(**options: Any) -> None:
        monkeypatch.setattr(context, "CLIARGS", CLIArgs(options))

    return with_options


def test_inventory_files_and_our_own_variables_are_said_again_and_secrets_are_not(called: Any, tmp_path: Path) -> None:
    book = tmp_path / "incident_response.yml"
    book.touch()
    called(
        args=(str(book),),
        subset="eu",
        extra_vars=(
            "@/srv/a b.yml",
            "media_ops_hosts=web incident_mode=plan other=1",
            '{"incident_only": ["stuck_session"], "policy_x": {"api_token": "canary"}}',
            "media_ops_api_token=canary",
            "{broken",
        ),
        vault_ids=("prod@/v",),
        become_ask_pass=True,
    )
    made = call_of(VARIABLES)
    options = "ansible-playbook -i '/srv/my hosts.yml' -K --vault-id prod@/v -e '@/srv/a b.yml' -e media_ops_hosts=web"
    assert made["prefix"] == f"{options} '/srv/my runbook/'"
    assert made["again"] == f'{options} -e \'{{"incident_only": ["stuck_session"]}}\' {book}'
    assert made["limit"] == "eu"
    assert call_of(VARIABLES, "mine ")["prefix"] == "mine "


def test_an_installed_collection_and_no_command_line(called: Any) -> None:
    called(args=("media_ops.runbook.incident_response",))
    made = call_of(FQCN)
    assert made["prefix"] == "ansible-playbook -i '/srv/my hosts.yml' media_ops.runbook."
    assert made["again"].endswith(" media_ops.runbook.incident_response")
    called()
    assert call_of({}) == {"prefix": "ansible-playbook ", "again": "", "limit": ""}


@pytest.mark.parametrize("name", ["awx_job_template_name", "tower_job_template_name"])
def test_under_awx_the_job_template_is_named(called: Any, name: str) -> None:
    called(args=("x.yml",))
    made = call_of({**VARIABLES, name: "Respond"})
    assert (made["prefix"], made["again"]) == ("AWX: the job template of ", "AWX: the job template 'Respond'")
