"""Commands that are pasted: whatever a host is called, its limit fits it, and no other host."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible_collections.media_ops.runbook.plugins.module_utils.commands import command, host_pattern, limit_of

NAMES = [
    *(
        "media1",
        "media2",
        "media10",
        "media 1",
        " lead",
        "web,db",
        "a:b",
        "fe80::1",
        "[x]",
        "h[1:3]",
        "h*",
        "h?",
        "é-büro",
    ),
    *(
        "!not",
        "&and",
        "~re",
        "@file",
        "o'clock",
        'say "hi"',
        "back\\slash",
        "dollar$x",
        "`id`",
        "日本",
        "a.b",
        "axb",
        "😀",
    ),
]


@pytest.fixture
def inventory() -> InventoryManager:
    made = InventoryManager(DataLoader())
    made.add_group("media_hosts")
    for name in NAMES:
        # As a plugin of the inventory adds them: in files, some of these mean ranges or ports.
        made.add_host(name, "media_hosts")
    return made


def chosen(inventory: InventoryManager, limit: str) -> set[str]:
    inventory.subset(limit)
    return {host.name for host in inventory.get_hosts("media_hosts")}


def test_a_limit_fits_the_hosts_that_it_names_and_no_other(inventory: InventoryManager, tmp_path: Path) -> None:
    assert {host.name for host in inventory.get_hosts("media_hosts")} == set(NAMES)
    for name in NAMES:
        assert chosen(inventory, limit_of([name])) == {name}
        assert chosen(inventory, limit_of([name, "media1"])) == {name, "media1"}
        words = shlex.split(command("ansible-playbook /p/", "x", limit_of([name])))
        assert chosen(inventory, words[words.index("--limit") + 1]) == {name}
    listed = tmp_path / "some hosts.txt"
    listed.write_text("".join(f"{host_pattern(name)}\n" for name in NAMES[3:]), encoding="utf-8")
    assert chosen(inventory, f"@{listed},") == set(NAMES[3:])


def test_a_playbook_is_called_by_its_file_its_name_or_its_template() -> None:
    answers = {"incident_mode": "apply"}
    assert command("ansible-playbook '/my dir/'", "x", "a", answers) == (
        "ansible-playbook '/my dir/'x.yml --limit a -e incident_mode=apply"
    )
    assert command("ansible-playbook media_ops.runbook.", "x") == "ansible-playbook media_ops.runbook.x"
    assert command("AWX: the job template of ", "x", "a,b", answers) == (
        "AWX: the job template of x.yml; limit a,b; incident_mode apply"
    )
