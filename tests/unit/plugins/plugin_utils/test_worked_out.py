"""WorkedOut: the value that Ansible makes, without its templates where they only name variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError, AnsibleValueOmittedError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.media_ops.runbook.plugins.plugin_utils.host_action import plain
from ansible_collections.media_ops.runbook.plugins.plugin_utils.worked_out import WorkedOut

ROLES = Path(__file__).resolve().parents[4] / "roles"
LOADER = DataLoader()


def read(*files: Path) -> dict[str, Any]:
    return {
        name: value
        for file in files
        for name, value in (LOADER.load_from_file(str(file), trusted_as_template=True) or {}).items()
    }


POLICY = read(*sorted((ROLES / "policy/defaults/main").glob("*.yml")), ROLES / "policy/vars/main.yml")
HEALTHCHECK = read(ROLES / "healthcheck/vars/main.yml")
SITES: dict[str, dict[str, Any]] = {
    "as_it_is": {},
    "another_service": {
        "policy_api_map": {"health": {"path": "/h"}, "stats": {"hours": [1, 24]}},
        "policy_service_unit": "",
        "policy_service_process": {"name": "node"},
        "policy_site_checks": [{"check": "queue", "critical": trust_as_template("{{ policy_disk_critical }}")}],
        "policy_site_modules": {"our.own.module": {"options": {"path": trust_as_template("{{ policy_work_dir }}/x")}}},
    },
}


# Which have lookups: these are found only where the collections are set up for a run of Ansible.
OF_LOOKUPS = {"policy_procedures", "policy_all_procedures"}


class Counting:
    """How Ansible makes values, counted."""

    def __init__(self, variables: dict[str, Any]) -> None:
        self.templar = Templar(LOADER, variables)
        self.made: list[Any] = []

    def template(self, given: Any) -> Any:
        self.made.append(given)
        return self.templar.template(given)


def worked_out(variables: dict[str, Any], given: Any) -> tuple[Any, list[Any]]:
    counting = Counting(variables)
    return plain(WorkedOut(counting.template, counting.templar.available_variables).value(given)), counting.made


@pytest.mark.parametrize("site", SITES)
def test_each_variable_of_the_policy_is_what_ansible_makes_of_it(site: str) -> None:
    variables = {**POLICY, **HEALTHCHECK, **SITES[site], "inventory_hostname": "media1"}
    templar = Templar(LOADER, variables)
    values = WorkedOut(templar.template, templar.available_variables)
    for name in {*POLICY, *HEALTHCHECK} - OF_LOOKUPS:
        given = trust_as_template(f"{{{{ {name} }}}}")
        assert plain(values.value(given)) == plain(templar.template(given)), name


def test_of_what_a_check_judges_by_few_are_templates() -> None:
    found, made = worked_out({**POLICY, **HEALTHCHECK}, trust_as_template("{{ __healthcheck_policy }}"))
    assert len(found["checks"]) > 10
    assert len(made) < 10, made


T = trust_as_template
VARIABLES: dict[str, Any] = {
    "one": 1,
    "text": "a b",
    "nested": {
        "list": [1, T("{{ text }}")],
        "items": "of a key",
        "left": T("{{ absent | default(omit) }}"),
        "no": None,
        "h": "h",
    },
    "rows": [1, 2],
    "told": "{{ text }}",
    "none": "set by somebody",
    "again": T("{{ text }}"),
}


@pytest.mark.parametrize(
    "given",
    [
        "{{ one }}", "{{ text }}", "{{ nested }}", "{{ nested.list }}", "{{ nested.no }}",
        "{{ rows + nested.list }}", "{{ text + text }}", "{{ one + one }}", "{{ told }}", "{{ none }}", "x{{ none }}",
        "{{ again }}/x", "{{ one }} of {{ one }}", "{{text}}", "{{ text | upper }}", "{{ text }}\n", "{{ text }}\\n",
        "{# no #}{{ text }}", "{{ '{{ text }}' }}", "{{ text }}{{ rows }}", "{{ true }}", "{{ text }} }}",
        "a: {{ again }}",
        "{{ text }}{{ nested.no }}", "plain", "", "{{ rows }}{% if true %}{% endif %}",
    ],
)  # fmt: skip
def test_what_a_template_means_is_ansibles(given: str) -> None:
    expected = plain(Templar(LOADER, VARIABLES).template(T(given)))
    assert worked_out(VARIABLES, T(given))[0] == expected
    assert worked_out(VARIABLES, {"a": [T(given)]})[0] == {"a": [expected]}


def test_what_a_host_has_told_is_no_template() -> None:
    assert worked_out(VARIABLES, "{{ text }}")[0] == "{{ text }}"
    assert worked_out(VARIABLES, T("{{ told }}"))[0] == "{{ text }}"
    assert worked_out(VARIABLES, T("{{ told }} and {{ again }}"))[0] == "{{ text }} and a b"


def test_what_is_left_out_and_what_is_not_there() -> None:
    absent = T("{{ lookup('ansible.builtin.vars', 'absent', default=omit) }}")
    with pytest.raises(AnsibleValueOmittedError):
        worked_out(VARIABLES, absent)
    assert worked_out(VARIABLES, {"a": absent, "b": [absent, 1]})[0] == {"b": [1]}
    there = T("{{ lookup('ansible.builtin.vars', 'again', default=omit) }}")
    assert worked_out(VARIABLES, there) == ("a b", [])
    with pytest.raises(AnsibleError, match="'absent' is undefined"):
        worked_out(VARIABLES, T("{{ absent }}"))
    with pytest.raises(AnsibleError, match="ecursi"):
        worked_out({"a": T("{{ b }}"), "b": T("{{ a }}")}, T("{{ a }}"))


def test_a_variable_is_worked_out_once() -> None:
    variables = {"costly": T("{{ 1 + 1 }}"), "path": T("{{ costly }}")}
    found, made = worked_out(variables, [T("{{ costly }}"), T("{{ path }} h"), T("{{ costly }}")])
    assert (found, len(made)) == ([2, "2 h", 2], 1)
