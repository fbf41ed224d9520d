"""Which hosts a run is for, and why it is not begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible import constants as C  # noqa: N812
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.fleet import (
    chosen_hosts,
    hosts_of,
    pattern_parts,
    run_problems,
    unread_sources,
)

GROUPS = {
    "all": ["web", "m1", "m2", "m3"],
    "ungrouped": [],
    "media_hosts": ["m1", "m2", "m3"],
    "canary": ["m2"],
    "empty": [],
}


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("media_hosts", ["m1", "m2", "m3"]),
        ("media_hosts:!canary", ["m1", "m3"]),
        ("media_hosts:&canary", ["m2"]),
        (["m3", "m1"], ["m3", "m1"]),
        ("~m[12]", ["m1", "m2"]),
        ("m?", ["m1", "m2", "m3"]),
        ("media_hosts[0]", ["m1"]),
        ("m1,empty", ["m1"]),
        ("all", ["web", "m1", "m2", "m3"]),
    ],
)
def test_a_pattern_is_read_as_ansible_reads_it(pattern: Any, hosts: list[str]) -> None:
    assert sorted(hosts_of(GROUPS, pattern_parts(pattern))) == sorted(hosts)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("medai_hosts", "names medai_hosts, which is no group and no host"),
        ("media_hosts:medai_hosts", "names medai_hosts"),
        ("media_hosts:!cannary", "names !cannary"),
        ("empty", "empty has no host"),
        ("canary:!m2", "has no host"),
        ("", "a host pattern is needed"),
        ([], "a host pattern is needed"),
        ({"a": 1}, "a host pattern is needed"),
        (None, "a host pattern is needed"),
        ([1], "a host pattern is needed"),
    ],
)
def test_a_pattern_that_leaves_hosts_out_unsaid_is_refused(pattern: Any, said: str) -> None:
    with pytest.raises(MediaOpsError, match=said):
        hosts_of(GROUPS, pattern_parts(pattern))


@pytest.mark.parametrize(
    ("limit", "chosen", "outside"),
    [
        (None, ["m1", "m2", "m3"], []),
        ("m1", ["m1"], []),
        ("m1,web", ["m1"], ["web"]),
        ("canary", ["m2"], []),
        ("!m1", ["m2", "m3"], []),
        ("all:!m1", ["m2", "m3"], ["web"]),
    ],
)
def test_a_limit_leaves_hosts_and_says_which_it_names_besides(
    limit: str | None, chosen: list[str], outside: list[str]
) -> None:
    assert chosen_hosts(GROUPS, ["media_hosts"], limit) == (chosen, outside)


@pytest.mark.parametrize(
    ("limit", "said"), [("web", "leaves no host"), ("m1,m9", "m9"), ("@/not/there", "cannot be read")]
)
def test_a_limit_that_leaves_out_what_was_asked_for_is_refused(limit: str, said: str) -> None:
    with pytest.raises(MediaOpsError, match=said):
        chosen_hosts(GROUPS, ["media_hosts"], limit)


def test_a_limit_may_be_a_file(tmp_path: Path) -> None:
    listed = tmp_path / "limit"
    listed.write_text("m1\nm3\n", encoding="utf-8")
    assert chosen_hosts(GROUPS, ["media_hosts"], f"@{listed}") == (["m1", "m3"], [])


@pytest.mark.filterwarnings("ignore")
def test_a_source_that_was_read_in_part_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As it is without an ansible.cfg of ours
    monkeypatch.setattr(C, "INVENTORY_ANY_UNPARSED_IS_FAILED", False)
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text("a: 1\n", encoding="utf-8")
    good, half, broken = (tmp_path / name for name in ("good.yml", "half", "broken.yml"))
    good.write_text("media_hosts: {hosts: {m1: }}\n", encoding="utf-8")
    half.write_text("[media_hosts]\nm2\n[brk]]\nm3\n", encoding="utf-8")
    broken.write_text("media_hosts:\n  hosts:\n   h1: {ansible_host: 127.0.0.1\n", encoding="utf-8")
    for sources in (["web,"], [str(good)], ["m9,", str(good)]):
        inventory = InventoryManager(loader=DataLoader(), sources=sources)
        assert unread_sources(sources, inventory._inventory.processed_sources) == []
    inventory = InventoryManager(loader=DataLoader(), sources=[str(tmp_path)])
    assert unread_sources([tmp_path], inventory._inventory.processed_sources) == [str(broken), str(half)]
    inventory = InventoryManager(loader=DataLoader(), sources=[str(tmp_path / "nothere")])
    assert unread_sources([tmp_path / "nothere"], inventory._inventory.processed_sources) == [str(tmp_path / "nothere")]


@pytest.mark.parametrize(
    ("options", "extra", "settings", "core", "said"),
    [
        ({"tags": ["all"], "skip_tags": []}, ["media_ops_hosts"], {}, "2.19.0", ""),
        ({"tags": ["x"]}, [], {}, "2.20.1", "--tags x"),
        ({"tags": ["all"], "skip_tags": ["notest", "untagged"]}, [], {}, "2.19.0", "--skip-tags untagged"),
        ({"tags": ["all"], "skip_tags": ["molecule-notest", "notest"]}, [], {}, "2.19.0", ""),
        ({"start_at_task": "Report"}, [], {}, "2.19.0", "--start-at-task Report"),
        ({}, ["__incident_hours"], {}, "2.19.0", "-e __incident_hours"),
        ({}, ["healthcheck_result"], {}, "2.19.0", "-e healthcheck_result"),
        ({}, [], {"hash_behaviour": "merge"}, "2.19.0", "hash_behaviour"),
        ({}, [], {"precedence": ["all_inventory"]}, "2.19.0", "precedence leaves groups_inventory, "),
        ({}, [], {}, "2.18.9", "2.18.9 is too old: 2.19"),
        ({}, [], {}, "", "is too old"),
    ],
)
def test_a_run_that_would_leave_out_tasks_or_guards_is_refused(
    options: dict[str, Any], extra: list[str], settings: dict[str, Any], core: str, said: str
) -> None:
    problems = run_problems(options, extra, settings, core)
    assert (len(problems), said in "; ".join(problems)) == (1 if said else 0, True)
