"""Which hosts the fleet has: whatever its group is called, and whatever --limit and the play leave of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleUndefinedVariable
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.plugin_utils.fleet_hosts import fleet_size, whole_fleet

INVENTORY = """
[media_hosts]
media[1:4]
[video]
video[1:3]
[retired]
video3
[all:vars]
ansible_connection=local
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Any:
    path = tmp_path / "hosts.ini"
    path.write_text(INVENTORY, encoding="utf-8")
    inventory = InventoryManager(loader=DataLoader(), sources=[str(path)])
    inventory.subset("media1")
    inventory.restrict_to_hosts(inventory.get_hosts("media1"))
    assert [host.name for host in inventory.get_hosts()] == ["media1"]

    def named(**variables: Any) -> list[str]:
        known = {"hostvars": SimpleNamespace(_inventory=inventory), **variables}
        return whole_fleet(known, Templar(loader=DataLoader(), variables=known).template)

    return named


MEDIA = ["media1", "media2", "media3", "media4"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("media_hosts", MEDIA),
        ("video", ["video1", "video2", "video3"]),
        (["video", "media_hosts"], ["video1", "video2", "video3", *MEDIA]),
        ("video:!retired", ["video1", "video2"]),
        (trust_as_template("{{ 'vid' ~ 'eo' }}"), ["video1", "video2", "video3"]),
        # Parts of the group are no fleet of their own.
        ("media1", MEDIA),
        ("media1,media2", MEDIA),
        (["media3"], MEDIA),
        ("media_hosts[0]", MEDIA),
        ("media*", MEDIA),
        ("~media[12]", MEDIA),
        ("video1", ["video1"]),
    ],
)
def test_the_whole_of_it_is_found(fleet: Any, given: Any, found: list[str]) -> None:
    assert sorted(fleet(media_ops_hosts=given)) == sorted(found)


def test_without_a_word_it_is_the_group_media_hosts(fleet: Any) -> None:
    assert fleet() == MEDIA


def test_a_name_that_is_not_defined_is_no_default(fleet: Any) -> None:
    with pytest.raises(AnsibleUndefinedVariable, match="misspelt"):
        fleet(media_ops_hosts=trust_as_template("{{ misspelt }}"))


@pytest.mark.parametrize(("given", "size"), [(40, 40), ("40", 40), (1, 1)])
def test_how_many_there_are(given: Any, size: int) -> None:
    assert fleet_size({"media_ops_fleet_size": given}, lambda value: value) == size
    assert fleet_size({}, lambda value: value) == 0


@pytest.mark.parametrize("given", [0, -1, "many", "", None, True, 4.5, "4 0", [4], 10**9])
def test_what_is_no_number_of_hosts_is_refused(given: Any) -> None:
    with pytest.raises(OptionError, match="media_ops_fleet_size"):
        fleet_size({"media_ops_fleet_size": given}, lambda value: value)
