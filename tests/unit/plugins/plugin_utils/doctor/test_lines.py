# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line of an inventory has nothing in it that is run or means something to YAML, whatever a host says."""

from __future__ import annotations

from itertools import product

import pytest
import yaml
from ansible_collections.media_ops.runbook.plugins.plugin_utils.doctor.lines import inventory_line
from jinja2 import Environment

GOOD = {
    "ansible_python_interpreter": "/usr/bin/python3.11",
    "media_ops_api_url": "http://localhost:9000/api/v2/monitor",
    "policy_base_dir": "/srv/pipeline",
    "policy_log_dir": "/var/log/pipeline",
    "policy_service_unit": "pipeline@blue",
    "policy_service_user": "pipeline",
}
HOSTILE = [
    *("{{ lookup('pipe', 'id') }}", "{% raw %}", "a{{x}}", "a\nb: 1", "a\n", "a\r", "a\u2028b", 'a"b', "a'b", "a\\n"),
    *("a b", "a#b", "a$b", "a;b", "`id`", "$(id)", "!vault", "!unsafe x", "&a", "*a", "[a]", "{a}", "a,b", "a|b", ">a"),
    *("", "é", "\u0430dmin", "a\u202eb", "a\0b", "a\x1b[2J", "a" * 500, "%s", "~", "a=b", "a?b", "a+b"),
]


@pytest.mark.parametrize("key", sorted(GOOD))
def test_a_good_value_is_itself_to_yaml_and_to_jinja(key: str) -> None:
    line = inventory_line(key, GOOD[key])
    assert yaml.safe_load(line) == {key: GOOD[key]}
    assert Environment(autoescape=True).from_string(GOOD[key]).render() == GOOD[key]


@pytest.mark.parametrize(("key", "value"), list(product(sorted(GOOD), HOSTILE)))
def test_what_might_be_run_is_never_a_line(key: str, value: str) -> None:
    assert inventory_line(key, value) == ""
    assert inventory_line(key, GOOD[key] + value) == ("" if value else inventory_line(key, GOOD[key]))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("media_ops_api_url", "http://elsewhere.example:80/api"),  # a token would be sent there
        ("media_ops_api_url", "http://user@localhost:80"),
        ("media_ops_api_url", "http://localhost:80/../x"),
        ("policy_base_dir", "/srv"),
        ("policy_base_dir", "/srv/../etc/x"),
        ("policy_base_dir", "/etc/pipeline"),
        ("policy_base_dir", "/root/pipeline"),
        ("policy_base_dir", "/usr/bin"),
        ("policy_log_dir", "//var/log"),
        ("policy_log_dir", "relative/logs"),
        ("policy_service_user", "root"),
        ("policy_service_user", "-x"),
        ("policy_service_unit", "../x"),
        ("policy_service_unit", "-H"),
    ],
)
def test_what_does_not_fit_the_variable_is_no_line(key: str, value: str) -> None:
    assert inventory_line(key, value) == ""
