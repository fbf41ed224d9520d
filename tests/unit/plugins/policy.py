"""The check and incident tables of role policy, with the defaults filled in, as Ansible would."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.parsing.convert_bool import boolean
from jinja2.nativetypes import NativeEnvironment

ROOT = Path(__file__).parents[3]
_DEFAULTS = ROOT / "roles" / "policy" / "defaults" / "main"


@cache
def _written() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    raw: dict[str, Any] = {}
    for path in sorted(_DEFAULTS.glob("*.yml")):
        raw.update(yaml.load(path.read_text(encoding="utf-8"), loader))
    # Of a site that adds nothing (roles/policy/vars)
    return {**raw, "policy_all_retention": raw["policy_retention"]}


@cache
def _unchanged() -> dict[str, Any]:
    return _filled(_written())


def policy(**changes: Any) -> dict[str, Any]:
    return _filled({**_written(), **changes}) if changes else copy.deepcopy(_unchanged())


def _filled(raw: dict[str, Any]) -> dict[str, Any]:
    environment = NativeEnvironment()
    # As ansible.builtin.vars does it
    environment.filters["bool"] = boolean
    environment.globals["lookup"] = lambda _vars, name, default: raw.get(name, default)

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item) for item in value]
        if isinstance(value, str) and "{{" in value:
            return fill(environment.from_string(value).render(raw))
        return value

    return {key: fill(value) for key, value in raw.items()}
