"""What holds for a whole run is the same for all hosts, also where it is a template."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.arguments import (
    ArgumentsError,
    fleet_settings,
    require_one_fleet,
)


def require(hosts: dict[str, dict[str, Any]], templated: dict[str, Any] | None = None) -> list[str]:
    """Hold hosts against each other; gives the hosts of which a variable was templated."""
    asked = []

    def value(host: str, name: str) -> Any:
        asked.append(host)
        return (templated or {}).get(host, hosts[host][name])

    require_one_fleet(hosts, value)
    return asked


def test_these_hold_for_the_run() -> None:
    assert {"report_dir", "report_channels", "report_contacts", "report_command_prefix"} <= set(fleet_settings())
    assert {"policy_fail_on", "policy_breaker_share"} <= set(fleet_settings())
    assert "report_textfile_dir" not in fleet_settings(), "a directory on each host"


def test_what_is_the_same_is_not_even_templated() -> None:
    same = {"report_dir": "/r", "report_channels": [{"url": "{{ lookup('env', 'HOOK') }}"}], "report_contacts": []}
    assert require({"a": {**same, "inventory_hostname": "a"}, "b": {**same, "inventory_hostname": "b"}}) == []


@pytest.mark.parametrize(
    "hosts",
    [
        {"a": {"report_dir": "/r"}, "b": {"report_dir": "/s"}},
        {"a": {"report_dir": "/r"}, "b": {}},
        {"a": {"report_channels": [{"url": "x"}]}, "b": {"report_channels": [{"url": "y"}]}},
    ],
)
def test_what_differs_is_refused(hosts: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(ArgumentsError, match="differs between a and b"):
        require(hosts)


def test_a_template_of_what_differs_is_looked_at() -> None:
    shared = {"report_dir": "{{ base }}/r", "base": "{{ where }}"}
    hosts: dict[str, dict[str, Any]] = {"a": {**shared, "where": "/x"}, "b": {**shared, "where": "/y"}}
    with pytest.raises(ArgumentsError, match="report_dir differs"):
        require(hosts, {"a": "/x/r", "b": "/y/r"})
    assert require(hosts, {"a": "/r", "b": "/r"}) == ["a", "b"]


def test_one_template_of_another_that_names_it_ends() -> None:
    loop = {"report_dir": "{{ a }}", "a": "{{ b }}", "b": "{{ a }}"}
    assert require({"x": loop, "y": loop}) == []
